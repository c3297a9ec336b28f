//! From a refusal to repairs that were tried: the smallest change that ends it, or, where several things refuse
//! together, one change for each.

use std::net::IpAddr;

use super::Bench;
use super::trial::{Changes, Patched};
use crate::fix::{Command, Fix, Safety};
use crate::outcome::{Decision, Outcome, Run};
use crate::request::{Peer, Request};
use crate::source::Origin;

/// Most repairs shown for one answer.
const MOST_FIXES: usize = 3;
/// Most things that may refuse together before the search is given up.
const MOST_DECIDERS: usize = 9;
/// Most changes tried for one answer, and how many bytes of configuration they may read again in all.
const MOST_TRIALS: usize = 60;
/// See [`MOST_TRIALS`]; a few changes are tried however large the configuration is.
const MOST_BYTES: usize = 30 << 20;
/// See [`MOST_BYTES`].
const FEWEST_TRIALS: usize = 6;

/// Searches for repairs of the status that `run` ended with; the one to prefer comes first.
pub(super) fn search(bench: Bench, request: &Request, run: &Run) -> Vec<Fix> {
    let (Some(decision), Outcome::Response(status)) = (&run.decision, run.outcome) else { return Vec::new() };
    let size: usize = bench.server.sources().files().map(|(_, file)| file.bytes.len()).sum();
    let trials = (MOST_BYTES / size.max(1)).clamp(FEWEST_TRIALS, MOST_TRIALS);
    let mut search = Search { bench, request, status, trials };
    let candidates = bench.server.fixes(request, run, decision, &bench.world);
    let Stage { ending: mut found, partial: mut level } = search.stage(&Before::nothing(decision), candidates);
    // One change is not enough: two changes, then three, so that the smallest set is met first.
    while found.is_empty() && !level.is_empty() {
        let mut next = Vec::new();
        for partial in level {
            let Some(decision) = partial.run.decision.as_ref().filter(|_| partial.titles.len() < MOST_DECIDERS) else {
                continue;
            };
            let candidates = partial.patched.candidates(request, &partial.run, decision);
            let stage = search.stage(&Before::after(&partial, decision), candidates);
            if !stage.ending.is_empty() {
                found = stage.ending;
                break;
            }
            next.extend(stage.partial);
        }
        level = next;
    }
    // A repair after which the request is served comes before one that only changes the refusal.
    found.sort_by_key(|fix| rank(fix.then));
    if found.first().is_some_and(|fix| rank(fix.then) == 0) {
        found.retain(|fix| rank(fix.then) == 0);
    }
    found.truncate(MOST_FIXES);
    found
}

/// Served, refused in another way, not known.
fn rank(then: Option<Outcome>) -> u8 {
    match then {
        Some(Outcome::Response(..400) | Outcome::Upstream) => 0,
        Some(Outcome::Response(_) | Outcome::Closed) => 1,
        _ => 2,
    }
}

struct Search<'a> {
    bench: Bench<'a>,
    request: &'a Request,
    /// The status to get rid of.
    status: u16,
    /// How many changes may still be tried.
    trials: usize,
}

/// What the candidates of one decision lead to.
struct Stage<'a> {
    ending: Vec<Fix>,
    partial: Vec<Partial<'a>>,
}

/// A change after which something else refuses.
struct Partial<'a> {
    titles: Vec<String>,
    safety: Safety,
    changes: Changes,
    patched: Patched<'a>,
    run: Run,
}

/// Where a stage begins.
struct Before<'b> {
    titles: &'b [String],
    safety: Safety,
    changes: Changes,
    /// What refuses now.
    decision: &'b Decision,
}

impl<'b> Before<'b> {
    fn nothing(decision: &'b Decision) -> Self {
        Before { titles: &[], safety: Safety::Safe, changes: Changes::default(), decision }
    }

    fn after(partial: &'b Partial, decision: &'b Decision) -> Self {
        let Partial { titles, safety, changes, .. } = partial;
        Before { titles, safety: *safety, changes: changes.clone(), decision }
    }
}

impl<'a> Search<'a> {
    /// Tries every candidate on top of what was changed before.
    fn stage(&mut self, before: &Before, candidates: Vec<Fix>) -> Stage<'a> {
        let mut stage: Stage = Stage { ending: Vec::new(), partial: Vec::new() };
        for candidate in candidates {
            if stage.ending.len() >= MOST_FIXES || self.trials == 0 {
                break;
            }
            if stage.ending.iter().any(|fix| grants_more(&candidate, fix)) {
                continue;
            }
            self.trials -= 1;
            let Some(changes) = before.changes.with(self.bench, &candidate) else { continue };
            let Some(patched) = changes.apply(self.bench) else { continue };
            let run = patched.run(self.request);
            let titles = before.titles.iter().cloned().chain([candidate.title.clone()]).collect();
            let safety = if before.safety == Safety::Review { Safety::Review } else { candidate.safety };
            let partial = Partial { titles, safety, changes, patched, run };
            if partial.run.outcome != Outcome::Response(self.status) {
                let first = before.titles.is_empty();
                let edits = if first { Some(candidate.edits) } else { partial.changes.edits(self.bench) };
                stage.ending.extend(edits.map(|edits| self.finished(partial, edits)));
                continue;
            }
            let Some(decision) = &partial.run.decision else { continue };
            let known = stage.partial.iter().filter_map(|partial| partial.run.decision.as_ref());
            if known.chain([before.decision]).any(|other| same_refusal(decision, other)) {
                continue;
            }
            stage.partial.push(partial);
        }
        stage
    }

    /// A fix that was tried, with what it opens besides.
    fn finished(&self, partial: Partial, edits: Vec<crate::fix::Edit>) -> Fix {
        let mut title = partial.titles.join("; ");
        let mut safety = partial.safety;
        let opened = if edits.is_empty() { Vec::new() } else { self.opened(&partial.patched) };
        if !opened.is_empty() {
            safety = Safety::Review;
            title.push_str(&format!(" (also lets in {})", opened.join(" and ")));
        }
        Fix { title, edits, commands: partial.changes.commands().to_vec(), safety, then: Some(partial.run.outcome) }
    }

    /// Who else is let in: the same question from other clients, with other methods, and for other paths, before and
    /// after. Whoever the same rule refused in the same way is part of the question; but a rule about clients is asked
    /// about one client, and a rule about methods about one method.
    fn opened(&self, patched: &Patched) -> Vec<&'static str> {
        let before = |request: &Request| self.bench.server.evaluate(request, &self.bench.world);
        let own = before(self.request).decision;
        let code = own.as_ref().map_or("", |decision| decision.cause.code);
        let opens = |request: &Request, another: bool| {
            let run = before(request);
            let same_rule = run.decision.as_ref().map(rule) == own.as_ref().map(rule);
            (another || !same_rule) && refused(run.outcome) && !refused(patched.run(request).outcome)
        };
        let mut opened = Vec::new();
        if other_clients(self.request).iter().any(|request| opens(request, about_clients(code))) {
            opened.push("other clients");
        }
        if other_methods(self.request).iter().any(|request| opens(request, code.ends_with("limit-except"))) {
            opened.push("other methods");
        }
        if other_paths(self.request).iter().any(|request| opens(request, false)) {
            opened.push("other paths");
        }
        opened
    }
}

/// Whether a candidate gives mode bits to a path for which fewer were enough: the last thing that the other fix does.
fn grants_more(candidate: &Fix, enough: &Fix) -> bool {
    match (candidate.commands.as_slice(), enough.commands.as_slice()) {
        ([Command::Chmod { path, mode, .. }], [.., Command::Chmod { path: other, mode: needed, .. }]) => {
            candidate.edits.is_empty() && path == other && mode & needed == *needed
        }
        _ => false,
    }
}

/// What refused.
fn rule(decision: &Decision) -> (&'static str, Option<Origin>) {
    (decision.cause.code, decision.directive)
}

/// Whether a cause is a rule that looks at who asks.
fn about_clients(code: &str) -> bool {
    let rules = ["nginx/access-deny", "apache/require-denied", "apache/access-compat", "apache/authz"];
    rules.iter().any(|rule| code.starts_with(rule))
}

/// Whether two refusals are the same rule at the same place and path.
fn same_refusal(one: &Decision, other: &Decision) -> bool {
    rule(one) == rule(other) && one.path == other.path
}

fn refused(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Response(401 | 403 | 404 | 405) | Outcome::Closed)
}

/// The same request from an address of each kind.
fn other_clients(request: &Request) -> Vec<Request> {
    const OTHERS: [IpAddr; 4] = [
        IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 77)),
        IpAddr::V4(std::net::Ipv4Addr::new(10, 250, 250, 250)),
        IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 1)),
        IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x77)),
    ];
    let others = OTHERS.into_iter().map(Peer::Ip).filter(|peer| *peer != request.peer);
    others.map(|peer| Request { peer, ..request.clone() }).collect()
}

fn other_methods(request: &Request) -> Vec<Request> {
    let others = [&b"GET"[..], b"POST", b"DELETE"].into_iter().filter(|method| *method != request.method);
    others.map(|method| Request { method: method.to_vec(), ..request.clone() }).collect()
}

/// The root, the directory above, and a sibling that is not there.
fn other_paths(request: &Request) -> Vec<Request> {
    let path = request.target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let trimmed = path.strip_suffix(b"/").unwrap_or(path);
    let above = trimmed.iter().rposition(|&byte| byte == b'/').map_or(&b"/"[..], |at| &trimmed[..=at]);
    let paths = [b"/".to_vec(), above.to_vec(), [above, b"why403-sibling"].concat()];
    let others = paths.into_iter().filter(|other| *other != path);
    others.map(|target| Request { target, ..request.clone() }).collect()
}

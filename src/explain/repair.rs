//! From a refusal to repairs that were tried: the smallest change that ends it, or, where several things refuse
//! together, one change for each.

use std::net::IpAddr;

use super::Bench;
use super::trial::{Changes, Patched};
use crate::fix::{Fix, Safety};
use crate::outcome::{Decision, Outcome, Related, Run};
use crate::request::{Peer, Request};
use crate::source::Origin;

/// Most repairs shown for one answer.
const MOST_FIXES: usize = 3;
/// Most things that may refuse together before the search is given up.
const MOST_DECIDERS: usize = 5;
/// Most changes tried for one answer.
const MOST_TRIALS: usize = 60;

/// What came out of a search.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Repairs that end the refusal, the one to prefer first.
    pub fixes: Vec<Fix>,
    /// What refuses as well once the first decider does not: the other members of the smallest set of changes.
    pub co_deciders: Vec<Related>,
}

/// Searches for repairs of the status that `run` ended with.
pub(super) fn search(bench: Bench, request: &Request, run: &Run) -> Repairs {
    let (Some(decision), Outcome::Response(status)) = (&run.decision, run.outcome) else { return Repairs::default() };
    let mut search = Search { bench, request, status, trials: 0 };
    let candidates = bench.server.fixes(request, run, decision, &bench.world);
    let first = search.stage(&Changes::default(), None, candidates);
    let mut found = first.ending;
    let mut co_deciders = Vec::new();
    if found.is_empty() {
        for partial in first.partial {
            let mut deciders = vec![decision.directive];
            if let Some(fix) = search.deeper(partial, &mut deciders) {
                let others = deciders.into_iter().skip(1).flatten().filter(|&origin| search.is_original(origin));
                co_deciders = others.map(|origin| Related { role: "co-decider", origin }).collect();
                found.push(fix);
                break;
            }
        }
    }
    // A repair after which the request is served comes before one that only changes the refusal.
    found.sort_by_key(|fix| (rank(fix.then), fix.safety == Safety::Review));
    if found.first().is_some_and(|fix| rank(fix.then) == 0) {
        found.retain(|fix| rank(fix.then) == 0);
    }
    found.truncate(MOST_FIXES);
    Repairs { fixes: found, co_deciders }
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

impl<'a> Search<'a> {
    /// Tries every candidate on top of `changes`.
    fn stage(&mut self, changes: &Changes, before: Option<&Partial<'a>>, candidates: Vec<Fix>) -> Stage<'a> {
        let mut stage = Stage { ending: Vec::new(), partial: Vec::new() };
        let last = before.and_then(|partial| partial.run.decision.as_ref());
        for candidate in candidates {
            if stage.ending.len() >= MOST_FIXES || self.trials >= MOST_TRIALS {
                break;
            }
            self.trials += 1;
            let Some(changes) = changes.with(self.bench, &candidate) else { continue };
            let Some(patched) = changes.apply(self.bench) else { continue };
            let run = patched.run(self.request);
            let mut titles = before.map(|partial| partial.titles.clone()).unwrap_or_default();
            titles.push(candidate.title.clone());
            let safety = match before {
                Some(partial) if partial.safety == Safety::Review => Safety::Review,
                _ => candidate.safety,
            };
            let partial = Partial { titles, safety, changes, patched, run };
            if partial.run.outcome != Outcome::Response(self.status) {
                let edits = if before.is_none() { Some(candidate.edits) } else { partial.changes.edits(self.bench) };
                stage.ending.extend(edits.map(|edits| self.finished(partial, edits)));
            } else if is_new(partial.run.decision.as_ref(), last) {
                stage.partial.push(partial);
            }
        }
        stage
    }

    /// Goes on from a change after which something else refuses; `deciders` collects what refused on the way.
    fn deeper(&mut self, partial: Partial<'a>, deciders: &mut Vec<Option<Origin>>) -> Option<Fix> {
        let decision = partial.run.decision.as_ref()?;
        if deciders.len() >= MOST_DECIDERS {
            return None;
        }
        deciders.push(decision.directive);
        let candidates = partial.patched.candidates(self.request, &partial.run, decision);
        let stage = self.stage(&partial.changes, Some(&partial), candidates);
        if let Some(fix) = stage.ending.into_iter().next() {
            return Some(fix);
        }
        let depth = deciders.len();
        for next in stage.partial {
            if let Some(fix) = self.deeper(next, deciders) {
                return Some(fix);
            }
            deciders.truncate(depth);
        }
        None
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

    /// Who else is let in: the same question from other clients, with other methods, and for other paths, before and after.
    fn opened(&self, patched: &Patched) -> Vec<&'static str> {
        let before = |request: &Request| self.bench.server.evaluate(request, &self.bench.world);
        let opens = |request: &Request| refused(before(request).outcome) && !refused(patched.run(request).outcome);
        let mut opened = Vec::new();
        if other_clients(self.request).iter().any(opens) {
            opened.push("other clients");
        }
        if other_methods(self.request).iter().any(opens) {
            opened.push("other methods");
        }
        // Other paths that the same directive refused are part of the same question.
        let own = before(self.request).decision.and_then(|decision| decision.directive);
        let elsewhere = |request: &Request| {
            before(request).decision.and_then(|decision| decision.directive) != own && opens(request)
        };
        if other_paths(self.request).iter().any(elsewhere) {
            opened.push("other paths");
        }
        opened
    }

    /// Whether a place is one of the configuration as it is: files read again while trying have other ids.
    fn is_original(&self, origin: Origin) -> bool {
        let sources = self.bench.server.sources();
        sources.files().any(|(id, file)| id == origin.span.file && origin.span.end as usize <= file.bytes.len())
    }
}

/// Whether a refusal is another one than the last.
fn is_new(now: Option<&Decision>, last: Option<&Decision>) -> bool {
    match (now, last) {
        (Some(now), Some(last)) => now.cause != last.cause || now.path != last.path || now.directive != last.directive,
        (now, None) => now.is_some(),
        (None, Some(_)) => false,
    }
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

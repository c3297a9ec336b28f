//! Blame is proven: for every recorded 403 what the answer blames is changed on a copy of the case, the real server is
//! started anew and asked again. It is no longer 403, or the next refusal that the answer names shows and is changed too,
//! until it is not.
//!
//! A written directive is taken out or turned round (`deny` into `allow`); where nothing written decides, or a path, the
//! answer's first repair adds what is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::Trial;
use serde_json::Value;
use why403::explain::{Answer, Fields};
use why403::fix::Edit;
use why403::fs::real::RealFs;
use why403::outcome::{Decision, Outcome};
use why403::server::Kind;
use why403::source::{SourceMap, Span};

use crate::case::{Case, Question};
use crate::cases;
use crate::library::{self, Loaded};
use crate::proof::{Change, Ground};

const FORBIDDEN: Outcome = Outcome::Response(403);

/// The request itself is at fault, so no change of a file ends the refusal.
pub const REQUEST_AT_FAULT: [&str; 2] = ["apache/path-too-long", "apache/path-stat-error"];

pub fn trials() -> Result<Vec<Trial>, String> {
    let forbidden = |question: &Question| question.expect("")["status"] == 403;
    let cases = cases::all()?.into_iter().filter(|case| case.questions.iter().any(forbidden));
    let proofs = cases.map(|case| Trial::test(format!("blame::{}", case.name), move || Ok(run(&case, forbidden)?)));
    let named = Trial::test("blame::everything_that_refuses_is_named_in_order", || Ok(everything_is_named()?));
    Ok(proofs.chain([named]).collect())
}

/// With no fix asked for and with all of the answer, the same directives, in the order in which they refuse.
fn everything_is_named() -> Result<(), String> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/nginx/several-refuse"));
    let case = Case::read(folder, "nginx/several-refuse".to_owned())?;
    let mut ground = Ground::of(&case)?;
    let question = &case.questions[0];
    ground.lay_out(question)?;
    let loaded = Loaded::new(&case, &ground.root());
    let request = library::request(&question.ask(&case, &ground.root())).ok_or("it cannot be asked")?;
    for fields in [Fields { cause: true, ..Fields::NONE }, Fields::ALL] {
        let answer = loaded.explain(&request, &RealFs, None, fields);
        let decision = answer.run.decision.as_ref().ok_or("nothing decides")?;
        let first = std::iter::once(decision.directive);
        let next = decision.related.iter().filter(|related| related.role == "co-decider");
        let places = first.chain(next.map(|related| Some(related.origin)));
        let lines: Vec<u32> = places.flatten().map(|origin| loaded.server.sources().start(origin.span).line).collect();
        if lines != [10, 13, 12, 9] {
            return Err(format!(
                "lines {lines:?} refuse, and it should be the return of the server, the one of the location, its deny, and root for the closed directory"
            ));
        }
    }
    Ok(())
}

fn run(case: &Case, forbidden: impl Fn(&Question) -> bool) -> Result<(), String> {
    let mut ground = Ground::of(case)?;
    let mut wrong = Vec::new();
    let mut plans: BTreeMap<(String, Vec<Change>), Vec<&Question>> = BTreeMap::new();
    for question in case.questions.iter().filter(|question| forbidden(question)) {
        match plan(case, question, &mut ground) {
            Ok(changes) if changes.is_empty() => {}
            Ok(changes) => {
                plans.entry((question.line["overlay"].to_string(), changes)).or_default().push(question);
            }
            Err(why) => wrong.push(format!("{}: {why}", question.id())),
        }
    }
    for ((_, changes), questions) in plans {
        ground.lay_out(questions[0])?;
        changes.iter().try_for_each(|change| change.make(&ground.root()))?;
        let Some(answers) = ground.ask_server(&questions)? else { continue };
        let still = questions.iter().zip(answers).filter(|(_, answer)| answer["status"] == 403);
        wrong.extend(still.map(|(question, answer)| format!("{}: the server still says {answer}", question.id())));
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("blame not proven\n{}", wrong.join("\n"))) }
}

/// Changes, made one after the other on the laid-out case, after which the answer is no longer 403. Each but the first
/// changes a refusal that the first answer named as the next.
fn plan(case: &Case, question: &Question, ground: &mut Ground) -> Result<Vec<Change>, String> {
    ground.lay_out(question)?;
    let root = ground.root();
    let line = question.ask(case, &root);
    let (mut loaded, mut answer) = explain(case, &line, &root)?;
    let Some(decision) = answer.run.decision.clone().filter(|_| answer.outcome == FORBIDDEN) else {
        // Another trial says that this answer is wrong.
        return Ok(Vec::new());
    };
    if REQUEST_AT_FAULT.contains(&decision.cause.code) {
        return Ok(Vec::new());
    }
    let named: Vec<Place> = answer.next.iter().map(|next| Place::of(&loaded, &next.decision)).collect();
    let mut plan: Vec<Change> = Vec::new();
    'ends: while answer.outcome == FORBIDDEN {
        let here = answer.run.decision.as_ref().map(|decision| Place::of(&loaded, decision));
        for change in changes(&loaded, &answer) {
            change.make(&root)?;
            let (after, then) = explain(case, &line, &root)?;
            let place = then.run.decision.as_ref().map(|decision| Place::of(&after, decision));
            let moved = place.is_some() && place != here && place.is_some_and(|place| named.contains(&place));
            if then.outcome != Outcome::Refused && (then.outcome != FORBIDDEN || moved) {
                (loaded, answer) = (after, then);
                plan.push(change);
                continue 'ends;
            }
            // Undone: the files as they were after what is planned so far.
            ground.lay_out(question)?;
            plan.iter().try_for_each(|change| change.make(&root))?;
        }
        let here = here.map_or_else(String::new, |place| format!("{place:?}"));
        return Err(format!("{}: no change of {here} ends it or shows one of {named:?}", decision.cause.code));
    }
    Ok(plan)
}

fn explain(case: &Case, line: &Value, root: &Path) -> Result<(Loaded, Answer), String> {
    let loaded = Loaded::new(case, root);
    let request = library::request(line).ok_or("it cannot be asked")?;
    let fields = Fields { outcome: true, cause: true, fixes: true, ..Fields::NONE };
    let answer = loaded.explain(&request, &RealFs, library::worker(case).as_ref(), fields);
    Ok((loaded, answer))
}

/// Where a refusal is, in a way that survives edits of other lines.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    text: String,
    path: Option<PathBuf>,
}

impl Place {
    fn of(loaded: &Loaded, decision: &Decision) -> Place {
        let sources = loaded.server.sources();
        let head = decision.directive.map(|origin| loaded.server.kind().head(sources.text(origin.span)));
        let text = head.map_or_else(String::new, |head| String::from_utf8_lossy(head).into_owned());
        Place { text, path: decision.path.clone() }
    }
}

/// What to change for the refusal of an answer: its own directive taken out, or turned round; else what its repairs add.
fn changes(loaded: &Loaded, answer: &Answer) -> Vec<Change> {
    let sources = loaded.server.sources();
    let written = answer.run.decision.iter().filter(|decision| !decision.default && decision.path.is_none());
    let spans: Vec<Span> = written.filter_map(|decision| decision.directive).map(|origin| origin.span).collect();
    let mut edits: Vec<Option<Edit>> = Vec::new();
    for span in spans {
        edits.push(Edit::delete(sources, span));
        edits.extend(turned(loaded.server.kind(), sources, span).map(|text| Edit::replace(sources, span, &text)));
    }
    let edit = |edit: Edit| Change { edits: vec![edit], commands: Vec::new() };
    let mut changes: Vec<Change> = edits.into_iter().flatten().map(edit).collect();
    // A path, or something that nobody wrote: the repair adds it.
    changes.extend(answer.fixes.iter().map(|fix| Change {
        edits: fix.edits.clone(),
        commands: fix.commands.iter().map(ToString::to_string).collect(),
    }));
    changes
}

/// The same directive with the opposite meaning, where it has one.
fn turned(kind: Kind, sources: &SourceMap, span: Span) -> Option<String> {
    let text = String::from_utf8_lossy(kind.head(sources.text(span))).into_owned();
    let (name, rest) = text.split_once(char::is_whitespace)?;
    match name.to_ascii_lowercase().as_str() {
        "deny" => Some(format!("allow {rest}")),
        "require" => Some("Require all granted".to_owned()),
        "order" => Some("Order deny,allow".to_owned()),
        "options" => Some("Options FollowSymLinks Indexes ExecCGI".to_owned()),
        "autoindex" => Some("autoindex on;".to_owned()),
        "disable_symlinks" => Some("disable_symlinks off;".to_owned()),
        _ => None,
    }
}

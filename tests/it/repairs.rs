//! The first repair of every recorded 403, made on a copy of the case and asked again: of the program, and, where
//! `WHY403_SERVERS` is set, of the real server, started anew. It has to answer what the repair promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use why403::fix::{self, Edit};

use crate::case::{Case, Question};
use crate::cases::Program;
use crate::servers::{self, Real, Stage};

/// The request itself is at fault: its path is longer than a file system allows.
const BEYOND_REPAIR: [&str; 2] = ["apache/path-too-long", "apache/path-stat-error"];

pub fn trials() -> Result<Vec<Trial>, String> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"));
    let mut cases = Case::all(&own)?;
    if let Some(top) = std::env::var_os("WHY403_CASES") {
        cases.extend(Case::all(Path::new(&top))?);
    }
    let forbidden = |question: &Question| question.expect("")["status"] == 403 && question.overlay().is_empty();
    let trials = cases.into_iter().filter(|case| case.questions.iter().any(forbidden));
    Ok(trials.map(|case| Trial::test(format!("repairs::{}", case.name), move || Ok(run(&case, forbidden)?))).collect())
}

/// Repairs every recorded 403 of a case; what went wrong is told together.
fn run(case: &Case, forbidden: impl Fn(&Question) -> bool) -> Result<(), String> {
    let mut wrong = Vec::new();
    let mut count = 0;
    for question in case.questions.iter().filter(|question| forbidden(question)) {
        count += 1;
        if let Err(why) = repair(case, question) {
            wrong.push(format!("{}: {why}", question.id()));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {count} not repaired\n{}", wrong.len(), wrong.join("\n")))
    }
}

fn repair(case: &Case, question: &Question) -> Result<(), String> {
    if !servers::wanted() {
        let text = |error: std::io::Error| error.to_string();
        let top = tempfile::Builder::new().prefix("why403-repair-").tempdir().map_err(text)?;
        crate::cases::open_to_all(top.path()).map_err(text)?;
        case.lay_out(top.path()).map_err(text)?;
        return repaired(case, question, top.path()).map(|_| ());
    }
    let mut stage = Stage::set(case, Real::of(case))?;
    let Some(repair) = repaired(case, question, &stage.root.clone())? else { return Ok(()) };
    let (title, promised) = (&repair["title"], &repair["then"]);
    if let Err(why) = stage.start() {
        // Some recorded trees lack what their server was started with (a map's program that may be executed): there the
        // untouched case does not start either, and the program alone is judged.
        let untouched = Stage::set(case, Real::of(case))?.start();
        return if untouched.is_err() { Ok(()) } else { Err(format!("{title}: the server does not start: {why}")) };
    }
    let real = stage.ask(case, question)?;
    let as_promised = match promised["kind"].as_str() {
        // What a back end or a script answers is its own affair.
        Some("upstream") => real["kind"] == "upstream" || real["status"] != 403,
        Some("unknown") => real["status"] != 403,
        _ => real["kind"] == promised["kind"] && real["status"] == promised["status"],
    };
    if as_promised { Ok(()) } else { Err(format!("{title}: promised {promised}, the server says {real}")) }
}

/// Makes the first repair of a question in a case laid out at `root`, and asks the program again. Nothing where the program
/// does not say 403 in the first place: another trial says that this is wrong.
fn repaired(case: &Case, question: &Question, root: &Path) -> Result<Option<Value>, String> {
    let line = question.ask(case, root);
    let ask = || -> Result<Value, Failed> {
        let mut program = Program::start(case, root)?;
        let answer = program.ask(&line)?;
        program.finish()?;
        Ok(answer)
    };
    let ask = || ask().map_err(|error| error.message().unwrap_or("the program failed").to_owned());
    let before = ask()?;
    if before["outcome"]["status"] != 403 {
        return Ok(None);
    }
    if BEYOND_REPAIR.iter().any(|code| before["cause"]["code"] == *code) {
        return Ok(None);
    }
    let Some(repair) = before["fixes"].as_array().and_then(|fixes| fixes.first()) else {
        return Err(format!("no repair for {}: {}", before["cause"]["code"], before["cause"]["directive"]));
    };
    make(repair, root)?;
    let after = ask()?;
    let (promised, now) = (&repair["then"], &after["outcome"]);
    if promised["kind"] != now["kind"] || promised["status"] != now["status"] {
        return Err(format!("{}: promised {promised}, the program then says {now}", repair["title"]));
    }
    Ok(Some(repair.clone()))
}

/// Makes a repair on the disk: edits through the library, commands through the shell.
fn make(repair: &Value, root: &Path) -> Result<(), String> {
    let mut edits: BTreeMap<PathBuf, Vec<Edit>> = BTreeMap::new();
    for edit in repair["edits"].as_array().into_iter().flatten() {
        let number = |field: &str| edit[field].as_u64().and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
        let file = PathBuf::from(edit["file"].as_str().unwrap_or_default());
        if !file.starts_with(root) {
            return Err(format!("{} lies outside of the case", file.display()));
        }
        let replacement = edit["replacement"].as_str().unwrap_or_default().to_owned();
        let edit = Edit { file: file.clone(), line: number("line"), end_line: number("end_line"), replacement };
        edits.entry(file).or_default().push(edit);
    }
    for (file, edits) in edits {
        let text = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let text = fix::apply(&text, &edits).map_err(|error| format!("{}: {error}", file.display()))?;
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    for command in repair["commands"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !command.contains(&*root.to_string_lossy()) {
            return Err(format!("{command}: not in the case"));
        }
        let done = Command::new("sh").args(["-c", command]).status().map_err(|error| format!("{command}: {error}"))?;
        if !done.success() {
            return Err(format!("{command}: {done}"));
        }
    }
    Ok(())
}

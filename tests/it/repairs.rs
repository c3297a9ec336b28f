//! The first repair of every recorded 403, made on a copy of the case and asked again: of the program, and, where
//! `WHY403_SERVERS` is set, of the real server, started anew. It has to answer what the repair promised.

use std::collections::BTreeMap;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::blame::REQUEST_AT_FAULT;
use crate::case::{Case, Question};
use crate::cases::{self, Program};
use crate::proof::{Change, Ground};
use crate::servers;

pub fn trials() -> Result<Vec<Trial>, String> {
    let forbidden = |question: &Question| question.expect("")["status"] == 403;
    let cases = cases::all()?.into_iter().filter(|case| case.questions.iter().any(forbidden));
    let repairs = cases.map(|case| Trial::test(format!("repairs::{}", case.name), move || Ok(run(&case, forbidden)?)));
    let full = Trial::test("repairs::a_full_disk_leaves_the_file_alone", a_full_disk_leaves_the_file_alone);
    Ok(repairs.chain([full]).collect())
}

/// On a file system without a free block `fix --write` fails, and the file is what it was, with nothing beside it.
fn a_full_disk_leaves_the_file_alone() -> Result<(), Failed> {
    if !servers::wanted() {
        return Ok(());
    }
    let top = tempfile::Builder::new().prefix("why403-full-").tempdir()?;
    let script = r#"
        mount -t tmpfs -o size=64k none "$1" && cd "$1" || exit 9
        printf 'events {}\nhttp {\n  server {\n    listen 80;\n    location / {\n      deny all;\n    }\n  }\n}\n' > nginx.conf
        cp nginx.conf "$1.before"
        dd if=/dev/zero of=filler bs=4k 2>/dev/null
        "$2" fix --config nginx.conf --no-fs --write http://localhost/
        echo "exit $?"
        cmp nginx.conf "$1.before" && ls -A
    "#;
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(top.path())
        .arg(env!("CARGO_BIN_EXE_why403"))
        .output()?;
    let _ = std::fs::remove_file(format!("{}.before", top.path().display()));
    let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if said.ends_with("exit 2\nfiller\nnginx.conf\n") && failed.contains("No space left on device") {
        return Ok(());
    }
    Err(format!("{said}{failed}").into())
}

/// Questions that one repair answers, with the title of the repair and what it promises each.
type Promised<'c> = Vec<(&'c Question, String, Value)>;

/// Repairs every recorded 403 of a case; what went wrong is told together.
fn run(case: &Case, forbidden: impl Fn(&Question) -> bool) -> Result<(), String> {
    let mut ground = Ground::of(case)?;
    let mut wrong = Vec::new();
    let mut repairs: BTreeMap<(String, Change), Promised> = BTreeMap::new();
    let questions: Vec<&Question> = case.questions.iter().filter(|question| forbidden(question)).collect();
    for question in &questions {
        ground.lay_out(question)?;
        let answer = ask(case, &[question], &ground)?.remove(0);
        // Where the program does not say 403 in the first place another trial says that this is wrong.
        let at_fault = REQUEST_AT_FAULT.iter().any(|code| answer["cause"]["code"] == *code);
        if answer["outcome"]["status"] != 403 || at_fault {
            continue;
        }
        let id = question.id();
        let Some(fix) = answer["fixes"].as_array().and_then(|fixes| fixes.first()) else {
            wrong.push(format!("{id}: no repair for {}: {}", answer["cause"]["code"], answer["cause"]["directive"]));
            continue;
        };
        let key = (question.line["overlay"].to_string(), Change::of_json(fix));
        let title = fix["title"].as_str().unwrap_or_default().to_owned();
        repairs.entry(key).or_default().push((question, title, fix["then"].clone()));
    }
    for ((_, change), promised) in repairs {
        let questions: Vec<&Question> = promised.iter().map(|(question, ..)| *question).collect();
        ground.lay_out(questions[0])?;
        change.make(&ground.root())?;
        for ((question, title, promise), answer) in promised.iter().zip(ask(case, &questions, &ground)?) {
            let now = &answer["outcome"];
            if promise["kind"] != now["kind"] || promise["status"] != now["status"] {
                wrong.push(format!("{}: {title}: promised {promise}, the program then says {now}", question.id()));
            }
        }
        let Some(answers) = ground.ask_server(&questions)? else { continue };
        for ((question, title, promise), real) in promised.iter().zip(answers) {
            if !is_as_promised(promise, &real) {
                wrong.push(format!("{}: {title}: promised {promise}, the server says {real}", question.id()));
            }
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} not repaired\n{}", wrong.len(), questions.len(), wrong.join("\n")))
    }
}

/// What the program says of the case as it lies.
fn ask(case: &Case, questions: &[&Question], ground: &Ground) -> Result<Vec<Value>, String> {
    let root = ground.root();
    let ask = || -> Result<Vec<Value>, Failed> {
        let mut program = Program::start(case, &root)?;
        let answers: Result<Vec<Value>, Failed> =
            questions.iter().map(|question| program.ask(&question.ask(case, &root))).collect();
        program.finish()?;
        answers
    };
    ask().map_err(|error| error.message().unwrap_or("the program failed").to_owned())
}

fn is_as_promised(promise: &Value, real: &Value) -> bool {
    match promise["kind"].as_str() {
        // What a back end or a script answers is its own affair.
        Some("upstream") => real["kind"] == "upstream" || real["status"] != 403,
        Some("unknown") => real["status"] != 403,
        _ => real["kind"] == promise["kind"] && real["status"] == promise["status"],
    }
}

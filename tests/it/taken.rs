//! Trees taken along: what `why403 capture` archived, and what bsdtar and mtree listed, answer as the tree itself does.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::case::{Case, Question};
use crate::cases;
use crate::honesty::honest;
use crate::proof::Ground;

pub fn trials() -> Result<Vec<Trial>, String> {
    let mut trials = Vec::new();
    for case in cases::all()? {
        trials.push(Trial::test(format!("taken::{}", case.name), move || run(&case)));
    }
    Ok(trials)
}

/// Asks everything that is asked of the tree as it lies of the tree, of its archive, and of its listings.
fn run(case: &Case) -> Result<(), Failed> {
    let mut ground = Ground::quiet(case)?;
    let own_certificate =
        |question: &Question| question.line["client_cert"].as_str().is_none_or(|it| !it.contains('/'));
    let questions: Vec<&Question> =
        case.questions.iter().filter(|question| question.overlay().is_empty() && own_certificate(question)).collect();
    let Some(first) = questions.first() else { return Ok(()) };
    ground.lay_out(first)?;
    let root = ground.root();
    let top = root.parent().ok_or("no top")?;
    let config = root.join(case.config());
    let lines: Vec<String> = questions.iter().map(|question| question.ask(case, &root).to_string()).collect();
    std::fs::write(top.join("requests"), lines.join("\n"))?;
    let tree = answers(case, top, &config, &[])?;
    let archive = top.join("taken.tar");
    done(program(case, &["capture"], &config, &["-o", &archive.to_string_lossy()]).output()?)?;
    let mut wrong = Vec::new();
    for (question, (here, there)) in questions.iter().zip(tree.iter().zip(answers(case, top, &archive, &[])?)) {
        if (&here["outcome"], &here["cause"]) != (&there["outcome"], &there["cause"]) {
            wrong.push(format!("{}: the archive says {there}\n  where the tree says {here}", question.id()));
        }
    }
    for (name, listing) in listings(top)? {
        std::fs::write(top.join(&name), listing)?;
        let listed = answers(case, top, &config, &["--manifest", &top.join(&name).to_string_lossy()])?;
        for (question, (here, there)) in questions.iter().zip(tree.iter().zip(listed)) {
            // Modes, owners and links are what a listing is for.
            let by_a_mode = here["outcome"]["status"] == 403 && !here["cause"]["path"].is_null();
            if case.about.server == "nginx" && by_a_mode && here["outcome"] != there["outcome"] {
                wrong.push(format!("{} by {name}: not certain\n  {there}", question.id()));
            }
            // Contents are not listed, so a listing may have to ask where the tree answers.
            if let Err(why) = honest(&here["outcome"], &there).or_else(|why| unless_open(here, why)) {
                wrong.push(format!("{} by {name}: {why}\n  {there}", question.id()));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// What the tree itself leaves open cannot be held against a listing.
fn unless_open(tree: &Value, why: String) -> Result<(), String> {
    if tree["outcome"]["certainty"] == "certain" { Err(why) } else { Ok(()) }
}

/// The listings of everything below the root of the host that leads to `top`, and of `top` itself.
fn listings(top: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut found = Vec::new();
    let mut bsdtar = Command::new("bsdtar");
    bsdtar.args(["--format=mtree", "-cf", "-", "-C", "/"]).arg(top.strip_prefix("/")?);
    let mut mtree = Command::new("mtree");
    mtree.args(["-c", "-k", "type,mode,uid,gid,link,size,time", "-p"]).arg(top);
    for (name, command) in [("bsdtar", &mut bsdtar), ("mtree", &mut mtree)] {
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(_) if !crate::servers::wanted() => continue,
            Err(error) => return Err(format!("{name}: {error}; install libarchive-tools and mtree-netbsd").into()),
        };
        // The way down to what is listed: open to all, and more lies beside it.
        let way = |path: &Path| format!("./{} type=dir mode=0755 uid=0 gid=0 ignore\n", path.display());
        let below = top.strip_prefix("/")?;
        let mut listing: String = below.ancestors().skip(1).map(way).collect();
        let text = String::from_utf8(done(output)?)?;
        match name {
            "bsdtar" => listing.push_str(&text),
            // mtree lists from the directory it was told, which a manifest of a whole host enters name by name.
            _ => {
                let name = |part: std::path::Component| {
                    format!("{} type=dir mode=0755 uid=0 gid=0 ignore\n", part.as_os_str().display())
                };
                listing = ". type=dir mode=0755 uid=0 gid=0 ignore\n".to_owned();
                listing.extend(below.components().map(name));
                let start = |line: &&str| !line.starts_with(". ");
                listing.extend(text.lines().filter(start).map(|line| format!("{line}\n")));
            }
        }
        found.push((name.to_owned(), listing.into_bytes()));
    }
    Ok(found)
}

/// What the program says to all requests.
fn answers(case: &Case, top: &Path, config: &Path, more: &[&str]) -> Result<Vec<Value>, Failed> {
    let requests = top.join("requests");
    let requests = requests.to_string_lossy();
    let fields = ["--requests", &requests, "--format", "jsonl", "--fields", "outcome,cause,alternatives"];
    let output = done(program(case, &["explain"], config, &[&fields[..], more].concat()).output()?)?;
    let text = String::from_utf8(output)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn program(case: &Case, words: &[&str], config: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
    command.args(words).arg("--config").arg(config);
    // An archive says by itself how it is to be read.
    if config.extension().is_none_or(|extension| extension != "tar") {
        command.args(["--server", &case.about.server]);
        if let Some(version) = cases::version(case).strip_prefix("nginx/") {
            command.args(["--server-version", version]);
        }
        let below = Path::new(case.config()).components().count();
        command.arg("--prefix").args(config.ancestors().nth(below));
        if let Some(worker) = &case.about.worker {
            command.args(["--worker", worker]);
        }
    }
    command.args(more).stdin(Stdio::null());
    command
}

fn done(output: Output) -> Result<Vec<u8>, Failed> {
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into())
}

//! Configurations, file trees and requests by chance, asked of the program and of the real server.
//!
//! The seed of a configuration is its number, so a failure repeats anywhere. A disagreement is shrunk until nothing can
//! be left out and written below `target/generated` as a case folder with the real answer. `WHY403_GENERATE` sets how
//! many configurations each server gets (200), `WHY403_SEED` where the numbers start, `WHY403_SHRINK` how many
//! disagreements of a trial are shrunk (1), `WHY403_FIXES` how many fixes of a configuration are proven (2).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::Case;
use crate::cases::Program;
use crate::servers::session::NotStarted;
use crate::servers::{self, Stage, fixes};

mod apache;
mod dice;
mod nginx;
mod tree;
mod values;

use dice::Dice;
use tree::Tree;

/// Requests for each configuration.
const REQUESTS: usize = 40;
/// Configurations in one trial.
const CHUNK: u64 = 25;
/// Servers started to shrink one disagreement.
const TRIES: usize = 80;

/// A directive, or a block with what it holds.
#[derive(Clone, Debug)]
pub struct Block {
    text: String,
    close: Option<String>,
    inside: Vec<Block>,
}

/// A simple directive.
fn line(text: &str) -> Block {
    Block { text: text.to_owned(), close: None, inside: Vec::new() }
}

impl Block {
    /// nginx: `text { … }`.
    fn new(text: &str, inside: impl IntoIterator<Item = Block>) -> Block {
        Block { text: format!("{text} {{"), close: Some("}".to_owned()), inside: inside.into_iter().collect() }
    }

    /// Apache: `<name argument> … </name>`.
    fn section(name: &str, argument: &str, inside: impl IntoIterator<Item = Block>) -> Block {
        let text = format!("<{name} {argument}>").replace(" >", ">");
        Block { text, close: Some(format!("</{name}>")), inside: inside.into_iter().collect() }
    }
}

fn render(blocks: &[Block], depth: usize, text: &mut String) {
    for block in blocks {
        let _ = writeln!(text, "{}{}", "    ".repeat(depth), block.text);
        render(&block.inside, depth + 1, text);
        if let Some(close) = &block.close {
            let _ = writeln!(text, "{}{close}", "    ".repeat(depth));
        }
    }
}

/// Everything but the file tree: configuration files with their blocks (the main one first), other files, and hosts.
#[derive(Clone)]
pub struct Configuration {
    configs: Vec<(String, Vec<Block>)>,
    files: Vec<(String, String)>,
}

/// A case by chance.
#[derive(Clone)]
struct Generated {
    server: &'static str,
    configuration: Configuration,
    tree: Tree,
    requests: Vec<Value>,
}

impl Generated {
    fn throw(grammar: &'static str, seed: u64) -> Generated {
        let mut dice = Dice::new(seed);
        if grammar == "values" {
            return Generated::values(&mut dice);
        }
        let server = grammar;
        let tree = Tree::grow(&mut dice);
        let (configuration, hosts) = match server {
            "nginx" => (nginx::config(&mut dice), nginx::HOSTS),
            _ => (apache::config(&mut dice, &tree), apache::HOSTS),
        };
        let request = |index: usize| {
            let mut request = tree::request(&mut dice, &hosts);
            request["id"] = json!(format!("r{}", index + 1));
            request
        };
        let requests = (0..REQUESTS).map(request).collect();
        Generated { server, configuration, tree, requests }
    }

    /// nginx again, with values that decide.
    fn values(dice: &mut Dice) -> Generated {
        let files = values::FILES.map(|path| (path.to_owned(), format!("{path}\n"))).to_vec();
        let configuration = values::config(dice);
        let request = |index: usize| {
            let mut request = values::request(dice);
            request["id"] = json!(format!("r{}", index + 1));
            request
        };
        let requests = (0..REQUESTS).map(request).collect();
        Generated { server: "nginx", configuration, tree: Tree { files, entries: Vec::new() }, requests }
    }

    /// The same with one of its requests.
    fn only(&self, index: usize) -> Generated {
        Generated { requests: vec![self.requests[index].clone()], ..self.clone() }
    }

    /// Writes it as a case folder.
    fn write(&self, folder: &Path) -> std::io::Result<()> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        let put = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, text)
        };
        for (path, blocks) in &self.configuration.configs {
            let mut text = String::new();
            render(blocks, 0, &mut text);
            put(&format!("root/{path}"), &text)?;
        }
        for (path, text) in self.tree.files.iter().chain(&self.configuration.files) {
            put(&format!("root/{path}"), text)?;
        }
        let recorded_with = if self.server == "nginx" { "nginx 1.22.1" } else { "Apache 2.4.71" };
        let about = json!({"server": self.server, "about": "generated", "recorded_with": recorded_with});
        put("case.json", &format!("{about:#}\n"))?;
        put("fs.json", &format!("{:#}\n", Value::Array(self.tree.entries.clone())))?;
        let lines: String = self.requests.iter().map(|request| format!("{request}\n")).collect();
        put("requests.jsonl", &lines)
    }
}

/// What both said to one request.
struct Both {
    real: Value,
    ours: Value,
}

/// How the two compare.
#[derive(Debug, PartialEq)]
enum Comparison {
    Same,
    Conditional,
    Unknown,
    Different(String),
}

impl Both {
    fn compare(&self) -> Comparison {
        let outcome = &self.ours["outcome"];
        let sort = match outcome["certainty"].as_str() {
            Some("certain") => Comparison::Same,
            Some("conditional") => Comparison::Conditional,
            Some("unknown") => return Comparison::Unknown,
            _ => return Comparison::Different(format!("no answer: {}", self.ours)),
        };
        // What a back end sends is cut into ranges by the server, and how long it is only the back end knows.
        let cut = self.real["status"] == 416;
        let said = |outcome: &Value| {
            outcome["kind"] == "upstream" && cut
                || outcome["kind"] == self.real["kind"]
                    && (outcome["kind"] != "response" || outcome["status"] == self.real["status"])
        };
        let alternatives = self.ours["alternatives"].as_array().into_iter().flatten();
        let among = sort == Comparison::Conditional && alternatives.clone().any(|it| said(&it["outcome"]));
        if said(outcome) || among {
            return self.compare_log().map_or(sort, Comparison::Different);
        }
        Comparison::Different(format!(
            "{} {} where the server says {} {} (log {}): {} {}",
            outcome["kind"],
            outcome["status"],
            self.real["kind"],
            self.real["status"],
            self.real["log"],
            self.ours["cause"]["code"],
            self.ours["cause"]["directive"]["text"]
        ))
    }
}

impl Both {
    /// For a certain 403: what is wrong with the log line that we name.
    fn compare_log(&self) -> Option<String> {
        if self.real["kind"] != "response"
            || self.real["status"] != 403
            || self.ours["outcome"]["certainty"] != "certain"
        {
            return None;
        }
        let logged: Vec<&str> = self.real["log"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let said = match self.ours["cause"]["log"].as_str() {
            // A fragment; what differs from request to request is cut out of it.
            Some(log) => logged.iter().any(|line| log.split('…').all(|part| line.contains(part))),
            // That this refusal is not logged says nothing about what an error page logs after it.
            None => true,
        };
        (!said).then(|| {
            format!(
                "log {} where the server logs {logged:?} ({})",
                self.ours["cause"]["log"], self.ours["cause"]["code"]
            )
        })
    }
}

/// A generated case after both were asked; the server still runs.
struct Asked {
    stage: Stage,
    _folder: tempfile::TempDir,
    case: Case,
    answers: Vec<Both>,
}

/// Asks both everything; an error says which of them took the configuration and which did not.
fn ask_both(generated: &Generated) -> Result<Asked, String> {
    let text = |error: std::io::Error| error.to_string();
    let folder = tempfile::tempdir().map_err(text)?;
    generated.write(folder.path()).map_err(text)?;
    let case = Case::read(folder.path(), "generated".to_owned())?;
    let mut stage = Stage::set(&case, servers::Real::of(&case))?;
    let refused = match stage.start() {
        Ok(()) => None,
        Err(NotStarted::Refused(message)) => Some(message),
        Err(NotStarted::Broken(message)) => return Err(message),
    };
    let mut program = Program::start(&case, &stage.root).map_err(|error| format!("{error:?}"))?;
    let mut answers = Vec::new();
    for question in &case.questions {
        let ours =
            program.ask(&question.ask(&case, &stage.root)).map_err(|error| format!("the program died: {error:?}"))?;
        let real = match &refused {
            None => stage.ask(&case, question)?,
            Some(message) => json!({"kind": "refused", "status": null, "log": [stage.unplaced(message)]}),
        };
        answers.push(Both { real, ours });
    }
    Ok(Asked { stage, _folder: folder, case, answers })
}

impl Asked {
    /// The first fix of a certain 403, on the server: whether there is one, or why it breaks its promise.
    fn prove_fix(&mut self, index: usize) -> Result<bool, String> {
        self.stage.reset(&self.case)?;
        let ours = &self.answers[index].ours;
        let proven = fixes::prove(&mut self.stage, &self.case, &self.case.questions[index], ours);
        proven.map(|answer| answer.is_some()).map_err(|why| format!("{}: fix {why}", ours["cause"]["code"]))
    }

    /// The certain 403s whose first fixes differ from each other.
    fn fixes(&self) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let certain = |both: &&(usize, &Both)| {
            both.1.real["kind"] == "response"
                && both.1.real["status"] == 403
                && both.1.ours["outcome"]["certainty"] == "certain"
        };
        let all = self.answers.iter().enumerate().collect::<Vec<_>>();
        let fresh = all.iter().filter(certain).filter(|(_, both)| {
            let fix = &both.ours["fixes"][0];
            seen.insert(format!("{}{}{}", both.ours["cause"]["code"], fix["edits"], fix["commands"]))
        });
        fresh.map(|(index, _)| *index).take(number("WHY403_FIXES", 2) as usize).collect()
    }
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Trials of `CHUNK` configurations each, for both servers, and for nginx in two grammars.
pub fn trials() -> Vec<Trial> {
    if !servers::wanted() {
        return Vec::new();
    }
    let number =
        |name: &str, default: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (first, count) = (number("WHY403_SEED", 1), number("WHY403_GENERATE", 200));
    let mut trials = Vec::new();
    for server in ["nginx", "values", "apache"] {
        for start in (first..first + count).step_by(CHUNK as usize) {
            let end = (start + CHUNK).min(first + count);
            trials
                .push(Trial::test(format!("generated::{server}/{start}-{}", end - 1), move || run(server, start..end)));
        }
    }
    trials
}

#[expect(clippy::print_stderr, reason = "the figures of a run are for whoever started it")]
fn run(server: &'static str, seeds: std::ops::Range<u64>) -> Result<(), Failed> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for seed in seeds.clone() {
        let generated = Generated::throw(server, seed);
        let mut asked = ask_both(&generated).map_err(|why| format!("seed {seed}: {why}"))?;
        let mut first = None;
        for (index, both) in asked.answers.iter().enumerate() {
            *counts.entry("answers").or_default() += 1;
            *counts.entry("403").or_default() += usize::from(both.real["status"] == 403);
            *counts.entry("refused").or_default() += usize::from(both.real["kind"] == "refused");
            let sort = match both.compare() {
                Comparison::Same => "certain",
                Comparison::Conditional => "conditional",
                Comparison::Unknown => "unknown",
                Comparison::Different(why) => {
                    first.get_or_insert((index, why));
                    "different"
                }
            };
            *counts.entry(sort).or_default() += 1;
            if index == 0 && both.real["kind"] == "refused" {
                let said =
                    both.real["log"][0].as_str().unwrap_or_default().lines().filter(|line| !line.trim().is_empty());
                *open.entry(format!("refused: {}", said.collect::<Vec<_>>().join(" "))).or_default() += 1;
            }
            if matches!(sort, "conditional" | "unknown") {
                let question = both.ours["assumptions"][0]["question"].as_str().unwrap_or("no question named");
                *open.entry(question.replace(|digit: char| digit.is_ascii_digit(), "N")).or_default() += 1;
            }
        }
        for index in asked.fixes() {
            *counts.entry("fixes tried").or_default() += 1;
            match asked.prove_fix(index) {
                Ok(true) => {}
                // A link that leads nowhere, or in circles, has no repair that anybody could guess.
                Ok(false) => {
                    *open.entry(format!("no fix: {}", asked.answers[index].ours["cause"]["code"])).or_default() += 1
                }
                Err(why) => {
                    *counts.entry("fixes broken").or_default() += 1;
                    first.get_or_insert((index, why));
                }
            }
        }
        if let Some((index, why)) = first {
            let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/generated"))
                .join(format!("{server}-{seed}"));
            let small = if wrong.len() < number("WHY403_SHRINK", 1) as usize {
                shrink(&generated, index)
            } else {
                generated.only(index)
            };
            keep(&small, &folder)?;
            wrong.push(format!("seed {seed} r{}: {why}\n    {}", index + 1, folder.display()));
        }
    }
    let mut open: Vec<(usize, String)> = open.into_iter().map(|(question, count)| (count, question)).collect();
    open.sort_unstable_by(|a, b| b.cmp(a));
    open.truncate(8);
    eprintln!("generated {server} {seeds:?}: {counts:?} open {open:?}");
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Leaves out whatever can be left out while the same request is still answered differently, in the same sense.
fn shrink(generated: &Generated, index: usize) -> Generated {
    let mut small = generated.only(index);
    let Some(outcome) = difference(&small) else { return small };
    let mut tries = 0;
    let mut shrunk = true;
    while shrunk && tries < TRIES {
        shrunk = false;
        let mut at = 0;
        while at < parts(&small) && tries < TRIES {
            tries += 1;
            let mut less = small.clone();
            remove(&mut less, at);
            if difference(&less).as_ref() == Some(&outcome) {
                small = less;
                shrunk = true;
            } else {
                at += 1;
            }
        }
    }
    small
}

/// In what sense the two differ: kind and status of each and the cause, or the fix that breaks its promise.
fn difference(generated: &Generated) -> Option<String> {
    let mut asked = ask_both(generated).ok()?;
    let both = asked.answers.first()?;
    let (outcome, code) = (&both.ours["outcome"], &both.ours["cause"]["code"]);
    let sides =
        format!("{} {} {} {} {code}", both.real["kind"], both.real["status"], outcome["kind"], outcome["status"]);
    match both.compare() {
        Comparison::Different(_) => Some(sides),
        Comparison::Same if both.real["status"] == 403 => asked.prove_fix(0).err().map(|_| format!("fix {sides}")),
        _ => None,
    }
}

/// How many things could be left out.
fn parts(generated: &Generated) -> usize {
    let configs: usize = generated.configuration.configs.iter().map(|(_, blocks)| parts_of(blocks)).sum();
    configs + generated.tree.entries.len() + generated.tree.files.len()
}

fn parts_of(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| 1 + parts_of(&block.inside)).sum()
}

/// Leaves out the `at`th part: blocks in order, each before what it holds, then links and modes, then files.
fn remove(generated: &mut Generated, mut at: usize) {
    fn from_blocks(blocks: &mut Vec<Block>, at: &mut usize) -> bool {
        for index in 0..blocks.len() {
            if *at == 0 {
                blocks.remove(index);
                return true;
            }
            *at -= 1;
            if from_blocks(&mut blocks[index].inside, at) {
                return true;
            }
        }
        false
    }
    for (_, blocks) in &mut generated.configuration.configs {
        if from_blocks(blocks, &mut at) {
            return;
        }
    }
    if at < generated.tree.entries.len() {
        generated.tree.entries.remove(at);
        return;
    }
    at -= generated.tree.entries.len();
    // An entry of a file that is gone would be an error.
    let (file, _) = generated.tree.files.remove(at);
    generated.tree.entries.retain(|entry| entry["path"] != file);
}

/// Writes a shrunk case with the real answer in it.
fn keep(generated: &Generated, folder: &Path) -> Result<(), Failed> {
    let mut kept = generated.clone();
    let asked = ask_both(generated)?;
    for (request, both) in kept.requests.iter_mut().zip(&asked.answers) {
        request["expect"] = both.real.clone();
        request["note"] = json!({"we": both.ours["outcome"], "cause": both.ours["cause"]["code"], "assumptions": both.ours["assumptions"]});
    }
    Ok(kept.write(folder)?)
}

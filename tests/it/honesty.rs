//! Facts of recorded cases are hidden at random: no answer may become certain and wrong, and the right one has to be the
//! answer, among its alternatives, or unknown.
//!
//! The configuration stays known; what the server meets while it serves is hidden by a seed and the path, so that a
//! failure can be repeated: entries, modes and owners, sizes and times, contents, directories, and the account files.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use why403::ask;
use why403::explain::{Bench, Fields};
use why403::fact::{Answers, Fact, Question, Subject};
use why403::fs::real::RealFs;
use why403::fs::{Errno, Filesystem, Identity, Stat};
use why403::identity::Accounts;
use why403::report::jsonl;
use why403::server::{Kind, LoadOptions, Server};
use why403::world::{NoResolver, World};

use crate::case::Case;
use crate::cases;

/// Seeds tried for each case, with how many of ten facts are hidden under each. The first hides nothing: an answer that is
/// wrong then is another trial's business.
const SEEDS: [(u64, u64); 3] = [(0, 0), (1, 2), (2, 6)];

/// Known to fail: where a variant's own existence is hidden, 300 and 406 are missing among the alternatives of
/// content negotiation; what is hidden may be a file, a directory or nothing, but no pipe. Nothing there is certain and
/// wrong but the answer of a pipe.
const OPEN: [&str; 2] = ["apache/a-pipe-is-never-answered", "apache/variants"];

pub fn trials() -> Result<Vec<Trial>, String> {
    let mut found = Case::all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")))?;
    if let Some(top) = std::env::var_os("WHY403_CASES") {
        found.extend(Case::all(&PathBuf::from(top))?);
    }
    found.retain(|case| !OPEN.contains(&case.name.as_str()));
    Ok(found.into_iter().map(|case| Trial::test(format!("honesty::{}", case.name), move || run(&case))).collect())
}

fn run(case: &Case) -> Result<(), Failed> {
    let top = tempfile::Builder::new().prefix("why403-honest-").tempdir()?;
    cases::open_to_all(top.path())?;
    case.lay_out(top.path())?;
    let version = cases::version(case);
    let options = LoadOptions {
        version: version.strip_prefix("nginx/").map(str::to_owned),
        prefix: Some(top.path().to_path_buf()),
        ..LoadOptions::new(&top.path().join(case.config()))
    };
    let kind = if case.about.server == "nginx" { Kind::Nginx } else { Kind::Apache };
    let server = Server::load(kind, &options, &RealFs);
    let mut wrong = Vec::new();
    let mut known = vec![true; case.questions.len()];
    for (seed, hidden) in SEEDS {
        let fs = HidingFs { seed, hidden };
        let worker = case.about.worker.as_deref().map(|name| worker(name, &fs));
        let answers = Answers::new();
        let world = World {
            fs: &fs,
            worker: worker.as_ref(),
            resolver: &NoResolver,
            now: None,
            answers: &answers,
            trace: false,
        };
        let bench = Bench { server: &server, options: &options, loading: &RealFs, world };
        for (question, known) in case.questions.iter().zip(&mut known).filter(|(_, known)| **known) {
            let expect = question.expect(&version);
            let line = question.ask(case, top.path()).to_string();
            let pem = |path: &str| std::fs::read(path).map_err(|error| error.to_string());
            let Ok(request) = ask::read(&line).and_then(|question| ask::request(&question, pem)) else { continue };
            let kept = cases::put_overlay(question, top.path())?;
            let fields = Fields { outcome: true, assumptions: true, alternatives: true, ..Fields::NONE };
            let answer = bench.explain(&request, fields);
            cases::take_overlay(kept)?;
            let shown = serde_json::to_value(jsonl::Answer::new("1", &server, &request, &answer, fields))?;
            if hidden == 0 {
                *known = cases::is_right(expect, &shown["outcome"]);
            } else if let Err(why) = honest(expect, &shown) {
                wrong.push(format!("seed {seed}, {}: {why}\n      {line}\n      {shown}", question.id()));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// Whether an answer says no more than it can know.
fn honest(expect: &Value, answer: &Value) -> Result<(), String> {
    let outcome = &answer["outcome"];
    let alternatives = answer["alternatives"].as_array().into_iter().flatten().map(|other| &other["outcome"]);
    let fits = |outcome: &Value| outcome["kind"] == "unknown" || cases::is_right(expect, outcome);
    match outcome["certainty"].as_str() {
        Some("certain") if !cases::is_right(expect, outcome) => Err(format!("certain, and the server said {expect}")),
        Some("conditional") if !fits(outcome) && !alternatives.into_iter().any(fits) => {
            Err(format!("the server said {expect}, which is not even among the alternatives"))
        }
        _ => Ok(()),
    }
}

fn worker(name: &str, fs: &HidingFs) -> Identity {
    match Accounts::read(&RealFs).worker(name) {
        Fact::Known(identity) if !fs.hides("account", Path::new(name)) => identity,
        _ => Identity::unknown(name),
    }
}

/// The host, some facts of which nobody knows.
struct HidingFs {
    seed: u64,
    /// How many of ten facts are hidden.
    hidden: u64,
}

impl HidingFs {
    fn hides(&self, what: &str, path: &Path) -> bool {
        let mut hasher = DefaultHasher::new();
        // The place of the temporary directory is not part of the seed.
        let path = path.strip_prefix(std::env::temp_dir()).map_or(path, |path| {
            let mut components = path.components();
            components.next();
            components.as_path()
        });
        (self.seed, what, path).hash(&mut hasher);
        hasher.finish() % 10 < self.hidden
    }
}

impl Filesystem for HidingFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        if self.hides("entry", path) {
            return Fact::Unknown(Question::new(Subject::Path(path.to_path_buf())));
        }
        RealFs.lstat(path).map(|found| {
            found.map(|mut stat| {
                if self.hides("mode", path) {
                    stat.mode = None;
                }
                if self.hides("owner", path) {
                    (stat.uid, stat.gid) = (None, None);
                }
                if self.hides("time", path) {
                    (stat.size, stat.mtime) = (None, None);
                }
                stat
            })
        })
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        if self.hides("link", path) {
            return Fact::Unknown(Question::new(Subject::Path(path.to_path_buf())));
        }
        RealFs.read_link(path)
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<why403::fs::Bytes, Errno>> {
        if self.hides("content", path) {
            return Fact::Unknown(Question::new(Subject::Content(path.to_path_buf())));
        }
        RealFs.read(path, limit)
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        if self.hides("entries", dir) {
            return Fact::Unknown(Question::new(Subject::Entries(dir.to_path_buf())));
        }
        RealFs.list(dir)
    }
}

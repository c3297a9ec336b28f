//! Facts of recorded cases are hidden at random: no answer may become certain and wrong, and the right one has to be the
//! answer, among its alternatives, or unknown.
//!
//! What the server meets while it serves is hidden by a seed and the path, so that a failure can be repeated: entries,
//! modes and owners, sizes and times, contents (password files and `.htaccess` among them), directories, and accounts. Of
//! the configuration the main file stays known; under some seeds included files, with the modules that they load and the
//! variables that they set, are hidden too.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use why403::explain::Fields;
use why403::fact::{Fact, Question, Subject};
use why403::fs::real::RealFs;
use why403::fs::{Errno, Filesystem, Identity, Stat};
use why403::report::jsonl;

use crate::case::Case;
use crate::cases;
use crate::library::{self, Loaded};

/// Seeds tried for each case, with how many of ten facts are hidden under each. The first hides nothing: an answer that is
/// wrong then is another trial's business.
const SEEDS: [(u64, u64); 4] = [(0, 0), (1, 2), (2, 6), (3, 3)];

pub fn trials() -> Result<Vec<Trial>, String> {
    Ok(cases::all()?
        .into_iter()
        .map(|case| Trial::test(format!("honesty::{}", case.name), move || run(&case)))
        .collect())
}

fn run(case: &Case) -> Result<(), Failed> {
    let top = tempfile::Builder::new().prefix("why403-honest-").tempdir()?;
    cases::open_to_all(top.path())?;
    case.lay_out(top.path())?;
    let version = cases::version(case);
    let main = top.path().join(case.config());
    let mut wrong = Vec::new();
    let mut known = vec![true; case.questions.len()];
    for (seed, hidden) in SEEDS {
        let fs = HidingFs { seed, hidden, known: None };
        let worker = library::worker(case)
            .map(|it| if fs.hides("account", Path::new(&it.name)) { Identity::unknown(&it.name) } else { it });
        // From seed 3 on, files that the configuration includes are hidden, too.
        let partly = HidingFs { seed, hidden, known: Some(main.clone()) };
        let loaded = Loaded::from(case, top.path(), if seed < 3 { &RealFs } else { &partly });
        for (question, known) in case.questions.iter().zip(&mut known).filter(|(_, known)| **known) {
            let expect = question.expect(&version);
            let line = question.ask(case, top.path());
            let Some(request) = library::request(&line) else { continue };
            let kept = cases::put_overlay(question, top.path())?;
            let fields = Fields { outcome: true, assumptions: true, alternatives: true, ..Fields::NONE };
            let answer = loaded.explain(&request, &fs, worker.as_ref(), fields);
            cases::take_overlay(kept)?;
            let shown = serde_json::to_value(jsonl::Answer::new("1", &loaded.server, &request, &answer, fields))?;
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
pub fn honest(expect: &Value, answer: &Value) -> Result<(), String> {
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

/// The host, some facts of which nobody knows.
struct HidingFs {
    seed: u64,
    /// How many of ten facts are hidden.
    hidden: u64,
    /// A file of which everything is known.
    known: Option<PathBuf>,
}

impl HidingFs {
    fn hides(&self, what: &str, path: &Path) -> bool {
        if self.known.as_ref().is_some_and(|known| known.starts_with(path)) {
            return false;
        }
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

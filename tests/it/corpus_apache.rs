//! Real configurations of `WHY403_CORPUS`: accepted or refused, and at which line, as `apache2 -t` said; for an
//! `.htaccess` what a request met. And every file comes back byte for byte from its tree.
//!
//! What the machine lacked (files, certificates, modules) was supplied there until only the text decided: the `settled`
//! verdict. Its `blank` shims are made in the text here too, the others are not needed by a check that does not look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;

use why403::apache::load::Override;
use why403::apache::{check, directives, parse};
use why403::fs::memory::MemoryFs;
use why403::problem::{Problem, ProblemKind, Severity};
use why403::server::LoadOptions;
use why403::source::SourceMap;
use why403::syntax::to_source;

/// A line of `verdicts.jsonl`.
#[derive(Debug, Deserialize)]
struct Verdict {
    file: String,
    server: String,
    mpm: Option<String>,
    wrap: Option<String>,
    verdict: String,
    file_in: Option<String>,
    line: Option<u32>,
    message: Option<String>,
    settled: Option<Settled>,
    unsettled: Option<serde_json::Value>,
}

/// What the server said once the surroundings were there.
#[derive(Debug, Deserialize)]
struct Settled {
    verdict: String,
    file: Option<String>,
    line: Option<u32>,
    message: Option<String>,
    shims: Vec<String>,
}

/// A line of `index.jsonl`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Entry {
    id: String,
    main: Option<String>,
}

impl Verdict {
    /// A missing file is no fault of the text. One kind was not recorded as such: the file of a map.
    fn lacks_a_file(&self) -> bool {
        let message = self.settled.as_ref().map_or(&self.message, |settled| &settled.message);
        message.as_ref().is_some_and(|message| message.starts_with("RewriteMap: file for map"))
    }
}

/// What a checker has to say: nothing, or a refusal at a place.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    refused: bool,
    file: Option<String>,
    line: Option<u32>,
}

/// One trial for each verdict on an Apache configuration.
pub fn trials() -> Vec<Trial> {
    found().unwrap_or_else(|why| vec![Trial::test("corpus::apache", move || Err(why.into()))])
}

fn found() -> Result<Vec<Trial>, String> {
    let Some(top) = std::env::var_os("WHY403_CORPUS").map(PathBuf::from) else {
        return Ok(vec![Trial::test("corpus::apache (WHY403_CORPUS is not set: not checked)", || Ok(()))]);
    };
    let mut trials = Vec::new();
    for top in [top.clone(), top.join("mutants")] {
        let entries: Vec<Entry> = lines(&top.join("index.jsonl"))?;
        let mains: BTreeMap<String, Option<String>> = entries.into_iter().map(|entry| (entry.id, entry.main)).collect();
        for verdict in lines::<Verdict>(&top.join("verdicts.jsonl"))? {
            if verdict.server != "apache" || verdict.unsettled.is_some() || verdict.lacks_a_file() {
                continue;
            }
            let main = mains.get(&verdict.file).cloned().flatten();
            let top = top.clone();
            trials.push(Trial::test(format!("corpus::{}", verdict.file), move || {
                compare(&top, &verdict, main.as_deref())
            }));
        }
    }
    Ok(trials)
}

fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display())))
        .collect()
}

fn compare(top: &Path, verdict: &Verdict, main: Option<&str>) -> Result<(), Failed> {
    let expected = expected(verdict);
    let shims = verdict.settled.as_ref().map_or(&[][..], |settled| &settled.shims);
    let files = read(&top.join(&verdict.file), main, shims)?;
    for (name, bytes) in &files {
        round_trip(name, bytes)?;
    }
    let found = match verdict.wrap.as_deref() {
        Some("htaccess") => htaccess(&files[0].1),
        Some(other) => return Err(format!("no wrap {other:?} for Apache").into()),
        None => whole(&files, verdict.mpm.as_deref()),
    };
    let said = said(found.as_ref().map(|(problem, file)| (problem, file.as_str())), expected.file.is_some());
    if said != expected {
        let server = verdict.settled.as_ref().map_or(verdict.message.as_ref(), |settled| settled.message.as_ref());
        return Err(format!(
            "the server: {expected:?} {server:?}\n      here: {said:?} {:?}",
            found.map(|(problem, _)| problem)
        )
        .into());
    }
    Ok(())
}

/// The recorded verdict. An `.htaccess` whose request met a rewrite loop has no fault in its text.
fn expected(verdict: &Verdict) -> Said {
    let (kind, file, line) = match &verdict.settled {
        Some(settled) => (&settled.verdict, &settled.file, settled.line),
        None => (&verdict.verdict, &verdict.file_in, verdict.line),
    };
    let refused = !matches!(kind.as_str(), "ok" | "runtime");
    let file = file.as_ref().filter(|_| refused && verdict.wrap.is_none());
    Said { refused, file: file.map(|name| base(name)), line: line.filter(|_| refused) }
}

fn base(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn said(found: Option<(&Problem, &str)>, with_file: bool) -> Said {
    let line = found.and_then(|(problem, _)| problem.reported).map(|(_, line)| line);
    let file = found.filter(|_| with_file).map(|(_, file)| base(file));
    Said { refused: found.is_some(), file, line }
}

/// The files of an entry, the main one first, with the lines that the shims blank taken out.
pub fn read(path: &Path, main: Option<&str>, shims: &[String]) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    let mut files = Vec::new();
    if path.is_dir() {
        let mut open = vec![path.to_path_buf()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(&directory)? {
                let entry = entry?.path();
                if entry.is_dir() {
                    open.push(entry);
                } else {
                    let name = entry.strip_prefix(path)?.to_string_lossy().into_owned();
                    files.push((name, std::fs::read(&entry)?));
                }
            }
        }
        files.sort_by_key(|(name, _)| (Some(name.as_str()) != main, name.clone()));
    } else {
        files.push((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), std::fs::read(path)?));
    }
    for shim in shims {
        if let Some(name) = shim.strip_prefix("file ") {
            files.push((name.to_owned(), Vec::new()));
        }
        // `blank FILE:LINE`, for an `.htaccess` `blank LINE`; words after it say what stood there.
        let Some(place) = shim.strip_prefix("blank ").and_then(|shim| shim.split(' ').next()) else { continue };
        let (file, number) = place.rsplit_once(':').map_or((None, place), |(file, number)| (Some(base(file)), number));
        let number: usize = number.parse()?;
        for (name, bytes) in files.iter_mut().filter(|(name, _)| file.as_ref().is_none_or(|file| base(name) == *file)) {
            let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            *lines.get_mut(number - 1).ok_or_else(|| format!("{name} has no line {number}"))? = b"";
            *bytes = lines.join(&b'\n');
        }
    }
    Ok(files)
}

fn round_trip(name: &str, bytes: &[u8]) -> Result<(), Failed> {
    let sources = SourceMap::default();
    let file = sources.add(Path::new(name), bytes);
    let (tree, _) = parse::parse(file, bytes);
    if to_source(&tree, file, &sources) == bytes {
        Ok(())
    } else {
        Err(format!("{name} does not come back from its tree").into())
    }
}

/// The first refusal of a main configuration, leaving out what is only missing on this machine.
fn whole(files: &[(String, Vec<u8>)], mpm: Option<&str>) -> Option<(Problem, String)> {
    let root = server_root(&files[0].1).unwrap_or_else(|| "/etc/apache2".into());
    let fs = files.iter().fold(MemoryFs::new(), |fs, (name, bytes)| fs.file(root.join(name), bytes));
    let mut options = LoadOptions::new(&root.join(&files[0].0));
    let others = directives::modules()
        .iter()
        .filter(|module| module.origin == directives::ModuleOrigin::Httpd && !module.id.starts_with("mpm_"));
    let loaded: Vec<String> =
        others.map(|module| module.id.to_owned()).chain([format!("mpm_{}_module", mpm.unwrap_or("event"))]).collect();
    options.modules = Some(loaded.join(","));
    let loaded = check::load(&options, &fs);
    let refused =
        |problem: &&Problem| problem.severity == Severity::Refused && problem.kind != ProblemKind::MissingFile;
    let problem = loaded.problems.iter().find(refused)?.clone();
    let file = problem
        .reported
        .map_or(String::new(), |(file, _)| loaded.sources.file(file).path.to_string_lossy().into_owned());
    Some((problem, file))
}

/// The directory that a configuration names as its ServerRoot, in plain text.
pub fn server_root(main: &[u8]) -> Option<PathBuf> {
    let text = String::from_utf8_lossy(main);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("ServerRoot "))?;
    let path = PathBuf::from(line.trim().trim_matches('"'));
    path.is_absolute().then_some(path)
}

/// The reason for which a request of a folder under `AllowOverride All` with this `.htaccess` is answered with 500.
fn htaccess(bytes: &[u8]) -> Option<(Problem, String)> {
    let mut options = LoadOptions::new(Path::new("/httpd.conf"));
    options.modules = Some("all".into());
    let known = check::load(&options, &MemoryFs::new().file("/httpd.conf", "")).known;
    let sources = SourceMap::default();
    let file = sources.add(Path::new("/srv/.htaccess"), bytes);
    let allowed = Override { mask: directives::OR_ALL, options: u32::MAX, list: None };
    let htaccess = check::htaccess(&known, &MemoryFs::new(), &sources, file, None, &allowed);
    htaccess
        .problems
        .into_iter()
        .find(|problem| problem.severity == Severity::Refused)
        .map(|problem| (problem, String::new()))
}

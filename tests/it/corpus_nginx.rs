//! Real configurations of `WHY403_CORPUS`: accepted or refused, and at which line, as `nginx -t` of both versions said
//! once the surroundings were supplied; and every file comes back from its tree byte for byte.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use why403::fs::memory::MemoryFs;
use why403::nginx::build::Build;
use why403::nginx::include::{self, Loaded};
use why403::nginx::{check, directives, parse};
use why403::problem::{Problem, ProblemKind, Severity};
use why403::server::LoadOptions;
use why403::source::SourceMap;
use why403::syntax::to_source;

/// Where the entries were laid.
const HOME: &str = "/etc/nginx";

/// A line of index.jsonl.
#[derive(Deserialize)]
struct Entry {
    id: String,
    main: Option<String>,
}

/// A line of verdicts.jsonl.
#[derive(Deserialize)]
struct Verdict {
    file: String,
    server: String,
    server_version: Option<String>,
    wrap: Option<String>,
    #[serde(flatten)]
    said: Said,
    settled: Option<Settled>,
    unsettled: Option<serde_json::Value>,
}

/// What the server said.
#[derive(Deserialize)]
struct Said {
    verdict: String,
    line: Option<u32>,
    message: Option<String>,
}

/// The same once the surroundings were there, and what was supplied.
#[derive(Deserialize)]
struct Settled {
    #[serde(flatten)]
    said: Said,
    shims: Vec<String>,
}

/// One trial for each verdict on an nginx configuration.
pub fn trials() -> Vec<Trial> {
    found().unwrap_or_else(|why| vec![Trial::test("corpus::nginx", move || Err(why.into()))])
}

fn found() -> Result<Vec<Trial>, String> {
    let Some(top) = std::env::var_os("WHY403_CORPUS").map(PathBuf::from) else {
        return Ok(vec![Trial::test("corpus::nginx (WHY403_CORPUS is not set: not checked)", || Ok(()))]);
    };
    let mut trials = Vec::new();
    for top in [top.clone(), top.join("mutants")] {
        let entries: Vec<Entry> = lines(&top.join("index.jsonl"))?;
        let mains: HashMap<String, Option<String>> = entries.into_iter().map(|entry| (entry.id, entry.main)).collect();
        let verdicts: Vec<Verdict> = lines(&top.join("verdicts.jsonl"))?;
        for verdict in verdicts.into_iter().filter(|verdict| verdict.server == "nginx" && verdict.unsettled.is_none()) {
            let main = mains.get(&verdict.file).cloned().flatten();
            let top = top.clone();
            let version = verdict.server_version.as_deref().unwrap_or("?");
            let name = format!("corpus::{} on {version}", verdict.file);
            trials.push(Trial::test(name, move || compare(&top, &verdict, main.as_deref())));
        }
    }
    Ok(trials)
}

fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parse = |line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", path.display()));
    text.lines().map(parse).collect()
}

fn compare(top: &Path, verdict: &Verdict, main: Option<&str>) -> Result<(), Failed> {
    let (said, shims) = match &verdict.settled {
        Some(settled) => (&settled.said, settled.shims.as_slice()),
        None => (&verdict.said, &[][..]),
    };
    let (loaded, problems) = check_entry(top, verdict, main)?;
    let refusal = problems.iter().find(|problem| counts(problem, &loaded, shims));
    // A file that was not there is no fact of the text.
    let refused = !said.verdict.starts_with("missing") && said.verdict != "ok"
        || said.verdict == "missing module" && said.message.as_deref().is_some_and(|text| text.contains(" in "));
    let same = match refusal {
        Some(problem) => refused && problem.reported.map(|(_, line)| line) == said.line,
        None => !refused,
    };
    if same {
        return Ok(());
    }
    let here = refusal.map(|problem| (problem.reported.map(|(_, line)| line), &problem.message));
    Err(format!("the server: {} at {:?}, {:?}\n      here: {here:?}", said.verdict, said.line, said.message).into())
}

/// Loads the entry as it was laid, wrapped if it is a fragment, and checks it.
fn check_entry(top: &Path, verdict: &Verdict, main: Option<&str>) -> Result<(Loaded, Vec<Problem>), Failed> {
    let path = top.join(&verdict.file);
    let mut fs = MemoryFs::new();
    let main = match main {
        Some(main) => main.to_owned(),
        None => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
    };
    for (name, bytes) in files(&path)? {
        round_trip(&name, &bytes)?;
        fs = fs.file(Path::new(HOME).join(name), bytes);
    }
    let config = match verdict.wrap.as_deref() {
        None => Path::new(HOME).join(main),
        Some(wrap) => {
            let text = match wrap {
                "http" => format!("events{{}} http{{ include {main}; }}"),
                "server" => format!("events{{}} http{{ server{{ include {main}; }} }}"),
                other => return Err(format!("no wrap {other:?} for nginx").into()),
            };
            let config = Path::new(HOME).join("why403-wrap.conf");
            fs = fs.file(&config, text);
            config
        }
    };
    let mut options = LoadOptions::new(&config);
    options.version = verdict.server_version.clone();
    let recorded =
        directives::profiles().iter().find(|profile| Some(profile.version) == verdict.server_version.as_deref());
    options.modules = recorded.map(|profile| profile.name.to_owned());
    let (build, _) = Build::resolve(&options);
    let loaded = include::load(&config, &fs);
    let problems = check::check(&loaded, &build);
    Ok((loaded, problems))
}

/// The files of an entry, by their path below its folder.
fn files(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failed> {
    if !path.is_dir() {
        return Ok(vec![(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), std::fs::read(path)?)]);
    }
    let mut files = Vec::new();
    let mut open = vec![path.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?.path();
            if entry.is_dir() {
                open.push(entry);
            } else {
                files.push((entry.strip_prefix(path)?.to_string_lossy().into_owned(), std::fs::read(&entry)?));
            }
        }
    }
    Ok(files)
}

fn round_trip(name: &str, bytes: &[u8]) -> Result<(), Failed> {
    let sources = SourceMap::default();
    let file = sources.add(Path::new(name), bytes);
    let parsed = parse::parse(file, bytes);
    match to_source(&parsed.tree, file, &sources) == bytes {
        true => Ok(()),
        false => Err(format!("{name} does not come back from its tree").into()),
    }
}

/// Whether a problem is a refusal that the recorded surroundings did not take away.
fn counts(problem: &Problem, loaded: &Loaded, shims: &[String]) -> bool {
    if problem.severity != Severity::Refused || problem.kind == ProblemKind::MissingFile {
        return false;
    }
    !shims.iter().any(|shim| match shim.split_once(' ') {
        Some(("blank", place)) => blanks(place, problem, loaded),
        Some(("define", what)) => {
            let name = what.split(' ').nth(1).unwrap_or_default();
            problem.kind == ProblemKind::Reference && problem.message.contains(&format!("\"{name}\""))
        }
        _ => shim == "add events block" && problem.message.contains("\"events\""),
    })
}

/// `FILE:LINE NAME`: a directive of a module that the build lacks was taken out there.
fn blanks(place: &str, problem: &Problem, loaded: &Loaded) -> bool {
    let place = place.split(' ').next().unwrap_or_default();
    let (Some((file, line)), Some(origin), Some((_, last))) =
        (place.rsplit_once(':'), problem.origin, problem.reported)
    else {
        return false;
    };
    let first = loaded.sources.start(origin.span).line;
    let here = &loaded.sources.file(origin.span.file).path;
    here.ends_with(file) && line.parse().is_ok_and(|line: u32| (first..=last).contains(&line))
}

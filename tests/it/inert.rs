//! The audit of the rows that are marked inert: each such directive is switched on, or given another value, in a
//! configuration of the real server, and no status of a set of requests may change.
//!
//! Many directives are tried at one start of the server, a group of them in each of its (virtual) servers; where a group
//! changes an answer, each of its directives is tried alone. Runs where `WHY403_SERVERS` is set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use libtest_mimic::{Failed, Trial};
use serde_json::json;

use crate::servers::session::{NotStarted, Session};
use crate::servers::{self, Real};

mod apache;
mod nginx;

/// Directives in one group.
const GROUP: usize = 30;
/// Groups in one configuration.
const SERVERS: usize = 100;
/// How many changed answers are shown for a directive.
const SHOWN: usize = 8;
/// When the files of the tree were changed last: 2024-01-02 03:04:05 UTC, and as a header says it.
const CHANGED: (u64, &str) = (1_704_164_645, "Tue, 02 Jan 2024 03:04:05 GMT");
/// Bytes of each file: enough for every filter that leaves short answers alone.
const SIZE: usize = 3000;

pub fn trials() -> Vec<Trial> {
    if !servers::wanted() {
        return vec![Trial::test("inert (WHY403_SERVERS is not set: not checked)", || Ok(()))];
    }
    vec![
        Trial::test("inert::nginx_1_22", || audit(&nginx::Nginx(Real::Nginx122))),
        Trial::test("inert::apache", || audit(&apache::Apache)),
        Trial::test("inert::nginx_1_31", || audit(&nginx::Nginx(Real::Nginx131))),
    ]
}

/// A directive with one of the values it is tried with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Variant {
    /// The name of the row.
    name: String,
    /// One line of configuration.
    line: String,
    /// Where it goes; the servers number their places themselves.
    place: usize,
}

/// What the two servers do differently.
trait Audited {
    fn real(&self) -> Real;
    /// The variants of every inert row that this build has.
    fn variants(&self) -> Vec<Variant>;
    /// Rows that cannot be tried, with the reason.
    fn untried(&self) -> &'static [(&'static str, &'static str)];
    /// A variant that stands outside of the servers is in force for all of them, so it gets a start of its own.
    fn shared(&self, variant: &Variant) -> bool;
    /// The configuration with one server for each group.
    fn config(&self, root: &Path, groups: &[Vec<Variant>]) -> String;
    /// Files beside it, with their places below the root.
    fn files(&self, _root: &Path, _groups: &[Vec<Variant>]) -> Vec<(String, String)> {
        Vec::new()
    }
    /// The URL of a path on one of the servers.
    fn url(&self, server: usize, path: &str) -> String;
    /// What the configuration needs besides the files that are asked for.
    fn furnish(&self, root: &Path) -> std::io::Result<()>;
    /// Every request, `url` being a path that [`url`](Self::url) completes.
    fn requests(&self) -> Vec<Ask>;
}

/// A request that every server is asked.
#[derive(Clone, Debug)]
struct Ask {
    method: &'static str,
    path: String,
    version: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Ask {
    fn get(path: &str) -> Ask {
        Ask { method: "GET", path: path.to_owned(), version: "1.1", headers: Vec::new() }
    }

    fn method(self, method: &'static str) -> Ask {
        Ask { method, ..self }
    }

    fn header(mut self, name: &'static str, value: &str) -> Ask {
        self.headers.push((name, value.to_owned()));
        self
    }
}

struct Bench<'a> {
    audited: &'a dyn Audited,
    session: Session,
    root: PathBuf,
    // Dropped last: the server's files go after the server.
    _top: tempfile::TempDir,
}

impl Bench<'_> {
    fn set(audited: &dyn Audited) -> Result<Bench<'_>, Failed> {
        let top = tempfile::Builder::new().prefix("why403-inert-").tempdir()?;
        let root = top.path().join("root");
        for directory in ["", "conf", "www", "logs", "tmp"] {
            fs::create_dir_all(root.join(directory))?;
        }
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755))?;
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o777))?;
        audited.furnish(&root)?;
        Ok(Bench { audited, session: Session::open()?, root, _top: top })
    }

    fn start(&mut self, groups: &[Vec<Variant>]) -> Result<(), NotStarted> {
        let broken = |error: std::io::Error| NotStarted::Broken(error.to_string());
        let config = ("conf/server.conf".to_owned(), self.audited.config(&self.root, groups));
        for (place, text) in self.audited.files(&self.root, groups).into_iter().chain([config]) {
            fs::write(self.root.join(place), text).map_err(broken)?;
        }
        let real = self.audited.real();
        let binary = real.binary().map_err(NotStarted::Broken)?;
        self.session.start(real.kind(), &binary, &self.root, "conf/server.conf")
    }

    /// Starts the server, leaving out what it refuses; that is put into `refused` with the server's words.
    fn start_without_refused(
        &mut self,
        groups: &mut [Vec<Variant>],
        refused: &mut Vec<(Variant, String)>,
    ) -> Result<(), Failed> {
        loop {
            let message = match self.start(groups) {
                Ok(()) => return Ok(()),
                Err(NotStarted::Refused(message)) => fatal_part(&message),
                Err(other) => return Err(other.to_string().into()),
            };
            let text = self.audited.config(&self.root, groups);
            let blamed = line_of(&message).and_then(|number| text.lines().nth(number - 1)).unwrap_or_default();
            let is_blamed = |variant: &Variant| {
                let placed = variant.line.replace("@ROOT@", &self.root.to_string_lossy());
                placed.lines().any(|line| line == blamed)
            };
            let find = |fits: &dyn Fn(&Variant) -> bool| {
                groups.iter().enumerate().find_map(|(group, variants)| Some((group, variants.iter().position(fits)?)))
            };
            // By line; else the message, which may be about the configuration as a whole, quotes the name.
            let found = find(&is_blamed)
                .or_else(|| find(&|variant| message.contains(&format!("\"{}\"", variant.name))))
                .or_else(|| find(&|variant| message.contains(&variant.name)));
            let Some((group, index)) = found else { return Err(format!("not by any variant: {message}").into()) };
            refused.push((groups[group].remove(index), message));
        }
    }

    /// Asks one of the servers everything.
    fn ask(&mut self, server: usize) -> Result<Vec<String>, Failed> {
        self.audited.requests().iter().map(|ask| self.ask_one(server, ask)).collect()
    }

    /// The requests, by their numbers, whose answers are not those of the base, with what the answers are now.
    fn differences(&mut self, server: usize, base: &[String], asked: &[usize]) -> Result<Vec<(usize, String)>, Failed> {
        let requests = self.audited.requests();
        let mut found = Vec::new();
        for &number in asked {
            let is = self.ask_one(server, &requests[number])?;
            if is != base[number] {
                found.push((number, is));
            }
        }
        Ok(found)
    }

    /// The kind or the status of an answer.
    fn ask_one(&mut self, server: usize, ask: &Ask) -> Result<String, Failed> {
        let Ask { method, path, version, headers } = ask;
        let url = self.audited.url(server, path);
        let line = json!({"url": url, "method": method, "version": version, "headers": headers});
        let answer = self.session.ask(&line).unwrap_or_else(|why| json!({"kind": why}));
        // What a hand-over ends in is the other server's business.
        let kind = answer["kind"].as_str().unwrap_or_default();
        Ok(match answer["status"].as_u64() {
            _ if kind == "upstream" => "upstream".to_owned(),
            Some(502 | 504) => "upstream".to_owned(),
            Some(status) => status.to_string(),
            None => kind.to_owned(),
        })
    }
}

/// Whether a refusal may be about the neighbours of a directive.
fn is_about_several(message: &str) -> bool {
    ["duplicate", "must be", "no \"", "already"].iter().any(|part| message.contains(part))
}

/// The message without the warnings before it.
fn fatal_part(message: &str) -> String {
    let fatal: Vec<&str> = message.lines().filter(|line| line.contains("[emerg]")).collect();
    if fatal.is_empty() { message.to_owned() } else { fatal.join("\n") }
}

/// The number after the file's name, or after `line `, in the message that ended the start.
fn line_of(message: &str) -> Option<usize> {
    let number = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|number| *number > 0)
    };
    let nginx = message.split("server.conf:").nth(1).and_then(number);
    nginx.or_else(|| message.split("line ").nth(1).and_then(number))
}

fn audit(audited: &dyn Audited) -> Result<(), Failed> {
    let mut bench = Bench::set(audited)?;
    bench.start(&[Vec::new()]).map_err(|why| why.to_string())?;
    let base = bench.ask(0)?;

    let variants = audited.variants();
    let all: BTreeSet<String> = variants.iter().map(|variant| variant.name.clone()).collect();
    let requests = audited.requests();
    let everything: Vec<usize> = (0..requests.len()).collect();
    let mut refused = Vec::new();
    // Each with the requests whose answers its group has changed.
    let mut suspects: Vec<(Variant, Vec<usize>)> = Vec::new();
    let mut accepted = BTreeSet::new();
    for mut groups in rounds(audited, variants) {
        bench.start_without_refused(&mut groups, &mut refused)?;
        for (server, group) in groups.into_iter().enumerate() {
            let found = bench.differences(server, &base, &everything)?;
            if found.is_empty() {
                accepted.extend(group.into_iter().map(|variant| variant.name));
            } else {
                let asked: Vec<usize> = found.into_iter().map(|(number, _)| number).collect();
                suspects.extend(group.into_iter().map(|variant| (variant, asked.clone())));
            }
        }
    }
    // Each alone: those of a group that changed an answer, and those that may not have agreed with their neighbours.
    let (retried, finally): (Vec<_>, Vec<_>) = refused.into_iter().partition(|(_, why)| is_about_several(why));
    suspects.extend(retried.into_iter().map(|(variant, _)| (variant, everything.clone())));
    let mut refused = finally;
    let asked: BTreeMap<Variant, Vec<usize>> = suspects.iter().cloned().collect();
    let (shared, own): (Vec<_>, Vec<_>) = suspects.into_iter().partition(|(it, _)| audited.shared(it));
    let mut alone: Vec<Vec<Vec<Variant>>> = shared.into_iter().map(|(variant, _)| vec![vec![variant]]).collect();
    alone.extend(own.chunks(SERVERS).map(|chunk| chunk.iter().map(|(variant, _)| vec![variant.clone()]).collect()));
    let mut changed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut groups in alone {
        bench.start_without_refused(&mut groups, &mut refused)?;
        for (server, group) in groups.iter().enumerate() {
            let Some(variant) = group.first() else { continue };
            accepted.insert(variant.name.clone());
            let found = bench.differences(server, &base, &asked[variant])?;
            let shown = |(number, is): (usize, String)| format!("{:?}: {}, now {is}", requests[number], base[number]);
            let found: Vec<String> = found.into_iter().take(SHOWN).map(shown).collect();
            if !found.is_empty() {
                changed.entry(variant.line.clone()).or_default().extend(found);
            }
        }
    }
    report(audited, &all, &accepted, &refused, &changed)
}

/// Groups of different directives, a start of the server's worth of them at a time.
fn rounds(audited: &dyn Audited, variants: Vec<Variant>) -> Vec<Vec<Vec<Variant>>> {
    let (shared, own): (Vec<Variant>, Vec<Variant>) = variants.into_iter().partition(|it| audited.shared(it));
    let mut rounds: Vec<Vec<Vec<Variant>>> = spread(shared).into_iter().map(|group| vec![group]).collect();
    let groups: Vec<Vec<Variant>> = spread(own)
        .into_iter()
        .flat_map(|level| level.chunks(GROUP).map(<[Variant]>::to_vec).collect::<Vec<_>>())
        .collect();
    rounds.extend(groups.chunks(SERVERS).map(<[Vec<Variant>]>::to_vec));
    rounds
}

/// The first values of all directives, then the second ones, and so on.
fn spread(variants: Vec<Variant>) -> Vec<Vec<Variant>> {
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let mut levels: Vec<Vec<Variant>> = Vec::new();
    for variant in variants {
        let level = met.entry(variant.name.clone()).or_default();
        if levels.len() == *level {
            levels.push(Vec::new());
        }
        levels[*level].push(variant);
        *level += 1;
    }
    levels
}

#[expect(clippy::print_stderr, reason = "a test says what it has counted")]
fn report(
    audited: &dyn Audited,
    all: &BTreeSet<String>,
    accepted: &BTreeSet<String>,
    refused: &[(Variant, String)],
    changed: &BTreeMap<String, Vec<String>>,
) -> Result<(), Failed> {
    let untried: BTreeMap<&str, &str> = audited.untried().iter().copied().collect();
    let mut wrong = Vec::new();
    for (line, answers) in changed {
        wrong.push(format!("`{line}` is no inert directive:\n    {}", answers.join("\n    ")));
    }
    for name in all.iter().filter(|name| !accepted.contains(*name) && !untried.contains_key(name.as_str())) {
        let said = refused.iter().filter(|(variant, _)| variant.name == *name);
        let said: Vec<String> = said.map(|(variant, why)| format!("`{}`: {}", variant.line, why.trim())).collect();
        wrong.push(format!("{name} was not tried: no value of it was accepted\n    {}", said.join("\n    ")));
    }
    if wrong.is_empty() {
        eprintln!("{} inert rows of {:?} tried, {} not", accepted.len(), audited.real(), untried.len());
        return Ok(());
    }
    Err(format!("{} of {} rows\n{}", wrong.len(), all.len(), wrong.join("\n")).into())
}

/// A file of the tree, with the time that the requests know.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, text)?;
    fs::File::options().write(true).open(path)?.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(CHANGED.0))
}

/// Conditional and range requests for one path; `etag` is the strong one that the server gives the file.
fn conditions(path: &str, etag: &str) -> Vec<Ask> {
    const BEFORE: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
    let ask = |name, value: &str| Ask::get(path).header(name, value);
    let range = |value: &str| ask("Range", value);
    vec![
        Ask::get(path),
        ask("If-Modified-Since", CHANGED.1),
        ask("If-Modified-Since", BEFORE),
        ask("If-None-Match", etag),
        ask("If-None-Match", &format!("W/{etag}")),
        ask("If-Unmodified-Since", BEFORE),
        ask("If-Match", etag),
        ask("If-Match", "\"other\""),
        range("bytes=0-1"),
        range("bytes=9000-"),
        range("bytes=0-1,5-6,-4"),
        range("bytes=0-1").header("If-Range", CHANGED.1),
        range("bytes=0-1").header("If-Range", etag),
        ask("If-Match", etag).header("Accept-Encoding", "gzip, br"),
        ask("If-None-Match", etag).header("Accept-Encoding", "gzip, br"),
    ]
}

/// Those of them that tell most.
fn some_conditions(path: &str, etag: &str) -> Vec<Ask> {
    let all = conditions(path, etag);
    [0, 1, 3, 5, 6, 9, 11, 12].into_iter().map(|index| all[index].clone()).collect()
}

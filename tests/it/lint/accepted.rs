//! A repair never makes the real server refuse what it accepted: shown with the servers' own `-t` on the corpus, on the
//! corpus with the rules' own bad examples planted in it, and on the recorded cases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Failed;
use serde_json::Value;
use why403::fact::Answers;
use why403::fs::real::RealFs;
use why403::lint::settings::Loaded;
use why403::lint::targets::{Target, Wanted};
use why403::lint::{Choice, fixing};
use why403::recognise::Context;
use why403::server::Kind;
use why403::world::{NoResolver, World};

use super::{expect, lint};
use crate::case::Case;
use crate::servers::room::Room;
use crate::servers::{Real, Stage, session};
use crate::{corpus_apache, rules};

/// How many bad examples are planted into one configuration; `WHY403_LONG` plants every one.
const PLANTED: usize = 4;

/// An accepted configuration of the corpus, laid where the verdict was made.
struct Entry {
    id: String,
    kind: Kind,
    context: Context,
    main: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
    shims: Vec<String>,
}

/// `Ok`: accepted. `Err`: refused, in the server's words.
type Verdict = Result<(), String>;

#[expect(clippy::print_stdout, reason = "a trial says how much it has judged")]
pub fn corpus(kind: Kind) -> Result<(), Failed> {
    let Some(top) = std::env::var_os("WHY403_CORPUS").map(PathBuf::from) else { return Ok(()) };
    let certificate = certificate()?;
    let (mut repaired, mut judged, mut wrong) = (0, 0, Vec::new());
    for (index, entry) in entries(&top, kind)?.into_iter().enumerate() {
        for text in std::iter::once(None).chain(planted(&entry, index)?.into_iter().map(Some)) {
            let (rule, main) = match &text {
                Some((rule, text)) => (*rule, text.clone()),
                None => ("", entry.main_text().to_vec()),
            };
            let before = entry.with(&main);
            let changes = repairs(&entry, &before)?;
            if changes.is_empty() {
                continue;
            }
            repaired += 1;
            let room = Room::new()?;
            entry.furnish(&room, &before, &certificate)?;
            // What could not be set up here, or is refused with the example in it, says nothing.
            if entry.judge(&room)?.is_err() {
                continue;
            }
            judged += 1;
            for (path, bytes) in &changes {
                room.put(path, bytes)?;
            }
            if let Err(why) = entry.judge(&room)? {
                wrong.push(format!("{} {rule}: {why}", entry.id));
            }
        }
    }
    println!("{}: {repaired} repaired configurations, {judged} of them accepted before", kind.name());
    expect(wrong.is_empty(), wrong.join("\n"))?;
    expect(judged > 20, format!("only {judged} repaired configurations were accepted before the repair"))
}

/// What `--fix --unsafe-fixes` writes.
fn repairs(entry: &Entry, files: &[(PathBuf, Vec<u8>)]) -> Result<fixing::Changes, Failed> {
    let main = files.iter().find(|(path, _)| *path == entry.main).ok_or("no main file")?;
    let wanted = Wanted {
        kind: Some(entry.kind),
        context: Some(entry.context),
        modules: (entry.kind == Kind::Apache).then(|| "all".to_owned()),
        ..Wanted::default()
    };
    let mut target = Target::of(&entry.main, &main.1, &wanted, true)?;
    target.given.extend(files.iter().cloned());
    let answers = Answers::default();
    let world = World { fs: &RealFs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
    Ok(fixing::fixed(&target, &RealFs, &world, &Loaded::default(), &Choice::default(), true).0)
}

fn entries(top: &Path, kind: Kind) -> Result<Vec<Entry>, Failed> {
    let lines = |name: &str| -> Result<Vec<Value>, Failed> {
        let text = std::fs::read_to_string(top.join(name))?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let index = lines("index.jsonl")?;
    let mut found = Vec::new();
    for verdict in lines("verdicts.jsonl")? {
        let settled = verdict.get("settled");
        let said = settled.map_or(&verdict["verdict"], |settled| &settled["verdict"]);
        if said != "ok" || verdict["server"] != kind.name() || verdict["server_version"] == "1.31.3" {
            continue;
        }
        let id = verdict["file"].as_str().ok_or("a verdict without a file")?;
        let main = index.iter().find(|entry| entry["id"] == id).and_then(|entry| entry["main"].as_str());
        let context = match verdict["wrap"].as_str() {
            Some("http") => Context::Http,
            Some("server") => Context::Server,
            Some("htaccess") => Context::Htaccess,
            _ => Context::Main,
        };
        let shims: Vec<String> =
            settled.and_then(|settled| serde_json::from_value(settled["shims"].clone()).ok()).unwrap_or_default();
        let files = corpus_apache::read(&top.join(id), main, &shims)?;
        let home = match (kind, context) {
            (Kind::Nginx, _) => PathBuf::from("/etc/nginx"),
            (Kind::Apache, Context::Htaccess) => PathBuf::from("/srv/folder"),
            (Kind::Apache, _) => corpus_apache::server_root(&files[0].1).unwrap_or_else(|| "/etc/apache2".into()),
        };
        let main = match context {
            Context::Htaccess => home.join(".htaccess"),
            _ => home.join(&files[0].0),
        };
        let mut files: Vec<(PathBuf, Vec<u8>)> =
            files.into_iter().map(|(name, bytes)| (home.join(name), bytes)).collect();
        files[0].0 = main.clone();
        if shims.iter().any(|shim| shim == "add events block") {
            files[0].1.splice(0..0, b"events { }\n".iter().copied());
        }
        found.push(Entry { id: id.to_owned(), kind, context, main, files, shims });
    }
    Ok(found)
}

/// The main text with a bad example of a rule in it, a few different ones for each entry.
fn planted(entry: &Entry, index: usize) -> Result<Vec<(&'static str, Vec<u8>)>, Failed> {
    let text = String::from_utf8_lossy(entry.main_text()).into_owned();
    let mut found = Vec::new();
    for rule in why403::rules::ALL {
        for example in rules::examples(rule)? {
            if !example.flagged || example.refused || example.kind != entry.kind {
                continue;
            }
            let at = |line: &str, word: &str| line.trim().strip_prefix(word).is_some_and(|rest| rest.trim() == "{");
            let line_of = |word: &str| text.lines().position(|line| at(line, word));
            let (line, inserted) = match (example.context, entry.context) {
                (Context::Http, Context::Main) => (line_of("http").map(|line| line + 1), example.text.clone()),
                (Context::Http, Context::Http) => (Some(0), example.text.clone()),
                (Context::Server, Context::Main | Context::Http) => {
                    (line_of("server").map(|line| line + 1), example.text.clone())
                }
                (Context::Server, Context::Server) => (Some(0), example.text.clone()),
                (Context::Location, Context::Main | Context::Http) => {
                    (line_of("server").map(|line| line + 1), format!("location /why403/ {{\n{}}}\n", example.text))
                }
                (Context::ServerConfig, Context::Main) => (Some(text.lines().count()), example.text.clone()),
                (Context::Directory, Context::Main) => {
                    (Some(text.lines().count()), format!("<Directory \"/srv/www\">\n{}</Directory>\n", example.text))
                }
                (Context::Directory | Context::Htaccess, Context::Htaccess) => {
                    (Some(text.lines().count()), example.text.clone())
                }
                _ => (None, String::new()),
            };
            let Some(line) = line else { continue };
            let mut lines: Vec<&str> = text.lines().collect();
            lines.splice(line..line, inserted.lines());
            found.push((rule.id, format!("{}\n", lines.join("\n")).into_bytes()));
        }
    }
    if std::env::var_os("WHY403_LONG").is_none() && !found.is_empty() {
        let start = index * PLANTED % found.len();
        found.rotate_left(start);
        found.truncate(PLANTED);
    }
    Ok(found)
}

impl Entry {
    fn main_text(&self) -> &[u8] {
        self.files.iter().find(|(path, _)| *path == self.main).map(|(_, bytes)| bytes.as_slice()).unwrap_or_default()
    }

    /// The files with another main text.
    fn with(&self, main: &[u8]) -> Vec<(PathBuf, Vec<u8>)> {
        let text = |path: &PathBuf, bytes: &Vec<u8>| if *path == self.main { main.to_vec() } else { bytes.clone() };
        self.files.iter().map(|(path, bytes)| (path.clone(), text(path, bytes))).collect()
    }

    /// Lays the files and what the machine lacked when the verdict was made.
    fn furnish(&self, room: &Room, files: &[(PathBuf, Vec<u8>)], certificate: &[u8]) -> Result<(), Failed> {
        let home = self.main.parent().unwrap_or(Path::new("/"));
        for (path, bytes) in files {
            room.put(path, bytes)?;
        }
        for shim in &self.shims {
            let (what, name) = shim.split_once(' ').unwrap_or((shim, ""));
            let place = home.join(name);
            let there = files.iter().any(|(path, _)| *path == place) || place.exists();
            match what {
                "open" | "file" if !there => room.put(&place, b"")?,
                "cert" => room.put(&place, certificate)?,
                "mkdir" => room.make_dir(&place)?,
                "host" => room.append(Path::new("/etc/hosts"), &format!("127.0.0.1 {name}\n"))?,
                "user" | "pw" => {
                    room.append(Path::new("/etc/passwd"), &format!("{name}:x:990:990::/:/bin/false\n"))?;
                    room.append(Path::new("/etc/group"), &format!("{name}:x:990:\n"))?;
                }
                "gr" => room.append(Path::new("/etc/group"), &format!("{name}:x:991:\n"))?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What the real server says of the files in the room.
    fn judge(&self, room: &Room) -> Result<Verdict, Failed> {
        let main = self.main.to_string_lossy();
        match (self.kind, self.context) {
            (Kind::Nginx, context) => {
                let wrapped = match context {
                    Context::Http => Some(format!("events {{ }} http {{ include {main}; }}")),
                    Context::Server => Some(format!("events {{ }} http {{ server {{ include {main}; }} }}")),
                    _ => None,
                };
                let mut config = self.main.clone();
                if let Some(text) = wrapped {
                    config = PathBuf::from("/etc/nginx/why403-wrap.conf");
                    room.put(&config, text.as_bytes())?;
                }
                let config = config.to_string_lossy();
                let loaded = session::nginx_modules()?;
                // One that names modules itself must not find them loaded.
                let verdicts = ["", loaded.as_str()]
                    .map(|modules| Ok::<_, Failed>(said(&room.run(&["nginx", "-t", "-c", &config, "-g", modules])?)));
                let [alone, with] = verdicts;
                let (alone, with) = (alone?, with?);
                Ok(alone.or(with))
            }
            (Kind::Apache, Context::Htaccess) => self.ask_folder(room),
            (Kind::Apache, _) => {
                let modules = "/etc/apache2/why403-modules.load";
                room.put(Path::new(modules), session::apache_modules()?.as_bytes())?;
                let include = format!("Include {modules}");
                Ok(said(&room.run(&["apache2", "-t", "-C", &include, "-f", &main])?))
            }
        }
    }

    /// An `.htaccess` is accepted if a request of its folder is not answered with 500.
    fn ask_folder(&self, room: &Room) -> Result<Verdict, Failed> {
        room.put(Path::new("/srv/folder/index.html"), b"index\n")?;
        let config = Path::new("/etc/apache2/why403-folder.conf");
        let text = format!(
            "{}Listen 80\nTypesConfig /etc/mime.types\nServerName a.test\nUser www-data\nGroup www-data\nPidFile /run/why403.pid\n\
             DocumentRoot /srv\n<Directory /srv>\nAllowOverride All\n</Directory>\n",
            session::apache_modules()?
        );
        room.put(config, text.as_bytes())?;
        let mut session = session::Session::open_in(room)?;
        let binary = Real::Apache.binary()?;
        session
            .start("apache", &binary, Path::new("/"), "etc/apache2/why403-folder.conf")
            .map_err(|why| why.to_string())?;
        let answer = session.ask(&serde_json::json!({"url": "http://a.test/folder/", "from": "127.0.0.1"}))?;
        Ok(if answer["status"] == 500 { Err(answer["log"].to_string()) } else { Ok(()) })
    }
}

fn said(output: &std::process::Output) -> Verdict {
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A self-signed certificate with its key in one file.
fn certificate() -> Result<Vec<u8>, Failed> {
    let dir = tempfile::Builder::new().prefix("why403-cert-").tempdir()?;
    let words = "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout key.pem -out cert.pem";
    let made = Command::new("openssl").args(words.split(' ')).current_dir(dir.path()).output()?;
    expect(made.status.success(), String::from_utf8_lossy(&made.stderr))?;
    Ok([std::fs::read(dir.path().join("cert.pem"))?, std::fs::read(dir.path().join("key.pem"))?].concat())
}

/// The recorded cases, repaired where they lie and checked again; those that share a configuration once.
#[expect(clippy::print_stdout, reason = "a trial says how much it has judged")]
pub fn cases() -> Result<(), Failed> {
    let (mut repaired, mut wrong, mut known) = (0, Vec::new(), BTreeSet::new());
    for case in super::recorded()? {
        let real = Real::of(&case);
        if !known.insert((real.version(), std::fs::read(case.folder.join("root").join(case.config())).ok())) {
            continue;
        }
        let stage = Stage::set(&case, real)?;
        let config = stage.root.join(case.config()).to_string_lossy().into_owned();
        let prefix = stage.root.to_string_lossy().into_owned();
        let judge = || -> Result<Verdict, Failed> {
            let mut command = Command::new(real.binary()?);
            match real {
                Real::Apache => command.args(["-t", "-d", &prefix, "-f", &config]),
                _ => command.args(["-t", "-p", &prefix, "-c", &config]),
            };
            Ok(said(&command.output()?))
        };
        if judge()?.is_err() {
            continue;
        }
        let version = real.version().split_once('/').map_or("", |(_, version)| version);
        let words =
            ["--fix", "--unsafe-fixes", "--server", real.kind(), "--server-version", version, "--prefix", &prefix];
        let output = lint(&stage.root, &[&words[..], &[&config]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(matches!(output.status.code(), Some(0 | 1)), format!("{}: {said}", case.name))?;
        if !changed(&case, &stage)? {
            continue;
        }
        repaired += 1;
        if let Err(why) = judge()? {
            wrong.push(format!("{}: {why}", case.name));
        }
    }
    println!("{repaired} recorded cases repaired");
    expect(wrong.is_empty(), wrong.join("\n"))?;
    expect(repaired > 10, format!("only {repaired} cases were repaired"))
}

/// Whether a file is no longer what the case holds.
fn changed(case: &Case, stage: &Stage) -> Result<bool, Failed> {
    for (path, bytes) in case.files()? {
        let Some(bytes) = bytes else { continue };
        if std::fs::read(stage.root.join(&path)).is_ok_and(|now| now != case.fill(&bytes, &stage.root)) {
            return Ok(true);
        }
    }
    Ok(false)
}

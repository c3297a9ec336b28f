//! Every rule's page is run: what it flags raises this rule and no other core rule but those it names, what it calls fixed
//! raises none of it, and a safe repair turns the one into the other.
//!
//! A page has sections `## Flagged (nginx, server)` and `## Fixed (nginx, server)` with one code block each; `; refused`
//! after the context says that the server would not load it, `; also other-rule` names core rules that are raised besides.
//! A block ```` ```tree ```` in the section lists files, one a line: `/path`, `/path/` (a directory), `/path -> target`, each
//! optionally followed by a mode and an owner, or by `: content` to the end of the line.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use why403::fact::Answers;
use why403::finding::Finding;
use why403::fix::Safety;
use why403::fs::memory::MemoryFs;
use why403::lint::settings::Loaded;
use why403::lint::targets::{Target, Wanted};
use why403::lint::{Choice, fixing, lint_target};
use why403::recognise::Context;
use why403::rules::{self, Rule};
use why403::server::Kind;
use why403::world::{NoResolver, World};

use crate::servers::room::Room;
use crate::servers::{self, Real};

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for rule in rules::ALL {
        trials.push(Trial::test(format!("rules::{}", rule.id), move || page(rule)));
    }
    trials.push(Trial::test("rules::docs_are_fresh", docs_are_fresh));
    trials.push(match servers::wanted() {
        true => Trial::test("rules::pages_load_in_the_real_server", pages_load),
        false => Trial::test("rules::pages_load (WHY403_SERVERS is not set: not asked)", || Ok(())),
    });
    trials
}

/// One example of a page.
#[derive(Debug)]
pub struct Example {
    pub flagged: bool,
    pub kind: Kind,
    pub context: Context,
    pub refused: bool,
    also: Vec<String>,
    pub text: String,
    tree: String,
}

pub fn examples(rule: &Rule) -> Result<Vec<Example>, String> {
    let mut found: Vec<Example> = Vec::new();
    let mut block: Option<(String, String)> = None;
    let mut open = false;
    for line in rule.page.lines() {
        if let Some((language, text)) = &mut block {
            if line.starts_with("```") {
                let example = found.last_mut().ok_or("a code block before the first example")?;
                match language.as_str() {
                    "tree" => example.tree = text.clone(),
                    _ => example.text = text.clone(),
                }
                block = None;
            } else {
                writeln!(text, "{line}").map_err(|error| error.to_string())?;
            }
        } else if let Some(language) = line.strip_prefix("```") {
            if open {
                block = Some((language.to_owned(), String::new()));
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            open = title.starts_with("Flagged") || title.starts_with("Fixed");
            if open {
                found.push(heading(title)?);
            }
        }
    }
    Ok(found)
}

fn heading(title: &str) -> Result<Example, String> {
    let (word, rest) = title.split_once(" (").ok_or_else(|| format!("`{title}` names no context"))?;
    let mut parts = rest.trim_end_matches(')').split(';').map(str::trim);
    let place = parts.next().unwrap_or_default();
    let (kind, context) = match place {
        "nginx, main" => (Kind::Nginx, Context::Main),
        "nginx, http" => (Kind::Nginx, Context::Http),
        "nginx, server" => (Kind::Nginx, Context::Server),
        "nginx, location" => (Kind::Nginx, Context::Location),
        "apache, main" => (Kind::Apache, Context::Main),
        "apache, server config" => (Kind::Apache, Context::ServerConfig),
        "apache, virtual host" => (Kind::Apache, Context::Vhost),
        "apache, directory or .htaccess" => (Kind::Apache, Context::Directory),
        "apache, .htaccess" => (Kind::Apache, Context::Htaccess),
        other => return Err(format!("`{other}` is no context")),
    };
    let mut example = Example {
        flagged: word == "Flagged",
        kind,
        context,
        refused: false,
        also: Vec::new(),
        text: String::new(),
        tree: String::new(),
    };
    for part in parts {
        match part.strip_prefix("also ") {
            Some(rules) => example.also = rules.split(',').map(|rule| rule.trim().to_owned()).collect(),
            None if part == "refused" => example.refused = true,
            None => return Err(format!("`{part}` in `{title}` is not understood")),
        }
    }
    Ok(example)
}

/// What a line of a tree block says of one path.
#[derive(Debug)]
struct Entry<'a> {
    path: &'a str,
    what: What<'a>,
    mode: Option<u32>,
    owner: Option<(u32, u32)>,
}

#[derive(Debug)]
enum What<'a> {
    Dir,
    Link(&'a str),
    File(String),
}

impl Example {
    /// `/srv/www` with an index, and what the page lists.
    fn entries(&self) -> Result<Vec<Entry<'_>>, String> {
        let file = |path, text: &str| Entry { path, what: What::File(text.to_owned()), mode: None, owner: None };
        let mut entries = vec![file("/srv/www/index.html", "hello\n"), file("/srv/www/a.txt", "text\n")];
        for line in self.tree.lines() {
            let (head, content) = line.split_once(": ").map_or((line, None), |(head, content)| (head, Some(content)));
            let mut words = head.split_whitespace();
            let path = words.next().ok_or("an empty line in a tree block")?;
            let mut words = words.peekable();
            let what = if words.next_if_eq(&"->").is_some() {
                What::Link(words.next().ok_or("a link without a target")?)
            } else if path.ends_with('/') {
                What::Dir
            } else {
                What::File(content.unwrap_or_default().replace("\\n", "\n"))
            };
            let mode = words.next().map(|mode| u32::from_str_radix(mode, 8).map_err(|_| format!("mode {mode}")));
            let owner = words.next().map(crate::case::owner_ids);
            entries.push(Entry { path: path.trim_end_matches('/'), what, mode: mode.transpose()?, owner });
        }
        Ok(entries)
    }

    /// The tree in memory, with the system's users.
    fn tree(&self) -> Result<MemoryFs, String> {
        let passwd =
            "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n";
        let mut fs = MemoryFs::new()
            .file("/etc/passwd", passwd)
            .file("/etc/group", "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n");
        for entry in self.entries()? {
            fs = match entry.what {
                What::Dir => fs.dir(entry.path),
                What::Link(target) => fs.link(entry.path, target),
                What::File(text) => fs.file(entry.path, text),
            };
            if let Some(mode) = entry.mode {
                fs = fs.mode(entry.path, mode);
            }
            if let Some((uid, gid)) = entry.owner {
                fs = fs.owner(entry.path, uid, gid);
            }
        }
        Ok(fs)
    }

    /// The tree for the real server.
    pub fn furnish(&self, room: &Room) -> Result<(), Failed> {
        let entries = self.entries()?;
        for entry in &entries {
            let path = Path::new(entry.path);
            match &entry.what {
                What::Dir => room.make_dir(path)?,
                What::Link(target) => room.link(path, target)?,
                What::File(text) => room.put(path, text.as_bytes())?,
            }
        }
        for entry in &entries {
            let place = room.outside(Path::new(entry.path));
            if let Some((uid, gid)) = entry.owner {
                std::os::unix::fs::lchown(&place, Some(uid), Some(gid))?;
            }
            if let Some(mode) = entry.mode {
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode))?;
            }
        }
        Ok(())
    }
}

pub fn target(example: &Example) -> Result<Target, String> {
    let path = match (example.kind, example.context) {
        (_, Context::Htaccess) => PathBuf::from("/srv/www/.htaccess"),
        (Kind::Nginx, _) => PathBuf::from("/etc/nginx/example.conf"),
        (Kind::Apache, _) => PathBuf::from("/etc/apache2/example.conf"),
    };
    let wanted = Wanted { kind: Some(example.kind), context: Some(example.context), ..Wanted::default() };
    let mut target = Target::of(&path, example.text.as_bytes(), &wanted, false)?;
    target.tree = true;
    Ok(target)
}

fn page(rule: &Rule) -> Result<(), Failed> {
    let examples = examples(rule)?;
    if !examples.iter().any(|example| example.flagged) || !examples.iter().any(|example| !example.flagged) {
        return Err(format!("the page of {} needs a Flagged and a Fixed example", rule.id).into());
    }
    let first_line = format!("# {}", rule.id);
    if rule.page.lines().next() != Some(first_line.as_str()) {
        return Err(format!("the page must begin with `{first_line}`").into());
    }
    for example in &examples {
        run(rule, example).map_err(|why| Failed::from(format!("{why}\nin the example\n{}", example.text)))?;
    }
    Ok(())
}

/// The findings of every core rule and this one on an example.
pub fn lint(rule: &Rule, example: &Example) -> Result<Vec<Finding>, String> {
    let fs = example.tree()?;
    let answers = Answers::default();
    let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
    Ok(lint_target(&target(example)?, &fs, &world, &Loaded::default(), &choice(rule)).1.findings)
}

fn choice(rule: &Rule) -> Choice {
    Choice { select: vec!["core".to_owned(), rule.id.to_owned()], ..Choice::default() }
}

fn run(rule: &Rule, example: &Example) -> Result<(), String> {
    let fs = example.tree()?;
    let target = target(example)?;
    let answers = Answers::default();
    let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
    let settings = Loaded::default();
    let choice = choice(rule);
    let (server, linted) = lint_target(&target, &fs, &world, &settings, &choice);
    let refused = why403::problem::first_refusal(server.problems());
    if refused.is_some() != example.refused {
        return Err(format!("refused: {refused:?}, the page says {}", example.refused));
    }
    let mine: Vec<&Finding> = linted.findings.iter().filter(|finding| finding.rule == rule.id).collect();
    if mine.is_empty() == example.flagged {
        return Err(format!("{} findings of {}: {:?}", mine.len(), rule.id, linted.findings));
    }
    let stranger = linted.findings.iter().find(|finding| {
        finding.rule != rule.id
            && !example.also.iter().any(|also| also == finding.rule)
            && rules::find(finding.rule).is_some_and(|rule| rule.core)
    });
    if let Some(stranger) = stranger {
        return Err(format!("also raises {stranger:?}"));
    }
    let safe = |finding: &&&Finding| {
        finding.fix.as_ref().is_some_and(|fix| fix.safety == Safety::Safe && !fix.edits.is_empty())
    };
    if example.flagged && mine.iter().any(|finding| safe(&finding)) {
        let (changes, count) = fixing::fixed(&target, &fs, &world, &settings, &choice, false);
        if count == 0 {
            return Err("the safe repair was not applied".to_owned());
        }
        let mut after = target.clone();
        after.given.extend(changes);
        let (server, linted) = lint_target(&after, &fs, &world, &settings, &choice);
        if why403::problem::first_refusal(server.problems()).is_some() {
            return Err(format!("the repaired text is refused: {:?}", server.problems()));
        }
        if let Some(left) = linted.findings.iter().find(|finding| finding.rule == rule.id) {
            return Err(format!("still there after the repair: {left:?}"));
        }
    }
    Ok(())
}

/// In a mount namespace of its own, so that an example finds its files where it says: `$1` holds them, and the rest is the
/// command.
const CHECK: &str = r#"
mkdir -p /srv /etc/nginx
for place in /srv /etc/nginx /var/log; do mount -t tmpfs tmpfs "$place" || exit 99; done
mkdir -p /var/log/nginx /srv/prefix/logs
cp -a "$1/." /
shift
exec "$@" 2>&1
"#;

/// Every nginx example is put before the real servers' own check: refused where the page says so, accepted where it does
/// not. An older build has modules that the newer one lacks, so either may accept.
fn pages_load() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for rule in rules::ALL {
        for example in examples(rule)?.iter().filter(|example| example.kind == Kind::Nginx) {
            let newer = accepts(example, Real::Nginx131)?;
            let accepted = match &newer {
                Err(_) if !example.refused => accepts(example, Real::Nginx122)?,
                _ => newer,
            };
            match accepted {
                Ok(()) if example.refused => wrong.push(format!("{}: accepted\n{}", rule.id, example.text)),
                Err(message) if !example.refused => wrong.push(format!("{}: {message}\n{}", rule.id, example.text)),
                _ => {}
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} examples\n{}", wrong.len(), wrong.join("\n")).into()) }
}

/// Whether a server accepts an example; else what it says.
fn accepts(example: &Example, real: Real) -> Result<Result<(), String>, Failed> {
    let top = tempfile::Builder::new().prefix("why403-page-").tempdir()?;
    let place = |path: &Path| -> std::io::Result<PathBuf> {
        let place = top.path().join(path.strip_prefix("/").unwrap_or(path));
        std::fs::create_dir_all(place.parent().unwrap_or(top.path()))?;
        Ok(place)
    };
    let target = target(example)?;
    for (path, text) in &target.given {
        std::fs::write(place(path)?, text)?;
    }
    // Only what the server itself looks at while it checks: files that are included.
    for entry in example.entries()?.iter().filter(|entry| entry.path.starts_with("/etc/nginx/")) {
        let place = place(Path::new(entry.path))?;
        match &entry.what {
            What::Dir => std::fs::create_dir_all(place)?,
            What::Link(target) => std::os::unix::fs::symlink(target, place)?,
            What::File(text) => std::fs::write(place, text)?,
        }
    }
    let output = std::process::Command::new("unshare")
        .args(["--mount", "sh", "-c", CHECK, "check"])
        .arg(top.path())
        .arg(real.binary()?)
        .args(["-t", "-q", "-p", "/srv/prefix/", "-c"])
        .arg(&target.options.config)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Names that nobody can look up here, certificates, and a module that neither build has, are no part of an example.
    let elsewhere =
        ["host not found", "cannot load certificate", "no \"ssl_certificate\"", "unknown directive \"perl\""];
    match output.status.code() {
        Some(0) => Ok(Ok(())),
        Some(1) if elsewhere.iter().any(|reason| said.contains(reason)) => Ok(Ok(())),
        Some(1) => Ok(Err(said)),
        _ => Err(format!("{}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// `docs/rules/` is written from the pages; `UPDATE=1` writes it.
fn docs_are_fresh() -> Result<(), Failed> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let mut wanted: Vec<(String, String)> =
        rules::ALL.iter().map(|rule| (format!("{}.md", rule.id), rules::document(rule))).collect();
    wanted.push(("README.md".to_owned(), rules::index()));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(&dir)?;
        for (name, text) in &wanted {
            std::fs::write(dir.join(name), text)?;
        }
    }
    for (name, text) in &wanted {
        let there = std::fs::read_to_string(dir.join(name)).unwrap_or_default();
        if there != *text {
            return Err(format!("docs/rules/{name} is stale: UPDATE=1 cargo test --test it -- rules::docs").into());
        }
    }
    for entry in std::fs::read_dir(&dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !wanted.iter().any(|(known, _)| *known == name) {
            return Err(format!("docs/rules/{name} belongs to no rule").into());
        }
    }
    Ok(())
}

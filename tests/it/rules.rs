//! Every rule's page is run: what it flags raises this rule and no other core rule but those it names, what it calls fixed
//! raises none of it, and a safe repair turns the one into the other.
//!
//! A page has sections `## Flagged (nginx, server)` and `## Fixed (nginx, server)` with one code block each; `; refused`
//! after the context says that the server would not load it, `; also other-rule` names core rules that are raised besides.
//! A block ```` ```tree ```` in the section lists files, one a line: `/path`, `/path/` (a directory), `/path -> target`, each
//! optionally followed by a mode and an owner, or by `: content` to the end of the line.

use std::fmt::Write as _;
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

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for rule in rules::ALL {
        trials.push(Trial::test(format!("rules::{}", rule.id), move || page(rule)));
    }
    trials.push(Trial::test("rules::docs_are_fresh", docs_are_fresh));
    trials
}

/// One example of a page.
#[derive(Debug)]
struct Example {
    flagged: bool,
    kind: Kind,
    context: Context,
    refused: bool,
    also: Vec<String>,
    text: String,
    tree: String,
}

fn examples(rule: &Rule) -> Result<Vec<Example>, String> {
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

/// The tree of an example: `/srv/www` with an index, the system's users, and what the page lists.
fn tree(example: &Example) -> Result<MemoryFs, String> {
    let passwd =
        "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\nnobody:x:65534:65534::/:/bin/false\n";
    let mut fs = MemoryFs::new()
        .file("/etc/passwd", passwd)
        .file("/etc/group", "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\n")
        .file("/srv/www/index.html", "hello\n")
        .file("/srv/www/a.txt", "text\n");
    for line in example.tree.lines() {
        let (head, content) = line.split_once(": ").map_or((line, None), |(head, content)| (head, Some(content)));
        let mut words = head.split_whitespace();
        let path = words.next().ok_or("an empty line in a tree block")?;
        let mut words = words.peekable();
        if words.peek() == Some(&"->") {
            words.next();
            fs = fs.link(path, words.next().ok_or("a link without a target")?);
        } else if let Some(dir) = path.strip_suffix('/') {
            fs = fs.dir(dir);
        } else {
            fs = fs.file(path, content.unwrap_or_default().replace("\\n", "\n"));
        }
        let path = path.trim_end_matches('/');
        if let Some(mode) = words.next() {
            fs = fs.mode(path, u32::from_str_radix(mode, 8).map_err(|_| format!("mode {mode}"))?);
        }
        if let Some(owner) = words.next() {
            let (uid, gid) = crate::case::owner_ids(owner);
            fs = fs.owner(path, uid, gid);
        }
    }
    Ok(fs)
}

fn target(example: &Example) -> Result<Target, String> {
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

fn run(rule: &Rule, example: &Example) -> Result<(), String> {
    let fs = tree(example)?;
    let target = target(example)?;
    let answers = Answers::default();
    let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
    let settings = Loaded::default();
    let choice = Choice { select: vec!["core".to_owned(), rule.id.to_owned()], ..Choice::default() };
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

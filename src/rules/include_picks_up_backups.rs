//! `include-picks-up-backups`: a glob that loads what an editor or a package left behind.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::{InclusionKind, Origin};

pub(super) const RULE: Rule = Rule {
    id: "include-picks-up-backups",
    title: "a glob include loads editor or package leftovers",
    level: Level::Warning,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Tree,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let sources = subject.sources();
    let mut by_include: Vec<(Origin, Vec<String>)> = Vec::new();
    for inclusion in sources.inclusions().filter(|inclusion| inclusion.kind == InclusionKind::Include) {
        let path = &sources.file(inclusion.file).path;
        let pattern = sources.text(inclusion.at.span);
        if !pattern.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[')) || !is_leftover(path) {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match by_include.iter_mut().find(|(at, _)| at.span == inclusion.at.span) {
            Some((_, names)) if names.contains(&name) => {}
            Some((_, names)) => names.push(name),
            None => by_include.push((inclusion.at, vec![name])),
        }
    }
    for (at, names) in by_include {
        let shown: Vec<String> = names.iter().take(5).map(|name| format!("`{name}`")).collect();
        let message = format!("what was put aside is in force: this also reads {}", shown.join(", "));
        let finding = found.at(at, message).advise("say which names are meant, as in `*.conf`");
        finding.count = names.len() as u32;
    }
}

/// Whether a file's name is one that editors and packages give to what they put aside.
fn is_leftover(path: &Path) -> bool {
    const ENDS: [&str; 12] = [
        "~",
        ".bak",
        ".old",
        ".orig",
        ".save",
        ".swp",
        ".rej",
        ".disabled",
        ".rpmsave",
        ".rpmnew",
        ".rpmorig",
        ".backup",
    ];
    const PARTS: [&str; 2] = [".dpkg-", ".ucf-"];
    let name = path.file_name().unwrap_or_default().as_bytes().to_ascii_lowercase();
    let part = |part: &&str| memchr::memmem::find(&name, part.as_bytes()).is_some();
    ENDS.iter().any(|end| name.ends_with(end.as_bytes())) || PARTS.iter().any(part)
}

const PAGE: &str = r#"# include-picks-up-backups

`include sites-enabled/*` reads every file of the directory, also `site~`, `site.bak` and `site.dpkg-old`: an old version of a site, with rules
that were replaced, is served beside the new one or in its place.

## Flagged (nginx, http)
```nginx
include /etc/nginx/sites-enabled/*;
```
```tree
/etc/nginx/sites-enabled/a.conf: server { listen 8080; deny all; }
/etc/nginx/sites-enabled/b.conf~: server { listen 8081; deny all; }
```

## Fixed (nginx, http)
```nginx
include /etc/nginx/sites-enabled/*.conf;
```
```tree
/etc/nginx/sites-enabled/a.conf: server { listen 8080; deny all; }
/etc/nginx/sites-enabled/b.conf~: server { listen 8081; deny all; }
```

## Why
A glob knows nothing of editors. nginx leaves out only names that begin with a dot; so does Apache where it is given a pattern.
"#;

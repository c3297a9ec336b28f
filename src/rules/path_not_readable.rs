//! `path-not-readable`: a mode that shuts the worker out.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "path-not-readable",
    title: "the worker cannot read what the configuration serves",
    level: Level::Error,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Tree,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let url = match spot.location() {
            None => "/",
            Some(location) => match (&location.kind, std::str::from_utf8(&location.name)) {
                (LocationKind::Prefix | LocationKind::NoRegex | LocationKind::Exact, Ok(name))
                    if name.starts_with('/') =>
                {
                    name
                }
                _ => continue,
            },
        };
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let Some(asked) = ask_for(subject, spot.server, "GET", url, client, &[], "the file") else { continue };
        let Some(decision) = &asked.run.decision else { continue };
        let permission = decision.cause.code.ends_with("-permission") || decision.cause.code.ends_with("-unreadable");
        let (Some(path), true) = (&decision.path, permission) else { continue };
        if reported.contains(path) {
            continue;
        }
        reported.insert(path.clone());
        let place = decision.directive.unwrap_or(spot.conf.origin);
        let file = asked.run.seen.file.as_ref().map_or(String::new(), |file| format!(" `{}`", file.display()));
        let message = format!(
            "`{url}` answers 403: the worker cannot get to{file}, because `{}` does not let it",
            path.display()
        );
        let help = format!("`chmod o+x` a directory on the way, `chmod o+r` a file: here `{}`", path.display());
        found.at(place, message).proven_by(asked.witness, asked.certainty).advise(help);
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    const CAUSES: [&str; 6] = [
        "apache/search-permission",
        "apache/file-permission",
        "apache/autoindex-unreadable",
        "apache/htaccess-unreadable",
        "apache/path-stat-error",
        "apache/multiviews-unreadable-dir",
    ];
    let Some((_, layout)) = subject.layout() else { return };
    let places = layout.mappings.iter().map(|mapping| (mapping.server, mapping.url.clone(), Some(mapping.origin)));
    let files = layout.files.iter().map(|file| (file.server, format!("{}x", file.url), None));
    let (mut asked_for, mut reported) = (HashSet::new(), HashSet::new());
    for (server, url, mapping) in places.chain(files) {
        if !asked_for.insert((server, url.clone())) {
            continue;
        }
        let Some(asked) = layout.ask(subject, server, &url, spots::stranger(), "the file") else { continue };
        let Some(decision) = asked.run.decision.as_ref().filter(|decision| CAUSES.contains(&decision.cause.code))
        else {
            continue;
        };
        let (Some(path), Some(place)) = (decision.path.clone(), decision.directive.or(mapping)) else { continue };
        if !reported.insert(path.clone()) {
            continue;
        }
        let shown = path.display();
        let message = format!("`{url}` answers 403: the worker cannot go on, because `{shown}` does not let it");
        let help = format!("`chmod o+x` a directory on the way, `chmod o+r` a file: here `{shown}`");
        found.at(place, message).proven_by(asked.witness, asked.certainty).advise(help);
    }
}

const PAGE: &str = r#"# path-not-readable

Some directory on the way to a root, an alias or an index file lacks the search bit, or the file the read bit, for the worker's user and
groups. The finding names the first component that stops it.

## Flagged (nginx, main)
```tree
/root/ 0700
/root/site/index.html: hello
```
```nginx
user www-data;
events { }
http { server { root /root/site; } }
```

## Fixed (nginx, main)
```tree
/srv/site/index.html: hello
```
```nginx
user www-data;
events { }
http { server { root /srv/site; } }
```

## Flagged (apache, server config)
```tree
/root/ 0700
/root/site/index.html: hello
```
```apache
DocumentRoot "/root/site"
```

## Fixed (apache, server config)
```tree
/srv/site/index.html: hello
```
```apache
DocumentRoot "/srv/site"
```

## Why
The master process runs as root, the workers as `user`. The kernel asks every directory of the path for its search bit; the class (owner,
group, others) that fits first decides alone.
In Apache a `.htaccess` that cannot be opened denies its whole directory (AH00529), because nobody knows what it would have said.
"#;

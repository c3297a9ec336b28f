//! `directory-without-index`: a directory that says forbidden because nothing in it is the index.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "directory-without-index",
    title: "a directory URL answers 403: no index file, listing off",
    level: Level::Warning,
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
    for spot in subject.spots() {
        let url = match spot.location() {
            None => "/",
            Some(location) => match (&location.kind, std::str::from_utf8(&location.name)) {
                (LocationKind::Prefix | LocationKind::NoRegex | LocationKind::Exact, Ok(name))
                    if name.ends_with('/') && name != "/" =>
                {
                    name
                }
                _ => continue,
            },
        };
        if spot.conf.core.internal.value {
            continue;
        }
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let Some(asked) = ask_for(subject, spot.server, "GET", url, client, &[], "an index page") else { continue };
        let Some(decision) = &asked.run.decision else { continue };
        if decision.cause.code != "nginx/directory-index" {
            continue;
        }
        let place = spot.location().map_or(spot.server.origin, |location| location.origin);
        let dir = asked.run.seen.file.as_ref().map(|dir| format!(" (`{}`)", dir.display())).unwrap_or_default();
        let message = format!("`{url}`{dir} answers 403: none of its index files is there, and `autoindex` is off");
        let related: Vec<_> = decision
            .directive
            .filter(|origin| *origin != place)
            .map(|origin| found.related(origin, "decides it"))
            .into_iter()
            .collect();
        let finding = found.at(place, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("add an index file, name the one that is there with `index`, or answer with `try_files`");
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    let mut seen = HashSet::new();
    for mapping in &layout.mappings {
        if !seen.insert((mapping.server, &mapping.dir)) {
            continue;
        }
        let asked = layout.ask(subject, mapping.server, &mapping.url, spots::stranger(), "an index page");
        let Some(asked) = asked else { continue };
        let Some(decision) =
            asked.run.decision.as_ref().filter(|decision| decision.cause.code == "apache/autoindex-forbidden")
        else {
            continue;
        };
        let dir = String::from_utf8_lossy(&mapping.dir).into_owned();
        let message =
            format!("`{}` (`{dir}`) answers 403: none of its index files is there, and listing is off", mapping.url);
        let related: Vec<_> = decision
            .directive
            .filter(|origin| *origin != mapping.origin)
            .map(|origin| found.related(origin, "decides it"))
            .into_iter()
            .collect();
        let finding = found.at(mapping.origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise(
            "add an index file, name the one that is there with `DirectoryIndex`, or answer with `FallbackResource`",
        );
    }
}

const PAGE: &str = r#"# directory-without-index

The root of a server or the directory of a location exists, none of its index names is in it, listing is off and nothing else answers. Only
roots and locations are tried, not every directory of the tree.

## Flagged (nginx, server)
```tree
/srv/www/empty/
```
```nginx
root /srv/www;
location /empty/ { index main.html; }
```

## Fixed (nginx, server)
```tree
/srv/www/empty/
```
```nginx
root /srv/www;
location /empty/ { try_files $uri $uri/index.html =404; }
```

## Flagged (apache, server config)
```tree
/srv/empty/
```
```apache
Alias "/empty" "/srv/empty"
<Directory "/srv/empty">
    Options -Indexes
</Directory>
```

## Fixed (apache, server config)
```tree
/srv/empty/index.html: hello
```
```apache
Alias "/empty" "/srv/empty"
<Directory "/srv/empty">
    Options -Indexes
</Directory>
```

## Why
For a URL that ends in a slash nginx tries the names of `index`, then `autoindex`; where neither answers, the content phase ends in 403
with `directory index of "…" is forbidden` in the log. A missing directory is 404.
Apache tries the names of `DirectoryIndex`, then mod_autoindex, which lists only under `Options Indexes` (AH01276).
"#;

//! `directory-without-index`: a directory that says forbidden because nothing in it is the index.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;

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
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    for spot in spots::spots(http) {
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
        let client = spots::pick(&spot.open()).unwrap_or_else(spots::stranger);
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

## Why
For a URL that ends in a slash nginx tries the names of `index`, then `autoindex`; where neither answers, the content phase ends in 403
with `directory index of "…" is forbidden` in the log. A missing directory is 404.
"#;

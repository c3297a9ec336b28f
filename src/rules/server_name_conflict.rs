//! `server-name-conflict`: two blocks, one name, and only the first is ever chosen.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::ServerName;
use std::collections::HashMap;

pub(super) const RULE: Rule = Rule {
    id: "server-name-conflict",
    title: "a server block is ignored because another one owns the name",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    let mut reported = Vec::new();
    for address in &http.addresses.all {
        let mut owners: HashMap<&[u8], usize> = HashMap::new();
        for &index in &address.servers {
            let server = &http.servers[index];
            for name in &server.names {
                let ServerName::Text(text) = &name.value else { continue };
                let owner = *owners.entry(text).or_insert(index);
                let Some(origin) = name.origin.filter(|origin| owner != index && !reported.contains(origin)) else {
                    continue;
                };
                reported.push(origin);
                let first = &http.servers[owner];
                let shown = String::from_utf8_lossy(text);
                let message =
                    format!("`{shown}` is answered by an earlier server on the same address: this block never sees it");
                let place = first
                    .names
                    .iter()
                    .find(|other| matches!(&other.value, ServerName::Text(other) if other == text))
                    .and_then(|name| name.origin);
                let related = found.related(place.unwrap_or(first.origin), "this one answers");
                // Harmless where both blocks would answer alike.
                let stricter = !super::spots::open(&first.conf).is_within(&super::spots::open(&server.conf));
                let elsewhere =
                    first.conf.core.mapping.value.path.source() != server.conf.core.mapping.value.path.source();
                let level = if stricter || elsewhere { Level::Error } else { Level::Warning };
                found.at(origin, message).with(related).level(level);
            }
        }
    }
}

const PAGE: &str = r#"# server-name-conflict

Two server blocks listen on the same socket with the same name. The server takes the first and ignores the other; with other rules or
another root there, that is an error, else a warning.

## Flagged (nginx, http)
```nginx
server { listen 8080; server_name a.test; }
server { listen 8080; server_name a.test; deny all; }
```

## Fixed (nginx, http)
```nginx
server { listen 8080; server_name a.test; deny all; }
```

## Why
nginx says `conflicting server name "a.test" on 0.0.0.0:8080, ignored`, as a warning, and starts.
"#;

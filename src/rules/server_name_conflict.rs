//! `server-name-conflict`: two blocks, one name, and only the first is ever chosen.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::apache::model::ServerConf;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::ServerName;
use std::collections::{HashMap, HashSet};

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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    let mut reported = HashSet::new();
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
                reported.insert(origin);
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

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut owners: HashMap<(Option<std::net::IpAddr>, u16, Vec<u8>), usize> = HashMap::new();
    for server in &config.servers {
        let Some(block) = server.origin else { continue };
        let names = server.name.iter().map(|name| (&name.value, name.origin));
        let mut told = false;
        for (name, origin) in names.chain(server.aliases.iter().map(|alias| (alias, None))) {
            for own in server.addresses.iter().filter(|own| !own.unresolved) {
                let key = (own.address, own.port, name.to_ascii_lowercase());
                let owner = *owners.entry(key).or_insert(server.index);
                if owner == server.index || told {
                    continue;
                }
                told = true;
                let first = &config.servers[owner];
                let shown = String::from_utf8_lossy(name);
                let message = format!(
                    "`{shown}` is answered by an earlier virtual host on the same address: this one never sees it"
                );
                let place = first.name.as_ref().and_then(|name| name.origin).or(first.origin);
                let related: Vec<_> = place.map(|place| found.related(place, "this one answers")).into_iter().collect();
                let root = |server: &ServerConf| server.core.document_root.as_ref().map(|root| root.value.clone());
                let mut rules = false;
                walk(layout.nodes(config, server), &mut |node, _| rules |= node.is("require") || node.is("deny"));
                let level = if rules || root(first) != root(server) { Level::Error } else { Level::Warning };
                found.at(origin.unwrap_or(block), message).level(level).related = related;
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

## Flagged (apache, server config; also default-server-implicit)
```apache
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/www"
</VirtualHost>
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/other"
</VirtualHost>
```

## Fixed (apache, server config; also default-server-implicit)
```apache
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/www"
</VirtualHost>
<VirtualHost *:80>
    ServerName b.test
    DocumentRoot "/srv/other"
</VirtualHost>
```

## Why
nginx says `conflicting server name "a.test" on 0.0.0.0:8080, ignored`, as a warning, and starts.
Apache says nothing at all; `apachectl -S` shows both.
"#;

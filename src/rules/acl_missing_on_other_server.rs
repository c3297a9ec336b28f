//! `acl-missing-on-other-server`: a second door to the same directory.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Server;
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    id: "acl-missing-on-other-server",
    title: "the same tree is served by another server without the rules",
    level: Level::Error,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    let mut by_root: BTreeMap<&[u8], Vec<&Server>> = BTreeMap::new();
    for server in &http.servers {
        if let (Some(root), None) =
            (server.conf.core.mapping.value.path.as_literal(), server.conf.core.mapping.value.alias)
        {
            by_root.entry(root).or_default().push(server);
        }
    }
    let mut judged: Vec<(&[u8], String)> = Vec::new();
    for spot in spots::spots(http) {
        let Some(location) = spot.location() else { continue };
        let (Some(root), None) = (spot.conf.core.mapping.value.path.as_literal(), spot.conf.core.mapping.value.alias)
        else {
            continue;
        };
        let mut refused = crate::ipset::IpSet::all();
        refused.subtract(&spot.open());
        let (Some(client), Some(path)) = (spots::pick(&refused), spot.paths().into_iter().next()) else { continue };
        let key = (root, path.clone());
        let Some(others) = by_root.get(root).filter(|others| others.len() > 1 && !judged.contains(&key)) else {
            continue;
        };
        judged.push(key);
        let Some(closed) = ask_for(subject, spot.server, "GET", &path, client, &[], "a refusal") else { continue };
        if !closed.is_refused() {
            continue;
        }
        let open = others.iter().filter(|other| other.origin != spot.server.origin).find_map(|other| {
            let asked = ask_for(subject, other, "GET", &path, client, &[], "a refusal")?;
            let mine = asked.run.seen.server == Some(other.origin)
                && asked.run.seen.file == closed.run.seen.file.clone().or(asked.run.seen.file.clone());
            (asked.gets_in() && mine && asked.run.seen.file.is_some()).then_some((*other, asked))
        });
        let Some((other, asked)) = open else { continue };
        let message = format!(
            "{client} gets `{path}` of this server; the same directory is closed to it where {} guards it",
            spot.name()
        );
        let related = found.related(location.origin, "guarded on the other server");
        found.at(other.origin, message).with(related).proven_by(asked.witness, asked.certainty);
    }
}

const PAGE: &str = r#"# acl-missing-on-other-server

Two servers (names, ports or addresses) serve the same directory; one restricts clients, the other lets them in. The plain-HTTP twin
of an HTTPS server is the usual case.

## Flagged (nginx, http; also default-server-implicit)
```nginx
server { listen 8080; server_name a.test; root /srv/www; location /p/ { deny all; } }
server { listen 8081; root /srv/www; }
```

## Fixed (nginx, http; also default-server-implicit)
```nginx
server { listen 8080; listen 8081; server_name a.test; root /srv/www; location /p/ { deny all; } }
```

## Why
A server block is chosen by address, port and Host, all of which the client chooses. Rules in one block say nothing about another.
"#;

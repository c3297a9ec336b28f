//! `default-server-implicit`: a site that answers to every name.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "default-server-implicit",
    title: "requests with an unknown Host land on a real site",
    level: Level::Warning,
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
    let mut reported = Vec::new();
    for address in &http.addresses.all {
        let server = &http.servers[address.default];
        let explicit = server.listens.iter().any(|listen| listen.socket == address.socket && listen.default_server);
        let named = server.names.iter().any(|name| !name.value.shown().is_empty() && name.value.shown() != b"_");
        if explicit || !named || reported.contains(&server.origin) {
            continue;
        }
        let Some(asked) =
            ask_for(subject, server, "GET", "/", spots::stranger(), &[("Host", "unknown.invalid")], "no site")
        else {
            continue;
        };
        let answers = matches!(asked.run.outcome, Outcome::Response(200..=399) | Outcome::Upstream);
        if !answers || asked.run.seen.server != Some(server.origin) {
            continue;
        }
        reported.push(server.origin);
        // A site that is closed under its own name, and an open one that takes its requests.
        let closed = address
            .servers
            .iter()
            .map(|&index| &http.servers[index])
            .find(|other| other.origin != server.origin && !spots::open(&other.conf).contains(spots::stranger()));
        let message = "a request with an unknown Host is answered by this server: it is the first on its address, and none is marked `default_server`";
        let related: Vec<_> = closed
            .map(|other| found.related(other.origin, "this server on the same address is closed to the same client"))
            .into_iter()
            .collect();
        let level = if closed.is_some() { Level::Error } else { Level::Warning };
        let finding = found.at(server.origin, message).level(level).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("add `server { listen … default_server; return 444; }` for names that are nobody's");
    }
}

const PAGE: &str = r#"# default-server-implicit

No server on an address is marked as the default, so the first one takes every request whose Host is unknown, and answers it as its own.

## Flagged (nginx, http)
```nginx
server { listen 8080; server_name a.test; root /srv/www; }
server { listen 8080; server_name b.test; deny all; }
```

## Fixed (nginx, http)
```nginx
server { listen 8080 default_server; return 444; }
server { listen 8080; server_name a.test; root /srv/www; }
```

## Why
The default server of an address is the one with `default_server`, else the first in the order of reading. Scanners and DNS rebinding send
any Host they like.
"#;

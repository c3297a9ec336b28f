//! `default-server-implicit`: a site that answers to every name.

use super::spots::{self, ask_for};
use super::verdicts::restricts;
use super::{BOTH, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;
use std::collections::{HashMap, HashSet};

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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    let mut reported = HashSet::new();
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
        reported.insert(server.origin);
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

/// An address and a port of a `<VirtualHost>` line.
type Address = (Option<std::net::IpAddr>, u16);

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    // Hosts that are closed as a whole.
    let closed: Vec<usize> = layout
        .spots
        .iter()
        .filter(|spot| {
            let whole = matches!(&spot.section.matcher, Matcher::Literal(path) if path == b"/");
            spot.server != 0 && whole && spot.section.place == Place::Location && restricts(&spot.section.conf)
        })
        .map(|spot| spot.server)
        .collect();
    let mut chains: Vec<(Address, Vec<usize>)> = Vec::new();
    let mut places: HashMap<Address, usize> = HashMap::new();
    for server in config.servers.iter().skip(1) {
        for own in server.addresses.iter().filter(|own| !own.unresolved) {
            let key = (own.address, own.port);
            let at = *places.entry(key).or_insert_with(|| {
                chains.push((key, Vec::new()));
                chains.len() - 1
            });
            chains[at].1.push(server.index);
        }
    }
    let mut reported = HashSet::new();
    for (_, hosts) in chains {
        let Some(server) = hosts.first().map(|&index| &config.servers[index]) else { continue };
        // A host for everything says so: it has no name, or one that is nobody's.
        let named = server.name.as_ref().is_some_and(|name| {
            let text = name.value.to_ascii_lowercase();
            let nobody = [&b"_"[..], b"default", b"localhost", b"_default_", b"catchall"];
            !nobody.contains(&text.as_slice()) && !text.ends_with(b".invalid") && !text.starts_with(b"_")
        });
        let takes_all = server.wild_aliases.iter().any(|alias| alias == b"*");
        let Some(origin) = server.origin.filter(|origin| named && !takes_all && !reported.contains(origin)) else {
            continue;
        };
        let host = [("Host", "unknown.invalid")];
        let asked = layout.ask_with(subject, server.index, "GET", "/", spots::stranger(), &host, "no site");
        let Some(asked) =
            asked.filter(|asked| matches!(asked.run.outcome, Outcome::Response(200..=399) | Outcome::Upstream))
        else {
            continue;
        };
        reported.insert(origin);
        let other = hosts.iter().find(|index| closed.contains(index)).and_then(|&index| config.servers[index].origin);
        let related: Vec<_> = other
            .map(|other| found.related(other, "this host on the same address is closed to the same client"))
            .into_iter()
            .collect();
        let level = if other.is_some() { Level::Error } else { Level::Warning };
        let message =
            "a request with an unknown Host is answered by this virtual host, because it is the first on its address";
        let finding = found.at(origin, message).level(level).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("put a virtual host without a name, which refuses everything, before it");
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

## Flagged (apache, server config)
```apache
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/www"
</VirtualHost>
<VirtualHost *:80>
    ServerName b.test
    DocumentRoot "/srv/www"
</VirtualHost>
```

## Fixed (apache, server config)
```apache
<VirtualHost *:80>
    ServerName default
    <Location "/">
        Require all denied
    </Location>
</VirtualHost>
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/www"
</VirtualHost>
```

## Why
The default server of an address is the one with `default_server`, else the first in the order of reading. Scanners and DNS rebinding send
any Host they like.
In Apache it is the first virtual host of the address; there is no mark for it. A host named `default`, `_` or under `.invalid`, and one with `ServerAlias *`, is taken for a
catch-all.
"#;

//! `ipv6-clients-not-covered`: a catch-all that catches one family.

use std::collections::HashSet;

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use std::net::IpAddr;

pub(super) const RULE: Rule = Rule {
    id: "ipv6-clients-not-covered",
    title: "IPv4-only rules on a listener that also takes IPv6",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let client: IpAddr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9).into();
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let catch_all = spot.conf.access.v4.iter().find(|rule| rule.value.deny && rule.value.net.prefix_len() == 0);
        let Some(origin) = catch_all.and_then(|rule| rule.origin).filter(|origin| !reported.contains(origin)) else {
            continue;
        };
        if spots::listener(spot.server, client).is_none() || !spots::let_in(&spot.conf.access).contains(client) {
            continue;
        }
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.insert(origin);
        let message = format!(
            "{client} gets in at {}: `0.0.0.0/0` covers IPv4 only, and this server listens on IPv6, too",
            spot.name()
        );
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = Edit::replace(subject.sources(), origin.span, "deny all;") {
            finding.fixed_by(Fix {
                title: "write `deny all;`".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Safe,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# ipv6-clients-not-covered

A server with an IPv6 listener whose list ends in `deny 0.0.0.0/0`: an IPv6 client matches nothing and is let in.

## Flagged (nginx, http)
```nginx
server { listen 8080; listen [::]:8080; location /p/ { allow 10.0.0.0/8; deny 0.0.0.0/0; } }
```

## Fixed (nginx, http)
```nginx
server { listen 8080; listen [::]:8080; location /p/ { allow 10.0.0.0/8; deny all; } }
```

## Why
nginx keeps a list for each family. `all` enters every one of them, `0.0.0.0/0` only the IPv4 list.
"#;

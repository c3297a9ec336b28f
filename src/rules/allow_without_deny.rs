//! `allow-without-deny`: `allow` without a `deny` that would make it mean something.

use std::collections::HashSet;

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::ipset::IpSet;
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Satisfy;

pub(super) const RULE: Rule = Rule {
    id: "allow-without-deny",
    title: "an allow list that blocks nobody",
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
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let rules = spots::rules(&spot.conf.access);
        let mut named = IpSet::new();
        rules.iter().flat_map(|(_, _, nets)| nets).for_each(|net| named.insert(*net));
        let Some((last, _, _)) = rules.iter().filter(|(_, deny, _)| !deny).max_by_key(|(origin, _, _)| *origin) else {
            continue;
        };
        // Under `satisfy any` the unlisted still need the password.
        let password = spot.conf.core.satisfy.value == Satisfy::Any && spots::has_auth(spot.conf);
        let Some(client) = spots::outside(&named, &spots::let_in(&spot.conf.access)) else { continue };
        // A list that ends in `deny 0.0.0.0/0` means to block; whom it forgets is `ipv6-clients-not-covered`.
        let forgets_v6 = spot.conf.access.v4.iter().any(|rule| rule.value.deny && rule.value.net.prefix_len() == 0);
        if password || forgets_v6 || reported.contains(last) {
            continue;
        }
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.insert(*last);
        let message = format!(
            "{client} gets in at {} although no `allow` names it: without a `deny` the list blocks nobody",
            spot.name()
        );
        let finding = found.at(*last, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = Edit::insert_after(subject.sources(), last.span, "deny all;") {
            finding.fixed_by(Fix {
                title: "add `deny all;` after the last `allow`".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# allow-without-deny

A list that allows some networks and refuses nobody lets everybody in: a client whom no rule covers is permitted.

## Flagged (nginx, location)
```nginx
allow 10.0.0.0/8;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
```

## Why
The access module declines where no rule holds the address, and a declining module stops nobody. Under `satisfy any` with a
password, an unlisted client still has to log in, so that is not reported.
"#;

//! `access-log-missing`: who tried is not written down.

use std::collections::HashSet;

use super::spots;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "access-log-missing",
    title: "requests to a restricted path are not logged",
    level: Level::Info,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((blocks, http)) = subject.blocks_and_http() else { return };
    let mut reported = HashSet::new();
    for spot in spots::spots(http) {
        let rules = spots::rules(&spot.conf.access).iter().any(|(_, deny, _)| *deny);
        let Some(block) = blocks.opened_by(spot.conf.origin).filter(|_| rules || spots::has_auth(spot.conf)) else {
            continue;
        };
        let Some(off) = blocks.in_force(block, b"access_log").find(|line| line.words == [b"off"]) else { continue };
        if reported.insert(off.origin()) {
            found.at(off.origin(), format!("nobody sees who was refused at {}: nothing is logged there", spot.name()));
        }
    }
}

const PAGE: &str = r#"# access-log-missing

A location keeps clients out, and `access_log off` is in force there. Guesses at a password leave no trace.

## Flagged (nginx, location)
```nginx
access_log off;
allow 10.0.0.0/8;
deny all;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
```

## Why
The error log has a line for each refusal by `deny` and each wrong password, at its own level; the access log has all requests.
"#;

//! `upstream-resolved-once`: a name that is looked up when nginx starts, and never again.

use std::collections::HashSet;

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "upstream-resolved-once",
    title: "a host name is resolved only at start",
    level: Level::Info,
    category: Category::Performance,
    servers: NGINX,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let opened = blocks.http().filter_map(|block| block.opened.as_ref());
    let groups: HashSet<&[u8]> =
        opened.filter(|line| line.name == b"upstream").filter_map(|line| line.words.first().copied()).collect();
    for block in blocks.http() {
        for line in block.lines.iter().filter(|line| matches!(line.name, b"proxy_pass" | b"grpc_pass" | b"server")) {
            let Some(target) = line.words.first().and_then(|word| std::str::from_utf8(word).ok()) else { continue };
            let member = line.name == b"server";
            if member != (block.name() == b"upstream") || (member && line.words.contains(&&b"resolve"[..])) {
                continue;
            }
            let rest = target.split_once("://").map_or(target, |(_, rest)| rest);
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            // A single label is a group, or a container's name; a variable is looked up when it is used.
            let name = host.contains('.') && !rest.contains(['$', '[']) && host.parse::<std::net::IpAddr>().is_err();
            if name && !groups.contains(host.as_bytes()) && !target.starts_with("unix:") {
                let message = format!(
                    "`{host}` is looked up once, when nginx starts: a change of its address goes unnoticed until the next reload"
                );
                found.at(line.origin(), message).advise(
                    "put the name into a variable, with a `resolver`, or say `resolve` in the group (since 1.27.3)",
                );
            }
        }
    }
}

const PAGE: &str = r#"# upstream-resolved-once

A back end is given by a DNS name that stands in the text. nginx resolves it while it reads the configuration, and refuses to start where that fails.

## Flagged (nginx, location)
```nginx
proxy_pass http://localhost.localdomain:9000;
```

## Fixed (nginx, location)
```nginx
resolver 127.0.0.53;
set $up localhost.localdomain;
proxy_pass http://$up:9000;
```

## Why
Only names that come out of variables, and members of a group with `resolve`, are looked up while nginx runs.
"#;

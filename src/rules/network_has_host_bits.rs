//! `network-has-host-bits`: `10.0.0.5/8` means `10.0.0.0/8`.

use super::spots;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use std::net::IpAddr;

pub(super) const RULE: Rule = Rule {
    id: "network-has-host-bits",
    title: "a network with host bits set",
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
    for spot in spots::spots(http) {
        for (origin, _, _) in spots::rules(&spot.conf.access) {
            if reported.contains(&origin) {
                continue;
            }
            reported.push(origin);
            let Ok(text) = std::str::from_utf8(subject.sources().text(origin.span)) else { continue };
            let Some((word, masked, loud)) = text.split([' ', ';', '\t']).find_map(host_bits) else { continue };
            let message = format!("`{word}` means the whole of `{masked}`: the bits behind the prefix do not count");
            let edit = Edit::replace(subject.sources(), origin.span, &text.replace(word, &masked));
            let finding = found.at(origin, message);
            if loud {
                finding.level(Level::Error);
            }
            if let Some(edit) = edit {
                finding.fixed_by(Fix {
                    title: format!("write `{masked}`, which means the same"),
                    edits: vec![edit],
                    commands: Vec::new(),
                    safety: Safety::Safe,
                    then: None,
                });
            }
        }
    }
}

/// A network whose address has bits behind its prefix, the network that it means, and whether one machine was probably meant.
fn host_bits(word: &str) -> Option<(&str, String, bool)> {
    let net: ipnet::IpNet = word.parse().ok()?;
    let masked = net.trunc();
    let one = matches!(net.addr(), IpAddr::V4(ip) if ip.octets()[3] != 0 && net.prefix_len() <= 24);
    (masked != net).then(|| (word, masked.to_string(), one))
}

const PAGE: &str = r#"# network-has-host-bits

The address has bits beyond the prefix. The server takes the whole network; where the last octet is set and the prefix is short, one
machine was probably meant, and the level is error.

## Flagged (nginx, location)
```nginx
allow 10.0.0.5/8;
deny all;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
```

## Why
nginx warns `low address bits of 10.0.0.5/8 are meaningless` at start and masks them.
"#;

//! `network-has-host-bits`: `10.0.0.5/8` means `10.0.0.0/8`.

use std::collections::HashSet;

use super::sections::walk;
use super::spots;
use super::{BOTH, Needs, Rule};
use crate::apache::load::Node;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;
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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        for (origin, _, _) in spots::rules(&spot.conf.access) {
            if reported.contains(&origin) {
                continue;
            }
            reported.insert(origin);
            check_line(subject, found, origin);
        }
    }
}

/// The first network of a line that has host bits.
fn check_line(subject: &Subject, found: &mut Findings, origin: Origin) {
    let Ok(text) = std::str::from_utf8(subject.sources().text(origin.span)) else { return };
    let Some((word, masked, loud)) = text.split([' ', ';', '\t', '\n', '\r']).find_map(host_bits) else { return };
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

/// A network whose address has bits behind its prefix, the network that it means, and whether one machine was probably meant.
fn host_bits(word: &str) -> Option<(&str, String, bool)> {
    let net: ipnet::IpNet = word.parse().ok()?;
    let masked = net.trunc();
    let one = matches!(net.addr(), IpAddr::V4(ip) if ip.octets()[3] != 0 && net.prefix_len() <= 24);
    (masked != net).then(|| (word, masked.to_string(), one))
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let (mut lines, mut noted) = (Vec::new(), HashSet::new());
    let mut note = |node: &Node| {
        let by_address = match node.name() {
            "require" => node.words().any(|word| word.eq_ignore_ascii_case(b"ip")),
            "allow" | "deny" | "remoteipinternalproxy" | "remoteiptrustedproxy" => true,
            _ => false,
        };
        if by_address && noted.insert(node.origin) {
            lines.push(node.origin);
        }
    };
    walk(&config.nodes, &mut |node, _| note(node));
    for file in &layout.files {
        if let Some((_, nodes)) = file.read(subject, config) {
            walk(nodes, &mut |node, _| note(node));
        }
    }
    lines.into_iter().for_each(|origin| check_line(subject, found, origin));
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

## Flagged (apache, directory or .htaccess)
```apache
Require ip 10.0.0.5/8
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 10.0.0.0/8
```

## Why
nginx warns `low address bits of 10.0.0.5/8 are meaningless` at start and masks them.
Apache masks them without a word.
"#;

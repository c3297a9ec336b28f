//! `tls-protocol-weak`: versions of TLS that should be gone.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "tls-protocol-weak",
    title: "SSLv2, SSLv3, TLS 1.0 or TLS 1.1 enabled",
    level: Level::Error,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Every protocol by its name in both servers' directives, oldest first.
const PROTOCOLS: [&str; 6] = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
/// How many of them are weak.
const WEAK: usize = 4;

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn number(name: &[u8]) -> Option<usize> {
    PROTOCOLS.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// `SSLv3 and TLSv1`, for messages.
fn listed(weak: &[usize]) -> String {
    weak.iter().map(|&index| format!("`{}`", PROTOCOLS[index])).collect::<Vec<_>>().join(", ")
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let lines = blocks.all().iter().flat_map(|block| &block.lines);
    for line in lines.filter(|line| line.name == b"ssl_protocols") {
        let on: Vec<usize> = line.words.iter().filter_map(|word| number(word)).collect();
        let weak: Vec<usize> = on.iter().copied().filter(|&index| index < WEAK).collect();
        if weak.is_empty() {
            continue;
        }
        let strong: Vec<&str> = on.iter().filter(|&&index| index >= WEAK).map(|&index| PROTOCOLS[index]).collect();
        let better = format!("ssl_protocols {};", strong.join(" "));
        let edit = Edit::replace(blocks.sources(), line.placed.span(), &better).filter(|_| !strong.is_empty());
        let message = format!("clients may come with {}, which no longer protect what is sent", listed(&weak));
        let finding = found.at(line.origin(), message).advise("`ssl_protocols TLSv1.2 TLSv1.3;`");
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("leave the others", Safety::Safe, vec![edit]));
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        if node.is("sslprotocol") {
            lines.push((node.origin, enabled(node.words())));
        }
    });
    for (origin, on) in lines {
        let weak: Vec<usize> = (0..WEAK).filter(|&index| on[index]).collect();
        if weak.is_empty() {
            continue;
        }
        let strong: Vec<String> =
            (WEAK..PROTOCOLS.len()).filter(|&index| on[index]).map(|index| format!("+{}", PROTOCOLS[index])).collect();
        let better = format!("SSLProtocol -all {}", strong.join(" "));
        let edit = Edit::replace(subject.sources(), origin.span, &better).filter(|_| !strong.is_empty());
        let message = format!("clients may come with {}, which no longer protect what is sent", listed(&weak));
        let finding = found.at(origin, message).advise("`SSLProtocol -all +TLSv1.2 +TLSv1.3`");
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("leave the others", Safety::Safe, vec![edit]));
        }
    }
}

/// What the words of `SSLProtocol` come to, one after the other (`ssl_cmd_protocol_parse`): a word without a sign replaces
/// what stood before it.
fn enabled<'w>(words: impl Iterator<Item = &'w [u8]>) -> [bool; PROTOCOLS.len()] {
    let mut on = [false; PROTOCOLS.len()];
    for word in words {
        let (sign, name) = match word.split_first() {
            Some((sign @ (b'+' | b'-'), name)) => (Some(*sign), name),
            _ => (None, word),
        };
        // Neither SSLv2 nor, in a library of today, SSLv3 belongs to `all`.
        let named =
            |index: usize| if name.eq_ignore_ascii_case(b"all") { index >= 2 } else { number(name) == Some(index) };
        for (index, slot) in on.iter_mut().enumerate() {
            *slot = match sign {
                Some(b'-') => *slot && !named(index),
                Some(_) => *slot || named(index),
                None => named(index),
            };
        }
    }
    on
}

const PAGE: &str = r#"# tls-protocol-weak

TLS 1.0 and 1.1 are withdrawn (RFC 8996), SSL is broken. What the words come to counts: `all -SSLv3` still has TLS 1.0. Whether the library
itself refuses them is its own configuration's business and not seen here.

## Flagged (nginx, server)
```nginx
ssl_protocols TLSv1 TLSv1.2;
```

## Fixed (nginx, server)
```nginx
ssl_protocols TLSv1.2 TLSv1.3;
```

## Flagged (apache, server config)
```apache
SSLProtocol all -SSLv3
```

## Fixed (apache, server config)
```apache
SSLProtocol -all +TLSv1.2 +TLSv1.3
```

## Why
Client and server take the newest version both have, and someone on the way can make them take the oldest.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_added_up_as_the_server_does() {
        let on = |text: &str| {
            let words: Vec<Box<[u8]>> = text.split(' ').map(|word| word.as_bytes().into()).collect();
            let on = enabled(words.iter().map(|word| &**word));
            PROTOCOLS.iter().zip(on).filter(|(_, on)| *on).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(on("all -SSLv3"), "TLSv1 TLSv1.1 TLSv1.2 TLSv1.3");
        assert_eq!(on("all -SSLv3 -TLSv1 -TLSv1.1"), "TLSv1.2 TLSv1.3");
        assert_eq!(on("-all +TLSv1.2"), "TLSv1.2");
        assert_eq!(on("TLSv1.2 TLSv1.3"), "TLSv1.3");
        assert_eq!(on("TLSv1.1 +tlsv1.2"), "TLSv1.1 TLSv1.2");
    }
}

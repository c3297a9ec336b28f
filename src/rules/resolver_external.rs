//! `resolver-external`: names are looked up at a public address.

use std::net::{IpAddr, SocketAddr};

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "resolver-external",
    title: "a public resolver is used",
    level: Level::Warning,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.all().iter().flat_map(|block| block.own(b"resolver")) {
        let public: Vec<String> =
            line.words.iter().filter_map(|word| address(word)).filter(is_public).map(|ip| format!("`{ip}`")).collect();
        if !public.is_empty() {
            let message = format!(
                "names are looked up at {} in clear text: whoever is on the way can choose the answers",
                public.join(", ")
            );
            found.at(line.origin(), message).advise("ask a resolver on this machine or in its network");
        }
    }
}

/// The address of a word of `resolver`, with or without its port.
fn address(word: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(word).ok()?;
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Whether packets to the address leave the site: no private, local or shared address.
fn is_public(ip: &IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || shared)
        }
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            !(ip.is_loopback() || ip.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
        }
    }
}

const PAGE: &str = r#"# resolver-external

`resolver` names an address outside the site. nginx asks over plain UDP with nothing that proves the answer, so whoever is on the way, or
guesses the query's number, chooses where requests are passed.

## Flagged (nginx, server)
```nginx
resolver 8.8.8.8;
```

## Fixed (nginx, server)
```nginx
resolver 127.0.0.53;
```

## Why
nginx has a small resolver of its own, which knows neither DNSSEC nor TLS. One on the same machine can know both.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_shared_addresses_are_not_public() {
        for (word, public) in [
            ("8.8.8.8", true),
            ("[2606:4700::1111]:53", true),
            ("1.1.1.1:5353", true),
            ("127.0.0.11", false),
            ("169.254.169.253", false),
            ("100.100.2.136", false),
            ("[fd00::1]", false),
            ("[::ffff:10.0.0.1]", false),
        ] {
            assert_eq!(address(word.as_bytes()).as_ref().map(is_public), Some(public), "{word}");
        }
        assert_eq!(address(b"valid=30s"), None);
    }
}

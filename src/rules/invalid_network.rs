//! `invalid-network`: what the configuration check refuses where an address is expected.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "invalid-network",
    title: "not an address, network or host that the server accepts here",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: None,
};

/// Whether a directive whose value was refused is one that takes addresses; its problem is then a finding of this rule.
pub(crate) fn takes_addresses(text: &[u8]) -> bool {
    let mut words = text.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default().to_ascii_lowercase();
    match name.as_slice() {
        b"allow" | b"deny" | b"set_real_ip_from" | b"remoteipinternalproxy" | b"remoteiptrustedproxy" => true,
        b"require" => words.find(|word| !word.eq_ignore_ascii_case(b"not")).is_some_and(|word| word == b"ip"),
        _ => false,
    }
}

const PAGE: &str = r#"# invalid-network

An octet above 255, a prefix above 32 or 128, a mask with holes, a host name where only addresses are taken, a list with commas, a range.
The server refuses the configuration.

## Flagged (nginx, location; refused)
```nginx
allow 10.0.0.256;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.25; deny all;
```

## Flagged (apache, directory or .htaccess; refused)
```apache
Require ip 10.0.0.0/33
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 10.0.0.0/24
```

## Why
nginx takes addresses, networks, `all` and `unix:`, no names. Apache takes partial addresses (`10.1`) and refuses a prefix of length 0.
"#;

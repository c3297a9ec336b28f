//! `removed-directive`: what older versions had and this one has not.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::server::Kind;

pub(crate) const RULE: Rule = Rule {
    id: "removed-directive",
    title: "no longer exists in the selected version",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Version,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

/// Directives that are gone: the server, the name in lower case, the first release without it (nginx: the commits that
/// took it out; Apache: "Upgrading to 2.4 from 2.2"), and what is said instead.
const GONE: [(Kind, &str, &str, &str); 14] = [
    (Kind::Nginx, "ssl", "1.25.1", "`listen … ssl`"),
    (Kind::Nginx, "spdy_chunk_size", "1.19.7", "`http2 on`"),
    (Kind::Nginx, "spdy_headers_comp", "1.19.7", "`http2 on`"),
    (Kind::Nginx, "limit_zone", "1.7.6", "`limit_conn_zone`"),
    (Kind::Nginx, "so_keepalive", "1.9.1", "`so_keepalive=` of `listen`"),
    (Kind::Apache, "rewritelog", "2.4", "`LogLevel rewrite:trace3`"),
    (Kind::Apache, "rewriteloglevel", "2.4", "`LogLevel rewrite:trace3`"),
    (Kind::Apache, "rewritelock", "2.4", "`Mutex … rewrite-map`"),
    (Kind::Apache, "lockfile", "2.4", "`Mutex`"),
    (Kind::Apache, "acceptmutex", "2.4", "`Mutex`"),
    (Kind::Apache, "sslmutex", "2.4", "`Mutex … ssl-cache`"),
    (Kind::Apache, "cookielog", "2.4", "`CustomLog` with `%{…}C`"),
    (Kind::Apache, "authzldapauthoritative", "2.4", "nothing: `Require` decides"),
    (Kind::Apache, "authzuserauthoritative", "2.4", "nothing: `Require` decides"),
];

/// What to say of a directive that no table has: since when it is gone, and what replaces it.
pub(crate) fn replacement(kind: Kind, name: &[u8]) -> Option<String> {
    let (_, _, since, instead) =
        GONE.iter().find(|(of, gone, ..)| *of == kind && name.eq_ignore_ascii_case(gone.as_bytes()))?;
    Some(format!("gone since {since}; say {instead}"))
}

const PAGE: &str = r#"# removed-directive

The directive existed once, and the version that is followed has no such name any more; the server refuses the configuration. The advice says
since when, and what is said instead.

## Flagged (nginx, server; refused)
```nginx
ssl on;
```

## Fixed (nginx, server)
```nginx
listen 8443 ssl;
ssl_reject_handshake on;
```

## Flagged (apache, server config; refused)
```apache
RewriteLog "/tmp/x"
```

## Fixed (apache, server config)
```apache
LogLevel rewrite:trace3
```

## Why
Both servers warn for some versions and then take the name out of their tables.
"#;

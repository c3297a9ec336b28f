//! `proxy-header-redefinition`: one `proxy_set_header` of its own, and the back end is told none of those around it.

use super::lost_headers::lost;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "proxy-header-redefinition",
    title: "proxy_set_header in a child drops the parent's headers",
    level: Level::Warning,
    category: Category::Correctness,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Headers by which back ends decide who is asking for what.
const TRUSTED: [&str; 5] = ["Host", "X-Forwarded-For", "X-Real-IP", "Authorization", "X-Forwarded-User"];

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for lost in lost(blocks, b"proxy_set_header") {
        // Where nothing below passes to an HTTP back end, the list is never used.
        if !blocks.inwards(lost.block).any(|inner| inner.own(b"proxy_pass").next().is_some()) {
            continue;
        }
        let message = format!(
            "the back end of {} is not told {}: its own `proxy_set_header` replaces the whole list around it",
            lost.block.shown(),
            lost.names().join(", ")
        );
        lost.report(blocks, message, &TRUSTED, found);
    }
}

const PAGE: &str = r#"# proxy-header-redefinition

A block with one `proxy_set_header` of its own passes on none of those around it. The level is error where a header is lost by which a
back end decides who is asking: Host, X-Forwarded-For, X-Real-IP, Authorization.

## Flagged (nginx, server)
```nginx
proxy_set_header X-Real-IP $remote_addr;
location /a/ { proxy_pass http://127.0.0.1:9000; proxy_set_header X-A b; }
```

## Fixed (nginx, server)
```nginx
proxy_set_header X-Real-IP $remote_addr;
location /a/ { proxy_pass http://127.0.0.1:9000; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-A b; }
```

## Why
`proxy_set_header` is one setting that is a list, and a block's own list replaces the inherited one.
"#;

//! `header-redefinition`: one `add_header` of its own, and the block sends none of those around it.

use super::lost_headers::lost;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "header-redefinition",
    title: "add_header in a child drops the parent's headers",
    level: Level::Warning,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Headers whose absence browsers take as leave.
const PROTECTIVE: [&str; 4] =
    ["Strict-Transport-Security", "Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options"];

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for lost in lost(blocks, b"add_header") {
        // `merge` keeps the outer list, `off` says that it is not wanted.
        let inherit = blocks.in_force(lost.block, b"add_header_inherit").last();
        if inherit.is_some_and(|line| matches!(line.words[..], [b"merge" | b"off"])) {
            continue;
        }
        let message = format!(
            "answers of {} come without {}: its own `add_header` replaces the whole list around it",
            lost.block.shown(),
            lost.names().join(", ")
        );
        lost.report(blocks, message, &PROTECTIVE, found);
    }
}

const PAGE: &str = r#"# header-redefinition

A block with one `add_header` of its own sends none of those around it. The level is error where a header is lost whose absence browsers
take as leave: Strict-Transport-Security, Content-Security-Policy, X-Frame-Options, X-Content-Type-Options.

## Flagged (nginx, server)
```nginx
add_header X-Content-Type-Options nosniff;
location /a/ { add_header X-A b; }
```

## Fixed (nginx, server)
```nginx
add_header X-Content-Type-Options nosniff;
location /a/ { add_header X-Content-Type-Options nosniff; add_header X-A b; }
```

## Why
`add_header` is one setting that is a list, and a block's own list replaces the inherited one. Since 1.29.3 `add_header_inherit merge`
adds to it instead; with that, or with `off`, which says that it is meant so, nothing is reported.
"#;

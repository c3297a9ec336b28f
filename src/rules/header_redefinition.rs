//! `header-redefinition`: one `add_header` of its own, and the block sends none of those around it.

use super::lost_headers::{self, lost};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
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
        let related = lost.lines.iter().take(5).map(|line| found.related(line.origin(), "is not sent here")).collect();
        let text = lost_headers::text(blocks, &lost);
        let edit = text.and_then(|text| Edit::insert_before(blocks.sources(), lost.first.placed.span, &text));
        let finding = found.at(lost.first.origin(), message);
        finding.related = related;
        if lost.has(&PROTECTIVE) {
            finding.level(Level::Error);
        }
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("repeat the outer headers here", Safety::Safe, vec![edit]));
        }
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

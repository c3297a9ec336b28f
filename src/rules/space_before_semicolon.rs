//! `space-before-semicolon`: a blank that belongs nowhere.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "space-before-semicolon",
    title: "blank before a semicolon",
    level: Level::Info,
    category: Category::Style,
    servers: NGINX,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.all().iter().flat_map(|block| &block.lines) {
        let text = blocks.sources().text(line.placed.span());
        let Some(rest) = text.strip_suffix(b";").filter(|_| !line.placed.is_block()) else { continue };
        let plain = rest.trim_ascii_end();
        // A comment in between, or the last word on a line of its own, is layout of another kind.
        if plain.len() == rest.len() || rest[plain.len()..].contains(&b'\n') || plain.contains(&b'\n') {
            continue;
        }
        let better = std::str::from_utf8(plain).ok().map(|plain| format!("{plain};"));
        let edit = better.and_then(|better| Edit::replace(blocks.sources(), line.placed.span(), &better));
        let finding = found.at(line.origin(), "a blank stands before the `;`");
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("take the blank out", Safety::Safe, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# space-before-semicolon

Pure layout.

## Flagged (nginx, http)
```nginx
server_tokens off ;
```

## Fixed (nginx, http)
```nginx
server_tokens off;
```

## Why
nginx does not mind.
"#;

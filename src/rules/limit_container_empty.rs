//! `limit-container-empty`: a `limit_except` that limits nothing.

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::request::Method;

pub(super) const RULE: Rule = Rule {
    id: "limit-container-empty",
    title: "limit_except without a rule restricts nothing by itself",
    level: Level::Warning,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for spot in subject.spots() {
        let Some(limit) = spot.location().and_then(|location| location.limit_except.as_deref()) else { continue };
        let Some(block) = blocks.opened_by(limit.origin).filter(|block| block.lines.is_empty()) else { continue };
        let limited = [(Method::POST, "POST"), (Method::PUT, "PUT"), (Method::GET, "GET")];
        let Some((_, method)) = limited.into_iter().find(|(bit, _)| limit.methods & bit.0 == 0) else { continue };
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, method, path, client, &[], "403")?;
            (asked.landed_in() == spot.location().map(|location| location.origin) && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = format!("{method} is not refused at {}: this block holds no rule", spot.name());
        let edit = Edit::append_to_block(
            blocks.sources(),
            block.opened.as_ref().map_or(limit.origin.span, |line| line.placed.span()),
            "deny all;",
        );
        let finding = found.at(limit.origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("refuse the other methods", Safety::Review, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# limit-container-empty

`limit_except GET { }` names the methods that its content is *not* for, and it has no content: nothing is refused. Files answer other methods
with 405 by themselves, back ends and scripts get them.

## Flagged (nginx, location)
```nginx
limit_except GET { }
```

## Fixed (nginx, location)
```nginx
limit_except GET { deny all; }
```

## Why
The block is a record of settings for all other methods, inherited from its location. What it does not say is as in the location.
"#;

//! `geo-or-map-opens-by-default`: a list whose entries and default say the same.

use super::guards::{guards, holds, values, variable};
use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "geo-or-map-opens-by-default",
    title: "the default branch of an access map lets everyone in",
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
    let spots = subject.spots();
    for guard in guards(blocks).filter(|guard| guard.refusal.is_some()) {
        let Some(name) = variable(&guard.condition) else { continue };
        let Some(values) = values(blocks, name).filter(|values| values.all.len() == 1) else { continue };
        if holds(&guard.condition, &values.all[0]) != Some(false) {
            continue;
        }
        let Some(spot) = guard.spot(spots) else { continue };
        let asked = spot.paths().iter().find_map(|path| {
            ask_for(subject, spot.server, "GET", path, spots::stranger(), &[], "a refusal")
                .filter(spots::Asked::gets_in)
        });
        let Some(asked) = asked else { continue };
        let kind = String::from_utf8_lossy(values.by.name).into_owned();
        let shown = String::from_utf8_lossy(&values.all[0]).into_owned();
        let message =
            format!("any client gets in: every entry of this `{kind}` and its default are `{shown}`, which is let in");
        let related = found.related(guard.line.origin(), "refuses nobody");
        found.at(values.by.origin(), message).with(related).proven_by(asked.witness, asked.certainty);
    }
}

const PAGE: &str = r#"# geo-or-map-opens-by-default

A `geo` or `map` decides who is refused, and its default (the empty text, where it has none) lets in, as all of its entries do: the list
restricts nobody. A list of those to be refused, with a default that lets in, is not reported.

## Flagged (nginx, http)
```nginx
geo $allowed { default 1; 10.0.0.0/8 1; }
server { if ($allowed = 0) { return 403; } }
```

## Fixed (nginx, http)
```nginx
geo $allowed { default 0; 10.0.0.0/8 1; }
server { if ($allowed = 0) { return 403; } }
```

## Why
What no entry covers has the default's value, and most clients are covered by no entry.
"#;

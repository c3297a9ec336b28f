//! `referer-check-lets-empty-pass`: who sends no Referer is let in.

use std::collections::HashSet;

use super::guards::{guards, variable};
use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "referer-check-lets-empty-pass",
    title: "valid_referers accepts requests without a Referer",
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
    let spots = subject.spots();
    let mut reported = HashSet::new();
    for guard in guards(blocks).filter(|guard| guard.refusal.is_some()) {
        let on_referer = variable(&guard.condition).is_some_and(|name| name.eq_ignore_ascii_case(b"invalid_referer"));
        let Some(spot) = guard.spot(spots).filter(|_| on_referer) else { continue };
        let referers = &spot.conf.referer;
        let Some(origin) = referers.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let (headers, what): (&[(&str, &str)], &str) = match (referers.none, referers.blocked) {
            (true, _) => (&[], "without a Referer"),
            (false, true) => (&[("Referer", "hidden")], "whose Referer is no URL"),
            (false, false) => continue,
        };
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let asked = spot.paths().iter().find_map(|path| {
            ask_for(subject, spot.server, "GET", path, client, headers, "a refusal").filter(spots::Asked::gets_in)
        });
        let Some(asked) = asked else { continue };
        reported.insert(origin);
        let message = format!("a request {what} gets in at {}: the check is the client's choice", spot.name());
        let related = found.related(guard.line.origin(), "refuses the others");
        found.at(origin, message).with(related).proven_by(asked.witness, asked.certainty);
    }
}

const PAGE: &str = r#"# referer-check-lets-empty-pass

`none` and `blocked` in `valid_referers` let requests pass that say nothing about where they come from, and every client can say nothing.
Against links on other pages that is good enough, since browsers send the header there; as a protection it is none. Browsers that are told
to send no Referer are refused without these words.

## Flagged (nginx, server)
```nginx
location /img/ { valid_referers none blocked a.test; if ($invalid_referer) { return 403; } }
```

## Fixed (nginx, server)
```nginx
location /img/ { valid_referers a.test; if ($invalid_referer) { return 403; } }
```

## Why
`none` stands for a missing header, `blocked` for one whose value does not begin with `http://` or `https://`.
"#;

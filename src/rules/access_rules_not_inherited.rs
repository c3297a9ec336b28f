//! `access-rules-not-inherited`: a block with a rule of its own loses the list around it.

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "access-rules-not-inherited",
    title: "a child block's own rules silently replace the parent's list",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    for spot in subject.spots() {
        let outer = spot.outer(http);
        let (mine, theirs) = (spots::rules(&spot.conf.access), spots::rules(&outer.access));
        if !spot.has_own_access(http) || theirs.is_empty() || mine.is_empty() {
            continue;
        }
        let deliberate = matches!(mine.as_slice(), [(_, false, _)])
            && spots::let_in(&spot.conf.access) == crate::ipset::IpSet::all();
        let opened = deliberate && subject.sources().text(mine[0].0.span).windows(3).any(|word| word == b"all");
        if opened {
            continue;
        }
        let Some(client) = spots::outside(&spots::let_in(&outer.access), &spots::let_in(&spot.conf.access)) else {
            continue;
        };
        let first = mine.iter().map(|(origin, _, _)| *origin).min().unwrap_or(spot.conf.origin);
        let outer_first = theirs.iter().map(|(origin, _, _)| *origin).min().unwrap_or(outer.origin);
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal by the outer list")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        // A password may still stop the client: then the lists differ, and nobody gets in by it.
        let Some(asked) = asked else { continue };
        let message = format!("{client} gets in at {}: its own rules replace the whole list around it", spot.name());
        let related = found.related(outer_first, "this list is not consulted here");
        found
            .at(first, message)
            .with(related)
            .proven_by(asked.witness, asked.certainty)
            .advise("repeat the outer list in this block");
    }
}

const PAGE: &str = r#"# access-rules-not-inherited

A location, server or `limit_except` that has one `allow` or `deny` of its own inherits none of those around it. Reported when
the block then lets in a client whom the outer list keeps out, unless all it says is `allow all`.

## Flagged (nginx, server)
```nginx
allow 10.0.0.0/8;
deny all;
location /api/ { deny 203.0.113.9; }
```

## Fixed (nginx, server)
```nginx
allow 10.0.0.0/8;
deny all;
location /api/ { deny 203.0.113.9; allow 10.0.0.0/8; deny all; }
```

## Why
`allow` and `deny` are one setting that is a list. nginx merges lists by replacing: a block's own list, if it has one entry, is the
whole list, for all address families at once.
"#;

//! `rewrite-condition-detached`: a condition of nothing.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "rewrite-condition-detached",
    title: "a `RewriteCond` without a rule",
    level: Level::Warning,
    category: Category::Correctness,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    // Conditions that wait for their rule, by the section they stand in.
    let mut open: Vec<(Option<Origin>, Origin)> = Vec::new();
    every(subject, config, layout, &mut |line| {
        if !line.node.name().starts_with("rewrite") {
            return;
        }
        let here = match (line.around.last(), line.file) {
            (Some(section), _) => Some(section.origin),
            (None, Some(_)) => line.spot(layout).map(|spot| spot.section.origin),
            (None, None) => None,
        };
        if line.node.is("rewritecond") {
            open.push((here, line.node.origin));
        } else if line.node.is("rewriterule") {
            open.retain(|(place, _)| *place != here);
        }
    });
    let mut reported: Vec<Option<Origin>> = Vec::new();
    for (place, origin) in open {
        if !reported.contains(&place) {
            reported.push(place);
            found.at(origin, "no `RewriteRule` follows in this section: the condition guards nothing");
        }
    }
}

const PAGE: &str = r#"# rewrite-condition-detached

A `RewriteCond` belongs to the next `RewriteRule` of the same section or file. With none it guards nothing.

## Flagged (apache, directory or .htaccess)
```apache
RewriteEngine On
RewriteCond "%{REMOTE_ADDR}" "!^10\."
```

## Fixed (apache, directory or .htaccess)
```apache
RewriteEngine On
RewriteCond "%{REMOTE_ADDR}" "!^10\."
RewriteRule "^admin" "-" [F]
```

## Why
Conditions are kept until the next rule of the same place and then forgotten, so they are no `if` for what comes later, and end with the section or file.
"#;

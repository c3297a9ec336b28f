//! `rewrite-needs-symlinks-option`: every request of the directory is refused.

use super::lines::every;
use super::sections::name;
use super::spots::stranger;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "rewrite-needs-symlinks-option",
    title: "rewriting in a directory without leave to follow links answers 403",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut engines = Vec::new();
    every(subject, config, layout, &mut |line| {
        if line.node.is("rewriteengine") && line.says(0, "on") {
            engines.extend(line.spot(layout).map(|spot| (line.node.origin, spot)));
        }
    });
    for (origin, spot) in engines {
        let refused = layout.find(subject, spot, stranger(), "200", |asked| {
            asked.run.decision.as_ref().is_some_and(|decision| decision.cause.code == "apache/rewrite-options-off")
        });
        let Some(asked) = refused else { continue };
        let options =
            asked.run.decision.as_ref().and_then(|decision| decision.directive).filter(|other| *other != origin);
        let related: Vec<_> =
            options.map(|options| found.related(options, "allows no links to be followed")).into_iter().collect();
        let message = format!(
            "every request of {} gets 403: rewriting needs `FollowSymLinks` or `SymLinksIfOwnerMatch`",
            name(&spot.section)
        );
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("add `Options +SymLinksIfOwnerMatch`");
    }
}

const PAGE: &str = r#"# rewrite-needs-symlinks-option

`RewriteEngine On` in a directory where neither `FollowSymLinks` nor `SymLinksIfOwnerMatch` is in force: the server refuses every request below it, whether a rule
matches or not.

## Flagged (apache, server config)
```apache
<Directory "/srv/www">
    Options None
    RewriteEngine On
    Require all granted
</Directory>
```

## Fixed (apache, server config)
```apache
<Directory "/srv/www">
    Options SymLinksIfOwnerMatch
    RewriteEngine On
    Require all granted
</Directory>
```

## Why
A rewrite could lead around the check of links, so mod_rewrite refuses (403, AH00670) to work where links are not followed.
"#;

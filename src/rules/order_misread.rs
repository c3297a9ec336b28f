//! `order-misread`: a list that restricts nobody.

use super::sections::name;
use super::spots::{Asked, stranger};
use super::{APACHE, Needs, Rule};
use crate::apache::access::compat::{From, Order};
use crate::apache::model::M_GET;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "order-misread",
    title: "`Order` lets in whom the lines do not name",
    level: Level::Warning,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for spot in &layout.spots {
        let Some(record) = &spot.section.conf.access_compat else { continue };
        let restricts_nobody = record.order_for(M_GET).value == Order::DenyThenAllow
            && record.denies.is_empty()
            && !record.allows.is_empty()
            && !record.allows.iter().any(|entry| entry.from == From::All);
        let Some(line) = record.allows.first().filter(|_| restricts_nobody) else { continue };
        let Some(asked) = layout.find(subject, spot, stranger(), "403", Asked::is_past_the_rules) else { continue };
        let message = format!(
            "strangers get in at {}: with `Order deny,allow` and no `Deny` line, whoever is not named is let in",
            name(&spot.section)
        );
        found
            .at(line.origin(), message)
            .proven_by(asked.witness, asked.certainty)
            .advise("add `Deny from all`, or say it with `Require ip`");
    }
}

const PAGE: &str = r#"# order-misread

`Allow` lines under `Order deny,allow` (the default) are exceptions from `Deny` lines. Without any `Deny` they restrict nobody: a client that no line names gets in.

## Flagged (apache, directory or .htaccess)
```apache
Order deny,allow
Allow from 10.0.0.0/8
```

## Fixed (apache, directory or .htaccess)
```apache
Order deny,allow
Deny from all
Allow from 10.0.0.0/8
```

## Why
The word behind the comma is the default as well as the list that is read last: under `deny,allow` a client that neither list names is let in, under `allow,deny` it is refused.
"#;

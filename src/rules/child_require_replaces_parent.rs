//! `child-require-replaces-parent`: a child that starts from nothing.

use super::sections::{Spot, name};
use super::verdicts::{Verdict, clients, denies_all, grants_all, has_rules, tree, verdict};
use super::{APACHE, Needs, Rule};
use crate::apache::access::authz_core::Logic;
use crate::apache::model::{M_GET, Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;
use std::collections::HashMap;

pub(super) const RULE: Rule = Rule {
    id: "child-require-replaces-parent",
    title: "a nested directory widens access because authorization is replaced, not merged",
    level: Level::Warning,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    let dir = |spot: &Spot| match (spot.section.place, &spot.section.matcher) {
        (Place::Directory | Place::Htaccess, Matcher::Literal(dir)) => Some(dir.clone()),
        _ => None,
    };
    let mut by_dir: HashMap<Vec<u8>, Vec<&Spot>> = HashMap::new();
    for spot in layout.spots.iter().filter(|spot| tree(&spot.section.conf).is_some()) {
        if let Some(dir) = dir(spot) {
            by_dir.entry(dir).or_default().push(spot);
        }
    }
    for spot in &layout.spots {
        let conf = &spot.section.conf;
        let Some(own) = tree(conf) else { continue };
        if conf.authz_core.as_ref().and_then(|record| record.op).is_some_and(|op| op.value != Logic::Off) {
            continue;
        }
        // A section inside another replaces that one; else the nearest directory around it with rules of its own.
        let parent = match &spot.outer {
            Some(outer) if has_rules(&outer.conf) => layout.spot(outer.origin),
            _ => dir(spot).and_then(|dir| {
                let slashes = (0..dir.len().saturating_sub(1)).rev().filter(|&at| dir[at] == b'/');
                slashes.filter_map(|at| by_dir.get(&dir[..=at])).flatten().copied().find(|parent| {
                    parent.server == 0 || parent.server == spot.server || spot.section.place == Place::Htaccess
                })
            }),
        };
        // Opening one place below a general denial is how a whitelist is written.
        let Some(parent) =
            parent.filter(|parent| !denies_all(&parent.section.conf) && !grants_all(&parent.section.conf))
        else {
            continue;
        };
        let Some(above) = tree(&parent.section.conf) else { continue };
        let wider = clients(&[conf, &parent.section.conf]).into_iter().find_map(|client| {
            let (before, after) = (verdict(&parent.section.conf, client, M_GET)?, verdict(conf, client, M_GET)?);
            (after > before).then_some((client, before, after))
        });
        let Some((client, before, after)) = wider else { continue };
        let expected = if before == Verdict::Refused { "403" } else { "401" };
        let asked = layout.find(subject, spot, client, expected, |asked| {
            let seen = if after == Verdict::In {
                asked.is_past_the_rules()
            } else {
                asked.run.outcome == Outcome::Response(401)
            };
            seen && asked.met(&parent.section) && asked.run.seen.sections.last() == Some(&spot.section.origin)
        });
        let Some(asked) = asked else { continue };
        let gets = match (before, after) {
            (Verdict::Refused, Verdict::Password) => "may log in",
            _ => "gets in",
        };
        let message = format!(
            "{client} {gets} at {}, which {} does not let it: the rules here replace that section's, they are not added",
            name(&spot.section),
            name(&parent.section)
        );
        let (Some(place), Some(other)) = (own.origin, above.origin) else { continue };
        let related = found.related(other, "is replaced");
        found
            .at(place, message)
            .with(related)
            .proven_by(asked.witness, asked.certainty)
            .advise("`AuthMerging And` beside it makes both necessary");
    }
}

const PAGE: &str = r#"# child-require-replaces-parent

A directory below a restricted one has rules of its own that let somebody in whom the parent refuses, or whom the parent asks for a password. Not reported
below a plain `Require all denied`: opening one place under a general denial is how a whitelist is written.

## Flagged (apache, server config)
```tree
/srv/www/p/sub/x: text
```
```apache
<Directory "/srv/www/p">
    Require ip 10.0.0.0/8
</Directory>
<Directory "/srv/www/p/sub">
    Require valid-user
    AuthType Basic
    AuthName "x"
    AuthUserFile "/etc/apache2/pw"
</Directory>
```

## Fixed (apache, server config)
```tree
/srv/www/p/sub/x: text
```
```apache
<Directory "/srv/www/p">
    Require ip 10.0.0.0/8
</Directory>
<Directory "/srv/www/p/sub">
    AuthMerging And
    Require valid-user
    AuthType Basic
    AuthName "x"
    AuthUserFile "/etc/apache2/pw"
</Directory>
```

## Why
`AuthMerging` is `Off` by default: of all the sections that match a request, the last one with `Require` lines is the only one that counts.
"#;

//! `mixed-access-styles`: two gates in a row.

use super::sections::{Layout, Spot, name};
use super::spots::{Asked, stranger};
use super::verdicts::{require, tree};
use super::{APACHE, Needs, Rule};
use crate::apache::model::M_GET;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "mixed-access-styles",
    title: "Order/Allow/Deny and Require act on the same request",
    level: Level::Error,
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
    let old_style = |spot: &Spot| spot.section.conf.access_compat.as_ref().is_some_and(|record| record.has_lists());
    if !layout.spots.iter().any(old_style) {
        return;
    }
    let mut reported: HashSet<(Origin, Origin)> = HashSet::new();
    for spot in layout.spots.iter().filter(|spot| old_style(spot) || tree(&spot.section.conf).is_some()) {
        for (server, url) in layout.urls(spot) {
            let Some(asked) = layout.ask(subject, server, &url, stranger(), "200") else { continue };
            if !asked.met(&spot.section) {
                continue;
            }
            report(layout, asked, &mut reported, found);
            break;
        }
    }
}

/// The lists and the tree in force for a request, where they contradict each other about a stranger.
fn report(layout: &Layout, asked: Asked, reported: &mut HashSet<(Origin, Origin)>, found: &mut Findings) {
    let met: Vec<&Spot> = asked.run.seen.sections.iter().filter_map(|origin| layout.spot(*origin)).collect();
    let last = |fits: &dyn Fn(&Spot) -> bool| met.iter().rposition(|spot| fits(spot));
    let lists = last(&|spot| spot.section.conf.access_compat.is_some());
    let rules = last(&|spot| tree(&spot.section.conf).is_some());
    let (Some(lists), Some(rules)) = (lists, rules) else { return };
    let (old, new) = (met[lists], met[rules]);
    let (Some(record), Some(requirement)) = (&old.section.conf.access_compat, tree(&new.section.conf)) else { return };
    if record.satisfy_any(M_GET).value || !record.has_lists() || !asked.is_refused_by_rule() {
        return;
    }
    let (Some(by_list), Some(by_rule)) = (record.lets_in(stranger(), M_GET), require(requirement, stranger(), M_GET))
    else {
        return;
    };
    let (Some(list_line), Some(rule_line)) = (record.origin(), requirement.origin) else { return };
    // A child's list that bans a few, or a login below `Allow from all`, is no contradiction: here one style lets a
    // stranger in, at least as late as the other shuts it out.
    let (at, other, message) = match (by_list, by_rule) {
        (false, super::verdicts::Verdict::In) if rules >= lists => (
            list_line,
            rule_line,
            format!(
                "strangers get 403 although {} grants: Order, Allow and Deny must let the client in as well",
                name(&new.section)
            ),
        ),
        (true, super::verdicts::Verdict::Refused) if lists >= rules && !record.allows.is_empty() => (
            rule_line,
            list_line,
            format!(
                "strangers get 403 although {} allows them: `Require` must let the client in as well",
                name(&old.section)
            ),
        ),
        _ => return,
    };
    if reported.insert((at, other)) {
        let related = found.related(other, "lets the same client in");
        found
            .at(at, message)
            .with(related)
            .proven_by(asked.witness, asked.certainty)
            .advise("say it once, with `Require`, and drop Order, Allow and Deny");
    }
}

const PAGE: &str = r#"# mixed-access-styles

For one request both the old directives (`Order`, `Allow`, `Deny`) and `Require` are in force, from one section or from several, and they contradict each
other: one lets a stranger in, the other does not. Both must let the client in, unless `Satisfy Any` is set.

## Flagged (apache, directory or .htaccess)
```apache
Order deny,allow
Deny from all
Require all granted
```

## Fixed (apache, directory or .htaccess)
```apache
Require all granted
```

## Why
The two styles belong to two modules, mod_access_compat and mod_authz_core, and each inherits its own directives by its own rules: a `Require` in a
child section does not replace the `Deny from all` of a parent. Both modules are asked.
"#;

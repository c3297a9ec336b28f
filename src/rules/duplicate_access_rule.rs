//! `duplicate-access-rule`: the same network twice in one list.

use std::collections::HashSet;

use ipnet::IpNet;

use super::spots;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "duplicate-access-rule",
    title: "the same network is listed twice",
    level: Level::Info,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let mut seen = HashSet::new();
    for spot in subject.spots() {
        // An inherited list is the same list: it is judged where it stands.
        if !seen.insert(std::sync::Arc::as_ptr(&spot.conf.access)) {
            continue;
        }
        let mut rules = spots::rules(&spot.conf.access);
        rules.sort_by_key(|(origin, _, _)| *origin);
        for (index, rule) in rules.iter().enumerate() {
            let Some((first, _, _)) = rules[..index].iter().find(|earlier| repeats(rule, earlier)) else { continue };
            let text = crate::sentence::ticked(subject.sources().text(rule.0.span).trim_ascii_end());
            let related = found.related(*first, "says the same");
            let edit = Edit::delete(subject.sources(), rule.0.span);
            let finding = found.at(rule.0, format!("{text} says again what stands above")).with(related);
            if let Some(edit) = edit {
                finding.fixed_by(Fix::text("delete it", Safety::Safe, vec![edit]));
            }
        }
    }
}

/// Whether a rule says what an earlier one said: the same networks, the same verdict.
pub(super) fn repeats(rule: &(Origin, bool, Vec<IpNet>), earlier: &(Origin, bool, Vec<IpNet>)) -> bool {
    let nets = |rule: &(Origin, bool, Vec<IpNet>)| {
        let mut nets: Vec<IpNet> = rule.2.iter().map(IpNet::trunc).collect();
        nets.sort();
        nets
    };
    !rule.2.is_empty() && rule.1 == earlier.1 && nets(rule) == nets(earlier)
}

const PAGE: &str = r#"# duplicate-access-rule

One list has the same network twice with the same verdict; `10.0.0.1` and `10.0.0.1/32` are the same. What is covered by a *wider* entry is
`access-rule-shadowed`'s.

## Flagged (nginx, location)
```nginx
allow 10.0.0.1;
allow 10.0.0.1/32;
deny all;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.1;
deny all;
```

## Why
The first rule that holds the client decides, so the second of two equal ones never does.
"#;

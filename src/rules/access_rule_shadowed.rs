//! `access-rule-shadowed`: an entry whose clients were all decided by entries above it.

use super::spots;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::ipset::IpSet;
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "access-rule-shadowed",
    title: "an allow or deny entry can never decide",
    level: Level::Warning,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    if let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) {
        let mut seen: Vec<*const crate::nginx::model::AccessConf> = Vec::new();
        for spot in spots::spots(http) {
            // An inherited list is the same list: it is judged where it stands.
            let list = std::sync::Arc::as_ptr(&spot.conf.access);
            if !seen.contains(&list) {
                seen.push(list);
                check_list(subject, found, &spots::rules(&spot.conf.access));
            }
        }
    }
}

fn check_list(subject: &Subject, found: &mut Findings, rules: &[(Origin, bool, Vec<ipnet::IpNet>)]) {
    let mut ordered: Vec<_> = rules.iter().collect();
    ordered.sort_by_key(|(origin, _, _)| *origin);
    for (index, (origin, deny, nets)) in ordered.iter().enumerate() {
        let mut mine = IpSet::new();
        nets.iter().for_each(|net| mine.insert(*net));
        let mut above = IpSet::new();
        ordered[..index].iter().flat_map(|(_, _, nets)| nets).for_each(|net| above.insert(*net));
        if nets.is_empty() || !mine.is_within(&above) {
            continue;
        }
        let touches = |other: &[ipnet::IpNet]| {
            let mut rest = mine.clone();
            let mut theirs = IpSet::new();
            other.iter().for_each(|net| theirs.insert(*net));
            rest.subtract(&theirs);
            rest != mine
        };
        let covering: Vec<_> = ordered[..index].iter().filter(|(_, _, nets)| touches(nets)).collect();
        let opposite = covering.iter().any(|(_, verdict, _)| verdict != deny);
        let text = crate::sentence::ticked(subject.sources().text(origin.span).trim_ascii_end());
        let message = match opposite {
            true => format!(
                "{text} never decides: the entries above it have decided every one of its clients, some the other way"
            ),
            false => {
                format!("{text} never decides: the entries above it have decided every one of its clients the same way")
            }
        };
        let related: Vec<_> = covering.iter().map(|(other, _, _)| found.related(*other, "decides first")).collect();
        let finding = found.at(*origin, message);
        finding.related = related;
        if opposite {
            finding.level(Level::Error);
            let above = covering.iter().find(|(_, verdict, _)| verdict != deny).map(|(other, _, _)| other.span);
            let line = subject.sources().text(origin.span);
            if let (Some(above), Ok(line)) = (above, std::str::from_utf8(line))
                && let (Some(insert), Some(delete)) =
                    (Edit::insert_before(subject.sources(), above, line), Edit::delete(subject.sources(), origin.span))
            {
                finding.fixed_by(fix(
                    "move it above the entry that decides first",
                    vec![insert, delete],
                    Safety::Review,
                ));
            }
        } else if let Some(delete) = Edit::delete(subject.sources(), origin.span) {
            finding.fixed_by(fix("delete the entry", vec![delete], Safety::Safe));
        }
    }
}

fn fix(title: &str, edits: Vec<Edit>, safety: Safety) -> Fix {
    Fix { title: title.to_owned(), edits, commands: Vec::new(), safety, then: None }
}

const PAGE: &str = r#"# access-rule-shadowed

The first entry that covers a client decides, so an entry whose addresses lie in those above it is never consulted. With the same
verdict it is clutter; with the opposite one, somebody believes in it: then the level is error.

## Flagged (nginx, location)
```nginx
deny all;
allow 10.0.0.1;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.1;
deny all;
```

## Flagged (nginx, location)
```nginx
allow 10.0.0.0/8;
deny 10.6.6.6;
deny all;
```

## Fixed (nginx, location)
```nginx
deny 10.6.6.6;
allow 10.0.0.0/8;
deny all;
```

## Why
nginx keeps one list for IPv4, one for IPv6 and one for unix sockets, each in the order of the text, and stops at the first entry that
holds the client's address.
"#;

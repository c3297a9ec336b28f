//! `access-rule-shadowed`: an entry whose clients were all decided by entries above it.

use std::collections::HashSet;

use super::spots;
use super::verdicts::{lines, tree};
use super::{BOTH, Needs, Rule};
use crate::apache::access::authz_core::{Logic, Node as Requirement, Rule as Required};
use crate::apache::access::compat::{Entry, From, Order};
use crate::apache::access::providers::Provider;
use crate::apache::model::{M_GET, MethodSet};
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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut seen = HashSet::new();
    for spot in subject.spots() {
        // An inherited list is the same list: it is judged where it stands.
        if seen.insert(std::sync::Arc::as_ptr(&spot.conf.access)) {
            check_list(subject, found, &spots::rules(&spot.conf.access));
        }
    }
}

fn check_list(subject: &Subject, found: &mut Findings, rules: &[(Origin, bool, Vec<ipnet::IpNet>)]) {
    let mut ordered: Vec<_> = rules.iter().collect();
    ordered.sort_by_key(|(origin, _, _)| *origin);
    let mut above = IpSet::new();
    for (index, (origin, deny, nets)) in ordered.iter().enumerate() {
        let mut mine = IpSet::new();
        nets.iter().for_each(|net| mine.insert(*net));
        let covered = !nets.is_empty() && mine.is_within(&above);
        nets.iter().for_each(|net| above.insert(*net));
        if !covered {
            continue;
        }
        // The same network with the same verdict is `duplicate-access-rule`'s.
        if ordered[..index].iter().any(|earlier| super::duplicate_access_rule::repeats(ordered[index], earlier)) {
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

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for spot in &layout.spots {
        if let Some(tree) = tree(&spot.section.conf) {
            alternatives(subject, found, tree, 0);
        }
        let Some(record) = &spot.section.conf.access_compat else { continue };
        // The list that is looked at last has the last word: what it covers, the other cannot decide.
        let (losing, winning) = match record.order_for(M_GET).value {
            Order::AllowThenDeny => (&record.allows, &record.denies),
            Order::DenyThenAllow => (&record.denies, &record.allows),
            Order::MutualFailure => continue,
        };
        let covered = union(winning);
        for entry in losing.iter().filter(|entry| entry.limited == MethodSet::ALL) {
            let Some(mine) = clients_of(entry).filter(|mine| mine.is_within(&covered)) else { continue };
            let touching = winning.iter().filter(|other| {
                let mut rest = mine.clone();
                clients_of(other).iter().for_each(|theirs| rest.subtract(theirs));
                rest != mine
            });
            let related: Vec<_> =
                touching.take(5).map(|other| found.related(other.origin(), "decides instead")).collect();
            let text = crate::sentence::ticked(subject.sources().text(entry.origin().span).trim_ascii_end());
            let message =
                format!("{text} never decides: the other list covers all of its clients and has the last word");
            let finding = found.at(entry.origin(), message).level(Level::Error);
            finding.related = related;
            finding.advise("change the order, or drop the entry");
        }
    }
}

/// The addresses of an entry; `None` where a variable or a name decides.
fn clients_of(entry: &Entry) -> Option<IpSet> {
    match &entry.from {
        From::All => Some(IpSet::all()),
        From::Ip(network) => Some([network.net()?].into_iter().collect()),
        From::Env(_) | From::NotEnv(_) | From::Host(_) => None,
    }
}

fn union(entries: &[Entry]) -> IpSet {
    let mut all = IpSet::new();
    for set in entries.iter().filter(|entry| entry.limited == MethodSet::ALL).filter_map(clients_of) {
        set.nets().into_iter().for_each(|net| all.insert(net));
    }
    all
}

/// `Require ip` lines of a `<RequireAny>`, implicit or not, whose addresses are all in lines beside them.
fn alternatives(subject: &Subject, found: &mut Findings, node: &Requirement, depth: usize) {
    let Required::Container(logic, children) = &node.rule else { return };
    if depth > 32 {
        return;
    }
    children.iter().for_each(|child| alternatives(subject, found, child, depth + 1));
    if *logic == Logic::And {
        return;
    }
    let sets: Vec<(&Requirement, IpSet)> =
        children.iter().filter_map(|child| Some((child, addresses(child)?))).collect();
    for (index, (line, mine)) in sets.iter().enumerate() {
        let wider = sets.iter().enumerate().find(|(other, (_, theirs))| {
            *other != index && mine.is_within(theirs) && (*other < index || !theirs.is_within(mine))
        });
        let (Some((_, (other, _))), Some(origin)) = (wider, line.origin) else { continue };
        let text = crate::sentence::ticked(subject.sources().text(origin.span).trim_ascii_end());
        let message = format!("{text} never decides: another line beside it lets all of its clients in");
        let related: Vec<_> = other.origin.map(|origin| found.related(origin, "covers it")).into_iter().collect();
        let finding = found.at(origin, message);
        finding.related = related;
        if let Some(delete) = Edit::delete(subject.sources(), origin.span) {
            finding.fixed_by(fix("delete the line", vec![delete], Safety::Safe));
        }
    }
}

/// The addresses that a line lets in.
fn addresses(node: &Requirement) -> Option<IpSet> {
    let [(line, Provider::Ip(networks))] = lines(node)[..] else { return None };
    let whole = networks.iter().map(|network| network.net()).collect::<Option<IpSet>>();
    whole.filter(|_| !line.negate && !node.negate && line.limited == MethodSet::ALL)
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

## Flagged (apache, directory or .htaccess)
```apache
Require ip 10.0.0.0/8
Require ip 10.6.0.0/16
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 10.0.0.0/8
```

## Flagged (apache, directory or .htaccess)
```apache
Order allow,deny
Allow from 10.0.0.0/8
Deny from all
```

## Fixed (apache, directory or .htaccess)
```apache
Order deny,allow
Deny from all
Allow from 10.0.0.0/8
```

## Why
nginx keeps one list for IPv4, one for IPv6 and one for unix sockets, each in the order of the text, and stops at the first entry that
holds the client's address.
Apache's `Order` is no order of lines: it says which of the two lists has the last word. In `Order allow,deny` a client on both lists is refused, in `Order deny,allow` it is let
in. `Require` lines of a `<RequireAny>` are alternatives, so that a narrower one beside a wider one says nothing.
"#;

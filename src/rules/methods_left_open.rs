//! `methods-left-open`: a guard that looks at the method first.

use super::sections::walk;
use super::spots::{self, ask_for};
use super::verdicts::{Verdict, clients, lines, tree, verdict};
use super::{BOTH, Needs, Rule};
use crate::apache::access::compat::From;
use crate::apache::access::providers::Provider;
use crate::apache::model::{DirConf, MethodSet};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::Span;
use std::collections::HashMap;

pub(super) const RULE: Rule = Rule {
    id: "methods-left-open",
    title: "rules inside `limit_except` or `<Limit>` leave other methods open",
    level: Level::Error,
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
    for spot in subject.spots() {
        let Some(location) = spot.location() else { continue };
        let Some(limit) = &location.limit_except else { continue };
        let inside = spot.with_conf(&limit.conf);
        // Nobody at all is let in with other methods: a list of methods, not of clients.
        if inside.open().is_empty() && !spots::has_auth(inside.conf) {
            continue;
        }
        let Some(client) = spots::outside(inside.open(), spot.open()) else { continue };
        let text = String::from_utf8_lossy(subject.sources().text(limit.origin.span)).into_owned();
        let left: Vec<&str> = text
            .split_whitespace()
            .skip(1)
            .map(|word| word.trim_end_matches('{'))
            .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()))
            .collect();
        let Some(method) = left.first().map(|method| method.to_ascii_uppercase()) else { continue };
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, &method, path, client, &[], "a refusal")?;
            (asked.landed_in() == Some(location.origin) && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = format!(
            "{client} gets in at {} with {method}: the rules hold for every method but {}",
            spot.name(),
            left.join(", ")
        );
        found
            .at(limit.origin, message)
            .proven_by(asked.witness, asked.certainty)
            .advise("put the rules beside the block, not into it, if they are meant for every method");
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    const METHODS: [&str; 6] = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    let Some((config, layout)) = subject.layout() else { return };
    let mut containers: HashMap<Span, (crate::source::Origin, String)> = HashMap::new();
    let mut note = |node: &crate::apache::load::Node, around: &[&crate::apache::load::Node]| {
        let limit = around.iter().rev().find(|outer| outer.is_section("limit") || outer.is_section("limitexcept"));
        if let Some(limit) = limit {
            let words = limit.words().map(|word| String::from_utf8_lossy(word).into_owned());
            let head = format!("<{} {}>", limit.written().trim_start_matches('<'), words.collect::<Vec<_>>().join(" "));
            containers.insert(node.origin.span, (limit.origin, head));
        }
    };
    walk(&config.nodes, &mut |node, around| note(node, around));
    for file in &layout.files {
        if let Some((_, nodes)) = file.read(subject, config) {
            nodes.iter().for_each(|node| node.children.iter().for_each(|child| note(child, &[node])));
        }
    }
    for spot in &layout.spots {
        let conf = &spot.section.conf;
        let rules = tree(conf).map(lines).unwrap_or_default().into_iter();
        let rules = rules.filter_map(|(line, _)| Some((line.limited, line.origin?)));
        let old = conf.access_compat.iter().flat_map(|record| record.denies.iter().chain(&record.allows));
        let old = old.map(|entry| (entry.limited, entry.origin()));
        let Some((limited, line)) = rules.chain(old).find(|(limited, _)| *limited != MethodSet::ALL) else { continue };
        let Some((container, head)) = containers.get(&line.span) else { continue };
        if tells_no_clients_apart(conf) {
            continue;
        }
        let open = clients(&[conf]).into_iter().find_map(|client| {
            let of = |method: &&str| verdict(conf, client, config.methods.number(method.as_bytes()));
            // A container may also open what the rules beside it close: that is no gap.
            let inside = |method: &str| limited.contains(config.methods.number(method.as_bytes()));
            let closed =
                METHODS.iter().any(|method| inside(method) && of(method).is_some_and(|verdict| verdict < Verdict::In));
            let open = METHODS.iter().find(|method| !inside(method) && of(method) == Some(Verdict::In))?;
            closed.then_some((client, *open))
        });
        let Some((client, method)) = open else { continue };
        let asked = layout.urls(spot).into_iter().find_map(|(server, url)| {
            let asked = layout.ask_with(subject, server, method, &url, client, &[], "a refusal")?;
            (asked.met(&spot.section) && asked.is_past_the_rules()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = format!(
            "{client} gets in at {} with {method}: the rules stand in `{head}` and hold for its methods only",
            super::sections::name(&spot.section)
        );
        let finding = found.at(*container, message).proven_by(asked.witness, asked.certainty);
        if head.to_ascii_lowercase().starts_with("<limitexcept") {
            // Reading for all and writing for some may be what is meant.
            finding.level(Level::Warning);
        }
        finding.advise("put the rules beside the container, not into it, if they are meant for every method");
    }
}

/// Whether the rules of a section are for everybody: then they are a list of methods, not a guard that forgot some.
fn tells_no_clients_apart(conf: &DirConf) -> bool {
    let rules = tree(conf).map(lines).unwrap_or_default();
    let mut old = conf.access_compat.iter().flat_map(|record| record.denies.iter().chain(&record.allows));
    rules.iter().all(|(_, provider)| matches!(provider, Provider::All(_))) && old.all(|entry| entry.from == From::All)
}

const PAGE: &str = r#"# methods-left-open

Access rules stand only inside a container for methods, so the other methods are not restricted.

## Flagged (nginx, location)
```nginx
limit_except GET { allow 10.0.0.0/8; deny all; }
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
```

## Flagged (apache, directory or .htaccess)
```apache
<Limit GET POST>
    Require ip 10.0.0.0/8
</Limit>
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 10.0.0.0/8
```

## Fixed (apache, directory or .htaccess)
```apache
Require all granted
<LimitExcept GET POST>
    Require all denied
</LimitExcept>
```

## Fixed (apache, directory or .htaccess)
```apache
Order allow,deny
Allow from all
<LimitExcept GET POST OPTIONS>
    Deny from all
</LimitExcept>
```

## Why
`limit_except GET` limits everything except GET (and HEAD, which GET includes): its rules are those of a hidden location for the methods
that are not listed.
Apache's `<Limit GET POST>` is for GET, HEAD and POST only, and `<LimitExcept GET>` for everything else: there the level is warning, because reading for all and writing for some
may be meant. Containers that refuse methods to everybody are not reported.
"#;

//! `methods-left-open`: a guard that looks at the method first.

use super::spots::{self, Spot, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

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
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    for spot in spots::spots(http) {
        let Some(location) = spot.location() else { continue };
        let Some(limit) = &location.limit_except else { continue };
        let inside = Spot { conf: &limit.conf, ..spot.clone() };
        let Some(client) = spots::outside(&inside.open(), &spot.open()) else { continue };
        let text = String::from_utf8_lossy(subject.sources().text(limit.origin.span)).into_owned();
        let left: Vec<&str> = text
            .split_whitespace()
            .skip(1)
            .map(|word| word.trim_end_matches('{'))
            .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic()))
            .collect();
        let Some(method) = left.first().map(|method| method.to_ascii_uppercase()) else { continue };
        let asked = spot.paths().into_iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, &method, &path, client, &[], "a refusal")?;
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

## Why
`limit_except GET` limits everything except GET (and HEAD, which GET includes): its rules are those of a hidden location for the methods
that are not listed.
"#;

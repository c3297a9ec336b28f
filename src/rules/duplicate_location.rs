//! `duplicate-location`: the same match twice.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::location::Locations;
use crate::nginx::model::{Location, LocationKind};

pub(super) const RULE: Rule = Rule {
    id: "duplicate-location",
    title: "two locations with the same match in one server",
    level: Level::Error,
    category: Category::Correctness,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// nginx refuses equal names, which the configuration check finds; equal expressions it accepts.
fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    for server in &http.servers {
        let mut open: Vec<&Locations> = vec![&server.locations];
        while let Some(level) = open.pop() {
            open.extend(level.all.iter().map(|location| &location.locations));
            for (at, location) in level.all.iter().enumerate() {
                let Some(first) = level.all[..at].iter().find(|first| same_expression(first, location)) else {
                    continue;
                };
                let name = String::from_utf8_lossy(&location.name);
                let message =
                    format!("no request gets here: `~ {name}` stands further up, and the first that matches wins");
                let related = found.related(first.origin, "this one answers");
                found.at(location.origin, message).with(related).level(Level::Warning);
            }
        }
    }
}

fn same_expression(first: &Location, second: &Location) -> bool {
    match (&first.kind, &second.kind) {
        (LocationKind::Regex(first), LocationKind::Regex(second)) => first.pattern().is_same(second.pattern()),
        _ => false,
    }
}

const PAGE: &str = r#"# duplicate-location

Two locations of one block match the same paths. nginx refuses the same name twice, `/a` beside `^~ /a` too. The same regular
expression twice it accepts, and never looks at the second (a warning).

## Flagged (nginx, server; refused)
```nginx
location /a { }
location /a { }
```

## Fixed (nginx, server)
```nginx
location /a { }
```

## Flagged (nginx, server)
```nginx
location ~ \.php$ { return 404; }
location ~ \.php$ { return 410; }
```

## Fixed (nginx, server)
```nginx
location ~ \.php$ { return 404; }
```

## Why
A name is looked up in a tree, in which it has one place. Expressions are tried from top to bottom.
"#;

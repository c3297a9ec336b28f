//! `return-bypasses-acl`: `return` and redirects answer before anybody is asked for anything.

use std::collections::HashSet;

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;
use crate::trace::Event;
use crate::trace::nginx;
use crate::world::World;

pub(super) const RULE: Rule = Rule {
    id: "return-bypasses-acl",
    title: "a rewrite-phase answer is sent before access rules run",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    // The answer's place shows in the trace only.
    let traced = Subject { world: World { trace: true, ..subject.world }, ..*subject };
    let mut reported = HashSet::new();
    // A location answers with a `return` of its own.
    let returns = |spot: &&spots::Spot| spot.path.is_empty() || spot.conf.program.is_some();
    for spot in subject.spots().iter().filter(returns) {
        let closed = spot.closed();
        let Some(client) = spots::pick(closed) else { continue };
        for path in spot.paths() {
            let Some(asked) = ask_for(&traced, spot.server, "GET", path, client, &[], "a refusal") else { continue };
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            let discloses = matches!(asked.run.outcome, Outcome::Response(200..=299));
            if !here || !discloses {
                continue;
            }
            let answer = asked.run.trace.iter().rev().find_map(|step| match &step.event {
                Event::Nginx(nginx::Event::Return { .. }) => step.origin,
                _ => None,
            });
            let Some(answer) = answer.filter(|origin| !reported.contains(origin)) else { continue };
            reported.insert(answer);
            let message = format!(
                "{client} gets an answer at `{path}` although {} keeps it out: `return` is sent before access rules run",
                spot.name()
            );
            let rule = spots::rules(&spot.conf.access).into_iter().map(|(origin, _, _)| origin).min();
            let auth = spot.conf.auth.realm.origin.or(spot.conf.auth.request.origin);
            let related: Vec<_> =
                rule.or(auth).map(|origin| found.related(origin, "is never asked")).into_iter().collect();
            let finding = found.at(answer, message).proven_by(asked.witness, asked.certainty);
            finding.related = related;
            finding.advise("serve it in the content phase (`try_files`, a file), or return from a named location that a protected one reaches");
            break;
        }
    }
}

const PAGE: &str = r#"# return-bypasses-acl

Where clients are restricted, a `return` with a body answers everybody: it belongs to the rewrite phase, which runs before the
access phase. A `return` of an error discloses nothing and is not reported.

## Flagged (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
return 200 "secret";
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
try_files /secret.txt =404;
```

## Flagged (nginx, location)
```nginx
auth_basic "x";
auth_basic_user_file /etc/nginx/pw;
return 200 "secret";
```

## Fixed (nginx, location)
```nginx
auth_basic "x";
auth_basic_user_file /etc/nginx/pw;
try_files /secret.txt =404;
```

## Why
The phases run in this order, whatever the order of the text: server rewrite, location rewrite, limits, access, `try_files`,
content. A server-level `return` beats every location; a `limit_except` block does not inherit a `return`.
"#;

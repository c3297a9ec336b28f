//! `acl-never-reached`: a protecting location that no path selects.

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocConf;

pub(super) const RULE: Rule = Rule {
    id: "acl-never-reached",
    title: "a location that carries access rules can never be selected",
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
    let Some(http) = subject.http() else { return };
    for spot in subject.spots() {
        let Some(location) = spot.location() else { continue };
        if !protects(spot, spot.outer(http)) {
            continue;
        }
        let client = spots::pick(spot.closed()).unwrap_or_else(spots::stranger);
        let mut open = None;
        let reached = spot.paths().iter().any(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal");
            let Some(asked) = asked else { return false };
            let reached = asked.landed_in() == Some(location.origin);
            if open.is_none() && asked.gets_in() && asked.landed_in().is_some() {
                open = Some((path, asked));
            }
            reached
        });
        // One path that selects it is enough; none at all says nothing.
        let Some((path, asked)) = open.filter(|_| !reached) else { continue };
        let Some(winner) = asked.landed_in() else { continue };
        let related = found.related(winner, "this location answers instead");
        let message =
            format!("{client} gets in at `{path}`: another location answers, and {} is never reached", spot.name());
        found.at(location.origin, message).with(related).proven_by(asked.witness, asked.certainty);
    }
}

/// Whether the location itself, not what is around it, keeps clients out.
pub(super) fn protects(spot: &Spot, outer: &LocConf) -> bool {
    let own = !std::sync::Arc::ptr_eq(&spot.conf.access, &outer.access)
        || !std::sync::Arc::ptr_eq(&spot.conf.auth, &outer.auth);
    own && !spot.closed().is_empty()
}

const PAGE: &str = r#"# acl-never-reached

A location with rules of its own is selected by no path that it is written for: an earlier regular expression, a `^~` or an exact
location takes them all, and lets more clients in.

## Flagged (nginx, server)
```nginx
location ~ [^/]\.php(/|$) { fastcgi_pass unix:/run/php.sock; }
location ~* ^/xmlrpc\.php$ { deny all; }
```

## Fixed (nginx, server)
```nginx
location = /xmlrpc.php { deny all; }
location ~ [^/]\.php(/|$) { fastcgi_pass unix:/run/php.sock; }
```

## Why
Regular expressions are tried in the order of the file, and the first that matches wins. A later one for a part of the same paths is
dead text.
"#;

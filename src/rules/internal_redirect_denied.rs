//! `internal-redirect-denied`: a fallback that answers 403 instead of what it falls back to.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "internal-redirect-denied",
    title: "a fallback ends where access is denied",
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
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    let mut reported = Vec::new();
    for spot in spots::spots(http) {
        let Some(origin) =
            spot.conf.try_files.as_ref().and_then(|files| files.origin).filter(|origin| !reported.contains(origin))
        else {
            continue;
        };
        let Some(client) = spots::pick(&spot.open()) else { continue };
        for path in spot.paths() {
            // A name that no tree has, so that the fallback is taken.
            let path = format!("{path}-why403-no-such-file");
            let Some(asked) = ask_for(subject, spot.server, "GET", &path, client, &[], "the fallback") else {
                continue;
            };
            let Some(landed) = asked.landed_in() else { continue };
            let moved = spot.location().is_none_or(|location| location.origin != landed);
            let by_rule = asked.run.decision.as_ref().is_some_and(|decision| {
                decision.cause.code.starts_with("nginx/access-deny") || decision.cause.code.starts_with("nginx/auth-")
            });
            if !asked.is_refused() || !moved || !by_rule {
                continue;
            }
            reported.push(origin);
            let message = format!(
                "{client} may enter {} and gets 403 for what is not there: the fallback ends in a location that is closed to it",
                spot.name()
            );
            let related = found.related(landed, "closed here");
            found
                .at(origin, message)
                .with(related)
                .proven_by(asked.witness, asked.certainty)
                .advise("open exactly the target, as an exact location with `internal`");
            break;
        }
    }
}

const PAGE: &str = r#"# internal-redirect-denied

The last argument of `try_files` leads to a location whose rules keep the same client out: users see 403 instead of the fallback.

## Flagged (nginx, server)
```nginx
root /srv/www;
location / { try_files $uri /app/index.html; }
location /app/ { deny all; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location / { try_files $uri /app/index.html; }
location = /app/index.html { internal; }
location /app/ { deny all; }
```

## Why
An internal redirect begins again at the server's rewrite phase and passes every phase of the new location, its access rules among them.
"#;

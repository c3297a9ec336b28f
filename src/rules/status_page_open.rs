//! `status-page-open`: a status page without a guard.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Handler;

pub(super) const RULE: Rule = Rule {
    id: "status-page-open",
    title: "server status or info is reachable by strangers",
    level: Level::Error,
    category: Category::Security,
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
        let Some(handler) = &spot.conf.handler else { continue };
        let name = match &handler.value {
            Handler::StubStatus => "stub_status".to_owned(),
            Handler::Opaque(name)
                if matches!(&**name, b"api" | b"dashboard" | b"status" | b"vhost_traffic_status_display") =>
            {
                String::from_utf8_lossy(name).into_owned()
            }
            _ => continue,
        };
        let Some(origin) = handler.origin.filter(|_| spot.location().is_some()) else { continue };
        // Only a listener that strangers reach: not a loopback address, not a unix socket.
        let public = spot.server.listens.iter().any(|listen| match &listen.socket {
            crate::nginx::listen::Socket::Ip(socket) => !socket.ip().is_loopback(),
            _ => false,
        });
        if !public || !spot.open().contains(spots::stranger()) {
            continue;
        }
        let asked = spot.paths().into_iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", &path, spots::stranger(), &[], "a refusal")?;
            let here = asked.landed_in() == spot.location().map(|location| location.origin);
            (here && (asked.gets_in() || asked.run.outcome == crate::outcome::Outcome::Unknown)).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = format!("any client reads `{name}` at {}", spot.name());
        found.at(origin, message).proven_by(asked.witness, asked.certainty).advise("add `allow 127.0.0.1; deny all;`");
    }
}

const PAGE: &str = r#"# status-page-open

The page says how many connections there are, and for other servers which URLs are asked for and by whom. It is for the people who run the
server.

## Flagged (nginx, server)
```nginx
location /status { stub_status; }
```

## Fixed (nginx, server)
```nginx
location /status { stub_status; allow 127.0.0.1; deny all; }
```

## Why
A handler is public unless something denies. A listener on a loopback address or a unix socket is guard enough, and so is an inherited
list.
"#;

//! `basic-auth-over-http`: a password is asked for on a plain connection.

use std::collections::HashSet;

use super::spots::{self, ask_on};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::{Listen, Socket};
use crate::nginx::model::Http;
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "basic-auth-over-http",
    title: "passwords travel in clear text",
    level: Level::Error,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((blocks, http)) = subject.blocks_and_http() else { return };
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let Some(origin) = spot.conf.auth.realm.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let block = blocks.opened_by(spot.server.origin);
        // Whoever looks at X-Forwarded-Proto, or believes a proxy about the client, has one in front that speaks TLS.
        let behind = !spot.conf.realip.from.is_empty()
            || block.is_some_and(|block| {
                let words = blocks.inwards(block).flat_map(|inner| &inner.lines).flat_map(|line| &line.words);
                words
                    .into_iter()
                    .any(|word| memchr::memmem::find(&word.to_ascii_lowercase(), b"http_x_forwarded_proto").is_some())
            });
        let Some(listen) = spot.server.listens.iter().find(|listen| is_plain(http, listen)).filter(|_| !behind) else {
            continue;
        };
        let client = spots::stranger();
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_on(subject, spot.server, listen, ("GET", path), client, &[], "a redirect to https")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.run.outcome == Outcome::Response(401)).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.insert(origin);
        let message = format!("the password for {} is asked for, and sent, in clear text", spot.name());
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(listen) = listen.origin {
            finding.related.push(crate::finding::RelatedPlace {
                message: "speaks plain HTTP".to_owned(),
                place: crate::lint::subject::place(subject.sources(), listen.span),
            });
        }
    }
}

/// A listener that others reach in clear text; what a server without a `listen` has is nobody's word.
fn is_plain(http: &Http, listen: &Listen) -> bool {
    let Socket::Ip(socket) = &listen.socket else { return false };
    let same = |other: &Listen| other.ssl && matches!(&other.socket, Socket::Ip(other) if other == socket);
    let tls = http.servers.iter().any(|server| server.srv.ssl.value || server.listens.iter().any(same));
    listen.origin.is_some()
        && !listen.ssl
        && !listen.quic
        && !listen.proxy_protocol
        && !tls
        && !socket.ip().is_loopback()
        && socket.is_ipv4()
}

const PAGE: &str = r#"# basic-auth-over-http

A listener without TLS that other machines reach answers 401, so browsers send the password in clear text, with every request. Not reported
where a redirect comes first, where the listener is local, and where the configuration knows of a proxy in front (`set_real_ip_from`,
`$http_x_forwarded_proto`, `proxy_protocol`).

## Flagged (nginx, http)
```nginx
server { listen 80; auth_basic "x"; auth_basic_user_file /etc/nginx/pw; }
```

## Fixed (nginx, http)
```nginx
server { listen 127.0.0.1:80; auth_basic "x"; auth_basic_user_file /etc/nginx/pw; }
```

## Why
Basic authentication is the password in base64. TLS is all that hides it.
"#;

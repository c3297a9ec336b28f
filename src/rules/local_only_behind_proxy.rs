//! `local-only-behind-proxy`: to the server behind, everybody is the proxy.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::Socket;
use crate::nginx::model::{Handler, PassKind};
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "local-only-behind-proxy",
    title: "local only is everyone when a proxy runs on the same host",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    let spots = subject.spots();
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let fronts: Vec<(&Spot, SocketAddr)> = spots.iter().filter_map(|spot| Some((spot, passes_to(spot)?))).collect();
    for behind in spots.iter().filter(|spot| spot.has_own_access(http)) {
        let open = behind.open();
        if !open.contains(local) || open.contains(spots::stranger()) || !behind.conf.realip.from.is_empty() {
            continue;
        }
        for (front, target) in &fronts {
            let listens = |listen: &crate::nginx::listen::Listen| match &listen.socket {
                Socket::Ip(socket) => {
                    socket.port() == target.port() && (socket.ip() == target.ip() || socket.ip().is_unspecified())
                }
                _ => false,
            };
            if front.server.origin == behind.server.origin || !behind.server.listens.iter().any(listens) {
                continue;
            }
            // Two halves of one request: the front passes it on for a stranger, and the server behind lets the front in.
            let asked = behind.paths().iter().find_map(|path| {
                let passed = ask_for(subject, front.server, "GET", path, spots::stranger(), &[], "a refusal")?;
                let taken = passed.landed_in() == front.location().map(|location| location.origin);
                let inner = ask_for(subject, behind.server, "GET", path, local, &[], "a refusal")?;
                let here = inner.landed_in() == behind.location().map(|location| location.origin);
                let through = taken && passed.run.outcome == Outcome::Upstream && here && inner.gets_in();
                through.then_some(passed)
            });
            let Some(asked) = asked else { continue };
            let rule = spots::rules(&behind.conf.access).into_iter().map(|(origin, _, _)| origin).min();
            let Some(origin) = rule else { continue };
            let message = format!(
                "any client gets in at {} by way of the proxy: to this server, who comes through it is {local}",
                behind.name()
            );
            let pass = front.conf.handler.as_ref().and_then(|handler| handler.origin);
            let related = pass.map(|pass| found.related(pass, "passes on what strangers ask for"));
            let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
            finding.related.extend(related);
            finding.advise("pass the client's address on, and believe the proxy: `set_real_ip_from 127.0.0.1;`");
            break;
        }
    }
}

/// The local address that a spot passes to with the path as it came.
fn passes_to(spot: &Spot) -> Option<SocketAddr> {
    let Handler::Pass(PassKind::Proxy, target) = &spot.conf.handler.as_ref()?.value else { return None };
    let text = std::str::from_utf8(target.as_literal()?).ok()?.strip_prefix("http://")?;
    let (host, uri) = text.split_once('/').map_or((text, None), |(host, uri)| (host, Some(uri)));
    let everywhere = spot.location().is_some_and(|location| *location.name == *b"/");
    if uri.is_some_and(|uri| !uri.is_empty() || !everywhere) {
        return None;
    }
    let host = host.replace("localhost", "127.0.0.1");
    let address: SocketAddr = host.parse().or_else(|_| format!("{host}:80").parse()).ok()?;
    address.ip().is_loopback().then_some(address)
}

const PAGE: &str = r#"# local-only-behind-proxy

`allow 127.0.0.1` guards a location, and another server of the configuration passes the requests of strangers to it over the loopback
address. The server behind sees the proxy's address and lets everybody in.

## Flagged (nginx, http)
```nginx
server { listen 8080; location / { proxy_pass http://127.0.0.1:8081; } }
server { listen 127.0.0.1:8081; location /status { allow 127.0.0.1; deny all; stub_status; } }
```

## Fixed (nginx, http)
```nginx
server { listen 8080; location / { proxy_pass http://127.0.0.1:8081; proxy_set_header X-Real-IP $remote_addr; } }
server { listen 127.0.0.1:8081; set_real_ip_from 127.0.0.1; location /status { allow 127.0.0.1; deny all; stub_status; } }
```

## Why
The access module looks at the address of the connection, and that is the proxy's, unless the realip module puts the client's in its place.
"#;

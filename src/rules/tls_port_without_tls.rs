//! `tls-port-without-tls`: 443 in clear text, or a certificate that nobody is shown.

use std::net::SocketAddr;

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::{Listen, Socket};
use crate::nginx::model::{Http, Server};
use crate::outcome::Certainty;

pub(super) const RULE: Rule = Rule {
    id: "tls-port-without-tls",
    title: "port 443 without TLS, or TLS directives on a plain listener",
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
    for server in &http.servers {
        for listen in &server.listens {
            let (Socket::Ip(socket), Some(origin)) = (&listen.socket, listen.origin) else { continue };
            if socket.port() != 443 || listen.proxy_protocol || is_tls(http, server, listen) {
                continue;
            }
            let text = std::str::from_utf8(subject.sources().text(origin.span)).ok();
            let text = text.and_then(|text| text.strip_suffix(';')).map(|text| format!("{} ssl;", text.trim_end()));
            let edit = text.and_then(|text| Edit::replace(subject.sources(), origin.span, &text));
            let finding =
                found.at(origin, "port 443 speaks plain HTTP: browsers that begin with TLS get 400 or nothing");
            if subject.fragment {
                // Another server on the same socket may say `ssl` for both.
                finding.certainty = Certainty::Conditional;
            }
            if let Some(edit) = edit {
                finding.fixed_by(Fix::text("add `ssl`", Safety::Review, vec![edit]));
            }
        }
        let Some(block) = blocks.opened_by(server.origin) else { continue };
        let Some(certificate) = block.own(b"ssl_certificate").next() else { continue };
        // Without a `listen` of its own, or with a part of it unread, nobody knows what it listens on.
        let known =
            server.listens.iter().all(|listen| listen.origin.is_some() && matches!(listen.socket, Socket::Ip(_)));
        if known && !subject.fragment && !server.listens.iter().any(|listen| is_tls(http, server, listen)) {
            let message = "nobody is ever shown this certificate: no listener of this server speaks TLS";
            found.at(certificate.origin(), message).level(Level::Warning).advise("`listen 443 ssl;`");
        }
    }
}

/// Whether a listener speaks TLS: by its own word, or that of another server on the same socket.
fn is_tls(http: &Http, server: &Server, listen: &Listen) -> bool {
    let socket = |listen: &Listen| -> Option<SocketAddr> {
        match &listen.socket {
            Socket::Ip(socket) => Some(*socket),
            _ => None,
        }
    };
    let same = |other: &Listen| other.ssl && socket(other) == socket(listen);
    listen.ssl || server.srv.ssl.value || http.servers.iter().any(|other| other.listens.iter().any(same))
}

const PAGE: &str = r#"# tls-port-without-tls

`listen 443` without `ssl` is a plain listener on a port where everybody begins with TLS. The other way round (a warning), a server has a
certificate and no listener that would show it. Behind a `proxy_protocol` the TLS is the proxy's.

## Flagged (nginx, http)
```nginx
server { listen 443; server_name a.test; return 404; }
```

## Fixed (nginx, http)
```nginx
server { listen 80; server_name a.test; return 404; }
```

## Why
The port number means nothing to nginx. Only `ssl` on a `listen` of the socket, for any of its servers, makes it speak TLS.
"#;

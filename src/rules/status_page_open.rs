//! `status-page-open`: a status page without a guard.

use super::sections::{handler, name};
use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    for spot in subject.spots() {
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
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, spots::stranger(), &[], "a refusal")?;
            let here = asked.landed_in() == spot.location().map(|location| location.origin);
            (here && (asked.gets_in() || asked.run.outcome == crate::outcome::Outcome::Unknown)).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = format!("any client reads `{name}` at {}", spot.name());
        found.at(origin, message).proven_by(asked.witness, asked.certainty).advise("add `allow 127.0.0.1; deny all;`");
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    const PAGES: [&[u8]; 5] = [b"server-status", b"server-info", b"balancer-manager", b"ldap-status", b"perl-status"];
    let Some((config, layout)) = subject.layout() else { return };
    let loopback = |listen: &crate::apache::build::Listen| listen.address.is_some_and(|own| own.is_loopback());
    if config.listens.iter().all(loopback) {
        return;
    }
    for spot in &layout.spots {
        let Some((page, Some(origin))) = handler(&spot.section.conf).filter(|(page, _)| PAGES.contains(page)) else {
            continue;
        };
        let page = String::from_utf8_lossy(page).into_owned();
        let answers = |asked: &spots::Asked| {
            matches!(asked.run.outcome, crate::outcome::Outcome::Response(200) | crate::outcome::Outcome::Unknown)
        };
        let Some(asked) = layout.find(subject, spot, spots::stranger(), "a refusal", answers) else { continue };
        let message = format!("any client reads `{page}` at {}", name(&spot.section));
        let edit = Edit::insert_after(subject.sources(), origin.span, "Require local");
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit.filter(|_| super::verdicts::tree(&spot.section.conf).is_none()) {
            finding.fixed_by(Fix {
                title: "let this machine in only".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
        finding.advise("`Require local` lets this machine in and nobody else");
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

## Flagged (apache, server config)
```apache
<Location "/server-status">
    SetHandler server-status
    Require all granted
</Location>
```

## Fixed (apache, server config)
```apache
<Location "/server-status">
    SetHandler server-status
    Require local
</Location>
```

## Why
A handler is public unless something denies. A listener on a loopback address or a unix socket is guard enough, and so is an inherited
list.
The same goes for Apache's `SetHandler server-status`, `server-info`, `balancer-manager` and their like.
"#;

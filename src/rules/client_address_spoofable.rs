//! `client-address-spoofable`: an address that the client writes itself, and rules that believe it.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::ipset::IpSet;
use crate::lint::subject::{Findings, Subject};
use crate::nginx::realip::{From, Header};

pub(super) const RULE: Rule = Rule {
    id: "client-address-spoofable",
    title: "the client address can be chosen by the client",
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
    let mut reported = Vec::new();
    for spot in spots::spots(http) {
        let realip = &spot.conf.realip;
        let header = match &realip.header {
            Header::XRealIp => "X-Real-IP".to_owned(),
            Header::XForwardedFor => "X-Forwarded-For".to_owned(),
            Header::Other(name) => String::from_utf8_lossy(name).into_owned(),
            Header::ProxyProtocol => continue,
        };
        let open = spot.open();
        let (Some(inside), true) = (spots::pick(&open), open != IpSet::all()) else { continue };
        let trusted = realip.from.iter().find_map(|from| match &from.value {
            From::Net(net) if net.contains(crate::request::Peer::Ip(spots::stranger())) => from.origin,
            From::Net(_) | From::Host(_) => None,
        });
        let Some(trusted) = trusted.filter(|origin| !reported.contains(origin)) else { continue };
        let claim = inside.to_string();
        let asked = spot.paths().into_iter().find_map(|path| {
            let honest = ask_for(subject, spot.server, "GET", &path, spots::stranger(), &[], "a refusal")?;
            let lying =
                ask_for(subject, spot.server, "GET", &path, spots::stranger(), &[(&header, &claim)], "a refusal")?;
            (honest.is_refused() && lying.gets_in()).then_some(lying)
        });
        let Some(asked) = asked else { continue };
        reported.push(trusted);
        let message = format!(
            "any client gets in at {} by sending `{header}: {claim}`: this network trusts strangers to name the client",
            spot.name()
        );
        found
            .at(trusted, message)
            .proven_by(asked.witness, asked.certainty)
            .advise("name the proxies that really stand in front, and no more");
    }
}

const PAGE: &str = r#"# client-address-spoofable

Rules by address are in force, and the address is taken from a header of peers that anybody can be.

## Flagged (nginx, server)
```nginx
set_real_ip_from 0.0.0.0/0;
real_ip_header X-Forwarded-For;
location /p/ { allow 10.0.0.0/8; deny all; }
```

## Fixed (nginx, server)
```nginx
set_real_ip_from 10.0.9.1;
real_ip_header X-Forwarded-For;
location /p/ { allow 10.0.0.0/8; deny all; }
```

## Why
The realip module replaces the client address, for every later phase, whenever the TCP peer lies in a `set_real_ip_from` network. A header
is whatever the sender wrote.
"#;

//! `client-address-spoofable`: an address that the client writes itself, and rules that believe it.

use std::collections::HashSet;

use super::sections::walk;
use super::spots::{self, ask_for};
use super::verdicts::{Verdict, clients, verdict};
use super::{BOTH, Needs, Rule};
use crate::apache::model::M_GET;
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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let realip = &spot.conf.realip;
        let header = match &realip.header {
            Header::XRealIp => "X-Real-IP".to_owned(),
            Header::XForwardedFor => "X-Forwarded-For".to_owned(),
            Header::Other(name) => String::from_utf8_lossy(name).into_owned(),
            Header::ProxyProtocol => continue,
        };
        let open = spot.open();
        let (Some(inside), true) = (spots::pick(open), *open != IpSet::all()) else { continue };
        let trusted = realip.from.iter().find_map(|from| match &from.value {
            From::Net(net) if net.contains(crate::request::Peer::Ip(spots::stranger())) => from.origin,
            From::Net(_) | From::Host(_) => None,
        });
        let Some(trusted) = trusted.filter(|origin| !reported.contains(origin)) else { continue };
        let claim = inside.to_string();
        let asked = spot.paths().iter().find_map(|path| {
            let honest = ask_for(subject, spot.server, "GET", path, spots::stranger(), &[], "a refusal")?;
            let lying =
                ask_for(subject, spot.server, "GET", path, spots::stranger(), &[(&header, &claim)], "a refusal")?;
            (honest.is_refused() && lying.gets_in()).then_some(lying)
        });
        let Some(asked) = asked else { continue };
        reported.insert(trusted);
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

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let (mut header, mut proxies) = (None, Vec::new());
    walk(&config.nodes, &mut |node, _| match node.name() {
        "remoteipheader" => header = header.or(node.word(0).map(|name| (node.origin, name))),
        "remoteipinternalproxy" | "remoteiptrustedproxy" => proxies.push(node),
        _ => {}
    });
    let Some((origin, name)) = header else { return };
    let name = String::from_utf8_lossy(name).into_owned();
    let stranger = spots::stranger();
    let trusting = proxies.iter().find(|node| {
        let nets = node.words().filter_map(|word| crate::apache::access::address::Network::parse(word).ok());
        nets.into_iter().any(|net| net.contains(stranger))
    });
    for spot in &layout.spots {
        let conf = &spot.section.conf;
        if verdict(conf, stranger, M_GET).is_none_or(|verdict| verdict == Verdict::In) {
            continue;
        }
        let inside = clients(&[conf]).into_iter().filter(|client| verdict(conf, *client, M_GET) == Some(Verdict::In));
        for claim in inside.take(4) {
            let claim = claim.to_string();
            let asked = layout.urls(spot).into_iter().take(2).find_map(|(server, url)| {
                let honest = layout.ask(subject, server, &url, stranger, "a refusal")?;
                let lying = (&*name, &*claim);
                let lying = layout.ask_with(subject, server, "GET", &url, stranger, &[lying], "a refusal")?;
                (honest.is_refused_by_rule() && lying.is_past_the_rules()).then_some(lying)
            });
            let Some(asked) = asked else { continue };
            let message = format!(
                "any client gets in at {} by sending `{name}: {claim}`: strangers are trusted to name the client",
                super::sections::name(&spot.section)
            );
            found
                .at(trusting.map_or(origin, |node| node.origin), message)
                .proven_by(asked.witness, asked.certainty)
                .advise("name the proxies that really stand in front with `RemoteIPInternalProxy`, and no more");
            return;
        }
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

## Flagged (apache, server config)
```apache
RemoteIPHeader X-Forwarded-For
<Location "/p">
    Require ip 203.0.113.128/25
</Location>
```

## Fixed (apache, server config)
```apache
RemoteIPHeader X-Forwarded-For
RemoteIPInternalProxy 10.0.9.1
<Location "/p">
    Require ip 203.0.113.128/25
</Location>
```

## Why
The realip module replaces the client address, for every later phase, whenever the TCP peer lies in a `set_real_ip_from` network. A header
is whatever the sender wrote.
Apache's mod_remoteip without any list of proxies believes every peer, as long as the address in the header is a public one; private addresses are believed from internal proxies
only.
"#;

//! `ip-rule-never-matches`: a rule for clients that no listener takes.

use std::collections::HashSet;

use super::sections::walk;
use super::spots;
use super::verdicts::{lines, tree};
use super::{BOTH, Needs, Rule};
use crate::apache::access::compat::From;
use crate::apache::access::providers::Provider;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::Socket;
use std::net::IpAddr;

pub(super) const RULE: Rule = Rule {
    id: "ip-rule-never-matches",
    title: "an address rule names clients that cannot arrive here",
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
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        // A header can bring any address.
        if !spot.conf.realip.from.is_empty() || spot.server.listens.iter().any(|listen| listen.proxy_protocol) {
            continue;
        }
        let takes = |v6: bool| {
            spot.server.listens.iter().any(|listen| match &listen.socket {
                Socket::Ip(socket) => socket.is_ipv6() == v6 || (!v6 && !listen.ipv6only),
                Socket::Name(..) => true,
                Socket::Unix(_) => false,
            })
        };
        let unix = spot.server.listens.iter().any(|listen| matches!(listen.socket, Socket::Unix(_)));
        for (origin, deny, nets) in spots::rules(&spot.conf.access) {
            // A rule of an outer block can be meant for another server, and a needless `deny` shuts nobody out.
            let here = subject.sources().text(origin.span);
            if !spot.has_own_access(http)
                || deny
                || reported.contains(&origin)
                || here.windows(4).any(|word| word == b" all")
            {
                continue;
            }
            let wanted = match nets.first() {
                None if !unix => "a unix socket",
                Some(ipnet::IpNet::V4(_)) if !takes(false) => "IPv4",
                Some(ipnet::IpNet::V6(_)) if !takes(true) => "IPv6",
                _ => continue,
            };
            reported.insert(origin);
            let text = crate::sentence::ticked(here);
            let message = format!("{text} lets nobody in: this server has no listener for {wanted}");
            let listen = spot.server.listens.iter().find_map(|listen| listen.origin);
            let related: Vec<_> =
                listen.map(|origin| found.related(origin, "clients arrive here")).into_iter().collect();
            found.at(origin, message).related = related;
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    // A header or the PROXY protocol can bring any address.
    let mut moved = false;
    walk(&config.nodes, &mut |node, _| moved |= node.name().starts_with("remoteip"));
    let bound: Option<Vec<IpAddr>> = config
        .listens
        .iter()
        .map(|listen| listen.address.filter(|own| !own.is_unspecified() || own.is_ipv4()))
        .collect();
    // A socket without an address takes both families.
    let Some(bound) = bound.filter(|bound| !bound.is_empty() && !moved) else { return };
    let takes = |v6: bool| bound.iter().any(|own| own.is_ipv6() == v6);
    let local = bound.iter().any(|own| own.is_loopback() || own.is_unspecified());
    let mut reported = HashSet::new();
    for spot in &layout.spots {
        let mut rules: Vec<(crate::source::Origin, Vec<ipnet::IpNet>)> = Vec::new();
        for (line, provider) in tree(&spot.section.conf).map(lines).unwrap_or_default() {
            if let (Provider::Ip(networks), Some(origin), false) = (provider, line.origin, line.negate) {
                rules.push((origin, networks.iter().filter_map(|network| network.net()).collect()));
            }
        }
        for entry in spot.section.conf.access_compat.iter().flat_map(|record| &record.allows) {
            if let From::Ip(network) = &entry.from {
                rules.push((entry.origin(), network.net().into_iter().collect()));
            }
        }
        for (origin, nets) in rules {
            let all = |fits: &dyn Fn(&ipnet::IpNet) -> bool| !nets.is_empty() && nets.iter().all(fits);
            let why = if all(&|net| matches!(net, ipnet::IpNet::V6(_))) && !takes(true) {
                "IPv6"
            } else if all(&|net| matches!(net, ipnet::IpNet::V4(_))) && !takes(false) {
                "IPv4"
            } else if all(&|net| net.addr().is_loopback()) && !local {
                "clients of this machine"
            } else {
                continue;
            };
            if !reported.contains(&origin) {
                reported.insert(origin);
                let text = crate::sentence::ticked(subject.sources().text(origin.span).trim_ascii_end());
                found.at(origin, format!("{text} lets nobody in: there is no `Listen` for {why}"));
            }
        }
    }
}

const PAGE: &str = r#"# ip-rule-never-matches

An `allow` for a family of addresses that the server has no listener for: whoever is meant gets 403, or cannot connect at all.

## Flagged (nginx, http)
```nginx
server { listen 127.0.0.1:8080; location /p/ { allow 2001:db8::/32; deny all; } }
```

## Fixed (nginx, http)
```nginx
server { listen 127.0.0.1:8080; location /p/ { allow 127.0.0.1; deny all; } }
```

## Flagged (apache, server config)
```apache
Listen 127.0.0.1:80
<Location "/p">
    Require ip 2001:db8::/32
</Location>
```

## Fixed (apache, server config)
```apache
Listen 127.0.0.1:80
Listen [::1]:80
<Location "/p">
    Require ip 2001:db8::/32
</Location>
```

## Why
The access module compares the address of the connection (or the one that realip put in its place). `listen 80` is IPv4 only; IPv6 needs
`listen [::]:80`.
Apache's `Listen 80` takes both families; `Listen 127.0.0.1:80` only its own.
"#;

//! mod_access_compat: `Order`, `Allow`, `Deny`, `Satisfy`.
//!
//! The module has no merge function: a section that holds any of the four directives starts from an empty record and
//! replaces the inherited one as a whole. That is why a `Deny` alone in a subdirectory forgets the parent's `Order`.

use std::net::IpAddr;

use crate::apache::access::address::Network;
use crate::apache::model::{Command, MethodSet};
use crate::apache::request::{Cx, Handled, RequestRec, host_name};
use crate::cause;
use crate::outcome::{Decision, Related};
use crate::request::Peer;
use crate::source::{Origin, Setting};
use crate::trace::{self, apache::Event};

/// `Order`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// `Deny,Allow`: refused where a Deny and no Allow matches.
    DenyThenAllow,
    /// `Allow,Deny`: served where an Allow and no Deny matches.
    AllowThenDeny,
    /// `Mutual-failure`: as `Allow,Deny`.
    MutualFailure,
}

/// What an `Allow` or `Deny` line compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// `all`.
    All,
    /// `env=NAME`.
    Env(Vec<u8>),
    /// `env=!NAME`.
    NotEnv(Vec<u8>),
    /// An address or a network.
    Ip(Network),
    /// A host name, which anything else is, `*` included.
    Host(Vec<u8>),
}

/// One word of an `Allow` or `Deny` line.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Whom it covers.
    pub from: From,
    /// The methods of the `<Limit>` around it.
    pub limited: MethodSet,
    origin: Origin,
}

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    order: Vec<(MethodSet, Setting<Order>)>,
    satisfy_any: Vec<(MethodSet, Setting<bool>)>,
    /// `Allow` entries in order.
    pub allows: Vec<Entry>,
    /// `Deny` entries in order.
    pub denies: Vec<Entry>,
}

impl Entry {
    /// The line.
    pub fn origin(&self) -> Origin {
        self.origin
    }
}

/// One of the four directives.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    let word = cmd.arg(0).unwrap_or_default();
    match cmd.name.to_ascii_lowercase().as_str() {
        "order" => {
            let order = match word.to_ascii_lowercase().as_slice() {
                b"allow,deny" => Order::AllowThenDeny,
                b"deny,allow" => Order::DenyThenAllow,
                b"mutual-failure" => Order::MutualFailure,
                _ => return,
            };
            dir.order.push((cmd.limited, Setting::new(order, cmd.origin)));
        }
        "satisfy" => {
            let any = word.eq_ignore_ascii_case(b"any");
            dir.satisfy_any.push((cmd.limited, Setting::new(any, cmd.origin)));
        }
        name @ ("allow" | "deny") => {
            let list = if name == "allow" { &mut dir.allows } else { &mut dir.denies };
            for word in cmd.args.iter().skip(1) {
                list.push(Entry { from: parse_from(word), limited: cmd.limited, origin: cmd.origin });
            }
        }
        _ => {}
    }
}

fn parse_from(word: &[u8]) -> From {
    if let Some(name) = word.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case(b"env=")).map(|_| &word[4..]) {
        return match name.strip_prefix(b"!") {
            Some(name) => From::NotEnv(name.to_vec()),
            None => From::Env(name.to_vec()),
        };
    }
    if word.eq_ignore_ascii_case(b"all") {
        return From::All;
    }
    match Network::parse(word) {
        Ok(network) => From::Ip(network),
        Err(_) => From::Host(word.to_vec()),
    }
}

impl DirRecord {
    fn order(&self, method: u8) -> Setting<Order> {
        let said = self.order.iter().rev().find(|(methods, _)| methods.contains(method));
        said.map_or(Setting::default_value(Order::DenyThenAllow), |(_, order)| *order)
    }

    /// What the lists say of an address alone; `None` where a variable or a host name has a say in it.
    pub fn lets_in(&self, client: IpAddr, method: u8) -> Option<bool> {
        let covers = |entries: &[Entry]| {
            let mut open = false;
            for entry in entries.iter().filter(|entry| entry.limited.contains(method)) {
                match &entry.from {
                    From::All => return Some(true),
                    From::Ip(network) if network.contains(client) => return Some(true),
                    From::Ip(_) => {}
                    From::Env(_) | From::NotEnv(_) | From::Host(_) => open = true,
                }
            }
            (!open).then_some(false)
        };
        let (allowed, denied) = (covers(&self.allows), covers(&self.denies));
        match self.order(method).value {
            Order::DenyThenAllow if denied == Some(false) || allowed == Some(true) => Some(true),
            Order::DenyThenAllow => (denied == Some(true) && allowed == Some(false)).then_some(false),
            _ if allowed == Some(false) || denied == Some(true) => Some(false),
            _ => (allowed == Some(true) && denied == Some(false)).then_some(true),
        }
    }

    /// Whether `Order`, `Allow` or `Deny` is said, rather than `Satisfy` alone.
    pub fn has_lists(&self) -> bool {
        !(self.order.is_empty() && self.allows.is_empty() && self.denies.is_empty())
    }

    /// A line of it that names clients, else `Order`.
    pub fn origin(&self) -> Option<Origin> {
        let line = self.denies.first().or(self.allows.first()).map(Entry::origin);
        line.or_else(|| self.order.first().and_then(|(_, order)| order.origin))
    }

    /// `Order` for this method.
    pub fn order_for(&self, method: u8) -> Setting<Order> {
        self.order(method)
    }

    /// `Satisfy Any` for this method (ap_satisfies); all methods are `All` until told otherwise.
    pub fn satisfy_any(&self, method: u8) -> Setting<bool> {
        let said = self.satisfy_any.iter().rev().find(|(methods, _)| methods.contains(method));
        said.map_or(Setting::default_value(false), |(_, any)| *any)
    }
}

/// check_dir_access.
pub(crate) fn check_dir_access(r: &mut RequestRec, cx: &mut Cx) -> Handled {
    let Some(record) = r.per_dir.access_compat.clone() else { return Handled::Ok };
    let order = record.order(r.method_number);
    let (allowed, denied) = match order.value {
        // Only what can decide is looked at, so that a host name nobody can resolve is asked only where it matters.
        Order::AllowThenDeny | Order::MutualFailure => {
            let allowed = find(record.allows.iter(), r, cx);
            // Where nothing allows the client a `Deny` that covers it decides nothing more, but is to blame all the same:
            // turned into an `Allow` it is the one change that lets the client in (case `deny-all-under-allow-deny`).
            let asked = |entry: &Entry| allowed.is_some() || !matches!(entry.from, From::Host(_));
            (allowed, find(record.denies.iter().filter(|entry| asked(entry)), r, cx))
        }
        Order::DenyThenAllow => {
            let denied = find(record.denies.iter(), r, cx);
            (if denied.is_some() { find(record.allows.iter(), r, cx) } else { None }, denied)
        }
    };
    let refused = match order.value {
        Order::DenyThenAllow => denied.is_some() && allowed.is_none(),
        Order::AllowThenDeny | Order::MutualFailure => allowed.is_none() || denied.is_some(),
    };
    cx.trace.push("access_checker", order.origin, || {
        trace::Event::Apache(Event::AccessCompat {
            order: match order.value {
                Order::DenyThenAllow => "Deny,Allow",
                Order::AllowThenDeny => "Allow,Deny",
                Order::MutualFailure => "Mutual-failure",
            },
            allow: allowed,
            deny: denied,
            refused,
        })
    });
    if !refused {
        return Handled::Ok;
    }
    let decision = match denied {
        Some(line) => Decision::new(&cause::apache::ACCESS_COMPAT_DENY).by(Some(line)),
        None => {
            let mut decision = Decision::new(&cause::apache::ACCESS_COMPAT_ORDER_DEFAULT).by(order.origin);
            decision.related = lines(&record.allows, "co-decider");
            decision
        }
    };
    r.refuse(decision, 403)
}

fn lines(entries: &[Entry], role: &'static str) -> Vec<Related> {
    let mut origins: Vec<Origin> = entries.iter().map(|entry| entry.origin).collect();
    origins.dedup();
    origins.into_iter().map(|origin| Related { role, origin }).collect()
}

/// The first entry that matches (find_allowdeny).
fn find<'a>(entries: impl Iterator<Item = &'a Entry>, r: &RequestRec, cx: &mut Cx) -> Option<Origin> {
    let mut entries = entries.filter(|entry| entry.limited.contains(r.method_number));
    let found = entries.find(|entry| match &entry.from {
        From::All => true,
        From::Env(name) => r.subprocess_env.contains(name),
        From::NotEnv(name) => !r.subprocess_env.contains(name),
        From::Ip(network) => client_in(network, r.client),
        From::Host(name) => host_name(r, cx, Some(entry.origin), name),
    });
    found.map(|entry| entry.origin)
}

/// Whether the client's address lies in a network; a client of a unix socket lies in none.
pub(crate) fn client_in(network: &Network, client: Peer) -> bool {
    match client {
        Peer::Ip(ip) => network.contains(ip),
        Peer::Unix => false,
    }
}

/// A name that the client's verified name equals or lies under (in_domain).
pub(crate) fn in_domain(domain: &[u8], name: &[u8]) -> bool {
    let Some(head) = name.len().checked_sub(domain.len()) else { return false };
    let tail = &name[head..];
    tail.eq_ignore_ascii_case(domain) && (head == 0 || domain.starts_with(b".") || name.get(head - 1) == Some(&b'.'))
}

/// The client's address, where it has one.
pub(crate) fn client_ip(client: Peer) -> Option<IpAddr> {
    match client {
        Peer::Ip(ip) => Some(ip),
        Peer::Unix => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_a_host_name_and_never_matches() {
        assert_eq!(parse_from(b"*"), From::Host(b"*".to_vec()));
        assert_eq!(parse_from(b"10.0.0.*"), From::Host(b"10.0.0.*".to_vec()));
        assert_eq!(parse_from(b"ALL"), From::All);
        assert_eq!(parse_from(b"env=!X"), From::NotEnv(b"X".to_vec()));
    }

    #[test]
    fn a_domain_ends_at_a_dot() {
        assert!(in_domain(b"example.com", b"a.example.com"));
        assert!(in_domain(b".example.com", b"a.example.com"));
        assert!(!in_domain(b"example.com", b"badexample.com"));
    }
}

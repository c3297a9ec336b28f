//! Apache: whom the rules of one section let in by themselves.
//!
//! What a rule believes from here is only a reason to ask: the answer to a request is the proof.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::spots::stranger;
use crate::apache::access::authz_core::{Logic, Node as Requirement, Rule as Require};
use crate::apache::access::providers::Provider;
use crate::apache::model::{DirConf, M_GET};

/// Most clients of different kinds that are told apart in one place.
const MOST_CLIENTS: usize = 12;
/// Deepest nesting of containers that is judged.
const DEEPEST: usize = 12;

/// What the rules of one section say of an anonymous client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Nobody of this address gets in.
    Refused,
    /// With the right credentials.
    Password,
    /// Without any.
    In,
}

/// What a section says about a client by itself; `None`: nothing, or nothing that its address decides.
pub(super) fn verdict(conf: &DirConf, client: IpAddr, method: u8) -> Option<Verdict> {
    let required = conf.authz_core.as_ref().and_then(|record| record.section.as_ref());
    let lists = conf.access_compat.as_ref().filter(|record| record.has_lists());
    let by_address = match lists {
        Some(record) => Some(if record.lets_in(client, method)? { Verdict::In } else { Verdict::Refused }),
        None => None,
    };
    let by_rule = match required {
        Some(tree) => Some(require(tree, client, method)?),
        None => None,
    };
    let any = conf.access_compat.as_ref().is_some_and(|record| record.satisfy_any(method).value);
    match (by_address, by_rule) {
        (Some(lists), Some(rule)) => Some(if any { lists.max(rule) } else { lists.min(rule) }),
        (one, other) => one.or(other),
    }
}

/// What a tree says of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Status {
    Denied,
    NoUser,
    Granted,
    Neutral,
}

/// What a `Require` tree says about an anonymous client; `None` where something else than the address decides.
pub(super) fn require(tree: &Requirement, client: IpAddr, method: u8) -> Option<Verdict> {
    Some(match status(tree, Logic::And, client, method, 0)? {
        Status::Granted => Verdict::In,
        Status::NoUser => Verdict::Password,
        Status::Denied | Status::Neutral => Verdict::Refused,
    })
}

fn status(node: &Requirement, parent: Logic, client: IpAddr, method: u8, depth: usize) -> Option<Status> {
    if !node.limited.contains(method) {
        return Some(if parent == Logic::And { Status::Granted } else { Status::Neutral });
    }
    let own = match &node.rule {
        Require::Require(provider) => alone(provider, client, method),
        Require::Container(logic, children) if depth < DEEPEST => {
            let (all, mut result) = (*logic == Logic::And, Some(Status::Neutral));
            for child in children {
                let said = status(child, if all { Logic::And } else { Logic::Or }, client, method, depth + 1);
                match (all, said) {
                    (true, Some(Status::Denied)) => return flip(node, Some(Status::Denied)),
                    (false, Some(Status::Granted)) => return flip(node, Some(Status::Granted)),
                    (_, None) => result = None,
                    (_, Some(Status::Neutral)) => {}
                    (_, Some(Status::NoUser)) => result = result.map(|_| Status::NoUser),
                    (true, Some(Status::Granted)) => {
                        result = result.map(|result| if result == Status::Neutral { Status::Granted } else { result });
                    }
                    (false, Some(Status::Denied)) => {
                        result = result.map(|result| if result == Status::Neutral { Status::Denied } else { result });
                    }
                }
            }
            result
        }
        Require::Container(..) => None,
    };
    flip(node, own)
}

fn flip(node: &Requirement, status: Option<Status>) -> Option<Status> {
    match status? {
        Status::Granted if node.negate => Some(Status::Denied),
        Status::Denied | Status::NoUser if node.negate => Some(Status::Neutral),
        status => Some(status),
    }
}

/// What one line says.
fn alone(provider: &Provider, client: IpAddr, method: u8) -> Option<Status> {
    let granted = |yes: bool| Some(if yes { Status::Granted } else { Status::Denied });
    match provider {
        Provider::All(yes) => granted(*yes),
        Provider::Method(methods) => granted(methods.contains(method)),
        Provider::Ip(networks) => granted(networks.iter().any(|network| network.contains(client))),
        Provider::Local => granted(client.to_canonical().is_loopback()),
        Provider::User(_) | Provider::ValidUser | Provider::Group(_) | Provider::File(_) => Some(Status::NoUser),
        Provider::Opaque(_, true) => Some(Status::NoUser),
        _ => None,
    }
}

/// Whether a line asks for a user.
pub(super) fn needs_user(provider: &Provider) -> bool {
    matches!(
        provider,
        Provider::User(_) | Provider::ValidUser | Provider::Group(_) | Provider::File(_) | Provider::Opaque(_, true)
    )
}

/// Every line of a tree.
pub(super) fn lines(tree: &Requirement) -> Vec<(&Requirement, &Provider)> {
    let (mut found, mut open) = (Vec::new(), vec![tree]);
    while let Some(node) = open.pop() {
        match &node.rule {
            Require::Require(provider) => found.push((node, &**provider)),
            Require::Container(_, children) => open.extend(children.iter().rev()),
        }
    }
    found
}

/// The tree of a section.
pub(super) fn tree(conf: &DirConf) -> Option<&Requirement> {
    conf.authz_core.as_ref()?.section.as_ref()
}

/// Whether a section says anything about who may.
pub(super) fn has_rules(conf: &DirConf) -> bool {
    tree(conf).is_some() || conf.access_compat.as_ref().is_some_and(|record| record.has_lists())
}

/// Clients that the rules of these sections tell apart: a stranger, this machine, and one of each kind.
pub(super) fn clients(confs: &[&DirConf]) -> Vec<IpAddr> {
    use crate::apache::access::compat::From;
    let mut nets: Vec<IpNet> = Vec::new();
    for conf in confs {
        for (_, provider) in tree(conf).map(lines).into_iter().flatten() {
            if let Provider::Ip(networks) = provider {
                nets.extend(networks.iter().filter_map(|network| network.net()));
            }
        }
        for entry in conf.access_compat.iter().flat_map(|record| record.allows.iter().chain(&record.denies)) {
            if let From::Ip(network) = &entry.from {
                nets.extend(network.net());
            }
        }
    }
    nets.sort();
    nets.dedup();
    nets.truncate(64);
    let mut found = vec![stranger()];
    found.extend(crate::ipset::classes(&nets).into_iter().filter(|client| nets.iter().any(|net| net.contains(client))));
    found.push(IpAddr::from([127, 0, 0, 1]));
    let mut seen = HashSet::new();
    found.retain(|client| seen.insert(*client));
    found.truncate(MOST_CLIENTS);
    found
}

/// Whether the rules of a section keep an ordinary stranger out, or ask for a password.
pub(super) fn restricts(conf: &DirConf) -> bool {
    verdict(conf, stranger(), M_GET).is_some_and(|verdict| verdict < Verdict::In)
}

/// Whether a section says nothing but `Require all denied`.
pub(super) fn denies_all(conf: &DirConf) -> bool {
    tree(conf).is_some_and(|tree| lines(tree).iter().all(|(_, provider)| matches!(provider, Provider::All(false))))
}

/// Whether a section says nothing but `Require all granted`.
pub(super) fn grants_all(conf: &DirConf) -> bool {
    tree(conf).is_some_and(|tree| lines(tree).iter().all(|(_, provider)| matches!(provider, Provider::All(true))))
}

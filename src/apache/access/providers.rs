//! The providers behind `Require`: mod_authz_core, mod_authz_host, mod_authz_user, mod_authz_groupfile,
//! mod_authz_owner, mod_ssl.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use crate::apache::access::address::{Network, NotAnAddress};
use crate::apache::access::authz_core::Status;
use crate::apache::access::compat::{client_in, client_ip};
use crate::apache::expr::{self, Expr, Failure, StringExpr};
use crate::apache::lex::getword_conf;
use crate::apache::model::{Command, DirConf, MethodSet, PerDir};
use crate::apache::request::{Cx, RequestRec, expr_text, host_name, is_localhost_too, test_expr};
use crate::fact::{Fact, Question, Subject};
use crate::request::{ClientCert, Peer};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// A `Require` line, read.
#[derive(Debug)]
pub(crate) enum Provider {
    /// `all granted`, `all denied`.
    All(bool),
    /// `env NAME…`.
    Env(Vec<Vec<u8>>),
    /// `method NAME…`.
    Method(MethodSet),
    /// `expr …`, and whether it mentions REMOTE_USER.
    Expr(Expr),
    /// `ip …`.
    Ip(Vec<Network>),
    /// `host …`.
    Host(StringExpr),
    /// `forward-dns …`.
    ForwardDns(StringExpr),
    /// `local`.
    Local,
    /// `user …`.
    User(StringExpr),
    /// `valid-user`.
    ValidUser,
    /// `group …`.
    Group(StringExpr),
    /// `file-owner`, `file-group`: the name.
    File(&'static str),
    /// `ssl`.
    Ssl,
    /// `ssl-verify-client`.
    SslVerifyClient,
    /// An `<AuthzProviderAlias>`: the base with the section's directives merged in.
    Alias(Arc<Provider>, Arc<DirConf>),
    /// A provider whose data is out of reach (`ldap-group`, `dbd-group`…), and whether it needs a user first.
    Opaque(String, bool),
}

/// mod_authz_groupfile's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupFileRecord {
    /// AuthGroupFile.
    pub file: Option<Setting<Vec<u8>>>,
}

impl GroupFileRecord {
    /// `AuthGroupFile path`.
    pub fn command(&mut self, cmd: &Command) {
        self.file = cmd.arg(0).map(|name| Setting::new(cmd.server_root_relative(name), cmd.origin));
    }
}

/// `<AuthzProviderAlias>` sections read so far, by the alias.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aliases {
    /// Authorization: alias → provider and the section's records.
    pub authz: BTreeMap<Vec<u8>, (Arc<Provider>, Arc<DirConf>)>,
    /// Authentication: alias → provider name and the section's records.
    pub authn: BTreeMap<Vec<u8>, (Vec<u8>, Arc<DirConf>)>,
}

/// Reads a provider's arguments; the error is the server's own message. Names are case-sensitive.
pub(crate) fn parse(name: &[u8], rest: &[u8], cmd: &Command, aliases: &Aliases) -> Result<Provider, String> {
    let text = |rest: &[u8]| expr::parse_string(rest, cmd.expr_context());
    Ok(match name {
        b"all" => match rest.to_ascii_lowercase().as_slice() {
            b"granted" => Provider::All(true),
            b"denied" => Provider::All(false),
            _ => return Err("Argument for 'Require all' must be 'granted' or 'denied'".to_owned()),
        },
        b"env" => Provider::Env(words(rest)),
        b"method" => {
            let mut methods = MethodSet(0);
            for word in words(rest) {
                methods.0 |= 1 << cmd.methods.number(&word);
            }
            Provider::Method(methods)
        }
        b"expr" => {
            let quoted = rest.len() > 1 && rest.starts_with(b"\"") && rest.ends_with(b"\"");
            let rest = if quoted { &rest[1..rest.len() - 1] } else { rest };
            Provider::Expr(expr::parse(rest, cmd.expr_context())?)
        }
        b"ip" => Provider::Ip(networks(rest)?),
        b"host" => Provider::Host(text(rest)?),
        b"forward-dns" => Provider::ForwardDns(text(rest)?),
        b"local" => Provider::Local,
        b"user" => Provider::User(text(rest)?),
        b"valid-user" => Provider::ValidUser,
        b"group" => Provider::Group(text(rest)?),
        b"file-owner" => Provider::File("file-owner"),
        b"file-group" => Provider::File("file-group"),
        b"ssl" => Provider::Ssl,
        b"ssl-verify-client" => Provider::SslVerifyClient,
        _ => match aliases.authz.get(name) {
            Some((base, conf)) => Provider::Alias(base.clone(), conf.clone()),
            None => {
                let needs_user = name.starts_with(b"ldap-") || name.starts_with(b"db");
                Provider::Opaque(String::from_utf8_lossy(name).into_owned(), needs_user)
            }
        },
    })
}

/// The words of a line, quotes undone; an empty word ends them.
pub(crate) fn words(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    loop {
        let word = getword_conf(&mut rest);
        if word.is_empty() {
            return words;
        }
        words.push(word.into_owned());
    }
}

fn networks(rest: &[u8]) -> Result<Vec<Network>, String> {
    let mut networks = Vec::new();
    for word in words(rest) {
        let shown = String::from_utf8_lossy(&word).into_owned();
        networks.push(Network::parse(&word).map_err(|why| match why {
            NotAnAddress::Text => format!("ip address '{shown}' appears to be invalid"),
            NotAnAddress::Address => {
                format!("ip address '{shown}' appears to be invalid: The specified IP address is invalid.")
            }
            NotAnAddress::Mask => {
                format!("ip address '{shown}' appears to be invalid: The specified network mask is invalid.")
            }
        })?);
    }
    if networks.is_empty() {
        return Err("'require ip' requires an argument".to_owned());
    }
    Ok(networks)
}

fn granted(yes: bool) -> Status {
    if yes { Status::Granted } else { Status::Denied }
}

/// check_authorization of the provider.
pub(crate) fn check<'c>(
    provider: &Provider,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
    origin: Option<Origin>,
) -> Status {
    match provider {
        Provider::All(yes) => granted(*yes),
        Provider::Env(names) => granted(names.iter().any(|name| r.subprocess_env.contains(name))),
        Provider::Method(methods) => granted(methods.contains(r.method_number)),
        Provider::Expr(expr) => match test_expr(expr, r, cx) {
            Ok(true) => Status::Granted,
            Ok(false) if expr.mentions_remote_user() => Status::DeniedNoUser,
            Ok(false) => Status::Denied,
            Err(Failure::Error(_)) => Status::Error,
            Err(Failure::Unknown) => Status::Unknown,
        },
        Provider::Ip(networks) => granted(networks.iter().any(|network| client_in(network, r.client))),
        Provider::Local => granted(is_local(r)),
        Provider::Host(names) => with_text(names, r, cx, |names, r, cx| {
            let names = names.split(|&byte| byte == b'#').next().unwrap_or_default();
            granted(words(names).iter().any(|name| host_name(r, cx, origin, name)))
        }),
        Provider::ForwardDns(names) => with_text(names, r, cx, |names, r, cx| {
            let names = names.split(|&byte| byte == b'#').next().unwrap_or_default();
            granted(words(names).iter().any(|name| has_address(name, r, cx, origin)))
        }),
        Provider::ValidUser => {
            if r.user.is_some() {
                Status::Granted
            } else {
                Status::DeniedNoUser
            }
        }
        Provider::User(names) => match r.user.clone() {
            None => Status::DeniedNoUser,
            Some(user) => with_text(names, r, cx, |names, _, _| granted(words(&names).contains(&user))),
        },
        Provider::Group(names) => match r.user.clone() {
            None => Status::DeniedNoUser,
            Some(user) => group(names, &user, r, cx),
        },
        Provider::File(name) => match r.user.clone() {
            None => Status::DeniedNoUser,
            Some(user) => file_owner(name, &user, r, cx, origin),
        },
        Provider::Ssl => granted(r.connection.tls),
        Provider::SslVerifyClient => match r.connection.client_cert {
            ClientCert::Ok => granted(r.connection.tls),
            ClientCert::None | ClientCert::Failed => Status::Denied,
            ClientCert::Pem(_) => granted(cx.assume(
                Subject::Certificate("the client's certificate".to_owned()),
                origin,
                "the client's certificate is accepted",
                "the client's certificate is not accepted",
            )),
        },
        Provider::Alias(base, conf) => {
            let own = r.per_dir.clone();
            let merged = Arc::new(DirConf::merge(&own, conf));
            r.per_dir = PerDir::new(merged, cx.identity());
            let status = check(base, r, cx, origin);
            r.per_dir = own;
            status
        }
        Provider::Opaque(_, true) if r.user.is_none() => Status::DeniedNoUser,
        Provider::Opaque(name, _) => granted(!cx.assume(
            Subject::Opaque(format!("Require {name}")),
            origin,
            &format!("`Require {name}` does not hold"),
            &format!("`Require {name}` holds"),
        )),
    }
}

fn with_text<'c>(
    names: &StringExpr,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
    decide: impl FnOnce(Vec<u8>, &mut RequestRec<'c>, &mut Cx<'c>) -> Status,
) -> Status {
    match expr_text(names, r, cx) {
        Ok(text) => decide(text, r, cx),
        Err(Failure::Error(_)) => Status::Denied,
        Err(Failure::Unknown) => Status::Unknown,
    }
}

/// local_check_authorization: a loopback client, or one that has our own address.
fn is_local(r: &RequestRec) -> bool {
    match r.client {
        Peer::Unix => false,
        Peer::Ip(ip) => {
            let ip = ip.to_canonical();
            ip.is_loopback() || ip == r.connection.local.ip().to_canonical()
        }
    }
}

/// Whether the client's address is among those of a name.
fn has_address(name: &[u8], r: &RequestRec, cx: &mut Cx, origin: Option<Origin>) -> bool {
    let Some(ip) = client_ip(r.client) else { return false };
    let name = String::from_utf8_lossy(name);
    if name.eq_ignore_ascii_case("localhost") {
        return match ip.to_canonical() {
            IpAddr::V4(ip) => ip == Ipv4Addr::LOCALHOST,
            IpAddr::V6(ip) => ip == Ipv6Addr::LOCALHOST && is_localhost_too(origin, cx),
        };
    }
    match cx.world.resolver.addresses(&name) {
        Fact::Known(addresses) => addresses.iter().any(|address| address.to_canonical() == ip.to_canonical()),
        Fact::Unknown(_) => !cx.assume(
            Subject::Resolve(format!("{name} (has it {ip}?)")),
            origin,
            &format!("{name} has not the address {ip}"),
            &format!("{name} has the address {ip}"),
        ),
    }
}

/// Lines of a group file: `name: user user…`; group names are compared without case, user names with it.
fn group<'c>(names: &StringExpr, user: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Status {
    let Some(file) = r.per_dir.authz_groupfile.as_ref().and_then(|record| record.file.clone()) else {
        return Status::Denied;
    };
    let path = Path::new(OsStr::from_bytes(&file.value));
    let text = match cx.disk.read(path, MAX_FILE) {
        Err(_) => return Status::Denied,
        Ok(Fact::Known(text)) => text,
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(Question::at(question.subject, file.origin));
            return Status::Unknown;
        }
    };
    let mut groups: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        if words(line.get(colon + 1..).unwrap_or_default()).iter().any(|member| member == user) {
            groups.push(line[..colon].trim_ascii_end().to_vec());
        }
    }
    cx.note("auth_checker", file.origin, || Event::GroupsOf { user: user.to_vec(), groups: groups.clone() });
    if groups.is_empty() {
        return Status::Denied;
    }
    with_text(names, r, cx, |names, _, _| {
        granted(words(&names).iter().any(|name| groups.iter().any(|group| group.eq_ignore_ascii_case(name))))
    })
}

/// Largest password or group file read, in bytes.
pub(crate) const MAX_FILE: u64 = 64 << 20;

/// `file-owner`, `file-group`: the names behind uids and gids are the system's.
fn file_owner<'c>(name: &str, user: &[u8], r: &RequestRec<'c>, cx: &mut Cx<'c>, origin: Option<Origin>) -> Status {
    if r.finfo.is_none() {
        return Status::Denied;
    }
    let user = String::from_utf8_lossy(user);
    let file = String::from_utf8_lossy(r.filename.as_deref().unwrap_or_default()).into_owned();
    granted(!cx.assume(
        Subject::Other(format!("Require {name} for {user} and {file}")),
        origin,
        &format!("`Require {name}` does not hold for {user} and {file}"),
        &format!("`Require {name}` holds for {user} and {file}"),
    ))
}

//! nginx: every place whose settings can be in force for a request, and whom its access rules let in.

use std::cell::OnceCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;

use super::sample::samples;
use crate::ask;
use crate::finding::Witness;
use crate::ipset::IpSet;
use crate::lint::subject::Subject;
use crate::nginx::listen::{Listen, ServerName, Socket};
use crate::nginx::model::{AccessConf, Http, LocConf, Location, LocationKind, Satisfy, Server};
use crate::outcome::{Certainty, Outcome, Run};
use crate::request::{Destination, Peer, Request, Scheme};
use crate::source::Origin;

/// A server's own settings, or those of one of its locations.
#[derive(Clone, Debug)]
pub(crate) struct Spot<'a> {
    /// The server.
    pub server: &'a Server,
    /// The locations around it and itself, outermost first; none: the server's own settings.
    pub path: Vec<&'a Location>,
    /// The settings.
    pub conf: &'a LocConf,
    /// What rules ask of it, worked out once.
    open: OnceCell<IpSet>,
    closed: OnceCell<IpSet>,
    paths: OnceCell<Vec<String>>,
}

/// Every spot of every server, in configuration order: those of a server stand together.
pub(crate) fn spots(http: &Http) -> Vec<Spot<'_>> {
    let mut found = Vec::new();
    for server in &http.servers {
        found.push(Spot::new(server, Vec::new(), &server.conf));
        let mut open: Vec<Vec<&Location>> = server.locations.all.iter().rev().map(|location| vec![location]).collect();
        while let Some(path) = open.pop() {
            let Some(location) = path.last().copied() else { continue };
            for inner in location.locations.all.iter().rev() {
                open.push(path.iter().copied().chain([inner]).collect());
            }
            found.push(Spot::new(server, path, &location.conf));
        }
    }
    found
}

/// The spots of each server.
pub(super) fn by_server<'s, 'a>(spots: &'s [Spot<'a>]) -> impl Iterator<Item = &'s [Spot<'a>]> {
    spots.chunk_by(|one, next| std::ptr::eq(one.server, next.server))
}

/// The spots of one server.
pub(super) fn of_server<'s, 'a>(spots: &'s [Spot<'a>], server: &Server) -> &'s [Spot<'a>] {
    // Servers lie one behind the other in the model, and the spots are in their order.
    let address = std::ptr::from_ref(server);
    let from = spots.partition_point(|spot| std::ptr::from_ref(spot.server) < address);
    let to = spots.partition_point(|spot| std::ptr::from_ref(spot.server) <= address);
    &spots[from..to]
}

impl<'a> Spot<'a> {
    fn new(server: &'a Server, path: Vec<&'a Location>, conf: &'a LocConf) -> Self {
        Spot { server, path, conf, open: OnceCell::new(), closed: OnceCell::new(), paths: OnceCell::new() }
    }

    /// The same place under another record, that of its `limit_except`.
    pub fn with_conf(&self, conf: &'a LocConf) -> Self {
        Spot::new(self.server, self.path.clone(), conf)
    }

    /// Its location; `None` for the server's own settings.
    pub fn location(&self) -> Option<&'a Location> {
        self.path.last().copied()
    }

    /// The settings that it inherits from.
    pub fn outer<'h>(&self, http: &'h Http) -> &'h LocConf
    where
        'a: 'h,
    {
        match self.path.len() {
            0 => &http.conf,
            1 => &self.server.conf,
            depth => &self.path[depth - 2].conf,
        }
    }

    /// `location /a/`, or `this server`, for messages.
    pub fn name(&self) -> String {
        match self.location() {
            None => "this server".to_owned(),
            Some(location) => {
                let sign = match location.kind {
                    LocationKind::Exact => "= ",
                    LocationKind::NoRegex => "^~ ",
                    LocationKind::Regex(_) => "~ ",
                    LocationKind::Prefix | LocationKind::Named => "",
                };
                format!("`location {sign}{}`", String::from_utf8_lossy(&location.name))
            }
        }
    }

    /// The `root` or `alias` that it would inherit.
    pub fn outer_mapping(&self) -> Option<Origin> {
        match self.path.len() {
            0 => None,
            1 => self.server.conf.core.mapping.origin,
            depth => self.path[depth - 2].conf.core.mapping.origin,
        }
    }

    /// Whether `allow` or `deny` stand here, rather than further out.
    pub fn has_own_access(&self, http: &Http) -> bool {
        !Arc::ptr_eq(&self.conf.access, &self.outer(http).access)
    }

    /// Paths that this spot probably answers. Which one it really answers shows when it is asked.
    pub fn paths(&self) -> &[String] {
        self.paths.get_or_init(|| self.probable_paths())
    }

    fn probable_paths(&self) -> Vec<String> {
        let Some(location) = self.location() else { return vec!["/".to_owned(), "/x".to_owned()] };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().filter(|text| text.starts_with('/'));
        match &location.kind {
            LocationKind::Exact => text(&location.name).into_iter().collect(),
            LocationKind::Named => Vec::new(),
            LocationKind::Prefix | LocationKind::NoRegex => {
                let Some(name) = text(&location.name) else { return Vec::new() };
                vec![format!("{name}x"), name.clone(), format!("{name}/x"), format!("{name}x.txt")]
            }
            LocationKind::Regex(regex) => {
                let fits = |path: &Vec<u8>| path.starts_with(b"/") && regex.pattern().is_match(path).unwrap_or(false);
                let mut found = Vec::new();
                for sample in samples(&location.name) {
                    for head in ["", "/", "/x", "/a/x"] {
                        found.push([head.as_bytes(), &sample].concat());
                    }
                }
                found.into_iter().filter(fits).filter_map(|path| String::from_utf8(path).ok()).collect()
            }
        }
    }

    /// The clients that need no password and are let in.
    pub fn open(&self) -> &IpSet {
        self.open.get_or_init(|| open(self.conf))
    }

    /// The clients that it keeps out, at least until they show a password.
    pub fn closed(&self) -> &IpSet {
        self.closed.get_or_init(|| {
            let mut set = IpSet::all();
            set.subtract(self.open());
            set
        })
    }
}

/// The clients that a record lets in without a password or a subrequest's leave.
pub(super) fn open(conf: &LocConf) -> IpSet {
    let access = &*conf.access;
    let auth = has_auth(conf);
    match conf.core.satisfy.value {
        Satisfy::All if auth => IpSet::new(),
        Satisfy::Any if auth => allowed(access),
        _ => let_in(access),
    }
}

/// Whether a password or a subrequest is asked for.
pub(super) fn has_auth(conf: &LocConf) -> bool {
    let realm = conf.auth.realm.value.as_ref().is_some_and(|realm| realm.as_literal() != Some(b"off"));
    (realm && conf.auth.user_file.value.is_some()) || conf.auth.request.value.is_some()
}

/// Everybody whom the rules do not refuse: who matches no rule is let in.
pub(super) fn let_in(access: &AccessConf) -> IpSet {
    let mut set = IpSet::all();
    set.subtract(&decided(access, true));
    set
}

/// Everybody whom an `allow` decides.
pub(super) fn allowed(access: &AccessConf) -> IpSet {
    decided(access, false)
}

/// Everybody for whom the first matching rule is a `deny` (or an `allow`).
fn decided(access: &AccessConf, deny: bool) -> IpSet {
    let (mut found, mut earlier) = (IpSet::new(), IpSet::new());
    let v4 = access.v4.iter().map(|rule| (IpNet::V4(rule.value.net), rule.value.deny));
    let v6 = access.v6.iter().map(|rule| (IpNet::V6(rule.value.net), rule.value.deny));
    for (net, denies) in v4.chain(v6) {
        let mut here = IpSet::new();
        here.insert(net);
        here.subtract(&earlier);
        earlier.insert(net);
        if denies == deny {
            found.unite(&here);
        }
    }
    found
}

/// The rules of a record in the order of their text, each once (`all` stands in three lists).
pub(super) fn rules(access: &AccessConf) -> Vec<(Origin, bool, Vec<IpNet>)> {
    let mut found: Vec<(Origin, bool, Vec<IpNet>)> = Vec::new();
    let v4 = access.v4.iter().map(|rule| (rule.origin, rule.value.deny, Some(IpNet::V4(rule.value.net))));
    let v6 = access.v6.iter().map(|rule| (rule.origin, rule.value.deny, Some(IpNet::V6(rule.value.net))));
    let unix = access.unix.iter().map(|rule| (rule.origin, rule.value.deny, None));
    for (origin, deny, net) in v4.chain(v6).chain(unix) {
        let Some(origin) = origin else { continue };
        match found.iter_mut().find(|(known, _, _)| *known == origin) {
            Some((_, _, nets)) => nets.extend(net),
            None => found.push((origin, deny, net.into_iter().collect())),
        }
    }
    found
}

/// A client of the second set that the first does not hold.
pub(super) fn outside(set: &IpSet, wider: &IpSet) -> Option<IpAddr> {
    if wider.is_within(set) {
        return None;
    }
    let mut rest = wider.clone();
    rest.subtract(set);
    pick(&rest)
}

/// A client of a set that stands for a stranger where the set has one: a documentation address, else any public one, else any.
pub(super) fn pick(set: &IpSet) -> Option<IpAddr> {
    const STRANGERS: [IpAddr; 6] = [
        IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
        IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)),
        IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
        IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)),
        IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9)),
    ];
    STRANGERS.into_iter().find(|&address| set.contains(address)).or_else(|| set.first())
}

/// A stranger's address.
pub(super) fn stranger() -> IpAddr {
    IpAddr::from([203, 0, 113, 9])
}

/// A listener of a server that a client of this family reaches over TCP.
pub(super) fn listener(server: &Server, from: IpAddr) -> Option<&Listen> {
    server.listens.iter().find(|listen| match &listen.socket {
        Socket::Ip(socket) => {
            !listen.quic && (socket.is_ipv4() == from.is_ipv4() || (from.is_ipv4() && !listen.ipv6only))
        }
        Socket::Unix(_) | Socket::Name(..) => false,
    })
}

/// The URL of a path on a listener of a server; `None` where that is no TCP socket.
fn url(server: &Server, listen: &Listen, from: IpAddr, path: &str) -> Option<String> {
    let Socket::Ip(socket) = &listen.socket else { return None };
    let scheme = if listen.ssl { "https" } else { "http" };
    let literal = server.names.iter().find_map(|name| match &name.value {
        ServerName::Text(text) if !text.is_empty() && !text.contains(&b'*') && !text.starts_with(b".") => {
            std::str::from_utf8(text).ok().map(str::to_owned)
        }
        _ => None,
    });
    let host = literal.unwrap_or_else(|| match socket.ip() {
        ip if ip.is_unspecified() && from.is_ipv4() => "127.0.0.1".to_owned(),
        ip if ip.is_unspecified() => "[::1]".to_owned(),
        IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    });
    let port = match (scheme, socket.port()) {
        ("http", 80) | ("https", 443) => String::new(),
        (_, port) => format!(":{port}"),
    };
    Some(format!("{scheme}://{host}{port}{path}"))
}

/// A request that was asked, with what it got.
pub(crate) struct Asked {
    /// The request and its answer.
    pub witness: Witness,
    /// The run behind it.
    pub run: Run,
    /// How sure it is.
    pub certainty: Certainty,
}

/// Asks a server for a path. `None` where the client cannot reach it.
pub(super) fn ask_for(
    subject: &Subject,
    server: &Server,
    method: &str,
    path: &str,
    from: IpAddr,
    headers: &[(&str, &str)],
    expected: &str,
) -> Option<Asked> {
    ask_on(subject, server, listener(server, from)?, (method, path), from, headers, expected)
}

/// Asks a server for a path over one of its listeners.
pub(super) fn ask_on(
    subject: &Subject,
    server: &Server,
    listen: &Listen,
    (method, path): (&str, &str),
    from: IpAddr,
    headers: &[(&str, &str)],
    expected: &str,
) -> Option<Asked> {
    let url = url(server, listen, from, path)?;
    let to = match &listen.socket {
        Socket::Ip(socket) if !socket.ip().is_unspecified() => socket.ip(),
        Socket::Ip(_) if from.is_ipv4() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Socket::Ip(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        Socket::Unix(_) | Socket::Name(..) => return None,
    };
    let request = match ordinary(listen, &url, method, path, from, &to).filter(|_| headers.is_empty()) {
        Some(request) => request,
        None => {
            let lines = headers.iter().map(|(name, value)| ((*name).into(), Some((*value).into())));
            let question = ask::Question {
                method: Some(method.into()),
                url: Some(url.as_str().into()),
                from: Some(from.to_string().into()),
                to: Some(to.to_string().into()),
                headers: Some(lines.collect()),
                ..ask::Question::default()
            };
            ask::request(&question, |_| Err("no certificate is sent".to_owned())).ok()?
        }
    };
    let (run, certainty) = subject.ask(&request);
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let witness = Witness {
        method: method.to_owned(),
        url,
        from: from.to_string(),
        to: to.to_string(),
        headers,
        gets: run.outcome,
        expected: expected.to_owned(),
    };
    Some(Asked { witness, run, certainty })
}

/// The request for a URL with a plain name in it, which need not be read from its text.
fn ordinary(listen: &Listen, url: &str, method: &str, path: &str, from: IpAddr, to: &IpAddr) -> Option<Request> {
    let Socket::Ip(socket) = &listen.socket else { return None };
    let (scheme, default_port) = if listen.ssl { (Scheme::Https, 443) } else { (Scheme::Http, 80) };
    let authority = url.split_once("://")?.1.strip_suffix(path)?;
    let host = match socket.port() {
        port if port == default_port => authority,
        _ => authority.rsplit_once(':')?.0,
    };
    let is_plain_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let is_address = host.parse::<Ipv4Addr>().is_ok();
    let is_plain_path = path.starts_with('/') && !path.bytes().any(|byte| matches!(byte, b'#' | b'\r' | b'\n'));
    if host.is_empty() || !is_plain_name || is_address || !is_plain_path || method.is_empty() || method.contains(' ') {
        return None;
    }
    let to = Destination {
        scheme: Some(scheme),
        address: Some(*to),
        port: Some(socket.port()),
        name: Some(host.as_bytes().to_vec()),
    };
    let peer = Peer::Ip(from);
    Some(Request { method: method.as_bytes().to_vec(), peer, to, ..Request::get(path, authority) })
}

impl Asked {
    /// Whether the client got past every access rule: an answer that is neither a refusal nor unknown.
    pub fn gets_in(&self) -> bool {
        match self.run.outcome {
            Outcome::Response(status) => !matches!(status, 400 | 401 | 403 | 407 | 421 | 444 | 494..=497),
            Outcome::Upstream => true,
            Outcome::Closed | Outcome::Refused | Outcome::Unknown => false,
        }
    }

    /// Whether an access rule or a missing password refused it.
    pub fn is_refused(&self) -> bool {
        matches!(self.run.outcome, Outcome::Response(401 | 403))
    }

    /// The location whose settings were in force in the end.
    pub fn landed_in(&self) -> Option<Origin> {
        self.run.seen.sections.last().copied()
    }
}

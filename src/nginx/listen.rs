//! Who listens where, and which server answers to a name.
//!
//! nginx keeps a table of ports, under each the addresses, under each the servers with three tables of names
//! (`ngx_http_optimize_servers`, `ngx_http_find_virtual_server`). An address that is written out beats the wildcard of
//! the same family and port, and only the servers listening on that very entry compete.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::model::Server;
use super::variables::Regex;
use crate::source::Origin;

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// An address and port; an unspecified address is a wildcard.
    Ip(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
    /// A host name that is resolved when nginx starts, and a port.
    Name(Box<[u8]>, u16),
}

/// One `listen` of one server; a port range gives several.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Where.
    pub socket: Socket,
    /// The directive; `None`: the default `*:80` of a server without one.
    pub origin: Option<Origin>,
    /// `default_server` or `default`.
    pub default_server: bool,
    /// `ssl`, or `quic`, which is always encrypted.
    pub ssl: bool,
    /// `proxy_protocol`.
    pub proxy_protocol: bool,
    /// `http2`.
    pub http2: bool,
    /// `ipv6only`; on unless written off.
    pub ipv6only: bool,
    /// `quic`: UDP, not reachable by a TCP client.
    pub quic: bool,
}

/// A bad address or parameter of `listen`: refused by the configuration check, ignored here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadListen;

impl Listen {
    /// The default of a server without a `listen`: `*:80`, as root starts it.
    pub fn default_socket() -> Listen {
        Listen {
            socket: Socket::Ip(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80))),
            origin: None,
            default_server: false,
            ssl: false,
            proxy_protocol: false,
            http2: false,
            ipv6only: true,
            quic: false,
        }
    }

    /// Reads the arguments of a `listen` directive (`ngx_parse_url`, then the parameters).
    ///
    /// # Errors
    /// An address that nginx refuses.
    pub fn parse(args: &[&[u8]], origin: Origin) -> Result<Vec<Listen>, BadListen> {
        let (address, parameters) = args.split_first().ok_or(BadListen)?;
        let has = |names: &[&[u8]]| parameters.iter().any(|parameter| names.contains(parameter));
        let listen = |socket| Listen {
            socket,
            origin: Some(origin),
            default_server: has(&[b"default_server", b"default"]),
            ssl: has(&[b"ssl", b"quic"]),
            proxy_protocol: has(&[b"proxy_protocol"]),
            http2: has(&[b"http2"]),
            ipv6only: !has(&[b"ipv6only=off"]),
            quic: has(&[b"quic"]),
        };
        if let Some(path) = address.strip_prefix(b"unix:") {
            use std::os::unix::ffi::OsStrExt;
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            return Ok(vec![listen(Socket::Unix(path))]);
        }
        let (host, ports) = split_address(address)?;
        Ok(ports
            .map(|port| {
                listen(match &host {
                    Host::Ip(ip) => Socket::Ip(SocketAddr::new(*ip, port)),
                    Host::Name(name) if name.eq_ignore_ascii_case(b"localhost") => {
                        Socket::Ip(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
                    }
                    Host::Name(name) => Socket::Name(name.clone(), port),
                })
            })
            .collect())
    }
}

enum Host {
    Ip(IpAddr),
    Name(Box<[u8]>),
}

/// `80`, `*:80`, `1.2.3.4`, `[::]:80`, `name:8000-8010`: the host and its ports.
fn split_address(text: &[u8]) -> Result<(Host, std::ops::RangeInclusive<u16>), BadListen> {
    let any = Host::Ip(Ipv4Addr::UNSPECIFIED.into());
    if let Some(literal) = text.strip_prefix(b"[") {
        let end = literal.iter().position(|&byte| byte == b']').ok_or(BadListen)?;
        let ip: Ipv6Addr = parse_utf8(&literal[..end])?;
        let ports = match &literal[end + 1..] {
            b"" => 80..=80,
            rest => parse_ports(rest.strip_prefix(b":").ok_or(BadListen)?)?,
        };
        return Ok((Host::Ip(ip.into()), ports));
    }
    let (host, ports) = match text.iter().position(|&byte| byte == b':') {
        Some(colon) => (&text[..colon], parse_ports(&text[colon + 1..])?),
        None => match parse_ports(text) {
            Ok(ports) => return Ok((any, ports)),
            Err(BadListen) => (text, 80..=80),
        },
    };
    let host = match host {
        b"*" => any,
        _ => match parse_utf8::<Ipv4Addr>(host) {
            Ok(ip) => Host::Ip(ip.into()),
            Err(BadListen) => Host::Name(host.into()),
        },
    };
    Ok((host, ports))
}

fn parse_utf8<T: std::str::FromStr>(text: &[u8]) -> Result<T, BadListen> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(BadListen)
}

fn parse_ports(text: &[u8]) -> Result<std::ops::RangeInclusive<u16>, BadListen> {
    let port = |text: &[u8]| -> Result<u16, BadListen> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return Err(BadListen);
        }
        parse_utf8::<u16>(text).and_then(|port| if port == 0 { Err(BadListen) } else { Ok(port) })
    };
    match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => {
            let (first, last) = (port(&text[..dash])?, port(&text[dash + 1..])?);
            if last < first { Err(BadListen) } else { Ok(first..=last) }
        }
        None => port(text).map(|port| port..=port),
    }
}

/// One name of a server.
#[derive(Debug)]
pub enum ServerName {
    /// As written, in lower case: `x.org`, `*.x.org`, `.x.org`, `www.x.*`, or nothing.
    Text(Box<[u8]>),
    /// `~ regular expression`; the text as written, with its `~`.
    Regex(Box<[u8]>, Regex),
}

impl ServerName {
    /// `$server_name` if it is the first one.
    pub fn shown(&self) -> &[u8] {
        match self {
            ServerName::Text(name) => name.strip_prefix(b".").unwrap_or(name),
            ServerName::Regex(source, _) => source,
        }
    }
}

/// The servers that listen on one socket.
#[derive(Debug)]
pub struct Address {
    /// The socket.
    pub socket: Socket,
    /// Indices into `Http::servers`, in configuration order.
    pub servers: Vec<usize>,
    /// The default one.
    pub default: usize,
    /// What made it the default: `default_server`, else the first `listen`.
    pub default_origin: Option<Origin>,
    /// TLS is spoken here.
    pub ssl: bool,
    /// The PROXY protocol is spoken here.
    pub proxy_protocol: bool,
    /// HTTP/2 is spoken here because a `listen` says so.
    pub http2: bool,
    /// IPv4 clients are not accepted on this IPv6 socket.
    pub ipv6only: bool,
    names: Names,
}

/// Every socket, in configuration order.
#[derive(Debug, Default)]
pub struct Addresses {
    /// The sockets.
    pub all: Vec<Address>,
    by_socket: HashMap<Socket, usize>,
}

/// Why a connection reaches no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nothing listens there.
    Nobody,
    /// Whether something does depends on the address of this name.
    Name(Box<[u8]>),
}

impl Addresses {
    /// Collects the sockets of all servers.
    pub fn new(servers: &[Server]) -> Addresses {
        let mut addresses = Addresses::default();
        for (index, server) in servers.iter().enumerate() {
            for listen in server.listens.iter().filter(|listen| !listen.quic) {
                addresses.add(listen, index);
            }
        }
        for address in &mut addresses.all {
            address.names = Names::new(&address.servers, servers);
        }
        addresses
    }

    fn add(&mut self, listen: &Listen, server: usize) {
        let Some(&at) = self.by_socket.get(&listen.socket) else {
            self.by_socket.insert(listen.socket.clone(), self.all.len());
            self.all.push(Address {
                socket: listen.socket.clone(),
                servers: vec![server],
                default: server,
                default_origin: listen.origin,
                ssl: listen.ssl,
                proxy_protocol: listen.proxy_protocol,
                http2: listen.http2,
                ipv6only: listen.ipv6only,
                names: Names::default(),
            });
            return;
        };
        let address = &mut self.all[at];
        if address.servers.last() != Some(&server) {
            address.servers.push(server);
        }
        address.ssl |= listen.ssl;
        address.proxy_protocol |= listen.proxy_protocol;
        address.http2 |= listen.http2;
        address.ipv6only &= listen.ipv6only;
        if listen.default_server {
            address.default = server;
            address.default_origin = listen.origin;
        }
    }

    /// The entry that accepts a connection to this local address: itself, else the wildcard of its family, else for IPv4
    /// an IPv6 wildcard that is not `ipv6only`.
    ///
    /// # Errors
    /// Nothing listens there, or a name decides whether something does.
    pub fn accept(&self, local: SocketAddr) -> Result<&Address, Unreachable> {
        let port = local.port();
        let wildcard = match local.ip() {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let entry = |ip| self.by_socket.get(&Socket::Ip(SocketAddr::new(ip, port))).map(|&at| &self.all[at]);
        if let Some(address) = entry(local.ip()) {
            return Ok(address);
        }
        let named = self.all.iter().find_map(|address| match &address.socket {
            Socket::Name(name, at) if *at == port => Some(name.clone()),
            _ => None,
        });
        if let Some(name) = named {
            return Err(Unreachable::Name(name));
        }
        let dual = || entry(Ipv6Addr::UNSPECIFIED.into()).filter(|address| local.is_ipv4() && !address.ipv6only);
        entry(wildcard).or_else(dual).ok_or(Unreachable::Nobody)
    }
}

/// The tables of names under one socket.
#[derive(Debug, Default)]
struct Names {
    exact: HashMap<Box<[u8]>, usize>,
    /// `*.x.org` and `.x.org` by `x.org`; the latter also stands for `x.org` itself.
    leading: HashMap<Box<[u8]>, (usize, bool)>,
    /// `www.x.*` by `www.x`.
    trailing: HashMap<Box<[u8]>, usize>,
    /// Server and index of the name, in configuration order.
    regexes: Vec<(usize, usize)>,
    /// The server with the name `$hostname`, which is the machine's own.
    machine: Option<usize>,
    /// No name is looked up where there is one server without captures.
    looked_up: bool,
}

impl Names {
    fn new(indices: &[usize], servers: &[Server]) -> Names {
        let mut names = Names::default();
        // Names that a `.x.org` has taken as exact ones.
        let mut taken: HashSet<&[u8]> = HashSet::new();
        let mut captures = false;
        for &index in indices {
            let server = &servers[index];
            if server.names.is_empty() && !taken.contains(&b""[..]) {
                names.exact.entry(Box::default()).or_insert(index);
            }
            for (at, name) in server.names.iter().enumerate() {
                let text = match &name.value {
                    ServerName::Regex(..) => {
                        captures = true;
                        names.regexes.push((index, at));
                        continue;
                    }
                    ServerName::Text(text) => &**text,
                };
                if text == b"$hostname" {
                    names.machine.get_or_insert(index);
                    continue;
                }
                // The first server that claims a name keeps it; nginx warns about the others.
                if let Some(rest) = text.strip_prefix(b"*.") {
                    names.leading.entry(rest.into()).or_insert((index, false));
                } else if let Some(rest) = text.strip_prefix(b".") {
                    if !names.exact.contains_key(rest) && taken.insert(rest) {
                        names.leading.entry(rest.into()).or_insert((index, true));
                    }
                } else if let Some(rest) = text.strip_suffix(b".*") {
                    names.trailing.entry(rest.into()).or_insert(index);
                } else if !taken.contains(text) {
                    names.exact.entry(text.into()).or_insert(index);
                }
            }
        }
        names.looked_up = indices.len() > 1 || captures;
        names
    }
}

/// How a server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// By this exact name or wildcard of the server with this index.
    Name(usize),
    /// By this regular expression: server and index of the name.
    Regex(usize, usize),
    /// No name fits.
    Default,
}

impl Address {
    /// The server that is meant if this is the name of the machine (`server_name $hostname`); none where the name is
    /// another server's anyway.
    pub fn server_of_machine(&self, host: &[u8]) -> Option<usize> {
        self.names.machine.filter(|_| self.names.looked_up && !host.is_empty() && !self.names.exact.contains_key(host))
    }

    /// The server for a name (`ngx_http_find_virtual_server`): exact name, longest leading wildcard, longest trailing
    /// wildcard, first regular expression. The caller runs the expression, which also sets captures.
    ///
    /// # Errors
    /// What `run` says.
    pub fn find_server<E>(
        &self,
        host: &[u8],
        servers: &[Server],
        mut run: impl FnMut(&Regex) -> Result<bool, E>,
    ) -> Result<Found, E> {
        let names = &self.names;
        if !names.looked_up {
            return Ok(Found::Default);
        }
        if let Some(&server) = names.exact.get(host) {
            return Ok(Found::Name(server));
        }
        if host.is_empty() {
            return Ok(Found::Default);
        }
        if let Some(&(server, true)) = names.leading.get(host) {
            return Ok(Found::Name(server));
        }
        let dots = || memchr::memchr_iter(b'.', host);
        if !names.leading.is_empty()
            && let Some(&(server, _)) = dots().find_map(|dot| names.leading.get(&host[dot + 1..]))
        {
            return Ok(Found::Name(server));
        }
        if !names.trailing.is_empty()
            && let Some(&server) = memchr::memrchr_iter(b'.', host).find_map(|dot| names.trailing.get(&host[..dot]))
        {
            return Ok(Found::Name(server));
        }
        for &(server, at) in &names.regexes {
            if let ServerName::Regex(_, regex) = &servers[server].names[at].value
                && run(regex)?
            {
                return Ok(Found::Regex(server, at));
            }
        }
        Ok(Found::Default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    fn parse(text: &str) -> Result<Vec<Socket>, BadListen> {
        let origin = Origin { span: Span::new(FileId(0), 0, 0), via: None };
        Listen::parse(&[text.as_bytes()], origin)
            .map(|listens| listens.into_iter().map(|listen| listen.socket).collect())
    }

    fn ip(text: &str) -> Socket {
        Socket::Ip(text.parse().unwrap_or_else(|_| panic!("{text}")))
    }

    #[test]
    fn addresses_are_read_in_every_form() {
        assert_eq!(parse("80"), Ok(vec![ip("0.0.0.0:80")]));
        assert_eq!(parse("*:8080"), Ok(vec![ip("0.0.0.0:8080")]));
        assert_eq!(parse("10.0.0.1"), Ok(vec![ip("10.0.0.1:80")]));
        assert_eq!(parse("[::]:80"), Ok(vec![ip("[::]:80")]));
        assert_eq!(parse("[::1]"), Ok(vec![ip("[::1]:80")]));
        assert_eq!(parse("localhost:81"), Ok(vec![ip("127.0.0.1:81")]));
        assert_eq!(parse("127.0.0.1:80-82"), Ok(vec![ip("127.0.0.1:80"), ip("127.0.0.1:81"), ip("127.0.0.1:82")]));
        assert_eq!(parse("unix:/run/x"), Ok(vec![Socket::Unix("/run/x".into())]));
        assert_eq!(parse("host.example:80"), Ok(vec![Socket::Name(b"host.example".as_slice().into(), 80)]));
        assert_eq!(parse("127.0.0.1:0"), Err(BadListen));
    }
}

//! Which server answers: the address of the connection first, then the name (server/vhost.c).
//!
//! The address picks one chain of virtual hosts: exact address and port, exact address and any port, wildcard and
//! port, wildcard and any port, else the main server. Only the hosts of that chain are asked for their names, in
//! configuration order; the first of them is the default. The server walks the chain for every request; here the names
//! are looked up in a table that knows each one's first place.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::apache::model::ServerConf;
use crate::source::Setting;

/// One address of a `<VirtualHost>` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The text without the port: a name equal to it matches as a last resort.
    pub text: Vec<u8>,
    /// The address; `None`: `*` or `_default_`.
    pub address: Option<IpAddr>,
    /// A host name that was not resolved when the configuration was read.
    pub unresolved: bool,
    /// The port; 0: any.
    pub port: u16,
}

impl Address {
    /// Reads `addr[:port]`, `*`, `*:port`, `_default_[:port]`, `[v6]:port`, `addr:*` (get_addresses). `None`: the server
    /// would refuse it. `default_port` is the port of the main server's `ServerName`.
    pub fn parse(word: &[u8], default_port: u16) -> Option<Address> {
        let (host, port) = split_port(word)?;
        let port = match port {
            _ if word == b"*" => Some(0),
            Some(b"*") => Some(0),
            Some(digits) => std::str::from_utf8(digits).ok()?.parse::<u16>().ok(),
            None => Some(default_port),
        }?;
        if host == b"*" || host.eq_ignore_ascii_case(b"_default_") {
            return Some(Address { text: host.to_vec(), address: None, unresolved: false, port });
        }
        if host.is_empty() || host.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let text = std::str::from_utf8(host).ok()?;
        let address = match text {
            _ if text.eq_ignore_ascii_case("localhost") => Some(IpAddr::from([127, 0, 0, 1])),
            _ => text.parse().ok(),
        };
        Some(Address { text: host.to_vec(), unresolved: address.is_none(), address, port })
    }
}

/// Host and port text of an address; brackets of an IPv6 literal are removed.
fn split_port(word: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    if let Some(rest) = word.strip_prefix(b"[") {
        let end = rest.iter().position(|&byte| byte == b']')?;
        let port = rest[end + 1..].strip_prefix(b":");
        return Some((&rest[..end], port));
    }
    match word.iter().rposition(|&byte| byte == b':') {
        Some(at) => Some((&word[..at], Some(&word[at + 1..]))),
        None => Some((word, None)),
    }
}

/// The virtual hosts among which the name chooses (`vhost_lookup_data`), and the server before any name is known.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// The server for a connection to this address.
    pub base: usize,
    /// The chain's hosts in order; empty for a chain of one and for the main server.
    hosts: Vec<usize>,
    /// The texts of the addresses in lower case: the first place in the chain that an address with it made.
    texts: HashMap<Vec<u8>, usize>,
    /// `ServerName` and literal `ServerAlias` in lower case: the first place in the chain that has the name.
    literal: HashMap<Vec<u8>, usize>,
    /// The places in the chain whose host has an alias with wildcards.
    wild: Vec<usize>,
}

/// The chain of every address that a `<VirtualHost>` line has (`iphash_table` and `default_list`).
#[derive(Debug, Default)]
pub(crate) struct Chains {
    by_address: HashMap<(Option<IpAddr>, u16), Chain>,
    main: Chain,
}

impl Chains {
    /// The chains of all virtual hosts, which are in configuration order.
    pub fn of(servers: &[ServerConf]) -> Chains {
        let mut by_address: HashMap<(Option<IpAddr>, u16), Chain> = HashMap::new();
        for server in servers.iter().filter(|server| server.index > 0) {
            for address in server.addresses.iter().filter(|address| !address.unresolved) {
                let key = (address.address.map(|known| known.to_canonical()), address.port);
                let chain = by_address.entry(key).or_default();
                chain.texts.entry(address.text.to_ascii_lowercase()).or_insert(chain.hosts.len());
                chain.hosts.push(server.index);
            }
        }
        for chain in by_address.values_mut() {
            chain.finish(servers);
        }
        Chains { by_address, main: Chain::default() }
    }

    /// ap_update_vhost_given_ip.
    pub fn given_ip(&self, local: SocketAddr) -> &Chain {
        let (ip, port) = (local.ip().to_canonical(), local.port());
        let wanted = [(Some(ip), port), (Some(ip), 0), (None, port), (None, 0)];
        wanted.iter().find_map(|key| self.by_address.get(key)).unwrap_or(&self.main)
    }
}

impl Chain {
    fn finish(&mut self, servers: &[ServerConf]) {
        let Some(&base) = self.hosts.first() else { return };
        self.base = base;
        if self.hosts.iter().all(|&index| index == base) {
            self.hosts.clear();
        }
        for (place, &index) in self.hosts.iter().enumerate() {
            let Some(server) = servers.get(index) else { continue };
            let own = server_name(servers, server).map(|name| &name.value);
            for name in own.into_iter().chain(&server.aliases) {
                self.literal.entry(name.to_ascii_lowercase()).or_insert(place);
            }
            if !server.wild_aliases.is_empty() {
                self.wild.push(place);
            }
        }
    }

    /// Whether there is nothing to choose (no `vhost_lookup_data`).
    pub fn is_single(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The first host of the chain that has this name (update_server_from_aliases); `None`: none, the caller keeps the base.
    pub fn by_name(&self, servers: &[ServerConf], host: &[u8]) -> Option<usize> {
        if self.is_single() {
            return matches_aliases(servers, self.base, host).then_some(self.base);
        }
        let host = host.to_ascii_lowercase();
        let literal = self.literal.get(&host).copied();
        let mut before = self.wild.iter().copied().take_while(|&place| literal.is_none_or(|literal| place < literal));
        let wild = before.find(|&place| matches_aliases(servers, self.hosts[place], &host));
        let place = wild.or(literal).or_else(|| self.texts.get(&host).copied())?;
        Some(self.hosts[place])
    }

    /// The host whose `ServerPath` begins the path: how a request without Host finds its server (check_serverpath).
    pub fn by_path(&self, servers: &[ServerConf], path: &[u8]) -> Option<usize> {
        let begins = |prefix: &[u8]| {
            path.strip_prefix(prefix).is_some_and(|rest| prefix.ends_with(b"/") || rest.is_empty() || rest[0] == b'/')
        };
        let mut hosts = self.hosts.iter().copied();
        hosts.find(|&index| servers.get(index).and_then(|server| server.server_path.as_deref()).is_some_and(begins))
    }
}

/// The `ServerName` of a server. A host without one goes by the main server's where its address is a wildcard.
fn server_name<'s>(servers: &'s [ServerConf], server: &'s ServerConf) -> Option<&'s Setting<Vec<u8>>> {
    server.name.as_ref().or_else(|| {
        let wildcard = server.addresses.iter().any(|address| address.address.is_none());
        servers.first().filter(|_| wildcard).and_then(|main| main.name.as_ref())
    })
}

/// `ServerName`, then literal aliases, then wildcard ones (matches_aliases).
pub(crate) fn matches_aliases(servers: &[ServerConf], index: usize, host: &[u8]) -> bool {
    let Some(server) = servers.get(index) else { return false };
    let name = server_name(servers, server);
    name.is_some_and(|name| name.value.eq_ignore_ascii_case(host))
        || server.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(host))
        || server.wild_aliases.iter().any(|alias| wildcard_match(alias, host))
}

/// Whether a URL's host and port name this very server (ap_matches_request_vhost).
pub(crate) fn matches_request(servers: &[ServerConf], index: usize, host: &[u8], port: u16) -> bool {
    let Some(server) = servers.get(index) else { return false };
    let by_address =
        |address: &Address| (address.port == 0 || address.port == port) && address.text.eq_ignore_ascii_case(host);
    server.addresses.iter().any(by_address) || server.port == port && matches_aliases(servers, index, host)
}

/// `*` and `?` over any characters, dots too, without case (ap_strcasecmp_match).
pub(crate) fn wildcard_match(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(b'?') => (p, t) = (p + 1, t + 1),
            Some(byte) if byte.eq_ignore_ascii_case(&text[t]) => (p, t) = (p + 1, t + 1),
            _ => match &mut back {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

/// The name in a Host header, lower case and without port and final dot; `None`: the header is empty, or the name is
/// refused with 400 (fix_hostname, apr_parse_addr_port).
pub(crate) fn fix_hostname(value: &[u8], strict: bool) -> Result<Option<Vec<u8>>, ()> {
    if value.is_empty() {
        return Ok(None);
    }
    if value.iter().all(u8::is_ascii_digit) {
        return if strict { Err(()) } else { Ok(Some(value.to_vec())) };
    }
    let host = match named_port(value) {
        Some(digits) => {
            let host = &value[..value.len() - digits.len() - 1];
            let port = std::str::from_utf8(digits).ok().and_then(|port| port.parse().ok());
            port.filter(|port: &u32| !host.is_empty() && (1..=65535).contains(port)).ok_or(())?;
            host
        }
        None => value,
    };
    match host.strip_prefix(b"[") {
        Some(inner) => {
            let literal = inner.strip_suffix(b"]").and_then(|inner| std::str::from_utf8(inner).ok()).ok_or(())?;
            literal.parse::<std::net::Ipv6Addr>().map_err(|_| ())?;
            Ok(Some(literal.to_ascii_lowercase().into_bytes()))
        }
        None => fix_name(host, strict).map(Some),
    }
}

/// The port in a Host header. It has digits only; anything else belongs to the name, which Unsafe does not look at.
pub(crate) fn named_port(value: &[u8]) -> Option<&[u8]> {
    let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, port) = value.split_at(value.len() - digits);
    (digits > 0 && rest.ends_with(b":")).then_some(port)
}

/// The host of an absolute target, from which brackets and port are already taken.
pub(crate) fn fix_url_hostname(host: &[u8], strict: bool) -> Result<Vec<u8>, ()> {
    if host.is_empty() {
        return Ok(Vec::new());
    }
    if host.iter().all(u8::is_ascii_digit) {
        return if strict { Err(()) } else { Ok(host.to_vec()) };
    }
    if !host.contains(&b':') {
        return fix_name(host, strict);
    }
    let digits = host.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte));
    let holds = |needle: &[u8]| memchr::memmem::find(host, needle).is_some();
    // One `::` at the most; `:::` has two of them.
    let doubled = host.windows(2).filter(|pair| pair == b"::").count();
    match digits && doubled < 2 && !holds(b":.") && !holds(b".:") && !holds(b"..") {
        true => Ok(host.to_ascii_lowercase()),
        false => Err(()),
    }
}

/// fix_hostname_non_v6, and strict_hostname_check.
fn fix_name(host: &[u8], strict: bool) -> Result<Vec<u8>, ()> {
    let mut host = host.to_ascii_lowercase();
    if host.iter().any(|byte| b"/\\".contains(byte)) || memchr::memmem::find(&host, b"..").is_some() {
        return Err(());
    }
    if host.last() == Some(&b'.') {
        host.pop();
    }
    if strict && !strict_hostname(&host) {
        return Err(());
    }
    Ok(host)
}

fn strict_hostname(host: &[u8]) -> bool {
    let mut dotted_decimal = true;
    for &byte in host {
        match byte {
            b'-' | b'_' => dotted_decimal = false,
            byte if byte.is_ascii_alphabetic() => dotted_decimal = false,
            byte if byte == b'.' || byte.is_ascii_digit() => {}
            _ => return false,
        }
    }
    let labels: Vec<&[u8]> = host.split(|&byte| byte == b'.').collect();
    if dotted_decimal {
        return labels.len() == 4
            && !labels.iter().any(|label| label.len() > 1 && label[0] == b'0')
            && !labels[0].is_empty();
    }
    let last = labels.last().copied().unwrap_or_default();
    labels.len() < 2 || last.is_empty() || last[0].is_ascii_alphabetic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_values_that_strict_mode_refuses() {
        for bad in ["12", "a/b", "a\\b", "a..b", "1.2.3", "a.1b", "a:0", "a:x", "é", "01.2.3.4"] {
            assert_eq!(fix_hostname(bad.as_bytes(), true), Err(()), "{bad}");
        }
        for (good, name) in
            [("A.b.", "a.b"), ("a:80", "a"), ("1.2.3.4:8080", "1.2.3.4"), ("[::1]:80", "::1"), ("a_b", "a_b")]
        {
            assert_eq!(fix_hostname(good.as_bytes(), true), Ok(Some(name.as_bytes().to_vec())), "{good}");
        }
    }

    #[test]
    fn the_first_host_of_the_chain_that_has_the_name_wins() {
        let text = "Listen 80\nServerName main.test\n\
            <VirtualHost *:80>\nServerName a.test\nServerAlias *.x.test\n</VirtualHost>\n\
            <VirtualHost *:80>\nServerName b.test\nServerAlias one.x.test A.test\n</VirtualHost>\n\
            <VirtualHost *:80>\nServerAlias B.test *.b.test\n</VirtualHost>\n\
            <VirtualHost 10.0.0.1:80>\nServerName c.test\n</VirtualHost>\n";
        let fs = crate::fs::memory::MemoryFs::new().file("/httpd.conf", text);
        let config = crate::apache::load(&crate::server::LoadOptions::new(std::path::Path::new("/httpd.conf")), &fs);
        let name = |address: [u8; 4], host: &str| {
            let chain = config.chains.given_ip((address, 80).into());
            (chain.base, chain.by_name(&config.servers, host.as_bytes()))
        };
        let loopback = |host| name([127, 0, 0, 1], host);
        assert_eq!(loopback("A.Test"), (1, Some(1)));
        assert_eq!(loopback("one.x.test"), (1, Some(1)));
        assert_eq!(loopback("b.test"), (1, Some(2)));
        assert_eq!(loopback("z.b.test"), (1, Some(3)));
        // A host without a name goes by the main server's.
        assert_eq!(loopback("main.test"), (1, Some(3)));
        assert_eq!(loopback("c.test"), (1, None));
        assert_eq!(name([10, 0, 0, 1], "c.test"), (4, Some(4)));
        assert_eq!(name([10, 0, 0, 1], "a.test"), (4, None));
    }

    #[test]
    fn unsafe_mode_takes_what_is_no_port_for_a_name() {
        assert_eq!(fix_hostname(b"a:x", false), Ok(Some(b"a:x".to_vec())));
        assert_eq!(fix_hostname(b"a:b:80", false), Ok(Some(b"a:b".to_vec())));
        assert_eq!(fix_hostname(b"a:", false), Ok(Some(b"a:".to_vec())));
        for bad in ["a:0", "a:99999", "a/b", "a..b"] {
            assert_eq!(fix_hostname(bad.as_bytes(), false), Err(()), "{bad}");
        }
    }

    #[test]
    fn wildcards_cross_dots() {
        assert!(wildcard_match(b"*.Example.com", b"a.b.example.com"));
        assert!(wildcard_match(b"a?c*", b"abc"));
        assert!(!wildcard_match(b"a?c", b"ac"));
    }

    #[test]
    fn address_forms_of_a_virtual_host_line() {
        let port =
            |word: &str| Address::parse(word.as_bytes(), 99).map(|address| (address.address.is_some(), address.port));
        assert_eq!(port("*"), Some((false, 0)));
        assert_eq!(port("*:80"), Some((false, 80)));
        assert_eq!(port("_default_"), Some((false, 99)));
        assert_eq!(port("10.0.0.1:*"), Some((true, 0)));
        assert_eq!(port("[::1]:81"), Some((true, 81)));
        assert_eq!(port("80"), None);
    }
}

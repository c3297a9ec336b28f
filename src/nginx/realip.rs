//! `set_real_ip_from`, `real_ip_header`, `real_ip_recursive` (`ngx_http_realip_module.c`): who the client is behind a
//! trusted proxy.
//!
//! Runs in the post-read phase with the server's settings, and in the pre-access phase with the location's; it replaces
//! the address once per request. The header is read from its right end (`ngx_http_get_forwarded_addr`).

use super::inet::{self, Cidr};
use super::request::{Cx, Flow, HttpRequest};
use super::variables::Table;
use super::version::Version;
use crate::fact::{Fact, Question, Subject};
use crate::request::Peer;
use crate::source::{Origin, Setting};

/// Where the client's address stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// `X-Real-IP`, the first line.
    #[default]
    XRealIp,
    /// `X-Forwarded-For`, all lines, the last one first.
    XForwardedFor,
    /// The PROXY line of the connection.
    ProxyProtocol,
    /// The first line of another header, in lower case.
    Other(Box<[u8]>),
}

/// The settings of a block.
#[derive(Clone, Debug, Default)]
pub struct RealIp {
    /// Who is trusted; names are looked up when they matter.
    pub from: Vec<Setting<From>>,
    /// Where the address stands.
    pub header: Header,
    /// The directive that says so.
    pub header_origin: Option<Origin>,
    /// Trusted addresses in the header are passed over.
    pub recursive: bool,
}

/// A trusted peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A network or the unix sockets.
    Net(Cidr),
    /// A host, looked up when nginx starts.
    Host(String),
}

impl RealIp {
    /// The directives that [`set`](Self::set) knows.
    pub const DIRECTIVES: &[&str] = &["set_real_ip_from", "real_ip_header", "real_ip_recursive"];

    /// Takes a directive; the first `set_real_ip_from` of a block drops the inherited list.
    pub fn set(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, first_here: bool, _table: &Table) {
        let &[text] = args else { return };
        match name {
            b"set_real_ip_from" => {
                if first_here {
                    self.from.clear();
                }
                let from = match text {
                    b"unix:" => From::Net(Cidr::Unix),
                    _ => match Cidr::parse(text) {
                        Some(cidr) => From::Net(cidr),
                        None => From::Host(String::from_utf8_lossy(text).into_owned()),
                    },
                };
                self.from.push(Setting::new(from, origin));
            }
            b"real_ip_header" => {
                self.header_origin = Some(origin);
                self.header = match text {
                    b"X-Real-IP" => Header::XRealIp,
                    b"X-Forwarded-For" => Header::XForwardedFor,
                    b"proxy_protocol" => Header::ProxyProtocol,
                    other => Header::Other(other.to_ascii_lowercase().into()),
                };
            }
            _ => self.recursive = text.eq_ignore_ascii_case(b"on"),
        }
    }

    /// The trusted networks, host names resolved; a name that nobody can resolve is a question.
    fn trusted(&self, cx: &Cx) -> Result<Vec<Cidr>, Question> {
        let mut nets = Vec::with_capacity(self.from.len());
        for from in &self.from {
            match &from.value {
                From::Net(net) => nets.push(*net),
                From::Host(name) => match cx.world.resolver.addresses(name) {
                    Fact::Known(addresses) => {
                        nets.extend(addresses.into_iter().filter_map(|ip| Cidr::parse(ip.to_string().as_bytes())));
                    }
                    Fact::Unknown(question) => return Err(Question { origin: from.origin, ..question }),
                },
            }
        }
        Ok(nets)
    }
}

/// `ngx_http_realip_handler`.
pub fn handler<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let conf: &'a RealIp = &r.conf.realip;
    if conf.from.is_empty() || r.connection.realip_done {
        return Flow::Continue(());
    }
    let lines: Vec<&[u8]> = match &conf.header {
        Header::XRealIp => r.lines(b"X-Real-IP").take(1).collect(),
        Header::XForwardedFor => r.lines(b"X-Forwarded-For").collect(),
        Header::Other(name) => r.lines(name).take(1).collect(),
        Header::ProxyProtocol if r.connection.proxy_protocol => {
            return cx.unknown(Question::at(Subject::Variable("proxy_protocol_addr".to_owned()), conf.header_origin));
        }
        Header::ProxyProtocol => Vec::new(),
    };
    if lines.is_empty() {
        return Flow::Continue(());
    }
    let trusted = match conf.trusted(cx) {
        Ok(trusted) => trusted,
        Err(question) => return cx.unknown(question),
    };
    let client = r.connection.client;
    if let Some(address) = forwarded_address(client, &lines, &trusted, conf.recursive, cx.version) {
        r.connection.client = address;
        r.connection.realip_done = true;
        let origin = conf.header_origin.or_else(|| conf.from.first().and_then(|from| from.origin));
        cx.push("realip", origin, || crate::trace::nginx::Event::Note(format!("the client is {}", shown(address))));
    }
    Flow::Continue(())
}

fn shown(peer: Peer) -> String {
    match peer {
        Peer::Ip(ip) => ip.to_string(),
        Peer::Unix => "a unix socket".to_owned(),
    }
}

/// `ngx_http_get_forwarded_addr`: the address that a trusted peer reports, or `None` where it stays. Only a recursive
/// search looks at more than the last line.
pub(super) fn forwarded_address(
    peer: Peer,
    lines: &[&[u8]],
    trusted: &[Cidr],
    recursive: bool,
    version: Version,
) -> Option<Peer> {
    let mut address = peer;
    for line in lines.iter().rev() {
        let all = walk(&mut address, line, trusted, recursive, version);
        if !all || !recursive {
            break;
        }
    }
    (address != peer || reports_itself(peer, lines, trusted, version)).then_some(address)
}

/// Goes through a line from its right end while the address taken last is trusted; whether it came to the end.
fn walk(address: &mut Peer, line: &[u8], trusted: &[Cidr], recursive: bool, version: Version) -> bool {
    let mut rest = line;
    loop {
        if !trusted.iter().any(|net| net.contains(*address)) {
            return false;
        }
        // The first byte is never cut off as a separator, and never taken for one.
        let is_separator = |byte: &u8| matches!(byte, b' ' | b',');
        while rest.len() > 1 && rest.last().is_some_and(is_separator) {
            rest = &rest[..rest.len() - 1];
        }
        let start = rest.iter().skip(1).rposition(is_separator).map_or(0, |at| at + 2);
        let Some(ip) = inet::parse_addr_port(&rest[start..], version) else { return false };
        *address = Peer::Ip(ip);
        if !recursive || start == 0 {
            return true;
        }
        rest = &rest[..start - 1];
    }
}

/// Whether the header names the peer itself: the address does not change, but realip has had its turn.
fn reports_itself(peer: Peer, lines: &[&[u8]], trusted: &[Cidr], version: Version) -> bool {
    let mut address = peer;
    lines.last().is_some_and(|line| walk(&mut address, line, trusted, false, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn find(lines: &[&str], trusted: &[&str], recursive: bool) -> Option<String> {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let trusted: Vec<Cidr> = trusted.iter().filter_map(|net| Cidr::parse(net.as_bytes())).collect();
        let peer = Peer::Ip(IpAddr::from([127, 0, 0, 1]));
        forwarded_address(peer, &lines, &trusted, recursive, Version::NEWEST).map(shown)
    }

    #[test]
    fn the_last_element_counts() {
        let trusted = ["127.0.0.1"];
        for (line, found) in [
            ("10.0.0.5, 1.1.1.1", Some("1.1.1.1")),
            ("10.0.0.5,", Some("10.0.0.5")),
            ("10.0.0.5 , ,", Some("10.0.0.5")),
            ("1.1.1.1:8080", Some("1.1.1.1")),
            ("[2001:db8::1]:8080", Some("2001:db8::1")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("junk", None),
            ("10.0.0.5, junk", None),
            ("", None),
        ] {
            assert_eq!(find(&[line], &trusted, false).as_deref(), found, "{line}");
        }
        assert_eq!(find(&["1.1.1.1"], &["10.0.0.0/8"], false), None);
        assert_eq!(find(&["1.1.1.1", "2.2.2.2"], &trusted, false).as_deref(), Some("2.2.2.2"));
    }

    #[test]
    fn a_recursive_search_passes_over_trusted_addresses() {
        let trusted = ["127.0.0.1", "10.0.0.0/8"];
        for (lines, found) in [
            (&["9.9.9.9, 10.0.0.5, 10.0.0.6"][..], Some("9.9.9.9")),
            (&["9.9.9.9, 8.8.8.8, 10.0.0.6"], Some("8.8.8.8")),
            (&["10.0.0.5, 10.0.0.6"], Some("10.0.0.5")),
            (&["junk, 10.0.0.6"], Some("10.0.0.6")),
            (&["9.9.9.9", "10.0.0.6"], Some("9.9.9.9")),
            (&["9.9.9.9", "8.8.8.8"], Some("8.8.8.8")),
            (&["9.9.9.9", "junk"], None),
        ] {
            assert_eq!(find(lines, &trusted, true).as_deref(), found, "{lines:?}");
        }
    }
}

//! mod_remoteip: the client is who the trusted proxies say it is.
//!
//! As long as the current address is that of a proxy (any address, where no list is given), the last element of the
//! header becomes the new address and is taken off. An address from a private net is believed only of an internal proxy.

pub(crate) mod protocol;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::apache::access::address::Network;
use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::to_path;
use crate::cause;
use crate::fact::{Fact, Question, Subject};
use crate::outcome::Decision;
use crate::request::Peer;
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// The longest list of proxies that is read, in bytes.
const MAX_LIST: u64 = 4 << 20;

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    header: Option<Setting<Arc<[u8]>>>,
    proxies_header: Option<Arc<[u8]>>,
    proxies: Vec<(Proxy, Origin)>,
}

/// One entry of a list of proxies.
#[derive(Clone, Debug)]
struct Proxy {
    who: Who,
    internal: bool,
}

#[derive(Clone, Debug)]
enum Who {
    Net(Network),
    Name(String),
    /// A file of nets and names.
    File(Vec<u8>),
}

impl ServerRecord {
    /// Names are the virtual host's where it gives them; the lists are joined (since 2.4.71).
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        ServerRecord {
            header: vhost.header.clone().or_else(|| base.header.clone()),
            proxies_header: vhost.proxies_header.clone().or_else(|| base.proxies_header.clone()),
            proxies: vhost.proxies.iter().chain(&base.proxies).cloned().collect(),
        }
    }
}

/// Checks one word of `RemoteIPTrustedProxy` or `RemoteIPInternalProxy` (`proxies_set`).
///
/// # Errors
/// The server's message, as far as it does not depend on a name server.
pub(crate) fn parse_proxy(name: &str, word: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(word);
    let (address, mask) = match word.iter().position(|byte| *byte == b'/') {
        Some(at) => (&word[..at], Some(String::from_utf8_lossy(&word[at + 1..]))),
        None => (word, None),
    };
    if looks_like_ip(address) {
        return match Network::parse(word) {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("RemoteIP: Error parsing IP {text} for {name}")),
        };
    }
    match mask {
        Some(mask) => Err(format!("RemoteIP: Error parsing IP {text} the subnet /{mask} is invalid for {name}")),
        None => Ok(()),
    }
}

fn looks_like_ip(text: &[u8]) -> bool {
    text.contains(&b':') || text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

fn who(word: &[u8]) -> Who {
    match Network::parse(word) {
        Ok(net) => Who::Net(net),
        Err(_) => Who::Name(String::from_utf8_lossy(word).into_owned()),
    }
}

/// Adds a directive to the record of its server.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord) {
    let internal = cmd.name.starts_with("RemoteIPInternal");
    match cmd.name {
        "RemoteIPHeader" => server.header = cmd.arg(0).map(|word| Setting::new(word.into(), cmd.origin)),
        "RemoteIPProxiesHeader" => server.proxies_header = cmd.arg(0).map(Into::into),
        "RemoteIPTrustedProxy" | "RemoteIPInternalProxy" => {
            server.proxies.extend(cmd.args.iter().map(|word| (Proxy { who: who(word), internal }, cmd.origin)));
        }
        "RemoteIPTrustedProxyList" | "RemoteIPInternalProxyList" => {
            let file = cmd.arg(0).map(|word| cmd.server_root_relative(word));
            server.proxies.extend(file.map(|file| (Proxy { who: Who::File(file), internal }, cmd.origin)));
        }
        _ => {}
    }
}

/// pre_connection and the filter that it adds: a client sends no PROXY line, so that one is waited for in vain.
pub(crate) fn pre_connection<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    match cx.config.proxy_protocol.expected(r.connection.local, r.connection.peer) {
        Some(origin) => {
            r.decision = Some(Decision::new(&cause::apache::REMOTEIP_PROXY_PROTOCOL).by(Some(origin)));
            Handled::Closed
        }
        None => Handled::Declined,
    }
}

/// post_read_request (`remoteip_modify_request`).
pub(crate) fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.server.remoteip.clone() else { return Handled::Declined };
    let Some(header) = &record.header else { return Handled::Declined };
    let Some(value) = r.headers_in.get(&header.value).map(<[u8]>::to_vec) else { return Handled::Ok };
    let Peer::Ip(mut address) = r.client else { return Handled::Ok };
    let mut internal = !record.proxies.is_empty();
    let mut rest = Some(value.as_slice());
    let mut passed: Vec<Vec<u8>> = Vec::new();
    let mut changed = false;
    while let Some(list) = rest {
        if !record.proxies.is_empty() {
            match record.proxy(address, cx) {
                Fact::Known(None) => break,
                Fact::Known(Some(is_internal)) => internal &= is_internal,
                Fact::Unknown(question) => {
                    cx.inquiry.unanswerable(question);
                    return Handled::Unknown;
                }
            }
        }
        let (before, last) = match memchr::memrchr(b',', list) {
            Some(comma) => (Some(&list[..comma]), &list[comma + 1..]),
            None => (None, list),
        };
        let next = match parse_address(trim_blanks(last), header.origin, cx) {
            Ok(Some(next)) => next,
            Ok(None) => break,
            Err(unknown) => return unknown,
        };
        if !internal && is_private(next) {
            break;
        }
        if !internal {
            passed.push(address.to_canonical().to_string().into_bytes());
        }
        address = next;
        changed = true;
        rest = before;
    }
    if !changed {
        return Handled::Ok;
    }
    r.client = Peer::Ip(address);
    match rest {
        Some(rest) => r.headers_in.set(&header.value, rest),
        None => r.headers_in.unset(&header.value),
    }
    if !passed.is_empty() {
        let passed = passed.join(&b", "[..]);
        r.notes.set(b"remoteip-proxy-ip-list", &passed);
        if let Some(name) = &record.proxies_header {
            r.headers_in.set(name, &passed);
        }
    }
    cx.note("post_read_request", header.origin, || Event::Client { address });
    Handled::Ok
}

impl ServerRecord {
    /// Whether an address is a proxy, and an internal one: the first entry that holds it says so.
    fn proxy(&self, address: IpAddr, cx: &Cx) -> Fact<Option<bool>> {
        for (proxy, origin) in &self.proxies {
            let holds = match &proxy.who {
                Who::Net(net) => Fact::Known(net.contains(address)),
                Who::Name(name) => holds_name(name, address, *origin, cx),
                Who::File(file) => holds_listed(file, address, *origin, cx),
            };
            match holds {
                Fact::Known(false) => {}
                Fact::Known(true) => return Fact::Known(Some(proxy.internal)),
                Fact::Unknown(question) => return Fact::Unknown(question),
            }
        }
        Fact::Known(None)
    }
}

fn holds_name(name: &str, address: IpAddr, origin: Origin, cx: &Cx) -> Fact<bool> {
    match cx.world.resolver.addresses(name) {
        Fact::Known(addresses) => Fact::Known(addresses.contains(&address)),
        Fact::Unknown(question) => Fact::Unknown(Question::at(question.subject, Some(origin))),
    }
}

fn holds_listed(file: &[u8], address: IpAddr, origin: Origin, cx: &Cx) -> Fact<bool> {
    let content = match cx.world.fs.read(&to_path(file), MAX_LIST) {
        Fact::Known(Ok(content)) => content,
        Fact::Known(Err(_)) => return Fact::Known(false),
        Fact::Unknown(question) => return Fact::Unknown(Question::at(question.subject, Some(origin))),
    };
    for mut line in content.split(|byte| *byte == b'\n') {
        loop {
            let word = getword_conf(&mut line);
            if word.is_empty() || word.starts_with(b"#") {
                break;
            }
            let holds = match who(&word) {
                Who::Net(net) => Fact::Known(net.contains(address)),
                Who::Name(name) => holds_name(&name, address, origin, cx),
                Who::File(_) => Fact::Known(false),
            };
            if holds != Fact::Known(false) {
                return holds;
            }
        }
    }
    Fact::Known(false)
}

fn trim_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(start, |last| last + 1);
    &text[start..end]
}

/// The address in one element; `None` where there is none. A name is looked up, and most are no name of anything.
fn parse_address(element: &[u8], origin: Option<Origin>, cx: &Cx) -> Result<Option<IpAddr>, Handled> {
    let Ok(text) = std::str::from_utf8(element) else { return Ok(None) };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Some(address.to_canonical()));
    }
    if let Some(address) = inet_aton(text) {
        return Ok(Some(address.into()));
    }
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if text.is_empty() || !is_name {
        return Ok(None);
    }
    match cx.world.resolver.addresses(text) {
        Fact::Known(addresses) => Ok(addresses.first().copied()),
        Fact::Unknown(question) => {
            let no_address = format!("`{text}` is the name of no address");
            if cx.assume(question.subject.clone(), origin, &no_address, &format!("`{text}` has an address")) {
                Ok(None)
            } else {
                let subject = Subject::Resolve(format!("{text} (its address)"));
                Err(cx.unanswerable(subject, origin))
            }
        }
    }
}

/// The short and numeric forms that the library's look-up takes for addresses (`inet_aton(3)`): `1.2.3` is 1.2.0.3, `0x7f.1`
/// is 127.0.0.1. Case: remoteip-trust.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) {
        return None;
    }
    let free = 32 - 8 * first.len() as u32;
    if free < 32 && last >> free != 0 {
        return None;
    }
    let head = first.iter().enumerate().fold(0, |sum, (at, part)| sum | part << (24 - 8 * at as u32));
    Some(Ipv4Addr::from(head | last))
}

/// Decimal, `0x` hexadecimal or `0` octal.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
}

/// Nets that only an internal proxy is believed about.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.octets()[0] & 0xe0 != 0x20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_those_of_the_server() {
        for (address, private) in [
            ("10.0.0.1", true),
            ("172.31.0.1", true),
            ("172.32.0.1", false),
            ("169.254.1.1", true),
            ("127.0.0.1", true),
            ("8.8.8.8", false),
            ("2001:db8::1", false),
            ("fe80::1", true),
            ("::1", true),
        ] {
            assert_eq!(is_private(address.parse().expect("an address")), private, "{address}");
        }
    }

    #[test]
    fn what_the_server_refuses() {
        let parse = |word: &[u8]| parse_proxy("RemoteIPTrustedProxy", word);
        assert!(parse(b"10.0.0.0/8").is_ok() && parse(b"proxy.example").is_ok());
        assert!(parse(b"10.0.0.0/33").is_err());
        assert!(parse(b"proxy.example/8").is_err());
    }
}

//! `listen`: addresses, their options and who shares them (`ngx_http_core_listen`, `ngx_http_add_listen`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::access::{v4, v6};
use super::{Block, Checker, Verdict, bad, refusal, show, value};
use crate::nginx::include::Placed;

/// What is listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Inet(IpAddr, u16),
    Unix(Vec<u8>),
    /// A name that would have to be looked up.
    Name(Vec<u8>, u16),
}

impl Port {
    pub(super) fn any(port: u16) -> Port {
        Port::Inet(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
    }

    pub(super) fn text(&self) -> String {
        match self {
            Port::Inet(IpAddr::V4(address), port) => format!("{address}:{port}"),
            Port::Inet(IpAddr::V6(address), port) => format!("[{address}]:{port}"),
            Port::Unix(path) => format!("unix:{}", show(path)),
            Port::Name(name, port) => format!("{}:{port}", show(name)),
        }
    }
}

/// One address and the servers on it.
#[derive(Debug)]
pub(super) struct Listen {
    pub(super) port: Port,
    /// `quic`, `udp`.
    datagram: bool,
    /// Whether socket options were given.
    set: bool,
    default: bool,
    pub(super) default_server: usize,
    pub(super) servers: Vec<usize>,
    pub(super) ssl: bool,
}

/// Every address of `http`, in order.
#[derive(Debug, Default)]
pub(super) struct Listens(pub(super) Vec<Listen>);

impl Listens {
    /// Whether any server listens there.
    pub(super) fn has(&self, port: &Port, datagram: bool) -> bool {
        self.0.iter().any(|listen| listen.port == *port && listen.datagram == datagram)
    }

    /// `ngx_http_add_listen`.
    pub(super) fn add(
        &mut self,
        port: Port,
        server: usize,
        set: bool,
        default: bool,
        ssl: bool,
        datagram: bool,
    ) -> Result<(), String> {
        let Some(listen) = self.0.iter_mut().find(|listen| listen.port == port && listen.datagram == datagram) else {
            self.0.push(Listen { port, datagram, set, default, default_server: server, servers: vec![server], ssl });
            return Ok(());
        };
        // Servers are read one after the other: this one is the last of the list or not in it.
        if listen.servers.last() == Some(&server) {
            return Err(format!("a duplicate listen {}", listen.port.text()));
        }
        listen.servers.push(server);
        if set && listen.set {
            return Err(format!("duplicate listen options for {}", listen.port.text()));
        }
        listen.set |= set;
        if default && listen.default {
            return Err(format!("a duplicate default server for {}", listen.port.text()));
        }
        if default {
            listen.default = true;
            listen.default_server = server;
        }
        listen.ssl |= ssl;
        Ok(())
    }
}

/// What the words behind the address say.
#[derive(Debug, Default)]
struct Options {
    set: bool,
    default: bool,
    ssl: bool,
    http2: bool,
    quic: bool,
    /// Parameters that `quic` excludes, in the order in which nginx looks for them.
    excluded: Vec<&'static str>,
}

impl<'a> Checker<'a> {
    pub(super) fn listen(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.facts.listens = true;
        let [address, words @ ..] = values else { return Ok(()) };
        let ports = addresses(address, 80)
            .map_err(|why| refusal(format!("{why} in \"{}\" of the \"listen\" directive", show(address))))?;
        let mut options = Options::default();
        for word in words {
            self.listen_word(directive, word, &mut options)?;
        }
        if options.quic
            && let Some(name) = options.excluded.first()
        {
            return bad(format!("\"listen\" directive \"{name}\" parameter is incompatible with \"quic\""));
        }
        let Some(server) = self.http.scopes[block.facts.scope].server else { return Ok(()) };
        for port in ports {
            // A name may stand for any address: nothing is compared with it.
            if matches!(port, Port::Name(..)) {
                continue;
            }
            let Options { set, default, ssl, quic, .. } = options;
            self.http.listens.add(port, server, set, default, ssl, quic).map_err(refusal)?;
        }
        Ok(())
    }

    fn listen_word(&mut self, directive: Placed<'a>, word: &[u8], options: &mut Options) -> Verdict {
        let modern = self.modern();
        let invalid = |what: &str| bad(format!("invalid {what} \"{}\"", show(word)));
        let number = |prefix: &[u8]| word.strip_prefix(prefix).map(value::number);
        match word {
            b"default_server" | b"default" => options.default = true,
            b"bind" => options.set = true,
            b"deferred" => {
                options.set = true;
                options.excluded.push("deferred");
            }
            b"reuseport" => options.set = true,
            b"multipath" if modern => {
                options.set = true;
                options.excluded.push("multipath");
            }
            b"ssl" => {
                options.ssl = true;
                options.excluded.push("ssl");
            }
            b"http2" => {
                options.http2 = true;
                options.excluded.push("http2");
                if modern {
                    let message =
                        "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive instead";
                    self.warn(directive, message);
                }
            }
            b"quic" if modern => {
                if !self.build.has_module("ngx_http_v3_module") {
                    let refused = refusal("the \"quic\" parameter requires ngx_http_v3_module");
                    return Err(super::Refusal { kind: crate::problem::ProblemKind::MissingModule, ..refused });
                }
                options.quic = true;
            }
            b"spdy" if !modern => self.warn(
                directive,
                "invalid parameter \"spdy\": ngx_http_spdy_module was superseded by ngx_http_v2_module",
            ),
            b"proxy_protocol" => options.excluded.push("proxy_protocol"),
            _ if word.starts_with(b"fastopen=") => {
                if number(b"fastopen=").flatten().is_none() {
                    return invalid("fastopen");
                }
                options.set = true;
                options.excluded.push("fastopen");
            }
            _ if word.starts_with(b"backlog=") => {
                if number(b"backlog=").flatten().is_none_or(|backlog| backlog <= 0) {
                    return invalid("backlog");
                }
                options.set = true;
                options.excluded.push("backlog");
            }
            _ if word.starts_with(b"rcvbuf=") || word.starts_with(b"sndbuf=") => {
                if value::size(&word[7..]).is_none() {
                    return invalid(if word[0] == b'r' { "rcvbuf" } else { "sndbuf" });
                }
                options.set = true;
            }
            // nginx says so, and goes on.
            _ if word.starts_with(b"accept_filter=") => {}
            b"ipv6only=on" | b"ipv6only=off" => options.set = true,
            _ if word.starts_with(b"ipv6only=o") => {
                return bad(format!("invalid ipv6only flags \"{}\"", show(&word[9..])));
            }
            _ if word.starts_with(b"so_keepalive=") => {
                keepalive(&word[13..])?;
                options.set = true;
                options.excluded.push("so_keepalive");
            }
            _ => return invalid("parameter"),
        }
        Ok(())
    }
}

pub(super) fn keepalive(text: &[u8]) -> Verdict {
    if matches!(text, b"on" | b"off") {
        return Ok(());
    }
    let parts: Vec<&[u8]> = text.splitn(3, |&byte| byte == b':').collect();
    let time = |index: usize| match parts.get(index) {
        Some(part) if !part.is_empty() => value::time(part, true),
        _ => Some(0),
    };
    let count = match parts.get(2) {
        Some(part) if !part.is_empty() => value::number(part),
        _ => Some(0),
    };
    match (time(0), time(1), count) {
        (Some(idle), Some(interval), Some(count)) if idle + interval + count > 0 => Ok(()),
        _ => bad(format!("invalid so_keepalive value: \"{}\"", show(text))),
    }
}

/// `ngx_parse_url` for a listening address: every address and port it stands for.
pub(super) fn addresses(text: &[u8], default_port: u16) -> Result<Vec<Port>, &'static str> {
    if text.len() >= 5 && text[..5].eq_ignore_ascii_case(b"unix:") {
        return match text.len() - 5 {
            0 => Err("no path in the unix domain socket"),
            1..=107 => Ok(vec![Port::Unix(text[5..].to_vec())]),
            _ => Err("too long path in the unix domain socket"),
        };
    }
    if let [b'[', rest @ ..] = text {
        let close = rest.iter().position(|&byte| byte == b']').ok_or("invalid host")?;
        let (host, behind) = (&rest[..close], &rest[close + 1..]);
        if behind.contains(&b'/') {
            return Err("invalid host");
        }
        let ports = match behind {
            [] => (default_port, default_port),
            [b':', ports @ ..] => range(ports)?,
            _ => return Err("invalid host"),
        };
        if host.is_empty() {
            return Err("no host");
        }
        let address = v6(host).ok_or("invalid IPv6 address")?;
        return Ok(expand(IpAddr::V6(address), ports));
    }
    if text.contains(&b'/') || text.contains(&b'?') {
        return Err("invalid host");
    }
    let (host, ports) = match text.iter().position(|&byte| byte == b':') {
        Some(colon) => (&text[..colon], range(&text[colon + 1..])?),
        None => match bare_port(text)? {
            Some(ports) => return Ok(expand(IpAddr::V4(Ipv4Addr::UNSPECIFIED), ports)),
            None => (text, (default_port, default_port)),
        },
    };
    match host {
        [] => Err("no host"),
        b"*" => Ok(expand(IpAddr::V4(Ipv4Addr::UNSPECIFIED), ports)),
        _ => match v4(host) {
            Some(address) => Ok(expand(IpAddr::V4(address), ports)),
            None => Ok(vec![Port::Name(host.to_ascii_lowercase(), ports.0)]),
        },
    }
}

fn expand(address: IpAddr, (first, last): (u16, u16)) -> Vec<Port> {
    let address = match address {
        IpAddr::V6(address) if address == Ipv6Addr::UNSPECIFIED => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        address => address,
    };
    (first..=last).map(|port| Port::Inet(address, port)).collect()
}

/// A text that is nothing but a port, or a range of them.
fn bare_port(text: &[u8]) -> Result<Option<(u16, u16)>, &'static str> {
    let (first, last) = match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    };
    let last = match last.map(value::number) {
        Some(None) => return Ok(None),
        Some(Some(last)) => Some(last),
        None => None,
    };
    let Some(first) = value::number(first) else { return Ok(None) };
    pair(first, last).map(Some)
}

fn range(text: &[u8]) -> Result<(u16, u16), &'static str> {
    let (first, last) = match text.iter().position(|&byte| byte == b'-') {
        Some(dash) => (&text[..dash], Some(value::number(&text[dash + 1..]).ok_or("invalid port")?)),
        None => (text, None),
    };
    pair(value::number(first).ok_or("invalid port")?, last)
}

fn pair(first: i64, last: Option<i64>) -> Result<(u16, u16), &'static str> {
    let port = |number: i64| u16::try_from(number).ok().filter(|&port| port > 0).ok_or("invalid port");
    let last = last.map(port).transpose()?;
    let first = port(first)?;
    match last {
        Some(last) if first > last => Err("invalid port range"),
        _ => Ok((first, last.unwrap_or(first))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_addresses_are_read_as_ngx_parse_url_does() {
        let read = |text: &str| {
            addresses(text.as_bytes(), 80).map(|ports| ports.iter().map(Port::text).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(read("80").as_deref(), Ok("0.0.0.0:80"));
        assert_eq!((read("*:80"), read("0.0.0.0")), (read("80"), read("80")));
        assert_eq!(read("127.0.0.1:8000-8002").as_deref(), Ok("127.0.0.1:8000 127.0.0.1:8001 127.0.0.1:8002"));
        assert_eq!(read("[::]:443").as_deref(), Ok("[::]:443"));
        assert_eq!(read("unix:/run/x").as_deref(), Ok("unix:/run/x"));
        assert_eq!(
            (read("0"), read("65536"), read("a:b"), read("90-80")),
            (Err("invalid port"), Err("invalid port"), Err("invalid port"), Err("invalid port range"))
        );
        assert_eq!(
            (read("/x"), read("[::1"), read("[::x]:80"), read(":80")),
            (Err("invalid host"), Err("invalid host"), Err("invalid IPv6 address"), Err("no host"))
        );
        assert_eq!(read("name").as_deref(), Ok("name:80"));
    }
}

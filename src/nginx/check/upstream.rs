//! `upstream` and its servers, and the URLs that name one (`ngx_http_upstream_add`, `ngx_parse_url`).

use std::net::IpAddr;

use super::access::{v4, v6};
use super::listen::{Port, addresses};
use super::{Block, Checker, Line, Refusal, Verdict, bad, http, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::problem::Severity;
use crate::source::{FileId, Origin};

/// A block `upstream`, or a host that a URL named.
#[derive(Debug)]
pub(super) struct Upstream {
    host: Vec<u8>,
    explicit: bool,
    port: u16,
    no_port: bool,
    /// Whether addresses are known without a look-up.
    has_servers: bool,
    /// Servers that are no backup, by the block.
    primaries: usize,
    resolve: bool,
    zone: bool,
    at: (FileId, u32),
    origin: Origin,
}

/// Every upstream of `http` or of `stream`.
#[derive(Debug, Default)]
pub(super) struct Upstreams(Vec<Upstream>);

/// A URL without its scheme.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) host: Vec<u8>,
    pub(super) port: u16,
    pub(super) no_port: bool,
    pub(super) has_uri: bool,
    /// Whether the host is an address or a socket.
    pub(super) is_address: bool,
    pub(super) unix: bool,
}

/// `ngx_parse_url` for a peer.
pub(super) fn url(text: &[u8], default_port: u16, uri_part: bool) -> Result<Url, &'static str> {
    if text.len() >= 5 && text[..5].eq_ignore_ascii_case(b"unix:") {
        let path = &text[5..];
        let (path, has_uri) = match path.iter().position(|&byte| byte == b':').filter(|_| uri_part) {
            Some(colon) => (&path[..colon], colon + 1 < path.len()),
            None => (path, false),
        };
        return match path.len() {
            0 => Err("no path in the unix domain socket"),
            108.. => Err("too long path in the unix domain socket"),
            _ => Ok(Url { host: path.to_vec(), port: 0, no_port: false, has_uri, is_address: true, unix: true }),
        };
    }
    let read_port = |digits: &[u8]| {
        value::number(digits).and_then(|port| u16::try_from(port).ok()).filter(|&port| port > 0).ok_or("invalid port")
    };
    if let [b'[', rest @ ..] = text {
        let close = rest.iter().position(|&byte| byte == b']').ok_or("invalid host")?;
        let behind = &rest[close + 1..];
        let slash = behind.iter().position(|&byte| byte == b'/');
        if slash.is_some() && !uri_part {
            return Err("invalid host");
        }
        let (port, no_port) = match &behind[..slash.unwrap_or(behind.len())] {
            [] => (default_port, true),
            [b':', digits @ ..] => (read_port(digits)?, false),
            _ => return Err("invalid host"),
        };
        if close == 0 {
            return Err("no host");
        }
        v6(&rest[..close]).ok_or("invalid IPv6 address")?;
        let host = text[..close + 2].to_vec();
        return Ok(Url { host, port, no_port, has_uri: slash.is_some(), is_address: true, unix: false });
    }
    let uri = text.iter().position(|&byte| matches!(byte, b'/' | b'?'));
    if uri.is_some() && !uri_part {
        return Err("invalid host");
    }
    let authority = &text[..uri.unwrap_or(text.len())];
    let (host, port, no_port) = match authority.iter().position(|&byte| byte == b':') {
        Some(colon) => (&authority[..colon], read_port(&authority[colon + 1..])?, false),
        None => (authority, default_port, true),
    };
    if host.is_empty() {
        return Err("no host");
    }
    Ok(Url { host: host.to_vec(), port, no_port, has_uri: uri.is_some(), is_address: v4(host).is_some(), unix: false })
}

impl Upstreams {
    /// `ngx_http_upstream_add` for a URL.
    pub(super) fn mention(&mut self, url: &Url, at: (FileId, u32), origin: Origin) -> Verdict {
        for known in self.0.iter().filter(|known| known.host.eq_ignore_ascii_case(&url.host)) {
            if known.explicit && !url.no_port {
                return bad(format!("upstream \"{}\" may not have port {}", show(&url.host), url.port));
            }
            if known.port != 0 && url.port != 0 && known.port != url.port {
                continue;
            }
            return Ok(());
        }
        self.0.push(Upstream {
            host: url.host.clone(),
            explicit: false,
            port: url.port,
            no_port: url.no_port,
            has_servers: url.is_address && (url.port != 0 || url.unix),
            primaries: 0,
            resolve: false,
            zone: false,
            at,
            origin,
        });
        Ok(())
    }

    /// `ngx_http_upstream_add` for a block; its index.
    fn define(&mut self, host: &[u8], at: (FileId, u32), origin: Origin) -> Verdict<usize> {
        if let Some((index, known)) =
            self.0.iter_mut().enumerate().find(|(_, known)| known.host.eq_ignore_ascii_case(host))
        {
            if known.explicit {
                return bad(format!("duplicate upstream \"{}\"", show(host)));
            }
            if !known.no_port {
                let message = format!("upstream \"{}\" may not have port {}", show(host), known.port);
                return Err(http::at(known.at, message));
            }
            known.explicit = true;
            known.port = 0;
            return Ok(index);
        }
        let host = host.to_vec();
        self.0.push(Upstream {
            host,
            explicit: true,
            port: 0,
            no_port: true,
            has_servers: true,
            primaries: 0,
            resolve: false,
            zone: false,
            at,
            origin,
        });
        Ok(self.0.len() - 1)
    }

    /// What `ngx_http_upstream_init_main_conf` refuses, with the place it names.
    fn faults(&self) -> Vec<(Refusal, Origin)> {
        let mut faults = Vec::new();
        for upstream in &self.0 {
            let host = show(&upstream.host);
            let message = if upstream.explicit && upstream.primaries == 0 {
                format!("no servers in upstream \"{host}\"")
            } else if upstream.explicit && upstream.resolve && !upstream.zone {
                format!("resolving names at run time requires upstream \"{host}\" to be in shared memory")
            } else if !upstream.explicit && !upstream.has_servers && upstream.port == 0 {
                format!("no port in upstream \"{host}\"")
            } else {
                continue;
            };
            let kind = if upstream.explicit {
                crate::problem::ProblemKind::Value
            } else {
                crate::problem::ProblemKind::Reference
            };
            faults.push((Refusal { kind, ..http::at(upstream.at, message) }, upstream.origin));
        }
        faults
    }
}

impl<'a> Checker<'a> {
    /// The upstreams of the module that the block belongs to.
    pub(super) fn upstreams(&mut self, context: Contexts) -> &mut Upstreams {
        let stream = Contexts(Contexts::STREAM.0 | Contexts::STREAM_SERVER.0 | Contexts::STREAM_UPSTREAM.0);
        if context.overlaps(stream) { &mut self.stream.upstreams } else { &mut self.http.upstreams }
    }

    pub(super) fn upstream_faults(&mut self, context: Contexts) {
        for (refusal, origin) in self.upstreams(context).faults() {
            self.push(Severity::Refused, Some(origin), refusal);
        }
    }

    pub(super) fn upstream_block(&mut self, directive: Placed<'a>, host: &[u8], parent: &Block<'a>) -> Verdict {
        let at = (directive.span().file, directive.reported_at());
        let index = self.upstreams(parent.context).define(host, at, directive.origin())?;
        let context = if parent.context == Contexts::STREAM { Contexts::STREAM_UPSTREAM } else { Contexts::UPSTREAM };
        let mut block = Block::new(context, Some(directive));
        block.facts.scope = index;
        self.enter(directive, &mut block);
        match block.facts.servers {
            0 => bad("no servers are inside upstream"),
            _ => Ok(()),
        }
    }

    pub(super) fn upstream_server(&mut self, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.facts.servers += 1;
        let [address, words @ ..] = values else { return Ok(()) };
        let modern = self.modern();
        let supports_backup = !matches!(block.facts.balancer, Some("ip_hash" | "hash" | "random"));
        let in_stream = block.context == Contexts::STREAM_UPSTREAM;
        let (mut backup, mut resolve, mut service) = (false, false, false);
        for word in words {
            let number = |prefix: &[u8]| word.strip_prefix(prefix).map(value::number);
            let sound = if let Some(weight) = number(b"weight=") {
                weight.is_some_and(|weight| weight > 0)
            } else if let Some(count) = number(b"max_conns=").or_else(|| number(b"max_fails=")) {
                count.is_some()
            } else if let Some(time) = word.strip_prefix(b"fail_timeout=") {
                value::time(time, true).is_some()
            } else if *word == b"backup" {
                if !supports_backup {
                    return bad("balancing method does not support parameter \"backup\"");
                }
                backup = true;
                true
            } else if modern && *word == b"resolve" {
                resolve = true;
                true
            } else if let (true, Some(name)) = (modern, word.strip_prefix(b"service=")) {
                if name.is_empty() {
                    return bad("service is empty");
                }
                service = true;
                true
            } else if let (true, Some(route)) = (modern && !in_stream, word.strip_prefix(b"route=")) {
                match route.len() {
                    0 => return bad("route is empty"),
                    33.. => return bad("route is longer than 32"),
                    _ => true,
                }
            } else {
                *word == b"down" || (modern && !in_stream && *word == b"drain")
            };
            if !sound {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        if service && !resolve {
            return bad(format!("service upstream \"{}\" requires \"resolve\" parameter", show(address)));
        }
        let url = url(address, if in_stream { 0 } else { 80 }, false)
            .map_err(|why| refusal(format!("{why} in upstream \"{}\"", show(address))))?;
        if in_stream && url.no_port && !service {
            return bad(format!("no port in upstream \"{}\"", show(address)));
        }
        if service && !url.no_port {
            return bad(format!("service upstream \"{}\" may not have port", show(address)));
        }
        if service && url.is_address {
            return bad(format!("service upstream \"{}\" requires domain name", show(address)));
        }
        let upstream = &mut self.upstreams(block.context).0[block.facts.scope];
        upstream.resolve |= resolve && !url.is_address;
        upstream.primaries += usize::from(!backup);
        Ok(())
    }

    /// Balancing methods and what else stands in an `upstream`; `false` for any other directive.
    pub(super) fn upstream_setter(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict<bool> {
        let Line { row, directive, values } = line;
        let words = match row.name {
            "ip_hash" | "least_conn" | "fair" => &[][..],
            "hash" => {
                self.text(values.first().copied().unwrap_or_default(), directive, block)?;
                values.get(1..).unwrap_or_default()
            }
            "random" => values,
            "keepalive" if row.contexts == Contexts::UPSTREAM => {
                block.once("keepalive")?;
                let first = values.first().copied().unwrap_or_default();
                if value::number(first).is_none() {
                    return bad(format!("invalid value \"{}\" in \"keepalive\" directive", show(first)));
                }
                if values.get(1).is_some_and(|word| *word != b"local") {
                    return bad(format!("invalid parameter \"{}\"", show(values[1])));
                }
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let sound: &[&[u8]] = match row.name {
            "hash" => &[b"consistent"],
            _ => &[b"two", b"least_conn"],
        };
        self.balance(row.name, directive, block);
        for (position, word) in words.iter().enumerate() {
            let fits = match (row.name, position) {
                ("random", 1) => matches!(
                    *word,
                    b"least_conn" | b"least_time=connect" | b"least_time=first_byte" | b"least_time=last_byte"
                ),
                _ => sound.first() == Some(word),
            };
            if !fits {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        Ok(true)
    }

    /// A balancing method; the last one counts.
    pub(super) fn balance(&mut self, name: &'static str, directive: Placed<'a>, block: &mut Block<'a>) {
        if block.facts.balancer.replace(name).is_some() {
            self.warn(directive, "load balancing method redefined");
        }
    }

    /// An upstream lies in shared memory.
    pub(super) fn upstream_in_zone(&mut self, block: &Block<'a>) {
        let index = block.facts.scope;
        if let Some(upstream) = self.upstreams(block.context).0.get_mut(index) {
            upstream.zone = true;
        }
    }
}

/// `ngx_resolver_create`.
pub(super) fn resolver(values: &[&[u8]]) -> Verdict {
    let (mut ipv4, mut ipv6, mut servers) = (true, true, 0);
    for word in values {
        let invalid = || bad(format!("invalid parameter: {}", show(word)));
        if let Some(time) = word.strip_prefix(b"valid=") {
            if value::time(time, true).is_none() {
                return invalid();
            }
        } else if let Some(switch) = word.strip_prefix(b"ipv4=").or_else(|| word.strip_prefix(b"ipv6=")) {
            let on = match switch {
                b"on" => true,
                b"off" => false,
                _ => return invalid(),
            };
            if word[3] == b'4' { ipv4 = on } else { ipv6 = on }
        } else {
            url(word, 53, false).map_err(|why| refusal(format!("{why} in resolver \"{}\"", show(word))))?;
            servers += 1;
        }
    }
    if !ipv4 && !ipv6 {
        return bad("\"ipv4\" and \"ipv6\" cannot both be \"off\"");
    }
    if servers == 0 { bad("no name servers defined") } else { Ok(()) }
}

/// `ngx_parse_addr_port`: an address, with or without a port.
pub(super) fn is_bindable(text: &[u8]) -> bool {
    match addresses(text, 1) {
        Ok(ports) => {
            matches!(ports.as_slice(), [Port::Inet(IpAddr::V4(_) | IpAddr::V6(_), _)])
                && value::number(text).is_none()
                && !text.starts_with(b"*")
        }
        Err(_) => v6(text).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_ngx_parse_url_does() {
        let read = |text: &str| {
            url(text.as_bytes(), 80, true)
                .map(|url| (String::from_utf8_lossy(&url.host).into_owned(), url.port, url.has_uri))
        };
        assert_eq!(read("a.b:8080/x"), Ok(("a.b".to_owned(), 8080, true)));
        assert_eq!(read("a.b?x:y"), Ok(("a.b".to_owned(), 80, true)));
        assert_eq!(read("[::1]:81/"), Ok(("[::1]".to_owned(), 81, true)));
        assert_eq!(read("unix:/run/s:/u"), Ok(("/run/s".to_owned(), 0, true)));
        assert_eq!((read("a:b"), read("/x"), read("a:0")), (Err("invalid port"), Err("no host"), Err("invalid port")));
        assert_eq!(url(b"a/b", 80, false), Err("invalid host"));
    }
}

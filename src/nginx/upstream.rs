//! Addresses of back ends: what `proxy_pass` and its kin name, and which groups a computed address can mean.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::model::{PassKind, Upstream};

/// The address in a `*_pass` value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target<'u> {
    /// `unix:`: no name to look up.
    Unix,
    /// A host, perhaps with a port.
    Host {
        /// The name or address, without brackets.
        host: &'u [u8],
        /// The port as written.
        port: Option<u16>,
        /// The port that the scheme stands for.
        default_port: Option<u16>,
        /// Whether TLS is spoken.
        tls: bool,
        /// What follows the authority: `/uri`, `?query` or nothing.
        uri: &'u [u8],
    },
}

/// Why an address is not acceptable: nginx answers 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadTarget;

impl<'u> Target<'u> {
    /// Reads an address whose variables are put in.
    ///
    /// # Errors
    /// `invalid URL prefix`, `no host`, `invalid port`.
    pub fn parse(kind: PassKind, url: &'u [u8]) -> Result<Target<'u>, BadTarget> {
        let schemes: &[(&[u8], Option<u16>, bool)] = match kind {
            PassKind::Proxy => &[(b"http://", Some(80), false), (b"https://", Some(443), true)],
            PassKind::Grpc => &[(b"grpc://", Some(80), false), (b"grpcs://", Some(443), true), (b"", Some(80), false)],
            PassKind::Uwsgi => &[(b"uwsgi://", None, false), (b"suwsgi://", None, true), (b"", None, false)],
            _ => &[(b"", None, false)],
        };
        let starts = |scheme: &[u8]| url.get(..scheme.len()).is_some_and(|front| front.eq_ignore_ascii_case(scheme));
        let &(scheme, default_port, tls) = schemes.iter().find(|(scheme, ..)| starts(scheme)).ok_or(BadTarget)?;
        let rest = &url[scheme.len()..];
        if rest.starts_with(b"unix:") {
            return Ok(Target::Unix);
        }
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
        let (authority, uri) = rest.split_at(end);
        let (host, port) = match authority.strip_prefix(b"[") {
            Some(literal) => {
                let close = memchr::memchr(b']', literal).ok_or(BadTarget)?;
                (&literal[..close], literal[close + 1..].strip_prefix(b":"))
            }
            None => match memchr::memchr(b':', authority) {
                Some(colon) => (&authority[..colon], Some(&authority[colon + 1..])),
                None => (authority, None),
            },
        };
        if host.is_empty() {
            return Err(BadTarget);
        }
        let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u16>().ok().filter(|port| *port > 0);
        let port = match port {
            Some(text) if text.iter().all(u8::is_ascii_digit) => Some(number(text).ok_or(BadTarget)?),
            Some(_) => return Err(BadTarget),
            None => None,
        };
        Ok(Target::Host { host, port, default_port, tls, uri })
    }

    /// The address, where the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        let Target::Host { host, .. } = self else { return None };
        let text = std::str::from_utf8(host).ok()?;
        text.parse::<Ipv4Addr>().map(IpAddr::from).or_else(|_| text.parse::<Ipv6Addr>().map(IpAddr::from)).ok()
    }

    /// The group that a literal address makes, for computed ones to name.
    pub fn group(&self) -> Option<Upstream> {
        match *self {
            Target::Unix => None,
            Target::Host { host, port, default_port, .. } => {
                Some(Upstream { host: host.to_ascii_lowercase().into(), port: port.or(default_port), none_live: None })
            }
        }
    }

    /// Whether the group is the one that this address names (`ngx_http_upstream_init_request`).
    pub fn names(&self, group: &Upstream) -> bool {
        let Target::Host { host, port, default_port, .. } = *self else { return false };
        let same_port = match group.port {
            None => port.is_none(),
            Some(of_group) => port.or(default_port) == Some(of_group),
        };
        same_port && host.eq_ignore_ascii_case(&group.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_a_scheme_a_host_and_a_number_for_a_port() {
        let parse = |url: &'static str| Target::parse(PassKind::Proxy, url.as_bytes());
        assert_eq!(parse("h:80"), Err(BadTarget));
        assert_eq!(parse("http:///x"), Err(BadTarget));
        assert_eq!(parse("http://h:x/"), Err(BadTarget));
        assert_eq!(parse("http://h:0/"), Err(BadTarget));
        assert_eq!(parse("HTTP://unix:/s"), Ok(Target::Unix));
        let host = Target::Host { host: b"::1", port: Some(81), default_port: Some(443), tls: true, uri: b"/x" };
        assert_eq!(parse("https://[::1]:81/x"), Ok(host));
        let host = Target::Host { host: b"10.0.0.1", port: Some(9000), default_port: None, tls: false, uri: b"" };
        assert_eq!(Target::parse(PassKind::Fastcgi, b"10.0.0.1:9000"), Ok(host));
    }

    #[test]
    fn a_group_is_named_with_its_port_and_a_block_without_one() {
        let target = |url: &'static [u8]| Target::parse(PassKind::Proxy, url).unwrap_or(Target::Unix);
        let block = Upstream { host: b"app".as_slice().into(), port: None, none_live: None };
        assert!(target(b"http://APP/").names(&block));
        assert!(!target(b"http://app:80/").names(&block));
        let literal = target(b"http://localhost/x").group();
        assert!(literal.is_some_and(|group| target(b"http://localhost:80/").names(&group)));
    }
}

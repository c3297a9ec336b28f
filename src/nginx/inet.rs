//! Addresses as nginx reads them (`ngx_inet_addr`, `ngx_inet6_addr`, `ngx_ptocidr`, `ngx_parse_addr_port`).
//!
//! Its parsers are its own: an octet may have leading zeros or no digit at all (`1..2.3` is 1.0.2.3), and
//! 255.255.255.255 is never an address, because that value stands for "not one".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::version::Version;
use crate::request::Peer;

/// An IPv4 address, or `None` for anything else and for 255.255.255.255.
pub fn parse_ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut octet, mut dots) = (0u32, 0u32, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                octet = octet * 10 + u32::from(byte - b'0');
                if octet > 255 {
                    return None;
                }
            }
            b'.' => {
                address = (address << 8) | octet;
                octet = 0;
                dots += 1;
            }
            _ => return None,
        }
    }
    let address = (address << 8) | octet;
    (dots == 3 && address != u32::MAX).then(|| Ipv4Addr::from(address))
}

/// An IPv6 address without brackets or zone.
pub fn parse_ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    // A single leading colon is skipped, as in nginx: `:1::2` is read like `1::2`, `::1` like `:1` with the zeros in front.
    let text = text.strip_prefix(b":").unwrap_or(text);
    let mut words: Vec<u16> = Vec::with_capacity(8);
    let (mut zeros, mut word, mut nibbles) = (None, 0u32, 0);
    let mut group = None;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b':' if nibbles > 0 => {
                group = Some(at + 1);
                words.push(word as u16);
                if words.len() == 8 {
                    return None;
                }
                (word, nibbles) = (0, 0);
            }
            b':' if zeros.is_none() => {
                group = Some(at + 1);
                zeros = Some(words.len());
            }
            b':' => return None,
            b'.' if nibbles > 0 => {
                let tail = u32::from(parse_ipv4(&text[group?..])?);
                if words.len() > 6 {
                    return None;
                }
                words.push((tail >> 16) as u16);
                (word, nibbles) = (tail & 0xffff, 1);
                break;
            }
            _ => {
                nibbles += 1;
                if nibbles > 4 {
                    return None;
                }
                word = word * 16 + char::from(byte).to_digit(16)?;
            }
        }
    }
    if nibbles == 0 && zeros.is_none() {
        return None;
    }
    words.push(word as u16);
    match zeros {
        Some(_) if words.len() == 8 => None,
        Some(at) => {
            let missing = 8 - words.len();
            words.splice(at..at, std::iter::repeat_n(0, missing));
            segments(&words)
        }
        None => segments(&words),
    }
}

fn segments(words: &[u16]) -> Option<Ipv6Addr> {
    <[u16; 8]>::try_from(words).ok().map(Ipv6Addr::from)
}

/// `ngx_parse_addr`.
pub fn parse_addr(text: &[u8]) -> Option<IpAddr> {
    parse_ipv4(text).map(IpAddr::V4).or_else(|| parse_ipv6(text).map(IpAddr::V6))
}

/// `ngx_parse_addr_port`: `addr`, `addr:port`, `[v6]:port`, and since 1.27.3 `[v6]`.
pub fn parse_addr_port(text: &[u8], version: Version) -> Option<IpAddr> {
    if let Some(address) = parse_addr(text) {
        return Some(address);
    }
    let (address, port) = match text.strip_prefix(b"[") {
        Some(rest) => {
            let close = memchr::memchr(b']', rest)?;
            match &rest[close + 1..] {
                [] if version >= Version::new(1, 27, 3) => return parse_addr(&rest[..close]),
                [b':', port @ ..] => (&rest[..close], port),
                _ => return None,
            }
        }
        None => {
            let colon = memchr::memchr(b':', text)?;
            (&text[..colon], &text[colon + 1..])
        }
    };
    let port = atoi(port)?;
    (1..=65535).contains(&port).then(|| parse_addr(address)).flatten()
}

/// `ngx_atoi`: decimal digits only, at least one.
pub fn atoi(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// A set of clients as `set_real_ip_from`, `geo … proxy` and the like write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cidr {
    /// IPv4 addresses: network and mask.
    V4(u32, u32),
    /// IPv6 addresses: network and mask.
    V6(u128, u128),
    /// Clients of a unix socket.
    Unix,
}

impl Cidr {
    /// `ngx_ptocidr`; host bits are cleared.
    pub fn parse(text: &[u8]) -> Option<Cidr> {
        let (address, bits) = match memchr::memchr(b'/', text) {
            Some(slash) => (&text[..slash], Some(u32::try_from(atoi(&text[slash + 1..])?).ok()?)),
            None => (text, None),
        };
        match parse_addr(address)? {
            IpAddr::V4(address) => {
                let bits = bits.unwrap_or(32);
                let mask = u32::MAX.checked_shl(32u32.checked_sub(bits)?).unwrap_or(0);
                Some(Cidr::V4(u32::from(address) & mask, mask))
            }
            IpAddr::V6(address) => {
                let bits = bits.unwrap_or(128);
                let mask = u128::MAX.checked_shl(128u32.checked_sub(bits)?).unwrap_or(0);
                Some(Cidr::V6(u128::from(address) & mask, mask))
            }
        }
    }

    /// Whether a client belongs to it; an IPv4-mapped address counts as IPv4 (`ngx_cidr_match`).
    pub fn contains(&self, client: Peer) -> bool {
        match (self, client) {
            (Cidr::Unix, Peer::Unix) => true,
            (&Cidr::V4(network, mask), Peer::Ip(ip)) => match mapped_to_ipv4(ip) {
                IpAddr::V4(address) => u32::from(address) & mask == network,
                IpAddr::V6(_) => false,
            },
            (&Cidr::V6(network, mask), Peer::Ip(ip)) => match mapped_to_ipv4(ip) {
                IpAddr::V6(address) => u128::from(address) & mask == network,
                IpAddr::V4(_) => false,
            },
            _ => false,
        }
    }
}

/// `::ffff:a.b.c.d` as a.b.c.d.
pub fn mapped_to_ipv4(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(text: &str) -> Option<String> {
        parse_ipv6(text.as_bytes()).map(|address| address.to_string())
    }

    #[test]
    fn ipv4_may_lack_digits_but_is_never_the_broadcast_address() {
        assert_eq!(parse_ipv4(b"10.0.0.5"), Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(parse_ipv4(b"010.000.0.005"), Some(Ipv4Addr::new(10, 0, 0, 5)));
        assert_eq!(parse_ipv4(b"1..2.3"), Some(Ipv4Addr::new(1, 0, 2, 3)));
        for wrong in ["", "10.0.0", "10.0.0.256", "10.0.0.0.1", "a.0.0.1", "255.255.255.255"] {
            assert_eq!(parse_ipv4(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn ipv6_forms() {
        for (text, shown) in [
            ("::1", "::1"),
            ("::", "::"),
            ("2001:db8::", "2001:db8::"),
            ("2001:0db8:0:0:0:0:0:1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
            ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ] {
            assert_eq!(v6(text).as_deref(), Some(shown), "{text}");
        }
        for wrong in ["", ":", "1", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "::g", "1:2:3:4:5:6:7:1.2.3.4"] {
            assert_eq!(v6(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ports_and_brackets() {
        let old = Version::new(1, 22, 1);
        let new = Version::new(1, 31, 3);
        assert_eq!(parse_addr_port(b"1.1.1.1:80", old), Some(IpAddr::from([1, 1, 1, 1])));
        assert_eq!(parse_addr_port(b"1.1.1.1:0", old), None);
        assert_eq!(parse_addr_port(b"1.1.1.1:65536", old), None);
        assert_eq!(parse_addr_port(b"[::1]:8080", old), Some(IpAddr::from(Ipv6Addr::LOCALHOST)));
        assert_eq!(parse_addr_port(b"[::1]", old), None);
        assert_eq!(parse_addr_port(b"[::1]", new), Some(IpAddr::from(Ipv6Addr::LOCALHOST)));
        assert_eq!(parse_addr_port(b"junk", new), None);
    }

    #[test]
    fn networks() {
        let holds = |net: &str, client: &str| {
            let client = client.parse().map_or(Peer::Unix, Peer::Ip);
            Cidr::parse(net.as_bytes()).map(|cidr| cidr.contains(client))
        };
        assert_eq!(holds("10.0.0.1/8", "10.9.9.9"), Some(true));
        assert_eq!(holds("10.0.0.1/8", "::ffff:10.1.2.3"), Some(true));
        assert_eq!(holds("10.0.0.1/8", "unix:"), Some(false));
        assert_eq!(holds("0.0.0.0/0", "1.2.3.4"), Some(true));
        assert_eq!(holds("0.0.0.0/0", "::1"), Some(false));
        assert_eq!(holds("::/0", "2001:db8::1"), Some(true));
        for wrong in ["10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "host", "10.0.0.0/255.0.0.0"] {
            assert_eq!(Cidr::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}

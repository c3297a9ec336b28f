//! Addresses as `Require ip`, `Allow from`, `-R` and mod_remoteip read them (apr_ipsubnet_create).
//!
//! `10`, `10.1`, `10.1.2.` are prefixes; a mask is a number of bits from 1 on, or an address with holes allowed; a mask
//! after a partial address is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: an address and a mask, of which only equal bits are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Network {
    /// IPv4: address and mask.
    V4(u32, u32),
    /// IPv6: address and mask.
    V6(u128, u128),
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAnAddress {
    /// It looks like a host name (APR_EINVAL): not even an attempt.
    Text,
    /// APR_EBADIP.
    Address,
    /// APR_EBADMASK.
    Mask,
}

impl Network {
    /// Reads an address, a network or a partial IPv4 address.
    pub fn parse(text: &[u8]) -> Result<Network, NotAnAddress> {
        let (address, mask) = match text.iter().position(|&byte| byte == b'/') {
            Some(at) => (&text[..at], Some(&text[at + 1..])),
            None => (text, None),
        };
        let looks_numeric = !address.is_empty() && address.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
        if !looks_numeric && !address.contains(&b':') {
            return Err(NotAnAddress::Text);
        }
        let text = std::str::from_utf8(address).map_err(|_| NotAnAddress::Text)?;
        if !looks_numeric && let Ok(ip) = text.parse::<Ipv6Addr>() {
            if ip.to_ipv4_mapped().is_some() {
                return Err(NotAnAddress::Address);
            }
            let bits = match mask {
                Some(mask) => bits(mask, 128)?,
                None => 128,
            };
            let mask = u128::MAX << (128 - bits);
            return Ok(Network::V6(ip.to_bits() & mask, mask));
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            let mask = match mask {
                None => u32::MAX,
                Some(mask) if mask.contains(&b'.') => {
                    let dotted = std::str::from_utf8(mask).ok().and_then(|text| text.parse::<Ipv4Addr>().ok());
                    dotted.ok_or(NotAnAddress::Mask)?.to_bits()
                }
                Some(mask) => u32::MAX << (32 - bits(mask, 32)?),
            };
            return Ok(Network::V4(ip.to_bits() & mask, mask));
        }
        if !looks_numeric {
            return Err(NotAnAddress::Address);
        }
        if mask.is_some() {
            return Err(NotAnAddress::Mask);
        }
        partial(text)
    }

    /// The same as a prefix; `None` for a mask with holes.
    pub fn net(&self) -> Option<ipnet::IpNet> {
        match *self {
            Network::V4(address, mask) => {
                let bits = mask.leading_ones();
                let whole = mask.count_ones() == bits;
                ipnet::Ipv4Net::new(Ipv4Addr::from(address), bits as u8).ok().filter(|_| whole).map(ipnet::IpNet::V4)
            }
            Network::V6(address, mask) => {
                let bits = mask.leading_ones();
                ipnet::Ipv6Net::new(Ipv6Addr::from(address), bits as u8).ok().map(ipnet::IpNet::V6)
            }
        }
    }

    /// Whether an address lies in it. An IPv4 client of an IPv6 socket compares as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self, ip.to_canonical()) {
            (Network::V4(net, mask), IpAddr::V4(ip)) => ip.to_bits() & mask == *net,
            (Network::V6(net, mask), IpAddr::V6(ip)) => ip.to_bits() & mask == *net,
            _ => false,
        }
    }
}

fn bits(mask: &[u8], most: u32) -> Result<u32, NotAnAddress> {
    let number = std::str::from_utf8(mask).ok().and_then(|text| text.parse::<u32>().ok());
    number.filter(|bits| (1..=most).contains(bits)).ok_or(NotAnAddress::Mask)
}

/// `10`, `10.1`, `10.1.`: one to three bytes.
fn partial(text: &str) -> Result<Network, NotAnAddress> {
    let parts: Vec<&str> = text.strip_suffix('.').unwrap_or(text).split('.').collect();
    if parts.len() > 3 {
        return Err(NotAnAddress::Address);
    }
    let (mut address, mut mask) = (0u32, 0u32);
    for (index, part) in parts.iter().enumerate() {
        let byte: u8 = part.parse().map_err(|_| NotAnAddress::Address)?;
        let shift = 24 - 8 * index as u32;
        address |= u32::from(byte) << shift;
        mask |= 0xff << shift;
    }
    Ok(Network::V4(address, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, ip: &str) -> bool {
        let network = Network::parse(network.as_bytes()).expect("a network");
        network.contains(ip.parse().expect("an address"))
    }

    #[test]
    fn prefixes_masks_and_host_bits() {
        assert!(holds("10", "10.9.9.9"));
        assert!(holds("10.1.", "10.1.2.3") && !holds("10.1", "10.2.0.1"));
        assert!(holds("10.0.0.77/8", "10.1.1.1"));
        assert!(holds("10.0.1.0/255.0.255.0", "10.7.1.9") && !holds("10.0.1.0/255.0.255.0", "10.7.2.9"));
        assert!(holds("fe80::/10", "fe80::1") && !holds("fe80::/10", "::1"));
        assert!(holds("10.0.0.0/8", "::ffff:10.0.0.1"));
    }

    #[test]
    fn what_the_server_refuses() {
        assert_eq!(Network::parse(b"0.0.0.0/0"), Err(NotAnAddress::Mask));
        assert_eq!(Network::parse(b"10.1/16"), Err(NotAnAddress::Mask));
        assert_eq!(Network::parse(b"::ffff:1.2.3.4"), Err(NotAnAddress::Address));
        assert_eq!(Network::parse(b"example.com"), Err(NotAnAddress::Text));
        assert_eq!(Network::parse(b"300.1"), Err(NotAnAddress::Address));
    }
}

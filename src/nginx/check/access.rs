//! Addresses and who may pass: `allow`, `deny`, realip, `valid_referers`, `auth_*`.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::tables::Keys;
use super::{Block, Checker, Verdict, bad, show, value};
use crate::nginx::include::Placed;

/// A network as `ngx_ptocidr` reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    /// Whether bits behind the mask were set; nginx warns and clears them.
    pub(super) loose: bool,
    /// IPv4 or IPv6, the address as a number and the length of the mask.
    pub(super) key: (bool, u128, u32),
}

impl Network {
    /// `None` where nginx sees no network: `ngx_inet_addr` wants four decimal numbers, and 255.255.255.255 is its error value.
    pub(super) fn parse(text: &[u8]) -> Option<Network> {
        let (address, length) = match text.iter().position(|&byte| byte == b'/') {
            Some(slash) => (&text[..slash], Some(value::number(&text[slash + 1..])?)),
            None => (text, None),
        };
        let (is_v4, bits, width) = match v4(address) {
            Some(address) => (true, u128::from(u32::from(address)), 32),
            None => (false, u128::from(v6(address)?), 128),
        };
        let length = match length {
            Some(length) => u32::try_from(length).ok().filter(|&length| length <= width)?,
            None => width,
        };
        let host = 1u128.checked_shl(width - length).map_or(u128::MAX, |bit| bit - 1);
        Some(Network { loose: bits & host != 0, key: (is_v4, bits & !host, length) })
    }
}

/// `ngx_inet_addr`: leading zeros are fine, and 255.255.255.255 is no address.
pub(super) fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let (mut at, mut value, mut digits) = (0, 0u32, 0);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u32::from(byte - b'0');
                digits += 1;
                // However many zeros lead, no part is greater.
                if value > 255 {
                    return None;
                }
            }
            b'.' if digits > 0 && at < 3 => {
                octets[at] = value as u8;
                (at, value, digits) = (at + 1, 0, 0);
            }
            _ => return None,
        }
    }
    octets[3] = value as u8;
    let address = Ipv4Addr::from(octets);
    (at == 3 && digits > 0 && address != Ipv4Addr::BROADCAST).then_some(address)
}

/// `ngx_inet6_addr`.
pub(super) fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl<'a> Checker<'a> {
    pub(super) fn access_rule(&mut self, directive: Placed<'a>, network: &[u8]) -> Verdict {
        if matches!(network, b"all" | b"unix:") {
            return Ok(());
        }
        match Network::parse(network) {
            Some(parsed) => {
                self.loose(directive, network, parsed);
                Ok(())
            }
            None => bad(format!("invalid parameter \"{}\"", show(network))),
        }
    }

    fn loose(&mut self, directive: Placed<'a>, text: &[u8], network: Network) {
        if network.loose {
            self.warn(directive, format!("low address bits of {} are meaningless", show(text)));
        }
    }

    /// A name is looked up by nginx; whether it is found is no fact of the text, but a name with `/` never is.
    pub(super) fn realip_from(&mut self, directive: Placed<'a>, text: &[u8]) -> Verdict {
        if text == b"unix:" {
            return Ok(());
        }
        match Network::parse(text) {
            Some(network) => {
                self.loose(directive, text, network);
                Ok(())
            }
            None if text.contains(&b'/') || text.is_empty() => {
                bad(format!("host not found in set_real_ip_from \"{}\"", show(text)))
            }
            None => Ok(()),
        }
    }

    pub(super) fn valid_referers(
        &mut self,
        directive: Placed<'a>,
        values: &[&'a [u8]],
        block: &mut Block<'a>,
    ) -> Verdict {
        for &text in values {
            match text {
                [] => return bad("invalid referer \"\""),
                b"none" | b"blocked" => block.facts.referers.get_or_insert_default().lenient = true,
                b"server_names" => block.facts.referers.get_or_insert_default().server_names = true,
                [b'~', pattern @ ..] => {
                    if pattern.is_empty() {
                        return bad("empty regex in \"~\"");
                    }
                    self.plain_regex(pattern, true)?;
                }
                _ => {
                    let host = text.split(|&byte| byte == b'/').next().unwrap_or(text);
                    block
                        .facts
                        .referers
                        .get_or_insert_default()
                        .keys
                        .get_or_insert_with(Keys::default)
                        .require(host, true)?;
                }
            }
        }
        block.facts.referers.get_or_insert_default().given = Some(directive.origin());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_as_ngx_ptocidr_does() {
        let parse = |text: &str| Network::parse(text.as_bytes()).map(|network| network.loose);
        assert_eq!(
            (parse("10.0.0.0/8"), parse("10.0.0.1/8"), parse("10.0.0.1")),
            (Some(false), Some(true), Some(false))
        );
        for refused in [
            "10.0.0.0/33",
            "host.name",
            "10.0.0",
            "10.0.0.0/255.0.0.0",
            "255.255.255.255",
            "255.255.255.255/32",
            "1.2.3.4/",
            "",
        ] {
            assert_eq!(parse(refused), None, "{refused}");
        }
        assert_eq!(
            (parse("::1"), parse("2001:db8::/32"), parse("2001:db8::1/32"), parse("::/0")),
            (Some(false), Some(false), Some(true), Some(false))
        );
        assert_eq!(parse("::/129"), None);
    }
}

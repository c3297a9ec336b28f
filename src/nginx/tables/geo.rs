//! `geo [$address] $variable { … }` (`ngx_http_geo_module.c`).
//!
//! The longest network that holds the address wins; with `ranges`, the range that holds it. The address is the client's
//! after realip, or the text of a variable; text that is no address, and a unix socket, are looked up as 255.255.255.255.
//! With `proxy`, `X-Forwarded-For` says who the client is, as in realip. Values are literal.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use super::super::inet::{self, Cidr};
use super::super::realip;
use super::super::request::{Cx, HttpRequest};
use super::super::variables::{self, Definition, Table, Value, VariableId};
use super::{Entry, MOST_ALTERNATIVES};
use crate::fact::{Question, Subject};
use crate::request::Peer;
use crate::source::Origin;

/// A geo table.
#[derive(Debug)]
pub struct Geo {
    address: Option<VariableId>,
    proxies: Vec<Cidr>,
    recursive: bool,
    /// Worked out again at each use (since 1.29.3).
    pub volatile: bool,
    networks: Networks,
    values: Vec<(Box<[u8]>, Origin)>,
}

/// What addresses are looked up in; the numbers are indexes of values.
#[derive(Debug)]
enum Networks {
    Cidr(Cidrs),
    Ranges { ranges: Vec<(u32, u32, usize)>, default: Option<usize> },
}

#[derive(Debug, Default)]
struct Cidrs {
    v4: HashMap<(u8, u32), usize>,
    v6: HashMap<(u8, u128), usize>,
    /// The prefix lengths that occur, so that a look-up tries no others.
    v4_lengths: BTreeSet<u8>,
    v6_lengths: BTreeSet<u8>,
}

/// Reads a geo table and defines its variable. What nginx refuses is left out.
pub(super) fn define(address: Option<&[u8]>, name: &[u8], lines: &[Entry], origin: Origin, table: &mut Table) {
    let Some(name) = name.strip_prefix(b"$") else { return };
    let address = address.and_then(|address| address.strip_prefix(b"$")).map(|address| table.id(address));
    let geo = Geo::read(address, lines);
    table.define(name, Definition::Geo(Box::new(geo)), Some(origin));
}

impl Geo {
    fn read(address: Option<VariableId>, lines: &[Entry]) -> Geo {
        let mut geo = Geo {
            address,
            proxies: Vec::new(),
            recursive: false,
            volatile: false,
            networks: Networks::Cidr(Cidrs::default()),
            values: Vec::new(),
        };
        for line in lines {
            match &*line.words {
                [b"ranges"] => geo.networks = Networks::Ranges { ranges: Vec::new(), default: None },
                [b"proxy_recursive"] => geo.recursive = true,
                [b"volatile"] => geo.volatile = true,
                [b"proxy", net] => geo.proxies.extend(parse_cidr(net)),
                [b"delete", net] => geo.networks.delete(net),
                &[net, value] => {
                    let index = geo.values.len();
                    geo.values.push((value.into(), line.origin));
                    geo.networks.insert(net, index);
                }
                _ => {}
            }
        }
        geo
    }

    /// The value for this request, and the entry that gave it.
    pub(in super::super) fn value<'a>(
        &'a self,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
        name: &[u8],
    ) -> (Value, Option<Origin>) {
        let address = match self.address {
            None => Some(r.connection.client),
            Some(id) => match variables::value(r, cx, id) {
                Value::Text(text) => inet::parse_addr(&text).map(Peer::Ip),
                Value::NotFound => None,
                Value::Unknown(question) => return self.choose(question, cx, name),
            },
        };
        let address = address.map(|address| {
            let lines: Vec<&[u8]> = r.lines(b"X-Forwarded-For").collect();
            if self.proxies.is_empty() || lines.is_empty() {
                return address;
            }
            realip::forwarded_address(address, &lines, &self.proxies, self.recursive, cx.version).unwrap_or(address)
        });
        let ip = match address {
            Some(Peer::Ip(ip)) => inet::mapped_to_ipv4(ip),
            Some(Peer::Unix) | None => IpAddr::V4(Ipv4Addr::BROADCAST),
        };
        match self.networks.find(ip) {
            Some(index) => (Value::text(&self.values[index].0), Some(self.values[index].1)),
            None => (Value::text(""), None),
        }
    }

    fn choose(&self, why: Question, cx: &mut Cx, name: &[u8]) -> (Value, Option<Origin>) {
        let text = |index: Option<usize>| index.map_or(&b""[..], |index| &*self.values[index].0);
        let mut candidates = vec![self.networks.default()];
        for index in self.networks.values() {
            if !candidates.iter().any(|&known| text(known) == text(Some(index))) {
                candidates.push(Some(index));
            }
        }
        if candidates.len() > MOST_ALTERNATIVES {
            return (Value::Unknown(why), None);
        }
        let shown = variables::shown(name);
        let alternatives: Vec<String> =
            candidates.iter().map(|&index| format!("`${shown}` is `{}`", variables::shown(text(index)))).collect();
        let alternatives: Vec<&str> = alternatives.iter().map(String::as_str).collect();
        let chosen = candidates[cx.inquiry.choose(Question::at(Subject::Variable(shown), why.origin), &alternatives)];
        (Value::text(text(chosen)), chosen.map(|index| self.values[index].1))
    }
}

/// `ngx_http_geo_cidr_value`: here, 255.255.255.255 is an address.
fn parse_cidr(net: &[u8]) -> Option<Cidr> {
    if net == b"255.255.255.255" { Some(Cidr::V4(u32::MAX, u32::MAX)) } else { Cidr::parse(net) }
}

fn parse_range(net: &[u8]) -> Option<(u32, u32)> {
    let dash = memchr::memchr(b'-', net)?;
    let first = u32::from(inet::parse_ipv4(&net[..dash])?);
    let last = u32::from(inet::parse_ipv4(&net[dash + 1..])?);
    (first <= last).then_some((first, last))
}

impl Networks {
    fn insert(&mut self, net: &[u8], index: usize) {
        match self {
            Networks::Cidr(cidrs) if net == b"default" => {
                cidrs.insert(Cidr::V4(0, 0), index);
                cidrs.insert(Cidr::V6(0, 0), index);
            }
            Networks::Cidr(cidrs) => {
                if let Some(cidr) = parse_cidr(net) {
                    cidrs.insert(cidr, index);
                }
            }
            Networks::Ranges { default, .. } if net == b"default" => *default = Some(index),
            Networks::Ranges { ranges, .. } => {
                if let Some((first, last)) = parse_range(net) {
                    insert_range(ranges, first, last, index);
                }
            }
        }
    }

    fn delete(&mut self, net: &[u8]) {
        match self {
            Networks::Cidr(cidrs) => match parse_cidr(net) {
                Some(Cidr::V4(network, mask)) => {
                    cidrs.v4.remove(&(mask.count_ones() as u8, network));
                }
                Some(Cidr::V6(network, mask)) => {
                    cidrs.v6.remove(&(mask.count_ones() as u8, network));
                }
                _ => {}
            },
            Networks::Ranges { ranges, .. } => {
                if let Some((first, last)) = parse_range(net) {
                    delete_range(ranges, first, last);
                }
            }
        }
    }

    fn find(&self, ip: IpAddr) -> Option<usize> {
        match (self, ip) {
            (Networks::Cidr(cidrs), IpAddr::V4(ip)) => cidrs.v4_lengths.iter().rev().find_map(|&length| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                cidrs.v4.get(&(length, u32::from(ip) & mask)).copied()
            }),
            (Networks::Cidr(cidrs), IpAddr::V6(ip)) => cidrs.v6_lengths.iter().rev().find_map(|&length| {
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                cidrs.v6.get(&(length, u128::from(ip) & mask)).copied()
            }),
            (Networks::Ranges { ranges, default }, ip) => {
                let address = match ip {
                    IpAddr::V4(ip) => u32::from(ip),
                    IpAddr::V6(_) => u32::MAX,
                };
                let at = ranges.partition_point(|&(_, last, _)| last < address);
                let range = ranges.get(at).filter(|&&(first, _, _)| first <= address);
                range.map(|&(_, _, index)| index).or(*default)
            }
        }
    }

    fn default(&self) -> Option<usize> {
        match self {
            Networks::Cidr(cidrs) => cidrs.v4.get(&(0, 0)).copied(),
            Networks::Ranges { default, .. } => *default,
        }
    }

    /// Every value that can come out, in the order in which they were written.
    fn values(&self) -> Vec<usize> {
        let mut values: Vec<usize> = match self {
            Networks::Cidr(cidrs) => cidrs.v4.values().chain(cidrs.v6.values()).copied().collect(),
            Networks::Ranges { ranges, .. } => ranges.iter().map(|&(_, _, index)| index).collect(),
        };
        values.sort_unstable();
        values.dedup();
        values
    }
}

impl Cidrs {
    fn insert(&mut self, cidr: Cidr, index: usize) {
        match cidr {
            Cidr::V4(network, mask) => {
                let length = mask.count_ones() as u8;
                self.v4_lengths.insert(length);
                self.v4.insert((length, network), index);
            }
            Cidr::V6(network, mask) => {
                let length = mask.count_ones() as u8;
                self.v6_lengths.insert(length);
                self.v6.insert((length, network), index);
            }
            Cidr::Unix => {}
        }
    }
}

/// A later range replaces an equal one and splits one that holds it; one that overlaps another is refused by nginx.
fn insert_range(ranges: &mut Vec<(u32, u32, usize)>, first: u32, last: u32, index: usize) {
    let at = ranges.partition_point(|&(_, end, _)| end < first);
    let mut pieces = vec![(first, last, index)];
    let mut until = at;
    while let Some(&(begin, end, old)) = ranges.get(until).filter(|range| range.0 <= last) {
        if begin < first {
            pieces.insert(0, (begin, first - 1, old));
        }
        if end > last {
            pieces.push((last + 1, end, old));
        }
        until += 1;
    }
    ranges.splice(at..until, pieces);
}

/// nginx keeps ranges in slices of 65536 addresses, and `delete` takes out the slices that are exactly there.
fn delete_range(ranges: &mut Vec<(u32, u32, usize)>, first: u32, last: u32) {
    let mut begin = first;
    loop {
        let end = (begin | 0xffff).min(last);
        let at = ranges.partition_point(|&(_, end, _)| end < begin);
        if let Some(&(low, high, index)) = ranges.get(at).filter(|range| range.0 <= begin) {
            let slice_first = low.max(begin & 0xffff_0000);
            let slice_last = high.min(begin | 0xffff);
            if (slice_first, slice_last) == (begin, end) {
                let before = (low < begin).then(|| (low, begin - 1, index));
                let after = (high > end).then(|| (end + 1, high, index));
                ranges.splice(at..=at, before.into_iter().chain(after));
            }
        }
        match end.checked_add(1).filter(|next| *next <= last) {
            Some(next) => begin = next,
            None => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    fn geo(text: &str) -> Geo {
        let origin = Origin { span: Span::new(FileId(0), 0, 0), via: None };
        let lines: Vec<Entry> = text
            .split_terminator(';')
            .map(|line| Entry { words: line.split_whitespace().map(str::as_bytes).collect(), origin })
            .collect();
        Geo::read(None, &lines)
    }

    fn look(geo: &Geo, ip: &str) -> String {
        let found = ip.parse().ok().and_then(|ip| geo.networks.find(ip));
        found.map_or(String::new(), |index| variables::shown(&geo.values[index].0))
    }

    #[test]
    fn the_longest_network_wins() {
        let geo = geo(
            "default d; 10.0.0.0/8 ten; 10.1.0.0/16 one; 10.1.2.3 host; 2001:db8::/32 six; delete 10.1.0.0/16; 127.0.0.1 a; 127.0.0.1 b; 255.255.255.255 all;",
        );
        for (ip, value) in [
            ("10.9.9.9", "ten"),
            ("10.1.2.3", "host"),
            ("10.1.2.4", "ten"),
            ("127.0.0.1", "b"),
            ("1.2.3.4", "d"),
            ("2001:db8::1", "six"),
            ("::1", "d"),
            ("255.255.255.255", "all"),
        ] {
            assert_eq!(look(&geo, ip), value, "{ip}");
        }
    }

    #[test]
    fn later_ranges_split_earlier_ones() {
        let geo = geo(
            "ranges; default d; 10.0.0.0-10.0.2.255 a; 10.0.1.0-10.0.1.255 b; 10.0.0.0-10.0.0.0 c; 10.0.2.255-10.0.2.255 e; 10.0.1.0-10.0.1.255 f;",
        );
        for (ip, value) in [
            ("10.0.0.0", "c"),
            ("10.0.0.1", "a"),
            ("10.0.1.7", "f"),
            ("10.0.2.0", "a"),
            ("10.0.2.255", "e"),
            ("10.0.3.0", "d"),
            ("9.255.255.255", "d"),
            ("::1", "d"),
        ] {
            assert_eq!(look(&geo, ip), value, "{ip}");
        }
    }

    #[test]
    fn delete_takes_out_whole_slices() {
        let geo = geo("ranges; 10.0.0.0-10.2.255.255 a; delete 10.1.0.0-10.1.255.255; delete 10.2.0.0-10.2.0.255;");
        assert_eq!(look(&geo, "10.0.5.5"), "a");
        assert_eq!(look(&geo, "10.1.5.5"), "");
        assert_eq!(look(&geo, "10.2.0.5"), "a");
    }
}

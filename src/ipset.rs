//! Sets of addresses over ipnet: what an access list covers, what is left of it, and one address of each class.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// A set of IPv4 and IPv6 addresses. The two families never mix: `::ffff:10.0.0.1` is an IPv6 address here, and whoever
/// knows that a server maps it to IPv4 does so before asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpSet {
    v4: Ranges,
    v6: Ranges,
}

/// Disjoint, ascending, non-adjacent inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    fn insert(&mut self, first: u128, last: u128) {
        // Everything that overlaps or touches first..=last is merged into it.
        let start = self.0.partition_point(|&(_, end)| end.checked_add(1).is_some_and(|next| next < first));
        let end = self.0.partition_point(|&(begin, _)| begin <= last.saturating_add(1));
        if start == end {
            return self.0.insert(start, (first, last));
        }
        let merged = self.0[start..end].iter().fold((first, last), |(low, high), &(a, b)| (low.min(a), high.max(b)));
        self.0.splice(start..end, [merged]);
    }

    fn contains(&self, address: u128) -> bool {
        let at = self.0.partition_point(|&(_, end)| end < address);
        self.0.get(at).is_some_and(|&(begin, _)| begin <= address)
    }

    fn is_within(&self, other: &Ranges) -> bool {
        self.0.iter().all(|&(first, last)| {
            let at = other.0.partition_point(|&(_, end)| end < first);
            other.0.get(at).is_some_and(|&(begin, end)| begin <= first && last <= end)
        })
    }

    fn subtract(&mut self, other: &Ranges) {
        let mut left = Vec::with_capacity(self.0.len());
        let mut cuts = other.0.iter().peekable();
        for &(mut first, last) in &self.0 {
            while cuts.next_if(|&&(_, end)| end < first).is_some() {}
            let mut rest = Some(first);
            for &(begin, end) in cuts.clone().take_while(|&&(begin, _)| begin <= last) {
                if begin > first {
                    left.push((first, begin - 1));
                }
                match end.checked_add(1).filter(|&next| next <= last) {
                    Some(next) => first = next,
                    None => {
                        rest = None;
                        break;
                    }
                }
                rest = Some(first);
            }
            if let Some(first) = rest {
                left.push((first, last));
            }
        }
        self.0 = left;
    }
}

/// First and last address of a network as a number of its family.
fn bounds(net: &IpNet) -> (u128, u128) {
    match net {
        IpNet::V4(net) => (u32::from(net.network()).into(), u32::from(net.broadcast()).into()),
        IpNet::V6(net) => (net.network().into(), net.broadcast().into()),
    }
}

fn v4(number: u128) -> Ipv4Addr {
    Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))
}

impl IpSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every address of both families.
    pub fn all() -> Self {
        IpSet { v4: Ranges(vec![(0, u32::MAX.into())]), v6: Ranges(vec![(0, u128::MAX)]) }
    }

    /// Adds a network; its host bits do not matter.
    pub fn insert(&mut self, net: IpNet) {
        let (first, last) = bounds(&net);
        match net {
            IpNet::V4(_) => self.v4.insert(first, last),
            IpNet::V6(_) => self.v6.insert(first, last),
        }
    }

    /// Adds every address from `first` to `last`; nothing where they are of two families or out of order.
    pub fn insert_range(&mut self, first: IpAddr, last: IpAddr) {
        match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
                self.v4.insert(u32::from(first).into(), u32::from(last).into());
            }
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => self.v6.insert(first.into(), last.into()),
            _ => {}
        }
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(u32::from(address).into()),
            IpAddr::V6(address) => self.v6.contains(address.into()),
        }
    }

    /// Whether every address of this set is in the other.
    pub fn is_within(&self, other: &IpSet) -> bool {
        self.v4.is_within(&other.v4) && self.v6.is_within(&other.v6)
    }

    /// Whether there is no address in it.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// Adds every address of the other set.
    pub fn unite(&mut self, other: &IpSet) {
        other.v4.0.iter().for_each(|&(first, last)| self.v4.insert(first, last));
        other.v6.0.iter().for_each(|&(first, last)| self.v6.insert(first, last));
    }

    /// Removes every address of the other set.
    pub fn subtract(&mut self, other: &IpSet) {
        self.v4.subtract(&other.v4);
        self.v6.subtract(&other.v6);
    }

    /// Some address of the set: the lowest, IPv4 first.
    pub fn first(&self) -> Option<IpAddr> {
        let lowest_v4 = self.v4.0.first().map(|&(first, _)| IpAddr::V4(v4(first)));
        lowest_v4.or_else(|| self.v6.0.first().map(|&(first, _)| IpAddr::V6(Ipv6Addr::from(first))))
    }

    /// The set as the fewest networks, IPv4 first, ascending.
    pub fn nets(&self) -> Vec<IpNet> {
        let in_v4 = self.v4.0.iter().flat_map(|&(first, last)| Ipv4Subnets::new(v4(first), v4(last), 0).map(IpNet::V4));
        let in_v6 =
            self.v6.0.iter().flat_map(|&(first, last)| Ipv6Subnets::new(first.into(), last.into(), 0).map(IpNet::V6));
        in_v4.chain(in_v6).collect()
    }
}

impl FromIterator<IpNet> for IpSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(nets: I) -> Self {
        let mut set = IpSet::new();
        nets.into_iter().for_each(|net| set.insert(net));
        set
    }
}

/// One address of each class that a list of networks tells apart: two addresses of a class lie in exactly the same of
/// these networks. IPv4 first; in each family the class outside every network comes where its first address lies.
///
/// Where a class holds more than its lowest address, the second lowest stands for it: `10.0.0.1` reads better than
/// `10.0.0.0`, and `0.0.0.0` is nobody's address.
pub fn classes(nets: &[IpNet]) -> Vec<IpAddr> {
    let (in_v4, in_v6): (Vec<_>, Vec<_>) = nets.iter().partition(|net| matches!(net, IpNet::V4(_)));
    let bounds_of = |nets: Vec<&IpNet>| nets.into_iter().map(bounds).collect::<Vec<_>>();
    let v4_classes = representatives(&bounds_of(in_v4), u32::MAX.into()).into_iter().map(|at| IpAddr::V4(v4(at)));
    let v6_classes = representatives(&bounds_of(in_v6), u128::MAX).into_iter().map(|at| IpAddr::V6(at.into()));
    v4_classes.chain(v6_classes).collect()
}

/// A sweep over the borders of the ranges. Networks nest, so the distinct ones that hold a point are at most 129.
fn representatives(ranges: &[(u128, u128)], highest: u128) -> Vec<u128> {
    let mut distinct: Vec<(u128, u128)> = ranges.to_vec();
    distinct.sort_unstable_by_key(|&(first, last)| (first, std::cmp::Reverse(last)));
    distinct.dedup();
    let mut borders: Vec<u128> = vec![0];
    for &(first, last) in &distinct {
        borders.push(first);
        borders.extend(last.checked_add(1).filter(|&next| next <= highest));
    }
    borders.sort_unstable();
    borders.dedup();
    let (mut seen, mut found, mut open, mut next) = (HashSet::new(), Vec::new(), Vec::<usize>::new(), 0);
    for (index, &border) in borders.iter().enumerate() {
        open.retain(|&range| distinct[range].1 >= border);
        while distinct.get(next).is_some_and(|&(first, _)| first <= border) {
            open.push(next);
            next += 1;
        }
        if seen.insert(open.clone()) {
            let end = borders.get(index + 1).map_or(highest, |&next| next - 1);
            found.push(if end > border { border + 1 } else { border });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    fn set(nets: &[&str]) -> IpSet {
        nets.iter().map(|text| net(text)).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn neighbours_become_one_network() {
        assert_eq!(set(&["10.0.0.0/25", "10.0.0.128/25", "10.0.1.0/24"]).nets(), [net("10.0.0.0/23")]);
        assert_eq!(set(&["0.0.0.0/1", "128.0.0.0/1", "::/0"]), IpSet::all());
        assert_eq!(set(&["10.0.0.7/8"]).nets(), [net("10.0.0.0/8")]);
    }

    #[test]
    fn families_do_not_mix() {
        let v6 = set(&["::/0"]);
        assert!(!v6.contains(ip("10.0.0.1")) && v6.contains(ip("::ffff:10.0.0.1")));
        assert!(!set(&["0.0.0.0/0"]).is_within(&v6));
    }

    #[test]
    fn what_is_left() {
        let mut left = set(&["10.0.0.0/8", "192.168.0.0/16"]);
        left.subtract(&set(&["10.1.0.0/16", "10.3.0.0/16", "192.168.0.0/16", "11.0.0.0/8"]));
        assert!(left.contains(ip("10.0.255.255")) && left.contains(ip("10.2.0.0")) && left.contains(ip("10.255.0.1")));
        assert!(!left.contains(ip("10.1.0.0")) && !left.contains(ip("10.3.9.9")) && !left.contains(ip("192.168.0.1")));
        left.subtract(&IpSet::all());
        assert!(left.is_empty() && left.first().is_none());
        let mut all = IpSet::all();
        all.subtract(&set(&["0.0.0.0/32", "255.255.255.255/32"]));
        assert_eq!(all.first(), Some(ip("0.0.0.1")));
        assert!(!all.contains(ip("255.255.255.255")));
    }

    #[test]
    fn a_cut_may_span_several_ranges() {
        let mut left = set(&["10.0.0.0/24", "10.0.2.0/24", "10.0.4.0/24"]);
        let mut cut = IpSet::new();
        cut.insert_range(ip("10.0.0.128"), ip("10.0.4.127"));
        left.subtract(&cut);
        assert_eq!(left.nets(), [net("10.0.0.0/25"), net("10.0.4.128/25")]);
    }

    #[test]
    fn within() {
        assert!(set(&["10.1.0.0/16", "10.2.0.0/16"]).is_within(&set(&["10.0.0.0/8"])));
        assert!(!set(&["10.0.0.0/7"]).is_within(&set(&["10.0.0.0/8"])));
        assert!(IpSet::new().is_within(&IpSet::new()));
    }

    #[test]
    fn one_address_of_each_class() {
        let found = classes(&[net("10.0.0.5/32"), net("10.0.0.0/8"), net("192.168.0.0/16"), net("10.0.0.0/8")]);
        assert_eq!(found, [ip("0.0.0.1"), ip("10.0.0.1"), ip("10.0.0.5"), ip("192.168.0.1"), ip("::1")]);
        assert_eq!(classes(&[net("0.0.0.0/0"), net("::/0")]), [ip("0.0.0.1"), ip("::1")]);
        assert_eq!(classes(&[net("255.255.255.255/32")]), [ip("0.0.0.1"), ip("255.255.255.255"), ip("::1")]);
    }
}

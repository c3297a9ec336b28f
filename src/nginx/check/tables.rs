//! Blocks with a grammar of their own: `map`, `geo`, `split_clients`, `types`, `charset_map`.

use std::collections::{HashMap, HashSet};

use super::access::{Network, v4};
use super::http::at;
use super::{Block, Checker, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;

/// The keys of one of nginx's hashes (`ngx_hash_add_key`).
#[derive(Debug, Default)]
pub(super) struct Keys {
    exact: HashSet<Vec<u8>>,
    /// Domains of `*.x` and `.x`.
    head: HashSet<Vec<u8>>,
    /// Beginnings of `x.*`.
    tail: HashSet<Vec<u8>>,
}

/// What `ngx_hash_add_key` answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    Ok,
    /// It is there already.
    Busy,
    /// It is no name and no wildcard.
    Declined,
}

impl Keys {
    pub(super) fn add(&mut self, key: &[u8], wildcards: bool) -> Added {
        let key = key.to_ascii_lowercase();
        let insert =
            |set: &mut HashSet<Vec<u8>>, key: &[u8]| if set.insert(key.to_vec()) { Added::Ok } else { Added::Busy };
        if wildcards {
            let stars = key.iter().filter(|&&byte| byte == b'*').count();
            if stars > 1 || key.windows(2).any(|pair| pair == b"..") || key.contains(&0) {
                return Added::Declined;
            }
            match key.as_slice() {
                [b'.', domain @ ..] if !domain.is_empty() => {
                    return match insert(&mut self.exact, domain) {
                        Added::Ok => insert(&mut self.head, domain),
                        busy => busy,
                    };
                }
                [b'*', b'.', domain @ ..] if !domain.is_empty() => return insert(&mut self.head, domain),
                [start @ .., b'.', b'*'] if !start.is_empty() => return insert(&mut self.tail, start),
                _ if stars > 0 => return Added::Declined,
                _ => {}
            }
        }
        insert(&mut self.exact, &key)
    }

    /// As `map` and `valid_referers` add a key.
    pub(super) fn require(&mut self, key: &[u8], wildcards: bool) -> Verdict {
        match self.add(key, wildcards) {
            Added::Ok => Ok(()),
            // nginx has folded the key by then.
            Added::Busy => bad(format!("conflicting parameter \"{}\"", show(&key.to_ascii_lowercase()))),
            Added::Declined => bad(format!("invalid hostname or wildcard \"{}\"", show(key))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.head.is_empty() && self.tail.is_empty()
    }
}

impl<'a> Checker<'a> {
    pub(super) fn map(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let context = block.context;
        let [source, name] = values else { return Ok(()) };
        self.compile(source, directive, context)?;
        self.define(name, context)?;
        let mut keys = Keys::default();
        let (mut hostnames, mut default) = (false, false);
        let mut seen: HashSet<&[u8]> = HashSet::new();
        self.lines(directive, |checker, line| {
            let key = checker.name(line);
            let [text] = checker.values(line)[..] else {
                if line.args().is_empty() && key == b"hostnames" {
                    hostnames = true;
                    return Ok(());
                }
                if line.args().is_empty() && key == b"volatile" {
                    return Ok(());
                }
                return bad("invalid number of the map parameters");
            };
            if seen.insert(text) {
                checker.compile(text, line, context)?;
            }
            match key {
                b"default" if default => bad("duplicate default map parameter"),
                b"default" => {
                    default = true;
                    Ok(())
                }
                [b'~', b'*', pattern @ ..] => checker.regex(pattern, true, line, context).map(drop),
                [b'~', pattern @ ..] => checker.regex(pattern, false, line, context).map(drop),
                [b'\\', key @ ..] => keys.require(key, hostnames),
                _ => keys.require(key, hostnames),
            }
        });
        Ok(())
    }

    pub(super) fn geo(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let context = block.context;
        let name = match values {
            [source, name] => {
                let Some(source) = source.strip_prefix(b"$") else {
                    return bad(format!("invalid variable name \"{}\"", show(source)));
                };
                self.variables(context).mention(source, Some(directive.origin()))?;
                name
            }
            [name] => name,
            _ => return Ok(()),
        };
        self.define(name, context)?;
        let mut geo = Geo::default();
        self.lines(directive, |checker, line| {
            let key = checker.name(line);
            let values = checker.values(line);
            match (key, values.as_slice()) {
                (b"ranges", []) if geo.has_networks => {
                    bad("the \"ranges\" directive must be the first directive inside \"geo\" block")
                }
                (b"ranges", []) => {
                    geo.ranges = true;
                    Ok(())
                }
                (b"proxy_recursive" | b"volatile", []) => Ok(()),
                (b"proxy", [network]) => match Network::parse(network) {
                    Some(parsed) => {
                        if parsed.loose {
                            checker.warn(line, format!("low address bits of {} are meaningless", show(network)));
                        }
                        Ok(())
                    }
                    None => bad(format!("invalid network \"{}\"", show(network))),
                },
                (_, [_]) if geo.ranges => checker.geo_range(line, key, values[0], &mut geo),
                (_, [_]) => checker.geo_network(line, key, values[0], &mut geo),
                _ => bad("invalid number of the geo parameters"),
            }
        });
        Ok(())
    }

    fn geo_network(&mut self, line: Placed<'a>, key: &'a [u8], text: &'a [u8], geo: &mut Geo<'a>) -> Verdict {
        geo.has_networks = true;
        let network = match key {
            b"default" => {
                if let Some(old) = geo.default.replace(text) {
                    self.duplicate_network(line, key, text, old);
                }
                return Ok(());
            }
            b"delete" => text,
            key => key,
        };
        match Network::parse(network) {
            Some(parsed) => {
                if parsed.loose {
                    self.warn(line, format!("low address bits of {} are meaningless", show(network)));
                }
                if key == b"delete" {
                    if geo.networks.remove(&parsed.key).is_none() {
                        self.warn(line, format!("no network \"{}\" to delete", show(network)));
                    }
                } else if let Some(old) = geo.networks.insert(parsed.key, text) {
                    self.duplicate_network(line, network, text, old);
                }
                Ok(())
            }
            // nginx takes a bare 255.255.255.255 here.
            None if network == b"255.255.255.255" => Ok(()),
            None => bad(format!("invalid network \"{}\"", show(network))),
        }
    }

    fn duplicate_network(&mut self, line: Placed<'a>, network: &[u8], value: &[u8], old: &[u8]) {
        let (network, value, old) = (show(network), show(value), show(old));
        self.warn(line, format!("duplicate network \"{network}\", value: \"{value}\", old value: \"{old}\""));
    }

    fn geo_range(&mut self, line: Placed<'a>, key: &'a [u8], text: &'a [u8], geo: &mut Geo<'a>) -> Verdict {
        let (range, delete) = match key {
            b"default" => {
                if let Some(old) = geo.default.replace(text) {
                    let message =
                        format!("duplicate default geo range value: \"{}\", old value: \"{}\"", show(text), show(old));
                    self.warn(line, message);
                }
                return Ok(());
            }
            b"delete" => (text, true),
            key => (key, false),
        };
        let invalid = || refusal(format!("invalid range \"{}\"", show(range)));
        let dash = range.iter().position(|&byte| byte == b'-').ok_or_else(invalid)?;
        let start = u32::from(v4(&range[..dash]).ok_or_else(invalid)?);
        let end = u32::from(v4(&range[dash + 1..]).ok_or_else(invalid)?);
        if start > end {
            return Err(invalid());
        }
        if delete {
            if geo.spans.contains(&(start, end)) {
                geo.spans.retain(|&span| span != (start, end));
            } else {
                self.warn(line, format!("no address range \"{}\" to delete", show(range)));
            }
            return Ok(());
        }
        // A range may lie inside an earlier one, or be the same; it may not cross its ends.
        let crosses = |&&(low, high): &&(u32, u32)| start <= high && end >= low && !(start >= low && end <= high);
        if let Some(&(low, high)) = geo.spans.iter().find(crosses) {
            let (low, high) = (std::net::Ipv4Addr::from(low), std::net::Ipv4Addr::from(high));
            return bad(format!("range \"{}\" overlaps \"{low}-{high}\"", show(range)));
        }
        if geo.spans.contains(&(start, end)) {
            self.warn(line, format!("duplicate range \"{}\", value: \"{}\"", show(range), show(text)));
        }
        geo.insert(start, end);
        Ok(())
    }

    pub(super) fn split_clients(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let context = block.context;
        let [source, name] = values else { return Ok(()) };
        self.compile(source, directive, context)?;
        self.define(name, context)?;
        self.no_include(directive, "invalid percent value \"include\"")?;
        let mut total = 0u64;
        let mut over = false;
        self.lines(directive, |checker, line| {
            let key = checker.name(line);
            let percent = match key {
                b"*" => 10_000u64.saturating_sub(total),
                [digits @ .., b'%'] => match hundredths(digits) {
                    Some(percent) if percent > 0 => percent,
                    _ => return bad(format!("invalid percent value \"{}\"", show(key))),
                },
                _ => return bad(format!("invalid percent value \"{}\"", show(key))),
            };
            total = if key == b"*" { 10_000 } else { total + percent };
            over |= total > 10_000;
            Ok(())
        });
        if over { bad("percent total is greater than 100%") } else { Ok(()) }
    }

    /// Blocks in which `include` is a word like any other.
    fn no_include(&self, block: Placed<'a>, message: &str) -> Verdict {
        for line in block.children() {
            if line.name().value(&self.loaded.sources) == b"include" {
                return Err(at((line.span().file, line.reported_at()), message.to_owned()));
            }
        }
        Ok(())
    }

    pub(super) fn types(&mut self, directive: Placed<'a>) -> Verdict {
        let mut seen: HashMap<Vec<u8>, &'a [u8]> = HashMap::new();
        self.lines(directive, |checker, line| {
            let kind = checker.name(line);
            let values = checker.values(line);
            if kind == b"include" && values.len() != 1 {
                return bad("invalid number of arguments in \"include\" directive");
            }
            for extension in values {
                if let Some(old) = seen.insert(extension.to_ascii_lowercase(), kind) {
                    let (extension, kind, old) = (show(extension), show(kind), show(old));
                    let message =
                        format!("duplicate extension \"{extension}\", content type: \"{kind}\", previous content type: \"{old}\"");
                    checker.warn(line, message);
                }
            }
            Ok(())
        });
        Ok(())
    }

    pub(super) fn charset_map(&mut self, directive: Placed<'a>, values: &[&'a [u8]]) -> Verdict {
        let [from, to] = values else { return Ok(()) };
        self.http.charset_maps.push((from, to));
        if from.eq_ignore_ascii_case(to) {
            return bad(format!("\"charset_map\" between the same charsets \"{}\" and \"{}\"", show(from), show(to)));
        }
        self.no_include(directive, "invalid value \"include\"")?;
        let to_utf8 = to.eq_ignore_ascii_case(b"utf-8");
        self.lines(directive, |checker, line| {
            let values = checker.values(line);
            let [target] = values.as_slice() else { return bad("invalid parameters number") };
            let hex = |text: &[u8]| {
                let text = std::str::from_utf8(text).ok().filter(|text| !text.is_empty() && text.len() <= 8)?;
                u32::from_str_radix(text, 16).ok()
            };
            let source = checker.name(line);
            if hex(source).is_none_or(|code| code > 255) {
                return bad(format!("invalid value \"{}\"", show(source)));
            }
            let sound = if to_utf8 {
                target.len() <= 8 && hex(target).is_some()
            } else {
                hex(target).is_some_and(|code| code <= 255)
            };
            if sound { Ok(()) } else { bad(format!("invalid value \"{}\"", show(target))) }
        });
        Ok(())
    }

    /// `geoip2 FILE { $name …; }` of a module by others: its variables.
    pub(super) fn geoip2(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let context = block.context;
        let &[file] = values else { return Ok(()) };
        if context == Contexts::HTTP {
            if self.http.databases.contains(&file) {
                return bad(format!("Duplicate GeoIP2 mmdb - {}", show(file)));
            }
            self.http.databases.push(file);
        }
        self.lines(directive, |checker, line| match checker.name(line) {
            name @ [b'$', ..] => {
                let values = checker.values(line);
                let source = values.iter().find_map(|word| word.strip_prefix(b"source="));
                if let Some(source) = source.filter(|source| !source.starts_with(b"$")) {
                    return bad(format!("invalid source variable name \"{}\"", show(source)));
                }
                checker.define(name, context)
            }
            b"auto_reload" => Ok(()),
            name => bad(format!("invalid setting \"{}\"", show(name))),
        });
        Ok(())
    }
}

#[derive(Default)]
struct Geo<'a> {
    ranges: bool,
    has_networks: bool,
    default: Option<&'a [u8]>,
    networks: HashMap<(bool, u128, u32), &'a [u8]>,
    /// Ranges without overlap.
    spans: Vec<(u32, u32)>,
}

impl Geo<'_> {
    /// Cuts the new range out of one that holds it.
    fn insert(&mut self, start: u32, end: u32) {
        let held = self.spans.iter().position(|&(low, high)| low <= start && end <= high);
        if let Some(index) = held {
            let (low, high) = self.spans.swap_remove(index);
            if low < start {
                self.spans.push((low, start - 1));
            }
            if end < high {
                self.spans.push((end + 1, high));
            }
        }
        self.spans.push((start, end));
    }
}

/// `ngx_atofp` with two places: `12.5` is 1250.
fn hundredths(text: &[u8]) -> Option<u64> {
    let (whole, places) = match text.iter().position(|&byte| byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    if places.len() > 2 || (whole.is_empty() && places.is_empty()) {
        return None;
    }
    let digits = |text: &[u8]| if text.is_empty() { Some(0) } else { value::number(text) };
    let scale = if places.len() == 1 { 10 } else { 1 };
    let sum = digits(whole)?.checked_mul(100)?.checked_add(digits(places)? * scale)?;
    u64::try_from(sum).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_conflict_as_in_nginx() {
        let mut keys = Keys::default();
        let mut add = |key: &str| keys.add(key.as_bytes(), true);
        assert_eq!((add("a.b"), add("A.B"), add(".a.b")), (Added::Ok, Added::Busy, Added::Busy));
        assert_eq!(
            (add("*.c.d"), add("c.d"), add(".c.d"), add("*.c.d")),
            (Added::Ok, Added::Ok, Added::Busy, Added::Busy)
        );
        assert_eq!(
            (add("www.x.*"), add("www.x.*"), add("a*b"), add("a..b"), add("*")),
            (Added::Ok, Added::Busy, Added::Declined, Added::Declined, Added::Declined)
        );
    }

    #[test]
    fn percents_have_two_places() {
        assert_eq!((hundredths(b"12.5"), hundredths(b"0.01"), hundredths(b"100")), (Some(1250), Some(1), Some(10_000)));
        assert_eq!((hundredths(b"1.234"), hundredths(b""), hundredths(b"x")), (None, None, None));
    }
}

//! `split_clients KEY $variable { 12.5% one; * two; }` (`ngx_http_split_clients_module.c`): the hash of the key falls into
//! one of the shares.

use super::super::complex::{ComplexValue, Evaluated};
use super::super::request::{Cx, HttpRequest};
use super::super::variables::{self, Definition, Table, Value};
use super::super::version::Version;
use super::{Entry, MOST_ALTERNATIVES};
use crate::fact::{Question, Subject};
use crate::source::Origin;

/// The first version in which shares that add up to 100 % leave nobody out.
const WHOLE: Version = Version::new(1, 31, 1);

/// The shares.
#[derive(Debug)]
pub struct SplitClients {
    key: ComplexValue,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    /// In hundredths of a percent; `None`: `*`, the rest.
    share: Option<u32>,
    value: Box<[u8]>,
}

/// Reads the shares and defines the variable.
pub(super) fn define(key: &[u8], name: &[u8], lines: &[Entry], origin: Origin, table: &mut Table) {
    let Some(name) = name.strip_prefix(b"$") else { return };
    let key = ComplexValue::compile(key, table);
    let parts = lines.iter().filter_map(|line| match &*line.words {
        [share, value, ..] => Some(Part { share: read_share(share)?, value: (*value).into() }),
        _ => None,
    });
    let split = SplitClients { key, parts: parts.collect() };
    table.define(name, Definition::SplitClients(Box::new(split)), Some(origin));
}

/// `*`, or a percentage with at most two decimals. `None`: nginx refuses it.
fn read_share(text: &[u8]) -> Option<Option<u32>> {
    if text == b"*" {
        return Some(None);
    }
    let number = text.strip_suffix(b"%")?;
    let (whole, decimals) = match memchr::memchr(b'.', number) {
        Some(dot) => (&number[..dot], &number[dot + 1..]),
        None => (number, &b""[..]),
    };
    let digits = [whole, decimals].concat();
    if digits.is_empty() || decimals.len() > 2 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u32 = std::str::from_utf8(&digits).ok()?.parse().ok()?;
    let hundredths = number.checked_mul(10u32.pow(2 - decimals.len() as u32))?;
    (hundredths > 0).then_some(Some(hundredths))
}

impl SplitClients {
    /// The value for this request.
    pub(in super::super) fn value<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, name: &[u8]) -> Value {
        match self.key.value(r, cx) {
            Evaluated::Text(text) => Value::text(self.part_of(murmur_hash2(&text), cx.version)),
            Evaluated::Overrun => Value::text(""),
            Evaluated::Unknown(question) => self.choose(question, cx, name),
        }
    }

    fn part_of(&self, hash: u32, version: Version) -> &[u8] {
        let (mut sum, mut bound) = (0u32, 0u32);
        for part in &self.parts {
            let Some(share) = part.share else { return &part.value };
            sum = sum.saturating_add(share);
            if sum == 10_000 && version >= WHOLE {
                return &part.value;
            }
            bound = bound.wrapping_add((u64::from(share) * 0xffff_ffff / 10_000) as u32);
            if hash < bound {
                return &part.value;
            }
        }
        b""
    }

    fn choose(&self, why: Question, cx: &mut Cx, name: &[u8]) -> Value {
        let mut candidates: Vec<&[u8]> = Vec::new();
        // Without `*`, a key may also fall into no share.
        let nobody = (!self.parts.iter().any(|part| part.share.is_none())).then_some(&b""[..]);
        for value in self.parts.iter().map(|part| &*part.value).chain(nobody) {
            if !candidates.contains(&value) {
                candidates.push(value);
            }
        }
        if candidates.len() > MOST_ALTERNATIVES {
            return Value::Unknown(why);
        }
        let shown = variables::shown(name);
        let alternatives: Vec<String> =
            candidates.iter().map(|value| format!("`${shown}` is `{}`", variables::shown(value))).collect();
        let alternatives: Vec<&str> = alternatives.iter().map(String::as_str).collect();
        let chosen = cx.inquiry.choose(Question::at(Subject::Variable(shown), why.origin), &alternatives);
        Value::text(candidates[chosen])
    }
}

/// `ngx_murmur_hash2`.
fn murmur_hash2(data: &[u8]) -> u32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut key = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MIX);
        key = (key ^ (key >> 24)).wrapping_mul(MIX);
        hash = hash.wrapping_mul(MIX) ^ key;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, &byte) in rest.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * at);
        }
        hash = hash.wrapping_mul(MIX);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MIX);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares() {
        assert_eq!(read_share(b"*"), Some(None));
        assert_eq!(read_share(b"12.5%"), Some(Some(1250)));
        assert_eq!(read_share(b"0.01%"), Some(Some(1)));
        assert_eq!(read_share(b"100%"), Some(Some(10_000)));
        for wrong in ["0%", "1.234%", "5", "%", "-1%", "1,5%"] {
            assert_eq!(read_share(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn keys_fall_where_the_server_puts_them() {
        // Recorded: split_clients $arg_k $s { 0.01% v0; 12.5% v1; 33.33% v2; 7% v3; 20% v4; * rest; }
        let shares = [1, 1250, 3333, 700, 2000].into_iter().enumerate();
        let mut parts: Vec<Part> = shares
            .map(|(at, share)| Part { share: Some(share), value: format!("v{at}").into_bytes().into() })
            .collect();
        parts.push(Part { share: None, value: b"rest"[..].into() });
        let split = SplitClients { key: ComplexValue::literal(b""), parts };
        for (key, value) in [
            ("", "v0"),
            ("a", "v4"),
            ("ab", "v1"),
            ("abc", "v1"),
            ("abcd", "v2"),
            ("abcde", "v2"),
            ("10.0.0.5", "v2"),
            ("hello-world", "v2"),
            ("xyz12345", "v1"),
            ("q%20q", "v4"),
        ] {
            let part = split.part_of(murmur_hash2(key.as_bytes()), Version::DEBIAN_1_22_1);
            assert_eq!(part, value.as_bytes(), "{key}");
        }
    }
}

//! `ngx_http_range_header_filter`: 206, or 416, for a file whose ranges are offered.

use super::super::request::{Cx, Entity, Flow, HttpRequest, Sent};
use super::super::version::Version;
use super::{content_length, content_type, etag, http_time, last_modified, refuse};
use crate::request::HttpVersion;

/// The first version that looks at what a multipart answer would weigh.
const WEIGHED: Version = Version::new(1, 31, 0);

/// `max_ranges` where nothing is configured (NGX_MAX_INT32_VALUE).
const UNLIMITED: u64 = 0x7fff_ffff;

/// What `Range` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ranges {
    /// Parts of the entity.
    Some,
    /// Nothing that is there.
    Unsatisfiable,
    /// Too much: the whole entity is sent.
    Whole,
}

/// 416 as an error, 206 instead of the response, or the response.
pub(super) fn filter<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, mut sent: Sent) -> Flow<Sent> {
    let max_ranges = r.conf.filters.max_ranges.value.unwrap_or(UNLIMITED);
    let offered = sent.status == 200 && sent.entity.allow_ranges;
    if !offered || r.request.version < HttpVersion::HTTP_10 || max_ranges == 0 {
        return Flow::Continue(sent);
    }
    let Some(ranges) = r.header(b"Range").filter(|range| range.len() >= 7).and_then(|range| {
        let (unit, ranges) = range.split_at(6);
        unit.eq_ignore_ascii_case(b"bytes=").then_some(ranges)
    }) else {
        return Flow::Continue(sent);
    };
    if let Some(if_range) = r.header(b"If-Range") {
        let same = if if_range.len() >= 2 && if_range.ends_with(b"\"") {
            sent_etag(r, &sent.entity, cx)?.as_deref() == Some(if_range)
        } else {
            sent_last_modified(r, &sent.entity, cx)?.is_some_and(|modified| http_time::parse(if_range) == modified)
        };
        if !same {
            return Flow::Continue(sent);
        }
    }
    let Some(length) = content_length(&sent.entity, cx)? else { return Flow::Continue(sent) };
    let ranges = parse(ranges, length, max_ranges, cx.version);
    let filters = &r.conf.filters;
    // The filters that rewrite come before this one.
    if ranges != Ranges::Whole && filters.rewriters.rewrite(content_type(&sent.entity, r), length, r, cx)? {
        return Flow::Continue(sent);
    }
    match ranges {
        Ranges::Some => {
            sent.status = 206;
            Flow::Continue(sent)
        }
        Ranges::Unsatisfiable => refuse(416),
        Ranges::Whole => Flow::Continue(sent),
    }
}

/// The entity tag as it is sent: `add_header` comes before this filter.
fn sent_etag<'a>(r: &mut HttpRequest<'a>, entity: &Entity, cx: &mut Cx<'a>) -> Flow<Option<Vec<u8>>> {
    match &r.conf.filters.entity_tag {
        Some(tag) => Flow::Continue(Some(tag.evaluate(r, cx)?.into_owned()).filter(|tag| !tag.is_empty())),
        None => etag(r, entity, cx),
    }
}

/// The modification time as it is sent.
fn sent_last_modified<'a>(r: &mut HttpRequest<'a>, entity: &Entity, cx: &mut Cx<'a>) -> Flow<Option<i64>> {
    match &r.conf.filters.last_modified {
        Some(text) => Flow::Continue(Some(http_time::parse(&text.evaluate(r, cx)?)).filter(|time| *time != -1)),
        None => last_modified(entity, cx),
    }
}

/// `ngx_http_range_parse`, of what follows `bytes=`.
fn parse(text: &[u8], content_length: u64, max_ranges: u64, version: Version) -> Ranges {
    let mut cursor = Cursor(text);
    let mut left = max_ranges;
    let (mut count, mut size) = (0u64, 0u64);
    loop {
        let Some((start, end)) = cursor.range(content_length) else { return Ranges::Unsatisfiable };
        if start < end {
            count += 1;
            size = match size.checked_add(end - start).filter(|size| *size <= i64::MAX as u64) {
                Some(size) => size,
                None => return Ranges::Unsatisfiable,
            };
            if left == 0 {
                return Ranges::Whole;
            }
            left -= 1;
        } else if start == 0 {
            return Ranges::Whole;
        }
        if !cursor.comma() {
            break;
        }
    }
    if count == 0 {
        return Ranges::Unsatisfiable;
    }
    if count > 1 || version < WEIGHED {
        let heavy = count > 1 && max_ranges == UNLIMITED && version >= WEIGHED;
        if size > content_length || (heavy && size + count * 256 > content_length + 4096) {
            return Ranges::Whole;
        }
    }
    Ranges::Some
}

struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    /// Start and end of a range, the end not included.
    fn range(&mut self, content_length: u64) -> Option<(u64, u64)> {
        self.spaces();
        if let Some(rest) = self.0.strip_prefix(b"-") {
            self.0 = rest;
            let suffix = self.number()?;
            self.end_of_range()?;
            // The last byte is counted from the end of the entity; an empty entity has none.
            let start = content_length.saturating_sub(suffix);
            return Some((start, content_length));
        }
        let start = self.number()?;
        self.spaces();
        self.0 = self.0.strip_prefix(b"-")?;
        self.spaces();
        if matches!(self.0.first(), None | Some(b',')) {
            return Some((start, content_length));
        }
        let last = self.number()?;
        self.end_of_range()?;
        Some((start, if last >= content_length { content_length } else { last + 1 }))
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        let number = self.0[..digits]
            .iter()
            .try_fold(0i64, |number, byte| number.checked_mul(10)?.checked_add(i64::from(byte - b'0')))?;
        self.0 = &self.0[digits..];
        u64::try_from(number).ok()
    }

    fn spaces(&mut self) {
        self.0 = &self.0[self.0.iter().take_while(|&&byte| byte == b' ').count()..];
    }

    fn end_of_range(&mut self) -> Option<()> {
        self.spaces();
        matches!(self.0.first(), None | Some(b',')).then_some(())
    }

    fn comma(&mut self) -> bool {
        match self.0.strip_prefix(b",") {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Ranges {
        parse(text.as_bytes(), 1000, UNLIMITED, Version::NEWEST)
    }

    #[test]
    fn single_ranges() {
        for text in ["0-0", "0-", "500-2000", "-1", "-5000", " 1 - 2 ", "999-", "2000-,0-1"] {
            assert_eq!(of(text), Ranges::Some, "{text}");
        }
        for text in ["1000-", "2000-3000", "a-b", "1", "-", "1-2x", "99999999999999999999-", "5-3"] {
            assert_eq!(of(text), Ranges::Unsatisfiable, "{text}");
        }
    }

    #[test]
    fn too_much_is_the_whole() {
        assert_eq!(of("-0"), Ranges::Unsatisfiable);
        assert_eq!(of("0-599,500-999"), Ranges::Whole);
        assert_eq!(of("0-1,5-6"), Ranges::Some);
        assert_eq!(parse(b"0-1,2-3", 1000, 1, Version::NEWEST), Ranges::Whole);
        assert_eq!(parse(b"0-1", 0, UNLIMITED, Version::NEWEST), Ranges::Whole);
    }
}

//! Conditional and range requests on a file: 304, 412, 206, 416 (ap_meets_conditions, ap_byterange_filter).

use crate::apache::content::include;
use crate::apache::core::{FileETag, RangeLimit};
use crate::apache::date::parse_http;
use crate::apache::headers::Fate;
use crate::apache::model::M_GET;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::{filters, headers};
use crate::cause;
use crate::fact::{Question, Subject};
use crate::fs::Stat;
use crate::outcome::Decision;

/// A moment before which no request is made any more: when the rules here were written down. A date up to here is in
/// the past whatever the clock says.
const SURELY_PAST: i64 = 1_750_000_000;

/// ap_condition_e, as far as it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    None,
    NoMatch,
    Match,
}

/// What is known of the file that is served.
struct Facts<'r> {
    modified: i64,
    size: u64,
    parts: u8,
    path: &'r std::path::Path,
}

/// The answer to a GET or POST of a file that opened.
pub(crate) fn answer<'c>(r: &mut RequestRec<'c>, stat: &Stat, cx: &mut Cx<'c>) -> Handled {
    const CONDITIONS: [&[u8]; 6] =
        [b"If-Match", b"If-Unmodified-Since", b"If-None-Match", b"If-Modified-Since", b"If-Range", b"Range"];
    if r.status != 200 || !CONDITIONS.iter().any(|name| r.headers_in.contains(name)) {
        return Handled::Ok;
    }
    let filename = r.filename.clone().unwrap_or_default();
    let path = std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&filename));
    let (Some(modified), Some(size)) = (stat.mtime, stat.size) else {
        return cx.unanswerable(Subject::Time(path.to_path_buf()), None);
    };
    let validators = include::validators(r, cx);
    let parts = if validators.tagged { r.per_dir.core.etag.parts() } else { 0 };
    let facts = Facts { modified, size, parts, path };
    if !r.no_local_copy
        && validators.compared
        && let Some(ended) = meets_conditions(r, &facts, cx)
    {
        return ended;
    }
    byte_range(r, &facts, cx)
}

/// Whether a date is not after the time of the request.
fn is_past(at: i64, cx: &Cx) -> bool {
    match cx.world.now {
        _ if at <= SURELY_PAST => true,
        Some(now) => at <= now,
        None => cx.assume(Subject::Clock, None, "the date in the request is in the past", "the date is in the future"),
    }
}

/// Whether the file changed within the last minute, which makes its date a weak validator.
fn is_fresh(facts: &Facts, cx: &Cx) -> bool {
    match cx.world.now {
        _ if facts.modified + 60 <= SURELY_PAST => false,
        Some(now) => now < facts.modified + 60,
        None => !cx.assume(
            Subject::Other(format!("the age of {}", facts.path.display())),
            None,
            &format!("{} is older than a minute", facts.path.display()),
            &format!("{} changed within the last minute", facts.path.display()),
        ),
    }
}

/// Whether one of the listed entity tags is the file's. The server's tag holds the time in microseconds; where only its
/// seconds are known and agree, that is asked.
fn has_tag(list: &[u8], strong: bool, facts: &Facts, cx: &Cx) -> bool {
    list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).any(|tag| {
        let (weak, tag) = match tag.strip_prefix(b"W/") {
            Some(rest) => (true, rest),
            None => (false, tag),
        };
        let Some(tag) = tag.strip_prefix(b"\"").and_then(|tag| tag.strip_suffix(b"\"")) else { return false };
        !(weak && strong) && is_tag(tag, facts, cx)
    })
}

fn is_tag(tag: &[u8], facts: &Facts, cx: &Cx) -> bool {
    if facts.parts & !(FileETag::SIZE | FileETag::MTIME) != 0 {
        let shown = String::from_utf8_lossy(tag).into_owned();
        let path = facts.path.display();
        return !cx.assume(
            Subject::Other(format!("the entity tag of {path}")),
            None,
            &format!("the entity tag of {path} is not \"{shown}\""),
            &format!("the entity tag of {path} is \"{shown}\""),
        );
    }
    let mut parts = tag
        .split(|&byte| byte == b'-')
        .map(|part| std::str::from_utf8(part).ok().and_then(|text| u64::from_str_radix(text, 16).ok()));
    if facts.parts & FileETag::SIZE != 0 && parts.next().flatten() != Some(facts.size) {
        return false;
    }
    if facts.parts & FileETag::MTIME != 0 {
        let Some(micros) = parts.next().flatten() else { return false };
        if i64::try_from(micros / 1_000_000).ok() != Some(facts.modified) {
            return false;
        }
        let path = facts.path.display();
        return cx.assume(
            Subject::Other(format!("the microseconds of the modification time of {path}")),
            None,
            &format!("{path} was modified at exactly the time in the entity tag"),
            &format!("{path} was modified in the same second, at another microsecond"),
        ) && parts.next().is_none();
    }
    facts.parts != 0 && parts.next().is_none()
}

/// ap_meets_conditions: how the request ends, where a condition ends it.
fn meets_conditions<'c>(r: &mut RequestRec<'c>, facts: &Facts, cx: &mut Cx<'c>) -> Option<Handled> {
    let ranged = r.headers_in.contains(b"Range");
    let mut not_modified: Option<bool> = None;
    let failed = |r: &mut RequestRec<'c>| Some(r.refuse(Decision::new(&cause::apache::PRECONDITION_FAILED), 412));
    if let Some(list) = r.headers_in.get(b"If-Match").map(<[u8]>::to_vec)
        && !list.starts_with(b"*")
        && !has_tag(&list, true, facts, cx)
    {
        return failed(r);
    }
    if let Some(value) = r.headers_in.get(b"If-Unmodified-Since") {
        match parse_http(value) {
            Some(since) if facts.modified > since => {
                if !(is_fresh(facts, cx) && ranged) {
                    return failed(r);
                }
                not_modified = Some(false);
            }
            _ => not_modified = Some(false),
        }
    }
    match if_none_match(r, ranged, facts, cx) {
        Condition::NoMatch => not_modified = Some(false),
        Condition::Match if r.method_number == M_GET => not_modified = not_modified.or(Some(true)),
        Condition::Match => return failed(r),
        Condition::None => {}
    }
    if let Some(value) = r.headers_in.get(b"If-Modified-Since").map(<[u8]>::to_vec) {
        let since = parse_http(&value).unwrap_or(0);
        let matches = since >= facts.modified && is_past(since, cx) && !(ranged && is_fresh(facts, cx));
        if !matches {
            not_modified = Some(false);
        } else if r.method_number == M_GET {
            not_modified = not_modified.or(Some(true));
        }
    }
    if if_range(r, facts, cx) != Condition::None {
        return None;
    }
    (not_modified == Some(true)).then(|| r.refuse(Decision::new(&cause::apache::NOT_MODIFIED), 304))
}

fn if_none_match(r: &RequestRec, ranged: bool, facts: &Facts, cx: &Cx) -> Condition {
    let Some(list) = r.headers_in.get(b"If-None-Match") else { return Condition::None };
    let strong = r.method_number != M_GET || ranged;
    if list.starts_with(b"*") || has_tag(list, strong, facts, cx) { Condition::Match } else { Condition::NoMatch }
}

fn if_range(r: &RequestRec, facts: &Facts, cx: &Cx) -> Condition {
    let Some(value) = r.headers_in.get(b"If-Range").filter(|_| r.headers_in.contains(b"Range")) else {
        return Condition::None;
    };
    let matches = match value.strip_prefix(b"\"") {
        Some(tag) => tag.strip_suffix(b"\"").is_some_and(|tag| is_tag(tag, facts, cx)),
        None => parse_http(value) == Some(facts.modified) && !is_fresh(facts, cx),
    };
    if matches { Condition::Match } else { Condition::NoMatch }
}

/// ap_byterange_filter.
fn byte_range<'c>(r: &mut RequestRec<'c>, facts: &Facts, cx: &mut Cx<'c>) -> Handled {
    let is_asked = r.headers_in.get(b"Range").and_then(|value| value.get(..6)).is_some_and(is_bytes);
    if facts.size == 0 || !is_asked || ranged(r, facts.size) == 200 && !filters::transform(r, cx) {
        return Handled::Ok;
    }
    // mod_data ends the page elsewhere than the file does, so its length is not known in time.
    if r.per_dir.core.output_filters.iter().flatten().any(|name| name == b"data") && cx.has_module("data_module") {
        return Handled::Ok;
    }
    let path = facts.path.display();
    let header_changed = |name: &[u8]| headers::fate(r, name) == Fate::Changed;
    if filters::transform(r, cx) || header_changed(b"Content-Range") || header_changed(b"Content-Type") {
        // What the filters make of the body is not simulated, nor are validators that they change or take away.
        let question = Question::new(Subject::Other(format!("what the output filters make of {path}")));
        let alternatives =
            ["ranges can be cut from what they make of it", "no ranges can be cut from it", "it ends before the range"];
        let status = [206, 200, 416][cx.inquiry.choose(question, &alternatives)];
        return conclude(r, status);
    }
    if let Some(value) = r.headers_in.get(b"If-Range") {
        // Without a Last-Modified the date of the file counts.
        let validator: &[u8] = if value.starts_with(b"\"") { b"ETag" } else { b"Last-Modified" };
        let matches = match headers::fate(r, validator) {
            Fate::Removed if validator == b"ETag" => false,
            Fate::Kept | Fate::Removed => if_range(r, facts, cx) != Condition::NoMatch,
            Fate::Changed => cx.assume(
                Subject::Other(format!(
                    "what Header lines make of the {} of {path}",
                    String::from_utf8_lossy(validator)
                )),
                None,
                "it is what If-Range says",
                "it is something else",
            ),
        };
        if !matches {
            return Handled::Ok;
        }
    }
    let status = ranged(r, facts.size);
    conclude(r, status)
}

/// A page that is made up for the request, which is cut into ranges like a file where all of it fits into the output
/// buffer of 8,192 bytes. How long it is depends on more than the configuration, so that is asked; `shortest` is its
/// least length in bytes.
pub(crate) fn made_up<'c>(r: &mut RequestRec<'c>, page: &str, shortest: u64, cx: &mut Cx<'c>) -> Handled {
    const BUFFER: u64 = 8192;
    // Such a page has neither a tag nor a date that If-Range could match.
    if r.status != 200 || r.headers_in.contains(b"If-Range") {
        return Handled::Ok;
    }
    let (shortest, longest) = (ranged(r, shortest), ranged(r, BUFFER));
    if shortest == 200 && longest == 200 {
        return Handled::Ok;
    }
    let question = Question::new(Subject::Other(format!("the length of {page}")));
    let long = format!("{page} has more than 8192 bytes");
    let status = if shortest == longest {
        let short = format!("{page} has at most 8192 bytes");
        [shortest, 200][cx.inquiry.choose(question, &[&short, &long])]
    } else {
        let (before, inside) = (format!("{page} ends before the range"), format!("the range lies in {page}"));
        [shortest, longest, 200][cx.inquiry.choose(question, &[&before, &inside, &long])]
    };
    conclude(r, status)
}

fn conclude(r: &mut RequestRec, status: u16) -> Handled {
    r.status = status;
    if status == 416 {
        r.decision = Some(Decision::new(&cause::apache::RANGE_NOT_SATISFIABLE));
    }
    Handled::Ok
}

fn is_bytes(unit: &[u8]) -> bool {
    unit.eq_ignore_ascii_case(b"bytes=")
}

/// What a body of this size is answered with, If-Range aside: 200, 206 or 416.
fn ranged(r: &RequestRec, size: u64) -> u16 {
    let Some(header) = r.headers_in.get(b"Range") else { return 200 };
    let Some(specs) = header.get(6..).filter(|_| is_bytes(&header[..6])) else { return 200 };
    let core = &r.per_dir.core;
    match set_byte_range(specs, size) {
        Ranges::Ignored => 200,
        // Even under `MaxRanges none`.
        Ranges::Unsatisfiable => 416,
        Ranges::Some { count, overlaps, reversals } => {
            let exceeds = |limit: Option<RangeLimit>, default: u32, value: u32| match limit {
                None => value > default,
                Some(RangeLimit::None) => value > 0,
                Some(RangeLimit::Unlimited) => false,
                Some(RangeLimit::Count(limit)) => value > limit,
            };
            let refused = exceeds(core.max_ranges, 200, count)
                || exceeds(core.max_overlaps, 20, overlaps)
                || exceeds(core.max_reversals, 20, reversals);
            if refused { 200 } else { 206 }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ranges {
    Ignored,
    Unsatisfiable,
    Some { count: u32, overlaps: u32, reversals: u32 },
}

fn length(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse::<u64>().ok()).flatten().filter(|&n| n <= i64::MAX as u64)
}

/// ap_set_byterange: neighbouring and overlapping ranges are joined; one that makes no sense spoils the header.
fn set_byte_range(specs: &[u8], size: u64) -> Ranges {
    let (mut count, mut overlaps, mut reversals) = (0, 0, 0);
    let mut sum = 0u64;
    let mut unsatisfiable = false;
    let mut open: Option<(u64, u64)> = None;
    // ap_getword treats a run of commas as one separator, and an empty word in front of one ends the list.
    if specs.starts_with(b",") {
        return Ranges::Ignored;
    }
    for spec in specs.split(|&byte| byte == b',').filter(|spec| !spec.is_empty()) {
        let Some(dash) = spec.iter().position(|&byte| byte == b'-') else { return Ranges::Ignored };
        let (first, last) = (&spec[..dash], &spec[dash + 1..]);
        let (start, end) = if first.is_empty() {
            match length(last) {
                Some(number) if number >= 1 => (size.saturating_sub(number), size - 1),
                _ => return Ranges::Ignored,
            }
        } else {
            let Some(start) = length(first) else { return Ranges::Ignored };
            if last.is_empty() {
                if start == 0 {
                    // `0-` is the whole file, whatever else is asked for.
                    return Ranges::Some { count: 1, overlaps, reversals };
                }
                (start, size - 1)
            } else {
                match length(last) {
                    Some(end) if start <= end => (start, end),
                    _ => return Ranges::Ignored,
                }
            }
        };
        if start >= size {
            unsatisfiable = true;
            continue;
        }
        let end = end.min(size - 1);
        let Some((open_start, open_end)) = &mut open else {
            open = Some((start, end));
            continue;
        };
        let mut joined = start >= *open_start && end <= *open_end;
        if start < *open_start && end + 1 >= *open_start {
            *open_start = start;
            reversals += 1;
            joined = true;
        }
        if end >= *open_end && start <= *open_end + 1 {
            *open_end = end;
            joined = true;
        }
        if joined {
            overlaps += 1;
        } else {
            sum += *open_end - *open_start + 1;
            count += 1;
            open = Some((start, end));
        }
    }
    match open {
        Some((start, end)) => {
            sum += end - start + 1;
            count += 1;
        }
        None if count == 0 && unsatisfiable => return Ranges::Unsatisfiable,
        None => {}
    }
    if sum > size || count == 0 { Ranges::Ignored } else { Ranges::Some { count, overlaps, reversals } }
}

/// Conditions on an answer that brings its own Last-Modified (send-as-is).
pub(crate) fn if_scripted(r: &mut RequestRec, modified: Option<Vec<u8>>) -> Option<Handled> {
    let modified = parse_http(&modified?)?;
    let since = parse_http(r.headers_in.get(b"If-Modified-Since")?)?;
    (since >= modified && r.status == 200).then(|| r.refuse(Decision::new(&cause::apache::NOT_MODIFIED), 304))
}

#[cfg(test)]
mod tests {
    use super::{Ranges, set_byte_range};

    #[test]
    fn ranges_are_joined_ignored_or_refused() {
        let some = |count, overlaps, reversals| Ranges::Some { count, overlaps, reversals };
        assert_eq!(set_byte_range(b"0-4", 10), some(1, 0, 0));
        assert_eq!(set_byte_range(b"0-1,2-3,7-8", 10), some(2, 1, 0));
        assert_eq!(set_byte_range(b"5-6,3-5", 10), some(1, 1, 1));
        assert_eq!(set_byte_range(b"-3", 10), some(1, 0, 0));
        assert_eq!(set_byte_range(b"10-", 10), Ranges::Unsatisfiable);
        assert_eq!(set_byte_range(b"4-2", 10), Ranges::Ignored);
        assert_eq!(set_byte_range(b"x", 10), Ranges::Ignored);
        assert_eq!(set_byte_range(b"1-2,,5-6,", 10), some(2, 0, 0));
        assert_eq!(set_byte_range(b",1-2", 10), Ranges::Ignored);
    }
}

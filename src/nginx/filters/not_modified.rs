//! `ngx_http_not_modified_header_filter`: If-Unmodified-Since, If-Match, then If-Modified-Since and If-None-Match.

use super::super::request::{Cx, Entity, Flow, HttpRequest, Sent};
use super::{IfModifiedSince, etag, http_time, last_modified, refuse};
use crate::cause;
use crate::outcome::Decision;

/// 412 as an error, 304 instead of the response, or the response.
pub(super) fn filter<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, mut sent: Sent) -> Flow<Sent> {
    if let Some(since) = r.header(b"If-Unmodified-Since") {
        let unmodified = match last_modified(&sent.entity, cx)? {
            Some(modified) => http_time::parse(since) >= modified,
            None => false,
        };
        if !unmodified {
            return refuse(412);
        }
    }
    if let Some(list) = r.header(b"If-Match")
        && !(list == b"*" || matches_any(list, tag(list, r, &sent.entity, cx)?, false))
    {
        return refuse(412);
    }
    let since = r.header(b"If-Modified-Since");
    let none_match = r.header(b"If-None-Match");
    if since.is_none() && none_match.is_none() {
        return Flow::Continue(sent);
    }
    if let Some(since) = since {
        let modified = match (last_modified(&sent.entity, cx)?, r.conf.filters.if_modified_since.value) {
            (None, _) | (_, IfModifiedSince::Off) => true,
            (Some(modified), how) => {
                let since = http_time::parse(since);
                since != modified && (how == IfModifiedSince::Exact || since < modified)
            }
        };
        if modified {
            return Flow::Continue(sent);
        }
    }
    if let Some(list) = none_match
        && !(list == b"*" || matches_any(list, tag(list, r, &sent.entity, cx)?, true))
    {
        return Flow::Continue(sent);
    }
    sent.status = 304;
    sent.decision = Some(Box::new(Decision::new(cause::nginx::NOT_MODIFIED)));
    Flow::Continue(sent)
}

/// The entity tag; none, and nothing is asked about the file, where the list names no tag that nginx makes.
fn tag(list: &[u8], r: &HttpRequest, entity: &Entity, cx: &mut Cx) -> Flow<Option<Vec<u8>>> {
    let is_made_by_nginx = |text: &[u8]| {
        let mut halves = text.split(|&byte| byte == b'-');
        let is_number = |half: Option<&[u8]>| half.is_some_and(|half| half.iter().all(u8::is_ascii_hexdigit));
        is_number(halves.next()) && is_number(halves.next()) && halves.next().is_none()
    };
    let names_one = list.split(|&byte| byte == b'"').any(|text| !text.is_empty() && is_made_by_nginx(text));
    if names_one { etag(r, entity, cx) } else { Flow::Continue(None) }
}

/// `ngx_http_test_if_match`: whether the tag stands in the list; `weak`: `W/` does not matter.
fn matches_any(list: &[u8], tag: Option<Vec<u8>>, weak: bool) -> bool {
    let Some(tag) = tag else { return false };
    let tag = if weak && tag.len() > 2 { tag.strip_prefix(b"W/").unwrap_or(&tag) } else { &tag };
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut rest = list;
    while !rest.is_empty() {
        if weak && rest.len() > 2 {
            rest = rest.strip_prefix(b"W/").unwrap_or(rest);
        }
        if tag.len() > rest.len() {
            return false;
        }
        if let Some(after) = rest.strip_prefix(tag) {
            let blanks = after.iter().take_while(|byte| is_blank(byte)).count();
            rest = &after[blanks..];
            if rest.first().is_none_or(|&byte| byte == b',') {
                return true;
            }
        }
        let comma = memchr::memchr(b',', rest).unwrap_or(rest.len());
        rest = &rest[comma..];
        rest = &rest[rest.iter().take_while(|byte| is_blank(byte) || **byte == b',').count()..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_in_a_list() {
        let tag = || Some(b"\"5f-a\"".to_vec());
        assert!(matches_any(b"\"5f-a\"", tag(), false));
        assert!(matches_any(b"\"x\", \"5f-a\" , \"y\"", tag(), false));
        assert!(!matches_any(b"W/\"5f-a\"", tag(), false));
        assert!(matches_any(b"\"x\",W/\"5f-a\"", tag(), true));
        assert!(!matches_any(b"\"5f-a\"x", tag(), true));
        assert!(!matches_any(b"\"x\"", tag(), true));
        assert!(!matches_any(b"\"5f-a\"", None, true));
    }
}

//! The path: normalised while still encoded, then decoded (ap_normalize_path, ap_unescape_url_ex).

use crate::apache::core::EncodedSlashes;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::cause;
use crate::outcome::Decision;

/// Decodes unreserved characters, merges slashes, removes `/./` and `/../`; 400 where that leads above the root or a
/// percent sign has no two digits.
pub(crate) fn normalize_path<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    let merge = r.server.core.merge_slashes.unwrap_or(true);
    match normalized(&r.uri, Rules { merge, relative: r.is_file_subrequest, decode: true }) {
        (path, true) => {
            r.uri = path;
            Handled::Ok
        }
        (_, false) => r.refuse(Decision::new(&cause::apache::INVALID_PATH), 400),
    }
}

/// Decodes what is left. A NUL is 404, an encoded slash is what AllowEncodedSlashes of the server level says.
pub(crate) fn unescape_path<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    let slashes = r.per_dir.core.encoded_slashes;
    let mode = slashes.map_or(EncodedSlashes::Off, |setting| setting.value);
    let mut decoded = Vec::with_capacity(r.uri.len());
    let mut bytes = r.uri.as_slice();
    let mut bad = false;
    while let Some((&byte, rest)) = bytes.split_first() {
        bytes = rest;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let Some(value) = hex_pair(rest) else {
            return r.refuse(Decision::new(&cause::apache::INVALID_PATH), 400);
        };
        bytes = &rest[2..];
        match value {
            0 => bad = true,
            b'/' if mode == EncodedSlashes::Off => {
                let mut decision = Decision::new(&cause::apache::ENCODED_SLASH);
                decision.directive = slashes.and_then(|setting| setting.origin);
                decision.default = decision.directive.is_none();
                return r.refuse(decision, 404);
            }
            b'/' if mode == EncodedSlashes::NoDecode => decoded.extend_from_slice(&[b'%', rest[0], rest[1]]),
            value => decoded.push(value),
        }
    }
    if bad {
        return r.refuse(Decision::new(&cause::apache::ENCODED_NUL), 404);
    }
    if mode == EncodedSlashes::On {
        let merge = r.server.core.merge_slashes.unwrap_or(true);
        decoded = normalized(&decoded, Rules { merge, relative: r.is_file_subrequest, decode: false }).0;
    }
    r.uri = decoded;
    Handled::Ok
}

/// The value of two hexadecimal digits at the start.
pub(crate) fn hex_pair(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    Some(digit(*bytes.first()?)? << 4 | digit(*bytes.get(1)?)?)
}

#[derive(Clone, Copy)]
struct Rules {
    merge: bool,
    relative: bool,
    decode: bool,
}

/// ap_normalize_path: the path, and whether it was well formed.
fn normalized(path: &[u8], rules: Rules) -> (Vec<u8>, bool) {
    if is_plain(path) {
        return (path.to_vec(), true);
    }
    let mut well_formed = true;
    // Pass one: unreserved characters.
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        if rules.decode && path[at] == b'%' {
            match hex_pair(&path[at + 1..]) {
                Some(value) if value.is_ascii_alphanumeric() || b"-._~".contains(&value) => {
                    decoded.push(value);
                    at += 3;
                    continue;
                }
                Some(_) => {}
                None => well_formed = false,
            }
        }
        decoded.push(path[at]);
        at += 1;
    }
    if decoded == b"*" {
        return (decoded, well_formed);
    }
    if !decoded.starts_with(b"/") && !rules.relative {
        return (decoded.clone(), well_formed && decoded.is_empty());
    }
    // Pass two: segments. Each keeps the slash before it; an empty one counts unless slashes are merged.
    let rooted = decoded.starts_with(b"/");
    let body = if rooted { &decoded[1..] } else { &decoded[..] };
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut parts = body.split(|&byte| byte == b'/').peekable();
    let mut trailing = false;
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            b"." => trailing = last,
            b".." => {
                if segments.pop().is_none() && !rules.relative {
                    well_formed = false;
                }
                trailing = last;
            }
            b"" if last => trailing = true,
            b"" if rules.merge => {}
            part => segments.push(part),
        }
    }
    let mut result = Vec::with_capacity(decoded.len());
    if rooted {
        result.push(b'/');
    }
    result.extend_from_slice(&segments.join(&b'/'));
    if trailing && !segments.is_empty() {
        result.push(b'/');
    }
    (result, well_formed)
}

/// Whether there is nothing to be done: an absolute path without percent signs, doubled slashes and dots at the start of a
/// segment. Nearly all are.
fn is_plain(path: &[u8]) -> bool {
    let mut slash = false;
    path.starts_with(b"/")
        && path.iter().all(|&byte| {
            let fine = byte != b'%' && !(slash && matches!(byte, b'/' | b'.'));
            slash = byte == b'/';
            fine
        })
}

/// Runs of slashes become one (ap_no2slash).
pub(crate) fn merge_slashes(path: &[u8]) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(byte);
        }
    }
    merged
}

/// An absolute path without `//`, `/./` and `/../`; the final slash stays (apr_filepath_merge). `None`: not absolute, or
/// too long for the server.
pub(crate) fn canonical_path(path: &[u8]) -> Option<Vec<u8>> {
    if !path.starts_with(b"/") || path.len() >= PATH_MAX {
        return None;
    }
    Some(normalized(path, Rules { merge: true, relative: false, decode: false }).0)
}

/// Whether `..` in a relative path leads above where it starts (APR_FILEPATH_SECUREROOT refuses it).
pub(crate) fn leads_above_root(path: &[u8]) -> bool {
    if memchr::memmem::find(path, b"..").is_none() {
        return false;
    }
    !normalized(&[b"/", path].concat(), Rules { merge: true, relative: false, decode: false }).1
}

/// APR_PATH_MAX: the longest path, its final NUL included.
pub(crate) const PATH_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<String> {
        let (path, fine) = normalized(text.as_bytes(), Rules { merge: true, relative: false, decode: true });
        fine.then(|| String::from_utf8_lossy(&path).into_owned())
    }

    #[test]
    fn dots_slashes_and_unreserved_characters() {
        assert_eq!(path("/a/./b//c/../d/"), Some("/a/b/d/".to_owned()));
        assert_eq!(path("/%61%2Fb%7e"), Some("/a%2Fb~".to_owned()));
        assert_eq!(path("/a/.."), Some("/".to_owned()));
        assert_eq!(path("/a/b/."), Some("/a/b/".to_owned()));
        assert_eq!(path("/%2e%2e/x"), None);
        assert_eq!(path("/%zz"), None);
        assert_eq!(path("*"), Some("*".to_owned()));
    }

    #[test]
    fn an_empty_segment_counts_where_slashes_are_not_merged() {
        let keep = Rules { merge: false, relative: false, decode: true };
        assert_eq!(normalized(b"/a//../b", keep), (b"/a/b".to_vec(), true));
        assert_eq!(normalized(b"/a//b", keep), (b"/a//b".to_vec(), true));
    }
}

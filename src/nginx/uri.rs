//! The request line and the Host header: what nginx refuses before any location is looked at, and the one pass that turns
//! a raw target into the normalised path.
//!
//! Follows `ngx_http_parse_request_line`, `ngx_http_parse_complex_uri` and `ngx_http_validate_host`. The versions differ in
//! CONNECT (1.31 reads `host:port`, 1.22 a URI) and in host names, which are checked byte by byte since 1.29.4.

use std::ops::Range;

use super::version::Version;
use crate::request::HttpVersion;

/// Why a request line is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// `client sent invalid method` (400).
    Method,
    /// `client sent invalid request` (400).
    Request,
    /// `client sent invalid version` (505).
    Version,
    /// `client sent invalid method in HTTP/0.9 request` (400).
    Method09,
}

/// A request line that can be read: ranges of the target's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLine {
    /// The authority of an absolute URI (with its port in 1.31), or of a CONNECT.
    pub host: Option<Range<usize>>,
    /// Path and query. For a target without any (`http://host`, a CONNECT) this is empty and the path is `/`.
    pub uri: Range<usize>,
    /// Where the query begins (after `?`), if there is one.
    pub args: Option<usize>,
    /// The target has a query but no path: `http://host?q`.
    pub empty_path: bool,
    /// The path cannot be used as it is.
    pub complex: bool,
    /// The path holds `%`.
    pub quoted: bool,
    /// The path holds `+`.
    pub plus: bool,
    /// The version in force: HTTP/0.9 where the line ends early.
    pub version: HttpVersion,
}

/// Bytes that end nothing and mean nothing: everything but controls, space, `# % + . / ?` and DEL.
fn is_usual(byte: u8) -> bool {
    !matches!(byte, 0..=0x20 | b'#' | b'%' | b'+' | b'.' | b'/' | b'?' | 0x7f)
}

/// Reads the request line `method target HTTP/version` (no version part for HTTP/0.9).
pub fn parse_request_line(
    method: &[u8],
    target: &[u8],
    version: HttpVersion,
    server: Version,
) -> Result<RequestLine, LineError> {
    let is_method_byte = |byte: &u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-');
    if method.is_empty() || !method.iter().all(is_method_byte) {
        return Err(LineError::Method);
    }
    let connect = method == b"CONNECT" && server >= Version::new(1, 31, 0);
    let mut line = RequestLine {
        host: None,
        uri: 0..0,
        args: None,
        empty_path: false,
        complex: false,
        quoted: false,
        plus: false,
        version,
    };
    let start = target.iter().position(|&byte| byte != b' ').ok_or(LineError::Request)?;
    let rest = match target[start] {
        _ if connect => read_authority(target, start, true, &mut line)?.ok_or(LineError::Request)?,
        b'/' => read_path(target, start, &mut line)?,
        byte if byte.is_ascii_alphabetic() => {
            let host = read_scheme(target, start)?;
            match read_authority(target, host, false, &mut line)? {
                Some(rest) => rest,
                None => read_path(target, line.uri.start, &mut line)?,
            }
        }
        _ => return Err(LineError::Request),
    };
    line.version = read_protocol(&target[rest..], version)?;
    if line.version == HttpVersion::HTTP_09 && method != b"GET" {
        return Err(LineError::Method09);
    }
    Ok(line)
}

/// `scheme://`: any scheme will do. Gives the first byte of the host.
fn read_scheme(target: &[u8], start: usize) -> Result<usize, LineError> {
    let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let length = target[start..].iter().position(|&byte| !is_scheme_byte(byte)).ok_or(LineError::Request)?;
    let host = start + length + 3;
    if target.get(start + length..host) == Some(b"://") { Ok(host) } else { Err(LineError::Request) }
}

/// The host and port of an absolute URI. `None`: a path or query follows at `line.uri.start`; otherwise where the
/// target's authority ends.
fn read_authority(
    target: &[u8],
    start: usize,
    connect: bool,
    line: &mut RequestLine,
) -> Result<Option<usize>, LineError> {
    let mut at = start;
    if target.get(at) == Some(&b'[') {
        let is_literal_byte = |byte: u8| byte.is_ascii_alphanumeric() || b":-._~!$&'()*+,;=".contains(&byte);
        at += 1;
        while target.get(at).is_some_and(|&byte| is_literal_byte(byte)) {
            at += 1;
        }
        if target.get(at) != Some(&b']') {
            return Err(LineError::Request);
        }
        at += 1;
    } else {
        while target.get(at).is_some_and(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            at += 1;
        }
    }
    line.host = Some(start..at);
    if target.get(at) == Some(&b':') {
        let port = at + 1;
        at = port;
        while target.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if connect && at == port {
            return Err(LineError::Request);
        }
        line.host = Some(start..at);
    } else if connect {
        return Err(LineError::Request);
    }
    match target.get(at) {
        None | Some(b' ') => {
            line.uri = at..at;
            Ok(Some(at))
        }
        _ if connect => Err(LineError::Request),
        Some(b'/') => {
            line.uri = at..at;
            Ok(None)
        }
        Some(b'?') => {
            line.empty_path = true;
            line.uri = at..at;
            Ok(None)
        }
        Some(_) => Err(LineError::Request),
    }
}

/// Path and query up to a space or the end; notes what makes a second pass necessary.
fn read_path(target: &[u8], start: usize, line: &mut RequestLine) -> Result<usize, LineError> {
    let mut end = target.len();
    let mut in_path = true; // before `?`, `#`, `%` or anything else that hands over to the second pass
    let mut after_slash = false;
    for (offset, &byte) in target[start..].iter().enumerate() {
        let at = start + offset;
        if is_usual(byte) {
            after_slash = false;
            continue;
        }
        match byte {
            b' ' | b'\r' | b'\n' => {
                end = at;
                break;
            }
            0..=0x1f | 0x7f => return Err(LineError::Request),
            b'?' if line.args.is_none() => {
                // A `?` after `%`, `#`, `/.` or `//` is found again by the second pass, which has the last word.
                line.args = Some(at + 1);
                in_path = false;
            }
            b'#' => {
                line.complex = true;
                in_path = false;
            }
            b'%' if in_path => {
                line.quoted = true;
                in_path = false;
            }
            b'/' | b'.' if in_path && after_slash => {
                line.complex = true;
                in_path = false;
            }
            b'+' if in_path => {
                line.plus = true;
                continue;
            }
            _ => {}
        }
        after_slash = byte == b'/';
    }
    line.uri = start..end;
    Ok(end)
}

/// What stands between the URI and the end of the line. A space inside the target makes the rest of it a protocol.
fn read_protocol(rest: &[u8], version: HttpVersion) -> Result<HttpVersion, LineError> {
    match rest.iter().position(|&byte| byte != b' ') {
        None => match (version.major, version.minor) {
            (2.., _) => Err(LineError::Version),
            (1, 0..=999) | (0, 9) => Ok(version),
            _ => Err(LineError::Request),
        },
        // A line feed ends the line: what follows would be another request.
        Some(at) if rest[at] == b'\n' || rest[at..].starts_with(b"\r\n") => Ok(HttpVersion::HTTP_09),
        Some(at) => {
            let Some(number) = rest[at..].strip_prefix(b"HTTP/") else { return Err(LineError::Request) };
            match number.first() {
                Some(b'2'..=b'9') => Err(LineError::Version),
                Some(b'1') if matches!(number.get(1), Some(b'0'..=b'9')) => Err(LineError::Version),
                Some(b'1') if version == HttpVersion::HTTP_09 => {
                    let minor = number.strip_prefix(b"1.").and_then(|minor| minor.trim_ascii_end().first());
                    match minor {
                        Some(digit @ b'0'..=b'9') if number.trim_ascii_end().len() == 3 => {
                            Ok(HttpVersion { major: 1, minor: u16::from(digit - b'0') })
                        }
                        _ => Err(LineError::Request),
                    }
                }
                _ => Err(LineError::Request),
            }
        }
    }
}

/// A path in the form in which locations see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Normalized {
    /// The path.
    pub path: Vec<u8>,
    /// The query, undecoded, up to a `#`.
    pub args: Vec<u8>,
    /// A `%` was decoded.
    pub quoted: bool,
    /// A `+` was met, raw or decoded.
    pub plus: bool,
}

enum State {
    Usual,
    Slash,
    Dot,
    DotDot,
}

/// Decodes `%xx`, merges slashes and removes dot segments in one pass, so that encoded bytes act like raw ones (but
/// `%25`, `%23` and `%3F`, which become ordinary bytes). `None`: 400.
pub fn normalize(uri: &[u8], empty_path: bool, merge_slashes: bool) -> Option<Normalized> {
    let mut out = Normalized { path: Vec::with_capacity(uri.len() + 1), ..Normalized::default() };
    if empty_path {
        out.path.push(b'/');
    }
    let mut state = State::Usual;
    let mut at = 0;
    while at < uri.len() {
        let mut byte = uri[at];
        at += 1;
        let mut literal = false;
        if byte == b'%' {
            let high = (*uri.get(at)? as char).to_digit(16)?;
            let low = (*uri.get(at + 1)? as char).to_digit(16)?;
            at += 2;
            byte = (high * 16 + low) as u8;
            out.quoted = true;
            literal = matches!(byte, b'%' | b'#' | b'?');
            if byte == 0 {
                return None;
            }
        }
        out.plus |= byte == b'+';
        if literal {
            out.path.push(byte);
            state = State::Usual;
            continue;
        }
        if matches!(byte, b'/' | b'?' | b'#') {
            match state {
                State::Dot => {
                    out.path.pop();
                }
                State::DotDot => remove_segment(&mut out.path)?,
                State::Slash if byte == b'/' && !merge_slashes => out.path.push(b'/'),
                State::Slash => {}
                State::Usual if byte == b'/' => out.path.push(b'/'),
                State::Usual => {}
            }
            match byte {
                b'/' => state = State::Slash,
                b'?' => {
                    let query = &uri[at..];
                    let end = query.iter().position(|&byte| byte == b'#').unwrap_or(query.len());
                    out.args = query[..end].to_vec();
                    return Some(out);
                }
                _ => return Some(out),
            }
            continue;
        }
        out.path.push(byte);
        state = match (state, byte) {
            (State::Slash, b'.') => State::Dot,
            (State::Dot, b'.') => State::DotDot,
            _ => State::Usual,
        };
    }
    match state {
        State::Dot => {
            out.path.pop();
        }
        State::DotDot => remove_segment(&mut out.path)?,
        State::Usual | State::Slash => {}
    }
    Some(out)
}

/// Takes `/name/..` off the end and leaves the slash before it. `None`: above the root.
fn remove_segment(path: &mut Vec<u8>) -> Option<()> {
    let end = path.len().checked_sub(3)?; // the slash before `..`
    let slash = path[..end].iter().rposition(|&byte| byte == b'/')?;
    path.truncate(slash + 1);
    Some(())
}

/// The name in a Host header or an absolute URI: lower case, without port and trailing dot. `None`: 400.
pub fn validate_host(host: &[u8], server: Version) -> Option<Vec<u8>> {
    let end = if server >= Version::new(1, 29, 4) { host_end_strict(host)? } else { host_end_lenient(host)? };
    let end = if host[..end].ends_with(b".") { end - 1 } else { end };
    (end > 0).then(|| host[..end].to_ascii_lowercase())
}

fn host_end_lenient(host: &[u8]) -> Option<usize> {
    let mut end = host.len();
    let (mut literal, mut done) = (false, false);
    for (at, &byte) in host.iter().enumerate() {
        match byte {
            b'.' if at > 0 && host[at - 1] == b'.' => return None,
            b'.' => {}
            b':' if !literal && !done => (end, done) = (at, true),
            b'[' => literal |= at == 0,
            b']' if literal => (end, literal, done) = (at + 1, false, true),
            b':' | b']' => {}
            b'/' | 0..=0x20 | 0x7f => return None,
            _ => {}
        }
    }
    Some(end)
}

fn host_end_strict(host: &[u8]) -> Option<usize> {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~!$&'()*+,;=".contains(&byte);
    let literal = host.first() == Some(&b'[');
    let mut at = usize::from(literal);
    while let Some(&byte) = host.get(at) {
        match byte {
            b'.' if at > 0 && host[at - 1] == b'.' => return None,
            b'.' => {}
            b':' if literal => {}
            b'%' if !literal => {}
            b':' | b']' => break,
            _ if is_name_byte(byte) => {}
            _ => return None,
        }
        at += 1;
    }
    if literal {
        if host.get(at) != Some(&b']') {
            return None;
        }
        at += 1;
    } else if host.get(at) == Some(&b']') {
        return None;
    }
    match host.get(at) {
        None => Some(at),
        Some(b':') => {
            let mut port = 0u32;
            for digit in &host[at + 1..] {
                port = digit.is_ascii_digit().then(|| port * 10 + u32::from(digit - b'0'))?;
                if port > 65535 {
                    return None;
                }
            }
            Some(at)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(uri: &str) -> Option<String> {
        normalize(uri.as_bytes(), false, true).map(|out| String::from_utf8_lossy(&out.path).into_owned())
    }

    #[test]
    fn encoded_bytes_act_like_raw_ones_except_percent_hash_and_question_mark() {
        assert_eq!(path("/a%2Fb/%2e%2e/c").as_deref(), Some("/a/c"));
        assert_eq!(path("/a%2520b").as_deref(), Some("/a%20b"));
        assert_eq!(path("/a%3Fb%23c").as_deref(), Some("/a?b#c"));
        assert_eq!(path("/a%00"), None);
        assert_eq!(path("/%zz"), None);
        assert_eq!(path("/a%2"), None);
    }

    #[test]
    fn dot_segments_and_slashes_fold() {
        assert_eq!(path("//a///b").as_deref(), Some("/a/b"));
        assert_eq!(path("/a/./b/.").as_deref(), Some("/a/b/"));
        assert_eq!(path("/a/b/../..").as_deref(), Some("/"));
        assert_eq!(path("/.."), None);
        assert_eq!(path("/a/../../b"), None);
        assert_eq!(path("/.../..b/a..").as_deref(), Some("/.../..b/a.."));
        assert_eq!(path("/a/..?x").as_deref(), Some("/"));
        assert_eq!(path("/a#b?c").as_deref(), Some("/a"));
    }

    #[test]
    fn slashes_stay_without_merging() {
        let out = normalize(b"//a//b", false, false).map(|out| out.path);
        assert_eq!(out.as_deref(), Some(b"//a//b".as_slice()));
    }

    #[test]
    fn the_query_is_never_decoded_and_ends_at_a_hash() {
        let out = normalize(b"/a?x=%41&y#z", false, true).map(|out| out.args);
        assert_eq!(out.as_deref(), Some(b"x=%41&y".as_slice()));
    }

    fn line(method: &str, target: &str) -> Result<RequestLine, LineError> {
        parse_request_line(method.as_bytes(), target.as_bytes(), HttpVersion::HTTP_11, Version::NEWEST)
    }

    #[test]
    fn request_lines_are_refused_as_nginx_does() {
        assert_eq!(line("get", "/"), Err(LineError::Method));
        assert_eq!(line("GET", "a"), Err(LineError::Request));
        assert_eq!(line("GET", "*"), Err(LineError::Request));
        assert_eq!(line("GET", "/a b"), Err(LineError::Request));
        assert_eq!(line("GET", "/a\x01"), Err(LineError::Request));
        assert_eq!(line("GET", "http://a_b/"), Err(LineError::Request));
        assert_eq!(line("CONNECT", "/x"), Err(LineError::Request));
        assert!(line("CONNECT", "h:80").is_ok());
        assert!(line("FOO-BAR_", "/").is_ok());
        let version = HttpVersion { major: 2, minor: 0 };
        assert_eq!(parse_request_line(b"GET", b"/", version, Version::NEWEST), Err(LineError::Version));
        assert_eq!(parse_request_line(b"POST", b"/", HttpVersion::HTTP_09, Version::NEWEST), Err(LineError::Method09));
    }

    #[test]
    fn an_absolute_target_gives_host_and_path() {
        let read = line("GET", "ftp://h:81/q?x").map(|line| (line.host, line.uri, line.args));
        assert_eq!(read, Ok((Some(6..10), 10..14, Some(13))));
        let read = line("GET", "http://h").map(|line| (line.host, line.uri.is_empty(), line.empty_path));
        assert_eq!(read, Ok((Some(7..8), true, false)));
        assert_eq!(line("GET", "http://h?z").map(|line| line.empty_path), Ok(true));
    }

    #[test]
    fn host_names_are_checked_more_strictly_since_1_29_4() {
        let old = |host: &[u8]| validate_host(host, Version::DEBIAN_1_22_1);
        let new = |host: &[u8]| validate_host(host, Version::NEWEST);
        for odd in [b"a:xx".as_slice(), b"a:99999", b"a@b", b"[::1"] {
            assert!(old(odd).is_some(), "{odd:?}");
            assert!(new(odd).is_none(), "{odd:?}");
        }
        for bad in [b"".as_slice(), b"a..b", b"a/b", b".", b":80"] {
            assert!(old(bad).is_none(), "{bad:?}");
            assert!(new(bad).is_none(), "{bad:?}");
        }
        assert_eq!(new(b"EX.com.:80"), Some(b"ex.com".to_vec()));
        assert_eq!(old(b"[::1]:80"), Some(b"[::1]".to_vec()));
    }
}

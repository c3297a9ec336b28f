//! The target of a request line in its parts (apr_uri_parse, apr_uri_parse_hostinfo).

/// A parsed target. Every part is as it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uri<'t> {
    /// What stands in front of the first colon.
    pub scheme: Option<&'t [u8]>,
    /// Whether there is a user in front of the host.
    pub user: bool,
    /// The host, without brackets; empty where the authority is.
    pub hostname: Option<&'t [u8]>,
    /// The port, if one is written behind the host.
    pub port: Option<&'t [u8]>,
    /// The path; `None`: empty.
    pub path: Option<&'t [u8]>,
    /// What follows `?`.
    pub query: Option<&'t [u8]>,
    /// Whether there is a `#`.
    pub fragment: bool,
}

/// apr_uri_parse. `None`: a port that is no number, or a bracket that is not closed.
pub(crate) fn parse(target: &[u8]) -> Option<Uri<'_>> {
    let mut uri = Uri::default();
    let rest = match (target.starts_with(b"//") && target.get(2) != Some(&b'/'), scheme(target)) {
        (true, _) => authority(&target[2..], &mut uri)?,
        (false, Some(length)) => {
            uri.scheme = Some(&target[..length]);
            match target[length + 1..].strip_prefix(b"//") {
                Some(rest) => authority(rest, &mut uri)?,
                None => &target[length + 1..],
            }
        }
        (false, None) => target,
    };
    let end = rest.iter().position(|byte| b"?#".contains(byte)).unwrap_or(rest.len());
    uri.path = Some(&rest[..end]).filter(|path| !path.is_empty());
    if let Some(query) = rest[end..].strip_prefix(b"?") {
        let end = query.iter().position(|&byte| byte == b'#');
        uri.query = Some(&query[..end.unwrap_or(query.len())]);
        uri.fragment = end.is_some();
    } else {
        uri.fragment = end < rest.len();
    }
    Some(uri)
}

/// apr_uri_parse_hostinfo: host and port of CONNECT, both of them.
pub(crate) fn parse_hostinfo(target: &[u8]) -> Option<Uri<'_>> {
    let mut uri = Uri::default();
    host(target, &mut uri)?;
    uri.port.filter(|port| !port.is_empty())?;
    Some(uri)
}

/// The length of the scheme, where the target has one: a letter, then letters, digits and `+-.` up to a colon.
fn scheme(target: &[u8]) -> Option<usize> {
    let word = target.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    (target.first()?.is_ascii_alphabetic() && target.get(word) == Some(&b':')).then_some(word)
}

/// Reads `user@host:port`; what follows it.
fn authority<'t>(text: &'t [u8], uri: &mut Uri<'t>) -> Option<&'t [u8]> {
    let end = text.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(text.len());
    let (hostinfo, rest) = text.split_at(end);
    let hostinfo = match memchr::memrchr(b'@', hostinfo) {
        Some(at) => {
            uri.user = true;
            &hostinfo[at + 1..]
        }
        None => hostinfo,
    };
    host(hostinfo, uri)?;
    Some(rest)
}

/// Reads `host:port`. The first colon ends the host, unless it stands in brackets.
fn host<'t>(hostinfo: &'t [u8], uri: &mut Uri<'t>) -> Option<()> {
    let (hostname, port) = if let Some(inner) = hostinfo.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inner)?;
        match inner[end + 1..].strip_prefix(b":") {
            Some(port) => (&inner[..end], Some(port)),
            // Without a port the last byte is taken for the bracket, whatever it is.
            None => (&inner[..inner.len() - 1], None),
        }
    } else {
        match memchr::memchr(b':', hostinfo) {
            Some(at) => (&hostinfo[..at], Some(&hostinfo[at + 1..])),
            None => (hostinfo, None),
        }
    };
    (uri.hostname, uri.port) = (Some(hostname), port);
    // Any number will do, with a sign too (strtol); nothing at all is the default port.
    port.is_none_or(is_number).then_some(())
}

fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    text.is_empty() || (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_in_parts() {
        let parts = |target: &'static str| {
            let text = |part: Option<&'static [u8]>| part.map(|part| std::str::from_utf8(part).expect("ASCII"));
            parse(target.as_bytes()).map(|uri| (text(uri.scheme), text(uri.hostname), text(uri.port), text(uri.path)))
        };
        assert_eq!(parts("/a:b"), Some((None, None, None, Some("/a:b"))));
        assert_eq!(parts("http://h:80/x?y#z"), Some((Some("http"), Some("h"), Some("80"), Some("/x"))));
        assert_eq!(parts("http://u:p@h"), Some((Some("http"), Some("h"), None, None)));
        assert_eq!(parts("http://[::1]:8/"), Some((Some("http"), Some("::1"), Some("8"), Some("/"))));
        assert_eq!(parts("http:///x"), Some((Some("http"), Some(""), None, Some("/x"))));
        assert_eq!(parts("http://h:/x"), Some((Some("http"), Some("h"), Some(""), Some("/x"))));
        assert_eq!(parts("mailto:x"), Some((Some("mailto"), None, None, Some("x"))));
        assert_eq!(parts("1a:x"), Some((None, None, None, Some("1a:x"))));
        assert_eq!(parts("?x"), Some((None, None, None, None)));
        assert_eq!(parts("http://h:8x/"), None);
        assert_eq!(parts("http://[::1/"), None);
        assert!(parse(b"/x?a#b").is_some_and(|uri| uri.query == Some(b"a") && uri.fragment));
    }

    #[test]
    fn connect_names_host_and_port() {
        assert!(parse_hostinfo(b"h:443").is_some_and(|uri| uri.hostname == Some(b"h")));
        assert!(parse_hostinfo(b"[::1]:443").is_some() && parse_hostinfo(b":80").is_some());
        for bad in [&b"h"[..], b"h:", b"h:x", b"[::1]", b"[::1"] {
            assert_eq!(parse_hostinfo(bad), None, "{}", bad.escape_ascii());
        }
    }
}

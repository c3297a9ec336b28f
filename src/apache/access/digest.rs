//! The header of a digest login, as far as it decides before a nonce is looked at (get_digest_rec).

/// What an `Authorization` header is to mod_auth_digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    /// Of another scheme.
    OtherScheme,
    /// Without one of the parameters that every login has.
    Incomplete,
    /// A login: whether it is good depends on a password, and on a nonce that only the server can verify.
    Complete,
}

/// Reads a header.
pub(super) fn read(header: &[u8]) -> Header {
    let end = header.iter().position(u8::is_ascii_whitespace).unwrap_or(header.len());
    let (scheme, mut rest) = header.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"digest") {
        return Header::OtherScheme;
    }
    let mut names = Vec::new();
    while !rest.is_empty() {
        names.push(parameter(&mut rest));
    }
    let has = |name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name.as_bytes()));
    let complete = ["username", "realm", "nonce", "uri", "response"].iter().all(|name| has(name));
    if complete && (!has("qop") || has("cnonce") && has("nc")) { Header::Complete } else { Header::Incomplete }
}

/// Takes a parameter with its value and the comma behind it, and returns its name.
fn parameter<'h>(rest: &mut &'h [u8]) -> &'h [u8] {
    let text = rest.trim_ascii_start();
    let ends = |byte: &u8| matches!(byte, b'=' | b',') || byte.is_ascii_whitespace();
    let (name, after) = text.split_at(text.iter().position(ends).unwrap_or(text.len()));
    let mut value = after.trim_ascii_start();
    if let Some(quoted) = value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) {
        value = quoted.strip_prefix(b"\"").map_or(quoted, behind_quote);
    }
    *rest = memchr::memchr(b',', value).map_or(&[], |comma| &value[comma + 1..]);
    name
}

/// What follows a quoted text; a backslash takes the meaning of the next byte.
fn behind_quote(text: &[u8]) -> &[u8] {
    let mut at = 0;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    text.get(at + 1..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_has_all_its_parameters() {
        let login = |more: &str| format!("Digest username=\"a,\\\"b\", realm=\"r\", nonce=n, uri=\"/\"{more}");
        assert_eq!(read(login(", response=x").as_bytes()), Header::Complete);
        assert_eq!(read(login("").as_bytes()), Header::Incomplete);
        assert_eq!(read(login(", response=x, qop=auth").as_bytes()), Header::Incomplete);
        assert_eq!(read(login(", response=x, qop=auth, cnonce=c, nc=1").as_bytes()), Header::Complete);
        assert_eq!(read(b"Digest"), Header::Incomplete);
        assert_eq!(read(b"Digest \"\\"), Header::Incomplete);
        assert_eq!(read(b"Basic YTpi"), Header::OtherScheme);
    }
}

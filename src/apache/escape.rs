//! The server's string helpers around URLs: escaping, unescaping, and filling `$1` of a match into a text
//! (`server/util.c`).

use crate::pattern::Captures;

/// `ap_os_escape_path` with `partial`, which is `ap_escape_uri`: everything outside letters, digits and
/// `$-_.+!*'(),:;@&=/~` becomes `%xx`.
pub(crate) fn escape_uri(path: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(path.len());
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"$-_.+!*'(),:;@&=/~".contains(&byte) {
            escaped.push(byte);
        } else {
            push_escaped(&mut escaped, byte);
        }
    }
    escaped
}

/// Appends `%xx`, in the lower case that the server writes.
pub(crate) fn push_escaped(text: &mut Vec<u8>, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    text.push(b'%');
    text.push(DIGITS[usize::from(byte >> 4)]);
    text.push(DIGITS[usize::from(byte & 15)]);
}

/// What an unescaping did beside decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unescaped {
    /// Nothing wrong.
    Ok,
    /// A `%` without two hexadecimal digits was left as it is (400).
    BadEscape,
    /// A NUL was decoded (404).
    BadPath,
}

/// `ap_unescape_url` and `ap_unescape_url_keep2f`: decodes in place of `%xx`; with `keep_slashes` `%2f` stays as it is.
/// A decoded NUL ends the text, which is a C string.
pub(crate) fn unescape_url(url: &[u8], keep_slashes: bool) -> (Vec<u8>, Unescaped) {
    let mut decoded = Vec::with_capacity(url.len());
    let mut outcome = Unescaped::Ok;
    let mut at = 0;
    while let Some(&byte) = url.get(at) {
        if byte != b'%' {
            decoded.push(byte);
            at += 1;
            continue;
        }
        match url.get(at + 1..at + 3).and_then(hex_pair) {
            None => {
                outcome = Unescaped::BadEscape;
                decoded.push(b'%');
                at += 1;
            }
            Some(b'/') if keep_slashes => {
                decoded.extend_from_slice(&url[at..at + 3]);
                at += 3;
            }
            Some(value) => {
                if value == 0 && outcome == Unescaped::Ok {
                    outcome = Unescaped::BadPath;
                }
                decoded.push(value);
                at += 3;
            }
        }
    }
    decoded.truncate(memchr::memchr(0, &decoded).unwrap_or(decoded.len()));
    (decoded, outcome)
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)
}

/// `ap_pregsub` with the groups of a match.
pub(crate) fn substitute(template: &[u8], subject: &[u8], captures: &Captures) -> Vec<u8> {
    let group = |number: usize| captures.groups.get(number).cloned().flatten().map_or(&b""[..], |at| &subject[at]);
    let Ok(text) = fill(template, |number| Ok::<_, std::convert::Infallible>(group(number).to_vec()));
    text
}

/// `ap_pregsub`: `$0` to `$9` are filled in, a backslash takes the special meaning off the next byte.
///
/// # Errors
/// That of the first group that has one.
pub(crate) fn fill<E>(template: &[u8], mut group: impl FnMut(usize) -> Result<Vec<u8>, E>) -> Result<Vec<u8>, E> {
    let mut result = Vec::with_capacity(template.len());
    let mut bytes = template.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'$', Some(digit @ b'0'..=b'9')) => {
                result.extend_from_slice(&group(usize::from(digit - b'0'))?);
                bytes.next();
            }
            (b'\\', Some(_)) => result.extend(bytes.next()),
            _ => result.push(byte),
        }
    }
    Ok(result)
}

/// `ap_is_url`: letters, digits, `+`, `-` and `.` up to a colon.
pub(crate) fn is_url(text: &[u8]) -> bool {
    match memchr::memchr(b':', text) {
        Some(0) | None => false,
        Some(colon) => text[..colon].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)),
    }
}

/// C's `atoi`: blanks, a sign, digits; anything else is 0. Values past the range of an `int` saturate.
pub(crate) fn atoi(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let value = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping_is_the_servers() {
        // Require expr "escape('a b/?#%') == 'a%20b/%3f%23%25'" is true.
        assert_eq!(escape_uri(b"a b/?#%"), b"a%20b/%3f%23%25");
    }

    #[test]
    fn unescaping_keeps_what_it_cannot_decode() {
        assert_eq!(unescape_url(b"%41%zz", true), (b"A%zz".to_vec(), Unescaped::BadEscape));
        assert_eq!(unescape_url(b"a%2fb", true), (b"a%2fb".to_vec(), Unescaped::Ok));
        assert_eq!(unescape_url(b"a%2fb", false), (b"a/b".to_vec(), Unescaped::Ok));
        assert_eq!(unescape_url(b"a%00b", false), (b"a".to_vec(), Unescaped::BadPath));
    }

    #[test]
    fn numbers_are_read_as_atoi_does() {
        assert_eq!(atoi(b" -12x"), -12);
        assert_eq!(atoi(b"x"), 0);
    }
}

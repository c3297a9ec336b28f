//! What PCRE2 10.42, which the servers are linked with, reads otherwise than the release that this program brings.

use super::PatternError;

/// The longest name of a group in 10.42.
const LONGEST_NAME: usize = 32;

/// Digits to add at these bytes of a pattern: `\x` without any means the byte 0.
///
/// # Errors
/// What only later releases take: `(?a)` and `(?r)`, and longer names of groups.
pub(super) fn missing_digits(pattern: &[u8]) -> Result<Vec<usize>, PatternError> {
    let mut missing = Vec::new();
    let mut at = 0;
    let mut in_class = false;
    while let Some(&byte) = pattern.get(at) {
        let rest = &pattern[at + 1..];
        at += 1;
        match byte {
            b'\\' => match rest.first() {
                Some(b'Q') => at += memchr::memmem::find(rest, b"\\E").map_or(rest.len(), |end| end + 2),
                Some(b'x') => {
                    at += 1;
                    if !rest.get(1).is_some_and(|next| next.is_ascii_hexdigit() || *next == b'{') {
                        missing.push(at);
                    }
                }
                Some(_) => at += 1,
                None => {}
            },
            b'[' if !in_class => {
                in_class = true;
                // A bracket that stands first is a member.
                at += usize::from(rest.starts_with(b"^"));
                at += usize::from(pattern.get(at) == Some(&b']'));
            }
            b']' => in_class = false,
            b'(' if !in_class && rest.starts_with(b"?#") => {
                at += memchr::memchr(b')', rest).map_or(rest.len(), |end| end + 1);
            }
            b'(' if !in_class && rest.starts_with(b"?") => group(&rest[1..], at + 1)?,
            _ => {}
        }
    }
    Ok(missing)
}

/// Looks at a group that begins with `(?`; `at` is where `rest` stands in the pattern.
fn group(rest: &[u8], at: usize) -> Result<(), PatternError> {
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'^')).count();
    let sets_options = matches!(rest.get(letters), Some(b')' | b':')) && !rest.starts_with(b"P");
    if let Some(later) =
        rest[..letters].iter().position(|letter| matches!(letter, b'a' | b'r')).filter(|_| sets_options)
    {
        return Err(PatternError { message: "unrecognized character after (? or (?-".to_owned(), offset: at + later });
    }
    let (open, close) = match rest {
        [b'P', b'<', ..] => (2, b'>'),
        [b'<', next, ..] if !matches!(next, b'=' | b'!' | b'*') => (1, b'>'),
        [b'\'', ..] => (1, b'\''),
        _ => return Ok(()),
    };
    let name = rest[open..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
    if name > LONGEST_NAME && rest.get(open + name) == Some(&close) {
        let message = format!("subpattern name is too long (maximum {LONGEST_NAME} code units)");
        return Err(PatternError { message, offset: at + open + name });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_missing_where_none_follow() {
        assert_eq!(missing_digits(br"a\xg[\x]"), Ok(vec![3, 7]));
        assert_eq!(missing_digits(br"\x"), Ok(vec![2]));
        for pattern in [&br"\x4\x{41}"[..], br"\\x", br"\Q\x\E", br"(?#\x)a"] {
            assert_eq!(missing_digits(pattern), Ok(Vec::new()), "{}", String::from_utf8_lossy(pattern));
        }
    }

    #[test]
    fn what_came_later_is_refused() {
        let offset = |pattern: &[u8]| missing_digits(pattern).err().map(|error| error.offset);
        assert_eq!(offset(b"(?a)b"), Some(2));
        assert_eq!(offset(b"(?i-a:b)"), Some(4));
        assert_eq!(offset(b"[(?a)]"), None);
        assert_eq!(offset(b"(?ab"), None);
        let named = |length| format!("(?<{}>x)", "n".repeat(length)).into_bytes();
        assert_eq!((offset(&named(32)), offset(&named(33))), (None, Some(36)));
        assert_eq!(offset(b"(?<=a)(?R)(?P>aaaa)(?P=r)"), None);
    }
}

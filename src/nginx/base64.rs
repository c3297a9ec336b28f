//! base64 as nginx decodes it (`ngx_decode_base64`, `ngx_decode_base64url`).
//!
//! What follows the first `=` is not looked at, spare bits are dropped, and only a lone last digit is an error besides a
//! byte that is no digit.

/// Which sixty-four digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// With `+` and `/`.
    Standard,
    /// With `-` and `_`.
    Url,
}

/// The bytes, or `None` where nginx reports an error.
pub fn decode(text: &[u8], alphabet: Alphabet) -> Option<Vec<u8>> {
    let end = memchr::memchr(b'=', text).unwrap_or(text.len());
    if end % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(end * 3 / 4);
    let (mut buffer, mut bits) = (0u32, 0);
    for &byte in &text[..end] {
        buffer = buffer << 6 | u32::from(digit(byte, alphabet)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((buffer >> bits) as u8);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

fn digit(byte: u8, alphabet: Alphabet) -> Option<u8> {
    match (byte, alphabet) {
        (b'A'..=b'Z', _) => Some(byte - b'A'),
        (b'a'..=b'z', _) => Some(byte - b'a' + 26),
        (b'0'..=b'9', _) => Some(byte - b'0' + 52),
        (b'+', Alphabet::Standard) | (b'-', Alphabet::Url) => Some(62),
        (b'/', Alphabet::Standard) | (b'_', Alphabet::Url) => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_ends_the_text_and_may_be_missing() {
        assert_eq!(decode(b"YTpi", Alphabet::Standard).as_deref(), Some(&b"a:b"[..]));
        assert_eq!(decode(b"YTo=", Alphabet::Standard).as_deref(), Some(&b"a:"[..]));
        assert_eq!(decode(b"YTo", Alphabet::Standard).as_deref(), Some(&b"a:"[..]));
        assert_eq!(decode(b"YTo=!!", Alphabet::Standard).as_deref(), Some(&b"a:"[..]));
        assert_eq!(decode(b"YTpiY", Alphabet::Standard), None);
        assert_eq!(decode(b"YT-i", Alphabet::Standard), None);
        assert_eq!(decode(b"-_8", Alphabet::Url).as_deref(), Some(&b"\xfb\xff"[..]));
        assert_eq!(decode(b"", Alphabet::Url).as_deref(), Some(&b""[..]));
    }
}

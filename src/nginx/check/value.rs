//! Values as nginx's common setters read them (`ngx_parse_size`, `ngx_parse_offset`, `ngx_parse_time`, `ngx_atoi`).

/// `ngx_atoi`: decimal digits and nothing else; no sign, no blank. `None` where nginx says NGX_ERROR.
pub fn number(text: &[u8]) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i64, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(i64::from(byte - b'0')),
        _ => None,
    })
}

/// `ngx_parse_size`: bytes, with `k` or `m`.
pub fn size(text: &[u8]) -> Option<i64> {
    scaled(text, &[(b'k', 1 << 10), (b'm', 1 << 20)])
}

/// `ngx_parse_offset`: as a size, and `g` too.
pub fn offset(text: &[u8]) -> Option<i64> {
    scaled(text, &[(b'k', 1 << 10), (b'm', 1 << 20), (b'g', 1 << 30)])
}

fn scaled(text: &[u8], units: &[(u8, i64)]) -> Option<i64> {
    let (&last, digits) = text.split_last()?;
    match units.iter().find(|(unit, _)| *unit == last.to_ascii_lowercase()) {
        Some((_, scale)) => number(digits)?.checked_mul(*scale),
        None => number(text),
    }
}

/// `ngx_parse_time`: in seconds, or in milliseconds where `ms` may be used. Units stand in descending order, each at
/// most once; a bare number is seconds.
pub fn time(text: &[u8], in_seconds: bool) -> Option<i64> {
    // Steps in nginx's order: year, month, week, day, hour, minute, second, millisecond, bare.
    let mut step = if in_seconds { 0 } else { 2 };
    let (mut total, mut value, mut valid) = (0i64, 0i64, false);
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if byte.is_ascii_digit() {
            value = value.checked_mul(10)?.checked_add(i64::from(byte - b'0'))?;
            valid = true;
            continue;
        }
        let (own, seconds) = match byte {
            b'y' => (1, 31_536_000),
            b'M' => (2, 2_592_000),
            b'w' => (3, 604_800),
            b'd' => (4, 86_400),
            b'h' => (5, 3600),
            b'm' if rest.first() == Some(&b's') => {
                rest = &rest[1..];
                (8, 0)
            }
            b'm' => (6, 60),
            b's' => (7, 1),
            b' ' => (9, 1),
            _ => return None,
        };
        let refused = match own {
            8 => in_seconds || step >= 8,
            9 => step >= 7,
            _ => step >= own,
        };
        if refused {
            return None;
        }
        step = own;
        let scale = match (own, in_seconds) {
            (8, _) => 1,
            (_, true) => seconds,
            (_, false) => seconds * 1000,
        };
        total = total.checked_add(value.checked_mul(scale)?)?;
        value = 0;
        while let [b' ', tail @ ..] = rest {
            rest = tail;
        }
    }
    if !valid {
        return None;
    }
    let last = if in_seconds { value } else { value.checked_mul(1000)? };
    total.checked_add(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number(b"0080"), Some(80));
        assert_eq!(
            (number(b""), number(b"-1"), number(b"1 "), number(b"99999999999999999999")),
            (None, None, None, None)
        );
    }

    #[test]
    fn sizes_and_offsets_have_their_units() {
        assert_eq!((size(b"8k"), size(b"1M"), size(b"1g"), size(b"k")), (Some(8192), Some(1 << 20), None, None));
        assert_eq!((offset(b"1G"), offset(b"1t")), (Some(1 << 30), None));
    }

    #[test]
    fn times_descend() {
        assert_eq!(time(b"1h30m", true), Some(5400));
        assert_eq!(
            (time(b"1m1h", true), time(b"1h1h", true), time(b"", true), time(b"m", true)),
            (None, None, None, None)
        );
        assert_eq!((time(b"500ms", true), time(b"500ms", false), time(b"2", false)), (None, Some(500), Some(2000)));
        assert_eq!((time(b"1y", true), time(b"1y", false), time(b"1M", false)), (Some(31_536_000), None, None));
        assert_eq!(time(b"1d 12h", true), Some(129_600));
    }
}

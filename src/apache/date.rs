//! Dates in headers: apr_date_parse_http, which reads four forms and looks at neither the weekday nor the zone.

use crate::calendar::{days_of_month, days_since_1970};

const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Seconds since 1970. `None`: no date, a day that does not exist, or 1970-01-01T00:00:00 itself, whose number is the one
/// that says "no date" (APR_DATE_BAD), and everything before it.
pub(crate) fn parse_http(text: &[u8]) -> Option<i64> {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b)?;
    let blank = memchr::memchr(b' ', &text[start..])?;
    let date = &text[start + blank + 1..];
    let number = |range: std::ops::Range<usize>| {
        date[range].iter().fold(0i64, |number, byte| number * 10 + i64::from(byte.saturating_sub(b'0')))
    };
    // Day, month, year and time of day, by their places in the form.
    let (day, month, year, time) = if matches(date, b"## @$$ #### ##:##:## *") {
        (number(0..2), 3, number(7..11), 12)
    } else if matches(date, b"##-@$$-## ##:##:## *") {
        let short = number(7..9);
        (number(0..2), 3, short + if short < 70 { 2000 } else { 1900 }, 10)
    } else if matches(date, b"@$$ ~# ##:##:## ####*") {
        (number(4..6), 0, number(16..20), 7)
    } else if matches(date, b"# @$$ #### ##:##:## *") {
        (number(0..1), 2, number(6..10), 11)
    } else {
        return None;
    };
    let (hour, minute, second) = (number(time..time + 2), number(time + 3..time + 5), number(time + 6..time + 8));
    let name = &date[month..month + 3];
    let month = MONTHS.iter().position(|month| month[..] == *name)? as i64 + 1;
    if !(1..=days_of_month(year, month)).contains(&day) || hour > 23 || minute > 59 || second > 61 || year < 1900 {
        return None;
    }
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    (seconds > 0).then_some(seconds)
}

/// apr_date_checkmask: `@` a capital, `$` a small letter, `#` a digit, `~` a digit or a space, `*` whatever follows.
fn matches(text: &[u8], mask: &[u8]) -> bool {
    let (mask, open) = match mask.strip_suffix(b"*") {
        Some(mask) => (mask, true),
        None => (mask, false),
    };
    let fits = |(&mask, &byte): (&u8, &u8)| match mask {
        b'@' => byte.is_ascii_uppercase(),
        b'$' => byte.is_ascii_lowercase(),
        b'#' => byte.is_ascii_digit(),
        b'~' => byte.is_ascii_digit() || byte == b' ',
        _ => byte == mask,
    };
    text.len() >= mask.len() && (open || text.len() == mask.len()) && mask.iter().zip(text).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_forms_and_what_is_none() {
        for date in [
            "Tue, 14 Nov 2023 22:13:20 GMT",
            "Mon, 14 Nov 2023 22:13:20 +0100; length=3",
            "Tuesday, 14-Nov-23 22:13:20 GMT",
            "Tue Nov 14 22:13:20 2023",
            "  x 14 Nov 2023 22:13:20 ",
        ] {
            assert_eq!(parse_http(date.as_bytes()), Some(1_700_000_000), "{date}");
        }
        assert_eq!(parse_http(b"Wed, 1 Nov 2023 22:13:20 GMT"), Some(1_700_000_000 - 13 * 86_400));
        assert_eq!(parse_http(b"Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        for date in [
            "Tue, 14 Nov 2023 22:13:20",
            "14 Nov 2023 22:13:20 GMT",
            "Tue, 14 nov 2023 22:13:20 GMT",
            "Tue, 31 Nov 2023 22:13:20 GMT",
            "Wed, 29 Feb 2023 00:00:00 GMT",
            "Tue, 14 Nov 2023 24:13:20 GMT",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1960 00:00:00 GMT",
            "",
            " ",
        ] {
            assert_eq!(parse_http(date.as_bytes()), None, "{date}");
        }
    }
}

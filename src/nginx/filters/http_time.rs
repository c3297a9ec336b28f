//! `ngx_parse_http_time`: the three forms of a date in a header. The day of the week is not looked at, nor what follows
//! the seconds or the year.

use crate::calendar::{days_of_month, days_since_1970};

/// Seconds since the epoch; -1 where nginx finds no date, which is also what it then compares with.
pub(super) fn parse(text: &[u8]) -> i64 {
    parse_date(text).unwrap_or(-1)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `Tue, 10 Nov 2002 23:50:13`.
    Rfc822,
    /// `Tuesday, 10-Dec-02 23:50:13`.
    Rfc850,
    /// `Tue Dec 10 23:50:13 2002`.
    Isoc,
}

fn parse_date(text: &[u8]) -> Option<i64> {
    let weekday = text.iter().position(|byte| matches!(byte, b',' | b' '))?;
    let isoc = text[weekday] == b' ';
    let behind = &text[weekday + 1..];
    let mut cursor = Cursor(&behind[behind.iter().take_while(|&&byte| byte == b' ').count()..]);
    if cursor.0.len() < 18 {
        return None;
    }
    let mut form = Form::Isoc;
    let mut day = 0;
    if !isoc {
        day = cursor.number(2)?;
        form = match cursor.0.first()? {
            b' ' if cursor.0.len() >= 18 => Form::Rfc822,
            b'-' => Form::Rfc850,
            _ => return None,
        };
        cursor.skip(1)?;
    }
    let month = month(cursor.0)?;
    cursor.skip(3)?;
    match (form, cursor.0.first()?) {
        (Form::Rfc822, b' ') | (Form::Rfc850, b'-') | (Form::Isoc, _) => cursor.skip(1)?,
        _ => return None,
    }
    let mut year = match form {
        Form::Rfc822 => cursor.number(4)?,
        Form::Rfc850 => {
            let short = cursor.number(2)?;
            short + if short < 70 { 2000 } else { 1900 }
        }
        Form::Isoc => 0,
    };
    if form == Form::Isoc {
        if cursor.0.first() == Some(&b' ') {
            cursor.skip(1)?;
        }
        day = cursor.number(1)?;
        if cursor.0.first() != Some(&b' ') {
            day = day * 10 + cursor.number(1)?;
        }
        if cursor.0.len() < 14 {
            return None;
        }
    }
    cursor.expect(b' ')?;
    let hour = cursor.number(2)?;
    cursor.expect(b':')?;
    let minute = cursor.number(2)?;
    cursor.expect(b':')?;
    let second = cursor.number(2)?;
    if form == Form::Isoc {
        cursor.expect(b' ')?;
        year = cursor.number(4)?;
    }
    let month = month as i64 + 1;
    if hour > 23 || minute > 59 || second > 59 || day > days_of_month(year, month) {
        return None;
    }
    Some(days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The month from as few letters as nginx looks at.
fn month(text: &[u8]) -> Option<usize> {
    let [first, second, third, ..] = *text else { return None };
    Some(match first {
        b'J' if second == b'a' => 0,
        b'J' if third == b'n' => 5,
        b'J' => 6,
        b'F' => 1,
        b'M' if third == b'r' => 2,
        b'M' => 4,
        b'A' if second == b'p' => 3,
        b'A' => 7,
        b'S' => 8,
        b'O' => 9,
        b'N' => 10,
        b'D' => 11,
        _ => return None,
    })
}

struct Cursor<'t>(&'t [u8]);

impl Cursor<'_> {
    fn skip(&mut self, count: usize) -> Option<()> {
        self.0 = self.0.get(count..)?;
        Some(())
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.0.first() == Some(&byte)).then(|| self.skip(1)).flatten()
    }

    fn number(&mut self, digits: usize) -> Option<i64> {
        let text = self.0.get(..digits)?;
        self.skip(digits)?;
        text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_forms_of_one_date() {
        let time = 784_111_777;
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "x,06 Nov 1994 08:49:37",
        ] {
            assert_eq!(parse(text.as_bytes()), time, "{text}");
        }
        assert_eq!(parse(b"Thu, 01 Jan 1970 00:00:00 GMT"), 0);
        assert_eq!(parse(b"Thu, 29 Feb 2024 12:00:00 GMT"), 1_709_208_000);
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "junk",
            "Sun, 06 Nov 1994",
            "Sun, 32 Nov 1994 08:49:37 GMT",
            "Sun, 29 Feb 2023 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Xov 1994 08:49:37 GMT",
        ] {
            assert_eq!(parse(text.as_bytes()), -1, "{text}");
        }
    }
}

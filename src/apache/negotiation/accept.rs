//! `Accept`, `Accept-Language`, `Accept-Charset`, `Accept-Encoding`: lists of names with a quality (`get_entry`).

use crate::apache::escape::atoi;
use crate::apache::lex::is_space;

/// One item of a list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accepted {
    /// In lower case.
    pub name: Vec<u8>,
    pub quality: f32,
    pub level: f32,
    pub charset: Vec<u8>,
}

/// The types that may hold server-side includes, which count as HTML.
pub(super) const INCLUDES: &[u8] = b"text/x-server-parsed-html";
/// The same, of level 3.
pub(super) const INCLUDES_3: &[u8] = b"text/x-server-parsed-html3";

/// `ap_get_token`: up to white space (unless that is taken), `;` or `,`; quoted strings are passed over.
pub(super) fn token<'t>(text: &mut &'t [u8], accept_white: bool) -> &'t [u8] {
    let all = skip_space(text);
    let mut at = 0;
    while let Some(&byte) = all.get(at) {
        if !accept_white && is_space(byte) || matches!(byte, b';' | b',') {
            break;
        }
        at += 1;
        if byte == b'"' {
            at += all[at..].iter().position(|byte| *byte == b'"').map_or(all.len() - at, |quote| quote + 1);
        }
    }
    *text = skip_space(&all[at..]);
    &all[..at]
}

fn skip_space(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|byte| is_space(**byte)).count()..]
}

/// One item and its parameters, and the rest of the list.
pub(super) fn entry(line: &mut &[u8]) -> Accepted {
    let name = token(line, false).to_ascii_lowercase();
    let level = match name.as_slice() {
        b"text/html" | INCLUDES => 2.0,
        INCLUDES_3 => 3.0,
        _ => 0.0,
    };
    let mut item = Accepted { name, quality: 1.0, level, charset: Vec::new() };
    while let Some(rest) = line.strip_prefix(b";") {
        *line = rest;
        let parameter = token(line, true);
        let end = parameter.iter().position(|byte| is_space(*byte) || *byte == b'=').unwrap_or(parameter.len());
        if end == parameter.len() {
            continue;
        }
        let name = parameter[..end].to_ascii_lowercase();
        let value = &parameter[end + 1..];
        let value = &value[value.iter().take_while(|byte| is_space(**byte) || **byte == b'=').count()..];
        let value = match value.strip_prefix(b"\"") {
            Some(quoted) => {
                let end = quoted.iter().position(|byte| matches!(byte, b'\n' | b'\r' | b'"'));
                &quoted[..end.unwrap_or(quoted.len())]
            }
            None => &value[..value.iter().position(|byte| is_space(*byte)).unwrap_or(value.len())],
        };
        match name.as_slice() {
            b"q" | b"qs" => item.quality = quality(value),
            b"level" => item.level = atoi(value) as f32,
            b"charset" => item.charset = value.to_ascii_lowercase(),
            _ => {}
        }
    }
    if let Some(rest) = line.strip_prefix(b",") {
        *line = rest;
    }
    item
}

/// Every item of a header; `None` where it was not sent.
pub(super) fn list(header: Option<&[u8]>) -> Option<Vec<Accepted>> {
    let mut rest = header?;
    let mut items = Vec::new();
    while !rest.is_empty() {
        let before = rest.len();
        items.push(entry(&mut rest));
        // A stray quote or separator could stand still.
        if rest.len() == before {
            break;
        }
    }
    Some(items)
}

/// `atoq`: three digits at most; anything that does not begin with a zero or a dot is 1.
pub(super) fn quality(text: &[u8]) -> f32 {
    let text = skip_space(text);
    let fraction = match text {
        [] => return 1.0,
        [b'.', rest @ ..] | [b'0', b'.', rest @ ..] => rest,
        [b'0', ..] => return 0.0,
        _ => return 1.0,
    };
    let digits = fraction.iter().take(3).take_while(|byte| byte.is_ascii_digit());
    let thousandths: u32 = digits.zip([100, 10, 1]).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    thousandths as f32 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_have_three_digits() {
        for (text, value) in
            [("1", 1.0), ("0", 0.0), ("0.5", 0.5), (".25", 0.25), ("0.1239", 0.123), ("x", 1.0), ("", 1.0)]
        {
            assert_eq!(quality(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn items_have_a_name_and_parameters() {
        let items = list(Some(b"text/HTML;q=0.5, */* ; q=\"0.1\", a/b;level=3;charset=X")).expect("sent");
        let got: Vec<_> = items.iter().map(|item| (item.name.as_slice(), item.quality, item.level)).collect();
        assert_eq!(got, [(&b"text/html"[..], 0.5, 2.0), (b"*/*", 0.1, 0.0), (b"a/b", 1.0, 3.0)]);
        assert_eq!(items[2].charset, b"x");
        assert_eq!(list(None), None);
    }
}

//! `Header`, `RequestHeader` and the times of mod_expires.

use super::Line;
use super::values::regex;
use crate::apache::{expr, lex};

/// `Header [always|onsuccess] ACTION NAME [VALUE [REPLACEMENT]] [early|env=…|expr=…]` (`header_cmd`).
pub(super) fn header(line: &Line) -> Result<(), String> {
    let mut rest = line.node.args();
    let mut action = lex::getword_conf(&mut rest).to_ascii_lowercase();
    let response = line.row.name == "Header";
    if response && matches!(action.as_slice(), b"always" | b"onsuccess") {
        action = lex::getword_conf(&mut rest).to_ascii_lowercase();
    }
    let name = lex::getword_conf(&mut rest);
    let mut next = || (!rest.is_empty()).then(|| lex::getword_conf(&mut rest).into_owned());
    let (mut value, replacement, mut condition) = (next(), next(), next());
    if !rest.is_empty() {
        return Err(format!("{} has too many arguments", line.row.name));
    }
    let edit = matches!(action.as_slice(), b"edit" | b"edit*");
    match action.as_slice() {
        b"add" | b"append" | b"echo" | b"edit" | b"edit*" | b"merge" | b"note" | b"set" | b"setifempty" | b"unset" => {}
        _ => {
            return Err("first argument must be 'add', 'set', 'setifempty', 'append', 'merge', 'unset', 'echo', 'note', 'edit', or 'edit*'"
                .into());
        }
    }
    if edit {
        if replacement.is_none() {
            return Err("Header edit requires a match and a substitution".into());
        }
        if regex(value.as_deref().unwrap_or_default()).is_err() {
            return Err("Header edit regex could not be compiled".into());
        }
    } else {
        if condition.is_some() {
            return Err("too many arguments to directive".into());
        }
        condition = replacement.clone();
    }
    match action.as_slice() {
        b"unset" | b"echo" => {
            if value.is_some() && condition.is_some() {
                return Err(format!("header {} takes two arguments", String::from_utf8_lossy(&action)));
            }
            condition = condition.or_else(|| value.take());
            if action == b"echo" && !response {
                return Err("Header echo only valid on Header directives".into());
            }
            if action == b"echo" && regex(&name).is_err() {
                return Err("Header echo regex could not be compiled".into());
            }
        }
        _ if value.is_none() => return Err("Header requires three arguments".into()),
        _ => {}
    }
    if let Some(condition) = condition {
        when(line, &condition)?;
    }
    // An edited value is the replacement, which is a format too where it holds `expr=`.
    let format = if edit { replacement } else { value };
    match format.as_deref() {
        Some(format) => match format.strip_prefix(b"expr=") {
            Some(text) => match expr::parse_string(text, line.expressions()) {
                Ok(_) => Ok(()),
                Err(message) => Err(format!("can't parse value expression: {message}")),
            },
            None if edit => Ok(()),
            None => format_string(format),
        },
        None => Ok(()),
    }
}

fn when(line: &Line, condition: &[u8]) -> Result<(), String> {
    let start = |prefix: &[u8]| condition.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if condition.eq_ignore_ascii_case(b"early") {
        return Ok(());
    }
    if start(b"env=") {
        let variable = condition[4..].strip_prefix(b"!").unwrap_or(&condition[4..]);
        return if variable.is_empty() { Err("missing environment variable name in env=".into()) } else { Ok(()) };
    }
    if start(b"expr=") {
        return match expr::parse(&condition[5..], line.expressions()) {
            Ok(_) => Ok(()),
            Err(message) => Err(format!("can't parse envclause/expression: {message}")),
        };
    }
    Err(format!("unknown parameter: {}", String::from_utf8_lossy(condition)))
}

/// The `%` formats of a header value.
fn format_string(format: &[u8]) -> Result<(), String> {
    let mut rest = format;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        rest = &rest[percent + 1..];
        match rest.first() {
            None => break,
            Some(b'%') => {
                rest = &rest[1..];
                continue;
            }
            Some(b'{') => rest = memchr::memchr(b'}', rest).map_or(&[], |end| &rest[end + 1..]),
            Some(_) => {}
        }
        match rest.split_first() {
            Some((b'D' | b't' | b'e' | b's' | b'l' | b'i' | b'b', after)) => rest = after,
            other => {
                let tag = other.map_or(String::new(), |(&byte, _)| char::from(byte).to_string());
                return Err(format!("unrecognized header format %{tag}"));
            }
        }
    }
    Ok(())
}

/// `ExpiresDefault TIME`, `ExpiresByType TYPE TIME` (`check_code`).
pub(super) fn expires(line: &Line) -> Result<(), String> {
    let by_type = line.row.name == "ExpiresByType";
    if by_type && !line.word(0).contains(&b'/') {
        return Err("invalid mimetype: should contain a slash".into());
    }
    let code = line.word(usize::from(by_type));
    if matches!(code.first(), Some(b'A' | b'M')) {
        return Ok(());
    }
    let mut rest = code;
    let base = lex::getword_conf(&mut rest);
    if !begins(&base, &[b"n", b"a", b"m"]) {
        return bad("unrecognised <base>", &base);
    }
    periods(rest)
}

/// `CookieExpires NUMBER` or `CookieExpires "[plus] NUMBER UNIT …"` (`set_cookie_exp`).
pub(super) fn cookie_expires(line: &Line) -> Result<(), String> {
    let word = line.word(0);
    let number = word.first().is_some_and(u8::is_ascii_digit) && word.last().is_some_and(u8::is_ascii_digit);
    if number { Ok(()) } else { periods(word) }
}

/// `[plus] {NUMBER UNIT}`; only the first letters of a unit count.
fn periods(text: &[u8]) -> Result<(), String> {
    let mut rest = text;
    let mut word = lex::getword_conf(&mut rest);
    if begins(&word, &[b"p"]) {
        word = lex::getword_conf(&mut rest);
    }
    while !word.is_empty() {
        if !word[0].is_ascii_digit() {
            return bad("numeric value expected <num>", &word);
        }
        let unit = lex::getword_conf(&mut rest);
        if unit.is_empty() {
            return bad("missing <type> after", &word);
        }
        if !begins(&unit, &[b"y", b"mo", b"w", b"d", b"h", b"mi", b"s"]) {
            return bad("unrecognised <type>", &unit);
        }
        word = lex::getword_conf(&mut rest);
    }
    Ok(())
}

fn bad(what: &str, word: &[u8]) -> Result<(), String> {
    Err(format!("bad expires code, {what} '{}'", String::from_utf8_lossy(word)))
}

fn begins(word: &[u8], starts: &[&[u8]]) -> bool {
    starts.iter().any(|start| word.get(..start.len()).is_some_and(|word| word.eq_ignore_ascii_case(start)))
}

//! `rewrite PATTERN REPLACEMENT [flag]`: a new path, or a redirect.

use std::ops::ControlFlow;

use super::super::complex::{self, Assembled, Part, Quoting, Reading};
use super::super::request::{Cx, Flow, HttpRequest, error};
use super::super::variables::{self, Regex, Table};
use super::{is_url, redirect};
use crate::cause::nginx as causes;
use crate::fact::Question;
use crate::outcome::Decision;
use crate::source::Origin;
use crate::trace::nginx::Event;

/// A `rewrite`.
#[derive(Debug)]
pub(super) struct Rewrite {
    regex: Regex,
    replacement: Box<[Part]>,
    /// The old query is kept.
    add_args: bool,
    /// The literal part of a redirect has a query of its own.
    has_args: bool,
    /// Room is measured before copying (`lengths`).
    measured: bool,
    /// 301 or 302.
    redirect: Option<u16>,
    /// `break`.
    break_cycle: bool,
    /// The program ends here if the expression matched.
    pub(super) last: bool,
}

impl Rewrite {
    /// Reads the arguments. `None`: nginx refuses them.
    pub(super) fn compile(pattern: &[u8], replacement: &[u8], flag: &[u8], table: &Table) -> Option<Box<Rewrite>> {
        let regex = Regex::compile(pattern, false, table).ok()?;
        let (text, add_args) = replacement.strip_suffix(b"?").map_or((replacement, true), |text| (text, false));
        let redirect = match flag {
            b"permanent" => Some(301),
            b"redirect" => Some(302),
            _ => is_url(text).then_some(302),
        };
        let parts = complex::compile_parts(text, table, redirect.is_none());
        let mut seen = [false; 10];
        let repeated = parts.iter().any(|part| match part {
            Part::Capture(group) => std::mem::replace(&mut seen[group % 10], true),
            _ => false,
        });
        let has_variable = parts.iter().any(|part| matches!(part, Part::Variable(_)));
        let has_args = parts.iter().any(|part| match part {
            Part::Text(text) => text.contains(&b'?'),
            _ => false,
        });
        Some(Box::new(Rewrite {
            regex,
            add_args,
            has_args,
            measured: has_variable || repeated,
            redirect,
            break_cycle: flag == b"break",
            last: redirect.is_some() || !flag.is_empty(),
            replacement: parts,
        }))
    }

    /// Whether the expression matched. A redirect leaves.
    pub(super) fn run<'a>(&'a self, origin: Origin, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        let matched = match self.regex.exec(&mut r.vars, &r.uri) {
            Ok(matched) => matched,
            Err(question) => return cx.unknown(Question { origin: Some(origin), ..question }),
        };
        if !matched {
            r.vars.clear_captures();
            return ControlFlow::Continue(false);
        }
        r.internal = true;
        r.uri_changed = !self.break_cycle;
        if self.break_cycle {
            r.valid_location = false;
        }
        let quoting = Quoting { quote: self.redirect.is_some(), is_args: false };
        let leads_away = |r: &HttpRequest| Decision::new(causes::REWRITE_REDIRECT).by(Some(origin)).with(r.related());
        // The old query, with the `?` or `&` in front of it. Room is made for it also where it then stays in `r.args`.
        let kept_args = Some(r.args.clone()).filter(|args| self.add_args && !args.is_empty());
        let room_for_args = kept_args.as_ref().map_or(0, |args| args.len() + 1);
        let measure = self.measured.then_some((Reading::Fresh, room_for_args));
        let (mut text, args, room) = match complex::assemble(&self.replacement, quoting, measure, r, cx) {
            Assembled::Text { text, args, room } => (text, args, room),
            Assembled::Overrun => return variables::overrun(cx),
            Assembled::Unknown(_) if self.redirect.is_some() => {
                return redirect(self.redirect.unwrap_or(302), None, leads_away(r));
            }
            Assembled::Unknown(question) => return cx.unknown(Question { origin: Some(origin), ..question }),
        };
        if self.redirect.is_some() {
            text = unescape_redirect(&text);
        }
        let appends = self.redirect.is_some() || args.is_some();
        if appends && let Some(kept) = &kept_args {
            if text.len() + room_for_args > room {
                return variables::overrun(cx);
            }
            text.push(if self.redirect.is_some() && !self.has_args { b'?' } else { b'&' });
            text.extend_from_slice(kept);
        }
        if let Some(status) = self.redirect {
            return redirect(status, Some(text), leads_away(r));
        }
        match args {
            Some(args) => r.args = text.split_off(args),
            None if !self.add_args => r.args.clear(),
            None => {}
        }
        r.uri = text;
        cx.push("rewrite", Some(origin), || Event::Rewrite { uri: r.uri.clone() });
        if r.uri.is_empty() {
            let decision = Decision::new(causes::REWRITE_EMPTY).by(Some(origin)).with(r.related());
            return error(500, decision);
        }
        ControlFlow::Continue(true)
    }
}

/// `ngx_unescape_uri` with NGX_UNESCAPE_REDIRECT: `%` and two digits become the byte they stand for, if that is above `%`
/// and below 0x7f; what follows the first `?` is left alone.
fn unescape_redirect(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'?' {
            plain.push(byte);
            plain.extend_from_slice(rest);
            break;
        }
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (digit(0), digit(1)) {
            (Some(high), Some(low)) => {
                let decoded = (high * 16 + low) as u8;
                match decoded {
                    // A question mark whose second digit is a letter, `%3F` and `%3f`, begins the query.
                    b'?' => {
                        plain.push(b'?');
                        plain.extend_from_slice(&rest[2..]);
                        return plain;
                    }
                    b'&'..=b'~' => plain.push(decoded),
                    _ => plain.extend_from_slice(&[b'%', rest[0], rest[1]]),
                }
                rest = &rest[2..];
            }
            // The `%` is dropped, and with it the first digit where there was one.
            (Some(_), None) => rest = rest.get(2..).unwrap_or_default(),
            (None, _) => {
                if let Some((&next, tail)) = rest.split_first() {
                    plain.push(next);
                    rest = tail;
                }
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_unescaped_up_to_the_query() {
        // Recorded: `rewrite ^/ TEXT`, and the Location of the answer.
        for (text, location) in [
            ("http://h/a%2Db%20c", "http://h/a-b%20c"),
            ("http://h/a%25b", "http://h/a%25b"),
            ("http://h/a?b=%2D", "http://h/a?b=%2D"),
            ("http://h/%7e%7F", "http://h/~%7F"),
            ("http://h/%3Fx%2D", "http://h/?x%2D"),
            ("http://h/%zz%4", "http://h/zz"),
            ("http://h/%4z-", "http://h/-"),
        ] {
            assert_eq!(unescape_redirect(text.as_bytes()), location.as_bytes(), "{text}");
        }
    }
}

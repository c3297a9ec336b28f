//! The rewrite module: `rewrite`, `return`, `set`, and the conditions of `if`.

use super::{Block, Checker, Verdict, bad, show, value};
use crate::nginx::include::Placed;

impl<'a> Checker<'a> {
    pub(super) fn rewrite(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let [pattern, replacement, flag @ ..] = values else { return Ok(()) };
        if replacement.is_empty() {
            return bad("empty replacement");
        }
        self.regex(pattern, false, directive, block.context)?;
        if let [flag] = flag
            && !matches!(*flag, b"last" | b"break" | b"redirect" | b"permanent")
        {
            return bad(format!("invalid parameter \"{}\"", show(flag)));
        }
        self.text(replacement.strip_suffix(b"?").unwrap_or(replacement), directive, block)
    }

    pub(super) fn return_(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let (first, text) = match values {
            [first] => (*first, None),
            [first, text, ..] => (*first, Some(*text)),
            [] => return Ok(()),
        };
        match value::number(first) {
            Some(..=999) => text.map_or(Ok(()), |text| self.text(text, directive, block)),
            None if text.is_none() && is_redirect(first) => self.text(first, directive, block),
            _ => bad(format!("invalid return code \"{}\"", show(first))),
        }
    }

    pub(super) fn set_variable(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let [name, text] = values else { return Ok(()) };
        self.define(name, block.context)?;
        self.variables(block.context).mention(&name[1..], Some(directive.origin()))?;
        self.text(text, directive, block)
    }

    /// `ngx_http_rewrite_if_condition`.
    pub(super) fn condition(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let invalid = |word: &[u8]| bad(format!("invalid condition \"{}\"", show(word)));
        let mut words = values.to_vec();
        // The parentheses may stand alone or at the first and the last word.
        let Some(first) = words.first().copied() else { return Ok(()) };
        match first {
            b"(" => drop(words.remove(0)),
            [b'(', rest @ ..] => words[0] = rest,
            _ => return invalid(first),
        }
        let last = words.last().copied().unwrap_or(b"(");
        match last {
            b")" => drop(words.pop()),
            [rest @ .., b')'] => {
                let end = words.len() - 1;
                words[end] = rest;
            }
            _ => return invalid(last),
        }
        let Some(&subject) = words.first() else { return invalid(b")") };
        match subject {
            [b'$', name @ ..] if !name.is_empty() => {
                if !matches!(words.len(), 1 | 3) {
                    return invalid(subject);
                }
                self.variables(block.context).mention(name, Some(directive.origin()))?;
                let [_, operator, operand] = words.as_slice() else { return Ok(()) };
                match *operator {
                    b"=" | b"!=" => self.text(operand, directive, block),
                    b"~" | b"!~" => self.regex(operand, false, directive, block.context).map(drop),
                    b"~*" | b"!~*" => self.regex(operand, true, directive, block.context).map(drop),
                    _ => bad(format!("unexpected \"{}\" in condition", show(operator))),
                }
            }
            [b'-', _] | [b'!', b'-', _] => {
                let [_, operand] = words.as_slice() else { return invalid(subject) };
                self.text(operand, directive, block)?;
                match subject {
                    [.., b'f' | b'd' | b'e' | b'x'] => Ok(()),
                    _ => invalid(subject),
                }
            }
            _ => invalid(subject),
        }
    }
}

/// A target that makes `return` and `rewrite` redirect.
fn is_redirect(text: &[u8]) -> bool {
    [&b"http://"[..], b"https://", b"$scheme"].iter().any(|prefix| text.starts_with(prefix))
}

//! `Header`: a header that no message may hold makes the answer a 500 (check_headers in modules/http/http_filters.c), and
//! changed validators decide whether ranges are cut. Which headers there are otherwise, nobody asks.

use super::{Action, How, Piece, Rule, Value, When};
use crate::apache::expr::Failure;
use crate::apache::request::{Cx, RequestRec, expr_text};
use crate::cause::{self, Cause};
use crate::source::Origin;

/// What `Header` lines make of a header of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is as the handler left it.
    Kept,
    /// It is gone.
    Removed,
    /// It may be something else.
    Changed,
}

/// What the lines of this place make of a header before ranges are cut (FIXUP_HEADERS_OUT). The `always` lines work on
/// another table, which nobody compares; the media type stands in none (case `always-is-another-table`).
pub(crate) fn fate(r: &RequestRec, name: &[u8]) -> Fate {
    let Some(record) = &r.per_dir.headers else { return Fate::Kept };
    let always = record.always.iter().filter(|_| name.eq_ignore_ascii_case(b"Content-Type"));
    let mut fate = Fate::Kept;
    for rule in always.chain(&record.on_success).filter(|rule| rule.is_of(name)) {
        fate = match (&rule.action, &rule.when) {
            (Action::Other, _) => fate,
            (Action::Unset, When::Always) => Fate::Removed,
            (Action::Unset, _) if fate == Fate::Removed => Fate::Removed,
            _ => Fate::Changed,
        };
    }
    fate
}

/// The directive that spoils a response, and how.
pub(crate) type Spoiled = Option<(Origin, &'static Cause)>;

/// The directive that spoils the response of `r`, if one does: a success carries what every `Header` adds, an error
/// only what the `always` ones do.
///
/// # Errors
/// An expression that nobody can evaluate.
pub(crate) fn spoiled<'c>(r: &mut RequestRec<'c>, success: bool, cx: &mut Cx<'c>) -> Result<Spoiled, Failure> {
    let Some(record) = r.per_dir.headers.clone() else { return Ok(None) };
    let strict = r.server.core.unsafe_protocol.is_none_or(|setting| !setting);
    for rules in [Some(&record.always), Some(&record.on_success).filter(|_| success)].into_iter().flatten() {
        let mut bad: Vec<&Rule> = Vec::new();
        for rule in rules {
            let (spoils, replaces) = match &rule.action {
                Action::Put(how, value) => (bad_name(&rule.name, strict) || value.is_bad(r, cx)?, *how == How::Set),
                Action::Unset => (false, true),
                // An edit has a value to begin with, a note and an echo bring no new one.
                Action::Edit(_) | Action::Other => continue,
            };
            let concerns = bad.iter().any(|earlier| earlier.is_of(&rule.name));
            if !(spoils || replaces && concerns) || !rule.applies(r, cx)? {
                continue;
            }
            if replaces {
                bad.retain(|earlier| !earlier.is_of(&rule.name));
            }
            if spoils {
                bad.push(rule);
            }
        }
        if let Some(first) = bad.first() {
            let name = bad_name(&first.name, strict);
            let cause = if name { &cause::apache::RESPONSE_HEADER_NAME } else { &cause::apache::RESPONSE_HEADER };
            return Ok(Some((first.origin, cause)));
        }
    }
    Ok(None)
}

impl Value {
    /// Whether the value holds a control character for this request.
    fn is_bad<'c>(&self, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<bool, Failure> {
        match self {
            Value::Format(pieces) => Ok(pieces.iter().any(|piece| match piece {
                Piece::Text(text) => has_control(text),
                // The ends of lines in a variable become blanks (unwrap_header).
                Piece::Variable(name) => r
                    .subprocess_env
                    .get(name)
                    .is_some_and(|value| value.iter().any(|&byte| !matches!(byte, b'\r' | b'\n') && is_control(byte))),
                Piece::Measured => false,
            })),
            Value::Expr(text) => match text.constant() {
                Some(constant) => Ok(has_control(constant)),
                // An expression hands on what the request brought, so one without control characters brings none.
                None if is_clean(r) => Ok(false),
                None => Ok(has_control(&expr_text(text, r, cx)?)),
            },
        }
    }
}

fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

fn has_control(text: &[u8]) -> bool {
    text.iter().any(|&byte| is_control(byte))
}

/// Whether nothing that the request brought, decoded or rewritten, holds a control character.
fn is_clean(r: &RequestRec) -> bool {
    let parts = [Some(&r.uri), r.args.as_ref(), r.filename.as_ref(), Some(&r.path_info)];
    !parts.into_iter().flatten().any(|part| has_control(part))
        && !r.subprocess_env.iter().any(|(_, value)| has_control(value))
        && r.prev.as_ref().is_none_or(|prev| !has_control(&prev.uri))
}

/// A name is a token; under `HttpProtocolOptions Unsafe` it only has no blanks and control characters.
fn bad_name(name: &[u8], strict: bool) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fine = |byte: u8| if strict { token(byte) } else { byte > b' ' && byte != 0x7f };
    name.is_empty() || !name.iter().all(|&byte| fine(byte))
}

#[cfg(test)]
mod tests {
    use super::{bad_name, has_control};

    #[test]
    fn names_are_tokens_and_values_hold_no_control_characters() {
        assert!(!bad_name(b"X-Frame-Options", true));
        assert!(bad_name(b"X?Bad", true) && !bad_name(b"X?Bad", false) && bad_name(b"X Bad", false));
        assert!(has_control(b"a\nb") && !has_control(b"a\tb"));
    }
}

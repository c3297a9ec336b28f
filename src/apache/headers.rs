//! mod_headers, as far as it decides a status: a response header that no message may hold makes the answer a 500
//! (check_headers in modules/http/http_filters.c). Which headers there are otherwise, nobody asks.

use std::sync::Arc;

use crate::apache::expr::{self, Expr, Failure, StringExpr};
use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, RequestRec, expr_text, test_expr};
use crate::cause::{self, Cause};
use crate::source::Origin;

/// What a place says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `Header always …`: for errors, too.
    always: Vec<Arc<Entry>>,
    /// `Header …`.
    on_success: Vec<Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    name: Vec<u8>,
    change: Change,
    condition: Condition,
    origin: Origin,
}

#[derive(Debug)]
enum Change {
    /// `set`, `add`, `append`, `merge`, `setifempty`; the first takes the earlier values away.
    Put { replaces: bool, value: Value },
    /// `unset`.
    Unset,
}

#[derive(Debug)]
enum Value {
    Expr(StringExpr),
    Format(Vec<Piece>),
}

/// A part of a format string; what else may stand behind a `%` is made of harmless characters.
#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    /// `%{NAME}e`.
    Variable(Vec<u8>),
}

#[derive(Debug)]
enum Condition {
    None,
    /// `env=NAME` or `env=!NAME`: the name, and whether it has to be there.
    Variable(Vec<u8>, bool),
    Expr(Expr),
}

impl DirRecord {
    /// merge_headers_config: what was said later comes later.
    pub fn merge(base: &Self, new: &Self) -> Self {
        let joined = |base: &[Arc<Entry>], new: &[Arc<Entry>]| base.iter().chain(new).cloned().collect();
        DirRecord { always: joined(&base.always, &new.always), on_success: joined(&base.on_success, &new.on_success) }
    }

    /// `Header [always|onsuccess] ACTION NAME [VALUE] [CONDITION]`.
    pub fn command(&mut self, cmd: &Command) {
        if cmd.name != "Header" {
            return;
        }
        let mut rest = cmd.raw;
        let mut action = getword_conf(&mut rest).to_ascii_lowercase();
        let always = action == b"always";
        if always || action == b"onsuccess" {
            action = getword_conf(&mut rest).to_ascii_lowercase();
        }
        let name = getword_conf(&mut rest).into_owned();
        let mut next = || (!rest.is_empty()).then(|| getword_conf(&mut rest).into_owned());
        let (first, second) = (next(), next());
        let (change, condition) = match action.as_slice() {
            b"set" | b"add" | b"append" | b"merge" | b"setifempty" => {
                let Some(value) = first.and_then(|value| Value::parse(&value, cmd)) else { return };
                (Change::Put { replaces: action == b"set", value }, second)
            }
            b"unset" => (Change::Unset, first),
            // An edit has a value to begin with, a note and an echo bring no new one.
            _ => return,
        };
        // What is set early is part of the response before anything else is.
        let condition = match condition.as_deref().map(|text| text.split_at(text.len().min(5))) {
            None => Condition::None,
            Some((start, rest)) if start.eq_ignore_ascii_case(b"expr=") => {
                match expr::parse(rest, cmd.expr_context()) {
                    Ok(condition) => Condition::Expr(condition),
                    Err(_) => return,
                }
            }
            Some((start, rest)) if start[..start.len().min(4)].eq_ignore_ascii_case(b"env=") => {
                let variable = [&start[4..], rest].concat();
                match variable.strip_prefix(b"!") {
                    Some(name) => Condition::Variable(name.to_vec(), false),
                    None => Condition::Variable(variable, true),
                }
            }
            Some(_) => Condition::None,
        };
        let name = name.split(|&byte| byte == b':').next().unwrap_or_default().to_vec();
        let entry = Arc::new(Entry { name, change, condition, origin: cmd.origin });
        if always { self.always.push(entry) } else { self.on_success.push(entry) }
    }
}

impl Value {
    /// parse_format_string.
    fn parse(text: &[u8], cmd: &Command) -> Option<Value> {
        if let Some(text) = text.strip_prefix(b"expr=") {
            return expr::parse_string(text, cmd.expr_context()).ok().map(Value::Expr);
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(&first) = rest.first() {
            if first != b'%' {
                let end = memchr::memchr(b'%', rest).unwrap_or(rest.len());
                pieces.push(Piece::Text(unescape(&rest[..end])));
                rest = &rest[end..];
                continue;
            }
            rest = &rest[1..];
            let mut name: &[u8] = b"";
            if rest.first() == Some(&b'{') {
                let end = memchr::memchr(b'}', rest)?;
                name = &rest[1..end];
                rest = &rest[end + 1..];
            }
            if rest.first() == Some(&b'e') {
                pieces.push(Piece::Variable(name.to_vec()));
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        Some(Value::Format(pieces))
    }

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

/// parse_misc_string.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escaped = match (byte, bytes.peek()) {
            (b'\\', Some(b'\\')) => b'\\',
            (b'\\', Some(b'r')) => b'\r',
            (b'\\', Some(b'n')) => b'\n',
            (b'\\', Some(b't')) => b'\t',
            _ => {
                found.push(byte);
                continue;
            }
        };
        bytes.next();
        found.push(escaped);
    }
    found
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
    for entries in [Some(&record.always), Some(&record.on_success).filter(|_| success)].into_iter().flatten() {
        let mut bad: Vec<&Entry> = Vec::new();
        for entry in entries {
            let spoils = match &entry.change {
                Change::Unset => false,
                Change::Put { value, .. } => bad_name(&entry.name, strict) || value.is_bad(r, cx)?,
            };
            let replaces = !matches!(entry.change, Change::Put { replaces: false, .. });
            let concerns = bad.iter().any(|earlier| earlier.name.eq_ignore_ascii_case(&entry.name));
            if !(spoils || replaces && concerns) || !applies(entry, r, cx)? {
                continue;
            }
            if replaces {
                bad.retain(|earlier| !earlier.name.eq_ignore_ascii_case(&entry.name));
            }
            if spoils {
                bad.push(entry);
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

fn applies<'c>(entry: &Entry, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<bool, Failure> {
    match &entry.condition {
        Condition::None => Ok(true),
        Condition::Variable(name, wanted) => Ok(r.subprocess_env.contains(name) == *wanted),
        // One that cannot be evaluated counts as true (AH01501).
        Condition::Expr(condition) => match test_expr(condition, r, cx) {
            Err(Failure::Error(_)) => Ok(true),
            tested => tested,
        },
    }
}

/// A name is a token; under `HttpProtocolOptions Unsafe` it only has no blanks and control characters.
fn bad_name(name: &[u8], strict: bool) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let fine = |byte: u8| if strict { token(byte) } else { byte > b' ' && byte != 0x7f };
    name.is_empty() || !name.iter().all(|&byte| fine(byte))
}

#[cfg(test)]
mod tests {
    use super::{bad_name, has_control, unescape};

    #[test]
    fn names_are_tokens_and_values_hold_no_control_characters() {
        assert!(!bad_name(b"X-Frame-Options", true));
        assert!(bad_name(b"X?Bad", true) && !bad_name(b"X?Bad", false) && bad_name(b"X Bad", false));
        assert!(has_control(&unescape(b"a\\nb")) && !has_control(&unescape(b"a\\tb\\q")));
    }
}

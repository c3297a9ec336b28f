//! mod_headers, as far as it decides a status: the lines of `Header` and `RequestHeader`, read once. [`request`] applies
//! those that change what a request is compared with, [`response`] looks for those that spoil an answer or change its
//! validators.

mod request;
mod response;

use std::sync::Arc;

use crate::apache::expr::{self, Expr, Failure, StringExpr};
use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, RequestRec, expr_text, test_expr};
use crate::pattern::{Options, Pattern};
use crate::source::Origin;

pub(crate) use request::{fixups, post_read_request};
pub(crate) use response::{Fate, fate, spoiled};

/// The lines in force, in their order: those of outer places first.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `RequestHeader …`.
    request: Vec<Arc<Rule>>,
    /// `Header always …`: headers of a table of their own, sent with errors, too.
    always: Vec<Arc<Rule>>,
    /// `Header …`.
    on_success: Vec<Arc<Rule>>,
}

#[derive(Debug)]
struct Rule {
    /// The header's name.
    name: Vec<u8>,
    action: Action,
    when: When,
    origin: Origin,
}

/// What a line does with its header.
#[derive(Debug)]
enum Action {
    Put(How, Value),
    Unset,
    Edit(Edit),
    /// `echo`, `note`: no value is new.
    Other,
}

/// How a value meets those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// It replaces them.
    Set,
    /// Beside them.
    Add,
    /// After a comma.
    Append,
    /// After a comma, unless it is among them.
    Merge,
    /// Only where there are none.
    SetIfEmpty,
}

/// `edit`, `edit*`: what takes the place of a match.
#[derive(Debug)]
struct Edit {
    pattern: Pattern,
    value: Value,
    /// `edit*`: every match is meant.
    all: bool,
}

#[derive(Debug)]
enum Value {
    Format(Vec<Piece>),
    Expr(StringExpr),
}

/// A part of a format string.
#[derive(Debug)]
enum Piece {
    Text(Vec<u8>),
    /// `%{NAME}e`.
    Variable(Vec<u8>),
    /// Times, loads and facts of TLS: made of harmless characters, and not known here.
    Measured,
}

/// When a line counts.
#[derive(Debug)]
enum When {
    Always,
    /// `early`: before everything, and only at server level.
    Early,
    /// `env=NAME` or `env=!NAME`: the name, and whether it has to be there.
    Env(Vec<u8>, bool),
    Expr(Expr),
}

impl DirRecord {
    /// merge_headers_config: what was said later comes later.
    pub fn merge(base: &Self, new: &Self) -> Self {
        let joined = |base: &[Arc<Rule>], new: &[Arc<Rule>]| base.iter().chain(new).cloned().collect();
        DirRecord {
            request: joined(&base.request, &new.request),
            always: joined(&base.always, &new.always),
            on_success: joined(&base.on_success, &new.on_success),
        }
    }

    /// `Header [always|onsuccess] ACTION NAME [VALUE] [CONDITION]`, `RequestHeader ACTION NAME [VALUE] [CONDITION]`; a
    /// line that the server refuses adds nothing.
    pub fn command(&mut self, cmd: &Command) {
        let mut rest = cmd.raw;
        let mut action = getword_conf(&mut rest).to_ascii_lowercase();
        let list = match (cmd.name, action.as_slice()) {
            ("RequestHeader", _) => &mut self.request,
            ("Header", b"always") => &mut self.always,
            ("Header", _) => &mut self.on_success,
            _ => return,
        };
        if cmd.name == "Header" && matches!(action.as_slice(), b"always" | b"onsuccess") {
            action = getword_conf(&mut rest).to_ascii_lowercase();
        }
        list.extend(Rule::parse(&action, rest, cmd).map(Arc::new));
    }
}

impl Rule {
    /// header_inout_cmd: what stands behind the action.
    fn parse(action: &[u8], mut rest: &[u8], cmd: &Command) -> Option<Rule> {
        let name = getword_conf(&mut rest).split(|&byte| byte == b':').next().unwrap_or_default().to_vec();
        let mut words: Vec<Vec<u8>> = Vec::new();
        while !rest.is_empty() {
            words.push(getword_conf(&mut rest).into_owned());
        }
        let put = |how| Some(Action::Put(how, Value::parse(words.first()?, cmd)?));
        let (action, taken) = match action {
            b"set" => (put(How::Set)?, 1),
            b"add" => (put(How::Add)?, 1),
            b"append" => (put(How::Append)?, 1),
            b"merge" => (put(How::Merge)?, 1),
            b"setifempty" => (put(How::SetIfEmpty)?, 1),
            b"unset" => (Action::Unset, 0),
            b"edit" | b"edit*" => {
                let pattern = Pattern::new(words.first()?, Options::apache(false)).ok()?;
                let value = Value::parse(words.get(1)?, cmd)?;
                (Action::Edit(Edit { pattern, value, all: action == b"edit*" }), 2)
            }
            b"echo" => (Action::Other, 0),
            _ => (Action::Other, 1),
        };
        let when = When::parse(words.get(taken).map(Vec::as_slice), cmd.expr_context())?;
        Some(Rule { name, action, when, origin: cmd.origin })
    }

    fn is_of(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Whether no expression has to be evaluated for the line, and nothing measured.
    fn is_plain(&self) -> bool {
        let plain = |value: &Value| match value {
            Value::Format(pieces) => !pieces.iter().any(|piece| matches!(piece, Piece::Measured)),
            Value::Expr(_) => false,
        };
        !matches!(self.when, When::Expr(_))
            && match &self.action {
                Action::Put(_, value) => plain(value),
                Action::Edit(edit) => plain(&edit.value),
                Action::Unset | Action::Other => true,
            }
    }

    /// Whether the line's condition holds; one that cannot be evaluated counts as true (AH01501).
    fn applies<'c>(&self, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<bool, Failure> {
        match &self.when {
            When::Always | When::Early => Ok(true),
            When::Env(name, wanted) => Ok(r.subprocess_env.contains(name) == *wanted),
            When::Expr(condition) => match test_expr(condition, r, cx) {
                Err(Failure::Error(_)) => Ok(true),
                tested => tested,
            },
        }
    }
}

impl When {
    fn parse(word: Option<&[u8]>, context: expr::Context) -> Option<When> {
        let Some(word) = word else { return Some(When::Always) };
        let starts = |prefix: &[u8]| word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if word.eq_ignore_ascii_case(b"early") {
            return Some(When::Early);
        }
        if starts(b"env=") {
            let name = &word[4..];
            return Some(match name.strip_prefix(b"!") {
                Some(name) => When::Env(name.to_vec(), false),
                None => When::Env(name.to_vec(), true),
            });
        }
        starts(b"expr=").then(|| expr::parse(&word[5..], context).ok()).flatten().map(When::Expr)
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
            pieces.push(match rest.first() {
                Some(b'e') => Piece::Variable(name.to_vec()),
                Some(b'%') | None => Piece::Text(b"%".to_vec()),
                Some(_) => Piece::Measured,
            });
            rest = rest.get(1..).unwrap_or_default();
        }
        Some(Value::Format(pieces))
    }

    /// The value for this request (process_tags).
    ///
    /// # Errors
    /// An expression that fails, or something that is not known here.
    fn text<'c>(&self, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Vec<u8>, Failure> {
        let pieces = match self {
            Value::Expr(text) => return expr_text(text, r, cx),
            Value::Format(pieces) => pieces,
        };
        let mut text = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Text(part) => text.extend_from_slice(part),
                Piece::Variable(name) => text.extend_from_slice(r.subprocess_env.get(name).unwrap_or(b"(null)")),
                Piece::Measured => return Err(Failure::Unknown),
            }
        }
        Ok(text)
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

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn four_characters_may_be_escaped() {
        assert_eq!(unescape(b"a\\nb\\\\\\t\\q\\"), b"a\nb\\\t\\q\\");
    }
}

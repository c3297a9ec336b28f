//! Variables (`ngx_http_variables.c`): what defines a name, and what it is worth for a request.
//!
//! A variable is worked out when it is first needed and kept for the main request and its subrequests, even if what it
//! was worked out from changes later; only those marked *volatile* (nginx: not cacheable) are worked out again at each
//! use. A value that nobody can know is [`Value::Unknown`], never an empty text.

use std::rc::Rc;

use super::complex::Quoting;
use super::request::{Cx, Flow, HttpRequest, error};
use crate::cause;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::source::Origin;

pub mod builtin;
mod connection;
pub(in crate::nginx) mod headers;
mod paths;
mod regex;
mod table;

pub use regex::Regex;
pub use table::{Definition, Table, VariableId, is_builtin};

/// How many variables a request may have worked out. nginx has no such limit; a configuration that needs more than this
/// many doubles its work with every volatile `map` in a row, and is a question.
const MOST_WORK: u32 = 100_000;

/// The depth at which nginx gives up on variables that are made of each other; the innermost one counts as not found.
const DEPTH: u8 = 100;

/// What a variable is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Known; perhaps empty.
    Text(Rc<[u8]>),
    /// There is none: empty in a text, false in an `if`.
    NotFound,
    /// Nobody can know.
    Unknown(Question),
}

impl Value {
    /// A text.
    pub fn text(text: impl AsRef<[u8]>) -> Value {
        Value::Text(text.as_ref().into())
    }

    /// The value of this variable is not known.
    pub fn unknown(name: &str) -> Value {
        Value::Unknown(Question::new(Subject::Variable(name.to_owned())))
    }

    /// A text, or none.
    pub fn found(text: Option<impl AsRef<[u8]>>) -> Value {
        text.map_or(Value::NotFound, Value::text)
    }
}

/// What a request remembers of its variables: the main request's and its subrequests' values, and the captures of the
/// request at hand.
#[derive(Debug, Default)]
pub struct State {
    slots: Vec<Option<Slot>>,
    captures: Captures,
    depth: u8,
    work: u32,
    expires: Option<Rc<[u8]>>,
}

#[derive(Clone, Debug)]
struct Slot {
    value: Value,
    volatile: bool,
    origin: Option<Origin>,
}

/// The groups of the last regular expression that matched.
#[derive(Clone, Debug, Default)]
enum Captures {
    /// None, or the last one of the rewrite module failed.
    #[default]
    Empty,
    /// Known ones.
    Known { subject: Rc<[u8]>, groups: Vec<Option<std::ops::Range<usize>>> },
    /// An expression matched something that is not known.
    Unknown(Question),
}

impl State {
    /// For a subrequest: it shares the values and has captures of its own.
    pub fn lend(&mut self) -> State {
        State { slots: std::mem::take(&mut self.slots), depth: self.depth, work: self.work, ..State::default() }
    }

    /// What a subrequest leaves behind: the values, with what it added.
    pub fn take_back(&mut self, lent: State) {
        self.slots = lent.slots;
        self.work = lent.work;
    }

    /// Sets a value, as `set`, a named group and `auth_request_set` do: whatever the variable is, it is fixed from now on.
    pub fn set(&mut self, id: VariableId, value: Value, origin: Option<Origin>) {
        *self.slot(id) = Some(Slot { value, volatile: false, origin });
    }

    /// Forgets the value of a volatile variable.
    pub(super) fn flush(&mut self, id: VariableId) {
        if let Some(slot) = self.slots.get_mut(id.index())
            && slot.as_ref().is_some_and(|slot| slot.volatile)
        {
            *slot = None;
        }
    }

    /// The directive that gave a variable the value it has: the entry of a `map`, the `set`.
    pub fn origin(&self, id: VariableId) -> Option<Origin> {
        self.slots.get(id.index())?.as_ref()?.origin
    }

    /// No group is known any more: `$1` is empty.
    pub fn clear_captures(&mut self) {
        self.captures = Captures::Empty;
    }

    /// An expression matched a text that is not known.
    pub(super) fn forget_captures(&mut self, question: &Question) {
        self.captures = Captures::Unknown(question.clone());
    }

    /// What stood behind the comma of `secure_link`, once that was looked at.
    pub(super) fn expires(&self) -> Option<Rc<[u8]>> {
        self.expires.clone()
    }

    /// Remembers the expiry time of a secure link.
    pub(super) fn set_expires(&mut self, text: &[u8]) {
        self.expires = Some(text.into());
    }

    fn slot(&mut self, id: VariableId) -> &mut Option<Slot> {
        let at = id.index();
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        &mut self.slots[at]
    }
}

/// The value of a variable (`ngx_http_get_flushed_variable`); `None`: not found. Leaves as unknown where nobody knows.
pub fn get<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, id: VariableId) -> Flow<Option<Rc<[u8]>>> {
    match value(r, cx, id) {
        Value::Text(text) => Flow::Continue(Some(text)),
        Value::NotFound => Flow::Continue(None),
        Value::Unknown(question) => cx.unknown(question),
    }
}

/// The value that a variable already has, volatile or not, or else the one it has now (`ngx_http_get_indexed_variable`).
pub(super) fn kept<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, id: VariableId) -> Value {
    match r.vars.slots.get(id.index()) {
        Some(Some(slot)) => slot.value.clone(),
        _ => value(r, cx, id),
    }
}

/// The value of a variable, where the caller can go on without knowing it.
pub(super) fn value<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, id: VariableId) -> Value {
    if let Some(Some(slot)) = r.vars.slots.get(id.index())
        && !slot.volatile
    {
        return slot.value.clone();
    }
    if r.vars.depth == DEPTH {
        return Value::NotFound;
    }
    r.vars.work += 1;
    if r.vars.work > MOST_WORK {
        return Value::Unknown(Question::new(Subject::Other(
            "what the variables come to, which takes very long".to_owned(),
        )));
    }
    let variables = cx.variables;
    let variable = variables.variable(id);
    r.vars.depth += 1;
    let mut origin = variable.origin;
    let (value, volatile) = match &variable.definition {
        Definition::Undefined | Definition::Capture => (Value::NotFound, false),
        Definition::Set => (Value::text(b""), false),
        Definition::Builtin(row) => ((row.get)(r, cx), row.volatile),
        Definition::Prefixed(row) => ((row.get)(r, cx, &variable.name[row.prefix.len()..]), row.volatile),
        Definition::Map(map) => {
            let (value, entry) = map.value(r, cx, &variable.name);
            origin = entry.or(origin);
            (value, map.volatile)
        }
        Definition::Geo(geo) => {
            let (value, entry) = geo.value(r, cx, &variable.name);
            origin = entry.or(origin);
            (value, geo.volatile)
        }
        Definition::SplitClients(split) => {
            // The variable is empty while its key is put together, which may name it.
            r.vars.set(id, Value::text(""), None);
            (split.value(r, cx, &variable.name), false)
        }
        Definition::Database(lookup) => (lookup.value(r, cx, &variable.name), false),
        Definition::Opaque => {
            let name = String::from_utf8_lossy(&variable.name).into_owned();
            (Value::Unknown(Question::at(Subject::Variable(name), variable.origin)), false)
        }
    };
    r.vars.depth -= 1;
    *r.vars.slot(id) = Some(Slot { value: value.clone(), volatile, origin });
    value
}

/// Sets a variable as the `set` directive does: `$args` is the request's query, any other one is fixed.
pub(super) fn assign<'a>(
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
    id: VariableId,
    value: Value,
    origin: Option<Origin>,
) -> Flow {
    if let Definition::Builtin(row) = cx.variables.definition(id) {
        match row.name {
            "args" => match value {
                Value::Text(text) => r.args = text.to_vec(),
                Value::NotFound => r.args.clear(),
                Value::Unknown(question) => return cx.unknown(question),
            },
            "limit_rate" => r.vars.set(id, Value::unknown("limit_rate"), origin),
            _ => r.vars.set(id, value, origin),
        }
        return Flow::Continue(());
    }
    r.vars.set(id, value, origin);
    Flow::Continue(())
}

/// The text of `$1` … `$9`, escaped where nginx escapes it.
///
/// # Errors
/// The question for what the expression matched.
pub(super) fn capture(r: &HttpRequest, group: usize, quoting: Quoting) -> Result<Vec<u8>, Question> {
    let (subject, groups) = match &r.vars.captures {
        Captures::Empty => return Ok(Vec::new()),
        Captures::Unknown(question) => return Err(question.clone()),
        Captures::Known { subject, groups } => (subject, groups),
    };
    let text = groups.get(group).cloned().flatten().map_or(&b""[..], |range| &subject[range]);
    if (quoting.quote || quoting.is_args) && (r.quoted_uri || r.plus_in_uri) {
        Ok(escape_args(text))
    } else {
        Ok(text.to_vec())
    }
}

/// `ngx_escape_uri` with NGX_ESCAPE_ARGS.
fn escape_args(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for &byte in text {
        let plain = matches!(byte, b'!' | b'$' | b'\''..=b'*' | b','..=b':' | b'=' | b'@'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~');
        if plain {
            escaped.push(byte);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            escaped.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    escaped
}

/// More was to be copied than was measured: nginx answers 500 and logs `no buffer space in script copy`.
pub(super) fn overrun<T>(_: &mut Cx) -> Flow<T> {
    error(500, Decision::new(cause::nginx::SCRIPT_OVERRUN))
}

/// Whether what is not known is at least neither empty nor `0`: a time, a number that counts from one, an identifier.
pub(super) fn is_never_empty(question: &Question) -> bool {
    matches!(&question.subject, Subject::Variable(name) if builtin::NEVER_EMPTY.contains(&name.as_str()))
}

/// Lossy text of a byte string, for questions.
pub(super) fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_in_a_query_are_escaped_as_nginx_does() {
        // `rewrite ^/(e.*)$ /x?b=$1` for GET /e%20d%26 gives b=e%20d%26.
        assert_eq!(escape_args(b"e d&"), b"e%20d%26");
        assert_eq!(
            escape_args(b"c+d;e?f#g\"h<i>j\\k^l`m{n|o}p%q\xff"),
            b"c%2Bd%3Be%3Ff%23g%22h%3Ci%3Ej%5Ck%5El%60m%7Bn%7Co%7Dp%25q%FF"
        );
        assert_eq!(escape_args(b"aZ09-._~!$'()*,/:=@[]"), b"aZ09-._~!$'()*,/:=@[]");
    }
}

//! Variables (`ngx_http_variables.c`): what defines a name, and what it is worth for a request.
//!
//! A variable is worked out when it is first needed and kept for the main request and its subrequests, even if what it
//! was worked out from changes later; only those marked *volatile* (nginx: not cacheable) are worked out again at each
//! use. A value that nobody can know is [`Value::Unknown`], never an empty text.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::complex::Quoting;
use super::request::{Cx, Flow, HttpRequest, error};
use super::tables::geo::Geo;
use super::tables::geoip2::Lookup;
use super::tables::map::Map;
use super::tables::split_clients::SplitClients;
use super::version::Version;
use crate::cause;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::pattern::{Options, Pattern, PatternError};
use crate::source::Origin;

mod browser;
mod builtin;
mod connection;
mod headers;
mod paths;

/// The depth at which nginx gives up on variables that are made of each other; the innermost one counts as not found.
const DEPTH: u8 = 100;

/// A variable of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(u32);

/// Every variable that a configuration names, and what defines it.
#[derive(Debug)]
pub struct Table {
    version: Version,
    variables: Vec<Variable>,
    ids: HashMap<Box<[u8]>, VariableId>,
    geoip_database: bool,
    geoip_header: bool,
}

#[derive(Debug)]
struct Variable {
    name: Box<[u8]>,
    definition: Definition,
    origin: Option<Origin>,
}

/// What a variable is worked out by.
#[derive(Debug)]
pub enum Definition {
    /// Nothing: nginx refuses the configuration.
    Undefined,
    /// Built into nginx.
    Builtin(&'static builtin::Row),
    /// Built in by its prefix; the rest of the name says which one of them.
    Prefixed(&'static builtin::PrefixRow),
    /// `set`: empty until it runs.
    Set,
    /// A named group of some regular expression: not found until that has matched.
    Capture,
    /// `map`.
    Map(Box<Map>),
    /// `geo`.
    Geo(Box<Geo>),
    /// `split_clients`.
    SplitClients(Box<SplitClients>),
    /// `geoip2`.
    Database(Box<Lookup>),
    /// A directive that is not simulated.
    Opaque,
}

impl Table {
    /// A table that knows what is built into this version.
    pub fn new(version: Version) -> Self {
        Table { version, variables: Vec::new(), ids: HashMap::new(), geoip_database: false, geoip_header: false }
    }

    /// The variable of this name, without `$` and in any case (`ngx_http_get_variable_index`).
    pub fn id(&mut self, name: &[u8]) -> VariableId {
        let name = name.to_ascii_lowercase();
        if let Some(&id) = self.ids.get(&*name) {
            return id;
        }
        let id = VariableId(self.variables.len() as u32);
        let definition = builtin::find(&name, self.version);
        self.variables.push(Variable { name: name.clone().into(), definition, origin: None });
        self.ids.insert(name.into(), id);
        id
    }

    /// Says what a variable is worked out by. The last one to say so wins, but `set` gives way to everything else, since
    /// it only makes the name known (`NGX_HTTP_VAR_WEAK`).
    pub fn define(&mut self, name: &[u8], definition: Definition, origin: Option<Origin>) -> VariableId {
        let id = self.id(name);
        let variable = &mut self.variables[id.0 as usize];
        if !matches!(definition, Definition::Set) || matches!(variable.definition, Definition::Undefined) {
            variable.definition = definition;
            variable.origin = origin;
        }
        id
    }

    /// The name, in lower case and without `$`.
    pub fn name(&self, id: VariableId) -> &[u8] {
        &self.variables[id.0 as usize].name
    }

    /// What works it out.
    pub fn definition(&self, id: VariableId) -> &Definition {
        &self.variables[id.0 as usize].definition
    }

    /// The directive that defines it; none for a built-in one.
    pub fn origin(&self, id: VariableId) -> Option<Origin> {
        self.variables[id.0 as usize].origin
    }

    /// A `geoip_country`, `geoip_city` or `geoip_org` is there: `$geoip_…` come out of a database of the old format.
    pub(super) fn has_geoip_database(&mut self) {
        self.geoip_database = true;
    }

    /// `geoip2_proxy` is there: a header may say which address is looked up.
    pub(super) fn geoip_follows_header(&mut self) {
        self.geoip_header = true;
    }

    /// Whether a header may say which address `geoip2` looks up.
    pub(super) fn geoip_by_header(&self) -> bool {
        self.geoip_header
    }

    /// The names that nothing defines, in the order in which they were met.
    pub fn undefined(&self) -> impl Iterator<Item = &[u8]> {
        let undefined = |variable: &&Variable| matches!(variable.definition, Definition::Undefined);
        self.variables.iter().filter(undefined).map(|variable| &*variable.name)
    }
}

/// Whether a name, without `$` and in lower case, is built into a version of nginx.
pub fn is_builtin(name: &[u8], version: Version) -> bool {
    !matches!(builtin::find(name, version), Definition::Undefined)
}

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
        State { slots: std::mem::take(&mut self.slots), depth: self.depth, ..State::default() }
    }

    /// What a subrequest leaves behind: the values, with what it added.
    pub fn take_back(&mut self, lent: State) {
        self.slots = lent.slots;
    }

    /// Sets a value, as `set`, a named group and `auth_request_set` do: whatever the variable is, it is fixed from now on.
    pub fn set(&mut self, id: VariableId, value: Value, origin: Option<Origin>) {
        *self.slot(id) = Some(Slot { value, volatile: false, origin });
    }

    /// The directive that gave a variable the value it has: the entry of a `map`, the `set`.
    pub fn origin(&self, id: VariableId) -> Option<Origin> {
        self.slots.get(id.0 as usize)?.as_ref()?.origin
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
        let at = id.0 as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        &mut self.slots[at]
    }
}

/// A regular expression whose groups the configuration can use.
#[derive(Debug)]
pub struct Regex {
    pattern: Arc<Pattern>,
    names: Vec<(usize, VariableId)>,
}

impl Regex {
    /// `ngx_http_regex_compile`: named groups become variables.
    ///
    /// # Errors
    /// PCRE's words about a pattern that it refuses.
    pub fn compile(source: &[u8], caseless: bool, table: &mut Table) -> Result<Regex, PatternError> {
        let pattern = Pattern::new(source, Options::nginx(caseless))?;
        let named = pattern.names().iter().enumerate();
        let names = named
            .filter_map(|(group, name)| {
                let id = table.define(name.as_deref()?.as_bytes(), Definition::Capture, None);
                Some((group, id))
            })
            .collect();
        Ok(Regex { pattern: Arc::new(pattern), names })
    }

    /// `ngx_http_regex_exec`: a match replaces `$1`… and the named groups, a failure leaves them.
    ///
    /// # Errors
    /// The question whether it matches at all, where the match was given up.
    pub fn exec(&self, state: &mut State, subject: &[u8]) -> Result<bool, Question> {
        if self.pattern.group_count() == 0 {
            let matched = self.pattern.is_match(subject).map_err(|_| self.limit())?;
            if matched {
                state.captures = Captures::Empty;
            }
            return Ok(matched);
        }
        let Some(captures) = self.pattern.captures(subject).map_err(|_| self.limit())? else {
            return Ok(false);
        };
        for &(group, id) in &self.names {
            let text = captures.groups.get(group).cloned().flatten().map_or(&b""[..], |range| &subject[range]);
            state.set(id, Value::text(text), None);
        }
        state.captures = Captures::Known { subject: subject.into(), groups: captures.groups };
        Ok(true)
    }

    /// The expression is taken to have matched a text that is not known: neither are its groups.
    pub(super) fn assume_match(&self, state: &mut State, question: &Question) {
        for &(_, id) in &self.names {
            state.set(id, Value::Unknown(question.clone()), None);
        }
        if self.pattern.group_count() == 0 {
            state.captures = Captures::Empty;
        } else {
            state.forget_captures(question);
        }
    }

    /// The pattern as written.
    pub fn source(&self) -> &[u8] {
        self.pattern.source()
    }

    /// The compiled pattern.
    pub fn pattern(&self) -> &Arc<Pattern> {
        &self.pattern
    }

    fn limit(&self) -> Question {
        Question::new(Subject::MatchLimit(String::from_utf8_lossy(self.source()).into_owned()))
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

/// The value of a variable, where the caller can go on without knowing it.
pub(super) fn value<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, id: VariableId) -> Value {
    if let Some(Some(slot)) = r.vars.slots.get(id.0 as usize)
        && !slot.volatile
    {
        return slot.value.clone();
    }
    if r.vars.depth == DEPTH {
        return Value::NotFound;
    }
    let variables = cx.variables;
    let variable = &variables.variables[id.0 as usize];
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
        Definition::SplitClients(split) => (split.value(r, cx, &variable.name), false),
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

    #[test]
    fn set_gives_way_to_every_other_definition() {
        let mut table = Table::new(Version::NEWEST);
        table.define(b"Http_X", Definition::Set, None);
        assert!(matches!(table.definition(table.ids[&b"http_x"[..]]), Definition::Prefixed(_)));
        let id = table.define(b"x", Definition::Set, None);
        table.define(b"X", Definition::Capture, None);
        table.define(b"x", Definition::Set, None);
        assert!(matches!(table.definition(id), Definition::Capture));
        table.id(b"nowhere");
        assert_eq!(table.undefined().collect::<Vec<_>>(), [b"nowhere"]);
    }
}

//! mod_headers, as far as it changes what a request is compared with: `RequestHeader` before or after the walks, and the
//! `Header` lines that change validators before ranges are cut.

use std::sync::Arc;

use crate::apache::escape::substitute;
use crate::apache::expr::{self, Expr, Failure, StringExpr};
use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec, expr_text, test_expr};
use crate::fact::Subject;
use crate::pattern::{Options, Pattern};
use crate::source::Origin;

/// Headers that something still looks at after the fixups: conditions, ranges, bodies, and what WebDAV asks for.
const READ_LATE: [&[u8]; 14] = [
    b"If-Match",
    b"If-Modified-Since",
    b"If-None-Match",
    b"If-Range",
    b"If-Unmodified-Since",
    b"Range",
    b"Content-Length",
    b"Content-Type",
    b"Transfer-Encoding",
    b"Expect",
    b"Depth",
    b"Destination",
    b"If",
    b"Overwrite",
];

/// The lines in force, in their order: those of outer places first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    request: Vec<Arc<Rule>>,
    response: Vec<Arc<Rule>>,
}

/// What a line does with its header.
#[derive(Debug)]
enum Action {
    Add(Value),
    Append(Value),
    Merge(Value),
    Set(Value),
    SetIfEmpty(Value),
    Unset,
    /// `edit`, `edit*`: the pattern, what takes the place of a match, and whether every match is meant.
    Edit(Pattern, Value, bool),
    /// `echo`, `note`: no header of the request changes.
    Other,
}

/// A value: a text with formats in it, or an expression.
#[derive(Debug)]
enum Value {
    Format(Vec<u8>),
    Expr(StringExpr),
}

/// When a line counts.
#[derive(Debug)]
enum When {
    Always,
    /// `early`: before everything, and only at server level.
    Early,
    /// `env=NAME`, `env=!NAME`.
    Env(Vec<u8>, bool),
    Expr(Expr),
}

#[derive(Debug)]
struct Rule {
    header: Vec<u8>,
    action: Action,
    when: When,
    origin: Origin,
}

impl Record {
    /// The base's lines, then the new ones.
    pub fn merge(base: &Record, new: &Record) -> Record {
        let joined = |base: &[Arc<Rule>], new: &[Arc<Rule>]| base.iter().chain(new).cloned().collect();
        Record { request: joined(&base.request, &new.request), response: joined(&base.response, &new.response) }
    }
}

/// Adds a directive to the record of the place where it stands; a line that the server refuses adds nothing.
pub(crate) fn command(cmd: &Command, dir: &mut Record) {
    let list = match cmd.name {
        "RequestHeader" => &mut dir.request,
        "Header" => &mut dir.response,
        _ => return,
    };
    list.extend(parse(cmd).map(Arc::new));
}

fn parse(cmd: &Command) -> Option<Rule> {
    let mut rest = cmd.raw;
    let mut action = getword_conf(&mut rest).to_ascii_lowercase();
    if cmd.name == "Header" && matches!(action.as_slice(), b"always" | b"onsuccess") {
        action = getword_conf(&mut rest).to_ascii_lowercase();
    }
    let header = getword_conf(&mut rest).split(|&byte| byte == b':').next().unwrap_or_default().to_vec();
    let mut words: Vec<Vec<u8>> = Vec::new();
    while !rest.is_empty() {
        words.push(getword_conf(&mut rest).into_owned());
    }
    let taken = match action.as_slice() {
        b"unset" | b"echo" => 0,
        b"edit" | b"edit*" => 2,
        _ => 1,
    };
    let when = when(words.get(taken).map(Vec::as_slice), cmd.expr_context())?;
    let value = |index: usize| -> Option<Value> {
        let text = words.get(index)?;
        Some(match text.strip_prefix(b"expr=") {
            Some(text) => Value::Expr(expr::parse_string(text, cmd.expr_context()).ok()?),
            None => Value::Format(text.clone()),
        })
    };
    let action = match action.as_slice() {
        b"add" => Action::Add(value(0)?),
        b"append" => Action::Append(value(0)?),
        b"merge" => Action::Merge(value(0)?),
        b"set" => Action::Set(value(0)?),
        b"setifempty" => Action::SetIfEmpty(value(0)?),
        b"unset" => Action::Unset,
        b"edit" | b"edit*" => {
            let pattern = Pattern::new(words.first()?, Options::apache(false)).ok()?;
            Action::Edit(pattern, value(1)?, action == b"edit*")
        }
        _ => Action::Other,
    };
    Some(Rule { header, action, when, origin: cmd.origin })
}

fn when(word: Option<&[u8]>, context: expr::Context) -> Option<When> {
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

/// post_read_request, first of all modules (ap_headers_early).
pub(crate) fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    change_request(true, r, cx)
}

/// fixups, last of all modules (ap_headers_fixup).
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    change_request(false, r, cx)
}

fn change_request<'c>(early: bool, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.per_dir.header_edits.clone() else { return Handled::Declined };
    for rule in &record.request {
        // What nobody looks at any more need not be known.
        let matters = early || READ_LATE.iter().any(|name| name.eq_ignore_ascii_case(&rule.header));
        if matches!(rule.when, When::Early) != early || !matters {
            continue;
        }
        match applies(rule, r, cx) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(()) => return Handled::Unknown,
        }
        if apply(rule, r, cx).is_none() {
            return cx.unanswerable(Subject::Opaque("RequestHeader".to_owned()), Some(rule.origin));
        }
    }
    Handled::Declined
}

fn applies<'c>(rule: &Rule, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<bool, ()> {
    match &rule.when {
        When::Always | When::Early => Ok(true),
        When::Env(name, set) => Ok(r.subprocess_env.contains(name) == *set),
        When::Expr(condition) => match test_expr(condition, r, cx) {
            Ok(truth) => Ok(truth),
            Err(Failure::Unknown) => Err(()),
            // AH01501: an expression that fails is ignored, not the line.
            Err(Failure::Error(_)) => Ok(true),
        },
    }
}

/// Does what the line says; `None`: its value is not known.
fn apply<'c>(rule: &Rule, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Option<()> {
    let name = rule.header.as_slice();
    match &rule.action {
        Action::Add(value) => {
            let value = text(value, r, cx)?;
            r.headers_in.add(name, &value);
        }
        Action::Append(value) => {
            let value = text(value, r, cx)?;
            r.headers_in.merge(name, &value);
        }
        Action::Merge(value) => {
            let value = text(value, r, cx)?;
            let is_listed = |list: &[u8]| list.split(|&byte| byte == b',').any(|part| part.trim_ascii() == value);
            if !r.headers_in.get(name).is_some_and(is_listed) {
                r.headers_in.merge(name, &value);
            }
        }
        Action::Set(value) => {
            let value = text(value, r, cx)?;
            r.headers_in.set(name, &value);
        }
        Action::SetIfEmpty(value) => {
            if !r.headers_in.contains(name) {
                let value = text(value, r, cx)?;
                r.headers_in.set(name, &value);
            }
        }
        Action::Unset => r.headers_in.unset(name),
        Action::Edit(pattern, value, all) => {
            let values: Vec<Vec<u8>> = r
                .headers_in
                .iter()
                .filter(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_vec())
                .collect();
            let mut edited = Vec::new();
            for old in values {
                edited.push(edit(pattern, value, *all, &old, r, cx)?);
            }
            r.headers_in.unset(name);
            for value in edited {
                r.headers_in.add(name, &value);
            }
        }
        Action::Other => {}
    }
    Some(())
}

/// process_regexp: the first match replaced; `None` where `edit*` has to look for another one behind it.
fn edit<'c>(
    pattern: &Pattern,
    value: &Value,
    all: bool,
    old: &[u8],
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Option<Vec<u8>> {
    let Some(captures) = pattern.captures(old).ok()? else { return Some(old.to_vec()) };
    let found = captures.groups.first().cloned().flatten()?;
    if all && found.end < old.len() {
        return None;
    }
    let template = text(value, r, cx)?;
    Some([&old[..found.start], &substitute(&template, old, &captures), &old[found.end..]].concat())
}

/// process_tags: `%%`, `%{NAME}e`; what the other formats print is not known here.
fn text<'c>(value: &Value, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Option<Vec<u8>> {
    let format = match value {
        Value::Expr(text) => return expr_text(text, r, cx).ok(),
        Value::Format(format) => format,
    };
    let mut text = Vec::new();
    let mut rest = format.as_slice();
    while let Some(percent) = memchr::memchr(b'%', rest) {
        text.extend_from_slice(&rest[..percent]);
        rest = &rest[percent + 1..];
        match rest.first() {
            Some(b'%') | None => {
                text.push(b'%');
                rest = rest.get(1..).unwrap_or_default();
            }
            Some(b'{') => {
                let end = memchr::memchr(b'}', rest)?;
                let name = &rest[1..end];
                rest = rest[end + 1..].strip_prefix(b"e")?;
                text.extend_from_slice(r.subprocess_env.get(name).unwrap_or(b"(null)"));
            }
            Some(_) => return None,
        }
    }
    text.extend_from_slice(rest);
    Some(text)
}

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

/// What the lines of this place make of a header before ranges are cut (FIXUP_HEADERS_OUT).
pub(crate) fn fate(r: &RequestRec, name: &[u8]) -> Fate {
    let Some(record) = &r.per_dir.header_edits else { return Fate::Kept };
    let mut fate = Fate::Kept;
    for rule in record.response.iter().filter(|rule| rule.header.eq_ignore_ascii_case(name)) {
        fate = match (&rule.action, &rule.when) {
            (Action::Other, _) => fate,
            (Action::Unset, When::Always) => Fate::Removed,
            (Action::Unset, _) if fate == Fate::Removed => Fate::Removed,
            _ => Fate::Changed,
        };
    }
    fate
}

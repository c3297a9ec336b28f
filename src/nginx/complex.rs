//! Texts with variables (`ngx_http_complex_value_t`): read once while the configuration is built, put together for each
//! request.
//!
//! `$name`, `${name}` and `$1` to `$9`; a text without any of them is handed out as it stands, nothing is copied. nginx
//! puts a value together in two passes: the first finds the length of every part, which evaluates the variables; the
//! second copies. A `map` with a regular expression evaluated in the first pass replaces `$1` and named groups for the
//! second, also where they stand in front of it; what outgrows its room is an error (case: `complex-captures-replaced`).

use std::borrow::Cow;

use super::request::{Cx, Flow, HttpRequest};
use super::variables::{self, Table, Value, VariableId};
use crate::fact::{Question, Subject};
use crate::source::Origin;

/// The longest text that is put together, in bytes (1 MiB). nginx has no such limit; texts that double with every `map` in
/// a row are a question.
const LONGEST: usize = 1 << 20;

/// A text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComplexValue {
    source: Box<[u8]>,
    /// Empty for a text without variables.
    parts: Box<[Part]>,
}

/// A piece of a text with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(Box<[u8]>),
    /// `$name` or `${name}`.
    Variable(VariableId),
    /// `$1` … `$9`.
    Capture(usize),
    /// The first `?` of a rewrite's replacement: what follows is the query.
    Args,
}

/// A piece as written, before names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawPart<'t> {
    /// Text.
    Text(&'t [u8]),
    /// The name of a variable.
    Variable(&'t [u8]),
    /// The number of a capture.
    Capture(usize),
}

/// Splits a text at its variables (`ngx_http_script_compile`).
///
/// # Errors
/// nginx's message for a text that it refuses.
pub fn parse(text: &[u8]) -> Result<Vec<RawPart<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(after) = rest.strip_prefix(b"$") else {
            let end = memchr::memchr(b'$', rest).unwrap_or(rest.len());
            parts.push(RawPart::Text(&rest[..end]));
            rest = &rest[end..];
            continue;
        };
        if let [digit @ b'1'..=b'9', tail @ ..] = after {
            parts.push(RawPart::Capture(usize::from(digit - b'0')));
            rest = tail;
            continue;
        }
        let (braced, name) = match after.strip_prefix(b"{") {
            Some(name) => (true, name),
            None => (false, after),
        };
        let length = name.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        if after.is_empty() || (braced && name.is_empty()) {
            return Err("invalid variable name".to_owned());
        }
        let name_end = &name[length..];
        if braced && !name_end.starts_with(b"}") {
            let name = String::from_utf8_lossy(&name[..length]);
            return Err(format!("the closing bracket in \"{name}\" variable is missing"));
        }
        if length == 0 {
            return Err("invalid variable name".to_owned());
        }
        parts.push(RawPart::Variable(&name[..length]));
        rest = if braced { &name_end[1..] } else { name_end };
    }
    Ok(parts)
}

impl ComplexValue {
    /// Reads a text. One that nginx refuses counts as literal: its configuration is refused anyway.
    pub fn compile(text: &[u8], table: &Table) -> ComplexValue {
        if memchr::memchr(b'$', text).is_none() {
            return ComplexValue::literal(text);
        }
        ComplexValue { source: text.into(), parts: compile_parts(text, table, false) }
    }

    /// A text that is taken as it stands, `$` and all.
    pub fn literal(text: &[u8]) -> ComplexValue {
        ComplexValue { source: text.into(), parts: Box::default() }
    }

    /// The text, if it holds no variable.
    pub fn as_literal(&self) -> Option<&[u8]> {
        self.parts.is_empty().then_some(&*self.source)
    }

    /// The text as written.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// The variables it names, in order.
    pub fn variables(&self) -> impl Iterator<Item = VariableId> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(id) => Some(*id),
            _ => None,
        })
    }

    /// The text for this request.
    ///
    /// Leaves as unknown where a variable is not known, and with 500 where nginx runs out of the room it measured.
    pub fn evaluate<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Cow<'a, [u8]>> {
        match self.value(r, cx) {
            Evaluated::Text(text) => Flow::Continue(text),
            Evaluated::Unknown(question) => cx.unknown(question),
            Evaluated::Overrun => variables::overrun(cx),
        }
    }

    /// The text for this request, where the caller can go on without knowing it.
    pub(super) fn value<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Evaluated<'a> {
        for id in self.variables() {
            r.vars.flush(id);
        }
        self.read(Quoting::default(), Reading::Kept, r, cx)
    }

    /// The same inside a program of the rewrite module, which may escape captures.
    pub(super) fn scripted<'a>(&'a self, quoting: Quoting, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Evaluated<'a> {
        self.read(quoting, Reading::Fresh, r, cx)
    }

    fn read<'a>(
        &'a self,
        quoting: Quoting,
        reading: Reading,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
    ) -> Evaluated<'a> {
        if self.parts.is_empty() {
            return Evaluated::Text(Cow::Borrowed(&self.source));
        }
        match assemble(&self.parts, quoting, Some((reading, 0)), r, cx) {
            Assembled::Text { text, .. } => Evaluated::Text(Cow::Owned(text)),
            Assembled::Unknown(why) if matches!(*self.parts, [Part::Variable(_)]) => Evaluated::Unknown(why),
            Assembled::Unknown(why) => Evaluated::Unknown(self.question(why.origin)),
            Assembled::Overrun => Evaluated::Overrun,
        }
    }

    /// The question that stands for this text as a whole.
    pub(super) fn question(&self, origin: Option<Origin>) -> Question {
        let shown = String::from_utf8_lossy(&self.source).into_owned();
        Question::at(Subject::Variable(shown), origin)
    }
}

/// What a text is for a request.
#[derive(Debug)]
pub(super) enum Evaluated<'a> {
    /// Known.
    Text(Cow<'a, [u8]>),
    /// A variable in it is not known.
    Unknown(Question),
    /// More was to be copied than was measured.
    Overrun,
}

/// How captures are copied: escaped in a redirect and behind a `?`, if the raw path had a `%` or a `+` in it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Quoting {
    /// `e->quote`.
    pub quote: bool,
    /// `e->is_args`.
    pub is_args: bool,
}

/// What came of putting the parts together.
#[derive(Debug)]
pub(super) enum Assembled {
    /// The text, and where its query begins (`e->args`).
    Text {
        /// All of it; the `?` itself is not in it.
        text: Vec<u8>,
        /// The offset at which a rewrite's query begins.
        args: Option<usize>,
        /// How long it may become; without measuring, as long as it likes.
        room: usize,
    },
    /// A variable in it is not known.
    Unknown(Question),
    /// More was to be copied than was measured.
    Overrun,
}

/// How the variables of a text are read in its two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Volatile ones were flushed before, and are worked out once (`e->flushed`).
    Kept,
    /// Volatile ones are worked out at each use.
    Fresh,
}

/// Puts parts together: one pass that measures, unless the caller knows that there is room (`None`), and one that copies.
/// The number is the room that the caller has besides.
pub(super) fn assemble<'a>(
    parts: &'a [Part],
    quoting: Quoting,
    measure: Option<(Reading, usize)>,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Assembled {
    let room = match measure.map(|(reading, besides)| (pass(parts, quoting, reading, r, cx), besides)) {
        Some((Ok((text, args)), besides)) => text.len() + usize::from(args.is_some()) + besides,
        Some((Err(question), _)) => return Assembled::Unknown(question),
        None => usize::MAX,
    };
    match pass(parts, quoting, measure.map_or(Reading::Fresh, |(reading, _)| reading), r, cx) {
        Ok((text, _)) if text.len() > room => Assembled::Overrun,
        Ok((text, args)) => Assembled::Text { text, args, room },
        Err(question) => Assembled::Unknown(question),
    }
}

/// One pass: the text, and where its query begins.
fn pass<'a>(
    parts: &'a [Part],
    mut quoting: Quoting,
    reading: Reading,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Result<(Vec<u8>, Option<usize>), Question> {
    let mut text = Vec::new();
    let mut args = None;
    let mut unknown = None;
    for part in parts {
        match part {
            Part::Text(bytes) => text.extend_from_slice(bytes),
            Part::Args => {
                quoting.is_args = true;
                args = Some(text.len());
            }
            Part::Capture(group) => match variables::capture(r, *group, quoting) {
                Ok(bytes) => text.extend_from_slice(&bytes),
                Err(question) => unknown = unknown.or(Some(question)),
            },
            Part::Variable(id) => {
                let value = match reading {
                    Reading::Kept => variables::kept(r, cx, *id),
                    Reading::Fresh => variables::value(r, cx, *id),
                };
                match value {
                    Value::Text(bytes) => text.extend_from_slice(&bytes),
                    Value::NotFound => {}
                    Value::Unknown(question) => unknown = unknown.or(Some(question)),
                }
            }
        }
    }
    if text.len() > LONGEST {
        let long = Question::new(Subject::Other("what a text of more than a megabyte comes to".to_owned()));
        unknown = unknown.or(Some(long));
    }
    unknown.map_or(Ok((text, args)), Err)
}

/// Reads the parts of a text; with `split_args`, the first `?` of its literal parts begins the query.
pub(super) fn compile_parts(text: &[u8], table: &Table, split_args: bool) -> Box<[Part]> {
    let Ok(raw) = parse(text) else {
        return Box::new([Part::Text(text.into())]);
    };
    let mut parts = Vec::with_capacity(raw.len());
    let mut split_args = split_args;
    for part in raw {
        match part {
            RawPart::Variable(name) => parts.push(Part::Variable(table.id(name))),
            RawPart::Capture(group) => parts.push(Part::Capture(group)),
            RawPart::Text(text) => match memchr::memchr(b'?', text).filter(|_| split_args) {
                Some(at) => {
                    split_args = false;
                    for (piece, args) in [(&text[..at], true), (&text[at + 1..], false)] {
                        if !piece.is_empty() {
                            parts.push(Part::Text(piece.into()));
                        }
                        if args {
                            parts.push(Part::Args);
                        }
                    }
                }
                None => parts.push(Part::Text(text.into())),
            },
        }
    }
    parts.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_their_letters_end() {
        let parts = parse(b"a$uri-${args}b$12");
        assert_eq!(
            parts.as_deref(),
            Ok(&[
                RawPart::Text(b"a"),
                RawPart::Variable(b"uri"),
                RawPart::Text(b"-"),
                RawPart::Variable(b"args"),
                RawPart::Text(b"b"),
                RawPart::Capture(1),
                RawPart::Text(b"2"),
            ][..])
        );
    }

    #[test]
    fn refused_texts_have_the_servers_message() {
        // Recorded with `nginx -t` of 1.22.1.
        for (text, message) in [
            ("a$", "invalid variable name"),
            ("$ a", "invalid variable name"),
            ("${", "invalid variable name"),
            ("${}", "invalid variable name"),
            ("${uri", "the closing bracket in \"uri\" variable is missing"),
            ("${uri-x}", "the closing bracket in \"uri\" variable is missing"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(message.to_owned()), "{text}");
        }
    }
}

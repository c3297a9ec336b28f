//! `map SOURCE $variable { … }` (`ngx_http_map_module.c`, `ngx_http_map_find`).
//!
//! Keys are compared in any case; an expression only if the source is not empty, so that `~^$` never matches. An
//! expression that matches replaces `$1`… of the request. The value is worked out when the variable is first used and
//! kept, even if the source changes later (case: `map-cached-before-index`), unless the map is `volatile`.

use super::super::complex::{ComplexValue, Evaluated};
use super::super::request::{Cx, HttpRequest};
use super::super::variables::{self, Definition, Regex, Table, Value};
use super::hostnames::Hostnames;
use super::{Entry, MOST_ALTERNATIVES};
use crate::fact::{Question, Subject};
use crate::source::Origin;

/// A map.
#[derive(Debug)]
pub struct Map {
    source: ComplexValue,
    hostnames: bool,
    /// Worked out again at each use.
    pub volatile: bool,
    keys: Hostnames<usize>,
    regexes: Vec<(Regex, usize)>,
    default: Option<usize>,
    entries: Vec<(ComplexValue, Origin)>,
}

/// Reads a map and defines its variable. What nginx refuses is left out.
pub(super) fn define(source: &[u8], name: &[u8], lines: &[Entry], origin: Origin, table: &mut Table) {
    let Some(name) = name.strip_prefix(b"$") else { return };
    let map = Map::read(source, lines, table);
    table.define(name, Definition::Map(Box::new(map)), Some(origin));
}

impl Map {
    fn read(source: &[u8], lines: &[Entry], table: &mut Table) -> Map {
        let mut map = Map {
            source: ComplexValue::compile(source, table),
            hostnames: false,
            volatile: false,
            keys: Hostnames::default(),
            regexes: Vec::new(),
            default: None,
            entries: Vec::with_capacity(lines.len()),
        };
        for line in lines {
            match &*line.words {
                [b"hostnames"] => map.hostnames = true,
                [b"volatile"] => map.volatile = true,
                &[key, value] => map.add(key, value, line.origin, table),
                _ => {}
            }
        }
        map
    }

    fn add(&mut self, key: &[u8], value: &[u8], origin: Origin, table: &mut Table) {
        let index = self.entries.len();
        self.entries.push((ComplexValue::compile(value, table), origin));
        match key {
            b"default" => self.default = Some(index),
            [b'~', pattern @ ..] => {
                let (pattern, caseless) = pattern.strip_prefix(b"*").map_or((pattern, false), |rest| (rest, true));
                if let Ok(regex) = Regex::define(pattern, caseless, table) {
                    self.regexes.push((regex, index));
                }
            }
            _ => {
                let key = key.strip_prefix(b"\\").unwrap_or(key);
                // Entries above the word `hostnames` are not wildcards.
                if self.hostnames { self.keys.insert(key, index) } else { self.keys.insert_exact(key, index) }
            }
        }
    }

    /// The value for this request, and the entry that gave it.
    pub(in super::super) fn value<'a>(
        &'a self,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
        name: &[u8],
    ) -> (Value, Option<Origin>) {
        let index = match self.source.value(r, cx) {
            Evaluated::Text(text) => {
                let key = if self.hostnames { text.strip_suffix(b".").unwrap_or(&text) } else { &text };
                match self.find(key, r) {
                    Ok(index) => index,
                    Err(question) => return (Value::Unknown(question), None),
                }
            }
            Evaluated::Unknown(question) => match self.choose(&question, r, cx, name) {
                Some(index) => index,
                None => return (Value::Unknown(question), None),
            },
            Evaluated::Overrun => return (Value::NotFound, None),
        };
        let Some((value, origin)) = index.map(|index| &self.entries[index]) else {
            return (Value::text(""), None);
        };
        let value = match value.value(r, cx) {
            Evaluated::Text(text) => Value::text(text),
            Evaluated::Unknown(question) => Value::Unknown(question),
            Evaluated::Overrun => Value::NotFound,
        };
        (value, Some(*origin))
    }

    /// The entry for a key; `Ok(None)`: none, and no default.
    fn find(&self, key: &[u8], r: &mut HttpRequest) -> Result<Option<usize>, Question> {
        if let Some(&index) = self.keys.find(key) {
            return Ok(Some(index));
        }
        if !key.is_empty() {
            for (regex, index) in &self.regexes {
                if regex.exec(&mut r.vars, key)? {
                    return Ok(Some(*index));
                }
            }
        }
        Ok(self.default)
    }

    /// The source is not known: which of the values is it to be? `None` where there are too many to ask.
    fn choose(&self, why: &Question, r: &mut HttpRequest, cx: &mut Cx, name: &[u8]) -> Option<Option<usize>> {
        let matched = self.regexes.iter().map(|(_, index)| *index);
        let keyed = self.keys.values().copied();
        let mut candidates: Vec<Option<usize>> = vec![self.default];
        let mut others: Vec<usize> = keyed.chain(matched).collect();
        others.sort_unstable();
        let text = |index: Option<usize>| index.map_or(&b""[..], |index| self.entries[index].0.source());
        for index in others {
            if !candidates.iter().any(|&known| text(known) == text(Some(index))) {
                candidates.push(Some(index));
            }
        }
        if candidates.len() > MOST_ALTERNATIVES {
            return None;
        }
        let shown = variables::shown(name);
        let alternatives: Vec<String> =
            candidates.iter().map(|&index| format!("`${shown}` is `{}`", variables::shown(text(index)))).collect();
        let alternatives: Vec<&str> = alternatives.iter().map(String::as_str).collect();
        let question = Question::at(Subject::Variable(shown), why.origin);
        let chosen = candidates[cx.inquiry.choose(question, &alternatives)];
        if !self.regexes.is_empty() {
            // Whether the value came by way of an expression is not known either.
            for (regex, _) in &self.regexes {
                regex.assume_match(&mut r.vars, why);
            }
            r.vars.forget_captures(why);
        }
        Some(chosen)
    }
}

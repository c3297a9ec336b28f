//! Regular expressions whose groups a configuration can use.

use std::sync::Arc;

use super::table::{Definition, Table, VariableId};
use super::{Captures, State, Value};
use crate::fact::{Question, Subject};
use crate::pattern::{Pattern, PatternError};

/// A regular expression whose groups the configuration can use.
#[derive(Debug)]
pub struct Regex {
    pattern: Arc<Pattern>,
    names: Vec<(usize, VariableId)>,
}

impl Regex {
    /// `ngx_http_regex_compile`. Its named groups are variables, which [`Regex::define`] says elsewhere.
    ///
    /// # Errors
    /// PCRE's words about a pattern that it refuses.
    pub fn compile(source: &[u8], caseless: bool, table: &Table) -> Result<Regex, PatternError> {
        let pattern = table.pattern(source, caseless)?;
        let named = pattern.names().iter().enumerate();
        let names = named
            .filter_map(|(group, name)| {
                let id = table.id(name.as_deref()?.as_bytes());
                Some((group, id))
            })
            .collect();
        Ok(Regex { pattern, names })
    }

    /// The same, and its named groups become variables.
    ///
    /// # Errors
    /// PCRE's words about a pattern that it refuses.
    pub fn define(source: &[u8], caseless: bool, table: &mut Table) -> Result<Regex, PatternError> {
        let regex = Regex::compile(source, caseless, table)?;
        for name in regex.pattern.names().iter().flatten() {
            table.define(name.as_bytes(), Definition::Capture, None);
        }
        Ok(regex)
    }

    /// Whether an expression may have named groups: then it must be compiled before anybody uses their names.
    pub(in crate::nginx) fn may_name_groups(source: &[u8]) -> bool {
        memchr::memmem::find_iter(source, b"(?").any(|at| matches!(source.get(at + 2), Some(b'<' | b'P' | b'\'')))
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
    pub(in crate::nginx) fn assume_match(&self, state: &mut State, question: &Question) {
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

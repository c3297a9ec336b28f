//! Testing the condition of an `if`.

use std::ops::ControlFlow;
use std::path::Path;

use super::super::complex::{ComplexValue, Evaluated, Quoting};
use super::super::mapping::path_from;
use super::super::phases::content::{Found, lookup};
use super::super::request::{Cx, Flow, HttpRequest};
use super::super::variables::{self, Regex, Table, Value, VariableId};
use super::condition::{self, FileTest};
use crate::fact::{Question, Subject};
use crate::fs::FileKind;
use crate::source::Origin;

/// A condition, its names looked up.
#[derive(Debug)]
pub(super) enum Condition {
    Variable(VariableId),
    Equal { variable: VariableId, text: ComplexValue, negated: bool },
    Match { variable: VariableId, regex: Regex, negated: bool },
    File { test: FileTest, path: ComplexValue, negated: bool },
}

impl Condition {
    /// Looks the names up. `None`: PCRE refuses the expression.
    pub(super) fn compile(parsed: condition::Parsed, table: &Table) -> Option<Condition> {
        Some(match parsed {
            condition::Parsed::Variable(name) => Condition::Variable(table.id(name)),
            condition::Parsed::Equal { name, text, negated } => {
                Condition::Equal { variable: table.id(name), text: ComplexValue::compile(text, table), negated }
            }
            condition::Parsed::Match { name, pattern, caseless, negated } => {
                let variable = table.id(name);
                Condition::Match { variable, regex: Regex::compile(pattern, caseless, table).ok()?, negated }
            }
            condition::Parsed::File { test, path, negated } => {
                Condition::File { test, path: ComplexValue::compile(path, table), negated }
            }
        })
    }

    /// Whether a condition holds. Where that is not known, it is asked: both answers are possible.
    pub(super) fn test<'a>(
        &'a self,
        origin: Origin,
        quoting: Quoting,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
    ) -> Flow<bool> {
        ControlFlow::Continue(match self {
            Condition::Variable(variable) => match variables::value(r, cx, *variable) {
                Value::Text(text) => !text.is_empty() && &*text != b"0",
                Value::NotFound => false,
                Value::Unknown(why) => variables::is_never_empty(&why) || ask(cx, &why, *variable, "", origin),
            },
            Condition::Equal { variable, text, negated } => {
                let value = variables::value(r, cx, *variable);
                let equal = match (value, text.scripted(quoting, r, cx)) {
                    (_, Evaluated::Overrun) => return variables::overrun(cx),
                    (Value::Unknown(why), _) | (_, Evaluated::Unknown(why)) => {
                        let test = format!(" = {}", variables::shown(text.source()));
                        ask(cx, &why, *variable, &test, origin)
                    }
                    (Value::Text(value), Evaluated::Text(text)) => *value == *text,
                    (Value::NotFound, Evaluated::Text(text)) => text.is_empty(),
                };
                equal != *negated
            }
            Condition::Match { variable, regex, negated } => {
                let matched = match variables::value(r, cx, *variable) {
                    Value::Unknown(why) => {
                        let test = format!(" ~ {}", variables::shown(regex.source()));
                        let matched = ask(cx, &why, *variable, &test, origin);
                        if matched {
                            regex.assume_match(&mut r.vars, &why);
                        }
                        matched
                    }
                    Value::NotFound => exec(regex, b"", origin, r, cx)?,
                    Value::Text(text) => exec(regex, &text, origin, r, cx)?,
                };
                if !matched {
                    r.vars.clear_captures();
                }
                matched != *negated
            }
            Condition::File { test, path, negated } => {
                let path = match path.scripted(quoting, r, cx) {
                    Evaluated::Text(path) => path_from(path.into_owned()),
                    Evaluated::Overrun => return variables::overrun(cx),
                    Evaluated::Unknown(why) => {
                        let subject = format!("-{} {}", test.letter(), variables::shown(path.source()));
                        let question = Question::at(Subject::Variable(subject.clone()), why.origin.or(Some(origin)));
                        let alternatives = [format!("`{subject}` is false"), format!("`{subject}` is true")];
                        let holds = cx.inquiry.choose(question, &[&alternatives[0], &alternatives[1]]) == 1;
                        return ControlFlow::Continue(holds != *negated);
                    }
                };
                file_test(*test, &path, r, cx)? != *negated
            }
        })
    }

    /// The variable that it looks at; a file test looks at none.
    pub(super) fn variable(&self) -> Option<VariableId> {
        match *self {
            Condition::Variable(variable) | Condition::Equal { variable, .. } | Condition::Match { variable, .. } => {
                Some(variable)
            }
            Condition::File { .. } => None,
        }
    }
}

fn exec(regex: &Regex, subject: &[u8], origin: Origin, r: &mut HttpRequest, cx: &mut Cx) -> Flow<bool> {
    match regex.exec(&mut r.vars, subject) {
        Ok(matched) => ControlFlow::Continue(matched),
        Err(question) => cx.unknown(Question { origin: Some(origin), ..question }),
    }
}

/// Asks whether a test of a variable holds. The subject names what is not known and the test, so that the same test asked
/// again, or negated, has the same answer.
fn ask(cx: &mut Cx, why: &Question, variable: VariableId, test: &str, origin: Origin) -> bool {
    let name = match &why.subject {
        Subject::Variable(name) => name.clone(),
        _ => variables::shown(cx.variables.name(variable)),
    };
    // What is not known is a variable, or a whole text with variables in it.
    let sign = if name.contains('$') { "" } else { "$" };
    let alternatives = if test.is_empty() {
        [format!("`{sign}{name}` is empty or 0"), format!("`{sign}{name}` is neither empty nor 0")]
    } else {
        [format!("`{sign}{name}{test}` is false"), format!("`{sign}{name}{test}` is true")]
    };
    let question = Question::at(Subject::Variable(format!("{name}{test}")), Some(origin));
    cx.inquiry.choose(question, &[&alternatives[0], &alternatives[1]]) == 1
}

/// `ngx_http_script_file_code`: stat(2) as the worker; any error is "no".
fn file_test<'a>(test: FileTest, path: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
    let stat = match lookup(path, r, cx)? {
        Found::Stat(stat) => stat,
        Found::Denied(_) => return ControlFlow::Continue(false),
    };
    ControlFlow::Continue(match test {
        FileTest::File => stat.kind == FileKind::Regular,
        FileTest::Directory => stat.kind == FileKind::Directory,
        FileTest::Exists => matches!(stat.kind, FileKind::Regular | FileKind::Directory | FileKind::Symlink),
        FileTest::Executable => match stat.mode {
            Some(mode) => mode & 0o100 != 0,
            None => {
                let question = Question::new(Subject::Permission(path.to_path_buf()));
                let shown = path.display();
                let alternatives = [format!("`{shown}` is not executable"), format!("`{shown}` is executable")];
                cx.inquiry.choose(question, &[&alternatives[0], &alternatives[1]]) == 1
            }
        },
    })
}

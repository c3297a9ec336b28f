//! The rewrite module (`ngx_http_rewrite_module.c`, `ngx_http_script.c`): `if`, `set`, `rewrite`, `return`, `break` of a
//! block, compiled into one program that runs from top to bottom.
//!
//! The body of an `if` belongs to the program of its block; at location level a condition that holds also makes the
//! record of the `if` the one in force, until another `if` does. An expression that fails empties `$1`…, here and nowhere
//! else. While nothing was rewritten, captures are copied escaped if the raw path held a `%` or a `+`
//! (case: `set-escapes-captures`).

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::complex::{self, Assembled, ComplexValue, Evaluated, Part, Quoting};
use super::include::{Loaded, Placed};
use super::mapping::path_from;
use super::model::LocConf;
use super::phases::content::{Found, lookup};
use super::request::{Cx, Entity, Failure, Flow, HttpRequest, Leave, Sent, error};
use super::variables::{self, Definition, Regex, Table, Value, VariableId};
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::fs::FileKind;
use crate::outcome::{Decision, Related};
use crate::source::Origin;
use crate::trace::nginx::Event;

pub mod condition;

use condition::FileTest;

/// The program of a block.
#[derive(Debug)]
pub struct Program {
    steps: Box<[Step]>,
}

#[derive(Debug)]
struct Step {
    origin: Origin,
    op: Op,
}

#[derive(Debug)]
enum Op {
    Set {
        variable: VariableId,
        value: ComplexValue,
    },
    /// `next`: the step behind the body.
    If {
        condition: Condition,
        conf: Option<Arc<LocConf>>,
        next: usize,
    },
    Rewrite(Box<Rewrite>),
    Return(Box<Return>),
    Break,
}

#[derive(Debug)]
enum Condition {
    Variable(VariableId),
    Equal { variable: VariableId, text: ComplexValue, negated: bool },
    Match { variable: VariableId, regex: Regex, negated: bool },
    File { test: FileTest, path: ComplexValue, negated: bool },
}

#[derive(Debug)]
struct Rewrite {
    regex: Regex,
    replacement: Box<[Part]>,
    /// The old query is kept.
    add_args: bool,
    /// The literal part of a redirect has a query of its own.
    has_args: bool,
    /// Room is measured before copying (`lengths`).
    measured: bool,
    /// 301 or 302.
    redirect: Option<u16>,
    /// `break`.
    break_cycle: bool,
    /// The program ends here if the expression matched.
    last: bool,
}

#[derive(Debug)]
struct Return {
    status: u16,
    /// A text or, of a redirect, its target.
    text: Option<ComplexValue>,
    /// It stands inside an `if`.
    conditional: bool,
}

/// Compiles the directives of one block, in order.
#[derive(Debug, Default)]
pub struct Builder {
    steps: Vec<Step>,
    /// The directive is inside an `if`.
    inside: bool,
}

/// An `if` whose body is being read.
#[derive(Debug)]
pub struct OpenIf(Option<usize>);

impl Builder {
    /// Adds a `set`, `rewrite`, `return` or `break`. What nginx refuses is left out.
    pub fn push(&mut self, placed: Placed<'_>, loaded: &Loaded, table: &mut Table) {
        let words: Vec<&[u8]> = placed.args.iter().map(|word| word.value(&loaded.sources)).collect();
        let op = match (placed.name.value(&loaded.sources), &*words) {
            (b"set", &[name, value]) => set(name, value, placed.origin(), table),
            (b"rewrite", &[pattern, replacement]) => rewrite(pattern, replacement, b"", table),
            (b"rewrite", &[pattern, replacement, flag]) => rewrite(pattern, replacement, flag, table),
            (b"return", &[code]) => return_op(code, None, self.inside, table),
            (b"return", &[code, text]) => return_op(code, Some(text), self.inside, table),
            (b"break", []) => Some(Op::Break),
            _ => None,
        };
        self.steps.extend(op.map(|op| Step { origin: placed.origin(), op }));
    }

    /// Adds an `if`; the directives of its body follow, then [`end_if`](Self::end_if).
    pub fn begin_if(&mut self, placed: Placed<'_>, loaded: &Loaded, table: &mut Table) -> OpenIf {
        let words: Vec<&[u8]> = placed.args.iter().map(|word| word.value(&loaded.sources)).collect();
        self.inside = true;
        let condition = condition::parse(&words).ok().and_then(|parsed| compile_condition(parsed, table));
        let Some(condition) = condition else { return OpenIf(None) };
        let op = Op::If { condition, conf: None, next: 0 };
        self.steps.push(Step { origin: placed.origin(), op });
        OpenIf(Some(self.steps.len() - 1))
    }

    /// Ends an `if`. `conf`: its record, at location level.
    pub fn end_if(&mut self, open: OpenIf, conf: Option<Arc<LocConf>>) {
        self.inside = false;
        let end = self.steps.len();
        if let Some(Step { op: Op::If { conf: slot, next, .. }, .. }) = open.0.map(|at| &mut self.steps[at]) {
            *slot = conf;
            *next = end;
        }
    }

    /// The program, or `None` for a block without directives of this module.
    pub fn finish(self) -> Option<Program> {
        (!self.steps.is_empty()).then(|| Program { steps: self.steps.into() })
    }
}

fn set(name: &[u8], value: &[u8], origin: Origin, table: &mut Table) -> Option<Op> {
    let variable = table.define(name.strip_prefix(b"$")?, Definition::Set, Some(origin));
    Some(Op::Set { variable, value: ComplexValue::compile(value, table) })
}

/// Whether a replacement or the text of a `return` says by itself that it is a redirect.
fn is_url(text: &[u8]) -> bool {
    text.starts_with(b"http://") || text.starts_with(b"https://") || text.starts_with(b"$scheme")
}

fn rewrite(pattern: &[u8], replacement: &[u8], flag: &[u8], table: &mut Table) -> Option<Op> {
    let regex = Regex::compile(pattern, false, table).ok()?;
    let (text, add_args) = replacement.strip_suffix(b"?").map_or((replacement, true), |text| (text, false));
    let redirect = match flag {
        b"permanent" => Some(301),
        b"redirect" => Some(302),
        _ => is_url(text).then_some(302),
    };
    let parts = complex::compile_parts(text, table, redirect.is_none());
    let mut seen = [false; 10];
    let repeated = parts.iter().any(|part| match part {
        Part::Capture(group) => std::mem::replace(&mut seen[group % 10], true),
        _ => false,
    });
    let has_variable = parts.iter().any(|part| matches!(part, Part::Variable(_)));
    let has_args = parts.iter().any(|part| match part {
        Part::Text(text) => text.contains(&b'?'),
        _ => false,
    });
    Some(Op::Rewrite(Box::new(Rewrite {
        regex,
        add_args,
        has_args,
        measured: has_variable || repeated,
        redirect,
        break_cycle: flag == b"break",
        last: redirect.is_some() || !flag.is_empty(),
        replacement: parts,
    })))
}

fn return_op(code: &[u8], text: Option<&[u8]>, conditional: bool, table: &mut Table) -> Option<Op> {
    let (status, text) = match super::inet::atoi(code) {
        Some(status) => (u16::try_from(status).ok().filter(|status| *status <= 999)?, text),
        None if text.is_none() && is_url(code) => (302, Some(code)),
        None => return None,
    };
    let text = text.map(|text| ComplexValue::compile(text, table));
    Some(Op::Return(Box::new(Return { status, text, conditional })))
}

fn compile_condition(parsed: condition::Parsed, table: &mut Table) -> Option<Condition> {
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

/// Runs the program of a block (`ngx_http_rewrite_handler`).
pub fn run<'a>(program: &'a Program, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let mut quoting = Quoting { quote: true, is_args: false };
    // The `if` whose body is being run, for blame.
    let mut branch: Option<(&'a Step, usize)> = None;
    let mut at = 0;
    while let Some(step) = program.steps.get(at) {
        at += 1;
        match &step.op {
            Op::Set { variable, value } => {
                let value = match value.scripted(quoting, r, cx) {
                    Evaluated::Text(text) => Value::text(text),
                    Evaluated::Unknown(question) => Value::Unknown(question),
                    Evaluated::Overrun => return variables::overrun(cx),
                };
                variables::assign(r, cx, *variable, value, Some(step.origin))?;
            }
            Op::If { condition, conf, next } => {
                let holds = test(condition, step.origin, quoting, r, cx)?;
                cx.push("rewrite", Some(step.origin), || Event::If { holds });
                if !holds {
                    at = *next;
                    continue;
                }
                branch = Some((step, *next));
                if let Some(conf) = conf {
                    r.switch_conf(conf);
                }
            }
            Op::Rewrite(rewrite) => {
                if !run_rewrite(rewrite, step.origin, r, cx)? {
                    continue;
                }
                quoting = Quoting::default();
                if rewrite.last {
                    break;
                }
            }
            Op::Return(answer) => {
                let branch = branch.filter(|(_, end)| at <= *end).map(|(step, _)| step);
                return run_return(answer, step.origin, branch, r, cx);
            }
            Op::Break => {
                if r.uri_changed {
                    r.valid_location = false;
                    r.uri_changed = false;
                }
                break;
            }
        }
    }
    ControlFlow::Continue(())
}

/// Whether the expression matched. A redirect leaves.
fn run_rewrite<'a>(rewrite: &'a Rewrite, origin: Origin, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
    let matched = match rewrite.regex.exec(&mut r.vars, &r.uri) {
        Ok(matched) => matched,
        Err(question) => return cx.unknown(Question { origin: Some(origin), ..question }),
    };
    if !matched {
        r.vars.clear_captures();
        return ControlFlow::Continue(false);
    }
    r.internal = true;
    r.uri_changed = !rewrite.break_cycle;
    if rewrite.break_cycle {
        r.valid_location = false;
    }
    let quoting = Quoting { quote: rewrite.redirect.is_some(), is_args: false };
    let leads_away = |r: &HttpRequest| Decision::new(causes::REWRITE_REDIRECT).by(Some(origin)).with(r.related());
    let (mut text, args) = match complex::assemble(&rewrite.replacement, quoting, rewrite.measured, r, cx) {
        Assembled::Text { text, args } => (text, args),
        Assembled::Overrun => return variables::overrun(cx),
        Assembled::Unknown(_) if rewrite.redirect.is_some() => {
            return redirect(rewrite.redirect.unwrap_or(302), None, leads_away(r));
        }
        Assembled::Unknown(question) => return cx.unknown(Question { origin: Some(origin), ..question }),
    };
    if let Some(status) = rewrite.redirect {
        text = unescape_redirect(&text);
        if rewrite.add_args && !r.args.is_empty() {
            text.push(if rewrite.has_args { b'&' } else { b'?' });
            text.extend_from_slice(&r.args);
        }
        return redirect(status, Some(text), leads_away(r));
    }
    match args {
        Some(args) => {
            let mut query = text.split_off(args);
            if rewrite.add_args && !r.args.is_empty() {
                query.push(b'&');
                query.extend_from_slice(&r.args);
            }
            r.args = query;
        }
        None if !rewrite.add_args => r.args.clear(),
        None => {}
    }
    r.uri = text;
    cx.push("rewrite", Some(origin), || Event::Rewrite { uri: r.uri.clone() });
    if r.uri.is_empty() {
        let decision = Decision::new(causes::REWRITE_EMPTY).by(Some(origin)).with(r.related());
        return error(500, decision);
    }
    ControlFlow::Continue(true)
}

fn redirect<T>(status: u16, location: Option<Vec<u8>>, decision: Decision) -> Flow<T> {
    ControlFlow::Break(Leave::Error(Failure { status, decision: Box::new(decision), location }))
}

/// `ngx_unescape_uri` with NGX_UNESCAPE_REDIRECT: `%` and two digits become the byte they stand for, if that is above `%`
/// and below 0x7f; what follows the first `?` is left alone.
fn unescape_redirect(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'?' {
            plain.push(byte);
            plain.extend_from_slice(rest);
            break;
        }
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|&byte| char::from(byte).to_digit(16));
        match (digit(0), digit(1)) {
            (Some(high), Some(low)) => {
                let decoded = (high * 16 + low) as u8;
                match decoded {
                    // A question mark whose second digit is a letter, `%3F` and `%3f`, begins the query.
                    b'?' => {
                        plain.push(b'?');
                        plain.extend_from_slice(&rest[2..]);
                        return plain;
                    }
                    b'&'..=b'~' => plain.push(decoded),
                    _ => plain.extend_from_slice(&[b'%', rest[0], rest[1]]),
                }
                rest = &rest[2..];
            }
            // The `%` is dropped, and with it the first digit where there was one.
            (Some(_), None) => rest = rest.get(2..).unwrap_or_default(),
            (None, _) => {
                if let Some((&next, tail)) = rest.split_first() {
                    plain.push(next);
                    rest = tail;
                }
            }
        }
    }
    plain
}

fn run_return<'a>(
    answer: &'a Return,
    origin: Origin,
    branch: Option<&'a Step>,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow {
    let status = answer.status;
    let cause = match (status, answer.conditional) {
        (403, true) => causes::RETURN_403_IF,
        (403, false) => causes::RETURN_403,
        _ => causes::RETURN,
    };
    let mut decision = Decision::new(cause).by(Some(origin)).with(r.related());
    if let Some(step) = branch {
        decision.related.extend(fed_by(step, r, cx));
    }
    // A literal empty text counts as none.
    let text = answer.text.as_ref().filter(|text| text.as_literal().is_none_or(|text| !text.is_empty()));
    match (status, text) {
        (301..=303 | 307 | 308, text) => match text.map(|text| text.value(r, cx)) {
            Some(Evaluated::Text(text)) => redirect(status, Some(text.into_owned()), decision),
            Some(Evaluated::Overrun) => variables::overrun(cx),
            // Where it leads is not known, but that it is a redirect is.
            Some(Evaluated::Unknown(_)) | None => redirect(status, None, decision),
        },
        // 444, 408 and 499 close the connection, but a text makes them statuses like any other.
        (408 | 444 | 499, None) => {
            decision.cause = causes::RETURN_CLOSE;
            ControlFlow::Break(Leave::Closed(Box::new(decision)))
        }
        (400.., None) => error(status, decision),
        (_, text) => {
            let length = match text.map(|text| text.value(r, cx)) {
                Some(Evaluated::Text(text)) => Some(text.len() as u64),
                // What is sent is not known, but that it is sent is.
                Some(Evaluated::Unknown(_)) => None,
                Some(Evaluated::Overrun) => return variables::overrun(cx),
                None => Some(0),
            };
            let entity = Entity { file: None, length, allow_ranges: false };
            let sent = Sent { status, location: None, decision: Some(Box::new(decision)), entity };
            ControlFlow::Break(Leave::Sent(sent))
        }
    }
}

/// The `if`, and what gave the variable that it looks at its value.
fn fed_by(step: &Step, r: &HttpRequest, cx: &Cx) -> Vec<Related> {
    let mut related = vec![Related { role: "if", origin: step.origin }];
    let Op::If { condition, .. } = &step.op else { return related };
    let variable = match condition {
        Condition::Variable(variable) | Condition::Equal { variable, .. } | Condition::Match { variable, .. } => {
            *variable
        }
        Condition::File { .. } => return related,
    };
    let table = cx.variables;
    let role = match table.definition(variable) {
        Definition::Map(_) => "map",
        Definition::Geo(_) => "geo",
        Definition::SplitClients(_) => "split_clients",
        _ => "set",
    };
    let origin = match table.definition(variable) {
        Definition::Builtin(row) if row.name == "invalid_referer" => r.conf.referer.origin,
        _ => r.vars.origin(variable),
    };
    related.extend(origin.map(|origin| Related { role, origin }));
    related
}

/// Whether a condition holds. Where that is not known, it is asked: both answers are possible.
fn test<'a>(
    condition: &'a Condition,
    origin: Origin,
    quoting: Quoting,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow<bool> {
    ControlFlow::Continue(match condition {
        Condition::Variable(variable) => match variables::value(r, cx, *variable) {
            Value::Text(text) => !text.is_empty() && &*text != b"0",
            Value::NotFound => false,
            Value::Unknown(why) => ask(cx, &why, *variable, "", origin),
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
    let alternatives = if test.is_empty() {
        [format!("`${name}` is empty or 0"), format!("`${name}` is neither empty nor 0")]
    } else {
        [format!("`${name}{test}` is false"), format!("`${name}{test}` is true")]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_unescaped_up_to_the_query() {
        // Recorded: `rewrite ^/ TEXT`, and the Location of the answer.
        for (text, location) in [
            ("http://h/a%2Db%20c", "http://h/a-b%20c"),
            ("http://h/a%25b", "http://h/a%25b"),
            ("http://h/a?b=%2D", "http://h/a?b=%2D"),
            ("http://h/%7e%7F", "http://h/~%7F"),
            ("http://h/%3Fx%2D", "http://h/?x%2D"),
            ("http://h/%zz%4", "http://h/zz"),
            ("http://h/%4z-", "http://h/-"),
        ] {
            assert_eq!(unescape_redirect(text.as_bytes()), location.as_bytes(), "{text}");
        }
    }
}

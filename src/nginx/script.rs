//! The rewrite module (`ngx_http_rewrite_module.c`, `ngx_http_script.c`): `if`, `set`, `rewrite`, `return`, `break` of a
//! block, compiled into one program that runs from top to bottom.
//!
//! The body of an `if` belongs to the program of its block; at location level a condition that holds also makes the
//! record of the `if` the one in force, until another `if` does. An expression that fails empties `$1`…, here and nowhere
//! else. While nothing was rewritten, captures are copied escaped if the raw path held a `%` or a `+`
//! (case: `set-escapes-captures`).

use std::ops::ControlFlow;
use std::sync::Arc;

use super::complex::{ComplexValue, Evaluated, Quoting};
use super::include::{Loaded, Placed};
use super::model::LocConf;
use super::request::{Cx, Failure, Flow, HttpRequest, Leave};
use super::variables::{self, Table, Value, VariableId};
use crate::outcome::Decision;
use crate::source::Origin;
use crate::trace::nginx::Event;

mod answer;
pub mod condition;
mod rewrite;
mod test;

use answer::Return;
use rewrite::Rewrite;
use test::Condition;

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
    pub fn push(&mut self, placed: Placed<'_>, loaded: &Loaded, table: &Table) {
        let words: Vec<&[u8]> = placed.args().map(|word| word.value(&loaded.sources)).collect();
        let op = match (placed.name().value(&loaded.sources), &*words) {
            (b"set", &[name, value]) => set(name, value, table),
            (b"rewrite", &[pattern, replacement]) => {
                Rewrite::compile(pattern, replacement, b"", table).map(Op::Rewrite)
            }
            (b"rewrite", &[pattern, replacement, flag]) => {
                Rewrite::compile(pattern, replacement, flag, table).map(Op::Rewrite)
            }
            (b"return", &[code]) => Return::compile(code, None, self.inside, table).map(Op::Return),
            (b"return", &[code, text]) => Return::compile(code, Some(text), self.inside, table).map(Op::Return),
            (b"break", []) => Some(Op::Break),
            _ => None,
        };
        self.steps.extend(op.map(|op| Step { origin: placed.origin(), op }));
    }

    /// Adds an `if`; the directives of its body follow, then [`end_if`](Self::end_if).
    pub fn begin_if(&mut self, placed: Placed<'_>, loaded: &Loaded, table: &Table) -> OpenIf {
        let words: Vec<&[u8]> = placed.args().map(|word| word.value(&loaded.sources)).collect();
        self.inside = true;
        let condition = condition::parse(&words).ok().and_then(|parsed| Condition::compile(parsed, table));
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

fn set(name: &[u8], value: &[u8], table: &Table) -> Option<Op> {
    let variable = table.id(name.strip_prefix(b"$")?);
    Some(Op::Set { variable, value: ComplexValue::compile(value, table) })
}

/// Runs the program of a block (`ngx_http_rewrite_handler`).
pub fn run<'a>(program: &'a Program, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let mut quoting = Quoting { quote: true, is_args: false };
    // The `if` that held last, and the end of its body: the one to blame for a `return` in it.
    let mut branch: Option<(answer::Branch, usize)> = None;
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
                let holds = condition.test(step.origin, quoting, r, cx)?;
                cx.push("rewrite", Some(step.origin), || Event::If { holds });
                if !holds {
                    at = *next;
                    continue;
                }
                branch = Some(((step.origin, condition), *next));
                if let Some(conf) = conf {
                    r.switch_conf(conf);
                }
            }
            Op::Rewrite(rewrite) => {
                if !rewrite.run(step.origin, r, cx)? {
                    continue;
                }
                quoting = Quoting::default();
                if rewrite.last {
                    break;
                }
            }
            Op::Return(answer) => {
                let branch = branch.filter(|(_, end)| at <= *end).map(|(branch, _)| branch);
                return answer.run(step.origin, branch, r, cx);
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

/// Whether a replacement or the text of a `return` says by itself that it is a redirect.
fn is_url(text: &[u8]) -> bool {
    text.starts_with(b"http://") || text.starts_with(b"https://") || text.starts_with(b"$scheme")
}

/// A redirect; `None`: where it leads is not known.
fn redirect<T>(status: u16, location: Option<Vec<u8>>, decision: Decision) -> Flow<T> {
    ControlFlow::Break(Leave::Error(Failure { status, decision: Box::new(decision), location }))
}

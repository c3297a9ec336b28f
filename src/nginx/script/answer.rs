//! `return CODE [TEXT]`: the request ends here.
//!
//! A status from 400 on without a text, and every redirect, is an error that an `error_page` may catch; anything else is
//! sent as it is.

use std::ops::ControlFlow;

use super::super::complex::{ComplexValue, Evaluated};
use super::super::inet;
use super::super::request::{ContentType, Cx, Entity, Flow, HttpRequest, Leave, Sent, error};
use super::super::variables::{self, Definition, Table};
use super::test::Condition;
use super::{is_url, redirect};
use crate::cause::nginx as causes;
use crate::outcome::{Decision, Related};
use crate::source::Origin;
use crate::trace::{Event, nginx};

/// The `if` that a `return` stands in: its place and its condition.
pub(super) type Branch<'a> = (Origin, &'a Condition);

/// A `return`.
#[derive(Debug)]
pub(super) struct Return {
    status: u16,
    /// A text or, of a redirect, its target.
    text: Option<ComplexValue>,
    /// It stands inside an `if`.
    conditional: bool,
}

impl Return {
    /// Reads the arguments. `None`: nginx refuses them.
    pub(super) fn compile(code: &[u8], text: Option<&[u8]>, conditional: bool, table: &Table) -> Option<Box<Return>> {
        let (status, text) = match inet::atoi(code) {
            Some(status) => (u16::try_from(status).ok().filter(|status| *status <= 999)?, text),
            None if text.is_none() && is_url(code) => (302, Some(code)),
            None => return None,
        };
        let text = text.map(|text| ComplexValue::compile(text, table));
        Some(Box::new(Return { status, text, conditional }))
    }

    /// Ends the request.
    pub(super) fn run<'a>(
        &'a self,
        origin: Origin,
        branch: Option<Branch<'a>>,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
    ) -> Flow {
        let status = self.status;
        let inside_if = self.conditional;
        cx.trace.push("rewrite", Some(origin), || Event::Nginx(nginx::Event::Return { status, inside_if }));
        let cause = match (status, self.conditional) {
            (403, true) => causes::RETURN_403_IF,
            (403, false) => causes::RETURN_403,
            _ => causes::RETURN,
        };
        let mut decision = Decision::new(cause).by(Some(origin)).with(r.related());
        if decision.is_waived(cx.inquiry) {
            return ControlFlow::Continue(());
        }
        if let Some((origin, condition)) = branch {
            decision.related.extend(fed_by(origin, condition, r, cx));
        }
        // A literal empty text counts as none.
        let text = self.text.as_ref().filter(|text| text.as_literal().is_none_or(|text| !text.is_empty()));
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
                let entity = Entity { length, content_type: ContentType::Uri, ..Entity::default() };
                let sent = Sent { status, location: None, decision: Some(Box::new(decision)), entity };
                ControlFlow::Break(Leave::Sent(sent))
            }
        }
    }
}

/// The `if`, and what gave the variable that it looks at its value.
fn fed_by(origin: Origin, condition: &Condition, r: &HttpRequest, cx: &Cx) -> Vec<Related> {
    let mut related = vec![Related { role: "if", origin }];
    let Some(variable) = condition.variable() else { return related };
    let definition = cx.variables.definition(variable);
    let role = match definition {
        Definition::Map(_) => "map",
        Definition::Geo(_) => "geo",
        Definition::SplitClients(_) => "split_clients",
        Definition::Builtin(_) => "valid_referers",
        _ => "set",
    };
    let origin = match definition {
        Definition::Builtin(row) if row.name == "invalid_referer" => r.conf.referer.origin,
        _ => r.vars.origin(variable),
    };
    related.extend(origin.map(|origin| Related { role, origin }));
    related
}

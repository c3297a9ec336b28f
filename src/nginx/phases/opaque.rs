//! Directives that may change the answer and are not simulated: the run ends as unknown at the phase in which they act,
//! unless an earlier one has decided.

use std::ops::ControlFlow;

use super::super::model::{Opaque, OpaquePhase};
use super::super::request::{Cx, Flow, HttpRequest};
use crate::fact::{Question, Subject};
use crate::trace::nginx::Event;

pub(super) use super::super::model::OpaquePhase as Phase;

/// Before server rewrite: those in force for the whole server whose phase is not known, or is this one.
pub(super) fn server<'a>(r: &HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    ask(&r.server.conf.opaque, OpaquePhase::ServerRewrite, cx)
}

/// Those of the record in force that act in this phase.
pub(super) fn location<'a>(r: &HttpRequest<'a>, cx: &mut Cx<'a>, phase: OpaquePhase) -> Flow {
    ask(&r.conf.opaque, phase, cx)
}

fn ask(opaque: &[Opaque], phase: OpaquePhase, cx: &mut Cx) -> Flow {
    let Some(directive) = opaque.iter().find(|directive| directive.phase == phase) else {
        return ControlFlow::Continue(());
    };
    cx.push(phase.name(), Some(directive.origin), || Event::Opaque { name: directive.name.to_vec() });
    let name = String::from_utf8_lossy(&directive.name).into_owned();
    cx.unknown(Question::at(Subject::Opaque(name), Some(directive.origin)))
}

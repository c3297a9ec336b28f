//! Server rewrite and location rewrite: the rewrite module's program of the server, then of the location.

use std::ops::ControlFlow;

use super::super::request::{Cx, Flow, HttpRequest};
use super::super::script;
use super::opaque;

/// The server's program, once for every pass through this phase.
pub(super) fn server_rewrite<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    match &r.server.conf.program {
        Some(program) => script::run(program, r, cx),
        None => ControlFlow::Continue(()),
    }
}

/// The program of the record in force; a request that matched no location has none (the server's ran already).
pub(super) fn rewrite<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    opaque::location(r, cx, opaque::Phase::Rewrite)?;
    match &r.conf.program {
        Some(program) if r.location.is_some() => script::run(program, r, cx),
        _ => ControlFlow::Continue(()),
    }
}

//! `ngx_http_auth_request_module`: a subrequest decides. It runs every phase but access, so `deny` in its own location has
//! no effect, and its own `error_page` may turn a refusal into a success.

use std::ops::ControlFlow;

use super::super::complex::{ComplexValue, Evaluated};
use super::super::request::{Cx, Ending, Flow, HttpRequest, Leave, error};
use super::super::variables::{self, Value, VariableId};
use super::access::Handled;
use super::{Entry, loopback, run};
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::outcome::{Decision, Outcome};
use crate::source::Setting;
use crate::trace::nginx::Event;

pub(super) fn auth_request_handler<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Handled> {
    let auth = &r.conf.auth;
    let Some(uri) = &auth.request.value else { return ControlFlow::Continue(Handled::Declined) };
    let origin = auth.request.origin;
    let mut subrequest = r.subrequest(uri.to_vec());
    let mut ending = run(&mut subrequest, cx, ControlFlow::Continue(Entry::ServerRewrite));
    subrequest.back_end_asked |= ending.outcome == Outcome::Upstream;
    if ending.outcome == Outcome::Upstream
        && let Some(answer) = loopback::answer(&mut subrequest, cx)?
    {
        // A connection that is closed without an answer is a bad gateway.
        let outcome = if answer.outcome == Outcome::Closed { Outcome::Response(502) } else { answer.outcome };
        ending = Ending { outcome, ..answer };
    }
    let status = match ending.outcome {
        Outcome::Response(status) => status,
        Outcome::Closed => {
            let mut decision = Decision::new(causes::AUTH_REQUEST_CLOSED).by(origin);
            decision.inner = ending.decision;
            return ControlFlow::Break(Leave::Closed(Box::new(decision)));
        }
        Outcome::Upstream => {
            // The back end's status is one of four kinds; nothing else about it matters here.
            let shown = String::from_utf8_lossy(uri).into_owned();
            let question = Question::at(Subject::Upstream(format!("the back end behind {shown}")), origin);
            let alternatives = ["answers 2xx", "answers 403", "answers 401", "answers anything else"]
                .map(|answer| format!("the back end behind {shown} {answer}"));
            match cx.inquiry.choose(question, &alternatives.each_ref().map(String::as_str)) {
                0 => 200,
                1 => 403,
                2 => 401,
                _ => 500,
            }
        }
        Outcome::Refused | Outcome::Unknown => return ControlFlow::Break(Leave::Unknown),
    };
    cx.push("access", origin, || Event::AuthRequest { uri: uri.to_vec(), status });
    set_variables(&auth.request_set, status, &mut subrequest, cx)?;
    r.vars.take_back(subrequest.vars);
    let decided = |cause| {
        let mut decision = Decision::new(cause).by(origin).with(r.related());
        decision.inner = ending.decision.clone();
        decision.event = Some(crate::trace::Event::Nginx(Event::AuthRequest { uri: uri.to_vec(), status }));
        decision
    };
    match status {
        403 => ControlFlow::Continue(Handled::Status(403, Box::new(decided(causes::AUTH_REQUEST_403)))),
        401 => ControlFlow::Continue(Handled::Status(401, Box::new(decided(causes::AUTH_REQUEST_401)))),
        200..=299 => ControlFlow::Continue(Handled::Ok),
        _ => {
            let mut decision = decided(causes::AUTH_REQUEST_UNEXPECTED);
            decision.log = Some(format!("auth request unexpected status: {status}"));
            error(500, decision)
        }
    }
}

/// `auth_request_set` of the location that asks: the values are those of the subrequest, whose header is sent by now.
fn set_variables<'a>(
    settings: &'a [Setting<(VariableId, ComplexValue)>],
    status: u16,
    subrequest: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow {
    subrequest.err_status.get_or_insert(status);
    subrequest.header_sent = true;
    for set in settings {
        let (id, value) = &set.value;
        let value = match value.value(subrequest, cx) {
            Evaluated::Text(text) => Value::text(text),
            Evaluated::Unknown(question) => Value::Unknown(question),
            Evaluated::Overrun => return variables::overrun(cx),
        };
        subrequest.vars.set(*id, value, set.origin);
    }
    ControlFlow::Continue(())
}

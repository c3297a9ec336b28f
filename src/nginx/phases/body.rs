//! Reading the body of a request (`ngx_http_read_client_request_body`): one that is sent in chunks has no length that
//! could be judged before, so it may turn out to be too large for the handler that reads it.

use std::ops::ControlFlow;

use super::super::request::{Cx, Flow, HttpRequest, error};
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;

/// Asks whether a chunked body keeps within `client_max_body_size`. The body is the main request's and is read once.
pub(super) fn read<'a>(r: &mut HttpRequest<'a>, cx: &Cx<'a>) -> Flow {
    let limit = &r.conf.core.client_max_body_size;
    let fresh = !std::mem::replace(&mut r.body_read, true);
    if !fresh || !r.chunked || r.depth > 0 || limit.value == 0 {
        return ControlFlow::Continue(());
    }
    let question = Question::at(Subject::Other("the length of the chunked body".to_owned()), limit.origin);
    let within = format!("the chunked body has at most {} bytes", limit.value);
    let beyond = format!("the chunked body has more than {} bytes", limit.value);
    if cx.inquiry.choose(question, &[&within, &beyond]) == 0 {
        return ControlFlow::Continue(());
    }
    let mut decision = Decision::new(causes::BODY_TOO_LARGE).with(r.related());
    decision.default = limit.origin.is_none();
    decision.directive = limit.origin.or(Some(r.block_origin()));
    decision.log = Some("client intended to send too large chunked body".to_owned());
    error(413, decision)
}

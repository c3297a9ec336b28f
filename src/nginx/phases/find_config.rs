//! Find config: choosing the location, and what is checked at once (`ngx_http_core_find_config_phase`).

use std::ops::ControlFlow;

use super::super::location::{Chosen, find_location};
use super::super::request::{Cx, Failure, Flow, HttpRequest, Leave, error};
use crate::cause::nginx as causes;
use crate::outcome::Decision;
use crate::trace::nginx::Event;

pub(super) fn find_config<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    const PHASE: &str = "find config";
    r.content_handler = None;
    r.uri_changed = false;
    let chosen = find_location(r, cx)?;
    match r.location {
        Some(location) => cx.push(PHASE, Some(location.origin), || Event::Location { uri: r.uri.clone() }),
        None => cx.push(PHASE, Some(r.server.origin), || Event::NoLocation { uri: r.uri.clone() }),
    }
    let internal = &r.conf.core.internal;
    if internal.value && !r.internal {
        cx.push(PHASE, internal.origin, || Event::Internal);
        return error(404, Decision::new(causes::INTERNAL).by(internal.origin).with(r.related()));
    }
    match r.location {
        Some(location) => r.enter(location),
        None => r.switch_conf(&r.server.conf),
    }
    if let Some(block) = r.limit_except {
        cx.push(PHASE, Some(block.origin), || Event::LimitExcept { method: r.method_name.to_vec() });
    }
    let limit = &r.conf.core.client_max_body_size;
    if let Some(length) = r.content_length
        && limit.value != 0
        && length > limit.value
    {
        cx.push(PHASE, limit.origin, || Event::Body { length, limit: limit.value });
        // The body is discarded, so an error page is not too large again.
        r.content_length = None;
        let mut decision = Decision::new(causes::BODY_TOO_LARGE).with(r.related());
        decision.default = limit.origin.is_none();
        decision.directive = limit.origin.or(Some(r.block_origin()));
        let event = Event::Body { length, limit: limit.value };
        decision.event = Some(crate::trace::Event::Nginx(event));
        return error(413, decision);
    }
    if chosen == Chosen::AutoRedirect
        && let Some(location) = r.location
    {
        let mut target = location.name.to_vec();
        if !r.args.is_empty() {
            target.push(b'?');
            target.extend_from_slice(&r.args);
        }
        let decision = Decision::new(causes::AUTO_REDIRECT).by(Some(location.origin));
        let failure = Failure { status: 301, decision: Box::new(decision), location: Some(target) };
        return ControlFlow::Break(Leave::Error(failure));
    }
    ControlFlow::Continue(())
}

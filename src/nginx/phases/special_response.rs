//! An error becomes a response: `error_page`, and the internal redirect it may cause (`ngx_http_special_response_handler`).

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::super::model::ErrorPage;
use super::super::request::{Cx, Ending, Entity, Failure, Flow, HttpRequest, Leave, Method, Page, Sent};
use super::super::tables::browser::Msie;
use super::try_files::split_args;
use crate::cause::nginx as causes;
use crate::outcome::{Decision, Outcome, Related};
use crate::source::Setting;
use crate::trace::nginx::Event;

const PHASE: &str = "special response";

/// The status as it goes over the wire: nginx's own codes for TLS and header errors are sent as 400.
fn sent_as(status: u16) -> u16 {
    if matches!(status, 494..=497) { 400 } else { status }
}

pub(crate) fn special_response<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, failure: Failure) -> Flow<Infallible> {
    let Failure { status, decision, location } = failure;
    // 444, 408 and 499 close the connection; so does a status that is no error (`try_files … =200`).
    if matches!(status, 444 | 408 | 499) || (status < 300 && !matches!(status, 201 | 204)) {
        return ControlFlow::Break(Leave::Closed(decision));
    }
    r.err_status = Some(status);
    let pages = &r.conf.core.error_pages;
    let matching = pages.iter().find(|page| page.value.status == status);
    if !r.error_page && !pages.is_empty() && r.uri_changes != 0 {
        // Once looked for, no page is used again, whether one was found or not.
        r.error_page = !r.conf.core.recursive_error_pages.value;
        if let Some(page) = matching {
            return error_page(page, status, decision, r, cx);
        }
    } else if let Some(page) = matching {
        cx.push(PHASE, page.origin, || Event::ErrorPageUsed { status });
    }
    let status = if refreshes(r, status) { 200 } else { sent_as(status) };
    r.err_status = Some(status);
    let decision = Some(failed_page(r, decision, status));
    ControlFlow::Break(Leave::Sent(Sent { status, location, decision, entity: Entity::default() }))
}

/// `ngx_http_send_error_page`.
fn error_page<'a>(
    setting: &'a Setting<ErrorPage>,
    status: u16,
    decision: Box<Decision>,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow<Infallible> {
    let page = &setting.value;
    if let Some(overwrite) = page.overwrite.filter(|_| !cx.inquiry.waives(setting.origin, None)) {
        r.err_status = overwrite;
    }
    let uri = page.page.evaluate(r, cx)?;
    cx.push(PHASE, setting.origin, || Event::ErrorPage { status, page: uri.to_vec() });
    let sent = sent_as(status);
    let overwrites = r.err_status.map(sent_as) != Some(sent);
    if r.page.is_none() || r.conf.core.recursive_error_pages.value {
        r.page = Some(Page { origin: setting.origin, original: decision, status: sent, overwrites });
    }
    if uri.starts_with(b"/") {
        let (uri, args) = if page.page.as_literal().is_some() { (&*uri, &*page.args) } else { split_args(&uri) };
        if r.method != Method::HEAD {
            r.method = Method::GET;
            r.method_name = b"GET";
            if r.depth == 0 {
                r.main_method_name = b"GET";
            }
        }
        return r.internal_redirect(cx, uri.to_vec(), args.to_vec(), setting.origin);
    }
    if uri.starts_with(b"@") {
        return r.named_location(cx, &uri, setting.origin);
    }
    let status = match page.overwrite {
        Some(Some(status @ (301 | 302 | 303 | 307 | 308))) => status,
        _ => 302,
    };
    let status = if refreshes(r, status) { 200 } else { status };
    r.err_status = Some(status);
    let mut decision = Decision::new(causes::ERROR_PAGE_REDIRECT).by(setting.origin);
    decision.inner = r.page.take().map(|page| page.original);
    let sent = Sent {
        status,
        location: Some(uri.into_owned()),
        decision: Some(Box::new(decision)),
        entity: Entity::default(),
    };
    ControlFlow::Break(Leave::Sent(sent))
}

/// `msie_refresh on`: old Internet Explorers get a page that refreshes itself instead of a redirect.
fn refreshes(r: &HttpRequest, status: u16) -> bool {
    r.conf.core.msie_refresh.value && matches!(status, 301 | 302) && Msie::of(r) != Msie::No
}

/// The decision behind an error that no page answers any more. Inside a page it is the page's own failure that speaks,
/// unless the original error would have had the same status anyway.
fn failed_page(r: &mut HttpRequest, decision: Box<Decision>, status: u16) -> Box<Decision> {
    let Some(page) = r.page.take() else { return decision };
    if page.status == status && !page.overwrites {
        let mut original = page.original;
        original.related.extend(page.origin.map(|origin| Related { role: "error_page", origin }));
        return original;
    }
    let cause = if status == 403 { causes::ERROR_PAGE_FORBIDDEN } else { causes::ERROR_PAGE_FAILED };
    let mut whole = Decision::new(cause).by(decision.directive);
    whole.default = decision.default;
    whole.path = decision.path.clone();
    whole.log = decision.log.clone();
    whole.related = decision.related.clone();
    whole.related.extend(page.origin.map(|origin| Related { role: "error_page", origin }));
    whole.event = decision.event.clone();
    let mut inner = decision;
    inner.inner = inner.inner.take().or(Some(page.original));
    whole.inner = Some(inner);
    Box::new(whole)
}

/// The header goes out: an error page's status stands above that of the page.
pub(super) fn finish(r: &mut HttpRequest, sent: Sent) -> Ending {
    let Sent { status, location, decision, .. } = sent;
    let status = r.err_status.map_or(status, sent_as);
    let decision = match r.page.take() {
        Some(page) => Some(page_decision(page, status, decision)),
        None => decision,
    };
    let decision = decision.filter(|_| status >= 300);
    Ending { outcome: Outcome::Response(status), decision, location }
}

/// A page was delivered: its status is the original one, the one that `error_page` names, or (`=`) its own.
fn page_decision(page: Page, status: u16, of_page: Option<Box<Decision>>) -> Box<Decision> {
    if page.status == status && !page.overwrites {
        let mut original = page.original;
        original.related.extend(page.origin.map(|origin| Related { role: "error_page", origin }));
        return original;
    }
    if let Some(mut decision) = of_page.filter(|_| page.overwrites && status >= 300) {
        decision.inner = decision.inner.take().or(Some(page.original));
        return decision;
    }
    let is_tls = [causes::PLAIN_ON_TLS_PORT, causes::CLIENT_CERTIFICATE_BAD, causes::CLIENT_CERTIFICATE_MISSING]
        .iter()
        .any(|cause| cause.code == page.original.cause.code);
    let mut decision =
        Decision::new(if is_tls { causes::SSL_ERROR_PAGE } else { causes::ERROR_PAGE_STATUS }).by(page.origin);
    decision.log = page.original.log.clone();
    decision.inner = Some(page.original);
    Box::new(decision)
}

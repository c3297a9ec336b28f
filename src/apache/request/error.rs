//! The end of a request: the status as it is, or what ErrorDocument makes of it (ap_die).

use std::rc::Rc;

use crate::apache::core::{ErrorDocument, has_status_line, is_url};
use crate::apache::expr::Failure;
use crate::apache::headers;
use crate::apache::model::M_GET;
use crate::apache::request::subrequest::internal_redirect;
use crate::apache::request::{Cx, End, Handled, Parent, RequestRec, expr_text};
use crate::cause;
use crate::outcome::{Decision, Outcome};
use crate::trace::apache::Event;

/// What the client gets after the last hook has spoken.
pub(crate) fn finish<'c>(handled: Handled, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> End {
    match handled {
        Handled::Ok | Handled::Done | Handled::Declined => {
            let decision = if r.status >= 300 { r.decision.take().or_else(|| first_error(r).1) } else { None };
            respond(r.status, decision, true, r, cx)
        }
        Handled::Status(status) => die(status, r, cx),
        Handled::Upstream => end(r, Outcome::Upstream, None),
        Handled::Closed => {
            let decision = r.decision.take();
            end(r, Outcome::Closed, decision)
        }
        Handled::Unknown => end(r, Outcome::Unknown, None),
        Handled::Finished => cx.end.take().unwrap_or_else(|| end(r, Outcome::Unknown, None)),
    }
}

/// ap_http_header_filter: headers that no message may hold make a 500 of the response.
fn respond<'c>(status: u16, decision: Option<Decision>, success: bool, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> End {
    match headers::spoiled(r, success, cx) {
        Ok(None) => end(r, Outcome::Response(status), decision),
        Ok(Some((origin, cause))) => end(r, Outcome::Response(500), Some(Decision::new(cause).by(Some(origin)))),
        Err(_) => end(r, Outcome::Unknown, None),
    }
}

fn end(r: &RequestRec, outcome: Outcome, decision: Option<Decision>) -> End {
    End {
        outcome,
        decision,
        location: r.location.clone(),
        sections: r.per_dir.sections.clone(),
        file: r.filename.clone(),
    }
}

/// The error that started a chain of error documents: its status and why.
fn first_error(r: &RequestRec) -> (u16, Option<Decision>) {
    let mut found = (r.status, r.decision.clone());
    let mut prev: Option<Rc<Parent>> = r.prev.clone();
    while let Some(parent) = prev.filter(|parent| parent.status != 200) {
        found = (parent.status, parent.decision.clone());
        prev = parent.prev.clone();
    }
    found
}

/// ap_die. An error while an error document is served never looks for another one: the client sees the first status.
/// The status of a redirect that mod_rewrite abandoned counts as an earlier error.
fn die<'c>(status: u16, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> End {
    // One that the server has no line for is a 500 in every respect (case `statuses-without-a-line`).
    let status = if has_status_line(status) { status } else { 500 };
    if r.status != 200 {
        let (first, decision) = match r.prev.as_ref().is_some_and(|parent| parent.status != 200) {
            true => first_error(r),
            false => (status, r.decision.take()),
        };
        return respond(first, decision, false, r, cx);
    }
    let documents = &r.per_dir.core.error_documents;
    let document = documents.iter().find(|(code, _)| *code == status).map(|(_, document)| document.clone());
    r.status = status;
    let target = match &document {
        Some(setting) => match &setting.value {
            ErrorDocument::Default | ErrorDocument::Text => None,
            ErrorDocument::Target(text) => match expr_text(text, r, cx) {
                Ok(target) => Some((target, setting.origin)),
                Err(Failure::Unknown) => return end(r, Outcome::Unknown, None),
                // AH02841: the built-in page.
                Err(Failure::Error(_)) => None,
            },
        },
        None => None,
    };
    let Some((target, origin)) = target else {
        let decision = r.decision.take();
        return respond(status, decision, false, r, cx);
    };
    cx.note("error_document", origin, || Event::ErrorDocument { status, target: target.clone() });
    if is_url(&target) {
        let mut decision = Decision::new(&cause::apache::ERROR_DOCUMENT_REDIRECT).by(origin);
        decision.inner = r.decision.take().map(Box::new);
        r.status = 302;
        r.location = Some(target);
        return respond(302, Some(decision), false, r, cx);
    }
    if !target.starts_with(b"/") {
        let decision = r.decision.take();
        return respond(status, decision, false, r, cx);
    }
    r.no_local_copy = true;
    r.subprocess_env.set(b"REQUEST_METHOD", &r.method.clone());
    (r.method, r.method_number) = (b"GET".to_vec(), M_GET);
    // The request that failed is remembered with its decision; the document's own handler does not replace it.
    let handled = internal_redirect(&target, r, cx);
    match handled {
        Handled::Finished => cx.end.take().unwrap_or_else(|| end(r, Outcome::Unknown, None)),
        _ => end(r, Outcome::Unknown, None),
    }
}

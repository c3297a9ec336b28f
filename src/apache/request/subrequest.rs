//! Sub-requests and internal redirects: a request made by the server itself, which runs the same hooks
//! (ap_sub_req_lookup_uri, ap_sub_req_lookup_file, ap_internal_redirect).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use crate::apache::core::options;
use crate::apache::escape::escape_uri;
use crate::apache::model::M_GET;
use crate::apache::request::normalize::canonical_path;
use crate::apache::request::{
    Cx, Handled, MAX_REQUESTS, Parent, ParsedUri, RequestRec, error, process_request_internal,
};
use crate::apache::table::Table;
use crate::cause;
use crate::fact::Subject;
use crate::fs::Follow;
use crate::outcome::Decision;
use crate::trace::apache::Event;

/// A sub-request after its fixups.
pub(crate) struct SubRequest<'c> {
    /// The request.
    pub r: RequestRec<'c>,
    /// `Ok` where it would go on to a handler; else how it ended.
    pub ended: Handled,
}

impl SubRequest<'_> {
    /// `rr->status`: 200 where nothing objected; `None`: not known.
    pub fn status(&self) -> Option<u16> {
        match self.ended {
            Handled::Ok | Handled::Declined | Handled::Done => Some(200),
            Handled::Status(status) => Some(status),
            Handled::Upstream | Handled::Closed | Handled::Unknown | Handled::Finished => None,
        }
    }

    fn failed<'c>(mut r: RequestRec<'c>, decision: Decision, status: u16) -> SubRequest<'c> {
        let ended = r.refuse(decision, status);
        SubRequest { r, ended }
    }
}

/// Everything up to the last slash, the slash included (ap_make_dirstr_parent).
pub(crate) fn parent_directory(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)]
}

/// make_sub_request.
fn make<'c>(r: &RequestRec<'c>) -> RequestRec<'c> {
    let mut sub = r.clone();
    sub.per_dir = r.server.held.defaults.clone();
    sub.walks = super::walk::Walks::default();
    sub.rewrite = r.rewrite.for_subrequest();
    sub.main = Some(r.as_parent());
    sub.prev = None;
    sub.method = b"GET".to_vec();
    sub.method_number = M_GET;
    reset(&mut sub);
    sub.parsed_uri.port = None;
    sub.status = 200;
    // ap_set_sub_req_protocol: only what a sub-request may see of the headers; it has no body.
    for name in [
        &b"Content-Encoding"[..],
        b"Content-Language",
        b"Content-Length",
        b"Content-Type",
        b"If-Match",
        b"If-Modified-Since",
        b"If-None-Match",
        b"If-Range",
        b"If-Unmodified-Since",
        b"Range",
        b"Transfer-Encoding",
    ] {
        sub.headers_in.unset(name);
    }
    sub
}

/// What a request of the server's own starts without.
fn reset(r: &mut RequestRec) {
    r.parsed_uri = ParsedUri { port: r.parsed_uri.port.take(), ..ParsedUri::default() };
    r.filename = None;
    r.path_info = Vec::new();
    r.finfo = None;
    r.args = None;
    r.handler = None;
    r.content_type = None;
    r.content_type_by = None;
    r.output_filters = Vec::new();
    r.content_encoding = None;
    r.content_languages = Vec::new();
    r.user = None;
    r.auth_type = None;
    r.notes = Table::default();
    r.location = None;
    r.used_path_info = None;
    r.mapped_by = None;
    r.wants_user = None;
    r.strict_refusal = None;
    r.decision = None;
    r.is_file_subrequest = false;
    r.proxyreq = false;
    r.forward_proxy = false;
    r.context_prefix = Vec::new();
    r.context_document_root = None;
    r.document_root = None;
}

/// ap_parse_uri for a target that starts with a slash.
fn parse_uri(r: &mut RequestRec, uri: &[u8]) {
    r.unparsed_uri = uri.to_vec();
    let start = uri.iter().take_while(|&&byte| byte == b'/').count().saturating_sub(1);
    let uri = &uri[start..];
    // apr_uri_parse: a fragment is cut off before the query is looked for.
    let uri = uri.split(|&byte| byte == b'#').next().unwrap_or_default();
    match uri.iter().position(|&byte| byte == b'?') {
        Some(at) => {
            r.uri = uri[..at].to_vec();
            r.args = Some(uri[at + 1..].to_vec());
        }
        None => {
            r.uri = uri.to_vec();
            r.args = None;
        }
    }
    if r.uri.is_empty() {
        r.uri = b"/".to_vec();
    }
}

/// ap_sub_req_lookup_uri: a path from the root, or one relative to the directory of `r`.
pub(crate) fn sub_req_lookup_uri<'c>(uri: &[u8], r: &RequestRec<'c>, cx: &mut Cx<'c>) -> SubRequest<'c> {
    let mut sub = make(r);
    if uri.starts_with(b"/") {
        parse_uri(&mut sub, uri);
    } else {
        let mut target = escape_uri(parent_directory(&r.uri));
        if !target.ends_with(b"/") {
            target.push(b'/');
        }
        target.extend_from_slice(uri);
        parse_uri(&mut sub, &target);
    }
    run(sub, r, cx)
}

/// ap_sub_req_lookup_file: by file name, absolute or relative to the directory of `r`'s file.
pub(crate) fn sub_req_lookup_file<'c>(name: &[u8], r: &RequestRec<'c>, cx: &mut Cx<'c>) -> SubRequest<'c> {
    let mut sub = make(r);
    sub.is_file_subrequest = true;
    let filename = r.filename.clone().unwrap_or_default();
    let directory = parent_directory(&filename).to_vec();
    let whole = if name.starts_with(b"/") { name.to_vec() } else { [directory.as_slice(), name].concat() };
    let Some(merged) = canonical_path(&whole) else {
        return SubRequest::failed(sub, Decision::new(&cause::apache::LOOKUP_FILE_FAILED), 403);
    };
    let base = merged.strip_prefix(directory.as_slice()).filter(|base| !base.is_empty() && !base.contains(&b'/'));
    if let Some(base) = base {
        let follow = if r.server.held.defaults.core.options.has(options::SYM_LINKS) { Follow::Yes } else { Follow::No };
        sub.finfo = cx.disk.stat(Path::new(OsStr::from_bytes(&merged)), follow).ok();
        sub.uri = if r.uri.is_empty() {
            Vec::new()
        } else {
            let target = [parent_directory(&r.uri), base].concat();
            sub.unparsed_uri.clone_from(&target);
            target
        };
    } else {
        sub.unparsed_uri = name.to_vec();
        sub.uri = Vec::new();
    }
    sub.filename = Some(merged);
    sub.mapped_by = r.mapped_by;
    run(sub, r, cx)
}

/// Runs a sub-request, unless too many are stacked.
fn run<'c>(mut sub: RequestRec<'c>, r: &RequestRec<'c>, cx: &mut Cx<'c>) -> SubRequest<'c> {
    if let Some(decision) = recursion_limit(r) {
        return SubRequest::failed(sub, decision, 500);
    }
    if let Some(ended) = too_many(cx) {
        return SubRequest { r: sub, ended };
    }
    let uri = sub.unparsed_uri.clone();
    cx.note("sub_request", None, || Event::SubRequest { uri });
    let ended = process_request_internal(&mut sub, cx);
    cx.note("sub_request", None, || Event::SubRequestEnd {
        status: if let Handled::Status(status) = ended { status } else { 200 },
    });
    SubRequest { r: sub, ended }
}

/// A guard of this program: requests that multiply without the server's limits ever being met.
fn too_many(cx: &mut Cx) -> Option<Handled> {
    cx.requests += 1;
    (cx.requests > MAX_REQUESTS)
        .then(|| cx.unanswerable(Subject::Limit(format!("more than {MAX_REQUESTS} sub-requests")), None))
}

/// ap_is_recursion_limit_exceeded: the redirects and sub-requests that led to `r`, against LimitInternalRecursion.
fn recursion_limit(r: &RequestRec) -> Option<Decision> {
    let (mut redirects, mut subrequests) = (0, 0);
    let redirect_limit = r.server.core.redirect_limit.unwrap_or(10);
    let subrequest_limit = r.server.core.subrequest_limit.unwrap_or(10);
    let (mut prev, mut main) = (r.prev.clone(), r.main.clone());
    loop {
        let next: Rc<Parent> = if let Some(earlier) = prev.take() {
            redirects += 1;
            if redirects >= redirect_limit {
                return Some(Decision::new(&cause::apache::TOO_MANY_REDIRECTS));
            }
            earlier
        } else if let Some(outer) = main.take() {
            subrequests += 1;
            if subrequests >= subrequest_limit {
                return Some(Decision::new(&cause::apache::TOO_MANY_SUBREQUESTS));
            }
            outer
        } else {
            return None;
        };
        (prev, main) = (next.prev.clone(), next.main.clone());
    }
}

/// ap_internal_redirect: a whole new request, whose answer is the answer.
pub(crate) fn internal_redirect<'c>(uri: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if let Some(mut decision) = recursion_limit(r) {
        decision.inner = r.decision.take().map(Box::new);
        decision.directive = decision.inner.as_ref().and_then(|inner| inner.directive).or(r.redirected_by);
        let handled = r.refuse(decision, 500);
        cx.end = Some(error::finish(handled, r, cx));
        return Handled::Finished;
    }
    if let Some(ended) = too_many(cx) {
        return ended;
    }
    cx.note("internal_redirect", r.redirected_by, || Event::InternalRedirect { uri: uri.to_vec() });
    let mut new = r.clone();
    let redirected_by = r.redirected_by;
    new.prev = Some(r.as_parent());
    new.per_dir = r.server.held.defaults.clone();
    new.walks = super::walk::Walks::default();
    reset(&mut new);
    new.redirected_by = redirected_by;
    let mut environment = Table::default();
    for (name, value) in r.subprocess_env.iter() {
        environment.add(&[b"REDIRECT_", name].concat(), value);
    }
    environment.set(b"REDIRECT_STATUS", r.status.to_string().as_bytes());
    new.subprocess_env = environment;
    parse_uri(&mut new, uri);
    let handled = super::after_headers(&mut new, cx);
    cx.end = Some(error::finish(handled, &mut new, cx));
    Handled::Finished
}

/// ap_internal_fast_redirect: `r` becomes what the sub-request found.
pub(crate) fn internal_fast_redirect<'c>(sub: RequestRec<'c>, r: &mut RequestRec<'c>) {
    r.proxyreq = sub.proxyreq;
    r.forward_proxy = sub.forward_proxy;
    r.no_local_copy = r.no_local_copy && sub.no_local_copy;
    r.uri = sub.uri;
    r.filename = sub.filename;
    r.path_info = sub.path_info;
    r.args = sub.args;
    r.finfo = sub.finfo;
    r.handler = sub.handler;
    r.content_type = sub.content_type;
    r.content_type_by = sub.content_type_by;
    r.output_filters = sub.output_filters;
    r.content_encoding = sub.content_encoding;
    r.content_languages = sub.content_languages;
    r.per_dir = sub.per_dir;
    r.mapped_by = sub.mapped_by;
    r.used_path_info = sub.used_path_info.or(r.used_path_info);
    r.notes = r.notes.overlaid_by(&sub.notes);
    r.subprocess_env = r.subprocess_env.overlaid_by(&sub.subprocess_env);
}

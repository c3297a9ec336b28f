//! Rules of a server, in translate_name (`hook_uri2file`).

use super::engine::{Applied, Engine};
use super::expand::{expand_tilde, first_component};
use super::uri::{absolute_uri, escape_absolute_uri};
use super::{Options, Rule};
use crate::apache::escape::escape_uri;
use crate::apache::request::{Cx, Handled, RequestRec, translate_name};
use crate::apache::variables::{construct_url, document_root, stat};
use crate::cause;
use crate::fs::Follow;
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// translate_name, before every other module: whether the engine is on is asked of the `<Location>` sections in force.
pub(crate) fn hook_uri2file<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(dir) = r.per_dir.rewrite.clone().filter(|dir| dir.is_enabled()) else { return Handled::Declined };
    // A virtual host without a directive of its own shares the main server's record, and does no rewriting.
    let Some(server) = r.server.rewrite.clone().filter(|record| record.server == r.server.index) else {
        return Handled::Declined;
    };
    if r.rewrite.ended {
        return Handled::Declined;
    }
    let any_uri = dir.options.unwrap_or_default().allow_any_uri;
    if !any_uri && (r.unparsed_uri == b"*" || r.uri.first() != Some(&b'/')) {
        return Handled::Declined;
    }
    let Some(first) = server.list.rules.first().map(|(_, origin)| *origin) else { return Handled::Declined };
    let old_args = r.args.clone();
    if r.main.is_none() {
        let url = r.subprocess_env.get(b"REDIRECT_SCRIPT_URL").map_or_else(|| r.uri.clone(), <[u8]>::to_vec);
        r.subprocess_env.set(b"SCRIPT_URL", &url);
    }
    if let Some(url) = r.subprocess_env.get(b"SCRIPT_URL").map(<[u8]>::to_vec) {
        let uri = construct_url(&url, r);
        r.subprocess_env.set(b"SCRIPT_URI", &uri);
    }
    if r.filename.is_none() {
        r.filename = Some(r.uri.clone());
    }
    let mut engine = Engine::new(r, cx, None, first);
    let applied = engine.apply(&server.list.rules);
    let (last, status) = (engine.last_substitution.take(), engine.redirect_status);
    let (ended, reduced, decider) = (engine.ended, engine.reduced, engine.origin);
    r.rewrite.ended |= ended;
    let no_escape = match applied {
        Applied::Unchanged => return Handled::Declined,
        Applied::Ended(handled) => return handled,
        Applied::Status(status, decision) => {
            r.status = 200;
            return r.refuse(*decision, status);
        }
        Applied::Changed { no_escape } => no_escape,
    };
    let origin = last.as_ref().map_or(decider, |(_, origin)| *origin);
    r.redirected_by = Some(origin);
    let name = r.filename.clone().unwrap_or_default();
    let scheme = absolute_uri(&name).map(|(length, _)| length);
    let will_escape = scheme.is_some() && !no_escape;
    if !will_escape && r.args.as_deref().is_some_and(has_control) {
        return r.refuse(Decision::new(&cause::apache::REWRITE_QUERY_CONTROL).by(Some(origin)), 403);
    }
    if name.len() > 6 && name.starts_with(b"proxy:") {
        return to_proxy(name, no_escape, origin, "AH00669", r, cx);
    }
    if let Some(scheme) = scheme {
        return redirect(name, scheme, no_escape, old_args.as_deref(), status, origin, r);
    }
    abandon_redirect(status, r);
    if let Some(path) = name.strip_prefix(b"passthrough:")
        && !path.is_empty()
    {
        r.uri = path.to_vec();
        return Handled::Declined;
    }
    local_path(name, server.options.unwrap_or_default(), reduced, last.as_ref().map(|(rule, _)| &**rule), origin, r, cx)
}

/// A byte that cannot stand in a request line: a control character or a blank.
pub(super) fn has_control(args: &[u8]) -> bool {
    args.iter().any(|byte| *byte <= b' ' || *byte == 0x7f)
}

/// A redirect that a later rule has turned into a path again leaves its status behind: a success is sent with it, and an
/// error takes it for an earlier error.
pub(super) fn abandon_redirect(status: u16, r: &mut RequestRec) {
    if status != 0 {
        r.status = status;
    }
}

/// `[P]`: a name that begins with `proxy:`.
pub(super) fn to_proxy<'c>(
    mut name: Vec<u8>,
    no_escape: bool,
    origin: Origin,
    log: &str,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Handled {
    if !cx.has_module("proxy_module") {
        let mut decision = Decision::new(&cause::apache::REWRITE_PROXY_MISSING).by(Some(origin));
        decision.log = Some(log.to_owned());
        return r.refuse(decision, 403);
    }
    if no_escape {
        r.notes.set(b"proxy-nocanon", b"1");
        if let Some(args) = &r.args {
            name.push(b'?');
            name.extend_from_slice(args);
        }
    }
    r.filename = Some(name);
    r.proxyreq = true;
    r.handler = Some(Setting::new(b"proxy-server".to_vec(), origin));
    Handled::Ok
}

/// An absolute URL: the client is sent there.
pub(super) fn redirect(
    name: Vec<u8>,
    scheme: usize,
    no_escape: bool,
    old_args: Option<&[u8]>,
    status: u16,
    origin: Origin,
    r: &mut RequestRec,
) -> Handled {
    let mut location = if no_escape { name } else { escape_absolute_uri(&name, scheme) };
    if let Some(args) = &r.args {
        location.push(b'?');
        // A query that no rule touched is sent on as it came.
        if no_escape || old_args == Some(args.as_slice()) {
            location.extend_from_slice(args);
        } else {
            location.extend_from_slice(&escape_uri(args));
        }
    }
    r.location = Some(location);
    let is_redirect = (300..400).contains(&status);
    if is_redirect {
        r.status = 200;
    }
    let status = if is_redirect { status } else { 302 };
    r.refuse(Decision::new(&cause::apache::REWRITE_REDIRECT).by(Some(origin)), status)
}

/// A path: a file where its first component exists and the rule may have meant one, else below the document root.
fn local_path<'c>(
    name: Vec<u8>,
    options: Options,
    reduced: bool,
    last: Option<&Rule>,
    origin: Origin,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Handled {
    let name = expand_tilde(&name, cx);
    if !name.starts_with(b"/") {
        return r.refuse(Decision::new(&cause::apache::REWRITE_NOT_A_PATH).by(Some(origin)), 400);
    }
    let reduced = reduced && !options.legacy_prefix_docroot;
    if reduced || !is_file_path(&name, options, last, r, cx) {
        let uri = std::mem::replace(&mut r.uri, name);
        let handled = translate_name::core_translate(r, cx);
        r.uri = uri;
        return handled;
    }
    r.filename = Some(name);
    r.mapped_by = Some(origin);
    Handled::Ok
}

/// `prefix_stat`.
fn is_file_path(name: &[u8], options: Options, last: Option<&Rule>, r: &RequestRec, cx: &Cx) -> bool {
    let first = first_component(name);
    if stat(&first, Follow::Yes, cx).is_none() {
        return false;
    }
    match last {
        Some(rule) if !options.unsafe_prefix_stat && !rule.flags.unsafe_prefix_stat => {
            let root = document_root(r);
            let context = r.context_document_root.clone().unwrap_or_else(|| root.clone());
            rule.output.starts_with(&first) || name.starts_with(&root) || name.starts_with(&context)
        }
        _ => true,
    }
}

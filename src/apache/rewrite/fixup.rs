//! Rules of a directory, in the fixups (`hook_fixup`): a local result is answered by an internal redirect.

use super::DirRecord;
use super::engine::{Applied, Engine};
use super::translate::{abandon_redirect, has_control, redirect, to_proxy};
use super::uri::{absolute_uri, replace_prefix};
use crate::apache::core::options;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::document_root;
use crate::cause;
use crate::outcome::{Decision, Related};
use crate::source::Setting;

/// fixups, before every other module and after authorization.
pub(crate) fn hook_fixup<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(dir) = r.per_dir.rewrite.clone().filter(|dir| dir.is_enabled()) else { return Handled::Declined };
    let Some(directory) = dir.directory.clone() else { return Handled::Declined };
    let options = dir.options.unwrap_or_default();
    let proxied = r.proxyreq && r.filename.as_ref().is_some_and(|name| name.starts_with(b"proxy:"));
    // The directory itself without its slash is left for mod_dir to redirect.
    if !proxied && !options.allow_no_slash && r.filename.as_deref() == directory.strip_suffix(b"/") {
        return Handled::Declined;
    }
    if r.rewrite.ended {
        return Handled::Declined;
    }
    let allowed = &r.per_dir.core.options;
    if !allowed.has(options::SYM_LINKS) && !allowed.has(options::SYM_OWNER) {
        return options_off(&dir, r);
    }
    let Some(first) = dir.list.rules.first().map(|(_, origin)| *origin) else { return Handled::Declined };
    let (old_name, old_args) = (r.filename.clone(), r.args.clone());
    if r.filename.is_none() {
        r.filename = Some(r.uri.clone());
    }
    let mut engine = Engine::new(r, cx, Some(directory.clone()), first);
    let applied = engine.apply(&dir.list.rules);
    let (last, status) = (engine.last_substitution.take(), engine.redirect_status);
    let (ended, decider) = (engine.ended, engine.origin);
    r.rewrite.ended |= ended;
    let no_escape = match applied {
        Applied::Unchanged => {
            r.filename = old_name;
            return Handled::Declined;
        }
        Applied::Ended(handled) => return handled,
        Applied::Status(status, decision) => {
            r.status = 200;
            return r.refuse(*decision, status);
        }
        Applied::Changed { no_escape } => no_escape,
    };
    let origin = last.map_or(decider, |(_, origin)| origin);
    r.redirected_by = Some(origin);
    let name = r.filename.clone().unwrap_or_default();
    let scheme = absolute_uri(&name).map(|(length, _)| length);
    let will_escape = scheme.is_some() && !no_escape;
    if !will_escape && r.args.as_deref().is_some_and(has_control) {
        let mut decision = Decision::new(&cause::apache::REWRITE_QUERY_CONTROL).by(Some(origin));
        decision.log = Some("AH10411".into());
        return r.refuse(decision, 403);
    }
    if name.len() > 6 && name.starts_with(b"proxy:") {
        return to_proxy(name, no_escape, origin, "AH10160", r, cx);
    }
    if let Some(scheme) = scheme {
        let name = with_base_url(name, scheme, &dir, &directory);
        return redirect(name, scheme, no_escape, old_args.as_deref(), status, origin, r);
    }
    abandon_redirect(status, r);
    let name = match name.strip_prefix(b"passthrough:") {
        Some(path) if !path.is_empty() => path.to_vec(),
        _ => name,
    };
    if !name.starts_with(b"/") {
        return r.refuse(Decision::new(&cause::apache::REWRITE_NOT_A_PATH).by(Some(origin)), 400);
    }
    if old_name.as_ref() == Some(&name) {
        r.filename = Some(name);
        return Handled::Ok;
    }
    let url = to_url(name, &dir, &directory, options.ignore_context_info, r);
    r.filename = Some([b"redirect:", url.as_slice()].concat());
    r.handler = Some(Setting::new(b"redirect-handler".to_vec(), origin));
    Handled::Ok
}

/// Neither link option is on: rules could lead out of a directory as links do, so none runs.
fn options_off(dir: &DirRecord, r: &mut RequestRec) -> Handled {
    let by = r.per_dir.core.options.origin_of(options::SYM_LINKS);
    let engine = dir.engine.as_ref().and_then(|engine| engine.origin);
    let mut decision = Decision::new(&cause::apache::REWRITE_OPTIONS_OFF).by(by.or(engine));
    decision.default = by.is_none();
    decision.related.extend(engine.map(|origin| Related { role: "co-decider", origin }));
    r.refuse(decision, 403)
}

/// The directory at the start of a redirect's path, replaced by `RewriteBase`.
fn with_base_url(name: Vec<u8>, scheme: usize, dir: &DirRecord, directory: &[u8]) -> Vec<u8> {
    let Some(base) = &dir.base else { return name };
    let Some(slash) = memchr::memchr(b'/', &name[scheme..]) else { return name };
    let start = scheme + slash + 1;
    let directory = directory.strip_prefix(b"/").unwrap_or(directory);
    match replace_prefix(&name[start..], directory, &base[1..]) {
        Some(path) => [&name[..start], &path].concat(),
        None => name,
    }
}

/// The URL path of a file name: `RewriteBase` for the directory, or nothing for the document root, or the prefix that an
/// `Alias` gave the directory.
fn to_url(name: Vec<u8>, dir: &DirRecord, directory: &[u8], ignore_context: bool, r: &RequestRec) -> Vec<u8> {
    let replaced = match &dir.base {
        Some(base) => replace_prefix(&name, directory, base),
        None => {
            let root = document_root(r);
            let root = root.strip_suffix(b"/").unwrap_or(&root);
            name.strip_prefix(root).filter(|rest| rest.starts_with(b"/")).map(<[u8]>::to_vec)
        }
    };
    if let Some(url) = replaced {
        return url;
    }
    let context = r.context_document_root.clone().unwrap_or_else(|| document_root(r));
    if ignore_context {
        return name;
    }
    replace_prefix(&name, &context, &r.context_prefix).unwrap_or(name)
}

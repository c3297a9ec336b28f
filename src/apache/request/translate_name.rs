//! From the path to a file name: the first hook that does not decline decides.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::request::normalize::{PATH_MAX, canonical_path, leads_above_root};
use crate::apache::request::{Cx, Handled, Hook, RequestRec, run_first};
use crate::apache::{alias, proxy, rewrite, userdir, vhost_alias};
use crate::cause;
use crate::outcome::Decision;
use crate::trace::apache::Event;

/// The hooks in order: mod_rewrite before mod_proxy before mod_alias, the core last.
const TRANSLATE_NAME: [Hook; 6] = [
    rewrite::hook_uri2file,
    proxy::translate_name,
    alias::translate_name,
    userdir::translate_name,
    vhost_alias::translate_name,
    core_translate,
];

/// ap_run_translate_name.
pub(crate) fn translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    run_first(&TRANSLATE_NAME, r, cx)
}

/// DOCUMENT_LOCATION of Debian's build: where it looks without any DocumentRoot (case `without-a-document-root`).
const DEFAULT_DOCUMENT_ROOT: &[u8] = b"/var/www/html";

/// The document root in force, without its final slash.
pub(crate) fn document_root<'r>(r: &RequestRec<'r>) -> &'r [u8] {
    let root = r.server.core.document_root.as_ref().map_or(DEFAULT_DOCUMENT_ROOT, |root| &root.value);
    if root.len() > 1 { root.strip_suffix(b"/").unwrap_or(root) } else { root }
}

/// ap_core_translate: DocumentRoot and path, which together must be shorter than APR_PATH_MAX.
pub(crate) fn core_translate<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if r.proxyreq {
        return r.refuse(Decision::new(&cause::apache::PROXYREQ_UNTRANSLATED), 403);
    }
    if !r.uri.starts_with(b"/") && r.uri != b"*" {
        return r.refuse(Decision::new(&cause::apache::INVALID_URI), 400);
    }
    let mut path: &[u8] = &r.uri;
    if let Some(prefix) = &r.server.server_path
        && let Some(rest) = path.strip_prefix(prefix.as_slice())
        && (prefix.ends_with(b"/") || rest.is_empty() || rest[0] == b'/')
    {
        path = rest;
    }
    let root = document_root(r);
    let origin = r.server.core.document_root.as_ref().and_then(|root| root.origin);
    let rest = path.iter().position(|&byte| byte != b'/').map_or(&[][..], |start| &path[start..]);
    let mut whole = root.to_vec();
    if !whole.ends_with(b"/") {
        whole.push(b'/');
    }
    whole.extend_from_slice(rest);
    r.mapped_by = origin;
    match canonical_path(&whole) {
        Some(filename) if whole.len() < PATH_MAX && !leads_above_root(rest) => {
            cx.note("translate_name", origin, || Event::Mapped { file: filename.clone() });
            r.filename = Some(filename);
            Handled::Ok
        }
        _ => {
            let mut decision = Decision::new(&cause::apache::PATH_TOO_LONG).by(origin);
            decision.default = origin.is_none();
            decision.path = Some(Path::new(OsStr::from_bytes(root)).to_path_buf());
            r.refuse(decision, 403)
        }
    }
}

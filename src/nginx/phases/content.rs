//! Content: the location's handler, else the stock ones in turn; somebody always answers.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::mapping::map_uri_to_path;
use super::super::model::DisableSymlinks;
use super::super::request::{Cx, Entity, Flow, HttpRequest, Leave, Method, Sent, error};
use super::{autoindex, dav, handlers, index, statics};
use crate::cause::nginx as causes;
use crate::fs::{Denied, Errno, Follow, Stat, SymlinkPolicy};
use crate::outcome::{Decision, Related};

pub(super) const PHASE: &str = "content";

/// Handlers run in the reverse of their registration; each continues where it declines.
pub(super) fn content<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Infallible> {
    if let Some(handler) = r.content_handler {
        handlers::handler(handler, r, cx)?;
        r.content_handler = None; // it declined
    }
    autoindex::random_index(r, cx)?;
    index::index(r, cx)?;
    autoindex::autoindex(r, cx)?;
    dav::dav(r, cx)?;
    statics::gzip_static(r, cx)?;
    statics::static_file(r, cx)?;
    nobody(r, cx)
}

/// No handler answered: 403 for a directory, 404 for anything else.
fn nobody<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Infallible> {
    if !r.uri.ends_with(b"/") {
        return error(404, Decision::new(causes::NO_HANDLER).by(Some(r.block_origin())).with(r.related()));
    }
    let path = map_uri_to_path(r, cx)?;
    let listing = &r.conf.content.autoindex;
    let cause = if listing.value { causes::DIRECTORY_INDEX_POST } else { causes::DIRECTORY_INDEX };
    let mut decision = Decision::new(cause).with(r.related());
    // Where nothing written decides, the nearest directive that would have to change.
    let index = r.conf.content.index.first().and_then(|name| name.origin);
    let nearest = r.led_by_try_files.or(index).or(r.conf.core.mapping.origin);
    decision.default = listing.origin.is_none();
    decision.directive = listing.origin.or(nearest).or(Some(r.block_origin()));
    if let Some(origin) = index.filter(|origin| decision.directive != Some(*origin)) {
        decision.related.push(Related { role: "index", origin });
    }
    if decision.is_waived(cx.inquiry) {
        let sent = Sent { status: 200, location: None, decision: None, entity: Entity::default() };
        return ControlFlow::Break(Leave::Sent(sent));
    }
    decision.log = Some(format!("directory index of \"{}\" is forbidden", path.display()));
    r.file = Some(path);
    error(403, decision)
}

/// What a look at a path gives.
pub(in crate::nginx) enum Found {
    /// It is there.
    Stat(Stat),
    /// The call failed.
    Denied(Denied),
}

/// What applies to a path under `disable_symlinks` (`ngx_http_set_disable_symlinks`): the policy, and how many bytes at
/// its front are exempt.
fn symlink_policy<'a>(path: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Option<(SymlinkPolicy, usize)>> {
    let policy = match r.conf.core.disable_symlinks.value {
        DisableSymlinks::Off => return ControlFlow::Continue(None),
        DisableSymlinks::On => SymlinkPolicy::On,
        DisableSymlinks::IfNotOwner => SymlinkPolicy::IfNotOwner,
    };
    let Some(from) = &r.conf.core.disable_symlinks_from.value else { return ControlFlow::Continue(Some((policy, 0))) };
    let from = from.evaluate(r, cx)?;
    let bytes = path.as_os_str().as_bytes();
    let exempt = match bytes.strip_prefix(&*from) {
        _ if from.is_empty() => 0,
        Some(b"") => return ControlFlow::Continue(None),
        Some(rest) if rest.starts_with(b"/") => from.len(),
        Some(_) if from.ends_with(b"/") => from.len() - 1,
        _ => 0,
    };
    ControlFlow::Continue(Some((policy, exempt)))
}

/// `ngx_open_cached_file` with `test_only`: stat(2), or opening for reading where links are restricted or open files are
/// kept.
pub(in crate::nginx) fn lookup<'a>(path: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Found> {
    let result = match symlink_policy(path, r, cx)? {
        None if r.conf.core.open_file_cache.value => cx.disk.open_read(path),
        None => cx.disk.stat(path, Follow::Yes),
        Some((policy, from)) => cx.disk.open_no_symlinks(path, policy, from),
    };
    ControlFlow::Continue(result.map_or_else(Found::Denied, Found::Stat))
}

/// `ngx_open_cached_file`: opening for reading.
pub(super) fn open<'a>(path: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Found> {
    let result = match symlink_policy(path, r, cx)? {
        None => cx.disk.open_read(path),
        Some((policy, from)) => cx.disk.open_no_symlinks(path, policy, from),
    };
    ControlFlow::Continue(result.map_or_else(Found::Denied, Found::Stat))
}

/// Whether links are restricted for the record in force.
pub(super) fn restricts_links(r: &HttpRequest) -> bool {
    r.conf.core.disable_symlinks.value != DisableSymlinks::Off
}

/// Whether the method is one of those that files and indexes answer.
pub(super) fn reads(r: &HttpRequest) -> bool {
    r.method.is_in(Method::GET.0 | Method::HEAD.0)
}

/// A decision for something that went wrong with a path: blamed on `root` or `alias`, with the inode at fault.
pub(super) fn path_decision(cause: &'static crate::cause::Cause, denied: Option<&Denied>, r: &HttpRequest) -> Decision {
    let mapping = r.conf.core.mapping.origin;
    let mut decision = Decision::new(cause).with(r.related());
    decision.default = mapping.is_none();
    decision.directive = mapping.or(Some(r.block_origin()));
    decision.path = denied.map(|denied| denied.path.clone());
    decision
}

/// Missing in one of the ways that count as "not found".
pub(super) fn is_missing(errno: Errno) -> bool {
    matches!(errno, Errno::Enoent | Errno::Enotdir | Errno::Enametoolong)
}

/// Where `disable_symlinks` decides, it is the directive to blame and the link the inode.
pub(super) fn blame_symlinks(mut decision: Decision, r: &HttpRequest) -> Decision {
    if restricts_links(r) {
        decision.default = false;
        decision.directive = r.conf.core.disable_symlinks.origin;
    }
    decision
}

/// `OPERATION() "PATH" failed (ERRNO:`.
pub(super) fn failed(operation: &str, path: &Path, errno: Errno) -> Option<String> {
    Some(format!("{operation}() \"{}\" failed ({}:", path.display(), errno.number()))
}

/// The path of the request, remembered for the reader.
pub(super) fn mapped<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<PathBuf> {
    let path = map_uri_to_path(r, cx)?;
    r.file = Some(path.clone());
    ControlFlow::Continue(path)
}

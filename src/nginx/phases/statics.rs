//! `ngx_http_static_module`, and `ngx_http_gzip_static_module` before it.

use std::ops::ControlFlow;
use std::path::Path;

use super::super::filters::gunzip;
use super::super::mapping::{map_bytes, path_from};
use super::super::model::GzipStatic;
use super::super::request::{ContentType, Cx, Entity, Failure, Flow, HttpRequest, Leave, Method, Sent, error};
use super::content::{
    Found, PHASE, blame_symlinks, failed, is_missing, mapped, open, path_decision, reads, restricts_links,
};
use crate::cause::nginx as causes;
use crate::fs::{Denied, Errno, FileKind, Stat};
use crate::outcome::Decision;
use crate::trace::nginx::Event;

/// Opens the file. A directory is opened too before it is redirected to its slash, so it must be readable.
pub(super) fn static_file<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if !r.method.is_in(Method::GET.0 | Method::HEAD.0 | Method::POST.0) {
        let decision = Decision::new(causes::METHOD_NOT_ALLOWED).by(Some(r.block_origin())).with(r.related());
        return error(405, decision);
    }
    if r.uri.ends_with(b"/") {
        return ControlFlow::Continue(());
    }
    let path = mapped(r, cx)?;
    let stat = match open(&path, r, cx)? {
        Found::Stat(stat) => stat,
        Found::Denied(denied) => return refused(&denied, &path, r, cx),
    };
    cx.push(PHASE, r.conf.core.mapping.origin, || Event::Open { path: path.clone(), errno: None });
    match stat.kind {
        FileKind::Directory => {
            let mut target = r.uri.clone();
            target.push(b'/');
            if !r.args.is_empty() {
                target.push(b'?');
                target.extend_from_slice(&r.args);
            }
            let decision = path_decision(causes::DIRECTORY_REDIRECT, None, r);
            let failure = Failure { status: 301, decision: Box::new(decision), location: Some(target) };
            return ControlFlow::Break(Leave::Error(failure));
        }
        FileKind::Regular => {}
        _ => return not_regular(&path, r),
    }
    if r.method == Method::POST {
        let decision = Decision::new(causes::METHOD_NOT_ALLOWED).by(Some(r.block_origin())).with(r.related());
        return error(405, decision);
    }
    send(&path, stat)
}

/// A regular file goes out.
pub(super) fn send(path: &Path, stat: Stat) -> Flow {
    let entity = Entity {
        file: Some((path.to_path_buf(), stat)),
        length: None,
        allow_ranges: true,
        content_type: ContentType::Uri,
    };
    ControlFlow::Break(Leave::Sent(Sent { status: 200, location: None, decision: None, entity }))
}

fn not_regular(path: &Path, r: &HttpRequest) -> Flow {
    let mut decision = path_decision(causes::NOT_REGULAR, None, r);
    decision.path = Some(path.to_path_buf());
    decision.log = Some(format!("\"{}\" is not a regular file", path.display()));
    error(404, decision)
}

/// open(2) failed.
fn refused<'a>(denied: &Denied, path: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    cx.push(PHASE, r.conf.core.mapping.origin, || Event::Open { path: path.to_path_buf(), errno: Some(denied.errno) });
    let operation = if restricts_links(r) { "openat" } else { "open" };
    let (status, cause) = match denied.errno {
        errno if is_missing(errno) => (404, causes::NOT_FOUND),
        Errno::Eacces => (403, permission_cause(denied, path, r, cx)),
        Errno::Eloop if restricts_links(r) => (403, causes::DISABLE_SYMLINKS),
        Errno::Eloop => (403, causes::SYMLINK_LOOP),
        _ => (500, causes::OPEN_ERROR),
    };
    let mut decision = path_decision(cause, Some(denied), r);
    if denied.errno == Errno::Eloop {
        decision = blame_symlinks(decision, r);
    }
    decision.log = failed(operation, path, denied.errno);
    error(status, decision)
}

/// Which of the three ways to be refused: an index file, a directory that is to be redirected, or a file.
fn permission_cause(denied: &Denied, path: &Path, r: &HttpRequest, cx: &Cx) -> &'static crate::cause::Cause {
    let is_directory = cx.disk.stat(path, crate::fs::Follow::Yes).is_ok_and(|stat| stat.kind == FileKind::Directory);
    let itself = cx.disk.real_path(path).is_ok_and(|real| real == denied.path);
    match () {
        () if is_directory && itself => causes::STATIC_DIRECTORY_UNREADABLE,
        () if r.led_by_index => causes::INDEX_UNREADABLE,
        () => causes::STATIC_PERMISSION,
    }
}

/// `gzip_static`: a file `.gz` beside the one asked for. What cannot be opened is passed over; what opens and is neither
/// file nor directory is 404.
pub(super) fn gzip_static<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let wanted = match r.conf.content.gzip_static.value {
        GzipStatic::Off => return ControlFlow::Continue(()),
        GzipStatic::On => r.conf.filters.gzip_clients().accept(r, cx)?,
        GzipStatic::Always => true,
    };
    if !reads(r) || r.uri.ends_with(b"/") || !wanted {
        return ControlFlow::Continue(());
    }
    let mut path = map_bytes(r, cx)?;
    path.extend_from_slice(b".gz");
    let path = path_from(path);
    let Found::Stat(stat) = open(&path, r, cx)? else { return ControlFlow::Continue(()) };
    match stat.kind {
        FileKind::Directory => ControlFlow::Continue(()),
        FileKind::Regular => {
            r.file = Some(path.clone());
            gunzip::unpack(&path, r, cx)?;
            // Parts of it are not offered.
            let entity =
                Entity { file: Some((path, stat)), length: None, allow_ranges: false, content_type: ContentType::Uri };
            ControlFlow::Break(Leave::Sent(Sent { status: 200, location: None, decision: None, entity }))
        }
        _ => not_regular(&path, r),
    }
}

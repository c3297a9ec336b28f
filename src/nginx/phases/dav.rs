//! `ngx_http_dav_module`: PUT, DELETE, MKCOL, COPY and MOVE on the file system as it lies there; nothing is changed.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::mapping::path_from;
use super::super::model::Alias;
use super::super::request::{ContentType, Cx, Entity, Flow, HttpRequest, Leave, Method, Sent, error};
use super::super::version::Version;
use super::body;
use super::content::{mapped, path_decision};
use crate::cause::Cause;
use crate::cause::nginx as causes;
use crate::fs::{Access, Denied, Errno, FileKind, Follow};
use crate::outcome::Decision;

pub(super) fn dav<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if !r.method.is_in(r.conf.content.dav_methods.value) {
        return ControlFlow::Continue(());
    }
    match r.method {
        Method::PUT => put(r, cx),
        Method::DELETE => delete(r, cx),
        Method::MKCOL => mkcol(r, cx),
        Method::COPY | Method::MOVE => copy_or_move(r, cx),
        _ => ControlFlow::Continue(()),
    }
}

fn refuse(status: u16, cause: &'static Cause, r: &HttpRequest) -> Flow {
    error(status, Decision::new(cause).by(r.conf.content.dav_methods.origin).with(r.related()))
}

fn done(status: u16) -> Flow {
    let entity = Entity { content_type: ContentType::None, ..Entity::default() };
    ControlFlow::Break(Leave::Sent(Sent { status, location: None, decision: None, entity }))
}

/// `ngx_http_dav_error`.
fn file_error(denied: &Denied, not_found: u16, operation: &str, path: &Path, r: &HttpRequest) -> Flow {
    let (status, cause) = match denied.errno {
        Errno::Enoent | Errno::Enotdir | Errno::Enametoolong => (not_found, causes::DAV_NOT_FOUND),
        Errno::Eacces | Errno::Eperm => (403, causes::DAV_PERMISSION),
        Errno::Eexist => (405, causes::DAV_CONFLICT),
        _ => (500, causes::DAV_ERROR),
    };
    let mut decision = path_decision(cause, Some(denied), r);
    decision.default = false;
    decision.directive = r.conf.content.dav_methods.origin;
    decision.log = Some(format!("{operation}() \"{}\" failed ({}:", path.display(), denied.errno.number()));
    error(status, decision)
}

fn has_body(r: &HttpRequest) -> bool {
    r.content_length.is_some_and(|length| length > 0) || r.chunked
}

/// Whether the worker may add to or take from the directory that holds `path`; the directory itself where it may not.
fn writable_parent(path: &Path, cx: &Cx) -> Result<(), Denied> {
    let parent = match path.parent() {
        Some(parent) => parent,
        None => Path::new("/"),
    };
    let stat = cx.disk.stat(parent, Follow::Yes)?;
    let real = cx.disk.real_path(parent)?;
    if stat.kind != FileKind::Directory {
        return Err(Denied { errno: Errno::Enotdir, path: real });
    }
    if cx.disk.permits(&real, &stat, Access::Search) && cx.disk.permits(&real, &stat, Access::Write) {
        Ok(())
    } else {
        Err(Denied { errno: Errno::Eacces, path: real })
    }
}

/// Whether a file can be put at `path` (`ngx_ext_rename_file`). The directories above are made where `creates_path` says
/// so; whether they can be is judged by the first one that exists.
fn place(path: &Path, creates_path: bool, cx: &Cx) -> Result<(), Denied> {
    let mut path = path;
    loop {
        match (writable_parent(path, cx), path.parent()) {
            (Err(denied), Some(parent)) if denied.errno == Errno::Enoent && creates_path => path = parent,
            (result, _) => return result,
        }
    }
}

fn without_slash(path: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    path_from(bytes.strip_suffix(b"/").unwrap_or(bytes).to_vec())
}

/// A failure to put the file in its place is 500, whatever the reason.
fn put<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if r.uri.ends_with(b"/") {
        return refuse(409, causes::DAV_CONFLICT, r);
    }
    if r.header(b"Content-Range").is_some() {
        return refuse(501, causes::DAV_BAD_REQUEST, r);
    }
    body::read(r, cx)?;
    // The body is moved into its place; a request without one leaves nothing to move.
    if r.content_length.is_none() && !r.chunked {
        let mut decision = Decision::new(causes::DAV_ERROR).by(r.conf.content.dav_methods.origin).with(r.related());
        decision.log = Some("PUT request body must be in a file".to_owned());
        return error(500, decision);
    }
    let path = mapped(r, cx)?;
    let existing = cx.disk.stat(&path, Follow::Yes).ok();
    if existing.as_ref().is_some_and(|stat| stat.kind == FileKind::Directory) {
        return refuse(409, causes::DAV_CONFLICT, r);
    }
    if let Err(denied) = place(&path, r.conf.content.create_full_put_path.value, cx) {
        return put_failed(&denied, &path, r);
    }
    done(if existing.is_some() { 204 } else { 201 })
}

fn put_failed(denied: &Denied, path: &Path, r: &HttpRequest) -> Flow {
    let mut decision = path_decision(causes::DAV_ERROR, Some(denied), r);
    decision.log = Some(format!("rename() \"…\" to \"{}\" failed ({}:", path.display(), denied.errno.number()));
    error(500, decision)
}

fn delete<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if has_body(r) {
        return refuse(415, causes::DAV_BAD_REQUEST, r);
    }
    let minimum = r.conf.content.min_delete_depth.value;
    if minimum > 0 {
        let slashes = r.uri.iter().enumerate().filter(|&(_, &byte)| byte == b'/');
        let deep = slashes.enumerate().any(|(count, (at, _))| count as u64 + 1 >= minimum && at + 1 < r.uri.len());
        if !deep {
            return refuse(409, causes::DAV_CONFLICT, r);
        }
    }
    let path = mapped(r, cx)?;
    let stat = match cx.disk.stat(&path, Follow::No) {
        Ok(stat) => stat,
        Err(denied) => {
            let not_found = if denied.errno == Errno::Enotdir { 409 } else { 404 };
            return file_error(&denied, not_found, "lstat", &path, r);
        }
    };
    if stat.kind == FileKind::Directory {
        if !r.uri.ends_with(b"/") {
            return refuse(409, causes::DAV_CONFLICT, r);
        }
        if depth(r, Depth::Infinity) != Some(Depth::Infinity) {
            return refuse(400, causes::DAV_BAD_REQUEST, r);
        }
        let named = without_slash(&path);
        // rmdir(2) is given no slash, so it does not follow the link that lstat(2) followed.
        let is_link = cx.disk.stat(&named, Follow::No).is_ok_and(|stat| stat.kind == FileKind::Symlink);
        if is_link && cx.disk.open_dir(&named).is_ok() {
            let denied = Denied { errno: Errno::Enotdir, path: named };
            return file_error(&denied, 404, "rmdir", &path, r);
        }
        delete_directory(&named, r, cx)?;
        return done(204);
    }
    if !matches!(depth(r, Depth::Zero), Some(Depth::Zero | Depth::Infinity)) {
        return refuse(400, causes::DAV_BAD_REQUEST, r);
    }
    match writable_parent(&path, cx) {
        Ok(()) => done(204),
        Err(denied) => file_error(&denied, 404, "unlink", &path, r),
    }
}

/// Continues where the directory is gone. Errors inside the tree are logged and passed over; the rmdir(2) of the top decides, which needs an empty directory.
fn delete_directory<'a>(path: &Path, r: &HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let names = match cx.disk.open_dir(path) {
        Ok(crate::fact::Fact::Known(names)) => names,
        Ok(crate::fact::Fact::Unknown(question)) => return cx.unknown(question),
        // ngx_walk_tree fails as a whole.
        Err(denied) => {
            let mut decision = path_decision(causes::DAV_ERROR, Some(&denied), r);
            decision.log = Some(format!("opendir() \"{}\" failed ({}:", path.display(), denied.errno.number()));
            return error(500, decision);
        }
    };
    if !names.is_empty() {
        let stat = cx.disk.stat(path, Follow::Yes);
        let emptied = stat.is_ok_and(|stat| cx.disk.permits(path, &stat, Access::Write)) && is_flat(path, &names, cx);
        if !emptied {
            let text = format!("whether everything in {} can be deleted", path.display());
            return cx.unknown(crate::fact::Question::new(crate::fact::Subject::Other(text)));
        }
    }
    match writable_parent(path, cx) {
        Ok(()) => ControlFlow::Continue(()),
        Err(denied) => file_error(&denied, 404, "rmdir", path, r),
    }
}

fn is_flat(path: &Path, names: &[Vec<u8>], cx: &Cx) -> bool {
    names.iter().all(|name| {
        let child = path.join(std::os::unix::ffi::OsStrExt::from_bytes(name.as_slice()) as &std::ffi::OsStr);
        cx.disk.stat(&child, Follow::No).is_ok_and(|stat| stat.kind != FileKind::Directory)
    })
}

fn mkcol<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if has_body(r) {
        return refuse(415, causes::DAV_BAD_REQUEST, r);
    }
    if !r.uri.ends_with(b"/") {
        return refuse(409, causes::DAV_CONFLICT, r);
    }
    let path = without_slash(&mapped(r, cx)?);
    if cx.disk.stat(&path, Follow::No).is_ok() {
        let denied = Denied { errno: Errno::Eexist, path: path.clone() };
        return file_error(&denied, 409, "mkdir", &path, r);
    }
    match writable_parent(&path, cx) {
        Ok(()) => done(201),
        Err(denied) => file_error(&denied, 409, "mkdir", &path, r),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Zero,
    One,
    Infinity,
}

/// The Depth header; `None`: not acceptable.
fn depth(r: &HttpRequest, default: Depth) -> Option<Depth> {
    match r.header(b"Depth") {
        None => Some(default),
        Some(b"0") => Some(Depth::Zero),
        Some(b"1") => Some(Depth::One),
        Some(b"infinity") => Some(Depth::Infinity),
        Some(_) => None,
    }
}

/// The path in the Destination header, decoded (`ngx_http_parse_unsafe_uri`); `None`: not acceptable.
fn destination(r: &HttpRequest) -> Option<(Vec<u8>, bool)> {
    let header = r.header(b"Destination")?;
    let raw = if header.starts_with(b"/") {
        header
    } else {
        let host = r.host.as_deref().filter(|host| !host.is_empty())?;
        let scheme: &[u8] = if r.connection.tls { b"https://" } else { b"http://" };
        let rest = header.strip_prefix(scheme)?.strip_prefix(host)?;
        &rest[memchr::memchr(b'/', rest)?..]
    };
    let path = unescape(&raw[..memchr::memchr(b'?', raw).unwrap_or(raw.len())]);
    let is_safe = !path.contains(&0) && !path.split(|&byte| byte == b'/').any(|segment| segment == b"..");
    is_safe.then(|| (path, raw.ends_with(b"/")))
}

/// `ngx_unescape_uri`: a `%` that no two hexadecimal digits follow is dropped, with what was read of it.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let hex = |byte: u8| (byte as char).to_digit(16);
        match bytes.next().map(|high| (high, hex(high))) {
            Some((_, Some(high))) => {
                let low = bytes.next().and_then(hex);
                out.extend(low.map(|low| (high << 4 | low) as u8));
            }
            Some((other, None)) => out.push(other),
            None => {}
        }
    }
    out
}

fn copy_or_move<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if has_body(r) {
        return refuse(415, causes::DAV_BAD_REQUEST, r);
    }
    let Some((target, target_slash)) = destination(r) else { return refuse(400, causes::DAV_BAD_REQUEST, r) };
    if r.uri.ends_with(b"/") != target_slash {
        return refuse(409, causes::DAV_CONFLICT, r);
    }
    // 1.31 and Debian's 1.22.1.
    if let Some(Alias::Prefix(length)) = r.conf.core.mapping.value.alias
        && target.len() < length
    {
        return refuse(400, causes::DAV_BAD_REQUEST, r);
    }
    let depth = depth(r, Depth::Infinity);
    let deep_enough = match r.method {
        Method::COPY => matches!(depth, Some(Depth::Infinity | Depth::Zero)),
        _ => depth == Some(Depth::Infinity),
    };
    if !deep_enough {
        return refuse(400, causes::DAV_BAD_REQUEST, r);
    }
    let mut overwrite = match r.header(b"Overwrite") {
        None | Some(b"T" | b"t") => true,
        Some(b"F" | b"f") => false,
        Some(_) => return refuse(400, causes::DAV_BAD_REQUEST, r),
    };
    let source = mapped(r, cx)?;
    let uri = std::mem::replace(&mut r.uri, target);
    let mapped_target = super::super::mapping::map_uri_to_path(r, cx);
    r.uri = uri;
    let target = without_slash(&mapped_target?);
    if cx.version >= Version::new(1, 31, 0) && is_same_or_inside(&without_slash(&source), &target, target_slash) {
        let mut decision =
            Decision::new(causes::DAV_SAME_RESOURCE).by(r.conf.content.dav_methods.origin).with(r.related());
        decision.path = Some(target);
        return error(403, decision);
    }
    match cx.disk.stat(&target, Follow::No) {
        Err(denied) if denied.errno != Errno::Enoent => return file_error(&denied, 404, "lstat", &target, r),
        Err(_) => overwrite = false,
        Ok(stat) if stat.kind == FileKind::Directory && !target_slash => return refuse(409, causes::DAV_CONFLICT, r),
        Ok(_) if !overwrite => return refuse(412, causes::DAV_CONFLICT, r),
        Ok(_) => {}
    }
    let stat = match cx.disk.stat(&source, Follow::No) {
        Ok(stat) => stat,
        Err(denied) => return file_error(&denied, 404, "lstat", &source, r),
    };
    if stat.kind == FileKind::Directory {
        if !r.uri.ends_with(b"/") {
            return refuse(400, causes::DAV_BAD_REQUEST, r);
        }
        if is_same_or_inside(&without_slash(&source), &target, true) {
            let text = format!("what becomes of {} when it is put into itself", source.display());
            return cx.unknown(crate::fact::Question::new(crate::fact::Subject::Other(text)));
        }
        match cx.disk.stat(&target, Follow::No) {
            Ok(old) if overwrite && old.kind == FileKind::Directory => delete_directory(&target, r, cx)?,
            Ok(_) if overwrite => {
                if let Err(denied) = writable_parent(&target, cx) {
                    return file_error(&denied, 404, "unlink", &target, r);
                }
            }
            _ => {}
        }
        return match writable_parent(&target, cx) {
            Ok(()) => done(201),
            Err(denied) => file_error(&denied, 404, "mkdir", &target, r),
        };
    }
    // A file that is copied onto itself is emptied before it is read.
    if r.method == Method::COPY && source == target && stat.size != Some(0) {
        let mut decision = path_decision(causes::DAV_ERROR, None, r);
        decision.log = Some("read() has read only 0 of".to_owned());
        return error(500, decision);
    }
    // Copying and moving a file fail with 500, whatever the reason.
    let source_opens = r.method == Method::MOVE || cx.disk.open_read(&source).is_ok();
    let source_leaves = r.method == Method::COPY || writable_parent(&source, cx).is_ok();
    let target_opens = match cx.disk.stat(&target, Follow::Yes) {
        // A copy is written into the file that is there.
        Ok(old) if r.method == Method::COPY => match cx.disk.permits(&target, &old, Access::Write) {
            true => Ok(()),
            false => Err(Denied { errno: Errno::Eacces, path: target.clone() }),
        },
        Ok(_) => writable_parent(&target, cx),
        Err(_) => place(&target, r.method == Method::MOVE, cx),
    };
    match target_opens {
        Ok(()) if source_opens && source_leaves => done(204),
        Ok(()) => put_failed(&Denied { errno: Errno::Eacces, path: source }, &target, r),
        Err(denied) => put_failed(&denied, &target, r),
    }
}

/// `ngx_http_dav_validate_paths`, since 1.31.0.
fn is_same_or_inside(source: &Path, target: &Path, collection: bool) -> bool {
    source == target || (collection && (source.starts_with(target) || target.starts_with(source)))
}

//! `ngx_http_autoindex_module` and `ngx_http_random_index_module`: both open the directory.

use std::ffi::OsStr;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::super::mapping::{map_bytes, path_from};
use super::super::model::ListingFormat;
use super::super::request::{ContentType, Cx, Entity, Flow, HttpRequest, Leave, Method, Sent, error};
use super::content::{PHASE, failed, is_missing, path_decision, reads};
use crate::cause::Cause;
use crate::cause::nginx as causes;
use crate::fact::Fact;
use crate::fs::{Errno, FileKind, Follow, Stat};
use crate::outcome::Decision;
use crate::source::Origin;
use crate::trace::nginx::Event;

/// `autoindex on`, for GET and HEAD.
pub(super) fn autoindex<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if !r.uri.ends_with(b"/") || !reads(r) || !r.conf.content.autoindex.value {
        return ControlFlow::Continue(());
    }
    let format = r.conf.content.autoindex_format;
    if format.value == ListingFormat::Jsonp
        && let Some(callback) = argument(&r.args, b"callback")
        && !is_callback(callback)
    {
        let decision = Decision::new(causes::AUTOINDEX_CALLBACK).by(format.origin);
        return error(400, decision.with(r.related()));
    }
    // The last byte is dropped, which is the slash unless an alias in a location given by a regular expression lacks it.
    let mut path = map_bytes(r, cx)?;
    path.pop();
    let path = path_from(if path.is_empty() { b"/".to_vec() } else { path });
    let causes = (causes::AUTOINDEX_PERMISSION, causes::AUTOINDEX_ERROR);
    open_directory(&path, causes, r.conf.content.autoindex.origin, r, cx)?;
    r.file = Some(path);
    let content_type = match format.value {
        ListingFormat::Html => "text/html",
        ListingFormat::Json => "application/json",
        ListingFormat::Jsonp => "application/javascript",
        ListingFormat::Xml => "text/xml",
    };
    let entity = Entity { content_type: ContentType::Is(content_type), ..Entity::default() };
    let sent = Sent { status: 200, location: None, decision: None, entity };
    ControlFlow::Break(Leave::Sent(sent))
}

/// `random_index on`: any regular file that is not hidden; the next handler where there is none.
pub(super) fn random_index<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let setting = &r.conf.content.random_index;
    let answers = r.method.is_in(Method::GET.0 | Method::HEAD.0 | Method::POST.0);
    if !r.uri.ends_with(b"/") || !answers || !setting.value {
        return ControlFlow::Continue(());
    }
    let mut path = map_bytes(r, cx)?;
    path.pop();
    let directory = path_from(if path.is_empty() { b"/".to_vec() } else { path });
    let causes = (causes::RANDOM_INDEX_PERMISSION, causes::RANDOM_INDEX_ERROR);
    let names = match open_directory(&directory, causes, setting.origin, r, cx)? {
        Fact::Known(names) => names,
        Fact::Unknown(question) => return cx.unknown(question),
    };
    let mut files = Vec::new();
    for name in names.into_iter().filter(|name| !name.starts_with(b".")) {
        let path = directory.join(OsStr::from_bytes(&name));
        let entry = match listed_kind(&directory, &name, cx) {
            Some(FileKind::Symlink) | None => cx.disk.stat(&path, Follow::Yes),
            Some(kind) => Ok(Stat::of(kind)),
        };
        match entry {
            Ok(stat) if stat.kind == FileKind::Regular => files.push(name),
            Ok(_) => {}
            Err(denied) if denied.errno == Errno::Enoent => {}
            Err(denied) => {
                let mut decision = path_decision(causes::RANDOM_INDEX_ERROR, Some(&denied), r);
                decision.log = failed("stat", &path, denied.errno);
                return error(500, decision);
            }
        }
    }
    let Some(first) = files.first() else { return ControlFlow::Continue(()) };
    let mut chosen = first;
    if files.len() > 1 {
        let alternatives: Vec<String> =
            files.iter().map(|name| format!("`{}` is drawn by random_index", String::from_utf8_lossy(name))).collect();
        let subject =
            crate::fact::Subject::Other(format!("the file that random_index draws from {}", directory.display()));
        let question = crate::fact::Question::at(subject, setting.origin);
        let words: Vec<&str> = alternatives.iter().map(String::as_str).collect();
        chosen = &files[cx.inquiry.choose(question, &words)];
    }
    let uri = [&r.uri, &**chosen].concat();
    let args = r.args.clone();
    r.internal_redirect(cx, uri, args, setting.origin)
}

/// What readdir(3) says about an entry, which takes no search permission.
fn listed_kind(directory: &Path, name: &[u8], cx: &Cx) -> Option<FileKind> {
    let entry = cx.disk.real_path(directory).ok()?.join(OsStr::from_bytes(name));
    match cx.world.fs.lstat(&entry) {
        Fact::Known(Ok(stat)) => Some(stat.kind),
        _ => None,
    }
}

/// opendir(3) as the worker.
fn open_directory(
    path: &Path,
    (permission, other): (&'static Cause, &'static Cause),
    origin: Option<Origin>,
    r: &HttpRequest,
    cx: &mut Cx,
) -> Flow<Fact<Vec<Vec<u8>>>> {
    let result = cx.disk.open_dir(path);
    let errno = result.as_ref().err().map(|denied| denied.errno);
    cx.push(PHASE, origin, || Event::Open { path: path.to_path_buf(), errno });
    let denied = match result {
        Ok(names) => return ControlFlow::Continue(names),
        Err(denied) => denied,
    };
    let (status, cause) = match denied.errno {
        Errno::Eacces => (403, permission),
        errno if is_missing(errno) => (404, other),
        _ => (500, other),
    };
    let mut decision = path_decision(cause, Some(&denied), r);
    decision.log = failed("opendir", path, denied.errno);
    if let Some(origin) = origin {
        decision.related.push(crate::outcome::Related { role: "listing", origin });
    }
    error(status, decision)
}

/// `$arg_NAME` of a query, undecoded (`ngx_http_arg`).
fn argument<'q>(args: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    args.split(|&byte| byte == b'&').find_map(|pair| {
        let (key, value) = pair.split_at_checked(name.len())?;
        (key.eq_ignore_ascii_case(name)).then(|| value.strip_prefix(b"=")).flatten()
    })
}

/// `ngx_http_autoindex_jsonp_callback`: at most 128 bytes of a JavaScript name, as they stand in the query.
fn is_callback(text: &[u8]) -> bool {
    let is_name_byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    text.len() <= 128 && text.iter().all(is_name_byte)
}

//! Precontent: `try_files` (`ngx_http_try_files_handler`), then `mirror`, which reads the body for its copies of the
//! request and changes nothing else.
//!
//! The tested path is the root with the argument put straight behind it. What fails for whatever reason, a directory that
//! may not be searched included, is passed over.

use std::ops::ControlFlow;

use super::super::mapping::{document_root, map_bytes, path_from};
use super::super::model::{Alias, TryFile};
use super::super::request::{Cx, Flow, HttpRequest, error};
use super::body;
use super::content::{Found, lookup};
use super::opaque;
use crate::cause::nginx as causes;
use crate::fs::FileKind;
use crate::outcome::Decision;
use crate::source::Origin;
use crate::trace::nginx::Event;

pub(super) fn precontent<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    opaque::location(r, cx, opaque::Phase::Precontent)?;
    try_files(r, cx)?;
    let content = &r.conf.content;
    if content.mirror.value && content.mirror_request_body.value {
        body::read(r, cx)?;
    }
    ControlFlow::Continue(())
}

fn try_files<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let Some(setting) = &r.conf.try_files else { return ControlFlow::Continue(()) };
    for file in &setting.value {
        match file {
            TryFile::Path { name, directory } => {
                let literal = name.as_literal().is_some();
                let name = name.evaluate(r, cx)?;
                if try_file(&name, literal, *directory, setting.origin, r, cx)? {
                    r.led_by_try_files = setting.origin;
                    return ControlFlow::Continue(());
                }
            }
            TryFile::Code(status) => {
                let cause = if *status == 403 { causes::TRY_FILES_403 } else { causes::TRY_FILES_CODE };
                let decision = Decision::new(cause).by(setting.origin).with(r.related());
                if decision.is_waived(cx.inquiry) {
                    return ControlFlow::Continue(());
                }
                return error(*status, decision);
            }
            TryFile::Uri(uri) => {
                // The path is put together all the same, and an alias that cannot be applied ends the request.
                map_bytes(r, cx)?;
                let literal = uri.as_literal().is_some();
                let uri = uri.evaluate(r, cx)?;
                let uri = without_location_name(&uri, literal, r);
                if uri.starts_with(b"@") {
                    return r.named_location(cx, uri, setting.origin);
                }
                let (uri, args) = split_args(uri);
                return r.internal_redirect(cx, uri.to_vec(), args.to_vec(), setting.origin);
            }
        }
    }
    ControlFlow::Continue(())
}

/// `ngx_http_split_args`.
pub(super) fn split_args(uri: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'?', uri) {
        Some(at) => (&uri[..at], &uri[at + 1..]),
        None => (uri, b""),
    }
}

/// In a location with an alias, the name of the location at the front of a computed value is dropped.
fn without_location_name<'n>(name: &'n [u8], literal: bool, r: &HttpRequest) -> &'n [u8] {
    match r.conf.core.mapping.value.alias {
        Some(Alias::Prefix(length)) if !literal => {
            let location = r.uri.get(..length);
            location.and_then(|location| name.strip_prefix(location)).unwrap_or(name)
        }
        _ => name,
    }
}

fn try_file<'a>(
    name: &[u8],
    literal: bool,
    directory: bool,
    origin: Option<Origin>,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow<bool> {
    map_bytes(r, cx)?;
    let root = document_root(r, cx)?;
    let name = without_location_name(name, literal, r);
    let path = path_from([std::os::unix::ffi::OsStrExt::as_bytes(root.as_os_str()), name].concat());
    let found = lookup(&path, r, cx)?;
    let fits = matches!(&found, Found::Stat(stat) if (stat.kind == FileKind::Directory) == directory);
    let errno = match found {
        Found::Denied(denied) => Some(denied.errno),
        Found::Stat(_) => None,
    };
    cx.push("precontent", origin, || Event::TryFile { path: path.clone(), found: fits, errno });
    if !fits {
        return ControlFlow::Continue(false);
    }
    match r.conf.core.mapping.value.alias {
        None => r.uri = name.to_vec(),
        Some(Alias::Whole) => {
            if !directory {
                r.uri = name.to_vec();
                r.add_uri_to_alias = true;
            }
        }
        Some(Alias::Prefix(length)) => {
            r.uri.truncate(length);
            r.uri.extend_from_slice(name);
        }
    }
    ControlFlow::Continue(true)
}

//! From a URI to a path (`ngx_http_map_uri_to_path`): pure text, no file is looked at.

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::model::Alias;
use super::request::{Cx, Flow, HttpRequest, error};
use super::version::Version;
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;

/// A path from bytes, as far as the system call reads it: a NUL that a variable brought in ends it.
pub(crate) fn path_from(mut bytes: Vec<u8>) -> PathBuf {
    bytes.truncate(memchr::memchr(0, &bytes).unwrap_or(bytes.len()));
    PathBuf::from(OsString::from_vec(bytes))
}

/// A configured path as nginx completes it (`ngx_get_full_name`): below the prefix unless it is absolute.
pub(crate) fn full_name(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    if name.starts_with(b"/") {
        return name.to_vec();
    }
    let slash: &[u8] = if prefix.ends_with(b"/") { b"" } else { b"/" };
    [prefix, slash, name].concat()
}

/// `root` or `alias` of the record in force, its variables put in.
pub(crate) fn document_root<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<PathBuf> {
    root_bytes(r, cx).map_continue(path_from)
}

fn root_bytes<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Vec<u8>> {
    let mapping = &r.conf.core.mapping;
    let root = mapping.value.path.evaluate(r, cx)?;
    if root.is_empty() && mapping.value.path.as_literal().is_none() {
        // nginx looks at the byte before the text it just made: the two versions disagree about what follows.
        let text = String::from_utf8_lossy(mapping.value.path.source()).into_owned();
        return cx.unknown(Question::at(Subject::Variable(text), mapping.origin));
    }
    let absolute = mapping.value.path.as_literal().is_some() || root.starts_with(b"/");
    ControlFlow::Continue(if absolute { root.into_owned() } else { full_name(&cx.config.prefix, &root) })
}

/// The path of `r.uri`. Ends the request with 500 where an `alias` cannot be applied because the URI was rewritten.
pub(crate) fn map_uri_to_path<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<PathBuf> {
    map_bytes(r, cx).map_continue(path_from)
}

/// As [`map_uri_to_path`], with room for something to be appended.
pub(crate) fn map_bytes<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Vec<u8>> {
    let mapping = &r.conf.core.mapping;
    let alias = mapping.value.alias;
    // Debian's 1.22.1 refuses as soon as a rewrite is pending, later versions once `break` has cut the URI loose.
    let rewritten = !r.valid_location || (r.uri_changed && cx.version == Version::DEBIAN_1_22_1);
    if alias.is_some() && rewritten {
        return error(500, Decision::new(causes::ALIAS_REWRITTEN).by(mapping.origin));
    }
    let mut path = root_bytes(r, cx)?;
    match alias {
        None => path.extend_from_slice(&r.uri),
        Some(Alias::Whole) if r.add_uri_to_alias => path.extend_from_slice(&r.uri),
        Some(Alias::Whole) => {}
        Some(Alias::Prefix(length)) => match r.uri.get(length..) {
            Some(rest) => path.extend_from_slice(rest),
            // nginx would read outside the URI.
            None => {
                let text = "what nginx maps a rewritten URI to that is shorter than the location's name".to_owned();
                return cx.unknown(Question::at(Subject::Other(text), mapping.origin));
            }
        },
    }
    ControlFlow::Continue(path)
}

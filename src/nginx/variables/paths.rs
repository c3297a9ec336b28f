//! Variables of the URI and of the file that it is mapped to. All but the raw ones are worked out at each use.

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;

use super::super::mapping;
use super::super::request::{Cx, Flow, HttpRequest, Leave};
use super::Value;
use crate::request::HttpVersion;

/// `$uri`, `$document_uri`.
pub(super) fn uri<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(&r.uri)
}

/// `$args`, `$query_string`.
pub(super) fn args<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(&r.args)
}

/// `$is_args`.
pub(super) fn is_args<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(if r.args.is_empty() { "" } else { "?" })
}

/// `$request_uri`.
pub(super) fn request_uri<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(&r.unparsed_uri)
}

/// `$request`: the raw request line.
pub(super) fn request_line<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    let request = r.request;
    let mut line = [&*request.method, b" ", &*request.target].concat();
    if request.version != HttpVersion::HTTP_09 {
        line.extend_from_slice(format!(" HTTP/{}.{}", request.version.major, request.version.minor).as_bytes());
    }
    Value::text(line)
}

/// `$request_method`: of the main request; an error page with a URI makes it `GET` (case: `error-pages-change-the-method`).
pub(super) fn request_method<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(r.main_method_name)
}

/// `$server_protocol`.
pub(super) fn server_protocol<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    let version = r.request.version;
    if version == HttpVersion::HTTP_09 {
        return Value::NotFound;
    }
    Value::text(format!("HTTP/{}.{}", version.major, version.minor))
}

/// `$document_root`.
pub(super) fn document_root<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    let root = mapping::document_root(r, cx);
    mapped(root, "document_root", |path| Value::text(path.as_os_str().as_bytes()))
}

/// `$realpath_root`: not found where the root is not there or cannot be reached.
pub(super) fn realpath_root<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    let root = mapping::document_root(r, cx);
    mapped(root, "realpath_root", |path| match cx.disk.real_path(&path) {
        Ok(path) => Value::text(path.as_os_str().as_bytes()),
        Err(_) => Value::NotFound,
    })
}

/// `$request_filename`: not found where an alias cannot be applied.
pub(super) fn request_filename<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    let path = mapping::map_uri_to_path(r, cx);
    mapped(path, "request_filename", |path| Value::text(path.as_os_str().as_bytes()))
}

/// A mapping that fails inside nginx leaves the variable without a value; one that nobody knows leaves it unknown.
fn mapped<T>(flow: Flow<T>, name: &str, value: impl FnOnce(T) -> Value) -> Value {
    match flow {
        ControlFlow::Continue(path) => value(path),
        ControlFlow::Break(Leave::Unknown) => Value::unknown(name),
        ControlFlow::Break(_) => Value::NotFound,
    }
}

/// `$fastcgi_script_name`: the URI, or the first group of `fastcgi_split_path_info`; `fastcgi_index` follows a slash.
pub(super) fn fastcgi_script_name<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match split_path_info(r) {
        Ok((mut script, _)) => {
            if r.uri.ends_with(b"/") {
                script.extend_from_slice(&r.conf.filters.fastcgi_index);
            }
            Value::text(script)
        }
        Err(value) => value,
    }
}

/// `$fastcgi_path_info`: the second group of `fastcgi_split_path_info`.
pub(super) fn fastcgi_path_info<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match split_path_info(r) {
        Ok((_, info)) => Value::text(info),
        Err(value) => value,
    }
}

/// `ngx_http_fastcgi_split`.
fn split_path_info(r: &HttpRequest) -> Result<(Vec<u8>, Vec<u8>), Value> {
    let Some(pattern) = &r.conf.filters.fastcgi_split_path_info else {
        return Ok((r.uri.clone(), Vec::new()));
    };
    let captures = pattern.captures(&r.uri).map_err(|_| Value::unknown("fastcgi_script_name"))?;
    let Some(captures) = captures else { return Ok((r.uri.clone(), Vec::new())) };
    let group = |number: usize| {
        let range = captures.groups.get(number).cloned().flatten();
        range.map_or_else(Vec::new, |range| r.uri[range].to_vec())
    };
    Ok((group(1), group(2)))
}

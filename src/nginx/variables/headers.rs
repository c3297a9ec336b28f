//! Variables of the request's headers and query, and of a response that is not there yet.
//!
//! Several lines of one name: 1.22 takes the first one, since 1.23.0 they are joined with `, `. `X-Forwarded-For` and
//! `Cookie` are joined in every version.

use super::super::phases::auth_basic;
use super::super::request::{Cx, HttpRequest};
use super::super::version::Version;
use super::{Value, connection, shown};

/// The first version that joins header lines of one name, and reads cookies by `;` only from.
const JOINED: Version = Version::new(1, 23, 0);
const COOKIES_END_AT_SEMICOLONS: Version = Version::new(1, 29, 6);

/// `$http_NAME`: lower case, `-` as `_`.
pub(super) fn request_header<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, name: &[u8]) -> Value {
    let lines = r.headers.iter().filter(|(key, _)| is_named(key, name)).map(|&(_, value)| value);
    join(lines, b", ", cx.version >= JOINED)
}

/// `$http_x_forwarded_for`.
pub(super) fn x_forwarded_for<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    join(r.lines(b"X-Forwarded-For"), b", ", true)
}

/// `$http_cookie`.
pub(super) fn cookies<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    join(r.lines(b"Cookie"), b"; ", true)
}

/// `$proxy_add_x_forwarded_for`.
pub(super) fn add_x_forwarded_for<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    let Value::Text(client) = connection::remote_addr(r, cx) else { return Value::NotFound };
    match x_forwarded_for(r, cx) {
        Value::Text(text) => Value::text([&*text, b", ", &*client].concat()),
        _ => Value::Text(client),
    }
}

fn is_named(key: &[u8], name: &[u8]) -> bool {
    key.len() == name.len()
        && key.iter().zip(name).all(|(key, name)| *name == if *key == b'-' { b'_' } else { key.to_ascii_lowercase() })
}

fn join<'h>(mut lines: impl Iterator<Item = &'h [u8]>, separator: &[u8], all: bool) -> Value {
    let Some(first) = lines.next() else { return Value::NotFound };
    let mut text = first.to_vec();
    if all {
        for line in lines {
            text.extend_from_slice(separator);
            text.extend_from_slice(line);
        }
    }
    Value::text(text)
}

/// `$arg_NAME`: the first `NAME=` at the start of the query or behind a `&`, in any case, not decoded.
pub(super) fn argument<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>, name: &[u8]) -> Value {
    Value::found(find_argument(&r.args, name))
}

/// `ngx_http_arg`.
pub(in crate::nginx) fn find_argument<'q>(args: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    if name.is_empty() {
        return None;
    }
    args.split(|&byte| byte == b'&').find_map(|pair| {
        let (key, rest) = pair.split_at_checked(name.len())?;
        key.eq_ignore_ascii_case(name).then(|| rest.strip_prefix(b"=")).flatten()
    })
}

/// `$cookie_NAME`: the first hit over all `Cookie` lines.
pub(super) fn cookie<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, name: &[u8]) -> Value {
    let commas = cx.version < COOKIES_END_AT_SEMICOLONS;
    Value::found(r.lines(b"Cookie").find_map(|line| find_cookie(line, name, commas)))
}

/// `ngx_http_parse_multi_header_lines`. While cookies may be separated by commas, a value still ends at `;` only.
fn find_cookie<'h>(line: &'h [u8], name: &[u8], commas: bool) -> Option<&'h [u8]> {
    let mut rest = line;
    while !rest.is_empty() {
        if let Some((key, after)) = rest.split_at_checked(name.len())
            && key.eq_ignore_ascii_case(name)
        {
            rest = without_spaces(after);
            if let Some(value) = rest.strip_prefix(b"=") {
                let value = without_spaces(value);
                let end = memchr::memchr(b';', value).unwrap_or(value.len());
                return Some(&value[..end]);
            }
            // The `=` that was not there is consumed all the same.
            rest = rest.get(1..).unwrap_or_default();
        }
        let end = rest.iter().position(|&byte| byte == b';' || (commas && byte == b','));
        rest = without_spaces(end.map_or(&[], |end| &rest[end + 1..]));
    }
    None
}

fn without_spaces(text: &[u8]) -> &[u8] {
    &text[text.iter().take_while(|&&byte| byte == b' ').count()..]
}

/// `$host`: the name of the request line or the Host header, else the server's first name.
pub(super) fn host<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match r.host.as_deref() {
        Some(host) if !host.is_empty() => Value::text(host),
        _ => Value::text(r.server.first_name()),
    }
}

/// `$content_length`: as the client wrote it.
pub(super) fn content_length<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::found(r.header(b"Content-Length"))
}

/// `$content_type`.
pub(super) fn content_type<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    request_header(r, cx, b"content_type")
}

/// `$remote_user`: the user of Basic credentials, whether or not anybody checked them (`ngx_http_auth_basic_user`).
pub(super) fn remote_user<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::found(r.header(b"Authorization").and_then(auth_basic::credentials).map(|(user, _)| user))
}

/// `$status`: of an error page, the status that it stands for; before any answer `000`.
pub(super) fn status<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    let old = r.request.version == crate::request::HttpVersion::HTTP_09;
    let status = r.err_status.unwrap_or(if old { 9 } else { 0 });
    Value::text(format!("{status:03}"))
}

/// `$sent_http_NAME`: nothing has been sent when a configuration can still decide; behind an error page, and once an
/// authorization subrequest is done, a header may have been set.
pub(super) fn sent_header<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>, name: &[u8]) -> Value {
    if r.error_page || r.header_sent { Value::unknown(&format!("sent_http_{}", shown(name))) } else { Value::NotFound }
}

/// A variable of a back end's answer: none before one has been asked.
pub(super) fn of_response(r: &HttpRequest, name: &'static str) -> Value {
    if r.back_end_asked { Value::unknown(name) } else { Value::NotFound }
}

/// A header of a back end's answer.
pub(super) fn of_upstream(r: &HttpRequest, prefix: &'static str, name: &[u8]) -> Value {
    if r.back_end_asked { Value::unknown(&format!("{prefix}{}", shown(name))) } else { Value::NotFound }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_in_any_case_and_not_decoded() {
        assert_eq!(find_argument(b"a=1&B=%20&b=2", b"b"), Some(&b"%20"[..]));
        assert_eq!(find_argument(b"ab=1", b"b"), None);
        assert_eq!(find_argument(b"a&a=", b"a"), Some(&b""[..]));
        assert_eq!(find_argument(b"a", b"a"), None);
        assert_eq!(find_argument(b"x=1?a=2", b"a"), None);
    }

    #[test]
    fn cookies() {
        assert_eq!(find_cookie(b"a=1; B=2 ;c=3", b"b", true), Some(&b"2 "[..]));
        assert_eq!(find_cookie(b"a=1, b=2", b"b", true), Some(&b"2"[..]));
        assert_eq!(find_cookie(b"a=1, b=2", b"a", true), Some(&b"1, b=2"[..]));
        assert_eq!(find_cookie(b"a=1, b=2", b"b", false), None);
        assert_eq!(find_cookie(b"aa=1; b = 3", b"b", true), Some(&b"3"[..]));
        // A name without `=` takes the next cookie with it.
        assert_eq!(find_cookie(b"b; b=1; b=2", b"b", false), Some(&b"2"[..]));
        assert_eq!(find_cookie(b"a; a = 1", b"a", true), None);
        assert_eq!(find_cookie(b"aa=1", b"a", true), None);
    }
}

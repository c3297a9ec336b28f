//! Before any directive of a section counts: the request line, the headers, and the server they choose
//! (ap_read_request, ap_parse_request_line, ap_check_request_header).

use crate::apache::access::ssl::handshake;
use crate::apache::model::{M_INVALID, M_OPTIONS};
use crate::apache::remoteip;
use crate::apache::request::{Cx, Handled, ParsedUri, RequestRec, proceed, uri};
use crate::apache::table::Table;
use crate::apache::vhost::{self, Chain};
use crate::cause;
use crate::cause::Cause;
use crate::outcome::Decision;
use crate::request::HttpVersion;
use crate::source::Setting;

/// The number of CONNECT.
const M_CONNECT: u8 = 4;

/// Everything that is refused before the first hook. `r.server` changes to the one that the Host header names.
pub(crate) fn check<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(remoteip::pre_connection(r, cx));
    let chain = cx.config.chains.given_ip(r.connection.local);
    proceed!(tls(r, chain, cx));
    proceed!(request_line(r, cx));
    if r.protocol == HttpVersion::HTTP_09 {
        // A simple request has no headers, whatever follows its line.
        r.headers_in = Table::default();
    } else {
        proceed!(headers(r));
        proceed!(framing(r));
    }
    proceed!(choose_server(r, chain, cx));
    expectation(r)
}

/// The end of ap_post_read_request: what is not to be forwarded is asked by `http` or `https`.
pub(crate) fn scheme(r: &mut RequestRec) -> Handled {
    let foreign = |scheme: &Vec<u8>| !(scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https"));
    if !r.proxyreq && r.parsed_uri.scheme.as_ref().is_some_and(foreign) {
        return r.refuse(Decision::new(&cause::apache::FOREIGN_SCHEME), 400);
    }
    Handled::Ok
}

fn bad(r: &mut RequestRec, cause: &'static Cause, log: &str) -> Handled {
    let mut decision = Decision::new(cause);
    decision.log = Some(log.to_owned());
    r.refuse(decision, 400)
}

/// T_HTTP_TOKEN_STOP, the other way round.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// T_VCHAR_OBSTEXT.
fn is_visible(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f
}

/// isspace of the C locale.
fn is_space(byte: u8) -> bool {
    b" \t\n\x0b\x0c\r".contains(&byte)
}

fn limited(setting: Option<Setting<u64>>, cause: &'static Cause) -> Decision {
    let mut decision = Decision::new(cause).by(setting.and_then(|setting| setting.origin));
    decision.default = setting.is_none();
    decision
}

/// The words of a request line, and the number of the message that refuses it.
struct Words<'l> {
    method: &'l [u8],
    target: &'l [u8],
    protocol: &'l [u8],
    error: Option<&'static str>,
}

/// Takes a word off the line, and the blanks behind it, which should be one space; `None`: the line ends with it.
fn word<'l>(line: &'l [u8], of: fn(u8) -> bool, bad: &'static str, strict: bool) -> Taken<'l> {
    let mut error = None;
    let length = line.iter().position(|&byte| !of(byte)).unwrap_or(line.len());
    let at_blank = line.get(length).is_none_or(|&byte| is_space(byte));
    let mut end = Some(length);
    if length == 0 || !at_blank {
        error = Some(bad);
        end = line.iter().position(|&byte| is_space(byte));
    }
    let Some(end) = end.filter(|&end| end < line.len()) else { return Taken { word: line, rest: None, error } };
    let blanks = line[end..].iter().take_while(|&&byte| is_space(byte)).count();
    if strict && blanks > 1 {
        error = error.or(Some("AH03448"));
    }
    if line[end..end + blanks].iter().any(|&byte| byte != b' ') {
        error = error.or(Some("AH03447"));
    }
    Taken { word: &line[..end], rest: Some(&line[end + blanks..]), error }
}

struct Taken<'l> {
    word: &'l [u8],
    rest: Option<&'l [u8]>,
    error: Option<&'static str>,
}

/// The first half of ap_parse_request_line. The first error is the one that is logged, but for the target's own.
fn words(line: &[u8], strict: bool) -> Words<'_> {
    let blanks = line.iter().take_while(|&&byte| is_space(byte)).count();
    let mut error = (blanks > 0).then_some("AH03447");
    let method = word(&line[blanks..], if strict { is_token } else { is_visible }, "AH03445", strict);
    error = error.or(method.error);
    let Some(rest) = method.rest.filter(|rest| !rest.is_empty()) else {
        return Words { method: method.word, target: b"", protocol: b"", error: error.or(Some("AH03446")) };
    };
    let target = word(rest, is_visible, "AH03454", strict);
    error = target.error.filter(|&error| error == "AH03454").or(error).or(target.error);
    let rest = target.rest.unwrap_or_default();
    let length = rest.iter().position(|&byte| !is_visible(byte)).unwrap_or(rest.len());
    let (protocol, after) = rest.split_at(length);
    error = match after.first() {
        None => error,
        Some(&byte) if !is_space(byte) => Some("AH02418"),
        Some(_) if strict => Some("AH03448"),
        Some(_) if after.iter().all(|&byte| byte == b' ') => error,
        Some(_) if after.iter().all(|&byte| is_space(byte)) => error.or(Some("AH03447")),
        Some(_) => error.or(Some("AH03449")),
    };
    Words { method: method.word, target: target.word, protocol, error }
}

/// `HTTP/1.1`, eight bytes in this form; the rest is no version at all.
fn version(protocol: &[u8]) -> Option<HttpVersion> {
    let [b'H' | b'h', b'T' | b't', b'T' | b't', b'P' | b'p', b'/', major @ b'1'..=b'9', b'.', minor @ b'0'..=b'9'] =
        protocol
    else {
        return None;
    };
    Some(HttpVersion { major: u16::from(major - b'0'), minor: u16::from(minor - b'0') })
}

/// The request line: its length, the method, the target, the version (read_request_line, ap_parse_request_line).
fn request_line<'c>(r: &mut RequestRec<'c>, cx: &Cx<'c>) -> Handled {
    const DEFAULT_LINE: u64 = 8190;
    let core = &r.server.core;
    let limit = core.limit_request_line;
    let strict = !core.unsafe_protocol.unwrap_or(false);
    if r.the_request.len() as u64 > limit.map_or(DEFAULT_LINE, |limit| limit.value) {
        let decision = limited(limit, &cause::apache::REQUEST_LINE_TOO_LONG);
        return r.refuse(decision, 414);
    }
    let line = r.the_request.clone();
    let Words { method, target, protocol, mut error } = words(&line, strict);
    r.protocol = match version(protocol) {
        Some(version) => {
            if strict && !protocol.starts_with(b"HTTP") {
                error = error.or(Some("AH02418"));
            }
            version
        }
        None => {
            if !protocol.is_empty() {
                error = error.or(Some("AH02418"));
            }
            HttpVersion::HTTP_09
        }
    };
    r.method = method.to_vec();
    r.method_number = if method.is_empty() { M_INVALID } else { cx.config.methods.number(method) };
    r.unparsed_uri = target.to_vec();
    let refused = parse_target(r, target, strict);
    if r.protocol == HttpVersion::HTTP_09 && error.is_none() {
        // Allowed by default, whatever the specification of the protocol says of simple requests.
        if let Some(Setting { value: false, origin }) = core.allow_http_09 {
            return r.refuse(Decision::new(&cause::apache::HTTP_09_REJECTED).by(origin), 400);
        }
        if strict && method != b"GET" {
            error = Some("AH03444");
        }
    }
    if let Some(log) = error {
        return bad(r, &cause::apache::BAD_REQUEST_LINE, log);
    }
    if let Some(setting) = core.registered_methods.filter(|setting| setting.value)
        && r.method_number == M_INVALID
    {
        return r.refuse(Decision::new(&cause::apache::METHOD_NOT_REGISTERED).by(setting.origin), 501);
    }
    match refused {
        None => Handled::Ok,
        Some(log) => bad(r, &cause::apache::BAD_REQUEST_LINE, log),
    }
}

/// ap_parse_uri of what the client sent: a path, an absolute URI, `*`, or host and port of CONNECT. The number of the
/// message that refuses it.
fn parse_target(r: &mut RequestRec, target: &[u8], strict: bool) -> Option<&'static str> {
    // A path may begin with any number of slashes: it is no authority.
    let slashes = target.iter().take_while(|&&byte| byte == b'/').count();
    let target = &target[slashes.saturating_sub(1)..];
    let connect = r.method_number == M_CONNECT;
    let Some(uri) = (if connect { uri::parse_hostinfo(target) } else { uri::parse(target) }) else {
        (r.args, r.hostname, r.uri) = (None, None, target.to_vec());
        return Some("AH03450");
    };
    let options = r.method_number == M_OPTIONS;
    let own: &[u8] = if r.connection.tls { b"https" } else { b"http" };
    if connect || uri.scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(own)) {
        r.hostname = uri.hostname.map(<[u8]>::to_vec);
    }
    r.args = uri.query.map(<[u8]>::to_vec);
    r.uri = uri.path.unwrap_or(if options { b"*" } else { b"/" }).to_vec();
    r.parsed_uri = ParsedUri {
        scheme: uri.scheme.map(<[u8]>::to_vec),
        hostname: uri.hostname.map(<[u8]>::to_vec),
        port: uri.port.map(<[u8]>::to_vec),
    };
    match uri.path {
        Some(path) if !(path.starts_with(b"/") || options && path == b"*") => Some("AH03450"),
        _ if strict && uri.fragment => Some("AH02421"),
        _ if strict && uri.user => Some("AH02422"),
        _ => None,
    }
}

/// The header lines: their number, length and characters (ap_get_mime_headers_core).
fn headers(r: &mut RequestRec) -> Handled {
    const DEFAULT_FIELD: u64 = 8190;
    const DEFAULT_FIELDS: u64 = 100;
    let core = &r.server.core;
    let (size, fields) = (core.limit_field_size, core.limit_fields);
    let size_limit = size.map_or(DEFAULT_FIELD, |limit| limit.value);
    let fields_limit = fields.map_or(DEFAULT_FIELDS, |limit| limit.value);
    let strict = !core.unsafe_protocol.unwrap_or(false);
    let too_long = |r: &mut RequestRec| r.refuse(limited(size, &cause::apache::HEADER_TOO_LONG), 400);
    let sent: Vec<Vec<u8>> = r.headers_in.iter().map(|(name, value)| [name, b": ", value].concat()).collect();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for line in sent {
        if line.len() as u64 > size_limit {
            return too_long(r);
        }
        let blanks = line.iter().rev().take_while(|byte| b" \t".contains(byte)).count();
        let line = &line[..line.len() - blanks.min(line.len() - 1)];
        // A line that begins with a blank goes on with the one before it.
        match (line.first(), lines.last_mut()) {
            (Some(b' ' | b'\t'), None) => return bad(r, &cause::apache::BAD_HEADER, "AH03442"),
            (Some(b' ' | b'\t'), Some(last)) => {
                if line.len() == 1 {
                    return bad(r, &cause::apache::BAD_HEADER, "AH03443");
                }
                last.push(b' ');
                last.extend_from_slice(line.trim_ascii_start());
                if last.len() as u64 >= size_limit {
                    return too_long(r);
                }
            }
            _ => lines.push(line.to_vec()),
        }
    }
    let mut merged = Table::default();
    for (index, line) in lines.iter().enumerate() {
        if fields_limit > 0 && index as u64 >= fields_limit {
            return r.refuse(limited(fields, &cause::apache::TOO_MANY_HEADERS), 400);
        }
        match header(line, strict) {
            // Repeated headers become one.
            Ok((name, value)) => merged.merge(name, value),
            Err(log) => return bad(r, &cause::apache::BAD_HEADER, log),
        }
    }
    if merged.iter().any(|(_, value)| value.len() as u64 > size_limit) {
        return too_long(r);
    }
    r.headers_in = merged;
    Handled::Ok
}

/// A line in name and value, or the number of the message that refuses it.
fn header(line: &[u8], strict: bool) -> Result<(&[u8], &[u8]), &'static str> {
    let colon = memchr::memchr(b':', line);
    let (name, value) = match colon {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => return Err(if strict { "AH02426" } else { "AH00564" }),
    };
    let start = value.iter().take_while(|byte| b" \t".contains(byte)).count();
    let value = &value[start..];
    let log = if strict {
        [
            (name.is_empty() || !name.iter().copied().all(is_token), "AH02426"),
            (value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f), "AH02427"),
        ]
    } else {
        // HttpProtocolOptions Unsafe looks at what could be taken for the end of something only.
        [
            (
                name.is_empty() || name.iter().copied().any(is_space),
                if name.is_empty() { "AH03453" } else { "AH03452" },
            ),
            (value.iter().any(|byte| b"\n\x0b\x0c\r".contains(byte)), "AH03451"),
        ]
    };
    match log.into_iter().find(|(refused, _)| *refused) {
        Some((_, log)) => Err(log),
        None => Ok((name, value)),
    }
}

/// What the headers say of the body (ap_read_request).
fn framing(r: &mut RequestRec) -> Handled {
    if let Some(length) = r.headers_in.get(b"Content-Length") {
        let valid = std::str::from_utf8(length).is_ok_and(|text| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<i64>().is_ok()
        });
        if !valid {
            return bad(r, &cause::apache::BAD_HEADER, "AH10242");
        }
    }
    if let Some(coding) = r.headers_in.get(b"Transfer-Encoding") {
        let last = coding.split(|&byte| byte == b',').next_back().unwrap_or_default().trim_ascii();
        if !last.eq_ignore_ascii_case(b"chunked") {
            return bad(r, &cause::apache::BAD_HEADER, "AH02539");
        }
        r.headers_in.unset(b"Content-Length");
    }
    Handled::Ok
}

/// Host, or the authority of an absolute target, which wins (ap_update_vhost_from_headers_ex).
fn choose_server<'c>(r: &mut RequestRec<'c>, chain: &Chain, cx: &mut Cx<'c>) -> Handled {
    let strict = !r.server.core.unsafe_protocol.unwrap_or(false);
    let strict_check = r.server.core.strict_host_check.filter(|setting| setting.value);
    let header = r.headers_in.get(b"Host").map(<[u8]>::to_vec);
    let from_target = r.hostname.take();
    let fixed = match (&from_target, &header) {
        (Some(host), _) => vhost::fix_url_hostname(host, strict).map(Some),
        (None, Some(value)) => vhost::fix_hostname(value, strict),
        (None, None) => Ok(None),
    };
    match fixed {
        Ok(name) => {
            if from_target.is_none() {
                r.parsed_uri.port = header.as_deref().and_then(vhost::named_port).map(<[u8]>::to_vec);
            }
            r.hostname = name;
        }
        Err(()) => return bad(r, &cause::apache::BAD_HOST, "AH00550"),
    }
    if let (true, Some(name), Some(_)) = (strict && from_target.is_some(), &r.hostname, &header) {
        let bracketed = if name.contains(&b':') { [b"[", &name[..], b"]"].concat() } else { name.clone() };
        let port = r.parsed_uri.port.as_ref().map_or(Vec::new(), |port| [b":", &port[..]].concat());
        r.headers_in.set(b"Host", &[bracketed, port].concat());
    }
    let servers = &cx.config.servers;
    if let Some(name) = r.hostname.clone() {
        let found = chain.by_name(servers, &name);
        if let Some(server) = found.and_then(|index| servers.get(index)) {
            r.server = server;
        } else if let Some(setting) = strict_check {
            let log = if r.server.index == 0 { "AH10156" } else { "AH10157" };
            let mut decision = Decision::new(&cause::apache::STRICT_HOST_CHECK).by(setting.origin);
            decision.log = Some(log.to_owned());
            return r.refuse(decision, 400);
        }
    } else if let Some(server) = chain.by_path(servers, &r.uri).and_then(|index| servers.get(index)) {
        r.server = server;
    }
    r.per_dir = r.server.held.defaults.clone();
    if (r.hostname.is_none() && r.protocol >= HttpVersion::HTTP_11)
        || (r.protocol == HttpVersion::HTTP_11 && header.is_none())
    {
        return bad(r, &cause::apache::HOST_MISSING, "AH00569");
    }
    Handled::Ok
}

/// Plain HTTP on a TLS port is told so; TLS on a plain port ends in noise.
fn tls<'c>(r: &mut RequestRec<'c>, chain: &Chain, cx: &mut Cx<'c>) -> Handled {
    let engine = r.server.ssl.as_ref().and_then(|ssl| ssl.engine);
    let on = engine.is_some_and(|engine| engine.value);
    match (r.connection.tls, on) {
        (false, true) => {
            r.refuse(Decision::new(&cause::apache::HTTP_ON_HTTPS_PORT).by(engine.and_then(|e| e.origin)), 400)
        }
        (true, false) => {
            r.decision =
                Some(Decision::new(&cause::apache::NO_TLS_HERE).by(engine.and_then(|e| e.origin).or(r.server.origin)));
            Handled::Closed
        }
        (true, true) => handshake::handshake(r, chain, cx),
        (false, false) => Handled::Ok,
    }
}

fn expectation(r: &mut RequestRec) -> Handled {
    match r.headers_in.get(b"Expect") {
        Some(value) if !value.is_empty() && !value.eq_ignore_ascii_case(b"100-continue") => {
            r.refuse(Decision::new(&cause::apache::EXPECTATION), 417)
        }
        _ => Handled::Ok,
    }
}

//! Before any directive of a section counts: the request line, the headers, and the server they choose
//! (ap_read_request, ap_parse_request_line, ap_check_request_header).

use crate::apache::model::{M_INVALID, M_OPTIONS};
use crate::apache::request::{Cx, Handled, RequestRec, proceed};
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
    let chain = cx.config.chains.given_ip(r.connection.local);
    proceed!(request_line(r));
    proceed!(headers(r));
    proceed!(choose_server(r, chain, cx));
    proceed!(tls(r));
    expectation(r)
}

fn bad(r: &mut RequestRec, cause: &'static Cause, log: &str) -> Handled {
    let mut decision = Decision::new(cause);
    decision.log = Some(log.to_owned());
    r.refuse(decision, 400)
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn limited(setting: Option<Setting<u64>>, cause: &'static Cause) -> Decision {
    let mut decision = Decision::new(cause).by(setting.and_then(|setting| setting.origin));
    decision.default = setting.is_none();
    decision
}

/// The request line: its length, the method, the target, the version.
fn request_line(r: &mut RequestRec) -> Handled {
    const DEFAULT_LINE: u64 = 8190;
    let core = &r.server.core;
    let limit = core.limit_request_line;
    let strict = !core.unsafe_protocol.unwrap_or(false);
    let (allow_09, registered) = (core.allow_http_09.unwrap_or(false), core.registered_methods);
    if r.the_request.len() as u64 > limit.map_or(DEFAULT_LINE, |limit| limit.value) {
        let decision = limited(limit, &cause::apache::REQUEST_LINE_TOO_LONG);
        return r.refuse(decision, 414);
    }
    if r.method.is_empty() || !r.method.iter().copied().all(is_token) {
        return bad(r, &cause::apache::BAD_REQUEST_LINE, "AH03445");
    }
    let target = r.unparsed_uri.clone();
    let visible = |byte: &u8| *byte > b' ' && *byte != 0x7f;
    if target.is_empty() || !target.iter().all(visible) {
        return bad(r, &cause::apache::BAD_REQUEST_LINE, "AH03454");
    }
    if r.protocol == HttpVersion::HTTP_09 {
        if !allow_09 {
            return bad(r, &cause::apache::HTTP_09_REJECTED, "AH02401");
        }
        if strict && r.method != b"GET" {
            return bad(r, &cause::apache::BAD_REQUEST_LINE, "AH03444");
        }
    } else if r.protocol.major == 0 || r.protocol.major > 9 || r.protocol.minor > 9 {
        return bad(r, &cause::apache::BAD_REQUEST_LINE, "AH02418");
    }
    let parsed = parse_target(r, &target, strict);
    if let Some(setting) = registered.filter(|setting| setting.value)
        && r.method_number == M_INVALID
    {
        return r.refuse(Decision::new(&cause::apache::METHOD_NOT_REGISTERED).by(setting.origin), 501);
    }
    match parsed {
        Ok(()) => Handled::Ok,
        Err(log) => bad(r, &cause::apache::BAD_REQUEST_LINE, log),
    }
}

/// ap_parse_uri of what the client sent: a path, an absolute URI, `*`, or host and port of CONNECT.
fn parse_target(r: &mut RequestRec, target: &[u8], strict: bool) -> Result<(), &'static str> {
    let slashes = target.iter().take_while(|&&byte| byte == b'/').count();
    let target = &target[slashes.saturating_sub(1)..];
    if r.method_number == M_CONNECT {
        let colon = target.iter().rposition(|&byte| byte == b':').ok_or("AH03450")?;
        let (host, port) = (&target[..colon], &target[colon + 1..]);
        if host.is_empty() || host.contains(&b'/') || port.is_empty() || !port.iter().all(u8::is_ascii_digit) {
            return Err("AH03450");
        }
        r.hostname = Some(host.to_ascii_lowercase());
        r.uri = b"/".to_vec();
        r.args = None;
        return Ok(());
    }
    let mut rest = target;
    if slashes == 0 {
        let scheme = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
        if scheme > 0 && rest.get(scheme..).is_some_and(|rest| rest.starts_with(b"://")) {
            let ours: &[u8] = if r.connection.tls { b"https" } else { b"http" };
            let same = rest[..scheme].eq_ignore_ascii_case(ours);
            rest = &rest[scheme + 3..];
            let end = rest.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(rest.len());
            let authority = &rest[..end];
            rest = &rest[end..];
            let (user, host) = match authority.iter().rposition(|&byte| byte == b'@') {
                Some(at) => (true, &authority[at + 1..]),
                None => (false, authority),
            };
            if user && strict {
                return Err("AH02422");
            }
            if same {
                r.hostname = Some(host.to_vec());
            }
            r.absolute_uri = true;
            if rest.is_empty() || !rest.starts_with(b"/") {
                let path: &[u8] = if r.method_number == M_OPTIONS && rest.is_empty() { b"*" } else { b"/" };
                r.uri = path.to_vec();
                r.args = rest.strip_prefix(b"?").map(<[u8]>::to_vec);
                return if rest.starts_with(b"#") && strict { Err("AH02421") } else { Ok(()) };
            }
        } else if target != b"*" || r.method_number != M_OPTIONS {
            // Neither a path nor a URL. `mailto:x` and the like have a scheme and no path either.
            return Err("AH03450");
        }
    }
    if let Some(fragment) = rest.iter().position(|&byte| byte == b'#') {
        if strict {
            return Err("AH02421");
        }
        rest = &rest[..fragment];
    }
    match rest.iter().position(|&byte| byte == b'?') {
        Some(at) => (r.uri, r.args) = (rest[..at].to_vec(), Some(rest[at + 1..].to_vec())),
        None => (r.uri, r.args) = (rest.to_vec(), None),
    }
    Ok(())
}

/// The header lines: their number, length and characters, and what they say of the body.
fn headers(r: &mut RequestRec) -> Handled {
    const DEFAULT_FIELD: u64 = 8190;
    const DEFAULT_FIELDS: u64 = 100;
    let core = &r.server.core;
    let (size, fields) = (core.limit_field_size, core.limit_fields);
    let size_limit = size.map_or(DEFAULT_FIELD, |limit| limit.value);
    let fields_limit = fields.map_or(DEFAULT_FIELDS, |limit| limit.value);
    let lines: Vec<(Vec<u8>, Vec<u8>)> =
        r.headers_in.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    for (index, (name, value)) in lines.iter().enumerate() {
        if (name.len() + 2 + value.len()) as u64 > size_limit {
            let decision = limited(size, &cause::apache::HEADER_TOO_LONG);
            return r.refuse(decision, 400);
        }
        if fields_limit > 0 && index as u64 >= fields_limit {
            let decision = limited(fields, &cause::apache::TOO_MANY_HEADERS);
            return r.refuse(decision, 400);
        }
        if name.is_empty() || !name.iter().copied().all(is_token) {
            return bad(r, &cause::apache::BAD_HEADER, "AH02426");
        }
        if value.iter().any(|&byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return bad(r, &cause::apache::BAD_HEADER, "AH02427");
        }
    }
    // Repeated headers become one.
    let mut merged = crate::apache::table::Table::default();
    for (name, value) in &lines {
        merged.merge(name, value.trim_ascii());
    }
    if merged.iter().any(|(name, value)| (name.len() + 2 + value.len()) as u64 > size_limit) {
        let decision = limited(size, &cause::apache::HEADER_TOO_LONG);
        return r.refuse(decision, 400);
    }
    r.headers_in = merged;
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

/// Host, or the authority of an absolute target, which wins (ap_update_vhost_from_headers).
fn choose_server<'c>(r: &mut RequestRec<'c>, chain: &Chain, cx: &mut Cx<'c>) -> Handled {
    let strict = !r.server.core.unsafe_protocol.unwrap_or(false);
    let strict_check = r.server.core.strict_host_check.filter(|setting| setting.value);
    let from_target = r.hostname.take();
    let header = r.headers_in.get(b"Host").map(<[u8]>::to_vec);
    if let Some(value) = from_target.as_ref().or(header.as_ref()) {
        match vhost::fix_hostname(value, strict) {
            Ok(name) => r.hostname = Some(name),
            Err(()) => return bad(r, &cause::apache::BAD_HOST, "AH00550"),
        }
    }
    if let (Some(target), Some(_)) = (&from_target, &header) {
        r.headers_in.set(b"Host", target);
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
    r.per_dir = r.server.defaults.clone();
    let unnamed = r.hostname.as_ref().is_none_or(Vec::is_empty);
    if (unnamed && r.protocol >= HttpVersion::HTTP_11) || (r.protocol == HttpVersion::HTTP_11 && header.is_none()) {
        return bad(r, &cause::apache::HOST_MISSING, "AH00569");
    }
    Handled::Ok
}

/// Plain HTTP on a TLS port is told so; TLS on a plain port ends in noise.
fn tls(r: &mut RequestRec) -> Handled {
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
        _ => Handled::Ok,
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

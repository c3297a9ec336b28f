//! From an accepted connection to the first phase: which server is meant, and what nginx refuses in the request line and
//! the header before any location is looked at.
//!
//! Follows `ngx_http_process_request_line`, `_headers`, `_request_header` and `ngx_http_process_request`. The default
//! server of the address speaks until a name is known.

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::connect::Accepted;
use super::listen::{Address, Found};
use super::mapping::{full_name, path_from};
use super::model::{Http, Server, VerifyClient};
use super::phases::Entry;
use super::request::{Cx, Failure, Flow, HttpRequest, Leave, MAX_URI_CHANGES, Method, error};
use super::uri::{self, LineError, RequestLine};
use super::variables;
use super::version::Version;
use crate::cause::nginx as causes;
use crate::client_cert::{Terms, Verdict};
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::request::{ClientCert, HttpVersion, Request};
use crate::trace::nginx::{Event, ServerBy};

const LINE: &str = "request line";
const HEADERS: &str = "request headers";

/// A request that has not been read yet, as the default server of its address sees it.
pub(super) fn begin<'a>(http: &'a Http, request: &'a Request, accepted: &Accepted<'a>) -> HttpRequest<'a> {
    let server = &http.servers[accepted.address.default];
    HttpRequest {
        request,
        connection: accepted.connection.clone(),
        server,
        location: None,
        conf: &server.conf,
        content_handler: None,
        method: Method::of(&request.method),
        method_name: &request.method,
        main_method_name: &request.method,
        uri: Vec::new(),
        args: Vec::new(),
        unparsed_uri: Vec::new(),
        version: request.version,
        http2: false,
        host: None,
        headers: Vec::new(),
        content_length: None,
        chunked: false,
        body_read: false,
        internal: false,
        uri_changed: false,
        uri_changes: MAX_URI_CHANGES,
        valid_location: true,
        quoted_uri: false,
        plus_in_uri: false,
        vars: variables::State::default(),
        err_status: None,
        error_page: false,
        back_end_asked: false,
        header_sent: false,
        page: None,
        depth: 0,
        client_cert: &request.client_cert,
        refusals: Vec::new(),
        limit_except: None,
        limit_req_counted: false,
        limit_conn_counted: false,
        add_uri_to_alias: false,
        last_rewrite: None,
        led_by_try_files: None,
        led_by_index: false,
        file: None,
    }
}

/// Reads request line and header.
pub(super) fn receive<'a>(
    http: &'a Http,
    accepted: &Accepted<'a>,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
) -> Flow<Entry> {
    let mut receiver = Receiver { http, address: accepted.address, sni: None };
    receiver.handshake(r, cx)?;
    receiver.protocol(r, cx)?;
    receiver.request_line(r, cx)?;
    if r.version >= HttpVersion::HTTP_10 {
        receiver.headers(r, cx)?;
        receiver.request_header(r, cx)?;
    } else if r.host.is_none() {
        receiver.set_server(b"", r, cx)?;
    }
    client_certificate(accepted.address, r, cx)?;
    ControlFlow::Continue(Entry::PostRead)
}

struct Receiver<'a> {
    http: &'a Http,
    address: &'a Address,
    /// The name of the handshake, if a server was found by it.
    sni: Option<Vec<u8>>,
}

impl<'a> Receiver<'a> {
    /// The TLS handshake: SNI chooses a server (`ngx_http_ssl_servername`).
    fn handshake(&mut self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        if !r.connection.tls {
            return ControlFlow::Continue(());
        }
        if !self.address.ssl && !r.server.srv.ssl.value {
            let decision = Decision::new(causes::TLS_ON_PLAIN_PORT).by(self.address.default_origin);
            return error(400, decision);
        }
        let name = r.request.to.name.as_deref().filter(|name| !is_address(name));
        if let Some(host) = name.and_then(|name| uri::validate_host(name, cx.version)) {
            let run = |regex: &variables::Regex| regex.exec(&mut variables::State::default(), &host);
            let found = match self.address.find_server(&host, &self.http.servers, run) {
                Ok(found) => found,
                Err(question) => return cx.unknown(question),
            };
            if let Found::Name(index) | Found::Regex(index, _) = found {
                r.server = &self.http.servers[index];
                r.conf = &r.server.conf;
                cx.push("connection", Some(r.server.origin), || Event::Server {
                    host: host.clone(),
                    by: ServerBy::Sni,
                });
                self.sni = Some(host);
            }
        }
        let reject = &r.server.srv.ssl_reject_handshake;
        if reject.value {
            let decision = Decision::new(causes::HANDSHAKE_REJECTED).by(reject.origin);
            return ControlFlow::Break(Leave::Closed(Box::new(decision)));
        }
        // Only the server of the handshake asks for a certificate. Case: certificate-asked-for-in-the-handshake.
        if r.server.srv.ssl_verify_client.value == VerifyClient::Off {
            r.client_cert = &ClientCert::None;
        }
        ControlFlow::Continue(())
    }

    /// Whether HTTP/2 is spoken. Before 1.25.1 a port for HTTP/2 without TLS understands nothing else.
    fn protocol(&self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        const BOTH_ON_ONE_PORT: Version = Version::new(1, 25, 1);
        let newer = r.request.version.major == 2;
        if self.address.http2 && !newer && !r.connection.tls && cx.version < BOTH_ON_ONE_PORT {
            let decision = Decision::new(causes::HTTP2_ONLY).by(self.address.default_origin);
            return ControlFlow::Break(Leave::Closed(Box::new(decision)));
        }
        r.http2 = newer && (self.address.http2 || r.server.srv.http2.value);
        ControlFlow::Continue(())
    }

    fn request_line(&mut self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        let request = r.request;
        let target = &request.target;
        // Pseudo-headers of HTTP/2 are read by the same rules.
        let version = if r.http2 { HttpVersion::HTTP_11 } else { request.version };
        let line = match uri::parse_request_line(&request.method, target, version, cx.version) {
            Ok(line) => line,
            Err(LineError::Version) => return refuse(505, causes::INVALID_VERSION),
            Err(LineError::Method | LineError::Method09) => return refuse(400, causes::INVALID_METHOD),
            Err(LineError::Request) => return refuse(400, causes::INVALID_REQUEST),
        };
        let srv = &r.server.srv;
        let length = line_length(request);
        if length > srv.client_header_buffer_size.value.max(srv.large_client_header_buffers.value.1) {
            let origin = srv.large_client_header_buffers.origin;
            return error(414, Decision::new(causes::URI_TOO_LONG).by(origin));
        }
        r.version = if r.http2 { request.version } else { line.version };
        self.process_uri(&line, r)?;
        if let Some(host) = &line.host {
            let Some(host) = uri::validate_host(&target[host.clone()], cx.version) else {
                return refuse(400, causes::INVALID_HOST);
            };
            self.set_server(&host, r, cx)?;
            r.host = Some(host);
        }
        ControlFlow::Continue(())
    }

    /// `ngx_http_process_request_uri`.
    fn process_uri(&self, line: &RequestLine, r: &mut HttpRequest<'a>) -> Flow {
        let target = &r.request.target;
        let raw = if line.uri.is_empty() { b"/" } else { &target[line.uri.clone()] };
        r.unparsed_uri = raw.to_vec();
        r.quoted_uri = line.quoted;
        r.plus_in_uri = line.plus;
        if line.complex || line.quoted || line.empty_path {
            let merge_slashes = r.server.srv.merge_slashes.value;
            let Some(normalized) = uri::normalize(raw, line.empty_path, merge_slashes) else {
                return refuse(400, causes::INVALID_REQUEST);
            };
            r.uri = normalized.path;
            r.args = normalized.args;
            r.quoted_uri |= normalized.quoted;
            r.plus_in_uri |= normalized.plus;
        } else {
            let end = line.args.map_or(raw.len(), |args| args - 1 - line.uri.start);
            r.uri = raw[..end].to_vec();
            r.args = raw.get(end + 1..).unwrap_or_default().to_vec();
        }
        ControlFlow::Continue(())
    }

    fn headers(&mut self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        let request = r.request;
        let mut buffers = Buffers::after_request_line(request, r.server);
        let mut host_seen = false;
        for (name, value) in &request.headers {
            let srv = &r.server.srv;
            let length = name.len() as u64 + 2 + value.len() as u64 + 2;
            if !buffers.take(length, r.server) {
                let origin = srv.large_client_header_buffers.origin;
                return error(494, Decision::new(causes::HEADER_TOO_LARGE).by(origin));
            }
            let Some(valid) = is_header_name(name, srv.underscores_in_headers.value) else {
                return refuse(400, causes::INVALID_HEADER);
            };
            if value.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
                return refuse(400, causes::INVALID_HEADER);
            }
            if !valid && srv.ignore_invalid_headers.value {
                continue;
            }
            if r.headers.len() as u64 >= srv.max_headers.value {
                return error(494, Decision::new(causes::TOO_MANY_HEADERS).by(srv.max_headers.origin));
            }
            let value = trim_spaces(value);
            if is_unique(name, cx.version) && r.header(name).is_some() {
                return refuse(400, causes::DUPLICATE_HEADER);
            }
            r.headers.push((name, value));
            if name.eq_ignore_ascii_case(b"Host") {
                if host_seen {
                    return refuse(400, causes::DUPLICATE_HEADER);
                }
                host_seen = true;
                self.host(value, r, cx)?;
            }
        }
        if !buffers.take(2, r.server) {
            let origin = r.server.srv.large_client_header_buffers.origin;
            return error(494, Decision::new(causes::HEADER_TOO_LARGE).by(origin));
        }
        ControlFlow::Continue(())
    }

    /// `ngx_http_process_host`: checked even where the request line has named a host already.
    fn host(&mut self, value: &'a [u8], r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        let Some(host) = uri::validate_host(value, cx.version) else { return refuse(400, causes::INVALID_HOST) };
        if r.host.is_none() {
            self.set_server(&host, r, cx)?;
            r.host = Some(host);
        }
        ControlFlow::Continue(())
    }

    /// The server named `$hostname`, if the name is assumed to be the machine's.
    fn machine(&self, host: &[u8], cx: &Cx) -> Option<usize> {
        let index = self.address.server_of_machine(host)?;
        let name = String::from_utf8_lossy(host);
        let (no, yes) =
            (format!("`{name}` is not the machine's own name"), format!("`{name}` is the machine's own name"));
        let subject = Subject::Other("the name of the machine".to_owned());
        let question = Question::at(subject, Some(self.http.servers[index].origin));
        (cx.inquiry.choose(question, &[&no, &yes]) == 1).then_some(index)
    }

    /// `ngx_http_set_virtual_server`.
    fn set_server(&mut self, host: &[u8], r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        if self.sni.as_deref() == Some(host) {
            return ControlFlow::Continue(());
        }
        let vars = &mut r.vars;
        let found = match self.machine(host, cx) {
            Some(index) => Found::Name(index),
            None => match self.address.find_server(host, &self.http.servers, |regex| regex.exec(vars, host)) {
                Ok(found) => found,
                Err(question) => return cx.unknown(question),
            },
        };
        let default = &self.http.servers[self.address.default];
        let (server, by) = match found {
            Found::Name(index) => (&self.http.servers[index], ServerBy::Name),
            Found::Regex(index, _) => (&self.http.servers[index], ServerBy::Regex),
            Found::Default if self.address.servers.len() == 1 => (default, ServerBy::Only),
            Found::Default => (default, ServerBy::Default),
        };
        cx.push(HEADERS, Some(server.origin), || Event::Server { host: host.to_vec(), by });
        let verify = &server.srv.ssl_verify_client;
        if self.sni.is_some() && verify.value != VerifyClient::Off {
            return error(421, Decision::new(causes::MISDIRECTED).by(verify.origin));
        }
        r.server = server;
        r.conf = &server.conf;
        ControlFlow::Continue(())
    }

    /// `ngx_http_process_request_header`: checks that need the whole header.
    fn request_header(&mut self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        if r.host.is_none() {
            self.set_server(b"", r, cx)?;
        }
        if r.header(b"Host").is_none() && r.version > HttpVersion::HTTP_10 {
            return refuse(400, causes::NO_HOST);
        }
        if let Some(length) = r.header(b"Content-Length") {
            match parse_length(length) {
                Some(length) => r.content_length = Some(length),
                None => return refuse(400, causes::INVALID_LENGTH),
            }
        }
        if let Some(encoding) = r.header(b"Transfer-Encoding") {
            if r.version < HttpVersion::HTTP_11 {
                return refuse(400, causes::INVALID_LENGTH);
            }
            if !encoding.eq_ignore_ascii_case(b"chunked") {
                return refuse(501, causes::TRANSFER_ENCODING);
            }
            if r.content_length.is_some() {
                return refuse(400, causes::INVALID_LENGTH);
            }
            r.chunked = true;
        }
        match r.method {
            Method::CONNECT if cx.version >= Version::new(1, 31, 0) => {
                if r.version != HttpVersion::HTTP_11 || !r.server.srv.allow_connect {
                    return refuse(405, causes::METHOD_REFUSED);
                }
                if r.chunked || r.content_length.is_some_and(|length| length > 0) {
                    return refuse(400, causes::INVALID_LENGTH);
                }
                ControlFlow::Continue(())
            }
            Method::CONNECT | Method::TRACE => refuse(405, causes::METHOD_REFUSED),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// What `ngx_http_process_request` checks on a port that speaks TLS.
fn client_certificate<'a>(address: &Address, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let srv = &r.server.srv;
    if !address.ssl && !srv.ssl.value {
        return ControlFlow::Continue(());
    }
    if !r.connection.tls {
        return error(497, Decision::new(causes::PLAIN_ON_TLS_PORT).by(address.default_origin));
    }
    let verify = &srv.ssl_verify_client;
    if verify.value == VerifyClient::Off {
        return ControlFlow::Continue(());
    }
    let files = [&srv.ssl_client_certificate.value, &srv.ssl_trusted_certificate.value];
    let terms = Terms {
        authorities: files
            .into_iter()
            .flatten()
            .map(|file| path_from(full_name(&cx.config.conf_prefix, file)))
            .collect(),
        any_issuer: verify.value == VerifyClient::OptionalNoCa,
        origin: verify.origin,
        world: cx.world,
        inquiry: cx.inquiry,
    };
    let verdict = terms.verdict(r.client_cert);
    r.client_cert = match verdict {
        Verdict::None => &ClientCert::None,
        Verdict::Accepted => &ClientCert::Ok,
        Verdict::UnknownIssuer | Verdict::Refused => &ClientCert::Failed,
    };
    match (verify.value, verdict) {
        (VerifyClient::On, Verdict::None) => {
            error(496, Decision::new(causes::CLIENT_CERTIFICATE_MISSING).by(verify.origin))
        }
        (VerifyClient::On | VerifyClient::Optional, Verdict::UnknownIssuer) | (_, Verdict::Refused) => {
            error(495, Decision::new(causes::CLIENT_CERTIFICATE_BAD).by(verify.origin))
        }
        _ => ControlFlow::Continue(()),
    }
}

/// A refusal that no directive is behind.
fn refuse<T>(status: u16, cause: &'static crate::cause::Cause) -> Flow<T> {
    debug_assert!(cause.phase == LINE || cause.phase == HEADERS);
    let failure = Failure { status, decision: Box::new(Decision::new(cause)), location: None };
    ControlFlow::Break(Leave::Error(failure))
}

/// SNI is never an address.
pub(super) fn is_address(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| name.parse::<IpAddr>().is_ok())
}

/// Bytes of the request line with its line end.
fn line_length(request: &Request) -> u64 {
    let protocol = if request.version == HttpVersion::HTTP_09 { 0 } else { " HTTP/1.1".len() };
    (request.method.len() + 1 + request.target.len() + protocol + 2) as u64
}

/// The header buffers as they fill (`ngx_http_alloc_large_header_buffer`): a line that does not fit into the rest of a
/// buffer moves to a new, large one.
struct Buffers {
    left: u64,
    large_used: u64,
}

impl Buffers {
    fn after_request_line(request: &Request, server: &Server) -> Buffers {
        let length = line_length(request);
        let first = server.srv.client_header_buffer_size.value;
        match first.checked_sub(length) {
            Some(left) => Buffers { left, large_used: 0 },
            None => {
                let large = server.srv.large_client_header_buffers.value.1;
                Buffers { left: large.saturating_sub(length), large_used: 1 }
            }
        }
    }

    /// Whether a line of so many bytes can be read.
    fn take(&mut self, length: u64, server: &Server) -> bool {
        if let Some(left) = self.left.checked_sub(length) {
            self.left = left;
            return true;
        }
        let (count, size) = server.srv.large_client_header_buffers.value;
        if length > size || self.large_used >= count {
            return false;
        }
        self.large_used += 1;
        self.left = size - length;
        true
    }
}

/// Whether a header name is an ordinary one; `None`: it ends the request. Other odd names are dropped.
fn is_header_name(name: &[u8], underscores: bool) -> Option<bool> {
    if name.is_empty() || name.iter().any(|&byte| byte <= b' ' || byte == 0x7f) || name.contains(&b':') {
        return None;
    }
    let is_ordinary = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'-' || (underscores && byte == b'_');
    Some(name.iter().all(is_ordinary))
}

/// Only spaces surround a value; a tab belongs to it.
fn trim_spaces(value: &[u8]) -> &[u8] {
    let start = value.iter().position(|&byte| byte != b' ').unwrap_or(value.len());
    let end = value.iter().rposition(|&byte| byte != b' ').map_or(start, |at| at + 1);
    &value[start..end]
}

/// Headers that may stand once (`ngx_http_process_unique_header_line`).
fn is_unique(name: &[u8], server: Version) -> bool {
    const UNIQUE: [&[u8]; 10] = [
        b"If-Modified-Since",
        b"If-Unmodified-Since",
        b"If-Match",
        b"If-None-Match",
        b"If-Range",
        b"Content-Length",
        b"Content-Range",
        b"Transfer-Encoding",
        b"Expect",
        b"Authorization",
    ];
    UNIQUE.iter().any(|unique| unique.eq_ignore_ascii_case(name))
        || (server >= Version::new(1, 31, 0) && name.eq_ignore_ascii_case(b"Proxy-Authorization"))
}

/// `ngx_atoof`: digits that fit into an off_t.
fn parse_length(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let length: u64 = digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()?;
    (length <= i64::MAX as u64).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_header_names_are_dropped_and_control_bytes_refused() {
        assert_eq!(is_header_name(b"X-Real-IP", false), Some(true));
        assert_eq!(is_header_name(b"A_B", false), Some(false));
        assert_eq!(is_header_name(b"A_B", true), Some(true));
        assert_eq!(is_header_name(b"A.B", true), Some(false));
        assert_eq!(is_header_name(b"A B", true), None);
        assert_eq!(is_header_name(b"", true), None);
    }

    #[test]
    fn lengths_are_digits() {
        assert_eq!(parse_length(b"20"), Some(20));
        assert_eq!(parse_length(b"+20"), None);
        assert_eq!(parse_length(b""), None);
        assert_eq!(parse_length(b"9223372036854775808"), None);
    }
}

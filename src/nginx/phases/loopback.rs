//! A back end that is this very server: an authorization subrequest is often proxied to another `server` or `location` of
//! the same configuration, over the loopback. What it answers need not be asked.
//!
//! The request is put together as `ngx_http_proxy_create_request` does it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::super::model::{Handler, PassKind};
use super::super::request::{Cx, Ending, Flow, HttpRequest};
use super::super::upstream::Target;
use crate::nginx;
use crate::request::{ClientCert, Destination, HttpVersion, Peer, Request, Scheme};

/// How often a request may be handed to this server again.
const DEPTH: u8 = 3;

/// What `ngx_escape_uri` with NGX_ESCAPE_URI escapes, besides bytes of 0x80 and above.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'#')
    .add(b'%')
    .add(b'?')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Headers that are never passed on as they came.
const OWN: [&[u8]; 7] =
    [b"Host", b"Connection", b"Keep-Alive", b"Expect", b"Upgrade", b"Content-Length", b"Transfer-Encoding"];

/// The answer of this server to a subrequest that was handed to a back end, if that is this server.
pub(super) fn answer<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Option<Ending>> {
    let Some(Handler::Pass(PassKind::Proxy, url)) = r.content_handler.map(|handler| &handler.value) else {
        return ControlFlow::Continue(None);
    };
    let intercepts = r.conf.content.intercept_errors[PassKind::Proxy as usize].value;
    if cx.handed_over >= DEPTH || r.conf.proxy.method.is_some() || (intercepts && !r.conf.core.error_pages.is_empty()) {
        return ControlFlow::Continue(None);
    }
    let literal = url.as_literal().is_some();
    let url = url.evaluate(r, cx)?;
    let Ok(target) = Target::parse(PassKind::Proxy, &url) else { return ControlFlow::Continue(None) };
    let Target::Host { host, port, default_port: Some(default_port), tls: false, uri } = target else {
        return ControlFlow::Continue(None);
    };
    let local = if host.eq_ignore_ascii_case(b"localhost") { Some(Ipv4Addr::LOCALHOST.into()) } else { target.ip() };
    let Some(ip) = local.filter(IpAddr::is_loopback) else { return ControlFlow::Continue(None) };
    let port = port.unwrap_or(default_port);
    let Some(http) = &cx.config.http else { return ControlFlow::Continue(None) };
    if http.addresses.accept(SocketAddr::new(ip, port)).is_err() {
        return ControlFlow::Continue(None);
    }
    let authority = url["http://".len()..url.len() - uri.len()].to_vec();
    let request = Request {
        method: r.method_name.to_vec(),
        target: request_target(uri, literal, r),
        version: HttpVersion::HTTP_10,
        headers: headers(authority, r, cx)?,
        peer: Peer::Ip(ip),
        to: Destination { scheme: Some(Scheme::Http), address: Some(ip), port: Some(port), name: None },
        client_cert: ClientCert::None,
    };
    ControlFlow::Continue(Some(nginx::answer_again(http, &request, cx)))
}

/// The URI of the back end in place of the location's name, or the whole path where it has none.
fn request_target(uri: &[u8], literal: bool, r: &HttpRequest) -> Vec<u8> {
    if !literal && !uri.is_empty() {
        return uri.to_vec();
    }
    let named = r.location.filter(|_| r.valid_location && !uri.is_empty()).map_or(0, |location| location.name.len());
    let rest = r.uri.get(named..).unwrap_or_default();
    let mut target = uri.to_vec();
    target.extend(percent_encode(rest, ESCAPED).flat_map(str::bytes));
    if !r.args.is_empty() {
        target.push(b'?');
        target.extend_from_slice(&r.args);
    }
    target
}

fn headers<'a>(host: Vec<u8>, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut set: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for header in &r.conf.proxy.headers {
        let (name, value) = &header.value;
        set.push((name.to_vec(), value.evaluate(r, cx)?.into_owned()));
    }
    let is_set = |name: &[u8]| set.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut lines = Vec::new();
    if !is_set(b"Host") {
        lines.push((b"Host".to_vec(), host));
    }
    if r.conf.proxy.pass_headers {
        let passed =
            r.headers.iter().filter(|(name, _)| !is_set(name) && !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)));
        lines.extend(passed.map(|(name, value)| (name.to_vec(), value.to_vec())));
    }
    // A header that is set to nothing is not sent.
    lines.extend(set.into_iter().filter(|(_, value)| !value.is_empty()));
    ControlFlow::Continue(lines)
}

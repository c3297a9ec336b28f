//! Variables of the two ends of a connection, and of its TLS.

use std::net::{IpAddr, SocketAddr};

use super::super::receive;
use super::super::request::{Cx, HttpRequest};
use super::{Value, shown};
use crate::request::{ClientCert, Peer};

/// `$remote_addr`: after realip.
pub(super) fn remote_addr<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    let mapped = r.connection.mapped && r.connection.client == r.connection.peer;
    Value::text(peer_text(r.connection.client, mapped))
}

/// `$realip_remote_addr`: before realip.
pub(super) fn realip_remote_addr<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(peer_text(r.connection.peer, r.connection.mapped))
}

/// `$binary_remote_addr`: four or sixteen bytes, `unix:` for a unix socket.
pub(super) fn binary_remote_addr<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match r.connection.client {
        Peer::Unix => Value::text("unix:"),
        Peer::Ip(IpAddr::V4(ip)) if r.connection.mapped && r.connection.client == r.connection.peer => {
            Value::text(ip.to_ipv6_mapped().octets())
        }
        Peer::Ip(IpAddr::V4(ip)) => Value::text(ip.octets()),
        Peer::Ip(IpAddr::V6(ip)) => Value::text(ip.octets()),
    }
}

/// An address as `ngx_sock_ntop` writes it.
fn peer_text(peer: Peer, mapped: bool) -> String {
    match peer {
        Peer::Unix => "unix:".to_owned(),
        Peer::Ip(IpAddr::V4(ip)) if mapped => ip.to_ipv6_mapped().to_string(),
        Peer::Ip(ip) => ip.to_string(),
    }
}

/// `$server_addr`.
pub(super) fn server_addr<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match r.connection.local.map(|local| local.ip()) {
        Some(IpAddr::V4(ip)) if r.connection.mapped => Value::text(ip.to_ipv6_mapped().to_string()),
        Some(ip) => Value::text(ip.to_string()),
        None => Value::unknown("server_addr"),
    }
}

/// `$server_port`: empty on a unix socket.
pub(super) fn server_port<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(r.connection.local.map_or(String::new(), |local: SocketAddr| local.port().to_string()))
}

/// `$server_name`.
pub(super) fn server_name<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(r.server.first_name())
}

/// `$request_port`: the port of the request line or the Host header; empty where there is none.
pub(super) fn request_port<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(host_port(r).map_or(String::new(), |port| port.to_string()))
}

/// `$is_request_port`: `:` where there is a port.
pub(super) fn is_request_port<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(if host_port(r).is_some() { ":" } else { "" })
}

fn host_port(r: &HttpRequest) -> Option<u16> {
    // An absolute target comes before the header.
    let target = &r.request.target;
    let authority = match target.windows(3).position(|three| three == b"://").filter(|_| !target.starts_with(b"/")) {
        Some(at) => {
            let rest = &target[at + 3..];
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
            &rest[..end]
        }
        None => r.header(b"Host")?,
    };
    let colon = memchr::memrchr(b':', authority)?;
    let port: u16 = std::str::from_utf8(&authority[colon + 1..]).ok()?.parse().ok()?;
    (port > 0).then_some(port)
}

/// `$proxy_protocol_*`: nobody says what the PROXY line held.
pub(super) fn proxy_protocol(r: &HttpRequest, name: &'static str) -> Value {
    if r.connection.proxy_protocol { Value::unknown(name) } else { Value::NotFound }
}

/// `$proxy_protocol_tlv_NAME`.
pub(super) fn proxy_protocol_tlv(r: &HttpRequest, name: &[u8]) -> Value {
    if r.connection.proxy_protocol {
        Value::unknown(&format!("proxy_protocol_tlv_{}", shown(name)))
    } else {
        Value::NotFound
    }
}

/// `$ssl_client_verify`: `NONE`, `SUCCESS`, or `FAILED:` and the reason. Which reason, the question does not say; the
/// most common one stands for it.
pub(super) fn ssl_client_verify<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    if !r.connection.tls {
        return Value::NotFound;
    }
    match r.client_cert {
        ClientCert::None => Value::text("NONE"),
        ClientCert::Ok => Value::text("SUCCESS"),
        ClientCert::Failed => Value::text("FAILED:self-signed certificate"),
        ClientCert::Pem(_) => Value::unknown("ssl_client_verify"),
    }
}

/// A fact of the client's certificate: none without one.
pub(super) fn of_client_cert(r: &HttpRequest, name: &'static str) -> Value {
    if r.connection.tls && *r.client_cert != ClientCert::None { Value::unknown(name) } else { Value::NotFound }
}

/// `$ssl_server_name`: the name of the handshake.
pub(super) fn ssl_server_name<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::found(r.request.to.name.as_deref().filter(|name| r.connection.tls && !receive::is_address(name)))
}

/// `$limit_req_status`, `$limit_conn_status`: none where nothing is limited.
pub(super) fn limit_status(r: &HttpRequest, name: &'static str) -> Value {
    let limits = &r.conf.limits;
    if limits.req.is_empty() && limits.conn.is_empty() { Value::NotFound } else { Value::unknown(name) }
}

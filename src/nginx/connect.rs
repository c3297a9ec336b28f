//! Which socket a request reaches: the local address, the servers that listen on it, and whether TLS is spoken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;

use super::listen::{Address, Socket, Unreachable};
use super::model::Http;
use super::request::{Connection, Cx, Flow, Leave};
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::request::{Peer, Request, Scheme};

/// A connection that some socket has accepted.
pub(super) struct Accepted<'a> {
    /// The socket's servers.
    pub(super) address: &'a Address,
    /// Both ends.
    pub(super) connection: Connection,
}

/// Finds the socket that the request reaches.
pub(super) fn accept<'a>(http: &'a Http, request: &'a Request, cx: &mut Cx<'a>) -> Flow<Accepted<'a>> {
    let nobody = || ControlFlow::Break(Leave::Closed(Box::new(Decision::new(causes::NO_LISTENER))));
    let (address, local) = match request.peer {
        Peer::Unix => match unix_socket(http, cx)? {
            Some(address) => (address, None),
            None => return nobody(),
        },
        Peer::Ip(client) => match tcp_socket(http, request, client, cx)? {
            Some((address, local)) => (address, Some(local)),
            None => return nobody(),
        },
    };
    if address.proxy_protocol {
        let question = Question::at(Subject::Other("the PROXY protocol line".to_owned()), address.default_origin);
        let alternatives = ["the connection begins with a PROXY line", "the connection begins without a PROXY line"];
        if cx.inquiry.choose(question, &alternatives) == 1 {
            let decision = Decision::new(causes::PROXY_PROTOCOL_MISSING).by(address.default_origin);
            return ControlFlow::Break(Leave::Closed(Box::new(decision)));
        }
    }
    let is_v6_socket = matches!(address.socket, Socket::Ip(SocketAddr::V6(_)));
    let tls = match request.to.scheme {
        Some(scheme) => scheme == Scheme::Https,
        None => address.ssl,
    };
    let connection = Connection {
        peer: request.peer,
        client: request.peer,
        realip_done: false,
        local,
        mapped: is_v6_socket && matches!(request.peer, Peer::Ip(IpAddr::V4(_))),
        tls,
        proxy_protocol: address.proxy_protocol,
    };
    ControlFlow::Continue(Accepted { address, connection })
}

fn unix_socket<'a>(http: &'a Http, cx: &mut Cx<'a>) -> Flow<Option<&'a Address>> {
    let sockets: Vec<_> =
        http.addresses.all.iter().filter(|address| matches!(address.socket, Socket::Unix(_))).collect();
    ControlFlow::Continue(match *sockets {
        [] => None,
        [only] => Some(only),
        _ => {
            let words: Vec<String> = sockets.iter().map(|address| reached(&address.socket)).collect();
            Some(sockets[ask_local(&words, cx)])
        }
    })
}

fn reached(socket: &Socket) -> String {
    match socket {
        Socket::Ip(address) => format!("the client connects to {address}"),
        Socket::Unix(path) => format!("the client connects to unix:{}", path.display()),
        Socket::Name(name, port) => format!("the client connects to {}:{port}", String::from_utf8_lossy(name)),
    }
}

fn ask_local(words: &[String], cx: &Cx) -> usize {
    let question = Question::new(Subject::Other("the local address that the client connects to".to_owned()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cx.inquiry.choose(question, &words)
}

/// The address given, else the loopback of the client's family if something listens there, else the one address that
/// listens on the port, else a question. Without a port the first socket of the configuration is asked.
fn tcp_socket<'a>(
    http: &'a Http,
    request: &Request,
    client: IpAddr,
    cx: &mut Cx<'a>,
) -> Flow<Option<(&'a Address, SocketAddr)>> {
    let all = &http.addresses.all;
    let first = all.iter().find_map(|address| match address.socket {
        Socket::Ip(address) => Some(address),
        _ => None,
    });
    let Some(first) = first else { return ControlFlow::Continue(None) };
    let port = request.to.port.unwrap_or(first.port());
    let loopback =
        if client.to_canonical().is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let reach =
        |ip: IpAddr| http.addresses.accept(SocketAddr::new(ip, port)).map(|found| (found, SocketAddr::new(ip, port)));
    let given = match request.to.address {
        Some(ip) => Some(ip),
        // A bare path asks the first default server.
        None if request.to.port.is_none() && !first.ip().is_unspecified() => Some(first.ip()),
        None => None,
    };
    let found = match given {
        Some(ip) => reach(ip),
        None => reach(loopback).or_else(|unreachable| {
            let listening: Vec<IpAddr> = all
                .iter()
                .filter_map(|address| match address.socket {
                    Socket::Ip(address) if address.port() == port && !address.ip().is_unspecified() => {
                        Some(address.ip())
                    }
                    _ => None,
                })
                .collect();
            match *listening {
                [] => Err(unreachable),
                [only] => reach(only),
                _ => {
                    let words: Vec<String> =
                        listening.iter().map(|ip| reached(&Socket::Ip(SocketAddr::new(*ip, port)))).collect();
                    reach(listening[ask_local(&words, cx)])
                }
            }
        }),
    };
    match found {
        Ok(found) => ControlFlow::Continue(Some(found)),
        Err(Unreachable::Nobody) => ControlFlow::Continue(None),
        Err(Unreachable::Name(name)) => {
            cx.unknown(Question::new(Subject::Resolve(String::from_utf8_lossy(&name).into_owned())))
        }
    }
}

//! Which socket a request reaches: the local address, the servers that listen on it, and whether TLS is spoken.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow;

use super::Config;
use super::listen::{Address, Listen, Socket, Unreachable};
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
    let reached = match request.peer {
        Peer::Unix => unix_socket(http, cx)?.map(|address| (address, None)),
        Peer::Ip(client) => tcp_socket(http, request, client, cx)?.map(|(address, local)| (address, Some(local))),
    };
    let Some((address, local)) = reached else {
        return match elsewhere(cx.config, request) {
            Some(question) => cx.unknown(question),
            None => ControlFlow::Break(Leave::Closed(Box::new(Decision::new(causes::NO_LISTENER)))),
        };
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

/// A server of the stream or mail module that the client reaches: what it answers is not simulated.
pub(super) fn elsewhere(config: &Config, request: &Request) -> Option<Question> {
    let on_port = |port: u16| request.to.port.is_none_or(|asked| asked == port);
    let reached = |listen: &&Listen| match (&listen.socket, request.peer) {
        (Socket::Unix(_), Peer::Unix) => true,
        (Socket::Ip(local), Peer::Ip(_)) => {
            let ip = local.ip();
            on_port(local.port()) && (ip.is_unspecified() || request.to.address.is_none_or(|asked| asked == ip))
        }
        (Socket::Name(_, port), Peer::Ip(_)) => on_port(*port),
        _ => false,
    };
    let listen = config.other_listens.iter().find(reached)?;
    Some(Question::at(Subject::Opaque("listen".to_owned()), listen.origin))
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::fact::Answers;
    use crate::fs::memory::MemoryFs;
    use crate::outcome::Outcome;
    use crate::request::Request;
    use crate::server::LoadOptions;
    use crate::world::{NoResolver, World};

    #[test]
    fn a_port_of_the_stream_module_is_answered_by_somebody_else() {
        let text = "events { }\n\
            stream { server { listen 8084; proxy_pass 127.0.0.1:8081; } server { listen 8085 udp; proxy_pass 127.0.0.1:53; } }\n\
            http { server { listen 8081; return 204; } }\n";
        let fs = MemoryFs::new().file("/nginx.conf", text);
        let config = crate::nginx::load(&LoadOptions::new(Path::new("/nginx.conf")), &fs);
        let answers = Answers::default();
        let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
        let ask = |port| {
            let mut request = Request::get("/", "localhost");
            request.to.port = Some(port);
            crate::nginx::evaluate(&config, &request, &world).outcome
        };
        assert_eq!(ask(8081), Outcome::Response(204));
        assert_eq!(ask(8084), Outcome::Unknown);
        assert_eq!(ask(8085), Outcome::Closed);
        assert_eq!(ask(8090), Outcome::Closed);
    }
}

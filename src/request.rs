//! A request as it arrives: what a client puts on the wire, and between which addresses. Nothing here is normalised.

use std::net::IpAddr;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// A TCP client.
    Ip(IpAddr),
    /// A client of a unix socket.
    Unix,
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Peer::Ip(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix:"),
        }
    }
}

/// `http` or `https`, as far as the question says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

/// The version in the request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpVersion {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u16,
}

impl HttpVersion {
    /// HTTP/0.9: a request line without a version.
    pub const HTTP_09: HttpVersion = HttpVersion { major: 0, minor: 9 };
    /// HTTP/1.0.
    pub const HTTP_10: HttpVersion = HttpVersion { major: 1, minor: 0 };
    /// HTTP/1.1, the default.
    pub const HTTP_11: HttpVersion = HttpVersion { major: 1, minor: 1 };
}

/// What the client shows in the TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum ClientCert {
    /// No certificate.
    #[default]
    None,
    /// A certificate that the server's settings accept.
    Ok,
    /// A certificate that they do not accept.
    Failed,
    /// The PEM bytes of a certificate; whether the configured CA accepts it is worked out or asked.
    Pem(Vec<u8>),
}

/// Where the connection goes. What the question leaves open is decided from the configuration (contract, `--to`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Destination {
    /// TLS or not; `None` for a bare path: as the first listening server says.
    pub scheme: Option<Scheme>,
    /// The local address reached (`--to`, or the URL's host where it is an address).
    pub address: Option<IpAddr>,
    /// The local port; `None` for a bare path.
    pub port: Option<u16>,
    /// The name in the URL (SNI of a TLS connection), without port and brackets.
    pub name: Option<Vec<u8>>,
}

/// A request on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The method, in the client's spelling.
    pub method: Vec<u8>,
    /// The raw request target: path and query, absolute form, `*`…
    pub target: Vec<u8>,
    /// The version of the request line.
    pub version: HttpVersion,
    /// Header lines in order, Host among them where one is sent; names in the client's spelling.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The TCP peer, before realip or remoteip.
    pub peer: Peer,
    /// Where it connects to.
    pub to: Destination,
    /// The client certificate, on TLS.
    pub client_cert: ClientCert,
}

impl Request {
    /// A plain `GET target HTTP/1.1` from 127.0.0.1 with a `Host`, to wherever the configuration listens first.
    pub fn get(target: &str, host: &str) -> Self {
        Request {
            method: b"GET".to_vec(),
            target: target.as_bytes().to_vec(),
            version: HttpVersion::HTTP_11,
            headers: vec![(b"Host".to_vec(), host.as_bytes().to_vec())],
            peer: Peer::Ip(IpAddr::from([127, 0, 0, 1])),
            to: Destination::default(),
            client_cert: ClientCert::None,
        }
    }

    /// The values of every header line with this name (compared without case), in order.
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }
}

//! `RemoteIPProxyProtocol`: which connections must begin with a PROXY line (remoteip_hook_pre_connection).
//!
//! The lines stand in servers, but what they switch is addresses: a connection has no Host yet, so that the last line
//! of all servers on an address counts, and every server there waits for the line.

use std::net::{IpAddr, SocketAddr};

use crate::apache::access::address::Network;
use crate::apache::vhost::Address;
use crate::request::Peer;
use crate::source::Origin;

/// An address of a server; `None` and 0: any.
type Place = (Option<IpAddr>, u16);

/// Where the PROXY line is waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyProtocol {
    on: Vec<(Place, Origin)>,
    off: Vec<(Place, Origin)>,
    exceptions: Vec<Network>,
}

impl ProxyProtocol {
    /// `RemoteIPProxyProtocol on|off` in a server with these addresses; the main server, which has none, stands for all.
    pub fn switch(&mut self, on: bool, addresses: &[Address], origin: Origin) {
        let main = [(None, 0)];
        let places: Vec<Place> = addresses.iter().map(|address| (address.address, address.port)).collect();
        let (to, from) = if on { (&mut self.on, &mut self.off) } else { (&mut self.off, &mut self.on) };
        for &place in if places.is_empty() { &main[..] } else { &places } {
            from.retain(|(other, _)| *other != place);
            to.push((place, origin));
        }
    }

    /// `RemoteIPProxyProtocolExceptions net…`, which holds for every server.
    pub fn except(&mut self, nets: impl Iterator<Item = Network>) {
        self.exceptions.extend(nets);
    }

    /// The line because of which a connection from `peer` to `local` must begin with a PROXY line.
    pub fn expected(&self, local: SocketAddr, peer: Peer) -> Option<Origin> {
        let local = (local.ip().to_canonical(), local.port());
        let holds = |((address, port), _): &&(Place, Origin)| {
            address.is_none_or(|address| address == local.0) && (*port == 0 || *port == local.1)
        };
        let excepted = matches!(peer, Peer::Ip(ip) if self.exceptions.iter().any(|net| net.contains(ip)));
        if excepted || self.off.iter().any(|place| holds(&place)) {
            return None;
        }
        self.on.iter().find(holds).map(|(_, origin)| *origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Span};

    #[test]
    fn the_last_line_of_an_address_counts() {
        let origin = |line| Origin { span: Span::new(FileId(0), line, line), via: None };
        let address = |text: &[u8]| [Address::parse(text, 0).expect("an address")];
        let local = SocketAddr::from(([127, 0, 0, 1], 80));
        let peer = Peer::Ip(IpAddr::from([10, 0, 0, 5]));

        let mut protocol = ProxyProtocol::default();
        assert_eq!(protocol.expected(local, peer), None);
        protocol.switch(true, &address(b"*:80"), origin(1));
        assert_eq!(protocol.expected(local, peer), Some(origin(1)));
        assert_eq!(protocol.expected(SocketAddr::from(([127, 0, 0, 1], 81)), peer), None);
        protocol.switch(false, &address(b"127.0.0.1:80"), origin(2));
        assert_eq!(protocol.expected(local, peer), None);
        protocol.switch(true, &address(b"127.0.0.1:80"), origin(3));
        assert_eq!(protocol.expected(local, peer), Some(origin(1)));
        protocol.except([Network::parse(b"10.0.0.0/8").expect("a net")].into_iter());
        assert_eq!(protocol.expected(local, peer), None);
    }
}

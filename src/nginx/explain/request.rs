//! Connection, request line and header: what nginx refuses before the first phase.

use super::{Teller, sentences};
use crate::sentence::Sentences;

pub(super) fn tell(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    match teller.code() {
        "no-listener" => sentences("nothing listens where the client connects to".to_owned(), []),
        "plain-on-tls-port" => {
            let why = "the port of a `listen … ssl` is judged before any rule of the server is read".to_owned();
            sentences(format!("plain HTTP arrives at {decider}"), [why])
        }
        "client-certificate-missing" | "client-certificate-bad" => {
            let what = if teller.code().ends_with("missing") {
                format!("{decider} requires a certificate and the client shows none")
            } else {
                format!("{decider} does not accept the certificate of the client")
            };
            sentences(what, ["certificates are judged before all phases, so no location has a say".to_owned()])
        }
        "misdirected" => {
            let why =
                "the name of the TLS handshake and the Host must lead to one server where that server verifies clients";
            sentences(format!("{decider}: the Host is not the name of the handshake"), [why.to_owned()])
        }
        "config-refused" => sentences("nginx refuses to load this configuration".to_owned(), []),
        _ => None,
    }
}

//! Find config, server rewrite and rewrite: `return`, `rewrite`, and what is checked when a location is chosen.

use super::{Teller, sentences, uri};
use crate::sentence::Sentences;
use crate::trace::Event;
use crate::trace::nginx::Event as Said;

pub(super) fn tell(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    match teller.code() {
        "return-403" | "return" => sentences(format!("{decider} answers"), [early(teller)]),
        "return-403-if" => {
            let condition = teller.related("if").map(|at| (teller.directive(at), teller.line(at)));
            let what = match condition {
                Some((condition, line)) => format!("{decider} answers, since {condition} on {line} holds"),
                None => format!("{decider} answers, since the `if` around it holds"),
            };
            sentences(what, [early(teller)])
        }
        "return-close" => sentences(format!("{decider} closes the connection without an answer"), []),
        "rewrite-redirect" => sentences(format!("{decider} sends the client to another URL"), [early(teller)]),
        "rewrite-cycle" => {
            let why = "after ten rewrites and internal redirects of one request nginx gives up";
            sentences(format!("{decider} is the last of more than ten changes of the URI"), [why.to_owned()])
        }
        "internal" => {
            let why = "a location that is `internal` answers 404 to requests from outside, before any other rule of it is read";
            sentences(format!("{decider}: {} may only be reached from inside", uri(teller.run)), [why.to_owned()])
        }
        "body-too-large" => {
            let sizes = match &teller.decision.event {
                Some(Event::Nginx(Said::Body { length, limit })) => format!("{length} bytes are more than {limit}"),
                _ => "the announced body is too long".to_owned(),
            };
            let default =
                if teller.decision.default { "`client_max_body_size` is 1m where nothing is said" } else { "" };
            let why = "the length is checked before rewrites, access control and the back end";
            sentences(format!("{sizes}, which `client_max_body_size` allows"), [default.to_owned(), why.to_owned()])
        }
        "auto-redirect" => {
            let why = "a location that ends in `/` and hands over to a back end redirects the URI without the slash, before \
                       its access rules are read";
            sentences(format!("{decider} redirects {}", uri(teller.run)), [why.to_owned()])
        }
        "named-location-missing" => sentences(format!("{decider} names a location that does not exist"), []),
        _ => None,
    }
}

/// When the rewrite module runs.
fn early(teller: &Teller) -> String {
    match teller.related("location") {
        Some(_) => "the rewrite module runs before limits, access control and files are looked at".to_owned(),
        None => "at server level the rewrite module runs for every request, before a location is chosen".to_owned(),
    }
}

//! What one run gives: the outcome, the decision behind it, and what was seen and asked on the way.

use std::path::PathBuf;

use crate::cause::Cause;
use crate::fact::{Asked, Inquiry, Subject};
use crate::request::Peer;
use crate::source::Origin;
use crate::trace::{Event, Step};

/// How the server ends the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Outcome {
    /// A response with this status.
    Response(u16),
    /// Handed to a back end or a script, which answers.
    Upstream,
    /// The connection is closed without a byte (nginx 444, a failed handshake).
    Closed,
    /// The server would not load this configuration.
    Refused,
    /// Not decidable here; the run's questions say why.
    #[default]
    Unknown,
}

/// How sure the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// No open question can change kind or status.
    Certain,
    /// The status holds under the assumptions named; the others stand in the alternatives.
    Conditional,
    /// No status.
    Unknown,
}

/// A place that belongs to the answer beside the deciding directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// `location`, `server`, `section`, `co-decider`, `overridden`, `merged`…
    pub role: &'static str,
    /// The place.
    pub origin: Origin,
}

/// What decided the status: filled by the phase or hook that set it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The row of the cause table.
    pub cause: &'static Cause,
    /// The deciding directive, or the nearest explicit one.
    pub directive: Option<Origin>,
    /// Nothing written decides; `directive` is where the deciding setting was expected (contract, "Where nothing written decides").
    pub default: bool,
    /// For permission causes: the one inode to change.
    pub path: Option<PathBuf>,
    /// The fragment (nginx) or AH number (Apache) that the server logs; `None` where it logs nothing.
    pub log: Option<String>,
    /// What else belongs to it.
    pub related: Vec<Related>,
    /// The typed fact behind the sentence.
    pub event: Option<Event>,
    /// The decision this one replaced or stands upon: the original error of an error page, the subrequest's refusal.
    pub inner: Option<Box<Decision>>,
}

impl Decision {
    /// A decision with nothing but its cause; the fields are filled by the phase.
    pub fn new(cause: &'static Cause) -> Self {
        let log = cause.log.map(str::to_owned);
        Decision {
            cause,
            directive: None,
            default: false,
            path: None,
            log,
            related: Vec::new(),
            event: None,
            inner: None,
        }
    }

    /// The same decision with these places beside it.
    #[must_use]
    pub fn with(mut self, related: Vec<Related>) -> Self {
        self.related.extend(related);
        self
    }

    /// What stands for this refusal when it is taken back; `None`: it names neither a path nor a directive.
    pub fn refusal(&self) -> Option<Subject> {
        let path = self.path.clone().map(Subject::RefusalAt);
        path.or(self.directive.map(Subject::RefusalBy))
    }

    /// Whether this refusal is taken back ([`Inquiry::waives`]).
    pub fn is_waived(&self, inquiry: &Inquiry) -> bool {
        inquiry.waives(self.directive, self.path.as_deref())
    }

    /// The same decision by this directive.
    #[must_use]
    pub fn by(mut self, directive: Option<Origin>) -> Self {
        self.directive = directive;
        self
    }
}

/// The request as the server understood it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// The client after realip or remoteip; `None`: nobody got so far.
    pub client: Option<Peer>,
    /// Host name used to choose the server.
    pub host: Option<Vec<u8>>,
    /// Normalised path before any rewrite.
    pub path: Option<Vec<u8>>,
    /// Local address and port reached.
    pub local: Option<std::net::SocketAddr>,
    /// The chosen server block or virtual host.
    pub server: Option<Origin>,
    /// The location in force at the end, or the sections merged, in order.
    pub sections: Vec<Origin>,
    /// The file that the request was mapped to.
    pub file: Option<PathBuf>,
}

impl Seen {
    /// The client's address as text, empty where nobody got so far.
    pub fn client(&self) -> String {
        self.client.map_or_else(String::new, |client| client.to_string())
    }
}

/// One run of the evaluator.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Run {
    /// How it ends.
    pub outcome: Outcome,
    /// Why, for every status from 300 on, and for a closed or refused one.
    pub decision: Option<Decision>,
    /// Redirect target, where the status is a redirect.
    pub location: Option<Vec<u8>>,
    /// The request as it was understood.
    pub seen: Seen,
    /// What was consulted, in order; empty unless asked for.
    pub trace: Vec<Step>,
    /// Questions met, with what was assumed.
    pub asked: Vec<Asked>,
    /// Remarks for the reader (`"1.25.0" is taken as 1.22.1`).
    pub notes: Vec<String>,
}

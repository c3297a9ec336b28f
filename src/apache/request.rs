//! One request, from the walks to the handler: ap_process_request_internal and what surrounds it.
//!
//! The order of the hooks is the list in [`process_request_internal`]; each name is a file below `request/` or a module
//! of the server beside it. Sub-requests ([`subrequest`]) and internal redirects run through the same list.

use std::net::{IpAddr, Ipv4Addr};

use crate::apache::expr::{Backrefs, Expr, Failure, StringExpr};
use crate::apache::variables::RequestScope;
use crate::apache::{Config, access, proxy, setenvif};
use crate::fact::{Fact, Inquiry, Question, Subject};
use crate::fs::Disk;
use crate::outcome::{Decision, Outcome};
use crate::source::Origin;
use crate::trace::{Event, Trace, apache};
use crate::world::World;

pub(crate) mod authorize;
pub(crate) mod conditional;
pub(crate) mod directory_walk;
pub(crate) mod error;
pub(crate) mod file_walk;
pub(crate) mod fixups;
pub(crate) mod handler;
pub(crate) mod hooks;
pub(crate) mod if_walk;
pub(crate) mod location_walk;
pub(crate) mod map_to_storage;
pub(crate) mod normalize;
pub(crate) mod protocol;
pub(crate) mod record;
pub(crate) mod subrequest;
pub(crate) mod translate_name;
pub(crate) mod uri;
pub(crate) mod walk;

pub(crate) use record::{Connection, Parent, ParsedUri, RequestRec};

/// What a hook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// Not mine: ask the next.
    Declined,
    /// Done with this hook.
    Ok,
    /// The request is answered as it stands (`DONE`).
    Done,
    /// The request ends with this status; from 300 on `r.decision` says why.
    Status(u16),
    /// Handed to a script or a back end.
    Upstream,
    /// The client gets nothing.
    Closed,
    /// Not decidable; a question says why.
    Unknown,
    /// An internal redirect was made and has given the answer, which is in `cx.end`.
    Finished,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    /// The outcome.
    pub outcome: Outcome,
    /// Why, for every status from 300 on.
    pub decision: Option<Decision>,
    /// Redirect target.
    pub location: Option<Vec<u8>>,
    /// The sections merged for the request that gave the answer, in order.
    pub sections: Vec<Origin>,
    /// The file it was mapped to.
    pub file: Option<Vec<u8>>,
}

/// What the whole run shares.
pub(crate) struct Cx<'c> {
    /// The configuration.
    pub config: &'c Config,
    /// The inputs besides configuration and request.
    pub world: &'c World<'c>,
    /// Questions.
    pub inquiry: &'c Inquiry<'c>,
    /// The file system as the worker sees it.
    pub disk: Disk<'c>,
    /// What was consulted.
    pub trace: Trace,
    /// The answer, once there is one.
    pub end: Option<End>,
    /// The last identity given to merged records.
    pub identities: u64,
    /// Sub-requests and redirects so far: no request is worth more than [`MAX_REQUESTS`].
    pub requests: u32,
}

/// How many sub-requests and redirects one run makes before it gives up.
pub(crate) const MAX_REQUESTS: u32 = 4000;

impl Cx<'_> {
    /// Adds a step to the trace.
    pub fn note(&mut self, phase: &'static str, origin: Option<Origin>, event: impl FnOnce() -> apache::Event) {
        self.trace.push(phase, origin, || Event::Apache(event()));
    }

    /// Ends the run as unknown: a question that has no list of answers.
    pub fn unanswerable(&self, subject: Subject, origin: Option<Origin>) -> Handled {
        self.inquiry.unanswerable(Question::at(subject, origin));
        Handled::Unknown
    }

    /// A question with two answers, the likely one first.
    pub fn assume(&self, subject: Subject, origin: Option<Origin>, yes: &str, no: &str) -> bool {
        self.inquiry.choose(Question::at(subject, origin), &[yes, no]) == 0
    }

    /// What a hook answers; a refusal that is taken back ([`Inquiry::waives`]) leaves the word to the next.
    pub fn unless_waived(&self, handled: Handled, r: &mut RequestRec) -> Handled {
        let waived = |decision: &mut Decision| decision.is_waived(self.inquiry);
        match handled {
            Handled::Status(_) if r.decision.take_if(waived).is_some() => Handled::Declined,
            handled => handled,
        }
    }

    /// A fresh identity for merged records.
    pub fn identity(&mut self) -> u64 {
        self.identities += 1;
        self.identities
    }

    /// Whether a module is loaded, by its identifier (`rewrite_module`).
    pub fn has_module(&self, identifier: &str) -> bool {
        self.config.modules.contains(identifier)
    }
}

/// `?` for hooks: goes on after `Ok` and `Declined`, returns everything else.
macro_rules! proceed {
    ($hook:expr) => {
        match $hook {
            Handled::Ok | Handled::Declined => {}
            ended => return ended,
        }
    };
}
pub(crate) use proceed;

/// The first hook that does not decline has the word (AP_IMPLEMENT_HOOK_RUN_FIRST).
pub(crate) type Hook = for<'c> fn(&mut RequestRec<'c>, &mut Cx<'c>) -> Handled;

/// ap_run_*: hooks of which the first that does not decline decides.
pub(crate) fn run_first<'c>(hooks: &[Hook], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    for hook in hooks {
        let handled = hook(r, cx);
        match cx.unless_waived(handled, r) {
            Handled::Declined => {}
            ended => return ended,
        }
    }
    Handled::Declined
}

/// ap_run_*: hooks that all run, until one is neither Ok nor Declined.
pub(crate) fn run_all<'c>(hooks: &[Hook], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    for hook in hooks {
        let handled = hook(r, cx);
        proceed!(cx.unless_waived(handled, r));
    }
    Handled::Ok
}

/// From the first byte of the request line to the answer (ap_read_request, ap_process_request).
pub(crate) fn process_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> End {
    let handled = match protocol::check(r, cx) {
        Handled::Ok | Handled::Declined => after_headers(r, cx),
        ended => ended,
    };
    error::finish(handled, r, cx)
}

/// A request whose headers are read, and every internal redirect.
pub(crate) fn after_headers<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(post_read_request(r, cx));
    proceed!(process_request_internal(r, cx));
    handler::invoke(r, cx)
}

/// ap_run_post_read_request.
fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(server_opaque(r, cx));
    let config = cx.config;
    proceed!(run_all(&config.hooks.post_read_request, r, cx));
    protocol::scheme(r)
}

/// ap_process_request_internal: the hooks in order. The last location walk has the last word over directories.
pub(crate) fn process_request_internal<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    // The URL of a forward request stays as it came.
    if !r.proxyreq {
        proceed!(normalize::normalize_path(r, cx));
    }
    if !r.is_file_subrequest {
        proceed!(pre_translate_name(r, cx));
    }
    if !r.proxyreq {
        proceed!(normalize::unescape_path(r, cx));
    }
    if r.first_path.is_none() {
        r.first_path = Some(r.uri.clone());
    }
    if !r.is_file_subrequest {
        proceed!(location_and_if_walk(r, cx));
        proceed!(translate_name::translate_name(r, cx));
    }
    r.per_dir = r.server.held.defaults.clone();
    proceed!(map_to_storage::map_to_storage(r, cx));
    proceed!(location_and_if_walk(r, cx));
    proceed!(section_opaque(r, cx));
    if r.main.is_none() {
        proceed!(header_parser(r, cx));
    }
    proceed!(authorize::authorize(r, cx));
    proceed!(fixups::type_checker(r, cx));
    fixups::fixups(r, cx)
}

/// The walk on the encoded path serves only the pre_translate_name hooks and is thrown away after.
fn pre_translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let per_dir = r.per_dir.clone();
    proceed!(location_and_if_walk(r, cx));
    let handled = proxy::pre_translate_name(r, cx);
    r.per_dir = per_dir;
    handled
}

/// walk_location_and_if.
fn location_and_if_walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(location_walk::location_walk(r, cx));
    if_walk::if_walk(r, cx)
}

/// ap_run_header_parser: the main request only, after the walks.
fn header_parser<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    run_all(&[setenvif::header_parser], r, cx)
}

/// Directives of the server that are not simulated: they act from post_read_request on.
fn server_opaque<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if let Some(question) = cx.config.known_opaque.first() {
        cx.inquiry.unanswerable(question.clone());
        return Handled::Unknown;
    }
    match r.server.opaque.first() {
        Some(opaque) => cx.unanswerable(Subject::Opaque(opaque.name.clone()), Some(opaque.origin)),
        None => Handled::Ok,
    }
}

/// Directives of the merged sections that are not simulated; the walks themselves have already decided what they decide.
fn section_opaque<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    match r.per_dir.opaque.first() {
        Some(opaque) => cx.unanswerable(Subject::Opaque(opaque.name.clone()), Some(opaque.origin)),
        None => Handled::Ok,
    }
}

/// Whether the client's name, looked up and confirmed, is this name or lies under it. A name nobody can look up is asked.
pub(crate) fn host_name(r: &RequestRec, cx: &mut Cx, origin: Option<Origin>, domain: &[u8]) -> bool {
    let Some(ip) = access::compat::client_ip(r.client) else { return false };
    // Names with these characters are in no name server.
    if domain.iter().any(|byte| !(byte.is_ascii_alphanumeric() || b".-_".contains(byte))) {
        return false;
    }
    // Every hosts file has this one, most have it for `::1` as well, and no other address has this name.
    if ip == IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return access::compat::in_domain(domain, b"localhost");
    }
    if ip.is_loopback() && ip.is_ipv6() && access::compat::in_domain(domain, b"localhost") {
        return is_localhost_too(origin, cx);
    }
    if domain.eq_ignore_ascii_case(b"localhost") {
        return false;
    }
    match cx.world.resolver.name(ip) {
        Fact::Known(Some(name)) => access::compat::in_domain(domain, name.as_bytes()),
        Fact::Known(None) => false,
        Fact::Unknown(_) => {
            let domain = String::from_utf8_lossy(domain);
            !cx.assume(
                Subject::Resolve(format!("{ip} (is it in {domain}?)")),
                origin,
                &format!("the name of {ip} is not in {domain}"),
                &format!("the name of {ip} is in {domain}"),
            )
        }
    }
}

/// Whether the hosts file names `::1` localhost.
pub(crate) fn is_localhost_too(origin: Option<Origin>, cx: &Cx) -> bool {
    cx.assume(
        Subject::Resolve("::1 (is it localhost?)".to_owned()),
        origin,
        "the hosts file names ::1 `localhost`",
        "the hosts file does not name ::1 `localhost`",
    )
}

/// Whether this is the handler in force.
pub(crate) fn handler_is(r: &RequestRec, name: &str) -> bool {
    r.handler.as_ref().is_some_and(|handler| handler.value == name.as_bytes())
}

/// The truth of an expression for this request.
pub(crate) fn test_expr<'c>(expr: &Expr, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<bool, Failure> {
    expr.test(&mut RequestScope::new(r, cx), &mut Backrefs::default())
}

/// The text of a string expression for this request.
pub(crate) fn expr_text<'c>(text: &StringExpr, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Vec<u8>, Failure> {
    if let Some(constant) = text.constant() {
        return Ok(constant.to_vec());
    }
    match text.value(&mut RequestScope::new(r, cx), &mut Backrefs::default())? {
        Fact::Known(text) => Ok(text),
        Fact::Unknown(question) => {
            cx.inquiry.unanswerable(question);
            Err(Failure::Unknown)
        }
    }
}

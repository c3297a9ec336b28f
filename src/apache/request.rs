//! One request, from the walks to the handler: ap_process_request_internal and what surrounds it.
//!
//! The order of the hooks is the list in [`process_request_internal`]; each name is a file below `request/` or a module
//! of the server beside it. Sub-requests ([`subrequest`]) and internal redirects run through the same list.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use crate::apache::expr::{Backrefs, Expr, Failure, StringExpr};
use crate::apache::model::{M_INVALID, PerDir, ServerConf};
use crate::apache::table::Table;
use crate::apache::variables::RequestScope;
use crate::apache::{Config, access, proxy, remoteip, rewrite, setenvif};
use crate::fact::{Fact, Inquiry, Question, Subject};
use crate::fs::{Disk, FileKind, Stat};
use crate::outcome::{Decision, Outcome};
use crate::request::{ClientCert, HttpVersion, Peer};
use crate::source::{Origin, Setting};
use crate::trace::{Event, Trace, apache};
use crate::world::World;

pub(crate) mod authorize;
pub(crate) mod conditional;
pub(crate) mod directory_walk;
pub(crate) mod error;
pub(crate) mod file_walk;
pub(crate) mod fixups;
pub(crate) mod handler;
pub(crate) mod if_walk;
pub(crate) mod location_walk;
pub(crate) mod map_to_storage;
pub(crate) mod normalize;
pub(crate) mod protocol;
pub(crate) mod subrequest;
pub(crate) mod translate_name;
pub(crate) mod walk;

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

    /// A fresh identity for merged records.
    pub fn identity(&mut self) -> u64 {
        self.identities += 1;
        self.identities
    }

    /// Whether a module is loaded, by its identifier (`rewrite_module`).
    pub fn has_module(&self, identifier: &str) -> bool {
        self.config.known.modules.has(identifier)
    }
}

/// The connection: what does not change while headers are read.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The TCP peer.
    pub peer: Peer,
    /// Our end.
    pub local: SocketAddr,
    /// TLS.
    pub tls: bool,
    /// The certificate shown.
    pub client_cert: ClientCert,
    /// The name in the TLS handshake.
    pub sni: Option<Vec<u8>>,
}

/// What a sub-request or a redirect remembers of the request that made it.
#[derive(Debug)]
pub(crate) struct Parent {
    /// `r->uri`.
    pub uri: Vec<u8>,
    /// `r->filename`.
    pub filename: Option<Vec<u8>>,
    /// `r->per_dir_config`.
    pub per_dir: PerDir,
    /// `r->user`.
    pub user: Option<Vec<u8>>,
    /// `r->ap_auth_type`.
    pub auth_type: Option<Vec<u8>>,
    /// `r->status`.
    pub status: u16,
    /// Why, where that is an error.
    pub decision: Option<Decision>,
    /// What the walks remember.
    pub walks: walk::Walks,
    /// The request it is a sub-request of.
    pub main: Option<Rc<Parent>>,
    /// The request it was redirected from.
    pub prev: Option<Rc<Parent>>,
}

/// request_rec.
#[derive(Clone, Debug)]
pub(crate) struct RequestRec<'c> {
    /// The server.
    pub server: &'c ServerConf,
    /// The merged records in force.
    pub per_dir: PerDir,
    /// The method as sent.
    pub method: Vec<u8>,
    /// Its number.
    pub method_number: u8,
    /// The request line.
    pub the_request: Vec<u8>,
    /// The protocol of the request line.
    pub protocol: HttpVersion,
    /// Request headers.
    pub headers_in: Table,
    /// The target as it arrived.
    pub unparsed_uri: Vec<u8>,
    /// The path: still encoded until unescape_path, decoded after.
    pub uri: Vec<u8>,
    /// The normalised path of the first request, before any rewrite.
    pub first_path: Option<Vec<u8>>,
    /// The query.
    pub args: Option<Vec<u8>>,
    /// The file it is mapped to.
    pub filename: Option<Vec<u8>>,
    /// What is left of the path behind the file.
    pub path_info: Vec<u8>,
    /// What is at `filename`; `None`: nothing (APR_NOFILE).
    pub finfo: Option<Stat>,
    /// Host name, lower case, without port.
    pub hostname: Option<Vec<u8>>,
    /// The handler, with what set it.
    pub handler: Option<Setting<Vec<u8>>>,
    /// Media type.
    pub content_type: Option<Vec<u8>>,
    /// Whether the configuration set the media type, so that it may name a handler (AP_REQUEST_IS_TRUSTED_CT).
    pub content_type_trusted: bool,
    /// Content coding.
    pub content_encoding: Option<Vec<u8>>,
    /// Languages.
    pub content_languages: Vec<Vec<u8>>,
    /// The authenticated user.
    pub user: Option<Vec<u8>>,
    /// How the user was authenticated.
    pub auth_type: Option<Vec<u8>>,
    /// Environment.
    pub subprocess_env: Table,
    /// Notes.
    pub notes: Table,
    /// The client, after mod_remoteip.
    pub client: Peer,
    /// The connection.
    pub connection: Connection,
    /// What an Alias replaced.
    pub context_prefix: Vec<u8>,
    /// What it was replaced by.
    pub context_document_root: Option<Vec<u8>>,
    /// Whether the target was an absolute URI.
    pub absolute_uri: bool,
    /// A document root that a module set for this request (mod_vhost_alias, mod_userdir).
    pub document_root: Option<Vec<u8>>,
    /// To be proxied.
    pub proxyreq: bool,
    /// The status so far.
    pub status: u16,
    /// The Location header.
    pub location: Option<Vec<u8>>,
    /// The directive that mapped the path to the file: `DocumentRoot`, `Alias`…
    pub mapped_by: Option<Origin>,
    /// The directive that asked for an internal redirect.
    pub redirected_by: Option<Origin>,
    /// `AcceptPathInfo` as some module or the core set it.
    pub used_path_info: Option<bool>,
    /// Set while an error document is looked for: no 304.
    pub no_local_copy: bool,
    /// A sub-request by file name: it has no URL to translate.
    pub is_file_subrequest: bool,
    /// What the walks remember.
    pub walks: walk::Walks,
    /// What mod_rewrite remembers.
    pub rewrite: rewrite::RequestState,
    /// The request this is a sub-request of.
    pub main: Option<Rc<Parent>>,
    /// The request this was redirected from.
    pub prev: Option<Rc<Parent>>,
    /// The `Require` line that cannot be decided before a user is known.
    pub wants_user: Option<Origin>,
    /// mod_ssl's refusal under StrictRequire, which `Satisfy Any` does not forgive.
    pub strict_refusal: Option<Box<Decision>>,
    /// Why, once a status is set.
    pub decision: Option<Decision>,
}

impl<'c> RequestRec<'c> {
    /// A request of which nothing is known yet but where it arrived.
    pub fn empty(server: &'c ServerConf, local: SocketAddr) -> Self {
        let peer = Peer::Unix;
        RequestRec {
            server,
            per_dir: server.defaults.clone(),
            method: Vec::new(),
            method_number: M_INVALID,
            the_request: Vec::new(),
            protocol: HttpVersion::HTTP_11,
            headers_in: Table::default(),
            unparsed_uri: Vec::new(),
            uri: Vec::new(),
            first_path: None,
            args: None,
            filename: None,
            path_info: Vec::new(),
            finfo: None,
            hostname: None,
            handler: None,
            content_type: None,
            content_type_trusted: false,
            content_encoding: None,
            content_languages: Vec::new(),
            user: None,
            auth_type: None,
            subprocess_env: Table::default(),
            notes: Table::default(),
            client: peer,
            connection: Connection { peer, local, tls: false, client_cert: ClientCert::None, sni: None },
            context_prefix: Vec::new(),
            context_document_root: None,
            document_root: None,
            absolute_uri: false,
            proxyreq: false,
            status: 200,
            location: None,
            mapped_by: None,
            redirected_by: None,
            used_path_info: None,
            no_local_copy: false,
            is_file_subrequest: false,
            walks: walk::Walks::default(),
            rewrite: rewrite::RequestState::default(),
            main: None,
            prev: None,
            wants_user: None,
            strict_refusal: None,
            decision: None,
        }
    }

    /// Ends with a status, and says why.
    pub fn refuse(&mut self, decision: Decision, status: u16) -> Handled {
        self.decision = Some(decision);
        Handled::Status(status)
    }

    /// Whether the file is a directory.
    pub fn is_directory(&self) -> bool {
        self.finfo.as_ref().is_some_and(|stat| stat.kind == FileKind::Directory)
    }

    /// Whether the file is a regular file.
    pub fn is_regular(&self) -> bool {
        self.finfo.as_ref().is_some_and(|stat| stat.kind == FileKind::Regular)
    }

    /// Whether it is HEAD.
    pub fn header_only(&self) -> bool {
        self.method == b"HEAD"
    }

    /// What a sub-request or redirect made now has to know.
    pub fn as_parent(&self) -> Rc<Parent> {
        Rc::new(Parent {
            uri: self.uri.clone(),
            filename: self.filename.clone(),
            per_dir: self.per_dir.clone(),
            user: self.user.clone(),
            auth_type: self.auth_type.clone(),
            status: self.status,
            decision: self.decision.clone(),
            walks: self.walks.clone(),
            main: self.main.clone(),
            prev: self.prev.clone(),
        })
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
        match hook(r, cx) {
            Handled::Declined => {}
            ended => return ended,
        }
    }
    Handled::Declined
}

/// ap_run_*: hooks that all run, until one is neither Ok nor Declined.
pub(crate) fn run_all<'c>(hooks: &[Hook], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    for hook in hooks {
        proceed!(hook(r, cx));
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
    run_all(
        &[proxy::detect, remoteip::post_read_request, setenvif::post_read_request, access::ssl::post_read_request],
        r,
        cx,
    )
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
    r.per_dir = r.server.defaults.clone();
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
    r.per_dir = per_dir;
    Handled::Ok
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
    // Every hosts file has this one, and no other address has this name.
    if ip.is_loopback() && (ip == IpAddr::V4(Ipv4Addr::LOCALHOST) || ip.is_ipv6()) {
        return access::compat::in_domain(domain, b"localhost");
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

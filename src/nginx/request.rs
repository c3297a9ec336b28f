//! The request on its way through the phases (`ngx_http_request_t`), called `r`, and what a run has at hand, called `cx`.

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::Config;
use super::model::{Handler, LimitExcept, LocConf, Location, Server};
use super::variables::{self, Regex};
use super::version::Version;
use crate::fact::{Inquiry, Question};
use crate::fs::{Disk, Stat};
use crate::outcome::{Decision, Outcome, Related};
use crate::request::{ClientCert, HttpVersion, Peer, Request};
use crate::source::{Origin, Setting};
use crate::trace::{self, Trace};
use crate::world::World;

/// What every step may look at besides the request.
pub struct Cx<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The variables of the configuration.
    pub variables: &'a variables::Table,
    /// The inputs of the run.
    pub world: &'a World<'a>,
    /// Where questions are asked.
    pub inquiry: &'a Inquiry<'a>,
    /// The file system as the worker sees it.
    pub disk: Disk<'a>,
    /// What was consulted.
    pub trace: Trace,
    /// The version whose behaviour is followed.
    pub version: Version,
    /// Remarks for the reader.
    pub notes: Vec<String>,
    /// How often this server handed the request to itself.
    pub handed_over: u8,
}

impl Cx<'_> {
    /// Records a step, if anybody listens.
    pub fn push(&mut self, phase: &'static str, origin: Option<Origin>, event: impl FnOnce() -> trace::nginx::Event) {
        self.trace.push(phase, origin, || trace::Event::Nginx(event()));
    }

    /// Ends the run: this question cannot be answered by listing alternatives.
    pub fn unknown<T>(&mut self, question: Question) -> Flow<T> {
        self.inquiry.unanswerable(question);
        ControlFlow::Break(Leave::Unknown)
    }
}

/// A step either goes on with a value or leaves the walk through the phases.
pub type Flow<T = ()> = ControlFlow<Leave, T>;

/// Why the walk through the phases is left.
#[derive(Debug)]
pub enum Leave {
    /// A status arises inside nginx; an `error_page` may still apply.
    Error(Failure),
    /// A response is sent as it is; header filters still see it.
    Sent(Sent),
    /// `r.uri` and `r.args` are new: begin again at server rewrite.
    Redirect,
    /// `r.conf` is a named location: begin again at location rewrite.
    Named,
    /// A back end answers.
    Upstream(Option<Box<Decision>>),
    /// The connection is closed without a byte.
    Closed(Box<Decision>),
    /// A question ends the run.
    Unknown,
}

/// A status of 300 and above (or 201, 204) set by nginx itself.
#[derive(Debug)]
pub struct Failure {
    /// The status as nginx has it inside (494 to 497 are sent as 400).
    pub status: u16,
    /// Who decided.
    pub decision: Box<Decision>,
    /// Where a redirect leads.
    pub location: Option<Vec<u8>>,
}

/// A response without an error.
#[derive(Debug)]
pub struct Sent {
    /// The status.
    pub status: u16,
    /// Where a redirect leads.
    pub location: Option<Vec<u8>>,
    /// Who decided, for a status that is worth explaining.
    pub decision: Option<Box<Decision>>,
    /// What the conditional and range filters look at.
    pub entity: Entity,
}

/// The body, as far as header filters care.
#[derive(Clone, Debug, Default)]
pub struct Entity {
    /// A file: its path and what stat(2) says (an unknown size or time is a question when it matters).
    pub file: Option<(PathBuf, Stat)>,
    /// The length of a body that is no file.
    pub length: Option<u64>,
    /// Whether ranges are offered (`r->allow_ranges`).
    pub allow_ranges: bool,
    /// Where its type comes from.
    pub content_type: ContentType,
}

/// Where the type of a response comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// The extension of the URI (`ngx_http_set_content_type`).
    Uri,
    /// The handler.
    Is(&'static str),
    /// There is none.
    None,
}

impl Default for ContentType {
    /// That of nginx's own pages.
    fn default() -> Self {
        ContentType::Is("text/html")
    }
}

/// Changes of the URI and jumps that a request has, plus one (`NGX_HTTP_MAX_URI_CHANGES`).
pub const MAX_URI_CHANGES: u8 = 11;

/// `Break` with an error status.
pub fn error<T>(status: u16, decision: Decision) -> Flow<T> {
    ControlFlow::Break(Leave::Error(Failure { status, decision: Box::new(decision), location: None }))
}

/// The methods nginx knows, as bits. Any other method is 0: never listed anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method(pub u32);

impl Method {
    /// A method without a bit.
    pub const UNKNOWN: Method = Method(0);
    /// GET.
    pub const GET: Method = Method(1 << 1);
    /// HEAD.
    pub const HEAD: Method = Method(1 << 2);
    /// POST.
    pub const POST: Method = Method(1 << 3);
    /// PUT.
    pub const PUT: Method = Method(1 << 4);
    /// DELETE.
    pub const DELETE: Method = Method(1 << 5);
    /// MKCOL.
    pub const MKCOL: Method = Method(1 << 6);
    /// COPY.
    pub const COPY: Method = Method(1 << 7);
    /// MOVE.
    pub const MOVE: Method = Method(1 << 8);
    /// OPTIONS.
    pub const OPTIONS: Method = Method(1 << 9);
    /// PROPFIND.
    pub const PROPFIND: Method = Method(1 << 10);
    /// PROPPATCH.
    pub const PROPPATCH: Method = Method(1 << 11);
    /// LOCK.
    pub const LOCK: Method = Method(1 << 12);
    /// UNLOCK.
    pub const UNLOCK: Method = Method(1 << 13);
    /// PATCH.
    pub const PATCH: Method = Method(1 << 14);
    /// TRACE.
    pub const TRACE: Method = Method(1 << 15);
    /// CONNECT.
    pub const CONNECT: Method = Method(1 << 16);

    const NAMES: [(&'static [u8], Method); 16] = [
        (b"GET", Method::GET),
        (b"HEAD", Method::HEAD),
        (b"POST", Method::POST),
        (b"PUT", Method::PUT),
        (b"DELETE", Method::DELETE),
        (b"MKCOL", Method::MKCOL),
        (b"COPY", Method::COPY),
        (b"MOVE", Method::MOVE),
        (b"OPTIONS", Method::OPTIONS),
        (b"PROPFIND", Method::PROPFIND),
        (b"PROPPATCH", Method::PROPPATCH),
        (b"LOCK", Method::LOCK),
        (b"UNLOCK", Method::UNLOCK),
        (b"PATCH", Method::PATCH),
        (b"TRACE", Method::TRACE),
        (b"CONNECT", Method::CONNECT),
    ];

    /// The method of a request line (exact case).
    pub fn of(name: &[u8]) -> Method {
        Method::NAMES.iter().find(|(known, _)| *known == name).map_or(Method::UNKNOWN, |&(_, method)| method)
    }

    /// Whether it is one of these.
    pub fn is_in(self, methods: u32) -> bool {
        self.0 & methods != 0
    }
}

/// Both ends of the connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The peer of the socket, before realip.
    pub peer: Peer,
    /// The client, after realip.
    pub client: Peer,
    /// Whether realip has had its one chance to change it.
    pub realip_done: bool,
    /// The local end; `None`: a unix socket.
    pub local: Option<SocketAddr>,
    /// Whether the socket is an IPv6 one: an IPv4 client then shows as `::ffff:a.b.c.d` to the access module's rules.
    pub mapped: bool,
    /// TLS on this connection.
    pub tls: bool,
    /// `listen … proxy_protocol`.
    pub proxy_protocol: bool,
}

impl Connection {
    /// The client's address, IPv4-mapped ones as IPv4; `None`: a unix socket.
    pub fn client_ip(&self) -> Option<IpAddr> {
        match self.client {
            Peer::Ip(ip) => Some(ip.to_canonical()),
            Peer::Unix => None,
        }
    }
}

/// An error page in force.
#[derive(Debug)]
pub struct Page {
    /// The `error_page`.
    pub origin: Option<Origin>,
    /// The error it stands for.
    pub original: Box<Decision>,
    /// The status of that error as it would have been sent.
    pub status: u16,
    /// Whether the page changes the status.
    pub overwrites: bool,
}

/// The end of a request.
#[derive(Debug)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Why.
    pub decision: Option<Box<Decision>>,
    /// Where a redirect leads.
    pub location: Option<Vec<u8>>,
}

impl Ending {
    /// A back end answers.
    pub fn upstream(decision: Option<Box<Decision>>) -> Self {
        Ending { outcome: Outcome::Upstream, decision, location: None }
    }

    /// The connection is closed.
    pub fn closed(decision: Box<Decision>) -> Self {
        Ending { outcome: Outcome::Closed, decision: Some(decision), location: None }
    }

    /// Not decidable; the inquiry says why.
    pub fn unknown() -> Self {
        Ending { outcome: Outcome::Unknown, decision: None, location: None }
    }
}

/// The request on its way through the phases.
pub struct HttpRequest<'a> {
    /// As it came in.
    pub request: &'a Request,
    /// Both ends.
    pub connection: Connection,
    /// The server in force.
    pub server: &'a Server,
    /// The location in force; `None`: the server's own record.
    pub location: Option<&'a Location>,
    /// The record in force: a location's, an `if`'s, a `limit_except`'s.
    pub conf: &'a LocConf,
    /// The handler that takes the request whole, once chosen.
    pub content_handler: Option<&'a Setting<Handler>>,
    /// The method (an error page makes it GET).
    pub method: Method,
    /// Its name.
    pub method_name: &'a [u8],
    /// That of the main request, for `$request_method`.
    pub main_method_name: &'a [u8],
    /// The path, normalised, without arguments; changed by rewrites.
    pub uri: Vec<u8>,
    /// The query without `?`.
    pub args: Vec<u8>,
    /// The target without scheme and host, as received.
    pub unparsed_uri: Vec<u8>,
    /// The version of the request line.
    pub version: HttpVersion,
    /// HTTP/2 is spoken.
    pub http2: bool,
    /// Name from the request line or the Host header, in lower case, without port; empty: none.
    pub host: Option<Vec<u8>>,
    /// Header lines that are kept, in order (names in the client's spelling).
    pub headers: Vec<(&'a [u8], &'a [u8])>,
    /// Announced length of the body.
    pub content_length: Option<u64>,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// A handler has read the body, or has tried to.
    pub body_read: bool,
    /// An internal request: `internal` locations are open to it.
    pub internal: bool,
    /// A rewrite changed the URI and the location must be chosen again.
    pub uri_changed: bool,
    /// Changes and jumps left.
    pub uri_changes: u8,
    /// Whether the URI still belongs to the location it was chosen by (`r->valid_location`): not so after a rewrite with `break`.
    pub valid_location: bool,
    /// The raw path holds a `%` (`r->quoted_uri`); false in a subrequest.
    pub quoted_uri: bool,
    /// The raw path holds a `+` (`r->plus_in_uri`); false in a subrequest.
    pub plus_in_uri: bool,
    /// Cached variables, shared with subrequests, and the captures of the last successful regular expression.
    pub vars: variables::State,
    /// The status that an error page keeps (`r->err_status`).
    pub err_status: Option<u16>,
    /// An error page was used.
    pub error_page: bool,
    /// A back end was asked; what its answer holds besides the status, nobody knows.
    pub back_end_asked: bool,
    /// The header is sent, which only a finished subrequest lives to see.
    pub header_sent: bool,
    /// The error page in force, and what it stands for.
    pub page: Option<Page>,
    /// How deep a subrequest this is; 0: the main request.
    pub depth: u8,
    /// What the client showed in the handshake.
    pub client_cert: &'a ClientCert,
    /// What the access phase remembers under `satisfy any`: each refusal and its status.
    pub refusals: Vec<(u16, Box<Decision>)>,
    /// The `limit_except` whose record is in force.
    pub limit_except: Option<&'a LimitExcept>,
    /// `limit_req` has counted this request.
    pub limit_req_counted: bool,
    /// `limit_conn` has counted this request.
    pub limit_conn_counted: bool,
    /// `r->add_uri_to_alias`: `try_files` found a file in a location with an alias and a regular expression.
    pub add_uri_to_alias: bool,
    /// The rewrite that changed the URI last.
    pub last_rewrite: Option<Origin>,
    /// The `try_files` whose test found something: it led to the path in force.
    pub led_by_try_files: Option<Origin>,
    /// An index file led to the path in force.
    pub led_by_index: bool,
    /// The file that the request was mapped to last.
    pub file: Option<PathBuf>,
}

impl<'a> HttpRequest<'a> {
    /// A location is chosen: its record takes over, or the one of its `limit_except`.
    pub(crate) fn enter(&mut self, location: &'a Location) {
        self.location = Some(location);
        self.limit_except = location.limit_except.as_deref().filter(|block| !self.method.is_in(block.methods));
        self.switch_conf(self.limit_except.map_or(&location.conf, |block| &block.conf));
    }

    /// Another record takes over (`ngx_http_update_location_config`): its handler, if it has one, replaces the chosen one.
    pub(crate) fn switch_conf(&mut self, conf: &'a LocConf) {
        self.conf = conf;
        if let Some(handler) = &conf.handler {
            self.content_handler = Some(handler);
        }
    }

    /// Runs a regular expression on the URI; a success sets the captures.
    pub(crate) fn exec_on_uri(&mut self, regex: &Regex, cx: &mut Cx<'a>) -> Flow<bool> {
        match regex.exec(&mut self.vars, &self.uri) {
            Ok(matched) => ControlFlow::Continue(matched),
            Err(question) => cx.unknown(question),
        }
    }

    /// The first header line with this name, compared without case.
    pub fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|&(_, value)| value)
    }

    /// Every header line with this name, compared without case, in order.
    pub fn lines(&self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        let named = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|&(_, value)| value)
    }

    /// The block whose record is in force.
    pub(crate) fn block_origin(&self) -> Origin {
        self.conf.origin
    }

    /// The blocks that a reader needs besides the directive: location or server.
    pub(crate) fn related(&self) -> Vec<Related> {
        match self.location {
            Some(location) => vec![Related { role: "location", origin: location.origin }],
            None => vec![Related { role: "server", origin: self.server.origin }],
        }
    }

    /// A subrequest (`ngx_http_subrequest`): a GET of its own that shares the header, the connection and the variables.
    /// Whoever makes it gives `vars` back.
    pub(crate) fn subrequest(&mut self, uri: Vec<u8>) -> HttpRequest<'a> {
        HttpRequest {
            request: self.request,
            connection: self.connection.clone(),
            server: self.server,
            location: None,
            conf: &self.server.conf,
            content_handler: None,
            method: Method::GET,
            method_name: b"GET",
            main_method_name: self.main_method_name,
            uri,
            args: Vec::new(),
            unparsed_uri: self.unparsed_uri.clone(),
            version: self.version,
            http2: self.http2,
            host: self.host.clone(),
            headers: self.headers.clone(),
            content_length: self.content_length,
            chunked: self.chunked,
            body_read: true,
            internal: true,
            uri_changed: false,
            uri_changes: MAX_URI_CHANGES,
            valid_location: true,
            quoted_uri: false,
            plus_in_uri: false,
            vars: self.vars.lend(),
            err_status: None,
            error_page: false,
            back_end_asked: false,
            header_sent: false,
            page: None,
            depth: self.depth + 1,
            client_cert: self.client_cert,
            refusals: Vec::new(),
            limit_except: None,
            // Limits count the main request.
            limit_req_counted: true,
            limit_conn_counted: true,
            add_uri_to_alias: false,
            last_rewrite: None,
            led_by_try_files: None,
            led_by_index: false,
            file: None,
        }
    }
}

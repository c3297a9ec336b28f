//! request_rec: a request, its connection, and what a sub-request remembers of its parent.

use std::net::SocketAddr;
use std::rc::Rc;

use super::{Handled, walk};
use crate::apache::model::{M_INVALID, PerDir, ServerConf};
use crate::apache::rewrite;
use crate::apache::table::Table;
use crate::fs::{FileKind, Stat};
use crate::outcome::Decision;
use crate::request::{ClientCert, HttpVersion, Peer};
use crate::source::{Origin, Setting};

/// The connection: what does not change while headers are read.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The TCP peer.
    pub peer: Peer,
    /// Our end.
    pub local: SocketAddr,
    /// TLS.
    pub tls: bool,
    /// The certificate that was asked for and shown.
    pub client_cert: ClientCert,
    /// The certificate that the client would show if it were asked.
    pub offered: ClientCert,
    /// The server whose settings the handshake used, on TLS.
    pub handshake: Option<usize>,
    /// The name in the TLS handshake.
    pub sni: Option<Vec<u8>>,
}

/// What a sub-request or a redirect remembers of the request that made it.
#[derive(Debug)]
pub(crate) struct Parent {
    /// `r->uri`.
    pub uri: Vec<u8>,
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
    /// The directive that gave the media type, if one did.
    pub content_type_by: Option<Origin>,
    /// Output filters that extensions and handlers add, in lower case.
    pub output_filters: Vec<Vec<u8>>,
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
    /// The parts of the target that later hooks ask for.
    pub parsed_uri: ParsedUri,
    /// A document root that a module set for this request (mod_vhost_alias, mod_userdir).
    pub document_root: Option<Vec<u8>>,
    /// To be proxied.
    pub proxyreq: bool,
    /// Proxied on behalf of a client that asked for another server's URL (PROXYREQ_PROXY): it shows its credentials in
    /// Proxy-Authorization. Behind ProxyPass or `[P]` it does not know of any proxy.
    pub forward_proxy: bool,
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

/// Parts of the target (`r->parsed_uri`), as they were written.
#[derive(Clone, Debug, Default)]
pub(crate) struct ParsedUri {
    /// The scheme of an absolute URI.
    pub scheme: Option<Vec<u8>>,
    /// Its host, without brackets.
    pub hostname: Option<Vec<u8>>,
    /// Its port.
    pub port: Option<Vec<u8>>,
}

impl<'c> RequestRec<'c> {
    /// A request of which nothing is known yet but where it arrived.
    pub fn empty(server: &'c ServerConf, local: SocketAddr) -> Self {
        let peer = Peer::Unix;
        RequestRec {
            server,
            per_dir: server.held.defaults.clone(),
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
            content_type_by: None,
            output_filters: Vec::new(),
            content_encoding: None,
            content_languages: Vec::new(),
            user: None,
            auth_type: None,
            subprocess_env: Table::default(),
            notes: Table::default(),
            client: peer,
            connection: Connection {
                peer,
                local,
                tls: false,
                client_cert: ClientCert::None,
                offered: ClientCert::None,
                handshake: None,
                sni: None,
            },
            context_prefix: Vec::new(),
            context_document_root: None,
            document_root: None,
            parsed_uri: ParsedUri::default(),
            proxyreq: false,
            forward_proxy: false,
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

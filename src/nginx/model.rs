//! The configuration as the request meets it: one record per `http`, `server`, `location`, `if` and `limit_except`.
//!
//! nginx keeps an array of module records per block and merges parent into child. Here a child starts as a cheap clone of
//! its parent's merged record (every module's part is an [`Arc`]), and its own directives overwrite what they name; see
//! `merge.rs` for the three kinds of inheritance. Every value remembers the directive that set it, through every merge.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use ipnet::{Ipv4Net, Ipv6Net};

use super::complex::ComplexValue;
use super::filters::Filters;
use super::listen::{Addresses, Listen, ServerName};
use super::location::Locations;
use super::merge::Recipe;
use super::realip::RealIp;
use super::script::Program;
use super::tables::browser::Browsers;
use super::tables::referer::ValidReferers;
use super::tables::secure_link::SecureLink;
use super::variables::{self, Regex, VariableId};
use crate::source::{Origin, Setting};

/// An `http` block.
#[derive(Debug)]
pub struct Http {
    /// The `http` directive.
    pub origin: Origin,
    /// The record of the block itself, from which every server inherits.
    pub conf: LocConf,
    /// The servers in configuration order.
    pub servers: Vec<Server>,
    /// Who listens where.
    pub addresses: Addresses,
    /// Every variable that is named anywhere, and what defines it.
    pub variables: Arc<variables::Table>,
    /// `limit_req_zone`, by zone name.
    pub limit_req_zones: Vec<Zone>,
    /// `limit_conn_zone`, by zone name.
    pub limit_conn_zones: Vec<Zone>,
    /// The groups that a computed back end can name: `upstream` blocks, and the hosts of literal `*_pass` addresses.
    pub upstreams: Vec<Upstream>,
}

/// A group of back ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Its name, in lower case.
    pub host: Box<[u8]>,
    /// The port that belongs to the name; none for an `upstream` block.
    pub port: Option<u16>,
    /// The first `server` of a group in which every one is marked `down`, the backups too.
    pub none_live: Option<Origin>,
}

/// A shared memory zone of the limit modules.
#[derive(Debug)]
pub struct Zone {
    /// Its name.
    pub name: Box<[u8]>,
    /// What is counted.
    pub key: ComplexValue,
    /// The directive.
    pub origin: Origin,
}

/// A `server` block. Its records are merged when somebody first looks at one: a question pays for the server that answers
/// it. They are read as if they were its own fields.
#[derive(Debug)]
pub struct Server {
    /// The `server` directive.
    pub origin: Origin,
    /// Its names as written, in order; none: the empty name.
    pub names: Vec<Setting<ServerName>>,
    /// Its `listen` directives, ranges expanded; the default `*:80` has no origin.
    pub listens: Vec<Listen>,
    records: OnceLock<Records>,
    recipe: Recipe,
}

/// What a server's block comes to once it is merged with `http`.
#[derive(Debug)]
pub struct Records {
    /// Server-level settings.
    pub srv: SrvConf,
    /// The record in force while no location is chosen.
    pub conf: LocConf,
    /// Its locations.
    pub locations: Locations,
}

impl Deref for Server {
    type Target = Records;

    fn deref(&self) -> &Records {
        self.records.get_or_init(|| self.recipe.records(&self.names))
    }
}

impl Server {
    /// A server whose records are not merged yet.
    pub(super) fn new(origin: Origin, names: Vec<Setting<ServerName>>, listens: Vec<Listen>, recipe: Recipe) -> Self {
        Server { origin, names, listens, records: OnceLock::new(), recipe }
    }

    /// `$server_name`: the first name, without the dot that makes it a wildcard of both kinds.
    pub fn first_name(&self) -> &[u8] {
        self.names.first().map_or(&[], |name| name.value.shown())
    }
}

/// Settings that belong to a server as a whole (the contexts `http` and `server`).
#[derive(Clone, Debug)]
pub struct SrvConf {
    /// `//` becomes `/` (asked of the address's default server).
    pub merge_slashes: Setting<bool>,
    /// Header names may hold `_`.
    pub underscores_in_headers: Setting<bool>,
    /// `http2` (since 1.25.1).
    pub http2: Setting<bool>,
    /// Header lines with odd names are dropped, not refused.
    pub ignore_invalid_headers: Setting<bool>,
    /// Number and size of the buffers for a long request line or header.
    pub large_client_header_buffers: Setting<(u64, u64)>,
    /// Size of the first buffer.
    pub client_header_buffer_size: Setting<u64>,
    /// Most header lines.
    pub max_headers: Setting<u64>,
    /// `ssl_verify_client`.
    pub ssl_verify_client: Setting<VerifyClient>,
    /// `ssl_client_certificate`, as written.
    pub ssl_client_certificate: Setting<Option<Box<[u8]>>>,
    /// `ssl_trusted_certificate`, as written.
    pub ssl_trusted_certificate: Setting<Option<Box<[u8]>>>,
    /// `ssl_reject_handshake`.
    pub ssl_reject_handshake: Setting<bool>,
    /// `ssl on`, before 1.25.1.
    pub ssl: Setting<bool>,
    /// A `tunnel_pass` anywhere in the server: CONNECT reaches the phases (since 1.31.0).
    pub allow_connect: bool,
}

/// `ssl_verify_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifyClient {
    /// No certificate is asked for.
    Off,
    /// A good certificate is required.
    On,
    /// A certificate may be missing, but not bad.
    Optional,
    /// A certificate may be missing, or come from an authority that nobody here knows.
    OptionalNoCa,
}

/// What nginx calls `loc_conf`: every module's record for one block. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct LocConf {
    /// The block it belongs to: `http`, `server`, `location`, `if` or `limit_except`.
    pub origin: Origin,
    /// `ngx_http_core_module`.
    pub core: Arc<CoreConf>,
    /// `allow`, `deny`.
    pub access: Arc<AccessConf>,
    /// `auth_basic`, `auth_request`.
    pub auth: Arc<AuthConf>,
    /// `set_real_ip_from` and its companions.
    pub realip: Arc<RealIp>,
    /// `limit_req`, `limit_conn`.
    pub limits: Arc<LimitConf>,
    /// What answers when no handler is set: `index`, `autoindex`, …
    pub content: Arc<ContentConf>,
    /// What a request to an HTTP back end looks like.
    pub proxy: Arc<ProxyConf>,
    /// What the header filters look at.
    pub filters: Arc<Filters>,
    /// `valid_referers`.
    pub referer: Arc<ValidReferers>,
    /// `modern_browser` and its companions.
    pub browsers: Arc<Browsers>,
    /// `secure_link` and its companions.
    pub secure_link: Arc<SecureLink>,
    /// `*_pass`, `stub_status`, …: what takes the request whole.
    pub handler: Option<Setting<Handler>>,
    /// `try_files`, never inherited.
    pub try_files: Option<Arc<Setting<Vec<TryFile>>>>,
    /// The rewrite module's program, never inherited.
    pub program: Option<Arc<Program>>,
    /// Directives in force that are not simulated.
    pub opaque: Arc<[Opaque]>,
}

/// A directive that may change the answer and is not simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque {
    /// Its name.
    pub name: Box<[u8]>,
    /// Where it stands.
    pub origin: Origin,
    /// When it acts.
    pub phase: OpaquePhase,
}

/// When a directive that is not simulated acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpaquePhase {
    /// From the very first: nothing is known about it, and it is in force for the whole server.
    ServerRewrite,
    /// Before or in the rewrite phase of a location: nothing is known about it.
    Rewrite,
    /// In preaccess.
    Preaccess,
    /// In access, before allow and deny.
    Access,
    /// At the end of access, when nothing else has refused.
    AfterAccess,
    /// In precontent.
    Precontent,
    /// When the header is sent.
    Filter,
}

impl OpaquePhase {
    /// The phase's name.
    pub fn name(self) -> &'static str {
        match self {
            OpaquePhase::ServerRewrite => "server rewrite",
            OpaquePhase::Rewrite => "rewrite",
            OpaquePhase::Preaccess => "preaccess",
            OpaquePhase::Access | OpaquePhase::AfterAccess => "access",
            OpaquePhase::Precontent => "precontent",
            OpaquePhase::Filter => "filters",
        }
    }
}

/// Settings of the core module.
#[derive(Clone, Debug)]
pub struct CoreConf {
    /// `root` or `alias`: one slot.
    pub mapping: Setting<Mapping>,
    /// `satisfy`.
    pub satisfy: Setting<Satisfy>,
    /// `internal`.
    pub internal: Setting<bool>,
    /// `error_page`, in order.
    pub error_pages: Vec<Setting<ErrorPage>>,
    /// `recursive_error_pages`.
    pub recursive_error_pages: Setting<bool>,
    /// `client_max_body_size` in bytes; 0: no limit.
    pub client_max_body_size: Setting<u64>,
    /// `disable_symlinks`.
    pub disable_symlinks: Setting<DisableSymlinks>,
    /// `from=` of `disable_symlinks`.
    pub disable_symlinks_from: Setting<Option<ComplexValue>>,
    /// Whether a `resolver` is there for names that are variables.
    pub resolver: Setting<bool>,
    /// `open_file_cache`: whether one is kept. What it remembers of earlier requests is not looked at.
    pub open_file_cache: Setting<bool>,
    /// `msie_refresh`: redirects of old browsers become a page that answers 200.
    pub msie_refresh: Setting<bool>,
}

/// How a URI becomes a path.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// The directory, a trailing slash of a root removed.
    pub path: ComplexValue,
    /// The text as written, with variables.
    pub alias: Option<Alias>,
}

/// What an `alias` replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// The name of the location, so many bytes at the front of the URI.
    Prefix(usize),
    /// A location given by a regular expression: the whole URI.
    Whole,
}

/// `satisfy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Satisfy {
    /// Every handler of the access phase must agree.
    All,
    /// One is enough.
    Any,
}

/// One `error_page` code.
#[derive(Clone, Debug)]
pub struct ErrorPage {
    /// The status it catches.
    pub status: u16,
    /// `None`: keep the original; `Some(None)`: `=`, whatever the page gives; `Some(Some(n))`: `=n`.
    pub overwrite: Option<Option<u16>>,
    /// A URI, `@name`, or anything else: a redirect.
    pub page: ComplexValue,
    /// Query of a literal URI.
    pub args: Box<[u8]>,
}

/// `disable_symlinks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisableSymlinks {
    /// Links are followed.
    Off,
    /// No link is followed.
    On,
    /// Links whose owner differs from the target's are refused.
    IfNotOwner,
}

/// One rule of the access module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule<N> {
    /// Which clients.
    pub net: N,
    /// Refused or let through.
    pub deny: bool,
}

/// `allow` and `deny`: three lists, replaced together as soon as a block has a rule of its own.
#[derive(Clone, Debug, Default)]
pub struct AccessConf {
    /// For IPv4 clients.
    pub v4: Vec<Setting<AccessRule<Ipv4Net>>>,
    /// For IPv6 clients.
    pub v6: Vec<Setting<AccessRule<Ipv6Net>>>,
    /// For clients of a unix socket.
    pub unix: Vec<Setting<AccessRule<()>>>,
}

/// Settings of auth_basic and auth_request.
#[derive(Clone, Debug)]
pub struct AuthConf {
    /// The realm; `None`: off.
    pub realm: Setting<Option<ComplexValue>>,
    /// The password file.
    pub user_file: Setting<Option<ComplexValue>>,
    /// The URI of the subrequest; `None`: off.
    pub request: Setting<Option<Box<[u8]>>>,
    /// `auth_request_set`.
    pub request_set: Vec<Setting<(VariableId, ComplexValue)>>,
}

/// Settings of the limit modules.
#[derive(Clone, Debug)]
pub struct LimitConf {
    /// The zones of `limit_req`, by name.
    pub req: Vec<Setting<Box<[u8]>>>,
    /// `limit_req_status`.
    pub req_status: Setting<u16>,
    /// `limit_req_dry_run`.
    pub req_dry_run: Setting<bool>,
    /// The zones of `limit_conn`, by name.
    pub conn: Vec<Setting<Box<[u8]>>>,
    /// `limit_conn_status`.
    pub conn_status: Setting<u16>,
    /// `limit_conn_dry_run`.
    pub conn_dry_run: Setting<bool>,
}

/// Settings of the content phase.
#[derive(Clone, Debug)]
pub struct ContentConf {
    /// `index`, in order.
    pub index: Vec<Setting<ComplexValue>>,
    /// `autoindex`.
    pub autoindex: Setting<bool>,
    /// `autoindex_format`.
    pub autoindex_format: Setting<ListingFormat>,
    /// `random_index`.
    pub random_index: Setting<bool>,
    /// `gzip_static`.
    pub gzip_static: Setting<GzipStatic>,
    /// `gunzip`.
    pub gunzip: Setting<bool>,
    /// `dav_methods`, a set of [`Method`](super::request::Method) bits.
    pub dav_methods: Setting<u32>,
    /// `min_delete_depth`.
    pub min_delete_depth: Setting<u64>,
    /// `create_full_put_path`.
    pub create_full_put_path: Setting<bool>,
    /// `mirror`: whether the request is copied anywhere.
    pub mirror: Setting<bool>,
    /// `mirror_request_body`: the body is read for the copies.
    pub mirror_request_body: Setting<bool>,
    /// `*_intercept_errors` of the pass modules, by [`PassKind`].
    pub intercept_errors: [Setting<bool>; PassKind::COUNT],
}

/// Settings of `ngx_http_proxy_module` that shape the request.
#[derive(Clone, Debug)]
pub struct ProxyConf {
    /// `proxy_set_header`: name and value.
    pub headers: Vec<Setting<(Box<[u8]>, ComplexValue)>>,
    /// `proxy_pass_request_headers`.
    pub pass_headers: bool,
    /// `proxy_method`, where one is set.
    pub method: Option<Origin>,
}

/// `autoindex_format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListingFormat {
    /// A page.
    Html,
    /// `json`.
    Json,
    /// `jsonp`, whose argument can be refused.
    Jsonp,
    /// `xml`.
    Xml,
}

/// `gzip_static`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GzipStatic {
    /// Not tried.
    Off,
    /// Tried for clients that accept gzip.
    On,
    /// Tried for every client.
    Always,
}

/// What takes a request whole.
#[derive(Clone, Debug)]
pub enum Handler {
    /// A back end.
    Pass(PassKind, ComplexValue),
    /// `stub_status`.
    StubStatus,
    /// `empty_gif`.
    EmptyGif,
    /// `flv`.
    Flv,
    /// `mp4`.
    Mp4,
    /// `api`, `js_content`, `perl`, …: not simulated.
    Opaque(Box<[u8]>),
}

/// The modules that hand a request to a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassKind {
    /// `proxy_pass`.
    Proxy,
    /// `fastcgi_pass`.
    Fastcgi,
    /// `uwsgi_pass`.
    Uwsgi,
    /// `scgi_pass`.
    Scgi,
    /// `grpc_pass`.
    Grpc,
    /// `memcached_pass`.
    Memcached,
    /// `tunnel_pass` (since 1.31.0).
    Tunnel,
}

impl PassKind {
    /// How many there are.
    pub const COUNT: usize = 7;
}

/// One argument of `try_files`.
#[derive(Clone, Debug)]
pub enum TryFile {
    /// A path to test; a trailing slash asks for a directory.
    Path {
        /// The text.
        name: ComplexValue,
        /// Must be a directory (`true`) or must not (`false`).
        directory: bool,
    },
    /// The last argument: a URI or `@name`.
    Uri(ComplexValue),
    /// The last argument: `=CODE`.
    Code(u16),
}

/// A `location` block.
#[derive(Debug)]
pub struct Location {
    /// The `location` directive.
    pub origin: Origin,
    /// The name without its modifier; the source of a regular expression; `@name` with its sign.
    pub name: Box<[u8]>,
    /// Its form.
    pub kind: LocationKind,
    /// Its record.
    pub conf: LocConf,
    /// Nested locations.
    pub locations: Locations,
    /// Its `limit_except`.
    pub limit_except: Option<Box<LimitExcept>>,
    /// The name ends in a slash and the block itself has a `*_pass`: the URI without the slash is redirected.
    pub auto_redirect: bool,
}

/// The forms of a location.
#[derive(Debug)]
pub enum LocationKind {
    /// `= name`.
    Exact,
    /// `name`.
    Prefix,
    /// `^~ name`.
    NoRegex,
    /// `~ name`, `~* name`.
    Regex(Regex),
    /// `@name`.
    Named,
}

/// A `limit_except` block.
#[derive(Debug)]
pub struct LimitExcept {
    /// The directive.
    pub origin: Origin,
    /// The methods that are not limited, as bits of [`Method`](super::request::Method).
    pub methods: u32,
    /// The record for all others.
    pub conf: LocConf,
}

//! The configuration as the evaluator sees it: servers, sections, and one record per module in each of them.
//!
//! Apache gives every module two records: one per server (create_server_config) and one per directory-like place
//! (create_dir_config). A place has a module's record only when it holds at least one directive of that module; merging
//! two places merges record by record, and a module without a merge function lets the later record replace the earlier.
//! That rule is [`DirConf::merge`], and the list of the modules with what merges them is the `records!` table below.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use crate::apache::load::Modules;
use crate::apache::{
    access, actions, alias, content, core, env, expr, filters, headers, mime, negotiation, proxy, remoteip, rewrite,
    setenvif, speling, userdir, vhost, vhost_alias,
};
use crate::pattern::Pattern;
use crate::source::{Origin, Setting};

/// Set of method numbers, as `<Limit>` and `cmd->limited` use them (AP_METHOD_BIT): bit `n` is method number `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MethodSet(pub u64);

impl MethodSet {
    /// Every method, known or not.
    pub const ALL: MethodSet = MethodSet(!0);

    /// Whether the method with this number is in the set.
    pub fn contains(self, method: u8) -> bool {
        self.0 >> u32::from(method).min(63) & 1 == 1
    }
}

/// The numbers of the methods (ap_method_registry). Names are case-sensitive; HEAD has the number of GET.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods {
    extensions: Vec<Vec<u8>>,
}

/// The number of every method that nobody registered (M_INVALID).
pub(crate) const M_INVALID: u8 = 26;
/// The number of GET and HEAD.
pub(crate) const M_GET: u8 = 0;
/// The number of POST.
pub(crate) const M_POST: u8 = 2;
/// The number of OPTIONS.
pub(crate) const M_OPTIONS: u8 = 5;
/// The number of TRACE.
pub(crate) const M_TRACE: u8 = 6;

/// Names in the order of their numbers (httpd.h, M_GET … M_MERGE).
const METHOD_NAMES: [&str; 26] = [
    "GET",
    "PUT",
    "POST",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "VERSION-CONTROL",
    "CHECKOUT",
    "UNCHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "REPORT",
    "MKWORKSPACE",
    "MKACTIVITY",
    "BASELINE-CONTROL",
    "MERGE",
];

impl Methods {
    /// The built-in methods only.
    pub fn new() -> Self {
        Methods::default()
    }

    /// The number of a method ([`M_INVALID`] for an unregistered one).
    pub fn number(&self, name: &[u8]) -> u8 {
        if name == b"HEAD" {
            return M_GET;
        }
        if let Some(number) = METHOD_NAMES.iter().position(|known| known.as_bytes() == name) {
            return number as u8;
        }
        match self.extensions.iter().position(|known| known == name) {
            Some(index) => M_INVALID + 1 + index as u8,
            None => M_INVALID,
        }
    }

    /// Gives a name a number, as a main-config `<Limit>` or `RegisterHttpMethod` does. The server has room for 37 more.
    pub fn register(&mut self, name: &[u8]) -> u8 {
        let known = self.number(name);
        if known != M_INVALID || self.extensions.len() >= 37 {
            return known;
        }
        self.extensions.push(name.to_vec());
        M_INVALID + self.extensions.len() as u8
    }
}

/// Which kind of place a directive stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The main server or a `<VirtualHost>`.
    Server,
    /// `<Directory>`, `<DirectoryMatch>`.
    Directory,
    /// `<Location>`, `<LocationMatch>`.
    Location,
    /// `<Files>`, `<FilesMatch>`, wherever.
    Files,
    /// `<If>`, `<ElseIf>`, `<Else>`.
    If,
    /// `<Proxy>`, `<ProxyMatch>`.
    Proxy,
    /// An `.htaccess`, outside any section in it.
    Htaccess,
}

/// A directive as the second pass runs it (cmd_parms): the words as the server sees them, and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Command<'c> {
    /// The name as spelled in the directive table (`RewriteRule`).
    pub name: &'c str,
    /// The words, quotes and escapes undone.
    pub args: Vec<&'c [u8]>,
    /// Everything after the name, variables replaced, blanks trimmed: for RAW_ARGS and for modules with their own splitter.
    pub raw: &'c [u8],
    /// Where it is written.
    pub origin: Origin,
    /// The methods of the `<Limit>` sections around it (`cmd->limited`).
    pub limited: MethodSet,
    /// Where it stands.
    pub place: Place,
    /// Whether it was read from an `.htaccess`, in a section of it or not.
    pub htaccess: bool,
    /// `cmd->path`: `None` at server level; else the directory with its final slash, the Location's or Files' argument, `*If/…`.
    pub path: Option<&'c [u8]>,
    /// The section around it.
    pub section: Option<Origin>,
    /// Index of the server that is being configured: 0 is the main server.
    pub server: usize,
    /// `ServerRoot`, what relative file names are relative to.
    pub server_root: &'c [u8],
    /// The methods registered so far.
    pub methods: &'c Methods,
    /// Which modules an expression may use names of.
    pub modules: &'c Modules,
}

impl<'c> Command<'c> {
    /// Word `index`, from 0.
    pub fn arg(&self, index: usize) -> Option<&'c [u8]> {
        self.args.get(index).copied()
    }

    /// Whether the first word is `On` in any case: how FLAG directives are read.
    pub fn flag(&self) -> bool {
        self.arg(0).is_some_and(|word| word.eq_ignore_ascii_case(b"on"))
    }

    /// Whether it stands at server level (`cmd->path == NULL`).
    pub fn at_server_level(&self) -> bool {
        self.path.is_none()
    }

    /// A file name as the server opens it: under `ServerRoot` unless absolute (ap_server_root_relative).
    pub fn server_root_relative(&self, name: &[u8]) -> Vec<u8> {
        let root = Path::new(OsStr::from_bytes(self.server_root));
        root.join(OsStr::from_bytes(name)).into_os_string().into_vec()
    }

    /// How an expression in this directive is read.
    pub fn expr_context(&self) -> expr::Context {
        expr::Context {
            restricted: self.htaccess,
            ssl_compat: false,
            ssl: self.modules.has("ssl_module"),
            http2: self.modules.has("http2_module"),
            session: self.modules.has("session_module"),
        }
    }
}

/// What a section's argument is compared with, and how.
#[derive(Debug)]
pub(crate) enum Matcher {
    /// The text itself: a path prefix (Location), a directory with its final slash (Directory), a file name (Files).
    Literal(Vec<u8>),
    /// A shell pattern.
    Glob(Vec<u8>),
    /// A regular expression, with the environment names of its named groups; one for all sections that write it.
    Regex(Arc<Pattern>),
    /// A condition of `<If>` or `<ElseIf>`.
    Condition(Box<expr::Expr>),
    /// `<Else>`.
    Otherwise,
}

/// One section, or one `.htaccess`.
#[derive(Debug)]
pub(crate) struct Section {
    /// Which kind of section.
    pub place: Place,
    /// How it is matched.
    pub matcher: Matcher,
    /// `<ElseIf>` and `<Else>`: only if the one before did not match.
    pub is_else: bool,
    /// The section's start line.
    pub origin: Origin,
    /// Number of components of a Directory's path, of an expression the number of its slashes; 0 for `/`.
    pub components: usize,
    /// The records it holds.
    pub conf: Arc<DirConf>,
}

/// Sections in the order in which they are tried.
pub(crate) type SectionList = Arc<Vec<Arc<Section>>>;

/// A directive that may change the answer and is not simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opaque {
    /// Its name.
    pub name: String,
    /// The module it belongs to; empty where no known module has it.
    pub module: &'static str,
    /// Where it is.
    pub origin: Origin,
}

/// Merges two records of one module, base first.
fn merge_records<T>(base: &Option<Arc<T>>, new: &Option<Arc<T>>, merge: impl Fn(&T, &T) -> T) -> Option<Arc<T>> {
    match (base, new) {
        (Some(base), Some(new)) => Some(Arc::new(merge(base, new))),
        (Some(only), None) | (None, Some(only)) => Some(only.clone()),
        (None, None) => None,
    }
}

/// The table of modules. For each: the field, the record, and `merge` or `replace` (no merge function in httpd).
macro_rules! records {
    (@merge $base:expr, $new:expr, $record:ty, merge) => { merge_records($base, $new, <$record>::merge) };
    (@merge $base:expr, $new:expr, $record:ty, replace) => { ($new).clone().or_else(|| ($base).clone()) };
    (
        dir { $($(#[$dir_doc:meta])* $dir:ident: $dir_record:ty, $dir_merge:ident;)* }
        server { $($(#[$server_doc:meta])* $server:ident: $server_record:ty, $server_merge:ident;)* }
    ) => {
        /// The per-directory records of one place (ap_conf_vector_t), or of several merged.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct DirConf {
            /// The core's record; every place has one.
            pub core: core::DirRecord,
            $($(#[$dir_doc])* pub $dir: Option<Arc<$dir_record>>,)*
            /// Directives that are not simulated.
            pub opaque: Vec<Opaque>,
            /// The places merged so far, in order.
            pub sections: Vec<Origin>,
        }

        impl DirConf {
            /// ap_merge_per_dir_configs: record by record, `new` on top of `base`.
            pub fn merge(base: &DirConf, new: &DirConf) -> DirConf {
                DirConf {
                    core: core::DirRecord::merge(&base.core, &new.core),
                    $($dir: records!(@merge &base.$dir, &new.$dir, $dir_record, $dir_merge),)*
                    opaque: base.opaque.iter().chain(&new.opaque).cloned().collect(),
                    sections: base.sections.iter().chain(&new.sections).copied().collect(),
                }
            }
        }

        /// The per-server records of the main server or of a virtual host.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct ServerRecords {
            /// The core's record.
            pub core: core::ServerRecord,
            $($(#[$server_doc])* pub $server: Option<Arc<$server_record>>,)*
            /// Directives that are not simulated.
            pub opaque: Vec<Opaque>,
        }

        impl ServerRecords {
            /// merge_server_configs: the main server seen through a virtual host.
            pub fn merge(base: &ServerRecords, new: &ServerRecords) -> ServerRecords {
                ServerRecords {
                    core: core::ServerRecord::merge(&base.core, &new.core),
                    $($server: records!(@merge &base.$server, &new.$server, $server_record, $server_merge),)*
                    opaque: base.opaque.iter().chain(&new.opaque).cloned().collect(),
                }
            }
        }
    };
}

records! {
    dir {
        /// mod_access_compat.
        access_compat: access::compat::DirRecord, replace;
        /// mod_authz_core.
        authz_core: access::authz_core::DirRecord, merge;
        /// mod_authn_core.
        authn_core: access::authn::CoreRecord, merge;
        /// mod_auth_basic.
        auth_basic: access::authn::BasicRecord, merge;
        /// mod_auth_digest.
        auth_digest: access::digest::DirRecord, merge;
        /// mod_auth_form.
        auth_form: access::form::DirRecord, merge;
        /// mod_authn_file.
        authn_file: access::authn::FileRecord, replace;
        /// mod_authn_anon.
        authn_anon: access::authn::AnonRecord, replace;
        /// mod_authz_groupfile.
        authz_groupfile: access::providers::GroupFileRecord, replace;
        /// mod_allowmethods.
        allowmethods: access::allowmethods::DirRecord, merge;
        /// mod_dir.
        dir: content::dir::DirRecord, merge;
        /// mod_dav.
        dav: content::dav::DirRecord, merge;
        /// mod_include.
        include: content::include::DirRecord, merge;
        /// mod_headers.
        headers: headers::DirRecord, merge;
        /// Other filters.
        filters: filters::Record, merge;
        /// mod_headers, for what comes after it.
        /// mod_filter.
        filter: content::include::FilterRecord, merge;
        /// mod_ssl.
        ssl: access::ssl::DirRecord, merge;
        /// mod_actions.
        actions: actions::DirRecord, merge;
        /// mod_alias.
        alias: alias::DirRecord, merge;
        /// mod_env.
        env: env::Record, merge;
        /// mod_mime.
        mime: mime::DirRecord, merge;
        /// mod_negotiation.
        negotiation: negotiation::DirRecord, merge;
        /// mod_proxy.
        proxy: proxy::DirRecord, merge;
        /// mod_rewrite.
        rewrite: rewrite::DirRecord, merge;
        /// mod_setenvif.
        setenvif: setenvif::Record, merge;
        /// mod_speling.
        speling: speling::DirRecord, replace;
    }
    server {
        /// mod_ssl.
        ssl: access::ssl::ServerRecord, merge;
        /// mod_alias.
        alias: alias::ServerRecord, merge;
        /// mod_mime.
        mime: mime::ServerRecord, merge;
        /// mod_proxy.
        proxy: proxy::ServerRecord, merge;
        /// mod_remoteip.
        remoteip: remoteip::ServerRecord, merge;
        /// mod_rewrite.
        rewrite: rewrite::ServerRecord, merge;
        /// mod_setenvif.
        setenvif: setenvif::Record, merge;
        /// mod_userdir.
        userdir: userdir::ServerRecord, merge;
        /// mod_vhost_alias.
        vhost_alias: vhost_alias::ServerRecord, merge;
    }
}

/// The main server or a virtual host (server_rec): how it is chosen, and what it holds.
#[derive(Debug)]
pub(crate) struct ServerConf {
    /// 0 is the main server; virtual hosts follow in configuration order.
    pub index: usize,
    /// The `<VirtualHost>` line; `None`: the main server.
    pub origin: Option<Origin>,
    /// The addresses of the `<VirtualHost>` line.
    pub addresses: Vec<vhost::Address>,
    /// `ServerName`, without port.
    pub name: Option<Setting<Vec<u8>>>,
    /// The port of `ServerName`; 0: none.
    pub port: u16,
    /// The scheme of `ServerName scheme://…`.
    pub scheme: Option<Vec<u8>>,
    /// `ServerAlias` without wildcards.
    pub aliases: Vec<Vec<u8>>,
    /// `ServerAlias` with wildcards.
    pub wild_aliases: Vec<Vec<u8>>,
    /// `ServerPath`.
    pub server_path: Option<Vec<u8>>,
    /// What it holds; made when the first question reaches this server.
    pub held: Held,
}

/// What a server holds, once somebody asks.
pub(crate) type Held = LazyLock<Holdings, Box<dyn FnOnce() -> Holdings + Send + Sync>>;

/// The sections and records of a server, merged with those of the main server.
#[derive(Debug)]
pub(crate) struct Holdings {
    /// `<Directory>` sections, sorted as ap_core_reorder_directories does.
    pub directories: SectionList,
    /// `<Location>` sections in order.
    pub locations: SectionList,
    /// `<Proxy>` sections in order.
    pub proxies: SectionList,
    /// The server-level per-directory records (`lookup_defaults`).
    pub defaults: PerDir,
    /// The modules' server records.
    pub records: ServerRecords,
}

impl std::ops::Deref for ServerConf {
    type Target = ServerRecords;

    fn deref(&self) -> &ServerRecords {
        &self.held.records
    }
}

/// Merged records with an identity. Two that hold the same may still be different objects, and httpd skips
/// authorization only for the same object (`r->main->per_dir_config == r->per_dir_config`).
#[derive(Clone, Debug)]
pub(crate) struct PerDir {
    conf: Arc<DirConf>,
    identity: u64,
}

impl PerDir {
    /// Records that are an object of their own.
    pub fn new(conf: Arc<DirConf>, identity: u64) -> Self {
        PerDir { conf, identity }
    }

    /// The records, for merging more onto them.
    pub fn conf(&self) -> &Arc<DirConf> {
        &self.conf
    }

    /// Whether both are one object.
    pub fn is(&self, other: &PerDir) -> bool {
        self.identity == other.identity
    }
}

impl std::ops::Deref for PerDir {
    type Target = DirConf;

    fn deref(&self) -> &DirConf {
        &self.conf
    }
}

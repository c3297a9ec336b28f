//! What the request is called in expressions and rewrite conditions: `%{REQUEST_URI}` and its kin, and the server's own
//! name, port and scheme as they stand in the URLs that it writes.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::apache::access::address::Network;
use crate::apache::expr::{Failure, FileTest, Probe, Scope, Table};
use crate::apache::request::{Cx, RequestRec, subrequest};
use crate::fact::{Fact, Question, Subject};
use crate::fs::{FileKind, Follow, Stat};
use crate::identity::Accounts;
use crate::request::{ClientCert, Peer};
use crate::source::Origin;

/// The longest file that `file()` reads, in bytes.
const MAX_FILE_SIZE: u64 = 10 << 20;

/// A request as an expression sees it.
pub(crate) struct RequestScope<'r, 'c> {
    r: &'r mut RequestRec<'c>,
    cx: &'r mut Cx<'c>,
    origin: Option<Origin>,
}

impl<'r, 'c> RequestScope<'r, 'c> {
    /// A scope for this request.
    pub fn new(r: &'r mut RequestRec<'c>, cx: &'r mut Cx<'c>) -> Self {
        RequestScope { r, cx, origin: None }
    }

    /// The same scope, for an expression that stands here: questions name that directive.
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    fn stat(&self, path: &[u8], follow: Follow) -> Option<Stat> {
        stat(path, follow, self.cx)
    }

    fn header(&self, name: &str) -> Vec<u8> {
        self.r.headers_in.get(name.as_bytes()).map(<[u8]>::to_vec).unwrap_or_default()
    }

    fn ask(&self, subject: Subject) -> Fact<Vec<u8>> {
        Fact::Unknown(Question::at(subject, self.origin))
    }

    fn unknown(&self, name: &str) -> Fact<Vec<u8>> {
        self.ask(Subject::Variable(name.to_owned()))
    }

    fn process_environment(&self, name: &[u8]) -> Fact<Vec<u8>> {
        match process_environment(name, self.cx) {
            Fact::Known(value) => Fact::Known(value.unwrap_or_default()),
            Fact::Unknown(question) => Fact::Unknown(Question::at(question.subject, self.origin)),
        }
    }

    /// The name of the owner or the group of `r->filename`; `None` where nothing is known to be there.
    pub fn file_owner(&self, group: bool) -> Fact<Option<Vec<u8>>> {
        let Some(stat) = &self.r.finfo else { return Fact::Known(None) };
        let id = if group { stat.gid } else { stat.uid };
        let accounts = Accounts::read(self.cx.world.fs);
        let name = id.and_then(|id| match group {
            true => accounts.group_by_id(id).map(|group| group.name.clone()),
            false => accounts.user_by_id(id).map(|user| user.name.clone()),
        });
        match name {
            Some(name) => Fact::Known(Some(name.into_bytes())),
            None => {
                let path = self.r.filename.clone().unwrap_or_default();
                Fact::Unknown(Question::at(Subject::Permission(to_path(&path)), self.origin))
            }
        }
    }
}

impl Scope for RequestScope<'_, '_> {
    fn variable(&mut self, name: &str) -> Fact<Vec<u8>> {
        let r = &*self.r;
        let on_off = |on: bool| if on { b"on".to_vec() } else { b"off".to_vec() };
        Fact::Known(match name {
            "REQUEST_METHOD" => r.method.clone(),
            "REQUEST_SCHEME" => scheme(r),
            "REQUEST_URI" => r.uri.clone(),
            "REQUEST_FILENAME" | "SCRIPT_FILENAME" => r.filename.clone().unwrap_or_default(),
            "REMOTE_ADDR" => address_text(r.client),
            "CONN_REMOTE_ADDR" => address_text(r.connection.peer),
            "REMOTE_HOST" => return self.remote_host(),
            "REMOTE_PORT" => return self.unknown(name),
            "REMOTE_USER" => r.user.clone().unwrap_or_default(),
            "REMOTE_IDENT" | "REQUEST_LOG_ID" | "CONN_LOG_ID" => Vec::new(),
            "SERVER_ADMIN" => r.server.core.admin.clone().unwrap_or_else(|| b"[no address given]".to_vec()),
            "SERVER_ADDR" => r.connection.local.ip().to_canonical().to_string().into_bytes(),
            "SERVER_NAME" => match server_name(r) {
                Some(name) => name,
                None => return self.unknown(name),
            },
            "SERVER_PORT" => server_port(r).to_string().into_bytes(),
            "SERVER_PROTOCOL" => format!("HTTP/{}.{}", r.protocol.major, r.protocol.minor).into_bytes(),
            "SERVER_SOFTWARE" => return self.unknown(name),
            "API_VERSION" => b"20120211".to_vec(),
            "PATH_INFO" => r.path_info.clone(),
            "QUERY_STRING" => r.args.clone().unwrap_or_default(),
            "IS_SUBREQ" => if r.main.is_some() { &b"true"[..] } else { b"false" }.to_vec(),
            "DOCUMENT_ROOT" => document_root(r),
            "CONTEXT_PREFIX" => r.context_prefix.clone(),
            "CONTEXT_DOCUMENT_ROOT" => r.context_document_root.clone().unwrap_or_else(|| document_root(r)),
            "AUTH_TYPE" => r.auth_type.clone().unwrap_or_default(),
            "THE_REQUEST" => r.the_request.clone(),
            "CONTENT_TYPE" => r.content_type.clone().unwrap_or_default(),
            "HANDLER" => r.handler.as_ref().map(|handler| handler.value.clone()).unwrap_or_default(),
            "SCRIPT_USER" | "SCRIPT_GROUP" => match self.file_owner(name == "SCRIPT_GROUP") {
                Fact::Known(name) => name.unwrap_or_default(),
                Fact::Unknown(question) => return Fact::Unknown(question),
            },
            "DOCUMENT_URI" => r.subprocess_env.get(b"DOCUMENT_URI").map_or_else(|| r.uri.clone(), <[u8]>::to_vec),
            "LAST_MODIFIED" => return self.ask(Subject::Time(to_path(&r.filename.clone().unwrap_or_default()))),
            "REQUEST_STATUS" => r.status.to_string().into_bytes(),
            "HTTPS" => on_off(r.connection.tls),
            "IPV6" => on_off(is_ipv6(r.connection.peer)),
            "HTTP2" | "H2PUSH" | "H2_PUSH" => b"off".to_vec(),
            "H2_PUSHED" | "H2_PUSHED_ON" | "H2_STREAM_ID" | "H2_STREAM_TAG" => Vec::new(),
            "HTTP_USER_AGENT" => self.header("User-Agent"),
            "HTTP_PROXY_CONNECTION" => self.header("Proxy-Connection"),
            "HTTP_REFERER" => self.header("Referer"),
            "HTTP_COOKIE" => self.header("Cookie"),
            "HTTP_FORWARDED" => self.header("Forwarded"),
            "HTTP_HOST" => self.header("Host"),
            "HTTP_ACCEPT" => self.header("Accept"),
            ssl if ssl.starts_with("SSL_") => return self.ssl(ssl.as_bytes()),
            time if time.starts_with("TIME") => return self.ask(Subject::Clock),
            _ => return self.unknown(name),
        })
    }

    fn lookup(&mut self, table: Table, key: &[u8]) -> Fact<Vec<u8>> {
        let known = |value: Option<&[u8]>| Fact::Known(value.map(<[u8]>::to_vec).unwrap_or_default());
        match table {
            Table::RequestHeader => known(self.r.headers_in.get(key)),
            // Nothing has written response headers yet, a redirect's aside.
            Table::ResponseHeader if key.eq_ignore_ascii_case(b"Location") => known(self.r.location.as_deref()),
            Table::ResponseHeader => known(None),
            Table::Note => known(self.r.notes.get(key)),
            Table::RequestEnvironment => known(self.r.subprocess_env.get(key)),
            Table::Environment => match self.r.notes.get(key).or_else(|| self.r.subprocess_env.get(key)) {
                Some(value) => known(Some(value)),
                None => self.process_environment(key),
            },
            Table::OsEnvironment => self.process_environment(key),
            Table::Ssl => self.ssl(key),
            Table::Session => self.unknown(&format!("session:{}", String::from_utf8_lossy(key))),
        }
    }

    fn file_test(&mut self, test: FileTest, path: &[u8]) -> bool {
        let follow = match test {
            FileTest::Link | FileTest::Executable => Follow::No,
            _ => Follow::Yes,
        };
        let Some(stat) = self.stat(path, follow) else { return false };
        match test {
            FileTest::Exists => true,
            FileTest::Directory => stat.kind == FileKind::Directory,
            FileTest::Regular => stat.kind == FileKind::Regular,
            FileTest::NonEmpty => stat.kind == FileKind::Regular && has_content(path, &stat, self.cx),
            FileTest::Link => stat.kind == FileKind::Symlink,
            FileTest::Executable => is_executable(path, &stat, self.cx),
        }
    }

    fn read_file(&mut self, path: &[u8]) -> Fact<Result<Vec<u8>, String>> {
        let name = String::from_utf8_lossy(path).into_owned();
        match self.cx.disk.read(&to_path(path), MAX_FILE_SIZE) {
            Ok(Fact::Known(content)) => Fact::Known(Ok(content.to_vec())),
            Ok(Fact::Unknown(question)) => Fact::Unknown(question),
            Err(denied) if denied.errno == crate::fs::Errno::EFBIG => {
                Fact::Known(Err(format!("File {name} too large")))
            }
            Err(_) => Fact::Known(Err(format!("Cannot open file {name}"))),
        }
    }

    fn file_size(&mut self, path: &[u8]) -> Fact<u64> {
        match self.stat(path, Follow::Yes) {
            Some(Stat { kind: FileKind::Regular, size: Some(size), .. }) => Fact::Known(size),
            Some(Stat { kind: FileKind::Regular, size: None, .. }) => {
                Fact::Unknown(Question::at(Subject::Time(to_path(path)), self.origin))
            }
            _ => Fact::Known(0),
        }
    }

    fn probe(&mut self, probe: Probe, target: &[u8]) -> Result<Fact<bool>, Failure> {
        let status = match probe {
            // The server's own guard against a condition that asks about itself.
            Probe::Uri if self.r.main.as_ref().is_some_and(|main| main.uri == self.r.uri) => {
                return Ok(Fact::Known(false));
            }
            Probe::Uri => subrequest::sub_req_lookup_uri(target, self.r, self.cx).status().map(|status| status < 400),
            // Before a file is known the server has no directory to look in, and its process breaks down.
            Probe::File if self.r.filename.is_none() => {
                let words = "what the server does with -F before a file is known: its process breaks down";
                self.cx.inquiry.unanswerable(Question::at(Subject::Other(words.to_owned()), self.origin));
                return Err(Failure::Unknown);
            }
            Probe::File => {
                let sub = subrequest::sub_req_lookup_file(target, self.r, self.cx);
                let exists = sub.r.filename.clone().is_some_and(|name| stat(&name, Follow::Yes, self.cx).is_some());
                sub.status().map(|status| status < 300 && exists)
            }
        };
        Ok(match status {
            Some(answer) => Fact::Known(answer),
            None => {
                let target = String::from_utf8_lossy(target);
                let subject = Subject::Other(format!("what a sub-request for {target} is answered"));
                Fact::Unknown(Question::at(subject, self.origin))
            }
        })
    }

    fn client_in(&mut self, net: &Network) -> bool {
        matches!(self.r.client, Peer::Ip(ip) if net.contains(ip))
    }

    fn addresses(&mut self, name: &[u8]) -> Fact<Vec<IpAddr>> {
        let Ok(name) = std::str::from_utf8(name) else { return Fact::Known(Vec::new()) };
        match name.parse() {
            Ok(address) => Fact::Known(vec![address]),
            Err(_) if name.is_empty() => Fact::Known(Vec::new()),
            Err(_) => self.cx.world.resolver.addresses(name),
        }
    }

    fn decide(&mut self, question: Question, test: &str) -> bool {
        // Each test is a question of its own: two tests of one variable may turn out differently.
        let what = match &question.subject {
            Subject::Clock => format!("at the time of the request {test}"),
            Subject::Variable(name) => format!("with the value of {name} {test}"),
            _ => test.to_owned(),
        };
        let question = Question::at(Subject::Other(what), question.origin.or(self.origin));
        self.cx.inquiry.choose(question, &["it does not", "it does"]) == 1
    }
}

impl RequestScope<'_, '_> {
    fn remote_host(&self) -> Fact<Vec<u8>> {
        // `HostnameLookups Off` is the default, and then the address stands for the name.
        if !self.r.per_dir.core.hostname_lookups.unwrap_or(false) {
            return Fact::Known(address_text(self.r.client));
        }
        match self.r.client {
            Peer::Unix => Fact::Known(Vec::new()),
            Peer::Ip(address) => match self.cx.world.resolver.name(address) {
                Fact::Known(Some(name)) => Fact::Known(name.into_bytes()),
                Fact::Known(None) => Fact::Known(address_text(self.r.client)),
                Fact::Unknown(question) => Fact::Unknown(Question::at(question.subject, self.origin)),
            },
        }
    }

    /// A variable of mod_ssl. Of a plain connection only the versions of the library say anything.
    pub fn ssl(&self, name: &[u8]) -> Fact<Vec<u8>> {
        let tls = self.r.connection.tls;
        let name = String::from_utf8_lossy(name).to_ascii_uppercase();
        match name.as_str() {
            version if version.starts_with("SSL_VERSION_") => self.unknown(version),
            _ if !tls => Fact::Known(Vec::new()),
            "SSL_CLIENT_VERIFY" => match self.r.connection.client_cert {
                ClientCert::None => Fact::Known(b"NONE".to_vec()),
                ClientCert::Ok => Fact::Known(b"SUCCESS".to_vec()),
                ClientCert::Failed | ClientCert::Pem(_) => self.unknown("SSL_CLIENT_VERIFY"),
            },
            other => self.unknown(other),
        }
    }
}

/// An absolute path; the server's working directory is `/`.
pub(crate) fn to_path(path: &[u8]) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path))
}

/// stat(2) or lstat(2) as the worker; an empty name is nothing.
pub(crate) fn stat(path: &[u8], follow: Follow, cx: &Cx) -> Option<Stat> {
    if path.is_empty() { None } else { cx.disk.stat(&to_path(path), follow).ok() }
}

/// Whether a regular file holds at least one byte.
pub(crate) fn has_content(path: &[u8], stat: &Stat, cx: &Cx) -> bool {
    stat.size.map_or_else(
        || {
            let path = to_path(path);
            let (full, empty) =
                (format!("`{}` is not empty", path.display()), format!("`{}` is empty", path.display()));
            cx.assume(Subject::Time(path), None, &full, &empty)
        },
        |size| size > 0,
    )
}

/// Whether anybody may execute it.
pub(crate) fn is_executable(path: &[u8], stat: &Stat, cx: &Cx) -> bool {
    stat.mode.map_or_else(
        || {
            let path = to_path(path);
            let no = format!("nobody may execute `{}`", path.display());
            let yes = format!("somebody may execute `{}`", path.display());
            !cx.assume(Subject::Permission(path), None, &no, &yes)
        },
        |mode| mode & 0o111 != 0,
    )
}

/// A variable of the environment in which the server was started. Names that an init system or a shell sets are not known.
pub(crate) fn process_environment(name: &[u8], cx: &Cx) -> Fact<Option<Vec<u8>>> {
    const STARTED_WITH: [&[u8]; 16] = [
        b"PATH",
        b"HOME",
        b"LANG",
        b"LANGUAGE",
        b"PWD",
        b"OLDPWD",
        b"SHLVL",
        b"USER",
        b"LOGNAME",
        b"SHELL",
        b"TERM",
        b"TZ",
        b"HOSTNAME",
        b"INVOCATION_ID",
        b"JOURNAL_STREAM",
        b"SYSTEMD_EXEC_PID",
    ];
    if let Some(value) = cx.config.known.variables.environment(name) {
        return Fact::Known(Some(value.to_vec()));
    }
    if STARTED_WITH.contains(&name) || name.starts_with(b"LC_") {
        let name = String::from_utf8_lossy(name).into_owned();
        return Fact::Unknown(Question::new(Subject::Variable(format!("ENV:{name}"))));
    }
    Fact::Known(None)
}

/// An address as the server writes it.
pub(crate) fn address_text(peer: Peer) -> Vec<u8> {
    match peer {
        Peer::Ip(address) => address.to_canonical().to_string().into_bytes(),
        Peer::Unix => Vec::new(),
    }
}

/// Whether the client speaks IPv6, mapped IPv4 not counted.
pub(crate) fn is_ipv6(peer: Peer) -> bool {
    matches!(peer, Peer::Ip(address) if address.to_canonical().is_ipv6())
}

/// `ap_http_scheme`.
pub(crate) fn scheme(r: &RequestRec) -> Vec<u8> {
    match &r.server.scheme {
        _ if r.connection.tls => b"https".to_vec(),
        Some(scheme) => scheme.clone(),
        None => b"http".to_vec(),
    }
}

fn default_port(r: &RequestRec) -> u16 {
    if scheme(r) == b"https" { 443 } else { 80 }
}

/// `ap_get_server_name`, with brackets around an IPv6 address; `None` where the name would be the machine's.
pub(crate) fn server_name(r: &RequestRec) -> Option<Vec<u8>> {
    let canonical = r.per_dir.core.use_canonical_name.unwrap_or(false);
    let own = || r.server.name.as_ref().map(|name| name.value.clone());
    let name = if canonical { own() } else { r.hostname.clone().or_else(own) }?;
    Some(if name.contains(&b':') { [b"[", name.as_slice(), b"]"].concat() } else { name })
}

/// `ap_get_server_port`: with `UseCanonicalName Off` the port that the client named comes first. A sub-request
/// has a path for its target, which names none; an internal redirect takes it over. Case: port-of-a-sub-request.
pub(crate) fn server_port(r: &RequestRec) -> u16 {
    let canonical = r.per_dir.core.use_canonical_name.unwrap_or(false);
    let physical = r.per_dir.core.use_canonical_phys_port.unwrap_or(false).then(|| r.connection.local.port());
    let own = (r.server.port != 0).then_some(r.server.port);
    let port = r.parsed_uri.port.as_deref().and_then(|port| std::str::from_utf8(port).ok()?.parse::<u16>().ok());
    let named = port.filter(|port| *port != 0);
    let chosen = if canonical { own.or(physical) } else { named.or(physical).or(own) };
    chosen.unwrap_or_else(|| default_port(r))
}

/// `ap_construct_url`: an absolute URL of this server. Where its name is not known the Host stands in.
pub(crate) fn construct_url(path: &[u8], r: &RequestRec) -> Vec<u8> {
    let mut url = scheme(r);
    url.extend_from_slice(b"://");
    url.extend_from_slice(&server_name(r).unwrap_or_else(|| b"localhost".to_vec()));
    let port = server_port(r);
    if port != default_port(r) {
        url.extend_from_slice(format!(":{port}").as_bytes());
    }
    url.extend_from_slice(path);
    url
}

/// `ap_document_root`.
pub(crate) fn document_root(r: &RequestRec) -> Vec<u8> {
    let own = || r.server.core.document_root.as_ref().map(|root| root.value.clone());
    r.document_root.clone().or_else(own).unwrap_or_else(|| b"/usr/local/apache2/htdocs".to_vec())
}

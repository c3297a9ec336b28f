//! Expressions (`ap_expr`): `<If>`, `Require expr`, `SetEnvIfExpr`, `RewriteCond expr`, and the string form
//! `"%{VAR}text"` of `ErrorDocument`, `Require user`, `Redirect` in a `<Location>`…
//!
//! `lex.rs` and `parse.rs` follow `util_expr_scan.l` and `util_expr_parse.y`; `eval.rs` follows `util_expr_eval.c`.
//! Everything an expression can look at comes through [`Scope`], so that this module knows nothing of requests.

mod eval;
mod lex;
mod parse;

pub(crate) use eval::Backrefs;

use crate::fact::{Fact, Question};
use crate::ipset::Net;
use crate::pattern::Pattern;

/// Where an expression stands, as far as that decides which names exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// In an `.htaccess`: `file()` and `filesize()` are refused.
    pub restricted: bool,
    /// `SSLRequire`: `==`, `<`… compare by length first, then bytes.
    pub ssl_compat: bool,
    /// mod_ssl is loaded: `SSL_*` variables, `SSL()`, `PeerExtList()`.
    pub ssl: bool,
    /// mod_http2 is loaded: `H2_*` variables.
    pub http2: bool,
    /// mod_session is loaded: `session()`.
    pub session: bool,
}

/// An expression with a truth value.
#[derive(Debug)]
pub(crate) struct Expr {
    root: Node,
    ssl_compat: bool,
    source: Box<[u8]>,
}

/// An expression whose value is a string.
#[derive(Debug)]
pub(crate) struct StringExpr {
    root: Word,
    source: Box<[u8]>,
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server's evaluation fails with this message: false in `<If>`, 500 in `Require`.
    Error(String),
    /// Not known here; the question is recorded already and the run ends as unknown.
    Unknown,
}

/// Reads an expression; the error is the server's own message.
pub(crate) fn parse(text: &[u8], context: Context) -> Result<Expr, String> {
    Ok(Expr { root: parse::parse_bool(text, context)?, ssl_compat: context.ssl_compat, source: text.into() })
}

/// Reads a string expression; the error is the server's own message.
pub(crate) fn parse_string(text: &[u8], context: Context) -> Result<StringExpr, String> {
    Ok(StringExpr { root: parse::parse_string(text, context)?, source: text.into() })
}

impl Expr {
    /// The truth value. `backrefs` are `$0`–`$9` as an earlier match left them, and as this one leaves them.
    pub fn test(&self, scope: &mut dyn Scope, backrefs: &mut Backrefs) -> Result<bool, Failure> {
        eval::Evaluation::new(scope, backrefs, &self.source, self.ssl_compat).test(&self.root)
    }

    /// Whether `%{REMOTE_USER}` occurs: a false `Require expr` then asks for credentials.
    pub fn mentions_remote_user(&self) -> bool {
        self.root.words().iter().any(|word| word.mentions("REMOTE_USER"))
    }
}

impl StringExpr {
    /// The value; it may be a question where a variable in it is one.
    pub fn value(&self, scope: &mut dyn Scope, backrefs: &mut Backrefs) -> Result<Fact<Vec<u8>>, Failure> {
        match &self.root {
            Word::Literal(text) => Ok(Fact::Known(text.clone())),
            root => eval::Evaluation::new(scope, backrefs, &self.source, false).word(root),
        }
    }

    /// The text, where the expression has no variable part.
    pub fn constant(&self) -> Option<&[u8]> {
        match &self.root {
            Word::Literal(text) => Some(text),
            _ => None,
        }
    }
}

/// What an expression can look at.
pub(crate) trait Scope {
    /// A variable by its name in [`VARIABLES`], or `SSL_…`/`H2_…`.
    fn variable(&mut self, name: &str) -> Fact<Vec<u8>>;
    /// An entry of a table; a missing one is empty.
    fn lookup(&mut self, table: Table, key: &[u8]) -> Fact<Vec<u8>>;
    /// A file test; an unknown answer has been asked for when this returns.
    fn file_test(&mut self, test: FileTest, path: &[u8]) -> bool;
    /// The content of a file, for `file()`; the error is the server's message.
    fn read_file(&mut self, path: &[u8]) -> Fact<Result<Vec<u8>, String>>;
    /// The size of a regular file, 0 for anything else.
    fn file_size(&mut self, path: &[u8]) -> Fact<u64>;
    /// A sub-request by URI or file name that must not fail.
    fn probe(&mut self, probe: Probe, target: &[u8]) -> Fact<bool>;
    /// Whether the client's address lies in a net.
    fn client_in(&mut self, net: &IpTest) -> bool;
    /// The addresses of the left operand of `-ipmatch`, which may be a name; empty where there are none.
    fn addresses(&mut self, name: &[u8]) -> Fact<Vec<std::net::IpAddr>>;
    /// Decides a test whose operands are not known: asks, and says which way to go on.
    fn decide(&mut self, question: Question, test: &str) -> bool;
}

/// A table of names and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// `req`, `http`, `req_novary`.
    RequestHeader,
    /// `resp`.
    ResponseHeader,
    /// `note`.
    Note,
    /// `reqenv`: the request's variables.
    RequestEnvironment,
    /// `env`: notes, the request's variables, the server's environment.
    Environment,
    /// `osenv`: the server's environment.
    OsEnvironment,
    /// `SSL`.
    Ssl,
    /// `session`.
    Session,
}

/// `-d`, `-e`, `-f`, `-s`, `-L`, `-x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileTest {
    Directory,
    Exists,
    Regular,
    NonEmpty,
    Link,
    Executable,
}

/// `-U` and `-F`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Uri,
    File,
}

/// A constant net of `-R` and `-ipmatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IpTest {
    net: Net,
}

/// An expression with a truth value.
#[derive(Debug)]
enum Node {
    Constant(bool),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare { operator: lex::Compare, left: Word, right: Word },
    In { needle: Word, words: Vec<Word> },
    InPeerExtensions { needle: Word, argument: Word },
    Regex { subject: Word, pattern: Pattern, negated: bool },
    Unary { test: Unary, operand: Word },
    IpMatch { address: Word, net: IpTest },
    Match { kind: StringMatch, text: Word, pattern: Word },
}

#[derive(Debug)]
enum Unary {
    Empty,
    NonEmpty,
    Truth,
    ClientIn(IpTest),
    File(FileTest),
    Probe(Probe),
}

#[derive(Clone, Copy, Debug)]
enum StringMatch {
    Text,
    CaselessText,
    Path,
}

/// An expression with a string value.
#[derive(Debug)]
enum Word {
    Literal(Vec<u8>),
    Variable(String),
    Backref(usize),
    Call { function: Function, argument: Box<Word> },
    Concat(Pieces),
}

type Pieces = Vec<Word>;

#[derive(Clone, Copy, Debug)]
enum Function {
    Lookup(Table),
    ToLower,
    ToUpper,
    Escape,
    Unescape,
    Base64,
    Unbase64,
    Sha1,
    Md5,
    Ldap,
    File,
    FileSize,
}

/// The variables of the core, spelled as the server spells them.
pub(crate) const VARIABLES: [&str; 52] = [
    "TIME_YEAR",
    "TIME_MON",
    "TIME_DAY",
    "TIME_HOUR",
    "TIME_MIN",
    "TIME_SEC",
    "TIME_WDAY",
    "TIME",
    "SERVER_SOFTWARE",
    "API_VERSION",
    "HTTP_USER_AGENT",
    "HTTP_PROXY_CONNECTION",
    "HTTP_REFERER",
    "HTTP_COOKIE",
    "HTTP_FORWARDED",
    "HTTP_HOST",
    "HTTP_ACCEPT",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "REQUEST_FILENAME",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_USER",
    "SERVER_ADMIN",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SCRIPT_FILENAME",
    "PATH_INFO",
    "QUERY_STRING",
    "IS_SUBREQ",
    "DOCUMENT_ROOT",
    "AUTH_TYPE",
    "THE_REQUEST",
    "CONTENT_TYPE",
    "HANDLER",
    "REQUEST_LOG_ID",
    "SCRIPT_USER",
    "SCRIPT_GROUP",
    "DOCUMENT_URI",
    "LAST_MODIFIED",
    "CONTEXT_PREFIX",
    "CONTEXT_DOCUMENT_ROOT",
    "REQUEST_STATUS",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "HTTPS",
    "IPV6",
    "CONN_LOG_ID",
    "CONN_REMOTE_ADDR",
    "HTTP2",
];

/// The canonical name of a variable, where a loaded module has one of this name (in any case).
fn variable_name(name: &[u8], context: Context) -> Option<String> {
    let upper = String::from_utf8_lossy(name).to_ascii_uppercase();
    let known = VARIABLES.contains(&upper.as_str())
        || context.ssl && upper.starts_with("SSL_")
        || context.http2
            && ["H2PUSH", "H2_PUSH", "H2_PUSHED", "H2_PUSHED_ON", "H2_STREAM_ID", "H2_STREAM_TAG"]
                .contains(&upper.as_str());
    known.then_some(upper)
}

impl Node {
    /// Every word at the top of this node and of the nodes in it.
    fn words(&self) -> Vec<&Word> {
        match self {
            Node::Constant(_) => Vec::new(),
            Node::Not(inner) => inner.words(),
            Node::And(parts) | Node::Or(parts) => parts.iter().flat_map(Node::words).collect(),
            Node::Compare { left, right, .. } => vec![left, right],
            Node::In { needle, words } => std::iter::once(needle).chain(words).collect(),
            Node::InPeerExtensions { needle, argument } => vec![needle, argument],
            Node::Regex { subject, .. } => vec![subject],
            Node::Unary { operand, .. } => vec![operand],
            Node::IpMatch { address, .. } => vec![address],
            Node::Match { text, pattern, .. } => vec![text, pattern],
        }
    }
}

impl Word {
    fn mentions(&self, variable: &str) -> bool {
        match self {
            Word::Variable(name) => name == variable,
            Word::Call { argument, .. } => argument.mentions(variable),
            Word::Concat(pieces) => pieces.iter().any(|piece| piece.mentions(variable)),
            Word::Literal(_) | Word::Backref(_) => false,
        }
    }
}

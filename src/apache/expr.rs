//! Expressions (`ap_expr`): `<If>`, `Require expr`, `SetEnvIfExpr`, `RewriteCond expr`, and the string form
//! `"%{VAR}text"` of `ErrorDocument`, `Require user`, `Redirect` in a `<Location>`…
//!
//! `lex.rs` and `parse.rs` follow `util_expr_scan.l` and `util_expr_parse.y`; `eval.rs` follows `util_expr_eval.c`.
//! Everything an expression can look at comes through [`Scope`], so that this module knows nothing of requests.

mod eval;
mod lex;
mod parse;

pub(crate) use eval::Backrefs;

use crate::apache::access::address::Network;
use crate::fact::{Fact, Question};
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
    ///
    /// # Errors
    /// The server breaks down over it.
    fn probe(&mut self, probe: Probe, target: &[u8]) -> Result<Fact<bool>, Failure>;
    /// Whether the client's address lies in a net.
    fn client_in(&mut self, net: &Network) -> bool;
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
    IpMatch { address: Word, net: Network },
    Match { kind: StringMatch, text: Word, pattern: Word },
}

#[derive(Debug)]
enum Unary {
    Empty,
    NonEmpty,
    Truth,
    ClientIn(Network),
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::fact::Subject;

    /// `GET /a.txt?q=1` with `X-A: v` from 127.0.0.1; the clock is not known, and undecided tests are true.
    #[derive(Default)]
    struct Known {
        decided: Vec<String>,
    }

    impl Scope for Known {
        fn variable(&mut self, name: &str) -> Fact<Vec<u8>> {
            Fact::Known(match name {
                "REQUEST_URI" => b"/a.txt".to_vec(),
                "QUERY_STRING" => b"q=1".to_vec(),
                "TIME_HOUR" => return Fact::Unknown(Question::new(Subject::Clock)),
                _ => Vec::new(),
            })
        }

        fn lookup(&mut self, _: Table, key: &[u8]) -> Fact<Vec<u8>> {
            Fact::Known(if key == b"X-A" { b"v".to_vec() } else { Vec::new() })
        }

        fn file_test(&mut self, _: FileTest, path: &[u8]) -> bool {
            path == b"/etc/passwd"
        }

        fn read_file(&mut self, path: &[u8]) -> Fact<Result<Vec<u8>, String>> {
            Fact::Known(Err(format!("Cannot open file {}", String::from_utf8_lossy(path))))
        }

        fn file_size(&mut self, _: &[u8]) -> Fact<u64> {
            Fact::Known(0)
        }

        fn probe(&mut self, _: Probe, _: &[u8]) -> Result<Fact<bool>, Failure> {
            Ok(Fact::Known(true))
        }

        fn client_in(&mut self, net: &Network) -> bool {
            net.contains(IpAddr::from([127, 0, 0, 1]))
        }

        fn addresses(&mut self, name: &[u8]) -> Fact<Vec<IpAddr>> {
            Fact::Known(std::str::from_utf8(name).ok().and_then(|name| name.parse().ok()).into_iter().collect())
        }

        fn decide(&mut self, _: Question, test: &str) -> bool {
            self.decided.push(test.to_owned());
            true
        }
    }

    fn holds(text: &str) -> bool {
        let expr = parse(text.as_bytes(), Context::default()).expect(text);
        expr.test(&mut Known::default(), &mut Backrefs::default()).expect(text)
    }

    #[test]
    fn the_server_says_true() {
        for text in [
            r"'abc' =~ /(b)/ && $1 == 'b'",
            "not 'a' == 'b'",
            "! ! true",
            "'a' -eq 0",
            "%{tolower:a\\'b} == \"a'b\"",
            "req('X-A') == 'v'",
            "-5 -lt 3",
            "'a' . 'b' == 'ab'",
            "'a' in {'a','b'}",
            "-R '127.0.0.1/8'",
            "'a' =~ m/A/i",
            "'a' =~ m.a.",
            "'/a/b' -fnmatch '/a/*'",
            r"'\101' == 'A'",
            r"'\0' == ''",
            "unescape('%2f') == '%2f'",
            "unescape('%41%zz') == ''",
            "md5('a') == '0cc175b9c0f1b6a831c399e269772661'",
            "base64('a') == 'YQ=='",
            "unbase64('YQ==') == 'a'",
            "'1.2.3.4' -ipmatch '1.2.0.0/16'",
            "-T 'x'",
            "'a' < 'b'",
            "((((((((((((((((((((('a' == 'a')))))))))))))))))))))",
        ] {
            assert!(holds(text), "{text}");
        }
    }

    #[test]
    fn the_server_says_false() {
        for text in [
            "'x' =~ /foo/ or true and false",
            "'a' == 'a\\\\'",
            "'x' -strmatch 'y*'",
            "'/a/b' -fnmatch '/*'",
            "not not not 'a' == 'a'",
            "'foo' -ipmatch '1.2.0.0/16'",
            "-T 'off'",
            "'a' lt 'b'",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn the_server_refuses() {
        for (text, message) in [
            ("%{tolower:a'b} == 'x'", "flex scanner jammed"),
            ("a == 'a'", "syntax error, unexpected T_OP_STR_EQ"),
            ("%{SSL_PROTOCOL} == ''", "Variable 'SSL_PROTOCOL' does not exist"),
            ("req('X-A')", "syntax error, unexpected $end"),
            ("-R 'foo'", "parsing of subnet/netmask failed"),
            ("'\\400' == ''", "Escape sequence out of bound"),
            ("'\\8' == ''", "Bad escape sequence"),
            ("-e '/etc/passwd' -a true", "syntax error, unexpected T_OP_UNARY"),
            ("tru", "syntax error, unexpected $end"),
            ("", "syntax error, unexpected $end"),
            ("'a' == 'b' == 'c'", "syntax error, unexpected T_OP_STR_EQ"),
        ] {
            assert_eq!(parse(text.as_bytes(), Context::default()).err().as_deref(), Some(message), "{text}");
        }
        let restricted = Context { restricted: true, ..Context::default() };
        assert!(parse(b"file('/a') == ''", restricted).is_err());
        assert!(parse(b"-f '/a'", restricted).is_ok());
    }

    #[test]
    fn a_test_of_something_unknown_is_decided_once_and_a_text_with_it_is_unknown() {
        let mut scope = Known::default();
        let expr = parse(b"true || %{TIME_HOUR} -gt 5", Context::default()).expect("valid");
        assert_eq!(expr.test(&mut scope, &mut Backrefs::default()), Ok(true));
        assert!(scope.decided.is_empty(), "the left side has settled it");
        let expr = parse(b"%{TIME_HOUR} -gt 5", Context::default()).expect("valid");
        assert_eq!(expr.test(&mut scope, &mut Backrefs::default()), Ok(true));
        assert_eq!(scope.decided, ["`%{TIME_HOUR} -gt 5` holds"]);
        let text = parse_string(b"at %{TIME_HOUR}", Context::default()).expect("valid");
        let value = text.value(&mut scope, &mut Backrefs::default());
        assert_eq!(value, Ok(Fact::Unknown(Question::new(Subject::Clock))));
    }

    #[test]
    fn failures_are_the_evaluations_own() {
        let expr = parse(b"file('/nope') == ''", Context::default()).expect("valid");
        let value = expr.test(&mut Known::default(), &mut Backrefs::default());
        assert_eq!(value, Err(Failure::Error("Cannot open file /nope".into())));
        let deep = format!("{}'a'{} == 'a'", "tolower(".repeat(30), ")".repeat(30));
        let expr = parse(deep.as_bytes(), Context::default()).expect("valid");
        let value = expr.test(&mut Known::default(), &mut Backrefs::default());
        assert_eq!(value, Err(Failure::Error("Recursion limit reached".into())));
    }

    #[test]
    fn strings_keep_their_quotes_and_fill_in_variables() {
        let text = parse_string(b"%{REQUEST_URI}?%{QUERY_STRING}\"", Context::default()).expect("valid");
        let value = text.value(&mut Known::default(), &mut Backrefs::default());
        assert_eq!(value, Ok(Fact::Known(b"/a.txt?q=1\"".to_vec())));
        assert_eq!(parse_string(b"plain", Context::default()).expect("valid").constant(), Some(&b"plain"[..]));
    }
}

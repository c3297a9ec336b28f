//! What the nginx evaluator can say.

use std::path::PathBuf;

use crate::fs::Errno;
use crate::request::Peer;

/// Why a location that was looked at did not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The regular expression does not match the path.
    NoMatch,
    /// The longest prefix, but a regular expression matched.
    ToRegex,
}

/// How the server was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerBy {
    /// It is the only one on this address.
    Only,
    /// One of its names fits.
    Name,
    /// Its regular expression matches.
    Regex,
    /// No name fits: the default server of the address.
    Default,
    /// The name of the TLS handshake fits.
    Sni,
}

/// A fact of the nginx evaluator. Byte strings are as in the configuration or the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something worth saying that has no type of its own yet, as a finished clause.
    Note(String),
    /// The server of the request, and how it was found.
    Server {
        /// The name looked up.
        host: Vec<u8>,
        /// What made it the one.
        by: ServerBy,
    },
    /// The location that wins for this path.
    Location {
        /// The path.
        uri: Vec<u8>,
    },
    /// No location fits: the settings of the server hold.
    NoLocation {
        /// The path.
        uri: Vec<u8>,
    },
    /// A location that was looked at and lost.
    LocationLost(Lost),
    /// `^~`: regular expressions are not tried.
    RegexesSkipped,
    /// `limit_except` takes over for this method.
    LimitExcept {
        /// The method.
        method: Vec<u8>,
    },
    /// The location is `internal` and the request is not.
    Internal,
    /// The announced body is longer than the limit.
    Body {
        /// Content-Length.
        length: u64,
        /// `client_max_body_size`.
        limit: u64,
    },
    /// The client's address was taken from a header.
    RealIp {
        /// The address used from here on.
        client: Peer,
    },
    /// A `return` ends the request.
    Return {
        /// The status as written.
        status: u16,
        /// Whether it stands inside an `if`.
        inside_if: bool,
    },
    /// An `if` holds.
    If {
        /// Whether it does.
        holds: bool,
    },
    /// The URI is changed or the client redirected.
    Rewrite {
        /// The new path.
        uri: Vec<u8>,
    },
    /// Begins again with another URI.
    InternalRedirect {
        /// The path.
        uri: Vec<u8>,
    },
    /// Goes on in a named location.
    NamedLocation {
        /// `@name`.
        name: Vec<u8>,
    },
    /// An `allow` or `deny` that does not cover the client.
    AccessPassed,
    /// The first `allow` or `deny` that covers the client.
    AccessRule {
        /// Which of the two.
        deny: bool,
        /// The client.
        client: Peer,
    },
    /// No rule covers the client.
    AccessNoRule {
        /// The client.
        client: Peer,
    },
    /// What basic authentication says.
    AuthBasic {
        /// The user, where one is named.
        user: Option<Vec<u8>>,
        /// The verdict.
        verdict: AuthBasic,
        /// The password file.
        file: Option<PathBuf>,
    },
    /// What the authorization subrequest answers.
    AuthRequest {
        /// Its URI.
        uri: Vec<u8>,
        /// Its status.
        status: u16,
    },
    /// `satisfy any`: this is what remains when every handler has spoken.
    SatisfyAny {
        /// 401, 403, or none: the request goes on.
        status: Option<u16>,
    },
    /// A path that `try_files` tested.
    TryFile {
        /// The path.
        path: PathBuf,
        /// Whether it is what was asked for.
        found: bool,
        /// The error, where there is one.
        errno: Option<Errno>,
    },
    /// An index file that was looked for.
    Index {
        /// The path.
        path: PathBuf,
        /// `None`: it is there.
        errno: Option<Errno>,
    },
    /// A file or directory was opened.
    Open {
        /// The path.
        path: PathBuf,
        /// `None`: it opened.
        errno: Option<Errno>,
    },
    /// The handler that takes the request.
    Handler,
    /// An `error_page` takes over.
    ErrorPage {
        /// The status it catches.
        status: u16,
        /// The page.
        page: Vec<u8>,
    },
    /// An error page applies no more: one was used already.
    ErrorPageUsed {
        /// The status that would have been caught.
        status: u16,
    },
    /// A limit that might be exceeded.
    Limit {
        /// The zone.
        zone: Vec<u8>,
    },
    /// A directive that is not simulated.
    Opaque {
        /// Its name.
        name: Vec<u8>,
    },
}

/// The verdict of basic authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthBasic {
    /// No usable credentials.
    NoCredentials,
    /// The file does not name the user.
    UnknownUser,
    /// The password does not fit.
    Mismatch,
    /// It fits.
    Match,
    /// The password file cannot be opened.
    File(Errno),
}

//! What the Apache evaluator can say.

use std::path::PathBuf;

use crate::source::Origin;

/// A fact of the Apache evaluator. Byte strings are as in the configuration or the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something worth saying that has no type of its own yet, as a finished clause.
    Note(String),
    /// The configuration or an `.htaccess` was refused with this message.
    Problem {
        /// The server's message.
        message: String,
    },
    /// A rewrite rule's pattern matched.
    RewriteRule {
        /// What it was matched against.
        subject: Vec<u8>,
    },
    /// A rewrite condition was evaluated.
    RewriteCond {
        /// Whether it held.
        held: bool,
    },
    /// mod_remoteip made this the client.
    Client {
        /// Its address.
        address: std::net::IpAddr,
    },
    /// A variable of the environment was set.
    VariableSet {
        /// Its name.
        name: Vec<u8>,
    },
    /// A section matched and was merged.
    SectionMatched {
        /// `Directory`, `DirectoryMatch`, `Location`, `Files`.
        kind: &'static str,
    },
    /// An `<If>` or `<ElseIf>` was evaluated.
    Condition {
        /// Whether it held.
        held: bool,
    },
    /// An `.htaccess` was read and merged.
    HtaccessRead {
        /// The file.
        path: PathBuf,
    },
    /// An `.htaccess` lies here, and nothing may stand in it, so it is not looked at.
    HtaccessIgnored {
        /// The file.
        path: PathBuf,
    },
    /// The path was mapped to a file.
    Mapped {
        /// The file.
        file: Vec<u8>,
    },
    /// `Order`, `Allow` and `Deny` were consulted.
    AccessCompat {
        /// `Deny,Allow`, `Allow,Deny`, `Mutual-failure`.
        order: &'static str,
        /// The first Allow line that matched, where that was looked at.
        allow: Option<Origin>,
        /// The first Deny line that matched, where that was looked at.
        deny: Option<Origin>,
        /// Whether they refuse.
        refused: bool,
    },
    /// A `Require` line was evaluated.
    Require {
        /// Whether what it names holds.
        granted: bool,
        /// `Require not`.
        negated: bool,
    },
    /// The groups of a user, by the group file.
    GroupsOf {
        /// The user.
        user: Vec<u8>,
        /// The groups.
        groups: Vec<Vec<u8>>,
    },
    /// A password was compared.
    Password {
        /// The user.
        user: Vec<u8>,
        /// Whether it is right.
        matches: bool,
    },
    /// The merged configuration is the very object that was authorized before, so nothing is asked again.
    AuthorizationSkipped,
    /// Under `Satisfy Any` the address was enough.
    SatisfiedAny,
    /// A name of DirectoryIndex, or FallbackResource, was tried.
    Index {
        /// The name.
        name: Vec<u8>,
        /// The status of the sub-request.
        status: u16,
        /// Whether a file is there that can be served.
        usable: bool,
    },
    /// A sub-request was made.
    SubRequest {
        /// Its path.
        uri: Vec<u8>,
    },
    /// A sub-request ended.
    SubRequestEnd {
        /// Its status.
        status: u16,
    },
    /// An internal redirect was made.
    InternalRedirect {
        /// The new path.
        uri: Vec<u8>,
    },
    /// An ErrorDocument takes over.
    ErrorDocument {
        /// The status it is for.
        status: u16,
        /// What it names.
        target: Vec<u8>,
    },
    /// The handler that will answer.
    Handler {
        /// Its name.
        name: Vec<u8>,
    },
}

//! What the parser and the configuration check have to say: problems with a place.
//!
//! Parsing never fails; it gives a tree and a list of these. A configuration that the server would refuse is an answer.

use crate::source::{FileId, Origin};

/// Whether the server would start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The server refuses the configuration (nginx `[emerg]`, Apache's failed configuration test).
    Refused,
    /// The server warns and goes on.
    Warning,
}

/// The kind of problem, which is also the rule id of `why403 lint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The text cannot be read as the grammar says.
    Syntax,
    /// No module has a directive of this name.
    UnknownDirective,
    /// The directive exists, but not here.
    Context,
    /// Wrong number of arguments.
    Arity,
    /// A value, combination or reference that the server refuses.
    Value,
    /// A name that nothing read here defines: a variable, a zone, an upstream, a log format, a macro. In a fragment another
    /// file may define it.
    Reference,
    /// A file that the server needs while it reads the configuration is missing or unreadable.
    MissingFile,
    /// The directive belongs to a module that is not loaded.
    MissingModule,
    /// A limit of this program, not of the server (depth, size, number of files).
    Limit,
}

impl ProblemKind {
    /// The stable name: `syntax-error`, `unknown-directive`, `directive-wrong-context`, `invalid-argument`, …
    pub fn id(self) -> &'static str {
        match self {
            ProblemKind::Syntax => "syntax-error",
            ProblemKind::UnknownDirective | ProblemKind::MissingModule => "unknown-directive",
            ProblemKind::Context => "directive-wrong-context",
            ProblemKind::Arity | ProblemKind::Value => "invalid-argument",
            ProblemKind::Reference => "undefined-reference",
            ProblemKind::MissingFile => "include-missing",
            ProblemKind::Limit => "config-not-understood",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Would the server start?
    pub severity: Severity,
    /// Which kind it is.
    pub kind: ProblemKind,
    /// The sense of the server's own message, without its file and line.
    pub message: String,
    /// The text to point at.
    pub origin: Option<Origin>,
    /// The file and 1-based line that the server itself would name; it is often not the line of `origin`.
    /// `None` where the server names no place.
    pub reported: Option<(FileId, u32)>,
    /// A way out, where one is known: `did you mean …`, `… is allowed in http, server`.
    pub help: Option<String>,
}

/// The first problem for which the server would refuse, in the order in which the server meets them.
pub fn first_refusal(problems: &[Problem]) -> Option<&Problem> {
    problems.iter().find(|problem| problem.severity == Severity::Refused)
}

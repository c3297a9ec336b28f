//! What `why403 lint` reports: a finding with its place, its proof and its repair.

use std::path::PathBuf;

use crate::fix::Fix;
use crate::outcome::{Certainty, Outcome};

/// How much a finding matters. The order is that of `--level` and `--fail-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Review or house style.
    Info,
    /// Very probably unintended.
    Warning,
    /// The server refuses, answers 500, or an access decision is certainly not what the text says.
    Error,
}

impl Level {
    /// `info`, `warning`, `error`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Who gets in.
    Access,
    /// What leaks or can be abused.
    Security,
    /// What the server does not do as written.
    Correctness,
    /// What is slow.
    Performance,
    /// What is hard to read.
    Style,
}

impl Category {
    /// `access`, `security`, `correctness`, `performance`, `style`.
    pub fn name(self) -> &'static str {
        match self {
            Category::Access => "access",
            Category::Security => "security",
            Category::Correctness => "correctness",
            Category::Performance => "performance",
            Category::Style => "style",
        }
    }
}

/// A stretch of text as people count: lines from 1, columns in bytes from 1, the end exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file as opened.
    pub file: PathBuf,
    /// First line.
    pub line: u32,
    /// Column of the first byte.
    pub column: u32,
    /// Last line.
    pub end_line: u32,
    /// Column after the last byte.
    pub end_column: u32,
}

/// Another place that belongs to a finding, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelatedPlace {
    /// `is decided here instead`.
    pub message: String,
    /// Where.
    pub place: Place,
}

/// The request that proves a finding about access; it was replayed through the evaluator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Method.
    pub method: String,
    /// URL, or a path for the first server.
    pub url: String,
    /// Client address.
    pub from: String,
    /// Address of the server that it connects to.
    pub to: String,
    /// Header lines beside Host.
    pub headers: Vec<(String, String)>,
    /// What it gets.
    pub gets: Outcome,
    /// What the author probably expected, in words (`403`, `401`, `a refusal`).
    pub expected: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id, bare (`access-rule-shadowed`).
    pub rule: &'static str,
    /// Its level after configuration.
    pub level: Level,
    /// What it is about.
    pub category: Category,
    /// Whether it depends on something undecided.
    pub certainty: Certainty,
    /// What happens, to whom, and why. One line, lower case, no final stop.
    pub message: String,
    /// Where the deciding text stands.
    pub place: Place,
    /// The line of that text, trimmed; part of the fingerprint.
    pub text: String,
    /// The place it defeats, and others.
    pub related: Vec<RelatedPlace>,
    /// The proof.
    pub witness: Option<Witness>,
    /// The repair, tried before it is offered.
    pub fix: Option<Fix>,
    /// Advice where no edit is offered.
    pub help: Option<String>,
    /// In how many places the same cause shows.
    pub count: u32,
}

impl Finding {
    /// An identity that survives edits elsewhere in the file: rule, file name as shown, text of the line, and which of
    /// several equal ones it is (from 0). 16 hexadecimal digits.
    pub fn fingerprint(&self, shown_file: &str, nth: usize) -> String {
        use sha1::{Digest, Sha1};
        let mut hash = Sha1::new();
        for part in [self.rule, shown_file, &self.text, &nth.to_string()] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digest = hash.finalize();
        let number = digest.iter().take(8).fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
        format!("{number:016x}")
    }
}

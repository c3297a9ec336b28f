//! A fix: edits of the text and commands for the file system, and applying edits to bytes.

use std::path::PathBuf;

use crate::outcome::Outcome;

/// Whether a fix may be applied without a second look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Safety {
    /// Changes the answer to this request, or to requests that the same rule refused in the same way, and nothing else.
    Safe,
    /// Opens more than was asked for; a person must look.
    Review,
}

/// Replaces whole lines of one file. All edits of a fix count lines of the file as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edit {
    /// The file, as opened.
    pub file: PathBuf,
    /// First line replaced, from 1.
    pub line: u32,
    /// Last line replaced; `line - 1` inserts before `line`.
    pub end_line: u32,
    /// New text without a final newline; empty deletes.
    pub replacement: String,
}

/// A change to the file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// `chmod MODE path`, with the new mode bits that an overlay gets (07777) and the words shown (`o+x`).
    Chmod {
        /// The path.
        path: PathBuf,
        /// The symbolic mode as shown.
        symbolic: String,
        /// The resulting permission bits.
        mode: u32,
    },
    /// `chown USER path` or, for a link itself, `chown -h USER path`.
    Chown {
        /// The path.
        path: PathBuf,
        /// User name or number as shown.
        user: String,
        /// The resulting uid.
        uid: u32,
        /// Do not follow a link.
        no_follow: bool,
    },
    /// `touch path`: an empty file.
    Touch(PathBuf),
    /// `mkdir -p path`.
    Mkdir(PathBuf),
    /// `ln -sfn target path`.
    Link {
        /// Where the link points.
        target: PathBuf,
        /// The link.
        path: PathBuf,
    },
}

/// A proposed repair. It is shown only after it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in one line.
    pub title: String,
    /// Edits of configuration files.
    pub edits: Vec<Edit>,
    /// Commands, printed and never run.
    pub commands: Vec<Command>,
    /// May it be applied without a second look?
    pub safety: Safety,
    /// What the request is answered after it; `None` until it was tried.
    pub then: Option<Outcome>,
}

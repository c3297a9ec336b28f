//! A fix: edits of the text and commands for the file system, and applying edits to bytes.

use std::fmt;
use std::path::{Path, PathBuf};

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

/// The command as POSIX sh words.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Command::Chmod { path, symbolic, .. } => write!(f, "chmod {symbolic} {}", quoted(path)),
            Command::Chown { path, user, no_follow, .. } => {
                let option = if *no_follow { "-h " } else { "" };
                write!(f, "chown {option}{user} {}", quoted(path))
            }
            Command::Touch(path) => write!(f, "touch {}", quoted(path)),
            Command::Mkdir(path) => write!(f, "mkdir -p {}", quoted(path)),
            Command::Link { target, path } => write!(f, "ln -sfn {} {}", quoted(target), quoted(path)),
        }
    }
}

/// A path as one sh word: in single quotes, a single quote as `'\\''`.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_quotes_its_path() {
        let command = Command::Touch(PathBuf::from("/srv/it's here"));
        assert_eq!(command.to_string(), r"touch '/srv/it'\''s here'");
        let command = Command::Chmod { path: PathBuf::from("/srv"), symbolic: "o+x".into(), mode: 0o711 };
        assert_eq!(command.to_string(), "chmod o+x '/srv'");
    }
}

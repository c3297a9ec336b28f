//! Which files an `Include` names, in the server's order (`ap_dir_fnmatch`, `ap_dir_nofnmatch`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::apache::fnmatch::{Flags, fnmatch, is_fnmatch};
use crate::fact::{Fact, Question};
use crate::fs::{self, Errno, FileKind, Filesystem};

/// Directories inside each other (`AP_MAX_FNMATCH_DIR_DEPTH`).
const MAX_DEPTH: u32 = 128;
/// Files that one `Include` may name; a limit of this program.
const MAX_FILES: usize = 100_000;

/// An absolute path without `.`, `..` and double slashes; a `..` above the root is dropped.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    clean
}

/// The system's words for an error.
pub(super) fn describe(errno: Errno) -> String {
    let text = std::io::Error::from_raw_os_error(errno.number()).to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The files of one `Include`.
pub(super) struct Search<'a> {
    fs: &'a dyn Filesystem,
    optional: bool,
    depth: u32,
    /// In the order in which they are read, up to the first error.
    pub found: Vec<PathBuf>,
    /// Directories and files that nobody knows.
    pub questions: Vec<Question>,
}

impl<'a> Search<'a> {
    pub fn new(fs: &'a dyn Filesystem, optional: bool) -> Self {
        Search { fs, optional, depth: 0, found: Vec::new(), questions: Vec::new() }
    }

    /// Fills [`Search::found`]. An error is the server's message; what was found before it is read first.
    pub fn expand(&mut self, path: &Path) -> Result<(), String> {
        if !is_fnmatch(path.as_os_str().as_bytes()) {
            return self.whole(path);
        }
        let parts: Vec<&[u8]> =
            path.as_os_str().as_bytes().split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
        self.components(Path::new("/"), &parts)
    }

    /// A path without wildcards: a directory stands for everything below it, dot files too.
    fn whole(&mut self, path: &Path) -> Result<(), String> {
        match fs::stat(self.fs, path) {
            Fact::Known(Ok(stat)) if stat.kind == FileKind::Directory => self.directory(path),
            Fact::Known(Err(_)) if self.optional => Ok(()),
            Fact::Unknown(question) if self.optional => {
                self.questions.push(question);
                Ok(())
            }
            _ if self.found.len() >= MAX_FILES => Err(format!("more than {MAX_FILES} files in {}", path.display())),
            _ => {
                self.found.push(path.to_path_buf());
                Ok(())
            }
        }
    }

    fn directory(&mut self, path: &Path) -> Result<(), String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!(
                "directory '{}' exceeds the maximum include directory nesting level of {MAX_DEPTH}",
                path.display()
            ));
        }
        self.depth += 1;
        for name in self.list(path)? {
            self.whole(&path.join(OsStr::from_bytes(&name)))?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The rest of a path with wildcards, component by component.
    fn components(&mut self, path: &Path, parts: &[&[u8]]) -> Result<(), String> {
        let Some((&part, rest)) = parts.split_first() else { return self.whole(path) };
        if !is_fnmatch(part) {
            return self.components(&path.join(OsStr::from_bytes(part)), rest);
        }
        let flags = Flags { period: true, ..Flags::default() };
        let mut matched = false;
        for name in self.list(path)? {
            let full = path.join(OsStr::from_bytes(&name));
            if !fnmatch(part, &name, flags) || !rest.is_empty() && !self.is_directory(&full) {
                continue;
            }
            matched = true;
            self.components(&full, rest)?;
        }
        if matched || self.optional {
            return Ok(());
        }
        let part = String::from_utf8_lossy(part);
        Err(format!("no matches for the wildcard '{part}' in '{}', failing", path.display()))
    }

    /// A link to a directory is none: the server looks at the entry's own type.
    fn is_directory(&mut self, path: &Path) -> bool {
        match self.fs.lstat(path) {
            Fact::Known(stat) => stat.is_ok_and(|stat| stat.kind == FileKind::Directory),
            Fact::Unknown(question) => {
                self.questions.push(question);
                false
            }
        }
    }

    fn list(&mut self, path: &Path) -> Result<Vec<Vec<u8>>, String> {
        match self.fs.list(path) {
            Fact::Known(Ok(mut names)) => {
                names.sort();
                Ok(names)
            }
            Fact::Known(Err(Errno::Enoent)) if self.optional => Ok(Vec::new()),
            Fact::Known(Err(errno)) => Err(format!("could not open directory {}: {}", path.display(), describe(errno))),
            Fact::Unknown(question) => {
                self.questions.push(question);
                Ok(Vec::new())
            }
        }
    }
}

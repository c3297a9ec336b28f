//! Remembers what another file system said: for a batch of questions about one tree.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use super::{Bytes, Directories, Errno, Filesystem, Stat};
use crate::fact::Fact;

/// Asks each thing once. Changes made in the meantime are not seen.
#[derive(Debug, Default)]
pub struct CachedFs<F> {
    inner: F,
    stats: Memory<Stat>,
    links: Memory<PathBuf>,
    contents: Memory<Bytes>,
    lists: Memory<Vec<Vec<u8>>>,
    directories: Directories,
}

/// Most answers of one kind that are kept. A batch of questions without end about paths without end fits into memory, too:
/// past it the memory begins anew.
const MOST: usize = 250_000;

/// Answers by path.
#[derive(Debug)]
struct Memory<T>(RwLock<HashMap<OsString, Fact<Result<T, Errno>>>>);

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Memory(RwLock::default())
    }
}

impl<T: Clone> Memory<T> {
    fn recall(&self, path: &Path, ask: impl FnOnce() -> Fact<Result<T, Errno>>) -> Fact<Result<T, Errno>> {
        let path = path.as_os_str();
        // A thread that panicked while it held the lock left whole entries behind; they are as good as any.
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        known.unwrap_or_else(|| {
            let answer = ask();
            let mut answers = self.0.write().unwrap_or_else(PoisonError::into_inner);
            if answers.len() >= MOST {
                answers.clear();
            }
            answers.insert(path.to_owned(), answer.clone());
            answer
        })
    }
}

impl<F: Filesystem> CachedFs<F> {
    /// A memory over `inner`.
    pub fn new(inner: F) -> Self {
        CachedFs {
            inner,
            stats: Memory::default(),
            links: Memory::default(),
            contents: Memory::default(),
            lists: Memory::default(),
            directories: Directories::default(),
        }
    }
}

impl<F: Filesystem> Filesystem for CachedFs<F> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        self.stats.recall(path, || self.inner.lstat(path))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.links.recall(path, || self.inner.read_link(path))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        match self.contents.recall(path, || self.inner.read(path, limit)) {
            // Remembered from a reader with another limit.
            Fact::Known(Ok(bytes)) if bytes.len() as u64 > limit => Fact::Known(Err(Errno::EFBIG)),
            Fact::Known(Err(Errno::EFBIG)) => self.inner.read(path, limit),
            answer => answer,
        }
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.lists.recall(dir, || self.inner.list(dir))
    }

    fn known_directories(&self) -> Option<&Directories> {
        Some(&self.directories)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryFs;
    use super::*;

    #[test]
    fn a_limit_holds_for_remembered_bytes_too() {
        let fs = CachedFs::new(MemoryFs::new().file("/f", "12345"));
        let read = |limit| fs.read(Path::new("/f"), limit);
        assert_eq!(read(4), Fact::Known(Err(Errno::EFBIG)));
        assert_eq!(read(5), Fact::Known(Ok((*b"12345").into())));
        assert_eq!(read(4), Fact::Known(Err(Errno::EFBIG)));
    }

    #[test]
    fn changes_are_not_seen() {
        let top = tempfile::tempdir().expect("a directory");
        let fs = CachedFs::new(super::super::real::RealFs);
        assert_eq!(fs.list(top.path()), Fact::Known(Ok(vec![])));
        std::fs::write(top.path().join("new"), "").expect("written");
        assert_eq!(fs.list(top.path()), Fact::Known(Ok(vec![])));
    }
}

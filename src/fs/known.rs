//! The way to every directory that was walked to once, in a file system that does not change.
//!
//! A request looks at a handful of paths in the same few directories, and each look is a walk from the root. Here the
//! walk to a directory is made once for each identity. Only what needs no question is remembered.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::permits;
use super::walk::{Reached, Steps, enter, root};
use super::{Access, Denied, Errno, Filesystem, Identity, Stat};
use crate::fact::Fact;

/// Most directories that are remembered for one identity; past it the memory begins anew.
const MOST: usize = 100_000;

/// Where the walk to a directory ends: it and every directory on the way may be searched. Else why not.
type Entered = Result<Arc<Reached>, Denied>;

/// What is known of the directories of one file system.
#[derive(Debug, Default)]
pub struct Directories {
    /// By who looks: hardly ever more than one.
    by_identity: RwLock<Vec<(Identity, ByPath)>>,
}

type ByPath = HashMap<Box<[u8]>, Entered>;

impl Directories {
    /// Goes to a directory in order to look a name up in it. Its path is absolute, without a final slash (the root is
    /// empty), without `.` and `..`. `None`: something on the way is not known.
    pub(super) fn enter(&self, fs: &dyn Filesystem, who: &Identity, directory: &[u8]) -> Option<Entered> {
        let steps = Surely { fs, who };
        // The deepest directory on the way that is known; then on from there.
        let mut end = directory.len();
        let mut entered = loop {
            if let Some(entered) = self.recall(who, &directory[..end]) {
                break entered;
            }
            match memchr::memrchr(b'/', &directory[..end]) {
                Some(slash) => end = slash,
                None => break self.remember(who, b"", root(&steps))?,
            }
        };
        while end < directory.len() {
            let Ok(from) = &entered else { break };
            let from = Reached::clone(from);
            let start = end + 1;
            end = memchr::memchr(b'/', &directory[start..]).map_or(directory.len(), |length| start + length);
            entered = self.remember(who, &directory[..end], enter(&steps, from, &directory[start..end]))?;
        }
        Some(entered)
    }

    fn recall(&self, who: &Identity, directory: &[u8]) -> Option<Entered> {
        let known = self.by_identity.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(identity, _)| identity == who)?.1.get(directory).cloned()
    }

    fn remember(&self, who: &Identity, directory: &[u8], reached: Result<Reached, Unsure>) -> Option<Entered> {
        let entered = match reached {
            Ok(reached) => Ok(Arc::new(reached)),
            Err(Unsure(denied)) => Err(denied?),
        };
        let mut known = self.by_identity.write().unwrap_or_else(PoisonError::into_inner);
        let place = known.iter().position(|(identity, _)| identity == who).unwrap_or_else(|| {
            known.push((who.clone(), ByPath::new()));
            known.len() - 1
        });
        let directories = &mut known[place].1;
        if directories.len() >= MOST {
            directories.clear();
        }
        directories.insert(directory.into(), entered.clone());
        Some(entered)
    }
}

/// A walk that asks nothing: it gives up where something is not known.
struct Surely<'a> {
    fs: &'a dyn Filesystem,
    who: &'a Identity,
}

/// Why it ended; `None`: something is not known.
struct Unsure(Option<Denied>);

impl Surely<'_> {
    fn settle<T>(&self, fact: Fact<Result<T, Errno>>, path: &Path) -> Result<T, Unsure> {
        fact.known().ok_or(Unsure(None))?.map_err(|errno| self.stop(errno, path))
    }
}

impl Steps for Surely<'_> {
    type Stop = Unsure;

    fn entry(&self, path: &Path) -> Result<Stat, Unsure> {
        self.settle(self.fs.lstat(path), path)
    }

    fn target(&self, link: &Path) -> Result<Option<PathBuf>, Unsure> {
        self.settle(self.fs.read_link(link), link).map(Some)
    }

    fn search(&self, dir: &Path, stat: &Stat) -> Result<(), Unsure> {
        match permits(self.who, stat, Access::Search) {
            Some(true) => Ok(()),
            Some(false) => Err(self.stop(Errno::Eacces, dir)),
            None => Err(Unsure(None)),
        }
    }

    /// No way to a directory ends with a link: a name follows it.
    fn follow(&self, _: &Stat, _: &Path, _: &Stat) -> Result<(), Unsure> {
        Err(Unsure(None))
    }

    fn stop(&self, errno: Errno, path: &Path) -> Unsure {
        Unsure(Some(Denied { errno, path: path.to_path_buf() }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cached::CachedFs;
    use super::super::memory::MemoryFs;
    use super::super::{Disk, Follow};
    use super::*;
    use crate::fact::{Answers, Inquiry};

    #[test]
    fn what_is_known_changes_no_answer() {
        let chain =
            (0..45).fold(MemoryFs::new().dir("/l0/l0"), |fs, at| fs.link(format!("/l{}", at + 1), format!("l{at}")));
        let tree = chain
            .file("/srv/a/b/file", "")
            .file("/srv/closed/in/file", "")
            .mode("/srv/closed", 0o700)
            .link("/srv/way", "a/b")
            .link("/srv/gone", "nowhere")
            .link("/srv/loop", "loop");
        let who = Identity { uid: 33, gid: 33, groups: vec![33], name: "www-data".to_owned() };
        let answers = Answers::new();
        let inquiry = Inquiry::new(&answers);
        let plain = Disk { fs: &tree, identity: &who, inquiry: &inquiry };
        let cached = CachedFs::new(tree.clone());
        let knowing = Disk { fs: &cached, ..plain };
        let long = format!("/srv/{}", "n".repeat(256));
        let paths = [
            "/",
            "/srv",
            "/srv/",
            "/srv/a/b/file",
            "/srv/a/b/file/",
            "/srv/a/b/file/x",
            "/srv/a/no/x",
            "/srv/a/b/no",
            "/srv/closed",
            "/srv/closed/in",
            "/srv/closed/in/file",
            "/srv/way/file",
            "/srv/way/",
            "/srv/way",
            "/srv/gone/x",
            "/srv/loop/x",
            "/srv/a/../a/b",
            "/srv//a/./b/file",
            "srv/a",
            "/l20/l0",
            "/l45/l0",
            "/l30",
            "/l41",
            "/l41/x",
            &long,
            "/no/x/y/z",
            "",
        ];
        for _ in 0..2 {
            for path in paths.iter().chain(paths.iter().rev()).map(Path::new) {
                for follow in [Follow::Yes, Follow::No] {
                    assert_eq!(plain.stat(path, follow), knowing.stat(path, follow), "{}", path.display());
                }
                assert_eq!(plain.real_path(path), knowing.real_path(path), "{}", path.display());
            }
        }
        assert!(inquiry.is_empty());
    }
}

//! Proposed changes over another file system, to try a fix without touching anything.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Bytes, Directories, Errno, FileKind, Filesystem, Follow, Stat, resolve};
use crate::fact::Fact;

/// A file system with changes. Every change takes absolute paths and resolves links as the command of its name does,
/// done by root.
pub struct OverlayFs<'a> {
    under: &'a dyn Filesystem,
    /// By path without links.
    changes: BTreeMap<PathBuf, Change>,
}

/// What differs at one path.
#[derive(Clone, Debug, Default)]
struct Change {
    /// What is there now instead of what was there.
    now: Option<Now>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

#[derive(Clone, Debug)]
enum Now {
    Nothing,
    Directory,
    File(Vec<u8>),
    Link(PathBuf),
}

type Done = Fact<Result<(), Errno>>;

impl<'a> OverlayFs<'a> {
    /// No change yet.
    pub fn new(under: &'a dyn Filesystem) -> Self {
        OverlayFs { under, changes: BTreeMap::new() }
    }

    /// New content of a file. One that is there keeps mode and owner, a new one is 0644 and root's; its directory must be
    /// there.
    pub fn write(&mut self, path: &Path, bytes: &[u8]) -> Done {
        self.change(path, Follow::Yes, |change, old| match old.map(|stat| stat.kind) {
            Some(FileKind::Directory) => Err(Errno::Eisdir),
            Some(_) => {
                change.now = Some(Now::File(bytes.to_vec()));
                Ok(())
            }
            None => {
                *change = Change { now: Some(Now::File(bytes.to_vec())), ..Change::default() };
                Ok(())
            }
        })
    }

    /// `touch path`: an empty file where nothing is.
    pub fn touch(&mut self, path: &Path) -> Done {
        self.change(path, Follow::Yes, |change, old| {
            if old.is_none() {
                *change = Change { now: Some(Now::File(Vec::new())), ..Change::default() };
            }
            Ok(())
        })
    }

    /// `mkdir -p path`: directories of mode 0755, root's, where nothing is.
    pub fn mkdir(&mut self, path: &Path) -> Done {
        let mut ancestors: Vec<&Path> = path.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            let made = self.change(ancestor, Follow::Yes, |change, old| match old.map(|stat| stat.kind) {
                Some(FileKind::Directory) => Ok(()),
                Some(_) => Err(Errno::Eexist),
                None => {
                    *change = Change { now: Some(Now::Directory), ..Change::default() };
                    Ok(())
                }
            });
            if made != Fact::Known(Ok(())) {
                return made;
            }
        }
        Fact::Known(Ok(()))
    }

    /// `ln -sfn target path`: a link of root's in the place of a file or another link.
    pub fn link(&mut self, target: &Path, path: &Path) -> Done {
        self.change(path, Follow::No, |change, old| match old.map(|stat| stat.kind) {
            Some(FileKind::Directory) => Err(Errno::Eexist),
            _ => {
                *change = Change { now: Some(Now::Link(target.to_path_buf())), ..Change::default() };
                Ok(())
            }
        })
    }

    /// `chmod mode path`: permission bits (07777), links followed.
    pub fn chmod(&mut self, path: &Path, mode: u32) -> Done {
        self.change(path, Follow::Yes, |change, old| match old {
            Some(_) => {
                change.mode = Some(mode);
                Ok(())
            }
            None => Err(Errno::Enoent),
        })
    }

    /// `chown uid path`, or `chown -h` with [`Follow::No`]; `gid` changes the group as well.
    pub fn chown(&mut self, path: &Path, uid: Option<u32>, gid: Option<u32>, follow: Follow) -> Done {
        self.change(path, follow, |change, old| match old {
            Some(_) => {
                change.uid = uid.or(change.uid);
                change.gid = gid.or(change.gid);
                Ok(())
            }
            None => Err(Errno::Enoent),
        })
    }

    /// `rm -rf path`.
    pub fn remove(&mut self, path: &Path) -> Done {
        let removed = self.change(path, Follow::No, |change, _| {
            *change = Change { now: Some(Now::Nothing), ..Change::default() };
            Ok(())
        });
        if let Fact::Known(Ok((at, _))) = resolve(&LinkFree(self), path.parent().unwrap_or(path), Follow::Yes) {
            let top = at.join(path.file_name().unwrap_or_default());
            self.changes.retain(|changed, _| *changed == top || !changed.starts_with(&top));
        }
        removed
    }

    /// Changes the entry at `path`; `change` gets what is there now (`None`: nothing, in a directory that is there).
    fn change(
        &mut self,
        path: &Path,
        follow: Follow,
        change: impl FnOnce(&mut Change, Option<&Stat>) -> Result<(), Errno>,
    ) -> Done {
        let (at, old) = match resolve(&LinkFree(self), path, follow) {
            Fact::Known(Ok((at, stat))) => (at, Some(stat)),
            Fact::Known(Err(Errno::Enoent)) => {
                let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                    return Fact::Known(Err(Errno::Enoent));
                };
                match resolve(&LinkFree(self), parent, Follow::Yes) {
                    Fact::Known(Ok((at, stat))) if stat.kind == FileKind::Directory => (at.join(name), None),
                    Fact::Known(Ok(_)) => return Fact::Known(Err(Errno::Enotdir)),
                    Fact::Known(Err(errno)) => return Fact::Known(Err(errno)),
                    Fact::Unknown(question) => return Fact::Unknown(question),
                }
            }
            Fact::Known(Err(errno)) => return Fact::Known(Err(errno)),
            Fact::Unknown(question) => return Fact::Unknown(question),
        };
        let mut changed = self.changes.get(&at).cloned().unwrap_or_default();
        let done = change(&mut changed, old.as_ref());
        if done.is_ok() {
            self.changes.insert(at, changed);
        }
        Fact::Known(done)
    }

    /// Whether a directory above was taken away or replaced, so that what is underneath no longer shows.
    fn is_hidden(&self, path: &Path) -> bool {
        !self.changes.is_empty()
            && path.ancestors().skip(1).any(|above| self.changes.get(above).is_some_and(|change| change.now.is_some()))
    }

    fn now(&self, path: &Path) -> Option<&Now> {
        self.changes.get(path).and_then(|change| change.now.as_ref())
    }

    fn resolved<T>(
        &self,
        path: &Path,
        follow: Follow,
        read: impl FnOnce(&Path) -> Fact<Result<T, Errno>>,
    ) -> Fact<Result<T, Errno>> {
        if self.changes.is_empty() {
            return read(path);
        }
        match resolve(&LinkFree(self), path, follow) {
            Fact::Known(Ok((at, _))) => read(&at),
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }
}

/// The changed tree for paths that are known to be free of links.
struct LinkFree<'o, 'a>(&'o OverlayFs<'a>);

impl Filesystem for LinkFree<'_, '_> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        let change = self.0.changes.get(path);
        let new = |kind, mode, size| Stat {
            kind,
            mode: Some(mode),
            uid: Some(0),
            gid: Some(0),
            size: Some(size),
            mtime: None,
        };
        let stat = match change.and_then(|change| change.now.as_ref()) {
            Some(Now::Nothing) => return Fact::Known(Err(Errno::Enoent)),
            Some(Now::Directory) => Fact::Known(Ok(new(FileKind::Directory, 0o755, 0))),
            Some(Now::Link(_)) => Fact::Known(Ok(new(FileKind::Symlink, 0o777, 0))),
            Some(Now::File(bytes)) => {
                let kept =
                    if self.0.is_hidden(path) { None } else { self.0.under.lstat(path).known().and_then(Result::ok) };
                let stat = kept.filter(|stat| stat.kind == FileKind::Regular);
                let stat = stat.unwrap_or_else(|| new(FileKind::Regular, 0o644, 0));
                Fact::Known(Ok(Stat { size: Some(bytes.len() as u64), mtime: None, ..stat }))
            }
            None if self.0.is_hidden(path) => return Fact::Known(Err(Errno::Enoent)),
            None => self.0.under.lstat(path),
        };
        let Some(change) = change else { return stat };
        stat.map(|found| {
            found.map(|stat| Stat {
                mode: change.mode.or(stat.mode),
                uid: change.uid.or(stat.uid),
                gid: change.gid.or(stat.gid),
                ..stat
            })
        })
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        match self.0.now(path) {
            Some(Now::Link(target)) => Fact::Known(Ok(target.clone())),
            Some(Now::Nothing) => Fact::Known(Err(Errno::Enoent)),
            Some(_) => Fact::Known(Err(Errno::NOT_REGULAR)),
            None if self.0.is_hidden(path) => Fact::Known(Err(Errno::Enoent)),
            None => self.0.under.read_link(path),
        }
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        match self.0.now(path) {
            Some(Now::File(bytes)) if bytes.len() as u64 > limit => Fact::Known(Err(Errno::EFBIG)),
            Some(Now::File(bytes)) => Fact::Known(Ok(bytes.as_slice().into())),
            Some(Now::Directory) => Fact::Known(Err(Errno::Eisdir)),
            Some(Now::Nothing | Now::Link(_)) => Fact::Known(Err(Errno::Enoent)),
            None => self.0.under.read(path, limit),
        }
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        let old = match self.0.now(dir) {
            Some(Now::Directory) => Fact::Known(Ok(Vec::new())),
            Some(Now::Nothing) => Fact::Known(Err(Errno::Enoent)),
            Some(Now::File(_) | Now::Link(_)) => Fact::Known(Err(Errno::Enotdir)),
            None => self.0.under.list(dir),
        };
        old.map(|names| {
            names.map(|mut names| {
                for (path, change) in &self.0.changes {
                    let (Some(now), Some(name)) = (&change.now, path.file_name()) else { continue };
                    if path.parent() == Some(dir) {
                        names.retain(|old| old != name.as_bytes());
                        if !matches!(now, Now::Nothing) {
                            names.push(name.as_bytes().to_vec());
                        }
                    }
                }
                names.sort_unstable();
                names
            })
        })
    }
}

impl Filesystem for OverlayFs<'_> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        self.resolved(path, Follow::No, |at| LinkFree(self).lstat(at))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.resolved(path, Follow::No, |at| LinkFree(self).read_link(at))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        self.resolved(path, Follow::Yes, |at| LinkFree(self).read(at, limit))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.resolved(dir, Follow::Yes, |at| LinkFree(self).list(at))
    }

    /// With a change, nothing that is known of the tree below can be relied on.
    fn known_directories(&self) -> Option<&Directories> {
        if self.changes.is_empty() { self.under.known_directories() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryFs;
    use super::*;

    const DONE: Done = Fact::Known(Ok(()));

    fn read(fs: &OverlayFs, path: &str) -> Result<String, Errno> {
        let bytes = fs.read(Path::new(path), 1000).known().expect("everything is known");
        bytes.map(|bytes| String::from_utf8(bytes.to_vec()).expect("text"))
    }

    fn stat(fs: &OverlayFs, path: &str) -> Stat {
        fs.lstat(Path::new(path)).known().expect("known").expect("there")
    }

    #[test]
    fn changes_show_and_the_rest_stays() {
        let under = MemoryFs::new().file("/srv/a", "a").file("/srv/b", "b").mode("/srv/a", 0o600).link("/www", "srv");
        let mut fs = OverlayFs::new(&under);
        assert_eq!(fs.write(Path::new("/www/a"), b"new"), DONE);
        assert_eq!(fs.chmod(Path::new("/www"), 0o711), DONE);
        assert_eq!(fs.touch(Path::new("/srv/index.html")), DONE);
        assert_eq!(fs.touch(Path::new("/srv/b")), DONE);
        assert_eq!(fs.chown(Path::new("/www"), Some(33), None, Follow::No), DONE);
        assert_eq!((read(&fs, "/srv/a"), read(&fs, "/www/b")), (Ok("new".into()), Ok("b".into())));
        assert_eq!((stat(&fs, "/srv/a").mode, stat(&fs, "/srv/a").size), (Some(0o600), Some(3)));
        assert_eq!((stat(&fs, "/srv").mode, stat(&fs, "/srv").uid), (Some(0o711), Some(0)));
        assert_eq!((stat(&fs, "/www").kind, stat(&fs, "/www").uid), (FileKind::Symlink, Some(33)));
        let names = fs.list(Path::new("/www")).known().expect("known").expect("there");
        assert_eq!(names, [b"a".to_vec(), b"b".to_vec(), b"index.html".to_vec()]);
    }

    #[test]
    fn what_is_removed_takes_everything_below_along() {
        let under = MemoryFs::new().file("/d/e/f", "old");
        let mut fs = OverlayFs::new(&under);
        assert_eq!(fs.write(Path::new("/d/e/g"), b"g"), DONE);
        assert_eq!(fs.remove(Path::new("/d")), DONE);
        assert_eq!((read(&fs, "/d/e/f"), read(&fs, "/d/e/g")), (Err(Errno::Enoent), Err(Errno::Enoent)));
        assert_eq!(fs.mkdir(Path::new("/d/e")), DONE);
        assert_eq!(fs.list(Path::new("/d/e")), Fact::Known(Ok(vec![])));
        assert_eq!(read(&fs, "/d/e/f"), Err(Errno::Enoent));
        assert_eq!(fs.link(Path::new("/d/e"), Path::new("/l")), DONE);
        assert_eq!(fs.write(Path::new("/l/f"), b"new"), DONE);
        assert_eq!(read(&fs, "/d/e/f"), Ok("new".into()));
    }

    #[test]
    fn what_cannot_be_done_is_an_error() {
        let under = MemoryFs::new().file("/f", "");
        let mut fs = OverlayFs::new(&under);
        assert_eq!(fs.touch(Path::new("/no/where")), Fact::Known(Err(Errno::Enoent)));
        assert_eq!(fs.touch(Path::new("/f/x")), Fact::Known(Err(Errno::Enotdir)));
        assert_eq!(fs.mkdir(Path::new("/f")), Fact::Known(Err(Errno::Eexist)));
        assert_eq!(fs.chmod(Path::new("/no"), 0o755), Fact::Known(Err(Errno::Enoent)));
        assert_eq!(fs.write(Path::new("/"), b""), Fact::Known(Err(Errno::Eisdir)));
    }
}

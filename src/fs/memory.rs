//! A tree that somebody wrote down: for tests, and for fragments that are read from standard input.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{Bytes, Errno, FileKind, Filesystem, Follow, Stat, resolve};
use crate::fact::Fact;

/// One entry.
#[derive(Clone, Debug)]
struct Node {
    stat: Stat,
    /// The bytes of a file, the text of a link.
    content: Vec<u8>,
}

/// A complete file system in memory: what is not in it does not exist. Files are 0644 and directories 0755, root:root,
/// unless told otherwise; parents are made as needed.
#[derive(Clone, Debug)]
pub struct MemoryFs {
    nodes: BTreeMap<PathBuf, Node>,
}

impl Default for MemoryFs {
    fn default() -> Self {
        let mut fs = MemoryFs { nodes: BTreeMap::new() };
        fs.insert(Path::new("/"), FileKind::Directory, 0o755, Vec::new());
        fs
    }
}

impl MemoryFs {
    /// The empty root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> Self {
        self.insert(path.as_ref(), FileKind::Regular, 0o644, content.as_ref().to_vec());
        self
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(mut self, path: impl AsRef<Path>) -> Self {
        self.insert(path.as_ref(), FileKind::Directory, 0o755, Vec::new());
        self
    }

    /// Adds a link.
    #[must_use]
    pub fn link(mut self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> Self {
        self.insert(path.as_ref(), FileKind::Symlink, 0o777, target.as_ref().as_os_str().as_bytes().to_vec());
        self
    }

    /// Adds a FIFO, socket or device.
    #[must_use]
    pub fn special(mut self, path: impl AsRef<Path>, kind: FileKind) -> Self {
        self.insert(path.as_ref(), kind, 0o644, Vec::new());
        self
    }

    /// Sets the permission bits of an entry; nothing happens where there is none.
    #[must_use]
    pub fn mode(self, path: impl AsRef<Path>, mode: u32) -> Self {
        self.change(path.as_ref(), |stat| stat.mode = Some(mode))
    }

    /// Sets owner and group of an entry.
    #[must_use]
    pub fn owner(self, path: impl AsRef<Path>, uid: u32, gid: u32) -> Self {
        self.change(path.as_ref(), |stat| (stat.uid, stat.gid) = (Some(uid), Some(gid)))
    }

    /// Sets the modification time of an entry, in seconds since the epoch.
    #[must_use]
    pub fn mtime(self, path: impl AsRef<Path>, mtime: i64) -> Self {
        self.change(path.as_ref(), |stat| stat.mtime = Some(mtime))
    }

    fn change(mut self, path: &Path, change: impl FnOnce(&mut Stat)) -> Self {
        if let Some(node) = self.nodes.get_mut(&plain(path)) {
            change(&mut node.stat);
        }
        self
    }

    fn insert(&mut self, path: &Path, kind: FileKind, mode: u32, content: Vec<u8>) {
        let path = plain(path);
        for parent in path.ancestors().skip(1) {
            if !self.nodes.contains_key(parent) {
                self.nodes.insert(
                    parent.to_path_buf(),
                    Node { stat: root_owned(FileKind::Directory, 0o755, 0), content: Vec::new() },
                );
            }
        }
        self.nodes.insert(path, Node { stat: root_owned(kind, mode, content.len() as u64), content });
    }

    fn node(&self, path: &Path, follow: Follow) -> Result<&Node, Errno> {
        if let Some(node) =
            self.nodes.get(path).filter(|node| follow == Follow::No || node.stat.kind != FileKind::Symlink)
        {
            return Ok(node);
        }
        match resolve(&Exact(self), path, follow) {
            Fact::Known(Ok((at, _))) => self.nodes.get(&at).ok_or(Errno::Enoent),
            Fact::Known(Err(errno)) => Err(errno),
            Fact::Unknown(_) => Err(Errno::Enoent),
        }
    }
}

/// The path without `.` and `..`, taken as text.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            _ => {}
        }
    }
    plain
}

fn root_owned(kind: FileKind, mode: u32, size: u64) -> Stat {
    Stat { kind, mode: Some(mode), uid: Some(0), gid: Some(0), size: Some(size), mtime: Some(0) }
}

/// The entries by their exact paths, which is what a walk asks for.
struct Exact<'a>(&'a MemoryFs);

impl Filesystem for Exact<'_> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        Fact::Known(self.0.nodes.get(path).map(|node| node.stat.clone()).ok_or(Errno::Enoent))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        Fact::Known(self.0.nodes.get(path).ok_or(Errno::Enoent).and_then(link_text))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        self.0.read(path, limit)
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.0.list(dir)
    }
}

fn link_text(node: &Node) -> Result<PathBuf, Errno> {
    match node.stat.kind {
        FileKind::Symlink => Ok(PathBuf::from(std::ffi::OsStr::from_bytes(&node.content))),
        _ => Err(Errno::NOT_REGULAR),
    }
}

impl Filesystem for MemoryFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        Fact::Known(self.node(path, Follow::No).map(|node| node.stat.clone()))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        Fact::Known(self.node(path, Follow::No).and_then(link_text))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        Fact::Known(self.node(path, Follow::Yes).and_then(|node| match node.stat.kind {
            FileKind::Regular if node.content.len() as u64 > limit => Err(Errno::EFBIG),
            FileKind::Regular => Ok(node.content.as_slice().into()),
            FileKind::Directory => Err(Errno::Eisdir),
            _ => Err(Errno::NOT_REGULAR),
        }))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        let at = match resolve(&Exact(self), dir, Follow::Yes) {
            Fact::Known(Ok((at, stat))) if stat.kind == FileKind::Directory => at,
            Fact::Known(Ok(_)) => return Fact::Known(Err(Errno::Enotdir)),
            Fact::Known(Err(errno)) => return Fact::Known(Err(errno)),
            Fact::Unknown(question) => return Fact::Unknown(question),
        };
        let below = self.nodes.range::<Path, _>((std::ops::Bound::Excluded(at.as_path()), std::ops::Bound::Unbounded));
        let names = below
            .take_while(|(path, _)| path.starts_with(&at))
            .filter(|(path, _)| path.parent() == Some(at.as_path()))
            .filter_map(|(path, _)| path.file_name().map(|name| name.as_bytes().to_vec()));
        let mut names: Vec<Vec<u8>> = names.collect();
        names.sort_unstable();
        Fact::Known(Ok(names))
    }
}

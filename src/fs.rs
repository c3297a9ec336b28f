//! The file system as an input: raw facts behind a trait, and the kernel's permission walk on top of it.

use std::path::{Path, PathBuf};

use crate::fact::Fact;

/// Whether the last component of a path is followed if it is a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// stat(2).
    Yes,
    /// lstat(2).
    No,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link (only without following).
    Symlink,
    /// A FIFO.
    Fifo,
    /// A socket.
    Socket,
    /// A block or character device.
    Device,
}

/// The errors that decide a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Errno {
    /// Nothing there (2).
    Enoent,
    /// A component is not a directory (20).
    Enotdir,
    /// No permission (13).
    Eacces,
    /// Not the owner (1).
    Eperm,
    /// Too many links (40).
    Eloop,
    /// A name is too long (36).
    Enametoolong,
    /// It is a directory (21).
    Eisdir,
    /// No such device: opening a socket (6).
    Enxio,
    /// Exists already (17).
    Eexist,
    /// Anything else, by number.
    Other(i32),
}

/// What stat(2) says, where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The kind.
    pub kind: FileKind,
    /// Permission bits (07777); `None`: not known.
    pub mode: Option<u32>,
    /// Owner; `None`: not known.
    pub uid: Option<u32>,
    /// Group; `None`: not known.
    pub gid: Option<u32>,
    /// Size in bytes; `None`: not known.
    pub size: Option<u64>,
    /// Modification time, seconds since the epoch; `None`: not known.
    pub mtime: Option<i64>,
}

/// Raw facts about paths, free of any identity. Paths are absolute. Implementations never ask who is looking: search
/// and read permission are worked out by the functions below for an [`Identity`].
pub trait Filesystem: Sync {
    /// The entry itself, a link not followed. Parents *are* resolved through links.
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>>;
    /// The text of a link.
    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>>;
    /// The bytes of a regular file, at most `limit` of them (a longer one is `Errno::Other(27)`, EFBIG). FIFOs and devices are never opened.
    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Vec<u8>, Errno>>;
    /// The names in a directory without `.` and `..`, in byte order.
    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>>;
}

/// Who looks: a worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id; 0 reads and searches everything.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The name to show (`www-data`).
    pub name: String,
}

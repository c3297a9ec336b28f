//! The file system as an input: raw facts behind a trait, and the kernel's permission walk on top of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fact::{Fact, Question};

pub mod archive;
pub mod cached;
mod disk;
mod known;
pub mod manifest;
pub mod memory;
pub mod overlay;
pub mod real;
pub mod rooted;
pub mod unknown;
mod walk;

pub use disk::{Access, Denied, Disk, SymlinkPolicy};
pub use known::Directories;

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

impl Errno {
    /// The file is longer than the caller reads (27).
    pub const EFBIG: Errno = Errno::Other(27);
    /// Neither a file nor a directory, so it is not opened (22, EINVAL).
    pub const NOT_REGULAR: Errno = Errno::Other(22);

    /// The number of the error on Linux.
    pub fn number(self) -> i32 {
        match self {
            Errno::Eperm => 1,
            Errno::Enoent => 2,
            Errno::Enxio => 6,
            Errno::Eacces => 13,
            Errno::Eexist => 17,
            Errno::Enotdir => 20,
            Errno::Eisdir => 21,
            Errno::Enametoolong => 36,
            Errno::Eloop => 40,
            Errno::Other(number) => number,
        }
    }

    /// The error with this number.
    pub fn from_number(number: i32) -> Self {
        match number {
            1 => Errno::Eperm,
            2 => Errno::Enoent,
            6 => Errno::Enxio,
            13 => Errno::Eacces,
            17 => Errno::Eexist,
            20 => Errno::Enotdir,
            21 => Errno::Eisdir,
            36 => Errno::Enametoolong,
            40 => Errno::Eloop,
            other => Errno::Other(other),
        }
    }
}

/// The words of strerror(3), as glibc has them.
impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match *self {
            Errno::Enoent => "No such file or directory",
            Errno::Enotdir => "Not a directory",
            Errno::Eacces => "Permission denied",
            Errno::Eperm => "Operation not permitted",
            Errno::Eloop => "Too many levels of symbolic links",
            Errno::Enametoolong => "File name too long",
            Errno::Eisdir => "Is a directory",
            Errno::Enxio => "No such device or address",
            Errno::Eexist => "File exists",
            Errno::EFBIG => "File too large",
            Errno::Other(number) => return write!(f, "error {number}"),
        })
    }
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

impl Stat {
    /// A thing of this kind of which nothing else is known.
    pub fn of(kind: FileKind) -> Self {
        Stat { kind, mode: None, uid: None, gid: None, size: None, mtime: None }
    }
}

/// The content of a file, shared by all who have read it.
pub type Bytes = Arc<[u8]>;

/// Raw facts about paths, free of any identity. Paths are absolute. Implementations never ask who is looking: search
/// and read permission are worked out by the functions below for an [`Identity`].
///
/// [`real`] is this host, [`rooted`] a tree below a directory, [`manifest`] a listing, [`unknown`] nothing at all;
/// [`overlay`] puts changes over another one and [`cached`] remembers what it said.
pub trait Filesystem: Sync {
    /// The entry itself, a link not followed. Parents *are* resolved through links.
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>>;
    /// The text of a link.
    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>>;
    /// The bytes of a regular file, links followed, at most `limit` of them (a longer one is `Errno::EFBIG`). A directory is
    /// `Eisdir`; FIFOs, sockets and devices are never opened (`Errno::NOT_REGULAR`).
    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>>;
    /// The names in a directory, links followed, without `.` and `..`, in byte order.
    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>>;
    /// Where the ways to directories are remembered, if nothing ever changes here.
    fn known_directories(&self) -> Option<&Directories> {
        None
    }
}

impl<F: Filesystem + ?Sized> Filesystem for Box<F> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        (**self).lstat(path)
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        (**self).read_link(path)
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        (**self).read(path, limit)
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        (**self).list(dir)
    }

    fn known_directories(&self) -> Option<&Directories> {
        (**self).known_directories()
    }
}

/// Who looks: a worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id; 0 reads and searches everything, [`Identity::NO_UID`] is a user of whom only the name is known.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The name to show (`www-data`).
    pub name: String,
}

impl Identity {
    /// `(uid_t)-1`, which no account can have.
    pub const NO_UID: u32 = u32::MAX;

    /// The superuser, who is refused nothing.
    pub fn root() -> Self {
        Identity { uid: 0, gid: 0, groups: Vec::new(), name: "root".to_owned() }
    }

    /// A user that no account file names: permissions are known only where owner, group and others have the same.
    pub fn unknown(name: &str) -> Self {
        Identity { uid: Self::NO_UID, gid: Self::NO_UID, groups: Vec::new(), name: name.to_owned() }
    }

    /// Whether the user's number is known.
    pub fn is_known(&self) -> bool {
        self.uid != Self::NO_UID
    }
}

/// stat(2) as root: links followed, no permission asked. For whoever reads the configuration.
pub fn stat(fs: &dyn Filesystem, path: &Path) -> Fact<Result<Stat, Errno>> {
    resolve(fs, path, Follow::Yes).map(|found| found.map(|(_, stat)| stat))
}

/// realpath(3) as root.
pub fn real_path(fs: &dyn Filesystem, path: &Path) -> Fact<Result<PathBuf, Errno>> {
    resolve(fs, path, Follow::Yes).map(|found| found.map(|(at, _)| at))
}

/// Where a path ends and what is there, resolved as root. `fs` is asked only about paths without links, `.` and `..`.
fn resolve(fs: &dyn Filesystem, path: &Path, follow: Follow) -> Fact<Result<(PathBuf, Stat), Errno>> {
    outcome(walk::walk(&AsRoot(fs), path, follow))
}

fn outcome<T>(walked: Result<T, Stop>) -> Fact<Result<T, Errno>> {
    match walked {
        Ok(found) => Fact::Known(Ok(found)),
        Err(Stop::Errno(errno)) => Fact::Known(Err(errno)),
        Err(Stop::Unknown(question)) => Fact::Unknown(question),
    }
}

/// A walk by root, who is refused nothing and asks no questions.
struct AsRoot<'a>(&'a dyn Filesystem);

enum Stop {
    Errno(Errno),
    Unknown(Question),
}

fn settle<T>(fact: Fact<Result<T, Errno>>) -> Result<T, Stop> {
    match fact {
        Fact::Known(result) => result.map_err(Stop::Errno),
        Fact::Unknown(question) => Err(Stop::Unknown(question)),
    }
}

impl walk::Steps for AsRoot<'_> {
    type Stop = Stop;

    fn entry(&self, path: &Path) -> Result<Stat, Stop> {
        settle(self.0.lstat(path))
    }

    fn target(&self, link: &Path) -> Result<Option<PathBuf>, Stop> {
        settle(self.0.read_link(link)).map(Some)
    }

    fn search(&self, _: &Path, _: &Stat) -> Result<(), Stop> {
        Ok(())
    }

    fn follow(&self, _: &Stat, _: &Path, _: &Stat) -> Result<(), Stop> {
        Ok(())
    }

    fn stop(&self, errno: Errno, _: &Path) -> Stop {
        Stop::Errno(errno)
    }
}

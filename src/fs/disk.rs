//! What the kernel answers a worker: the walk of [`super::walk`] with the permissions of an identity.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::walk::{Steps, walk};
use super::{Errno, FileKind, Filesystem, Follow, Identity, Stat};
use crate::fact::{Fact, Inquiry, Question, Subject};

/// What somebody wants to do with an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Read a file or list a directory.
    Read,
    /// Write.
    Write,
    /// Search a directory (execute a file).
    Search,
}

impl Access {
    fn bit(self) -> u32 {
        match self {
            Access::Read => 4,
            Access::Write => 2,
            Access::Search => 1,
        }
    }
}

/// How nginx opens a path under `disable_symlinks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymlinkPolicy {
    /// `on`: no component may be a link.
    On,
    /// `if_not_owner`: a link and what it leads to must have one owner.
    IfNotOwner,
}

/// A system call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The error.
    pub errno: Errno,
    /// The one inode at fault, free of links: the first directory that may not be searched, the file that may not be read,
    /// the missing name, the file that should be a directory, the link that may not be followed.
    pub path: PathBuf,
}

/// A file system as one worker sees it. What the file system does not know becomes a question of the inquiry, and the
/// walk goes on with the assumed answer.
#[derive(Clone, Copy)]
pub struct Disk<'a> {
    /// The facts.
    pub fs: &'a dyn Filesystem,
    /// Who looks.
    pub identity: &'a Identity,
    /// Where questions go.
    pub inquiry: &'a Inquiry<'a>,
}

impl Disk<'_> {
    /// stat(2), or lstat(2) with [`Follow::No`]. A relative path counts from `/`.
    pub fn stat(&self, path: &Path, follow: Follow) -> Result<Stat, Denied> {
        let (at, stat) = self.resolve(path, follow)?;
        if follow == Follow::No && self.may_be_link(&at, &stat) {
            return Ok(Stat::of(FileKind::Symlink));
        }
        Ok(stat)
    }

    /// realpath(3): the same inode by a path without links, `.` and `..`.
    pub fn real_path(&self, path: &Path) -> Result<PathBuf, Denied> {
        self.resolve(path, Follow::Yes).map(|(at, _)| at)
    }

    /// open(2) with `O_RDONLY | O_NONBLOCK`, then fstat(2). A directory or a FIFO opens; a socket does not (ENXIO).
    pub fn open_read(&self, path: &Path) -> Result<Stat, Denied> {
        let (at, stat) = self.resolve(path, Follow::Yes)?;
        self.readable(&at, &stat)?;
        Ok(stat)
    }

    /// opendir(3): the names without `.` and `..`, in byte order. The inner fact is unknown where the directory opens but
    /// nobody knows what is in it.
    pub fn open_dir(&self, path: &Path) -> Result<Fact<Vec<Vec<u8>>>, Denied> {
        let (at, stat) = self.resolve(path, Follow::Yes)?;
        if stat.kind != FileKind::Directory {
            return Err(Denied { errno: Errno::Enotdir, path: at });
        }
        self.readable(&at, &stat)?;
        settle(self.fs.list(&at), at)
    }

    /// The bytes of a regular file that may be read. The inner fact is unknown where the file opens but nobody knows what
    /// is in it. Longer than `limit` bytes: `Errno::Other(27)` (EFBIG). A directory: `Errno::Eisdir`.
    pub fn read(&self, path: &Path, limit: u64) -> Result<Fact<Vec<u8>>, Denied> {
        let (at, stat) = self.resolve(path, Follow::Yes)?;
        self.readable(&at, &stat)?;
        if stat.kind == FileKind::Directory {
            return Err(Denied { errno: Errno::Eisdir, path: at });
        }
        settle(self.fs.read(&at, limit), at)
    }

    /// Opens for reading as ngx_open_file_wrapper does under `disable_symlinks`: one openat(2) a component, links refused
    /// by `policy`. The first `from` bytes of the path (0: none) are exempt; they must end before a slash.
    ///
    /// Under [`SymlinkPolicy::On`] a link at the end is ELOOP; a link in the middle is opened itself, and the *next*
    /// component fails with ENOTDIR. A refused link is the path at fault in either case.
    pub fn open_no_symlinks(&self, path: &Path, policy: SymlinkPolicy, from: usize) -> Result<Stat, Denied> {
        let bytes = path.as_os_str().as_bytes();
        let exempt = OsStr::from_bytes(bytes.get(..from).filter(|prefix| !prefix.is_empty()).unwrap_or(b"/"));
        let (mut at, mut stat) = self.resolve(Path::new(exempt), Follow::Yes)?;
        let rest = bytes.get(from..).unwrap_or_default();
        let names: Vec<&[u8]> = rest.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).collect();
        let ends_in_slash = rest.ends_with(b"/");
        for (index, name) in names.iter().enumerate() {
            if stat.kind != FileKind::Directory {
                return Err(Denied { errno: Errno::Enotdir, path: at });
            }
            // One component below a directory that is free of links, so the kernel's walk ends at it or at its target.
            let child = at.join(OsStr::from_bytes(name));
            let entry = self.stat(&child, Follow::No)?;
            let is_link = entry.kind == FileKind::Symlink;
            match policy {
                SymlinkPolicy::On if is_link => {
                    let last = index + 1 == names.len() && !ends_in_slash;
                    return Err(Denied { errno: if last { Errno::Eloop } else { Errno::Enotdir }, path: child });
                }
                SymlinkPolicy::IfNotOwner if is_link => {
                    let (target, found) = self.resolve(&child, Follow::Yes)?;
                    if !self.same_owner(&child, &entry, &found) {
                        return Err(Denied { errno: Errno::Eloop, path: child });
                    }
                    (at, stat) = (target, found);
                }
                _ => (at, stat) = self.resolve(&child, Follow::No)?,
            }
        }
        if ends_in_slash && stat.kind != FileKind::Directory {
            return Err(Denied { errno: Errno::Enotdir, path: at });
        }
        if ends_in_slash {
            // The last openat(2) is for "." inside the directory.
            self.search(&at, &stat)?;
        }
        self.readable(&at, &stat)?;
        Ok(stat)
    }

    /// Whether a link and what it leads to belong to one user (SymLinksIfOwnerMatch, `if_not_owner`).
    pub fn same_owner(&self, link: &Path, link_stat: &Stat, target: &Stat) -> bool {
        match (link_stat.uid, target.uid) {
            (Some(link), Some(target)) => link == target,
            _ => self.either(
                Subject::Other(format!("owners of {} and of its target", link.display())),
                &format!("{} and what it leads to have the same owner", link.display()),
                &format!("{} and what it leads to have different owners", link.display()),
            ),
        }
    }

    /// Whether the mode lets the identity do this. The first matching class of owner, group and other decides alone; root
    /// may do everything. What the mode or the owner leave open is asked.
    pub fn permits(&self, path: &Path, stat: &Stat, access: Access) -> bool {
        if self.identity.uid == 0 {
            return true;
        }
        let granted = stat.mode.map(|mode| {
            let classes = self.possible_classes(stat);
            let granting = classes.iter().filter(|&&shift| mode >> shift & access.bit() != 0).count();
            (granting, classes.len())
        });
        match granted {
            Some((0, _)) => false,
            Some((granting, classes)) if granting == classes => true,
            _ => self.ask_permission(path, stat, access),
        }
    }

    /// The shifts of the permission classes that the identity can be in: one where owner and group are known.
    fn possible_classes(&self, stat: &Stat) -> Vec<u32> {
        let (owner, group, other) = (6, 3, 0);
        let in_group = stat.gid.map(|gid| gid == self.identity.gid || self.identity.groups.contains(&gid));
        let mut classes = Vec::with_capacity(3);
        if stat.uid == Some(self.identity.uid) {
            return vec![owner];
        }
        if stat.uid.is_none() {
            classes.push(owner);
        }
        if in_group != Some(false) {
            classes.push(group);
        }
        if in_group != Some(true) {
            classes.push(other);
        }
        classes
    }

    fn ask_permission(&self, path: &Path, stat: &Stat, access: Access) -> bool {
        let (shown, who) = (path.display(), &self.identity.name);
        if access == Access::Write {
            return self.either(
                Subject::Other(format!("whether {who} may write {shown}")),
                &format!("{who} may write {shown}"),
                &format!("{who} may not write {shown}"),
            );
        }
        let question = Question::new(Subject::Permission(path.to_path_buf()));
        if stat.kind != FileKind::Directory && access == Access::Read {
            let alternatives = [format!("{who} may read {shown}"), format!("{who} may not read {shown}")];
            return self.inquiry.choose(question, &alternatives.each_ref().map(String::as_str)) == 0;
        }
        let alternatives = [
            format!("{who} may read and search {shown}"),
            format!("{who} may search but not read {shown}"),
            format!("{who} may neither read nor search {shown}"),
            format!("{who} may read but not search {shown}"),
        ];
        let chosen = self.inquiry.choose(question, &alternatives.each_ref().map(String::as_str));
        match access {
            Access::Read => chosen == 0 || chosen == 3,
            _ => chosen < 2,
        }
    }

    fn either(&self, subject: Subject, yes: &str, no: &str) -> bool {
        self.inquiry.choose(Question::new(subject), &[yes, no]) == 0
    }

    fn resolve(&self, path: &Path, follow: Follow) -> Result<(PathBuf, Stat), Denied> {
        walk(self, path, follow)
    }

    fn readable(&self, path: &Path, stat: &Stat) -> Result<(), Denied> {
        if stat.kind == FileKind::Socket {
            return Err(Denied { errno: Errno::Enxio, path: path.to_path_buf() });
        }
        if self.permits(path, stat, Access::Read) {
            return Ok(());
        }
        Err(Denied { errno: Errno::Eacces, path: path.to_path_buf() })
    }

    /// A path of which only the kind behind it was assumed may itself be a link; that is asked only where a link matters.
    fn may_be_link(&self, path: &Path, stat: &Stat) -> bool {
        if stat.kind == FileKind::Symlink || !matches!(self.fs.lstat(path), Fact::Unknown(_)) {
            return false;
        }
        let shown = path.display();
        !self.either(
            Subject::Other(format!("whether {shown} is a symbolic link")),
            &format!("{shown} is no symbolic link"),
            &format!("{shown} is a symbolic link"),
        )
    }
}

/// Turns a raw answer about a path that may be opened into the result of the call.
fn settle<T>(fact: Fact<Result<T, Errno>>, path: PathBuf) -> Result<Fact<T>, Denied> {
    match fact {
        Fact::Known(Ok(value)) => Ok(Fact::Known(value)),
        Fact::Known(Err(errno)) => Err(Denied { errno, path }),
        Fact::Unknown(question) => Ok(Fact::Unknown(question)),
    }
}

impl Steps for Disk<'_> {
    type Stop = Denied;

    fn entry(&self, path: &Path) -> Result<Stat, Denied> {
        let question = match self.fs.lstat(path) {
            Fact::Known(Ok(stat)) => return Ok(stat),
            Fact::Known(Err(errno)) => return Err(self.stop(errno, path)),
            Fact::Unknown(question) => question,
        };
        // The root is always there.
        if path == Path::new("/") {
            return Ok(Stat::of(FileKind::Directory));
        }
        let shown = path.display();
        let alternatives =
            [format!("{shown} is a file"), format!("{shown} is a directory"), format!("{shown} does not exist")];
        match self.inquiry.choose(question, &alternatives.each_ref().map(String::as_str)) {
            0 => Ok(Stat::of(FileKind::Regular)),
            1 => Ok(Stat::of(FileKind::Directory)),
            _ => Err(self.stop(Errno::Enoent, path)),
        }
    }

    fn target(&self, link: &Path) -> Result<PathBuf, Denied> {
        match self.fs.read_link(link) {
            Fact::Known(Ok(target)) => Ok(target),
            Fact::Known(Err(errno)) => Err(self.stop(errno, link)),
            // The link is known, its text is not: what is behind it is asked under the name of the link.
            Fact::Unknown(_) => Ok(link.join("(target)")),
        }
    }

    fn search(&self, dir: &Path, stat: &Stat) -> Result<(), Denied> {
        if self.permits(dir, stat, Access::Search) { Ok(()) } else { Err(self.stop(Errno::Eacces, dir)) }
    }

    /// may_follow_link in the kernel's namei.c: in a sticky directory that everybody may write (`/tmp`), a link of another
    /// user is not followed where the sysctl `fs.protected_symlinks` is 1, as Debian sets it.
    fn follow(&self, dir: &Stat, link: &Path, stat: &Stat) -> Result<(), Denied> {
        const STICKY_WORLD_WRITABLE: u32 = 0o1002;
        let sticky = dir.mode.is_some_and(|mode| mode & STICKY_WORLD_WRITABLE == STICKY_WORLD_WRITABLE);
        if !sticky || stat.uid == Some(self.identity.uid) || (dir.uid.is_some() && dir.uid == stat.uid) {
            return Ok(());
        }
        let protected = self.either(
            Subject::Other("the sysctl fs.protected_symlinks".to_owned()),
            "the sysctl fs.protected_symlinks is 1",
            "the sysctl fs.protected_symlinks is 0",
        );
        if protected { Err(self.stop(Errno::Eacces, link)) } else { Ok(()) }
    }

    fn stop(&self, errno: Errno, path: &Path) -> Denied {
        Denied { errno, path: path.to_path_buf() }
    }
}

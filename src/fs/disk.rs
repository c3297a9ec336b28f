//! What the kernel answers a worker: the walk of [`super::walk`] with the permissions of an identity.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::walk::{Steps, walk, walk_known};
use super::{Bytes, Errno, FileKind, Filesystem, Follow, Identity, Stat};
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
    pub fn read(&self, path: &Path, limit: u64) -> Result<Fact<Bytes>, Denied> {
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
            let waived = is_link && self.inquiry.waives(None, Some(&child));
            match policy {
                _ if waived => (at, stat) = self.resolve(&child, Follow::Yes)?,
                SymlinkPolicy::On if is_link => {
                    let last = index + 1 == names.len() && !ends_in_slash;
                    return Err(Denied { errno: if last { Errno::Eloop } else { Errno::Enotdir }, path: child });
                }
                SymlinkPolicy::IfNotOwner if is_link => {
                    let (target, found) = self.resolve(&child, Follow::Yes)?;
                    if index + 1 == names.len() && !ends_in_slash {
                        // Here the target itself is opened first, and only then are the owners compared.
                        self.readable(&target, &found)?;
                    }
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
        if self.inquiry.waives(None, Some(path)) {
            return true;
        }
        permits(self.identity, stat, access).unwrap_or_else(|| self.ask_permission(path, stat, access))
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

    /// lstat(2) as root.
    fn look(&self, path: &Path) -> Result<Fact<Stat>, Denied> {
        match self.fs.lstat(path) {
            Fact::Known(Ok(stat)) => Ok(Fact::Known(stat)),
            Fact::Known(Err(errno)) => Err(Denied { errno, path: path.to_path_buf() }),
            // The root is always there, and open to all.
            Fact::Unknown(_) if path == Path::new("/") => {
                let root = Stat::of(FileKind::Directory);
                Ok(Fact::Known(Stat { mode: Some(0o755), uid: Some(0), gid: Some(0), ..root }))
            }
            Fact::Unknown(question) => Ok(Fact::Unknown(question)),
        }
    }

    /// What is at a path that nobody knows; with `reach`, also whether one gets there.
    fn ask_kind(&self, question: Question, path: &Path, reach: bool) -> Result<Stat, Denied> {
        let (shown, who) = (path.display(), &self.identity.name);
        let mut answers = vec![
            (format!("{shown} is a file"), Ok(FileKind::Regular)),
            (format!("{shown} is a directory"), Ok(FileKind::Directory)),
            (format!("{shown} does not exist"), Err((Errno::Enoent, path))),
        ];
        if reach {
            let above = path.parent().unwrap_or(path);
            answers.push((format!("{who} may not search a directory above {shown}"), Err((Errno::Eacces, above))));
        }
        let likely = answers.len();
        // Which of the three it is matters only to who opens it (`readable`).
        answers.push((format!("{shown} is a FIFO, a socket or a device"), Ok(FileKind::Fifo)));
        let alternatives: Vec<&str> = answers.iter().map(|(words, _)| words.as_str()).collect();
        match answers[self.inquiry.choose_likely(question, &alternatives, likely)].1 {
            Ok(kind) => Ok(Stat::of(kind)),
            Err((errno, path)) => Err(Denied { errno, path: path.to_path_buf() }),
        }
    }

    fn resolve(&self, path: &Path, follow: Follow) -> Result<(PathBuf, Stat), Denied> {
        // A path that is open for the sake of argument is not what is known.
        match self.fs.known_directories().filter(|_| !self.inquiry.waives_paths()) {
            Some(known) => walk_known(self, known, (self.fs, self.identity), path, follow),
            None => walk(self, path, follow),
        }
    }

    fn readable(&self, path: &Path, stat: &Stat) -> Result<(), Denied> {
        if stat.kind == FileKind::Socket || self.may_be_socket(path, stat) {
            return Err(Denied { errno: Errno::Enxio, path: path.to_path_buf() });
        }
        if self.permits(path, stat, Access::Read) {
            return Ok(());
        }
        Err(Denied { errno: Errno::Eacces, path: path.to_path_buf() })
    }

    /// A path of which only the kind behind it was assumed may itself be a link; that is asked only where a link matters.
    fn may_be_link(&self, path: &Path, stat: &Stat) -> bool {
        let looked_at = stat.mode.is_some() || stat.uid.is_some() || stat.kind == FileKind::Symlink;
        if looked_at || !matches!(self.fs.lstat(path), Fact::Unknown(_)) {
            return false;
        }
        let shown = path.display();
        !self.either(
            Subject::Other(format!("whether {shown} is a symbolic link")),
            &format!("{shown} is no symbolic link"),
            &format!("{shown} is a symbolic link"),
        )
    }

    /// A path of which it was assumed that it is neither file nor directory may be a socket; that is asked only where
    /// somebody opens it.
    fn may_be_socket(&self, path: &Path, stat: &Stat) -> bool {
        let looked_at = |found: Fact<Result<Stat, Errno>>| matches!(found, Fact::Known(Ok(it)) if it.kind == stat.kind);
        if stat.kind != FileKind::Fifo || looked_at(self.fs.lstat(path)) {
            return false;
        }
        let shown = path.display();
        !self.either(
            Subject::Other(format!("whether {shown} is a socket")),
            &format!("{shown} is no socket"),
            &format!("{shown} is a socket"),
        )
    }
}

/// Whether the mode lets somebody do this; `None`: mode or owner leave it open.
pub(super) fn permits(who: &Identity, stat: &Stat, access: Access) -> Option<bool> {
    if who.uid == 0 {
        return Some(true);
    }
    let mode = stat.mode?;
    let mut granting = possible_classes(who, stat).map(|shift| mode >> shift & access.bit() != 0);
    let first = granting.next()?;
    granting.all(|other| other == first).then_some(first)
}

/// The shifts of the permission classes that somebody can be in: one where owner and group are known.
fn possible_classes(who: &Identity, stat: &Stat) -> impl Iterator<Item = u32> {
    let (owner, group, other) = (6, 3, 0);
    let owns = if who.is_known() { stat.uid.map(|uid| uid == who.uid) } else { None };
    let in_group = match stat.gid {
        Some(gid) if who.is_known() => Some(gid == who.gid || who.groups.contains(&gid)),
        _ => None,
    };
    let possible = [
        (owner, owns != Some(false)),
        (group, owns != Some(true) && in_group != Some(false)),
        (other, owns != Some(true) && in_group != Some(true)),
    ];
    possible.into_iter().filter(|(_, possible)| *possible).map(|(shift, _)| shift)
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
        match self.look(path)? {
            Fact::Known(stat) => Ok(stat),
            Fact::Unknown(question) => self.ask_kind(question, path, false),
        }
    }

    fn parent(&self, path: &Path) -> Result<Option<Stat>, Denied> {
        self.look(path).map(Fact::known)
    }

    /// Where nobody knows a directory on the way, one question about the end of the path stands for all of them.
    fn leap(&self, path: &Path) -> Result<Stat, Denied> {
        self.ask_kind(Question::new(Subject::Path(path.to_path_buf())), path, true)
    }

    fn target(&self, link: &Path) -> Result<Option<PathBuf>, Denied> {
        match self.fs.read_link(link) {
            Fact::Known(Ok(target)) => Ok(Some(target)),
            Fact::Known(Err(errno)) => Err(self.stop(errno, link)),
            Fact::Unknown(_) => Ok(None),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::memory::MemoryFs;
    use super::*;
    use crate::fact::Answers;

    fn www() -> Identity {
        Identity { uid: 33, gid: 33, groups: vec![33, 1000], name: "www-data".to_owned() }
    }

    /// Runs with a disk as www-data sees it, nothing being unknown.
    fn with<T>(fs: &MemoryFs, run: impl FnOnce(&Disk) -> T) -> T {
        let (identity, answers) = (www(), Answers::new());
        let inquiry = Inquiry::new(&answers);
        let result = run(&Disk { fs, identity: &identity, inquiry: &inquiry });
        assert!(inquiry.is_empty(), "{inquiry:?}");
        result
    }

    fn denied(errno: Errno, path: &str) -> Denied {
        Denied { errno, path: PathBuf::from(path) }
    }

    fn open(fs: &MemoryFs, path: &str) -> Result<FileKind, Denied> {
        with(fs, |disk| disk.open_read(Path::new(path)).map(|stat| stat.kind))
    }

    fn open_on(fs: &MemoryFs, path: &str, policy: SymlinkPolicy, from: usize) -> Result<FileKind, Denied> {
        with(fs, |disk| disk.open_no_symlinks(Path::new(path), policy, from).map(|stat| stat.kind))
    }

    #[test]
    fn the_first_directory_without_a_search_bit_is_at_fault() {
        let fs = MemoryFs::new().file("/srv/site/a/x.html", "").mode("/srv/site", 0o700).mode("/srv/site/a", 0o700);
        assert_eq!(open(&fs, "/srv/site/a/x.html"), Err(denied(Errno::Eacces, "/srv/site")));
        // stat(2) of the directory itself needs no permission on it; looking for a name in it does, even a missing one.
        with(&fs, |disk| {
            assert_eq!(disk.stat(Path::new("/srv/site/"), Follow::Yes).map(|stat| stat.mode), Ok(Some(0o700)));
            assert_eq!(disk.stat(Path::new("/srv/site/no"), Follow::Yes), Err(denied(Errno::Eacces, "/srv/site")));
            assert_eq!(disk.stat(Path::new("/srv/site/."), Follow::Yes), Err(denied(Errno::Eacces, "/srv/site")));
            assert_eq!(disk.open_dir(Path::new("/srv/site")), Err(denied(Errno::Eacces, "/srv/site")));
        });
    }

    #[test]
    fn one_class_decides_alone() {
        let fs = MemoryFs::new().file("/f", "").mode("/f", 0o077).owner("/f", 33, 0);
        assert_eq!(open(&fs, "/f"), Err(denied(Errno::Eacces, "/f")));
        let fs = MemoryFs::new().file("/f", "").mode("/f", 0o707).owner("/f", 0, 1000);
        assert_eq!(open(&fs, "/f"), Err(denied(Errno::Eacces, "/f")));
        let fs = MemoryFs::new().file("/f", "").mode("/f", 0o040).owner("/f", 0, 1000);
        assert_eq!(open(&fs, "/f"), Ok(FileKind::Regular));
    }

    #[test]
    fn root_is_refused_nothing() {
        let fs = MemoryFs::new().file("/d/f", "x").mode("/d", 0).mode("/d/f", 0);
        let identity = Identity { uid: 0, gid: 0, groups: vec![], name: "root".to_owned() };
        let answers = Answers::new();
        let inquiry = Inquiry::new(&answers);
        let disk = Disk { fs: &fs, identity: &identity, inquiry: &inquiry };
        assert_eq!(disk.read(Path::new("/d/f"), 10), Ok(Fact::Known((*b"x").into())));
        assert_eq!(disk.read(Path::new("/d"), 10), Err(denied(Errno::Eisdir, "/d")));
    }

    #[test]
    fn the_parents_of_a_link_s_target_count() {
        let fs = MemoryFs::new().link("/www/x", "/home/joe/x").file("/home/joe/x", "").mode("/home/joe", 0o750);
        assert_eq!(open(&fs, "/www/x"), Err(denied(Errno::Eacces, "/home/joe")));
        let fs = MemoryFs::new().link("/www/up", "../home/./joe").file("/home/joe/x", "");
        assert_eq!(open(&fs, "/www/up/x"), Ok(FileKind::Regular));
        with(&fs, |disk| assert_eq!(disk.real_path(Path::new("/www/up/../joe/x")), Ok(PathBuf::from("/home/joe/x"))));
    }

    #[test]
    fn forty_links_are_followed_and_no_more() {
        let chain = |length: usize| {
            (0..length)
                .fold(MemoryFs::new().file("/l0", ""), |fs, at| fs.link(format!("/l{}", at + 1), format!("l{at}")))
        };
        assert_eq!(open(&chain(40), "/l40"), Ok(FileKind::Regular));
        assert_eq!(open(&chain(41), "/l41"), Err(denied(Errno::Eloop, "/l1")));
        let fs = MemoryFs::new().link("/loop", "loop");
        assert_eq!(open(&fs, "/loop/x"), Err(denied(Errno::Eloop, "/loop")));
    }

    #[test]
    fn files_are_no_directories() {
        let fs =
            MemoryFs::new().file("/f", "").link("/l", "f").link("/gone", "nowhere").link("/d", "tree/").dir("/tree");
        assert_eq!(open(&fs, "/f/x"), Err(denied(Errno::Enotdir, "/f")));
        assert_eq!(open(&fs, "/f/"), Err(denied(Errno::Enotdir, "/f")));
        assert_eq!(open(&fs, "/l/"), Err(denied(Errno::Enotdir, "/f")));
        assert_eq!(open(&fs, "/gone"), Err(denied(Errno::Enoent, "/nowhere")));
        assert_eq!(open(&fs, "/d"), Ok(FileKind::Directory));
        with(&fs, |disk| {
            assert_eq!(disk.stat(Path::new("/l"), Follow::No).map(|stat| stat.kind), Ok(FileKind::Symlink));
            assert_eq!(disk.stat(Path::new("/d/"), Follow::No).map(|stat| stat.kind), Ok(FileKind::Directory));
            assert_eq!(disk.stat(Path::new(""), Follow::No), Err(denied(Errno::Enoent, "")));
        });
    }

    #[test]
    fn names_and_paths_have_a_longest_length() {
        let fs = MemoryFs::new();
        assert_eq!(open(&fs, &format!("/{}", "a".repeat(255))).map_err(|it| it.errno), Err(Errno::Enoent));
        assert_eq!(open(&fs, &format!("/{}", "a".repeat(256))).map_err(|it| it.errno), Err(Errno::Enametoolong));
        assert_eq!(open(&fs, &"/".repeat(4095)), Ok(FileKind::Directory));
        assert_eq!(open(&fs, &"/".repeat(4096)).map_err(|it| it.errno), Err(Errno::Enametoolong));
    }

    #[test]
    fn fifos_open_and_sockets_do_not() {
        let fs = MemoryFs::new().special("/fifo", FileKind::Fifo).special("/sock", FileKind::Socket);
        assert_eq!(open(&fs, "/fifo"), Ok(FileKind::Fifo));
        assert_eq!(open(&fs, "/sock"), Err(denied(Errno::Enxio, "/sock")));
    }

    #[test]
    fn disable_symlinks_on() {
        let fs = MemoryFs::new().file("/www/d/x", "").link("/www/ln", "d/x").link("/www/lnd", "d").link("/web", "www");
        let on = SymlinkPolicy::On;
        assert_eq!(open_on(&fs, "/www/d/x", on, 0), Ok(FileKind::Regular));
        assert_eq!(open_on(&fs, "/www//d/", on, 0), Ok(FileKind::Directory));
        assert_eq!(open_on(&fs, "/www/ln", on, 0), Err(denied(Errno::Eloop, "/www/ln")));
        assert_eq!(open_on(&fs, "/www/lnd", on, 0), Err(denied(Errno::Eloop, "/www/lnd")));
        assert_eq!(open_on(&fs, "/www/lnd/", on, 0), Err(denied(Errno::Enotdir, "/www/lnd")));
        assert_eq!(open_on(&fs, "/www/lnd/x", on, 0), Err(denied(Errno::Enotdir, "/www/lnd")));
        assert_eq!(open_on(&fs, "/www/no", on, 0), Err(denied(Errno::Enoent, "/www/no")));
        // The exempt prefix may be a link.
        assert_eq!(open_on(&fs, "/web/d/x", on, 0), Err(denied(Errno::Enotdir, "/web")));
        assert_eq!(open_on(&fs, "/web/d/x", on, "/web".len()), Ok(FileKind::Regular));
        assert_eq!(open_on(&fs, "/web/ln", on, "/web".len()), Err(denied(Errno::Eloop, "/www/ln")));
    }

    #[test]
    fn disable_symlinks_if_not_owner() {
        let fs = MemoryFs::new().file("/www/d/x", "").link("/www/ln", "d/x").link("/www/lnd", "d");
        let policy = SymlinkPolicy::IfNotOwner;
        assert_eq!(open_on(&fs, "/www/lnd/x", policy, 0), Ok(FileKind::Regular));
        let fs = fs.owner("/www/lnd", 1000, 1000).owner("/www/d/x", 1000, 1000);
        assert_eq!(open_on(&fs, "/www/ln", policy, 0), Err(denied(Errno::Eloop, "/www/ln")));
        assert_eq!(open_on(&fs, "/www/lnd/x", policy, 0), Err(denied(Errno::Eloop, "/www/lnd")));
    }

    #[test]
    fn a_foreign_link_in_a_sticky_directory_is_a_question() {
        let fs = MemoryFs::new().link("/tmp/l", "/f").file("/f", "").mode("/tmp", 0o1777).owner("/tmp/l", 1000, 1000);
        let identity = www();
        for (assumed, expected) in [(0, Err(denied(Errno::Eacces, "/tmp/l"))), (1, Ok(FileKind::Regular))] {
            let answers = BTreeMap::from([(Subject::Other("the sysctl fs.protected_symlinks".to_owned()), assumed)]);
            let inquiry = Inquiry::new(&answers);
            let disk = Disk { fs: &fs, identity: &identity, inquiry: &inquiry };
            assert_eq!(disk.open_read(Path::new("/tmp/l")).map(|stat| stat.kind), expected);
            assert_eq!(inquiry.into_asked().len(), 1);
        }
    }

    /// Knows that the paths are there, and neither mode nor owner.
    struct NoModes(MemoryFs, Option<u32>);

    impl Filesystem for NoModes {
        fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
            let forget = |stat: Stat| Stat { mode: self.1, uid: None, gid: None, ..stat };
            self.0.lstat(path).map(|found| found.map(forget))
        }
        fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
            self.0.read_link(path)
        }
        fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
            self.0.read(path, limit)
        }
        fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
            self.0.list(dir)
        }
    }

    #[test]
    fn an_unknown_mode_is_asked_and_an_unknown_owner_only_where_it_matters() {
        let fs = NoModes(MemoryFs::new().file("/f", ""), None);
        let (identity, answers) = (www(), Answers::new());
        let inquiry = Inquiry::new(&answers);
        assert!(Disk { fs: &fs, identity: &identity, inquiry: &inquiry }.open_read(Path::new("/f")).is_ok());
        let subjects: Vec<_> = inquiry.into_asked().into_iter().map(|asked| asked.question.subject).collect();
        assert_eq!(subjects, [Subject::Permission("/".into()), Subject::Permission("/f".into())]);

        for (mode, asked) in [(0o755, 0), (0o000, 0), (0o750, 2)] {
            let fs = NoModes(MemoryFs::new().file("/f", ""), Some(mode));
            let inquiry = Inquiry::new(&answers);
            let opened = Disk { fs: &fs, identity: &identity, inquiry: &inquiry }.open_read(Path::new("/f"));
            assert_eq!(opened.is_ok(), mode != 0);
            assert_eq!(inquiry.into_asked().len(), asked, "{mode:o}");
        }
    }
}

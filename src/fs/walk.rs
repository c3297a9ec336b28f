//! The walk along a path as Linux does it: component by component, links expanded in place, forty of them at most.
//!
//! One routine serves both readers: a [`super::Disk`], for whom every directory must be searchable, and file systems
//! made of listings, which resolve links as root.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::known::Directories;
use super::{Errno, FileKind, Filesystem, Follow, Identity, Stat};

/// Longest name of one component, in bytes (NAME_MAX).
const NAME_MAX: usize = 255;
/// Longest path without its final NUL, in bytes (PATH_MAX - 1).
const PATH_MAX: usize = 4095;
/// Links followed in one walk (MAXSYMLINKS in the kernel's namei.h).
const LINKS_MAX: u32 = 40;

/// What a walk asks on its way. Paths are free of links, `.` and `..`.
pub(super) trait Steps {
    /// How a walk ends early.
    type Stop;
    /// The entry at a path, a link not followed.
    fn entry(&self, path: &Path) -> Result<Stat, Self::Stop>;
    /// The entry at a path that more names follow. `None`: nobody knows it, and [`Steps::leap`] is asked for the rest.
    fn parent(&self, path: &Path) -> Result<Option<Stat>, Self::Stop> {
        self.entry(path).map(Some)
    }
    /// What is at the end of a path, of which some directory is not known.
    fn leap(&self, path: &Path) -> Result<Stat, Self::Stop> {
        self.entry(path)
    }
    /// The text of a link. `None`: nobody knows it, and [`Steps::leap`] is asked where the path ends.
    fn target(&self, link: &Path) -> Result<Option<PathBuf>, Self::Stop>;
    /// Called before a name is looked up in a directory.
    fn search(&self, dir: &Path, stat: &Stat) -> Result<(), Self::Stop>;
    /// Called before the link that ends a path is followed (`dir` holds it).
    fn follow(&self, dir: &Stat, link: &Path, stat: &Stat) -> Result<(), Self::Stop>;
    /// An error that the walk itself finds; `path` is the entry at fault.
    fn stop(&self, errno: Errno, path: &Path) -> Self::Stop;
}

/// A name still to be looked up.
struct Component {
    name: Vec<u8>,
    /// A slash comes after it: it has to be a directory.
    slash: bool,
}

fn components(path: &[u8]) -> Vec<Component> {
    let mut found = Vec::new();
    let mut rest = path;
    while let Some(start) = rest.iter().position(|&byte| byte != b'/') {
        let end = rest[start..].iter().position(|&byte| byte == b'/').map_or(rest.len(), |at| start + at);
        found.push(Component { name: rest[start..end].to_vec(), slash: end < rest.len() });
        rest = &rest[end..];
    }
    found
}

/// How far a walk has come.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    /// The path, free of links.
    pub at: PathBuf,
    /// What is there.
    pub stat: Stat,
    /// Links followed so far.
    links: u32,
}

/// Resolves a path from the root: where it ends, free of links, and what is there. Relative paths count from `/`.
pub(super) fn walk<S: Steps>(steps: &S, path: &Path, follow: Follow) -> Result<(PathBuf, Stat), S::Stop> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.is_empty() {
        return Err(steps.stop(Errno::Enoent, path));
    }
    if bytes.len() > PATH_MAX {
        return Err(steps.stop(Errno::Enametoolong, path));
    }
    let reached = walk_from(steps, root(steps)?, components(bytes).into(), follow)?;
    Ok((reached.at, reached.stat))
}

/// The same walk, begun at the directory that holds the last name, if the way there is known.
pub(super) fn walk_known<S: Steps>(
    steps: &S,
    known: &Directories,
    (fs, who): (&dyn Filesystem, &Identity),
    path: &Path,
    follow: Follow,
) -> Result<(PathBuf, Stat), S::Stop> {
    let Some((directory, last)) = split(path.as_os_str().as_bytes()) else { return walk(steps, path, follow) };
    let directory = match known.enter(fs, who, directory) {
        None => return walk(steps, path, follow),
        Some(Err(denied)) => return Err(steps.stop(denied.errno, &denied.path)),
        Some(Ok(directory)) => directory,
    };
    if last.name.len() <= NAME_MAX {
        let child = child(&directory.at, last.name);
        let stat = steps.entry(&child)?;
        let follows = follow == Follow::Yes || last.slash;
        match stat.kind {
            FileKind::Symlink if follows => {}
            FileKind::Directory => return Ok((child, stat)),
            _ if last.slash => {}
            _ => return Ok((child, stat)),
        }
    }
    let last = Component { name: last.name.to_vec(), slash: last.slash };
    let reached = walk_from(steps, Reached::clone(&directory), [last].into(), follow)?;
    Ok((reached.at, reached.stat))
}

/// The path of a name in a directory.
fn child(directory: &Path, name: &[u8]) -> PathBuf {
    let mut path = PathBuf::with_capacity(directory.as_os_str().len() + 1 + name.len());
    path.push(directory);
    path.push(OsStr::from_bytes(name));
    path
}

/// Where every walk begins.
pub(super) fn root<S: Steps>(steps: &S) -> Result<Reached, S::Stop> {
    let at = PathBuf::from("/");
    Ok(Reached { stat: steps.entry(&at)?, at, links: 0 })
}

/// From a directory into one in it, which has to be a directory that may be searched.
pub(super) fn enter<S: Steps>(steps: &S, from: Reached, name: &[u8]) -> Result<Reached, S::Stop> {
    let name = Component { name: name.to_vec(), slash: true };
    walk_from(steps, from, [name, Component { name: b".".to_vec(), slash: false }].into(), Follow::Yes)
}

fn walk_from<S: Steps>(
    steps: &S,
    from: Reached,
    mut todo: VecDeque<Component>,
    follow: Follow,
) -> Result<Reached, S::Stop> {
    let Reached { mut at, mut stat, mut links } = from;
    while let Some(Component { name, slash }) = todo.pop_front() {
        if stat.kind != FileKind::Directory {
            return Err(steps.stop(Errno::Enotdir, &at));
        }
        steps.search(&at, &stat)?;
        match name.as_slice() {
            b"." => continue,
            b".." => {
                if at.pop() {
                    stat = steps.entry(&at)?;
                }
                continue;
            }
            _ => {}
        }
        let child = at.join(OsStr::from_bytes(&name));
        if name.len() > NAME_MAX {
            return Err(steps.stop(Errno::Enametoolong, &child));
        }
        let last = todo.is_empty();
        let found = match last {
            true => steps.entry(&child)?,
            false => match steps.parent(&child)? {
                Some(found) => found,
                None => return leap(steps, below(child, &todo), todo.back().is_some_and(|end| end.slash), links),
            },
        };
        if found.kind == FileKind::Symlink && (!last || slash || follow == Follow::Yes) {
            links += 1;
            if links > LINKS_MAX {
                return Err(steps.stop(Errno::Eloop, &child));
            }
            if last {
                steps.follow(&stat, &child, &found)?;
            }
            let Some(target) = steps.target(&child)? else {
                return leap(steps, below(child, &todo), todo.back().map_or(slash, |end| end.slash), links);
            };
            let text = target.as_os_str().as_bytes();
            if text.is_empty() {
                return Err(steps.stop(Errno::Enoent, &child));
            }
            if text.starts_with(b"/") {
                at = PathBuf::from("/");
                stat = steps.entry(&at)?;
            }
            let mut expanded = components(text);
            if let Some(end) = expanded.last_mut() {
                end.slash |= slash;
            }
            for component in expanded.into_iter().rev() {
                todo.push_front(component);
            }
            continue;
        }
        if slash && found.kind != FileKind::Directory {
            return Err(steps.stop(Errno::Enotdir, &child));
        }
        at = child;
        stat = found;
    }
    Ok(Reached { at, stat, links })
}

/// The last name of a path, and whether a slash comes after it.
struct Last<'p> {
    name: &'p [u8],
    slash: bool,
}

/// A path as the directory that holds the last name, and that name. `None`: one with `.`, `..` or doubled slashes in it, which
/// is walked as it stands, or one without a name.
fn split(path: &[u8]) -> Option<(&[u8], Last<'_>)> {
    let bare = path.strip_suffix(b"/").unwrap_or(path);
    let slash = memchr::memrchr(b'/', bare)?;
    let plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
    let doubtful = |at: usize| matches!(bare.get(at + 1), None | Some(b'/' | b'.'));
    let mut doubts = memchr::memchr_iter(b'/', bare).filter(|&at| doubtful(at)).peekable();
    let fits = path.len() <= PATH_MAX && path.starts_with(b"/");
    let sound = doubts.peek().is_none() || bare[1..].split(|&byte| byte == b'/').all(plain);
    (fits && sound).then(|| (&bare[..slash], Last { name: &bare[slash + 1..], slash: bare.len() < path.len() }))
}

/// The end of a walk that nobody can follow: what is at `end`, which has to be a directory if a slash comes after it.
fn leap<S: Steps>(steps: &S, end: PathBuf, slash: bool, links: u32) -> Result<Reached, S::Stop> {
    let stat = steps.leap(&end)?;
    if slash && stat.kind != FileKind::Directory {
        return Err(steps.stop(Errno::Enotdir, &end));
    }
    Ok(Reached { at: end, stat, links })
}

/// The path with all names added, `.` and `..` taken as if there were no links.
fn below(mut path: PathBuf, names: &VecDeque<Component>) -> PathBuf {
    for Component { name, .. } in names {
        match name.as_slice() {
            b"." => {}
            b".." => {
                path.pop();
            }
            name => path.push(OsStr::from_bytes(name)),
        }
    }
    path
}

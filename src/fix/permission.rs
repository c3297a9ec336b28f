//! Candidates for a path that the worker may not use: one mode bit at a time, the smallest class of users first.

use std::path::Path;

use super::{Command, Fix, Safety};
use crate::fact::Fact;
use crate::fs::{self, Errno, FileKind, Filesystem};

/// What the worker lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Read a file or list a directory, or search a directory.
    Use,
    /// Create, replace or remove entries.
    Write,
}

/// One `chmod` for each bit that is missing at `path`, to be tried in this order. Nothing where nobody knows the mode.
pub fn candidates(files: &dyn Filesystem, path: &Path, needs: Needs) -> Vec<Fix> {
    let Fact::Known(Ok(stat)) = fs::stat(files, path) else { return Vec::new() };
    let Some(mode) = stat.mode else { return Vec::new() };
    let directory = stat.kind == FileKind::Directory;
    let rights: &[(&str, u32, &str)] = match (needs, directory) {
        (Needs::Write, true) => &[("wx", 3, "change")],
        (Needs::Write, false) => &[("w", 2, "write")],
        (Needs::Use, true) => &[("x", 1, "search"), ("r", 4, "list"), ("rx", 5, "list and search")],
        (Needs::Use, false) => &[("r", 4, "read")],
    };
    let classes = [("u", 6, "its owner"), ("g", 3, "its group"), ("o", 0, "everybody")];
    let mut fixes = Vec::new();
    for (right, bits, verb) in rights {
        for (class, shift, who) in classes {
            let wanted = mode | bits << shift;
            if wanted == mode {
                continue;
            }
            fixes.push(Fix {
                title: format!("let {who} {verb} `{}`", path.display()),
                edits: Vec::new(),
                commands: vec![Command::Chmod {
                    path: path.to_path_buf(),
                    symbolic: format!("{class}+{right}"),
                    mode: wanted,
                }],
                safety: if needs == Needs::Write { Safety::Review } else { Safety::Safe },
                then: None,
            });
        }
    }
    fixes
}

/// A new file for a link that leads in a circle: nobody knows where it was meant to lead.
pub fn relink(files: &dyn Filesystem, link: &Path) -> Vec<Fix> {
    let is_link = matches!(files.lstat(link), Fact::Known(Ok(stat)) if stat.kind == FileKind::Symlink);
    if !is_link || !matches!(fs::stat(files, link), Fact::Known(Err(Errno::Eloop))) {
        return Vec::new();
    }
    linked(link, format!("let the link `{}` lead to a file", link.display()))
}

/// A link to a new file in the place of a FIFO, a socket or a device.
pub fn replace(files: &dyn Filesystem, path: &Path) -> Vec<Fix> {
    let Fact::Known(Ok(stat)) = files.lstat(path) else { return Vec::new() };
    let what = match stat.kind {
        FileKind::Fifo => "FIFO",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
        FileKind::Regular | FileKind::Directory | FileKind::Symlink => return Vec::new(),
    };
    linked(path, format!("put a link to a file in the place of the {what} `{}`", path.display()))
}

/// A new file beside a path, and a link to it in its place.
fn linked(path: &Path, title: String) -> Vec<Fix> {
    let Some(name) = path.file_name() else { return Vec::new() };
    let mut target = name.to_os_string();
    target.push(".target");
    let target = path.with_file_name(target);
    vec![Fix {
        title,
        edits: Vec::new(),
        commands: vec![Command::Touch(target.clone()), Command::Link { target, path: path.to_path_buf() }],
        safety: Safety::Review,
        then: None,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;

    #[test]
    fn a_closed_directory_gets_its_search_bit_first() {
        let files = MemoryFs::new().file("/home/ann/x", "").mode("/home/ann", 0o700);
        let fixes = candidates(&files, Path::new("/home/ann"), Needs::Use);
        let commands: Vec<String> = fixes.iter().map(|fix| fix.commands[0].to_string()).collect();
        assert_eq!(commands[..2], ["chmod g+x '/home/ann'", "chmod o+x '/home/ann'"]);
    }

    #[test]
    fn only_a_circle_is_linked_anew() {
        let files = MemoryFs::new().link("/a", "a").link("/b", "none");
        let fixes = relink(&files, Path::new("/a"));
        assert_eq!(fixes[0].commands[1].to_string(), "ln -sfn '/a.target' '/a'");
        assert!(relink(&files, Path::new("/b")).is_empty());
    }

    #[test]
    fn a_file_of_which_nothing_is_known_gets_no_command() {
        assert!(candidates(&MemoryFs::new(), Path::new("/none"), Needs::Use).is_empty());
    }
}

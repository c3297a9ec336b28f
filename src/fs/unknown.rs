//! No file system at all (`--no-fs`): every question stays open.

use std::path::{Path, PathBuf};

use super::{Errno, Filesystem, Stat};
use crate::fact::{Fact, Question, Subject};

/// Answers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct UnknownFs;

impl Filesystem for UnknownFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        Fact::Unknown(Question::new(Subject::Path(path.to_path_buf())))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        Fact::Unknown(Question::new(Subject::Path(path.to_path_buf())))
    }

    fn read(&self, path: &Path, _: u64) -> Fact<Result<Vec<u8>, Errno>> {
        Fact::Unknown(Question::new(Subject::Content(path.to_path_buf())))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        Fact::Unknown(Question::new(Subject::Entries(dir.to_path_buf())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Disk, FileKind, Follow, Identity};
    use super::*;
    use crate::fact::{Answers, Inquiry};

    #[test]
    fn each_component_is_asked_once_and_the_answers_are_followed() {
        let identity = Identity { uid: 33, gid: 33, groups: vec![], name: "www-data".to_owned() };
        // "/" is there; /a is a directory (alternative 1), /a/b a file (0, assumed).
        let answers = Answers::from([(Subject::Path("/a".into()), 1)]);
        let inquiry = Inquiry::new(&answers);
        let disk = Disk { fs: &UnknownFs, identity: &identity, inquiry: &inquiry };
        assert_eq!(disk.stat(Path::new("/a/b"), Follow::Yes).map(|stat| stat.kind), Ok(FileKind::Regular));
        assert!(disk.open_read(Path::new("/a/b")).is_ok());
        let asked: Vec<Subject> = inquiry.into_asked().into_iter().map(|asked| asked.question.subject).collect();
        let (path, permission) = (|at: &str| Subject::Path(at.into()), |at: &str| Subject::Permission(at.into()));
        assert_eq!(asked, [permission("/"), path("/a"), permission("/a"), path("/a/b"), permission("/a/b")]);
    }
}

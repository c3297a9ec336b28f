//! No file system at all (`--no-fs`): every question stays open.

use std::path::{Path, PathBuf};

use super::{Bytes, Errno, Filesystem, Stat};
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

    fn read(&self, path: &Path, _: u64) -> Fact<Result<Bytes, Errno>> {
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
    fn one_question_about_the_end_of_a_path_stands_for_its_directories() {
        let identity = Identity { uid: 33, gid: 33, groups: vec![], name: "www-data".to_owned() };
        let answers = Answers::new();
        let inquiry = Inquiry::new(&answers);
        let disk = Disk { fs: &UnknownFs, identity: &identity, inquiry: &inquiry };
        assert_eq!(disk.stat(Path::new("/a/b"), Follow::Yes).map(|stat| stat.kind), Ok(FileKind::Regular));
        assert!(disk.open_read(Path::new("/a/b")).is_ok());
        let asked: Vec<Subject> = inquiry.into_asked().into_iter().map(|asked| asked.question.subject).collect();
        assert_eq!(asked, [Subject::Path("/a/b".into()), Subject::Permission("/a/b".into())]);
        // The fourth answer: somewhere above it is closed.
        let answers = Answers::from([(Subject::Path("/a/b".into()), 3)]);
        let inquiry = Inquiry::new(&answers);
        let disk = Disk { fs: &UnknownFs, identity: &identity, inquiry: &inquiry };
        let denied = disk.stat(Path::new("/a/b"), Follow::Yes).expect_err("closed");
        assert_eq!((denied.errno, denied.path.as_path()), (Errno::Eacces, Path::new("/a")));
    }

    #[test]
    fn what_is_neither_file_nor_directory_may_be_a_socket() {
        let identity = Identity { uid: 33, gid: 33, groups: vec![], name: "www-data".to_owned() };
        let odd = (Subject::Path("/a".into()), 3);
        let socket = (Subject::Other("whether /a is a socket".to_owned()), 1);
        for (answers, opened) in
            [(Answers::from([odd.clone()]), Ok(FileKind::Fifo)), (Answers::from([odd, socket]), Err(Errno::Enxio))]
        {
            let inquiry = Inquiry::new(&answers);
            let disk = Disk { fs: &UnknownFs, identity: &identity, inquiry: &inquiry };
            // One that only looks asks no more.
            assert_eq!(disk.stat(Path::new("/a"), Follow::Yes).map(|stat| stat.kind), Ok(FileKind::Fifo));
            assert_eq!(disk.open_read(Path::new("/a")).map(|stat| stat.kind).map_err(|denied| denied.errno), opened);
            assert!(inquiry.into_asked().len() > 1);
        }
    }
}

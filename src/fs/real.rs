//! The file system of this host.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Errno, FileKind, Filesystem, Stat};
use crate::fact::{Fact, Question, Subject};

/// The host. What this process itself may not see is a question, not an error: the server may run as another user.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

/// O_NONBLOCK | O_NOCTTY | O_CLOEXEC on Linux: a FIFO that takes a file's place between look and open does not hang us.
const NEVER_BLOCK: i32 = 0o4000 | 0o400;

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::Other(5), Errno::from_number)
}

/// What the kernel refused to this process is not known to be refused to the worker.
fn fact<T>(result: std::io::Result<T>, subject: impl FnOnce() -> Subject) -> Fact<Result<T, Errno>> {
    match result {
        Ok(value) => Fact::Known(Ok(value)),
        Err(error) => match errno(&error) {
            Errno::Eacces | Errno::Eperm => Fact::Unknown(Question::new(subject())),
            errno => Fact::Known(Err(errno)),
        },
    }
}

impl From<&fs::Metadata> for Stat {
    fn from(metadata: &fs::Metadata) -> Self {
        let kind = metadata.file_type();
        let kind = if kind.is_symlink() {
            FileKind::Symlink
        } else if kind.is_dir() {
            FileKind::Directory
        } else if kind.is_file() {
            FileKind::Regular
        } else if kind.is_fifo() {
            FileKind::Fifo
        } else if kind.is_socket() {
            FileKind::Socket
        } else {
            FileKind::Device
        };
        Stat {
            kind,
            mode: Some(metadata.mode() & 0o7777),
            uid: Some(metadata.uid()),
            gid: Some(metadata.gid()),
            size: Some(metadata.len()),
            mtime: Some(metadata.mtime()),
        }
    }
}

impl Filesystem for RealFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        fact(fs::symlink_metadata(path), || Subject::Path(path.to_path_buf()))
            .map(|found| found.map(|it| Stat::from(&it)))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        fact(fs::read_link(path), || Subject::Path(path.to_path_buf()))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Vec<u8>, Errno>> {
        match fact(fs::metadata(path), || Subject::Content(path.to_path_buf())) {
            Fact::Known(Ok(metadata)) if metadata.is_dir() => return Fact::Known(Err(Errno::Eisdir)),
            Fact::Known(Ok(metadata)) if !metadata.is_file() => return Fact::Known(Err(Errno::NOT_REGULAR)),
            Fact::Known(Ok(metadata)) if metadata.len() > limit => return Fact::Known(Err(Errno::EFBIG)),
            Fact::Known(Ok(_)) => {}
            Fact::Known(Err(errno)) => return Fact::Known(Err(errno)),
            Fact::Unknown(question) => return Fact::Unknown(question),
        }
        let read = || {
            let file = OpenOptions::new().read(true).custom_flags(NEVER_BLOCK).open(path)?;
            let mut bytes = Vec::new();
            if file.metadata()?.is_file() {
                file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        fact(read(), || Subject::Content(path.to_path_buf()))
            .map(|found| found.and_then(|bytes| if bytes.len() as u64 > limit { Err(Errno::EFBIG) } else { Ok(bytes) }))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        let names = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(dir)? {
                names.push(entry?.file_name().into_vec());
            }
            names.sort_unstable();
            Ok(names)
        };
        fact(names(), || Subject::Entries(dir.to_path_buf()))
    }
}

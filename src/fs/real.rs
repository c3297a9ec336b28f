//! The file system of this host.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, lgetxattr};

use super::{Bytes, Errno, FileKind, Filesystem, Stat};
use crate::fact::{Fact, Question, Subject};

/// The host. What this process itself may not see is a question, not an error: the server may run as another user.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

/// A FIFO or a terminal that takes a file's place between look and open neither hangs nor adopts us.
const NEVER_BLOCK: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

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

/// Whether an access control list decides beside the mode (acl(5)). What it grants is not worked out.
fn has_acl(path: &Path) -> bool {
    let mut nothing: [u8; 0] = [];
    lgetxattr(path, "system.posix_acl_access", &mut nothing).is_ok()
}

impl Filesystem for RealFs {
    /// The mode of an entry with an access control list is not known: its group bits are a mask then.
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        let stat = |metadata: fs::Metadata| {
            let stat = Stat::from(&metadata);
            if stat.kind != FileKind::Symlink && has_acl(path) { Stat { mode: None, ..stat } } else { stat }
        };
        fact(fs::symlink_metadata(path), || Subject::Path(path.to_path_buf())).map(|found| found.map(stat))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        fact(fs::read_link(path), || Subject::Path(path.to_path_buf()))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        match fact(fs::metadata(path), || Subject::Content(path.to_path_buf())) {
            Fact::Known(Ok(metadata)) if metadata.is_dir() => return Fact::Known(Err(Errno::Eisdir)),
            Fact::Known(Ok(metadata)) if !metadata.is_file() => return Fact::Known(Err(Errno::NOT_REGULAR)),
            Fact::Known(Ok(metadata)) if metadata.len() > limit => return Fact::Known(Err(Errno::EFBIG)),
            Fact::Known(Ok(_)) => {}
            Fact::Known(Err(errno)) => return Fact::Known(Err(errno)),
            Fact::Unknown(question) => return Fact::Unknown(question),
        }
        let read = || {
            let file = OpenOptions::new().read(true).custom_flags(NEVER_BLOCK.bits().cast_signed()).open(path)?;
            let mut bytes = Vec::new();
            let metadata = file.metadata()?;
            if metadata.is_file() {
                // One byte more than there should be, so that the end shows without growing.
                bytes.reserve_exact(usize::try_from(metadata.len().min(limit)).unwrap_or(0) + 1);
                file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            }
            Ok(bytes)
        };
        fact(read(), || Subject::Content(path.to_path_buf())).map(|found| {
            found.and_then(|bytes| if bytes.len() as u64 > limit { Err(Errno::EFBIG) } else { Ok(bytes.into()) })
        })
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustix::fs::{XattrFlags, setxattr};

    use super::*;

    #[test]
    fn an_access_control_list_makes_the_mode_unknown() {
        let top = tempfile::tempdir().expect("a directory");
        let file = top.path().join("file");
        fs::write(&file, "").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("its owner may");
        let mode = || RealFs.lstat(&file).known().expect("seen").expect("there").mode;
        assert_eq!(mode(), Some(0o640));
        // `setfacl -m u:33:r`: version 2, then tag, permissions and id of owner, user 33, group, mask and other.
        let entries: [(u16, u16, u32); 5] =
            [(1, 6, u32::MAX), (2, 4, 33), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)];
        let mut list = 2u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            list.extend(id.to_le_bytes());
        }
        // A file system without such lists says so, and the mode is the whole truth there.
        let listed = setxattr(&file, "system.posix_acl_access", &list, XattrFlags::empty()).is_ok();
        assert_eq!(mode().is_none(), listed);
    }

    #[test]
    fn only_regular_files_are_read() {
        let top = tempfile::tempdir().expect("a directory");
        assert_eq!(RealFs.read(top.path(), 10), Fact::Known(Err(Errno::Eisdir)));
        assert_eq!(RealFs.read(Path::new("/dev/zero"), 10), Fact::Known(Err(Errno::NOT_REGULAR)));
        assert_eq!(RealFs.read(&top.path().join("no"), 10), Fact::Known(Err(Errno::Enoent)));
        let file = top.path().join("file");
        fs::write(&file, "12345").expect("written");
        assert_eq!(RealFs.read(&file, 4), Fact::Known(Err(Errno::EFBIG)));
        assert_eq!(RealFs.read(&file, 5), Fact::Known(Ok((*b"12345").into())));
    }
}

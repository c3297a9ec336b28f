//! A tree taken along: the tar file that `why403 capture` writes, with a listing of modes and links and a few contents.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::manifest::ManifestFs;
use super::{Bytes, Errno, Filesystem, Stat, real_path};
use crate::fact::Fact;

/// The listing, mtree(5).
pub const LISTING: &str = "manifest.mtree";
/// What was captured and how it is to be read.
pub const ABOUT: &str = "why403.json";
/// Paths at which there was nothing, with a NUL behind each: names that the listing cannot hold.
pub const ABSENT: &str = "absent";
/// Below it lie the contents, at their absolute paths.
pub const CONTENTS: &str = "files";

/// Largest archive member that is read, in bytes.
const MOST: u64 = 256 << 20;

/// The files of an archive.
#[derive(Clone, Debug, Default)]
pub struct ArchiveFs {
    listing: ManifestFs,
    /// By path without links.
    contents: HashMap<PathBuf, Vec<u8>>,
    /// Free of links, too.
    absent: HashSet<PathBuf>,
}

/// Whether bytes begin like a tar file.
pub fn is_archive(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

impl ArchiveFs {
    /// Reads an archive: its files, and the text of its description.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub fn read(archive: impl Read) -> Result<(ArchiveFs, Vec<u8>), String> {
        let broken = |error: std::io::Error| format!("not a readable archive: {error}");
        let (mut listing, mut about, mut contents, mut absent) = (None, None, HashMap::new(), HashSet::new());
        for entry in tar::Archive::new(archive).entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            if entry.size() > MOST {
                return Err("a member of the archive is too large".to_owned());
            }
            let path = entry.path().map_err(broken)?.into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(broken)?;
            if path == Path::new(LISTING) {
                let read = ManifestFs::parse(&bytes, Path::new("/"));
                listing = Some(read.map_err(|error| format!("{LISTING}:{}: {}", error.line, error.message))?);
            } else if path == Path::new(ABOUT) {
                about = Some(bytes);
            } else if path == Path::new(ABSENT) {
                let paths = bytes.split(|&byte| byte == 0).filter(|path| !path.is_empty());
                absent.extend(paths.map(|path| PathBuf::from(OsStr::from_bytes(path))));
            } else if let Ok(below) = path.strip_prefix(CONTENTS) {
                contents.insert(Path::new("/").join(below), bytes);
            }
        }
        match (listing, about) {
            (Some(listing), Some(about)) => Ok((ArchiveFs { listing, contents, absent }, about)),
            _ => Err(format!("no archive of `why403 capture`: {LISTING} or {ABOUT} is missing")),
        }
    }
}

impl Filesystem for ArchiveFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        if self.absent.contains(path) {
            return Fact::Known(Err(Errno::Enoent));
        }
        self.listing.lstat(path)
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.listing.read_link(path)
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        if self.absent.contains(path) {
            return Fact::Known(Err(Errno::Enoent));
        }
        if let Fact::Known(Ok(at)) = real_path(&self.listing, path)
            && let Some(bytes) = self.contents.get(&at)
        {
            return Fact::Known(if bytes.len() as u64 > limit {
                Err(Errno::EFBIG)
            } else {
                Ok(bytes.as_slice().into())
            });
        }
        self.listing.read(path, limit)
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.listing.list(dir)
    }
}

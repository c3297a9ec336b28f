//! A tree below a directory (`--root DIR`: an image, a container's file system, a checkout).

use std::path::{Path, PathBuf};

use super::walk::walk_known;
use super::{AsRoot, Bytes, Directories, Errno, Filesystem, Follow, Identity, Stat, outcome, resolve};
use crate::fact::Fact;

/// Every absolute path, and every absolute link target, is looked up below a directory; `..` never leads out of it.
#[derive(Debug)]
pub struct RootedFs<F> {
    root: PathBuf,
    inner: F,
    known: Option<Directories>,
}

impl<F: Filesystem> RootedFs<F> {
    /// The tree below `root` of `inner`.
    pub fn new(root: &Path, inner: F) -> Self {
        RootedFs { root: root.to_path_buf(), inner, known: None }
    }

    /// Remembers the directories that it was in: for a tree that nobody changes meanwhile.
    pub fn remembering(self) -> Self {
        RootedFs { known: Some(Directories::default()), ..self }
    }

    /// Where an absolute path without links and `..` lies in `inner`.
    fn below(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn at<T>(
        &self,
        path: &Path,
        follow: Follow,
        read: impl FnOnce(&Path) -> Fact<Result<T, Errno>>,
    ) -> Fact<Result<T, Errno>> {
        let free = LinkFree(self);
        let resolved = match &self.known {
            Some(known) => outcome(walk_known(&AsRoot(&free), known, (&free, &Identity::root()), path, follow)),
            None => resolve(&free, path, follow),
        };
        match resolved {
            Fact::Known(Ok((at, _))) => read(&self.below(&at)),
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }
}

/// The same tree for paths that are known to be free of links.
struct LinkFree<'a, F>(&'a RootedFs<F>);

impl<F: Filesystem> Filesystem for LinkFree<'_, F> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        self.0.inner.lstat(&self.0.below(path))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.0.inner.read_link(&self.0.below(path))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        self.0.inner.read(&self.0.below(path), limit)
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.0.inner.list(&self.0.below(dir))
    }
}

impl<F: Filesystem> Filesystem for RootedFs<F> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        self.at(path, Follow::No, |at| self.inner.lstat(at))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.at(path, Follow::No, |at| self.inner.read_link(at))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        self.at(path, Follow::Yes, |at| self.inner.read(at, limit))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.at(dir, Follow::Yes, |at| self.inner.list(at))
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryFs;
    use super::*;

    #[test]
    fn absolute_links_and_dots_stay_inside() {
        let image = MemoryFs::new()
            .file("/img/etc/passwd", "inside")
            .file("/etc/passwd", "outside")
            .link("/img/srv/abs", "/etc/passwd")
            .link("/img/srv/up", "../../../../etc/passwd")
            .link("/img/etc2", "/etc");
        let fs = RootedFs::new(Path::new("/img"), image);
        for path in ["/etc/passwd", "/srv/abs", "/srv/up", "/etc2/passwd", "/../etc/passwd", "/srv/../../etc/passwd"] {
            assert_eq!(fs.read(Path::new(path), 100), Fact::Known(Ok((*b"inside").into())), "{path}");
        }
        assert_eq!(fs.list(Path::new("/etc2")), Fact::Known(Ok(vec![b"passwd".to_vec()])));
        assert_eq!(fs.read_link(Path::new("/etc2")), Fact::Known(Ok("/etc".into())));
        assert_eq!(fs.lstat(Path::new("/img")), Fact::Known(Err(Errno::Enoent)));
    }

    #[test]
    fn what_it_remembers_changes_no_answer() {
        let image = || {
            let tree =
                MemoryFs::new().file("/img/srv/a/b/f", "").link("/img/srv/l", "/srv/a").link("/img/srv/up", "..");
            tree.dir("/img/srv/closed/in").mode("/img/srv/closed", 0)
        };
        let plain = RootedFs::new(Path::new("/img"), image());
        let remembering = RootedFs::new(Path::new("/img"), image()).remembering();
        let paths =
            ["/srv/l/b/f", "/srv/a/b/f", "/srv/up/srv/l", "/srv/a/b/f/x", "/srv/no/x", "/srv/closed/in", "/../srv"];
        for path in paths.iter().chain(paths.iter().rev()).map(Path::new) {
            assert_eq!(plain.lstat(path), remembering.lstat(path), "{}", path.display());
        }
    }

    #[test]
    fn the_host_below_a_directory() {
        let top = tempfile::tempdir().expect("a directory");
        std::fs::write(top.path().join("secret"), "outside").expect("written");
        std::fs::create_dir(top.path().join("img")).expect("made");
        std::os::unix::fs::symlink("../secret", top.path().join("img/link")).expect("linked");
        std::fs::write(top.path().join("img/file"), "inside").expect("written");
        let fs = RootedFs::new(&top.path().join("img"), super::super::real::RealFs);
        assert_eq!(fs.read(Path::new("/link"), 100), Fact::Known(Err(Errno::Enoent)));
        assert_eq!(fs.read(Path::new("/file"), 100), Fact::Known(Ok((*b"inside").into())));
        assert_eq!(fs.read(Path::new("/file"), 5), Fact::Known(Err(Errno::EFBIG)));
        assert_eq!(fs.read(Path::new("/"), 100), Fact::Known(Err(Errno::Eisdir)));
        assert_eq!(fs.read(Path::new("/file/x"), 100), Fact::Known(Err(Errno::Enotdir)));
    }
}

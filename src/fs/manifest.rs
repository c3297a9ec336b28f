//! A listing of a tree (`--manifest FILE`): mtree(5), as bsdtar and FreeBSD's mtree write it.
//!
//! A reader of our own: mtree2, the crate for this format, panics on `/unset` and does not read FreeBSD's tabs.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::{Bytes, Errno, FileKind, Filesystem, Follow, Stat, resolve};
use crate::fact::{Fact, Question, Subject};

/// Modes, owners and links from a listing; contents are questions.
///
/// A directory that is listed is listed completely, unless the word `ignore` stands on its line: then what is not
/// listed below it is a question, as is everything outside of the listed directories.
#[derive(Clone, Debug, Default)]
pub struct ManifestFs {
    nodes: BTreeMap<PathBuf, Node>,
    /// The names in each directory that has any.
    children: HashMap<PathBuf, Vec<Vec<u8>>>,
}

#[derive(Clone, Debug)]
struct Node {
    stat: Stat,
    target: Option<PathBuf>,
    complete: bool,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// Line, from 1; of a continued entry its last one.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// The words of an entry, `/set` ones filled in.
type Keywords = BTreeMap<String, Vec<u8>>;

impl ManifestFs {
    /// Reads a listing. Relative names count from `top`, an absolute path.
    ///
    /// # Errors
    /// The first line that is no entry of mtree(5). Keywords that say nothing about access are skipped.
    pub fn parse(text: &[u8], top: &Path) -> Result<ManifestFs, ManifestError> {
        let mut manifest = ManifestFs::default();
        let mut defaults = Keywords::new();
        let mut entered: Vec<PathBuf> = Vec::new();
        let mut joined: Vec<u8> = Vec::new();
        for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let error = |message: &str| ManifestError { line: index + 1, message: message.to_owned() };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if joined.is_empty() && line.trim_ascii_start().starts_with(b"#") {
                continue;
            }
            joined.extend_from_slice(line);
            if joined.last() == Some(&b'\\') {
                joined.pop();
                joined.push(b' ');
                continue;
            }
            let entry = std::mem::take(&mut joined);
            let mut words = entry.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
            let Some(name) = words.next() else { continue };
            match name {
                b"/set" => defaults.extend(keywords(words)),
                b"/unset" => words.for_each(|word| {
                    defaults.remove(&*String::from_utf8_lossy(word));
                    if word == b"all" {
                        defaults.clear();
                    }
                }),
                b".." if entered.pop().is_none() => return Err(error("`..` without a directory to leave")),
                b".." => {}
                _ => {
                    let mut words_of_entry = defaults.clone();
                    words_of_entry.extend(keywords(words));
                    let name = unvis(name).ok_or_else(|| error("a name with an escape that vis(3) does not know"))?;
                    let node = node(&words_of_entry).map_err(|message| error(&message))?;
                    let is_dir = node.stat.kind == FileKind::Directory;
                    // With a slash it is a full path from the top; without one it lies in the directory last entered.
                    let full = name.contains(&b'/');
                    let here = entered.last().filter(|_| !full).map_or(top, PathBuf::as_path);
                    let path = plain(here, &name);
                    if !full && is_dir {
                        entered.push(path.clone());
                    }
                    manifest.insert(path, node);
                }
            }
        }
        Ok(manifest)
    }

    fn insert(&mut self, path: PathBuf, node: Node) {
        let mut below = path.as_path();
        while let (Some(parent), Some(name)) = (below.parent(), below.file_name()) {
            let names = self.children.entry(parent.to_path_buf()).or_default();
            let name = name.as_bytes().to_vec();
            if let Err(at) = names.binary_search(&name) {
                names.insert(at, name);
            }
            if self.nodes.contains_key(parent) {
                break;
            }
            // A directory that must be there, of which nothing is listed but this.
            let implied = Node { stat: Stat::of(FileKind::Directory), target: None, complete: false };
            self.nodes.insert(parent.to_path_buf(), implied);
            below = parent;
        }
        self.nodes.insert(path, node);
    }

    fn node(&self, path: &Path) -> Fact<Result<&Node, Errno>> {
        if let Some(node) = self.nodes.get(path) {
            return Fact::Known(Ok(node));
        }
        let question = Question::new(Subject::Path(path.to_path_buf()));
        match path.ancestors().skip(1).find_map(|above| self.nodes.get(above)) {
            Some(above) if above.stat.kind != FileKind::Directory => Fact::Known(Err(Errno::Enotdir)),
            Some(above) if above.complete => Fact::Known(Err(Errno::Enoent)),
            _ => Fact::Unknown(question),
        }
    }

    fn resolved<T>(
        &self,
        path: &Path,
        follow: Follow,
        read: impl FnOnce(&Path) -> Fact<Result<T, Errno>>,
    ) -> Fact<Result<T, Errno>> {
        match resolve(&LinkFree(self), path, follow) {
            Fact::Known(Ok((at, _))) => read(&at),
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }
}

fn keywords<'a>(words: impl Iterator<Item = &'a [u8]>) -> Keywords {
    let pair = |word: &'a [u8]| match word.iter().position(|&byte| byte == b'=') {
        Some(at) => (String::from_utf8_lossy(&word[..at]).into_owned(), word[at + 1..].to_vec()),
        None => (String::from_utf8_lossy(word).into_owned(), Vec::new()),
    };
    words.map(pair).collect()
}

fn node(words: &Keywords) -> Result<Node, String> {
    let text = |key: &str| words.get(key).map(|value| String::from_utf8_lossy(value).into_owned());
    let number = |key: &str| match text(key) {
        None => Ok(None),
        Some(value) => value.parse::<u32>().map(Some).map_err(|_| format!("{key}={value} is no number")),
    };
    let kind = match text("type").as_deref() {
        None | Some("file") => FileKind::Regular,
        Some("dir") => FileKind::Directory,
        Some("link") => FileKind::Symlink,
        Some("fifo") => FileKind::Fifo,
        Some("socket") => FileKind::Socket,
        Some("block" | "char") => FileKind::Device,
        Some(other) => return Err(format!("type={other} is no type of mtree(5)")),
    };
    // A symbolic mode depends on what was there before, so it is not known.
    let mode = match text("mode") {
        Some(mode) if mode.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(u32::from_str_radix(&mode, 8).map_err(|_| format!("mode={mode} is not octal"))? & 0o7777)
        }
        _ => None,
    };
    let mtime = text("time").and_then(|time| time.split('.').next().and_then(|seconds| seconds.parse().ok()));
    let target = match words.get("link") {
        Some(link) => {
            let link = unvis(link).ok_or("a link with an escape that vis(3) does not know")?;
            Some(PathBuf::from(OsString::from_vec(link)))
        }
        None => None,
    };
    let size = text("size").and_then(|size| size.parse().ok());
    let stat = Stat { kind, mode, uid: number("uid")?, gid: number("gid")?, size, mtime };
    Ok(Node { stat, target, complete: !words.contains_key("ignore") })
}

/// `name` below `top`, without `.` and `..`.
fn plain(top: &Path, name: &[u8]) -> PathBuf {
    let mut path = if name.starts_with(b"/") { PathBuf::from("/") } else { top.to_path_buf() };
    for part in name.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop();
            }
            _ => path.push(OsStr::from_bytes(part)),
        }
    }
    path
}

/// Undoes vis(3) as far as the writers use it: `\ooo`, `\s`, `\t`, `\n`, `\r`, `\\`, `\#`, and the `\M-x`, `\^x` forms.
fn unvis(text: &[u8]) -> Option<Vec<u8>> {
    let control = |byte: u8| if byte == b'?' { 0x7f } else { byte & 0x1f };
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let (value, length) = match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..]) => {
                ((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'), 4)
            }
            (b'\\', [b'M', b'-', byte, ..]) => (byte | 0x80, 4),
            (b'\\', [b'M', b'^', byte, ..]) => (control(*byte) | 0x80, 4),
            (b'\\', [b'^', byte, ..]) => (control(*byte), 3),
            (b'\\', [escape, ..]) => {
                let value = match escape {
                    b's' => b' ',
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b'0' => 0,
                    b'a' => 7,
                    b'b' => 8,
                    b'v' => 11,
                    b'f' => 12,
                    b'E' => 27,
                    b'\\' | b'#' | b'"' | b'\'' | b'*' | b'?' | b'[' | b'=' | b' ' => *escape,
                    _ => return None,
                };
                (value, 2)
            }
            (b'\\', []) => return None,
            _ => (byte, 1),
        };
        plain.push(value);
        rest = &rest[length..];
    }
    Some(plain)
}

/// The listing for paths that are known to be free of links.
struct LinkFree<'a>(&'a ManifestFs);

impl Filesystem for LinkFree<'_> {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        if path == Path::new("/") && !self.0.nodes.contains_key(path) {
            return Fact::Known(Ok(Stat::of(FileKind::Directory)));
        }
        self.0.node(path).map(|node| node.map(|node| node.stat.clone()))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        match self.0.node(path) {
            Fact::Known(Ok(Node { stat: Stat { kind: FileKind::Symlink, .. }, target, .. })) => match target {
                Some(target) => Fact::Known(Ok(target.clone())),
                None => Fact::Unknown(Question::new(Subject::Path(path.to_path_buf()))),
            },
            Fact::Known(Ok(_)) => Fact::Known(Err(Errno::NOT_REGULAR)),
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }

    fn read(&self, path: &Path, _: u64) -> Fact<Result<Bytes, Errno>> {
        match self.0.node(path) {
            Fact::Known(Ok(node)) => match node.stat.kind {
                FileKind::Directory => Fact::Known(Err(Errno::Eisdir)),
                FileKind::Regular if node.stat.size == Some(0) => Fact::Known(Ok(Bytes::default())),
                FileKind::Regular => Fact::Unknown(Question::new(Subject::Content(path.to_path_buf()))),
                _ => Fact::Known(Err(Errno::NOT_REGULAR)),
            },
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        match self.0.node(dir) {
            Fact::Known(Ok(node)) if node.stat.kind != FileKind::Directory => Fact::Known(Err(Errno::Enotdir)),
            Fact::Known(Ok(node)) if node.complete => {
                Fact::Known(Ok(self.0.children.get(dir).cloned().unwrap_or_default()))
            }
            Fact::Known(Err(errno)) => Fact::Known(Err(errno)),
            _ => Fact::Unknown(Question::new(Subject::Entries(dir.to_path_buf()))),
        }
    }
}

impl Filesystem for ManifestFs {
    fn lstat(&self, path: &Path) -> Fact<Result<Stat, Errno>> {
        self.resolved(path, Follow::No, |at| LinkFree(self).lstat(at))
    }

    fn read_link(&self, path: &Path) -> Fact<Result<PathBuf, Errno>> {
        self.resolved(path, Follow::No, |at| LinkFree(self).read_link(at))
    }

    fn read(&self, path: &Path, limit: u64) -> Fact<Result<Bytes, Errno>> {
        self.resolved(path, Follow::Yes, |at| LinkFree(self).read(at, limit))
    }

    fn list(&self, dir: &Path) -> Fact<Result<Vec<Vec<u8>>, Errno>> {
        self.resolved(dir, Follow::Yes, |at| LinkFree(self).list(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by bsdtar 3.6.2: `--format=mtree`, and with `--options='!all,use-set,type,mode,uid,gid,link'`.
    const BSDTAR: &str = "#mtree
./etc gname=root uname=root time=1795594839.486206066 mode=1777 gid=0 uid=0 type=dir
./srv gname=root uname=root time=1795594839.498206066 mode=755 gid=0 uid=0 type=dir
./srv/index.html gname=www-data uname=www-data time=1795594839.486206066 mode=644 gid=33 uid=33 type=file size=3
./srv/l gname=root uname=root time=1795594839.486206066 mode=777 gid=0 uid=0 type=link link=../etc
./srv/pipe gname=root uname=root time=1795594839.498206066 mode=644 gid=0 uid=0 type=fifo
./srv/a\\040dir gname=root uname=root time=1795594839.486206066 mode=750 gid=0 uid=0 type=dir
./srv/a\\040dir/sub gname=root uname=root time=1795594839.486206066 mode=755 gid=0 uid=0 type=dir
./srv/a\\040dir/sub/\\303\\274\\043x gname=root uname=root time=1795594839.486206066 mode=644 gid=0 uid=0 type=file size=2
";
    const BSDTAR_SET: &str = "#mtree
/set type=file uid=0 gid=0 mode=1777
. mode=755 type=dir
./etc type=dir
/set mode=644
./srv mode=755 type=dir
./srv/index.html gid=33 uid=33 size=3 time=1795594839.0
./srv/l mode=777 type=link link=../etc
./srv/pipe type=fifo
./srv/a\\040dir mode=750 type=dir
./srv/a\\040dir/sub mode=755 type=dir
./srv/a\\040dir/sub/\\303\\274\\043x
";
    /// Written by NetBSD's mtree, which is FreeBSD's too: `mtree -c -p .`.
    const MTREE: &str = "#\t   user: (null)
#\t   tree: /tmp/mt

# .
/set type=file uid=0 gid=0 mode=01777 nlink=1 flags=none
.               type=dir mode=0755 nlink=4 time=1795594839.486206066

# ./etc
etc             type=dir nlink=2 time=1795594839.486206066
# ./etc
..


# ./srv
/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none
srv             type=dir mode=0755 nlink=3 time=1795594839.498206066
    index.html  uid=33 gid=33 size=3 time=1795594839.486206066
    l           type=link mode=0777 time=1795594839.486206066 link=../etc
    pipe        type=fifo time=1795594839.498206066

# ./srv/a dir
/set type=file uid=0 gid=0 mode=0755 nlink=1 flags=none
a\\sdir          type=dir mode=0750 nlink=3 time=1795594839.486206066

# ./srv/a dir/sub
/set type=file uid=0 gid=0 mode=0644 nlink=1 flags=none
sub             type=dir mode=0755 nlink=2 time=1795594839.486206066
    \\M-C\\M-<\\#x size=2 time=1795594839.486206066
# ./srv/a dir/sub
..

# ./srv/a dir
..

# ./srv
..
";

    fn read(text: &str, top: &str) -> ManifestFs {
        ManifestFs::parse(text.as_bytes(), Path::new(top)).expect("a listing")
    }

    fn lstat(fs: &ManifestFs, path: &str) -> Fact<Result<Stat, Errno>> {
        fs.lstat(Path::new(path))
    }

    #[test]
    fn three_writers_say_the_same() {
        for text in [BSDTAR, BSDTAR_SET, MTREE] {
            let fs = read(text, "/top");
            let index = lstat(&fs, "/top/srv/index.html").known().expect("listed").expect("there");
            let expected = Stat {
                kind: FileKind::Regular,
                mode: Some(0o644),
                uid: Some(33),
                gid: Some(33),
                size: Some(3),
                mtime: Some(1_795_594_839),
            };
            assert_eq!(index, expected);
            let mode = |path| lstat(&fs, path).known().expect("listed").expect("there").mode;
            assert_eq!(mode("/top/etc"), Some(0o1777));
            assert_eq!(mode("/top/srv/a dir"), Some(0o750));
            assert_eq!(mode("/top/srv/a dir/sub/ü#x"), Some(0o644));
            assert_eq!(mode("/top/srv/l/."), Some(0o1777));
            assert_eq!(fs.read_link(Path::new("/top/srv/l")), Fact::Known(Ok("../etc".into())));
            assert_eq!(fs.read(Path::new("/top/srv/pipe"), 9), Fact::Known(Err(Errno::NOT_REGULAR)));
            let names = fs.list(Path::new("/top/srv")).known().expect("complete").expect("there");
            assert_eq!(names, [b"a dir".to_vec(), b"index.html".to_vec(), b"l".to_vec(), b"pipe".to_vec()]);
        }
    }

    #[test]
    fn what_was_not_listed_is_absent_or_a_question() {
        let fs = read("./srv type=dir\n./srv/a type=dir ignore\n./srv/a/b type=file size=0\n./srv/f\n", "/");
        assert_eq!(lstat(&fs, "/srv/no"), Fact::Known(Err(Errno::Enoent)));
        assert_eq!(lstat(&fs, "/srv/no/deeper"), Fact::Known(Err(Errno::Enoent)));
        assert_eq!(lstat(&fs, "/srv/f/x"), Fact::Known(Err(Errno::Enotdir)));
        for path in ["/srv/a/c", "/etc", "/etc/passwd"] {
            assert!(matches!(lstat(&fs, path), Fact::Unknown(_)), "{path}");
        }
        assert_eq!(lstat(&fs, "/"), Fact::Known(Ok(Stat::of(FileKind::Directory))));
        assert!(matches!(fs.list(Path::new("/srv/a")), Fact::Unknown(_)));
        assert_eq!(fs.read(Path::new("/srv/a/b"), 9), Fact::Known(Ok(Bytes::default())));
        assert!(matches!(fs.read(Path::new("/srv/f"), 9), Fact::Unknown(_)));
    }

    #[test]
    fn continued_lines_unset_and_symbolic_modes() {
        let fs =
            read("/set uid=5 mode=0600\n./a type=file \\\n    gid=7\n/unset mode\n./b mode=u=rw\n/unset all\n./c", "/");
        let of = |path| lstat(&fs, path).known().expect("listed").map(|stat| (stat.mode, stat.uid, stat.gid));
        assert_eq!(of("/a"), Ok((Some(0o600), Some(5), Some(7))));
        assert_eq!(of("/b"), Ok((None, Some(5), None)));
        assert_eq!(of("/c"), Ok((None, None, None)));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, line) in [("\n..", 2), ("./a type=what", 1), ("./a uid=x", 1), ("./\\q", 1), ("./a mode=9", 1)] {
            assert_eq!(
                ManifestFs::parse(text.as_bytes(), Path::new("/")).map_err(|it| it.line).err(),
                Some(line),
                "{text}"
            );
        }
    }
}

//! Taking a configuration along: its text, and type, mode, owner and links of everything that it could serve, in one
//! archive. Contents go in only where an evaluation reads them: the configuration, `.htaccess`, account and password
//! files, type maps. Private keys never do.
//!
//! Which paths could matter is not worked out, it is over-approximated: every word of the configuration that names
//! something that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fact::Fact;
use crate::fs::archive::{ABOUT, ABSENT, CONTENTS, LISTING};
use crate::fs::{Errno, FileKind, Filesystem, Stat};
use crate::server::{Kind, LoadOptions, Server};

/// The name of this version of the description.
const SCHEMA: &str = "why403/capture/v1";
/// Most entries that are listed.
const MOST_ENTRIES: usize = 500_000;
/// Largest content that is taken, in bytes.
const MOST_CONTENT: u64 = 4 << 20;
/// Directories that a word may name without their whole tree being meant.
const TOO_WIDE: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib64",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/run",
];

/// How a captured configuration is to be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    schema: String,
    /// `nginx` or `apache`.
    pub server: String,
    /// The main file.
    pub config: PathBuf,
    /// `--server-version`, `--modules`, `--prefix`, `-D` and `--worker` as they were given.
    pub version: Option<String>,
    /// See `version`.
    pub modules: Option<String>,
    /// See `version`.
    pub prefix: Option<PathBuf>,
    /// See `version`.
    pub defines: Vec<String>,
    /// See `version`.
    pub worker: Option<String>,
}

impl About {
    /// Reads the description of an archive.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &[u8]) -> Result<About, String> {
        let about: About = serde_json::from_slice(text).map_err(|error| format!("{ABOUT}: {error}"))?;
        if about.schema == SCHEMA { Ok(about) } else { Err(format!("{ABOUT}: {} is not {SCHEMA}", about.schema)) }
    }
}

/// What was found.
pub struct Capture {
    about: About,
    listed: BTreeMap<PathBuf, Listed>,
    contents: BTreeMap<PathBuf, Vec<u8>>,
    /// Names that were looked for in vain, in directories that are not listed whole.
    absent: BTreeSet<PathBuf>,
}

struct Listed {
    stat: Stat,
    target: Option<PathBuf>,
    /// Of a directory: everything in it is listed.
    complete: bool,
}

impl Capture {
    /// Gathers what a loaded configuration names.
    pub fn of(server: &Server, options: &LoadOptions, worker: Option<&str>, fs: &dyn Filesystem) -> Capture {
        let about = About {
            schema: SCHEMA.to_owned(),
            server: server.kind().name().to_owned(),
            config: options.config.clone(),
            version: options.version.clone(),
            modules: options.modules.clone(),
            prefix: options.prefix.clone(),
            defines: options.defines.clone(),
            worker: worker.map(str::to_owned),
        };
        let capture = Capture { about, listed: BTreeMap::new(), contents: BTreeMap::new(), absent: BTreeSet::new() };
        let mut gathering = Gathering { fs, capture, walked: BTreeSet::new() };
        for account in ["/etc/passwd", "/etc/group"] {
            gathering.content(Path::new(account));
        }
        let mut named = BTreeSet::new();
        for (_, file) in server.sources().files() {
            gathering.content(&file.path);
            named.extend(paths(&file.bytes, options));
        }
        for path in &named {
            gathering.named(path);
        }
        // A path may go on where a word ends (an alias without its slash), so what lies beside a named one counts too.
        for directory in named.iter().filter_map(|path| path.parent()).chain([Path::new("/")]) {
            if directory == Path::new("/") || !is_too_wide(directory) {
                gathering.everything_in(directory);
            }
        }
        if server.kind() == Kind::Apache {
            gathering.missing_htaccess(server);
        }
        gathering.capture
    }

    /// How many paths are listed, and the contents of how many files are taken.
    pub fn counts(&self) -> (usize, usize) {
        (self.listed.len(), self.contents.len())
    }

    /// Writes the archive. The same tree gives the same bytes.
    ///
    /// # Errors
    /// Whatever the sink says.
    pub fn write(&self, sink: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(sink);
        let mut member = |name: &Path, bytes: &[u8]| {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o600);
            header.set_size(bytes.len() as u64);
            archive.append_data(&mut header, name, bytes)
        };
        member(Path::new(ABOUT), &serde_json::to_vec_pretty(&self.about)?)?;
        member(Path::new(LISTING), self.listing().as_bytes())?;
        let absent = self.absent.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"]).collect::<Vec<_>>();
        member(Path::new(ABSENT), &absent.concat())?;
        for (path, bytes) in &self.contents {
            member(&Path::new(CONTENTS).join(path.strip_prefix("/").unwrap_or(path)), bytes)?;
        }
        archive.into_inner()?.flush()
    }

    fn listing(&self) -> String {
        let mut text = String::from("#mtree\n");
        for (path, Listed { stat, target, complete }) in &self.listed {
            let kind = match stat.kind {
                FileKind::Regular => "file",
                FileKind::Directory => "dir",
                FileKind::Symlink => "link",
                FileKind::Fifo => "fifo",
                FileKind::Socket => "socket",
                FileKind::Device => "char",
            };
            let _ = write!(text, "./{} type={kind}", vis(path.strip_prefix("/").unwrap_or(path)));
            let words = [("uid", stat.uid.map(u64::from)), ("gid", stat.gid.map(u64::from)), ("size", stat.size)];
            for (word, value) in words.into_iter().filter_map(|(word, value)| Some((word, value?))) {
                if word != "size" || stat.kind == FileKind::Regular {
                    let _ = write!(text, " {word}={value}");
                }
            }
            if let Some(mode) = stat.mode {
                let _ = write!(text, " mode={mode:04o}");
            }
            if let Some(time) = stat.mtime {
                let _ = write!(text, " time={time}.0");
            }
            if let Some(target) = target {
                let _ = write!(text, " link={}", vis(target));
            }
            text.push_str(if stat.kind == FileKind::Directory && !complete { " ignore\n" } else { "\n" });
        }
        text
    }
}

/// A path as one word of mtree(5): bytes that vis(3) encodes as `\ooo`.
fn vis(path: &Path) -> String {
    let mut text = String::new();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'\\' | b'#' | b'*' | b'?' | b'[' | b'=' | ..=b' ' | 0x7f.. => {
                let _ = write!(text, "\\{byte:03o}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// The paths that the words of a text name: absolute ones, and relative ones below what they can be relative to. A word
/// is taken up to its first variable, glob or capture, and then names the directory it begins in.
fn paths(text: &[u8], options: &LoadOptions) -> Vec<PathBuf> {
    let directory = options.config.parent().unwrap_or(Path::new("/"));
    let bases: Vec<&Path> = options.prefix.as_deref().into_iter().chain([directory]).collect();
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b";{}\"'<>,=()|".contains(byte);
    let mut found = Vec::new();
    for word in text.split(ends).filter(|word| !word.is_empty()) {
        let plain = word.iter().position(|byte| b"$*?[%\\^+".contains(byte)).unwrap_or(word.len());
        let mut name = &word[..plain];
        if plain < word.len() {
            name = &name[..name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1)];
        }
        if name.is_empty() {
            continue;
        }
        let path = Path::new(OsStr::from_bytes(name));
        if path.is_absolute() {
            found.push(path.components().collect());
        } else {
            found.extend(bases.iter().map(|base| base.join(path).components().collect::<PathBuf>()));
        }
    }
    found
}

struct Gathering<'a> {
    fs: &'a dyn Filesystem,
    capture: Capture,
    /// Directories of which everything below is listed, or about to be.
    walked: BTreeSet<PathBuf>,
}

impl Gathering<'_> {
    /// A path that a word names: its ancestors, itself, and what lies below it.
    fn named(&mut self, path: &Path) {
        let mut open = self.reach(path, 0).into_iter().collect::<Vec<_>>();
        while let Some(path) = open.pop() {
            let kind = self.capture.listed.get(&path).map(|listed| listed.stat.kind);
            match kind {
                Some(FileKind::Regular) if is_read(&path) => self.content(&path),
                Some(FileKind::Directory) if !is_too_wide(&path) && self.walked.insert(path.clone()) => {
                    open.extend(self.everything_in(&path));
                }
                _ => {}
            }
        }
    }

    /// Lists what is directly in a directory; gives back what has to be looked at in turn.
    fn everything_in(&mut self, directory: &Path) -> Vec<PathBuf> {
        if self.capture.listed.len() >= MOST_ENTRIES || self.reach(directory, 0).as_deref() != Some(directory) {
            return Vec::new();
        }
        let Fact::Known(Ok(names)) = self.fs.list(directory) else { return Vec::new() };
        let mut inside = Vec::new();
        for name in names {
            let path = directory.join(OsStr::from_bytes(&name));
            if is_content(&path) {
                self.content(&path);
            }
            inside.extend(self.reach(&path, 0));
        }
        if let Some(listed) = self.capture.listed.get_mut(directory) {
            listed.complete = true;
        }
        inside
    }

    /// Lists a path with every directory above it, following links; gives back where it leads.
    fn reach(&mut self, path: &Path, links: usize) -> Option<PathBuf> {
        let mut at = PathBuf::new();
        for component in path.components() {
            match component {
                std::path::Component::ParentDir => {
                    at.pop();
                }
                std::path::Component::CurDir => {}
                other => at.push(other),
            }
            let Fact::Known(Ok(stat)) = self.fs.lstat(&at) else { return None };
            let link = stat.kind == FileKind::Symlink;
            let target = if link { self.fs.read_link(&at).known().and_then(Result::ok) } else { None };
            let next = target.as_ref().map(|target| at.parent().unwrap_or(Path::new("/")).join(target));
            self.capture.listed.entry(at.clone()).or_insert(Listed { stat, target, complete: false });
            if link {
                if links >= 40 {
                    return None;
                }
                at = self.reach(&next?, links + 1)?;
            }
        }
        Some(at)
    }

    /// Looks for an `.htaccess` in every directory on a way, as Apache does.
    fn missing_htaccess(&mut self, server: &Server) {
        let mut names = BTreeSet::from([b".htaccess".to_vec()]);
        for (_, file) in server.sources().files() {
            for line in file.bytes.split(|&byte| byte == b'\n') {
                let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
                if words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"AccessFileName")) {
                    names.extend(words.map(<[u8]>::to_vec));
                }
            }
        }
        let partly = |(path, listed): (&PathBuf, &Listed)| {
            (listed.stat.kind == FileKind::Directory && !listed.complete).then(|| path.clone())
        };
        let directories: Vec<PathBuf> = self.capture.listed.iter().filter_map(partly).collect();
        for directory in directories {
            for name in &names {
                let path = directory.join(OsStr::from_bytes(name));
                match self.fs.lstat(&path) {
                    Fact::Known(Err(Errno::Enoent)) => drop(self.capture.absent.insert(path)),
                    Fact::Known(Ok(_)) => self.content(&path),
                    _ => {}
                }
            }
        }
    }

    /// Takes the content of a regular file.
    fn content(&mut self, path: &Path) {
        let Some(at) = self.reach(path, 0) else { return };
        if self.capture.contents.contains_key(&at) || is_secret(&at) {
            return;
        }
        if let Fact::Known(Ok(bytes)) = self.fs.read(&at, MOST_CONTENT) {
            self.capture.contents.insert(at, bytes.to_vec());
        }
    }
}

/// Whether a directory is one of those whose whole tree no word means.
fn is_too_wide(path: &Path) -> bool {
    TOO_WIDE.iter().any(|wide| Path::new(wide) == path)
}

/// Files in a document tree that the servers read to decide.
fn is_content(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
    name.starts_with(b".ht") || name.ends_with(b".var") || name.ends_with(b".asis")
}

/// Files named in a configuration that an evaluation may read: not documents, of which the content decides nothing.
fn is_read(path: &Path) -> bool {
    let documents =
        [&b"html"[..], b"htm", b"php", b"js", b"css", b"png", b"jpg", b"gif", b"ico", b"svg", b"log", b"so", b"pid"];
    let extension = path.extension().map(OsStr::as_bytes).unwrap_or_default();
    !documents.contains(&extension)
}

/// Private keys stay where they are.
fn is_secret(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::as_bytes).unwrap_or_default().to_ascii_lowercase();
    name.ends_with(b".key") || memchr::memmem::find(&name, b"privkey").is_some() || path == Path::new("/etc/shadow")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::archive::ArchiveFs;
    use crate::fs::memory::MemoryFs;
    use crate::fs::stat;
    use crate::server::Kind;

    fn tree() -> MemoryFs {
        MemoryFs::new()
            .file("/etc/passwd", "www-data:x:33:33::/:\n")
            .file("/etc/nginx/nginx.conf", "events {}\nhttp { server { root /srv/a; ssl_certificate_key k.key; } }\n")
            .file("/etc/nginx/k.key", "secret")
            .file("/srv/a/.htaccess", "Require all denied")
            .file("/srv/a/index.html", "text")
            .file("/srv/a/it's = x", "")
            .link("/srv/a/out", "/home/ann/pages")
            .file("/home/ann/pages/p", "")
            .mode("/home/ann", 0o700)
            .file("/srv/other", "")
    }

    #[test]
    fn what_was_captured_is_what_the_archive_says() {
        let fs = tree();
        let options = LoadOptions::new(Path::new("/etc/nginx/nginx.conf"));
        let server = Server::load(Kind::Nginx, &options, &fs);
        let capture = Capture::of(&server, &options, None, &fs);
        let mut bytes = Vec::new();
        capture.write(&mut bytes).expect("memory takes everything");
        assert!(crate::fs::archive::is_archive(&bytes));
        let (archive, about) = ArchiveFs::read(&*bytes).expect("our own archive");
        assert_eq!(About::read(&about).map(|about| about.config), Ok(options.config));
        for path in ["/srv/a", "/srv/a/index.html", "/srv/a/it's = x", "/home/ann", "/home/ann/pages/p", "/etc/nginx"] {
            let path = Path::new(path);
            let access = |fs: &dyn Filesystem| stat(fs, path).map(|it| it.map(|it| (it.kind, it.mode, it.uid, it.gid)));
            assert_eq!(access(&archive), access(&fs), "{}", path.display());
        }
        assert_eq!(archive.read(Path::new("/srv/a/.htaccess"), 99), Fact::Known(Ok((*b"Require all denied").into())));
        // A document's content is nobody's business, a key's even less; what was not listed is a question.
        assert!(matches!(archive.read(Path::new("/srv/a/index.html"), 99), Fact::Unknown(_)));
        assert!(matches!(archive.read(Path::new("/etc/nginx/k.key"), 99), Fact::Unknown(_)));
        assert!(matches!(archive.lstat(Path::new("/srv/other")), Fact::Unknown(_)));
        assert_eq!(archive.lstat(Path::new("/srv/a/none")), Fact::Known(Err(crate::fs::Errno::Enoent)));
    }

    #[test]
    fn words_name_paths_up_to_their_first_variable() {
        let options = LoadOptions::new(Path::new("/etc/nginx/nginx.conf"));
        let found = paths(b"root /srv/$host/www; include sites/*.conf;", &options);
        assert!(found.contains(&PathBuf::from("/srv")));
        assert!(found.contains(&PathBuf::from("/etc/nginx/sites")));
    }
}

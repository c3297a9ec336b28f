//! What the command line names, as configurations to lint: whole ones, fragments in a made-up surrounding, `.htaccess` files,
//! and the output of `nginx -T`.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::fact::Fact;
use crate::fs::overlay::OverlayFs;
use crate::fs::{self, FileKind, Filesystem};
use crate::recognise::{self, Context};
use crate::server::{Kind, LoadOptions};
use crate::source::MAX_FILE;
use crate::{apache, nginx};

/// One configuration to lint.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub kind: Kind,
    /// The file that was named, absolute.
    pub main: PathBuf,
    /// What it is a part of.
    pub context: Context,
    /// How to load it; `config` is the wrapper of a fragment.
    pub options: LoadOptions,
    /// Whether there is a file tree around it.
    pub tree: bool,
    /// Files that are not on the disk: standard input, the wrapper, the files of a dump.
    pub given: BTreeMap<PathBuf, Vec<u8>>,
}

/// What could not become a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The path as named.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// What the options say about every target.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `--server`.
    pub kind: Option<Kind>,
    /// `--context`.
    pub context: Option<Context>,
    /// `--server-version`, `--modules`, `--prefix`, `-D`.
    pub version: Option<String>,
    /// Modules.
    pub modules: Option<String>,
    /// Prefix.
    pub prefix: Option<PathBuf>,
    /// Defines.
    pub defines: Vec<String>,
}

/// The name of a made-up main file; it lies beside the fragment, or beside the main file of its tree, so that relative
/// includes are found.
const WRAPPER: &str = ".why403-wrapper.conf";

impl Target {
    /// Whether only a part of the configuration is known.
    pub fn fragment(&self) -> bool {
        self.context != Context::Main
    }

    /// The made-up main file; findings in it are nobody's.
    pub fn wrapper(&self) -> &Path {
        if self.fragment() { &self.options.config } else { Path::new("") }
    }

    /// The file system with the given files laid over it.
    pub fn filesystem<'a>(&self, fs: &'a dyn Filesystem) -> OverlayFs<'a> {
        let mut overlay = OverlayFs::new(fs);
        for (path, bytes) in &self.given {
            put(&mut overlay, path, bytes);
        }
        overlay
    }

    /// A text as a target: a whole configuration, or a fragment with the context guessed where none is given.
    ///
    /// # Errors
    /// A sentence that says why it cannot be linted.
    pub fn of(path: &Path, text: &[u8], wanted: &Wanted, on_disk: bool) -> Result<Target, String> {
        if let Some(dump) = dump(text) {
            return Ok(Target::whole(Kind::Nginx, &dump.0, wanted, false, dump.1));
        }
        let kind =
            wanted.kind.or_else(|| wanted.context.and_then(Context::kind)).or_else(|| Kind::recognise(path, text));
        let Some(kind) = kind else {
            return Err("neither nginx's nor Apache's grammar shows in it; say `--server nginx` or `--server apache`"
                .to_owned());
        };
        let context = match wanted.context {
            Some(context) => context,
            None => recognise::context(kind, path, text, &allowed),
        };
        if context.kind().is_some_and(|of| of != kind) {
            return Err(format!("`--context {}` is not a context of this server", context.name()));
        }
        let mut given = BTreeMap::new();
        if !on_disk {
            given.insert(path.to_path_buf(), text.to_vec());
        }
        if context == Context::Main {
            return Ok(Target::whole(kind, path, wanted, on_disk, given));
        }
        let dir = path.parent().unwrap_or(Path::new("/"));
        let wrapper = dir.join(WRAPPER);
        given.insert(wrapper.clone(), wrap(context, path, text)?);
        let mut target = Target::whole(kind, path, wanted, on_disk, given);
        target.options.config = wrapper;
        target.context = context;
        if kind == Kind::Apache && target.options.modules.is_none() {
            target.options.modules = Some("all".to_owned());
        }
        Ok(target)
    }

    /// Reads the relative names of a fragment as the innermost of the main files above it would: nginx looks them up
    /// beside its main file, not beside the file that holds them.
    fn belong(&mut self, mains: &[PathBuf]) {
        let above = mains.iter().filter_map(|main| main.parent()).filter(|dir| self.main.starts_with(dir));
        let Some(dir) = above.max_by_key(|dir| dir.as_os_str().len()) else { return };
        if self.kind != Kind::Nginx {
            return;
        }
        if let Some(text) = self.given.remove(&self.options.config) {
            self.options.config = dir.join(WRAPPER);
            self.given.insert(self.options.config.clone(), text);
        }
    }

    fn whole(kind: Kind, path: &Path, wanted: &Wanted, tree: bool, given: BTreeMap<PathBuf, Vec<u8>>) -> Target {
        let options = LoadOptions {
            config: path.to_path_buf(),
            version: wanted.version.clone(),
            modules: wanted.modules.clone(),
            prefix: wanted.prefix.clone(),
            defines: wanted.defines.clone(),
        };
        Target { kind, main: path.to_path_buf(), context: Context::Main, options, tree, given }
    }
}

/// Whether the tables let a directive stand directly in a context.
fn allowed(context: Context, name: &[u8]) -> bool {
    use apache::directives as httpd;
    use nginx::directives::Contexts;
    let nginx = |contexts| nginx::directives::rows(name).iter().any(|row| row.contexts.overlaps(contexts));
    let apache = |mask| httpd::lookup(name).iter().any(|row| row.mask & mask != 0);
    match context {
        Context::Main => true,
        Context::Http => nginx(Contexts::HTTP),
        Context::Server => nginx(Contexts::SERVER),
        Context::Location => nginx(Contexts::LOCATION),
        Context::ServerConfig | Context::Vhost => {
            apache(httpd::RSRC_CONF | httpd::OR_OPTIONS | httpd::OR_FILEINFO | httpd::OR_INDEXES | httpd::EXEC_ON_READ)
        }
        Context::Directory => apache(httpd::OR_ALL | httpd::ACCESS_CONF),
        Context::Htaccess => apache(httpd::OR_ALL),
    }
}

/// Lays a file over a file system, its directories with it.
fn put(overlay: &mut OverlayFs, path: &Path, bytes: &[u8]) {
    // What cannot be laid over (a file where a directory should be) shows when the configuration is read.
    let _ = overlay.mkdir(path.parent().unwrap_or(path));
    let _ = overlay.write(path, bytes);
}

/// A main file that reads the fragment where it belongs.
fn wrap(context: Context, path: &Path, fragment: &[u8]) -> Result<Vec<u8>, String> {
    let name = path.as_os_str().as_bytes();
    if name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'[' | b'"' | b'\\' | b'\n' | b'$')) {
        return Err("its name holds characters that an include would take as a pattern".to_owned());
    }
    let ports = listens(fragment);
    let (before, after): (&str, &str) = match context {
        Context::Main => ("", ""),
        Context::Http => ("events { }\nhttp {\ninclude \"", "\";\n}\n"),
        Context::Server => ("events { }\nhttp {\nserver {\ninclude \"", "\";\n}\n}\n"),
        Context::Location => ("events { }\nhttp {\nserver {\nlocation / {\ninclude \"", "\";\n}\n}\n}\n"),
        Context::ServerConfig => ("DocumentRoot \"/srv/www\"\nInclude \"", "\"\n"),
        Context::Vhost => ("DocumentRoot \"/srv/www\"\n<VirtualHost *>\nInclude \"", "\"\n</VirtualHost>\n"),
        Context::Directory => (
            "DocumentRoot \"/srv/www\"\n<Directory \"/srv/www\">\nAllowOverride None\nInclude \"",
            "\"\n</Directory>\n",
        ),
        Context::Htaccess => {
            let dir = path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
            let file = path.file_name().map_or(&b".htaccess"[..], |name| name.as_bytes());
            let mut text = [ports.as_bytes(), b"AccessFileName \""].concat();
            for part in [
                file,
                b"\"\nDocumentRoot \"",
                dir,
                b"\"\n<Directory \"",
                dir,
                b"\">\nAllowOverride All\n</Directory>\n",
            ] {
                text.extend_from_slice(part);
            }
            return Ok(text);
        }
    };
    let ports = if context.kind() == Some(Kind::Apache) { ports } else { String::new() };
    Ok([ports.as_bytes(), before.as_bytes(), name, after.as_bytes()].concat())
}

/// `Listen` lines for a part of an Apache configuration: the ports of its virtual hosts, else 80; none where it has its own.
fn listens(fragment: &[u8]) -> String {
    let words = |line: &[u8]| -> Vec<String> {
        String::from_utf8_lossy(line).split_whitespace().map(|word| word.trim_end_matches('>').to_owned()).collect()
    };
    let lines = || fragment.split(|&byte| byte == b'\n').map(words);
    if lines().any(|line| line.first().is_some_and(|name| name.eq_ignore_ascii_case("listen"))) {
        return String::new();
    }
    let hosts = lines().filter(|line| line.first().is_some_and(|name| name.eq_ignore_ascii_case("<virtualhost")));
    let mut ports: Vec<u16> = hosts
        .flatten()
        .skip(1)
        .filter_map(|address| address.rsplit_once(':').and_then(|(_, port)| port.parse().ok()))
        .filter(|&port| port != 0)
        .collect();
    ports.push(80);
    ports.sort_unstable();
    ports.dedup();
    ports.iter().map(|port| format!("Listen {port}\n")).collect()
}

/// The files of an `nginx -T` dump, and the first of them, which is the main one.
fn dump(text: &[u8]) -> Option<(PathBuf, BTreeMap<PathBuf, Vec<u8>>)> {
    const MARK: &[u8] = b"# configuration file ";
    let (mut files, mut main, mut current): (BTreeMap<PathBuf, Vec<u8>>, Option<PathBuf>, Option<PathBuf>) =
        Default::default();
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        if let Some(rest) = line.strip_prefix(MARK)
            && let Some(path) = rest.trim_ascii_end().strip_suffix(b":")
            && path.starts_with(b"/")
        {
            let path = PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()));
            main.get_or_insert_with(|| path.clone());
            files.entry(path.clone()).or_default();
            current = Some(path);
        } else if let Some(path) = &current {
            files.entry(path.clone()).or_default().extend_from_slice(line);
        } else if !line.trim_ascii().is_empty() && !line.starts_with(b"nginx:") {
            return None;
        }
    }
    main.map(|main| (main, files))
}

/// Every target that the paths name, and what could not be used. Files are targets by themselves; a directory is searched:
/// main files in it are targets, and so is every other configuration file that none of them reads.
pub fn find(paths: &[PathBuf], wanted: &Wanted, fs: &dyn Filesystem) -> (Vec<Target>, Vec<Unusable>) {
    let (mut targets, mut unusable) = (Vec::new(), Vec::new());
    for path in paths {
        let stat = match fs::stat(fs, path) {
            Fact::Known(Ok(stat)) => stat,
            Fact::Known(Err(errno)) => {
                unusable
                    .push(Unusable { path: path.clone(), why: format!("cannot be opened (error {})", errno.number()) });
                continue;
            }
            Fact::Unknown(_) => {
                unusable.push(Unusable { path: path.clone(), why: "nothing is known of it".to_owned() });
                continue;
            }
        };
        match stat.kind {
            FileKind::Directory => search(path, wanted, fs, &mut targets, &mut unusable),
            FileKind::Regular => match target_of(path, wanted, fs) {
                Ok(target) => targets.push(target),
                Err(why) => unusable.push(Unusable { path: path.clone(), why }),
            },
            _ => unusable.push(Unusable { path: path.clone(), why: "it is no regular file".to_owned() }),
        }
    }
    (targets, unusable)
}

fn target_of(path: &Path, wanted: &Wanted, fs: &dyn Filesystem) -> Result<Target, String> {
    match fs.read(path, MAX_FILE) {
        Fact::Known(Ok(text)) => Target::of(path, &text, wanted, true),
        Fact::Known(Err(errno)) => Err(format!("cannot be read (error {})", errno.number())),
        Fact::Unknown(_) => Err("its content is not known".to_owned()),
    }
}

/// Whether a name in a directory looks like configuration; a named file is taken as it is.
fn looks_like_configuration(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let parent = path.parent().and_then(Path::file_name).unwrap_or_default().as_bytes();
    let of_sites = matches!(parent, b"sites-enabled" | b"sites-available" | b"conf-enabled" | b"conf-available");
    name == b".htaccess"
        || name.ends_with(b".conf")
        || name.ends_with(b".vhost")
        || name.ends_with(b".nginx")
        || (of_sites && !name.ends_with(b"~"))
}

fn search(dir: &Path, wanted: &Wanted, fs: &dyn Filesystem, targets: &mut Vec<Target>, unusable: &mut Vec<Unusable>) {
    let mut files = Vec::new();
    // `.gitignore` is what keeps vendored and generated trees out; hidden files stay in for the sake of `.htaccess`.
    let walk = ignore::WalkBuilder::new(dir)
        .hidden(false)
        .follow_links(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    for entry in walk {
        match entry {
            Ok(entry) if looks_like_configuration(entry.path()) => {
                // A link in sites-enabled is the site; anything else that is not regular is left alone.
                if let Fact::Known(Ok(stat)) = fs::stat(fs, entry.path())
                    && stat.kind == FileKind::Regular
                {
                    files.push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => unusable.push(Unusable { path: dir.to_path_buf(), why: error.to_string() }),
        }
    }
    files.sort();
    let mut fragments = Vec::new();
    let mut read = Vec::new();
    for file in files {
        match target_of(&file, wanted, fs) {
            Ok(target) if target.context == Context::Main => {
                let server = crate::server::Server::load(target.kind, &target.options, fs);
                read.extend(server.sources().files().map(|(_, file)| file.path.clone()));
                targets.push(target);
            }
            Ok(target) => fragments.push(target),
            Err(_) => {}
        }
    }
    let mains: Vec<PathBuf> =
        targets.iter().filter(|target| !target.fragment()).map(|main| main.main.clone()).collect();
    fragments.retain(|fragment| !read.contains(&fragment.main) && !linked(&fragment.main, &read, fs));
    fragments.iter_mut().for_each(|fragment| fragment.belong(&mains));
    targets.append(&mut fragments);
}

/// Whether a file is one of those read under another name (`sites-available/x` through `sites-enabled/x`).
fn linked(path: &Path, read: &[PathBuf], fs: &dyn Filesystem) -> bool {
    let real = |path: &Path| match fs::real_path(fs, path) {
        Fact::Known(Ok(path)) => Some(path),
        _ => None,
    };
    let Some(here) = real(path) else { return false };
    read.iter().any(|other| real(other).as_ref() == Some(&here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_split_into_its_files() {
        let text = b"nginx: the configuration file ok\n# configuration file /etc/nginx/nginx.conf:\nhttp { include x; }\n\n# configuration file /etc/nginx/x:\nserver { }\n";
        let (main, files) = dump(text).expect("a dump");
        assert_eq!(main, Path::new("/etc/nginx/nginx.conf"));
        assert_eq!(files[Path::new("/etc/nginx/x")], b"server { }\n");
        assert!(dump(b"server { }\n").is_none());
    }
}

//! Which server, with which configuration, in which file system: the options that every command shares.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::Failure;
use crate::capture::About;
use crate::fact::Fact;
use crate::fs::archive::{ArchiveFs, is_archive};
use crate::fs::cached::CachedFs;
use crate::fs::manifest::ManifestFs;
use crate::fs::real::RealFs;
use crate::fs::rooted::RootedFs;
use crate::fs::unknown::UnknownFs;
use crate::fs::{FileKind, Filesystem, Identity};
use crate::identity::Accounts;
use crate::server::{Kind, LoadOptions, Server};
use crate::source::MAX_FILE;

/// Where the main file usually lies, with the server it belongs to.
const USUAL_PLACES: &[(&str, Kind)] = &[
    ("/etc/nginx/nginx.conf", Kind::Nginx),
    ("/usr/local/etc/nginx/nginx.conf", Kind::Nginx),
    ("/usr/local/nginx/conf/nginx.conf", Kind::Nginx),
    ("/opt/homebrew/etc/nginx/nginx.conf", Kind::Nginx),
    ("/etc/apache2/apache2.conf", Kind::Apache),
    ("/etc/apache2/httpd.conf", Kind::Apache),
    ("/etc/httpd/conf/httpd.conf", Kind::Apache),
    ("/usr/local/apache2/conf/httpd.conf", Kind::Apache),
    ("/usr/local/etc/apache24/httpd.conf", Kind::Apache),
    ("/opt/homebrew/etc/httpd/httpd.conf", Kind::Apache),
];

/// The server asked about.
#[derive(Debug, Clone, Args)]
pub struct ServerOptions {
    /// Main configuration file, or an archive of `why403 capture`; without it the usual places are tried
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which server; recognised from the file when not given
    #[arg(long, value_enum)]
    pub server: Option<ServerName>,
    /// Version whose behaviour is followed (nginx 1.22.1, 1.31.3; Apache 2.4.71); the newest known by default
    #[arg(long, value_name = "V")]
    pub server_version: Option<String>,
    /// Modules that exist: a profile (debian-nginx-full-1.22.1, static-1.31.3) or a comma-separated list
    #[arg(long, value_name = "PROFILE|LIST")]
    pub modules: Option<String>,
    /// What relative paths are relative to: nginx -p, Apache -d
    #[arg(long, value_name = "DIR")]
    pub prefix: Option<PathBuf>,
    /// Define a name, as Apache's -D
    #[arg(short = 'D', value_name = "NAME")]
    pub define: Vec<String>,
    /// Look every absolute path up below this directory (an image, a checkout)
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Take types, modes, owners and links from this mtree(5) listing instead of looking at files
    #[arg(long, value_name = "FILE", conflicts_with = "no_fs")]
    pub manifest: Option<PathBuf>,
    /// Look at no file but the configuration: every other is a question
    #[arg(long)]
    pub no_fs: bool,
    /// The worker's identity instead of the configuration's
    #[arg(long, value_name = "USER[:GROUP]")]
    pub worker: Option<String>,
}

/// The name of a server on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServerName {
    /// nginx.
    Nginx,
    /// Apache httpd.
    #[value(alias = "httpd", alias = "apache2")]
    Apache,
}

impl From<ServerName> for Kind {
    fn from(name: ServerName) -> Kind {
        match name {
            ServerName::Nginx => Kind::Nginx,
            ServerName::Apache => Kind::Apache,
        }
    }
}

/// What is read on behalf of one invocation, and from where.
pub struct Ground {
    /// The configuration is read from here.
    loading: Box<dyn Filesystem>,
    /// The server sees this while it serves, where it is another tree.
    serving: Option<Box<dyn Filesystem>>,
    /// How a captured configuration is to be loaded.
    captured: Option<About>,
}

impl Ground {
    /// The file system that the configuration is read from.
    pub fn loading(&self) -> &dyn Filesystem {
        &*self.loading
    }

    /// The file system that the server sees while it serves.
    pub fn serving(&self) -> &dyn Filesystem {
        self.serving.as_deref().unwrap_or(&*self.loading)
    }
}

/// Whether files may change between two questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Nobody waits for an answer before asking the next question: each file is looked at once.
    Still,
    /// Whoever asks may change files between questions: every question looks anew.
    Moving,
}

impl ServerOptions {
    /// The file systems that these options name.
    pub fn ground(&self, files: Files) -> Result<Ground, Failure> {
        let host = || -> Result<Box<dyn Filesystem>, Failure> {
            let Some(root) = &self.root else { return Ok(Box::new(RealFs)) };
            let tree = RootedFs::new(&absolute(root)?, RealFs);
            Ok(Box::new(if files == Files::Still { tree.remembering() } else { tree }))
        };
        let (loading, captured): (Box<dyn Filesystem>, _) = match (self.archive()?, files) {
            (Some((archive, about)), _) => (Box::new(archive), Some(about)),
            (None, Files::Still) => (Box::new(CachedFs::new(host()?)), None),
            (None, Files::Moving) => (host()?, None),
        };
        let serving: Option<Box<dyn Filesystem>> = match &self.manifest {
            _ if self.no_fs => Some(Box::new(UnknownFs)),
            Some(path) => Some(Box::new(self.manifest(path)?)),
            None => None,
        };
        Ok(Ground { loading, serving, captured })
    }

    /// What `--config` names, where it is an archive of `why403 capture`.
    fn archive(&self) -> Result<Option<(ArchiveFs, About)>, Failure> {
        let Some(path) = self.config.as_deref().filter(|path| path.is_file()) else { return Ok(None) };
        let unreadable = |error: std::io::Error| Failure(format!("{}: {error}", path.display()));
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut head = Vec::with_capacity(512);
        file.by_ref().take(512).read_to_end(&mut head).map_err(unreadable)?;
        if !is_archive(&head) {
            return Ok(None);
        }
        let whole = std::io::Cursor::new(head).chain(std::io::BufReader::new(file));
        let read = ArchiveFs::read(whole).and_then(|(archive, about)| Ok((archive, About::read(&about)?)));
        read.map(Some).map_err(|error| Failure(format!("{}: {error}", path.display())))
    }

    fn manifest(&self, path: &Path) -> Result<ManifestFs, Failure> {
        let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        ManifestFs::parse(&text, Path::new("/"))
            .map_err(|error| format!("{}:{}: {}", path.display(), error.line, error.message).into())
    }

    /// Reads the configuration. The options say how, to read a changed one again.
    pub fn load(&self, ground: &Ground) -> Result<(Server, LoadOptions), Failure> {
        let fs = ground.loading();
        if let Some(about) = &ground.captured {
            let kind = if about.server == Kind::Nginx.name() { Kind::Nginx } else { Kind::Apache };
            let options = LoadOptions {
                config: about.config.clone(),
                version: self.server_version.clone().or_else(|| about.version.clone()),
                modules: self.modules.clone().or_else(|| about.modules.clone()),
                prefix: about.prefix.clone(),
                defines: if self.define.is_empty() { about.defines.clone() } else { self.define.clone() },
            };
            return Ok((Server::load(kind, &options, fs), options));
        }
        let (config, found) = match &self.config {
            Some(config) => (self.below_root(absolute(config)?, fs)?, None),
            None => self.search(fs)?,
        };
        let kind = match self.server.map(Kind::from).or(found) {
            Some(kind) => kind,
            None => recognise(&config, fs)?,
        };
        let options = LoadOptions {
            version: self.server_version.clone(),
            modules: self.modules.clone(),
            prefix: self.prefix.as_deref().map(absolute).transpose()?,
            defines: self.define.clone(),
            ..LoadOptions::new(&config)
        };
        Ok((Server::load(kind, &options, fs), options))
    }

    /// The main file as the server below `--root` would name it: a path into the tree is taken as one, any other has to be
    /// there when looked up below it.
    fn below_root(&self, config: PathBuf, fs: &dyn Filesystem) -> Result<PathBuf, Failure> {
        let Some(root) = &self.root else { return Ok(config) };
        let root = absolute(root)?;
        match config.strip_prefix(&root) {
            Ok(inside) => Ok(Path::new("/").join(inside)),
            Err(_) if is_file(fs, &config) => Ok(config),
            Err(_) => Err(format!("{} lies neither below {} nor in it", config.display(), root.display()).into()),
        }
    }

    /// The worker identity of `--worker`. A user of whom only the name is known makes permissions a question.
    pub fn worker(&self, ground: &Ground) -> Option<Identity> {
        let captured = ground.captured.as_ref().and_then(|about| about.worker.as_deref());
        let option = self.worker.as_deref().or(captured)?;
        Some(match Accounts::read(ground.loading()).worker(option) {
            Fact::Known(identity) => identity,
            Fact::Unknown(_) => Identity::unknown(option),
        })
    }

    /// The one main file in the usual places.
    ///
    /// # Errors
    /// None or several lie there.
    pub fn usual_place(&self, fs: &dyn Filesystem) -> Result<PathBuf, Failure> {
        Ok(self.search(fs)?.0)
    }

    /// The one main file in the usual places, with its server.
    fn search(&self, fs: &dyn Filesystem) -> Result<(PathBuf, Option<Kind>), Failure> {
        let wanted = self.server.map(Kind::from);
        let found: Vec<(&str, Kind)> = USUAL_PLACES
            .iter()
            .filter(|(path, kind)| wanted.is_none_or(|wanted| wanted == *kind) && is_file(fs, Path::new(path)))
            .copied()
            .collect();
        match found.as_slice() {
            [(path, kind)] => Ok((PathBuf::from(path), Some(*kind))),
            [] => {
                let tried: Vec<&str> = USUAL_PLACES.iter().map(|(path, _)| *path).collect();
                Err(format!(
                    "no configuration in the usual places; name one with --config\n  tried {}",
                    tried.join(", ")
                )
                .into())
            }
            several => {
                let paths: Vec<&str> = several.iter().map(|(path, _)| *path).collect();
                Err(format!("found {}; name one with --config or --server", paths.join(" and ")).into())
            }
        }
    }
}

fn is_file(fs: &dyn Filesystem, path: &Path) -> bool {
    matches!(crate::fs::stat(fs, path), Fact::Known(Ok(stat)) if stat.kind == FileKind::Regular)
}

/// The server that a main file is for. A file that cannot be read is an answer later on, not an error here, as long as
/// somebody says for which server it is.
fn recognise(config: &Path, fs: &dyn Filesystem) -> Result<Kind, Failure> {
    let text = match fs.read(config, MAX_FILE) {
        Fact::Known(Ok(text)) => text,
        Fact::Known(Err(errno)) => return Err(format!("cannot read {}: {errno}", config.display()).into()),
        Fact::Unknown(_) => return Err(format!("cannot read {}: permission denied", config.display()).into()),
    };
    Kind::recognise(config, &text).ok_or_else(|| {
        format!("{} could be for either server; say --server nginx or --server apache", config.display()).into()
    })
}

/// Relative paths are relative to the current directory. `.` and `..` at the front are resolved, links are not.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure(format!("{}: {error}", path.display())))
}

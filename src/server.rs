//! The one place where it matters which server is asked.

use std::path::{Path, PathBuf};

use crate::fs::Filesystem;
use crate::outcome::Run;
use crate::problem::Problem;
use crate::request::Request;
use crate::source::SourceMap;
use crate::world::World;
use crate::{apache, nginx};

/// Which server a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
}

/// How to load a configuration (contract, "Asking").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The main file, absolute.
    pub config: PathBuf,
    /// The version whose behaviour is followed (`1.22.1`); `None`: the newest known.
    pub version: Option<String>,
    /// `--modules`: a profile's name or a comma-separated list; `None`: the server's default.
    pub modules: Option<String>,
    /// `--prefix`: nginx `-p`, Apache `-d`.
    pub prefix: Option<PathBuf>,
    /// `-D NAME`: Apache's defines.
    pub defines: Vec<String>,
}

impl LoadOptions {
    /// The defaults for this main file.
    pub fn new(config: &Path) -> Self {
        LoadOptions { config: config.to_path_buf(), version: None, modules: None, prefix: None, defines: Vec::new() }
    }
}

/// A loaded configuration. Loading never fails: what the server would refuse is in [`Server::problems`].
#[derive(Debug)]
pub enum Server {
    /// nginx.
    Nginx(nginx::Config),
    /// Apache httpd.
    Apache(apache::Config),
}

impl Server {
    /// Reads the configuration and everything it includes.
    pub fn load(kind: Kind, options: &LoadOptions, fs: &dyn Filesystem) -> Server {
        match kind {
            Kind::Nginx => Server::Nginx(nginx::load(options, fs)),
            Kind::Apache => Server::Apache(apache::load(options, fs)),
        }
    }

    /// One run: pure, without IO of its own.
    pub fn evaluate(&self, request: &Request, world: &World) -> Run {
        match self {
            Server::Nginx(config) => nginx::evaluate(config, request, world),
            Server::Apache(config) => apache::evaluate(config, request, world),
        }
    }

    /// The text of every file read.
    pub fn sources(&self) -> &SourceMap {
        match self {
            Server::Nginx(config) => &config.sources,
            Server::Apache(config) => &config.sources,
        }
    }

    /// Every problem, in the order in which the server meets them.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Server::Nginx(config) => &config.problems,
            Server::Apache(config) => &config.problems,
        }
    }
}

//! nginx: load, evaluate, explain.

pub mod base64;
pub mod build;
pub mod complex;
pub mod directives;
pub mod explain;
pub mod filters;
pub mod include;
pub mod inet;
pub mod lex;
pub mod listen;
pub mod location;
pub mod mapping;
pub mod model;
pub mod parse;
pub mod phases;
pub mod realip;
pub mod request;
pub mod script;
pub mod tables;
pub mod uri;
pub mod variables;
pub mod version;

use crate::fs::Filesystem;
use crate::outcome::{Outcome, Run, Seen};
use crate::problem::Problem;
use crate::request::Request;
use crate::server::LoadOptions;
use crate::source::SourceMap;
use crate::world::World;

/// A loaded configuration.
#[derive(Debug, Default)]
pub struct Config {
    /// The `http` block.
    pub http: Option<model::Http>,
    /// What relative paths of `root`, `alias` and the like are below (`-p`).
    pub prefix: Box<[u8]>,
    /// What relative paths of password files and the like are below: the main file's directory.
    pub conf_prefix: Box<[u8]>,
    /// The text of every file read.
    pub sources: SourceMap,
    /// Every problem, in the order in which the server meets them.
    pub problems: Vec<Problem>,
}

/// Reads the main file and everything it includes.
pub fn load(_options: &LoadOptions, _fs: &dyn Filesystem) -> Config {
    Config::default()
}

/// Evaluates one request.
pub fn evaluate(_config: &Config, _request: &Request, _world: &World) -> Run {
    Run {
        outcome: Outcome::Unknown,
        decision: None,
        location: None,
        seen: Seen::default(),
        trace: Vec::new(),
        asked: Vec::new(),
        notes: Vec::new(),
    }
}

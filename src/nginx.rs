//! nginx: load, evaluate, explain.

pub mod build;
pub mod directives;
pub mod explain;
pub mod include;
pub mod lex;
pub mod parse;
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

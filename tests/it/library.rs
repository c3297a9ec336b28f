//! A laid-out case asked through the library, for tests that look at more than the program shows.

use std::path::Path;

use serde_json::Value;
use why403::ask;
use why403::explain::{Answer, Bench, Fields};
use why403::fact::{Answers, Fact};
use why403::fs::real::RealFs;
use why403::fs::{Filesystem, Identity};
use why403::identity::Accounts;
use why403::request::Request;
use why403::server::{Kind, LoadOptions, Server};
use why403::world::{NoResolver, World};

use crate::case::Case;
use crate::cases;

/// A case's configuration, loaded from the disk.
pub struct Loaded {
    pub server: Server,
    options: LoadOptions,
}

impl Loaded {
    /// Loads the case that lies at `root`.
    pub fn new(case: &Case, root: &Path) -> Loaded {
        Loaded::from(case, root, &RealFs)
    }

    /// Loads it from what `loading` knows.
    pub fn from(case: &Case, root: &Path, loading: &dyn Filesystem) -> Loaded {
        let version = cases::version(case);
        let options = LoadOptions {
            version: version.strip_prefix("nginx/").map(str::to_owned),
            prefix: Some(root.to_path_buf()),
            ..LoadOptions::new(&root.join(case.config()))
        };
        let kind = if case.about.server == "nginx" { Kind::Nginx } else { Kind::Apache };
        Loaded { server: Server::load(kind, &options, loading), options }
    }

    /// Answers a request; `fs` tells what the server meets while it serves.
    pub fn explain(&self, request: &Request, fs: &dyn Filesystem, worker: Option<&Identity>, fields: Fields) -> Answer {
        let answers = Answers::new();
        let world = World { fs, worker, resolver: &NoResolver, now: None, answers: &answers, trace: false };
        let bench = Bench { server: &self.server, options: &self.options, loading: &RealFs, world };
        bench.explain(request, fields)
    }
}

/// The request of a line. `None`: it cannot be asked.
pub fn request(line: &Value) -> Option<Request> {
    let line = line.to_string();
    let pem = |path: &str| std::fs::read(path).map_err(|error| error.to_string());
    ask::read(&line).and_then(|question| ask::request(&question, pem)).ok()
}

/// The worker that a case names.
pub fn worker(case: &Case) -> Option<Identity> {
    let name = case.about.worker.as_deref()?;
    Some(match Accounts::read(&RealFs).worker(name) {
        Fact::Known(identity) => identity,
        Fact::Unknown(_) => Identity::unknown(name),
    })
}

//! From facts to sentences: what decided a request, and the rule of nginx behind it.
//!
//! One file a phase, as in `phases/`; `steps.rs` words the trace, `fixes.rs` proposes changes.

mod access;
mod content;
mod errors;
mod fixes;
mod request;
mod rewrite;
mod steps;

pub use fixes::fixes;
pub use steps::step;

use std::path::Path;

use super::Config;
use super::model::{LocConf, Location};
use crate::outcome::{Decision, Outcome, Run};
use crate::sentence::{Sentences, shown, ticked};
use crate::server::Kind;
use crate::source::Origin;

/// What decided, and the rule of the server behind it.
pub fn describe(config: &Config, run: &Run, decision: &Decision) -> Sentences {
    let teller = Teller { config, run, decision };
    let told = access::tell(&teller)
        .or_else(|| content::tell(&teller))
        .or_else(|| rewrite::tell(&teller))
        .or_else(|| errors::tell(&teller))
        .or_else(|| request::tell(&teller));
    told.unwrap_or_else(|| Sentences { what: teller.summary(), why: Vec::new() })
}

/// What every sentence is made from.
struct Teller<'a> {
    config: &'a Config,
    run: &'a Run,
    decision: &'a Decision,
}

impl Teller<'_> {
    /// The code of the cause without its prefix.
    fn code(&self) -> &'static str {
        let code = self.decision.cause.code;
        code.strip_prefix("nginx/").unwrap_or(code)
    }

    /// The cause's own sentence, led by the directive.
    fn summary(&self) -> String {
        let summary = self.decision.cause.summary;
        match self.decision.directive {
            Some(origin) => format!("{}: {summary}", self.directive(origin)),
            None => summary.to_owned(),
        }
    }

    /// A directive as it is written, on one line and in backticks; of a block its head.
    fn directive(&self, origin: Origin) -> String {
        let head = Kind::Nginx.head(self.config.loaded.sources.text(origin.span));
        let head = head.strip_suffix(b"{").map_or(head, <[u8]>::trim_ascii_end);
        ticked(head.strip_suffix(b";").unwrap_or(head))
    }

    /// The deciding directive.
    fn decider(&self) -> String {
        self.decision.directive.map_or_else(|| "nginx".to_owned(), |origin| self.directive(origin))
    }

    /// The related place with this role.
    fn related(&self, role: &str) -> Option<Origin> {
        self.decision.related.iter().find(|related| related.role == role).map(|related| related.origin)
    }

    /// The line of a place, as in `line 12`.
    fn line(&self, origin: Origin) -> String {
        format!("line {}", self.config.loaded.sources.start(origin.span).line)
    }

    fn client(&self) -> String {
        self.run.seen.client()
    }

    /// The inode at fault, else the file that the request was mapped to.
    fn path(&self) -> String {
        let path = self.decision.path.as_deref().or(self.run.seen.file.as_deref());
        path.map_or_else(|| "the file".to_owned(), quoted)
    }

    /// The status of the answer.
    fn status(&self) -> u16 {
        match self.run.outcome {
            Outcome::Response(status) => status,
            _ => 0,
        }
    }

    /// The worker, by name.
    fn worker(&self) -> String {
        match &self.config.worker {
            crate::fact::Fact::Known(identity) => identity.name.clone(),
            crate::fact::Fact::Unknown(_) => "the worker".to_owned(),
        }
    }

    /// The record of the location at this place, and of the server around it.
    fn records(&self, location: Origin) -> Option<(&LocConf, &LocConf)> {
        let chosen = self.run.seen.server;
        let servers = self.config.http.iter().flat_map(|http| &http.servers);
        let servers = servers.filter(|server| chosen.is_none_or(|origin| origin == server.origin));
        servers.filter_map(|server| Some((&find(&server.locations.all, location)?.conf, &server.conf))).next()
    }
}

/// The location of this place, among these and those inside them.
fn find(locations: &[Location], origin: Origin) -> Option<&Location> {
    locations.iter().find_map(|location| {
        if location.origin == origin { Some(location) } else { find(&location.locations.all, origin) }
    })
}

fn quoted(path: &Path) -> String {
    crate::sentence::path(path)
}

/// A path of the request, in backticks.
fn uri(run: &Run) -> String {
    run.seen.path.as_deref().map_or_else(|| "the request".to_owned(), |path| format!("`{}`", shown(path)))
}

fn sentences<const N: usize>(what: String, why: [String; N]) -> Option<Sentences> {
    Some(Sentences { what, why: why.into_iter().filter(|reason| !reason.is_empty()).collect() })
}

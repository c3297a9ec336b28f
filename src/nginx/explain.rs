//! From facts to sentences: what decided a request, and why.

mod fixes;

pub use fixes::fixes;

use super::Config;
use crate::outcome::{Decision, Run};
use crate::sentence::{Sentences, ticked};
use crate::server::Kind;
use crate::source::Origin;
use crate::trace::nginx::Event as NginxEvent;
use crate::trace::{Event, Step};

/// What decided, and the rule of the server behind it.
pub fn describe(config: &Config, _run: &Run, decision: &Decision) -> Sentences {
    let summary = decision.cause.summary;
    let what = match decision.directive {
        Some(origin) => format!("{}: {summary}", directive(config, origin)),
        None => summary.to_owned(),
    };
    let why = decision.event.iter().filter_map(sentence).collect();
    Sentences { what, why }
}

/// One step of a trace.
pub fn step(config: &Config, step: &Step) -> String {
    sentence(&step.event).unwrap_or_else(|| match step.origin {
        Some(origin) => format!("{} was consulted", directive(config, origin)),
        None => format!("the {} phase was entered", step.phase),
    })
}

fn sentence(event: &Event) -> Option<String> {
    match event {
        Event::Nginx(NginxEvent::Note(note)) => Some(note.clone()),
        _ => None,
    }
}

fn directive(config: &Config, origin: Origin) -> String {
    ticked(Kind::Nginx.head(config.sources.text(origin.span)))
}

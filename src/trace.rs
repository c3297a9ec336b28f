//! What a run consulted, in order: typed facts that `explain` turns into sentences.
//!
//! The two vocabularies name what either server can say and import neither.

use crate::source::Origin;

pub mod apache;
pub mod nginx;

/// One fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Said by the nginx evaluator.
    Nginx(nginx::Event),
    /// Said by the Apache evaluator.
    Apache(apache::Event),
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The phase or hook, in the server's own name.
    pub phase: &'static str,
    /// The directive consulted.
    pub origin: Option<Origin>,
    /// What was found.
    pub event: Event,
}

/// The steps of a run; records nothing unless asked to.
#[derive(Debug, Default)]
pub struct Trace {
    steps: Option<Vec<Step>>,
}

impl Trace {
    /// A trace that records, or one that does not.
    pub fn new(record: bool) -> Self {
        Trace { steps: record.then(Vec::new) }
    }

    /// Adds a step; the event is made only when somebody listens.
    pub fn push(&mut self, phase: &'static str, origin: Option<Origin>, event: impl FnOnce() -> Event) {
        if let Some(steps) = &mut self.steps {
            steps.push(Step { phase, origin, event: event() });
        }
    }

    /// Whether anybody listens.
    pub fn records(&self) -> bool {
        self.steps.is_some()
    }

    /// Everything recorded.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }
}

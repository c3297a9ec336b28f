//! Everything a run is told besides the configuration and the request. A run has no IO of its own.

use std::net::IpAddr;

use crate::fact::{Answers, Fact, Question, Subject};
use crate::fs::{Filesystem, Identity};

/// Names and addresses.
pub trait Resolver: Sync {
    /// The addresses of a name.
    fn addresses(&self, name: &str) -> Fact<Vec<IpAddr>>;
    /// The name of an address, confirmed by a forward look-up; `None` where there is none.
    fn name(&self, address: IpAddr) -> Fact<Option<String>>;
}

/// Knows no name: every look-up is a question.
#[derive(Debug, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn addresses(&self, name: &str) -> Fact<Vec<IpAddr>> {
        Fact::Unknown(Question::new(Subject::Resolve(name.to_owned())))
    }

    fn name(&self, address: IpAddr) -> Fact<Option<String>> {
        Fact::Unknown(Question::new(Subject::Resolve(address.to_string())))
    }
}

/// The inputs of a run.
#[derive(Clone, Copy)]
pub struct World<'w> {
    /// The file system that the server sees.
    pub fs: &'w dyn Filesystem,
    /// Overrides the worker identity of the configuration (`--worker`).
    pub worker: Option<&'w Identity>,
    /// Names and addresses.
    pub resolver: &'w dyn Resolver,
    /// Seconds since the epoch, for expiry times; `None`: the clock is a question.
    pub now: Option<i64>,
    /// Answers to assume for open questions.
    pub answers: &'w Answers,
    /// Whether to record a trace.
    pub trace: bool,
}

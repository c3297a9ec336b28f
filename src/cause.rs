//! Every cause in one table: the places in the servers' sources that set a status.
//!
//! A code is never reused and survives rewording. `docs/causes/` has a page for each.

pub mod apache;
pub mod nginx;
mod page;

pub use page::page;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// `nginx/access-deny`, `apache/require-denied`: kebab-case, stable.
    pub code: &'static str,
    /// The phase or hook that sets the status, in the server's own name.
    pub phase: &'static str,
    /// What the server writes to its error log: a fragment (nginx) or the AH number (Apache); `None` where it writes nothing.
    pub log: Option<&'static str>,
    /// One sentence: what happened, in the words of the configuration.
    pub summary: &'static str,
}

/// Every cause of both servers.
pub fn all() -> impl Iterator<Item = &'static Cause> {
    nginx::CAUSES.iter().chain(apache::CAUSES).copied()
}

/// The cause with this code.
pub fn find(code: &str) -> Option<&'static Cause> {
    all().find(|cause| cause.code == code)
}

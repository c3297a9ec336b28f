//! What the nginx evaluator can say.

/// A fact of the nginx evaluator. Byte strings are as in the configuration or the request.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something worth saying that has no type of its own yet, as a finished clause.
    Note(String),
}

//! What is shown: the answer as it is promised, as JSON lines, and for people. Nothing else prints.

pub mod human;
pub mod json;
pub mod jsonl;
pub mod lint;

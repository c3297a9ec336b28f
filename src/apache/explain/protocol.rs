//! What is refused before any hook, in sentences.

use super::Facts;

/// The rules behind it.
pub(super) fn why(facts: &Facts, why: &mut Vec<String>) {
    let more: &[&str] = match facts.code() {
        "encoded-slash" => &["AllowEncodedSlashes counts at server level only, and a virtual host does not inherit it"],
        "host-missing" => &["HTTP/1.1 needs a Host header that is not empty"],
        "bad-host" => &["a host name holds letters, digits, `-`, `_` and `.` only"],
        "invalid-path" => &["the path is checked before any section counts"],
        "trace-disabled" => &["no section can allow or forbid TRACE, only TraceEnable can"],
        _ => &[],
    };
    why.extend(more.iter().map(|sentence| (*sentence).to_owned()));
}

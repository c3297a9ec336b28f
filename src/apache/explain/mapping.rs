//! Redirects and rewriting in sentences.

use super::Facts;

/// What decided.
pub(super) fn what(facts: &Facts) -> Option<String> {
    let directive = facts.directive()?;
    Some(match facts.code() {
        "redirect-403" => format!("{directive} covers the path"),
        "rewrite-forbidden" => format!("{directive} forbids the path"),
        "rewrite-options-off" => format!("{directive} leaves neither FollowSymLinks nor SymLinksIfOwnerMatch"),
        "redirect" => format!("{directive} redirects the path"),
        "rewrite-redirect" => format!("{directive} redirects the path"),
        _ => return None,
    })
}

/// The rules behind it.
pub(super) fn why(facts: &Facts, why: &mut Vec<String>) {
    let more: &[&str] = match facts.code() {
        "redirect-403" => &["nothing is logged for this"],
        "rewrite-forbidden" => &["nothing is logged for this below the level `rewrite:trace2`"],
        "rewrite-options-off" => {
            &["rewriting in a directory needs one of the two link options, and without them every request is refused, \
             whether or not a rule matches"]
        }
        _ => &[],
    };
    why.extend(more.iter().map(|sentence| (*sentence).to_owned()));
}

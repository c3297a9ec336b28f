//! The walk through the directories in sentences: permissions, links, `.htaccess`.

use super::Facts;
use crate::trace::apache::Event;

/// What decided.
pub(super) fn what(facts: &Facts) -> Option<String> {
    let path = facts.path();
    Some(match facts.code() {
        "htaccess-unreadable" => format!("the worker cannot open the `.htaccess`: {path} does not let it"),
        "htaccess-not-regular" => format!("{path} is not a regular file"),
        "htaccess-error" => match facts.event() {
            Some(Event::Problem { message }) => format!("the `.htaccess` is refused: {message}"),
            _ => return None,
        },
        "configuration-refused" => match facts.event() {
            Some(Event::Problem { message }) => format!("the server refuses this configuration: {message}"),
            _ => return None,
        },
        "search-permission" => format!("the worker may not search {path}"),
        "file-permission" | "asis-unreadable" | "typemap-unreadable" => format!("the worker may not read {path}"),
        "autoindex-unreadable" | "multiviews-unreadable-dir" => format!("the worker may not read the directory {path}"),
        "symlink-not-allowed" => format!("{path} is a symbolic link, and links are not followed here"),
        "symlink-subrequest" => format!("{path} is a symbolic link that may not be followed"),
        "symlink-owner-mismatch" => format!("the link {path} and what it leads to have different owners"),
        "symlink-target-unreachable" => format!("what {path} leads to cannot be reached"),
        "not-a-file" => format!("{path} is neither a file nor a directory"),
        _ => return None,
    })
}

/// The rules behind it.
pub(super) fn why(facts: &Facts, why: &mut Vec<String>) {
    let more: &[&str] = match facts.code() {
        "htaccess-unreadable" | "htaccess-not-regular" if facts.decision.default => &[
            "no AllowOverride was ever said, so `.htaccess` files are looked for although nothing may stand in them",
            "a file that cannot be looked at might forbid the request, so the request is refused",
        ],
        "htaccess-unreadable" | "htaccess-not-regular" => {
            &["a file that cannot be looked at might forbid the request, so everything below is refused"]
        }
        "htaccess-error" => &["one mistake in the file makes every request below its directory a 500"],
        "symlink-not-allowed" if facts.decision.default => &["FollowSymLinks is off"],
        "symlink-not-allowed" => &[
            "a link is judged by the options of the directory that holds it, not of the one it leads to",
            "`Options` without a sign replaces every inherited option",
        ],
        "symlink-owner-mismatch" => &["SymLinksIfOwnerMatch compares owners even where FollowSymLinks is on as well"],
        "symlink-target-unreachable" => &["a link that leads nowhere is 403, a missing file is 404"],
        "file-permission" => {
            &["owner, group and others are looked at in this order, and the first that fits decides alone"]
        }
        _ => &[],
    };
    why.extend(more.iter().map(|sentence| (*sentence).to_owned()));
}

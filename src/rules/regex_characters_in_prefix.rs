//! `regex-characters-in-prefix`: a name that is written like a regular expression and compared as it stands.

use super::spots::Spot;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;

pub(super) const RULE: Rule = Rule {
    id: "regex-characters-in-prefix",
    title: "a prefix location written like a pattern",
    level: Level::Warning,
    category: Category::Correctness,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((blocks, http)) = subject.blocks_and_http() else { return };
    for spot in subject.spots() {
        let Some(location) = spot.location().filter(|_| like_a_pattern(spot)) else { continue };
        let name = String::from_utf8_lossy(&location.name);
        let message =
            format!("{} is compared letter by letter: only a path with `{name}` in it gets there", spot.name());
        let words =
            blocks.opened_by(location.origin).and_then(|block| block.opened.as_ref()).map(|line| line.placed.args());
        let last = words.and_then(|mut words| words.next_back());
        let text = last.and_then(|word| std::str::from_utf8(blocks.sources().text(word.span)).ok());
        let edit = match (&location.kind, last, text) {
            // A modifier of its own would have to go, and what it stood for with it.
            (LocationKind::Prefix, Some(word), Some(text)) => {
                Edit::replace(blocks.sources(), word.span, &format!("~ {text}"))
            }
            _ => None,
        };
        let guards = spot.has_own_access(http) || !std::sync::Arc::ptr_eq(&spot.conf.auth, &spot.outer(http).auth);
        let finding = found.at(location.origin, message).advise("a regular expression needs `~` or `~*` before it");
        if guards {
            finding.level(Level::Error);
        }
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("make it a regular expression", Safety::Review, vec![edit]));
        }
    }
}

/// Whether the name of a literal location holds what only makes sense in a regular expression.
pub(super) fn like_a_pattern(spot: &Spot) -> bool {
    let Some(location) = spot.location() else { return false };
    let literal = matches!(location.kind, LocationKind::Prefix | LocationKind::NoRegex | LocationKind::Exact);
    literal && has_pattern(&location.name)
}

/// `^` in front, `$` at the end, `\.`, `.*`, `.+`, `(a|b)`, `[0-9]`.
fn has_pattern(name: &[u8]) -> bool {
    let has = |part: &[u8]| memchr::memmem::find(name, part).is_some();
    let group = |open: u8, close: u8, inner: &dyn Fn(&[u8]) -> bool| {
        let start = memchr::memchr(open, name);
        let end = memchr::memrchr(close, name);
        matches!((start, end), (Some(start), Some(end)) if start < end && inner(&name[start + 1..end]))
    };
    name.starts_with(b"^")
        || name.ends_with(b"$")
        || [&b"\\."[..], b".*", b".+", b"\\d", b"\\w"].iter().any(|part| has(part))
        || group(b'(', b')', &|inner| inner.contains(&b'|'))
        || group(b'[', b']', &|inner| inner.contains(&b'-') || inner.starts_with(b"^"))
}

const PAGE: &str = r#"# regex-characters-in-prefix

A location without `~` is compared as it stands, so `^`, `$`, `(a|b)`, `.*`, `\.` and `[0-9]` in it are wanted in the path. The level is error
where it holds access rules, which then guard nothing.

## Flagged (nginx, server)
```nginx
location /(admin|private)/ { deny all; }
```

## Fixed (nginx, server)
```nginx
location ~ ^/(admin|private)/ { deny all; }
```

## Why
Only `~` and `~*` make a location a regular expression; nothing in its text does.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_not_taken_for_patterns() {
        for (name, pattern) in [
            ("/a.b/c-d_(1)/", false),
            ("/[x]/", false),
            ("/$x/", false),
            ("/a$", true),
            ("^/a", true),
            ("/a/.*", true),
            ("/(a|b)/", true),
            ("/v[0-9]/", true),
            (r"/a\.php", true),
        ] {
            assert_eq!(has_pattern(name.as_bytes()), pattern, "{name}");
        }
    }
}

//! `regex-invalid`: an expression that PCRE refuses, or reads otherwise than a shell.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;

pub(super) const RULE: Rule = Rule {
    id: "regex-invalid",
    title: "a pattern that the server's regex engine rejects or reads differently",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// What PCRE refuses, the configuration check finds. A `*` after a slash it takes, for any number of slashes.
fn check(subject: &Subject, found: &mut Findings) {
    for spot in subject.spots() {
        let Some(location) = spot.location() else { continue };
        let LocationKind::Regex(regex) = &location.kind else { continue };
        let Some(glob) = like_a_glob(regex.source()) else { continue };
        let message = format!(
            "`{glob}` is any number of slashes, none included, and not everything below: `*` repeats what stands before it"
        );
        found
            .at(location.origin, message)
            .level(Level::Warning)
            .advise("`.*` is any text; a prefix needs nothing at its end");
    }
}

/// `/*` at the end or before a name, as a shell would read it.
fn like_a_glob(pattern: &[u8]) -> Option<&'static str> {
    let at = memchr::memmem::find(pattern, b"/*")?;
    let escaped = at > 0 && pattern[at - 1] == b'\\';
    // `^/*` takes in doubled slashes, and `[^/*]` is a class.
    let class = pattern[..at].iter().rev().find(|byte| matches!(byte, b'[' | b']')) == Some(&b'[');
    let rest = &pattern[at + 2..];
    let like = rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b".") || rest.starts_with(b"\\.");
    (like && !escaped && !class && at > 1).then_some("/*")
}

const PAGE: &str = r#"# regex-invalid

PCRE does not accept the expression, and the server does not start. Or it does, and reads it otherwise than it looks: `/files/*` is not
what a shell makes of it (a warning).

## Flagged (nginx, server; refused)
```nginx
location ~ ^/[a { }
```

## Fixed (nginx, server)
```nginx
location ~ ^/[a] { }
```

## Flagged (nginx, server)
```nginx
location ~ /files/* { return 404; }
```

## Fixed (nginx, server)
```nginx
location ~ /files/ { return 404; }
```

## Why
Expressions are compiled when the configuration is read. `*` is a quantifier there: as often as you like, and also not at all.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_shell_would_read_otherwise_is_meant() {
        for (pattern, glob) in [
            ("/files/*", true),
            ("^/img/*.jpg", true),
            (r"^/img/*\.jpg$", true),
            ("/files/.*", false),
            ("^/*$", false),
            ("^/a[^/*]", false),
            (r"^/a\/*b", false),
        ] {
            assert_eq!(like_a_glob(pattern.as_bytes()).is_some(), glob, "{pattern}");
        }
    }
}

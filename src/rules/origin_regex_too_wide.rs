//! `origin-regex-too-wide`: an expression for a site's own names that foreign names match.

use super::blocks::{Block, Blocks, Line, mentions};
use super::guards::guards;
use super::sample::samples;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::script::condition::Parsed;
use crate::pattern::{Options, Pattern};

pub(super) const RULE: Rule = Rule {
    id: "origin-regex-too-wide",
    title: "a Referer or Origin pattern also matches foreign domains",
    level: Level::Warning,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for guard in guards(blocks) {
        let Parsed::Match { name, pattern, caseless, negated } = guard.condition else { continue };
        let Some(header) = claimed(name) else { continue };
        // Only where a match opens something: a list of those who are refused may be as wide as it likes.
        let opens =
            if negated { guard.refusal.is_some() } else { guard.refusal.is_none() && grants(blocks, guard.line) };
        if opens {
            report(found, guard.line, header, pattern, caseless);
        }
    }
    for map in blocks.http().flat_map(|block| block.own(b"map")) {
        let Some(header) = map.words[0].strip_prefix(b"$").and_then(claimed) else { continue };
        let entries = blocks.entries(map);
        let default =
            entries.iter().find(|entry| entry.name == b"default").and_then(|entry| entry.words.first().copied());
        let closed = |value: &[u8]| matches!(value, b"" | b"0") || Some(value) == default;
        // A default that opens makes the entries those who are refused.
        if default.is_some_and(|value| !matches!(value, b"" | b"0")) {
            continue;
        }
        for entry in entries.iter().filter(|entry| entry.words.first().is_some_and(|value| !closed(value))) {
            let Some(pattern) = entry.name.strip_prefix(b"~") else { continue };
            let (pattern, caseless) = pattern.strip_prefix(b"*").map_or((pattern, false), |pattern| (pattern, true));
            report(found, entry, header, pattern, caseless);
        }
    }
}

/// The header behind a variable, if browsers put the name of the asking site into it.
fn claimed(name: &[u8]) -> Option<&'static str> {
    match &*name.to_ascii_lowercase() {
        b"http_origin" => Some("Origin"),
        b"http_referer" => Some("Referer"),
        _ => None,
    }
}

/// Whether an `if` sends headers for other sites, or sets a variable that may.
fn grants(blocks: &Blocks, line: &Line) -> bool {
    let grants = |block: &Block| {
        let cors = |line: &Line| {
            line.name == b"set"
                || (line.name == b"add_header"
                    && line.words.first().is_some_and(|name| name.to_ascii_lowercase().starts_with(b"access-control-"))
                    || line.words.iter().any(|word| mentions(word, "http_origin")))
        };
        block.lines.iter().any(cors)
    };
    blocks.opened_by(line.origin()).is_some_and(grants)
}

fn report(found: &mut Findings, line: &Line, header: &str, pattern: &[u8], caseless: bool) {
    let Some(foreign) = foreign(pattern, caseless, header) else { return };
    let shown = String::from_utf8_lossy(pattern);
    let message = format!("a page at another site passes: `{header}: {foreign}` matches `{shown}`");
    found
        .at(line.origin(), message)
        .advise("escape the dots, begin with `^https?://`, and end with `$` or, for a Referer, `(/|$)`");
}

/// A header of a foreign site that the expression matches: one whose domain none of the expression's own strings has.
fn foreign(pattern: &[u8], caseless: bool, header: &str) -> Option<String> {
    let regex = Pattern::new(pattern, Options::nginx(caseless)).ok()?;
    // With its plain dots taken as dots, a sample is what the author had in mind.
    let text = String::from_utf8_lossy(pattern).replace(r"\.", ".").replace(".*", "");
    let meant: Vec<String> = samples(text.replace('.', r"\.").as_bytes())
        .into_iter()
        .filter_map(|sample| String::from_utf8(sample).ok())
        .filter(|sample| domain(sample).is_some())
        .collect();
    let own: Vec<String> = meant.iter().filter_map(|sample| domain(sample)).collect();
    let candidates = meant.iter().flat_map(|sample| variations(sample, header));
    candidates
        .filter(|candidate| domain(candidate).is_some_and(|domain| !own.contains(&domain)))
        .find(|candidate| regex.is_match(candidate.as_bytes()) == Ok(true))
}

/// What an attacker can register, or put behind the name of a site of his own.
fn variations(sample: &str, header: &str) -> Vec<String> {
    let (scheme, rest) = sample.split_once("://").unwrap_or(("https", sample));
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    let mut found = vec![format!("{scheme}://{host}.evil.example"), format!("{scheme}://{host}evil.example")];
    // A label of its own may stand before a dot that is none.
    found.extend(host.match_indices('.').map(|(at, _)| format!("{scheme}://{}x{}", &host[..at], &host[at + 1..])));
    found.push(format!("{scheme}://evil{host}"));
    found.push(format!("{scheme}://evil-{host}"));
    if header == "Referer" {
        found.push(format!("https://evil.example/{sample}"));
        found.push(format!("https://evil.example/{scheme}://{host}/"));
    }
    found
}

/// The last two labels of the host in a URL or name.
fn domain(text: &str) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', ':']).next().filter(|host| !host.is_empty())?;
    let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let labels: Vec<&str> = host.trim_matches('.').split('.').collect();
    (plain && labels.len() >= 2 && labels.iter().all(|label| !label.is_empty()))
        .then(|| labels[labels.len() - 2..].join(".").to_ascii_lowercase())
}

const PAGE: &str = r#"# origin-regex-too-wide

An expression over Origin or Referer lets the site's own pages through, and others too: a dot that stands for any character, no `^` in
front, no `$` behind. The message shows a header of a foreign site that passes.

## Flagged (nginx, location)
```nginx
if ($http_origin ~ "https://a.test") { add_header Access-Control-Allow-Origin $http_origin; }
```

## Fixed (nginx, location)
```nginx
if ($http_origin ~ "^https://a\.test$") { add_header Access-Control-Allow-Origin $http_origin; }
```

## Why
`~` looks for a match anywhere in the text. `https://a.test.evil.example` has one at its beginning.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_domain_is_found_for_each_slip() {
        let example = |pattern: &str, header: &str| foreign(pattern.as_bytes(), false, header);
        for wide in
            ["https://a.test", r"^https://a\.test", r"a\.test$", r"^https://www.a\.test$", r"^https?://(www\.)?a\.test"]
        {
            assert!(example(wide, "Origin").is_some(), "{wide}");
        }
        for exact in [r"^https://a\.test$", r"^https?://([a-z0-9-]+\.)?a\.test(:\d+)?$", r"^https://.*\.a\.test$"] {
            assert_eq!(example(exact, "Origin"), None, "{exact}");
        }
        assert!(example(r"a\.test/", "Referer").is_some());
        assert_eq!(example(r"^https?://a\.test/", "Referer"), None);
    }
}

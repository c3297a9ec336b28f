//! `location-cannot-match`: a name that no decoded, normalised path begins with.

use super::regex_characters_in_prefix::like_a_pattern;
use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;

pub(super) const RULE: Rule = Rule {
    id: "location-cannot-match",
    title: "a location string that no request can equal",
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
    let Some(blocks) = subject.blocks else { return };
    for spot in subject.spots() {
        let literal =
            |kind: &LocationKind| matches!(kind, LocationKind::Prefix | LocationKind::NoRegex | LocationKind::Exact);
        let Some(location) = spot.location().filter(|location| literal(&location.kind)) else { continue };
        if like_a_pattern(spot) {
            continue;
        }
        let Some((why, meant)) = obstacle(&location.name, spot.server.srv.merge_slashes.value) else { continue };
        let words =
            blocks.opened_by(location.origin).and_then(|block| block.opened.as_ref()).map(|line| line.placed.args());
        let word = words
            .and_then(|mut words| words.next_back())
            .filter(|word| blocks.sources().text(word.span).ends_with(&location.name));
        let edit = match (&meant, word) {
            (Some(meant), Some(word)) => {
                let raw = String::from_utf8_lossy(blocks.sources().text(word.span)).into_owned();
                let name = String::from_utf8_lossy(&location.name).into_owned();
                let text = raw.strip_suffix(&name).map(|glued| format!("{glued}{}", quoted(meant)));
                text.and_then(|text| Edit::replace(blocks.sources(), word.span, &text))
            }
            _ => None,
        };
        let proof = meant.as_deref().and_then(|meant| guard_missed(subject, spot, meant));
        let message = format!("no request gets to {}: {why}", spot.name());
        let finding = found.at(location.origin, message);
        if let Some(asked) = proof {
            finding.level(Level::Error).proven_by(asked.witness, asked.certainty);
        }
        if let (Some(edit), Some(meant)) = (edit, meant) {
            finding.fixed_by(Fix::text(format!("write `{meant}`"), Safety::Safe, vec![edit]));
        }
    }
}

/// Why no path is like this, and the name that was probably meant.
fn obstacle(name: &[u8], merge_slashes: bool) -> Option<(String, Option<String>)> {
    let text = std::str::from_utf8(name).ok()?;
    if !text.starts_with('/') {
        let path = text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
        return Some(("a path begins with a slash".to_owned(), path));
    }
    if let Some(decoded) = decoded(text) {
        return Some((format!("the path is compared decoded, as `{decoded}`"), Some(decoded)));
    }
    if merge_slashes && text.contains("//") {
        let mut merged = text.to_owned();
        while merged.contains("//") {
            merged = merged.replace("//", "/");
        }
        return Some(("slashes that follow each other are made one before".to_owned(), Some(merged)));
    }
    if text.split('/').any(|part| part == "." || part == "..") && text.contains("./") {
        return Some(("`.` and `..` are resolved before".to_owned(), None));
    }
    if let Some((path, _)) = text.split_once('?') {
        let path = path.to_owned();
        return Some(("the query is no part of the path".to_owned(), (path.len() > 1).then_some(path)));
    }
    None
}

/// The text with `%20` and its like undone; `None` where there is nothing to undo, or no plain text comes of it.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at, mut changed) = (Vec::new(), 0, false);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
                changed = true;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok().filter(|text| changed && !text.contains(char::is_control))
}

/// The name as a word of the configuration.
fn quoted(name: &str) -> String {
    if name.contains([' ', ';', '{', '}', '"', '\'', '#', '\\', '$']) {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        name.to_owned()
    }
}

/// Whether somebody whom the location's rules keep out gets in at the path that was meant.
fn guard_missed(subject: &Subject, spot: &Spot, meant: &str) -> Option<spots::Asked> {
    let mut closed = crate::ipset::IpSet::all();
    closed.subtract(spot.open());
    let client = spots::pick(&closed)?;
    let path = meant.replace('%', "%25").replace(' ', "%20").replace('#', "%23").replace('?', "%3F");
    let asked = ask_for(subject, spot.server, "GET", &path, client, &[], "a refusal")?;
    asked.gets_in().then_some(asked)
}

const PAGE: &str = r#"# location-cannot-match

The path that locations are compared with is decoded (`%20` is a blank), has single slashes, no `.` and `..`, no query, and begins with a
slash. A name that is written otherwise is dead text. The level is error where rules stand in it and somebody whom they keep out gets in at
the path that was meant.

## Flagged (nginx, server)
```nginx
root /srv/www;
location /a%20b/ { deny all; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location "/a b/" { deny all; }
```

## Why
nginx normalises the request's path once, when the request is read, and chooses a location by what comes of it. Strictly, a path that was
encoded twice decodes to an encoded name; nobody writes a location for that.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_obstacle_has_the_name_that_was_meant() {
        let meant = |name: &str| obstacle(name.as_bytes(), true).map(|(_, meant)| meant.unwrap_or_default());
        assert_eq!(meant("/a%20b/").as_deref(), Some("/a b/"));
        assert_eq!(meant("/a//b/").as_deref(), Some("/a/b/"));
        assert_eq!(meant("/a?b=c").as_deref(), Some("/a"));
        assert_eq!(meant("http://x/a").as_deref(), Some("/a"));
        assert_eq!(meant("/a/../b").as_deref(), Some(""));
        assert_eq!(meant("admin").as_deref(), Some(""));
        for fine in ["/", "/a.b/..c", "/100%", "/a/."] {
            assert_eq!(meant(fine), None, "{fine}");
        }
        assert_eq!(obstacle(b"/a//b", false), None);
    }
}

//! `unreachable-location`: a location that provably no request selects.

use super::blocks::Blocks;
use super::spots::Spot;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::location::Locations;
use crate::nginx::model::{Location, LocationKind};
use crate::pattern::Pattern;

pub(super) const RULE: Rule = Rule {
    id: "unreachable-location",
    title: "a location without access rules can never be selected",
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
        let Some(location) = spot.location() else { continue };
        // What guards is `acl-never-reached`'s.
        if super::acl_never_reached::protects(spot, spot.outer(http)) {
            continue;
        }
        match &location.kind {
            LocationKind::Regex(regex) => {
                let level = level(spot);
                let Some((winner, why)) = winner(level, location, regex.pattern()) else { continue };
                let name = String::from_utf8_lossy(&winner.name);
                let message = format!("no request gets to {}: {why} `{name}`", spot.name());
                let related = found.related(winner.origin, "answers instead");
                found.at(location.origin, message).with(related);
            }
            LocationKind::Named if !subject.fragment && !is_named(blocks, location) => {
                let message = format!("no request gets to {}: nothing refers to it", spot.name());
                found.at(location.origin, message);
            }
            _ => {}
        }
    }
}

/// The locations among which this one competes.
fn level<'a>(spot: &Spot<'a>) -> &'a Locations {
    match spot.path.len() {
        0 | 1 => &spot.server.locations,
        depth => &spot.path[depth - 2].locations,
    }
}

/// The location that takes everything this expression matches, with how it does.
fn winner<'l>(level: &'l Locations, location: &Location, pattern: &Pattern) -> Option<(&'l Location, &'static str)> {
    for earlier in level.regexes().take_while(|earlier| earlier.origin != location.origin) {
        let LocationKind::Regex(regex) = &earlier.kind else { continue };
        // The same text twice is `duplicate-location`'s.
        if !regex.pattern().is_same(pattern) && covers(regex.pattern(), pattern) {
            return Some((earlier, "whatever it matches is matched by an earlier expression first,"));
        }
    }
    let head = literal_head(pattern)?;
    let prefixes =
        || level.all.iter().filter(|other| matches!(other.kind, LocationKind::Prefix | LocationKind::NoRegex));
    let longest = prefixes().filter(|other| head.starts_with(&other.name)).max_by_key(|other| other.name.len())?;
    // A longer prefix that some of the paths begin with would let expressions be tried again.
    let reopened = prefixes().any(|other| matches!(other.kind, LocationKind::Prefix) && other.name.starts_with(&head));
    let stops = matches!(longest.kind, LocationKind::NoRegex) && !reopened;
    stops.then_some((longest, "no expression is tried for paths that begin with `^~`"))
}

/// Whether the first expression matches every text that the second one matches: where the second is the first with more in
/// front or behind, and neither has alternatives outside of groups.
fn covers(first: &Pattern, second: &Pattern) -> bool {
    let (short, long) = (first.source(), second.source());
    let caseless_only_there = second.is_caseless() && !first.is_caseless();
    if short.is_empty() || caseless_only_there || memchr::memmem::find(long, b"(?").is_some() {
        return false;
    }
    let (Some(_), Some(_)) = (single(short), single(long)) else { return false };
    let tail = long.strip_prefix(short).filter(|_| !short.ends_with(b"$"));
    let head = long.strip_suffix(short).filter(|_| !short.starts_with(b"^"));
    let continues = |rest: &[u8]| !rest.first().is_some_and(|next| b"*+?{".contains(next)) && single(rest).is_some();
    tail.is_some_and(continues) || head.is_some_and(|head| single(head).is_some())
}

/// The text if it is an expression of its own: groups and classes closed, no alternatives outside of groups, nothing half
/// escaped.
fn single(text: &[u8]) -> Option<&[u8]> {
    let (mut depth, mut class, mut escaped) = (0u32, false, false);
    for &byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'[' if !class => class = true,
            b']' if class => class = false,
            _ if class => {}
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b'|' if depth == 0 => return None,
            _ => {}
        }
    }
    (depth == 0 && !class && !escaped).then_some(text)
}

/// The letters with which every path that the expression matches begins.
fn literal_head(pattern: &Pattern) -> Option<Vec<u8>> {
    let text = single(pattern.source())?.strip_prefix(b"^").filter(|_| !pattern.is_caseless())?;
    let (mut head, mut at) = (Vec::new(), 0);
    while let Some(&byte) = text.get(at) {
        let (letter, width) = match (byte, text.get(at + 1)) {
            (b'\\', Some(&next)) if next.is_ascii_punctuation() => (next, 2),
            (b'/' | b'-' | b'_' | b'~' | b'%' | b'@' | b'=' | b',' | b':', _) => (byte, 1),
            _ if byte.is_ascii_alphanumeric() => (byte, 1),
            _ => break,
        };
        if text.get(at + width).is_some_and(|next| b"*+?{".contains(next)) {
            break;
        }
        head.push(letter);
        at += width;
    }
    (!head.is_empty()).then_some(head)
}

/// Whether anything in the configuration names a named location, or a script or an unread file may.
fn is_named(blocks: &Blocks, location: &Location) -> bool {
    let lines = || blocks.http().flat_map(|block| &block.lines);
    lines().any(|line| {
        let script = [&b"lua"[..], b"js_", b"perl"].iter().any(|part| memchr::memmem::find(line.name, part).is_some());
        let names = line.name != b"location"
            && line.words.iter().any(|word| memchr::memmem::find(word, &location.name).is_some());
        let computed = matches!(line.name, b"error_page" | b"try_files")
            && line.words.last().is_some_and(|word| word.starts_with(b"$"));
        script || names || computed || line.name == b"include"
    })
}

const PAGE: &str = r#"# unreachable-location

A location that no request can select: an expression whose every match is a match of an earlier one, an expression for paths that begin with
a `^~` location, or a named location that nothing refers to. Only what can be proven is reported; a location with access rules is
`acl-never-reached`'s. (A back end may send `X-Accel-Redirect: @name`; then a comment should say so.)

## Flagged (nginx, server)
```nginx
location ^~ /img/ { root /srv; }
location ~ ^/img/.*\.png$ { expires 1d; }
```

## Fixed (nginx, server)
```nginx
location /img/ { root /srv; }
location ~ ^/img/.*\.png$ { root /srv; expires 1d; }
```

## Why
The longest prefix is found first; with `^~` it is the end of the search. Otherwise expressions are tried from top to bottom, and the first
that matches wins.
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Options;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text.as_bytes(), Options::nginx(false)).expect("a pattern")
    }

    #[test]
    fn one_expression_covers_another_only_where_it_is_a_piece_of_it() {
        for (first, second, covered) in [
            (r"\.php$", r"^/admin/.*\.php$", true),
            ("^/img/", r"^/img/.*\.png$", true),
            ("a", "ba", true),
            ("^/a", "^/a*b", false),
            ("a$", "a$|b", false),
            ("a|b", "a|b/c", false),
            (r".php", r"\.php", false),
            ("^/a", "^/b", false),
        ] {
            assert_eq!(covers(&pattern(first), &pattern(second)), covered, "{first} and {second}");
        }
        let caseless = Pattern::new(b"^/img/x", Options::nginx(true)).expect("a pattern");
        assert!(!covers(&pattern("^/img/"), &caseless));
    }

    #[test]
    fn the_head_ends_where_letters_end() {
        let head = |text: &str| literal_head(&pattern(text)).map(|head| String::from_utf8_lossy(&head).into_owned());
        assert_eq!(head(r"^/img/.*\.png$").as_deref(), Some("/img/"));
        assert_eq!(head(r"^/a\.bc?").as_deref(), Some("/a.b"));
        assert_eq!(head("/img/"), None);
        assert_eq!(head("^/a|^/b"), None);
    }
}

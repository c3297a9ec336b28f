//! `response-splitting`: a decoded line feed of the client's path goes out in a header.

use std::collections::HashSet;

use super::blocks::{Block, Blocks};
use super::sample::samples;
use super::spots::{self, Asked, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::complex::{RawPart, parse};
use crate::nginx::model::LocationKind;
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "response-splitting",
    title: "decoded client text reaches a header or redirect",
    level: Level::Error,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// What an attacker writes into a path: a line end with a header behind it, and a bare line feed, which is enough for a start.
const FEEDS: [&str; 2] = ["%0d%0aX:y", "%0a"];

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        redirects(subject, found, blocks, spot, &mut reported);
        headers(subject, found, blocks, spot, &mut reported);
    }
}

/// Redirects, by asking for one.
fn redirects(subject: &Subject, found: &mut Findings, blocks: &Blocks, spot: &Spot, reported: &mut HashSet<Origin>) {
    let Some(block) = blocks.opened_by(spot.conf.origin) else { return };
    // `return` and `rewrite` of the block, and of the `if`s in it.
    let ifs = block.own(b"if").filter_map(|line| blocks.opened_by(line.origin()));
    let program: Vec<_> = std::iter::once(block).chain(ifs).collect();
    let lines = || program.iter().flat_map(|block| block.own(b"return").chain(block.own(b"rewrite")));
    if !lines().any(|line| line.words.iter().skip(1).any(|target| may_hold_path(target))) {
        return;
    }
    let rewritten = lines().filter(|line| line.name == b"rewrite").flat_map(|line| samples(line.words[0]));
    let rewritten = rewritten.filter_map(|sample| String::from_utf8(sample).ok()).filter(|path| path.starts_with('/'));
    let paths: Vec<String> = spot.paths().iter().cloned().chain(rewritten).collect();
    for path in paths.iter().flat_map(|path| with_feed(path)) {
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let Some(asked) = ask_for(subject, spot.server, "GET", &path, client, &[], "an encoded line feed") else {
            continue;
        };
        let split = asked.run.location.as_ref().is_some_and(|target| target.contains(&b'\n'));
        let by = asked.run.decision.as_ref().and_then(|decision| decision.directive);
        let Some(line) = by.and_then(|by| lines().find(|line| line.origin() == by)).filter(|_| split) else { continue };
        if reported.contains(&line.origin()) {
            continue;
        }
        reported.insert(line.origin());
        let text = std::str::from_utf8(blocks.sources().text(line.placed.span())).ok();
        let plain = line.name == b"return" && line.words.get(1).is_some_and(|target| target.ends_with(b"$uri"));
        let everywhere = spot.location().is_none_or(|location| *location.name == *b"/");
        let text = text.filter(|_| plain && everywhere && !answers_rewritten(&program));
        let edit = text.and_then(|text| {
            Edit::replace(blocks.sources(), line.placed.span(), &text.replace("$uri", "$request_uri"))
        });
        let message = "a client puts header lines of its choice into the redirect: the path is decoded, and its line feeds go out as they are";
        let finding = found.at(line.origin(), message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("send the path as the client wrote it", Safety::Safe, vec![edit]));
        }
        finding.advise("`$request_uri` is the path as the client wrote it, still encoded");
    }
}

/// Whether the path may not be the client's any more when `return` runs.
fn answers_rewritten(program: &[&Block]) -> bool {
    program.iter().any(|block| block.own(b"rewrite").next().is_some())
}

/// Headers that carry the path, by showing that a path with a line feed gets to the spot.
fn headers(subject: &Subject, found: &mut Findings, blocks: &Blocks, spot: &Spot, reported: &mut HashSet<Origin>) {
    let Some(block) = blocks.opened_by(spot.conf.origin) else { return };
    for name in [&b"add_header"[..], b"proxy_set_header", b"proxy_pass"] {
        for line in block.own(name) {
            let value = if name == b"proxy_pass" { line.words.first() } else { line.words.get(1) };
            let Some(value) = value.filter(|value| value.contains(&b'$') && !reported.contains(&line.origin())) else {
                continue;
            };
            let Some(asked) = carried(subject, block, spot, value) else { continue };
            reported.insert(line.origin());
            let whom = if name == b"add_header" { "the answer" } else { "the request to the back end" };
            let shown = String::from_utf8_lossy(value);
            let message = format!(
                "a client puts header lines of its choice into {whom}: `{shown}` holds the decoded path, line feeds and all"
            );
            found
                .at(line.origin(), message)
                .proven_by(asked.witness, asked.certainty)
                .advise("`$request_uri` is the path as the client wrote it, still encoded");
        }
    }
}

/// A request whose line feed is in this text when the block's settings are in force.
fn carried(subject: &Subject, block: &Block, spot: &Spot, value: &[u8]) -> Option<Asked> {
    let location = spot.location()?;
    // A rewrite would have changed the path, and any expression the groups.
    if block.lines.iter().any(|line| matches!(line.name, b"rewrite" | b"if")) {
        return None;
    }
    spot.paths().iter().flat_map(|path| with_feed(path)).find_map(|path| {
        let decoded = path.replace("%0d", "\r").replace("%0a", "\n");
        let pattern = match &location.kind {
            LocationKind::Regex(regex) => Some(regex.pattern()),
            _ => None,
        };
        let captured = pattern.and_then(|pattern| pattern.captures(decoded.as_bytes()).ok().flatten());
        let in_group = |group: usize| {
            let range = captured.as_ref().and_then(|captured| captured.groups.get(group)?.clone());
            range.is_some_and(|range| decoded.as_bytes()[range].contains(&b'\n'))
        };
        let named = |wanted: &[u8]| {
            let names = pattern.map_or(&[][..], |pattern| pattern.names());
            names.iter().position(|name| name.as_ref().is_some_and(|name| name.as_bytes().eq_ignore_ascii_case(wanted)))
        };
        let carries = parse(value).ok()?.iter().any(|part| match part {
            RawPart::Capture(group) => in_group(*group),
            RawPart::Variable(name) => is_path(name) || named(name).is_some_and(in_group),
            RawPart::Text(_) => false,
        });
        if !carries {
            return None;
        }
        let client = spots::pick(spot.open())?;
        let asked = ask_for(subject, spot.server, "GET", &path, client, &[], "an encoded line feed")?;
        (asked.landed_in() == Some(location.origin) && asked.gets_in()).then_some(asked)
    })
}

fn is_path(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"uri") || name.eq_ignore_ascii_case(b"document_uri")
}

/// Whether the text names anything but what cannot hold a line feed: worth a few requests.
fn may_hold_path(text: &[u8]) -> bool {
    const SAFE: [&[u8]; 5] = [b"request_uri", b"host", b"scheme", b"server_name", b"server_port"];
    parse(text).is_ok_and(|parts| {
        parts.iter().any(|part| match part {
            RawPart::Text(_) => false,
            RawPart::Capture(_) => true,
            RawPart::Variable(name) => !SAFE.contains(name),
        })
    })
}

/// The path with a line feed at its end, and inside each of its parts.
fn with_feed(path: &str) -> Vec<String> {
    let feeds = FEEDS.iter().flat_map(|feed| {
        let inside = path.match_indices(['x', '-']).take(3);
        let inside = inside.map(move |(at, _)| format!("{}{feed}{}", &path[..at], &path[at + 1..]));
        std::iter::once(format!("{path}{feed}")).chain(inside)
    });
    feeds.collect()
}

const PAGE: &str = r#"# response-splitting

`$uri`, `$document_uri` and the groups of expressions hold the decoded path: `%0d%0a` in a request is a line end there. Put into a redirect,
`add_header`, `proxy_set_header` or the target of `proxy_pass`, it ends the header line, and what follows is a header of the client's
choice. Reported where a request shows that a line feed gets that far; an expression that admits none, such as `(.*)`, is not.

## Flagged (nginx, server)
```nginx
location / { return 302 https://a.test$uri; }
```

## Fixed (nginx, server)
```nginx
location / { return 302 https://a.test$request_uri; }
```

## Why
nginx decodes the path to choose a location by it, and encodes nothing when the text is put together again.
"#;

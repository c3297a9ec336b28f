//! `access-regex-unanchored`: an expression for an extension that goes on, or whose dot is any character.

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use crate::pattern::{Options, Pattern};

pub(super) const RULE: Rule = Rule {
    id: "access-regex-unanchored",
    title: "a deny or allow pattern is not anchored where it must be",
    level: Level::Warning,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((blocks, http)) = subject.blocks_and_http() else { return };
    for spot in spots::spots(http) {
        let Some(location) = spot.location() else { continue };
        let LocationKind::Regex(regex) = &location.kind else { continue };
        let outer = spot.outer(http);
        let own = spot.has_own_access(http) || !std::sync::Arc::ptr_eq(&spot.conf.auth, &outer.auth);
        let Some((why, meant)) = meant(regex.source()).filter(|_| own) else { continue };
        let Ok(strict) = Pattern::new(&meant, Options::nginx(regex.pattern().is_caseless())) else { continue };
        // Who is let in here and not around it: the pattern opens. Otherwise it closes, and closes too much.
        let opened = spots::outside(&spots::open(outer), spot.open());
        let mut closed = crate::ipset::IpSet::all();
        closed.subtract(spot.open());
        let Some(client) = opened.or_else(|| spots::pick(&closed)) else { continue };
        let Some((path, asked)) = proof(subject, &spot, &strict, client, opened.is_some()) else { continue };
        let verb = if opened.is_some() { "is let in" } else { "is refused" };
        let message = format!("{client} {verb} at `{path}` too: {why}");
        let words =
            blocks.opened_by(location.origin).and_then(|block| block.opened.as_ref()).map(|line| line.placed.args());
        let word = words
            .and_then(|mut words| words.next_back())
            .filter(|word| blocks.sources().text(word.span) == regex.source());
        let text = String::from_utf8_lossy(&meant).into_owned();
        let edit = word.and_then(|word| Edit::replace(blocks.sources(), word.span, &text));
        let finding = found.at(location.origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text(format!("make it `{text}`"), Safety::Review, vec![edit]));
        }
    }
}

/// A path that the expression takes and what was meant does not, asked for.
fn proof(
    subject: &Subject,
    spot: &Spot,
    strict: &Pattern,
    client: std::net::IpAddr,
    opens: bool,
) -> Option<(String, spots::Asked)> {
    let location = spot.location()?;
    let paths = spot.paths();
    let longer = paths.iter().map(|path| format!("{path}x"));
    let wider = longer.chain(paths.iter().cloned()).filter(|path| strict.is_match(path.as_bytes()) == Ok(false));
    wider.take(8).find_map(|path| {
        let expected = if opens { "a refusal" } else { "an answer of the site" };
        let asked = ask_for(subject, spot.server, "GET", &path, client, &[], expected)?;
        let here = asked.landed_in() == Some(location.origin);
        (here && if opens { asked.gets_in() } else { asked.is_refused() }).then_some((path, asked))
    })
}

/// What is wrong with an expression for file extensions, and what was probably meant. Names that begin with a dot
/// (`/\.ht`) are not extensions, and are meant to go on.
fn meant(source: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let text = std::str::from_utf8(source).ok()?;
    let (body, tied) = text.strip_suffix('$').map_or((text, false), |body| (body, true));
    let dot = body.rfind('.')?;
    let extension = &body[dot + 1..];
    let inner = extension.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).unwrap_or(extension);
    let inner = inner.strip_prefix("?:").unwrap_or(inner);
    if inner.is_empty() || !inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'|') {
        return None;
    }
    match (body[..dot].strip_suffix('\\'), tied) {
        (Some(before), false) if !before.is_empty() && !before.ends_with(['/', '(', '|', ')']) => {
            Some(("without `$`, the extension goes on", format!("{text}$").into_bytes()))
        }
        (Some(""), false) => Some(("without `$`, the extension goes on", format!("{text}$").into_bytes())),
        (None, true) => {
            let escaped = format!("{}\\.{}$", &body[..dot], extension);
            Some(("the dot stands for any character", escaped.into_bytes()))
        }
        _ => None,
    }
}

const PAGE: &str = r#"# access-regex-unanchored

A location with access rules is written for file extensions, and takes other names too: without `$` at the end `\.sql` is also `.sqlite`, and
a dot without its backslash is any character. Names that begin with a dot (`/\.ht`) are left alone. The message has a path to try.

## Flagged (nginx, server)
```nginx
location ~ \.(sql|bak) { deny all; }
```

## Fixed (nginx, server)
```nginx
location ~ \.(sql|bak)$ { deny all; }
```

## Why
An expression is looked for anywhere in the path, and is found as soon as a part of it fits.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_told_from_hidden_names() {
        for (source, better) in [
            (r"\.(sql|bak)", Some(r"\.(sql|bak)$")),
            (r"^/a/.*\.php", Some(r"^/a/.*\.php$")),
            (r".php$", Some(r"\.php$")),
            (r".(?:sql|bak)$", Some(r"\.(?:sql|bak)$")),
            (r"/\.ht", None),
            (r"(^|/)\.git", None),
            (r"/\.(ht|git)", None),
            (r"\.php$", None),
            (r"\.php(/|$)", None),
            (r"/a.*", None),
            ("^/admin/", None),
        ] {
            let found = meant(source.as_bytes()).map(|(_, text)| String::from_utf8_lossy(&text).into_owned());
            assert_eq!(found.as_deref(), better, "{source}");
        }
    }
}

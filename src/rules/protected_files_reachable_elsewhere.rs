//! `protected-files-reachable-elsewhere`: one file, two URLs, and only one of them is guarded.

use super::sections::name;
use super::spots::{self, Spot, ask_for};
use super::verdicts::restricts;
use super::{BOTH, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Alias, LocationKind};
use std::os::unix::ffi::OsStrExt;

pub(super) const RULE: Rule = Rule {
    id: "protected-files-reachable-elsewhere",
    title: "denied files are served under another URL of the same server",
    level: Level::Error,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Tree,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    for server in spots::by_server(subject.spots()) {
        let mapped = server.iter().filter_map(|spot| {
            let (url, dir) = mapped(spot)?;
            Some((spot, url, dir))
        });
        check_server(subject, found, &mapped.collect::<Vec<_>>());
    }
}

/// Places of one server, each with its URL prefix and its directory.
fn check_server(subject: &Subject, found: &mut Findings, all: &[(&Spot, String, String)]) {
    for (guarded, url, dir) in all {
        if guarded.closed().is_empty() || guarded.location().is_none() {
            continue;
        }
        for (other, other_url, other_dir) in all {
            let Some(client) = spots::outside(guarded.open(), other.open()) else { continue };
            // The file is below both directories, under two names.
            let (file, second) = match dir.strip_prefix(other_dir.as_str()) {
                Some(rest) => ("x".to_owned(), format!("{other_url}{rest}x")),
                None => match other_dir.strip_prefix(dir.as_str()) {
                    Some(rest) => (format!("{rest}x"), format!("{other_url}x")),
                    None => continue,
                },
            };
            let first = format!("{url}{file}");
            if first == second || !second.starts_with('/') {
                continue;
            }
            let Some(closed) = ask_for(subject, guarded.server, "GET", &first, client, &[], "a refusal") else {
                continue;
            };
            let Some(open) = ask_for(subject, guarded.server, "GET", &second, client, &[], "a refusal") else {
                continue;
            };
            let same = open
                .run
                .seen
                .file
                .as_ref()
                .is_some_and(|file| file.to_string_lossy().starts_with(dir.trim_end_matches('/')));
            let here = open.landed_in() == other.location().map(|location| location.origin);
            if !closed.is_refused() || !open.gets_in() || !same || !here {
                continue;
            }
            let message = format!("{client} is refused at `{first}` and served the same file at `{second}`");
            let place = other.conf.core.mapping.origin.unwrap_or(other.conf.origin);
            let related = found.related(guarded.conf.origin, "guarded here");
            found.at(place, message).with(related).proven_by(open.witness, open.certainty);
            break;
        }
    }
}

/// The URL prefix of a place and the directory it is mapped to, both with a slash at the end; `None` where the mapping is
/// not one text.
fn mapped(spot: &Spot) -> Option<(String, String)> {
    let mapping = &spot.conf.core.mapping.value;
    let path = std::str::from_utf8(mapping.path.as_literal()?).ok()?;
    let name = match spot.location() {
        None => "/",
        Some(location) => match location.kind {
            LocationKind::Prefix | LocationKind::NoRegex => std::str::from_utf8(&location.name).ok()?,
            LocationKind::Exact | LocationKind::Regex(_) | LocationKind::Named => return None,
        },
    };
    if !name.ends_with('/') {
        return None;
    }
    match mapping.alias {
        None => Some((name.to_owned(), format!("{}{name}", path.trim_end_matches('/')))),
        Some(Alias::Prefix(_)) if path.ends_with('/') => Some((name.to_owned(), path.to_owned())),
        Some(_) => None,
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for spot in layout.spots.iter().filter(|spot| spot.section.place == Place::Location) {
        if !matches!(spot.section.matcher, Matcher::Literal(_)) || !restricts(&spot.section.conf) {
            continue;
        }
        let client = spots::stranger();
        let hit = layout.urls(spot).into_iter().find_map(|(server, first)| {
            let file = layout.file_of(server, &first)?;
            let others = layout.urls_of(&file).into_iter().filter(|(other, url)| *other == server && *url != first);
            let (second, mapping) = others
                .filter_map(|(_, url)| Some((layout.mapping_of(server, &url)?, url)))
                .map(|(mapping, url)| (url, mapping))
                .next()?;
            let closed = layout.ask(subject, server, &first, client, "a refusal")?;
            let open = layout.ask(subject, server, &second, client, "a refusal")?;
            // A path that is not there was followed as far as it goes.
            let seen = open.run.seen.file.as_ref().map(|file| file.as_os_str().as_bytes().to_vec())?;
            let same = file.starts_with(&seen) && seen.len() + 1 >= mapping.dir.len();
            let proven = closed.is_refused_by_rule() && closed.met(&spot.section) && open.is_past_the_rules() && same;
            proven.then_some((first, second, mapping.origin, open))
        });
        let Some((first, second, origin, open)) = hit else { continue };
        let message = format!("{client} is refused at `{first}` and served the same file at `{second}`");
        let related = found.related(spot.section.origin, "guarded here");
        found
            .at(origin, message)
            .with(related)
            .proven_by(open.witness, open.certainty)
            .advise(format!("guard the directory with `<Directory>` instead of {}", name(&spot.section)));
    }
}

const PAGE: &str = r#"# protected-files-reachable-elsewhere

Clients are refused at one URL, and another URL of the same server is mapped onto the same directory and lets them in.

## Flagged (nginx, server)
```nginx
root /srv/www;
location /p/ { deny all; }
location /pub/ { alias /srv/www/p/; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location /p/ { deny all; }
location /pub/ { alias /srv/pub/; }
```

## Flagged (apache, server config)
```apache
<Location "/p">
    Require all denied
</Location>
Alias "/pub" "/srv/www/p"
<Directory "/srv/www/p">
    Require all granted
</Directory>
```

## Fixed (apache, server config)
```apache
Alias "/pub" "/srv/www/p"
<Directory "/srv/www/p">
    Require all denied
</Directory>
```

## Why
nginx guards URLs, not files: access rules belong to the location that a path selects. Nothing ties two locations together because they
end in the same directory.
Apache has both kinds of sections: `<Location>` guards a URL, `<Directory>` guards the files, whatever URL leads to them.
"#;

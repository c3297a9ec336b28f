//! `exact-location-protects-one-uri`: `= /x` guards `/x`, and `/x/` is another path.

use std::os::unix::ffi::OsStrExt;

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "exact-location-protects-one-uri",
    title: "an exact location restricts one path while those below it are open",
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
    let spots = subject.spots();
    for spot in spots {
        let Some(location) = spot.location().filter(|location| matches!(location.kind, LocationKind::Exact)) else {
            continue;
        };
        let mut closed = crate::ipset::IpSet::all();
        closed.subtract(spot.open());
        let (Some(client), Ok(name)) = (spots::pick(&closed), std::str::from_utf8(&location.name)) else { continue };
        if name.ends_with('/') {
            continue;
        }
        let below = format!("{name}/");
        // Only what the site itself has below the name: a directory on the disk, or a location written for it.
        let written = spots::of_server(spots, spot.server).iter().find(|other| {
            let is_below = |location: &crate::nginx::model::Location| {
                !matches!(location.kind, LocationKind::Regex(_) | LocationKind::Named)
                    && location.name.starts_with(below.as_bytes())
            };
            other.location().is_some_and(is_below)
        });
        let paths = [Some(below.clone()), written.and_then(|other| other.paths().first().cloned())];
        for path in paths.into_iter().flatten() {
            let Some(asked) = ask_for(subject, spot.server, "GET", &path, client, &[], "a refusal") else { continue };
            let there = match asked.run.outcome {
                Outcome::Response(200..=399) => written.is_some() || is_in_directory(&asked, &below),
                Outcome::Upstream => {
                    written.is_some_and(|other| asked.landed_in() == other.location().map(|it| it.origin))
                }
                _ => false,
            };
            if !there {
                continue;
            }
            let message =
                format!("{client} gets in at `{path}`: {} guards that one path and nothing below it", spot.name());
            let finding = found.at(location.origin, message).proven_by(asked.witness, asked.certainty);
            finding.advise(format!("`location ^~ {name}` guards what is below it too"));
            break;
        }
    }
}

/// Whether the file that was served lies in the directory of this name.
fn is_in_directory(asked: &spots::Asked, below: &str) -> bool {
    let file = asked.run.seen.file.as_ref().map(|file| file.as_os_str().as_bytes());
    file.is_some_and(|file| memchr::memmem::find(file, below.as_bytes()).is_some())
}

const PAGE: &str = r#"# exact-location-protects-one-uri

`location = /admin` keeps clients out of the path `/admin` and of no other. Reported where `/admin/` is a directory of the site or has a
location of its own, and lets more clients in.

## Flagged (nginx, server)
```nginx
root /srv/www;
location = /admin { deny all; }
```
```tree
/srv/www/admin/index.html
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location ^~ /admin { deny all; }
```
```tree
/srv/www/admin/index.html
```

## Why
`=` compares the whole path. `/admin/` and `/admin/index.html` are other paths.
"#;

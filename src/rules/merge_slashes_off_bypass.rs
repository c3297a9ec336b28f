//! `merge-slashes-off-bypass`: a slash too many, and the rules of a prefix are not asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::fact::Fact;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "merge-slashes-off-bypass",
    title: "with merge_slashes off a doubled slash escapes prefix rules",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    for spot in subject.spots() {
        let Some(off) = spot.server.srv.merge_slashes.origin.filter(|_| !spot.server.srv.merge_slashes.value) else {
            continue;
        };
        let Some(location) =
            spot.location().filter(|location| !matches!(location.kind, LocationKind::Regex(_) | LocationKind::Named))
        else {
            continue;
        };
        let mut closed = crate::ipset::IpSet::all();
        closed.subtract(spot.open());
        let (Some(client), Ok(name)) = (spots::pick(&closed), std::str::from_utf8(&location.name)) else { continue };
        let slashed = a_file(subject, spot, name).map(|file| format!("/{name}{file}"));
        for path in slashed.into_iter().chain([format!("/{name}x"), format!("/{name}")]) {
            let Some(asked) = ask_for(subject, spot.server, "GET", &path, client, &[], "a refusal") else { continue };
            let served = matches!(asked.run.outcome, Outcome::Response(200..=399) | Outcome::Upstream);
            if !served || asked.landed_in() == Some(location.origin) {
                continue;
            }
            let message = format!(
                "{client} gets in at `{path}`: with two slashes it does not begin with `{name}`, and on the disk it is the same"
            );
            let related = found.related(off, "keeps the slashes");
            found.at(location.origin, message).with(related).proven_by(asked.witness, asked.certainty);
            break;
        }
    }
}

/// A file in the directory that the location is mapped to.
fn a_file(subject: &Subject, spot: &Spot, name: &str) -> Option<String> {
    let mapping = &spot.conf.core.mapping.value;
    let root = mapping.path.as_literal().filter(|_| mapping.alias.is_none() && name.ends_with('/'))?;
    let dir = [root, name.as_bytes()].concat();
    let dir = Path::new(OsStr::from_bytes(&dir));
    let Fact::Known(Ok(names)) = subject.world.fs.list(dir) else { return None };
    names.into_iter().filter_map(|name| String::from_utf8(name).ok()).find(|name| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        plain && matches!(crate::fs::stat(subject.world.fs, &dir.join(name)), Fact::Known(Ok(stat)) if stat.kind == crate::fs::FileKind::Regular)
    })
}

const PAGE: &str = r#"# merge-slashes-off-bypass

With `merge_slashes off` the path `//p/a.txt` is not one under `/p/`, and the file system takes both for the same file. Another location serves
it, to whomever that one lets in.

## Flagged (nginx, server)
```nginx
merge_slashes off;
root /srv/www;
location /p/ { deny all; }
```
```tree
/srv/www/p/a.txt
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location /p/ { deny all; }
```
```tree
/srv/www/p/a.txt
```

## Why
nginx makes several slashes one before it chooses a location, unless it is told not to. The setting counts for an address's default server.
"#;

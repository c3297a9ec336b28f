//! `alias-in-regex-without-capture`: one path for every request.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{NGINX, Needs, Rule};
use crate::fact::Fact;
use crate::finding::{Category, Level};
use crate::fs::{self, FileKind};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Alias;

pub(super) const RULE: Rule = Rule {
    id: "alias-in-regex-without-capture",
    title: "alias in a regex location without using a capture",
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
    for spot in subject.spots() {
        let mapping = &spot.conf.core.mapping;
        let (Some(location), Some(Alias::Whole), Some(origin)) = (spot.location(), mapping.value.alias, mapping.origin)
        else {
            continue;
        };
        // A nested location that inherits it is no second cause.
        if spot.outer_mapping() == Some(origin) {
            continue;
        }
        let Some(path) = mapping.value.path.as_literal() else { continue };
        let directory = match fs::stat(subject.world.fs, Path::new(OsStr::from_bytes(path))) {
            Fact::Known(Ok(stat)) if subject.tree => stat.kind == FileKind::Directory,
            _ => path.ends_with(b"/"),
        };
        if directory {
            let name = String::from_utf8_lossy(&location.name);
            let shown = String::from_utf8_lossy(path);
            let message = format!(
                "every path that `~ {name}` matches is mapped to `{shown}` itself: in a regular expression the alias is the whole path"
            );
            found
                .at(origin, message)
                .advise("capture the rest of the path and put it into the alias: `(.*)$` and `$1`");
        }
    }
}

const PAGE: &str = r#"# alias-in-regex-without-capture

The alias of a regular expression is the whole path. One that is a directory and names no capture maps every request to that directory.
An alias that is a file is not reported.

## Flagged (nginx, server)
```nginx
location ~ ^/i/ { alias /srv/img/; }
```

## Fixed (nginx, server)
```nginx
location ~ ^/i/(.*)$ { alias /srv/img/$1; }
```

## Why
A prefix says which part of the path the alias replaces. An expression does not, so it replaces all of it.
"#;

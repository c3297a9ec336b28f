//! `alias-trailing-slash`: the location ends with a slash, its alias does not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{NGINX, Needs, Rule};
use crate::fact::Fact;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::fs::{self, FileKind};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Alias, LocationKind};

pub(super) const RULE: Rule = Rule {
    id: "alias-trailing-slash",
    title: "location ends in a slash, alias does not",
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
        let Some(location) = spot.location() else { continue };
        let mapping = &spot.conf.core.mapping;
        let prefix = matches!(location.kind, LocationKind::Prefix | LocationKind::NoRegex);
        let (true, Some(Alias::Prefix(length)), Some(origin)) = (prefix, mapping.value.alias, mapping.origin) else {
            continue;
        };
        // An alias of the location around it has the name of that one.
        let own = length == location.name.len() && location.name.ends_with(b"/");
        let path = mapping.value.path.source();
        if !own || path.ends_with(b"/") || path.last().is_some_and(|last| !last.is_ascii_alphanumeric()) {
            continue;
        }
        let kind = match fs::stat(subject.world.fs, Path::new(OsStr::from_bytes(path))) {
            Fact::Known(Ok(stat)) if subject.tree => Some(stat.kind),
            _ => None,
        };
        if kind == Some(FileKind::Regular) {
            continue;
        }
        let name = String::from_utf8_lossy(&location.name).into_owned();
        let shown = String::from_utf8_lossy(path).into_owned();
        let message =
            format!("`{name}x` is looked for at `{shown}x`: the alias is put in the place of `{name}`, slash and all");
        let last = blocks.opened_by(location.origin).and_then(|block| block.own(b"alias").last());
        let word = last.and_then(|line| line.placed.args().first()).filter(|word| !word.quoted);
        let edit = word.and_then(|word| Edit::replace(blocks.sources(), word.span, &format!("{shown}/")));
        let finding = found.at(origin, message);
        if let Some(edit) = edit {
            let safety = if kind == Some(FileKind::Directory) { Safety::Safe } else { Safety::Review };
            finding.fixed_by(Fix::text(format!("make it `alias {shown}/`"), safety, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# alias-trailing-slash

`location /i/ { alias /srv/img; }` maps `/i/x` to `/srv/imgx`. Not reported where the alias is a file.

## Flagged (nginx, server)
```nginx
location /i/ { alias /srv/img; }
```

## Fixed (nginx, server)
```nginx
location /i/ { alias /srv/img/; }
```

## Why
nginx cuts the location's name off the path and puts the alias in its place, as text. A slash that only one of them has is lost or left over;
the other way round it is `alias-traversal`.
"#;

//! `root-directory-granted`: `<Directory />` is open.

use super::verdicts::grants_all;
use super::{APACHE, Needs, Rule};
use crate::apache::access::compat::From;
use crate::apache::model::{M_GET, Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "root-directory-granted",
    title: "the whole file system is granted",
    level: Level::Error,
    category: Category::Security,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for spot in layout.spots.iter().filter(|spot| spot.section.place == Place::Directory && spot.outer.is_none()) {
        let Matcher::Literal(dir) = &spot.section.matcher else { continue };
        let conf = &spot.section.conf;
        let by_list = conf.access_compat.as_ref().is_some_and(|record| {
            record.allows.iter().any(|entry| entry.from == From::All)
                && record.lets_in(super::spots::stranger(), M_GET) == Some(true)
        });
        if dir != b"/" || !(grants_all(conf) || by_list) {
            continue;
        }
        found
            .at(
                spot.section.origin,
                "every path of the file system is granted: an alias, a link or a rewrite is enough to publish it",
            )
            .advise("deny `/`, and grant the directories that are served");
    }
}

const PAGE: &str = r#"# root-directory-granted

`<Directory "/">` grants access to everybody. Whatever an `Alias`, `UserDir`, a link or a rewrite leads to is then served, wherever it lies.

## Flagged (apache, server config)
```apache
<Directory "/">
    Require all granted
</Directory>
```

## Fixed (apache, server config)
```apache
<Directory "/">
    Require all denied
</Directory>
<Directory "/srv/www">
    Require all granted
</Directory>
```

## Why
Sections for directories are merged from the shortest path to the longest, so what `/` says is the default for the whole file system.
"#;

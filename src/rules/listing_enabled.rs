//! `listing-enabled`: a directory that shows what is in it.

use super::spots;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "listing-enabled",
    title: "directory listing is on",
    level: Level::Warning,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    let mut reported = Vec::new();
    for spot in spots::spots(http) {
        let autoindex = &spot.conf.content.autoindex;
        let Some(origin) = autoindex.origin.filter(|origin| autoindex.value && !reported.contains(origin)) else {
            continue;
        };
        let wanted = spot.location().is_some_and(|location| {
            let allowed = subject.options.allow.as_deref().unwrap_or_default();
            allowed.iter().any(|prefix| location.name.starts_with(prefix.as_bytes()))
        });
        let handled = spot.conf.handler.is_some() || spot.conf.core.internal.value;
        if handled || wanted || !spot.open().contains(spots::stranger()) {
            continue;
        }
        reported.push(origin);
        let download = spot.location().is_some_and(|location| {
            [&b"download"[..], b"files", b"pub", b"mirror", b"archive"]
                .iter()
                .any(|word| memchr::memmem::find(&location.name, word).is_some())
        });
        let message = format!("any client sees what lies in the directories of {}", spot.name());
        let finding = found.at(origin, message);
        if download {
            finding.level(Level::Info);
        }
        if let Some(edit) = Edit::replace(subject.sources(), origin.span, "autoindex off;") {
            finding.fixed_by(Fix {
                title: "switch it off".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# listing-enabled

`autoindex on` is in force where strangers get in: names that nobody links to are shown all the same. An area whose name says download is
reported as info; `[rules.listing-enabled] allow = ["/pub/"]` in `why403.toml` names areas where it is wanted.

## Flagged (nginx, server)
```nginx
location /files/ { autoindex on; }
```

## Fixed (nginx, server)
```nginx
location /files/ { autoindex off; }
```

## Why
For a URL that ends in a slash and has no index file, `autoindex` lists every entry that does not begin with a dot.
"#;

//! `path-not-granted`: a directory that nobody opened.

use super::sections::plain;
use super::spots::stranger;
use super::verdicts::has_rules;
use super::{APACHE, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "path-not-granted",
    title: "a mapped directory has no grant: everything below is 403",
    level: Level::Warning,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    let mut reported = HashSet::new();
    let granted: HashSet<&[u8]> = layout
        .spots
        .iter()
        .filter(|spot| has_rules(&spot.section.conf))
        .filter_map(|spot| match (spot.section.place, &spot.section.matcher) {
            (Place::Directory, Matcher::Literal(dir)) => Some(dir.as_slice()),
            _ => None,
        })
        .collect();
    for mapping in &layout.mappings {
        if !reported.insert(mapping.origin) {
            continue;
        }
        let url = format!("{}x", mapping.url);
        let Some(asked) = layout.ask(subject, mapping.server, &url, stranger(), "200") else { continue };
        let Some(decision) = &asked.run.decision else { continue };
        if decision.cause.code != "apache/require-denied-default-root" {
            continue;
        }
        // A directory that is not there ends the walk above it, so that its section is not met either.
        let slashes = (1..mapping.dir.len()).filter(|&at| mapping.dir[at] == b'/');
        if slashes.map(|at| &mapping.dir[..=at]).any(|dir| granted.contains(dir)) {
            continue;
        }
        let dir = String::from_utf8_lossy(&mapping.dir).trim_end_matches('/').to_owned();
        let message = format!(
            "everything below `{}` answers 403: no section grants `{dir}`, and the one for `/` denies",
            mapping.url
        );
        let related: Vec<_> =
            decision.directive.map(|origin| found.related(origin, "is all that applies")).into_iter().collect();
        let finding = found.at(mapping.origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        let grant = format!("<Directory \"{dir}\">\n    Require all granted\n</Directory>");
        if plain(&mapping.dir).is_some()
            && let Some(edit) = Edit::insert_after(subject.sources(), mapping.origin.span, &grant)
        {
            finding.fixed_by(Fix {
                title: "grant the directory".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# path-not-granted

`DocumentRoot`, `Alias` or `ScriptAlias` leads to a directory for which only `<Directory "/">` says anything, and that denies. The server logs AH01630.

## Flagged (apache, server config)
```apache
<Directory "/">
    Require all denied
</Directory>
<Directory "/srv/www">
    Require all granted
</Directory>
Alias "/ext" "/srv/ext"
```

## Fixed (apache, server config)
```apache
<Directory "/">
    Require all denied
</Directory>
<Directory "/srv/www">
    Require all granted
</Directory>
Alias "/ext" "/srv/ext"
<Directory "/srv/ext">
    Require all granted
</Directory>
```

## Why
Mapping a URL and granting a directory are two things. Distributions deny `/` and grant `/var/www` and `/usr/share`; whatever else is served needs a grant of its own.
"#;

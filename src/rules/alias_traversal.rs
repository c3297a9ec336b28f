//! `alias-traversal`: an alias that serves what lies beside it.

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Alias, LocationKind};

pub(super) const RULE: Rule = Rule {
    id: "alias-traversal",
    title: "prefix and alias disagree about the final slash",
    level: Level::Error,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    for spot in subject.spots() {
        let Some(location) = spot.location() else { continue };
        let mapping = &spot.conf.core.mapping;
        let Some(alias) = mapping.value.alias else { continue };
        let path = mapping.value.path.source();
        let name = String::from_utf8_lossy(&location.name).into_owned();
        let climbs = match (&location.kind, alias) {
            (LocationKind::Exact | LocationKind::Named, _) => continue,
            (LocationKind::Regex(_), Alias::Whole) => climb(
                subject,
                spot,
                spot.paths().iter().filter_map(|path| {
                    // The part that the expression captures is the end of the path in most expressions.
                    path.strip_suffix('x').or(path.strip_suffix("/x")).map(|stem| format!("{stem}../x"))
                }),
            ),
            (LocationKind::Regex(_), Alias::Prefix(_)) => None,
            (LocationKind::Prefix | LocationKind::NoRegex, _) if name.ends_with('/') => continue,
            (LocationKind::Prefix | LocationKind::NoRegex, _) => {
                climb(subject, spot, [format!("{name}../x")].into_iter())
            }
        };
        if let Some((request, file)) = climbs {
            let message = format!(
                "`{request}` is served from `{file}`: what follows {} is put after the alias as it is",
                spot.name()
            );
            let related = mapping.origin.map(|origin| found.related(origin, "the directory that is left"));
            let word = location_word(subject, location.origin, &name);
            let finding = found.at(location.origin, message);
            finding.related.extend(related);
            if let Some(edit) = word.filter(|_| matches!(location.kind, LocationKind::Prefix | LocationKind::NoRegex)) {
                let fix = Fix {
                    title: format!("make it `location {name}/`"),
                    edits: vec![edit],
                    commands: Vec::new(),
                    safety: Safety::Safe,
                    then: None,
                };
                finding.fixed_by(fix);
            }
        } else if !path.ends_with(b"/")
            && matches!(location.kind, LocationKind::Prefix | LocationKind::NoRegex)
            && is_directory(subject, path)
        {
            let shown = String::from_utf8_lossy(path);
            let message =
                format!("{} also serves what is beside `{shown}`: `{name}-old` is `{shown}-old`", spot.name());
            found.at(location.origin, message).level(Level::Warning);
        }
    }
}

/// The first of these paths that ends up above the alias, with the file it is mapped to.
fn climb(subject: &Subject, spot: &Spot, paths: impl Iterator<Item = String>) -> Option<(String, String)> {
    paths.into_iter().find_map(|path| {
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let asked = ask_for(subject, spot.server, "GET", &path, client, &[], "404")?;
        let file = asked.run.seen.file.as_ref()?.to_string_lossy().into_owned();
        let here = asked.landed_in() == spot.location().map(|location| location.origin);
        (here && file.contains("/../")).then_some((path, file))
    })
}

/// An alias without a slash at its end may be one file, which is meant so.
fn is_directory(subject: &Subject, path: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    matches!(crate::fs::stat(subject.world.fs, path), crate::fact::Fact::Known(Ok(stat)) if stat.kind == crate::fs::FileKind::Directory)
}

/// The line of the location with a slash added to its name.
fn location_word(subject: &Subject, origin: crate::source::Origin, name: &str) -> Option<Edit> {
    let sources = subject.sources();
    let start = sources.start(origin.span);
    let file = sources.file(origin.span.file);
    let line = std::str::from_utf8(file.line(start.line)?).ok()?;
    let at = line.get(start.column as usize - 1..)?.find(name)? + start.column as usize - 1;
    let (before, after) = (line.get(..at + name.len())?, line.get(at + name.len()..)?);
    Some(Edit {
        file: file.path.clone(),
        line: start.line,
        end_line: start.line,
        replacement: format!("{before}/{after}"),
    })
}

const PAGE: &str = r#"# alias-traversal

A prefix without a final slash whose alias has one: `/i../x` is the alias followed by `../x`, one directory up. The same happens where
a regular expression captures what may begin with `..`. Where neither has the slash, `/i-old` is served from the directory beside
(a warning).

## Flagged (nginx, server)
```nginx
location /i { alias /srv/img/; }
```

## Fixed (nginx, server)
```nginx
location /i/ { alias /srv/img/; }
```

## Why
nginx replaces the location's name by the alias as text; nothing puts a slash between them, and the path was normalised before, when
`/i..` was one harmless name.
"#;

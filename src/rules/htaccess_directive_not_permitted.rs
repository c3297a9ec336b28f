//! `htaccess-directive-not-permitted`: a file that makes its directory answer 500.

use super::sections::{classes, path_text};
use super::spots::stranger;
use super::{APACHE, Needs, Rule};
use crate::apache::directives::{self, OR_ALL};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::trace::{Event, apache};

pub(super) const RULE: Rule = Rule {
    id: "htaccess-directive-not-permitted",
    title: "a `.htaccess` directive is refused here: every request answers 500",
    level: Level::Error,
    category: Category::Correctness,
    servers: APACHE,
    needs: Needs::Tree,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for file in &layout.files {
        let url = format!("{}x", file.url);
        let Some(asked) = layout.ask(subject, file.server, &url, stranger(), "an answer") else { continue };
        let Some(decision) = asked.run.decision.as_ref().filter(|decision| {
            decision.cause.code == "apache/htaccess-error" && decision.path.as_deref() == Some(file.path.as_path())
        }) else {
            continue;
        };
        let (Some(origin), Some(Event::Apache(apache::Event::Problem { message: said }))) =
            (decision.directive, &decision.event)
        else {
            continue;
        };
        // Other mistakes are those of the file alone.
        if !said.contains("not allowed here") {
            continue;
        }
        let line = subject.sources().text(origin.span);
        let name = line.split(|byte| byte.is_ascii_whitespace() || *byte == b'>').next().unwrap_or_default();
        let mask = directives::lookup(&name.to_ascii_lowercase()).first().map_or(0, |row| row.mask & OR_ALL);
        let wanted = classes(mask).first().copied();
        let message = format!("every request for `{}` answers 500: the server says `{said}`", file.url);
        let allowed = decision.related.iter().find(|related| related.role == "override").map(|related| related.origin);
        let related: Vec<_> =
            allowed.map(|origin| found.related(origin, "says what may stand in the file")).into_iter().collect();
        let shown = path_text(&file.path);
        let origin = crate::source::Origin { span: origin.span, via: None };
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        match wanted {
            Some(class) => {
                let edit = allowed.and_then(|allowed| {
                    let text = std::str::from_utf8(subject.sources().text(allowed.span)).ok()?.trim_end();
                    let text = text.strip_suffix("None").or(text.strip_suffix("none")).unwrap_or(text).trim_end();
                    Edit::replace(subject.sources(), allowed.span, &format!("{text} {class}"))
                });
                if let Some(edit) = edit {
                    finding.fixed_by(Fix {
                        title: format!("allow the class {class}"),
                        edits: vec![edit],
                        commands: Vec::new(),
                        safety: Safety::Review,
                        then: None,
                    });
                }
                finding.advise(format!("`AllowOverride {class}` would admit it"));
            }
            None => {
                finding.advise(format!("it may stand in the server's own files only, never in {shown}"));
            }
        }
    }
}

const PAGE: &str = r#"# htaccess-directive-not-permitted

A directive of a `.htaccess` is not among the classes of the `AllowOverride` in force, its option is not among those of `Options=…`, or it may stand in
no `.htaccess` at all. The server answers 500 to every request for that directory and all below it.

## Flagged (apache, server config)
```tree
/srv/www/p/.htaccess: Options -Indexes
```
```apache
<Directory "/srv/www/p">
    AllowOverride Limit
</Directory>
```

## Fixed (apache, server config)
```tree
/srv/www/p/.htaccess: Options -Indexes
```
```apache
<Directory "/srv/www/p">
    AllowOverride Limit Options=Indexes
</Directory>
```

## Why
Each directive belongs to a class: `AuthConfig` (logins and `Require`), `FileInfo` (types, handlers, rewriting, redirects), `Indexes`, `Limit`
(`Order`, `Allow`, `Deny`), `Options`. The first one that is not admitted ends the request. `AllowOverride Nonfatal=Override` makes the server pass over it instead.
"#;

//! `access-compat-directive`: Order, Allow, Deny.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "access-compat-directive",
    title: "access control in the style of Apache 2.2",
    level: Level::Info,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut lines = Vec::new();
    every(subject, config, layout, &mut |line| {
        if !line.node.section && matches!(line.node.name(), "order" | "allow" | "deny" | "satisfy") {
            lines.push((line.node.origin, line.node.written().to_owned()));
        }
    });
    let Some((first, name)) = lines.first() else { return };
    let message =
        format!("`{name}` comes from mod_access_compat: where that module is missing, the server does not start");
    let related = lines.iter().skip(1).take(4).map(|(origin, _)| found.related(*origin, "so does this")).collect();
    let finding = found.at(*first, message).advise("say it with `Require`");
    finding.related = related;
    finding.count = u32::try_from(lines.len()).unwrap_or(u32::MAX);
}

const PAGE: &str = r#"# access-compat-directive

`Order`, `Allow`, `Deny` and `Satisfy` are there for configurations of Apache 2.2. One finding names the first lines and counts the rest.

## Flagged (apache, directory or .htaccess)
```apache
Order allow,deny
Allow from all
```

## Fixed (apache, directory or .htaccess)
```apache
Require all granted
```

## Why
The four directives belong to mod_access_compat, which is asked beside `Require` and inherits by its own rules. A server without the module refuses them, and in a `.htaccess` that
is an error 500 for every request.
"#;

//! `rewrite-never-matches`: the slash that is not there.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "rewrite-never-matches",
    title: "a pattern for a path that no request has here",
    level: Level::Warning,
    category: Category::Correctness,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    every(subject, config, layout, &mut |line| {
        let node = line.node;
        if !node.is("rewriterule") || !line.in_directory() {
            return;
        }
        let Some(pattern) = node.word(0).and_then(|word| std::str::from_utf8(word).ok()) else { return };
        let Some(rest) = pattern.strip_prefix("^/") else { return };
        // An optional slash, and an alternative that has none.
        if rest.starts_with(['?', '*', '{']) || rest.contains('|') {
            return;
        }
        let flags = node.word(2).map(|flags| String::from_utf8_lossy(flags).to_ascii_lowercase()).unwrap_or_default();
        let denies = flags
            .trim_matches(['[', ']'])
            .split(',')
            .any(|flag| matches!(flag.trim(), "f" | "forbidden" | "g" | "gone"));
        let message = format!("`{pattern}` matches nothing: what is compared here has no slash in front");
        let text = String::from_utf8_lossy(subject.sources().text(node.origin.span)).into_owned();
        let edit = Edit::replace(subject.sources(), node.origin.span, &text.replacen("^/", "^", 1));
        let finding = found.at(node.origin, message);
        if denies {
            finding.level(Level::Error);
        }
        if let Some(edit) = edit {
            finding.fixed_by(Fix {
                title: "take the slash out".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    });
}

const PAGE: &str = r#"# rewrite-never-matches

In a `.htaccess` and in `<Directory>` the rule's pattern is compared with the path below that directory, which begins without a slash. A pattern that wants one
first never matches; an error where the rule would forbid something.

## Flagged (apache, directory or .htaccess)
```apache
RewriteEngine On
RewriteRule "^/secret\.txt$" "-" [F]
```

## Fixed (apache, directory or .htaccess)
```apache
RewriteEngine On
RewriteRule "^secret\.txt$" "-" [F]
```

## Why
In the server's own configuration and in a virtual host the pattern is compared with the whole path of the URL. Below a directory the server takes the directory's path away
first, with its last slash.
"#;

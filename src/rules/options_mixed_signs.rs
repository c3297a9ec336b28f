//! `options-mixed-signs`: signs for some of the words.

use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "options-mixed-signs",
    title: "`Options` with and without signs in one line",
    level: Level::Error,
    category: Category::Correctness,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

/// Whether a refusal of the configuration check is about that; its problem is then a finding of this rule.
pub(crate) fn is_meant(message: &str) -> bool {
    message.starts_with("either all Options must start with + or -")
}

const PAGE: &str = r#"# options-mixed-signs

A line of `Options` either replaces the inherited set (no signs) or changes it (a sign at every word). Both in one line are refused; in a `.htaccess` every request below it answers 500.

## Flagged (apache, directory or .htaccess; refused)
```apache
Options FollowSymLinks -Indexes
```

## Fixed (apache, directory or .htaccess)
```apache
Options +FollowSymLinks -Indexes
```

## Why
Without a sign the first word throws the inherited options away, and with one it keeps them: the line would mean two things.
"#;

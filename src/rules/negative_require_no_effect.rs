//! `negative-require-no-effect`: a refusal of something that nobody granted.

use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "negative-require-no-effect",
    title: "`Require not` where nothing positive can satisfy",
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
    message.starts_with("negative ") && message.contains(" has no effect in ")
}

const PAGE: &str = r#"# negative-require-no-effect

`Require not` takes away from what other lines grant. Alone in a section, or in `<RequireAny>`, it can grant nothing, and the server refuses to start; in a
`.htaccess` every request below it answers 500.

## Flagged (apache, directory or .htaccess; refused)
```apache
Require not ip 10.0.0.1
```

## Fixed (apache, directory or .htaccess)
```apache
<RequireAll>
    Require all granted
    Require not ip 10.0.0.1
</RequireAll>
```

## Why
The lines of a section are alternatives. A negated line that does not match says nothing, and one that matches refuses nothing that another alternative could not grant.
"#;

//! `invalid-argument`: wrong number or kind of arguments.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "invalid-argument",
    title: "wrong number or kind of arguments",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# invalid-argument

Arity, flags (`on`/`off`), enumerations, sizes, times, numbers out of range, combinations that the server refuses. Every error of the
file is reported, not only the first.

## Flagged (nginx, location; refused)
```nginx
autoindex yes;
```

## Fixed (nginx, location; also listing-enabled)
```nginx
autoindex on;
```

## Flagged (apache, directory or .htaccess; refused)
```apache
Options FollowSimLinks
```

## Fixed (apache, directory or .htaccess)
```apache
Options FollowSymLinks
```

## Why
A missing `;` often shows as this: the next line's words become arguments, and the count is wrong. Apache compares the words
of `Options`, `AllowOverride` and their kin with the ones it knows, and refuses any other.
"#;

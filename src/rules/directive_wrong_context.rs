//! `directive-wrong-context`: a known directive where it may not stand.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "directive-wrong-context",
    title: "the directive is not allowed here",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# directive-wrong-context

The directive exists, but not in this block or section. The finding lists where it may stand.

## Flagged (nginx, location; refused)
```nginx
if ($a) { deny all; }
```

## Fixed (nginx, location)
```nginx
deny all;
```

## Flagged (apache, directory or .htaccess; refused)
```apache
Listen 8791
```

## Fixed (apache, directory or .htaccess)
```apache
Require all granted
```

## Why
Each directive has a set of contexts in the server's own command table. nginx refuses a directive outside them at start; Apache too,
and in an `.htaccess` the same refusal is a 500 for every request below it, which nobody sees until somebody asks.
"#;

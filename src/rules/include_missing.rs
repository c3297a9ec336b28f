//! `include-missing`: literal includes that cannot be opened.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "include-missing",
    title: "an included file does not exist",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Tree,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# include-missing

An `include` or `Include` names a file that is not there. The server refuses the configuration. A pattern without a match is fine.

## Flagged (nginx, http; refused)
```nginx
include /etc/nginx/no-such-file.conf;
```

## Fixed (nginx, http)
```nginx
include /etc/nginx/no-such-dir/*.conf;
```

## Why
nginx takes a relative name as relative to the directory of the main file, not of the file that includes; Apache as relative to
`ServerRoot`. A name with `*`, `?` or `[` is a pattern, and a pattern may match nothing (Apache's `Include` refuses that, too;
`IncludeOptional` does not).
"#;

//! `config-not-understood`: what the program itself could not read or follow.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "config-not-understood",
    title: "something that decides could not be evaluated",
    level: Level::Warning,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# config-not-understood

A limit of this program was met while the configuration was read: includes or blocks nested deeper than any real configuration, a
file of more than 256 MiB, an include cycle. What follows such a place is not judged, and silence about it means nothing.

## Flagged (nginx, main; refused)
```nginx
events { }
http { include /etc/nginx/example.conf; }
```

## Fixed (nginx, main)
```nginx
events { }
http { include /etc/nginx/conf.d/*.conf; }
```

## Why
A file that includes itself makes nginx run out of file descriptors or memory before it says anything; this program stops at the
second reading of the same file in one chain.
"#;

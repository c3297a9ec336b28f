//! `undefined-reference`: names that the configuration check looked for in vain.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "undefined-reference",
    title: "a name that nothing defines",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# undefined-reference

A variable, an upstream, a limit zone, a cache zone, a log format, a `<Macro>`: the name is used and nothing read here defines it.

In a fragment another file may define it, so there the rule is silent.

## Flagged (nginx, main; refused)
```nginx
events { }
http {
    server {
        location / { set $a $no_such; }
    }
}
```

## Fixed (nginx, main)
```nginx
events { }
http {
    map $uri $no_such { default 1; }
    server {
        location / { set $a $no_such; }
    }
}
```

## Why
nginx looks names up once the whole configuration is read: a variable may be defined after its use, and the message for an unknown one
carries no line. `set` anywhere in the configuration makes a name known everywhere, empty until it is set.
"#;

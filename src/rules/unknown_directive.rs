//! `unknown-directive`: a name that no module of the chosen build knows.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "unknown-directive",
    title: "no such directive",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# unknown-directive

The name stands in no table of the chosen server version and modules. The server refuses the configuration; in an `.htaccess` every
request below it is answered 500.

## Flagged (nginx, server; refused)
```nginx
locaton / { }
```

## Fixed (nginx, server)
```nginx
location / { }
```

## Flagged (apache, server config; refused)
```apache
AlowOverride None
```

## Fixed (apache, server config)
```apache
Listen 8791
```

## Why
Directives come from modules. A name can be right and the module missing: then the finding names the module and how to load it. The
modules are those of the build (`--modules`, `--server-version`) and those that `LoadModule` names; inside `<IfModule>` of an absent
module Apache skips the lines without reading their names.
"#;

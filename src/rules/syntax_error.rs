//! `syntax-error`: the parser's own problems.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "syntax-error",
    title: "the file cannot be read as configuration",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# syntax-error

Unbalanced braces or sections, an unterminated quote, a missing `;`, a stray `}`, a byte-order mark, a token that is too long.
The server refuses the whole configuration, so nothing is served at the next start and a reload is ignored.

The parser recovers and goes on, so every error of the file is reported, not only the first one that the server names.

## Flagged (nginx, server; refused)
```nginx
location / { root /srv/www }
```

## Fixed (nginx, server)
```nginx
location / { root /srv/www; }
```

## Flagged (apache, server config; refused)
```apache
<Directory "/srv/www">
Options None
</Location>
```

## Fixed (apache, server config)
```apache
<Directory "/srv/www">
    Options None
</Directory>
```

## Why
nginx reads a directive up to `;` or `{`, whatever the line ends are: a forgotten `;` makes the next line an argument of this one,
and the message names the place where the reading stopped. Apache names the last line of the section it was reading.
"#;

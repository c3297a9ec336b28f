//! `body-size-or-gzip-unset`: two defaults that are often too small.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "body-size-or-gzip-unset",
    title: "client_max_body_size or gzip left at their defaults",
    level: Level::Info,
    category: Category::Performance,
    servers: NGINX,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for block in blocks.http().filter(|block| block.name() == b"server") {
        let defaults: [(&[u8], &str); 2] = [
            (b"client_max_body_size", "bodies end at one megabyte (`client_max_body_size`)"),
            (b"gzip", "nothing is compressed (`gzip`)"),
        ];
        let said = |name: &[u8]| blocks.inwards(block).any(|inner| blocks.nearest(inner, name).is_some());
        let missing: Vec<&str> = defaults.into_iter().filter(|(name, _)| !said(name)).map(|(_, shown)| shown).collect();
        if let (Some(opened), false) = (&block.opened, missing.is_empty()) {
            let message = format!("nothing is said for this server, so {}", missing.join(", and "));
            found.at(opened.origin(), message);
        }
    }
}

const PAGE: &str = r#"# body-size-or-gzip-unset

House style: a reminder to think of both.

## Flagged (nginx, http)
```nginx
server { listen 8080; return 404; }
```

## Fixed (nginx, http)
```nginx
client_max_body_size 1m;
gzip on;
server { listen 8080; return 404; }
```

## Why
The defaults are `1m` and `off`.
"#;

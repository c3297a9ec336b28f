//! `try-files-without-cache`: files are looked for again with every request.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "try-files-without-cache",
    title: "try_files without open_file_cache",
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
    for block in blocks.http() {
        let cached = blocks.in_force(block, b"open_file_cache").any(|line| line.words != [b"off"]);
        for line in block.own(b"try_files").filter(|_| !cached) {
            let count = line.words.len().saturating_sub(1);
            found.at(
                line.origin(),
                format!("every request looks for up to {count} files anew: nothing remembers what was found"),
            );
        }
    }
}

const PAGE: &str = r#"# try-files-without-cache

A reminder for busy machines: each argument but the last one is a look at the disk.

## Flagged (nginx, location)
```nginx
try_files $uri =404;
```

## Fixed (nginx, location)
```nginx
open_file_cache max=1000;
try_files $uri =404;
```

## Why
`open_file_cache` remembers what was found, and with `open_file_cache_errors` also what was not.
"#;

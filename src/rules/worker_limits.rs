//! `worker-limits`: more connections than files that may be open.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "worker-limits",
    title: "file-descriptor and worker settings that do not fit",
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
    let number = |name: &[u8]| {
        let line = blocks.all().iter().flat_map(|block| block.lines.iter()).find(|line| line.name == name)?;
        Some((line.origin(), std::str::from_utf8(line.words.first()?).ok()?.parse::<u64>().ok()?))
    };
    let (Some((origin, files)), Some((connections, count))) =
        (number(b"worker_rlimit_nofile"), number(b"worker_connections"))
    else {
        return;
    };
    if files < count.saturating_mul(2) {
        let message = format!(
            "a worker may open {files} files, and {count} connections, each with a file or a back end behind it, need {}",
            count.saturating_mul(2)
        );
        let related = found.related(connections, "asks for so many connections");
        found.at(origin, message).with(related);
    }
}

const PAGE: &str = r#"# worker-limits

Each connection takes a descriptor, and the file or the back end behind it another one.

## Flagged (nginx, main)
```nginx
worker_rlimit_nofile 512;
events { worker_connections 1024; }
```

## Fixed (nginx, main)
```nginx
worker_rlimit_nofile 4096;
events { worker_connections 1024; }
```

## Why
When the limit is reached, `accept()` and `open()` fail, and requests with them.
"#;

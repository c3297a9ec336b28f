//! `worker-runs-as-root`: whoever takes over a worker has the machine.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "worker-runs-as-root",
    title: "worker processes run as root",
    level: Level::Error,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let message = "the workers answer every request as root: no file is closed to them, and whoever takes one over has the machine";
    if let Some(blocks) = subject.blocks {
        for line in blocks.all()[0].own(b"user").filter(|line| line.words.first() == Some(&&b"root"[..])) {
            found.at(line.origin(), message);
        }
    }
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        if node.is("user") && node.word(0).is_some_and(|user| user == b"root" || user == b"#0") {
            lines.push(node.origin);
        }
    });
    lines.into_iter().for_each(|origin| {
        found.at(origin, message);
    });
}

const PAGE: &str = r#"# worker-runs-as-root

`user root` gives the workers every right on the machine: files that were closed to the site are served, and a hole in a module is one in
the system.

## Flagged (nginx, main)
```nginx
user root;
events { }
```

## Fixed (nginx, main)
```nginx
user www-data;
events { }
```

## Why
Only the master process has to be root, to open ports below 1024 and log files. The workers give their rights up, if they are told whose to take.
"#;

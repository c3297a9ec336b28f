//! `error_log off`: a file of that name.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "error-log-off",
    title: "error_log off writes to a file named \"off\"",
    level: Level::Warning,
    category: Category::Correctness,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.all().iter().flat_map(|block| block.own(b"error_log")) {
        if !matches!(line.words[..], [b"off", ..]) {
            continue;
        }
        let message = "the log goes on, into a file `off` below the prefix: `error_log` cannot be switched off";
        let edit = Edit::replace(blocks.sources(), line.placed.span(), "error_log /dev/null crit;");
        let finding = found.at(line.origin(), message);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("throw the log away", Safety::Safe, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# error-log-off

`access_log off` is a word of that directive; for `error_log` it is a file name, relative to the prefix.

## Flagged (nginx, main)
```nginx
error_log off;
events { }
```

## Fixed (nginx, main)
```nginx
error_log /dev/null crit;
events { }
```

## Why
`error_log` takes a file, `stderr`, `syslog:` or `memory:`, and a level. There is no word for none.
"#;

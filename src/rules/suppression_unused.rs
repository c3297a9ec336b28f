//! `suppression-unused`: comments that silence nothing. The engine finds them while it silences.

use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};

pub(super) const RULE: Rule = Rule {
    id: "suppression-unused",
    title: "an ignore comment that silences nothing",
    level: Level::Info,
    category: Category::Style,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: None,
};

const PAGE: &str = r#"# suppression-unused

A comment `# why403: ignore[rule-id] reason` that covers no finding of that rule, names a rule that does not exist, or gives no reason. A
suppression without a reason silences nothing.

## Flagged (nginx, http)
```nginx
# why403: ignore[listing-enabled] download area
server_tokens off;
```

## Fixed (nginx, http)
```nginx
server_tokens off;
```

## Why
A suppression outlives what it was for, and then hides the next finding on that line.
"#;

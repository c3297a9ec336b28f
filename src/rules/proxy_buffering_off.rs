//! `proxy-buffering-off`: a slow client holds the back end.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "proxy-buffering-off",
    title: "proxy_buffering off outside streaming endpoints",
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
    for line in blocks.http().flat_map(|block| block.own(b"proxy_buffering")) {
        if line.words == [b"off"] {
            found.at(line.origin(), "a slow client keeps a connection to the back end busy for as long as it reads");
        }
    }
}

const PAGE: &str = r#"# proxy-buffering-off

Without buffering, nginx reads from the back end only as fast as the client does. For event streams that is wanted; a back end says so itself
with `X-Accel-Buffering: no`.

## Flagged (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_buffering off;
```

## Fixed (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
```

## Why
The buffers are what takes an answer off the back end's hands at once.
"#;

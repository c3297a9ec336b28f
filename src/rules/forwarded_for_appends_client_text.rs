//! `forwarded-for-appends-client-text`: the first address in the header is the client's invention.

use super::blocks::mentions;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "forwarded-for-appends-client-text",
    title: "X-Forwarded-For passes on what the client wrote",
    level: Level::Info,
    category: Category::Security,
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
        // With a realip list, somebody trusted stands in front, and his list is worth passing on.
        if blocks.nearest(block, b"set_real_ip_from").is_some() {
            continue;
        }
        for line in block.own(b"proxy_set_header") {
            let [name, value] = &line.words[..] else { continue };
            if name.eq_ignore_ascii_case(b"x-forwarded-for") && mentions(value, "proxy_add_x_forwarded_for") {
                let message = "the back end gets a list that begins with whatever the client wrote: this appends to the client's header";
                found.at(line.origin(), message).advise("`$remote_addr` is the one address that nginx knows");
            }
        }
    }
}

const PAGE: &str = r#"# forwarded-for-appends-client-text

`$proxy_add_x_forwarded_for` is the client's own header with its address behind it. Where nginx is the outermost proxy, a back end that reads
the list from the left believes the client. Not reported where `set_real_ip_from` says that another proxy stands in front.

## Flagged (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
```

## Fixed (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_set_header X-Forwarded-For $remote_addr;
```

## Why
nginx passes no judgement on a header of the client. What it appends itself is at the right end.
"#;

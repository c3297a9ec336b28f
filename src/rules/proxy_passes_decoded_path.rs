//! `proxy-passes-decoded-path`: the back end gets another path than the client wrote.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "proxy-passes-decoded-path",
    title: "proxy_pass with a path forwards the normalised URI",
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
    for line in blocks.http().flat_map(|block| block.own(b"proxy_pass")) {
        let Some(target) = line.words.first().and_then(|word| std::str::from_utf8(word).ok()) else { continue };
        // With variables nothing is put in the place of the location's name.
        let path = target.split_once("://").and_then(|(_, rest)| rest.find('/'));
        if path.is_some() && !target.contains('$') {
            let message = "the back end sees the path decoded, without doubled slashes and with `..` resolved, encoded anew: not what the client wrote";
            found
                .at(line.origin(), message)
                .advise("without a path, even a `/`, the request line is passed on as it came");
        }
    }
}

const PAGE: &str = r#"# proxy-passes-decoded-path

Where both nginx and the back end decide by the path, they may look at different ones: `/a%2f..%2fb` is one segment for the one and three for the other.

## Flagged (nginx, server)
```nginx
location /a/ { proxy_pass http://127.0.0.1:9000/; }
```

## Fixed (nginx, server)
```nginx
location /a/ { proxy_pass http://127.0.0.1:9000; }
```

## Why
A target with a path replaces the location's name in the normalised path; without one nginx forwards the original.
"#;

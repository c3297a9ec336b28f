//! `hsts-weak`: browsers forget too soon to come by TLS.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "hsts-weak",
    title: "HSTS is short",
    level: Level::Info,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Half a year, in seconds.
const LEAST: u64 = 15_552_000;

fn check(subject: &Subject, found: &mut Findings) {
    if let Some(blocks) = subject.blocks {
        for line in blocks.http().flat_map(|block| block.own(b"add_header")) {
            if let [name, value, ..] = &line.words[..]
                && name.eq_ignore_ascii_case(b"strict-transport-security")
            {
                report(found, line.origin(), value);
            }
        }
    }
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        let at = node.words().position(|word| word.eq_ignore_ascii_case(b"strict-transport-security"));
        if let (true, Some(at)) = (node.is("header"), at) {
            lines.extend(node.word(at + 1).map(|value| (node.origin, value.to_vec())));
        }
    });
    lines.iter().for_each(|(origin, value)| report(found, *origin, value));
}

fn report(found: &mut Findings, origin: Origin, value: &[u8]) {
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    let age =
        value.split(';').find_map(|part| part.trim().strip_prefix("max-age=")?.trim_matches('"').parse::<u64>().ok());
    // Zero takes the promise back, which may be meant.
    if let Some(age) = age.filter(|&age| age > 0 && age < LEAST) {
        let days = age / 86_400;
        let message =
            format!("a browser that was away for {days} days comes in clear text again: `max-age` is {age} seconds");
        found.at(origin, message).advise("half a year is 15552000, a year 31536000");
    }
}

const PAGE: &str = r#"# hsts-weak

`max-age` of Strict-Transport-Security is shorter than half a year.

## Flagged (nginx, server)
```nginx
add_header Strict-Transport-Security "max-age=60";
```

## Fixed (nginx, server)
```nginx
add_header Strict-Transport-Security "max-age=31536000" always;
```

## Flagged (apache, server config)
```apache
Header always set Strict-Transport-Security "max-age=60"
```

## Fixed (apache, server config)
```apache
Header always set Strict-Transport-Security "max-age=31536000"
```

## Why
The promise is kept by the browser, from its last visit on.
"#;

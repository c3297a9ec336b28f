//! `userdir-enabled`: `~user` for everybody.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "userdir-enabled",
    title: "home directories are published",
    level: Level::Info,
    category: Category::Security,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let (mut first, mut limited) = (None, false);
    every(subject, config, layout, &mut |line| {
        if line.node.is("userdir") {
            let switches = ["disabled", "enabled"].iter().any(|word| line.says(0, word));
            limited |= switches;
            if !switches {
                first.get_or_insert((line.node.origin, String::from_utf8_lossy(line.node.args()).into_owned()));
            }
        }
    });
    if let Some((origin, dir)) = first.filter(|_| !limited) {
        let message = format!("`/~user/` is served from `{dir}` of every user of the machine, root among them");
        found
            .at(origin, message)
            .advise("add `UserDir disabled`, and `UserDir enabled` for those who publish something");
    }
}

const PAGE: &str = r#"# userdir-enabled

`UserDir` names a directory and no line limits the users: every account's directory is a root of its own, outside of what the site's rules speak of.

## Flagged (apache, server config)
```apache
UserDir public_html
```

## Fixed (apache, server config)
```apache
UserDir disabled
```

## Why
The module maps `/~name/` for every user that the system knows, unless `UserDir disabled` or `UserDir enabled` names some.
"#;

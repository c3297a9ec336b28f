//! `options-too-wide`: programs, includes and listings at once.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "options-too-wide",
    title: "`Options All`",
    level: Level::Warning,
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
    every(subject, config, layout, &mut |line| {
        let all = |word: &[u8]| word.eq_ignore_ascii_case(b"all") || word.eq_ignore_ascii_case(b"+all");
        if line.node.is("options") && line.node.words().any(all) {
            found
                .at(line.node.origin, "`All` switches on programs, server-side includes, listings and links at once")
                .advise("name the options that are needed");
        }
    });
}

const PAGE: &str = r#"# options-too-wide

`Options All` is `Indexes FollowSymLinks ExecCGI Includes`: listings are shown, programs run and includes execute commands wherever a handler is mapped.

## Flagged (apache, directory or .htaccess; also listing-enabled)
```apache
Options All
```

## Fixed (apache, directory or .htaccess)
```apache
Options None
```

## Why
`All` stands for every option but `MultiViews`. It was the default before 2.3.11, and is now `FollowSymLinks`.
"#;

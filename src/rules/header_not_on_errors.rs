//! `header-not-on-errors`: a protecting header that error pages go without.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "header-not-on-errors",
    title: "a security header is missing on 4xx and 5xx answers",
    level: Level::Info,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Headers that protect the reader of an error page as much as of any other.
const PROTECTIVE: [&str; 6] = [
    "Strict-Transport-Security",
    "Content-Security-Policy",
    "X-Frame-Options",
    "X-Content-Type-Options",
    "Referrer-Policy",
    "Permissions-Policy",
];

fn protective(name: &[u8]) -> Option<&'static str> {
    PROTECTIVE.into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.http().flat_map(|block| block.own(b"add_header")) {
        let (Some(name), [_, value]) = (protective(line.words[0]), &*line.words) else { continue };
        if value.is_empty() {
            continue;
        }
        let message = format!("answers from 400 on go without `{name}`: `add_header` without `always` leaves them out");
        let text = std::str::from_utf8(blocks.sources().text(line.placed.span())).ok();
        let text = text.and_then(|text| text.strip_suffix(';')).map(|text| format!("{} always;", text.trim_end()));
        let edit = text.and_then(|text| Edit::replace(blocks.sources(), line.placed.span(), &text));
        let finding = found.at(line.origin(), message);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("send it always", Safety::Safe, vec![edit]));
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        // `Header [always] set Name value`: the condition may be left out, and is `onsuccess` then.
        let sets = matches!(node.word(0), Some(action) if action.eq_ignore_ascii_case(b"set") || action.eq_ignore_ascii_case(b"setifempty"));
        if node.is("header") && sets {
            lines.extend(node.word(1).and_then(protective).map(|name| (node.origin, name)));
        }
    });
    for (origin, name) in lines {
        let message = format!("answers from 400 on go without `{name}`: `Header set` without `always` leaves them out");
        let text = std::str::from_utf8(subject.sources().text(origin.span)).ok();
        let word = text.and_then(|text| text.split_whitespace().next());
        let edit = text.zip(word).and_then(|(text, word)| {
            Edit::replace(subject.sources(), origin.span, &text.trim_end().replacen(word, &format!("{word} always"), 1))
        });
        let finding = found.at(origin, message);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("send it always", Safety::Safe, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# header-not-on-errors

A header that tells browsers to be careful is sent with successful answers only. Error pages can be framed, sniffed or scripted as well as
any other. Looked at are Strict-Transport-Security, Content-Security-Policy, X-Frame-Options, X-Content-Type-Options, Referrer-Policy and
Permissions-Policy.

## Flagged (nginx, server)
```nginx
add_header X-Frame-Options DENY;
```

## Fixed (nginx, server)
```nginx
add_header X-Frame-Options DENY always;
```

## Flagged (apache, server config)
```apache
Header set X-Frame-Options "DENY"
```

## Fixed (apache, server config)
```apache
Header always set X-Frame-Options "DENY"
```

## Why
nginx adds headers to answers with the statuses 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308, unless it is told `always`. Apache has two
tables of headers; that of `onsuccess`, the default, is dropped when an error page is made.
"#;

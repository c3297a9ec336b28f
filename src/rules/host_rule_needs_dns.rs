//! `host-rule-needs-dns`: access by a name that a resolver gives.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Certainty;
use std::net::IpAddr;

pub(super) const RULE: Rule = Rule {
    id: "host-rule-needs-dns",
    title: "a rule by host name depends on reverse DNS",
    level: Level::Warning,
    category: Category::Access,
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
        let node = line.node;
        let words = node.words().map(|word| String::from_utf8_lossy(word).into_owned());
        let words: Vec<String> = words.filter(|word| !word.eq_ignore_ascii_case("not")).collect();
        let Some(first) = words.first().map(|word| word.to_ascii_lowercase()) else { return };
        let names = match node.name() {
            "require" if !node.section && (first == "host" || first == "forward-dns") => words[1..].to_vec(),
            "allow" | "deny" if first == "from" => words[1..].iter().filter(|word| is_name(word)).cloned().collect(),
            _ => return,
        };
        let Some(name) = names.first() else { return };
        let message = match node.name() {
            "deny" => format!(
                "the client keeps out only while DNS says `{name}` of its address: whoever owns the address decides that"
            ),
            _ => {
                format!("the client gets in only while DNS says `{name}` of its address: without an answer nobody does")
            }
        };
        let finding = found.at(node.origin, message);
        finding.certainty = Certainty::Conditional;
        finding.advise("name addresses with `Require ip`");
    });
}

/// Whether a word after `Allow from` is a host name.
fn is_name(word: &str) -> bool {
    let address = word.split('/').next().unwrap_or(word);
    let partial = address.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    !(word.eq_ignore_ascii_case("all")
        || word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("env="))
        || partial
        || address.parse::<IpAddr>().is_ok())
}

const PAGE: &str = r#"# host-rule-needs-dns

`Require host`, `Require forward-dns`, and `Allow` or `Deny` with a name look the client's address up at every request. The answer depends on a resolver, and on whoever
owns the client's address: without an answer a grant lets nobody in, and a refusal lets everybody in.

## Flagged (apache, directory or .htaccess)
```apache
Require host a.test
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 192.0.2.10
```

## Why
`Require host` asks for the name of the address and then for the addresses of that name, and both have to agree. `Require forward-dns` only does the second half.
"#;

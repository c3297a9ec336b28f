//! `partial-address`: `10.1` is `10.1.0.0/16`.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "partial-address",
    title: "a part of an address means a whole network",
    level: Level::Info,
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
        let by_address = match node.name() {
            "require" => node.words().any(|word| word.eq_ignore_ascii_case(b"ip")),
            "allow" | "deny" => true,
            _ => false,
        };
        let words = || node.words().filter_map(|word| std::str::from_utf8(word).ok());
        if node.section || !by_address {
            return;
        }
        let Some((word, network)) = words().find_map(|word| Some((word, network(word)?))) else { return };
        let text = String::from_utf8_lossy(subject.sources().text(node.origin.span)).into_owned();
        let whole = text
            .split_inclusive(char::is_whitespace)
            .map(|part| match part.trim_end() {
                same if same == word => part.replacen(word, &network, 1),
                _ => part.to_owned(),
            })
            .collect::<String>();
        let edit = Edit::replace(subject.sources(), node.origin.span, &whole);
        let finding = found.at(node.origin, format!("`{word}` means the whole of `{network}`"));
        if word.ends_with('.') || word.split('.').count() == 3 {
            finding.level(Level::Warning);
        }
        if let Some(edit) = edit {
            finding.fixed_by(Fix {
                title: format!("write `{network}`, which means the same"),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Safe,
                then: None,
            });
        }
    });
}

/// The network that one to three octets stand for.
fn network(word: &str) -> Option<String> {
    let octets: Vec<&str> = word.strip_suffix('.').unwrap_or(word).split('.').collect();
    let fits = (1..=3).contains(&octets.len()) && octets.iter().all(|octet| octet.parse::<u8>().is_ok());
    fits.then(|| {
        let zeros = ".0".repeat(4 - octets.len());
        format!("{}{zeros}/{}", octets.join("."), octets.len() * 8)
    })
}

const PAGE: &str = r#"# partial-address

One to three octets are read as a network of 8, 16 or 24 bits. A warning where it looks as if the rest was forgotten: a dot at the end, or three octets.

## Flagged (apache, directory or .htaccess)
```apache
Require ip 10.1
```

## Fixed (apache, directory or .htaccess)
```apache
Require ip 10.1.0.0/16
```

## Why
The server compares as many octets as are written. What follows them may be anything.
"#;

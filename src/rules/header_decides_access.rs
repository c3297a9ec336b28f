//! `header-decides-access`: who sends the right header is let in.

use super::blocks::{Blocks, Line};
use super::guards::{Guard, guards, holds, variable};
use super::sample::samples;
use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::script::condition::Parsed;

pub(super) const RULE: Rule = Rule {
    id: "header-decides-access",
    title: "access hangs on a header the client chooses",
    level: Level::Warning,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// From this length on, a text that has to be sent is a secret and not a name.
const SECRET: usize = 16;

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let spots = subject.spots();
    for guard in guards(blocks).filter(|guard| guard.refusal.is_some()) {
        let (Some(spot), Some((header, values))) = (guard.spot(spots), admitted(blocks, &guard)) else { continue };
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let proof = spot.paths().iter().find_map(|path| {
            // Without the header it must be this `if` that refuses.
            let plain = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal")?;
            let refused = plain.run.decision.as_ref().and_then(|decision| decision.directive);
            if refused != guard.refusal.map(Line::origin) {
                return None;
            }
            values.iter().find_map(|value| {
                let asked = ask_for(subject, spot.server, "GET", path, client, &[(&header, value)], "a refusal")?;
                asked.gets_in().then_some((value, asked))
            })
        });
        let Some((value, asked)) = proof else { continue };
        let literal = !matches!(guard.condition, Parsed::Match { .. });
        let secret = literal && value.len() >= SECRET;
        let message = match secret {
            true => format!(
                "who knows the text of `{header}` gets in at {}: a shared secret in the configuration",
                spot.name()
            ),
            false => format!("any client gets in at {} by sending `{header}: {value}`", spot.name()),
        };
        let finding = found.at(guard.line.origin(), message).proven_by(asked.witness, asked.certainty);
        if secret {
            finding.level(Level::Info);
        }
        finding.advise("a password (`auth_basic`), a client certificate or an address says who is asking; a header is what the client says");
    }
}

/// The header that a guard looks at, and values with which it lets pass.
fn admitted(blocks: &Blocks, guard: &Guard) -> Option<(String, Vec<String>)> {
    let name = variable(&guard.condition)?;
    if let Some(header) = header(name) {
        let values = match guard.condition {
            Parsed::Equal { text, negated: true, .. } => vec![text.to_vec()],
            Parsed::Equal { text: b"", negated: false, .. } => vec![b"x".to_vec()],
            Parsed::Match { pattern, negated: true, .. } => samples(pattern),
            _ => return None,
        };
        return Some((header, texts(values)));
    }
    // `map $http_x $ok { default 0; secret 1; } if ($ok = 0) { … }`
    let dollar = [b"$", name].concat();
    let maps = || blocks.all().iter().flat_map(|block| block.own(b"map"));
    let map = maps().find(|map| map.words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(&dollar)))?;
    let header = header(map.words[0].strip_prefix(b"$")?)?;
    let entries = blocks.entries(map);
    let passing = entries.iter().filter(|entry| {
        let value = entry.words.first().filter(|value| !value.contains(&b'$'));
        entry.name != b"default" && value.is_some_and(|value| holds(&guard.condition, value) == Some(false))
    });
    let values = passing.flat_map(|entry| match entry.name.strip_prefix(b"~") {
        Some(pattern) => samples(pattern.strip_prefix(b"*").unwrap_or(pattern)),
        None => vec![entry.name.to_vec()],
    });
    Some((header, texts(values.collect())))
}

fn texts(values: Vec<Vec<u8>>) -> Vec<String> {
    let texts = values.into_iter().filter_map(|value| String::from_utf8(value).ok());
    texts
        .filter(|text| !text.is_empty() && !text.contains(|character: char| character.is_control() || character == '$'))
        .collect()
}

/// The header behind `$http_name`. The host is a name to be served by, not a claim; how the client was reached is the
/// proxy's word.
fn header(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let header = name.strip_prefix("http_")?;
    let other =
        matches!(header, "host" | "x_forwarded_proto" | "x_forwarded_host" | "upgrade" | "connection" | "cf_visitor");
    (!other && !header.is_empty()).then(|| header.replace('_', "-"))
}

const PAGE: &str = r#"# header-decides-access

An `if` refuses everybody but those who send a certain User-Agent, Referer, X-Forwarded-For or another header, directly or by way of a
`map`. The message shows one that gets in. A text of sixteen characters or more is taken for a shared secret (information only). Lists of those
who are to be *refused* by what they send are not reported.

## Flagged (nginx, location)
```nginx
if ($http_user_agent !~ "^MyApp/") { return 403; }
```

## Fixed (nginx, location)
```nginx
auth_basic "x";
auth_basic_user_file /etc/nginx/htpasswd;
```

## Why
Every header is text that the client made up. nginx passes no judgement on it.
"#;

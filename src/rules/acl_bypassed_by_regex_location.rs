//! `acl-bypassed-by-regex-location`: a regex location wins over a protected prefix.

use super::sample::samples;
use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{LocationKind, Server};

pub(super) const RULE: Rule = Rule {
    id: "acl-bypassed-by-regex-location",
    title: "a regex location takes requests away from a protected prefix",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    for server in spots::by_server(subject.spots()) {
        for regex in server {
            let Some(LocationKind::Regex(_)) = regex.location().map(|location| &location.kind) else { continue };
            for prefix in server {
                if takes_from(prefix, regex) && report(subject, found, prefix.server, prefix, regex) {
                    break;
                }
            }
        }
    }
}

/// Whether the regex is tried for paths under the prefix: it stands on the level of the prefix or further out, and no `^~`
/// of its own level stops it.
fn takes_from(prefix: &Spot, regex: &Spot) -> bool {
    let Some(LocationKind::Prefix) = prefix.location().map(|location| &location.kind) else { return false };
    let level = regex.path.len() - 1;
    let shares = prefix.path.len() > level
        && std::iter::zip(&prefix.path[..level], &regex.path[..level]).all(|(a, b)| a.origin == b.origin);
    shares && !matches!(prefix.path[level].kind, LocationKind::NoRegex | LocationKind::Exact)
}

/// Looks for a path under the prefix that the regex takes, and a client whom only the regex lets in.
fn report(subject: &Subject, found: &mut Findings, server: &Server, prefix: &Spot, regex: &Spot) -> bool {
    let (Some(guarded), Some(winner)) = (prefix.location(), regex.location()) else { return false };
    let Some(client) = spots::outside(prefix.open(), regex.open()) else { return false };
    let Ok(name) = std::str::from_utf8(&guarded.name) else { return false };
    for sample in samples(&winner.name).iter().filter_map(|sample| std::str::from_utf8(sample).ok()) {
        let tail = sample.trim_start_matches('/');
        for path in [sample.to_owned(), format!("{name}x{sample}"), format!("{name}{tail}"), format!("{name}x/{tail}")]
        {
            if !path.starts_with(name) || !path.starts_with('/') {
                continue;
            }
            let Some(asked) = ask_for(subject, server, "GET", &path, client, &[], "a refusal") else { continue };
            if asked.landed_in() != Some(winner.origin) || !asked.gets_in() {
                continue;
            }
            let message = format!(
                "{client} gets in at `{path}`: {} wins over {}, whose rules are not consulted",
                regex.name(),
                prefix.name()
            );
            let related = found.related(guarded.origin, "these rules are not consulted for that path");
            let advice = format!("make it `location ^~ {name}` and repeat the regex location inside it");
            found.at(winner.origin, message).with(related).proven_by(asked.witness, asked.certainty).advise(advice);
            return true;
        }
    }
    false
}

const PAGE: &str = r#"# acl-bypassed-by-regex-location

A prefix location restricts clients, and a regex location is tried for the same paths. nginx takes the regex, and with it the regex's
rules, which let more clients in.

## Flagged (nginx, server)
```nginx
location /admin/ { allow 10.0.0.0/8; deny all; }
location ~ \.php$ { fastcgi_pass unix:/run/php.sock; }
```

## Fixed (nginx, server)
```nginx
location ^~ /admin/ {
    allow 10.0.0.0/8; deny all;
    location ~ \.php$ { fastcgi_pass unix:/run/php.sock; }
}
```

## Why
nginx finds the longest prefix first and then tries the regular expressions in order; the first that matches wins, however short.
Only `^~` on the prefix, or an exact location, stops that. Access rules belong to the location that wins, never to the path.
"#;

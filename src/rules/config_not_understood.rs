//! `config-not-understood`: what the program could not follow, said aloud.

use std::collections::HashSet;

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "config-not-understood",
    title: "something that decides access could not be evaluated",
    level: Level::Warning,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    if subject.nginx().is_some() {
        let mut reported = HashSet::new();
        for spot in subject.spots() {
            let Some(path) = spot.paths().first() else { continue };
            let Some(asked) = ask_for(subject, spot.server, "GET", path, spots::stranger(), &[], "an answer") else {
                continue;
            };
            if asked.run.outcome != Outcome::Unknown {
                continue;
            }
            for open in asked.run.asked.iter().filter(|asked| asked.alternatives.is_empty()) {
                let origin = open.question.origin.unwrap_or(spot.conf.origin);
                if !reported.contains(&origin) {
                    reported.insert(origin);
                    let message =
                        format!("what `{path}` is answered is not known: it depends on {}", open.question.subject);
                    found.at(origin, message);
                }
            }
        }
    }
}

const PAGE: &str = r#"# config-not-understood

A construct in the way of a request is outside the model: Lua, njs or Perl handlers, modules of third parties, a password hash that
cannot be verified, an authorization subrequest that a back end answers. What it guards is not judged, and silence about it means nothing.
Limits of this program (nesting, sizes, number of files) are reported here as well.

## Flagged (nginx, server)
```nginx
location /a/ { perl "sub { my $r = shift; return 403; }"; }
```

## Fixed (nginx, server)
```nginx
location /a/ { deny all; root /srv/www; }
```

## Why
An evaluator that guessed here would be certain and wrong one day.
"#;

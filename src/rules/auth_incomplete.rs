//! `auth-incomplete`: a password is asked for by half of what it takes.

use std::collections::HashSet;

use super::spots::{self, Spot, ask_for};
use super::verdicts::{lines, needs_user, tree};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocConf;
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "auth-incomplete",
    title: "authentication is only half configured",
    level: Level::Error,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

/// A realm without a file, and a file that no realm ever uses: the handler asks nothing.
fn check_nginx(subject: &Subject, found: &mut Findings) {
    let spots = subject.spots();
    let mut reported = HashSet::new();
    for spot in spots {
        let auth = &spot.conf.auth;
        let (origin, why) = match (has_realm(spot.conf), auth.user_file.value.is_some()) {
            (true, false) => (auth.realm.origin, "`auth_basic` has no `auth_basic_user_file` with it"),
            (false, true) => {
                let used =
                    |other: &Spot| other.conf.auth.user_file.origin == auth.user_file.origin && has_realm(other.conf);
                // `auth_basic off` is somebody's word for it.
                let off = auth.realm.origin.is_some();
                (
                    auth.user_file.origin.filter(|_| !off && !spots.iter().any(used)),
                    "the file has no `auth_basic` with it",
                )
            }
            _ => continue,
        };
        let Some(origin) = origin.filter(|origin| !reported.contains(origin)) else { continue };
        let Some(client) = spots::pick(spot.open()) else { continue };
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], "401")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.insert(origin);
        let message =
            format!("any client gets in at {} without a password: {why}, and then none is asked for", spot.name());
        found.at(origin, message).proven_by(asked.witness, asked.certainty);
    }
}

fn has_realm(conf: &LocConf) -> bool {
    conf.auth.realm.value.as_ref().is_some_and(|realm| realm.as_literal() != Some(b"off"))
}

/// A user is required and nothing says how one is known: 500 for everybody.
fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    let mut reported = HashSet::new();
    for spot in &layout.spots {
        let Some(tree) = tree(&spot.section.conf) else { continue };
        let Some((line, _)) = lines(tree).into_iter().find(|(_, provider)| needs_user(provider)) else { continue };
        let Some(origin) = line.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let fails = |asked: &spots::Asked| {
            let by_auth = asked.run.decision.as_ref().is_some_and(|decision| decision.cause.code.contains("auth"));
            asked.run.outcome == Outcome::Response(500) && by_auth
        };
        let Some(asked) = layout.find(subject, spot, spots::stranger(), "401", fails) else { continue };
        reported.insert(origin);
        let text = crate::sentence::ticked(subject.sources().text(origin.span).trim_ascii_end());
        let message = format!("every client gets 500: {text} needs a user, and nothing in force says how one is known");
        found
            .at(origin, message)
            .proven_by(asked.witness, asked.certainty)
            .advise("`AuthType`, `AuthName` and a provider such as `AuthUserFile`");
    }
}

const PAGE: &str = r#"# auth-incomplete

nginx: `auth_basic` without an `auth_basic_user_file`, or the file without a realm, asks for nothing and lets everybody in. Apache:
`Require valid-user` and its like without `AuthType` or `AuthName` answer 500.

## Flagged (nginx, location)
```nginx
auth_basic "x";
```

## Fixed (nginx, location)
```nginx
auth_basic "x";
auth_basic_user_file /etc/nginx/htpasswd;
```

## Flagged (apache, directory or .htaccess)
```apache
Require valid-user
```

## Fixed (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require valid-user
```

## Why
nginx's handler leaves the request alone unless it has both. Apache notices when it is asked for a user and has no way to get one.
"#;

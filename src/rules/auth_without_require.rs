//! `auth-without-require`: a password that is never asked for.

use super::lines::every;
use super::sections::{Spot, name};
use super::spots::{Asked, stranger};
use super::verdicts::{grants_all, lines, needs_user, tree};
use super::{APACHE, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "auth-without-require",
    title: "a login is configured, and nothing asks for it",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// What the server makes of an `AuthType` without any `Require`.
const UNASKED: &str = "apache/authtype-without-require";

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut files = Vec::new();
    every(subject, config, layout, &mut |line| {
        if line.node.is("authuserfile") && !line.says(0, "none") {
            let spot = line.spot(layout).and_then(|spot| layout.index_of(spot.section.origin));
            files.extend(spot.map(|spot| (spot, line.node.origin)));
        }
    });
    for (index, spot) in layout.spots.iter().enumerate() {
        let silent = tree(&spot.section.conf).is_none() || grants_all(&spot.section.conf);
        let Some((_, line)) = files.iter().find(|(spot, _)| *spot == index && silent) else { continue };
        // A line further in may ask for the login that is prepared here.
        let asks = |other: &&Spot| {
            tree(&other.section.conf).is_some_and(|tree| lines(tree).iter().any(|(_, provider)| needs_user(provider)))
        };
        if layout.spots.iter().filter(asks).any(|other| related(spot, other)) {
            continue;
        }
        let fails = |asked: &Asked| asked.run.decision.as_ref().is_some_and(|decision| decision.cause.code == UNASKED);
        let asked = layout.find(subject, spot, stranger(), "401", |asked| asked.is_past_the_rules() || fails(asked));
        let Some(asked) = asked else { continue };
        let shown = name(&spot.section);
        let message = if fails(&asked) {
            format!("every request of {shown} gets 500: an `AuthType` is set, and no `Require` says who may")
        } else {
            format!("strangers get in at {shown} without a password: no `Require` asks for the login that is set up")
        };
        found.at(*line, message).proven_by(asked.witness, asked.certainty).advise("add `Require valid-user`");
    }
}

/// Whether what one section says may matter where the other holds; directories apart from each other do not.
fn related(one: &Spot, other: &Spot) -> bool {
    let path = |spot: &Spot| match (spot.section.place, &spot.section.matcher) {
        (Place::Directory | Place::Htaccess, Matcher::Literal(dir)) => Some(dir.clone()),
        _ => None,
    };
    match (path(one), path(other)) {
        (Some(one), Some(other)) => one.starts_with(&other) || other.starts_with(&one),
        _ => true,
    }
}

const PAGE: &str = r#"# auth-without-require

`AuthUserFile` names a password file in a section whose `Require` says `all granted`, or that has none, and no section further in asks for a user. With
`all granted` the password is never asked for and everybody gets in; without any `Require` every request is answered with 500.

## Flagged (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
```

## Flagged (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require all granted
```

## Fixed (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require valid-user
```

## Why
`AuthType` and its kin only say how a user would be known. Whether anybody has to be known is what `Require` says. A type with no rule at all is an
error of its own (AH01627).
"#;

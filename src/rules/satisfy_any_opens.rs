//! `satisfy-any-opens`: one alternative alone lets everybody in.

use super::sections::walk;
use super::spots::{self, ask_for};
use super::verdicts::{clients, lines, needs_user, tree};
use super::{BOTH, Needs, Rule};
use crate::apache::access::providers::Provider;
use crate::apache::model::M_GET;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Satisfy;
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "satisfy-any-opens",
    title: "`satisfy any` makes the password or the address list moot",
    level: Level::Error,
    category: Category::Access,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let satisfy = &spot.conf.core.satisfy;
        if satisfy.value != Satisfy::Any || !spots::has_auth(spot.conf) || !spot.closed().is_empty() {
            continue;
        }
        let Some(origin) = satisfy.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let asked = spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, spots::stranger(), &[], "401")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.insert(origin);
        let rule = spots::rules(&spot.conf.access).into_iter().map(|(origin, _, _)| origin).min();
        let related: Vec<_> = rule.map(|origin| found.related(origin, "lets every client in")).into_iter().collect();
        let message = format!(
            "nobody is ever asked for a password at {}: under `satisfy any` the address list alone lets every client in",
            spot.name()
        );
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("refuse the others (`deny all;` at the end of the list), or use `satisfy all`");
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    // Lines of an implicit alternative are the matter of `require-lines-are-alternatives`.
    let mut explicit: HashSet<crate::source::Span> = HashSet::new();
    walk(&config.nodes, &mut |node, around| {
        if node.is("require") && around.last().is_some_and(|outer| outer.is_section("requireany")) {
            explicit.insert(node.origin.span);
        }
    });
    for spot in &layout.spots {
        let conf = &spot.section.conf;
        let satisfy = conf.access_compat.as_ref().filter(|record| record.satisfy_any(M_GET).value);
        let everybody = satisfy
            .is_some_and(|record| clients(&[conf]).iter().all(|client| record.lets_in(*client, M_GET) == Some(true)));
        let asks = tree(conf).map(lines).unwrap_or_default();
        let user = asks.iter().find(|(line, provider)| needs_user(provider) && !line.negate).map(|(line, _)| *line);
        let granted = asks.iter().find(|(line, provider)| {
            matches!(provider, Provider::All(true))
                && !line.negate
                && line.origin.is_some_and(|origin| explicit.contains(&origin.span))
        });
        let place = match (satisfy, granted) {
            (Some(record), _) if everybody => record.satisfy_any(M_GET).origin,
            (_, Some((line, _))) if user.is_some() => line.origin,
            _ => None,
        };
        let Some(place) = place else { continue };
        let mut login = user.and_then(|line| line.origin);
        let asked = layout.find(subject, spot, spots::stranger(), "401", |asked| asked.is_past_the_rules());
        let Some(asked) = asked else { continue };
        if login.is_none() {
            // The login may be asked for by a section around this one.
            let met = asked.run.seen.sections.iter().rev().filter_map(|origin| layout.spot(*origin));
            login = met
                .flat_map(|spot| tree(&spot.section.conf).map(lines).unwrap_or_default())
                .find(|(_, provider)| needs_user(provider))
                .and_then(|(line, _)| line.origin);
        }
        let Some(login) = login else { continue };
        let related = found.related(login, "is never asked for");
        found
            .at(
                place,
                "any client gets in without a password: one alternative is enough, and this one lets everybody in",
            )
            .with(related)
            .proven_by(asked.witness, asked.certainty)
            .advise("take the open alternative away, or ask for both (`Satisfy All`, `<RequireAll>`)");
    }
}

const PAGE: &str = r#"# satisfy-any-opens

Under `satisfy any` one success is enough. An address list that allows everybody succeeds for everybody, and the password never matters.

## Flagged (nginx, location)
```nginx
satisfy any;
allow all;
auth_basic "x";
auth_basic_user_file /etc/nginx/pw;
```

## Fixed (nginx, location)
```nginx
satisfy any;
allow 10.0.0.0/8;
deny all;
auth_basic "x";
auth_basic_user_file /etc/nginx/pw;
```

## Flagged (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require valid-user
Order allow,deny
Allow from all
Satisfy Any
```

## Fixed (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require valid-user
```

## Why
The access phase asks allow/deny first; under `satisfy any` the first success ends the phase. A client that no entry covers is neither
let in nor refused, and still has to log in.
In Apache `Satisfy Any` takes either gate, `Order`/`Allow`/`Deny` or `Require`. Without any `Allow` and `Deny` the first one is open.
"#;

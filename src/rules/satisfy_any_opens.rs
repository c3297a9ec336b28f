//! `satisfy-any-opens`: one alternative alone lets everybody in.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::ipset::IpSet;
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Satisfy;

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
    let Some(http) = subject.nginx().and_then(|config| config.http.as_ref()) else { return };
    let mut reported = Vec::new();
    for spot in spots::spots(http) {
        let satisfy = &spot.conf.core.satisfy;
        let everybody = spot.open().nets().len() == IpSet::all().nets().len() && IpSet::all().is_within(&spot.open());
        if satisfy.value != Satisfy::Any || !spots::has_auth(spot.conf) || !everybody {
            continue;
        }
        let Some(origin) = satisfy.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let asked = spot.paths().into_iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", &path, spots::stranger(), &[], "401")?;
            let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
            (here && asked.gets_in()).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        reported.push(origin);
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

## Why
The access phase asks allow/deny first; under `satisfy any` the first success ends the phase. A client that no entry covers is neither
let in nor refused, and still has to log in.
"#;

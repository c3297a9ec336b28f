//! `root-in-location`: a root for one location, and the built-in one for the others.

use std::os::unix::ffi::OsStrExt;

use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Http, LocationKind, Server};
use crate::outcome::Certainty;

pub(super) const RULE: Rule = Rule {
    id: "root-in-location",
    title: "root repeated in locations, not set on the server",
    level: Level::Info,
    category: Category::Style,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(http) = subject.http() else { return };
    let spots = subject.spots();
    for server in http.servers.iter().filter(|server| server.conf.core.mapping.origin.is_none()) {
        let own: Vec<&Spot> = spots::of_server(spots, server).iter().collect();
        let rooted = own.iter().find(|spot| spot.path.len() == 1 && has_root(spot));
        let Some((root, origin)) = rooted.and_then(|spot| Some((spot, spot.conf.core.mapping.origin?))) else {
            continue;
        };
        let elsewhere: Vec<_> = own.iter().filter_map(|spot| falls_back(subject, server, spot)).collect();
        if let Some((first, asked)) = elsewhere.first() {
            let file = asked.run.seen.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
            let message = format!(
                "only {} has this root: {} is served from the built-in directory (`{file}`)",
                root.name(),
                first.name()
            );
            let related = elsewhere.iter().take(5).filter_map(|(spot, _)| spot.location());
            let related = related.map(|location| found.related(location.origin, "has the built-in root")).collect();
            let finding = found.at(origin, message).level(Level::Warning).advise("put `root` into the server");
            finding.related = related;
            finding.count = elsewhere.len() as u32;
            if subject.fragment {
                finding.certainty = Certainty::Conditional;
            }
        } else if let Some(count) = all_the_same(&own, root, http) {
            let shown = String::from_utf8_lossy(root.conf.core.mapping.value.path.source()).into_owned();
            let message = format!("{count} locations say the same root `{shown}`, and the server none");
            let finding = found.at(origin, message).advise("put `root` into the server");
            finding.count = count as u32;
        }
    }
}

fn has_root(spot: &Spot) -> bool {
    spot.conf.core.mapping.origin.is_some() && spot.conf.core.mapping.value.alias.is_none()
}

/// A location without a root whose requests are looked for in the built-in directory, with one that was.
fn falls_back<'s, 'a>(subject: &Subject, server: &Server, spot: &'s Spot<'a>) -> Option<(&'s Spot<'a>, spots::Asked)> {
    let location = spot.location()?;
    if spot.conf.core.mapping.origin.is_some() || spot.conf.handler.is_some() {
        return None;
    }
    let prefix = subject.nginx()?.prefix.to_vec();
    let client = spots::pick(spot.open())?;
    spot.paths().iter().find_map(|path| {
        let asked = ask_for(subject, server, "GET", path, client, &[], "a file of the site")?;
        let here = asked.landed_in() == Some(location.origin);
        let file = asked.run.seen.file.as_ref()?;
        (here && file.as_os_str().as_bytes().starts_with(&prefix)).then_some((spot, asked))
    })
}

/// How many locations have this root, if it is two or more and every location of the server has it.
fn all_the_same(own: &[&Spot], root: &Spot, http: &Http) -> Option<usize> {
    let first: Vec<&&Spot> = own.iter().filter(|spot| spot.path.len() == 1).collect();
    let text = root.conf.core.mapping.value.path.source();
    let same = |spot: &&&Spot| has_root(spot) && spot.conf.core.mapping.value.path.source() == text;
    let named = |spot: &&&Spot| spot.location().is_some_and(|location| matches!(location.kind, LocationKind::Named));
    let all = first.iter().all(|spot| same(spot) || named(spot) || spot.conf.handler.is_some());
    let own_roots = first.iter().filter(|spot| same(spot) && spot.outer(http).core.mapping.origin.is_none()).count();
    (all && own_roots >= 2).then_some(own_roots)
}

const PAGE: &str = r#"# root-in-location

The server has no `root`. Where one location has it and another one serves files too, the other one serves them from the directory that
was built in (a warning, with a file that is looked for). Where all locations say the same root, it is only repeated.

## Flagged (nginx, server)
```nginx
location / { root /srv/www; }
location /img/ { expires 1d; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location /img/ { expires 1d; }
```

## Why
Locations do not inherit from each other, `location /` is none of the others' parent. Without any `root`, it is `html` below the prefix.
"#;

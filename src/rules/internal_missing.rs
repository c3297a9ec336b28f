//! `internal-missing`: a location made for subrequests that everybody can ask for.

use std::collections::HashSet;

use super::blocks::Blocks;
use super::spots::{self, Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::LocationKind;
use crate::outcome::Outcome;
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "internal-missing",
    title: "a helper location can be requested directly",
    level: Level::Warning,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let spots = subject.spots();
    let mut reported = HashSet::new();
    for (spot, uri, asker, name) in subrequests(blocks, spots) {
        let helper = spots::of_server(spots, spot.server).iter().find(|other| is_for(other, &uri));
        let Some((helper, location)) = helper.and_then(|helper| Some((helper, helper.location()?))) else { continue };
        if helper.conf.core.internal.value || reported.contains(&location.origin) {
            continue;
        }
        let client = spots::pick(helper.open()).unwrap_or_else(spots::stranger);
        let Some(asked) = ask_for(subject, spot.server, "GET", &uri, client, &[], "404") else { continue };
        if asked.landed_in() != Some(location.origin) || asked.run.outcome != Outcome::Upstream {
            continue;
        }
        reported.insert(location.origin);
        let message = format!("any client reaches the back end of {}, which is there for `{name}`", helper.name());
        let related = found.related(asker, "asks it for its own ends");
        let block = blocks.opened_by(location.origin);
        let first = block.and_then(|block| block.lines.first());
        let edit = first.and_then(|line| Edit::insert_before(blocks.sources(), line.placed.span(), "internal;"));
        let safety =
            if name == "auth_request" && !is_named_elsewhere(blocks, &uri) { Safety::Safe } else { Safety::Review };
        let finding = found.at(location.origin, message).with(related).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("make it `internal`", safety, vec![edit]));
        }
    }
}

/// Every subrequest that a spot makes: the spot, the path, the directive and its name.
fn subrequests<'s, 'a>(blocks: &Blocks, spots: &'s [Spot<'a>]) -> Vec<(&'s Spot<'a>, String, Origin, &'static str)> {
    let mut found = Vec::new();
    for spot in spots {
        let auth = &spot.conf.auth.request;
        let auth = auth.value.as_deref().zip(auth.origin).map(|(uri, origin)| (uri.to_vec(), origin, "auth_request"));
        let block = blocks.opened_by(spot.conf.origin);
        let mirrors = block.into_iter().flat_map(|block| blocks.in_force(block, b"mirror"));
        let mirrors = mirrors.map(|line| (line.words[0].to_vec(), line.origin(), "mirror"));
        for (uri, origin, name) in auth.into_iter().chain(mirrors) {
            let path = uri.split(|&byte| byte == b'?').next().unwrap_or_default().to_vec();
            if let Ok(path) = String::from_utf8(path)
                && path.starts_with('/')
            {
                found.push((spot, path, origin, name));
            }
        }
    }
    found
}

/// Whether a location is written for this path and no other.
fn is_for(helper: &Spot, uri: &str) -> bool {
    helper.location().is_some_and(|location| {
        *location.name == *uri.as_bytes() && !matches!(location.kind, LocationKind::Regex(_) | LocationKind::Named)
    })
}

/// Whether anything but the subrequest and the location itself names the path.
fn is_named_elsewhere(blocks: &Blocks, uri: &str) -> bool {
    let lines = blocks.all().iter().flat_map(|block| &block.lines);
    let others = lines.filter(|line| !matches!(line.name, b"auth_request" | b"location"));
    others.flat_map(|line| &line.words).any(|word| memchr::memmem::find(word, uri.as_bytes()).is_some())
}

const PAGE: &str = r#"# internal-missing

The target of `auth_request` or `mirror` passes to a back end and is not `internal`, so clients can ask the back end by themselves, with
headers and a body of their choice.

## Flagged (nginx, server)
```nginx
location / { auth_request /auth; }
location = /auth { proxy_pass http://127.0.0.1:9000; }
```

## Fixed (nginx, server)
```nginx
location / { auth_request /auth; }
location = /auth { internal; proxy_pass http://127.0.0.1:9000; }
```

## Why
A subrequest is an ordinary request for the path, and so is a client's. `internal` answers clients with 404.
"#;

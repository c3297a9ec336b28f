//! `internal-redirect-denied`: a fallback that answers 403 instead of what it falls back to.

use super::sections::{plain, walk};
use super::spots::{self, ask_for};
use super::verdicts::restricts;
use super::{BOTH, Needs, Rule};
use crate::apache::load::Node;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::TryFile;
use crate::source::Origin;
use std::collections::{HashMap, HashSet};

pub(super) const RULE: Rule = Rule {
    id: "internal-redirect-denied",
    title: "a fallback ends where access is denied",
    level: Level::Warning,
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
        let Some(origin) =
            spot.conf.try_files.as_ref().and_then(|files| files.origin).filter(|origin| !reported.contains(origin))
        else {
            continue;
        };
        // A code ends the request where no error page follows it.
        let files = spot.conf.try_files.as_ref().and_then(|files| files.value.last());
        if matches!(files, Some(TryFile::Code(_))) && spot.conf.core.error_pages.is_empty() {
            continue;
        }
        let Some(client) = spots::pick(spot.open()) else { continue };
        for path in spot.paths() {
            // A name that no tree has, so that the fallback is taken.
            let path = format!("{path}-why403-no-such-file");
            let Some(asked) = ask_for(subject, spot.server, "GET", &path, client, &[], "the fallback") else {
                continue;
            };
            let Some(landed) = asked.landed_in() else { continue };
            let moved = spot.location().is_none_or(|location| location.origin != landed);
            let by_rule = asked.run.decision.as_ref().is_some_and(|decision| {
                decision.cause.code.starts_with("nginx/access-deny") || decision.cause.code.starts_with("nginx/auth-")
            });
            if !asked.is_refused() || !moved || !by_rule {
                continue;
            }
            reported.insert(origin);
            let message = format!(
                "{client} may enter {} and gets 403 for what is not there: the fallback ends in a location that is closed to it",
                spot.name()
            );
            let related = found.related(landed, "closed here");
            found
                .at(origin, message)
                .with(related)
                .proven_by(asked.witness, asked.certainty)
                .advise("open exactly the target, as an exact location with `internal`");
            break;
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut targets: Vec<(Origin, usize, u16, String)> = Vec::new();
    let hosts: HashMap<Option<Origin>, usize> =
        config.servers.iter().map(|server| (server.origin, server.index)).collect();
    walk(&config.nodes, &mut |node, around| {
        let server = || {
            let host = around.iter().find(|outer| outer.is_section("virtualhost"))?;
            hosts.get(&Some(host.origin)).copied()
        };
        let target = |node: &Node, index| node.word(index).and_then(plain).filter(|path| path.starts_with('/'));
        if node.is("errordocument") {
            let status = node.word(0).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            if let (Some(status), Some(path)) = (status, target(node, 1)) {
                targets.push((node.origin, server().unwrap_or(0), status, path));
            }
        } else if node.is("fallbackresource")
            && let Some(path) = target(node, 0)
        {
            targets.push((node.origin, server().unwrap_or(0), 404, path));
        }
    });
    let client = spots::stranger();
    let mut reported = HashSet::new();
    for (origin, server, status, path) in targets {
        let hosts = if server == 0 { 0..config.servers.len().min(4) } else { server..server + 1 };
        for host in hosts {
            let Some(denied) = layout.ask(subject, host, &path, client, "the page") else { continue };
            if !denied.is_refused_by_rule() || reported.contains(&origin) {
                continue;
            }
            // Somebody must come there: a client that is refused, or one that looks for what is not there.
            let first = if status == 403 {
                let guarded = layout
                    .spots
                    .iter()
                    .filter(|spot| (spot.server == 0 || spot.server == host) && restricts(&spot.section.conf));
                guarded
                    .take(4)
                    .flat_map(|spot| layout.urls(spot))
                    .filter(|(at, url)| *at == host && *url != path)
                    .find_map(|(_, url)| {
                        let asked = layout.ask(subject, host, &url, client, "the page")?;
                        (asked.run.outcome == crate::outcome::Outcome::Response(403)).then_some(asked)
                    })
            } else {
                let asked = layout.ask(subject, host, "/why403-no-such-file", client, "the page");
                asked.filter(|asked| {
                    asked.is_past_the_rules() || asked.run.outcome == crate::outcome::Outcome::Response(403)
                })
            };
            let Some(asked) = first else { continue };
            reported.insert(origin);
            let message = format!("{client} is to be shown `{path}` for {status}, and may not enter it");
            let closed = denied.run.decision.as_ref().and_then(|decision| decision.directive);
            let related: Vec<_> = closed.map(|closed| found.related(closed, "closed here")).into_iter().collect();
            let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
            finding.related = related;
            finding.advise(format!("grant exactly the target: `<Location \"{path}\">` with `Require all granted`"));
        }
    }
}

const PAGE: &str = r#"# internal-redirect-denied

The last argument of `try_files` leads to a location whose rules keep the same client out: users see 403 instead of the fallback.

## Flagged (nginx, server)
```nginx
root /srv/www;
location / { try_files $uri /app/index.html; }
location /app/ { deny all; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location / { try_files $uri /app/index.html; }
location = /app/index.html { internal; }
location /app/ { deny all; }
```

## Flagged (apache, server config)
```apache
ErrorDocument 403 "/err/403.html"
<Location "/">
    Require ip 10.0.0.0/8
</Location>
```

## Fixed (apache, server config)
```apache
ErrorDocument 403 "/err/403.html"
<Location "/">
    Require ip 10.0.0.0/8
</Location>
<Location "/err">
    Require all granted
</Location>
```

## Why
An internal redirect begins again at the server's rewrite phase and passes every phase of the new location, its access rules among them.
In Apache an `ErrorDocument` and a `FallbackResource` are requests of their own. A page for 403 that is itself refused is replaced by the built-in one, which then says
"additionally, a 403 error was encountered".
"#;

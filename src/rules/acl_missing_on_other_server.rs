//! `acl-missing-on-other-server`: a second door to the same directory.

use super::sections::name;
use super::spots::{self, ask_for};
use super::verdicts::{denies_all, restricts};
use super::{BOTH, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::Server;
use std::collections::BTreeMap;
use std::collections::HashSet;

pub(super) const RULE: Rule = Rule {
    id: "acl-missing-on-other-server",
    title: "the same tree is served by another server without the rules",
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
    let Some(http) = subject.http() else { return };
    let mut by_root: BTreeMap<&[u8], Vec<&Server>> = BTreeMap::new();
    for server in &http.servers {
        if let (Some(root), None) =
            (server.conf.core.mapping.value.path.as_literal(), server.conf.core.mapping.value.alias)
        {
            by_root.entry(root).or_default().push(server);
        }
    }
    let mut judged: HashSet<(&[u8], String)> = HashSet::new();
    for spot in subject.spots() {
        let Some(location) = spot.location() else { continue };
        let (Some(root), None) = (spot.conf.core.mapping.value.path.as_literal(), spot.conf.core.mapping.value.alias)
        else {
            continue;
        };
        let refused = spot.closed();
        let (Some(client), Some(path)) = (spots::pick(refused), spot.paths().first()) else { continue };
        let key = (root, path.clone());
        let Some(others) = by_root.get(root).filter(|others| others.len() > 1 && !judged.contains(&key)) else {
            continue;
        };
        judged.insert(key);
        let Some(closed) = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal") else { continue };
        if !closed.is_refused() {
            continue;
        }
        let open = others.iter().filter(|other| other.origin != spot.server.origin).find_map(|other| {
            let asked = ask_for(subject, other, "GET", path, client, &[], "a refusal")?;
            let mine = asked.run.seen.server == Some(other.origin)
                && asked.run.seen.file == closed.run.seen.file.clone().or(asked.run.seen.file.clone());
            (asked.gets_in() && mine && asked.run.seen.file.is_some()).then_some((*other, asked))
        });
        let Some((other, asked)) = open else { continue };
        let message = format!(
            "{client} gets `{path}` of this server; the same directory is closed to it where {} guards it",
            spot.name()
        );
        let related = found.related(location.origin, "guarded on the other server");
        found.at(other.origin, message).with(related).proven_by(asked.witness, asked.certainty);
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut judged: HashSet<Vec<u8>> = HashSet::new();
    let client = spots::stranger();
    // What stands in the main server holds for every host.
    for spot in layout.spots.iter().filter(|spot| spot.server != 0 && restricts(&spot.section.conf)) {
        if !matches!(spot.section.place, Place::Location | Place::Directory) {
            continue;
        }
        // A host that is closed to everybody is a catch-all, and one without a root of its own serves nothing.
        let inherited = config.servers[0].core.document_root.as_ref().and_then(|root| root.origin);
        let root = config.servers[spot.server].core.document_root.as_ref().and_then(|root| root.origin);
        let whole = matches!(&spot.section.matcher, Matcher::Literal(path) if path == b"/");
        if whole && (denies_all(&spot.section.conf) || root.is_none() || root == inherited) {
            continue;
        }
        let hit = layout.urls(spot).into_iter().filter(|(server, _)| *server == spot.server).take(2).find_map(
            |(server, url)| {
                let file = layout.file_of(server, &url)?;
                if !judged.insert(file.clone()) {
                    return None;
                }
                let closed = layout.ask(subject, server, &url, client, "a refusal")?;
                if !closed.is_refused_by_rule() || !closed.met(&spot.section) {
                    return None;
                }
                layout.urls_of(&file).into_iter().filter(|(other, _)| *other != server).find_map(|(other, url)| {
                    let open = layout.ask(subject, other, &url, client, "a refusal")?;
                    let served = open.run.seen.file.is_some() && open.is_past_the_rules();
                    (served && layout.file_of(other, &url).as_ref() == Some(&file)).then_some((other, open))
                })
            },
        );
        let Some((other, open)) = hit else { continue };
        let server = &config.servers[other];
        let origin = server.origin.or(server.core.document_root.as_ref().and_then(|root| root.origin));
        let Some(origin) = origin else { continue };
        let secure = |server: &crate::apache::model::ServerConf| server.ssl.as_ref().is_some_and(|ssl| ssl.is_on());
        let twin = secure(&config.servers[spot.server]) && !secure(server);
        let message = format!(
            "{client} gets `{}` of this host{}; the same directory is closed to it where {} guards it",
            open.witness.url,
            if twin { " over plain HTTP" } else { "" },
            name(&spot.section)
        );
        let related = found.related(spot.section.origin, "guarded on the other host");
        found
            .at(origin, message)
            .with(related)
            .proven_by(open.witness, open.certainty)
            .advise("put a `<Directory>` section outside the virtual hosts: it holds for all of them");
    }
}

const PAGE: &str = r#"# acl-missing-on-other-server

Two servers (names, ports or addresses) serve the same directory; one restricts clients, the other lets them in. The plain-HTTP twin
of an HTTPS server is the usual case.

## Flagged (nginx, http; also default-server-implicit)
```nginx
server { listen 8080; server_name a.test; root /srv/www; location /p/ { deny all; } }
server { listen 8081; root /srv/www; }
```

## Fixed (nginx, http; also default-server-implicit)
```nginx
server { listen 8080; listen 8081; server_name a.test; root /srv/www; location /p/ { deny all; } }
```

## Flagged (apache, server config; also default-server-implicit)
```apache
<VirtualHost *:80>
    ServerName a.test
    DocumentRoot "/srv/www"
    <Location "/p">
        Require all denied
    </Location>
</VirtualHost>
<VirtualHost *:80>
    ServerName b.test
    DocumentRoot "/srv/www"
</VirtualHost>
```

## Fixed (apache, server config)
```apache
<Directory "/srv/www/p">
    Require all denied
</Directory>
```

## Why
A server block is chosen by address, port and Host, all of which the client chooses. Rules in one block say nothing about another.
For Apache the same holds of virtual hosts. A `<Directory>` outside of them is merged into every one.
"#;

//! `sensitive-file-served`: files that are there and should not be read by strangers.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::fact::Fact;
use crate::finding::Witness;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::{Certainty, Outcome};
use std::os::unix::ffi::OsStrExt;

/// What is asked for where the settings name nothing else. Names are tried at the root of every server.
const PROBES: &[&str] = &[
    "/.git/config",
    "/.git/HEAD",
    "/.svn/entries",
    "/.svn/wc.db",
    "/.hg/requires",
    "/.env",
    "/.env.local",
    "/.env.production",
    "/.htpasswd",
    "/.htaccess",
    "/.DS_Store",
    "/wp-config.php.bak",
    "/wp-config.php~",
    "/wp-config.php.old",
    "/wp-config.php.save",
    "/config.php.bak",
    "/backup.sql",
    "/dump.sql",
    "/database.sql",
    "/backup.zip",
    "/backup.tar.gz",
    "/composer.json",
    "/composer.lock",
    "/id_rsa",
    "/server.key",
    "/privkey.pem",
    "/.ssh/id_rsa",
    "/.aws/credentials",
    "/.npmrc",
    "/docker-compose.yml",
];

pub(super) const RULE: Rule = Rule {
    id: "sensitive-file-served",
    title: "version-control data, secrets or backups can be fetched",
    level: Level::Error,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Tree,
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
    let own = subject.options.probes.as_deref().unwrap_or_default();
    let probes = || own.iter().map(String::as_str).chain(PROBES.iter().copied().filter(|_| own.is_empty()));
    for server in &http.servers {
        let mut served: Vec<(&str, Witness, Certainty)> = Vec::new();
        for probe in probes() {
            let Some(asked) = ask_for(subject, server, "GET", probe, spots::stranger(), &[], "403 or 404") else {
                continue;
            };
            // Only a file of the tree, and only where this very server answers: a `return 200` for everything serves no secret.
            let file = asked.run.seen.file.is_some() && asked.run.seen.server == Some(server.origin);
            let as_asked = asked.run.seen.file.as_ref().is_some_and(|file| file.to_string_lossy().ends_with(probe));
            if asked.run.outcome == Outcome::Response(200) && file && as_asked {
                served.push((probe, asked.witness, asked.certainty));
            }
        }
        let count = served.len() as u32;
        let list: Vec<String> = served.iter().take(5).map(|(probe, _, _)| format!("`{probe}`")).collect();
        if let Some((_, witness, certainty)) = served.into_iter().next() {
            let place = server.conf.core.mapping.origin.unwrap_or(server.origin);
            let message = format!("any client can fetch {}", list.join(", "));
            let finding = found.at(place, message).proven_by(witness, certainty);
            finding.count = count;
            finding.advise(
                "add `location ~ /\\.(?!well-known/) { deny all; }` for hidden files, and keep backups out of the tree",
            );
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    let own = subject.options.probes.as_deref().unwrap_or_default();
    let probes = || own.iter().map(String::as_str).chain(PROBES.iter().copied().filter(|_| own.is_empty()));
    for mapping in layout.mappings.iter().filter(|mapping| mapping.url == "/") {
        let mut served: Vec<(&str, Witness, Certainty)> = Vec::new();
        for probe in probes() {
            let file = [&mapping.dir, probe.trim_start_matches('/').as_bytes()].concat();
            // What is certainly not there need not be asked for.
            let path = super::sections::path_of(&file);
            if matches!(crate::fs::stat(subject.world.fs, path), Fact::Known(Err(_))) {
                continue;
            }
            let asked = layout.ask(subject, mapping.server, probe, spots::stranger(), "403 or 404");
            let Some(asked) = asked else { continue };
            let same = asked.run.seen.file.as_ref().is_some_and(|seen| seen.as_os_str().as_bytes() == file);
            if asked.run.outcome == Outcome::Response(200) && same {
                served.push((probe, asked.witness, asked.certainty));
            }
        }
        let count = served.len() as u32;
        let list: Vec<String> = served.iter().take(5).map(|(probe, _, _)| format!("`{probe}`")).collect();
        if let Some((_, witness, certainty)) = served.into_iter().next() {
            let message = format!("any client can fetch {}", list.join(", "));
            let finding = found.at(mapping.origin, message).proven_by(witness, certainty);
            finding.count = count;
            finding.advise(
                "deny hidden files with `<LocationMatch \"(^|/)\\.(?!well-known/)\">`, and keep backups out of the tree",
            );
        }
    }
}

const PAGE: &str = r#"# sensitive-file-served

A file that holds a repository, a secret or a backup lies in the tree that is served, and a stranger gets 200 for it. One finding a server, with
the first five URLs. `[rules.sensitive-file-served] probes = […]` in `why403.toml` names other URLs.

## Flagged (nginx, server)
```tree
/srv/www/.git/config: [core]
```
```nginx
root /srv/www;
location ~ /\.ht { deny all; }
```

## Fixed (nginx, server)
```tree
/srv/www/.git/config: [core]
```
```nginx
root /srv/www;
location ~ /\.(?!well-known/) { deny all; }
```

## Flagged (apache, server config)
```tree
/srv/www/.git/config: [core]
```
```apache
DocumentRoot "/srv/www"
<Directory "/srv/www">
    Require all granted
</Directory>
```

## Fixed (apache, server config)
```tree
/srv/www/.git/config: [core]
```
```apache
DocumentRoot "/srv/www"
<Directory "/srv/www">
    Require all granted
</Directory>
<LocationMatch "(^|/)\.(?!well-known/)">
    Require all denied
</LocationMatch>
```

## Why
Nothing in nginx treats a dot file differently from any other: what lies under `root` and is readable is served.
Apache denies nothing by itself either; distributions deny `.ht*` in their own files, and nothing else.
"#;

//! `password-file-reachable`: a password file in the tree that is served.

use super::sections::walk;
use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;

pub(super) const RULE: Rule = Rule {
    id: "password-file-reachable",
    title: "a credential file can be downloaded",
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
    let (Some(config), Some(http)) = (subject.nginx(), subject.http()) else {
        return;
    };
    let mut reported = HashSet::new();
    for named in subject.spots() {
        let file = &named.conf.auth.user_file;
        let Some(text) = file.value.as_ref().and_then(|file| file.as_literal()) else { continue };
        let Some(origin) = file.origin.filter(|origin| !reported.contains(origin)) else { continue };
        let path = if text.starts_with(b"/") { text.to_vec() } else { [&config.conf_prefix, &b"/"[..], text].concat() };
        let hit = http.servers.iter().find_map(|server| {
            let root = server
                .conf
                .core
                .mapping
                .value
                .path
                .as_literal()
                .filter(|_| server.conf.core.mapping.value.alias.is_none())?;
            let url = std::str::from_utf8(path.strip_prefix(root)?).ok().filter(|url| url.starts_with('/'))?;
            let asked = ask_for(subject, server, "GET", url, spots::stranger(), &[], "403 or 404")?;
            let same = asked.run.seen.file.as_ref().is_some_and(|file| file.as_os_str().as_bytes() == path);
            (asked.run.outcome == Outcome::Response(200) && same).then(|| (url.to_owned(), asked))
        });
        if let Some((url, asked)) = hit {
            reported.insert(origin);
            let message = format!("any client can fetch the password file at `{url}`");
            found
                .at(origin, message)
                .proven_by(asked.witness, asked.certainty)
                .advise("keep it outside every served tree");
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut named: Vec<(crate::source::Origin, Vec<u8>)> = Vec::new();
    for spot in &layout.spots {
        let conf = &spot.section.conf;
        let users = conf.authn_file.as_ref().and_then(|record| record.file.as_ref());
        let groups = conf.authz_groupfile.as_ref().and_then(|record| record.file.as_ref());
        for file in [users, groups].into_iter().flatten() {
            named.extend(file.origin.map(|origin| (origin, file.value.clone())));
        }
    }
    walk(&config.nodes, &mut |node, _| {
        if (node.is("sslcertificatekeyfile") || node.is("authdbmuserfile"))
            && let Some(word) = node.word(if node.is("authdbmuserfile") { node.words().count() - 1 } else { 0 })
        {
            named.push((node.origin, config.known.server_root_relative(word).as_os_str().as_bytes().to_vec()));
        }
    });
    let mut seen = HashSet::new();
    for (origin, path) in named.into_iter().filter(|(origin, _)| seen.insert(*origin)) {
        let hit = layout.urls_of(&path).into_iter().find_map(|(server, url)| {
            let asked = layout.ask(subject, server, &url, spots::stranger(), "403 or 404")?;
            let same = asked.run.seen.file.as_ref().is_some_and(|file| file.as_os_str().as_bytes() == path);
            (asked.run.outcome == Outcome::Response(200) && same).then_some((url, asked))
        });
        if let Some((url, asked)) = hit {
            let message = format!("any client can fetch this file of credentials at `{url}`");
            found
                .at(origin, message)
                .proven_by(asked.witness, asked.certainty)
                .advise("keep it outside every served tree");
        }
    }
}

const PAGE: &str = r#"# password-file-reachable

The file of `auth_basic_user_file` lies under a root, and a stranger gets 200 for it: the hashes can be cracked at leisure.

## Flagged (nginx, server; also sensitive-file-served)
```tree
/srv/www/.htpasswd: alice:$apr1$x$y
```
```nginx
root /srv/www;
auth_basic "x";
auth_basic_user_file /srv/www/.htpasswd;
location / { auth_basic off; }
```

## Fixed (nginx, server)
```tree
/etc/nginx/htpasswd: alice:$apr1$x$y
```
```nginx
root /srv/www;
auth_basic "x";
auth_basic_user_file /etc/nginx/htpasswd;
location / { auth_basic off; }
```

## Flagged (apache, server config; also sensitive-file-served)
```tree
/srv/www/.htpasswd: alice:$apr1$x$y
```
```apache
DocumentRoot "/srv/www"
<Location "/p">
    AuthType Basic
    AuthName "x"
    AuthUserFile "/srv/www/.htpasswd"
    Require valid-user
</Location>
```

## Fixed (apache, server config)
```tree
/etc/apache2/pw: alice:$apr1$x$y
```
```apache
DocumentRoot "/srv/www"
<Location "/p">
    AuthType Basic
    AuthName "x"
    AuthUserFile "/etc/apache2/pw"
    Require valid-user
</Location>
```

## Why
nginx does not know that a file is a password file when it serves it, whatever its name begins with.
Apache does not know it either; only a rule for `.ht*`, which distributions ship, keeps `.htpasswd` in.
"#;

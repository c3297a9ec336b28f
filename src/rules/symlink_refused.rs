//! `symlink-refused`: a link that the configuration does not follow.

use super::spots::{self, ask_for};
use super::{BOTH, Needs, Rule};
use crate::fact::Fact;
use crate::finding::{Category, Level};
use crate::fs::FileKind;
use crate::lint::subject::{Findings, Subject};

/// Most entries of a root that are looked at.
const MOST: usize = 1000;

pub(super) const RULE: Rule = Rule {
    id: "symlink-refused",
    title: "a symbolic link on the path leads to 403",
    level: Level::Warning,
    category: Category::Access,
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
    for server in &http.servers {
        use std::os::unix::ffi::OsStrExt;
        let Some(root) = server.conf.core.mapping.value.path.as_literal() else { continue };
        let root = std::path::Path::new(std::ffi::OsStr::from_bytes(root));
        let Fact::Known(Ok(names)) = subject.world.fs.list(root) else { continue };
        for name in names.iter().take(MOST).filter_map(|name| std::str::from_utf8(name).ok()) {
            let link = root.join(name);
            let is_link =
                matches!(subject.world.fs.lstat(&link), Fact::Known(Ok(stat)) if stat.kind == FileKind::Symlink);
            if !is_link {
                continue;
            }
            let url = format!("/{name}");
            let Some(asked) = ask_for(subject, server, "GET", &url, spots::stranger(), &[], "the file") else {
                continue;
            };
            let Some(decision) = &asked.run.decision else { continue };
            if !matches!(decision.cause.code, "nginx/disable-symlinks" | "nginx/symlink-loop" | "nginx/index-symlink") {
                continue;
            }
            let target = match subject.world.fs.read_link(&link) {
                Fact::Known(Ok(target)) => format!(" -> {}", target.display()),
                _ => String::new(),
            };
            let place = decision.directive.unwrap_or(server.origin);
            let message =
                format!("`{url}` answers 403: `{}{target}` is a symbolic link that is not followed", link.display());
            found.at(place, message).proven_by(asked.witness, asked.certainty);
            break;
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((_, layout)) = subject.layout() else { return };
    for mapping in &layout.mappings {
        let Fact::Known(Ok(names)) = subject.world.fs.list(super::sections::path_of(&mapping.dir)) else { continue };
        for name in names.iter().take(MOST).filter_map(|name| super::sections::plain(name)) {
            let link = [&mapping.dir, name.as_bytes()].concat();
            let link = super::sections::path_of(&link);
            if !matches!(subject.world.fs.lstat(link), Fact::Known(Ok(stat)) if stat.kind == FileKind::Symlink) {
                continue;
            }
            let url = format!("{}{name}", mapping.url);
            let asked = layout.ask(subject, mapping.server, &url, spots::stranger(), "the file");
            let Some(asked) = asked else { continue };
            let Some(decision) = &asked.run.decision else { continue };
            let why = match decision.cause.code {
                "apache/symlink-not-allowed" => "links are not followed here",
                "apache/symlink-owner-mismatch" => "only links to files of the link's own owner are followed here",
                "apache/symlink-target-unreachable" => "what it leads to cannot be reached",
                _ => continue,
            };
            let target = match subject.world.fs.read_link(link) {
                Fact::Known(Ok(target)) => format!(" -> {}", target.display()),
                _ => String::new(),
            };
            let place = decision.directive.unwrap_or(mapping.origin);
            let message = format!("`{url}` answers 403: `{}{target}` is a symbolic link, and {why}", link.display());
            found
                .at(place, message)
                .proven_by(asked.witness, asked.certainty)
                .advise("`Options +SymLinksIfOwnerMatch` follows links between files of one owner, `+FollowSymLinks` all of them");
            break;
        }
    }
}

const PAGE: &str = r#"# symlink-refused

A link in the root of a server leads to 403: `disable_symlinks` refuses it, or it leads round in a circle. One finding a server.

## Flagged (nginx, server)
```tree
/srv/www/data -> /srv/shared
/srv/shared/x: text
```
```nginx
root /srv/www;
disable_symlinks on;
```

## Fixed (nginx, server)
```tree
/srv/www/data -> /srv/shared
/srv/shared/x: text
```
```nginx
root /srv/www;
disable_symlinks if_not_owner;
```

## Flagged (apache, server config)
```tree
/srv/www/data -> /srv/shared
/srv/shared/x: text
```
```apache
<Directory "/srv/www">
    Require all granted
    Options None
</Directory>
DocumentRoot "/srv/www"
```

## Fixed (apache, server config)
```tree
/srv/www/data -> /srv/shared
/srv/shared/x: text
```
```apache
<Directory "/srv/www">
    Require all granted
    Options SymLinksIfOwnerMatch
</Directory>
DocumentRoot "/srv/www"
```

## Why
With `disable_symlinks on` a link as the last component is 403 and as a directory in the middle 404; `if_not_owner` refuses links whose
owner is not the owner of what they point to.
In Apache the options of the directory that holds the link decide: `FollowSymLinks` (the default until any `Options` line without a sign replaces it), `SymLinksIfOwnerMatch`, or
neither, which is 403 (AH00037).
"#;

//! `php-runs-any-file`: what stands before `/x.php` in a path may be run.

use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Handler, LocationKind, PassKind};
use crate::outcome::Outcome;

pub(super) const RULE: Rule = Rule {
    id: "php-runs-any-file",
    title: "FastCGI may run a file that is not a script",
    level: Level::Warning,
    category: Category::Security,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Variables that the client's path is in.
const OF_PATH: [&str; 6] =
    ["fastcgi_script_name", "uri", "document_uri", "request_filename", "fastcgi_path_info", "request_uri"];

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for spot in subject.spots() {
        let (Some(location), Some(handler)) = (spot.location(), spot.conf.handler.as_ref()) else { continue };
        let php = memchr::memmem::find(&location.name, b"php").is_some();
        let (LocationKind::Regex(_), Handler::Pass(PassKind::Fastcgi, _), true) = (&location.kind, &handler.value, php)
        else {
            continue;
        };
        let Some(block) = blocks.opened_by(location.origin) else { continue };
        let script = blocks.in_force(block, b"fastcgi_param").filter(|line| line.words[0] == b"SCRIPT_FILENAME").last();
        let Some(script) = script.filter(|line| {
            line.words.get(1).is_some_and(|value| OF_PATH.iter().any(|name| super::blocks::mentions(value, name)))
        }) else {
            continue;
        };
        let client = spots::pick(spot.open()).unwrap_or_else(spots::stranger);
        let asked = spot.paths().iter().find_map(|path| {
            let path = format!("/x.jpg{path}");
            let asked = ask_for(subject, spot.server, "GET", &path, client, &[], "404")?;
            let here = asked.landed_in() == Some(location.origin) && asked.run.outcome == Outcome::Upstream;
            here.then_some((path, asked))
        });
        let Some((path, asked)) = asked else { continue };
        let message = format!(
            "`{path}` is handed over to be run, whether there is such a script or not: an interpreter that looks for it further up runs `/x.jpg`"
        );
        let related = found.related(script.origin(), "names the file to run");
        found
            .at(handler.origin.unwrap_or(location.origin), message)
            .with(related)
            .proven_by(asked.witness, asked.certainty)
            .advise("`try_files $uri =404;`, with `$fastcgi_script_name` for `$uri` where the path is split");
    }
}

const PAGE: &str = r#"# php-runs-any-file

Any path that ends like a script is handed over, with a file name made of the path. PHP, asked for `/x.jpg/y.php`, may find that there is only
`/x.jpg` and run that (`cgi.fix_pathinfo`, with an empty `security.limit_extensions`). Where clients can upload pictures, they can
upload programs.

## Flagged (nginx, server)
```nginx
root /srv/www;
location ~ \.php { fastcgi_pass unix:/run/php.sock; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; }
```

## Fixed (nginx, server)
```nginx
root /srv/www;
location ~ \.php$ { try_files $uri =404; fastcgi_pass unix:/run/php.sock; fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name; }
```

## Why
nginx does not look whether the script exists; the interpreter does, in its own way. `try_files` makes nginx look.
"#;

//! `try-files-with-handler`: the files that are found go to a back end.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Handler, PassKind, TryFile};

pub(super) const RULE: Rule = Rule {
    id: "try-files-with-handler",
    title: "try_files and a content handler in one location",
    level: Level::Warning,
    category: Category::Correctness,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for spot in subject.spots() {
        let (Some(location), Some(tried), Some(handler)) = (spot.location(), &spot.conf.try_files, &spot.conf.handler)
        else {
            continue;
        };
        // For scripts it is the guard against paths that are no script (see `php-runs-any-file`).
        let (Handler::Pass(kind @ (PassKind::Proxy | PassKind::Grpc), _), Some(pass)) =
            (&handler.value, handler.origin)
        else {
            continue;
        };
        // A code says that only existing files are passed on; a fallback says that others go elsewhere.
        let (Some(TryFile::Uri(_)), Some(origin)) = (tried.value.last(), tried.origin) else { continue };
        let own = blocks.opened_by(location.origin).is_some_and(|block| block.own(b"try_files").next().is_some());
        if !own {
            continue;
        }
        let name = if *kind == PassKind::Proxy { "proxy_pass" } else { "grpc_pass" };
        let message = format!(
            "a file that is found is not served: `{name}` answers for everything that stays in {}",
            spot.name()
        );
        let related = found.related(pass, "answers, whatever was found");
        found
            .at(origin, message)
            .with(related)
            .advise("put the back end into the location that `try_files` falls back to");
    }
}

const PAGE: &str = r#"# try-files-with-handler

`try_files` looks whether a file is there; who serves it is decided by the location. Beside a `proxy_pass`, what is found goes to the back
end, and what is missing to the fallback, which is mostly meant the other way round. `fastcgi_pass` and its like are not reported: there
`try_files` is a guard.

## Flagged (nginx, location)
```nginx
try_files $uri @app;
proxy_pass http://127.0.0.1:9000;
```

## Fixed (nginx, location)
```nginx
try_files $uri =404;
```

## Why
`try_files` belongs to the phase before the content phase. It changes the URI to the file's and goes on; then the location's handler
answers, and a file is served only where there is none.
"#;

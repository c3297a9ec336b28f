//! `proxy-host-header`: the back end is told a host that the client wrote, or none that anybody asked for.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::listen::ServerName;
use crate::nginx::model::{Handler, PassKind};

pub(super) const RULE: Rule = Rule {
    id: "proxy-host-header",
    title: "the Host sent to the back end is the client's own text, or missing",
    level: Level::Info,
    category: Category::Security,
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
        let Some(handler) = spot.conf.handler.as_ref() else { continue };
        let (Handler::Pass(PassKind::Proxy, target), Some(origin)) = (&handler.value, handler.origin) else { continue };
        let hosts = || spot.conf.proxy.headers.iter().filter(|header| header.value.0.eq_ignore_ascii_case(b"host"));
        let told = hosts().find(|header| header.value.1.source().eq_ignore_ascii_case(b"$http_host"));
        if let Some(line) = told.and_then(|header| header.origin) {
            let message =
                "the back end is told whatever the client wrote as its Host, not the name that chose this server";
            let text = std::str::from_utf8(subject.sources().text(line.span)).ok();
            let edit = text.map(|text| text.replace("$http_host", "$host"));
            let edit = edit.and_then(|text| Edit::replace(blocks.sources(), line.span, &text));
            let finding =
                found.at(line, message).advise("`$host` is the name without port, in lower case, and never missing");
            if let Some(edit) = edit {
                finding.fixed_by(Fix::text("pass `$host` on", Safety::Review, vec![edit]));
            }
            continue;
        }
        let names = spot.server.names.iter().filter(|name| match &name.value {
            ServerName::Text(text) => text.len() > 1,
            ServerName::Regex(..) => true,
        });
        let count = names.count();
        // With variables in it, the target may well be the name asked for.
        if count >= 2 && hosts().next().is_none() && target.as_literal().is_some() && spot.location().is_some() {
            let shown = String::from_utf8_lossy(target.source());
            let message = format!(
                "the back end is told the host of `{shown}`, whichever of this server's {count} names was asked for"
            );
            found.at(origin, message).advise("`proxy_set_header Host $host;`");
        }
    }
}

const PAGE: &str = r#"# proxy-host-header

`$http_host` is the client's text: a request whose target is absolute is served by the host named there and passes on another one. Without any
`proxy_set_header Host`, a server of several names tells the back end none of them.

## Flagged (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_set_header Host $http_host;
```

## Fixed (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_set_header Host $host;
```

## Why
`$host` is the name by which nginx chose the server. `$http_host` is the header as it came, also where nginx went by the request line.
A back end that builds links, or decides, by the name believes it.
"#;

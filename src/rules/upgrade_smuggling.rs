//! `upgrade-smuggling`: whatever the client wants to upgrade to is passed on.

use super::blocks::{Blocks, mentions};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{Handler, PassKind};

pub(super) const RULE: Rule = Rule {
    id: "upgrade-smuggling",
    title: "Upgrade headers from the client are forwarded",
    level: Level::Warning,
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
    let mapped = by_map(blocks);
    for spot in subject.spots() {
        if !matches!(spot.conf.handler.as_ref().map(|handler| &handler.value), Some(Handler::Pass(PassKind::Proxy, _)))
        {
            continue;
        }
        let header = |name: &[u8]| {
            let headers = &spot.conf.proxy.headers;
            headers.iter().find(|header| header.value.0.eq_ignore_ascii_case(name))
        };
        let (Some(upgrade), Some(connection)) = (header(b"upgrade"), header(b"connection")) else { continue };
        if !mentions(upgrade.value.1.source(), "http_upgrade") {
            continue;
        }
        let value = connection.value.1.source().to_ascii_lowercase();
        let always = value == b"upgrade" || value == b"$http_connection";
        let by_map = mapped.iter().any(|name| value == [b"$", &name[..]].concat());
        let Some(origin) = upgrade.origin.filter(|_| always || by_map) else { continue };
        let message = format!(
            "{} passes on every Upgrade that a client asks for: with `h2c` it opens a tunnel, and later requests in it meet no rule of this server",
            spot.name()
        );
        let finding = found.at(origin, message);
        if !always {
            finding.level(Level::Info);
        }
        finding.advise(
            "pass `websocket` on and nothing else: `map $http_upgrade $ws { default \"\"; websocket websocket; }`",
        );
    }
}

/// The variables that a `map` of `$http_upgrade` makes `upgrade` for whatever is asked for.
fn by_map(blocks: &Blocks) -> Vec<Vec<u8>> {
    let maps = blocks.all().iter().flat_map(|block| block.own(b"map"));
    let wide = maps.filter(|map| {
        let entries = blocks.entries(map);
        mentions(map.words[0], "http_upgrade")
            && entries.iter().any(|entry| {
                entry.name == b"default"
                    && entry.words.first().is_some_and(|value| value.eq_ignore_ascii_case(b"upgrade"))
            })
    });
    wide.filter_map(|map| map.words.get(1)?.strip_prefix(b"$").map(<[u8]>::to_ascii_lowercase)).collect()
}

const PAGE: &str = r#"# upgrade-smuggling

`Upgrade: $http_upgrade` together with `Connection: upgrade` lets the client choose the protocol. A back end that speaks HTTP/2 in clear text
accepts `h2c`, the connection becomes a tunnel, and requests in it are judged by no `location` and no `deny`. Where a `map` adds the
Connection header only to requests with an Upgrade, as in nginx's own manual, any protocol passes still, and the level is info.

## Flagged (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_http_version 1.1;
proxy_set_header Upgrade $http_upgrade;
proxy_set_header Connection upgrade;
```

## Fixed (nginx, location)
```nginx
proxy_pass http://127.0.0.1:9000;
proxy_http_version 1.1;
proxy_set_header Upgrade websocket;
proxy_set_header Connection upgrade;
```

## Why
nginx passes a 101 answer through and copies bytes from then on, whatever protocol was agreed upon.
"#;

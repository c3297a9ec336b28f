//! `version-disclosed`: the version goes out with every answer.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "version-disclosed",
    title: "server version is told to everybody",
    level: Level::Info,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.http().flat_map(|block| block.own(b"server_tokens")) {
        if !matches!(line.words[..], [b"on" | b"build"]) {
            continue;
        }
        let edit = Edit::replace(blocks.sources(), line.placed.span(), "server_tokens off;");
        let finding =
            found.at(line.origin(), "every answer and error page says which nginx this is, to the last digit");
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("say `server_tokens off`", Safety::Safe, vec![edit]));
        }
    }
    // Around a fragment, somebody may have said it.
    let http = blocks.all().iter().find(|block| block.name() == b"http").filter(|_| !subject.fragment);
    let Some((http, first)) = http.and_then(|http| Some((http, http.lines.first()?))) else { return };
    let servers: Vec<_> = blocks.http().filter(|block| block.name() == b"server").collect();
    let silent = servers.iter().filter(|server| blocks.nearest(server, b"server_tokens").is_none()).count();
    if silent == 0 {
        return;
    }
    let message = "every answer and error page says which nginx this is, to the last digit: `server_tokens` is on unless it is switched off";
    let edit = Edit::insert_before(blocks.sources(), first.placed.span(), "server_tokens off;");
    // A first line out of an included file is no place for it.
    let own = http.opened.as_ref().is_some_and(|line| line.placed.span().file == first.placed.span().file);
    let Some(opened) = &http.opened else { return };
    let finding = found.at(opened.origin(), message);
    finding.count = silent as u32;
    if let Some(edit) = edit.filter(|_| own) {
        finding.fixed_by(Fix::text("say `server_tokens off`", Safety::Safe, vec![edit]));
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    let mut said = false;
    walk(&config.nodes, &mut |node, _| {
        let value = node.word(0).map(<[u8]>::to_ascii_lowercase).unwrap_or_default();
        if node.is("servertokens") {
            said = true;
            if !matches!(&*value, b"prod" | b"productonly") {
                lines.push((node.origin, "ServerTokens Prod", "every answer says more than that this is Apache"));
            }
        }
        if node.is("serversignature") && matches!(&*value, b"on" | b"email") {
            lines.push((
                node.origin,
                "ServerSignature Off",
                "error pages and listings are signed with the server's version",
            ));
        }
    });
    for (origin, better, message) in lines {
        let edit = Edit::replace(subject.sources(), origin.span, better);
        let finding = found.at(origin, message);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text(format!("say `{better}`"), Safety::Safe, vec![edit]));
        }
    }
    if let (false, false, Some(first)) = (said, subject.fragment, config.nodes.first()) {
        let message = "every answer says which Apache this is, its modules and the system: `ServerTokens` is Full unless it is set";
        found.at(first.origin, message).advise("`ServerTokens Prod`");
    }
}

const PAGE: &str = r#"# version-disclosed

The version in `Server:` and on error pages spares an attacker the trying. Reported where it is asked for, and, in a whole configuration, where
nothing is said and the default tells it.

## Flagged (nginx, http)
```nginx
server_tokens on;
```

## Fixed (nginx, http)
```nginx
server_tokens off;
```

## Flagged (apache, server config)
```apache
ServerTokens Full
```

## Fixed (apache, server config)
```apache
ServerTokens Prod
```

## Why
nginx says `nginx/1.22.1`, with `off` only `nginx`. Apache's default is the version, the system and the modules; `Prod` leaves the name.
"#;

//! `duplicate-directive`: the same thing said twice in one place.

use super::{BOTH, Needs, Rule};
use crate::apache::load::Node;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "duplicate-directive",
    title: "the same single-valued directive twice in one context",
    level: Level::Warning,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

/// Directives of Apache that have one value, of which the last one counts.
const SINGLE: [&str; 24] = [
    "accessfilename",
    "allowoverride",
    "authname",
    "authtype",
    "documentroot",
    "enablesendfile",
    "errorlog",
    "hostnamelookups",
    "keepalive",
    "keepalivetimeout",
    "maxkeepaliverequests",
    "order",
    "pidfile",
    "proxyrequests",
    "rewriteengine",
    "satisfy",
    "serveradmin",
    "servername",
    "serversignature",
    "servertokens",
    "sslengine",
    "timeout",
    "traceenable",
    "usecanonicalname",
];

/// nginx refuses a directive that is there twice, which the configuration check finds. Apache takes the last one.
fn check(subject: &Subject, found: &mut Findings) {
    let Some(config) = subject.apache() else { return };
    let mut open: Vec<&[Node]> = vec![&config.nodes];
    while let Some(nodes) = open.pop() {
        for (index, node) in nodes.iter().enumerate() {
            open.push(&node.children);
            // Another file that says it again is a layer on top, which distributions are built on.
            let again = |later: &&Node| {
                later.name() == node.name() && !later.section && later.origin.span.file == node.origin.span.file
            };
            let single = SINGLE.contains(&node.name()) && !node.section;
            let Some(later) = nodes[index + 1..].iter().find(again).filter(|_| single) else { continue };
            let same = later.args() == node.args();
            let text = crate::sentence::ticked(subject.sources().text(later.origin.span).trim_ascii_end());
            let message = match same {
                true => format!("{text} says it again"),
                false => format!("this is not in force: {text} further down replaces it"),
            };
            let related = found.related(later.origin, "counts");
            let edit = Edit::delete(subject.sources(), node.origin.span).filter(|_| same);
            let finding = found.at(node.origin, message).with(related);
            if let Some(edit) = edit {
                finding.fixed_by(Fix::text("delete one of them", Safety::Safe, vec![edit]));
            }
        }
    }
}

const PAGE: &str = r#"# duplicate-directive

A directive that has one value stands twice in one block. nginx refuses the configuration. Apache takes the last one, without a word; one in
another file is not reported, since that is how distributions layer their settings.

## Flagged (nginx, location; refused)
```nginx
autoindex on;
autoindex off;
```

## Fixed (nginx, location)
```nginx
autoindex off;
```

## Flagged (apache, server config)
```apache
ServerTokens Prod
ServerTokens Full
```

## Fixed (apache, server config)
```apache
ServerTokens Prod
```

## Why
nginx marks each setting when it is set, and says `is duplicate` the second time. Apache writes the value over the old one.
"#;

//! `require-lines-are-alternatives`: one line is enough.

use super::sections::Layout;
use super::spots::stranger;
use super::verdicts::{Verdict, clients, lines, needs_user, require};
use super::{APACHE, Needs, Rule};
use crate::apache::access::authz_core::{Node as Requirement, Rule as Required};
use crate::apache::access::providers::Provider;
use crate::apache::load::Node;
use crate::apache::model::M_GET;
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::source::Span;
use std::collections::HashMap;

pub(super) const RULE: Rule = Rule {
    id: "require-lines-are-alternatives",
    title: "several Require lines mean OR",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    // The text knows which containers were written; the model knows what the lines mean.
    let mut owners: HashMap<Span, (usize, &Requirement)> = HashMap::new();
    for (index, spot) in layout.spots.iter().enumerate() {
        let tree = spot.section.conf.authz_core.as_ref().and_then(|record| record.section.as_ref());
        for (line, _) in tree.map(lines).into_iter().flatten() {
            if let Some(origin) = line.origin {
                owners.insert(origin.span, (index, line));
            }
        }
    }
    list(subject, layout, &config.nodes, &owners, found, 0);
    for file in &layout.files {
        if let Some((_, nodes)) = file.read(subject, config) {
            list(subject, layout, nodes, &owners, found, 0);
        }
    }
}

/// The lines of one place, then those of the sections in it; explicit containers say what they mean.
fn list(
    subject: &Subject,
    layout: &Layout,
    nodes: &[Node],
    owners: &HashMap<Span, (usize, &Requirement)>,
    found: &mut Findings,
    depth: usize,
) {
    let known: Vec<(usize, &Requirement, &Provider)> = nodes
        .iter()
        .filter(|node| node.is("require"))
        .filter_map(|node| owners.get(&node.origin.span))
        .filter_map(|&(index, line)| match &line.rule {
            Required::Require(provider) if !line.negate => Some((index, line, &**provider)),
            _ => None,
        })
        .collect();
    // `Satisfy` says which of the two was meant.
    if known.len() > 1 && !nodes.iter().any(|node| node.is("satisfy")) {
        judge(subject, layout, &known, found);
    }
    for node in nodes.iter().filter(|node| !node.name().starts_with("require") && depth < 64) {
        list(subject, layout, &node.children, owners, found, depth + 1);
    }
}

fn judge(subject: &Subject, layout: &Layout, known: &[(usize, &Requirement, &Provider)], found: &mut Findings) {
    let of = |fits: &dyn Fn(&Provider) -> bool| known.iter().find(|(_, _, provider)| fits(provider));
    let granted = of(&|provider| matches!(provider, Provider::All(true)));
    let address = of(&|provider| matches!(provider, Provider::Ip(_) | Provider::Local));
    let user = of(&needs_user);
    let spot = &layout.spots[known[0].0];
    let (winner, loser, client, why) = match (granted, address, user) {
        (Some(granted), _, _) => {
            let other = known.iter().find(|(_, _, provider)| !matches!(provider, Provider::All(true)));
            let Some(other) = other else { return };
            (granted, other, stranger(), "everybody gets in".to_owned())
        }
        (None, Some(address), Some(user)) => {
            let inside = clients(&[&spot.section.conf])
                .into_iter()
                .find(|client| require(address.1, *client, M_GET) == Some(Verdict::In));
            let Some(client) = inside else { return };
            (address, user, client, format!("{client} gets in without a password"))
        }
        _ => return,
    };
    let asked = layout.find(subject, spot, client, "a refusal", |asked| asked.is_past_the_rules());
    let (Some(asked), Some(at), Some(other)) = (asked, winner.1.origin, loser.1.origin) else { return };
    let line = crate::sentence::ticked(subject.sources().text(at.span).trim_ascii_end());
    let message = format!("{why}: {line} is enough, lines beside each other are alternatives");
    let related = found.related(other, "is not needed then");
    found
        .at(at, message)
        .with(related)
        .proven_by(asked.witness, asked.certainty)
        .advise("put them into `<RequireAll>` where both are meant, into `<RequireAny>` where one is enough");
}

const PAGE: &str = r#"# require-lines-are-alternatives

Two or more `Require` lines stand beside each other: an address rule and one that asks for a login, or `Require all granted` and anything else. One that holds
is enough, and usually both were meant. An explicit `<RequireAny>` is not reported.

## Flagged (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
Require valid-user
Require ip 10.0.0.0/8
```

## Fixed (apache, directory or .htaccess)
```apache
AuthType Basic
AuthName "x"
AuthUserFile "/etc/apache2/pw"
<RequireAll>
    Require valid-user
    Require ip 10.0.0.0/8
</RequireAll>
```

## Why
The lines of a section stand in an invisible `<RequireAny>`.
"#;

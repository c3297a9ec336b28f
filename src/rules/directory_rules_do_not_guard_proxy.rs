//! `directory-rules-do-not-guard-proxy`: rules that stand beside the road.

use super::sections::{name, plain, walk};
use super::spots::stranger;
use super::verdicts::{restricts, tree};
use super::{APACHE, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::outcome::Outcome;
use crate::source::Origin;

pub(super) const RULE: Rule = Rule {
    id: "directory-rules-do-not-guard-proxy",
    title: "`<Directory>` and `.htaccess` rules do not protect proxied URLs",
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
    let mut passes: Vec<(Origin, String)> = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        let to_proxy = node.is("rewriterule")
            && node.word(2).is_some_and(|flags| {
                flags
                    .split(|byte| b"[],".contains(byte))
                    .any(|flag| flag.eq_ignore_ascii_case(b"p") || flag.eq_ignore_ascii_case(b"proxy"))
            });
        if node.is("proxypass") || node.is("proxypassmatch") || to_proxy {
            passes.push((node.origin, node.word(0).and_then(plain).unwrap_or_default()));
        }
    });
    if passes.is_empty() {
        return;
    }
    for spot in layout.spots.iter().filter(|spot| matches!(spot.section.place, Place::Directory | Place::Htaccess)) {
        // What keeps everybody out of the whole disk is no guard of a URL.
        if matches!(&spot.section.matcher, Matcher::Literal(dir) if dir == b"/") || !restricts(&spot.section.conf) {
            continue;
        }
        let asked = layout.urls(spot).into_iter().find_map(|(server, url)| {
            let asked = layout.ask(subject, server, &url, stranger(), "a refusal")?;
            (asked.run.outcome == Outcome::Upstream && !asked.met(&spot.section)).then_some((url, asked))
        });
        let Some((url, asked)) = asked else { continue };
        let message = format!(
            "any client gets through to the back end at `{url}`: {} is not looked at for what is proxied",
            name(&spot.section)
        );
        let place = tree(&spot.section.conf).and_then(|tree| tree.origin).unwrap_or(spot.section.origin);
        let pass = passes.iter().find(|(_, from)| from.len() > 1 && url.starts_with(from.as_str())).or(passes.first());
        let related: Vec<_> =
            pass.map(|(origin, _)| found.related(*origin, "goes to the back end")).into_iter().collect();
        let finding = found.at(place, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        finding.advise("put the rules into `<Location>` for the URL, or into `<Proxy>` for the back end");
    }
}

const PAGE: &str = r#"# directory-rules-do-not-guard-proxy

A URL prefix goes to a back end (`ProxyPass`, `ProxyPassMatch`, `RewriteRule … [P]`), and the only rules for it stand in a section for the directory that the URL
would have had.

## Flagged (apache, server config)
```apache
ProxyPass "/app" "http://127.0.0.1:8799/"
<Directory "/srv/www/app">
    Require ip 10.0.0.0/8
</Directory>
```

## Fixed (apache, server config)
```apache
ProxyPass "/app" "http://127.0.0.1:8799/"
<Location "/app">
    Require ip 10.0.0.0/8
</Location>
```

## Why
What is proxied is no file: directories, files and `.htaccess` are never walked for it. `<Location>` is, and `<Proxy>` takes the place of `<Directory>`.
"#;

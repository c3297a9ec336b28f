//! `later-section-reopens`: the last section has the last word.

use super::sections::{Spot, file_names, name};
use super::spots::{Asked, stranger};
use super::verdicts::{restricts, tree};
use super::{APACHE, Needs, Rule};
use crate::apache::model::{Matcher, Place};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use std::collections::BTreeMap;

pub(super) const RULE: Rule = Rule {
    id: "later-section-reopens",
    title: "a section merged later replaces a denial",
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
    let Some((_, layout)) = subject.layout() else { return };
    let opens = |spot: &Spot| kind(spot) > 0 && tree(&spot.section.conf).is_some() && !restricts(&spot.section.conf);
    let openers: Vec<&Spot> = layout.spots.iter().filter(|spot| opens(spot)).collect();
    let guarded = layout.spots.iter().filter(|spot| {
        let whole_disk = matches!(&spot.section.matcher, Matcher::Literal(dir) if dir == b"/") && kind(spot) == 0;
        kind(spot) < 4 && !whole_disk && tree(&spot.section.conf).is_some() && restricts(&spot.section.conf)
    });
    if openers.is_empty() {
        return;
    }
    // What is opened, by the section that opens it: one finding each, with the first places.
    let mut opened: BTreeMap<usize, Vec<(&Spot, Asked)>> = BTreeMap::new();
    for spot in guarded {
        let mut urls = layout.urls(spot);
        if let Some((server, url)) = urls.first().cloned() {
            let dir = url.rsplit_once('/').map_or("", |(dir, _)| dir);
            let files = openers.iter().filter(|opener| opener.section.place == Place::Files).take(4);
            urls.extend(
                files.flat_map(|opener| file_names(&opener.section)).map(|name| (server, format!("{dir}/{name}"))),
            );
        }
        for (server, url) in urls {
            let Some(asked) = layout.ask(subject, server, &url, stranger(), "403") else { continue };
            if !asked.met(&spot.section) || !asked.is_past_the_rules() {
                continue;
            }
            let met: Vec<usize> =
                asked.run.seen.sections.iter().filter_map(|origin| layout.index_of(*origin)).collect();
            let last = met.iter().rev().copied().find(|&index| tree(&layout.spots[index].section.conf).is_some());
            let Some(last) = last else { continue };
            let opener = &layout.spots[last];
            let inside = opener.outer.as_ref().is_some_and(|outer| outer.origin == spot.section.origin);
            let later = kind(opener) > kind(spot) || (kind(opener) == 3 && opener.section.origin > spot.section.origin);
            // A section inside the guarded one, or one for a part of its URLs, says openly what it opens.
            if opens(opener) && later && !inside {
                opened.entry(last).or_default().push((spot, asked));
                break;
            }
        }
    }
    for (index, places) in opened {
        let opener = &layout.spots[index];
        let count = places.len() as u32;
        let related: Vec<_> = places
            .iter()
            .take(5)
            .filter_map(|(spot, _)| tree(&spot.section.conf)?.origin)
            .map(|origin| found.related(origin, "is replaced"))
            .collect();
        let Some((spot, asked)) = places.into_iter().next() else { continue };
        let at = tree(&opener.section.conf).and_then(|tree| tree.origin).unwrap_or(opener.section.origin);
        let message = format!(
            "any client gets into {}: {} is merged later, and its rules replace those",
            name(&spot.section),
            name(&opener.section)
        );
        let finding = found.at(at, message).proven_by(asked.witness, asked.certainty);
        finding.count = count;
        finding.related = related;
        finding.advise("drop the rules of the later section, narrow it, or give it `AuthMerging And`");
    }
}

/// Directories and `.htaccess` files first, then `<DirectoryMatch>`, `<Files>`, `<Location>`, `<If>`.
fn kind(spot: &Spot) -> u8 {
    match (spot.section.place, &spot.section.matcher) {
        (Place::Directory, Matcher::Regex(_)) => 1,
        (Place::Files, _) => 2,
        (Place::Location, _) => 3,
        (Place::If, _) => 4,
        _ => 0,
    }
}

const PAGE: &str = r#"# later-section-reopens

A section lets everybody in, and it is merged after one that keeps them out for the same request: typically `<Location "/">` with `Require all granted` over a denied
`<Directory>`, a `<Files>` outside of it, or an `<If>`. A `<Files>` inside the denied section, or a `<Location>` for a part of it, is not reported.

## Flagged (apache, server config)
```tree
/srv/www/p/x: secret
```
```apache
<Directory "/srv/www/p">
    Require all denied
</Directory>
<Location "/">
    Require all granted
</Location>
```

## Fixed (apache, server config)
```tree
/srv/www/p/x: secret
```
```apache
<Directory "/srv/www">
    Require all granted
</Directory>
<Directory "/srv/www/p">
    Require all denied
</Directory>
```

## Why
The order of merging is fixed, whatever the order in the file: `<Directory>` with its `.htaccess`, from the short path to the long one, `<DirectoryMatch>`, `<Files>`,
`<Location>`, `<If>`. With `AuthMerging Off`, the default, the last section that has `Require` lines replaces all the others.
"#;

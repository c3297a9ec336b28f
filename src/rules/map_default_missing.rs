//! `map-default-missing`: what no entry covers is the empty text, and nobody says so.

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "map-default-missing",
    title: "map or geo without an explicit default",
    level: Level::Info,
    category: Category::Style,
    servers: NGINX,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.http().flat_map(|block| block.own(b"map").chain(block.own(b"geo"))) {
        let entries = blocks.entries(line);
        // An included file may hold it; one that is there is among the entries.
        let open = line.placed.children().any(|entry| entry.name().value(blocks.sources()) == b"include");
        if open || entries.iter().any(|entry| entry.name == b"default") {
            continue;
        }
        let name = line.words.last().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default();
        let edit =
            entries.last().and_then(|last| Edit::insert_after(blocks.sources(), last.placed.span(), "default \"\";"));
        let finding = found
            .at(line.origin(), format!("`{name}` is empty for whatever no entry covers, and the text does not say so"));
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("say `default \"\"`", Safety::Safe, vec![edit]));
        }
    }
}

const PAGE: &str = r#"# map-default-missing

House style: a table that says what happens to everything else is read without the manual.

## Flagged (nginx, http)
```nginx
map $uri $a { /x 1; }
```

## Fixed (nginx, http)
```nginx
map $uri $a { default ""; /x 1; }
```

## Why
The default of `map` and `geo` is the empty text.
"#;

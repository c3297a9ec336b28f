//! `condition-never-true`: a guard that compares a variable with a value that nothing gives it.

use super::guards::{guards, holds, values, variable};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "condition-never-true",
    title: "a guard compares a variable with a value it can never have",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for guard in guards(blocks) {
        let Some(name) = variable(&guard.condition) else { continue };
        let Some(values) = values(blocks, name) else { continue };
        let outcomes: Option<Vec<bool>> = values.all.iter().map(|value| holds(&guard.condition, value)).collect();
        let Some(outcomes) = outcomes else { continue };
        // A table with one value says nothing anywhere: `geo-or-map-opens-by-default` tells of it.
        if values.all.len() < 2 {
            continue;
        }
        let shown = String::from_utf8_lossy(name).into_owned();
        let list: Vec<String> =
            values.all.iter().take(6).map(|value| format!("`{}`", String::from_utf8_lossy(value))).collect();
        let related = found.related(values.by.origin(), "gives the values");
        let (consequence, level) = match (outcomes.contains(&true), outcomes.contains(&false), guard.refusal) {
            (false, _, Some(_)) => ("is never so, and nobody is refused here", Level::Error),
            (false, _, None) => ("is never so", Level::Warning),
            (true, false, Some(_)) => ("is always so, and everybody is refused here", Level::Warning),
            _ => continue,
        };
        let message = format!("this {consequence}: `${shown}` is one of {}", list.join(", "));
        found.at(guard.line.origin(), message).with(related).level(level);
    }
}

const PAGE: &str = r#"# condition-never-true

The variable of an `if` comes from one `map`, `geo` or `split_clients`, or from `set`s of plain texts, and none of its values makes the
condition hold. Where the `if` refuses, it refuses nobody. The other way round, a condition that holds for every value refuses
everybody (a warning).

Tables that include a file or hold nothing but their default, and variables that are always set to one text, are switches and are not
judged.

## Flagged (nginx, http)
```nginx
geo $inside { default 0; 10.0.0.0/8 1; }
server { location /p/ { if ($inside = no) { return 403; } } }
```

## Fixed (nginx, http)
```nginx
geo $inside { default 0; 10.0.0.0/8 1; }
server { location /p/ { if ($inside = 0) { return 403; } } }
```

## Why
`if ($a = b)` compares texts. `if ($a)` holds for everything but the empty text and `0`, so for `no`, `off` and `false` too.
"#;

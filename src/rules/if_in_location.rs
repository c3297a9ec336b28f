//! `if-in-location`: what a location says and an `if` in it takes away.

use super::blocks::{Block, Blocks};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::directives::{self, Inherit};
use crate::nginx::script::condition::Parsed;

pub(super) const RULE: Rule = Rule {
    id: "if-in-location",
    title: "an if inside a location takes away what the location says",
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
    for location in blocks.http().filter(|block| block.name() == b"location") {
        let ifs: Vec<&Block> = location.own(b"if").filter_map(|line| blocks.opened_by(line.origin())).collect();
        for (at, block) in ifs.iter().enumerate() {
            let Some(opened) = block.opened.as_ref() else { continue };
            // One that only computes or answers leaves before its settings matter.
            let settings: Vec<&[u8]> =
                block.lines.iter().map(|line| line.name).filter(|name| !computes(name)).collect();
            let (Some(first), false) = (settings.first(), answers(block)) else { continue };
            let first = String::from_utf8_lossy(first);
            if let Some(lost) = location.own(b"try_files").next() {
                let message = format!(
                    "where this condition holds, `try_files` of {} is not in force: an `if` with settings of its own (`{first}`) is a location of its own, which does not inherit it",
                    location.shown()
                );
                let related = found.related(lost.origin(), "is not looked at then");
                found.at(opened.origin(), message).with(related);
            } else if let Some(name) = hidden(blocks, location, block) {
                let name = String::from_utf8_lossy(name).into_owned();
                let message = format!(
                    "where this condition holds, every `{name}` of {} and further out is gone: those in the `if` replace the whole list",
                    location.shown()
                );
                found.at(opened.origin(), message);
            } else if let Some(later) =
                ifs[at + 1..].iter().find(|later| both_hold(block, later) && loses(block, later))
            {
                let Some(other) = later.opened.as_ref() else { continue };
                let message = format!(
                    "where the next `if` holds as well, `{first}` of this one is lost: only the settings of the last `if` that holds are in force"
                );
                let related = found.related(other.origin(), "this one is the last");
                found.at(opened.origin(), message).with(related);
            }
        }
    }
}

/// The directives of the rewrite module, which run and set nothing in the record.
fn computes(name: &[u8]) -> bool {
    matches!(name, b"set" | b"rewrite" | b"return" | b"break" | b"rewrite_log" | b"uninitialized_variable_warn")
}

/// Whether every request that gets into the block is answered, or sent to another location, by it.
fn answers(block: &Block) -> bool {
    block.own(b"return").next().is_some()
        || block
            .own(b"rewrite")
            .any(|line| line.words.last().is_some_and(|flag| matches!(*flag, b"last" | b"redirect" | b"permanent")))
}

/// A directive of the block whose list hides one around the block. `header-redefinition` tells of `add_header`.
fn hidden<'a>(blocks: &Blocks<'a>, location: &Block<'a>, block: &Block<'a>) -> Option<&'a [u8]> {
    let names = block.lines.iter().map(|line| line.name).filter(|name| *name != b"add_header" && is_list(name));
    names.into_iter().find(|name| blocks.nearest(location, name).is_some())
}

/// Whether the two conditions can hold together: not where they compare one variable with two texts.
fn both_hold(first: &Block, second: &Block) -> bool {
    let (Some(first), Some(second)) = (&first.opened, &second.opened) else { return false };
    match (first.condition(), second.condition()) {
        (
            Some(Parsed::Equal { name, text, negated: false }),
            Some(Parsed::Equal { name: other, text: against, negated: false }),
        ) => name != other || text == against,
        // Two expressions on one variable may exclude each other; whether they do is not worked out.
        (Some(Parsed::Match { name, .. }), Some(Parsed::Match { name: other, .. })) => name != other,
        (Some(_), Some(_)) => true,
        _ => false,
    }
}

/// Whether the second block has settings, and the first one a list, or a setting that the second does not say again.
fn loses(first: &Block, second: &Block) -> bool {
    let settings = |block: &Block| -> Vec<Vec<u8>> {
        block.lines.iter().map(|line| line.name.to_vec()).filter(|name| !computes(name)).collect()
    };
    let (first, second) = (settings(first), settings(second));
    !second.is_empty() && first.iter().any(|name| is_list(name) || !second.contains(name))
}

/// Whether a block's own directives of this name hide those around it.
fn is_list(name: &[u8]) -> bool {
    directives::rows(name).iter().any(|row| row.inherit == Inherit::Replace)
}

const PAGE: &str = r#"# if-in-location

An `if` with directives other than those of the rewrite module is a nameless location inside its location. Reported where something is lost by
it: `try_files`, a list such as `proxy_set_header` around it, or the settings of an earlier `if` that holds as well. An `if` that only
says `set`, `return` or `rewrite`, or that always ends with one of them, is never reported.

## Flagged (nginx, location)
```nginx
if ($arg_x) { add_header X-A b; }
try_files $uri =404;
```

## Fixed (nginx, location)
```nginx
try_files $uri =404;
```

## Why
When the condition holds, the settings of the `if` become those of the request, once for all. They are inherited as by a nested location, and
`try_files` is inherited by none. With several conditions that hold, the last one wins.
"#;

//! `rewrite-unreachable`: what stands behind the end.

use super::blocks::{Block, Line};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "rewrite-unreachable",
    title: "a rewrite rule after an unconditional final one",
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
    for block in blocks.http().filter(|block| matches!(block.name(), b"server" | b"location" | b"if")) {
        let program: Vec<&Line> = block.lines.iter().filter(|line| of_program(line)).collect();
        let Some(end) = program.iter().position(|line| is_final(line)) else { continue };
        let dead = &program[end + 1..];
        // A `set` is also how a variable is made known, and harmless.
        let Some(first) = dead.iter().find(|line| line.name != b"set") else { continue };
        let denies = dead
            .iter()
            .any(|line| refuses(line) || inner(blocks, line).is_some_and(|block| block.lines.iter().any(refuses)));
        let message = format!(
            "this never runs: {} ends the program of {} for every request",
            crate::sentence::ticked(blocks.sources().text(program[end].placed.span())),
            block.shown()
        );
        let related = found.related(program[end].origin(), "is the end");
        let finding = found.at(first.origin(), message).with(related);
        finding.count = dead.len() as u32;
        if denies {
            finding.level(Level::Error);
        }
    }
}

fn inner<'b, 'a>(blocks: &'b super::blocks::Blocks<'a>, line: &Line) -> Option<&'b Block<'a>> {
    blocks.opened_by(line.origin())
}

/// The directives of the rewrite module that run one after the other.
fn of_program(line: &Line) -> bool {
    matches!(line.name, b"if" | b"set" | b"return" | b"rewrite" | b"break")
}

/// Whether nothing behind it runs, whatever the request.
fn is_final(line: &Line) -> bool {
    match (line.name, &*line.words) {
        (b"return" | b"break", _) => true,
        (b"rewrite", [pattern, target, flags @ ..]) => {
            let everything = matches!(
                *pattern,
                b"^" | b"$" | b".*" | b"^.*" | b"^.*$" | b"(.*)" | b"^(.*)$" | b"^(.*)" | b"^/" | b"/" | b"."
            );
            let ends = matches!(flags, [b"last" | b"break" | b"redirect" | b"permanent"])
                || [&b"http://"[..], b"https://", b"$scheme"].iter().any(|scheme| target.starts_with(scheme));
            everything && ends
        }
        _ => false,
    }
}

fn refuses(line: &Line) -> bool {
    line.name == b"return" && line.words.first().is_some_and(|code| code.starts_with(b"4"))
}

const PAGE: &str = r#"# rewrite-unreachable

Behind a `return`, a `break`, or a `rewrite` that takes every path and has a flag that ends, nothing of the same block runs. The level is error
where what is lost would have refused.

## Flagged (nginx, server)
```nginx
rewrite ^ /index.php last;
rewrite ^/old$ /new permanent;
```

## Fixed (nginx, server)
```nginx
rewrite ^/old$ /new permanent;
rewrite ^ /index.php last;
```

## Why
`if`, `set`, `rewrite`, `return` and `break` of a block are one program, run from top to bottom until one of them ends it. Locations are looked
for afterwards and have programs of their own.
"#;

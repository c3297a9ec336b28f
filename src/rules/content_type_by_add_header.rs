//! `content-type-by-add-header`: a second `Content-Type` beside the one that nginx sends.

use super::blocks::Block;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "content-type-by-add-header",
    title: "Content-Type set with add_header",
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
    for block in blocks.http() {
        for line in block.own(b"add_header").filter(|line| line.words[0].eq_ignore_ascii_case(b"content-type")) {
            let Some(value) = line.words.get(1).and_then(|word| std::str::from_utf8(word).ok()) else { continue };
            let message = format!(
                "answers of {} get `Content-Type: {value}` beside the one that nginx sends: `add_header` adds, it does not replace",
                block.shown()
            );
            // Without its last `add_header`, the block would begin to send those around it.
            let alone = block.own(b"add_header").count() == 1;
            let hides = blocks.around(block).is_some_and(|outer| blocks.nearest(outer, b"add_header").is_some());
            let word = line.placed.args().get(1).map(|word| blocks.sources().text(word.span));
            let edit = word
                .and_then(|word| std::str::from_utf8(word).ok())
                .and_then(|word| Edit::replace(blocks.sources(), line.placed.span(), &format!("default_type {word};")));
            let settled = answers_itself(block) && block.own(b"default_type").next().is_none() && !(alone && hides);
            let finding = found.at(line.origin(), message).advise("say `default_type`, or map the name in `types`");
            if let Some(edit) = edit.filter(|_| settled) {
                finding.fixed_by(Fix::text("say it with `default_type`", Safety::Safe, vec![edit]));
            }
        }
    }
}

/// Whether a `return` of the block itself sends the body: then `default_type` is its type.
fn answers_itself(block: &Block) -> bool {
    block.name() == b"location"
        && block.own(b"return").any(|line| matches!(line.words[..], [code, _] if code.starts_with(b"2")))
}

const PAGE: &str = r#"# content-type-by-add-header

The answer carries two `Content-Type` headers, and clients take one or the other.

## Flagged (nginx, location)
```nginx
add_header Content-Type text/plain;
return 200 "x";
```

## Fixed (nginx, location)
```nginx
default_type text/plain;
return 200 "x";
```

## Why
nginx sends the type from `types`, `default_type` or the back end, and `add_header` appends another line of the same name.
"#;

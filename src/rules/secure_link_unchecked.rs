//! `secure-link-unchecked`: links are verified and nobody looks at the result.

use super::blocks::{Block, Blocks, mentions};
use super::spots::{self, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "secure-link-unchecked",
    title: "secure_link is configured but its result is not tested",
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
    let spots = subject.spots();
    for block in blocks.http() {
        let own = block.own(b"secure_link").chain(block.own(b"secure_link_secret")).next();
        let Some(line) = own.filter(|_| !is_tested(blocks, block)) else { continue };
        let inside: Vec<_> =
            blocks.inwards(block).filter_map(|inner| inner.opened.as_ref()).map(|line| line.origin()).collect();
        let asked = spots.iter().filter(|spot| inside.contains(&spot.conf.origin)).find_map(|spot| {
            let client = spots::pick(spot.open())?;
            spot.paths().iter().find_map(|path| {
                let asked = ask_for(subject, spot.server, "GET", path, client, &[], "a refusal")?;
                let here = spot.location().is_none_or(|location| asked.landed_in() == Some(location.origin));
                (here && asked.gets_in()).then_some(asked)
            })
        });
        let Some(asked) = asked else { continue };
        let message = format!("a request without a link gets in at {}: nothing tests `$secure_link`", block.shown());
        found
            .at(line.origin(), message)
            .proven_by(asked.witness, asked.certainty)
            .advise("`if ($secure_link = \"\") { return 403; }`, and `if ($secure_link = \"0\") { return 410; }` for links that expire");
    }
}

/// Whether the block or one inside it looks at the variable, or a `map` does, or a script may.
fn is_tested(blocks: &Blocks, block: &Block) -> bool {
    let looks = |inner: &Block| {
        inner.lines.iter().any(|line| {
            let script =
                [&b"lua"[..], b"js_", b"perl"].iter().any(|part| memchr::memmem::find(line.name, part).is_some());
            script || line.words.iter().any(|word| mentions(trimmed(word), "secure_link"))
        })
    };
    let maps = blocks.all().iter().flat_map(|outer| outer.own(b"map"));
    blocks.inwards(block).any(looks) || maps.into_iter().any(|map| mentions(map.words[0], "secure_link"))
}

/// A word of a condition without its parentheses.
fn trimmed(word: &[u8]) -> &[u8] {
    let word = word.strip_prefix(b"(").unwrap_or(word);
    word.strip_suffix(b")").unwrap_or(word)
}

const PAGE: &str = r#"# secure-link-unchecked

`secure_link` computes whether a link is good and leaves the answer in `$secure_link`. Where nothing looks at it, every link is good.

## Flagged (nginx, location)
```nginx
secure_link $arg_md5,$arg_expires;
secure_link_md5 "$uri key";
```

## Fixed (nginx, location)
```nginx
secure_link $arg_md5,$arg_expires;
secure_link_md5 "$uri key";
if ($secure_link = "") { return 403; }
```

## Why
The module has no access handler, only a variable: empty for a bad link, `0` for an expired one, `1` for a good one.
"#;

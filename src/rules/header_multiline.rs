//! `header-multiline`: a header whose value holds a line feed.

use super::blocks::Line;
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "header-multiline",
    title: "a header value spans lines",
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
    for line in blocks.http().flat_map(|block| &block.lines) {
        let Some((name, value)) = header(line).filter(|(_, value)| value.contains(&b'\n')) else { continue };
        let name = String::from_utf8_lossy(name);
        let count = memchr::memchr_iter(b'\n', value).count();
        let message =
            format!("the value of `{name}` goes out with {count} line feeds in it, which clients refuse or cut");
        let text = std::str::from_utf8(blocks.sources().text(line.placed.span())).ok();
        let edit = text.and_then(|text| Edit::replace(blocks.sources(), line.placed.span(), &joined(text)));
        let finding = found.at(line.origin(), message);
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("put the value on one line", Safety::Safe, vec![edit]));
        }
    }
}

/// The name of the header that a directive sends, and the text with its value; of several, the first with a line feed.
fn header<'l>(line: &'l Line) -> Option<(&'l [u8], &'l [u8])> {
    match line.name {
        b"add_header" | b"add_trailer" | b"proxy_set_header" | b"grpc_set_header" => {
            Some((*line.words.first()?, *line.words.get(1)?))
        }
        // `more_set_headers [-t TYPES] [-s CODES] 'Name: value' …`
        b"more_set_headers" => line.words.iter().find_map(|word| {
            let colon = memchr::memchr(b':', word).filter(|&colon| !word[..colon].contains(&b'\n'))?;
            word.contains(&b'\n').then_some((&word[..colon], *word))
        }),
        _ => None,
    }
}

/// The text with every line end, and the blanks around it, made one blank.
fn joined(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

const PAGE: &str = r#"# header-multiline

A quoted value that goes over several lines keeps its line feeds, and nginx sends them. A folded header is obsolete in HTTP/1.1; in HTTP/2
a line feed makes the whole response malformed.

## Flagged (nginx, server)
```nginx
add_header X-A "a
  b";
```

## Fixed (nginx, server)
```nginx
add_header X-A "a b";
```

## Why
A quoted string of the configuration may hold anything, and `add_header` does not look at what it sends.
"#;

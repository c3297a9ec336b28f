//! `trailing-whitespace`: blanks that nobody sees.

use std::collections::HashSet;

use super::{BOTH, Needs, Rule};
use crate::finding::Place;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "trailing-whitespace",
    title: "blanks at line ends, mixed line ends, no final newline",
    level: Level::Info,
    category: Category::Style,
    servers: BOTH,
    needs: Needs::Config,
    default: false,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let apache = subject.apache().is_some();
    let mut seen = HashSet::new();
    for (_, file) in subject.sources().files() {
        if !seen.insert(&file.path) {
            continue;
        }
        let mixed = file.bytes.windows(2).any(|pair| pair == b"\r\n")
            && file.bytes.windows(2).any(|pair| pair[1] == b'\n' && pair[0] != b'\r');
        for number in 1..=file.line_count() {
            let Some(line) = file.line(number) else { continue };
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let plain = line.trim_ascii_end();
            let last = number == file.line_count() && !file.bytes.ends_with(b"\n") && !file.bytes.is_empty();
            let column = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_add(1);
            let place = Place {
                file: file.path.clone(),
                line: number,
                column: column(plain),
                end_line: number,
                end_column: column(line),
            };
            if plain.len() < line.len() {
                // Behind the backslash of a continued line, the blank ends the line.
                let cut = apache && plain.ends_with(b"\\");
                let message = if cut {
                    "the line is not continued: a blank follows the backslash"
                } else {
                    "blanks stand at the end of the line"
                };
                let replacement = std::str::from_utf8(plain).ok();
                let finding = found.at_place(place, message);
                if cut {
                    finding.level(Level::Error);
                }
                if let Some(replacement) = replacement {
                    let edit = Edit {
                        file: file.path.clone(),
                        line: number,
                        end_line: number,
                        replacement: replacement.to_owned(),
                    };
                    let safety = if cut || replacement.is_empty() { Safety::Review } else { Safety::Safe };
                    finding.fixed_by(Fix::text("take the blanks out", safety, vec![edit]));
                }
            } else if last {
                found.at_place(place, "the last line has no end");
            } else if mixed && number == 1 {
                found.at_place(place, "some lines end with a carriage return and some do not");
            }
        }
    }
}

const PAGE: &str = r#"# trailing-whitespace

Layout, except for one thing: in Apache a blank behind the backslash of a continued line makes two lines of it (an error).

## Flagged (nginx, http)
```nginx
server_tokens off;  
```

## Fixed (nginx, http)
```nginx
server_tokens off;
```

## Why
Neither server minds blanks. Apache looks for a backslash as the last character of a line.
"#;

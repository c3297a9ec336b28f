//! `variable-case-mismatch`: one variable that looks like two.

use std::collections::HashMap;

use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::complex::{RawPart, parse};

pub(super) const RULE: Rule = Rule {
    id: "variable-case-mismatch",
    title: "one variable in two spellings",
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
    let mut spellings: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for line in blocks.http().flat_map(|block| &block.lines) {
        let words = line.words.iter().map(|word| word.strip_prefix(b"(").unwrap_or(word));
        for name in words.flat_map(names) {
            match spellings.get(&name.to_ascii_lowercase()) {
                Some(first) if *first != name => {
                    let (first, name) = (String::from_utf8_lossy(first), String::from_utf8_lossy(&name));
                    found.at(line.origin(), format!("`${name}` is `${first}`, which was spelt otherwise before"));
                    break;
                }
                Some(_) => {}
                None => {
                    spellings.insert(name.to_ascii_lowercase(), name);
                }
            }
        }
    }
}

/// The variables that a word names, as they are spelt.
fn names(word: &[u8]) -> Vec<Vec<u8>> {
    let word = word.strip_suffix(b")").unwrap_or(word);
    let parts = parse(word).unwrap_or_default();
    parts
        .into_iter()
        .filter_map(|part| if let RawPart::Variable(name) = part { Some(name.to_vec()) } else { None })
        .collect()
}

const PAGE: &str = r#"# variable-case-mismatch

nginx takes `$myVar` and `$myvar` for the same variable; readers and search do not.

## Flagged (nginx, server)
```nginx
set $myVar 1;
return 200 $myvar;
```

## Fixed (nginx, server)
```nginx
set $my_var 1;
return 200 $my_var;
```

## Why
Names of variables are looked up in lower case.
"#;

//! Inline suppressions: `# why403: ignore[rule-id, other] reason`.
//!
//! nginx: on the line of the finding or the line before. Apache has no trailing comments, so the line before only. A reason is
//! required, and a suppression that silences nothing is a finding itself (`suppression-unused`).

use crate::server::Kind;

/// One suppression comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Its line, from 1.
    pub line: u32,
    /// Column of the comment's `#`, in bytes from 1.
    pub column: u32,
    /// The rules it names.
    pub rules: Vec<String>,
    /// Why; empty where the author gave no reason.
    pub reason: String,
    /// Whether the comment stands alone on its line, and so speaks of the next one.
    pub alone: bool,
}

impl Suppression {
    /// Whether it speaks of a finding of this rule on this line.
    pub fn covers(&self, rule: &str, line: u32) -> bool {
        let here = if self.alone { line == self.line + 1 } else { line == self.line };
        here && self.rules.iter().any(|named| named == rule)
    }
}

const MARK: &[u8] = b"why403:";

/// Every suppression of a text, in order. Malformed ones (no `ignore[…]`) are not suppressions.
pub fn find(text: &[u8], kind: Kind) -> Vec<Suppression> {
    let mut found = Vec::new();
    if memchr::memmem::find(text, MARK).is_none() {
        return found;
    }
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let Some(mark) = memchr::memmem::find(line, MARK) else { continue };
        let Some(hash) = line[..mark].iter().rposition(|&byte| byte == b'#') else { continue };
        if !line[hash + 1..mark].iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let alone = line[..hash].iter().all(u8::is_ascii_whitespace);
        // A `#` that does not begin a word is data for nginx; for Apache everything but a line's first character is.
        let comment = alone || (kind == Kind::Nginx && matches!(line[hash - 1], b' ' | b'\t' | b';' | b'{' | b'}'));
        if !comment {
            continue;
        }
        let rest = String::from_utf8_lossy(&line[mark + MARK.len()..]).into_owned();
        let Some(list) = rest.trim_start().strip_prefix("ignore[") else { continue };
        let Some((rules, reason)) = list.split_once(']') else { continue };
        found.push(Suppression {
            line: index as u32 + 1,
            column: hash as u32 + 1,
            rules: rules.split(',').map(|rule| rule.trim().to_owned()).filter(|rule| !rule.is_empty()).collect(),
            reason: reason.trim().to_owned(),
            alone,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_alone_speaks_of_the_next_line_and_a_trailing_one_of_its_own() {
        let text = b"a;\n  # why403: ignore[x-rule, y-rule] because\nb; # why403: ignore[z-rule] why\n";
        let found = find(text, Kind::Nginx);
        assert_eq!(found.len(), 2);
        assert!(found[0].covers("y-rule", 3) && !found[0].covers("y-rule", 2));
        assert!(found[1].covers("z-rule", 3) && !found[1].covers("x-rule", 3));
        assert_eq!((found[0].reason.as_str(), found[0].column), ("because", 3));
    }

    #[test]
    fn apache_has_no_trailing_comments() {
        assert!(find(b"Options None # why403: ignore[x] y\n", Kind::Apache).is_empty());
        assert!(find(b"a#why403: ignore[x] y\n", Kind::Nginx).is_empty());
    }
}

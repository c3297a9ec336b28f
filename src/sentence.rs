//! Words shared by everybody who writes a sentence: how bytes of a configuration or of a request are shown.

use std::path::Path;

/// What happened, in the parts of a message (`what` stands alone in a log). Lower case, no final stop, the user's text in backticks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Sentences {
    /// What decided, in the words of the configuration.
    pub what: String,
    /// The rules of the server behind it, the surprising one first.
    pub why: Vec<String>,
}

/// Longest text shown in one piece, in characters.
const LONGEST: usize = 200;

/// Bytes as text: invalid UTF-8 and control bytes as `\xHH`, blanks and line ends as one blank, long text cut.
pub fn shown(bytes: &[u8]) -> String {
    if let Some(text) = plain(bytes) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(bytes.len().min(LONGEST));
    let mut blank = false;
    let mut length = 0;
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if matches!(character, ' ' | '\t' | '\r' | '\n') {
                blank = !text.is_empty();
                continue;
            }
            if std::mem::take(&mut blank) {
                text.push(' ');
            }
            if character.is_control() {
                text.push_str(&format!("\\x{:02x}", u32::from(character)));
            } else {
                text.push(character);
            }
            length += 1;
            if length >= LONGEST {
                text.push('…');
                return text;
            }
        }
        for byte in chunk.invalid() {
            if std::mem::take(&mut blank) {
                text.push(' ');
            }
            text.push_str(&format!("\\x{byte:02x}"));
            length += 4;
        }
    }
    text
}

/// The text itself, where nothing of it is shown otherwise.
fn plain(bytes: &[u8]) -> Option<&str> {
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let has_blanks = bytes.starts_with(b" ") || bytes.ends_with(b" ") || bytes.windows(2).any(|pair| pair == b"  ");
    if !printable || has_blanks || bytes.len() >= LONGEST { None } else { std::str::from_utf8(bytes).ok() }
}

/// The same in backticks.
pub fn ticked(bytes: &[u8]) -> String {
    format!("`{}`", shown(bytes))
}

/// A path in backticks.
pub fn path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    ticked(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_on_one_line() {
        assert_eq!(shown(b"deny\n    all;"), "deny all;");
        assert_eq!(shown(b"caf\xe9 \x01"), "caf\\xe9 \\x01");
        assert_eq!(ticked(b" a "), "`a`");
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(shown(&[b'a'; 1000]).chars().count(), LONGEST + 1);
    }
}

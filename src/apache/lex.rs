//! Lines and words of an Apache configuration, as `ap_cfg_getline` and `ap_getword_conf` read them.
//!
//! A *physical* line ends at LF. A *logical* line is what the server parses: physical lines joined at a backslash that
//! stands directly before the line end, white space trimmed at both ends. The grammar is written down in
//! `grammars/apache.md`, headings "Lines" and "Words".

use std::borrow::Cow;
use std::ops::Range;

/// Longest logical line of a main configuration file, in bytes with its LF (`VARBUF_MAX_LEN`).
pub const MAX_LINE: usize = 16 << 20;

/// Longest logical line of an `.htaccess`, in bytes with its LF (`HUGE_STRING_LEN`).
pub const MAX_HTACCESS_LINE: usize = 8192;

/// One logical line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Every byte of it, the final line end included.
    pub whole: Range<usize>,
    /// From the first to the last byte that is not white space; empty for a blank line.
    pub span: Range<usize>,
    /// What the server parses: the span, with continuations taken out and anything after a NUL cut off.
    pub text: Cow<'a, [u8]>,
    /// Number of physical lines that it takes.
    pub height: u32,
    /// How many more the server counts: a continuation at the very end of the file makes it count a line that is not there.
    pub overcount: u32,
    /// Whether it is longer than the limit; the server stops reading here.
    pub too_long: bool,
}

/// C's `isspace` in the C locale.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// White space taken off both ends.
pub fn trim(text: &[u8]) -> &[u8] {
    let text = skip_space(text);
    &text[..text.iter().rposition(|&byte| !is_space(byte)).map_or(0, |last| last + 1)]
}

/// The first physical line, with its LF if it has one; empty at the end of the input.
fn physical_line(input: &[u8]) -> &[u8] {
    &input[..memchr::memchr(b'\n', input).map_or(input.len(), |at| at + 1)]
}

/// The part of a physical line before its continuation mark: `None` if the line goes no further.
fn continued(physical: &[u8]) -> Option<&[u8]> {
    let line = physical.strip_suffix(b"\n")?;
    line.strip_suffix(b"\r").unwrap_or(line).strip_suffix(b"\\")
}

/// The next logical line of `bytes` at offset `at`; `None` at the end.
pub fn logical_line(bytes: &[u8], at: usize, limit: usize) -> Option<Line<'_>> {
    let mut rest = bytes.get(at..)?;
    let mut joined: Cow<[u8]> = Cow::Borrowed(&[]);
    let (mut height, mut overcount) = (0, 0);
    let mut measured = 0;
    loop {
        let physical = physical_line(rest);
        if physical.is_empty() {
            if height == 0 {
                return None;
            }
            overcount = 1;
            break;
        }
        rest = &rest[physical.len()..];
        height += 1;
        // C strings end at NUL, so a line that holds one neither continues nor has anything after it.
        let nul = memchr::memchr(0, physical);
        let visible = &physical[..nul.unwrap_or(physical.len())];
        let part = if nul.is_none() { continued(physical) } else { None };
        let text = part.unwrap_or(visible);
        measured = joined.len() + visible.len();
        if joined.is_empty() {
            joined = Cow::Borrowed(text);
        } else {
            joined.to_mut().extend_from_slice(text);
        }
        // Without its LF a text that fills the server's buffer is as good as too long.
        if part.is_none() || measured > limit {
            if !visible.ends_with(b"\n") {
                measured += 1;
            }
            break;
        }
    }
    let whole = at..bytes.len() - rest.len();
    let start = whole.end - skip_space(&bytes[whole.clone()]).len();
    let span = start..start + trim(&bytes[start..whole.end]).len();
    let text = match joined {
        Cow::Borrowed(text) => Cow::Borrowed(trim(text)),
        Cow::Owned(text) => Cow::Owned(trim(&text).to_vec()),
    };
    Some(Line { whole, span, text, height, overcount, too_long: measured > limit })
}

/// Every logical line of a file.
pub fn logical_lines(bytes: &[u8], limit: usize) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let line = logical_line(bytes, at, limit)?;
        at = line.whole.end;
        Some(line)
    })
}

/// White space taken off the start.
fn skip_space(text: &[u8]) -> &[u8] {
    &text[text.iter().position(|&byte| !is_space(byte)).unwrap_or(text.len())..]
}

/// The quote that a raw word begins with, if it does.
fn quote_of(raw: &[u8]) -> Option<u8> {
    raw.first().copied().filter(|first| matches!(first, b'"' | b'\''))
}

/// What stands between the quotes of a raw word, or all of one without quotes; escapes stay as they are.
pub fn without_quotes(raw: &[u8]) -> &[u8] {
    quote_of(raw).map_or(raw, |quote| unquoted(&raw[1..], quote))
}

/// The value of a raw word: quotes taken off, `\\` and a backslash before the own quote undone, any other backslash kept.
pub fn word_value(raw: &[u8]) -> Cow<'_, [u8]> {
    let (inner, quote) = (without_quotes(raw), quote_of(raw));
    let escapes = |at: usize| inner.get(at + 1).is_some_and(|&next| next == b'\\' || Some(next) == quote);
    if !inner.iter().enumerate().any(|(at, &byte)| byte == b'\\' && escapes(at)) {
        return Cow::Borrowed(inner);
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        if inner[at] == b'\\' && escapes(at) {
            at += 1;
        }
        value.push(inner[at]);
        at += 1;
    }
    Cow::Owned(value)
}

/// `text` up to its closing quote, which may be missing.
fn unquoted(text: &[u8], quote: u8) -> &[u8] {
    let mut end = 0;
    while end < text.len() && text[end] != quote {
        let escapes = text[end] == b'\\' && text.get(end + 1).is_some_and(|&next| next == quote || next == b'\\');
        end += if escapes { 2 } else { 1 };
    }
    &text[..end.min(text.len())]
}

/// `ap_getword_conf`: the next word of `line`, which moves on to the one after it. Empty at the end of the line, and
/// for an empty quoted word.
pub fn getword_conf<'a>(line: &mut &'a [u8]) -> Cow<'a, [u8]> {
    let word = next_word(line).map(word_value);
    *line = skip_space(line);
    word.unwrap_or_default()
}

/// `ap_getword_white`: text up to white space, no quoting; `line` moves on past that white space.
pub fn getword_white<'a>(line: &mut &'a [u8]) -> &'a [u8] {
    let end = line.iter().position(|&byte| is_space(byte)).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    *line = &rest[rest.iter().position(|&byte| !is_space(byte)).unwrap_or(rest.len())..];
    word
}

/// The raw text of the next word of `line`, which moves on behind it; `None` at the end of the line.
pub fn next_word<'a>(line: &mut &'a [u8]) -> Option<&'a [u8]> {
    let text = skip_space(line);
    let end = match quote_of(text) {
        // Up to the closing quote, or to the end where that is missing.
        Some(quote) => (unquoted(&text[1..], quote).len() + 2).min(text.len()),
        None => text.iter().position(|&byte| is_space(byte)).unwrap_or(text.len()),
    };
    let (raw, after) = text.split_at(end);
    *line = after;
    (!raw.is_empty()).then_some(raw)
}

/// Every word of `line` with the range of its raw text.
pub fn words(line: &[u8]) -> impl Iterator<Item = (Range<usize>, Cow<'_, [u8]>)> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let raw = next_word(&mut rest)?;
        let end = line.len() - rest.len();
        Some((end - raw.len()..end, word_value(raw)))
    })
}

/// The values of all words of `line`; `None` where each is a part of its text.
pub fn unescaped_words(line: &[u8]) -> Option<Box<[Box<[u8]>]>> {
    let escaped = |(_, word): (_, Cow<[u8]>)| matches!(word, Cow::Owned(_));
    words(line).any(escaped).then(|| words(line).map(|(_, word)| word.into()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<(Vec<u8>, u32)> {
        logical_lines(bytes, MAX_LINE).map(|line| (line.text.into_owned(), line.height)).collect()
    }

    #[test]
    fn a_backslash_before_the_line_end_joins_without_a_blank() {
        assert_eq!(
            texts(b"Opt\\\nions None\nA\\ \nB\\\r\nC"),
            [(b"Options None".to_vec(), 2), (b"A\\".to_vec(), 1), (b"BC".to_vec(), 2)]
        );
    }

    #[test]
    fn a_comment_swallows_its_continuation() {
        assert_eq!(texts(b"# x \\\nRequire all denied\n"), [(b"# x Require all denied".to_vec(), 2)]);
    }

    #[test]
    fn a_continuation_at_the_end_counts_a_line_that_is_not_there() {
        let line = logical_line(b"Foo \\\n", 0, MAX_LINE).expect("a line");
        assert_eq!((line.text.as_ref(), line.height, line.overcount), (&b"Foo"[..], 1, 1));
    }

    #[test]
    fn a_nul_hides_the_rest_of_its_line() {
        assert_eq!(texts(b"Foo a\0b \\\nBar"), [(b"Foo a".to_vec(), 1), (b"Bar".to_vec(), 1)]);
    }

    #[test]
    fn the_limit_counts_the_line_end() {
        let text = |len: usize, end: &str| format!("{}{end}", "x".repeat(len)).into_bytes();
        let too_long = |bytes: &[u8]| logical_line(bytes, 0, MAX_HTACCESS_LINE).is_some_and(|line| line.too_long);
        assert!(!too_long(&text(MAX_HTACCESS_LINE - 1, "\n")));
        assert!(too_long(&text(MAX_HTACCESS_LINE, "\n")));
        assert!(!too_long(&text(MAX_HTACCESS_LINE - 1, "")));
        assert!(too_long(&text(MAX_HTACCESS_LINE, "")));
    }

    #[test]
    fn words_follow_ap_getword_conf() {
        let split = |text: &str| -> Vec<String> {
            words(text.as_bytes()).map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).collect()
        };
        assert_eq!(split(r#"a "b c" 'd"e' \.php$ x\\y"#), ["a", "b c", "d\"e", r"\.php$", r"x\y"]);
        assert_eq!(split(r#"/q\"x "a\"b\c" "open"#), [r#"/q\"x"#, r#"a"b\c"#, "open"]);
        assert_eq!(split(r#""glued"to """#), ["glued", "to", ""]);
    }

    #[test]
    fn getword_conf_moves_past_the_blanks() {
        let mut line: &[u8] = b"  one  two ";
        assert_eq!(getword_conf(&mut line).as_ref(), b"one");
        assert_eq!(line, b"two ");
        assert_eq!(getword_conf(&mut line).as_ref(), b"two");
        assert_eq!(getword_conf(&mut line).as_ref(), b"");
    }
}

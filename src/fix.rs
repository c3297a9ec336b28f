//! A fix: edits of the text and commands for the file system, and applying edits to bytes.

pub mod permission;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::outcome::Outcome;
use crate::source::{FileId, SourceMap, Span};

/// Whether a fix may be applied without a second look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Safety {
    /// Changes the answer to this request, or to requests that the same rule refused in the same way, and nothing else.
    Safe,
    /// Opens more than was asked for; a person must look.
    Review,
}

/// Replaces whole lines of one file. All edits of a fix count lines of the file as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edit {
    /// The file, as opened.
    pub file: PathBuf,
    /// First line replaced, from 1.
    pub line: u32,
    /// Last line replaced; `line - 1` inserts before `line`.
    pub end_line: u32,
    /// New text without a final newline; empty deletes.
    pub replacement: String,
}

impl Edit {
    /// A line of its own before the directive at `span`, indented as it is. Where the directive does not begin its line,
    /// the text is put in front of it in the same line. `None`: the line is not UTF-8.
    pub fn insert_before(sources: &SourceMap, span: Span, text: &str) -> Option<Edit> {
        let lines = Lines::of(sources, span)?;
        if lines.before.trim().is_empty() {
            return Some(lines.edit(lines.first, lines.first - 1, format!("{}{text}", lines.before)));
        }
        let whole = sources.text(span);
        let replacement = format!("{}{text} {}{}", lines.before, std::str::from_utf8(whole).ok()?, lines.after);
        Some(lines.edit(lines.first, lines.last, lines.without_line_ends(&replacement)))
    }

    /// A line of its own after the directive at `span`; in the same line where more follows there.
    pub fn insert_after(sources: &SourceMap, span: Span, text: &str) -> Option<Edit> {
        let lines = Lines::of(sources, span)?;
        if lines.after.trim().is_empty() || lines.after.trim_start().starts_with('#') {
            let indent: String = lines.before.chars().take_while(|character| character.is_whitespace()).collect();
            return Some(lines.edit(lines.last + 1, lines.last, format!("{indent}{text}")));
        }
        let whole = std::str::from_utf8(sources.text(span)).ok()?;
        let replacement = format!("{}{whole} {text}{}", lines.before, lines.after);
        Some(lines.edit(lines.first, lines.last, lines.without_line_ends(&replacement)))
    }

    /// Other text in the place of `span`; what else stands on its lines stays.
    pub fn replace(sources: &SourceMap, span: Span, text: &str) -> Option<Edit> {
        let lines = Lines::of(sources, span)?;
        let replacement = format!("{}{text}{}", lines.before, lines.after);
        Some(lines.edit(lines.first, lines.last, lines.without_line_ends(&replacement)))
    }

    /// The lines of `span` gone, or only the span where something else stands on its lines.
    pub fn delete(sources: &SourceMap, span: Span) -> Option<Edit> {
        let lines = Lines::of(sources, span)?;
        if lines.before.trim().is_empty() && lines.after.trim().is_empty() {
            return Some(lines.edit(lines.first, lines.last, String::new()));
        }
        Edit::replace(sources, span, "")
    }

    /// A line as the last thing inside the block or section that `span` covers: before its `}` or its `</Section>`.
    pub fn append_to_block(sources: &SourceMap, span: Span, text: &str) -> Option<Edit> {
        let bytes = sources.text(span);
        let close = if bytes.first() == Some(&b'<') {
            memchr::memmem::rfind(bytes, b"</")?
        } else {
            memchr::memrchr(b'}', bytes)?
        };
        let at = span.start as usize + close;
        let lines = Lines::of(sources, Span::new(span.file, at, span.end as usize))?;
        if lines.before.trim().is_empty() {
            let step = indent_step(sources, span).unwrap_or("    ");
            return Some(lines.edit(lines.first, lines.first - 1, format!("{}{step}{text}", lines.before)));
        }
        let close = std::str::from_utf8(&bytes[close..]).ok()?;
        let replacement = format!("{} {text} {close}{}", lines.before.trim_end(), lines.after);
        Some(lines.edit(lines.first, lines.last, lines.without_line_ends(&replacement)))
    }

    /// A line at the end of a file.
    pub fn append(sources: &SourceMap, file: FileId, text: &str) -> Edit {
        let file = sources.file(file);
        let count = if file.bytes.ends_with(b"\n") { file.line_count() - 1 } else { file.line_count() };
        Edit { file: file.path.clone(), line: count + 1, end_line: count, replacement: text.to_owned() }
    }
}

/// The lines that a span touches, and what else stands on them.
struct Lines<'s> {
    path: &'s Path,
    first: u32,
    last: u32,
    /// What precedes the span on its first line.
    before: &'s str,
    /// What follows it on its last line, without the line end.
    after: &'s str,
}

impl<'s> Lines<'s> {
    fn of(sources: &'s SourceMap, span: Span) -> Option<Lines<'s>> {
        let file = sources.file(span.file);
        let start = file.line_column(span.start);
        // A span that ends with a line feed ends on the line that this line feed closes.
        let trimmed = sources.text(span).trim_ascii_end().len() as u32;
        let end = file.line_column(span.start + trimmed);
        let first = file.line(start.line)?;
        let last = file.line(end.line)?;
        Some(Lines {
            path: &file.path,
            first: start.line,
            last: end.line,
            before: std::str::from_utf8(first.get(..start.column as usize - 1)?).ok()?,
            after: std::str::from_utf8(last.get((end.column as usize - 1).min(last.len())..)?).ok()?,
        })
    }

    fn edit(&self, line: u32, end_line: u32, replacement: String) -> Edit {
        Edit { file: self.path.to_path_buf(), line, end_line, replacement }
    }

    /// Line ends are put back by [`apply`] as the file has them.
    fn without_line_ends(&self, text: &str) -> String {
        text.trim_end_matches(['\r', '\n']).replace("\r\n", "\n")
    }
}

/// By how much the first directive inside a block is indented deeper than the block itself.
fn indent_step(sources: &SourceMap, span: Span) -> Option<&str> {
    let file = sources.file(span.file);
    let first = file.line_column(span.start).line;
    let blanks = |line: u32| {
        let text = std::str::from_utf8(file.line(line)?).ok()?;
        (!text.trim().is_empty()).then(|| &text[..text.len() - text.trim_start().len()])
    };
    blanks(first + 1)?.strip_prefix(blanks(first)?).filter(|step| !step.is_empty())
}

/// Why edits cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyError {
    /// An edit names lines that the file does not have.
    NoSuchLine,
    /// Two edits touch the same lines.
    Overlap,
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            ApplyError::NoSuchLine => "an edit names lines that the file does not have",
            ApplyError::Overlap => "two edits touch the same lines",
        })
    }
}

/// The text after the edits. All of them count lines of `text` as it is; line ends stay what they are, new lines get the
/// line end of their neighbours. Insertions at one line are made in the order given.
pub fn apply(text: &[u8], edits: &[Edit]) -> Result<Vec<u8>, ApplyError> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
    // After a last line feed one more, empty, line begins; nobody replaces it.
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let end_of_line: &[u8] = if lines.first().is_some_and(|line| line.ends_with(b"\r\n")) { b"\r\n" } else { b"\n" };
    let mut order: Vec<&Edit> = edits.iter().collect();
    order.sort_by_key(|edit| (edit.line, edit.end_line));
    let mut new = Vec::with_capacity(text.len() + 128);
    let mut next = 0usize;
    for edit in order {
        let (start, end) = (edit.line as usize, edit.end_line as usize);
        if start == 0 || end + 1 < start || end > lines.len() || start > lines.len() + 1 {
            return Err(ApplyError::NoSuchLine);
        }
        if start - 1 < next {
            return Err(ApplyError::Overlap);
        }
        lines[next..start - 1].iter().for_each(|line| new.extend_from_slice(line));
        if !edit.replacement.is_empty() {
            if new.last().is_some_and(|&byte| byte != b'\n') {
                new.extend_from_slice(end_of_line);
            }
            for line in edit.replacement.split('\n') {
                new.extend_from_slice(line.strip_suffix('\r').unwrap_or(line).as_bytes());
                new.extend_from_slice(end_of_line);
            }
            // A last line without a line feed stays one.
            let replaces_last = end == lines.len() && lines.last().is_some_and(|line| !line.ends_with(b"\n"));
            if replaces_last {
                new.truncate(new.len() - end_of_line.len());
            }
        }
        next = end.max(start - 1);
    }
    lines[next..].iter().for_each(|line| new.extend_from_slice(line));
    Ok(new)
}

/// A change to the file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// `chmod MODE path`, with the new mode bits that an overlay gets (07777) and the words shown (`o+x`).
    Chmod {
        /// The path.
        path: PathBuf,
        /// The symbolic mode as shown.
        symbolic: String,
        /// The resulting permission bits.
        mode: u32,
    },
    /// `chown USER path` or, for a link itself, `chown -h USER path`.
    Chown {
        /// The path.
        path: PathBuf,
        /// User name or number as shown.
        user: String,
        /// The resulting uid.
        uid: u32,
        /// Do not follow a link.
        no_follow: bool,
    },
    /// `touch path`: an empty file.
    Touch(PathBuf),
    /// `mkdir -p path`.
    Mkdir(PathBuf),
    /// `ln -sfn target path`.
    Link {
        /// Where the link points.
        target: PathBuf,
        /// The link.
        path: PathBuf,
    },
}

/// A proposed repair. It is shown only after it was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, in one line.
    pub title: String,
    /// Edits of configuration files.
    pub edits: Vec<Edit>,
    /// Commands, printed and never run.
    pub commands: Vec<Command>,
    /// May it be applied without a second look?
    pub safety: Safety,
    /// What the request is answered after it; `None` until it was tried.
    pub then: Option<Outcome>,
}

impl Fix {
    /// A repair by edits alone.
    pub fn text(title: impl Into<String>, safety: Safety, edits: Vec<Edit>) -> Fix {
        Fix { title: title.into(), edits, commands: Vec::new(), safety, then: None }
    }
}

/// The command as POSIX sh words.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Command::Chmod { path, symbolic, .. } => write!(f, "chmod {symbolic} {}", quoted(path)),
            Command::Chown { path, user, no_follow, .. } => {
                let option = if *no_follow { "-h " } else { "" };
                write!(f, "chown {option}{user} {}", quoted(path))
            }
            Command::Touch(path) => write!(f, "touch {}", quoted(path)),
            Command::Mkdir(path) => write!(f, "mkdir -p {}", quoted(path)),
            Command::Link { target, path } => write!(f, "ln -sfn {} {}", quoted(target), quoted(path)),
        }
    }
}

/// A path as one sh word: in single quotes, a single quote as `'\\''`.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_quotes_its_path() {
        let command = Command::Touch(PathBuf::from("/srv/it's here"));
        assert_eq!(command.to_string(), r"touch '/srv/it'\''s here'");
        let command = Command::Chmod { path: PathBuf::from("/srv"), symbolic: "o+x".into(), mode: 0o711 };
        assert_eq!(command.to_string(), "chmod o+x '/srv'");
    }

    fn edit(line: u32, end_line: u32, replacement: &str) -> Edit {
        Edit { file: PathBuf::from("/f"), line, end_line, replacement: replacement.to_owned() }
    }

    fn applied(text: &str, edits: &[Edit]) -> String {
        String::from_utf8(apply(text.as_bytes(), edits).expect("applies")).expect("text")
    }

    #[test]
    fn whole_lines_are_replaced_inserted_and_deleted_in_the_original_numbering() {
        let edits = [edit(3, 3, ""), edit(1, 0, "zero"), edit(2, 2, "two\nand a half")];
        assert_eq!(applied("a\nb\nc\nd\n", &edits), "zero\na\ntwo\nand a half\nd\n");
        assert_eq!(applied("a\n", &[edit(2, 1, "b")]), "a\nb\n");
    }

    #[test]
    fn line_ends_stay_what_they_are() {
        assert_eq!(applied("a\r\nb\r\n", &[edit(2, 2, "c\nd")]), "a\r\nc\r\nd\r\n");
        assert_eq!(applied("a\nb", &[edit(2, 2, "c")]), "a\nc");
        assert_eq!(applied("a", &[edit(2, 1, "b")]), "a\nb");
        assert_eq!(applied("", &[edit(1, 0, "a")]), "a\n");
    }

    #[test]
    fn edits_outside_the_file_or_over_each_other_are_refused() {
        assert_eq!(apply(b"a\n", &[edit(3, 3, "")]), Err(ApplyError::NoSuchLine));
        assert_eq!(apply(b"a\n", &[edit(0, 0, "")]), Err(ApplyError::NoSuchLine));
        assert_eq!(apply(b"a\nb\n", &[edit(1, 2, ""), edit(2, 2, "")]), Err(ApplyError::Overlap));
    }

    /// The text after an edit made for the span of `needle`.
    fn edited(text: &str, needle: &str, make: impl Fn(&SourceMap, Span) -> Option<Edit>) -> String {
        let sources = SourceMap::default();
        let file = sources.add(Path::new("/f"), text.as_bytes());
        let start = text.find(needle).expect("the needle is there");
        let edit = make(&sources, Span::new(file, start, start + needle.len())).expect("an edit");
        applied(text, &[edit])
    }

    #[test]
    fn a_directive_on_its_own_line_gets_a_line_beside_it() {
        let text = "a {\n    deny all; # no\n}\n";
        let put = |how: fn(&SourceMap, Span, &str) -> Option<Edit>| {
            edited(text, "deny all;", |sources, span| how(sources, span, "allow ::1;"))
        };
        assert_eq!(put(Edit::insert_before), "a {\n    allow ::1;\n    deny all; # no\n}\n");
        assert_eq!(put(Edit::insert_after), "a {\n    deny all; # no\n    allow ::1;\n}\n");
        assert_eq!(put(Edit::replace), "a {\n    allow ::1; # no\n}\n");
        assert_eq!(edited(text, "deny all;", Edit::delete), "a {\n     # no\n}\n");
    }

    #[test]
    fn a_directive_that_shares_its_line_keeps_sharing_it() {
        let text = "location / { deny all; }\n";
        let put = |how: fn(&SourceMap, Span, &str) -> Option<Edit>| {
            edited(text, "deny all;", |sources, span| how(sources, span, "allow ::1;"))
        };
        assert_eq!(put(Edit::insert_before), "location / { allow ::1; deny all; }\n");
        assert_eq!(put(Edit::insert_after), "location / { deny all; allow ::1; }\n");
        assert_eq!(edited(text, "deny all;", Edit::delete), "location / {  }\n");
    }

    #[test]
    fn a_block_takes_one_more_line_at_its_end() {
        let append = |sources: &SourceMap, span: Span| Edit::append_to_block(sources, span, "b;");
        assert_eq!(edited("x {\n  a;\n}\n", "x {\n  a;\n}", append), "x {\n  a;\n  b;\n}\n");
        assert_eq!(edited("x { a; }\n", "x { a; }", append), "x { a; b; }\n");
        let section = "<Location />\n  A\n</Location>\n";
        assert_eq!(edited(section, section, append), "<Location />\n  A\n  b;\n</Location>\n");
    }
}

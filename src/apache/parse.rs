//! One file as a tree that gives its text back: for editors, lint and fixes. Never fails.
//!
//! This is the text as it lies there. What the server makes of it (conditions decided, files included, variables
//! replaced) is in [`super::load`]; the two share the lines and words of [`super::lex`].

use super::lex::{self, Line};
use crate::problem::{Problem, ProblemKind, Severity};
use crate::source::{FileId, Origin, Span};
use crate::syntax::{Builder, Tree};

/// Sections inside each other; a deeper one stays a plain directive. A limit of this program.
const MAX_NESTING: usize = 256;

/// A section whose end was not met yet.
struct Open {
    name: Span,
    line: u32,
}

/// A word that is still being cut.
struct Word {
    start: usize,
    end: usize,
    quoted: bool,
    unescaped: Option<Box<[u8]>>,
}

struct Parser<'a> {
    file: FileId,
    bytes: &'a [u8],
    tree: Builder,
    open: Vec<Open>,
    problems: Vec<Problem>,
}

/// The tree of a file and what is wrong with its sections. An end tag that fits an outer section closes the inner
/// ones; one that fits nothing is skipped.
pub fn parse(file: FileId, bytes: &[u8]) -> (Tree, Vec<Problem>) {
    let mut parser =
        Parser { file, bytes, tree: Builder::new(file, bytes.len()), open: Vec::new(), problems: Vec::new() };
    let mut number = 0;
    for line in lex::logical_lines(bytes, lex::MAX_LINE) {
        number += line.height;
        parser.line(&line, number);
    }
    while let Some(open) = parser.open.last() {
        let message = format!("<{}> was not closed", parser.text(open.name));
        let at = (open.name, open.line);
        parser.problem(message, at);
        parser.close(bytes.len());
    }
    (parser.tree.finish(), parser.problems)
}

impl Parser<'_> {
    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, start, end)
    }

    fn text(&self, span: Span) -> String {
        String::from_utf8_lossy(&self.bytes[span.start as usize..span.end as usize]).into_owned()
    }

    fn problem(&mut self, message: String, (span, line): (Span, u32)) {
        self.problems.push(Problem {
            severity: Severity::Refused,
            kind: ProblemKind::Syntax,
            message,
            origin: Some(Origin { span, via: None }),
            reported: Some((self.file, line)),
            help: None,
        });
    }

    fn blank(&mut self, start: usize, end: usize) {
        let span = self.span(start, end);
        if start < end && !self.tree.lengthen_blank(span.end) {
            self.tree.blank(span);
        }
    }

    fn line(&mut self, line: &Line<'_>, number: u32) {
        let Line { whole, span, .. } = line;
        self.blank(whole.start, span.start);
        let end_tag = line.text.strip_prefix(b"</");
        if span.is_empty() {
        } else if line.text.starts_with(b"#") {
            self.tree.comment(self.span(span.start, span.end));
        } else if let Some(tag) = end_tag {
            self.end_tag(tag, line, number);
        } else {
            let name = self.words(line);
            let place = self.span(span.start, span.end);
            let reported_at = whole.end.saturating_sub(1).max(span.start);
            let reported_at = u32::try_from(reported_at).unwrap_or(u32::MAX);
            if name.start > place.start && self.open.len() < MAX_NESTING {
                self.tree.open(place, reported_at);
                self.open.push(Open { name, line: number });
            } else {
                self.tree.simple(place, reported_at);
            }
        }
        self.blank(span.end, whole.end);
    }

    /// Closes the section that an end tag names.
    fn end_tag(&mut self, tag: &[u8], line: &Line<'_>, number: u32) {
        let word = lex::getword_white(&mut &*tag).to_vec();
        let bare = word.strip_suffix(b">").unwrap_or(&word);
        let tag_span = self.span(line.span.start, line.span.end);
        let lossy = String::from_utf8_lossy(bare).into_owned();
        let fits = self.open.iter().rposition(|open| self.text(open.name).as_bytes().eq_ignore_ascii_case(bare));
        let Some(index) = fits else {
            self.problem(format!("</{lossy}> without matching <{lossy}> section"), (tag_span, number));
            self.blank(line.span.start, line.span.end);
            return;
        };
        if index + 1 < self.open.len() {
            let expected = self.open.last().map(|open| self.text(open.name)).unwrap_or_default();
            self.problem(format!("expected </{expected}> but saw </{lossy}>"), (tag_span, number));
        } else if bare.len() == word.len() {
            self.problem(format!("</{lossy}> directive missing closing '>'"), (tag_span, number));
        }
        while self.open.len() > index + 1 {
            self.close(line.span.start);
        }
        self.close(line.span.end);
    }

    /// Closes the innermost section, which ends here.
    fn close(&mut self, end: usize) {
        self.open.pop();
        self.tree.close(end);
    }

    /// The words of a line, each with its place in the file; gives the place of the name.
    fn words(&mut self, line: &Line<'_>) -> Span {
        let mut place = Places { bytes: self.bytes, at: line.span.start, offset: 0 };
        let mut words = lex::words(&line.text).map(|(range, value)| {
            let (start, end) = (place.of(range.start), place.of(range.end - 1) + 1);
            let raw = &self.bytes[start..end];
            let quoted = matches!(raw.first(), Some(b'"' | b'\''));
            let unescaped = (quoted || *value != *raw).then(|| value.into());
            Word { start, end, quoted, unescaped }
        });
        let (start, end) = (line.span.start, line.span.start);
        let mut name = words.next().unwrap_or(Word { start, end, quoted: false, unescaped: None });
        let mut args: Vec<Word> = words.collect();
        if line.text.starts_with(b"<") {
            name.start += 1;
            let tail = |value: Box<[u8]>| value.get(1..).unwrap_or_default().into();
            name.unescaped = name.unescaped.map(tail);
            // A `>` glued to the last word, the name or an argument, is not part of it.
            let last = args.last_mut().unwrap_or(&mut name);
            if !last.quoted && self.bytes[..last.end].ends_with(b">") && last.end > last.start {
                last.end -= 1;
                if let Some(value) = &mut last.unescaped {
                    *value = value.split_last().map_or(&b""[..], |(_, head)| head).into();
                }
            }
            if args.last().is_some_and(|last| last.start == last.end) {
                args.pop();
            }
        }
        let place = self.span(name.start, name.end);
        for word in std::iter::once(name).chain(args) {
            self.tree.word(word.start, word.end, word.quoted, word.unescaped);
        }
        place
    }
}

/// From offsets in a logical line to offsets in the file, going forward only.
struct Places<'a> {
    bytes: &'a [u8],
    at: usize,
    offset: usize,
}

impl Places<'_> {
    fn of(&mut self, offset: usize) -> usize {
        loop {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"\\\n") {
                self.at += 2;
            } else if rest.starts_with(b"\\\r\n") {
                self.at += 3;
            } else if self.offset == 0 && rest.first().is_some_and(|&byte| lex::is_space(byte)) {
                // White space at the start of the logical line is not part of it, wherever it was continued.
                self.at += 1;
            } else if self.offset < offset {
                self.offset += 1;
                self.at += 1;
            } else {
                return self.at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::SourceMap;
    use crate::syntax::to_source;

    fn round_trip(text: &[u8]) -> (SourceMap, FileId, Tree, Vec<Problem>) {
        let sources = SourceMap::default();
        let file = sources.add(Path::new("/httpd.conf"), text);
        let (tree, problems) = parse(file, text);
        assert!(to_source(&tree, file, &sources) == text, "{:?}", String::from_utf8_lossy(text));
        (sources, file, tree, problems)
    }

    #[test]
    fn a_section_holds_its_lines() {
        let text = b"# top\n<Directory \"/srv/a b\">\n  Require all \\\n    denied\n</Directory>\nOptions None";
        let (sources, _, tree, problems) = round_trip(text);
        assert_eq!(problems, []);
        let directory = tree.directives().next().expect("a section");
        assert_eq!(directory.name().value(&sources), b"Directory");
        assert_eq!(directory.arg(0, &sources), Some(&b"/srv/a b"[..]));
        let require = directory.children().next().expect("a directive");
        assert_eq!(require.arg(1, &sources), Some(&b"denied"[..]));
        assert_eq!(sources.start(require.args().get(1).expect("an argument").span).line, 4);
        assert_eq!(sources.file(require.span().file).line_column(require.reported_at()).line, 4);
        assert_eq!(tree.directives().count(), 2);
    }

    #[test]
    fn a_glued_bracket_is_not_part_of_a_word() {
        let (sources, _, tree, _) =
            round_trip(b"<RequireAll>\n</RequireAll>\n<Files *.txt>\n</Files>\n<If \"x\" >\n</If>\n");
        let sections: Vec<_> = tree.directives().collect();
        assert_eq!(sections[0].name().value(&sources), b"RequireAll");
        assert_eq!(sections[1].arg(0, &sources), Some(&b"*.txt"[..]));
        assert_eq!(sections[2].args().len(), 1);
    }

    #[test]
    fn wrong_end_tags_are_reported_and_skipped() {
        let messages = |text: &[u8]| -> Vec<(String, u32)> {
            let (_, _, _, problems) = round_trip(text);
            problems
                .into_iter()
                .map(|problem| (problem.message, problem.reported.map_or(0, |(_, line)| line)))
                .collect()
        };
        assert_eq!(messages(b"</Files>\n"), [("</Files> without matching <Files> section".into(), 1)]);
        assert_eq!(messages(b"<If x>\n<Files a>\n</If>\n"), [("expected </Files> but saw </If>".into(), 3)]);
        assert_eq!(messages(b"\n<If x>\n"), [("<If> was not closed".into(), 2)]);
    }

    #[test]
    fn any_text_is_given_back() {
        // A small generator with a fixed seed: lines from pieces that matter to the grammar.
        let pieces: &[&[u8]] = &[
            b"<Files",
            b"</Files>",
            b"</If",
            b">",
            b"\\\n",
            b"\\\r\n",
            b"\n",
            b"\r\n",
            b" ",
            b"\t",
            b"\"",
            b"'",
            b"#",
            b"\\",
            b"Require",
            b"\0",
            b"\xff",
            b"<",
            b"/",
            b"${A}",
            b"\x0b",
        ];
        let mut seed: u64 = 403;
        for _ in 0..2000 {
            let mut text = Vec::new();
            for _ in 0..24 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.extend_from_slice(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            round_trip(&text);
        }
    }

    #[test]
    fn deep_nesting_is_bounded() {
        let text = b"<If a>\n".repeat(10_000);
        round_trip(&text);
    }
}

//! A line of a configuration with the deciding words underlined, drawn by miette.

use std::fmt;
use std::io::{self, Write};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use super::Style;
use crate::source::SourceFile;

/// Longest line that is shown whole, in bytes.
const LONGEST_LINE: usize = 500;

/// What is quoted.
pub(super) struct Quote<'a> {
    pub message: &'a str,
    /// Under the marked words; empty: none.
    pub label: &'a str,
    /// The file as it is shown.
    pub path: String,
    /// Who included it, `file:line`, innermost first; empty in the main file.
    pub included_from: String,
    pub file: &'a SourceFile,
    /// First byte and number of bytes to mark.
    pub start: u32,
    pub length: usize,
}

impl Quote<'_> {
    pub(super) fn write(&self, out: &mut dyn Write, style: &Style) -> io::Result<()> {
        let place = self.file.line_column(self.start);
        let line = self.file.line(place.line).unwrap_or_default();
        let column = (place.column as usize - 1).min(line.len());
        // Bytes that are no text are shown as U+FFFD, so places are counted in the shown text.
        let before = String::from_utf8_lossy(&line[..column]).into_owned();
        let rest = &line[column..];
        let marked = &rest[..self.length.min(rest.len()).min(LONGEST_LINE)];
        let marked = String::from_utf8_lossy(marked).into_owned();
        let after = &rest[self.length.min(rest.len())..];
        let after = String::from_utf8_lossy(&after[..after.len().min(LONGEST_LINE)]);
        let shown = Shown {
            message: self.message,
            label: self.label,
            span: SourceSpan::from((before.len(), marked.trim_end().len().max(1))),
            excerpt: Excerpt {
                name: self.path.clone(),
                text: format!("{before}{marked}{after}\n"),
                line: place.line as usize - 1,
                column,
            },
        };
        let theme = if style.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(style.width).with_links(false);
        let mut text = String::new();
        handler.render_report(&mut text, &shown).map_err(io::Error::other)?;
        if !self.included_from.is_empty() {
            let header = format!("{}:{}:{}", self.path, place.line, place.column);
            text = text.replacen(&header, &format!("{header}, included from {}", self.included_from), 1);
        }
        // miette puts an empty line around the picture and closes it with a rule that says nothing here.
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('╰')) {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// One line of a file, as the source of a diagnostic. The offsets of labels count from its start.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    line: usize,
    column: usize,
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        context_before: usize,
        _context_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = SourceSpan::from((0, self.text.len()));
        // The picture begins at the start of the line; the header names the column of the marked words.
        let column = if context_before == 0 { self.column } else { 0 };
        let bytes = self.text.as_bytes();
        Ok(Box::new(MietteSpanContents::new_named(self.name.clone(), bytes, whole, self.line, column, 1)))
    }
}

struct Shown<'a> {
    message: &'a str,
    label: &'a str,
    span: SourceSpan,
    excerpt: Excerpt,
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.excerpt)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = (!self.label.is_empty()).then(|| self.label.to_owned());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, self.span))))
    }
}

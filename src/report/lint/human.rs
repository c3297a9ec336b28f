//! For people: the source quoted with the place marked, what follows from it, and the repair.

use std::fmt;
use std::io::{self, Write};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents,
};

use super::Report;
use crate::finding::{Finding, Level, Place};
use crate::outcome::{Certainty, Outcome};

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let theme = if report.colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(report.width).with_links(false);
    for finding in report.findings {
        let mut text = String::new();
        let shown = Shown::new(report, finding);
        handler.render_report(&mut text, &shown).map_err(io::Error::other)?;
        writeln!(sink, "{}", text.trim_end())?;
        writeln!(sink)?;
    }
    if report.quiet {
        return Ok(());
    }
    let total = |level| report.findings.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings, notes) = (total(Level::Error), total(Level::Warning), total(Level::Info));
    let files = plural(report.files, "file");
    if report.findings.is_empty() {
        write!(sink, "no findings in {files}")?;
    } else {
        write!(
            sink,
            "{}, {}, {} in {files}",
            plural(errors, "error"),
            plural(warnings, "warning"),
            plural(notes, "note")
        )?;
    }
    if report.silenced > 0 {
        write!(sink, "; {} silenced", report.silenced)?;
    }
    writeln!(sink)
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A finding as miette wants it. Labels stay inside one file; other places become related diagnostics.
#[derive(Debug)]
struct Shown {
    message: String,
    code: &'static str,
    level: Option<Level>,
    help: Option<String>,
    source: Option<Excerpt>,
    span: Option<SourceSpan>,
    label: String,
    related: Vec<Shown>,
}

impl Shown {
    fn new(report: &Report, finding: &Finding) -> Shown {
        let (source, span) = quote(report, &finding.place);
        let mut help = Vec::new();
        if let Some(witness) = &finding.witness {
            let gets = match witness.gets {
                Outcome::Response(status) => format!("gets {status}"),
                Outcome::Upstream => "is handed to the back end".to_owned(),
                Outcome::Closed => "is cut off".to_owned(),
                Outcome::Refused | Outcome::Unknown => "cannot be decided".to_owned(),
            };
            help.push(format!(
                "proof  {} {} from {} {gets}; expected {}",
                witness.method, witness.url, witness.from, witness.expected
            ));
        }
        if let Some(fix) = &finding.fix {
            help.push(format!("fix    {}", fix.title));
        }
        help.extend(finding.help.clone());
        let related = finding.related.iter().map(|other| {
            let (source, span) = quote(report, &other.place);
            Shown {
                message: other.message.clone(),
                code: "",
                level: None,
                help: None,
                source,
                span,
                label: String::new(),
                related: Vec::new(),
            }
        });
        let mut message = finding.message.clone();
        if finding.certainty != Certainty::Certain {
            message.push_str(" (depends on what is not known here)");
        }
        if finding.count > 1 {
            message.push_str(&format!(" (and {} more)", finding.count - 1));
        }
        Shown {
            message,
            code: finding.rule,
            level: Some(finding.level),
            help: (!help.is_empty()).then(|| help.join("\n")),
            source,
            span,
            label: String::new(),
            related: related.collect(),
        }
    }
}

/// The quoted file and the marked bytes in it; invalid UTF-8 is shown as U+FFFD, so the span is counted in the shown text.
fn quote(report: &Report, place: &Place) -> (Option<Excerpt>, Option<SourceSpan>) {
    let Some(file) = (report.text)(&place.file) else { return (None, None) };
    let line_start = |line: u32| file.line_start(line);
    // Whoever draws the place reads from the front: the lines around it are enough.
    let first_line = place.line.saturating_sub(AROUND).max(1);
    let window = line_start(first_line)..line_start(place.end_line.saturating_add(AROUND));
    let offset = |line: u32, column: u32| {
        (line_start(line) + column.saturating_sub(1) as usize).clamp(window.start, window.end) - window.start
    };
    let (start, end) = (offset(place.line, place.column), offset(place.end_line, place.end_column));
    let bytes = &file.bytes[window];
    let before = String::from_utf8_lossy(&bytes[..start]).into_owned();
    let marked = String::from_utf8_lossy(&bytes[start..end.max(start)]).into_owned();
    let after = String::from_utf8_lossy(&bytes[end.max(start)..]);
    let span = SourceSpan::from((before.len(), marked.len()));
    let text = format!("{before}{marked}{after}");
    let name = report.shown(&place.file).to_string_lossy().into_owned();
    (Some(Excerpt { name, text, lines_before: first_line as usize - 1 }), Some(span))
}

/// Lines that are handed over on each side of a place; one of them is drawn.
const AROUND: u32 = 3;

/// Some lines of a file.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    lines_before: usize,
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let read = self.text.read_span(span, before, after)?;
        let (line, lines) = (read.line() + self.lines_before, read.line_count() + self.lines_before);
        let contents =
            MietteSpanContents::new_named(self.name.clone(), read.data(), *read.span(), line, read.column(), lines);
        Ok(Box::new(contents))
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.code.is_empty()).then(|| Box::new(self.code) as _)
    }

    fn severity(&self) -> Option<Severity> {
        Some(match self.level {
            Some(Level::Error) => Severity::Error,
            Some(Level::Warning) => Severity::Warning,
            _ => Severity::Advice,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        let label = (!self.label.is_empty()).then(|| self.label.clone());
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(label, span))))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.related.is_empty()).then(|| {
            let related = self.related.iter().map(|other| -> &dyn Diagnostic { other });
            Box::new(related) as Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>
        })
    }
}

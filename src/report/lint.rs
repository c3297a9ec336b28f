//! A lint report in every format that CI systems and editors read. One file a format; all take the same [`Report`].

mod checkstyle;
mod concise;
mod github;
mod gitlab;
mod human;
mod json;
mod junit;
mod sarif;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use crate::finding::Finding;
use crate::source::SourceFile;

/// An output format of `why403 lint`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For people, with the source quoted.
    Human,
    /// `file:line:column: level: message [rule]`.
    Concise,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// SARIF 2.1.0.
    Sarif,
    /// GitHub workflow commands.
    Github,
    /// GitLab code quality.
    Gitlab,
    /// Checkstyle XML.
    Checkstyle,
    /// JUnit XML.
    Junit,
}

/// Every format with its name on the command line.
pub const FORMATS: &[(&str, Format)] = &[
    ("human", Format::Human),
    ("concise", Format::Concise),
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("sarif", Format::Sarif),
    ("github", Format::Github),
    ("gitlab", Format::Gitlab),
    ("checkstyle", Format::Checkstyle),
    ("junit", Format::Junit),
];

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        FORMATS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format).ok_or_else(|| {
            let known: Vec<&str> = FORMATS.iter().map(|(known, _)| *known).collect();
            format!("`{name}` is no output format; choose one of {}", known.join(", "))
        })
    }
}

/// What a format gets to write.
pub struct Report<'a> {
    /// The findings in order: by file, line, column, rule.
    pub findings: &'a [Finding],
    /// How many files were looked at.
    pub files: usize,
    /// Findings that the baseline holds, or that a comment silences.
    pub silenced: usize,
    /// The directory that file names are shown relative to.
    pub here: &'a Path,
    /// The text of a file, for formats that quote or count characters.
    pub text: &'a dyn Fn(&Path) -> Option<Arc<SourceFile>>,
    /// Whether escape sequences may be used.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Leave the summary out.
    pub quiet: bool,
}

impl Report<'_> {
    /// A file name as shown: relative to [`Report::here`] where it lies below.
    pub fn shown(&self, file: &Path) -> PathBuf {
        file.strip_prefix(self.here).unwrap_or(file).to_path_buf()
    }

    /// The fingerprint of every finding, in order. Equal ones in one file are numbered.
    pub fn fingerprints(&self) -> Vec<String> {
        fingerprints(self.findings, self.here)
    }

    /// The bytes of a line (from 1) of a file, without its end.
    fn line(&self, file: &Path, line: u32) -> Option<Vec<u8>> {
        let file = (self.text)(file)?;
        let text = file.bytes.get(file.line_start(line)..file.line_start(line.checked_add(1)?))?;
        (line > 0 && line <= file.line_count()).then(|| text.strip_suffix(b"\n").unwrap_or(text).to_vec())
    }
}

/// The fingerprint of every finding, in order, with file names relative to `here`.
pub fn fingerprints(findings: &[Finding], here: &Path) -> Vec<String> {
    let mut seen: HashMap<(&str, &Path, &str), usize> = HashMap::new();
    findings
        .iter()
        .map(|finding| {
            let file = finding.place.file.strip_prefix(here).unwrap_or(&finding.place.file);
            let nth = seen.entry((finding.rule, file, &finding.text)).or_default();
            *nth += 1;
            finding.fingerprint(&file.to_string_lossy(), *nth - 1)
        })
        .collect()
}

/// Writes the report.
///
/// # Errors
/// Whatever the sink says; a closed pipe among it.
pub fn write(format: Format, report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Human => human::write(report, sink),
        Format::Concise => concise::write(report, sink),
        Format::Json => json::write(report, sink),
        Format::Jsonl => json::write_lines(report, sink),
        Format::Sarif => sarif::write(report, sink),
        Format::Github => github::write(report, sink),
        Format::Gitlab => gitlab::write(report, sink),
        Format::Checkstyle => checkstyle::write(report, sink),
        Format::Junit => junit::write(report, sink),
    }
}

/// Text for XML: markup escaped, what XML 1.0 cannot hold replaced by U+FFFD.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push_str(&format!("&#{};", character as u32)),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A path as a URI reference: percent-encoded, with `/`.
fn uri(path: &Path) -> String {
    use percent_encoding::{AsciiSet, CONTROLS, percent_encode};
    use std::os::unix::ffi::OsStrExt;
    const KEEP: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'%')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'[')
        .add(b']')
        .add(b'^')
        .add(b'`')
        .add(b'{')
        .add(b'|')
        .add(b'}')
        .add(b'\\');
    let encoded = percent_encode(path.as_os_str().as_bytes(), KEEP).to_string();
    match path.is_absolute() {
        true => format!("file://{encoded}"),
        false => match encoded.split('/').next() {
            // RFC 3986 4.2: a first segment with a colon would read as a scheme.
            Some(first) if first.contains(':') => format!("./{encoded}"),
            _ => encoded,
        },
    }
}

//! GitLab's code quality report, a subset of the Code Climate format.

use std::io::{self, Write};

use serde::Serialize;

use super::Report;
use crate::finding::Level;

#[derive(Serialize)]
struct Issue<'a> {
    description: &'a str,
    check_name: &'a str,
    fingerprint: &'a str,
    severity: &'a str,
    location: Location,
}

#[derive(Serialize)]
struct Location {
    path: String,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
    end: u32,
}

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let fingerprints = report.fingerprints();
    let issues: Vec<Issue> = std::iter::zip(report.findings, &fingerprints)
        .map(|(finding, fingerprint)| Issue {
            description: &finding.message,
            check_name: finding.rule,
            fingerprint,
            severity: match finding.level {
                Level::Error => "major",
                Level::Warning => "minor",
                Level::Info => "info",
            },
            location: Location {
                path: report.shown(&finding.place.file).to_string_lossy().into_owned(),
                lines: Lines { begin: finding.place.line, end: finding.place.end_line },
            },
        })
        .collect();
    serde_json::to_writer_pretty(&mut *sink, &issues)?;
    writeln!(sink)
}

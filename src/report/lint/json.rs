//! The project's own JSON: one document (`json`) or one finding a line (`jsonl`), schema `why403/lint/v1`.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::Report;
use crate::finding::{Category, Finding, Level, Place};
use crate::fix::Safety;
use crate::outcome::{Certainty, Outcome};

/// The version name that both forms carry.
const SCHEMA: &str = "why403/lint/v1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'a str,
    files: usize,
    silenced: usize,
    findings: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<&'a str>,
    rule: &'a str,
    level: Level,
    category: Category,
    certainty: &'a str,
    message: &'a str,
    // The place, spelled out here and below: flattening one struct into another is slow.
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
    count: u32,
    fingerprint: &'a str,
    help: Option<&'a str>,
    related: Vec<RelatedOut<'a>>,
    witness: Option<WitnessOut<'a>>,
    fix: Option<FixOut<'a>>,
}

#[derive(Serialize)]
struct RelatedOut<'a> {
    message: &'a str,
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
struct WitnessOut<'a> {
    method: &'a str,
    url: &'a str,
    from: &'a str,
    to: &'a str,
    headers: &'a [(String, String)],
    kind: &'a str,
    status: Option<u16>,
    expected: &'a str,
}

#[derive(Serialize)]
struct FixOut<'a> {
    title: &'a str,
    safety: &'a str,
    edits: Vec<EditOut<'a>>,
}

#[derive(Serialize)]
struct EditOut<'a> {
    file: String,
    line: u32,
    end_line: u32,
    replacement: &'a str,
}

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let fingerprints = report.fingerprints();
    let findings =
        std::iter::zip(report.findings, &fingerprints).map(|(finding, print)| line(report, finding, print, None));
    let document =
        Document { schema: SCHEMA, files: report.files, silenced: report.silenced, findings: findings.collect() };
    serde_json::to_writer_pretty(&mut *sink, &document)?;
    writeln!(sink)
}

pub(super) fn write_lines(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    // One write a line: through `dyn Write` every token would be one.
    let mut text = Vec::new();
    for (finding, print) in std::iter::zip(report.findings, &report.fingerprints()) {
        text.clear();
        serde_json::to_writer(&mut text, &line(report, finding, print, Some(SCHEMA)))?;
        text.push(b'\n');
        sink.write_all(&text)?;
    }
    Ok(())
}

fn line<'a>(report: &Report<'a>, finding: &'a Finding, fingerprint: &'a str, schema: Option<&'a str>) -> Line<'a> {
    let shown = |file: &'a Path| file.strip_prefix(report.here).unwrap_or(file).to_string_lossy();
    let Place { file, line, column, end_line, end_column } = &finding.place;
    Line {
        schema,
        rule: finding.rule,
        level: finding.level,
        category: finding.category,
        certainty: match finding.certainty {
            Certainty::Certain => "certain",
            Certainty::Conditional => "conditional",
            Certainty::Unknown => "unknown",
        },
        message: &finding.message,
        file: shown(file),
        line: *line,
        column: *column,
        end_line: *end_line,
        end_column: *end_column,
        count: finding.count,
        fingerprint,
        help: finding.help.as_deref(),
        related: finding
            .related
            .iter()
            .map(|other| {
                let Place { file, line, column, end_line, end_column } = &other.place;
                RelatedOut {
                    message: &other.message,
                    file: shown(file),
                    line: *line,
                    column: *column,
                    end_line: *end_line,
                    end_column: *end_column,
                }
            })
            .collect(),
        witness: finding.witness.as_ref().map(|witness| WitnessOut {
            method: &witness.method,
            url: &witness.url,
            from: &witness.from,
            to: &witness.to,
            headers: &witness.headers,
            kind: match witness.gets {
                Outcome::Response(_) => "response",
                Outcome::Upstream => "upstream",
                Outcome::Closed => "closed",
                Outcome::Refused => "refused",
                Outcome::Unknown => "unknown",
            },
            status: match witness.gets {
                Outcome::Response(status) => Some(status),
                _ => None,
            },
            expected: &witness.expected,
        }),
        fix: finding.fix.as_ref().map(|fix| FixOut {
            title: &fix.title,
            safety: match fix.safety {
                Safety::Safe => "safe",
                Safety::Review => "review",
            },
            edits: fix
                .edits
                .iter()
                .map(|edit| EditOut {
                    file: report.shown(&edit.file).to_string_lossy().into_owned(),
                    line: edit.line,
                    end_line: edit.end_line,
                    replacement: &edit.replacement,
                })
                .collect(),
        }),
    }
}

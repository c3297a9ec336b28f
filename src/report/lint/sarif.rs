//! SARIF 2.1.0 with rule pages, related locations, fixes and fingerprints.
//!
//! Columns inside the program count UTF-8 bytes; the log declares `unicodeCodePoints` and converts. Bytes that are no
//! UTF-8 count one code point for each maximal invalid part, as a reader that shows U+FFFD would.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use serde_sarif::sarif::{
    ArtifactChange, ArtifactContent, ArtifactLocation, Fix, Location, Message, MultiformatMessageString,
    PhysicalLocation, PropertyBag, Region, Replacement, ReportingConfiguration, ReportingDescriptor, Result as Found,
    ResultLevel, Run, Sarif, Tool, ToolComponent,
};

use super::{Report, uri};
use crate::finding::{Finding, Level, Place};
use crate::rules::{self, Rule};

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let fingerprints = report.fingerprints();
    let results: Vec<Found> =
        std::iter::zip(report.findings, &fingerprints).map(|(finding, print)| result(report, finding, print)).collect();
    let driver = ToolComponent::builder()
        .name("why403")
        .semantic_version(env!("CARGO_PKG_VERSION"))
        .rules(rules::ALL.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>())
        .build();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .column_kind(json!("unicodeCodePoints"))
        .results(results)
        .build();
    let log = Sarif::builder()
        .schema("https://json.schemastore.org/sarif-2.1.0.json")
        .version(json!("2.1.0"))
        .runs(vec![run])
        .build();
    serde_json::to_writer_pretty(&mut *sink, &log)?;
    writeln!(sink)
}

fn descriptor(rule: &Rule) -> ReportingDescriptor {
    let properties = BTreeMap::from([("category".to_owned(), json!(rule.category.name()))]);
    ReportingDescriptor::builder()
        .id(rule.id)
        .short_description(MultiformatMessageString::builder().text(rule.title).build())
        .help(MultiformatMessageString::builder().text(rule.page).markdown(rule.page).build())
        .default_configuration(
            ReportingConfiguration::builder().enabled(rule.default).level(json!(level_name(rule.level))).build(),
        )
        .properties(PropertyBag::builder().additional_properties(properties).build())
        .build()
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Info => "note",
    }
}

fn result(report: &Report, finding: &Finding, fingerprint: &str) -> Found {
    let mut text = finding.message.clone();
    if let Some(help) = &finding.help {
        text.push_str("; ");
        text.push_str(help);
    }
    let level = match finding.level {
        Level::Error => ResultLevel::Error,
        Level::Warning => ResultLevel::Warning,
        Level::Info => ResultLevel::Note,
    };
    let mut result = Found::builder()
        .rule_id(finding.rule)
        .level(level)
        .message(Message::builder().text(text).build())
        .locations(vec![location(report, &finding.place, None)])
        .partial_fingerprints(BTreeMap::from([("why403/v1".to_owned(), fingerprint.to_owned())]))
        .build();
    result.rule_index = rules::ALL.iter().position(|rule| rule.id == finding.rule).map(|index| index as i64);
    if !finding.related.is_empty() {
        let related = finding.related.iter().map(|other| location(report, &other.place, Some(&other.message)));
        result.related_locations = Some(related.collect());
    }
    if let Some(fix) = &finding.fix
        && !fix.edits.is_empty()
    {
        result.fixes = Some(vec![fix_of(report, fix)]);
    }
    result
}

fn artifact(report: &Report, file: &Path) -> ArtifactLocation {
    ArtifactLocation::builder().uri(uri(&report.shown(file))).build()
}

fn location(report: &Report, place: &Place, message: Option<&str>) -> Location {
    let region = Region::builder()
        .start_line(i64::from(place.line))
        .start_column(column(report, &place.file, place.line, place.column))
        .end_line(i64::from(place.end_line))
        .end_column(column(report, &place.file, place.end_line, place.end_column))
        .build();
    let physical = PhysicalLocation::builder().artifact_location(artifact(report, &place.file)).region(region).build();
    let mut location = Location::builder().physical_location(physical).build();
    location.message = message.map(|text| Message::builder().text(text).build());
    location
}

/// A byte column as a column in code points, both from 1.
fn column(report: &Report, file: &Path, line: u32, column: u32) -> i64 {
    let bytes = column.saturating_sub(1) as usize;
    let points = match report.line(file, line) {
        Some(text) => String::from_utf8_lossy(&text[..bytes.min(text.len())]).chars().count(),
        None => bytes,
    };
    points as i64 + 1
}

fn fix_of(report: &Report, fix: &crate::fix::Fix) -> Fix {
    let mut changes: BTreeMap<&Path, Vec<Replacement>> = BTreeMap::new();
    for edit in &fix.edits {
        // Whole lines: from the start of the first to the start of the line after the last.
        let region = Region::builder()
            .start_line(i64::from(edit.line))
            .start_column(1)
            .end_line(i64::from(edit.end_line) + 1)
            .end_column(1)
            .build();
        let text = if edit.replacement.is_empty() { String::new() } else { format!("{}\n", edit.replacement) };
        let replacement = Replacement::builder()
            .deleted_region(region)
            .inserted_content(ArtifactContent::builder().text(text).build())
            .build();
        changes.entry(&edit.file).or_default().push(replacement);
    }
    let changes = changes.into_iter().map(|(file, replacements)| {
        ArtifactChange::builder().artifact_location(artifact(report, file)).replacements(replacements).build()
    });
    Fix::builder()
        .description(Message::builder().text(fix.title.clone()).build())
        .artifact_changes(changes.collect::<Vec<_>>())
        .build()
}

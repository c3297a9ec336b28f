//! GitHub workflow commands: annotations beside the changed lines. Escapes as the runner's toolkit reads them.

use std::io::{self, Write};

use super::Report;
use crate::finding::Level;

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    for finding in report.findings {
        let command = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "notice",
        };
        let place = &finding.place;
        writeln!(
            sink,
            "::{command} file={},line={},endLine={},col={},title={}::{}",
            property(&report.shown(&place.file).to_string_lossy()),
            place.line,
            place.end_line,
            place.column,
            property(finding.rule),
            data(&finding.message),
        )?;
    }
    Ok(())
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

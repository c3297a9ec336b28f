//! `file:line:column: level: message [rule]`: what editors' error formats and grep read.

use std::io::{self, Write};

use super::Report;

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    for finding in report.findings {
        let place = &finding.place;
        let file = report.shown(&place.file);
        let message = finding.message.replace(['\r', '\n'], " ");
        let (level, rule) = (finding.level.name(), finding.rule);
        writeln!(sink, "{}:{}:{}: {level}: {message} [{rule}]", file.display(), place.line, place.column)?;
    }
    Ok(())
}

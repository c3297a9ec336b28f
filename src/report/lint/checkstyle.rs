//! Checkstyle's XML, which many CI plug-ins read.

use std::io::{self, Write};

use super::{Report, xml};

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    writeln!(sink, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(sink, "<checkstyle version=\"4.3\">")?;
    // Findings come sorted by file, so each file is one run of equal names.
    for group in report.findings.chunk_by(|left, right| left.place.file == right.place.file) {
        let file = report.shown(&group[0].place.file);
        writeln!(sink, "  <file name=\"{}\">", xml(&file.to_string_lossy()))?;
        for finding in group {
            writeln!(
                sink,
                "    <error line=\"{}\" column=\"{}\" severity=\"{}\" message=\"{}\" source=\"why403.{}\"/>",
                finding.place.line,
                finding.place.column,
                finding.level.name(),
                xml(&finding.message),
                finding.rule,
            )?;
        }
        writeln!(sink, "  </file>")?;
    }
    writeln!(sink, "</checkstyle>")
}

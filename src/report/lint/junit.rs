//! JUnit's XML: a suite a file, a failed test a finding; a clean run is one passed test, so that CI shows that it ran.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::Report;

pub(super) fn write(report: &Report, sink: &mut dyn Write) -> io::Result<()> {
    let mut document = Document::new("why403");
    for group in report.findings.chunk_by(|left, right| left.place.file == right.place.file) {
        let file = report.shown(&group[0].place.file).to_string_lossy().into_owned();
        let mut suite = TestSuite::new(file.clone());
        for finding in group {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(finding.message.clone());
            status.set_type(finding.level.name());
            let place = format!("{file}:{}:{}", finding.place.line, finding.place.column);
            status.set_description(format!("{place}: {} [{}]", finding.message, finding.rule));
            let mut case =
                TestCase::new(format!("{}:{} {}", finding.place.line, finding.place.column, finding.rule), status);
            case.set_classname(format!("why403.{}", finding.rule));
            suite.add_test_case(case);
        }
        document.add_test_suite(suite);
    }
    if report.findings.is_empty() {
        let mut suite = TestSuite::new("why403");
        suite.add_test_case(TestCase::new(
            format!("{} files without findings", report.files),
            TestCaseStatus::success(),
        ));
        document.add_test_suite(suite);
    }
    let text = document.to_string().map_err(io::Error::other)?;
    sink.write_all(text.as_bytes())
}

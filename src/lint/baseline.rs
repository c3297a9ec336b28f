//! `--baseline FILE`: findings that were there before and are not reported again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::finding::Finding;

/// The file's version name.
const SCHEMA: &str = "why403/baseline/v1";

/// A baseline file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    schema: String,
    /// Fingerprint → `file: message [rule]`, for whoever reads the file.
    findings: BTreeMap<String, String>,
}

impl Baseline {
    /// A baseline that holds these findings.
    pub fn of(findings: &[Finding], fingerprints: &[String], shown: &dyn Fn(&Finding) -> String) -> Baseline {
        let entry = |(finding, print): (&Finding, &String)| {
            (print.clone(), format!("{}: {} [{}]", shown(finding), finding.message, finding.rule))
        };
        Baseline { schema: SCHEMA.to_owned(), findings: std::iter::zip(findings, fingerprints).map(entry).collect() }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// A message with the place for text that is no baseline.
    pub fn parse(text: &str) -> Result<Baseline, String> {
        let baseline: Baseline = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match baseline.schema.as_str() {
            SCHEMA => Ok(baseline),
            other => Err(format!("`{other}` is not a baseline that this version reads (`{SCHEMA}`)")),
        }
    }

    /// The text of the file, with a final newline.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether a finding with this fingerprint was there before.
    pub fn holds(&self, fingerprint: &str) -> bool {
        self.findings.contains_key(fingerprint)
    }
}

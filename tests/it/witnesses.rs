//! The request that proves a finding, sent to the real server: it has to get what the finding says it gets.
//!
//! Every recorded case is linted as it lies, with every rule, and the witnesses of certain findings are asked of the server
//! that the case was recorded on. Runs where `WHY403_SERVERS` is set.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::case::Case;
use crate::cases;
use crate::servers::{self, Real, Stage};

pub fn trials() -> Result<Vec<Trial>, String> {
    if !servers::wanted() {
        return Ok(vec![Trial::test("witnesses (WHY403_SERVERS is not set: not asked)", || Ok(()))]);
    }
    let cases = cases::all()?.into_iter();
    Ok(cases.map(|case| Trial::test(format!("witnesses::{}", case.name), move || Ok(run(&case)?))).collect())
}

fn run(case: &Case) -> Result<(), String> {
    let mut stage = Stage::set(case, Real::of(case))?;
    let findings = lint(case, &stage.root)?;
    let proven: Vec<&Value> =
        findings.iter().filter(|finding| finding["certainty"] == "certain" && finding["witness"].is_object()).collect();
    if proven.is_empty() {
        return Ok(());
    }
    if stage.start().is_err() {
        // Recorded trees do not say that the program of a RewriteMap may be executed.
        crate::proof::make_scripts_executable(&stage.root).map_err(|error| error.to_string())?;
        stage.start().map_err(|why| why.to_string())?;
    }
    let mut wrong = Vec::new();
    for finding in &proven {
        let witness = &finding["witness"];
        let headers: Vec<Value> = witness["headers"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|header| if header.is_array() { header.clone() } else { json!([header["name"], header["value"]]) })
            .collect();
        let line = json!({
            "method": witness["method"], "url": witness["url"], "from": witness["from"], "to": witness["to"], "headers": headers,
        });
        let real = stage.ask_line(&line)?;
        if !is_as_said(witness, &real) {
            let (rule, line) = (&finding["rule"], &finding["line"]);
            wrong.push(format!(
                "{rule} on line {line}: {witness}\n      the server says {} {}",
                real["kind"], real["status"]
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} witnesses get something else\n{}", wrong.len(), proven.len(), wrong.join("\n")))
}

/// Every finding on the case as it lies.
fn lint(case: &Case, root: &Path) -> Result<Vec<Value>, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
    command.args(["lint", "--select", "all", "--output", "jsonl", "--context", "main"]);
    command.args(["--server", &case.about.server]).arg("--prefix").arg(root);
    if let Some(version) = Real::of(case).version().strip_prefix("nginx/") {
        command.args(["--server-version", version]);
    }
    if let Some(worker) = &case.about.worker {
        command.args(["--worker", worker]);
    }
    let output = command.arg(root.join(case.config())).output().map_err(|error| error.to_string())?;
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))).collect()
}

/// What a back end or a script answers is its own affair, and it may be this server again; only what nginx or Apache would
/// have said in its place shows that the request never got there.
fn is_as_said(witness: &Value, real: &Value) -> bool {
    match witness["kind"].as_str() {
        Some("upstream") => {
            let refusals: &[u64] = if witness["expected"] == "404" { &[404] } else { &[401, 403] };
            real["kind"] == "upstream" || real["status"].as_u64().is_some_and(|status| !refusals.contains(&status))
        }
        _ => real["kind"] == witness["kind"] && real["status"] == witness["status"],
    }
}

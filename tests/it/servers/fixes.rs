//! A fix is proven by the server that refused: applied to the laid-out case, the server started again, the request sent
//! once more.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Stage;
use crate::case::{Case, Question};

/// Programs that a fix may ask for.
const COMMANDS: [&str; 6] = ["chmod", "chown", "chgrp", "ln", "touch", "mkdir"];

/// Applies the first fix of an answer and asks again. `Ok(None)`: the answer offers no fix. `Ok(Some(answer))`: what the
/// server says now; it is compared with what the fix promised, and a difference is an error.
pub fn prove(stage: &mut Stage, case: &Case, question: &Question, answer: &Value) -> Result<Option<Value>, String> {
    let Some(fix) = answer["fixes"].as_array().and_then(|fixes| fixes.first()) else { return Ok(None) };
    let title = fix["title"].as_str().unwrap_or_default();
    edit(stage, fix).map_err(|why| format!("{title:?}: {why}"))?;
    for command in fix["commands"].as_array().into_iter().flatten() {
        run(stage, command.as_str().unwrap_or_default()).map_err(|why| format!("{title:?}: {why}"))?;
    }
    stage.start().map_err(|why| format!("after {title:?} {why}"))?;
    let now = stage.ask(case, question)?;
    let promised = &fix["then"];
    // What is not known promises nothing.
    let kept = promised["kind"] == "unknown"
        || now["kind"] == promised["kind"] && (now["kind"] == "upstream" || now["status"] == promised["status"]);
    if kept {
        Ok(Some(now))
    } else {
        Err(format!("{title:?} promised {promised}, the server says {} {}: {}", now["kind"], now["status"], now["log"]))
    }
}

/// Edits count lines of the files as they are, so each file's edits are made from its end.
fn edit(stage: &Stage, fix: &Value) -> Result<(), String> {
    let mut edits: Vec<&Value> = fix["edits"].as_array().into_iter().flatten().collect();
    edits.sort_by_key(|edit| std::cmp::Reverse(edit["line"].as_u64()));
    for edit in edits {
        let file = Path::new(edit["file"].as_str().ok_or("an edit without a file")?);
        if !file.starts_with(&stage.root) {
            return Err(format!("{} is not part of the case", file.display()));
        }
        let bytes = fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        let number =
            |key: &str| edit[key].as_u64().and_then(|line| usize::try_from(line).ok()).ok_or(format!("no {key}"));
        let (start, end) = (number("line")? - 1, number("end_line")?);
        if start > lines.len() || end > lines.len() || end < start {
            return Err(format!("{edit} names lines that are not there"));
        }
        let mut replacement = edit["replacement"].as_str().unwrap_or_default().as_bytes().to_vec();
        if !replacement.is_empty() {
            replacement.push(b'\n');
            if start == lines.len() && bytes.last().is_some_and(|&byte| byte != b'\n') {
                replacement.insert(0, b'\n');
            }
        }
        lines.splice(start..end, [&replacement[..]]);
        fs::write(file, lines.concat()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn run(stage: &Stage, command: &str) -> Result<(), String> {
    let program = command.split(' ').next().unwrap_or_default();
    let inside = command.contains(&*stage.root.to_string_lossy());
    if !COMMANDS.contains(&program) || !inside || command.contains([';', '|', '`', '$', '\n', '>']) {
        return Err(format!("{command:?} is not run here"));
    }
    let done = Command::new("sh").arg("-c").arg(command).output().map_err(|error| error.to_string())?;
    if done.status.success() { Ok(()) } else { Err(format!("{command}: {}", String::from_utf8_lossy(&done.stderr))) }
}

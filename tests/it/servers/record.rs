//! Writing down what a real server answers: the `expect` of every request of a case, never typed by hand.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Real, Stage, session::NotStarted};
use crate::case::{Case, Question};

/// Records a case: answers, log lines, and for each 403 the lines whose removal alone ended it.
pub fn record(case: &Case) -> Result<(), String> {
    let real = Real::of(case);
    let mut stage = Stage::set(case, real)?;
    match stage.start() {
        Ok(()) => {}
        Err(NotStarted::Refused(message)) => {
            let refused =
                json!({"kind": "refused", "status": null, "log": stage.unplaced(message.trim()), "blame": null});
            return write(case, &vec![refused; case.questions.len()]);
        }
        Err(broken) => return Err(format!("{}: {broken}", case.name)),
    }
    let mut expected = Vec::new();
    for question in &case.questions {
        let answer = stage.ask(case, question)?;
        expected.push(expect(&stage, question, &answer));
    }
    // One start of the server for every directive: left out for cases with hundreds of them.
    if std::env::var_os("WHY403_RECORD_QUICK").is_none() {
        find_flips(case, &mut stage, &mut expected)?;
    }
    if real == Real::Nginx122 && case.about.same_on_131() {
        record_on_131(case, &mut expected)?;
    }
    write(case, &expected)
}

/// What is written for an answer. What an expert added (`blame`, `note`) stays.
fn expect(stage: &Stage, question: &Question, answer: &Value) -> Value {
    let lines: Vec<String> = answer["log"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|line| stage.unplaced(line))
        .collect();
    let telling = lines
        .iter()
        .rev()
        .find(|line| ["error]", "crit]", "alert]", "emerg]"].iter().any(|level| line.contains(level)));
    let mut expect = json!({"kind": answer["kind"], "status": answer["status"], "log": telling.map(|line| essence(line)), "blame": null});
    if answer["kind"] == "upstream" {
        // The stub's own, which nobody has to guess.
        expect["status"] = Value::Null;
        expect["upstream_status"] = answer["status"].clone();
    }
    for key in ["location", "handler"] {
        if let Some(value) = answer[key].as_str() {
            expect[key] = json!(stage.unplaced(value));
        }
    }
    if let Some(line) = telling {
        expect["log_line"] = json!(message(line));
    }
    if answer["status"] == 403 && !question.line["expect"]["blame"].is_null() {
        expect["blame"] = question.line["expect"]["blame"].clone();
    }
    expect
}

/// An AH number, or nginx's message.
fn essence(line: &str) -> String {
    let number = line.split_whitespace().find(|word| word.len() == 8 && word.starts_with("AH") && word.ends_with(':'));
    match number {
        Some(number) => number.trim_end_matches(':').to_owned(),
        None => message(line),
    }
}

/// A log line without time, process and connection: `[error] access forbidden by rule`.
fn message(line: &str) -> String {
    let level = ["[error]", "[crit]", "[alert]", "[emerg]"].into_iter().find(|level| line.contains(level));
    match level {
        // nginx: `2026/01/02 03:04:05 [error] 7#7: *1 message, client: …`
        Some(level) => {
            let rest = line.split_once(level).map_or(line, |(_, rest)| rest);
            let rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
            let rest = match rest.split_once(' ') {
                Some((connection, rest)) if connection.starts_with('*') => rest,
                _ => rest,
            };
            rest.split(", client: ").next().unwrap_or(rest).to_owned()
        }
        // Apache: `[time] [module:level] [pid …] [client …] message`
        None => line.rsplit_once("] ").map_or(line, |(_, rest)| rest).to_owned(),
    }
}

/// Takes every line of every configuration file away, one at a time, and asks the 403s again.
fn find_flips(case: &Case, stage: &mut Stage, expected: &mut [Value]) -> Result<(), String> {
    let refused: Vec<usize> = (0..expected.len()).filter(|&at| expected[at]["status"] == 403).collect();
    if refused.is_empty() {
        return Ok(());
    }
    let mut flips: Vec<Vec<Value>> = vec![Vec::new(); expected.len()];
    for file in configuration_files(case)? {
        let place = stage.root.join(&file);
        let Ok(text) = fs::read_to_string(&place) else { continue };
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_setting(line)) {
            let without: String =
                lines.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, line)| *line).collect();
            fs::write(&place, without).map_err(|error| format!("{}: {error}", place.display()))?;
            match stage.start() {
                Ok(()) => {
                    for &at in &refused {
                        let answer = stage.ask(case, &case.questions[at]);
                        if answer.is_ok_and(|answer| answer["status"] != 403) {
                            flips[at]
                                .push(json!({"file": file, "line": index + 1, "text": stage.unplaced(line.trim())}));
                        }
                    }
                }
                Err(NotStarted::Refused(_)) => {}
                Err(broken) => return Err(broken.to_string()),
            }
        }
        fs::write(&place, &text).map_err(|error| format!("{}: {error}", place.display()))?;
    }
    for at in refused {
        // Where one line alone decides, nobody has to be asked whom to blame.
        if let [only] = flips[at].as_slice()
            && expected[at]["blame"].is_null()
        {
            expected[at]["blame"] = json!({"file": only["file"], "line": only["line"]});
        }
        expected[at]["flips"] = Value::Array(std::mem::take(&mut flips[at]));
    }
    Ok(())
}

/// Whether a line may decide something: no comment, and not only the end of a block.
fn is_setting(line: &str) -> bool {
    let line = line.trim();
    !(line.is_empty()
        || line.starts_with('#')
        || line.starts_with('}')
        || line.starts_with("</")
        || line.ends_with('{')
        || line.starts_with('<'))
}

/// The files below the root that a server reads as configuration, by name.
fn configuration_files(case: &Case) -> Result<Vec<PathBuf>, String> {
    let files = case.files().map_err(|error| format!("{}: {error}", case.name))?;
    let is_config = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".conf") || name == ".htaccess" || path == Path::new(case.config())
    };
    Ok(files
        .into_iter()
        .filter(|(_, bytes)| bytes.is_some())
        .map(|(path, _)| path)
        .filter(|path| is_config(path))
        .collect())
}

fn record_on_131(case: &Case, expected: &mut [Value]) -> Result<(), String> {
    let mut stage = Stage::set(case, Real::Nginx131)?;
    stage.start().map_err(|why| format!("{} on 1.31.3: {why}", case.name))?;
    for (question, expected) in case.questions.iter().zip(expected) {
        let answer = stage.ask(case, question)?;
        if !super::same(expected, &answer) {
            return Err(format!(
                "{}/{}: 1.31.3 answers {answer}, not {expected}; drop `also`",
                case.name,
                question.id()
            ));
        }
    }
    Ok(())
}

fn write(case: &Case, expected: &[Value]) -> Result<(), String> {
    let mut text = String::new();
    for (question, expect) in case.questions.iter().zip(expected) {
        let mut line = question.line.clone();
        line["expect"] = expect.clone();
        text.push_str(&line.to_string());
        text.push('\n');
    }
    let file = case.folder.join("requests.jsonl");
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
}

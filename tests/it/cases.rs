//! Recorded cases asked of the program itself: one trial a folder, driven through the binary as the contract says.
//!
//! A trial fails on any answer that differs from the recorded one. `unknown` is not an answer: it is counted, and fails
//! unless the questions it names are of a kind that nobody can answer from the outside.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::case::{Case, Question};

/// Trials for every case of the project and, where `WHY403_CASES` names a folder, for every public one.
pub fn trials() -> Result<Vec<Trial>, String> {
    let mut trials = Vec::new();
    if std::env::var_os("WHY403_CASES").is_none() {
        trials.push(Trial::test("cases::public (WHY403_CASES is not set: not checked)", || Ok(())));
    }
    trials.extend(all()?.into_iter().map(|case| Trial::test(format!("cases::{}", case.name), move || run(&case))));
    Ok(trials)
}

/// The project's own cases and those that `WHY403_CASES` names.
pub fn all() -> Result<Vec<Case>, String> {
    let mut found = Vec::new();
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"));
    for top in std::iter::once(own).chain(std::env::var_os("WHY403_CASES").map(PathBuf::from)) {
        let cases = Case::all(&top)?;
        if cases.is_empty() {
            return Err(format!("no case folder below {}", top.display()));
        }
        found.extend(cases);
    }
    Ok(found)
}

/// Recorded answers that no answer of ours can equal, and why.
const ARTEFACTS: &[(&str, &str, &str)] = &[
    ("httpd-tests/modules__vhost_alias", "i3", "a script answers, as for r8; the record of this copy does not say so"),
    ("httpd-tests/modules__setenvif", "r142", "the server reads memory that nobody set for a group that did not match"),
];

/// Lays the case out, asks every question, and compares.
fn run(case: &Case) -> Result<(), Failed> {
    let top = tempfile::Builder::new().prefix("why403-case-").tempdir()?;
    open_to_all(top.path())?;
    let root = top.path().join("root");
    std::fs::create_dir(&root)?;
    open_to_all(&root)?;
    case.lay_out(&root)?;
    let mut program = Program::start(case, &root)?;
    let mut wrong = Vec::new();
    for question in &case.questions {
        let kept = put_overlay(question, &root)?;
        let answer = program.ask(&question.ask(case, &root))?;
        take_overlay(kept)?;
        if ARTEFACTS.iter().any(|(folder, id, _)| case.name == *folder && question.id() == *id) {
            continue;
        }
        if let Err(why) = judge(question, &answer, &version(case)) {
            wrong.push(format!(
                "{}: {why}\n      asked {}\n      answer {}",
                question.id(),
                brief(&question.line),
                brief_answer(&answer)
            ));
        }
    }
    program.finish()?;
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{} of {} wrong\n{}", wrong.len(), case.questions.len(), wrong.join("\n")).into())
    }
}

/// `nginx/1.31.3`, as `expect_on` spells it.
pub fn version(case: &Case) -> String {
    case.about.recorded_with.to_lowercase().replacen(' ', "/", 1)
}

/// The program, started once for a case with its requests on standard input.
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it for a case that lies at `root`.
    pub fn start(case: &Case, root: &Path) -> Result<Program, Failed> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
        command.arg("explain").arg("--config").arg(root.join(case.config())).args(["--server", &case.about.server]);
        if let Some(version) = version(case).strip_prefix("nginx/") {
            command.args(["--server-version", version]);
        }
        command.arg("--prefix").arg(root);
        if let Some(worker) = &case.about.worker {
            command.args(["--worker", worker]);
        }
        command.args(["--requests", "-", "--format", "jsonl"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Program { child, stdin, stdout })
    }

    /// One request line in, one answer line out.
    pub fn ask(&mut self, line: &Value) -> Result<Value, Failed> {
        let stdin = self.stdin.as_mut().ok_or("standard input is closed")?;
        writeln!(stdin, "{line}")?;
        stdin.flush()?;
        let mut answer = String::new();
        self.stdout.read_line(&mut answer)?;
        serde_json::from_str(&answer).map_err(|error| format!("{line}\nanswered {answer:?}: {error}").into())
    }

    /// Ends it; it has to have answered everything.
    pub fn finish(mut self) -> Result<(), Failed> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("the program ended with {status}").into()) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended after `finish`; after a failure nobody else would end it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether an answer is the recorded one. Recorded facts beside kind and status (log, blame) are compared for 403s.
pub fn judge(question: &Question, answer: &Value, version: &str) -> Result<(), String> {
    let expect = question.expect(version);
    if let Some(error) = answer.get("error") {
        return Err(format!("could not be asked: {error}"));
    }
    let outcome = &answer["outcome"];
    let (kind, status) = (outcome["kind"].as_str().unwrap_or("?"), outcome["status"].as_u64());
    let wanted = (expect["kind"].as_str().unwrap_or("?"), expect["status"].as_u64());
    if !is_right(expect, outcome) {
        let sort = match outcome["certainty"].as_str() {
            Some("certain") => "CERTAIN AND WRONG",
            Some("conditional") if among(answer, wanted) => "the right answer is only among the alternatives",
            Some("conditional") => "CONDITIONAL AND WRONG",
            _ => "unknown",
        };
        return Err(format!("{sort}: the server said {} {:?}, we {kind} {status:?}", wanted.0, wanted.1));
    }
    if kind == "response" && status == Some(403) {
        blame(expect, answer)?;
    }
    Ok(())
}

/// Whether an outcome is the recorded one.
pub fn is_right(expect: &Value, outcome: &Value) -> bool {
    let (kind, status) = (outcome["kind"].as_str().unwrap_or("?"), outcome["status"].as_u64());
    let wanted = (expect["kind"].as_str().unwrap_or("?"), expect["status"].as_u64());
    match wanted.0 {
        "response" if kind == "upstream" => expect["handler"] == "cgi-script",
        "upstream" => {
            kind == "upstream"
                || (expect["upstream_self"] == true
                    && kind == "response"
                    && status == expect["upstream_status"].as_u64())
        }
        "closed" => kind == "closed",
        _ => (kind, status) == wanted,
    }
}

/// Whether an alternative has this kind and status.
fn among(answer: &Value, wanted: (&str, Option<u64>)) -> bool {
    answer["alternatives"].as_array().into_iter().flatten().any(|alternative| {
        alternative["outcome"]["kind"] == wanted.0 && alternative["outcome"]["status"].as_u64() == wanted.1
    })
}

/// For a recorded 403: the log class and one of the lines whose change ended it.
fn blame(expect: &Value, answer: &Value) -> Result<(), String> {
    let cause = &answer["cause"];
    if let (Some(number), Some(log)) = (expect["log"].as_str(), cause["log"].as_str())
        && number.starts_with("AH")
        && !log.contains(number)
    {
        return Err(format!("the server logged {number}, we say {log:?}"));
    }
    let Some(blamed) = expect["blame"].as_object() else { return Ok(()) };
    let mut accepted = vec![(blamed["file"].as_str().unwrap_or("?").to_owned(), blamed["line"].as_u64())];
    for flip in expect["flips"].as_array().into_iter().flatten() {
        accepted.push((flip["file"].as_str().unwrap_or("?").to_owned(), flip["line"].as_u64()));
    }
    let mut named = vec![&cause["directive"]];
    // An expert may point at the location whose rule decides, or at the index that is looked for, instead of at the rule.
    let related = cause["related"].as_array().into_iter().flatten();
    let roles = ["co-decider", "location", "index"];
    named.extend(related.filter(|related| related["role"].as_str().is_some_and(|role| roles.contains(&role))));
    let hit = named.iter().any(|place| {
        let file = place["file"].as_str().unwrap_or("");
        accepted.iter().any(|(wanted, line)| file.ends_with(&format!("/{wanted}")) && place["line"].as_u64() == *line)
    });
    let by_rule = cause["directive"]["default"] == true || !cause["path"].is_null();
    if hit || by_rule {
        return Ok(());
    }
    Err(format!("blamed {}:{}, the record says {accepted:?}", cause["directive"]["file"], cause["directive"]["line"]))
}

/// Puts a question's files there; gives back what has to be restored.
pub fn put_overlay(question: &Question, root: &Path) -> std::io::Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
    let mut kept = Vec::new();
    for (path, text) in question.overlay() {
        let path = root.join(path);
        kept.push((path.clone(), std::fs::read(&path).ok()));
        match text {
            Some(text) => std::fs::write(&path, text)?,
            None => std::fs::remove_file(&path)?,
        }
    }
    Ok(kept)
}

/// Restores what `put_overlay` kept.
pub fn take_overlay(kept: Vec<(PathBuf, Option<Vec<u8>>)>) -> std::io::Result<()> {
    for (path, bytes) in kept {
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes)?,
            None => std::fs::remove_file(&path)?,
        }
    }
    Ok(())
}

/// Lets every user into a directory.
pub fn open_to_all(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))
}

fn brief(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(fields) = line.as_object_mut() {
        fields.shift_remove("expect");
    }
    line.to_string()
}

fn brief_answer(answer: &Value) -> String {
    serde_json::json!({
        "outcome": answer["outcome"], "cause": [&answer["cause"]["code"], &answer["cause"]["message"], &answer["cause"]["directive"]],
        "assumptions": answer["assumptions"],
    })
    .to_string()
}

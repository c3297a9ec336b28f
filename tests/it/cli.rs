//! The program as people and programs meet it: options, request lines, exit codes, and the answers against their schema.

use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::example::{Example, program};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("cli::an_answer_is_what_the_schema_says", an_answer_is_what_the_schema_says),
        Trial::test("cli::request_lines_are_what_the_schema_says", request_lines_are_what_the_schema_says),
        Trial::test("cli::answers_keep_the_order_of_the_questions", answers_keep_the_order_of_the_questions),
        Trial::test("cli::a_line_that_cannot_be_asked_gets_an_error_and_the_rest_goes_on", errors_go_on),
        Trial::test("cli::fields_leave_the_others_out", fields_leave_the_others_out),
        Trial::test("cli::two_configurations_are_too_many", two_configurations_are_too_many),
        Trial::test("cli::a_closed_pipe_is_no_panic", a_closed_pipe_is_no_panic),
        Trial::test("cli::no_colour_in_a_pipe", no_colour_in_a_pipe),
        Trial::test("cli::files_changed_between_two_questions_are_seen", files_changed_between_questions_are_seen),
        Trial::test("cli::pages_for_people", pages_for_people),
        Trial::test("cli::several_answers_are_one_json_document", several_answers_are_one_json_document),
        Trial::test("cli::fix_writes_its_edits_and_nothing_else", fix_writes_its_edits_and_nothing_else),
        Trial::test("cli::fix_prints_commands_and_runs_none", fix_prints_commands_and_runs_none),
        Trial::test("cli::a_review_has_to_be_picked", a_review_has_to_be_picked),
        Trial::test("cli::a_capture_answers_like_the_tree", a_capture_answers_like_the_tree),
    ]
}

/// Runs the program in an example with these words and this standard input.
fn run(example: &Example, words: &[&str], input: &str) -> Result<Output, Failed> {
    let mut child =
        program(example).args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // The program may end before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    }
    Ok(child.wait_with_output()?)
}

fn lines(output: &Output) -> Result<Vec<Value>, Failed> {
    let text = String::from_utf8(output.stdout.clone())?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| format!("{line}: {error}").into())).collect()
}

fn schema(name: &str) -> Result<jsonschema::Validator, Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name);
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    jsonschema::validator_for(&schema).map_err(|error| format!("{name}: {error}").into())
}

const QUESTIONS: &str = r#"{"id":"deny","url":"http://shop.example/admin/","from":"10.0.0.5"}
{"id":"return","url":"http://shop.example/downloads/x","from":"192.0.2.1"}
{"id":"served","url":"http://shop.example/","from":"192.0.2.1","unknown":{"field":[1]}}
{"id":"missing","url":"http://shop.example/none","from":"192.0.2.1","headers":[["X-A","b"],["X-B",null]]}
{"url":"/","from":"unix:"}
{"id":7,"url":"https://shop.example/","version":"1.0"}
{"id":"bad","url":"gopher://x"}
not json
"#;

fn asked(words: &[&str], input: &str) -> Result<Output, Failed> {
    let example = Example::copy("shop")?;
    run(&example, &[&["explain", "--root", ".", "--requests", "-", "--format", "jsonl"], words].concat(), input)
}

fn an_answer_is_what_the_schema_says() -> Result<(), Failed> {
    let schema = schema("answer.schema.json")?;
    let mut answers = lines(&asked(&[], QUESTIONS)?)?;
    answers.extend(lines(&asked(&["--no-fs"], QUESTIONS)?)?);
    let refused = Example::copy("shop")?;
    std::fs::write(refused.path().join("etc/nginx/nginx.conf"), "events {}\nhttp {\n  denny all;\n}\n")?;
    let refused = run(&refused, &["explain", "--root", ".", "--format", "jsonl", "/"], "")?;
    answers.extend(lines(&refused)?);
    if answers.len() != 17 {
        return Err(format!("17 answers expected, got {}", answers.len()).into());
    }
    for answer in &answers {
        if let Err(error) = schema.validate(answer) {
            return Err(format!("{answer}\n{} at {}", error, error.instance_path()).into());
        }
    }
    Ok(())
}

fn request_lines_are_what_the_schema_says() -> Result<(), Failed> {
    let schema = schema("request.schema.json")?;
    for line in QUESTIONS.lines() {
        // The schema and the program agree on what can be asked.
        let valid = serde_json::from_str::<Value>(line).is_ok_and(|line| schema.is_valid(&line));
        let output = asked(&[], &format!("{line}\n"))?;
        let answered = lines(&output)?.first().is_some_and(|answer| answer.get("error").is_none());
        if valid != answered {
            return Err(format!("{line}: the schema says {valid}, the program {answered}").into());
        }
    }
    Ok(())
}

fn answers_keep_the_order_of_the_questions() -> Result<(), Failed> {
    let ids: Vec<Value> = lines(&asked(&[], QUESTIONS)?)?.iter().map(|answer| answer["id"].clone()).collect();
    same(&json!(ids), &json!(["deny", "return", "served", "missing", "5", "7", "bad", "8"]))
}

fn errors_go_on() -> Result<(), Failed> {
    let output = asked(&[], QUESTIONS)?;
    let answers = lines(&output)?;
    same(&answers[6]["error"]["field"], &json!("url"))?;
    same(&answers[7]["error"]["field"], &json!("line"))?;
    same(&json!(output.status.code()), &json!(2))?;
    let fine = asked(&[], "{\"url\":\"/\"}\n")?;
    same(&json!(fine.status.code()), &json!(0))
}

fn fields_leave_the_others_out() -> Result<(), Failed> {
    let answers = lines(&asked(&["--fields", "outcome,cause"], QUESTIONS)?)?;
    let keys: Vec<&String> = answers[0].as_object().ok_or("an object")?.keys().collect();
    same(&json!(keys), &json!(["schema", "id", "outcome", "cause"]))
}

fn two_configurations_are_too_many() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    std::fs::create_dir(example.path().join("etc/apache2"))?;
    std::fs::write(example.path().join("etc/apache2/apache2.conf"), "Listen 80\n")?;
    let output = run(&example, &["explain", "--root", ".", "/"], "")?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    same(&json!(output.status.code()), &json!(2))?;
    for part in ["/etc/nginx/nginx.conf", "/etc/apache2/apache2.conf", "--config"] {
        if !message.contains(part) {
            return Err(format!("{part} is not in {message:?}").into());
        }
    }
    let chosen = run(&example, &["explain", "--root", ".", "--server", "nginx", "/"], "")?;
    same(&json!(chosen.status.code()), &json!(0))
}

fn a_closed_pipe_is_no_panic() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    let mut child = program(&example)
        .args(["explain", "--root", ".", "--requests", "-", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    if let Some(mut stdin) = child.stdin.take() {
        for _ in 0..100 {
            let _ = stdin.write_all(QUESTIONS.as_bytes());
        }
    }
    let output = child.wait_with_output()?;
    let message = String::from_utf8_lossy(&output.stderr);
    if message.contains("panicked") { Err(message.into_owned().into()) } else { Ok(()) }
}

fn no_colour_in_a_pipe() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    let output = run(&example, &["explain", "--root", ".", "http://shop.example/admin/"], "")?;
    if output.stdout.contains(&0x1b) { Err("an escape sequence in a pipe".into()) } else { Ok(()) }
}

fn files_changed_between_questions_are_seen() -> Result<(), Failed> {
    use std::io::{BufRead, BufReader};
    let example = Example::copy("shop")?;
    let mut child = program(&example)
        .args(["explain", "--root", ".", "--requests", "-", "--format", "jsonl", "--fields", "outcome"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("no pipes".into());
    };
    let mut answers = BufReader::new(stdout).lines();
    let mut statuses = Vec::new();
    for _ in 0..2 {
        writeln!(stdin, r#"{{"url":"http://shop.example/late.html","from":"192.0.2.1"}}"#)?;
        let answer: Value = serde_json::from_str(&answers.next().ok_or("no answer")??)?;
        statuses.push(answer["outcome"]["status"].clone());
        std::fs::write(example.path().join("srv/shop/late.html"), "late")?;
    }
    drop(stdin);
    child.wait()?;
    same(&json!(statuses), &json!([404, 200]))
}

fn several_answers_are_one_json_document() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    let output = run(&example, &["explain", "--root", ".", "--requests", "-", "--format", "json"], QUESTIONS)?;
    let answers: Value = serde_json::from_slice(&output.stdout)?;
    same(&json!(answers.as_array().map(Vec::len)), &json!(8))?;
    let none = run(&example, &["explain", "--root", ".", "--requests", "-", "--format", "json"], "")?;
    same(&serde_json::from_slice(&none.stdout)?, &json!([]))
}

const REFUSED: [&str; 6] = ["fix", "--root", ".", "--from", "10.0.0.5", "http://shop.example/admin/"];

/// The status of a request to the example as it lies there now.
fn status(example: &Example, words: &[&str]) -> Result<Value, Failed> {
    let output = run(example, &[&["explain", "--format", "jsonl", "--fields", "outcome"], words].concat(), "")?;
    Ok(lines(&output)?.first().map_or(Value::Null, |answer| answer["outcome"]["status"].clone()))
}

fn fix_writes_its_edits_and_nothing_else() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let example = Example::copy("shop")?;
    let file = example.path().join("etc/nginx/conf.d/shop.conf");
    // Line ends and mode are somebody's choice.
    let text = std::fs::read_to_string(&file)?.replace('\n', "\r\n");
    std::fs::write(&file, &text)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640))?;
    let shown = run(&example, &REFUSED, "")?;
    same(&json!(std::fs::read_to_string(&file)?), &json!(text))?;
    if !String::from_utf8_lossy(&shown.stdout).contains("+        allow 10.0.0.5;") {
        return Err(String::from_utf8_lossy(&shown.stdout).into_owned().into());
    }
    let output = run(&example, &[&REFUSED[..], &["--write"]].concat(), "")?;
    same(&json!(output.status.code()), &json!(0))?;
    let now = std::fs::read_to_string(&file)?;
    let line = "        deny 10.0.0.0/8;\r\n";
    same(&json!(now), &json!(text.replacen(line, &format!("        allow 10.0.0.5;\r\n{line}"), 1)))?;
    same(&json!(std::fs::metadata(&file)?.permissions().mode() & 0o7777), &json!(0o640))?;
    same(&status(&example, &REFUSED[1..])?, &json!(200))
}

fn fix_prints_commands_and_runs_none() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let example = Example::copy("shop")?;
    let closed = example.path().join("srv/shop");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700))?;
    let words =
        ["fix", "--root", ".", "--worker", "4242:4242", "--from", "192.0.2.1", "http://shop.example/", "--write"];
    let output = run(&example, &words, "")?;
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    same(&json!(std::fs::metadata(&closed)?.permissions().mode() & 0o7777), &json!(0o700))?;
    if page.contains("chmod o+x '/srv/shop'") { Ok(()) } else { Err(page.into()) }
}

fn a_review_has_to_be_picked() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    let picked = [&REFUSED[..], &["--write", "--pick", "2"]].concat();
    let page = run(&example, &picked[..picked.len() - 3], "")?;
    if String::from_utf8_lossy(&page.stdout).contains("review") {
        return Err("the first repair needs no review".into());
    }
    let output = run(&example, &picked, "")?;
    same(&json!(output.status.code()), &json!(0))?;
    same(&status(&example, &REFUSED[1..])?, &json!(200))
}

fn a_capture_answers_like_the_tree() -> Result<(), Failed> {
    for (name, host) in [("shop", "shop.example"), ("reports", "reports.example")] {
        let example = Example::copy(name)?;
        let output = run(&example, &["capture", "--root", ".", "-o", "taken.tar"], "")?;
        same(&json!(output.status.code()), &json!(0))?;
        for path in ["/", "/admin/", "/reports/2026.txt", "/none"] {
            let url = format!("http://{host}{path}");
            let here = status(&example, &["--root", ".", "--from", "192.0.2.1", &url])?;
            let there = status(&example, &["--config", "taken.tar", "--from", "192.0.2.1", &url])?;
            same(&there, &here)?;
        }
    }
    Ok(())
}

/// What people see, one page for each kind of answer.
fn pages_for_people() -> Result<(), Failed> {
    let example = Example::copy("shop")?;
    let deny = ["--from", "10.0.0.5", "http://shop.example/admin/"];
    let gone = ["--from", "192.0.2.1", "http://shop.example/downloads/"];
    let served = ["--from", "192.0.2.1", "http://shop.example/"];
    let unknown = ["--no-fs", "--from", "192.0.2.1", "http://shop.example/"];
    let pages: [(&str, &[&str]); 4] =
        [("deny", &deny), ("return", &gone), ("served", &served), ("without_files", &unknown)];
    for (name, words) in pages {
        let output = run(&example, &[&["explain", "--root", "."], words].concat(), "")?;
        let page = format!("$ why403 explain {}\n{}", words.join(" "), String::from_utf8_lossy(&output.stdout));
        snapshot(name, &page);
    }
    Ok(())
}

fn snapshot(name: &str, page: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, page));
}

fn same(found: &Value, wanted: &Value) -> Result<(), Failed> {
    if found == wanted { Ok(()) } else { Err(format!("{found} where {wanted} was expected").into()) }
}

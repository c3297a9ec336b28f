//! `why403 lint` as people and CI systems meet it: formats, exit codes, suppressions, baselines, repairs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use why403::server::Kind;

use crate::case::Case;
use crate::servers;

mod accepted;
mod witnesses;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("lint::every_format_as_recorded", every_format_as_recorded),
        Trial::test("lint::sarif_is_what_its_schema_says", sarif_is_what_its_schema_says),
        Trial::test("lint::sarif_columns_are_code_points", sarif_columns_are_code_points),
        Trial::test("lint::junit_is_read_back", junit_is_read_back),
        Trial::test("lint::a_broken_configuration_lists_every_problem", a_broken_configuration_lists_every_problem),
        Trial::test("lint::exit_codes", exit_codes),
        Trial::test("lint::several_outputs_at_once", several_outputs_at_once),
        Trial::test("lint::a_comment_silences_with_a_reason", a_comment_silences_with_a_reason),
        Trial::test("lint::a_comment_for_a_rule_that_is_off_is_not_unused", a_comment_for_a_rule_that_is_off),
        Trial::test("lint::a_baseline_holds_what_was_there", a_baseline_holds_what_was_there),
        Trial::test("lint::safe_repairs_are_written_and_keep_mode_and_line_ends", repairs_keep_the_file),
        Trial::test("lint::a_diff_is_a_patch_and_writes_nothing", a_diff_writes_nothing),
        Trial::test("lint::settings_are_found_upwards_and_checked", settings_are_found_upwards_and_checked),
        Trial::test("lint::a_directory_is_searched_without_what_git_ignores", a_directory_is_searched),
        Trial::test("lint::a_fragment_belongs_to_its_tree", a_fragment_belongs_to_its_tree),
        Trial::test("lint::a_dump_and_standard_input_are_read", a_dump_and_standard_input_are_read),
        Trial::test("lint::corpus_never_crashes_and_is_never_called_broken_by_mistake", corpus),
    ];
    if servers::wanted() {
        trials.extend([
            Trial::test("lint::repairs_are_accepted_nginx", || accepted::corpus(Kind::Nginx)),
            Trial::test("lint::repairs_are_accepted_apache", || accepted::corpus(Kind::Apache)),
            Trial::test("lint::repairs_are_accepted_cases", accepted::cases),
            Trial::test("lint::pages_are_confirmed_by_apache", witnesses::pages),
        ]);
    }
    trials
}

/// The recorded cases: ours, and those that `WHY403_CASES` names.
fn recorded() -> Result<Vec<Case>, Failed> {
    let mut found = Case::all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")))?;
    if let Some(public) = std::env::var_os("WHY403_CASES") {
        found.extend(Case::all(Path::new(&public))?);
    }
    Ok(found)
}

/// What the examples lint: one error with a safe repair, one with a witness, one that is refused.
const TEXT: &str = "server {\n    listen 8080;\n    # é\n    location /a/ { allow 10.0.0.5/8; deny all; }\n    location /i { alias /srv/img/; }\n    location /b/ { allow 10.0.0.0/8; }\n}\n";

fn place() -> Result<tempfile::TempDir, Failed> {
    let dir = tempfile::Builder::new().prefix("why403-lint-").tempdir()?;
    fs::write(dir.path().join("site.conf"), TEXT)?;
    Ok(dir)
}

fn lint(dir: &Path, words: &[&str]) -> Result<Output, Failed> {
    Ok(Command::new(env!("CARGO_BIN_EXE_why403"))
        .arg("lint")
        .args(words)
        .current_dir(dir)
        .env("COLUMNS", "100")
        .output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn expect(ok: bool, why: impl Into<String>) -> Result<(), Failed> {
    if ok { Ok(()) } else { Err(why.into().into()) }
}

fn every_format_as_recorded() -> Result<(), Failed> {
    let dir = place()?;
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| -> Result<(), Failed> {
        for format in ["human", "concise", "json", "jsonl", "github", "gitlab", "checkstyle", "junit"] {
            let output = lint(dir.path(), &["--output", format, "site.conf"])?;
            expect(
                output.status.code() == Some(1),
                format!("{format}: {:?} {}", output.status, String::from_utf8_lossy(&output.stderr)),
            )?;
            insta::assert_snapshot!(format!("lint-{format}"), text(&output));
        }
        Ok(())
    })
}

/// The schema that the SARIF library ships: found where cargo keeps sources, so that it is not copied.
fn sarif_schema() -> Result<Value, Failed> {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cargo = home("CARGO_HOME")
        .or_else(|| Some(home("HOME")?.join(".cargo")))
        .ok_or("neither CARGO_HOME nor HOME is set")?;
    let pattern = cargo.join("registry/src/*/serde-sarif-*/src/schema.json");
    let found = glob::glob(&pattern.to_string_lossy())?
        .next()
        .ok_or_else(|| format!("{} matches nothing", pattern.display()))??;
    // A pattern of the published schema has a `]` too many, which a strict validator refuses.
    Ok(serde_json::from_str(&fs::read_to_string(found)?.replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}$"))?)
}

fn sarif(dir: &Path, words: &[&str]) -> Result<Value, Failed> {
    let output = lint(dir, &[&["--output", "sarif"], words].concat())?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn sarif_is_what_its_schema_says() -> Result<(), Failed> {
    let dir = place()?;
    let log = sarif(dir.path(), &["site.conf"])?;
    let validator = jsonschema::validator_for(&sarif_schema()?).map_err(|error| error.to_string())?;
    let errors: Vec<String> =
        validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
    expect(errors.is_empty(), errors.join("\n"))?;
    let results = log["runs"][0]["results"].as_array().ok_or("no results")?;
    expect(results.iter().any(|result| result["fixes"].is_array()), "no fix in any result")?;
    expect(
        results.iter().all(|result| result["partialFingerprints"]["why403/v1"].is_string()),
        "a result without a fingerprint",
    )?;
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    expect(uri == "site.conf", format!("{uri} is not relative to the current directory"))
}

fn sarif_columns_are_code_points() -> Result<(), Failed> {
    let dir = place()?;
    fs::write(dir.path().join("é b.conf"), "location / { # ééé\n}\nlocation /ééé/ { allow 10.0.0.5/8; deny all; }\n")?;
    let log = sarif(dir.path(), &["--context", "server", "é b.conf"])?;
    let results = log["runs"][0]["results"].as_array().ok_or("no results")?;
    let bits = results.iter().find(|result| result["ruleId"] == "network-has-host-bits").ok_or("no finding")?;
    let physical = &bits["locations"][0]["physicalLocation"];
    // `location /ééé/ { ` are 17 characters, and three bytes more.
    expect(physical["region"]["startColumn"] == 18, physical.to_string())?;
    expect(physical["artifactLocation"]["uri"] == "%C3%A9%20b.conf", physical.to_string())
}

fn junit_is_read_back() -> Result<(), Failed> {
    let dir = place()?;
    let output = lint(dir.path(), &["--output", "junit", "site.conf"])?;
    let report = quick_junit::Report::deserialize_from_str(&text(&output)).map_err(|error| error.to_string())?;
    let cases: usize = report.test_suites.iter().map(|suite| suite.test_cases.len()).sum();
    expect(cases >= 3, format!("{cases} test cases"))
}

fn exit_codes() -> Result<(), Failed> {
    let dir = place()?;
    fs::write(dir.path().join("good.conf"), "server {\n    listen 8080;\n    deny all;\n}\n")?;
    for (words, code) in [
        (&["good.conf"][..], 0),
        (&["site.conf"], 1),
        (&["--select", "core", "--ignore", "access,security,correctness", "site.conf"], 0),
        (&["--fail-on", "error", "--ignore", "access,security", "site.conf"], 0),
        (&["no-such.conf"], 2),
        (&["--select", "no-such-rule", "site.conf"], 2),
        (&["--output", "no-such-format", "site.conf"], 2),
    ] {
        let output = lint(dir.path(), words)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &text(&output);
        expect(
            output.status.code() == Some(code),
            format!("{words:?}: {:?} instead of {code}\n{said}", output.status.code()),
        )?;
    }
    Ok(())
}

/// An unknown directive, a missing include, a circle, Latin-1, CRLF and an unclosed block, all in one list with their lines;
/// and five megabytes, which are only large.
fn a_broken_configuration_lists_every_problem() -> Result<(), Failed> {
    let dir = place()?;
    let text = b"events { }\r\nhttp {\r\n    # caf\xe9\r\n    lissten 80;\r\n    include none.inc;\r\n    include broken.conf;\r\n    server {\r\n";
    fs::write(dir.path().join("broken.conf"), text)?;
    let output = lint(dir.path(), &["--server", "nginx", "--context", "main", "--output", "concise", "broken.conf"])?;
    let said = text_of_lines(&output);
    for (line, word) in [(4, "lissten"), (5, "none.inc"), (6, "include cycle"), (7, "unexpected end of file")] {
        let there = said.iter().any(|said| said.starts_with(&format!("broken.conf:{line}:")) && said.contains(word));
        expect(there, format!("nothing about `{word}` on line {line}: {said:#?}"))?;
    }
    let server = "    server { listen 80; server_name a.test; location /x/ { deny 10.0.0.0/8; } } # padding\n";
    let large = format!("events {{ }}\nhttp {{\n{}}}\n", server.repeat(5_000_000 / server.len()));
    fs::write(dir.path().join("large.conf"), large)?;
    let output = Command::new(env!("CARGO_BIN_EXE_why403"))
        .args(["explain", "--server", "nginx", "--config", "large.conf", "--from", "10.0.0.5", "--format", "json"])
        .args(["--fields", "outcome", "http://a.test/x/y"])
        .current_dir(dir.path())
        .output()?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    expect(answer["outcome"]["status"] == 403, answer.to_string())
}

fn text_of_lines(output: &Output) -> Vec<String> {
    text(output).lines().map(str::to_owned).collect()
}

fn several_outputs_at_once() -> Result<(), Failed> {
    let dir = place()?;
    let words = [
        "--output",
        "concise",
        "--output",
        "json=out.json",
        "--output",
        "sarif=out.sarif",
        "--statistics",
        "site.conf",
    ];
    let output = lint(dir.path(), &words)?;
    expect(text(&output).contains("site.conf:4:20: error:"), text(&output))?;
    expect(text(&output).contains(" network-has-host-bits\n"), text(&output))?;
    for file in ["out.json", "out.sarif"] {
        let _: Value = serde_json::from_str(&fs::read_to_string(dir.path().join(file))?)?;
    }
    Ok(())
}

fn a_comment_silences_with_a_reason() -> Result<(), Failed> {
    let dir = place()?;
    let silenced = TEXT.replace("deny all; }", "deny all; } # why403: ignore[network-has-host-bits] the whole of ten");
    fs::write(dir.path().join("site.conf"), &silenced)?;
    let output = text(&lint(dir.path(), &["--output", "concise", "site.conf"])?);
    expect(!output.contains("[network-has-host-bits]"), output)?;
    fs::write(dir.path().join("site.conf"), silenced.replace("] the whole of ten", "]"))?;
    let output = text(&lint(dir.path(), &["--output", "concise", "site.conf"])?);
    expect(output.contains("[network-has-host-bits]") && output.contains("needs a reason"), output)
}

fn a_comment_for_a_rule_that_is_off() -> Result<(), Failed> {
    let dir = place()?;
    let idle = TEXT.replace("    # é\n", "    # why403: ignore[trailing-whitespace] generated\n");
    fs::write(dir.path().join("site.conf"), idle)?;
    let output = text(&lint(dir.path(), &["--output", "concise", "site.conf"])?);
    expect(!output.contains("[suppression-unused]"), output)?;
    let output = text(&lint(dir.path(), &["--output", "concise", "--select", "trailing-whitespace", "site.conf"])?);
    expect(output.contains("site.conf:3:") && output.contains("[suppression-unused]"), output)
}

fn a_baseline_holds_what_was_there() -> Result<(), Failed> {
    let dir = place()?;
    lint(dir.path(), &["--write-baseline", "base.json", "site.conf"])?;
    // Lines above move everything; one finding is new.
    let later = format!(
        "# moved\n{}",
        TEXT.replace("/b/ { allow 10.0.0.0/8; }", "/b/ { allow 10.0.0.0/8; }\n    location /c/ { allow 10.9.0.0/8; }")
    );
    fs::write(dir.path().join("site.conf"), later)?;
    let output = text(&lint(dir.path(), &["--output", "concise", "--baseline", "base.json", "site.conf"])?);
    let lines: Vec<&str> = output.lines().collect();
    expect(!lines.is_empty() && lines.iter().all(|line| line.starts_with("site.conf:8:")), output.clone())
}

fn repairs_keep_the_file() -> Result<(), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let dir = place()?;
    let file = dir.path().join("site.conf");
    fs::write(&file, TEXT.replace('\n', "\r\n"))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640))?;
    std::os::unix::fs::symlink("site.conf", dir.path().join("link.conf"))?;
    lint(dir.path(), &["--fix", "link.conf"])?;
    let after = fs::read_to_string(&file)?;
    expect(after.contains("allow 10.0.0.0/8; deny all; }\r\n") && after.contains("location /i/ {"), after.clone())?;
    expect(after.matches('\n').count() == after.matches("\r\n").count(), "a line end was changed")?;
    expect(fs::metadata(&file)?.permissions().mode() & 0o7777 == 0o640, "the mode was changed")?;
    expect(fs::symlink_metadata(dir.path().join("link.conf"))?.is_symlink(), "the link was replaced")
}

fn a_diff_writes_nothing() -> Result<(), Failed> {
    let dir = place()?;
    let output = lint(dir.path(), &["--diff", "site.conf"])?;
    let patch = text(&output);
    expect(
        output.status.code() == Some(1)
            && patch.contains("\n-    location /i {")
            && patch.contains("\n+    location /i/ {"),
        patch,
    )?;
    expect(fs::read_to_string(dir.path().join("site.conf"))? == TEXT, "the file was written")
}

fn settings_are_found_upwards_and_checked() -> Result<(), Failed> {
    let dir = place()?;
    let below = dir.path().join("a/b");
    fs::create_dir_all(&below)?;
    fs::rename(dir.path().join("site.conf"), below.join("site.conf"))?;
    fs::write(
        dir.path().join("why403.toml"),
        "ignore = [\"network-has-host-bits\"]\n[[path]]\nglob = \"a/**\"\nignore = [\"security\"]\n",
    )?;
    let output = text(&lint(&below, &["--output", "concise", "site.conf"])?);
    expect(output.contains("[allow-without-deny]"), output.clone())?;
    expect(!output.contains("[network-has-host-bits]") && !output.contains("[alias-traversal]"), output)?;
    fs::write(dir.path().join("why403.toml"), "levl = \"info\"\n")?;
    let output = lint(&below, &["site.conf"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(output.status.code() == Some(2) && said.contains("levl") && said.contains("line 1"), said)
}

fn a_directory_is_searched() -> Result<(), Failed> {
    let dir = place()?;
    fs::create_dir_all(dir.path().join("conf.d"))?;
    fs::create_dir_all(dir.path().join("vendor"))?;
    fs::write(dir.path().join("nginx.conf"), "events { }\nhttp { include conf.d/*.conf; }\n")?;
    fs::write(dir.path().join("conf.d/one.conf"), TEXT)?;
    fs::write(dir.path().join("vendor/other.conf"), TEXT)?;
    fs::write(dir.path().join(".gitignore"), "vendor/\n")?;
    let output = text(&lint(dir.path(), &["--output", "concise", "."])?);
    expect(output.contains("conf.d/one.conf:") && output.contains("site.conf:"), output.clone())?;
    expect(!output.contains("vendor/"), output.clone())?;
    // What the main file reads is not looked at a second time as a fragment.
    let times = output
        .lines()
        .filter(|line| line.starts_with("conf.d/one.conf:") && line.ends_with("[alias-traversal]"))
        .count();
    expect(times == 1, output)
}

/// A fragment that nothing reads is looked at as if the main file of its tree did, with a module that it may load.
fn a_fragment_belongs_to_its_tree() -> Result<(), Failed> {
    let dir = place()?;
    let put = |name: &str, text: &str| -> Result<(), Failed> {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().ok_or("no parent")?)?;
        Ok(fs::write(path, text)?)
    };
    put("nginx/nginx.conf", "events { }\nhttp { }\n")?;
    put("nginx/params", "fastcgi_param A b;\n")?;
    put("nginx/snippets/php.conf", "include params;\ninclude none;\nfastcgi_pass 127.0.0.1:9000;\n")?;
    put("apache2/mods-available/mpm_prefork.conf", "MinSpareServers 5\nNoSuchThing On\n")?;
    let output = text(&lint(dir.path(), &["--output", "concise", "nginx", "apache2"])?);
    let missing: Vec<&str> = output.lines().filter(|line| line.ends_with("[include-missing]")).collect();
    expect(missing.len() == 1 && missing[0].starts_with("nginx/snippets/php.conf:2:"), output.clone())?;
    expect(output.contains("mpm_prefork.conf:2:") && !output.contains("mpm_prefork.conf:1:"), output)
}

fn a_dump_and_standard_input_are_read() -> Result<(), Failed> {
    let dir = place()?;
    let dump = format!(
        "# configuration file /etc/nginx/nginx.conf:\nevents {{ }}\nhttp {{ include site.conf; }}\n\n# configuration file /etc/nginx/site.conf:\n{TEXT}\n"
    );
    for (input, name) in [(dump, "/etc/nginx/site.conf:5:"), (TEXT.to_owned(), "stdin:5:")] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_why403"))
            .args(["lint", "--output", "concise", "-"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().ok_or("no standard input")?.write_all(input.as_bytes())?;
        let output = text(&child.wait_with_output()?);
        expect(output.lines().any(|line| line.starts_with(name) && line.ends_with("[alias-traversal]")), output)?;
    }
    Ok(())
}

/// Configurations of public projects that the real servers accept raise none of the rules that say the server would not.
fn corpus() -> Result<(), Failed> {
    let Some(top) = std::env::var_os("WHY403_CORPUS").map(PathBuf::from) else { return Ok(()) };
    const BROKEN: [&str; 5] =
        ["syntax-error", "unknown-directive", "directive-wrong-context", "invalid-argument", "invalid-network"];
    let mut main_files: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    for line in fs::read_to_string(top.join("index.jsonl"))?.lines() {
        let entry: Value = serde_json::from_str(line)?;
        let id = entry["id"].as_str().ok_or("an entry without an id")?.to_owned();
        let main = entry["main"].as_str().map_or(id.clone(), |main| format!("{id}/{main}"));
        main_files.insert(id, main);
    }
    let mut wrong = Vec::new();
    for line in fs::read_to_string(top.join("verdicts.jsonl"))?.lines() {
        let verdict: Value = serde_json::from_str(line)?;
        let (server, version) =
            (verdict["server"].as_str().unwrap_or("?"), verdict["server_version"].as_str().unwrap_or("?"));
        let settled = verdict.get("settled").unwrap_or(&verdict["verdict"]);
        if settled != "ok" && settled["verdict"] != "ok" {
            continue;
        }
        let Some(main) = verdict["file"].as_str().and_then(|file| main_files.get(file)) else { continue };
        let context =
            verdict["wrap"].as_str().map(|wrap| if wrap == "htaccess" { "htaccess" } else { wrap }).unwrap_or("main");
        let path = top.join(main);
        let path = path.to_str().ok_or("a path that is no text")?;
        let words = [
            "--server",
            server,
            "--server-version",
            version,
            "--context",
            context,
            "--modules",
            "all",
            "--output",
            "jsonl",
            "--no-fs",
            path,
        ];
        let words: Vec<&str> =
            words.into_iter().filter(|word| server == "apache" || !matches!(*word, "--modules" | "all")).collect();
        let output = lint(&top, &words)?;
        expect(
            matches!(output.status.code(), Some(0 | 1)),
            format!("{main}: {:?} {}", output.status, String::from_utf8_lossy(&output.stderr)),
        )?;
        for finding in text(&output).lines() {
            let finding: Value = serde_json::from_str(finding)?;
            // What was supplied to settle the verdict: directives of absent modules blanked out, an `events` block.
            let shims = settled["shims"].to_string();
            let supplied = (finding["rule"] == "unknown-directive" && shims.contains("blank"))
                || (finding["message"].as_str().is_some_and(|message| message.contains("\"events\""))
                    && shims.contains("events"));
            if finding["level"] == "error" && !supplied && BROKEN.iter().any(|rule| finding["rule"] == *rule) {
                wrong.push(format!(
                    "{main} ({version}): {}:{} {} [{}]",
                    finding["file"], finding["line"], finding["message"], finding["rule"]
                ));
            }
        }
    }
    expect(wrong.is_empty(), format!("{} findings on accepted configurations\n{}", wrong.len(), wrong.join("\n")))
}

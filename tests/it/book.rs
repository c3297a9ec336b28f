//! The documentation runs: every `console` block of README.md and docs/ is asked of the program, and holds what it said.
//! `UPDATE=1 cargo test --test it book` writes the blocks.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::example::Example;

pub fn trials() -> Vec<Trial> {
    let mut pages = vec![top().join("README.md")];
    let mut open = vec![top().join("docs")];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    let runs = |page: &PathBuf| fs::read_to_string(page).is_ok_and(|text| text.contains("\n```console\n"));
    let pages = pages.into_iter().filter(runs);
    let mut trials: Vec<Trial> = pages
        .map(|page| {
            let name = page.strip_prefix(top()).unwrap_or(&page).display().to_string();
            Trial::test(format!("book::{name}"), move || run(&page))
        })
        .collect();
    trials.push(Trial::test("book::every_cause_has_a_page", every_cause_has_a_page));
    trials
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the blocks of a page.
fn run(page: &Path) -> Result<(), Failed> {
    let written = fs::read_to_string(page)?;
    let mut text = String::new();
    let mut rest = written.as_str();
    while let Some((before, block)) = rest.split_once("```console\n") {
        let (block, after) = block.split_once("\n```").ok_or("a console block without an end")?;
        let _ = write!(text, "{before}```console\n{}\n```", answered(block)?);
        rest = after;
    }
    text.push_str(rest);
    if text == written {
        return Ok(());
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(page, text)?;
        return Ok(());
    }
    let differs = text.lines().zip(written.lines()).find(|(now, then)| now != then);
    let (now, then) = differs.unwrap_or(("", ""));
    Err(format!("the program no longer says what the page says; UPDATE=1 writes it anew\n- {then}\n+ {now}").into())
}

/// A block with what its commands print now. A command is a line that begins with `$ why403`.
fn answered(block: &str) -> Result<String, Failed> {
    // Each block begins with the examples as the repository has them.
    let shop = Example::copy("shop")?;
    let reports = Example::copy("reports")?;
    let mut text = String::new();
    for line in block.lines() {
        let Some(command) = line.strip_prefix("$ why403 ") else { continue };
        let words = words(command);
        let example = if words.iter().any(|word| word.contains("examples/reports")) { &reports } else { &shop };
        let output = Command::new(env!("CARGO_BIN_EXE_why403"))
            .args(&words)
            .current_dir(example.top())
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .output()?;
        if output.status.code().is_none_or(|code| code > 1) {
            return Err(format!("{command}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let _ = write!(text, "{line}\n{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(text.trim_end().to_owned())
}

/// The words of a command as sh takes them, single quotes and no other.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for character in command.chars() {
        match character {
            '\'' => quoted = !quoted,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            other => word.push(other),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// `docs/causes/` has a page for each row of the cause table and no other.
fn every_cause_has_a_page() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    let directory = top().join("docs/causes");
    for cause in why403::cause::all() {
        let path = directory.join(format!("{}.md", cause.code));
        let page = why403::cause::page(cause);
        match fs::read_to_string(&path) {
            Ok(text) if text == page => {}
            _ if std::env::var_os("UPDATE").is_some() => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::write(&path, page)?;
            }
            Ok(_) => wrong.push(format!("{} is not what the program says; UPDATE=1 writes it", path.display())),
            Err(_) => wrong.push(format!("{} is missing; UPDATE=1 writes it", path.display())),
        }
    }
    for server in ["nginx", "apache"] {
        let Ok(entries) = fs::read_dir(directory.join(server)) else { continue };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            match why403::cause::find(&format!("{server}/{name}")) {
                Some(_) => {}
                None if std::env::var_os("UPDATE").is_some() => fs::remove_file(&path)?,
                None => wrong.push(format!("{} is a page of no cause; UPDATE=1 removes it", path.display())),
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

//! A case on the disk that is changed and asked again: by the program, and, where `WHY403_SERVERS` is set, by the real
//! server, started anew. What several questions ask to be changed is changed, and the server started, once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use why403::fix::{self, Edit};

use crate::case::{Case, Question};
use crate::cases;
use crate::servers::{self, Real, Stage};

/// Programs that a change may ask for.
const COMMANDS: [&str; 6] = ["chmod", "chown", "chgrp", "ln", "touch", "mkdir"];

/// A change of files: edits and shell commands, as a fix has them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub edits: Vec<Edit>,
    pub commands: Vec<String>,
}

impl Change {
    /// The change that a fix of a JSON answer asks for.
    pub fn of_json(fix: &Value) -> Change {
        let edit = |edit: &Value| {
            let number = |field: &str| edit[field].as_u64().and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
            Edit {
                file: PathBuf::from(edit["file"].as_str().unwrap_or_default()),
                line: number("line"),
                end_line: number("end_line"),
                replacement: edit["replacement"].as_str().unwrap_or_default().to_owned(),
            }
        };
        let commands = fix["commands"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Change {
            edits: fix["edits"].as_array().into_iter().flatten().map(edit).collect(),
            commands: commands.map(str::to_owned).collect(),
        }
    }

    /// Makes the change: edits through the library, commands through the shell, all of it below `root`.
    pub fn make(&self, root: &Path) -> Result<(), String> {
        let mut by_file: BTreeMap<&Path, Vec<Edit>> = BTreeMap::new();
        for edit in &self.edits {
            if !edit.file.starts_with(root) {
                return Err(format!("{} lies outside of the case", edit.file.display()));
            }
            by_file.entry(&edit.file).or_default().push(edit.clone());
        }
        for (file, edits) in by_file {
            let text = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
            let text = fix::apply(&text, &edits).map_err(|error| format!("{}: {error}", file.display()))?;
            std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        for command in &self.commands {
            let program = command.split(' ').next().unwrap_or_default();
            if !COMMANDS.contains(&program) || !command.contains(&*root.to_string_lossy()) {
                return Err(format!("{command}: not a command for files of the case"));
            }
            let done =
                Command::new("sh").args(["-c", command]).status().map_err(|error| format!("{command}: {error}"))?;
            if !done.success() {
                return Err(format!("{command}: {done}"));
            }
        }
        Ok(())
    }
}

/// Where a case lies, with the server that it was recorded on where servers are asked.
pub struct Ground<'c> {
    case: &'c Case,
    top: tempfile::TempDir,
    stage: Option<Stage>,
}

impl<'c> Ground<'c> {
    pub fn of(case: &'c Case) -> Result<Ground<'c>, String> {
        let stage = if servers::wanted() { Some(Stage::set(case, Real::of(case))?) } else { None };
        Ok(Ground { stage, ..Ground::quiet(case)? })
    }

    /// A place where no server is asked.
    pub fn quiet(case: &'c Case) -> Result<Ground<'c>, String> {
        let text = |error: std::io::Error| error.to_string();
        let top = tempfile::Builder::new().prefix("why403-proof-").tempdir().map_err(text)?;
        cases::open_to_all(top.path()).map_err(text)?;
        Ok(Ground { case, top, stage: None })
    }

    /// Where the case's `root/` lies.
    pub fn root(&self) -> PathBuf {
        self.stage.as_ref().map_or_else(|| self.top.path().join("root"), |stage| stage.root.clone())
    }

    /// Lays the case out anew, with the files that this question wants there.
    pub fn lay_out(&mut self, question: &Question) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let root = self.root();
        if root.exists() {
            std::fs::remove_dir_all(&root).map_err(text)?;
        }
        std::fs::create_dir(&root).map_err(text)?;
        cases::open_to_all(&root).map_err(text)?;
        self.case.lay_out(&root).map_err(text)?;
        cases::put_overlay(question, &root).map_err(text)?;
        Ok(())
    }

    /// What the real server says, started with the files as they are. `None`: it is not asked.
    pub fn ask_server(&mut self, questions: &[&Question]) -> Result<Option<Vec<Value>>, String> {
        let Some(stage) = &mut self.stage else { return Ok(None) };
        if stage.start().is_err() {
            // Recorded trees do not say that the program of a RewriteMap may be executed.
            make_scripts_executable(&stage.root).map_err(|error| error.to_string())?;
            stage.start().map_err(|why| format!("the server does not start: {why}"))?;
        }
        questions.iter().map(|question| stage.ask_as_it_lies(self.case, question)).collect::<Result<_, _>>().map(Some)
    }
}

/// Lets everybody execute what begins with `#!`.
pub fn make_scripts_executable(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            make_scripts_executable(&entry.path())?;
        } else if kind.is_file() && std::fs::read(entry.path())?.starts_with(b"#!") {
            std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

//! The examples that the repository ships, copied to where their modes can be trusted, and the program run in them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A copy of one example. Files are 0644 and directories 0755, whatever the checkout made of them.
pub struct Example {
    top: TempDir,
    name: String,
}

impl Example {
    /// Copies `examples/NAME`.
    pub fn copy(name: &str) -> std::io::Result<Example> {
        let top = tempfile::Builder::new().prefix("why403-example-").tempdir()?;
        let example = Example { top, name: name.to_owned() };
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name), &example.path())?;
        Ok(example)
    }

    /// The directory of the copy.
    pub fn path(&self) -> PathBuf {
        self.top.path().join("examples").join(&self.name)
    }

    /// The directory in which `examples/NAME` is the copy.
    pub fn top(&self) -> &Path {
        self.top.path()
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::write(&to, fs::read(entry.path())?)?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o644))?;
        }
    }
    Ok(())
}

/// The program, to be run in an example, with a page of 100 columns.
pub fn program(example: &Example) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
    command.current_dir(example.path()).env("COLUMNS", "100").env_remove("NO_COLOR");
    command
}

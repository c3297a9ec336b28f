//! `why403 completions SHELL` and `why403 man`: what packagers install.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{ANSWERED, Cli, Failure, written};

/// Options of `why403 completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionOptions {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Options of `why403 man`.
#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// Write one page a command into this directory instead of the main page to standard output
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints a completion script.
pub(super) fn completions(options: &CompletionOptions, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "why403", &mut script);
    written(out.write_all(&script))?;
    Ok(ANSWERED)
}

/// Prints or writes the manual pages.
pub(super) fn man(options: &ManOptions, out: &mut dyn Write) -> Result<u8, Failure> {
    let command = Cli::command();
    let Some(dir) = &options.dir else {
        let mut page = Vec::new();
        written(clap_mangen::Man::new(command).render(&mut page))?;
        written(out.write_all(&page))?;
        return Ok(ANSWERED);
    };
    let failed = |path: &Path, error: std::io::Error| Failure(format!("{}: {error}", path.display()));
    std::fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    clap_mangen::generate_to(command, dir).map_err(|error| failed(dir, error))?;
    Ok(ANSWERED)
}

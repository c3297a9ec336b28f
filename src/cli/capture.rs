//! `why403 capture`: a configuration and the modes of what it serves, in one archive.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::settings::{Files, ServerOptions};
use super::{ANSWERED, Failure, written};
use crate::capture::Capture;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// The archive to write, a tar file
    #[arg(short, long, value_name = "ARCHIVE")]
    output: PathBuf,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    let ground = options.server.ground(Files::Still)?;
    let (server, load_options) = options.server.load(&ground)?;
    let capture = Capture::of(&server, &load_options, options.server.worker.as_deref(), ground.serving());
    let mut bytes = Vec::new();
    capture.write(&mut bytes).map_err(|error| format!("cannot put the archive together: {error}"))?;
    super::write::replace(&options.output, &bytes)
        .map_err(|error| format!("cannot write {}: {error}", options.output.display()))?;
    let (paths, contents) = capture.counts();
    let name = options.output.display();
    written(writeln!(out, "{name}: {paths} paths listed, the contents of {contents} files"))?;
    Ok(ANSWERED)
}

//! `why403 cause CODE`, and without a code the list of all.

use std::io::Write;

use clap::Args;

use super::{ANSWERED, Failure, written};
use crate::cause;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The cause's code, as answers give it (nginx/access-deny); all are listed when it is left out
    code: Option<String>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    match &options.code {
        Some(code) => {
            let cause = cause::find(code).ok_or_else(|| format!("no cause `{code}`; `why403 cause` lists all"))?;
            written(out.write_all(cause::page(cause).as_bytes()))?;
        }
        None => {
            let width = cause::all().map(|cause| cause.code.len()).max().unwrap_or(0);
            for cause in cause::all() {
                written(writeln!(out, "{:width$}  {}", cause.code, cause.summary))?;
            }
        }
    }
    Ok(ANSWERED)
}

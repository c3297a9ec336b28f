//! `why403 fix`: the repairs of a refusal as a diff and commands. `--write` makes the edits; commands are never run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::session::{RequestOptions, Session};
use super::settings::{Files, ServerOptions, absolute};
use super::{ANSWERED, FOUND, Failure, written};
use crate::explain::Fields;
use crate::fix::{self, Edit, Fix, Safety};
use crate::outcome::Outcome;
use crate::report::human;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    request: RequestOptions,
    /// Make the edits of the repair that is shown; a repair that needs a review has to be picked by its number
    #[arg(long)]
    write: bool,
    /// Show this repair instead of the first
    #[arg(long, value_name = "N")]
    pick: Option<usize>,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    if options.request.url.is_none() {
        return Err("say what to ask for: a URL or a path".into());
    }
    let ground = options.server.ground(Files::Still)?;
    let session = Session::open(&options.server, &ground)?;
    let question = options.request.question();
    let request = session.request(&question).map_err(|error| format!("{}: {}", error.field, error.message))?;
    let answer = session.answer(&request, Fields { outcome: true, cause: true, fixes: true, ..Fields::NONE });
    let now = human::ending(answer.outcome);
    let number = options.pick.unwrap_or(1);
    let Some(fix) = number.checked_sub(1).and_then(|index| answer.fixes.get(index)) else {
        let (count, verb) = (answer.fixes.len(), if answer.fixes.len() == 1 { "repair was" } else { "repairs were" });
        written(writeln!(out, "the answer is {now}; {count} {verb} found"))?;
        let fine = matches!(answer.outcome, Outcome::Response(..400) | Outcome::Upstream);
        return Ok(if fine { ANSWERED } else { FOUND });
    };
    let then = fix.then.map_or_else(|| "not known".to_owned(), human::ending);
    written(writeln!(out, "the answer is {now}; with repair {number} of {} it is {then}:", answer.fixes.len()))?;
    let review = if fix.safety == Safety::Review { " (review it first)" } else { "" };
    written(writeln!(out, "{}{review}", fix.title))?;
    let changes = changes(&session, fix)?;
    for (path, (old, new)) in &changes {
        written(super::write::diff(out, path, old, new))?;
    }
    if options.write {
        if fix.safety == Safety::Review && options.pick.is_none() {
            return Err(format!("this repair needs a review; pick it with --pick {number} to write it").into());
        }
        for (path, (old, new)) in &changes {
            let place = on_disk(&options.server, path)?;
            // Somebody may have edited the file since it was read.
            if std::fs::read(&place).ok().as_ref() != Some(old) {
                return Err(format!("{} changed meanwhile; nothing was written to it", place.display()).into());
            }
            super::write::replace(&place, new).map_err(|error| format!("cannot write {}: {error}", place.display()))?;
            written(writeln!(out, "wrote {}", place.display()))?;
        }
    }
    if !fix.commands.is_empty() {
        written(writeln!(out, "run as root:"))?;
        for command in &fix.commands {
            written(writeln!(out, "  {command}"))?;
        }
    }
    Ok(ANSWERED)
}

/// Old and new text of every file that a repair edits.
type Changes = BTreeMap<PathBuf, (Vec<u8>, Vec<u8>)>;

/// The texts of a repair. Only files that were read as configuration are ever changed.
fn changes(session: &Session, fix: &Fix) -> Result<Changes, Failure> {
    let mut by_file: BTreeMap<&Path, Vec<Edit>> = BTreeMap::new();
    for edit in &fix.edits {
        by_file.entry(&edit.file).or_default().push(edit.clone());
    }
    let mut changes = Changes::new();
    for (path, edits) in by_file {
        let read = session.server.sources().files().filter(|(_, file)| file.path == path).last();
        let Some((_, file)) = read else {
            return Err(format!("{} is no file of the configuration", path.display()).into());
        };
        let new = fix::apply(&file.bytes, &edits).map_err(|error| format!("{}: {error}", path.display()))?;
        changes.insert(path.to_path_buf(), (file.bytes.to_vec(), new));
    }
    Ok(changes)
}

/// Where a file of the configuration lies on this machine.
fn on_disk(options: &ServerOptions, path: &Path) -> Result<PathBuf, Failure> {
    match &options.root {
        Some(root) => Ok(absolute(root)?.join(path.strip_prefix("/").unwrap_or(path))),
        None => Ok(path.to_path_buf()),
    }
}

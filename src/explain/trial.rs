//! Trying a change: edits on the text of the configuration, commands on an overlay of the file system, and the same
//! request again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::Bench;
use crate::fact::Fact;
use crate::fix::{self, Command, Edit, Fix};
use crate::fs::overlay::OverlayFs;
use crate::fs::{Errno, Follow};
use crate::outcome::{Decision, Run};
use crate::problem;
use crate::request::Request;
use crate::server::Server;
use crate::source::MAX_FILE;
use crate::world::World;

/// Changes put together, relative to the configuration and the file system as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    /// The new text of every file edited.
    texts: BTreeMap<PathBuf, Vec<u8>>,
    commands: Vec<Command>,
}

/// A changed world. [`Patched::run`] asks it.
pub(super) struct Patched<'a> {
    bench: Bench<'a>,
    serving: OverlayFs<'a>,
    /// The configuration read again; `None`: no text was changed.
    server: Option<Server>,
}

impl Changes {
    /// These changes and a fix whose edits count the lines of the texts as changed so far. `None`: an edit does not fit.
    pub(super) fn with(&self, bench: Bench, fix: &Fix) -> Option<Changes> {
        let mut changes = self.clone();
        let mut by_file: BTreeMap<&Path, Vec<Edit>> = BTreeMap::new();
        for edit in &fix.edits {
            by_file.entry(&edit.file).or_default().push(edit.clone());
        }
        for (file, edits) in by_file {
            let text = match changes.texts.get(file) {
                Some(text) => fix::apply(text, &edits),
                None => fix::apply(&original(bench, file)?, &edits),
            };
            changes.texts.insert(file.to_path_buf(), text.ok()?);
        }
        changes.commands.extend(fix.commands.iter().cloned());
        Some(changes)
    }

    /// The world with these changes. `None`: a command fails, or the server would refuse the configuration.
    pub(super) fn apply<'a>(&self, bench: Bench<'a>) -> Option<Patched<'a>> {
        let mut serving = OverlayFs::new(bench.world.fs);
        let server = if self.texts.is_empty() {
            None
        } else {
            let mut loading = OverlayFs::new(bench.loading);
            for (path, text) in &self.texts {
                done(loading.write(path, text))?;
                // An .htaccess is read while serving. Where the server sees another tree, only that one may know the file.
                let _ = serving.write(path, text);
            }
            let server = Server::load(bench.server.kind(), bench.options, &loading);
            if problem::first_refusal(server.problems()).is_some() {
                return None;
            }
            Some(server)
        };
        for command in &self.commands {
            run_command(&mut serving, command)?;
        }
        Some(Patched { bench, serving, server })
    }

    /// All changes as one fix, its edits in the numbering of the files as they are. `None`: a changed line is not UTF-8.
    pub(super) fn edits(&self, bench: Bench) -> Option<Vec<Edit>> {
        let mut edits = Vec::new();
        for (path, text) in &self.texts {
            difference(path, &original(bench, path)?, text, &mut edits)?;
        }
        Some(edits)
    }

    /// The commands, in order.
    pub(super) fn commands(&self) -> &[Command] {
        &self.commands
    }
}

impl Patched<'_> {
    /// The server that answers.
    fn server(&self) -> &Server {
        self.server.as_ref().unwrap_or(self.bench.server)
    }

    /// The same question in the changed world.
    pub(super) fn run(&self, request: &Request) -> Run {
        self.server().evaluate(request, &self.world())
    }

    /// What else could be changed for a decision of a run in the changed world.
    pub(super) fn candidates(&self, request: &Request, run: &Run, decision: &Decision) -> Vec<Fix> {
        self.server().fixes(request, run, decision, &self.world())
    }

    fn world(&self) -> World<'_> {
        World { fs: &self.serving, trace: false, ..self.bench.world }
    }
}

/// The text of a file as it was read for the configuration; an .htaccess may have to be read again.
fn original(bench: Bench, path: &Path) -> Option<Vec<u8>> {
    let read = bench.server.sources().files().filter(|(_, file)| file.path == path).last();
    if let Some((_, file)) = read {
        return Some(file.bytes.to_vec());
    }
    match bench.loading.read(path, MAX_FILE) {
        Fact::Known(Ok(bytes)) => Some(bytes.to_vec()),
        _ => None,
    }
}

fn done(result: Fact<Result<(), Errno>>) -> Option<()> {
    match result {
        Fact::Known(Ok(())) => Some(()),
        _ => None,
    }
}

fn run_command(fs: &mut OverlayFs, command: &Command) -> Option<()> {
    done(match command {
        Command::Chmod { path, mode, .. } => fs.chmod(path, *mode),
        Command::Chown { path, uid, no_follow, .. } => {
            fs.chown(path, Some(*uid), None, if *no_follow { Follow::No } else { Follow::Yes })
        }
        Command::Touch(path) => fs.touch(path),
        Command::Mkdir(path) => fs.mkdir(path),
        Command::Link { target, path } => fs.link(target, path),
    })
}

/// The edits that turn one text into another, in whole lines of the first.
fn difference(path: &Path, old: &[u8], new: &[u8], into: &mut Vec<Edit>) -> Option<()> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    for operation in capture_diff_slices(Algorithm::Myers, &old_lines, &new_lines) {
        let (line, end_line, range) = match operation {
            DiffOp::Equal { .. } => continue,
            DiffOp::Delete { old_index, old_len, .. } => (old_index + 1, old_index + old_len, 0..0),
            DiffOp::Insert { old_index, new_index, new_len } => {
                (old_index + 1, old_index, new_index..new_index + new_len)
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                (old_index + 1, old_index + old_len, new_index..new_index + new_len)
            }
        };
        into.push(Edit {
            file: path.to_path_buf(),
            line: u32::try_from(line).ok()?,
            end_line: u32::try_from(end_line).ok()?,
            replacement: String::from_utf8(new_lines[range].join(&b'\n')).ok()?,
        });
    }
    Some(())
}

/// Lines without their ends.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_texts_differ_by_edits_that_turn_one_into_the_other() {
        let (old, new) = (&b"a\nb\nc\nd\n"[..], &b"a\nx\ny\nc\nd\ne\n"[..]);
        let mut edits = Vec::new();
        difference(Path::new("/f"), old, new, &mut edits).expect("text");
        assert_eq!(fix::apply(old, &edits).expect("fits"), new);
        assert_eq!(edits.len(), 2);
    }
}

//! `--fix`: safe repairs put together, tried in memory, and only then handed back to be written.
//!
//! A round applies every repair whose lines do not overlap an earlier one's; the edited text is loaded again, and a repair
//! after which the server would refuse the configuration, or after which its own finding is still there, is taken back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::finding::Finding;
use crate::fix::{self, Edit, Fix, Safety};
use crate::fs::Filesystem;
use crate::lint::settings::Loaded;
use crate::lint::targets::Target;
use crate::lint::{Choice, lint_target};
use crate::problem::first_refusal;
use crate::server::Server;
use crate::world::World;

/// The new text of every file that changed.
pub type Changes = BTreeMap<PathBuf, Vec<u8>>;

/// Rounds after which repairs that call for repairs are left alone.
const ROUNDS: usize = 10;

/// One target with everything that linting it needs.
struct Bench<'a> {
    target: &'a Target,
    fs: &'a dyn Filesystem,
    world: &'a World<'a>,
    settings: &'a Loaded,
    choice: &'a Choice,
}

/// What the repairs give for one target: the changed texts, and how many repairs went in.
pub fn fixed(
    target: &Target,
    fs: &dyn Filesystem,
    world: &World,
    settings: &Loaded,
    choice: &Choice,
    unsafe_too: bool,
) -> (Changes, usize) {
    let bench = Bench { target, fs, world, settings, choice };
    let (mut changes, mut count) = (Changes::new(), 0);
    for _ in 0..ROUNDS {
        let (server, linted) = lint_target(&changed(target, &changes), fs, world, settings, choice);
        let usable =
            |fix: &Fix| (fix.safety == Safety::Safe || unsafe_too) && !fix.edits.is_empty() && fix.commands.is_empty();
        let mut chosen: Vec<(&Finding, &Fix)> = Vec::new();
        for finding in &linted.findings {
            let Some(fix) = finding.fix.as_ref().filter(|fix| usable(fix)) else { continue };
            let taken = chosen.iter().flat_map(|(_, other)| &other.edits);
            if !taken.into_iter().any(|other| fix.edits.iter().any(|edit| overlap(edit, other))) {
                chosen.push((finding, fix));
            }
        }
        // All at once is one more load; only where one of them fails are they tried one by one.
        let next = match bench.tried(&changes, &server, &chosen) {
            Some(next) => Some((next, chosen.len())),
            None => chosen.iter().find_map(|one| Some((bench.tried(&changes, &server, &[*one])?, 1))),
        };
        match next {
            Some((next, more)) if more > 0 => {
                changes = next;
                count += more;
            }
            _ => break,
        }
    }
    (changes, count)
}

fn overlap(one: &Edit, other: &Edit) -> bool {
    let ends = |edit: &Edit| edit.end_line.max(edit.line);
    one.file == other.file && one.line <= ends(other) && other.line <= ends(one)
}

/// The target with the changed texts in the place of the old ones.
fn changed(target: &Target, changes: &Changes) -> Target {
    let mut target = target.clone();
    target.given.extend(changes.clone());
    target
}

impl Bench<'_> {
    /// The changes with these repairs added, if the server still loads the result and the findings are gone.
    fn tried(&self, changes: &Changes, before: &Server, repairs: &[(&Finding, &Fix)]) -> Option<Changes> {
        let mut next = changes.clone();
        let mut by_file: BTreeMap<&PathBuf, Vec<Edit>> = BTreeMap::new();
        for edit in repairs.iter().flat_map(|(_, fix)| &fix.edits) {
            by_file.entry(&edit.file).or_default().push(edit.clone());
        }
        for (file, edits) in by_file {
            let (_, source) = before.sources().files().find(|(_, source)| source.path == *file)?;
            next.insert(file.clone(), fix::apply(&source.bytes, &edits).ok()?);
        }
        let target = changed(self.target, &next);
        let (server, linted) = lint_target(&target, self.fs, self.world, self.settings, self.choice);
        let refused = first_refusal(server.problems()).is_some() && first_refusal(before.problems()).is_none();
        let stays = |(finding, _): &(&Finding, &Fix)| {
            let same = |other: &Finding| {
                other.rule == finding.rule && other.text == finding.text && other.message == finding.message
            };
            linted.findings.iter().any(same)
        };
        (!refused && !repairs.iter().any(stays)).then_some(next)
    }
}

//! What `apache2 -t` refuses after reading: the second of the server's two passes (`ap_walk_config`).
//!
//! Directives are taken in file order; each is looked up, its place is compared with its mask, its words are counted and
//! its values are checked. The server stops at the first refusal, this pass goes on and reports all of them in the same
//! order. What depends on the machine (files, certificates, users, host names) is never a refusal here.
//!
//! The same pass over an `.htaccess` finds what turns every request into a 500.

use super::directives::{ACCESS_CONF, NONFATAL_OVERRIDE, NONFATAL_UNKNOWN, OR_ALL, OR_AUTHCFG, PROXY_CONF, Row};
use super::load::{self, Htaccess, Known, Loaded, Node, Override, SERVER_LEVEL};
use super::{arity, directives};
use crate::fs::Filesystem;
use crate::problem::{Problem, ProblemKind, Severity, first_refusal};
use crate::server::LoadOptions;
use crate::source::{FileId, InclusionId, SourceMap};

/// Reads the main file and everything it includes, and checks it.
pub fn load(options: &LoadOptions, fs: &dyn Filesystem) -> Loaded {
    let mut loaded = load::read(options, fs);
    if !loaded.stopped {
        let mut checker = Checker { known: &loaded.known, allowed: None, problems: Vec::new() };
        let place = Place { mask: SERVER_LEVEL, section: None, outer: None };
        checker.walk(&mut loaded.nodes, &place);
        let problems = checker.problems;
        // A problem without a place (no MPM, two MPMs) is found after both passes.
        let late =
            loaded.problems.iter().position(|problem| problem.reported.is_none()).unwrap_or(loaded.problems.len());
        loaded.problems.splice(late..late, problems);
    }
    loaded
}

/// Reads and checks an `.htaccess` whose bytes are `file` of `sources`. The first refusal is the reason of a 500.
pub fn htaccess(
    known: &Known,
    fs: &dyn Filesystem,
    sources: &SourceMap,
    file: FileId,
    via: Option<InclusionId>,
    allowed: &Override,
) -> Htaccess {
    let mut htaccess = load::read_htaccess(known, fs, sources, file, via, allowed);
    if first_refusal(&htaccess.problems).is_none() {
        let mut checker = Checker { known, allowed: Some(allowed), problems: Vec::new() };
        let place = Place { mask: allowed.mask, section: None, outer: None };
        checker.walk(&mut htaccess.nodes, &place);
        htaccess.problems.append(&mut checker.problems);
    }
    htaccess
}

/// Where a directive stands.
struct Place<'p> {
    /// What is admitted here (`cmd_parms.override`).
    mask: u32,
    /// The section around it, as the server spells it: `<Directory`.
    section: Option<&'p str>,
    /// Where that section stands.
    outer: Option<&'p Place<'p>>,
}

struct Checker<'a> {
    known: &'a Known,
    /// What may stand in the `.htaccess` that is checked; `None`: the main configuration.
    allowed: Option<&'a Override>,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Checks the directives of one level; those that a `Nonfatal` override skips are taken out.
    fn walk(&mut self, nodes: &mut Vec<Node>, place: &Place) {
        nodes.retain_mut(|node| self.directive(node, place));
    }

    /// Checks one directive; `false`: the server skips it.
    fn directive(&mut self, node: &mut Node, place: &Place) -> bool {
        let known = self.known;
        let name = node.written.as_bytes();
        let mut rows = known.modules.rows(name).filter(|row| !row.runs_while_reading()).peekable();
        if rows.peek().is_none() {
            return self.unknown(node, place);
        }
        for row in rows {
            if !self.admits(row, place) {
                let message = match place.section {
                    Some(section) => format!("{} not allowed in {section}> context", row.name),
                    None => format!("{} not allowed here", row.name),
                };
                let skipped = place.mask & NONFATAL_OVERRIDE != 0;
                let severity = if skipped { Severity::Warning } else { Severity::Refused };
                self.report(
                    severity,
                    ProblemKind::Context,
                    message,
                    node,
                    Some(format!("{} is allowed in {}", row.name, row.places())),
                );
                return !skipped;
            }
            if let Err(message) = arity::take(row, &node.args) {
                self.report(Severity::Refused, ProblemKind::Arity, message, node, None);
                return true;
            }
        }
        if node.section {
            let section = node.rows.first().map_or("<", |row| row.name);
            let inner = Place {
                mask: section_mask(&node.name, place.mask, self.allowed.is_some()),
                section: Some(section),
                outer: Some(place),
            };
            let mut children = std::mem::take(&mut node.children);
            self.walk(&mut children, &inner);
            node.children = children;
        }
        true
    }

    fn admits(&self, row: &Row, place: &Place) -> bool {
        let listed =
            |allowed: &&Override| allowed.list.iter().flatten().any(|name| name.eq_ignore_ascii_case(row.name));
        place.mask & row.mask != 0 || self.allowed.as_ref().is_some_and(listed)
    }

    /// A directive that no loaded module has.
    fn unknown(&mut self, node: &Node, place: &Place) -> bool {
        if let Some(row) = node.rows.first() {
            let modules: Vec<_> =
                row.modules.iter().map(|id| format!("mod_{}", id.trim_end_matches("_module"))).collect();
            let message = format!("`{}` needs {}, which no LoadModule loads", row.name, modules.join(" or "));
            let help = format!("LoadModule {} …", row.modules[0]);
            return self.refuse_unknown(ProblemKind::MissingModule, message, node, place, Some(help));
        }
        if self.known.modules.unknown().next().is_some() {
            // It may belong to a module that no table knows; the evaluator asks.
            return true;
        }
        let message = format!(
            "invalid command '{}', perhaps misspelled or defined by a module not included in the server configuration",
            node.written
        );
        let help = similar(&node.written).map(|name| format!("did you mean `{name}`?"));
        self.refuse_unknown(ProblemKind::UnknownDirective, message, node, place, help)
    }

    fn refuse_unknown(
        &mut self,
        kind: ProblemKind,
        message: String,
        node: &Node,
        place: &Place,
        help: Option<String>,
    ) -> bool {
        let skipped = place.mask & NONFATAL_UNKNOWN != 0;
        let severity = if skipped { Severity::Warning } else { Severity::Refused };
        self.report(severity, kind, message, node, help);
        !skipped
    }

    fn report(&mut self, severity: Severity, kind: ProblemKind, message: String, node: &Node, help: Option<String>) {
        self.problems.push(Problem {
            severity,
            kind,
            message,
            origin: Some(node.origin),
            reported: Some(node.reported()),
            help,
        });
    }
}

/// What a section admits, where `outer` is admitted around it (apache.md §1.8). In an `.htaccess` a section keeps what
/// the file is allowed.
fn section_mask(name: &str, outer: u32, htaccess: bool) -> u32 {
    match name {
        "requireall" | "requireany" | "requirenone" => OR_AUTHCFG,
        "authzprovideralias" | "authnprovideralias" => OR_AUTHCFG | ACCESS_CONF,
        "proxy" | "proxymatch" => OR_ALL | ACCESS_CONF | PROXY_CONF,
        "directory" | "directorymatch" | "location" | "locationmatch" => OR_ALL | ACCESS_CONF,
        "files" | "filesmatch" | "if" | "elseif" | "else" if !htaccess && outer == SERVER_LEVEL => OR_ALL | ACCESS_CONF,
        _ => outer,
    }
}

/// The known name nearest to one that nobody has, if it is near enough: one edit, or two for a long name.
fn similar(written: &str) -> Option<&'static str> {
    let lower = written.to_ascii_lowercase();
    let most = if lower.len() > 6 { 2 } else { 1 };
    directives::rows()
        .iter()
        .map(|row| (distance(&lower, &row.name.to_ascii_lowercase(), most), row.name))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Edits between two names (a swap of neighbours counts one); anything above `most` is `most + 1`.
fn distance(left: &str, right: &str, most: usize) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len().abs_diff(right.len()) > most {
        return most + 1;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let same = left[i - 1] == right[j - 1];
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + usize::from(!same));
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()].min(most + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::memory::MemoryFs;

    fn first(text: &str) -> Option<(String, u32, Option<String>)> {
        let fs = MemoryFs::new().file("/httpd.conf", text);
        let mut options = LoadOptions::new(Path::new("/httpd.conf"));
        options.modules = Some("mpm_event authz_core authz_host alias access_compat".into());
        let loaded = load(&options, &fs);
        first_refusal(&loaded.problems).map(|problem| {
            (problem.message.clone(), problem.reported.map_or(0, |(_, line)| line), problem.help.clone())
        })
    }

    fn refusal(text: &str) -> String {
        let (message, line, _) = first(text).unwrap_or_default();
        format!("{line}: {message}")
    }

    #[test]
    fn an_unloaded_module_is_named() {
        assert_eq!(refusal("\nRewriteEngine On\n"), "2: `RewriteEngine` needs mod_rewrite, which no LoadModule loads");
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        let (message, line, help) = first("DocumentRot /srv\n").expect("refused");
        assert!(message.starts_with("invalid command 'DocumentRot'"), "{message}");
        assert_eq!((line, help.as_deref()), (1, Some("did you mean `DocumentRoot`?")));
    }

    #[test]
    fn places_follow_the_masks() {
        assert_eq!(refusal("Require all denied\n"), "1: Require not allowed here");
        assert_eq!(refusal("Order allow,deny\n"), "1: order not allowed here");
        assert_eq!(
            refusal("<Directory /a>\nServerName x\n</Directory>\n"),
            "2: ServerName not allowed in <Directory> context"
        );
        assert_eq!(
            refusal("<Directory /a>\n<RequireAll>\nOptions None\n</RequireAll>\n</Directory>\n"),
            "3: Options not allowed in <RequireAll> context"
        );
        assert_eq!(refusal("Options None\n<Location /x>\nRequire all granted\n</Location>\n"), "0: ");
    }
}

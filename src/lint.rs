//! `why403 lint`: one configuration at a time through every rule that is on, then silenced, sorted and fixed.
//!
//! Problems of the parser and of the configuration check are findings too, all at once. A finding about access carries the
//! request that proves it; the rule has replayed it through the evaluator.

pub mod baseline;
pub mod fixing;
pub mod settings;
pub mod subject;
pub mod suppress;
pub mod targets;

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::finding::{Category, Finding, Level, Place};
use crate::fs::Filesystem;
use crate::outcome::Certainty;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::rules::blocks::Blocks;
use crate::rules::{self, Needs, Rule};
use crate::server::Server;
use crate::source::{Origin, SourceMap};
use crate::world::World;
use settings::{Loaded, RuleOptions};
use subject::{Findings, Subject};
use targets::Target;

/// Which rules run and how loud they are, beside the settings file.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `--select`.
    pub select: Vec<String>,
    /// `--ignore`.
    pub ignore: Vec<String>,
    /// `--level`.
    pub level: Option<Level>,
}

/// What one configuration gave.
#[derive(Debug, Default)]
pub struct Linted {
    /// Findings, sorted by place.
    pub findings: Vec<Finding>,
    /// The files that were read for it.
    pub files: Vec<PathBuf>,
    /// How many findings a comment silenced.
    pub silenced: usize,
}

/// Lints one loaded configuration.
pub fn lint(target: &Target, server: &Server, world: &World, settings: &Loaded, choice: &Choice) -> Linted {
    let sources = server.sources();
    let mut findings = problems(target, server);
    let refused = server.problems().iter().any(|problem| problem.severity == Severity::Refused);
    let default = RuleOptions::default();
    let (layout, spots) = (OnceCell::new(), OnceCell::new());
    let blocks = match server {
        Server::Nginx(config) => Some(Blocks::of(&config.loaded)),
        Server::Apache(_) => None,
    };
    let is_asked = |rule: &Rule| settings.may_be_on(rule, &choice.select, &choice.ignore);
    for rule in rules::ALL {
        let Some(check) = rule.check.filter(|_| is_asked(rule)) else { continue };
        // A refused configuration answers nothing, so nothing about access can be proven on it. What else is wrong with its
        // text is wrong all the same.
        if refused && rule.category == Category::Access && !target.fragment() {
            continue;
        }
        if !rule.servers.contains(&target.kind) {
            continue;
        }
        let options = settings.settings.rules.get(rule.id).unwrap_or(&default);
        let subject = Subject {
            server,
            world: *world,
            fragment: target.fragment(),
            tree: target.tree,
            options,
            layout: &layout,
            blocks: blocks.as_ref(),
            spots: &spots,
        };
        let mut found = Findings::new(rule, sources);
        check(&subject, &mut found);
        findings.extend(found.into_vec());
    }
    findings.retain(|finding| finding.place.file != target.wrapper());
    let mut files: Vec<PathBuf> =
        sources.files().map(|(_, file)| file.path.clone()).filter(|path| *path != target.wrapper()).collect();
    files.sort();
    files.dedup();
    let mut linted = Linted { files, ..Linted::default() };
    suppress(&mut findings, &mut linted.silenced, sources, target, &is_asked);
    for mut finding in findings {
        let Some(rule) = rules::find(finding.rule) else { continue };
        let Some(level) = settings.level(rule, &finding.place.file, &choice.select, &choice.ignore) else { continue };
        // A rule may raise or lower one finding; a level from the settings is for all of them.
        if level != rule.level {
            finding.level = level;
        }
        let lowest = choice.level.or(settings.settings.level).unwrap_or(Level::Info);
        if finding.level >= lowest && !settings.excludes(&finding.place.file) {
            linted.findings.push(finding);
        }
    }
    sort(&mut linted.findings);
    linted
}

/// By file, line, column, rule. The same said of the same text, which several blocks may include, is said once.
pub fn sort(findings: &mut Vec<Finding>) {
    // Comparing paths is slow, and there are few of them: their ranks are compared instead.
    let files: BTreeSet<&Path> = findings.iter().map(|finding| finding.place.file.as_path()).collect();
    let ranks: HashMap<&Path, usize> = files.into_iter().zip(0..).collect();
    let mut order: Vec<(usize, usize)> =
        findings.iter().map(|finding| ranks[finding.place.file.as_path()]).zip(0..).collect();
    order.sort_by(|&(left_rank, left), &(right_rank, right)| {
        let key = |rank: usize, at: usize| {
            let Finding { place, rule, message, .. } = &findings[at];
            (rank, place.line, place.column, place.end_line, place.end_column, *rule, message.as_str())
        };
        key(left_rank, left).cmp(&key(right_rank, right))
    });
    let mut unsorted: Vec<Option<Finding>> = std::mem::take(findings).into_iter().map(Some).collect();
    findings.extend(order.into_iter().filter_map(|(_, at)| unsorted[at].take()));
    findings.dedup_by(|one, other| (&one.place, one.rule, &one.message) == (&other.place, other.rule, &other.message));
}

/// The problems of the parser and of the configuration check as findings.
fn problems(target: &Target, server: &Server) -> Vec<Finding> {
    let sources = server.sources();
    let mut findings = Vec::new();
    for problem in server.problems() {
        let Some(mut rule) = rule_of(problem, sources) else { continue };
        let mut help = problem.help.clone();
        let name = problem.origin.map(|origin| first_word(sources.text(origin.span)));
        let gone = name.filter(|_| problem.kind == ProblemKind::UnknownDirective);
        if let Some(instead) = gone.and_then(|name| rules::removed_directive::replacement(target.kind, name)) {
            rule = &rules::removed_directive::RULE;
            help = Some(instead);
        }
        // In a fragment, another file may define the name, or load the module where nobody said which there are.
        let elsewhere = match problem.kind {
            ProblemKind::Reference => true,
            ProblemKind::MissingModule => matches!(target.options.modules.as_deref(), None | Some("all")),
            _ => false,
        };
        if target.fragment() && elsewhere {
            continue;
        }
        let mut found = Findings::new(rule, sources);
        let finding = match (problem.origin, problem.reported) {
            (Some(origin), _) => found.at(origin, problem.message.as_str()),
            (None, Some((file, line))) => {
                let file = sources.file(file).path.clone();
                found.at_place(Place { file, line, column: 1, end_line: line, end_column: 1 }, problem.message.as_str())
            }
            (None, None) => {
                let file = target.main.clone();
                found.at_place(Place { file, line: 1, column: 1, end_line: 1, end_column: 1 }, problem.message.as_str())
            }
        };
        if problem.severity == Severity::Warning {
            finding.level = Level::Warning;
        }
        // It is written for another build than Debian's, which may well have the module as a file.
        if problem.message.ends_with("is built into Debian's server, which refuses to load it") {
            finding.level = Level::Info;
        }
        finding.help = help;
        findings.extend(found.into_vec());
    }
    findings
}

/// The name of a directive.
fn first_word(text: &[u8]) -> &[u8] {
    text.split(|byte| byte.is_ascii_whitespace() || *byte == b';').next().unwrap_or_default()
}

/// The rule whose finding a problem is. Two warnings of nginx have rules of their own that know more.
fn rule_of(problem: &Problem, sources: &SourceMap) -> Option<&'static Rule> {
    let covered = ["conflicting server name ", "low address bits of ", "server name \""];
    if problem.severity == Severity::Warning && covered.iter().any(|start| problem.message.starts_with(start)) {
        return None;
    }
    if problem.message.starts_with("duplicate location ") {
        return rules::find("duplicate-location");
    }
    if problem.kind == ProblemKind::Value && problem.message.ends_with("\" directive is duplicate") {
        return rules::find("duplicate-directive");
    }
    if problem.message.starts_with("pcre2_compile() failed") || problem.message.starts_with("pcre_compile() failed") {
        return rules::find("regex-invalid");
    }
    if rules::negative_require_no_effect::is_meant(&problem.message) {
        return rules::find("negative-require-no-effect");
    }
    if rules::options_mixed_signs::is_meant(&problem.message) {
        return rules::find("options-mixed-signs");
    }
    let address = |origin: Origin| rules::invalid_network::takes_addresses(sources.text(origin.span));
    if problem.kind == ProblemKind::Value && problem.origin.is_some_and(address) {
        return rules::find("invalid-network");
    }
    rules::find(problem.kind.id())
}

/// Takes out what a comment silences; comments without a reason, or that silence nothing, become findings.
fn suppress(
    findings: &mut Vec<Finding>,
    silenced: &mut usize,
    sources: &SourceMap,
    target: &Target,
    is_asked: &dyn Fn(&Rule) -> bool,
) {
    let mut read: HashSet<&Path> = HashSet::new();
    let mut complaints = Vec::new();
    for (_, file) in sources.files() {
        if !read.insert(&file.path) {
            continue;
        }
        for suppression in suppress::find(&file.bytes, target.kind) {
            let place = Place {
                file: file.path.clone(),
                line: suppression.line,
                column: suppression.column,
                end_line: suppression.line,
                end_column: suppression.column,
            };
            let before = findings.len();
            if suppression.reason.is_empty() {
                complaints.push((place, "a suppression needs a reason after the `]`: it silences nothing".to_owned()));
                continue;
            }
            let mut idle = Vec::new();
            for rule in &suppression.rules {
                let before = findings.len();
                findings.retain(|finding| {
                    finding.place.file != file.path
                        || finding.rule != rule
                        || !suppression.covers(rule, finding.place.line)
                });
                // A rule that is off says nothing about its suppressions.
                if findings.len() == before && rules::find(rule).is_none_or(is_asked) {
                    idle.push(format!("`{rule}`"));
                }
            }
            *silenced += before - findings.len();
            if !idle.is_empty() {
                complaints.push((place, format!("this suppression of {} silences nothing", idle.join(", "))));
            }
        }
    }
    if let Some(rule) = rules::find("suppression-unused") {
        let mut found = Findings::new(rule, sources);
        for (place, message) in complaints {
            found.at_place(place, message);
        }
        findings.extend(found.into_vec());
    }
}

/// Edit distance with transpositions, for suggestions.
pub fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=right.len()).collect();
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let cost = usize::from(left[i - 1] != right[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + cost);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

/// Loads a target and lints it.
pub fn lint_target(
    target: &Target,
    fs: &dyn Filesystem,
    world: &World,
    settings: &Loaded,
    choice: &Choice,
) -> (Server, Linted) {
    let loading = target.filesystem(fs);
    let server = Server::load(target.kind, &target.options, &loading);
    let serving = target.filesystem(world.fs);
    let world = World { fs: &serving, ..*world };
    let mut linted = lint(target, &server, &world, settings, choice);
    if !target.tree {
        for finding in linted.findings.iter_mut().filter(|finding| finding.witness.is_some()) {
            if finding.certainty == Certainty::Certain
                && rules::find(finding.rule).is_some_and(|rule| rule.needs == Needs::Tree)
            {
                finding.certainty = Certainty::Conditional;
            }
        }
    }
    (server, linted)
}

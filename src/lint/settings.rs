//! `why403.toml`: which rules, how loud, for which paths, and what world the configuration lives in.
//!
//! Unknown keys are errors with their place. The schema is in `docs/schema/why403.toml.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::finding::{Category, Level};
use crate::rules::{self, Rule};

/// The file as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// Rules switched on beside the default ones: ids, categories, `core`, `all`.
    #[serde(default)]
    pub select: Vec<String>,
    /// Rules switched off: ids or categories. Wins over `select`.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The lowest level reported.
    pub level: Option<Level>,
    /// The lowest level that makes the exit status 1.
    pub fail_on: Option<Level>,
    /// A level of one's own for a rule.
    #[serde(default)]
    pub severity: BTreeMap<String, Level>,
    /// Files left out, as globs relative to this file.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Settings for some paths only.
    #[serde(default)]
    pub path: Vec<PathSettings>,
    /// The world the configuration lives in.
    #[serde(default)]
    pub server: ServerSettings,
    /// Options of single rules, by id.
    #[serde(default)]
    pub rules: BTreeMap<String, RuleOptions>,
}

/// `[[path]]`: what differs for some files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PathSettings {
    /// Glob relative to the settings file; `**` crosses directories.
    pub glob: String,
    /// Rules switched on here.
    #[serde(default)]
    pub select: Vec<String>,
    /// Rules switched off here.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Levels of one's own here.
    #[serde(default)]
    pub severity: BTreeMap<String, Level>,
}

/// `[server]`: the same as the command line's options of these names, which win.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServerSettings {
    /// `nginx` or `apache`.
    pub kind: Option<String>,
    /// `--server-version`.
    pub version: Option<String>,
    /// `--modules`.
    pub modules: Option<String>,
    /// `--root`, relative to this file.
    pub root: Option<PathBuf>,
    /// `--prefix`.
    pub prefix: Option<PathBuf>,
    /// `--worker`.
    pub worker: Option<String>,
    /// Main files to lint where the command line names a directory, relative to this file.
    #[serde(default)]
    pub config: Vec<PathBuf>,
}

/// `[rules.ID]`: lists and numbers that a rule documents on its page.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleOptions {
    /// URLs or names that the rule tries instead of its own list.
    pub probes: Option<Vec<String>>,
    /// Networks that the rule takes as the site's own proxies.
    pub trusted: Option<Vec<String>>,
    /// Places where what the rule flags is wanted, as path prefixes.
    pub allow: Option<Vec<String>>,
}

/// A settings file with the directory that its globs are relative to.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// Where the file lies; empty for none.
    pub base: PathBuf,
    /// What it says.
    pub settings: Settings,
}

/// The name looked for, upwards from the file that is linted.
pub const FILE_NAME: &str = "why403.toml";

/// Reads settings.
///
/// # Errors
/// A message with line and column for text that is no TOML, an unknown key, a rule or category that does not exist, or a glob
/// that cannot be read.
pub fn parse(text: &str) -> Result<Settings, String> {
    let settings: Settings = toml::from_str(text).map_err(|error| error.to_string())?;
    let paths = settings.path.iter().flat_map(|path| path.select.iter().chain(&path.ignore));
    for name in settings.select.iter().chain(&settings.ignore).chain(paths) {
        check_selector(name)?;
    }
    let levels = settings.path.iter().flat_map(|path| path.severity.keys());
    for id in settings.severity.keys().chain(levels).chain(settings.rules.keys()) {
        if rules::find(id).is_none() {
            return Err(no_such_rule(id));
        }
    }
    for pattern in settings.exclude.iter().chain(settings.path.iter().map(|path| &path.glob)) {
        glob::Pattern::new(pattern).map_err(|error| format!("glob `{pattern}`: {error}"))?;
    }
    Ok(settings)
}

/// Whether a selector names something: a rule, a category, `core` or `all`.
///
/// # Errors
/// A message that names the nearest rule.
pub fn check_selector(name: &str) -> Result<(), String> {
    let known = matches!(name, "core" | "all") || category(name).is_some() || rules::find(name).is_some();
    if known { Ok(()) } else { Err(format!("there is no rule or category `{name}`{}", near(name))) }
}

/// The message for an id that is no rule's, with the nearest one that is.
pub fn no_such_rule(id: &str) -> String {
    format!("there is no rule `{id}`{}", near(id))
}

fn near(name: &str) -> String {
    let best = rules::ALL.iter().map(|rule| (crate::lint::distance(name, rule.id), rule.id)).min();
    match best {
        Some((distance, id)) if distance <= 3 => format!("; did you mean `{id}`?"),
        _ => String::new(),
    }
}

fn category(name: &str) -> Option<Category> {
    use Category::{Access, Correctness, Performance, Security, Style};
    [Access, Security, Correctness, Performance, Style].into_iter().find(|category| category.name() == name)
}

fn selects(name: &str, rule: &Rule) -> bool {
    name == "all" || name == rule.id || name == rule.category.name() || (name == "core" && rule.core)
}

impl Loaded {
    /// The level of a rule for a file, or `None` where it is off. `select` and `ignore` are the command line's and win.
    pub fn level(&self, rule: &Rule, file: &Path, select: &[String], ignore: &[String]) -> Option<Level> {
        let named = |names: &[String]| names.iter().any(|name| selects(name, rule));
        let mut on = rule.default || named(&self.settings.select);
        let mut level = self.settings.severity.get(rule.id).copied().unwrap_or(rule.level);
        on &= !named(&self.settings.ignore);
        let relative = file.strip_prefix(&self.base).unwrap_or(file);
        for path in &self.settings.path {
            let hit = glob::Pattern::new(&path.glob).is_ok_and(|pattern| pattern.matches_path(relative));
            if hit {
                on = (on || named(&path.select)) && !named(&path.ignore);
                level = path.severity.get(rule.id).copied().unwrap_or(level);
            }
        }
        on = (on || named(select)) && !named(ignore);
        on.then_some(level)
    }

    /// Whether a rule may be on for some file: one that is off everywhere need not be asked.
    pub fn may_be_on(&self, rule: &Rule, select: &[String], ignore: &[String]) -> bool {
        let named = |names: &[String]| names.iter().any(|name| selects(name, rule));
        let on = rule.default || named(select) || named(&self.settings.select);
        (on || self.settings.path.iter().any(|path| named(&path.select))) && !named(ignore)
    }

    /// Whether a file is left out.
    pub fn excludes(&self, file: &Path) -> bool {
        let relative = file.strip_prefix(&self.base).unwrap_or(file);
        self.settings.exclude.iter().any(|glob| glob::Pattern::new(glob).is_ok_and(|glob| glob.matches_path(relative)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("level = \"info\"\nselekt = [\"style\"]\n").expect_err("an error");
        assert!(error.contains("line 2") && error.contains("selekt"), "{error}");
    }

    #[test]
    fn a_misspelt_rule_is_an_error_with_a_suggestion() {
        let error = parse("ignore = [\"sintax-error\"]").expect_err("an error");
        assert!(error.contains("did you mean `syntax-error`"), "{error}");
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_paths_over_the_rest() {
        let text = "ignore = [\"syntax-error\"]\n[[path]]\nglob = \"new/**\"\nselect = [\"syntax-error\"]\nseverity = { syntax-error = \"info\" }\n";
        let loaded = Loaded { base: PathBuf::from("/etc"), settings: parse(text).expect("settings") };
        let rule = rules::find("syntax-error").expect("a rule");
        assert_eq!(loaded.level(rule, Path::new("/etc/old/a.conf"), &[], &[]), None);
        assert_eq!(loaded.level(rule, Path::new("/etc/new/a.conf"), &[], &[]), Some(Level::Info));
        assert_eq!(loaded.level(rule, Path::new("/etc/old/a.conf"), &["core".to_owned()], &[]), Some(Level::Error));
        assert_eq!(loaded.level(rule, Path::new("/etc/new/a.conf"), &[], &["correctness".to_owned()]), None);
    }

    #[test]
    fn a_rule_that_is_off_everywhere_is_not_asked() {
        let loaded = |text: &str| Loaded { settings: parse(text).expect("settings"), base: PathBuf::from("/") };
        let rule = rules::find("trailing-whitespace").expect("a rule");
        let (style, none): (&[String], &[String]) = (&["style".to_owned()], &[]);
        assert!(!rule.default && !loaded("").may_be_on(rule, none, none));
        assert!(loaded("").may_be_on(rule, style, none) && !loaded("").may_be_on(rule, style, style));
        assert!(loaded("[[path]]\nglob = \"new/**\"\nselect = [\"style\"]\n").may_be_on(rule, none, none));
    }
}

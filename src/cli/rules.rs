//! `why403 rule ID` and `why403 rules`.

use std::io::Write;

use clap::Args;

use super::{ANSWERED, Failure, written};
use crate::rules;

/// Options of `why403 rule`.
#[derive(Debug, Args)]
pub(super) struct RuleOptions {
    /// The rule's id
    id: String,
}

/// Prints a rule's page.
pub(super) fn page(options: &RuleOptions, out: &mut dyn Write) -> Result<u8, Failure> {
    let rule = match rules::find(&options.id) {
        Some(rule) => rule,
        None => return Err(crate::lint::settings::no_such_rule(&options.id).into()),
    };
    written(out.write_all(rules::document(rule).as_bytes()))?;
    Ok(ANSWERED)
}

/// Lists every rule: id, level, category, title.
pub(super) fn list(out: &mut dyn Write) -> Result<u8, Failure> {
    let width = rules::ALL.iter().map(|rule| rule.id.len()).max().unwrap_or(0);
    for rule in rules::ALL {
        let default = if rule.default { "" } else { " (opt-in)" };
        let (level, category) = (rule.level.name(), rule.category.name());
        written(writeln!(out, "{:width$}  {level:7}  {category:11}  {}{default}", rule.id, rule.title))?;
    }
    Ok(ANSWERED)
}

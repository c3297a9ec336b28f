//! mod_env: `SetEnv`, `PassEnv`, `UnsetEnv`. A fixup: what it sets is too late for `Require env` and `Deny from env=`,
//! but a sub-request made by an even later fixup inherits it.

use std::sync::Arc;

use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::process_environment;
use crate::fact::{Fact, Question};

/// What a place sets and unsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    variables: Vec<(Arc<[u8]>, Value)>,
    unset: Vec<Vec<u8>>,
}

#[derive(Clone, Debug)]
enum Value {
    /// `SetEnv`.
    Text(Arc<[u8]>),
    /// `PassEnv`: from the environment of the server.
    Inherited,
}

impl Record {
    /// The base's variables without those that the new place unsets, then the new ones.
    pub fn merge(base: &Record, new: &Record) -> Record {
        let mut merged = base.clone();
        merged.variables.retain(|(name, _)| !new.unset.iter().any(|unset| unset.eq_ignore_ascii_case(name)));
        for (name, value) in &new.variables {
            merged.set(name, value.clone());
        }
        merged
    }

    fn set(&mut self, name: &[u8], value: Value) {
        match self.variables.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name.into(), value)),
        }
    }
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, dir: &mut Record) {
    match (cmd.name, cmd.arg(0)) {
        ("SetEnv", Some(name)) => dir.set(name, Value::Text(cmd.arg(1).unwrap_or_default().into())),
        ("PassEnv", _) => {
            for name in &cmd.args {
                dir.set(name, Value::Inherited);
            }
        }
        ("UnsetEnv", _) => {
            for name in &cmd.args {
                dir.unset.push(name.to_vec());
                dir.variables.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            }
        }
        _ => {}
    }
}

/// fixups: a variable that something has set already keeps its value.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.per_dir.env.clone() else { return Handled::Declined };
    for (name, value) in &record.variables {
        if r.subprocess_env.contains(name) {
            continue;
        }
        match value {
            Value::Text(text) => r.subprocess_env.set(name, text),
            Value::Inherited => match process_environment(name, cx) {
                Fact::Known(Some(text)) => r.subprocess_env.set(name, &text),
                Fact::Known(None) => {}
                // Set to something; what it is matters to nobody but a condition on it, which asks again.
                Fact::Unknown(Question { .. }) => {}
            },
        }
    }
    Handled::Ok
}

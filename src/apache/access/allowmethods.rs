//! mod_allowmethods: `AllowMethods GET POST` answers 405 to the rest, before anything else of the access phase.

use crate::apache::model::{Command, MethodSet};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::cause;
use crate::outcome::Decision;
use crate::source::Setting;

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// The methods allowed; none at all: `reset`, everything is.
    allowed: Option<Setting<MethodSet>>,
}

impl DirRecord {
    /// am_merge_conf.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord { allowed: new.allowed.or(base.allowed) }
    }
}

/// `AllowMethods reset|METHOD…`; a further line in the same section adds to the first.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    let mut methods = dir.allowed.map_or(MethodSet(0), |allowed| allowed.value);
    if cmd.args.len() == 1 && cmd.args[0].eq_ignore_ascii_case(b"reset") {
        methods = MethodSet(0);
    } else {
        for name in &cmd.args {
            methods.0 |= 1 << cmd.methods.number(name);
        }
    }
    dir.allowed = Some(Setting::new(methods, cmd.origin));
}

/// am_check_access.
pub(crate) fn check_access<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    match r.per_dir.allowmethods.as_ref().and_then(|record| record.allowed) {
        Some(allowed) if allowed.value.0 != 0 && !allowed.value.contains(r.method_number) => {
            r.refuse(Decision::new(&cause::apache::ALLOW_METHODS).by(allowed.origin), 405)
        }
        _ => Handled::Ok,
    }
}

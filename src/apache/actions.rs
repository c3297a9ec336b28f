//! mod_actions: `Action` hands a type or a handler to a script, `Script` a method, by an internal redirect.

use crate::apache::escape::escape_uri;
use crate::apache::model::{Command, M_GET};
use crate::apache::request::{Cx, Handled, RequestRec, subrequest};
use crate::cause;
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// What a place says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    actions: Vec<(Vec<u8>, Setting<Action>)>,
    scripts: Vec<(u8, Setting<Vec<u8>>)>,
}

#[derive(Clone, Debug)]
struct Action {
    script: Vec<u8>,
    /// Also for files that do not exist.
    is_virtual: bool,
}

impl DirRecord {
    /// By type and by method, what was said later.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        DirRecord {
            actions: new.actions.iter().chain(&base.actions).cloned().collect(),
            scripts: new.scripts.iter().chain(&base.scripts).cloned().collect(),
        }
    }
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    let (Some(key), Some(script)) = (cmd.arg(0), cmd.arg(1)) else { return };
    if cmd.name == "Script" {
        // Looked up from the front: what stands first was said last.
        dir.scripts.insert(0, (cmd.methods.number(key), Setting::new(script.to_vec(), cmd.origin)));
        return;
    }
    let is_virtual = cmd.arg(2).is_some_and(|word| word.eq_ignore_ascii_case(b"virtual"));
    let action = Action { script: script.to_vec(), is_virtual };
    dir.actions.insert(0, (key.to_vec(), Setting::new(action, cmd.origin)));
}

/// The handler before the default one: it looks at every request.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.per_dir.actions.clone() else { return Handled::Declined };
    let by_method = r.method_number != M_GET || r.args.is_some();
    let mut script = record
        .scripts
        .iter()
        .find(|(method, _)| by_method && *method == r.method_number)
        .map(|(_, script)| (script.value.clone(), script.origin));
    // A script that is answered by itself would go on for ever.
    if script.is_some() && r.prev.as_ref().is_some_and(|prev| prev.prev.is_some()) {
        return Handled::Declined;
    }
    // A media type has become the handler's name where no handler was set.
    let key = r.handler.as_ref().map(|handler| handler.value.clone());
    if let Some(key) = key
        && let Some((_, action)) = record.actions.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key))
    {
        if !action.value.is_virtual && r.finfo.is_none() {
            return r.refuse(Decision::new(&cause::apache::ACTION_FILE_MISSING).by(action.origin), 404);
        }
        r.subprocess_env.set(b"HANDLER", &key);
        script = Some((action.value.script.clone(), action.origin));
    }
    match script {
        Some((script, origin)) => redirect(script, origin, r, cx),
        None => Handled::Declined,
    }
}

fn redirect<'c>(mut url: Vec<u8>, origin: Option<Origin>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    url.extend_from_slice(&escape_uri(&r.uri));
    if let Some(args) = &r.args {
        url.push(b'?');
        url.extend_from_slice(args);
    }
    r.redirected_by = origin;
    subrequest::internal_redirect(&url, r, cx)
}

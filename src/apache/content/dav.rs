//! mod_dav: which requests it takes. What it does with them depends on locks and on what clients wrote before.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::model::{Command, M_GET, M_OPTIONS, M_POST};
use crate::apache::request::{Cx, Handled, RequestRec, handler_is};
use crate::cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::source::Setting;

/// The handler that mod_dav sets.
const DAV_HANDLER: &str = "dav-handler";

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    enabled: Option<Setting<bool>>,
}

impl DirRecord {
    /// dav_merge_dir_config: what is on cannot be switched off further inside (AH00578).
    pub fn merge(base: &Self, new: &Self) -> Self {
        let stays = base.enabled.filter(|base| base.value && new.enabled.is_some_and(|new| !new.value));
        DirRecord { enabled: stays.or(new.enabled).or(base.enabled) }
    }

    /// `Dav on|off|provider`.
    pub fn command(&mut self, cmd: &Command) {
        if cmd.name.eq_ignore_ascii_case("dav") {
            let off = cmd.arg(0).is_some_and(|word| word.eq_ignore_ascii_case(b"off"));
            self.enabled = Some(Setting::new(!off, cmd.origin));
        }
    }
}

fn enabled(r: &RequestRec) -> Option<Setting<bool>> {
    r.per_dir.dav.as_ref().and_then(|record| record.enabled).filter(|enabled| enabled.value)
}

/// dav_fixups: everything but GET, HEAD and POST, which the file system provider leaves to others.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    let Some(setting) = enabled(r) else { return Handled::Declined };
    if matches!(r.method_number, M_GET | M_POST) {
        return Handled::Declined;
    }
    r.handler = Some(Setting { value: DAV_HANDLER.as_bytes().to_vec(), origin: setting.origin });
    Handled::Ok
}

/// dav_handler, and the guard of mod_dav_fs over its state directory.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(setting) = enabled(r) else { return Handled::Declined };
    let filename = r.filename.clone().unwrap_or_default();
    if filename.split(|&byte| byte == b'/').any(|part| part == b".DAV") {
        let mut decision = Decision::new(&cause::apache::DAV_STATE_DIR).by(setting.origin);
        decision.path = Some(Path::new(OsStr::from_bytes(&filename)).to_path_buf());
        return r.refuse(decision, 403);
    }
    if !handler_is(r, DAV_HANDLER) {
        return Handled::Declined;
    }
    match r.method_number {
        // dav_fs_get_resource: no resource has a name behind a file's. Case: webdav-names-no-path-behind-a-file.
        M_OPTIONS if r.is_regular() && !r.path_info.is_empty() => {
            r.refuse(Decision::new(&cause::apache::DAV_EXTRA_PATH).by(setting.origin), 400)
        }
        M_OPTIONS => Handled::Ok,
        _ => cx.unanswerable(Subject::Opaque("Dav".to_owned()), setting.origin),
    }
}

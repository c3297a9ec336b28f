//! The core's default handler: serves the file (default_handler in server/core.c).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::filters;
use crate::apache::model::{M_GET, M_INVALID, M_OPTIONS, M_POST};
use crate::apache::request::{Cx, Handled, RequestRec, conditional, proceed};
use crate::cause;
use crate::cause::Cause;
use crate::fact::Subject;
use crate::fs::FileKind;
use crate::outcome::Decision;

/// GET and POST serve the file, OPTIONS is answered whatever is there, everything else is 405 or 501.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(discard_request_body(r));
    match r.method_number {
        M_GET | M_POST => file(r, cx),
        M_OPTIONS => Handled::Ok,
        M_INVALID => r.refuse(Decision::new(&cause::apache::UNKNOWN_METHOD), 501),
        _ => r.refuse(Decision::new(&cause::apache::METHOD_NOT_ALLOWED), 405),
    }
}

fn not_found(r: &mut RequestRec, cause: &'static Cause) -> Handled {
    let mut decision = Decision::new(cause).by(r.mapped_by);
    decision.default = r.mapped_by.is_none();
    decision.path = r.filename.as_deref().map(|name| Path::new(OsStr::from_bytes(name)).to_path_buf());
    r.refuse(decision, 404)
}

fn file<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(stat) = r.finfo.clone() else { return not_found(r, &cause::apache::NOT_FOUND) };
    if stat.kind == FileKind::Directory {
        return not_found(r, &cause::apache::DIRECTORY_NOT_SERVED);
    }
    if r.used_path_info != Some(true) && !r.path_info.is_empty() {
        return not_found(r, &cause::apache::PATH_INFO_NOT_ACCEPTED);
    }
    let filename = r.filename.clone().unwrap_or_default();
    if let Err(denied) = cx.disk.open_read(Path::new(OsStr::from_bytes(&filename))) {
        let mut decision = Decision::new(&cause::apache::FILE_PERMISSION).by(r.mapped_by);
        decision.default = r.mapped_by.is_none();
        decision.path = Some(denied.path);
        return r.refuse(decision, 403);
    }
    if stat.kind == FileKind::Fifo {
        // open(2) waits for a writer that never comes.
        let mut decision = Decision::new(&cause::apache::FIFO_BLOCKS).by(r.mapped_by);
        decision.path = r.filename.as_deref().map(|name| Path::new(OsStr::from_bytes(name)).to_path_buf());
        r.decision = Some(decision);
        return Handled::Closed;
    }
    if let Some(limit) = filters::too_long(r, &stat, cx) {
        return cx.unanswerable(Subject::Opaque("SubstituteMaxLineLength".to_owned()), limit);
    }
    conditional::answer(r, &stat, cx)
}

/// ap_discard_request_body: a body longer than LimitRequestBody is refused when it is read, after all access checks.
pub(crate) fn discard_request_body(r: &mut RequestRec) -> Handled {
    const DEFAULT_LIMIT: u64 = 1 << 30;
    if r.main.is_some() {
        return Handled::Ok;
    }
    let setting = r.per_dir.core.limit_request_body;
    let limit = setting.map_or(DEFAULT_LIMIT, |setting| setting.value);
    let length =
        r.headers_in.get(b"Content-Length").and_then(|text| std::str::from_utf8(text).ok()?.parse::<u64>().ok());
    if limit == 0 || length.is_none_or(|length| length <= limit) {
        return Handled::Ok;
    }
    let mut decision = Decision::new(&cause::apache::BODY_TOO_LARGE).by(setting.and_then(|setting| setting.origin));
    decision.default = setting.is_none();
    r.refuse(decision, 413)
}

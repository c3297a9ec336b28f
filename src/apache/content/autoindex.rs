//! mod_autoindex: a listing, where Options has Indexes and the worker may read the directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::content::dir::DIR_MAGIC_TYPE;
use crate::apache::core::options;
use crate::apache::model::M_GET;
use crate::apache::request::{Cx, Handled, RequestRec, conditional, handler_is};
use crate::cause;
use crate::outcome::{Decision, Related};
use crate::source::Origin;

/// handle_autoindex: GET and HEAD only; other methods go on to the default handler.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("autoindex_module") || !handler_is(r, DIR_MAGIC_TYPE) || !r.is_directory() {
        return Handled::Declined;
    }
    if r.method_number != M_GET {
        return Handled::Declined;
    }
    if !r.per_dir.core.options.has(options::INDEXES) {
        return forbidden(r);
    }
    let filename = r.filename.clone().unwrap_or_default();
    match cx.disk.open_dir(Path::new(OsStr::from_bytes(&filename))) {
        Ok(_) if r.header_only() => Handled::Ok,
        Ok(_) => {
            // The frame of a listing alone has more than two hundred bytes; names, sizes and dates make the rest.
            let listing = format!("the listing of {}", String::from_utf8_lossy(&filename));
            conditional::made_up(r, &listing, 200, cx)
        }
        Err(denied) => {
            let mut decision = Decision::new(&cause::apache::AUTOINDEX_UNREADABLE).by(r.mapped_by);
            decision.path = Some(denied.path);
            r.refuse(decision, 403)
        }
    }
}

/// No listing: the Options line in force lacks Indexes; where none is written, the index line is the nearest to change.
fn forbidden(r: &mut RequestRec) -> Handled {
    let settled: Option<Origin> = r.per_dir.core.options.origin_of(options::INDEXES);
    let index = r.per_dir.dir.as_ref().and_then(|record| record.index_names.as_ref()).and_then(|names| names.origin);
    let mut decision = Decision::new(&cause::apache::AUTOINDEX_FORBIDDEN).by(settled.or(index).or(r.mapped_by));
    decision.default = settled.is_none();
    let index = index.filter(|origin| decision.directive != Some(*origin));
    decision.related.extend(index.map(|origin| Related { role: "index", origin }));
    r.refuse(decision, 403)
}

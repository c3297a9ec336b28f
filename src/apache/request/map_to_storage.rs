//! map_to_storage: TRACE and `OPTIONS *` are answered here, before any section is merged; everything else walks the
//! directories, then the files.

use crate::apache::model::{M_OPTIONS, M_TRACE};
use crate::apache::proxy;
use crate::apache::request::directory_walk::directory_walk;
use crate::apache::request::file_walk::file_walk;
use crate::apache::request::{Cx, Handled, RequestRec, proceed};
use crate::cause;
use crate::outcome::Decision;

/// ap_run_map_to_storage.
pub(crate) fn map_to_storage<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    // What goes to another server is answered there, TRACE too.
    if proxy::is_mapped(r) {
        return proxy::walk(r, cx);
    }
    if r.method_number == M_TRACE {
        return trace(r);
    }
    if r.method_number == M_OPTIONS && r.uri == b"*" {
        return Handled::Done;
    }
    proceed!(directory_walk(r, cx));
    file_walk(r, cx)
}

/// ap_send_http_trace: `TraceEnable Off` is the one directive that matters.
pub(crate) fn trace(r: &mut RequestRec) -> Handled {
    match r.server.core.trace_enable {
        Some(enabled) if !enabled.value => {
            r.refuse(Decision::new(&cause::apache::TRACE_DISABLED).by(enabled.origin), 405)
        }
        _ if has_body(r) => r.refuse(Decision::new(&cause::apache::TRACE_BODY), 413),
        _ => Handled::Done,
    }
}

fn has_body(r: &RequestRec) -> bool {
    r.headers_in.contains(b"Transfer-Encoding")
        || r.headers_in.get(b"Content-Length").is_some_and(|length| length != b"0")
}

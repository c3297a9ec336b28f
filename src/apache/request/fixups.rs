//! What the file is, and the last changes before a handler: type_checker and fixups.

use crate::apache::core::Handler;
use crate::apache::expr::Failure;
use crate::apache::request::{Cx, Handled, Hook, RequestRec, expr_text, proceed, run_all, run_first};
use crate::apache::{mime, negotiation};
use crate::cause;
use crate::outcome::Decision;
use crate::source::Setting;

/// Variants first, then types by name.
const TYPE_CHECKER: [Hook; 2] = [negotiation::find_ct, mime::find_ct];

/// ap_run_type_checker, then the core's overrides, which run first among the fixups (core_override_type).
pub(crate) fn type_checker<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    proceed!(run_first(&TYPE_CHECKER, r, cx));
    override_type(r, cx)
}

/// ap_run_fixups.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let config = cx.config;
    run_all(&config.hooks.fixups, r, cx)
}

/// ForceType, SetHandler, AcceptPathInfo.
fn override_type<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let core = &r.per_dir.core;
    if let Some(mime_type) = core.mime_type.clone().filter(|mime_type| mime_type.value != b"none") {
        r.content_type = Some(mime_type.value);
        r.content_type_by = mime_type.origin;
    }
    if let Some(handler) = r.per_dir.core.handler.clone() {
        let name = match &handler.value {
            Handler::Name(name) => name.clone(),
            Handler::Expr(text) => match expr_text(text, r, cx) {
                Ok(name) if name.windows(10).any(|part| part == b"proxy:unix") => name,
                Ok(name) => name.to_ascii_lowercase(),
                Err(Failure::Unknown) => return Handled::Unknown,
                Err(Failure::Error(_)) => {
                    return r.refuse(Decision::new(&cause::apache::HANDLER_EXPR).by(handler.origin), 500);
                }
            },
        };
        if name != b"none" {
            r.handler = Some(Setting { value: name, origin: handler.origin });
        }
    }
    if r.used_path_info.is_none() {
        r.used_path_info = r.per_dir.core.accept_path_info.map(|setting| setting.value);
    }
    Handled::Ok
}

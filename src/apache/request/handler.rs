//! The handlers (ap_invoke_handler): the first that does not decline answers.

use crate::apache::access::form;
use crate::apache::content::{asis, autoindex, cgi, dav, default_handler};
use crate::apache::model::{M_GET, M_POST};
use crate::apache::request::subrequest::internal_redirect;
use crate::apache::request::{Cx, Handled, Hook, RequestRec, conditional, handler_is, run_first};
use crate::apache::{actions, negotiation, opaque, proxy};
use crate::cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::source::Setting;
use crate::trace::apache::Event;

/// The handlers in order; each looks at `r.handler` first. The default handler takes what is left.
const HANDLERS: [Hook; 12] = [
    proxy::handler,
    redirect_handler,
    status_handlers,
    form::handler,
    dav::handler,
    cgi::handler,
    asis::handler,
    negotiation::type_map_handler,
    other_handlers,
    autoindex::handler,
    actions::handler,
    default_handler::handler,
];

/// ap_invoke_handler: without a handler the media type is one's name.
pub(crate) fn invoke<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if r.handler.is_none() {
        r.handler = Some(match &r.content_type {
            Some(media) => Setting { value: without_parameters(media).to_vec(), origin: r.content_type_by },
            None => Setting::default_value(b"default-handler".to_vec()),
        });
    }
    let name = r.handler.as_ref().map(|handler| handler.value.clone()).unwrap_or_default();
    cx.note("handler", r.handler.as_ref().and_then(|handler| handler.origin), || Event::Handler { name });
    match run_first(&HANDLERS, r, cx) {
        Handled::Declined => r.refuse(Decision::new(&cause::apache::NO_HANDLER), 500),
        handled => handled,
    }
}

/// ap_field_noparam: `text/html` of `text/html; charset=utf-8`.
fn without_parameters(media: &[u8]) -> &[u8] {
    media.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end()
}

/// mod_rewrite's redirect-handler: the per-directory rules left a path in the file name.
fn redirect_handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !handler_is(r, "redirect-handler") {
        return Handled::Declined;
    }
    let filename = r.filename.clone().unwrap_or_default();
    let Some(target) = filename.strip_prefix(b"redirect:") else { return Handled::Declined };
    let mut uri = target.to_vec();
    if let Some(args) = &r.args {
        uri.push(b'?');
        uri.extend_from_slice(args);
    }
    internal_redirect(&uri, r, cx)
}

/// Pages that modules make up themselves.
fn status_handlers<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    const PAGES: [(&str, &str); 5] = [
        ("server-status", "status_module"),
        ("server-info", "info_module"),
        ("balancer-manager", "proxy_balancer_module"),
        ("ldap-status", "ldap_module"),
        ("md-status", "md_module"),
    ];
    let page = PAGES.iter().find(|(name, module)| handler_is(r, name) && cx.has_module(module));
    match page {
        // The others write the page for HEAD, too, and nobody sends it.
        Some(("ldap-status", _)) if r.header_only() => Handled::Ok,
        Some((name, _)) if r.method_number == M_GET || r.method_number == M_POST && *name == "balancer-manager" => {
            conditional::made_up(r, &format!("the page of {name}"), 1, cx)
        }
        Some(("md-status", _)) => {
            let by = r.handler.as_ref().and_then(|handler| handler.origin);
            r.refuse(Decision::new(&cause::apache::METHOD_NOT_IMPLEMENTED).by(by), 501)
        }
        _ => Handled::Declined,
    }
}

/// Handlers of script modules and of modules that are not simulated.
fn other_handlers<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(handler) = r.handler.clone() else { return Handled::Declined };
    if opaque::is_script_handler(&handler.value, |module| cx.has_module(module)) && r.is_regular() {
        return Handled::Upstream;
    }
    let known = |module: &str| cx.has_module(module);
    if opaque::is_opaque_handler(&handler.value, known) || opaque::is_script_handler(&handler.value, known) {
        let name = String::from_utf8_lossy(&handler.value);
        return cx.unanswerable(Subject::Opaque(format!("SetHandler {name}")), handler.origin);
    }
    Handled::Declined
}

//! The handlers (ap_invoke_handler): the first that does not decline answers.

use crate::apache::content::{asis, autoindex, cgi, default_handler};
use crate::apache::model::{M_GET, M_POST};
use crate::apache::request::subrequest::internal_redirect;
use crate::apache::request::{Cx, Handled, Hook, RequestRec, handler_is, run_first};
use crate::apache::{actions, negotiation, proxy};
use crate::cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::source::Setting;
use crate::trace::apache::Event;

/// The handlers in order; each looks at `r.handler` first. The default handler takes what is left.
const HANDLERS: [Hook; 10] = [
    proxy::handler,
    redirect_handler,
    status_handlers,
    cgi::handler,
    asis::handler,
    negotiation::type_map_handler,
    other_handlers,
    autoindex::handler,
    actions::handler,
    default_handler::handler,
];

/// ap_invoke_handler: a media type that the configuration set acts as handler name.
pub(crate) fn invoke<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if r.handler.is_none() {
        let trusted = r.content_type.as_ref().filter(|_| r.content_type_trusted);
        let name = match trusted {
            Some(media) => media.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end().to_vec(),
            None => b"default-handler".to_vec(),
        };
        r.handler = Some(Setting::default_value(name));
    }
    let name = r.handler.as_ref().map(|handler| handler.value.clone()).unwrap_or_default();
    cx.note("handler", r.handler.as_ref().and_then(|handler| handler.origin), || Event::Handler { name });
    match run_first(&HANDLERS, r, cx) {
        Handled::Declined => r.refuse(Decision::new(&cause::apache::NO_HANDLER), 500),
        handled => handled,
    }
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
    const PAGES: [(&str, &str, bool); 4] = [
        ("server-status", "status_module", false),
        ("server-info", "info_module", false),
        ("balancer-manager", "proxy_balancer_module", true),
        ("ldap-status", "ldap_module", false),
    ];
    let page = PAGES.iter().find(|(name, module, _)| handler_is(r, name) && cx.has_module(module));
    match page {
        Some((_, _, post)) if r.method_number == M_GET || (*post && r.method_number == M_POST) => Handled::Ok,
        _ => Handled::Declined,
    }
}

/// Handlers of modules that are not simulated: what they answer is not known.
fn other_handlers<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    const OPAQUE: [(&str, &str); 9] = [
        ("lua-script", "lua_module"),
        ("imap-file", "imagemap_module"),
        ("application/x-httpd-imap", "imagemap_module"),
        ("heartbeat", "heartmonitor_module"),
        ("form-login-handler", "auth_form_module"),
        ("form-logout-handler", "auth_form_module"),
        ("form-redirect-handler", "auth_form_module"),
        ("case-filter", "case_filter_module"),
        ("isapi-handler", "isapi_module"),
    ];
    let found = OPAQUE.iter().find(|(name, module)| handler_is(r, name) && cx.has_module(module));
    match found {
        Some((name, _)) => {
            let origin = r.handler.as_ref().and_then(|handler| handler.origin);
            cx.unanswerable(Subject::Opaque(format!("SetHandler {name}")), origin)
        }
        None => Handled::Declined,
    }
}

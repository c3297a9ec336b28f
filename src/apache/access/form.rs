//! mod_auth_form: a login that stands in a session or in a posted form. A request that has neither is sent to the login
//! page or refused; what a session or a form holds is not known here.

use std::sync::Arc;

use crate::apache::access::authn::{auth_type, challenge};
use crate::apache::expr::{self, Failure, StringExpr};
use crate::apache::model::{Command, M_POST};
use crate::apache::request::{Cx, Handled, RequestRec, expr_text, handler_is};
use crate::cause;
use crate::cause::Cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::source::Setting;

type Page = Option<Setting<Arc<StringExpr>>>;

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `AuthFormLoginRequiredLocation`.
    login_required: Page,
    /// `AuthFormLogoutLocation`.
    logout: Page,
}

impl DirRecord {
    /// merge_auth_form_dir_config.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord {
            login_required: new.login_required.clone().or_else(|| base.login_required.clone()),
            logout: new.logout.clone().or_else(|| base.logout.clone()),
        }
    }

    /// The directives of mod_auth_form that decide where a client is sent.
    pub fn command(&mut self, cmd: &Command) {
        let page = || {
            let text = expr::parse_string(cmd.arg(0)?, cmd.expr_context()).ok()?;
            Some(Setting::new(Arc::new(text), cmd.origin))
        };
        match cmd.name {
            "AuthFormLoginRequiredLocation" => self.login_required = page(),
            "AuthFormLogoutLocation" => self.logout = page(),
            _ => {}
        }
    }
}

/// check_user_id (authenticate_form_authn).
pub(crate) fn check_user_id<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("auth_form_module") {
        return Handled::Declined;
    }
    let current = match auth_type(r, cx) {
        Ok(Some(current)) if current.value.eq_ignore_ascii_case(b"form") => current,
        Ok(_) => return Handled::Declined,
        Err(ended) => return ended,
    };
    if r.forward_proxy || r.per_dir.authn_core.as_ref().is_none_or(|record| record.auth_name.is_none()) {
        let mut decision = Decision::new(&cause::apache::AUTHNAME_MISSING).by(current.origin);
        decision.log = Some(if r.forward_proxy { "AH01809" } else { "AH01810" }.to_owned());
        return r.refuse(decision, 500);
    }
    // Every session is found by a cookie.
    let posted = r.method_number == M_POST && r.main.is_none() && r.prev.is_none() && holds_form(r);
    if posted || r.headers_in.contains(b"Cookie") {
        return cx.unanswerable(Subject::Opaque("AuthType Form".to_owned()), current.origin);
    }
    match login_page(r, cx) {
        Handled::Declined => challenge(r, &cause::apache::AUTHENTICATION_REQUIRED, current.origin),
        sent => sent,
    }
}

/// The handlers for logging in and out (authenticate_form_login_handler, authenticate_form_logout_handler).
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("auth_form_module") {
        return Handled::Declined;
    }
    let by = r.handler.as_ref().and_then(|handler| handler.origin);
    if handler_is(r, "form-logout-handler") {
        let page = r.per_dir.auth_form.as_ref().and_then(|record| record.logout.clone());
        return match send_to(page, &cause::apache::FORM_LOGOUT, ("AH02343", 307), r, cx) {
            Handled::Declined => Handled::Ok,
            sent => sent,
        };
    }
    if !handler_is(r, "form-login-handler") {
        return Handled::Declined;
    }
    if r.method_number != M_POST {
        let mut decision = Decision::new(&cause::apache::METHOD_NOT_ALLOWED).by(by);
        decision.log = Some("AH01811".to_owned());
        return r.refuse(decision, 405);
    }
    if holds_form(r) {
        return cx.unanswerable(Subject::Opaque("SetHandler form-login-handler".to_owned()), by);
    }
    match login_page(r, cx) {
        Handled::Declined => r.refuse(Decision::new(&cause::apache::AUTHENTICATION_REQUIRED).by(by), 401),
        sent => sent,
    }
}

/// Whether the body is a form (ap_parse_form_data). One without a body or of another type holds no login.
fn holds_form(r: &RequestRec) -> bool {
    let form = b"application/x-www-form-urlencoded";
    let media = r.headers_in.get(b"Content-Type").and_then(|media| media.get(..form.len()));
    let empty = match r.headers_in.get(b"Content-Length") {
        Some(length) => length.iter().all(|&byte| byte == b'0'),
        None => !r.headers_in.contains(b"Transfer-Encoding"),
    };
    media.is_some_and(|media| media.eq_ignore_ascii_case(form)) && !empty
}

fn login_page<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let page = r.per_dir.auth_form.as_ref().and_then(|record| record.login_required.clone());
    send_to(page, &cause::apache::FORM_LOGIN, ("AH02340", 302), r, cx)
}

/// Redirects to a page, where one is set.
fn send_to<'c>(
    page: Page,
    cause: &'static Cause,
    (log, status): (&str, u16),
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Handled {
    let Some(Setting { value: page, origin }) = page else { return Handled::Declined };
    match expr_text(&page, r, cx) {
        Ok(target) => {
            r.location = Some(target);
            r.refuse(Decision::new(cause).by(origin), status)
        }
        Err(Failure::Unknown) => Handled::Unknown,
        Err(Failure::Error(_)) => {
            let mut decision = Decision::new(&cause::apache::REDIRECT_EVALUATION).by(origin);
            decision.log = Some(log.to_owned());
            r.refuse(decision, 500)
        }
    }
}

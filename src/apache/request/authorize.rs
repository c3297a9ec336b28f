//! Access, authentication, authorization, and when they are skipped (the middle of ap_process_request_internal).

use crate::apache::access::{authn, authz_core, digest, form, ssl};
use crate::apache::request::{Cx, Handled, Hook, Parent, RequestRec, run_all, run_first};
use crate::cause;
use crate::outcome::Decision;
use crate::trace::apache::Event;

/// The check_user_id hooks in order.
const CHECK_USER_ID: [Hook; 5] = [
    ssl::check_user_id,
    authn::authenticate_basic_user,
    digest::check_user_id,
    form::check_user_id,
    authn::authenticate_no_user,
];

/// Satisfy All or Any over access_checker, access_checker_ex, check_user_id, auth_checker.
pub(crate) fn authorize<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    // A request with the very same merged records as the one that caused it has passed already.
    let same = |parent: &std::rc::Rc<Parent>| parent.per_dir.is(&r.per_dir);
    let parent = r.prev.clone().filter(|prev| same(prev)).or_else(|| r.main.clone().filter(|main| same(main)));
    if let Some(parent) = parent {
        cx.note("access_checker", None, || Event::AuthorizationSkipped);
        (r.user, r.auth_type) = (parent.user.clone(), parent.auth_type.clone());
        return Handled::Ok;
    }
    let any = r.per_dir.access_compat.as_ref().map(|record| record.satisfy_any(r.method_number));
    let satisfy_any = any.is_some_and(|setting| setting.value);
    let config = cx.config;
    match run_all(&config.hooks.access_checker, r, cx) {
        Handled::Ok if satisfy_any => {
            cx.note("access_checker", any.and_then(|any| any.origin), || Event::SatisfiedAny);
            return Handled::Ok;
        }
        Handled::Ok => {}
        Handled::Status(_) if satisfy_any => r.decision = None,
        ended => return ended,
    }
    let handled = authz_core::authorize_user(r, cx, false);
    if matches!(handled, Handled::Status(_)) && cx.unless_waived(handled, r) == Handled::Declined {
        return Handled::Ok;
    }
    match handled {
        Handled::Ok => Handled::Ok,
        Handled::Declined => authenticate(r, cx, satisfy_any),
        ended => ended,
    }
}

/// A user is needed: find out who it is, then decide again.
fn authenticate<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>, satisfy_any: bool) -> Handled {
    match run_first(&CHECK_USER_ID, r, cx) {
        Handled::Ok => {}
        Handled::Declined => {
            let decision = Decision::new(&cause::apache::NO_AUTHENTICATION_MODULE).by(r.wants_user);
            return r.refuse(decision, 500);
        }
        ended => return ended,
    }
    if r.user.is_none() {
        let mut decision = Decision::new(&cause::apache::NO_AUTHENTICATION_DONE).by(r.wants_user);
        if satisfy_any {
            decision.log = Some("AH00028".to_owned());
        }
        return r.refuse(decision, 500);
    }
    match ssl::auth_checker(r, cx) {
        Handled::Declined => {}
        ended => return ended,
    }
    match authz_core::authorize_user(r, cx, true) {
        Handled::Declined => {
            let decision = Decision::new(&cause::apache::NO_AUTHENTICATION_MODULE).by(r.wants_user);
            r.refuse(decision, 500)
        }
        ended => ended,
    }
}

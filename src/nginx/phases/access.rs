//! Access: allow and deny, then basic authentication, then the authorization subrequest, joined by `satisfy`.
//!
//! Handlers run in the reverse of their registration (`ngx_http_init_phase_handlers`). Subrequests skip the phase.

use std::net::IpAddr;
use std::ops::ControlFlow;

use super::super::model::{AccessRule, Satisfy};
use super::super::request::{Cx, Flow, HttpRequest, error};
use super::auth_basic::auth_basic_handler;
use super::auth_request::auth_request_handler;
use super::opaque;
use crate::cause::nginx as causes;
use crate::outcome::{Decision, Related};
use crate::request::Peer;
use crate::source::Setting;
use crate::trace::nginx::Event;

const PHASE: &str = "access";

/// What a handler of this phase says.
pub(super) enum Handled {
    /// No opinion.
    Declined,
    /// The request may go on.
    Ok,
    /// It may not.
    Status(u16, Box<Decision>),
}

pub(super) fn access<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if r.depth > 0 {
        return ControlFlow::Continue(());
    }
    opaque::location(r, cx, opaque::Phase::Access)?;
    let satisfy = r.conf.core.satisfy.value;
    if satisfy == Satisfy::Any {
        // It could let the client in whatever the others say.
        opaque::location(r, cx, opaque::Phase::AfterAccess)?;
    }
    for handler in [access_handler, auth_basic_handler, auth_request_handler] {
        match (handler(r, cx)?, satisfy) {
            (Handled::Declined, _) | (Handled::Ok, Satisfy::All) => {}
            (Handled::Status(_, decision), Satisfy::All) if decision.is_waived(cx.inquiry) => {}
            (Handled::Status(_, decision), Satisfy::Any) if decision.is_waived(cx.inquiry) => {
                r.refusals.clear();
                return ControlFlow::Continue(());
            }
            (Handled::Ok, Satisfy::Any) => {
                r.refusals.clear();
                return ControlFlow::Continue(());
            }
            (Handled::Status(code @ (401 | 403 | 407), decision), Satisfy::Any) => r.refusals.push((code, decision)),
            (Handled::Status(code, decision), _) => return error(code, *decision),
        }
    }
    opaque::location(r, cx, opaque::Phase::AfterAccess)
}

/// Under `satisfy any`, 401 stays although a later handler says 403, and beats an earlier 403; with nothing but refusals
/// of one kind the first one speaks.
pub(super) fn post_access<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let mut refusals = std::mem::take(&mut r.refusals);
    if r.depth > 0 || refusals.is_empty() {
        return ControlFlow::Continue(());
    }
    let satisfy = &r.conf.core.satisfy;
    let asks = |code: u16| code == 401 || code == 407;
    let winner = refusals.iter().position(|(code, _)| asks(*code)).unwrap_or(0);
    let (code, mut decision) = refusals.swap_remove(winner);
    cx.push("post access", satisfy.origin, || Event::SatisfyAny { status: Some(code) });
    if code == 403 {
        if decision.cause.code == causes::ACCESS_DENY.code {
            decision.cause = causes::ACCESS_DENY_SATISFY_ANY;
        }
        decision.log = causes::ACCESS_DENY_SATISFY_ANY.log.map(str::to_owned);
    }
    let others = refusals.into_iter().filter_map(|(_, other)| other.directive);
    decision.related.extend(others.map(|origin| Related { role: "co-decider", origin }));
    if let Some(origin) = satisfy.origin {
        decision.related.push(Related { role: "satisfy", origin });
    }
    error(code, *decision)
}

/// `ngx_http_access_module`: the first rule whose network holds the client decides; with no such rule it declines.
fn access_handler<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Handled> {
    let rules = &r.conf.access;
    let client = r.connection.client;
    let found = match client {
        Peer::Unix => first_match(&rules.unix, |()| true, cx),
        Peer::Ip(IpAddr::V4(v4)) if !r.connection.mapped => first_match(&rules.v4, |net| net.contains(&v4), cx),
        // A client of a dual-stack socket shows as ::ffff:a.b.c.d: the IPv4 list if it has rules, else the IPv6 list.
        Peer::Ip(ip) => match ip.to_canonical() {
            IpAddr::V4(v4) if !rules.v4.is_empty() => first_match(&rules.v4, |net| net.contains(&v4), cx),
            _ => {
                let v6 = match ip {
                    IpAddr::V6(v6) => v6,
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                };
                first_match(&rules.v6, |net| net.contains(&v6), cx)
            }
        },
    };
    let Some((deny, origin)) = found else {
        if !(rules.v4.is_empty() && rules.v6.is_empty() && rules.unix.is_empty()) {
            cx.push(PHASE, Some(r.block_origin()), || Event::AccessNoRule { client });
        }
        return ControlFlow::Continue(Handled::Declined);
    };
    cx.push(PHASE, origin, || Event::AccessRule { deny, client });
    if !deny {
        return ControlFlow::Continue(Handled::Ok);
    }
    let in_limit_except = r.limit_except;
    let cause = if in_limit_except.is_some() { causes::ACCESS_DENY_LIMIT_EXCEPT } else { causes::ACCESS_DENY };
    let mut decision = Decision::new(cause).by(origin).with(r.related());
    if let Some(block) = in_limit_except {
        decision.related.push(Related { role: "limit_except", origin: block.origin });
    }
    decision.event = Some(crate::trace::Event::Nginx(Event::AccessRule { deny, client }));
    ControlFlow::Continue(Handled::Status(403, Box::new(decision)))
}

type Ruled = Option<(bool, Option<crate::source::Origin>)>;

fn first_match<N>(rules: &[Setting<AccessRule<N>>], holds: impl Fn(&N) -> bool, cx: &mut Cx) -> Ruled {
    for rule in rules {
        if holds(&rule.value.net) {
            return Some((rule.value.deny, rule.origin));
        }
        cx.push(PHASE, rule.origin, || Event::AccessPassed);
    }
    None
}

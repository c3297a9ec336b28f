//! Preaccess: realip for the settings of the location, then the limits.
//!
//! A limit is a question about other requests. It is asked once for a request, as nginx counts it once, and only where
//! something is counted: not for an empty key, not under a dry run.

use std::ops::ControlFlow;

use super::super::model::Zone;
use super::super::realip;
use super::super::request::{Cx, Flow, HttpRequest, error};
use super::opaque;
use crate::cause::Cause;
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::outcome::{Decision, Related};
use crate::source::Setting;
use crate::trace::nginx::Event;

pub(super) fn preaccess<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    realip::handler(r, cx)?;
    opaque::location(r, cx, opaque::Phase::Preaccess)?;
    let http = &cx.config.http;
    let Some(http) = http else { return ControlFlow::Continue(()) };
    let limits = &r.conf.limits;
    if !r.limit_req_counted && !limits.req.is_empty() {
        let rule = Limits {
            used: &limits.req,
            zones: &http.limit_req_zones,
            status: &limits.req_status,
            cause: causes::LIMIT_REQ,
        };
        r.limit_req_counted = rule.apply(limits.req_dry_run.value, r, cx)?;
    }
    if !r.limit_conn_counted && !limits.conn.is_empty() {
        let rule = Limits {
            used: &limits.conn,
            zones: &http.limit_conn_zones,
            status: &limits.conn_status,
            cause: causes::LIMIT_CONN,
        };
        r.limit_conn_counted = rule.apply(limits.conn_dry_run.value, r, cx)?;
    }
    ControlFlow::Continue(())
}

struct Limits<'a> {
    used: &'a [Setting<Box<[u8]>>],
    zones: &'a [Zone],
    status: &'a Setting<u16>,
    cause: &'static Cause,
}

impl<'a> Limits<'a> {
    /// Whether anything was counted.
    fn apply(&self, dry_run: bool, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        const PHASE: &str = "preaccess";
        let mut counted = false;
        for used in self.used {
            let Some(zone) = self.zones.iter().find(|zone| zone.name == used.value) else { continue };
            if zone.key.evaluate(r, cx)?.is_empty() {
                continue;
            }
            counted = true;
            if dry_run {
                continue;
            }
            cx.push(PHASE, used.origin, || Event::Limit { zone: zone.name.to_vec() });
            let name = String::from_utf8_lossy(&zone.name).into_owned();
            let question = Question::at(Subject::Limit(name.clone()), used.origin);
            let within = format!("the limit of zone `{name}` is not reached");
            let exceeded = format!("the limit of zone `{name}` is exceeded");
            if cx.inquiry.choose(question, &[&within, &exceeded]) == 1 {
                let mut decision = Decision::new(self.cause).by(used.origin).with(r.related());
                decision.related.push(Related { role: "zone", origin: zone.origin });
                if let Some(origin) = self.status.origin {
                    decision.related.push(Related { role: "status", origin });
                }
                return error(self.status.value, decision);
            }
        }
        ControlFlow::Continue(counted)
    }
}

//! `ngx_http_phases`, top to bottom: the whole plan of a request on one screen.
//!
//! A phase is a function that goes on or leaves with a [`Leave`]. Internal redirects begin again at server rewrite, jumps
//! to a named location at location rewrite; each costs one of ten.

use std::convert::Infallible;
use std::ops::ControlFlow;

use super::filters;
use super::request::{Cx, Ending, Flow, HttpRequest, Leave, Sent, error};
use crate::cause::nginx as causes;
use crate::outcome::Decision;

pub(crate) mod access;
pub(crate) mod auth_basic;
mod auth_request;
mod autoindex;
mod body;
pub(crate) mod content;
mod dav;
mod find_config;
mod handlers;
mod index;
mod loopback;
mod opaque;
mod post_read;
mod preaccess;
mod rewrite;
mod special_response;
mod statics;
mod try_files;

pub(crate) use special_response::special_response;

/// Where a walk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A new request.
    PostRead,
    /// An internal redirect or a subrequest.
    ServerRewrite,
    /// A named location.
    LocationRewrite,
}

/// The phases in nginx's order. `?` leaves as soon as one of them decides; the content phase always does.
fn phases<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, entry: Entry) -> Flow<Infallible> {
    if entry == Entry::PostRead {
        post_read::post_read(r, cx)?;
    }
    if entry != Entry::LocationRewrite {
        rewrite::server_rewrite(r, cx)?;
        find_config::find_config(r, cx)?;
    }
    loop {
        rewrite::rewrite(r, cx)?;
        if !r.uri_changed {
            break;
        }
        post_rewrite(r)?; // the URI changed: choose a location again, ten times at most
        find_config::find_config(r, cx)?;
    }
    preaccess::preaccess(r, cx)?;
    access::access(r, cx)?;
    access::post_access(r, cx)?;
    try_files::precontent(r, cx)?;
    content::content(r, cx)
}

/// Runs a request to its end, through every redirect inside nginx (`ngx_http_finalize_request`). `first` is how the walk
/// was left so far: reading the request may have failed before the first phase.
pub(crate) fn run<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, first: Flow<Entry>) -> Ending {
    let mut leave = match first {
        ControlFlow::Continue(entry) => left(phases(r, cx, entry)),
        ControlFlow::Break(leave) => leave,
    };
    loop {
        leave = match leave {
            Leave::Redirect => left(phases(r, cx, Entry::ServerRewrite)),
            Leave::Named => left(phases(r, cx, Entry::LocationRewrite)),
            Leave::Error(failure) => left(special_response(r, cx, failure)),
            Leave::Sent(sent) => match send_header(r, cx, sent) {
                ControlFlow::Continue(sent) => return special_response::finish(r, sent),
                ControlFlow::Break(leave) => leave,
            },
            Leave::Upstream(decision) => return Ending::upstream(decision),
            Leave::Closed(decision) => return Ending::closed(decision),
            Leave::Unknown => return Ending::unknown(),
        }
    }
}

/// `ngx_http_send_header`: the filters have the last word.
fn send_header<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, sent: Sent) -> Flow<Sent> {
    opaque::location(r, cx, opaque::Phase::Filter)?;
    filters::header_filter(r, cx, sent)
}

fn left(walk: Flow<Infallible>) -> Leave {
    match walk {
        ControlFlow::Break(leave) => leave,
        ControlFlow::Continue(never) => match never {},
    }
}

/// `ngx_http_core_post_rewrite_phase`.
fn post_rewrite(r: &mut HttpRequest) -> Flow {
    r.count_change(r.last_rewrite)?;
    r.location = None;
    r.conf = &r.server.conf;
    ControlFlow::Continue(())
}

impl<'a> HttpRequest<'a> {
    /// Takes one of the changes that a request has (ten); the eleventh is an error.
    pub(crate) fn count_change(&mut self, origin: Option<crate::source::Origin>) -> Flow {
        self.uri_changes = self.uri_changes.saturating_sub(1);
        if self.uri_changes == 0 {
            return error(500, Decision::new(causes::REWRITE_CYCLE).by(origin));
        }
        ControlFlow::Continue(())
    }

    /// `ngx_http_internal_redirect`: begin again with another URI.
    pub(crate) fn internal_redirect<T>(
        &mut self,
        cx: &mut Cx<'a>,
        uri: Vec<u8>,
        args: Vec<u8>,
        origin: Option<crate::source::Origin>,
    ) -> Flow<T> {
        self.count_change(origin)?;
        cx.push("internal redirect", origin, || crate::trace::nginx::Event::InternalRedirect { uri: uri.clone() });
        self.uri = uri;
        self.args = args;
        self.location = None;
        self.conf = &self.server.conf;
        self.internal = true;
        self.led_by_index = false;
        self.led_by_try_files = None;
        self.add_uri_to_alias = false;
        self.valid_location = true;
        ControlFlow::Break(Leave::Redirect)
    }

    /// `ngx_http_named_location`.
    pub(crate) fn named_location<T>(
        &mut self,
        cx: &mut Cx<'a>,
        name: &[u8],
        origin: Option<crate::source::Origin>,
    ) -> Flow<T> {
        self.count_change(origin)?;
        if self.uri.is_empty() {
            return error(500, Decision::new(causes::NAMED_EMPTY_URI).by(origin));
        }
        let Some(location) = self.server.locations.named(name) else {
            return error(500, Decision::new(causes::NAMED_MISSING).by(origin));
        };
        cx.push("named location", Some(location.origin), || crate::trace::nginx::Event::NamedLocation {
            name: name.to_vec(),
        });
        self.internal = true;
        self.uri_changed = false;
        self.content_handler = None;
        self.enter(location);
        ControlFlow::Break(Leave::Named)
    }
}

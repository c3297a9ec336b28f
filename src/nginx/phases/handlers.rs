//! Handlers that take a request whole: back ends, and the small stock ones.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::super::model::{Handler, PassKind};
use super::super::request::{ContentType, Cx, Entity, Flow, HttpRequest, Leave, Method, Sent, error};
use super::body;
use super::content::{
    Found, PHASE, blame_symlinks, failed, is_missing, mapped, open, path_decision, reads, restricts_links,
};
use super::statics::send;
use crate::cause::nginx as causes;
use crate::fact::{Question, Subject};
use crate::fs::{Errno, FileKind, Stat};
use crate::nginx::filters;
use crate::nginx::upstream::Target;
use crate::nginx::variables::headers::find_argument;
use crate::nginx::variables::{self, Value};
use crate::outcome::{Decision, Related};
use crate::source::{Origin, Setting};
use crate::trace::nginx::Event;

/// Continues where the handler declines and the stock handlers get their turn.
pub(super) fn handler<'a>(handler: &'a Setting<Handler>, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let origin = handler.origin;
    cx.push(PHASE, origin, || Event::Handler);
    match &handler.value {
        Handler::Pass(kind, url) => {
            let takes_method = match kind {
                PassKind::Memcached => reads(r),
                PassKind::Tunnel => r.method == Method::CONNECT,
                _ => true,
            };
            if !takes_method {
                return method(origin, r);
            }
            if *kind == PassKind::Memcached {
                memcached_key(origin, r, cx)?;
            }
            match url.as_literal() {
                Some(url) => {
                    read_body(*kind, r, cx)?;
                    if let Ok(target) = Target::parse(*kind, url) {
                        live_group(*kind, &target, origin, r, cx)?;
                    }
                }
                None => {
                    let url = url.evaluate(r, cx)?;
                    back_end(*kind, &url, origin, r, cx)?;
                }
            }
            intercepted(*kind, origin, r, cx)?;
            filters::cached(*kind, r, cx)?;
            ControlFlow::Break(Leave::Upstream(Some(Box::new(Decision::new(causes::UPSTREAM).by(origin)))))
        }
        Handler::StubStatus | Handler::EmptyGif => {
            if !reads(r) {
                return method(origin, r);
            }
            let entity = match handler.value {
                Handler::EmptyGif => gif(),
                _ => Entity { content_type: ContentType::Is("text/plain"), ..Entity::default() },
            };
            ControlFlow::Break(Leave::Sent(Sent { status: 200, location: None, decision: None, entity }))
        }
        Handler::Flv | Handler::Mp4 => media(matches!(handler.value, Handler::Mp4), origin, r, cx),
        Handler::Opaque(name) => {
            let name = String::from_utf8_lossy(name).into_owned();
            cx.unknown(Question::at(Subject::Opaque(name), origin))
        }
    }
}

/// The body of `empty_gif`: 43 bytes, last modified on 28 Sep 1970.
fn gif() -> Entity {
    let stat = Stat { size: Some(43), mtime: Some(23_349_600), ..Stat::of(FileKind::Regular) };
    let file = Some((PathBuf::new(), stat));
    Entity { file, content_type: ContentType::Is("image/gif"), ..Entity::default() }
}

fn method<T>(origin: Option<Origin>, r: &HttpRequest) -> Flow<T> {
    error(405, Decision::new(causes::HANDLER_METHOD).by(origin).with(r.related()))
}

/// All but memcached hand the body on.
fn read_body<'a>(kind: PassKind, r: &mut HttpRequest<'a>, cx: &Cx<'a>) -> Flow {
    if kind == PassKind::Memcached { ControlFlow::Continue(()) } else { body::read(r, cx) }
}

/// `ngx_http_memcached_create_request`: without a `$memcached_key` there is nothing to ask for.
fn memcached_key<'a>(origin: Option<Origin>, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let key = cx.variables.id(b"memcached_key");
    match variables::kept(r, cx, key) {
        Value::Text(key) if !key.is_empty() => ControlFlow::Continue(()),
        Value::Text(_) | Value::NotFound => {
            error(500, Decision::new(causes::MEMCACHED_KEY_UNSET).by(origin).with(r.related()))
        }
        Value::Unknown(question) => {
            match cx.inquiry.choose(question, &["`$memcached_key` holds a key", "`$memcached_key` is empty"]) {
                0 => ControlFlow::Continue(()),
                _ => error(500, Decision::new(causes::MEMCACHED_KEY_UNSET).by(origin).with(r.related())),
            }
        }
    }
}

/// Whether the address names a group; one whose servers are all `down` answers 502 without asking anybody
/// (`ngx_http_upstream_get_peer`: NGX_BUSY). A cache is looked into before that, and may still have an answer.
fn live_group<'a>(
    kind: PassKind,
    target: &Target,
    origin: Option<Origin>,
    r: &HttpRequest<'a>,
    cx: &Cx<'a>,
) -> Flow<bool> {
    let mut groups = cx.config.http.iter().flat_map(|http| &http.upstreams);
    let Some(group) = groups.find(|group| target.names(group)) else { return ControlFlow::Continue(false) };
    let Some(server) = group.none_live else { return ControlFlow::Continue(true) };
    let cache = &r.conf.filters.caches[kind as usize];
    let question = || Question::at(Subject::Other("what the cache holds".to_owned()), cache.origin);
    if cache.value && cx.inquiry.choose(question(), &["nothing for this request", "an answer to this request"]) == 1 {
        return ControlFlow::Continue(true);
    }
    let mut decision = Decision::new(causes::UPSTREAM_NONE_LIVE).by(Some(server)).with(r.related());
    decision.related.extend(origin.map(|origin| Related { role: "handler", origin }));
    error(502, decision)
}

/// A back end whose address is computed: what can be told without asking it.
fn back_end<'a>(kind: PassKind, url: &[u8], origin: Option<Origin>, r: &mut HttpRequest<'a>, cx: &Cx<'a>) -> Flow {
    let invalid = |r: &HttpRequest| Decision::new(causes::UPSTREAM_INVALID_URL).by(origin).with(r.related());
    let Ok(target) = Target::parse(kind, url) else { return error(500, invalid(r)) };
    read_body(kind, r, cx)?;
    if live_group(kind, &target, origin, r, cx)? {
        return ControlFlow::Continue(());
    }
    let Target::Host { host, port, default_port, .. } = target else { return ControlFlow::Continue(()) };
    if port.or(default_port).is_none() {
        return error(500, invalid(r));
    }
    if target.ip().is_some() || r.conf.core.resolver.value {
        return ControlFlow::Continue(());
    }
    let mut decision = Decision::new(causes::UPSTREAM_NO_RESOLVER).by(origin).with(r.related());
    decision.log = Some(format!("no resolver defined to resolve {}", String::from_utf8_lossy(host)));
    error(502, decision)
}

/// `*_intercept_errors on`: an error of the back end that an `error_page` catches is answered by nginx after all.
fn intercepted<'a>(kind: PassKind, origin: Option<Origin>, r: &mut HttpRequest<'a>, cx: &Cx<'a>) -> Flow {
    let setting = &r.conf.content.intercept_errors[kind as usize];
    let pages = &r.conf.core.error_pages;
    if !setting.value || pages.is_empty() || r.error_page {
        return ControlFlow::Continue(());
    }
    let mut caught: Vec<u16> = pages.iter().map(|page| page.value.status).filter(|status| *status >= 300).collect();
    caught.sort_unstable();
    caught.dedup();
    let mut alternatives = vec!["the back end answers with a status that no error_page catches".to_owned()];
    alternatives.extend(caught.iter().map(|status| format!("the back end answers {status}")));
    let words: Vec<&str> = alternatives.iter().map(String::as_str).collect();
    let question = Question::at(Subject::Upstream("the back end".to_owned()), setting.origin.or(origin));
    match cx.inquiry.choose(question, &words) {
        0 => ControlFlow::Continue(()),
        chosen => {
            r.back_end_asked = true;
            error(caught[chosen - 1], Decision::new(causes::UPSTREAM).by(origin).with(r.related()))
        }
    }
}

/// `flv` and `mp4`: files under a handler of their own.
fn media<'a>(mp4: bool, origin: Option<Origin>, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if !reads(r) {
        return method(origin, r);
    }
    if r.uri.ends_with(b"/") {
        return ControlFlow::Continue(());
    }
    let path = mapped(r, cx)?;
    match open(&path, r, cx)? {
        Found::Stat(stat) if stat.kind == FileKind::Regular => {
            if mp4 && asks_for_part(&r.args) {
                let text = format!("whether {} is an MP4 file that can be cut", path.display());
                let question = Question::at(Subject::Other(text), origin);
                if cx.inquiry.choose(question, &["it is an MP4 file that can be cut", "it cannot be read as MP4"]) == 1
                {
                    return error(500, Decision::new(causes::OPEN_ERROR).by(origin).with(r.related()));
                }
            }
            send(&path, stat)
        }
        Found::Stat(_) => ControlFlow::Continue(()),
        Found::Denied(denied) => {
            let (status, cause) = match denied.errno {
                errno if is_missing(errno) => (404, causes::NOT_FOUND),
                Errno::Eacces | Errno::Eloop => (403, causes::MEDIA_PERMISSION),
                _ => (500, causes::OPEN_ERROR),
            };
            let mut decision = path_decision(cause, Some(&denied), r);
            if denied.errno == Errno::Eloop {
                decision = blame_symlinks(decision, r);
            }
            decision.log = failed(if restricts_links(r) { "openat" } else { "open" }, &path, denied.errno);
            error(status, decision)
        }
    }
}

/// Whether the query asks for a part (`ngx_http_mp4_handler`): from a `start`, or up to an `end` that is not the start.
fn asks_for_part(args: &[u8]) -> bool {
    let seconds = |name: &[u8]| find_argument(args, name).and_then(milliseconds);
    seconds(b"start").is_some() || seconds(b"end").is_some_and(|end| end > 0)
}

/// `ngx_http_mp4_atofp` with three places: digits and at most one dot; more places are not looked at.
fn milliseconds(text: &[u8]) -> Option<u64> {
    let mut parts = text.splitn(2, |&byte| byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next().unwrap_or_default());
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if text.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let places = fraction.iter().chain(std::iter::repeat(&b'0')).take(3);
    let mut number = 0u64;
    for digit in whole.iter().chain(places) {
        number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(number).filter(|number| *number <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::asks_for_part;

    #[test]
    fn a_part_begins_or_ends_somewhere() {
        assert!(asks_for_part(b"start=0"));
        assert!(asks_for_part(b"x=1&START=1.5000001"));
        assert!(asks_for_part(b"end=0.001"));
        assert!(!asks_for_part(b"end=0"));
        assert!(!asks_for_part(b"start="));
        assert!(!asks_for_part(b"start=x&end=1.5.5"));
        assert!(!asks_for_part(b"start=99999999999999999999"));
    }
}

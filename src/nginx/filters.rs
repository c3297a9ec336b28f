//! The header filters that turn a 200 into another status: conditional requests, then ranges.
//!
//! They see the main request's 200 only; an error page keeps its status. A `return 200 "text"` passes through
//! here too: it has no Last-Modified, so `If-Unmodified-Since` makes it a 412.

use std::path::Path;
use std::sync::Arc;

use super::complex::ComplexValue;
use super::model::PassKind;
use super::request::{ContentType, Cx, Entity, Flow, HttpRequest, Sent, error};
use super::variables::Table;
use crate::cause;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::pattern::{Options, Pattern};
use crate::source::{Origin, Setting};
pub use content_type::ContentTypes;
use gzip::GzipClients;
use rewriters::Rewriters;

mod content_type;
pub(super) mod gunzip;
mod gzip;
mod http_time;
mod not_modified;
mod range;
mod rewriters;

/// What the filters of a block are set to.
#[derive(Clone, Debug)]
pub struct Filters {
    /// `if_modified_since`.
    pub if_modified_since: Setting<IfModifiedSince>,
    /// `etag`.
    pub etag: Setting<bool>,
    /// `max_ranges`; `None`: as many as the client likes.
    pub max_ranges: Setting<Option<u64>>,
    /// The types of files.
    pub content_types: ContentTypes,
    /// The filters that rewrite a body, and so take its ranges away.
    rewriters: Rewriters,
    /// The caches of the pass modules, by [`PassKind`].
    pub caches: [Setting<bool>; PassKind::COUNT],
    /// `add_header Last-Modified`, which the range filter takes for the real one.
    pub last_modified: Option<ComplexValue>,
    /// `add_header ETag`, likewise.
    pub entity_tag: Option<ComplexValue>,
    /// `fastcgi_index`.
    pub fastcgi_index: Box<[u8]>,
    /// `fastcgi_split_path_info`.
    pub fastcgi_split_path_info: Option<Arc<Pattern>>,
}

/// `if_modified_since`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfModifiedSince {
    /// The header is not looked at.
    Off,
    /// The same time.
    Exact,
    /// The same or a later one.
    Before,
}

impl Default for Filters {
    fn default() -> Self {
        Filters {
            if_modified_since: Setting::default_value(IfModifiedSince::Exact),
            etag: Setting::default_value(true),
            max_ranges: Setting::default_value(None),
            content_types: ContentTypes::default(),
            rewriters: Rewriters::default(),
            caches: std::array::from_fn(|_| Setting::default_value(false)),
            last_modified: None,
            entity_tag: None,
            fastcgi_index: Box::default(),
            fastcgi_split_path_info: None,
        }
    }
}

impl Filters {
    /// The name of the directive, if [`set`](Self::set) knows it.
    pub fn directive(name: &[u8]) -> Option<&'static str> {
        let mut names = Filters::DIRECTIVES.iter().chain(Rewriters::DIRECTIVES).copied();
        names.find(|known| known.as_bytes() == name)
    }

    const DIRECTIVES: &[&str] = &[
        "if_modified_since",
        "etag",
        "max_ranges",
        "default_type",
        "add_header",
        "fastcgi_index",
        "fastcgi_split_path_info",
        "proxy_cache",
        "fastcgi_cache",
        "scgi_cache",
        "uwsgi_cache",
    ];

    /// Takes a directive.
    pub fn set(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, first_here: bool, table: &Table) {
        let Some(&first) = args.first() else { return };
        let on = first.eq_ignore_ascii_case(b"on");
        match name {
            b"if_modified_since" => {
                let how = match &*first.to_ascii_lowercase() {
                    b"off" => IfModifiedSince::Off,
                    b"before" => IfModifiedSince::Before,
                    _ => IfModifiedSince::Exact,
                };
                self.if_modified_since = Setting::new(how, origin);
            }
            b"default_type" => self.content_types.set_default(first),
            b"etag" => self.etag = Setting::new(on, origin),
            b"max_ranges" => {
                let most = super::inet::atoi(first).and_then(|most| u64::try_from(most).ok());
                self.max_ranges = Setting::new(most, origin);
            }
            b"proxy_cache" => self.caches[PassKind::Proxy as usize] = Setting::new(first != b"off", origin),
            b"fastcgi_cache" => self.caches[PassKind::Fastcgi as usize] = Setting::new(first != b"off", origin),
            b"scgi_cache" => self.caches[PassKind::Scgi as usize] = Setting::new(first != b"off", origin),
            b"uwsgi_cache" => self.caches[PassKind::Uwsgi as usize] = Setting::new(first != b"off", origin),
            b"add_header" => {
                if first_here {
                    self.last_modified = None;
                    self.entity_tag = None;
                }
                let value = args.get(1).map(|value| ComplexValue::compile(value, table));
                match &*first.to_ascii_lowercase() {
                    b"last-modified" => self.last_modified = value,
                    b"etag" => self.entity_tag = value,
                    _ => {}
                }
            }
            b"fastcgi_index" => self.fastcgi_index = first.into(),
            b"fastcgi_split_path_info" => {
                self.fastcgi_split_path_info = Pattern::new(first, Options::nginx(false)).ok().map(Arc::new);
            }
            _ => self.rewriters.set(name, args, origin, first_here, table),
        }
    }

    /// Which clients get gzip.
    pub fn gzip_clients(&self) -> &GzipClients {
        self.rewriters.gzip_clients()
    }
}

/// Passes a response through the filters: 304 and 206 come back as it, 412 and 416 as an error.
pub fn header_filter<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>, mut sent: Sent) -> Flow<Sent> {
    // The status that an error page stands for is set before the filters run: with `error_page 404 =200`, they see a 200.
    if r.depth > 0 {
        return Flow::Continue(sent);
    }
    let is_200 = r.err_status.unwrap_or(sent.status) == 200;
    if is_200 {
        r.err_status = None;
        sent.status = 200;
        sent = not_modified::filter(r, cx, sent)?;
    }
    if sent.status != 304 {
        let filters = &r.conf.filters;
        filters.rewriters.charset(content_type(&sent.entity, r), r, cx)?;
    }
    if is_200 { range::filter(r, cx, sent) } else { Flow::Continue(sent) }
}

/// The type that the response is sent with; empty: it has none.
fn content_type<'a>(entity: &Entity, r: &HttpRequest<'a>) -> &'a [u8] {
    match entity.content_type {
        ContentType::Uri => r.conf.filters.content_types.of(&r.uri),
        ContentType::Is(kind) => kind.as_bytes(),
        ContentType::None => b"",
    }
}

/// The modification time that the response is sent with; `None`: it has none.
fn last_modified(entity: &Entity, cx: &mut Cx) -> Flow<Option<i64>> {
    match &entity.file {
        None => Flow::Continue(None),
        Some((_, stat)) if stat.mtime.is_some() => Flow::Continue(stat.mtime),
        Some((path, _)) => unknown(path, cx),
    }
}

/// The length that the response is sent with; `None`: none is announced.
fn content_length(entity: &Entity, cx: &mut Cx) -> Flow<Option<u64>> {
    match &entity.file {
        None => Flow::Continue(entity.length),
        Some((_, stat)) if stat.size.is_some() => Flow::Continue(stat.size),
        Some((path, _)) => unknown(path, cx),
    }
}

/// The entity tag (`ngx_http_set_etag`): modification time and size in hexadecimal.
fn etag(r: &HttpRequest, entity: &Entity, cx: &mut Cx) -> Flow<Option<Vec<u8>>> {
    if !r.conf.filters.etag.value {
        return Flow::Continue(None);
    }
    let (Some(mtime), Some(size)) = (last_modified(entity, cx)?, content_length(entity, cx)?) else {
        return Flow::Continue(None);
    };
    Flow::Continue(Some(format!("\"{mtime:x}-{size:x}\"").into_bytes()))
}

fn unknown<T>(path: &Path, cx: &mut Cx) -> Flow<T> {
    cx.unknown(Question::new(Subject::Time(path.to_path_buf())))
}

/// A response that is looked for in a cache passes the filter for conditional requests; any other one of a back end
/// does not (`disable_not_modified`). What it is like only the back end knows.
pub fn cached<'a>(kind: PassKind, r: &HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let cache = &r.conf.filters.caches[kind as usize];
    let conditions = [&b"If-Unmodified-Since"[..], b"If-Match"];
    if !cache.value || r.depth > 0 || conditions.iter().all(|name| r.header(name).is_none()) {
        return Flow::Continue(());
    }
    let text = "whether the response of the cache or the back end is what the request's condition asks for".to_owned();
    let question = Question::at(Subject::Other(text), cache.origin);
    match cx.inquiry.choose(question, &["it is", "it is another one"]) {
        0 => Flow::Continue(()),
        _ => refuse(412),
    }
}

/// A filter refuses the response.
fn refuse<T>(status: u16) -> Flow<T> {
    let cause = if status == 412 { cause::nginx::PRECONDITION_FAILED } else { cause::nginx::RANGE_NOT_SATISFIABLE };
    error(status, Decision::new(cause))
}

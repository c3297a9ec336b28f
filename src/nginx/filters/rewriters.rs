//! The filters that rewrite a body, after which its length is not known and ranges of it are not offered.
//!
//! Each looks at the type of the response; most pass an empty one on as it is.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::super::complex::ComplexValue;
use super::super::request::{Cx, Flow, HttpRequest, Leave};
use super::super::variables::{self, Table, Value, VariableId};
use super::content_type::Takes;
use super::gzip::GzipClients;
use crate::cause;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// What `charset_types` has where nobody said.
const CHARSET_TYPES: &[&[u8]] =
    &[b"text/html", b"text/xml", b"text/plain", b"text/vnd.wap.wml", b"application/javascript", b"application/rss+xml"];

/// `charset` or `source_charset`.
#[derive(Clone, Debug)]
enum Charset {
    Name(Box<[u8]>),
    Variable(VariableId),
}

impl Charset {
    fn read(text: &[u8], table: &Table) -> Charset {
        match text.strip_prefix(b"$") {
            Some(name) => Charset::Variable(table.id(name)),
            None => Charset::Name(text.into()),
        }
    }

    /// Its name; `None`: the variable has no value.
    fn name<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Option<Cow<'a, [u8]>>> {
        let name = match self {
            Charset::Name(name) => Some(Cow::Borrowed(&**name)),
            Charset::Variable(id) => match variables::kept(r, cx, *id) {
                Value::Text(text) => Some(Cow::Owned(text.to_vec())),
                Value::NotFound => None,
                Value::Unknown(question) => return cx.unknown(question),
            },
        };
        Flow::Continue(name)
    }
}

/// The rewriting filters of a block.
#[derive(Clone, Debug)]
pub(super) struct Rewriters {
    ssi: bool,
    ssi_types: Takes,
    /// What each `sub_filter` looks for.
    sub_filter: Vec<ComplexValue>,
    sub_filter_types: Takes,
    add_before_body: bool,
    add_after_body: bool,
    addition_types: Takes,
    /// `charset`, unless `off`.
    charset: Option<Setting<Charset>>,
    source_charset: Option<Setting<Charset>>,
    charset_types: Takes,
    gzip: bool,
    gzip_types: Takes,
    gzip_min_length: u64,
    gzip_clients: GzipClients,
    subs_filter: bool,
    subs_filter_types: Takes,
    /// `subs_filter_bypass`: one that is neither empty nor `0` keeps the filter away.
    subs_filter_bypass: Vec<ComplexValue>,
    /// Filters of others, which are asked about.
    foreign: Vec<Setting<&'static str>>,
}

impl Default for Rewriters {
    fn default() -> Self {
        Rewriters {
            ssi: false,
            ssi_types: Takes::HTML,
            sub_filter: Vec::new(),
            sub_filter_types: Takes::HTML,
            add_before_body: false,
            add_after_body: false,
            addition_types: Takes::HTML,
            charset: None,
            source_charset: None,
            charset_types: Takes::Stock(CHARSET_TYPES),
            gzip: false,
            gzip_types: Takes::HTML,
            gzip_min_length: 20,
            gzip_clients: GzipClients::default(),
            subs_filter: false,
            subs_filter_types: Takes::HTML,
            subs_filter_bypass: Vec::new(),
            foreign: Vec::new(),
        }
    }
}

impl Rewriters {
    /// The directives that [`set`](Self::set) knows.
    pub(super) const DIRECTIVES: &[&str] = &[
        "ssi",
        "ssi_types",
        "sub_filter",
        "sub_filter_types",
        "add_before_body",
        "add_after_body",
        "addition_types",
        "charset",
        "source_charset",
        "charset_types",
        "gzip",
        "gzip_types",
        "gzip_min_length",
        "gzip_disable",
        "gzip_http_version",
        "gzip_proxied",
        "brotli",
        "zstd",
        "subs_filter",
        "subs_filter_types",
        "subs_filter_bypass",
    ];

    /// Takes a directive.
    pub(super) fn set(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, first_here: bool, table: &Table) {
        let Some(&first) = args.first() else { return };
        let on = first.eq_ignore_ascii_case(b"on");
        match name {
            b"ssi" => self.ssi = on,
            b"ssi_types" => self.ssi_types.add(args, b"text/html", first_here),
            b"sub_filter" => {
                if first_here {
                    self.sub_filter.clear();
                }
                self.sub_filter.push(ComplexValue::compile(first, table));
            }
            b"sub_filter_types" => self.sub_filter_types.add(args, b"text/html", first_here),
            b"add_before_body" => self.add_before_body = !first.is_empty(),
            b"add_after_body" => self.add_after_body = !first.is_empty(),
            b"addition_types" => self.addition_types.add(args, b"text/html", first_here),
            b"charset" => {
                self.charset = (first != b"off").then(|| Setting::new(Charset::read(first, table), origin));
            }
            b"source_charset" => self.source_charset = Some(Setting::new(Charset::read(first, table), origin)),
            b"charset_types" => self.charset_types.add(args, b"text/html", first_here),
            b"gzip" => self.gzip = on,
            b"gzip_types" => self.gzip_types.add(args, b"text/html", first_here),
            b"gzip_min_length" => self.gzip_min_length = super::super::settings::size(first).unwrap_or(u64::MAX),
            b"gzip_disable" | b"gzip_http_version" | b"gzip_proxied" => {
                self.gzip_clients.set(name, args, origin, first_here);
            }
            b"brotli" => self.set_foreign("brotli", on, origin),
            b"zstd" => self.set_foreign("zstd", on, origin),
            b"subs_filter" => self.subs_filter = true,
            b"subs_filter_types" => self.subs_filter_types.add(args, b"text/html", first_here),
            b"subs_filter_bypass" => {
                self.subs_filter_bypass = args.iter().map(|value| ComplexValue::compile(value, table)).collect();
            }
            _ => {}
        }
    }

    fn set_foreign(&mut self, name: &'static str, on: bool, origin: Origin) {
        self.foreign.retain(|known| known.value != name);
        if on {
            self.foreign.push(Setting::new(name, origin));
        }
    }

    /// Which clients get gzip.
    pub(super) fn gzip_clients(&self) -> &GzipClients {
        &self.gzip_clients
    }

    /// The charset filter as far as it has a say in any response with a type, errors included: a variable without a value
    /// where a charset is due ends the response before its first byte (case `charset-variables`).
    pub(super) fn charset<'a>(&'a self, kind: &[u8], r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
        let Some(charset) = self.charset.as_ref().filter(|_| !kind.is_empty() && self.charset_types.has(kind)) else {
            return Flow::Continue(());
        };
        for setting in std::iter::once(charset).chain(&self.source_charset) {
            if setting.value.name(r, cx)?.is_none() {
                let decision = Decision::new(cause::nginx::CHARSET_UNSET).by(setting.origin).with(r.related());
                return ControlFlow::Break(Leave::Closed(Box::new(decision)));
            }
        }
        Flow::Continue(())
    }

    /// Whether a filter rewrites a response of this type and length.
    pub(super) fn rewrite<'a>(
        &'a self,
        kind: &[u8],
        length: u64,
        r: &mut HttpRequest<'a>,
        cx: &mut Cx<'a>,
    ) -> Flow<bool> {
        let adds = (self.add_before_body || self.add_after_body) && self.addition_types.has(kind);
        let includes = self.ssi && length > 0 && self.ssi_types.has(kind);
        let rewritten = adds
            || includes
            || length > 0 && self.sub_filter_types.has(kind) && self.substitutes(r, cx)?
            || self.subs_filter && self.subs_filter_types.has(kind) && !self.bypasses(r, cx)?
            || self.charset_types.has(kind) && !kind.is_empty() && self.recodes(r, cx)?
            || self.gzips(kind, length) && self.gzip_clients.accept(r, cx)?
            || self.foreign(r, cx);
        Flow::Continue(rewritten)
    }

    /// Whether `subs_filter_bypass` keeps `subs_filter` away.
    fn bypasses<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        for value in &self.subs_filter_bypass {
            if !matches!(&*value.evaluate(r, cx)?, b"" | b"0") {
                return Flow::Continue(true);
            }
        }
        Flow::Continue(false)
    }

    /// Whether the gzip filter takes a response of this type and length, if the client does.
    fn gzips(&self, kind: &[u8], length: u64) -> bool {
        self.gzip && length >= self.gzip_min_length && self.gzip_types.has(kind)
    }

    /// Whether there is anything to look for; patterns that come out empty are left out.
    fn substitutes<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        for pattern in &self.sub_filter {
            if !pattern.evaluate(r, cx)?.is_empty() {
                return Flow::Continue(true);
            }
        }
        Flow::Continue(false)
    }

    /// Whether the text is recoded from or to UTF-8, which changes its length; between other charsets it does not.
    fn recodes<'a>(&'a self, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        let (Some(charset), Some(source)) = (&self.charset, &self.source_charset) else { return Flow::Continue(false) };
        let to = charset.value.name(r, cx)?.unwrap_or_default();
        let from = source.value.name(r, cx)?.unwrap_or_default();
        let is_utf8 = |name: &[u8]| name.eq_ignore_ascii_case(b"utf-8");
        Flow::Continue((is_utf8(&to) || is_utf8(&from)) && cx.variables.recodes(&from, &to))
    }

    fn foreign<'a>(&'a self, r: &HttpRequest<'a>, cx: &Cx<'a>) -> bool {
        let accepts = |coding: &[u8]| {
            r.header(b"Accept-Encoding").is_some_and(|value| value.windows(coding.len()).any(|word| word == coding))
        };
        self.foreign.iter().any(|filter| {
            let name = filter.value;
            let at_work = match name {
                "brotli" => accepts(b"br"),
                "zstd" => accepts(b"zstd"),
                _ => true,
            };
            let question = Question::at(Subject::Opaque(name.to_owned()), filter.origin);
            let alternatives =
                [format!("`{name}` leaves the response alone"), format!("`{name}` rewrites the response")];
            at_work && cx.inquiry.choose(question, &[&alternatives[0], &alternatives[1]]) == 1
        })
    }
}

//! mod_dir: the slash behind a directory, its index, and FallbackResource.
//!
//! Every name of DirectoryIndex is a whole sub-request. One that is refused is remembered, and when no later name can
//! be served the directory is refused with it, whether or not the file exists and whether or not Indexes is on.

use crate::apache::escape::escape_uri;
use crate::apache::model::{Command, M_GET};
use crate::apache::request::subrequest::{internal_fast_redirect, sub_req_lookup_uri};
use crate::apache::request::{Cx, Handled, RequestRec, handler_is};
use crate::cause;
use crate::cause::Cause;
use crate::outcome::{Decision, Related};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// The handler of a directory that nothing else handles.
pub(crate) const DIR_MAGIC_TYPE: &str = "httpd/unix-directory";

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// DirectoryIndex; the origin is that of its last line.
    pub index_names: Option<Setting<Vec<Vec<u8>>>>,
    /// DirectorySlash.
    pub slash: Option<Setting<bool>>,
    /// DirectoryCheckHandler.
    pub check_handler: Option<bool>,
    /// DirectoryIndexRedirect: the status, `None` for off.
    pub index_redirect: Option<Setting<Option<u16>>>,
    /// FallbackResource; `None`: disabled.
    pub fallback: Option<Setting<Option<Vec<u8>>>>,
}

impl DirRecord {
    /// merge_dir_configs.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord {
            index_names: new.index_names.clone().or_else(|| base.index_names.clone()),
            slash: new.slash.or(base.slash),
            check_handler: new.check_handler.or(base.check_handler),
            index_redirect: new.index_redirect.or(base.index_redirect),
            fallback: new.fallback.clone().or_else(|| base.fallback.clone()),
        }
    }
}

/// The directives of mod_dir.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    match cmd.name.to_ascii_lowercase().as_str() {
        "directoryindex" => {
            let names = dir.index_names.get_or_insert_with(|| Setting::new(Vec::new(), cmd.origin));
            names.origin = Some(cmd.origin);
            let words: Vec<Vec<u8>> =
                cmd.args.iter().take_while(|word| !word.is_empty()).map(|word| word.to_vec()).collect();
            if words.len() == 1 && words[0].eq_ignore_ascii_case(b"disabled") {
                names.value.clear();
            } else {
                names.value.extend(words);
            }
        }
        "directoryslash" => dir.slash = Some(Setting::new(cmd.flag(), cmd.origin)),
        "directorycheckhandler" => dir.check_handler = Some(cmd.flag()),
        "directoryindexredirect" => {
            let status = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                b"off" => None,
                b"on" | b"temp" => Some(302),
                b"permanent" => Some(301),
                b"seeother" => Some(303),
                digits => std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()),
            };
            dir.index_redirect = Some(Setting::new(status, cmd.origin));
        }
        "fallbackresource" => {
            let target = cmd.arg(0).filter(|word| !word.eq_ignore_ascii_case(b"disabled")).map(<[u8]>::to_vec);
            dir.fallback = Some(Setting::new(target, cmd.origin));
        }
        _ => {}
    }
}

/// dir_fixups.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("dir_module") {
        return Handled::Declined;
    }
    if r.is_directory() {
        return directory(r, cx);
    }
    if r.finfo.is_none() && r.handler.is_none() {
        return fallback(r, cx);
    }
    Handled::Declined
}

fn with_args(name: &[u8], r: &RequestRec) -> Vec<u8> {
    let mut target = name.to_vec();
    if let Some(args) = &r.args {
        target.push(b'?');
        target.extend_from_slice(args);
    }
    target
}

/// fixup_dir.
fn directory<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let record = r.per_dir.dir.clone().unwrap_or_default();
    if r.handler.is_none() {
        r.handler = Some(Setting::default_value(DIR_MAGIC_TYPE.as_bytes().to_vec()));
    }
    if !r.path_info.is_empty() {
        return Handled::Declined;
    }
    if !r.uri.ends_with(b"/") {
        return slash(&record, r);
    }
    if handler_is(r, "redirect-handler") {
        return Handled::Declined;
    }
    if record.check_handler == Some(true) && !handler_is(r, DIR_MAGIC_TYPE) {
        return Handled::Declined;
    }
    let default = [b"index.html".to_vec()];
    let (names, origin) = match &record.index_names {
        Some(setting) => (&setting.value[..], setting.origin),
        None => (&default[..], None),
    };
    let mut remembered: Option<(u16, Option<Decision>)> = None;
    for (index, name) in names.iter().enumerate() {
        let last = index + 1 == names.len();
        let target = with_args(name, r);
        let mut sub = sub_req_lookup_uri(&target, r, cx);
        let Some(status) = sub.status() else { return sub.ended };
        let usable = handler_is(&sub.r, "proxy-server") || sub.r.is_regular();
        cx.note("fixups", origin, || Event::Index { name: name.clone(), status, usable });
        if status == 200 && usable {
            if let Some(Setting { value: Some(code), origin }) = record.index_redirect {
                r.location = Some(sub.r.uri);
                return r.refuse(Decision::new(&cause::apache::INDEX_REDIRECT).by(origin), code);
            }
            internal_fast_redirect(sub.r, r);
            return Handled::Ok;
        }
        let inner = sub.r.decision.take();
        let redirect = (300..400).contains(&status);
        if redirect || (last && (status == 401 || status == 406)) {
            r.location = sub.r.location.take();
            let decision = index_decision(inner, origin, record.index_names.is_none());
            return r.refuse(decision, status);
        }
        if status != 404 && status != 200 {
            remembered = Some((status, inner));
        }
    }
    if let Some((status, inner)) = remembered {
        let decision = index_decision(inner, origin, record.index_names.is_none());
        return r.refuse(decision, status);
    }
    r.notes.set(b"dir-index-names", &names.join(&b','));
    Handled::Declined
}

/// The refusal of an index: the sub-request's own directive decides; the index line belongs to it.
fn index_decision(inner: Option<Decision>, origin: Option<Origin>, _default: bool) -> Decision {
    taken_over(&cause::apache::INDEX_SUBREQUEST_DENIED, inner, origin)
}

fn taken_over(cause: &'static Cause, inner: Option<Decision>, origin: Option<Origin>) -> Decision {
    let Some(inner) = inner else { return Decision::new(cause).by(origin) };
    // A redirect or an error other than a refusal keeps its own name.
    if inner.cause.code == cause.code {
        return inner;
    }
    let mut decision = Decision::new(cause).by(inner.directive);
    decision.default = inner.default;
    decision.path.clone_from(&inner.path);
    decision.log.clone_from(&inner.log);
    decision.related.clone_from(&inner.related);
    decision.related.extend(origin.map(|origin| Related { role: "index", origin }));
    decision.inner = Some(Box::new(inner));
    decision
}

/// A directory without its slash: 301, whatever the method.
fn slash(record: &DirRecord, r: &mut RequestRec) -> Handled {
    let on = record.slash.is_none_or(|slash| slash.value);
    if !on || (r.method_number != M_GET && r.subprocess_env.contains(b"redirect-carefully")) {
        return Handled::Declined;
    }
    let mut location = escape_uri(&r.uri);
    location.push(b'/');
    r.location = Some(with_args(&location, r));
    let mut decision = Decision::new(&cause::apache::DIRECTORY_SLASH);
    decision.directive = record.slash.and_then(|slash| slash.origin).or(r.mapped_by);
    decision.default = record.slash.is_none();
    r.refuse(decision, 301)
}

/// fixup_dflt.
fn fallback<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(setting) = r.per_dir.dir.as_ref().and_then(|record| record.fallback.clone()) else {
        return Handled::Declined;
    };
    let Some(target) = &setting.value else { return Handled::Declined };
    let mut sub = sub_req_lookup_uri(&with_args(target, r), r, cx);
    let Some(status) = sub.status() else { return sub.ended };
    let usable = handler_is(&sub.r, "proxy-server") || sub.r.is_regular();
    cx.note("fixups", setting.origin, || Event::Index { name: target.clone(), status, usable });
    if status == 200 {
        if !usable {
            return Handled::Declined;
        }
        internal_fast_redirect(sub.r, r);
        return Handled::Ok;
    }
    if status == 404 {
        return Handled::Declined;
    }
    r.location = sub.r.location.take();
    let decision = taken_over(&cause::apache::FALLBACK_DENIED, sub.r.decision.take(), setting.origin);
    r.refuse(decision, status)
}

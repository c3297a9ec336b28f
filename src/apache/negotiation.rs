//! mod_negotiation: `Options MultiViews` and type maps.
//!
//! A missing file whose name begins others (`/page` where `page.html.en` lies) is one of them: the one that fits the
//! client's `Accept` headers, as `choose.rs` decides. A type map lists its variants itself.

mod accept;
mod choose;
mod type_map;

use choose::{Preferences, Variant, best_match};

use crate::apache::core::options;
use crate::apache::escape::escape_uri;
use crate::apache::mime::{EXCEPTIONS, TYPE_UNKNOWN, types_config};
use crate::apache::model::{Command, M_GET, M_POST};
use crate::apache::request::subrequest::{
    SubRequest, internal_fast_redirect, internal_redirect, parent_directory, sub_req_lookup_file,
};
use crate::apache::request::{Cx, Handled, RequestRec, handler_is};
use crate::apache::variables::to_path;
use crate::cause;
use crate::fact::{Fact, Question, Subject};
use crate::fs::{Errno, FileKind, Follow, Stat};
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// The longest type map that is read, in bytes.
const MAX_MAP: u64 = 1 << 20;

/// The note that a transparently negotiated answer leaves, which must not be negotiated again.
const TCN: &[u8] = b"TCN";

/// What a place says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `ForceLanguagePriority`.
    force: Option<Setting<ForcePriority>>,
    /// `LanguagePriority`.
    priority: Option<Vec<Vec<u8>>>,
}

/// `ForceLanguagePriority`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForcePriority {
    none: bool,
    prefer: bool,
    fallback: bool,
}

impl DirRecord {
    /// What was said later.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        DirRecord { force: new.force.or(base.force), priority: new.priority.clone().or_else(|| base.priority.clone()) }
    }
}

/// Adds one word of a `ForceLanguagePriority` to those before it.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_force_priority(earlier: ForcePriority, word: &[u8]) -> Result<ForcePriority, String> {
    match word.to_ascii_lowercase().as_slice() {
        b"none" if earlier.prefer || earlier.fallback => {
            Err("Cannot combine ForceLanguagePriority options with None".into())
        }
        b"none" => Ok(ForcePriority { none: true, ..earlier }),
        b"prefer" if earlier.none => Err("Cannot combine ForceLanguagePriority options None and Prefer".into()),
        b"prefer" => Ok(ForcePriority { prefer: true, ..earlier }),
        b"fallback" if earlier.none => Err("Cannot combine ForceLanguagePriority options None and Fallback".into()),
        b"fallback" => Ok(ForcePriority { fallback: true, ..earlier }),
        _ => Err(format!("Invalid ForceLanguagePriority option {}", String::from_utf8_lossy(word))),
    }
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    match cmd.name {
        "LanguagePriority" => {
            dir.priority.get_or_insert_default().extend(cmd.args.iter().map(|word| word.to_vec()));
        }
        "ForceLanguagePriority" => {
            for word in &cmd.args {
                let earlier = dir.force.map_or_else(ForcePriority::default, |force| force.value);
                if let Ok(force) = parse_force_priority(earlier, word) {
                    dir.force = Some(Setting::new(force, cmd.origin));
                }
            }
        }
        _ => {}
    }
}

/// Variants of one resource; those of a directory listing come with the sub-request that found them.
struct Variants<'c> {
    list: Vec<Variant>,
    subs: Vec<Option<SubRequest<'c>>>,
}

/// type_checker, before mod_mime: MultiViews (`handle_multi`).
pub(crate) fn find_ct<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("negotiation_module") || r.finfo.is_some() || !r.per_dir.core.options.has(options::MULTI) {
        return Handled::Declined;
    }
    let mut variants = match read_types_multi(r, cx) {
        Ok(variants) => variants,
        Err(ended) => return ended,
    };
    if variants.list.is_empty() {
        return Handled::Declined;
    }
    let prefer_scripts = r.method_number != M_GET || r.args.is_some() || !r.path_info.is_empty();
    let chosen = match negotiate(&mut variants, prefer_scripts, r, cx) {
        Ok(chosen) => chosen,
        Err(ended) => return ended,
    };
    let mut sub = match variants.subs.swap_remove(chosen) {
        Some(sub) => sub,
        None => sub_req_lookup_file(&variants.list[chosen].file_name, r, cx),
    };
    match sub.status() {
        Some(200) => {}
        Some(status) => return failed(sub, status, r),
        None => return Handled::Unknown,
    }
    // The sub-request went without them.
    sub.r.path_info.clone_from(&r.path_info);
    if sub.r.args.is_none() {
        sub.r.args.clone_from(&r.args);
    }
    internal_fast_redirect(sub.r, r);
    Handled::Ok
}

/// A chosen variant that cannot be served after all: its refusal is the answer.
fn failed(sub: SubRequest, status: u16, r: &mut RequestRec) -> Handled {
    let decision = sub.r.decision.unwrap_or_else(|| Decision::new(&cause::apache::NEGOTIATION_NO_VARIANT));
    r.refuse(decision, status)
}

/// The files whose names are the missing one and extensions (`read_types_multi`).
fn read_types_multi<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Variants<'c>, Handled> {
    let mut variants = Variants { list: Vec::new(), subs: Vec::new() };
    let Some(filename) = r.filename.clone().filter(|name| !r.proxyreq && name.starts_with(b"/")) else {
        return Err(Handled::Declined);
    };
    let directory = parent_directory(&filename).to_vec();
    let asked = &filename[directory.len()..];
    let by = multiviews_origin(r);
    let names = match cx.disk.open_dir(&to_path(&directory)) {
        Ok(Fact::Known(names)) => names,
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(Question::at(question.subject, by));
            return Err(Handled::Unknown);
        }
        Err(denied) => {
            let mut decision = Decision::new(&cause::apache::MULTIVIEWS_UNREADABLE_DIR).by(r.mapped_by.or(by));
            decision.path = Some(denied.path);
            return Err(r.refuse(decision, 403));
        }
    };
    let mut any = false;
    for name in names {
        if !name.strip_prefix(asked).is_some_and(|rest| rest.starts_with(b".")) {
            continue;
        }
        let path = [directory.as_slice(), &name].concat();
        let entry = cx.disk.stat(&to_path(&path), Follow::No);
        if entry.is_ok_and(|stat| stat.kind == FileKind::Directory) {
            continue;
        }
        any = true;
        let mut sub = sub_req_lookup_file(&name, r, cx);
        if !sub.r.is_regular() {
            continue;
        }
        if sub.r.notes.contains(TYPE_UNKNOWN) {
            return Err(cx.unanswerable(Subject::Content(types_config(r, cx)), by));
        }
        // A handler without a type is taken for a script.
        if sub.r.handler.is_some() && sub.r.content_type.is_none() {
            sub.r.content_type = Some(CGI_MAGIC_TYPE.to_vec());
        }
        if !claims_its_name(asked, &sub.r) {
            continue;
        }
        match (sub.status(), sub.r.content_type.clone()) {
            (None, _) => return Err(Handled::Unknown),
            (Some(200), Some(mime_type)) => {
                if mime_type == type_map::MAGIC_TYPE || handler_is(&sub.r, "type-map") {
                    let map = sub.r.filename.clone().unwrap_or_default();
                    let list = read_map(&map, sub.r.mapped_by, r, cx)?;
                    let subs = list.iter().map(|_| None).collect();
                    return Ok(Variants { list, subs });
                }
                variants.list.push(variant(&name, &mime_type, &sub.r));
                variants.subs.push(Some(sub));
            }
            _ => {}
        }
    }
    if any && variants.list.is_empty() {
        return Err(r.refuse(Decision::new(&cause::apache::NEGOTIATION_NO_VARIANT).by(by), 404));
    }
    // In the order of their names; `Disk::open_dir` lists them so.
    Ok(variants)
}

/// The type that stands for a script.
const CGI_MAGIC_TYPE: &[u8] = b"application/x-httpd-cgi";

/// Where MultiViews was allowed.
fn multiviews_origin(r: &RequestRec) -> Option<Origin> {
    r.per_dir.core.options.origin_of(options::MULTI)
}

/// Every part of the name that means nothing to mod_mime must stand in the name asked for, in order.
fn claims_its_name(asked: &[u8], sub: &RequestRec) -> bool {
    let Some(exceptions) = sub.notes.get(EXCEPTIONS) else { return false };
    let mut rest = exceptions.split(|byte| *byte == b'/').peekable();
    if asked.is_empty() {
        return false;
    }
    for segment in asked.split(|byte| *byte == b'.') {
        if rest.peek() == Some(&segment) {
            rest.next();
        }
    }
    rest.peek().is_none()
}

fn variant(name: &[u8], mime_type: &[u8], sub: &RequestRec) -> Variant {
    let mut variant = Variant::new(name);
    variant.encoding.clone_from(&sub.content_encoding);
    variant.languages.clone_from(&sub.content_languages);
    variant.set_type(accept::entry(&mut &mime_type[..]));
    variant.bytes = sub.finfo.as_ref().and_then(length).unwrap_or(-1);
    variant
}

fn length(stat: &Stat) -> Option<i64> {
    i64::try_from(stat.size?).ok()
}

/// Reads a type map; the error is the answer.
fn read_map<'c>(
    file: &[u8],
    mapped_by: Option<Origin>,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<Vec<Variant>, Handled> {
    let path = to_path(file);
    let content = match cx.disk.read(&path, MAX_MAP) {
        Ok(Fact::Known(content)) => content,
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(question);
            return Err(Handled::Unknown);
        }
        // A directory is opened like a file, and nothing is read from it: a map without variants.
        Err(denied) if denied.errno == Errno::Eisdir => Default::default(),
        Err(denied) if matches!(denied.errno, Errno::Enoent | Errno::Enotdir) => {
            return Err(r.refuse(Decision::new(&cause::apache::TYPE_MAP_MISSING).by(mapped_by), 404));
        }
        Err(denied) => {
            let mut decision = Decision::new(&cause::apache::TYPEMAP_UNREADABLE).by(mapped_by);
            decision.path = Some(denied.path);
            return Err(r.refuse(decision, 403));
        }
    };
    let name = file.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    match type_map::parse(&content, name) {
        Ok(mut variants) => {
            let directory = parent_directory(file).to_vec();
            for variant in variants.iter_mut().filter(|variant| variant.bytes < 0) {
                let path = to_path(&[directory.as_slice(), &variant.file_name].concat());
                let stat = cx.disk.stat(&path, Follow::Yes).ok();
                variant.bytes = stat.as_ref().and_then(length).unwrap_or(-1);
            }
            Ok(variants)
        }
        Err(type_map::SyntaxError) => {
            let mut decision = Decision::new(&cause::apache::TYPE_MAP_INVALID).by(mapped_by);
            decision.path = Some(path);
            Err(r.refuse(decision, 500))
        }
    }
}

/// The client's side of the negotiation, and the server's rules for it.
fn preferences(r: &RequestRec, transparent: bool, prefer_scripts: bool) -> (Preferences, bool) {
    let header = |name: &str| accept::list(r.headers_in.get(name.as_bytes()));
    let types = header("Accept");
    let has_quality = types.iter().flatten().any(|item| item.quality < 1.0);
    let record = r.per_dir.negotiation.clone().unwrap_or_default();
    let force = record.force.map_or(ForcePriority { prefer: true, ..ForcePriority::default() }, |force| force.value);
    let env = |name: &str| r.subprocess_env.get(name.as_bytes());
    let mut preferences = Preferences {
        types: types.unwrap_or_else(|| accept::list(Some(b"*/*")).unwrap_or_default()),
        encodings: header("Accept-Encoding"),
        charsets: header("Accept-Charset"),
        languages: header("Accept-Language"),
        priority: record.priority.clone().unwrap_or_default(),
        force_prefer: force.prefer,
        force_fallback: force.fallback,
        has_quality,
        may_choose: true,
        preferred_language: env("prefer-language").map(<[u8]>::to_vec),
        no_encoding: env("no-gzip").is_some(),
        encoded_html_only: env("gzip-only-text/html") == Some(b"1"),
        ..Preferences::default()
    };
    let knows_lists = transparent && negotiate_header(r, &mut preferences);
    let mut script = accept::entry(&mut &CGI_MAGIC_TYPE[..]);
    script.quality = match (preferences.rvsa, prefer_scripts) {
        (true, _) => 0.0,
        (false, true) => 2.0,
        (false, false) => 0.001,
    };
    preferences.types.push(script);
    (preferences, knows_lists)
}

/// `Negotiate`: whether the client can choose from a list, and whether it lets the server choose
/// (`parse_negotiate_header`).
fn negotiate_header(r: &RequestRec, preferences: &mut Preferences) -> bool {
    let Some(header) = r.headers_in.get(b"Negotiate") else { return false };
    // Lynx says this without meaning it.
    let lynx = r.headers_in.get(b"User-Agent").is_some_and(|agent| agent.starts_with(b"Lynx"));
    if header == b"trans" && lynx {
        return false;
    }
    preferences.may_choose = false;
    let mut knows_lists = false;
    for item in header.split(|byte| *byte == b',') {
        let item = item.trim_ascii().to_ascii_lowercase();
        let known = matches!(item.as_slice(), b"trans" | b"vlist" | b"guess-small" | b"*");
        if !known && !item.first().is_some_and(u8::is_ascii_digit) {
            continue;
        }
        knows_lists = true;
        if item == b"1.0" {
            (preferences.may_choose, preferences.rvsa, preferences.strict) = (true, true, true);
        } else if item.starts_with(b"*") {
            (preferences.may_choose, preferences.strict) = (true, true);
        }
    }
    knows_lists
}

/// `do_negotiation`: the index of the variant to send, or the answer where there is none.
fn negotiate<'c>(
    variants: &mut Variants<'c>,
    prefer_scripts: bool,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<usize, Handled> {
    let neighbours = variants.list.iter().all(|variant| !variant.file_name.contains(&b'/') && !variant.body);
    let transparent = r.method_number == M_GET && r.path_info.is_empty() && neighbours;
    let (preferences, knows_lists) = preferences(r, transparent, prefer_scripts);
    if transparent {
        r.notes.set(TCN, b"choice");
    }
    let by = multiviews_origin(r);
    let Some(chosen) = best_match(&variants.list, &preferences) else {
        return Err(match knows_lists {
            true => r.refuse(Decision::new(&cause::apache::NEGOTIATION_MULTIPLE_CHOICES).by(by), 300),
            false => r.refuse(Decision::new(&cause::apache::NEGOTIATION_NOT_ACCEPTABLE).by(by), 406),
        });
    };
    if transparent {
        check_choice(variants, chosen, r, cx)?;
    }
    Ok(chosen)
}

/// `setup_choice_response`: the chosen variant must not be negotiated in its turn.
fn check_choice<'c>(
    variants: &mut Variants<'c>,
    chosen: usize,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<(), Handled> {
    let sub = match variants.subs[chosen].take() {
        Some(sub) => sub,
        None => {
            let sub = sub_req_lookup_file(&variants.list[chosen].file_name, r, cx);
            match sub.status() {
                None => return Err(Handled::Unknown),
                Some(200) => {}
                Some(_) if sub.r.notes.contains(TCN) => {}
                Some(status) => return Err(failed(sub, status, r)),
            }
            sub
        }
    };
    if sub.r.notes.contains(TCN) || handler_is(&sub.r, "type-map") {
        return Err(r.refuse(Decision::new(&cause::apache::VARIANT_ALSO_VARIES).by(multiviews_origin(r)), 506));
    }
    variants.subs[chosen] = Some(sub);
    Ok(())
}

/// The handler of type maps (`handle_map_file`).
pub(crate) fn type_map_handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let magic = r.handler.as_ref().is_some_and(|handler| handler.value == type_map::MAGIC_TYPE);
    if !cx.has_module("negotiation_module") || !magic && !handler_is(r, "type-map") {
        return Handled::Declined;
    }
    let file = r.filename.clone().unwrap_or_default();
    let list = match read_map(&file, r.mapped_by, r, cx) {
        Ok(list) => list,
        Err(ended) => return ended,
    };
    let subs = list.iter().map(|_| None).collect();
    let mut variants = Variants { list, subs };
    let chosen = match negotiate(&mut variants, false, r, cx) {
        Ok(chosen) => chosen,
        Err(ended) => return ended,
    };
    let best = &variants.list[chosen];
    if best.body {
        return match r.method_number {
            M_GET | M_POST => Handled::Ok,
            _ => r.refuse(Decision::new(&cause::apache::METHOD_NOT_ALLOWED), 405),
        };
    }
    let path = r.uri.strip_suffix(r.path_info.as_slice()).unwrap_or(&r.uri);
    let mut target = escape_uri(parent_directory(path));
    target.extend_from_slice(&best.file_name);
    target.extend_from_slice(&r.path_info);
    if let Some(args) = &r.args {
        target.push(b'?');
        target.extend_from_slice(args);
    }
    r.redirected_by = r.handler.as_ref().and_then(|handler| handler.origin);
    internal_redirect(&target, r, cx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_force_language_priority_exclude_none() {
        let prefer = parse_force_priority(ForcePriority::default(), b"Prefer").expect("a word");
        assert!(parse_force_priority(prefer, b"fallback").is_ok());
        assert!(parse_force_priority(prefer, b"None").is_err());
        assert!(parse_force_priority(prefer, b"x").is_err());
    }
}

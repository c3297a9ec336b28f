//! `.htaccess`: which file is read, what it may hold, and what makes it a 403 or a 500 (ap_parse_htaccess).
//!
//! A file is looked for at every level where anything is allowed in it, and also where nobody ever said
//! `AllowOverride`: there the file is read although nothing may stand in it, so that any directive is a 500.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::apache::build;
use crate::apache::check;
use crate::apache::core::options;
use crate::apache::directives;
use crate::apache::load::Override;
use crate::apache::model::DirConf;
use crate::apache::request::directory_walk::Running;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::cause;
use crate::fact::{Fact, Question, Subject};
use crate::fs::{Bytes, Errno};
use crate::outcome::{Decision, Related};
use crate::problem::{Problem, first_refusal};
use crate::source::{InclusionKind, Origin};
use crate::trace::apache::Event;

/// Largest `.htaccess` that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The default of AccessFileName.
const DEFAULT_NAME: &[u8] = b".htaccess";

/// An `.htaccess` as it was read under one override.
#[derive(Debug)]
struct Parsed {
    bytes: Bytes,
    result: Result<Arc<DirConf>, Problem>,
    questions: Vec<Question>,
}

/// Which file, and what was allowed in it: the same text may be fine in one place and a 500 in another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// As bytes: a path is hashed name by name.
    path: OsString,
    mask: u32,
    options: u32,
    list: Option<Vec<String>>,
    at: Option<Origin>,
}

/// What was read so far. Requests see the same object for the same text, which the walks compare.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    files: Mutex<HashMap<Key, Arc<Parsed>>>,
}

/// The records of every file that was read and may be what it is, by path.
pub(crate) fn records(cache: &Cache) -> Vec<(PathBuf, Arc<DirConf>)> {
    let files = cache.files.lock().unwrap_or_else(PoisonError::into_inner);
    let read =
        files.iter().filter_map(|(key, parsed)| Some((PathBuf::from(&key.path), parsed.result.as_ref().ok()?.clone())));
    let mut records: Vec<_> = read.collect();
    records.sort_by(|left, right| left.0.cmp(&right.0));
    records.dedup_by(|later, first| later.0 == first.0);
    records
}

/// The names under which the file is looked for.
fn names<'r>(r: &RequestRec<'r>) -> Vec<&'r [u8]> {
    match &r.server.core.access_file_names {
        Some(names) => names.value.iter().map(Vec::as_slice).collect(),
        None => vec![DEFAULT_NAME],
    }
}

/// Reads the first of the file names that exists at this level, which ends in a slash.
pub(crate) fn read<'c>(
    level: &[u8],
    running: &Running,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<Option<Arc<DirConf>>, Handled> {
    for name in names(r) {
        let whole = [level, name].concat();
        let path = Path::new(OsStr::from_bytes(&whole));
        if let Fact::Unknown(question) = cx.disk.fs.lstat(path) {
            // Nothing is known of the file. Most directories have none.
            let shown = path.display();
            let absent =
                cx.assume(question.subject, None, &format!("there is no {shown}"), &format!("there is an {shown}"));
            if absent {
                continue;
            }
            return Err(cx.unanswerable(Subject::Content(path.to_path_buf()), allow_origin(running)));
        }
        let bytes = match cx.disk.read(path, MAX_FILE) {
            Ok(Fact::Known(bytes)) => bytes,
            Ok(Fact::Unknown(question)) => {
                cx.inquiry.unanswerable(Question::at(question.subject, allow_origin(running)));
                return Err(Handled::Unknown);
            }
            Err(denied) if matches!(denied.errno, Errno::Enoent | Errno::Enotdir) => continue,
            Err(denied) => return Err(unreadable(path, denied, running, r)),
        };
        return parse(path, level, bytes, running, r, cx).map(Some);
    }
    Ok(None)
}

fn allow_origin(running: &Running) -> Option<Origin> {
    running.allow_override.and_then(|allowed| allowed.origin)
}

/// AH00529: the file cannot be opened. A missing search bit of the directory shows up here too.
fn unreadable(path: &Path, denied: crate::fs::Denied, running: &Running, r: &mut RequestRec) -> Handled {
    let irregular = matches!(denied.errno, Errno::Eisdir) || denied.errno == Errno::NOT_REGULAR;
    let cause = if irregular { &cause::apache::HTACCESS_NOT_REGULAR } else { &cause::apache::HTACCESS_UNREADABLE };
    let allowed = allow_origin(running);
    let mut decision = Decision::new(cause);
    // The file itself: the line that makes it looked at. A directory on the way: the line that leads there.
    let own = denied.path == path || denied.path.parent() == path.parent();
    decision.directive = if own { allowed.or(r.mapped_by) } else { r.mapped_by.or(allowed) };
    decision.default = own && allowed.is_none();
    let other = if own { r.mapped_by } else { allowed };
    let role = if own { "mapping" } else { "override" };
    decision
        .related
        .extend(other.filter(|origin| decision.directive != Some(*origin)).map(|origin| Related { role, origin }));
    decision.path = Some(denied.path);
    r.refuse(decision, 403)
}

/// The records of a file, or the 500 that its first problem is.
fn parse<'c>(
    path: &Path,
    level: &[u8],
    bytes: Bytes,
    running: &Running,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<Arc<DirConf>, Handled> {
    let allowed = admitted(running);
    let key = Key {
        path: path.as_os_str().to_owned(),
        mask: allowed.mask,
        options: allowed.options,
        list: allowed.list.clone(),
        at: allow_origin(running),
    };
    let cached = lock(&cx.config.htaccess)
        .get(&key)
        .filter(|parsed| Arc::ptr_eq(&parsed.bytes, &bytes) || parsed.bytes == bytes)
        .cloned();
    let parsed = match cached {
        Some(parsed) => parsed,
        None => {
            let parsed = Arc::new(parse_file(path, level, bytes, &allowed, key.at, cx));
            lock(&cx.config.htaccess).insert(key, parsed.clone());
            parsed
        }
    };
    for question in &parsed.questions {
        cx.inquiry.unanswerable(question.clone());
    }
    match &parsed.result {
        Ok(conf) => {
            cx.note("directory_walk", conf.sections.first().copied(), || Event::HtaccessRead {
                path: path.to_path_buf(),
            });
            if parsed.questions.is_empty() { Ok(conf.clone()) } else { Err(Handled::Unknown) }
        }
        Err(problem) => {
            let mut decision = Decision::new(&cause::apache::HTACCESS_ERROR).by(problem.origin);
            decision.path = Some(path.to_path_buf());
            decision.event = Some(crate::trace::Event::Apache(Event::Problem { message: problem.message.clone() }));
            decision.related.extend(allow_origin(running).map(|origin| Related { role: "override", origin }));
            Err(r.refuse(decision, 500))
        }
    }
}

fn lock(cache: &Cache) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Parsed>>> {
    cache.files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn parse_file(path: &Path, level: &[u8], bytes: Bytes, allowed: &Override, at: Option<Origin>, cx: &Cx) -> Parsed {
    let sources = &cx.config.sources;
    let file = sources.add(path, bytes.clone());
    let via = at.map(|at| sources.include(file, at, InclusionKind::Htaccess));
    let read = check::htaccess(&cx.config.known, cx.world.fs, sources, file, via, allowed);
    let result = match first_refusal(&read.problems) {
        Some(problem) => Err(problem.clone()),
        None => {
            let whole = crate::source::Span::new(file, 0, 0);
            let origin = read.nodes.first().map_or(Origin { span: whole, via }, |node| node.origin);
            Ok(Arc::new(build::htaccess(&read.nodes, level, origin, cx.config)))
        }
    };
    Parsed { bytes, result, questions: read.questions }
}

/// What the override in force admits, in the words of the loader.
fn admitted(running: &Running) -> Override {
    const ORDER: [u32; 7] = [
        options::INDEXES,
        options::INCLUDES | options::INC_WITH_EXEC,
        options::SYM_LINKS,
        options::EXEC_CGI,
        options::INCLUDES,
        options::SYM_OWNER,
        options::MULTI,
    ];
    let (mask, permitted) = match running.allow_override {
        Some(allowed) => (allowed.value.mask, allowed.value.options),
        None => (directives::OR_UNSET, options::EVERY),
    };
    let bits = ORDER.iter().enumerate().filter(|(_, bits)| permitted & *bits == **bits);
    Override {
        mask,
        options: bits.fold(0, |all, (index, _)| all | 1 << index),
        list: running.override_list.as_ref().map(|list| list.value.to_vec()),
    }
}

/// For the trace: a file lies here and is not looked at.
pub(crate) fn note_ignored<'c>(level: &[u8], running: &Running, r: &RequestRec<'c>, cx: &mut Cx<'c>) {
    for name in names(r) {
        let whole = [level, name].concat();
        let path = Path::new(OsStr::from_bytes(&whole)).to_path_buf();
        if matches!(cx.disk.fs.lstat(&path), Fact::Known(Ok(_))) {
            cx.note("directory_walk", allow_origin(running), || Event::HtaccessIgnored { path });
        }
    }
}

/// For a refusal: an `.htaccess` on the way that says nothing, because nothing may stand in it.
pub(crate) fn explain_ignored<'c>(decision: &mut Decision, r: &RequestRec<'c>, cx: &Cx<'c>) {
    let filename = r.filename.clone().unwrap_or_default();
    let allowed = r.per_dir.core.allow_override;
    if allowed.is_none_or(|allowed| allowed.value.mask != 0) {
        return;
    }
    let levels = filename.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &filename[..=at]);
    let found =
        levels.flat_map(|level| names(r).into_iter().map(move |name| [level, name].concat())).find_map(|whole| {
            let path = Path::new(OsStr::from_bytes(&whole)).to_path_buf();
            matches!(cx.disk.fs.lstat(&path), Fact::Known(Ok(_))).then_some(path)
        });
    let Some(path) = found else { return };
    decision.event = Some(crate::trace::Event::Apache(Event::HtaccessIgnored { path }));
    let origin = allowed.and_then(|allowed| allowed.origin);
    decision.related.extend(origin.map(|origin| Related { role: "override", origin }));
}

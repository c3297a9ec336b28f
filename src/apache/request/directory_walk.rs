//! The directory walk: from `/` down to the file, meeting `<Directory>` sections, `.htaccess` files and links
//! (ap_directory_walk).
//!
//! Two details decide statuses. Where the whole path could be looked at and links are followed freely, components are
//! taken for directories without looking at each; so a missing search bit shows up at the `.htaccess` instead, and a
//! regular file is treated as one more level. And links are judged by the options of the directory that holds the link
//! as named in the request, whatever holds where the link leads.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::core::{AllowOverride, DirRecord, Options, options};
use crate::apache::fnmatch::fnmatch;
use crate::apache::htaccess;
use crate::apache::model::Matcher;
use crate::apache::request::walk::{Kind, PATHNAME, Walk, regex_matches};
use crate::apache::request::{Cx, Handled, RequestRec, normalize};
use crate::cause;
use crate::cause::Cause;
use crate::fs::{Denied, Errno, FileKind, Follow, Stat};
use crate::outcome::{Decision, Related};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// What the walk itself needs of the core's record, kept up level by level (core_opts_t).
#[derive(Clone)]
pub(crate) struct Running {
    /// `Options`.
    pub options: Options,
    /// `AllowOverride`; `None`: never said.
    pub allow_override: Option<Setting<AllowOverride>>,
    /// `AllowOverrideList`.
    pub override_list: Option<Setting<std::sync::Arc<Vec<String>>>>,
}

impl Running {
    fn of(core: &DirRecord) -> Self {
        Running {
            options: core.options.clone(),
            allow_override: core.allow_override,
            override_list: core.override_list.clone(),
        }
    }

    /// core_opts_merge.
    fn merge(&mut self, core: &DirRecord) {
        self.options = Options::merge(&self.options, &core.options);
        self.allow_override = core.allow_override.or(self.allow_override);
        if core.override_list.is_some() {
            self.override_list.clone_from(&core.override_list);
        }
    }

    /// Links may be followed without looking at them.
    fn follows_freely(&self) -> bool {
        self.options.has(options::SYM_LINKS) && !self.options.has(options::SYM_OWNER)
    }

    /// Whether `.htaccess` files are looked for at all: `AllowOverride None` is no, never having said anything is yes.
    fn reads_htaccess(&self) -> bool {
        let listed = self.override_list.as_ref().is_some_and(|list| !list.value.is_empty());
        listed || self.allow_override.is_none_or(|allowed| allowed.value.mask != 0)
    }
}

fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// ap_directory_walk.
pub(crate) fn directory_walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(filename) = r.filename.as_deref().and_then(normalize::canonical_path) else { return Handled::Ok };
    r.filename = Some(filename.clone());
    let walk = Walk::prepare(Kind::Directory, r);

    if r.finfo.as_ref().is_none_or(|stat| stat.kind == FileKind::Symlink) {
        r.finfo = cx.disk.stat(path(&filename), Follow::Yes).ok();
        if !r.is_directory() && filename.ends_with(b"/") {
            r.finfo = None;
        }
    }
    let mut entry = filename.clone();
    if r.is_regular() {
        entry.truncate(filename.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1));
    } else if !filename.ends_with(b"/") {
        entry.push(b'/');
    }

    let directories = r.server.held.directories.clone();
    let settled = r.is_regular() || (r.is_directory() && r.path_info.is_empty());
    if settled && walk.is_familiar(&directories, &entry) {
        return familiar(walk, r, cx);
    }
    descend(walk, filename, r, cx)
}

/// The walk of the parent is taken over whole; only the last component may still be a link that must not be followed.
fn familiar<'c>(mut walk: Walk, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let directories = r.server.held.directories.clone();
    let Some(result) = walk.familiar_result(r) else {
        walk.take_over();
        walk.finish(&directories, r, cx);
        return Handled::Ok;
    };
    r.per_dir = result;
    walk.store(r);
    let running = Running::of(&r.per_dir.core);
    if running.options.has(options::SYM_LINKS) {
        return Handled::Ok;
    }
    let filename = r.filename.clone().unwrap_or_default();
    match cx.disk.stat(path(&filename), Follow::No) {
        Err(denied) => permission(r, &cause::apache::SYMLINK_SUBREQUEST, "AH00031", denied),
        Ok(stat) if stat.kind == FileKind::Symlink => {
            match resolve_symlink(&filename, &stat, &running, "AH00032", &cause::apache::SYMLINK_SUBREQUEST, r, cx) {
                Ok(_) => Handled::Ok,
                Err(handled) => handled,
            }
        }
        Ok(_) => Handled::Ok,
    }
}

/// The loop over the levels.
fn descend<'c>(mut walk: Walk, whole: Vec<u8>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    walk.again(cx.config.auth_per_conf);
    let directories = r.server.held.directories.clone();
    let mut running = Running::of(&r.per_dir.core);
    // A directory cannot have path info: it goes back onto the path to be walked.
    let (mut whole, saved_path_info) = (whole, r.path_info.clone());
    let rejoined = r.is_directory() && !saved_path_info.is_empty();
    if rejoined {
        whole.extend_from_slice(&saved_path_info);
        whole = normalize::canonical_path(&whole).unwrap_or(whole);
    }
    // `name` is the path as far as it was walked, `rest` what is left of it.
    let mut name: Vec<u8> = b"/".to_vec();
    let mut rest: &[u8] = whole.strip_prefix(b"/").unwrap_or(&whole);
    let mut segments = 1;
    let mut next = 0;
    let mut found: Option<Stat> = Some(Stat::of(FileKind::Directory));
    loop {
        let mut level = name.clone();
        if !level.ends_with(b"/") {
            level.push(b'/');
        }
        while let Some(section) = directories.get(next) {
            if matches!(section.matcher, Matcher::Regex(_)) || section.components > segments {
                break;
            }
            next += 1;
            let matched = section.components == 0
                || (section.components == segments
                    && match &section.matcher {
                        Matcher::Literal(text) => *text == level,
                        Matcher::Glob(pattern) => fnmatch(pattern, &level, PATHNAME),
                        _ => false,
                    });
            if matched {
                cx.note("directory_walk", Some(section.origin), || Event::SectionMatched { kind: "Directory" });
                running.merge(&section.conf.core);
                walk.matched(&section.conf, cx);
            }
        }
        if running.reads_htaccess() {
            match htaccess::read(&level, &running, r, cx) {
                Ok(Some(conf)) => {
                    running.merge(&conf.core);
                    walk.matched(&conf, cx);
                }
                Ok(None) => {}
                Err(ended) => return ended,
            }
        } else if cx.trace.records() {
            htaccess::note_ignored(&level, &running, r, cx);
        }
        if rest.is_empty() && !(name.len() > 1 && whole.ends_with(b"/") && !name.ends_with(b"/")) {
            break;
        }
        // The next component; a trailing slash alone ends the walk.
        if rest.is_empty() {
            name.push(b'/');
            break;
        }
        let end = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        if !name.ends_with(b"/") {
            name.push(b'/');
        }
        name.extend_from_slice(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
        if r.finfo.is_some() && running.follows_freely() {
            found = Some(Stat::of(FileKind::Directory));
            segments += 1;
            continue;
        }
        match component(&name, &running, r, cx) {
            Ok(Some(stat)) if stat.kind == FileKind::Directory => {
                found = Some(stat);
                segments += 1;
            }
            Ok(other) => {
                found = other;
                break;
            }
            Err(ended) => return ended,
        }
    }
    // What is left over is path info: everything after `name`, with its slash.
    let mut path_info = whole.get(name.len()..).unwrap_or_default().to_vec();
    if !rejoined {
        path_info.extend_from_slice(&saved_path_info);
    }
    r.filename = Some(name.clone());
    r.path_info = path_info;
    if r.finfo.as_ref().is_none_or(|stat| stat.kind == FileKind::Symlink) {
        r.finfo = found;
    }
    for section in directories.iter().skip(next) {
        match regex_matches(section, &name, r, cx) {
            Some(true) => {
                cx.note("directory_walk", Some(section.origin), || Event::SectionMatched { kind: "DirectoryMatch" });
                running.merge(&section.conf.core);
                walk.matched(&section.conf, cx);
            }
            Some(false) => {}
            None => return Handled::Unknown,
        }
    }
    let parent = name.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    walk.cache.cached = Some(if r.is_directory() { name } else { name[..parent].to_vec() });
    walk.finish(&directories, r, cx);
    Handled::Ok
}

/// Looks at one component: what it is, `None` where nothing is there.
fn component<'c>(
    name: &[u8],
    running: &Running,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<Option<Stat>, Handled> {
    let mut stat = match cx.disk.stat(path(name), Follow::No) {
        Ok(stat) => stat,
        Err(denied) if denied.errno == Errno::Enoent => return Ok(None),
        Err(denied) if denied.errno == Errno::Eacces => {
            return Err(permission(r, &cause::apache::SEARCH_PERMISSION, "AH00035", denied));
        }
        Err(denied) => return Err(permission(r, &cause::apache::PATH_STAT_ERROR, "AH00036", denied)),
    };
    if stat.kind == FileKind::Symlink {
        stat = resolve_symlink(name, &stat, running, "AH00037", &cause::apache::SYMLINK_NOT_ALLOWED, r, cx)?;
    }
    match stat.kind {
        FileKind::Regular | FileKind::Directory => Ok(Some(stat)),
        _ => {
            let mut decision = Decision::new(&cause::apache::NOT_A_FILE).by(r.mapped_by);
            decision.path = Some(path(name).to_path_buf());
            Err(r.refuse(decision, 403))
        }
    }
}

/// A decision about permissions: the mapping directive, and the inode to change.
fn permission(r: &mut RequestRec, cause: &'static Cause, log: &str, denied: Denied) -> Handled {
    let mut decision = Decision::new(cause).by(r.mapped_by);
    decision.path = Some(denied.path);
    decision.log = Some(log.to_owned());
    r.refuse(decision, 403)
}

/// resolve_symlink: what the link leads to, or why it may not be followed.
fn resolve_symlink<'c>(
    link: &[u8],
    link_stat: &Stat,
    running: &Running,
    log: &str,
    not_allowed: &'static Cause,
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Result<Stat, Handled> {
    let refuse = |r: &mut RequestRec<'c>, cause: &'static Cause, by: Option<Origin>, at: &Path| {
        let mut decision = Decision::new(if log == "AH00037" { cause } else { not_allowed }).by(by.or(r.mapped_by));
        decision.default = by.is_none() && cause != &cause::apache::SYMLINK_TARGET_UNREACHABLE;
        decision.path = Some(at.to_path_buf());
        decision.log = Some(log.to_owned());
        decision.related.extend(r.mapped_by.map(|origin| Related { role: "mapping", origin }));
        r.refuse(decision, 403)
    };
    let waived = cx.inquiry.waives(None, Some(path(link)));
    let links = running.options.has(options::SYM_LINKS) || waived;
    let owner = running.options.has(options::SYM_OWNER) && !waived;
    if !links && !owner {
        let by = running.options.origin_of(options::SYM_LINKS);
        return Err(refuse(r, &cause::apache::SYMLINK_NOT_ALLOWED, by, path(link)));
    }
    let target = match cx.disk.stat(path(link), Follow::Yes) {
        Ok(target) => target,
        Err(denied) => {
            // A missing target: the link is what can be repaired.
            let at = if denied.errno == Errno::Eacces { denied.path } else { path(link).to_path_buf() };
            return Err(refuse(r, &cause::apache::SYMLINK_TARGET_UNREACHABLE, None, &at));
        }
    };
    if owner && !cx.disk.same_owner(path(link), link_stat, &target) {
        let by = running.options.origin_of(options::SYM_OWNER);
        return Err(refuse(r, &cause::apache::SYMLINK_OWNER_MISMATCH, by, path(link)));
    }
    Ok(target)
}

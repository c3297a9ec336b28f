//! `ngx_http_index_module`: the first index file that is there is redirected to, whatever it is; every phase runs again
//! for the new URI.

use std::ops::ControlFlow;
use std::path::Path;

use super::super::mapping::{map_bytes, path_from};
use super::super::request::{Cx, Flow, HttpRequest, Method, error};
use super::content::{Found, PHASE, blame_symlinks, failed, lookup, path_decision};
use crate::cause::nginx as causes;
use crate::fs::{Denied, Errno, FileKind};
use crate::source::Origin;
use crate::trace::nginx::Event;

pub(super) fn index<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    if !r.uri.ends_with(b"/") || !r.method.is_in(Method::GET.0 | Method::HEAD.0 | Method::POST.0) {
        return ControlFlow::Continue(());
    }
    let mut directory_tested = false;
    for name in &r.conf.content.index {
        let text = name.value.evaluate(r, cx)?;
        if text.starts_with(b"/") {
            return redirect(text.into_owned(), name.origin, r, cx);
        }
        let directory = map_bytes(r, cx)?;
        let path = path_from([&directory, &*text].concat());
        let found = lookup(&path, r, cx)?;
        let errno = match &found {
            Found::Stat(_) => None,
            Found::Denied(denied) => Some(denied.errno),
        };
        cx.push(PHASE, name.origin.or(r.conf.core.mapping.origin), || Event::Index { path: path.clone(), errno });
        match found {
            Found::Stat(_) => {
                let uri = [&r.uri, &*text].concat();
                return redirect(uri, name.origin, r, cx);
            }
            Found::Denied(denied) => {
                refused(&denied, &path, r)?;
                if !directory_tested {
                    // An alias without a slash at its end is tested as it stands, and so is `/`.
                    let bare = directory.strip_suffix(b"/").filter(|bare| !bare.is_empty()).unwrap_or(&directory);
                    test_directory(&path_from(bare.to_vec()), &path, r, cx)?;
                    directory_tested = true;
                }
                if denied.errno != Errno::Enoent {
                    let mut decision = path_decision(causes::INDEX_ERROR, Some(&denied), r);
                    decision.log = failed("stat", &path, denied.errno);
                    return error(500, decision);
                }
            }
        }
    }
    ControlFlow::Continue(())
}

fn redirect<'a>(uri: Vec<u8>, origin: Option<Origin>, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    let args = r.args.clone();
    let flow = r.internal_redirect(cx, uri, args, origin);
    r.led_by_index = true;
    flow
}

/// Errors that end the search at once.
fn refused(denied: &Denied, path: &Path, r: &HttpRequest) -> Flow {
    match denied.errno {
        Errno::Eloop => {
            let decision = blame_symlinks(path_decision(causes::INDEX_SYMLINK, Some(denied), r), r);
            error(403, decision)
        }
        Errno::Eacces => {
            let mut decision = path_decision(causes::INDEX_SEARCH_PERMISSION, Some(denied), r);
            decision.log = Some(format!("\"{}\" is forbidden (13:", path.display()));
            error(403, decision)
        }
        Errno::Enotdir | Errno::Enametoolong => not_found(denied, path, r),
        _ => ControlFlow::Continue(()),
    }
}

fn not_found(denied: &Denied, path: &Path, r: &HttpRequest) -> Flow {
    let mut decision = path_decision(causes::INDEX_NOT_FOUND, Some(denied), r);
    decision.log = Some(format!("\"{}\" is not found ({}:", path.display(), denied.errno.number()));
    error(404, decision)
}

/// `ngx_http_index_test_dir`: is there a directory at all?
fn test_directory<'a>(directory: &Path, index: &Path, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow {
    match lookup(directory, r, cx)? {
        Found::Stat(stat) if stat.kind == FileKind::Directory => ControlFlow::Continue(()),
        Found::Stat(_) => {
            let mut decision = path_decision(causes::INDEX_ERROR, None, r);
            decision.path = Some(directory.to_path_buf());
            decision.log = Some(format!("\"{}\" is not a directory", directory.display()));
            error(500, decision)
        }
        Found::Denied(denied) => match denied.errno {
            Errno::Eloop => error(403, blame_symlinks(path_decision(causes::INDEX_SYMLINK, Some(&denied), r), r)),
            Errno::Enoent => not_found(&denied, index, r),
            // Opening the directory failed, but searching it did not.
            Errno::Eacces => ControlFlow::Continue(()),
            errno => {
                let mut decision = path_decision(causes::INDEX_ERROR, Some(&denied), r);
                decision.log = failed("stat", directory, errno);
                error(500, decision)
            }
        },
    }
}

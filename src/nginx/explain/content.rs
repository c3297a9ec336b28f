//! Precontent and content: files, directories, permissions, handlers.

use super::{Teller, quoted, sentences, uri};
use crate::sentence::Sentences;

pub(super) fn tell(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    let path = teller.path();
    let worker = teller.worker();
    match teller.code() {
        "try-files-403" | "try-files-code" => sentences(
            format!("no file of {decider} is there, and its last word is a status"),
            ["what may not be looked at counts as missing, and a directory is no file unless the argument ends in `/`".to_owned()],
        ),
        "directory-index" => {
            let directory = teller.run.seen.file.as_deref().map_or_else(|| "the directory".to_owned(), quoted);
            let what = format!("{directory} has no index file, and listing is off");
            let led = if decider.starts_with("`try_files") {
                format!("{decider} finds the directory and stops there; it does not ask for an index file")
            } else {
                String::new()
            };
            sentences(what, [led, "a path that ends in `/` and that no handler answers is 403".to_owned()])
        }
        "directory-index-post" => sentences(
            format!("{decider} lists directories for GET and HEAD only"),
            ["a path that ends in `/` and that no handler answers is 403".to_owned()],
        ),
        "index-search-permission" => sentences(
            format!("{worker} may not search {path}"),
            ["looking for an index file needs the search bit (x) on every directory of the path".to_owned()],
        ),
        "index-unreadable" => sentences(
            format!("{worker} may not read the index file: permission ends at {path}"),
            ["an index file is only looked for, not read, so the first one that exists is taken".to_owned()],
        ),
        "static-permission" | "media-permission" => sentences(
            format!("{worker} may not open the file: permission ends at {path}"),
            ["reading a file needs r on the file and x on every directory above it".to_owned()],
        ),
        "static-directory-unreadable" => sentences(
            format!("{worker} may not read the directory {path}"),
            ["a directory without its final slash is opened before it is redirected, which needs r; with the slash x is enough".to_owned()],
        ),
        "autoindex-permission" | "random-index-permission" => sentences(
            format!("{worker} may not list {path}"),
            ["a listing needs r on the directory and x on every directory above it".to_owned()],
        ),
        "symlink-loop" => sentences(format!("the symbolic links at {path} lead in a circle"), []),
        "index-symlink" | "disable-symlinks" => symlinks(teller),
        "not-found" => sentences(
            format!("{path} is not there"),
            [mapped(teller), "a missing directory on the way, or a file where a directory should be, is 404 too".to_owned()],
        ),
        "index-not-found" => sentences(format!("the directory of {path} is not there"), [mapped(teller)]),
        "not-regular" => sentences(format!("{path} is neither a file nor a directory"), []),
        "directory-redirect" => {
            sentences(format!("{} is a directory: the client is sent to the path with a slash", uri(teller.run)), [])
        }
        "method-not-allowed" => sentences(
            "files answer GET and HEAD only".to_owned(),
            ["the file is opened first: POST to a missing file is 404, to a directory a redirect".to_owned()],
        ),
        "handler-method" => sentences(format!("{decider} does not answer this method"), []),
        "dav-permission" => sentences(
            format!("{worker} may not change {path}"),
            ["creating and deleting need w and x on the directory".to_owned()],
        ),
        "upstream" => sentences(format!("{decider} hands the request to a back end, which answers"), []),
        "upstream-none-live" => sentences(
            format!("every server of the group is marked `down`, beginning with {decider}"),
            ["nginx has nobody to ask and answers itself; no back end sees the request".to_owned()],
        ),
        "memcached-key-unset" => sentences(
            format!("{decider} asks memcached for `$memcached_key`, which has no value"),
            ["the key is `set` in the location or by a `map`; what is set for another location does not count here".to_owned()],
        ),
        "upstream-no-resolver" => sentences(
            format!("{decider} computes the name of its back end, and no `resolver` is set to look it up"),
            ["names that are written out are looked up when nginx starts; computed ones need a `resolver`, unless an `upstream` \
              has that name".to_owned()],
        ),
        "alias-rewritten" => sentences(
            format!("{decider} cannot map a URI that a rewrite has changed"),
            ["an `alias` replaces the name of the location, which is not at the front of the URI any more".to_owned()],
        ),
        _ => None,
    }
}

/// How the URI became the path.
fn mapped(teller: &Teller) -> String {
    match (&teller.run.seen.file, teller.decision.directive) {
        (Some(file), Some(at)) => format!("{} maps {} to {}", teller.directive(at), uri(teller.run), quoted(file)),
        _ => String::new(),
    }
}

fn symlinks(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    if !decider.starts_with("`disable_symlinks") {
        return sentences(format!("the symbolic links at {} lead in a circle", teller.path()), []);
    }
    sentences(
        format!("{decider} refuses the symbolic link {}", teller.path()),
        ["a link at the end of the path is 403, under `on` a link to a directory in the middle is 404".to_owned()],
    )
}

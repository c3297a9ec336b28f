//! The page of a cause: what `why403 cause CODE` prints and `docs/causes/` holds.

use std::fmt::Write;

use super::Cause;

/// What surprises people about a cause, and what ends it.
struct Details {
    code: &'static str,
    why: &'static str,
    ends: &'static str,
}

/// The page in Markdown.
pub fn page(cause: &Cause) -> String {
    let mut page = format!("# {}\n\n{}.\n\n", cause.code, capitalised(cause.summary));
    let _ = writeln!(page, "- phase: {}", cause.phase);
    let _ = match cause.log {
        Some(log) => writeln!(page, "- in the error log: `{log}`"),
        None => writeln!(page, "- in the error log: nothing"),
    };
    if let Some(details) = DETAILS.iter().find(|details| details.code == cause.code) {
        let _ = write!(page, "\n{}\n\n## What ends it\n\n{}\n", details.why, details.ends);
    }
    page
}

fn capitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

macro_rules! details {
    ($($code:literal: $why:literal, $ends:literal;)*) => {
        const DETAILS: &[Details] = &[$(Details { code: $code, why: $why, ends: $ends }),*];
    };
}

details! {
    "nginx/access-deny":
        "The first rule of the list that covers the client decides; what follows it is never read. A block with an `allow` or `deny` \
         of its own has its own list: nothing is inherited from the block around it.",
        "An `allow` for the client in front of the `deny`, in the same block.";
    "nginx/access-deny-limit-except":
        "`limit_except GET { … }` applies its rules to every method but GET and HEAD, so OPTIONS and PATCH are refused unless they are listed. \
         Inside it the list is one of its own.",
        "The method in the list of `limit_except`, or an `allow` inside it.";
    "nginx/access-deny-satisfy-any":
        "Under `satisfy any` one of addresses, password and authorization request has to let the client in. None did, and no password was asked for.",
        "An `allow` for the client, or another way in, such as `auth_basic`.";
    "nginx/auth-basic-file-missing":
        "A missing `auth_basic_user_file` is 403 as soon as a request carries credentials, and 401 before. The path is relative to the directory of \
         the main configuration file, not to the server's prefix.",
        "The file, where the directive says it is.";
    "nginx/auth-request-403":
        "The subrequest goes through all phases of its own location. nginx writes no line for the main request; the lines of the subrequest name it as `subrequest:`.",
        "Whatever refuses inside the location of the subrequest.";
    "nginx/return-403":
        "A `return` runs in the rewrite phase, before any access rule: `allow` cannot help, and nginx logs nothing. It often stands in the default \
         server, which takes every request whose Host no other server names.",
        "A `server_name` for the host in the right server, a condition, or no `return`.";
    "nginx/return-403-if":
        "The `if` was true: look at what feeds its variable, a `map`, a `geo`, `valid_referers` or a `set`. nginx logs nothing.",
        "A change to what feeds the condition: `none` in `valid_referers`, a line in the `map`.";
    "nginx/try-files-403":
        "`try_files` looks at each name without a word to the log, and a directory counts only for a name that ends in a slash. A file that cannot be \
         reached is treated like one that is not there.",
        "One of the files, or another last word than `=403`.";
    "nginx/directory-index":
        "The URI ends in a slash, the directory exists, none of the `index` names does, and `autoindex` is off, as it is unless somebody switched it \
         on. `try_files $uri/` accepts a directory without an index, too.",
        "An index file, the right name in `index`, a `root` that points to the right directory, or `autoindex on`.";
    "nginx/directory-index-post":
        "A listing answers GET and HEAD only; any other method gets the 403 of a directory without an index.",
        "GET, or a handler for the method.";
    "nginx/index-search-permission":
        "The worker needs search permission (`x`) on every directory above the file, not only on the last one. Home directories are often 0700.",
        "`chmod o+x` on the one directory named in `path`.";
    "nginx/index-unreadable":
        "The index file was found, which needs no read permission, and could not be opened, which does.",
        "`chmod o+r` on the file.";
    "nginx/index-symlink":
        "`disable_symlinks`, or links that lead in a circle, stop the search for the index without a line in the log.",
        "`disable_symlinks if_not_owner` or `off`, or a link that leads somewhere.";
    "nginx/autoindex-permission":
        "A listing reads the directory, which needs `r` on it. Files below it may still be served: that needs `x` only.",
        "`chmod o+r` on the directory.";
    "nginx/static-permission":
        "The worker runs as the `user` of the configuration, not as root. It needs `r` on the file and `x` on every directory above it.",
        "The mode bit that is missing on the one inode named in `path`.";
    "nginx/static-directory-unreadable":
        "Before nginx redirects a directory to its slash it opens it, which needs `r`.",
        "`chmod o+r` on the directory, or a request with the slash.";
    "nginx/symlink-loop":
        "Too many symbolic links in a row: open(2) says ELOOP, and nginx answers 403, not 404.",
        "A link that leads to a file.";
    "nginx/disable-symlinks":
        "`disable_symlinks on` refuses a link in any component of the path; `if_not_owner` refuses one that belongs to another user than its target. \
         `from=` names a part of the path that is not checked.",
        "`if_not_owner` with matching owners, `from=$document_root`, or `off`.";
    "nginx/limit-req":
        "The first request of a client is never over the limit. The status is 503 unless `limit_req_status` says otherwise.",
        "A higher rate or burst, or patience.";
    "nginx/limit-conn":
        "The status is 503 unless `limit_conn_status` says otherwise.",
        "A higher number.";
    "nginx/error-page-status":
        "`error_page 404 =403 /x` replaces the status of the error. The original error stands first in the log.",
        "No `=403`, or an end to the original error.";
    "nginx/error-page-forbidden":
        "The error page is a request of its own and goes through all phases again: a `deny all` that refused the request refuses its page too, and the status of the page wins.",
        "A location for the page with `allow all`.";
    "nginx/ssl-error-page":
        "The errors 495, 496 and 497 are 400 on the wire unless an `error_page` gives them another status.",
        "A valid client certificate, or another status.";
    "nginx/dav-permission":
        "WebDAV changes the file system as the worker: the directory has to be writable for it.",
        "Write permission for the worker on the directory.";
    "nginx/third-party":
        "A module that why403 does not simulate is in force here and may refuse the request.",
        "The documentation of that module.";
    "apache/require-denied":
        "The last section in merge order that holds a `Require` decides alone, unless `AuthMerging` says otherwise. Order of the sections: \
         directories from the shortest to the longest with their `.htaccess`, regular expressions, files, locations, `<If>`.",
        "The client in the `Require` in force, or a section further down that grants.";
    "apache/require-denied-default-root":
        "`<Directory />` denies everything, and no section names the directory that the URL maps to: a document root, an alias or a user directory \
         outside of the granted tree.",
        "A `<Directory>` section for the directory with a `Require` that grants.";
    "apache/authz-forbidden-on-failure":
        "`AuthzSendForbiddenOnFailure On` answers 403 where 401 would ask for another user.",
        "The user in the `Require`.";
    "apache/access-compat-deny":
        "Under `Order allow,deny` a `Deny` beats every `Allow`; under `Order deny,allow` an `Allow` beats every `Deny`. The order of the lines means nothing.",
        "No `Deny` for the client, or an `Allow` where the order lets it win. Better: `Require ip`.";
    "apache/access-compat-order-default":
        "`Order allow,deny` refuses whomever no line names. These lines are mod_access_compat's and are checked beside every `Require`, not instead of it.",
        "`Allow from` for the client.";
    "apache/ssl-required":
        "`SSLRequireSSL` refuses plain HTTP, and `Satisfy Any` does not help against it where `StrictRequire` is set.",
        "https.";
    "apache/htaccess-unreadable":
        "Where `AllowOverride` lets an `.htaccess` count, one that exists and cannot be opened refuses everything below it, and so does a directory \
         that cannot be searched, whether an `.htaccess` is in it or not.",
        "The mode bit named in `path`, or `AllowOverride None`.";
    "apache/search-permission":
        "The worker needs `x` on every directory of the path.",
        "`chmod o+x` on the one directory named in `path`.";
    "apache/symlink-not-allowed":
        "A link in the path needs `Options FollowSymLinks` at the level where the link stands. `Options` without `+` and `-` replaces what was there: \
         `Options Indexes` takes FollowSymLinks away.",
        "`Options +FollowSymLinks` for that directory.";
    "apache/symlink-owner-mismatch":
        "With `SymLinksIfOwnerMatch` a link is followed only to something that belongs to the same user.",
        "`chown -h` on the link, or `FollowSymLinks`.";
    "apache/symlink-target-unreachable":
        "A link that leads nowhere is 403, where a missing file is 404.",
        "A link that leads somewhere the worker may go.";
    "apache/not-a-file":
        "Sockets, devices and pipes are not served.",
        "A regular file.";
    "apache/file-permission":
        "The worker runs as `User`, and needs `r` on the file.",
        "`chmod o+r` on the file.";
    "apache/path-too-long":
        "Document root and path together may have 4095 bytes.",
        "A shorter URL.";
    "apache/autoindex-forbidden":
        "None of the `DirectoryIndex` names is there, and `Options Indexes` is not in force. `DirectoryIndex` replaces the names that stood before in the same section.",
        "An index file, its name in `DirectoryIndex`, or `Options +Indexes`.";
    "apache/autoindex-unreadable":
        "A listing reads the directory, which needs `r`.",
        "`chmod o+r` on the directory.";
    "apache/index-subrequest-denied":
        "Each `DirectoryIndex` name is asked for as a request of its own. If one is refused and no later name is there, the refusal is the answer.",
        "Whatever refuses the index file.";
    "apache/fallback-denied":
        "`FallbackResource` is asked for as a request of its own, and that one is refused.",
        "Whatever refuses the resource.";
    "apache/redirect-403":
        "`Redirect 403` at server level runs before any access rule, in a section after them. Nothing is logged.",
        "Another path, or no such line.";
    "apache/rewrite-forbidden":
        "A `RewriteRule` with `[F]`, its conditions true. Nothing is logged unless `LogLevel rewrite:trace2`. In an `.htaccess` the pattern is matched \
         against the path without the directory.",
        "A condition that spares the request.";
    "apache/rewrite-options-off":
        "Rules in a directory need `FollowSymLinks` or `SymLinksIfOwnerMatch`, since rewriting is as powerful as a link. `Options Indexes` takes both away.",
        "`Options +FollowSymLinks`.";
    "apache/cgi-no-execcgi":
        "A handler for scripts is set, by `AddHandler` or `SetHandler`, in a directory without `Options ExecCGI`. It is 403 even for a file that does not exist.",
        "`Options +ExecCGI`, or no handler.";
    "apache/cgi-directory":
        "The URL names a directory below a `ScriptAlias` or under `SetHandler cgi-script`; directories are not run.",
        "The name of a script.";
    "apache/multiviews-unreadable-dir":
        "MultiViews lists the directory to look for variants of the name, which needs `r`.",
        "`chmod o+r` on the directory, or no MultiViews.";
    "apache/third-party":
        "A module that why403 does not simulate is in force here and may refuse the request.",
        "The documentation of that module.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detail_belongs_to_a_cause() {
        for details in DETAILS {
            assert!(super::super::find(details.code).is_some(), "{}", details.code);
        }
    }
}

//! Indexes, listings, scripts, files and error documents in sentences.

use super::Facts;

/// What decided.
pub(super) fn what(facts: &Facts) -> Option<String> {
    let directive = facts.directive();
    Some(match facts.code() {
        "autoindex-forbidden" => match directive {
            Some(directive) if !facts.decision.default => {
                format!("the directory has no index file, and {directive} does not allow a listing")
            }
            _ => "the directory has no index file, and nothing allows a listing".to_owned(),
        },
        "cgi-no-execcgi" => match directive {
            Some(directive) if !facts.decision.default => format!("{directive} does not allow scripts to run"),
            _ => "nothing allows scripts to run here".to_owned(),
        },
        "index-subrequest-denied" => {
            "an index of the directory is refused, and no other index can be served".to_owned()
        }
        "fallback-denied" => "the fallback resource is refused".to_owned(),
        "error-document-redirect" => format!("{} is a URL, so the error becomes a redirect", directive?),
        "body-too-large" => match directive {
            Some(directive) => format!("the body is larger than {directive} allows"),
            None => "the body is larger than 1 GiB, the default of LimitRequestBody".to_owned(),
        },
        "not-found" | "path-info-not-accepted" | "directory-not-served" => {
            format!("{}: {}", facts.path(), facts.decision.cause.summary)
        }
        _ => return None,
    })
}

/// The rules behind it.
pub(super) fn why(facts: &Facts, why: &mut Vec<String>) {
    for related in facts.related("index") {
        why.push(format!("the index is looked for by {}", facts.place(related.origin)));
    }
    for related in facts.related("handler") {
        why.push(format!("{} makes it a script", facts.place(related.origin)));
    }
    let more: &[&str] = match facts.code() {
        "autoindex-forbidden" if facts.related("index").next().is_none() => {
            &["without a DirectoryIndex the index is `index.html`"]
        }
        "index-subrequest-denied" => {
            &["every name of DirectoryIndex is checked like a request, even where no such file exists"]
        }
        "directory-slash" => &["a directory is redirected to its name with a slash, after access control"],
        "cgi-no-execcgi" => &["this is looked at before the file is, so a missing script is refused too"],
        "path-info-not-accepted" => &["AcceptPathInfo is off for files"],
        "too-many-redirects" => &["the rules apply to the path that they redirect to, and redirect again"],
        _ => &[],
    };
    why.extend(more.iter().map(|sentence| (*sentence).to_owned()));
}

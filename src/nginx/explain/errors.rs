//! Special responses: `error_page`, and errors of the pages themselves.

use super::{Teller, describe, sentences};
use crate::sentence::Sentences;

pub(super) fn tell(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    let original = original(teller);
    match teller.code() {
        "error-page-status" | "ssl-error-page" => {
            let what = format!("{decider} turns the error into {}", teller.status());
            sentences(what, [original])
        }
        "error-page-redirect" => {
            let why = "a page that does not begin with `/` or `@` is a redirect".to_owned();
            sentences(format!("{decider} redirects the client"), [original, why])
        }
        "error-page-forbidden" | "error-page-failed" => {
            let page =
                teller.related("error_page").map_or_else(|| "`error_page`".to_owned(), |at| teller.directive(at));
            let inner = teller.decision.inner.as_deref().map(|inner| describe(teller.config, teller.run, inner).what);
            let what = match inner {
                Some(inner) => format!("the page of {page} is refused too: {inner}"),
                None => format!("the page of {page} fails itself"),
            };
            let why = "an error page runs through every phase of its own location; its own error replaces the status";
            sentences(what, [why.to_owned(), original])
        }
        "charset-unset" => sentences(
            format!("{decider} takes its charset from a variable that has no value"),
            ["nginx then closes the connection instead of sending a response, error pages included".to_owned()],
        ),
        "not-modified" => sentences("the client's copy is current".to_owned(), []),
        "precondition-failed" => {
            let why = "a response without Last-Modified fails every If-Unmodified-Since".to_owned();
            sentences("a precondition in the request does not hold".to_owned(), [why])
        }
        _ => None,
    }
}

/// The error that the page stands for.
fn original(teller: &Teller) -> String {
    let mut decision = teller.decision.inner.as_deref();
    while let Some(inner) = decision.and_then(|decision| decision.inner.as_deref()) {
        decision = Some(inner);
    }
    match decision {
        Some(decision) => format!("the error behind it: {}", describe(teller.config, teller.run, decision).what),
        None => String::new(),
    }
}

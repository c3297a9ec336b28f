//! Preaccess and access: limits, allow and deny, passwords, the authorization subrequest.

use super::{Teller, quoted, sentences};
use crate::sentence::{Sentences, ticked};
use crate::trace::Event;
use crate::trace::nginx::{AuthBasic, Event as Said};

pub(super) fn tell(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    match teller.code() {
        "access-deny" => {
            let what = format!("{decider} is the first rule that covers {}", teller.client());
            sentences(
                what,
                [replaced_list(teller), "the first matching rule decides; rules below it are never read".to_owned()],
            )
        }
        "access-deny-limit-except" => {
            let block =
                teller.related("limit_except").map_or_else(|| "`limit_except`".to_owned(), |at| teller.directive(at));
            let what = format!("{decider} inside {block} is the first rule that covers {}", teller.client());
            let why = "every method that `limit_except` does not name gets the rules inside it, and nothing else of the location's \
                       rewrite directives";
            sentences(what, [why.to_owned()])
        }
        "access-deny-satisfy-any" => {
            let what = format!(
                "{decider} covers {}, and no other method of `satisfy any` lets the client in",
                teller.client()
            );
            let why = "under `satisfy any` one method is enough, and a refusal stands only when all have refused or kept silent";
            sentences(what, [why.to_owned(), replaced_list(teller)])
        }
        "auth-request-403" | "auth-request-401" | "auth-request-unexpected" => auth_request(teller),
        "auth-request-closed" => {
            let why = "a 444 in the subrequest closes the connection of the client".to_owned();
            sentences(format!("the subrequest of {decider} closes the connection"), [why])
        }
        "limit-req" | "limit-conn" => {
            let status = teller
                .related("status")
                .map_or_else(String::new, |at| format!("{} sets the status; 503 is the default", teller.directive(at)));
            sentences(format!("{decider}: the limit of its zone is exceeded"), [status])
        }
        code if code.starts_with("auth-basic-") => auth_basic(teller),
        _ => None,
    }
}

/// Why rules of the blocks around are not in force: a list of one's own replaces the inherited one whole.
fn replaced_list(teller: &Teller) -> String {
    let Some(location) = teller.related("location") else { return String::new() };
    let Some((own, server)) = teller.records(location) else { return String::new() };
    let inherited =
        [&server.access.v4.first().map(|rule| rule.origin), &server.access.v6.first().map(|rule| rule.origin)];
    let mut own_rules =
        own.access.v4.iter().map(|rule| rule.origin).chain(own.access.v6.iter().map(|rule| rule.origin));
    let Some(first) = inherited.into_iter().flatten().next() else { return String::new() };
    let named = teller.directive(location);
    if own_rules.any(|origin| origin == *first) {
        return format!("{named} has no rule of its own, so the list around it is in force");
    }
    format!("{named} has its own allow/deny list, so the list of the server block is not inherited")
}

fn auth_request(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    let Some(Event::Nginx(Said::AuthRequest { uri, status })) = &teller.decision.event else { return None };
    let what = format!("the subrequest of {decider} answers {status}");
    let inner = teller.decision.inner.as_deref().and_then(|inner| inner.directive);
    let inside = inner.map_or_else(String::new, |at| {
        format!("{} decides the subrequest ({})", teller.directive(at), teller.line(at))
    });
    let rule = match status {
        403 => "a 403 of the subrequest is passed on; nginx itself logs nothing for it".to_owned(),
        401 => "a 401 of the subrequest is passed on with its WWW-Authenticate".to_owned(),
        _ => format!("only 2xx, 401 and 403 mean something here: any other answer of {} is 500", ticked(uri)),
    };
    sentences(what, [inside, rule])
}

fn auth_basic(teller: &Teller) -> Option<Sentences> {
    let decider = teller.decider();
    let Some(Event::Nginx(Said::AuthBasic { user, verdict, file })) = &teller.decision.event else { return None };
    let user = ticked(user.as_deref().unwrap_or_default());
    let file = file.as_deref().map_or_else(String::new, quoted);
    let (what, why) = match verdict {
        AuthBasic::NoCredentials => (format!("{decider} asks for a password and the request carries none"), ""),
        AuthBasic::UnknownUser => (format!("{file} of {decider} does not name the user {user}"), ""),
        AuthBasic::Mismatch => (
            format!("the password does not fit the one of {user} in {file}"),
            "the first line that names the user decides",
        ),
        AuthBasic::File(crate::fs::Errno::Enoent) => (
            format!("the password file {file} of {decider} does not exist"),
            "a missing file is 401 for requests without a password and 403 for all others; a relative name is \
             looked up beside the main configuration file",
        ),
        AuthBasic::File(errno) => (
            format!("the password file of {decider} cannot be read: {errno} at {file}"),
            "the worker opens the file for each request; every error but a missing file is 500",
        ),
        AuthBasic::Match => return None,
    };
    sentences(what, [why.to_owned()])
}

//! Access, authentication and authorization in sentences.

use super::Facts;

/// What decided.
pub(super) fn what(facts: &Facts) -> Option<String> {
    let directive = facts.directive()?;
    let client = facts.client();
    Some(match facts.code() {
        "require-denied" | "require-denied-default-root" => {
            let all: usize = 1 + facts.related("co-decider").count();
            match all {
                1 => format!("{directive} does not grant this request from {client}"),
                _ => format!("none of {all} requirements grants this request from {client}, {directive} among them"),
            }
        }
        "access-compat-deny" => format!("{directive} covers {client}"),
        "access-compat-order-default" => format!("{directive}, and no Allow line covers {client}"),
        "authz-forbidden-on-failure" | "user-not-authorized" => format!("{directive} does not hold for this user"),
        "authentication-required" => format!("{directive} needs a user, and no credentials were sent"),
        "allow-methods" => format!("{directive} does not name the method"),
        "ssl-required" => format!("{directive}, and the connection is not TLS"),
        _ => return None,
    })
}

/// The rules behind it.
pub(super) fn why(facts: &Facts, why: &mut Vec<String>) {
    let more: &[&str] = match facts.code() {
        "require-denied-default-root" => &[
            "no section for the directory of the file grants anything, so what is said of `/` holds",
            "`Order` and `Allow` belong to another module and do not grant what `Require` refuses",
        ],
        "require-denied" => {
            let several = facts.related("co-decider").next().is_some();
            if several {
                &["one requirement that holds would be enough"]
            } else {
                &["a section with a `Require` of its own replaces what outer sections require"]
            }
        }
        "access-compat-deny" => {
            &["a section that holds any of Order, Allow, Deny and Satisfy replaces the inherited ones as a whole"]
        }
        "access-compat-order-default" => &["with this order a client is refused unless an Allow line covers it"],
        "authz-forbidden-on-failure" => &["AuthzSendForbiddenOnFailure turns the 401 into a 403"],
        "user-not-authorized" => &["a known user who is not authorized is asked for other credentials"],
        "no-authentication-done" => &["a user is required, and no AuthType says how to find out who it is"],
        "authtype-without-require" => &["AuthType alone is a mistake: a `Require` must say who may"],
        "no-authentication-module" => &["a server without authorization modules serves nothing"],
        "password-file" => &["the file is opened only once credentials arrive; until then the answer is 401"],
        "allow-methods" => &["AllowMethods is looked at before any other rule"],
        "ssl-fake-basic-spoof" => {
            &["with mod_ssl loaded, a user that begins with `/` and the password `password` are refused everywhere"]
        }
        "ssl-strict-require" => &["StrictRequire keeps the refusal although `Satisfy Any` would forgive it"],
        _ => &[],
    };
    why.extend(more.iter().map(|sentence| (*sentence).to_owned()));
}

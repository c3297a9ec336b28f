//! The trace, step by step.

use crate::nginx::Config;
use crate::request::Peer;
use crate::sentence::{path, ticked};
use crate::server::Kind;
use crate::source::Origin;
use crate::trace::nginx::{AuthBasic, Event as Said, Lost, ServerBy};
use crate::trace::{Event, Step};

/// One step of a trace.
pub fn step(config: &Config, step: &Step) -> String {
    let directive = step.origin.map(|origin| directive(config, origin));
    let named = directive.as_deref().unwrap_or("the built-in default");
    match &step.event {
        Event::Nginx(said) => sentence(said, named),
        Event::Apache(_) => format!("{named} was consulted"),
    }
}

fn directive(config: &Config, origin: Origin) -> String {
    let head = Kind::Nginx.head(config.loaded.sources.text(origin.span));
    let head = head.strip_suffix(b"{").map_or(head, <[u8]>::trim_ascii_end);
    ticked(head.strip_suffix(b";").unwrap_or(head))
}

fn peer(peer: Peer) -> String {
    match peer {
        Peer::Ip(ip) => ip.to_string(),
        Peer::Unix => "a client of a unix socket".to_owned(),
    }
}

fn sentence(said: &Said, named: &str) -> String {
    match said {
        Said::Note(note) => note.clone(),
        Said::Server { host, by } => {
            let host = if host.is_empty() { "no name".to_owned() } else { ticked(host) };
            match by {
                ServerBy::Only => format!("{named} is the only server on this address"),
                ServerBy::Name => format!("{named} is chosen: {host} is one of its names"),
                ServerBy::Regex => format!("{named} is chosen: its regular expression matches {host}"),
                ServerBy::Default => format!("{named} is the default server: {host} fits no other"),
                ServerBy::Sni => format!("{named} is chosen for the handshake with {host}"),
            }
        }
        Said::Location { uri } => format!("{named} is chosen for {}", ticked(uri)),
        Said::NoLocation { uri } => format!("no location fits {}: the settings of the server hold", ticked(uri)),
        Said::LocationLost(Lost::NoMatch) => format!("{named} does not match"),
        Said::LocationLost(Lost::ToRegex) => format!("{named} is the longest prefix, but a regular expression matches"),
        Said::RegexesSkipped => format!("{named} keeps regular expressions from being tried"),
        Said::LimitExcept { method } => format!("{named} takes over: it does not name {}", ticked(method)),
        Said::Internal => format!("{named} refuses requests from outside"),
        Said::Body { length, limit } => format!("{length} bytes are announced, {named} allows {limit}"),
        Said::RealIp { client } => format!("{named}: from here on the client is {}", peer(*client)),
        Said::Return { status, .. } => format!("{named} ends the request with {status}"),
        Said::If { holds: true } => format!("{named} holds"),
        Said::If { holds: false } => format!("{named} does not hold"),
        Said::Rewrite { uri } => format!("{named} makes the URI {}", ticked(uri)),
        Said::InternalRedirect { uri } => format!("{named} begins again with {}", ticked(uri)),
        Said::NamedLocation { name } => format!("goes on in the named location {}", ticked(name)),
        Said::AccessPassed => format!("{named} does not cover the client"),
        Said::AccessRule { deny: true, client } => format!("{named} covers {}: refused", peer(*client)),
        Said::AccessRule { deny: false, client } => format!("{named} covers {}: let through", peer(*client)),
        Said::AccessNoRule { client } => format!("no rule covers {}, so the list has no opinion", peer(*client)),
        Said::AuthBasic { user, verdict, file } => {
            let user = ticked(user.as_deref().unwrap_or_default());
            let file = file.as_deref().map_or_else(|| "the password file".to_owned(), path);
            match verdict {
                AuthBasic::NoCredentials => format!("{named}: the request carries no password"),
                AuthBasic::UnknownUser => format!("{file} does not name {user}"),
                AuthBasic::Mismatch => format!("the password of {user} does not fit"),
                AuthBasic::Match => format!("the password of {user} fits"),
                AuthBasic::File(errno) => format!("{file} cannot be opened: {errno}"),
            }
        }
        Said::AuthRequest { uri, status } => format!("the subrequest to {} answers {status}", ticked(uri)),
        Said::SatisfyAny { status: Some(status) } => format!("{named}: nothing let the client in, {status} remains"),
        Said::SatisfyAny { status: None } => format!("{named}: the client is let in"),
        Said::TryFile { path: tested, found: true, .. } => format!("{} is there", path(tested)),
        Said::TryFile { path: tested, errno, .. } => match errno {
            Some(errno) => format!("{}: {errno}", path(tested)),
            None => format!("{} is there, but not of the kind asked for", path(tested)),
        },
        Said::Index { path: tested, errno: None } => format!("the index file {} is there", path(tested)),
        Said::Index { path: tested, errno: Some(errno) } => format!("the index file {}: {errno}", path(tested)),
        Said::Open { path: opened, errno: None } => format!("{} opens", path(opened)),
        Said::Open { path: opened, errno: Some(errno) } => format!("{} does not open: {errno}", path(opened)),
        Said::Handler => format!("{named} takes the request"),
        Said::ErrorPage { status, page } => format!("{named} answers {status} with {}", ticked(page)),
        Said::ErrorPageUsed { status } => format!("{named} is not used for {status}: a page was looked for already"),
        Said::Limit { zone } => format!("{named} counts the request in zone {}", ticked(zone)),
        Said::Opaque { name } => format!("{} is not simulated", ticked(name)),
    }
}

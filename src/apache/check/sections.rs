//! Sections: their arguments, what may stand in them, and what must hold at their end.

use super::super::directives::{ACCESS_CONF, OR_ALL, OR_AUTHCFG, PROXY_CONF};
use super::super::load::Node;
use super::{Defined, Line, Place, access};
use crate::apache::expr;
use crate::pattern::{Options, Pattern};

/// The methods that the server knows by number from the start, in that order (`ap_method_registry_init`).
const METHODS: [&str; 26] = [
    "GET",
    "PUT",
    "POST",
    "DELETE",
    "CONNECT",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "VERSION-CONTROL",
    "CHECKOUT",
    "UNCHECKOUT",
    "CHECKIN",
    "UPDATE",
    "LABEL",
    "REPORT",
    "MKWORKSPACE",
    "MKACTIVITY",
    "BASELINE-CONTROL",
    "MERGE",
];

/// The number of TRACE.
const TRACE: usize = 6;

/// Methods beyond the known ones, named by a `<Limit>` or by `RegisterHttpMethod`.
#[derive(Default)]
pub(super) struct Methods {
    registered: Vec<Vec<u8>>,
}

impl Methods {
    /// The number of a method; case matters.
    fn number(&self, name: &[u8]) -> Option<usize> {
        if name == b"HEAD" {
            return Some(0);
        }
        let known = METHODS.iter().position(|method| method.as_bytes() == name);
        known.or_else(|| Some(METHODS.len() + 1 + self.registered.iter().position(|method| method == name)?))
    }

    fn register(&mut self, name: &[u8]) -> usize {
        self.registered.push(name.to_vec());
        METHODS.len() + self.registered.len()
    }
}

/// Whether this is a method that the server knows without being told.
pub(super) fn is_known_method(name: &[u8]) -> bool {
    Methods::default().number(name).is_some()
}

/// Checks the arguments of a section and gives the place that its directives stand in.
pub(super) fn open<'a>(line: &'a Line<'a>, methods: &mut Methods) -> Result<Place<'a>, String> {
    let place = line.place;
    let mut inner = Place { section: Some(line.row.name), outer: Some(place), ..*place };
    match line.node.name.as_str() {
        "directory" | "directorymatch" | "location" | "locationmatch" => {
            line.not_limited()?;
            line.not_within(&["directory", "directorymatch", "location", "locationmatch"])?;
            line.not_within(&["files", "filesmatch", "if", "elseif", "else", "proxy", "proxymatch"])?;
            path(line)?;
            inner.mask = OR_ALL | ACCESS_CONF;
            inner.path = true;
        }
        "files" | "filesmatch" => {
            line.not_limited()?;
            line.not_within(&["location", "locationmatch"])?;
            path(line)?;
            if !place.path {
                inner.mask = OR_ALL | ACCESS_CONF;
            }
            inner.path = true;
        }
        "if" | "elseif" | "else" => {
            line.not_limited()?;
            condition(line)?;
            if !place.path {
                inner.mask = OR_ALL | ACCESS_CONF;
            }
            inner.path = true;
        }
        "virtualhost" => {
            argument(line)?;
            if place.vhost {
                return Err("<VirtualHost> cannot occur within <VirtualHost> section".into());
            }
            for word in line.words {
                super::core::virtual_host_address(word)?;
            }
            inner.vhost = true;
        }
        "limit" | "limitexcept" => {
            argument(line)?;
            inner.methods = limit(line, methods)?;
        }
        "requireall" | "requireany" | "requirenone" => {
            closing(line)?;
            if !line.node.args.is_empty() {
                return Err(format!("{}> directive doesn't take additional arguments", line.row.name));
            }
            inner.mask = OR_AUTHCFG;
            // As if in a `<Limit>`: what must not stand in one must not stand here.
            inner.methods &= !(1 << 63);
        }
        "authzprovideralias" | "authnprovideralias" => {
            access::provider_alias(line)?;
            inner.mask = OR_AUTHCFG | ACCESS_CONF;
            inner.path = true;
        }
        "proxy" | "proxymatch" => {
            line.not_limited()?;
            closing(line)?;
            if line.node.args.is_empty() {
                return Err(format!("{}> block must specify a path", line.row.name));
            }
            path(line)?;
            inner.mask = OR_ALL | ACCESS_CONF | PROXY_CONF;
            inner.path = true;
        }
        _ => {}
    }
    Ok(inner)
}

fn closing(line: &Line) -> Result<(), String> {
    if line.node.closed { Ok(()) } else { Err(format!("{}> directive missing closing '>'", line.row.name)) }
}

fn argument(line: &Line) -> Result<(), String> {
    closing(line)?;
    if line.node.args.is_empty() {
        return Err(format!("{}> directive requires additional arguments", line.row.name));
    }
    Ok(())
}

/// The pattern of a section that matches paths: `~` and the `…Match` forms are regular expressions.
fn path(line: &Line) -> Result<(), String> {
    argument(line)?;
    let regex = match line.word(0) {
        b"~" => Some(line.word(1)),
        word if line.node.name.ends_with("match") => Some(word),
        _ => None,
    };
    match regex {
        Some(regex) if Pattern::new(regex, Options::apache(false)).is_err() => {
            Err("regex could not be compiled".into())
        }
        _ => Ok(()),
    }
}

/// The condition of an `<If>` or `<ElseIf>`; an `<Else>` has none.
fn condition(line: &Line) -> Result<(), String> {
    closing(line)?;
    if line.node.name == "else" {
        return if line.node.args.is_empty() { Ok(()) } else { Err("<Else> does not take an argument".into()) };
    }
    argument(line)?;
    match expr::parse(line.word(0), line.expressions()) {
        Ok(_) => Ok(()),
        Err(message) => Err(format!("cannot parse condition clause: {message}")),
    }
}

/// The methods that a `<Limit>` or `<LimitExcept>` leaves (`ap_limit_section`).
fn limit(line: &Line, methods: &mut Methods) -> Result<u64, String> {
    let except = line.node.name == "limitexcept";
    let mut limited: u64 = 0;
    for word in line.words {
        let number = match methods.number(word) {
            Some(TRACE) if !except => return Err("TRACE cannot be controlled by <Limit>, see TraceEnable".into()),
            Some(number) => number,
            None if line.allowed.is_some() => {
                let word = String::from_utf8_lossy(word);
                return Err(format!(
                    "could not register method '{word}' for {} from .htaccess configuration",
                    line.row.name
                ));
            }
            None => methods.register(word),
        };
        limited |= 1_u64.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0);
    }
    let limited = if except { !limited } else { limited };
    let old = line.place.methods;
    if old & limited == 0 {
        return Err(format!("{}> directive excludes all methods", line.row.name));
    }
    if old & limited == old {
        return Err(format!("{}> directive specifies methods already excluded", line.row.name));
    }
    Ok(old & limited)
}

/// What must hold at the end of a section, after everything in it was accepted.
pub(super) fn close(line: &Line, children: &[Node], defined: &mut Defined) -> Result<(), String> {
    let words = if line.node.name.starts_with("if") || line.word(0) != b"~" { 1 } else { 2 };
    match line.node.name.as_str() {
        "directory" | "directorymatch" | "location" | "locationmatch" | "files" | "filesmatch" | "proxy"
        | "proxymatch"
            if line.words.len() > words =>
        {
            Err(format!("Multiple {}> arguments not (yet) supported", line.row.name))
        }
        "if" | "elseif" if line.words.len() > 1 => Err(format!("Multiple {}> arguments not supported", line.row.name)),
        "requireall" | "requireany" | "requirenone" => access::container(line, children),
        "authzprovideralias" | "authnprovideralias" => access::register_alias(line, defined),
        _ => Ok(()),
    }
}

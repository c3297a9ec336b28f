//! Sections: their arguments, what may stand in them, and what must hold at their end.

use super::super::directives::{ACCESS_CONF, OR_ALL, OR_AUTHCFG, PROXY_CONF};
use super::super::load::Node;
use super::{Defined, Line, Place, access};
use crate::apache::expr;
use crate::apache::model::{M_INVALID, M_TRACE};
use crate::pattern::{Options, Pattern};

/// Checks the arguments of a section and gives the place that its directives stand in.
pub(super) fn open<'a>(line: &'a Line<'a>) -> Result<Place<'a>, String> {
    let place = line.place;
    let mut inner = Place { section: Some(line.row.name), outer: Some(place), ..*place };
    match line.node.name() {
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
            for word in line.words() {
                super::core::virtual_host_address(word)?;
            }
            inner.vhost = true;
        }
        "limit" | "limitexcept" => {
            argument(line)?;
            inner.methods = limit(line)?;
        }
        "requireall" | "requireany" | "requirenone" => {
            closing(line)?;
            if !line.node.args().is_empty() {
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
            if line.node.args().is_empty() {
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
    if line.node.args().is_empty() {
        return Err(format!("{}> directive requires additional arguments", line.row.name));
    }
    Ok(())
}

/// The pattern of a section that matches paths: `~` and the `…Match` forms are regular expressions.
fn path(line: &Line) -> Result<(), String> {
    argument(line)?;
    let regex = match line.word(0) {
        b"~" => Some(line.word(1)),
        word if line.node.name().ends_with("match") => Some(word),
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
    if line.node.name() == "else" {
        return if line.node.args().is_empty() { Ok(()) } else { Err("<Else> does not take an argument".into()) };
    }
    argument(line)?;
    match expr::parse(line.word(0), line.expressions()) {
        Ok(_) => Ok(()),
        Err(message) => Err(format!("cannot parse condition clause: {message}")),
    }
}

/// The methods that a `<Limit>` or `<LimitExcept>` leaves (`ap_limit_section`).
fn limit(line: &Line) -> Result<u64, String> {
    let except = line.node.name() == "limitexcept";
    let mut limited: u64 = 0;
    for word in line.words() {
        let number = match line.methods.borrow().number(word) {
            M_TRACE if !except => return Err("TRACE cannot be controlled by <Limit>, see TraceEnable".into()),
            M_INVALID if line.allowed.is_some() => {
                let word = String::from_utf8_lossy(word);
                return Err(format!(
                    "could not register method '{word}' for {} from .htaccess configuration",
                    line.row.name
                ));
            }
            number => number,
        };
        let number = if number == M_INVALID { line.methods.borrow_mut().register(word) } else { number };
        limited |= 1_u64.checked_shl(number.into()).unwrap_or(0);
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
    let words = if line.node.name().starts_with("if") || line.word(0) != b"~" { 1 } else { 2 };
    match line.node.name() {
        "directory" | "directorymatch" | "location" | "locationmatch" | "files" | "filesmatch" | "proxy"
        | "proxymatch"
            if line.words().len() > words =>
        {
            Err(format!("Multiple {}> arguments not (yet) supported", line.row.name))
        }
        "if" | "elseif" if line.words().len() > 1 => {
            Err(format!("Multiple {}> arguments not supported", line.row.name))
        }
        "requireall" | "requireany" | "requirenone" => access::container(line, children),
        "authzprovideralias" | "authnprovideralias" => access::register_alias(line, defined),
        _ => Ok(()),
    }
}

//! `valid_referers` and `$invalid_referer` (`ngx_http_referer_module.c`).
//!
//! Without any name in force every referer is valid. A referer that is shorter than `http://i.ru` or names no http
//! scheme counts as *blocked*, an empty one too; a missing one as *none*.

use std::sync::Arc;

use super::super::request::{Cx, HttpRequest};
use super::super::variables::{Table, Value};
use super::hostnames::Hostnames;
use crate::fact::{Question, Subject};
use crate::pattern::{Options, Pattern};
use crate::source::Origin;

/// The longest host that nginx looks at.
const LONGEST_HOST: usize = 256;

/// `valid_referers` of a block.
#[derive(Clone, Debug, Default)]
pub struct ValidReferers {
    /// A request without a referer is valid.
    pub none: bool,
    /// So is one whose referer was made unusable on its way.
    pub blocked: bool,
    /// `server_names`: the names of the server block, added when the block is complete.
    pub server_names: bool,
    /// The first directive of the block in force.
    pub origin: Option<Origin>,
    /// Names, each with the path that must follow.
    names: Hostnames<Option<Box<[u8]>>>,
    /// Expressions for the host, from `server_names`.
    host_patterns: Vec<Arc<Pattern>>,
    /// Expressions for everything behind the scheme.
    patterns: Vec<Arc<Pattern>>,
    /// The expressions are those of an outer block.
    patterns_inherited: bool,
}

impl ValidReferers {
    /// The directives that [`set`](Self::set) knows.
    pub const DIRECTIVES: &[&str] = &["valid_referers"];

    /// Takes a directive; the first one of a block drops what the block would have inherited.
    pub fn set(&mut self, _name: &[u8], args: &[&[u8]], origin: Origin, first_here: bool, _table: &Table) {
        if first_here {
            *self = ValidReferers { origin: Some(origin), ..self.inherited() };
        }
        for &arg in args {
            match arg {
                b"none" => self.none = true,
                b"blocked" => self.blocked = true,
                b"server_names" => self.server_names = true,
                [b'~', pattern @ ..] => {
                    if let Ok(pattern) = Pattern::new(pattern, Options::nginx(true)) {
                        if std::mem::take(&mut self.patterns_inherited) {
                            self.patterns.clear();
                        }
                        self.patterns.push(Arc::new(pattern));
                    }
                }
                _ => {
                    let slash = memchr::memchr(b'/', arg);
                    let path = slash.map(|slash| Box::from(&arg[slash..]));
                    self.names.insert(&arg[..slash.unwrap_or(arg.len())], path);
                }
            }
        }
    }

    /// nginx merges expressions like any value: a block without one of its own keeps the outer ones.
    fn inherited(&self) -> ValidReferers {
        ValidReferers {
            host_patterns: self.host_patterns.clone(),
            patterns: self.patterns.clone(),
            patterns_inherited: true,
            ..ValidReferers::default()
        }
    }

    /// Adds a name of the server, for `server_names`.
    pub fn add_server_name(&mut self, name: &[u8]) {
        self.names.insert(name, None);
    }

    /// Adds an expression of the server, for `server_names`.
    pub fn add_server_pattern(&mut self, pattern: Arc<Pattern>) {
        self.host_patterns.push(pattern);
    }

    /// Whether the referer is to be refused.
    fn refuses(&self, referer: Option<&[u8]>) -> Result<bool, Question> {
        if self.names.is_empty() && self.patterns.is_empty() && self.host_patterns.is_empty() {
            return Ok(false);
        }
        let Some(referer) = referer else { return Ok(!self.none) };
        let Some(rest) = behind_scheme(referer) else { return Ok(!self.blocked) };
        let host_end = rest.iter().position(|byte| matches!(byte, b'/' | b':')).unwrap_or(rest.len());
        if host_end > LONGEST_HOST {
            return Ok(true);
        }
        let host = rest[..host_end].to_ascii_lowercase();
        if let Some(path) = self.names.find(&host) {
            let Some(path) = path else { return Ok(false) };
            let slash = memchr::memchr(b'/', &rest[host_end..]).map_or(rest.len(), |at| host_end + at);
            return Ok(!rest[slash..].starts_with(path));
        }
        for (patterns, subject) in [(&self.host_patterns, &*host), (&self.patterns, rest)] {
            for pattern in patterns {
                let source = || String::from_utf8_lossy(pattern.source()).into_owned();
                let matched = pattern.is_match(subject);
                if matched.map_err(|_| Question::at(Subject::MatchLimit(source()), self.origin))? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

fn behind_scheme(referer: &[u8]) -> Option<&[u8]> {
    if referer.len() < b"http://i.ru".len() {
        return None;
    }
    let is = |scheme: &[u8]| referer[..scheme.len()].eq_ignore_ascii_case(scheme);
    [&b"http://"[..], b"https://"].into_iter().find(|scheme| is(scheme)).map(|scheme| &referer[scheme.len()..])
}

/// `$invalid_referer`: `1` or empty.
pub(in super::super) fn invalid_referer<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    match r.conf.referer.refuses(r.header(b"Referer")) {
        Ok(refused) => Value::text(if refused { "1" } else { "" }),
        Err(question) => Value::Unknown(question),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::version::Version;
    use crate::source::{FileId, Span};

    fn referers(args: &str) -> ValidReferers {
        let origin = Origin { span: Span::new(FileId(0), 0, 0), via: None };
        let args: Vec<&[u8]> = args.split_whitespace().map(str::as_bytes).collect();
        let mut referers = ValidReferers::default();
        referers.set(b"valid_referers", &args, origin, true, &Table::new(Version::NEWEST));
        referers
    }

    #[test]
    fn short_foreign_and_empty_referers_are_blocked_ones() {
        let strict = referers("www.ex.org");
        let blocked = referers("blocked www.ex.org");
        for referer in ["", "http://a.x", "ftp://www.ex.org/", "about:config-x"] {
            assert_eq!(strict.refuses(Some(referer.as_bytes())), Ok(true), "{referer}");
            assert_eq!(blocked.refuses(Some(referer.as_bytes())), Ok(false), "{referer}");
        }
        assert_eq!(blocked.refuses(None), Ok(true));
        assert_eq!(referers("none www.ex.org").refuses(None), Ok(false));
        assert_eq!(ValidReferers::default().refuses(None), Ok(false));
    }

    #[test]
    fn names_paths_and_expressions() {
        let referers = referers("www.ex.org *.ex.com www.* site.net/galleries ~\\.google\\.");
        for (referer, refused) in [
            ("http://WWW.ex.org/x", false),
            ("https://www.ex.org:8080/x", false),
            ("http://a.ex.com", false),
            ("http://ex.com/aaaa", true),
            ("http://www.anything", false),
            ("http://site.net/galleries/1", false),
            ("http://site.net:80/galleries/1", false),
            ("http://site.net/other", true),
            ("http://site.net/", true),
            ("http://maps.Google.de/x", false),
            ("http://evil.test/?www.ex.org", true),
        ] {
            assert_eq!(referers.refuses(Some(referer.as_bytes())), Ok(refused), "{referer}");
        }
    }
}

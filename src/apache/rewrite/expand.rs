//! Filling in a substitution, a test string or the value of `[E=…]` (`do_expand`): `$1`, `%1`, `%{VAR}`,
//! `${map:key|default}`, and `\` before a byte that is meant as it is.
//!
//! One pass: what was filled in is never looked at again.

use super::engine::Engine;
use super::uri::escape_backref;
use super::{MapKind, Rule};
use crate::apache::escape::{escape_uri, unescape_url};
use crate::apache::expr::{Scope, Table};
use crate::apache::request::{Cx, RequestRec, subrequest};
use crate::apache::variables::{RequestScope, is_ipv6};
use crate::fact::{Fact, Question, Subject};

/// The variables of mod_rewrite: the core's, without those that only expressions know, and `SERVER_ADDR`.
const VARIABLES: [&str; 44] = [
    "TIME",
    "IPV6",
    "HTTPS",
    "TIME_DAY",
    "TIME_SEC",
    "TIME_MIN",
    "TIME_MON",
    "TIME_WDAY",
    "TIME_YEAR",
    "TIME_HOUR",
    "IS_SUBREQ",
    "PATH_INFO",
    "AUTH_TYPE",
    "HTTP_HOST",
    "SERVER_NAME",
    "REMOTE_ADDR",
    "SERVER_ADDR",
    "HTTP_ACCEPT",
    "THE_REQUEST",
    "API_VERSION",
    "HTTP_COOKIE",
    "SERVER_PORT",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "REMOTE_USER",
    "SCRIPT_USER",
    "REQUEST_URI",
    "SCRIPT_GROUP",
    "REMOTE_IDENT",
    "HTTP_REFERER",
    "QUERY_STRING",
    "SERVER_ADMIN",
    "DOCUMENT_ROOT",
    "HTTP_FORWARDED",
    "CONTEXT_PREFIX",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "HTTP_USER_AGENT",
    "SCRIPT_FILENAME",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "CONN_REMOTE_ADDR",
    "REQUEST_FILENAME",
    "CONTEXT_DOCUMENT_ROOT",
];

/// How deep map keys may nest, a limit of ours.
const MAX_DEPTH: usize = 32;

/// The longest text map that is read, in bytes.
const MAX_MAP: u64 = 64 << 20;

/// A text that was filled in.
pub(super) struct Expanded {
    pub text: Fact<Vec<u8>>,
    /// The question mark that counts (the first, with `[QSL]` the last) came out of an expansion.
    pub unsafe_question_mark: bool,
}

/// Follows where the question mark that splits off a query comes from.
struct QuestionMark {
    /// The last one counts.
    last: bool,
    found: Option<bool>,
}

impl QuestionMark {
    fn see(&mut self, text: &[u8], expanded: bool) {
        if (self.found.is_none() || self.last) && text.contains(&b'?') {
            self.found = Some(expanded);
        }
    }
}

impl<'c> Engine<'_, 'c> {
    /// `do_expand`; `rule` where the text belongs to one whose flags escape its groups.
    pub(super) fn expand(&mut self, input: &[u8], rule: Option<&Rule>) -> Expanded {
        let last = rule.is_some_and(|rule| rule.flags.qs_last);
        let mut mark = QuestionMark { last, found: None };
        let text = self.expand_at(input, rule, &mut mark, 0);
        Expanded { text, unsafe_question_mark: mark.found == Some(true) }
    }

    fn expand_at(&mut self, input: &[u8], rule: Option<&Rule>, mark: &mut QuestionMark, depth: usize) -> Fact<Vec<u8>> {
        let mut output = Vec::with_capacity(input.len());
        let mut rest = input;
        loop {
            let literal = rest.iter().position(|byte| matches!(byte, b'\\' | b'$' | b'%')).unwrap_or(rest.len());
            mark.see(&rest[..literal], false);
            output.extend_from_slice(&rest[..literal]);
            rest = &rest[literal..];
            let Some(&special) = rest.first() else { return Fact::Known(output) };
            let value = match (special, rest.get(1)) {
                (b'\\', next) => {
                    output.push(next.copied().unwrap_or(b'\\'));
                    rest = rest.get(2..).unwrap_or_default();
                    continue;
                }
                (_, Some(b'{')) => match closing_curly(&rest[2..]) {
                    None => {
                        output.extend_from_slice(&rest[..2]);
                        rest = &rest[2..];
                        continue;
                    }
                    Some(length) => {
                        let inner = &rest[2..2 + length];
                        let value = if special == b'%' {
                            let (uri, directory) = (self.uri.clone(), self.la_u_base());
                            let at = LookAhead {
                                uri: &uri,
                                base: directory.as_deref(),
                                directory: self.directory.as_deref(),
                            };
                            lookup_variable(inner, self.r, self.cx, &at)
                        } else {
                            let Some(colon) = find_in_curlies(inner, b':') else {
                                output.extend_from_slice(&rest[..2]);
                                rest = &rest[2..];
                                continue;
                            };
                            self.map(&inner[..colon], &inner[colon + 1..], rule, depth)
                        };
                        rest = &rest[2 + length + 1..];
                        value
                    }
                },
                (_, Some(digit @ b'0'..=b'9')) => {
                    let groups = if special == b'$' { &self.rule_groups } else { &self.condition_groups };
                    let group = groups.group(usize::from(digit - b'0'));
                    rest = &rest[2..];
                    match (group, rule) {
                        (Fact::Known(group), Some(rule)) if rule.flags.escape_backrefs => {
                            Fact::Known(escape_backref(&group, rule))
                        }
                        (group, _) => group,
                    }
                }
                _ => {
                    output.push(special);
                    rest = &rest[1..];
                    continue;
                }
            };
            match value {
                Fact::Known(value) => {
                    mark.see(&value, true);
                    output.extend_from_slice(&value);
                }
                Fact::Unknown(question) => {
                    return Fact::Unknown(Question::at(question.subject, question.origin.or(Some(self.origin))));
                }
            }
        }
    }

    /// `${name:key|default}`.
    fn map(&mut self, name: &[u8], rest: &[u8], rule: Option<&Rule>, depth: usize) -> Fact<Vec<u8>> {
        if depth >= MAX_DEPTH {
            return Fact::Unknown(Question::at(Subject::Other("a map in a map in a map…".into()), Some(self.origin)));
        }
        let (key, default) = match find_in_curlies(rest, b'|') {
            Some(bar) => (&rest[..bar], Some(&rest[bar + 1..])),
            None => (rest, None),
        };
        // Question marks of keys and defaults do not count until they are in the text.
        let mut ignored = QuestionMark { last: false, found: None };
        let key = match self.expand_at(key, rule, &mut ignored, depth + 1) {
            Fact::Known(key) => key,
            unknown => return unknown,
        };
        match self.lookup_map(name, &key) {
            Fact::Known(Some(value)) => Fact::Known(value),
            Fact::Known(None) => match default {
                Some(default) => self.expand_at(default, rule, &mut ignored, depth + 1),
                None => Fact::Known(Vec::new()),
            },
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }

    /// `lookup_map`: a value, or nothing under this key.
    fn lookup_map(&mut self, name: &[u8], key: &[u8]) -> Fact<Option<Vec<u8>>> {
        let Some(server) = self.r.server.rewrite.clone() else { return Fact::Known(None) };
        let Some((map, origin)) = server.maps.iter().find(|(map, _)| map.name == name) else {
            return Fact::Known(None);
        };
        let unknown = || {
            let name = String::from_utf8_lossy(name);
            let key = String::from_utf8_lossy(key);
            Fact::Unknown(Question::at(Subject::Variable(format!("${{{name}:{key}}}")), Some(*origin)))
        };
        match &map.kind {
            MapKind::ToUpper => Fact::Known(Some(key.to_ascii_uppercase())),
            MapKind::ToLower => Fact::Known(Some(key.to_ascii_lowercase())),
            MapKind::Escape => Fact::Known(Some(escape_uri(key))),
            MapKind::Unescape => Fact::Known(Some(unescape_url(key, false).0)),
            MapKind::Dbm(_) | MapKind::Database | MapKind::Program(_) => unknown(),
            MapKind::Text(file) | MapKind::Random(file) => {
                let file = self.cx.config.known.server_root_relative(file);
                let content = match self.cx.disk.read(&file, MAX_MAP) {
                    Err(_) => return Fact::Known(None),
                    Ok(Fact::Unknown(question)) => return Fact::Unknown(Question::at(question.subject, Some(*origin))),
                    Ok(Fact::Known(content)) => content,
                };
                match text_map(&content, key) {
                    None => Fact::Known(None),
                    Some(value) if matches!(map.kind, MapKind::Random(_)) && value.contains(&b'|') => unknown(),
                    Some(value) => Fact::Known(Some(value.to_vec())),
                }
            }
        }
    }

    /// The prefix that makes a URL of a name in this directory, for `LA-U:`.
    fn la_u_base(&self) -> Option<Vec<u8>> {
        let dir = self.r.per_dir.rewrite.as_ref()?;
        dir.base.clone().or_else(|| dir.directory.clone())
    }
}

/// The value of a key in a text map (`lookup_map_txtfile`): the first line that begins with the key and has a value.
fn text_map<'m>(content: &'m [u8], key: &[u8]) -> Option<&'m [u8]> {
    let is_space = crate::apache::lex::is_space;
    content.split(|byte| *byte == b'\n').find_map(|line| {
        if line.first().is_none_or(|byte| *byte == b'#' || is_space(*byte)) {
            return None;
        }
        let end = line.iter().position(|byte| is_space(*byte)).unwrap_or(line.len());
        if &line[..end] != key {
            return None;
        }
        let rest = line[end..].trim_ascii_start();
        let value = &rest[..rest.iter().position(|byte| is_space(*byte)).unwrap_or(rest.len())];
        (!value.is_empty()).then_some(value)
    })
}

/// The place of the curly bracket that closes one opened just before.
fn closing_curly(text: &[u8]) -> Option<usize> {
    let mut depth = 1;
    text.iter().position(|byte| {
        match byte {
            b'}' => depth -= 1,
            b'{' => depth += 1,
            _ => {}
        }
        depth == 0
    })
}

/// The first such byte outside nested curly brackets.
fn find_in_curlies(text: &[u8], wanted: u8) -> Option<usize> {
    let mut depth = 1;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if *byte == wanted && depth == 1 => return Some(at),
            b'}' => depth -= 1,
            b'{' => depth += 1,
            _ => {}
        }
        if depth == 0 {
            return None;
        }
    }
    None
}

/// What `LA-U:` and `LA-F:` look ahead to.
pub(super) struct LookAhead<'l> {
    /// What the rule is matched against.
    pub uri: &'l [u8],
    /// What is put before a relative one to make a URL.
    pub base: Option<&'l [u8]>,
    /// The directory, in its context.
    pub directory: Option<&'l [u8]>,
}

/// `lookup_variable`: the value of `%{…}`, empty where there is no such variable.
fn lookup_variable<'c>(name: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>, at: &LookAhead) -> Fact<Vec<u8>> {
    let prefixed = |prefix: &[u8]| match name.get(..prefix.len()) {
        Some(start) if start.eq_ignore_ascii_case(prefix) => {
            Some(&name[prefix.len()..]).filter(|rest| !rest.is_empty())
        }
        _ => None,
    };
    if let Some(name) = prefixed(b"ENV:") {
        return RequestScope::new(r, cx).lookup(Table::Environment, name);
    }
    if let Some(name) = prefixed(b"SSL:") {
        return match cx.has_module("ssl_module") {
            true => RequestScope::new(r, cx).ssl(name),
            false => Fact::Known(Vec::new()),
        };
    }
    if let Some(name) = prefixed(b"HTTP:") {
        return RequestScope::new(r, cx).lookup(Table::RequestHeader, name);
    }
    if let Some(name) = prefixed(b"LA-U:") {
        return look_ahead(name, false, r, cx, at);
    }
    if let Some(name) = prefixed(b"LA-F:") {
        return look_ahead(name, true, r, cx, at);
    }
    if name.get(3) == Some(&b':') || name.get(4) == Some(&b':') {
        return Fact::Known(Vec::new());
    }
    let upper = String::from_utf8_lossy(name).to_ascii_uppercase();
    match upper.as_str() {
        "API_VERSION" => Fact::Known(b"20120211:142".to_vec()),
        "IPV6" => Fact::Known(if is_ipv6(r.client) { b"on".to_vec() } else { b"off".to_vec() }),
        "SCRIPT_USER" | "SCRIPT_GROUP" => match RequestScope::new(r, cx).file_owner(upper == "SCRIPT_GROUP") {
            Fact::Known(owner) => Fact::Known(owner.unwrap_or_else(|| b"<unknown>".to_vec())),
            Fact::Unknown(question) => Fact::Unknown(question),
        },
        known if VARIABLES.contains(&known) => RequestScope::new(r, cx).variable(known),
        _ => Fact::Known(Vec::new()),
    }
}

/// A variable as a sub-request for the present URL or file would have it.
fn look_ahead<'c>(name: &[u8], file: bool, r: &mut RequestRec<'c>, cx: &mut Cx<'c>, at: &LookAhead) -> Fact<Vec<u8>> {
    if !subrequest_ok(r) {
        return Fact::Known(Vec::new());
    }
    let absolute = at.uri.first() == Some(&b'/');
    let mut sub = if file && !(at.directory.is_some() && absolute) {
        let path = [at.directory.unwrap_or_default(), at.uri].concat();
        subrequest::sub_req_lookup_file(&path, r, cx)
    } else {
        let base = if absolute || at.directory.is_none() { None } else { at.base };
        let path = [base.unwrap_or_default(), at.uri].concat();
        subrequest::sub_req_lookup_uri(&path, r, cx)
    };
    if sub.status().is_none() {
        let name = String::from_utf8_lossy(name);
        return Fact::Unknown(Question::new(Subject::Variable(format!("LA-U:{name}"))));
    }
    // The variable may look ahead again; the guard above ends that.
    let deeper = LookAhead { uri: at.uri, base: at.base, directory: at.directory };
    lookup_variable(name, &mut sub.r, cx, &deeper)
}

/// `subreq_ok`: not where a sub-request for the same URL is being answered.
pub(super) fn subrequest_ok(r: &RequestRec) -> bool {
    r.main.as_ref().is_none_or(|main| main.uri != r.uri)
}

/// The home directory of `/~user` put in its place (`expand_tildepaths`).
pub(super) fn expand_tilde(path: &[u8], cx: &Cx) -> Vec<u8> {
    let Some(rest) = path.strip_prefix(b"/~") else { return path.to_vec() };
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    let home = std::str::from_utf8(&rest[..end]).ok().filter(|user| !user.is_empty()).and_then(|user| {
        let accounts = crate::identity::Accounts::read(cx.world.fs);
        accounts.user(user).map(|user| user.home.clone().into_bytes())
    });
    match home {
        Some(mut home) if end < rest.len() => {
            if home.last() == Some(&b'/') {
                home.pop();
            }
            [&home, &rest[end..]].concat()
        }
        Some(home) => home,
        None => path.to_vec(),
    }
}

/// The first component of an absolute path, as a path; above the root is the root.
pub(super) fn first_component(path: &[u8]) -> Vec<u8> {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let rest = &path[start..];
    let component = &rest[..memchr::memchr(b'/', rest).unwrap_or(rest.len())];
    match component {
        b".." | b"." => b"/".to_vec(),
        _ => [b"/", component].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_with_key_and_value_counts() {
        let map = b"# c\n a x\na\nab y\na   v w\na z\n";
        assert_eq!(text_map(map, b"a"), Some(&b"v"[..]));
        assert_eq!(text_map(map, b"b"), None);
        assert_eq!(text_map(b"k v", b"k"), Some(&b"v"[..]));
    }

    #[test]
    fn curly_brackets_nest() {
        assert_eq!(closing_curly(b"a{b}c}d"), Some(5));
        assert_eq!(closing_curly(b"a{b}c"), None);
        assert_eq!(find_in_curlies(b"a{b|c}|d", b'|'), Some(6));
    }

    #[test]
    fn first_components() {
        assert_eq!(first_component(b"//usr/x"), b"/usr");
        assert_eq!(first_component(b"/"), b"/");
        assert_eq!(first_component(b"/../x"), b"/");
    }
}

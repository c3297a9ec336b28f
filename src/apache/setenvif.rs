//! mod_setenvif: `SetEnvIf`, `SetEnvIfNoCase`, `SetEnvIfExpr`, `BrowserMatch`, `BrowserMatchNoCase`.
//!
//! Server-level rules run in post_read_request on the raw path, those of sections and `.htaccess` in header_parser
//! (`match_headers`). Sub-requests run neither; they inherit the variables.

use std::sync::Arc;

use crate::apache::expr::{self, Backrefs};
use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::RequestScope;
use crate::fact::{Fact, Question, Subject};
use crate::pattern::{Options, Pattern};
use crate::source::Origin;
use crate::trace::apache::Event;

/// Rules in order: the server's own, or those of the sections merged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    rules: Vec<(Arc<Rule>, Origin)>,
}

/// What a rule looks at.
#[derive(Debug)]
enum Attribute {
    RemoteAddr,
    RemoteHost,
    RequestUri,
    RequestMethod,
    RequestProtocol,
    ServerAddr,
    /// A header, or else a variable of this name.
    Header,
    /// The last header whose name matches.
    HeaderPattern(Pattern),
}

/// How it is compared.
#[derive(Debug)]
enum Test {
    /// A pattern without metacharacters is looked for as a text; it captures nothing.
    Contains {
        text: Vec<u8>,
        caseless: bool,
    },
    Regex(Pattern),
}

/// When a rule applies.
#[derive(Debug)]
enum Condition {
    Attribute { name: Arc<[u8]>, attribute: Attribute, test: Test },
    Expr(expr::Expr),
}

/// One rule.
#[derive(Debug)]
pub(crate) struct Rule {
    condition: Condition,
    /// Variables and the values they get; a value that begins with `!` unsets.
    variables: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Record {
    /// The base's rules, then the new ones.
    pub fn merge(base: &Record, new: &Record) -> Record {
        Record { rules: base.rules.iter().chain(&new.rules).cloned().collect() }
    }
}

/// Reads a rule; the error is the server's own message. `name` is the directive's, as the server spells it.
pub(crate) fn parse(name: &str, raw: &[u8], context: expr::Context) -> Result<Rule, String> {
    let mut rest = raw;
    let caseless = name.ends_with("NoCase");
    let condition = match name {
        "SetEnvIfExpr" => {
            let text = getword_conf(&mut rest);
            if text.is_empty() {
                return Err(format!("Missing expression for {name}"));
            }
            Condition::Expr(expr::parse(&text, context).map_err(|message| {
                format!("Could not parse expression \"{}\": {message}", String::from_utf8_lossy(&text))
            })?)
        }
        "BrowserMatch" | "BrowserMatchNoCase" => attribute_condition(name, b"User-Agent", &mut rest, caseless)?,
        _ => {
            let attribute = getword_conf(&mut rest).into_owned();
            if attribute.is_empty() {
                return Err(format!("Missing header-field name for {name}"));
            }
            attribute_condition(name, &attribute, &mut rest, caseless)?
        }
    };
    let variables = variables(rest);
    if variables.is_empty() {
        return Err(format!("Missing envariable expression for {name}"));
    }
    Ok(Rule { condition, variables })
}

fn attribute_condition(name: &str, attribute: &[u8], rest: &mut &[u8], caseless: bool) -> Result<Condition, String> {
    let pattern = getword_conf(rest);
    if pattern.is_empty() {
        return Err(format!("Missing regular expression for {name}"));
    }
    let test = match plain_text(&pattern) {
        Some(text) => Test::Contains { text, caseless },
        None => {
            let pattern = Pattern::new(&pattern, Options::apache(caseless));
            Test::Regex(pattern.map_err(|_| format!("{name} regex could not be compiled."))?)
        }
    };
    let kind = match attribute.to_ascii_lowercase().as_slice() {
        b"remote_addr" => Attribute::RemoteAddr,
        b"remote_host" => Attribute::RemoteHost,
        b"request_uri" => Attribute::RequestUri,
        b"request_method" => Attribute::RequestMethod,
        b"request_protocol" => Attribute::RequestProtocol,
        b"server_addr" => Attribute::ServerAddr,
        _ if attribute.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) => {
            Attribute::Header
        }
        _ => {
            let pattern = Pattern::new(attribute, Options::apache(caseless));
            Attribute::HeaderPattern(pattern.map_err(|_| format!("{name}Header name regex could not be compiled."))?)
        }
    };
    Ok(Condition::Attribute { name: attribute.into(), attribute: kind, test })
}

/// The text that a pattern without metacharacters stands for, escapes undone; `None` for a regular expression.
fn plain_text(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut escaped = false;
    for &byte in pattern {
        let special = b"^.$|()[]*+?{}".contains(&byte);
        match byte {
            b'\\' if !escaped => {
                escaped = true;
                continue;
            }
            b'\\' => {}
            _ if special != escaped => return None,
            _ => {}
        }
        escaped = false;
        text.push(byte);
    }
    Some(text)
}

/// `VAR`, `VAR=value`, `!VAR`; of one name the last counts (`add_envvars`).
fn variables(mut rest: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut variables: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    loop {
        let word = getword_conf(&mut rest);
        if word.is_empty() {
            return variables;
        }
        let (name, value) = match memchr::memchr(b'=', &word) {
            Some(equals) => {
                let value = &word[equals..];
                let start = value.iter().take_while(|byte| **byte == b'=').count();
                (&word[..equals], &value[start..])
            }
            None => (&word[..], &b""[..]),
        };
        let (name, value) = match name.strip_prefix(b"!") {
            _ if !value.is_empty() => (name, value),
            Some(name) => (name, &b"!"[..]),
            None => (name, &b"1"[..]),
        };
        match variables.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, known)) => *known = value.to_vec(),
            None => variables.push((name.to_vec(), value.to_vec())),
        }
    }
}

/// Adds a rule to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, server: &mut Record, dir: &mut Record) {
    let Ok(mut rule) = parse(cmd.name, cmd.raw, cmd.expr_context()) else { return };
    let record = if cmd.at_server_level() { server } else { dir };
    // Rules about the same attribute share its name: the look-up is done once for a run of them.
    if let Condition::Attribute { name, .. } = &mut rule.condition {
        let same = record.rules.iter().find_map(|(earlier, _)| match &earlier.condition {
            Condition::Attribute { name: known, .. } if known.eq_ignore_ascii_case(name) => Some(known.clone()),
            _ => None,
        });
        if let Some(known) = same {
            *name = known;
        }
    }
    record.rules.push((Arc::new(rule), cmd.origin));
}

/// post_read_request: the server's rules, on the path as it was sent.
pub(crate) fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let record = r.server.setenvif.clone();
    match_headers(record.as_deref(), r, cx)
}

/// header_parser: the rules of the sections in force.
pub(crate) fn header_parser<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let record = r.per_dir.setenvif.clone();
    match_headers(record.as_deref(), r, cx)
}

fn match_headers<'c>(record: Option<&Record>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = record else { return Handled::Declined };
    // What the last rule looked at stays for the next one about the same attribute, and the groups of a match for a
    // later `SetEnvIfExpr`: the server keeps both in variables outside its loop.
    let mut last_name: Option<Arc<[u8]>> = None;
    let mut value: Fact<Vec<u8>> = Fact::Known(Vec::new());
    let mut groups = Backrefs::None;
    for (rule, origin) in &record.rules {
        let (applies, expands) = match &rule.condition {
            Condition::Attribute { name, attribute, test } => {
                if !last_name.as_ref().is_some_and(|last| Arc::ptr_eq(last, name)) {
                    last_name = Some(name.clone());
                    value = attribute.value(name, r, cx);
                }
                (test.matches(name, &value, &mut groups, *origin, cx), matches!(test, Test::Regex(_)))
            }
            Condition::Expr(expr) => {
                let holds = expr.test(&mut RequestScope::new(r, cx).at(*origin), &mut groups);
                match holds {
                    Err(expr::Failure::Unknown) => return Handled::Unknown,
                    holds => (holds == Ok(true), groups != Backrefs::None),
                }
            }
        };
        if !applies {
            continue;
        }
        for (name, template) in &rule.variables {
            if template.first() == Some(&b'!') {
                r.subprocess_env.unset(name);
                continue;
            }
            // The server fills in groups of no match at all from memory that nobody has set.
            let undefined = matches!(rule.condition, Condition::Expr(_)) && !expands && has_group(template);
            if undefined {
                let what = format!("what `{}` gets without a match", String::from_utf8_lossy(name));
                return cx.unanswerable(Subject::Other(what), Some(*origin));
            }
            let text = if expands { groups.fill(template) } else { Fact::Known(template.clone()) };
            match text {
                Fact::Known(text) => r.subprocess_env.set(name, &text),
                Fact::Unknown(question) => {
                    cx.inquiry.unanswerable(question);
                    return Handled::Unknown;
                }
            }
            cx.note("setenvif", Some(*origin), || Event::VariableSet { name: name.clone() });
        }
    }
    Handled::Declined
}

/// Whether a template asks for a group of a match.
fn has_group(template: &[u8]) -> bool {
    let mut bytes = template.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'$', Some(b'0'..=b'9')) => return true,
            (b'\\', _) => {
                bytes.next();
            }
            _ => {}
        }
    }
    false
}

impl Attribute {
    fn value<'c>(&self, name: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Fact<Vec<u8>> {
        let mut variable = |variable| expr::Scope::variable(&mut RequestScope::new(r, cx), variable);
        match self {
            Attribute::RemoteAddr => variable("REMOTE_ADDR"),
            Attribute::RemoteHost => variable("REMOTE_HOST"),
            Attribute::RequestUri => variable("REQUEST_URI"),
            Attribute::RequestMethod => variable("REQUEST_METHOD"),
            Attribute::RequestProtocol => variable("SERVER_PROTOCOL"),
            Attribute::ServerAddr => variable("SERVER_ADDR"),
            Attribute::Header => {
                let header = r.headers_in.get(name).map(|value| value.to_vec());
                Fact::Known(header.or_else(|| r.subprocess_env.get(name).map(<[u8]>::to_vec)).unwrap_or_default())
            }
            Attribute::HeaderPattern(pattern) => {
                let last = r.headers_in.iter().filter(|(name, _)| pattern.is_match(name) == Ok(true)).last();
                Fact::Known(last.map(|(_, value)| value.to_vec()).unwrap_or_default())
            }
        }
    }
}

impl Test {
    fn matches(&self, name: &[u8], value: &Fact<Vec<u8>>, groups: &mut Backrefs, origin: Origin, cx: &mut Cx) -> bool {
        let value = match value {
            Fact::Known(value) => value,
            Fact::Unknown(question) => {
                let question = Question::at(question.subject.clone(), Some(origin));
                let matched = choose_match(name, question.clone(), cx);
                if matched && matches!(self, Test::Regex(_)) {
                    *groups = Backrefs::Unknown(question);
                }
                return matched;
            }
        };
        match self {
            Test::Contains { text, caseless: false } => memchr::memmem::find(value, text).is_some(),
            Test::Contains { text, caseless: true } => {
                let (value, text) = (value.to_ascii_lowercase(), text.to_ascii_lowercase());
                memchr::memmem::find(&value, &text).is_some()
            }
            Test::Regex(pattern) => match pattern.captures(value) {
                Ok(Some(captures)) => {
                    *groups = Backrefs::of(&captures, value);
                    true
                }
                Ok(None) => false,
                Err(_) => {
                    let pattern = String::from_utf8_lossy(pattern.source()).into_owned();
                    choose_match(name, Question::at(Subject::MatchLimit(pattern), Some(origin)), cx)
                }
            },
        }
    }
}

fn choose_match(name: &[u8], question: Question, cx: &mut Cx) -> bool {
    let name = String::from_utf8_lossy(name);
    let (no, yes) = (format!("`{name}` does not match"), format!("`{name}` matches"));
    cx.inquiry.choose(question, &[&no, &yes]) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_without_metacharacters_is_a_text() {
        assert_eq!(plain_text(br"Mozilla/4\.0"), Some(b"Mozilla/4.0".to_vec()));
        assert_eq!(plain_text(br"a\d"), None);
        assert_eq!(plain_text(b"^a"), None);
        assert_eq!(plain_text(br"a\\b"), Some(br"a\b".to_vec()));
    }

    #[test]
    fn variables_are_set_to_one_to_a_value_or_unset() {
        let pair = |name: &[u8], value: &[u8]| (name.to_vec(), value.to_vec());
        assert_eq!(
            variables(b"A B=x !C D= E==y a=2"),
            [pair(b"A", b"2"), pair(b"B", b"x"), pair(b"C", b"!"), pair(b"D", b"1"), pair(b"E", b"y")]
        );
    }

    #[test]
    fn what_the_server_refuses() {
        for (name, raw, message) in [
            ("SetEnvIf", &b""[..], "Missing header-field name for SetEnvIf"),
            ("SetEnvIf", b"A", "Missing regular expression for SetEnvIf"),
            ("SetEnvIfNoCase", b"A b", "Missing envariable expression for SetEnvIfNoCase"),
            ("BrowserMatch", b"(a b", "BrowserMatch regex could not be compiled."),
        ] {
            assert_eq!(parse(name, raw, expr::Context::default()).err().as_deref(), Some(message));
        }
    }
}

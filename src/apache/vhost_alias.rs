//! mod_vhost_alias: a document root made of the host's name or address.

use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::{server_name, server_port};
use crate::fact::Subject;
use crate::source::Setting;

/// How a format is filled in.
#[derive(Clone, Debug)]
struct Format {
    text: Vec<u8>,
    by_address: bool,
}

/// What a server says. `None` inside: `none`.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    documents: Option<Setting<Option<Format>>>,
    scripts: Option<Setting<Option<Format>>>,
}

impl ServerRecord {
    /// A virtual host's format where it gives one.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        ServerRecord {
            documents: vhost.documents.clone().or_else(|| base.documents.clone()),
            scripts: vhost.scripts.clone().or_else(|| base.scripts.clone()),
        }
    }
}

/// Checks a format: an absolute path with `%%`, `%p`, `%N.M`, or `none`.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_format(word: &[u8]) -> Result<Option<Vec<u8>>, String> {
    if !word.starts_with(b"/") {
        return match word.eq_ignore_ascii_case(b"none") {
            true => Ok(None),
            false => Err("format string must be an absolute path, or 'none'".into()),
        };
    }
    let mut rest = word;
    while let Some(percent) = memchr::memchr(b'%', rest) {
        rest = &rest[percent + 1..];
        rest = match rest.first() {
            Some(b'p' | b'%') => &rest[1..],
            _ => match specifier(rest) {
                Some((_, rest)) => rest,
                None => return Err("syntax error in format string".into()),
            },
        };
    }
    Ok(Some(word.to_vec()))
}

/// `[-]N[+]`: which part, from which end, and whether with everything behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    number: usize,
    from_end: bool,
    and_on: bool,
}

fn part(text: &[u8]) -> Option<(Part, &[u8])> {
    let (from_end, text) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    let (digit, text) = text.split_first().filter(|(digit, _)| digit.is_ascii_digit())?;
    let (and_on, text) = text.strip_prefix(b"+").map_or((false, text), |rest| (true, rest));
    Some((Part { number: usize::from(digit - b'0'), from_end, and_on }, text))
}

/// `N` and, after a dot, `M`: the part between dots, and the bytes of it.
fn specifier(text: &[u8]) -> Option<((Part, Part), &[u8])> {
    let whole = Part { number: 0, from_end: false, and_on: false };
    let (labels, text) = part(text)?;
    match text.strip_prefix(b".") {
        None => Some(((labels, whole), text)),
        Some(text) => part(text).map(|(bytes, text)| ((labels, bytes), text)),
    }
}

/// Adds a directive to the record of its server.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord) {
    let Some(Ok(text)) = cmd.arg(0).map(parse_format) else { return };
    let by_address = cmd.name.ends_with("IP");
    let format = Setting::new(text.map(|text| Format { text, by_address }), cmd.origin);
    match cmd.name.starts_with("VirtualDocumentRoot") {
        true => server.documents = Some(format),
        false => server.scripts = Some(format),
    }
}

/// The bytes of a name that a specifier means; `_` where there are none (`vhost_alias_interpolate`).
fn chosen(name: &[u8], labels: Part, bytes: Part) -> Vec<u8> {
    /// The server looks at this many dots.
    const MAX_DOTS: usize = 19;
    // Where each label starts, and one past the end of the name.
    let mut starts = vec![0];
    starts.extend(memchr::memchr_iter(b'.', name).take(MAX_DOTS - 1).map(|dot| dot + 1));
    let count = starts.len();
    starts.push(name.len() + 1);
    let mut text = match labels.number {
        0 => name,
        number if number > count => b"_",
        number if !labels.from_end => {
            let end = if labels.and_on { name.len() } else { starts[number] - 1 };
            &name[starts[number - 1]..end]
        }
        number => {
            let start = if labels.and_on { 0 } else { starts[count - number] };
            &name[start..starts[count - number + 1] - 1]
        }
    };
    text = match bytes.number {
        0 => text,
        number if number > text.len() => b"_",
        number if !bytes.from_end => {
            let end = if bytes.and_on { text.len() } else { number };
            &text[number - 1..end]
        }
        number => {
            let start = if bytes.and_on { 0 } else { text.len() - number };
            &text[start..text.len() - number + 1]
        }
    };
    text.to_ascii_lowercase()
}

fn interpolate(format: &[u8], name: &[u8], port: u16) -> Vec<u8> {
    let mut root = Vec::with_capacity(format.len() + name.len());
    let mut rest = format;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            root.push(byte);
            continue;
        }
        match rest.first() {
            Some(b'%') => {
                root.push(b'%');
                rest = &rest[1..];
            }
            Some(b'p') => {
                root.extend_from_slice(port.to_string().as_bytes());
                rest = &rest[1..];
            }
            _ => {
                let Some(((labels, bytes), after)) = specifier(rest) else { continue };
                root.extend_from_slice(&chosen(name, labels, bytes));
                rest = after;
            }
        }
    }
    if root.last() == Some(&b'/') {
        root.pop();
    }
    root
}

/// translate_name, after mod_userdir and before the core.
pub(crate) fn translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.server.vhost_alias.clone() else { return Handled::Declined };
    let slashes = r.uri.iter().take_while(|byte| **byte == b'/').count();
    let scripts = record.scripts.as_ref().filter(|scripts| scripts.value.is_some());
    let script = scripts.filter(|_| r.uri[slashes..].starts_with(b"cgi-bin/"));
    let (setting, path) = match (script, &record.documents) {
        (Some(scripts), _) => (scripts, r.uri[slashes + b"cgi-bin".len()..].to_vec()),
        (None, Some(documents)) if r.uri.first() == Some(&b'/') => (documents, r.uri.clone()),
        _ => return Handled::Declined,
    };
    let Some(format) = &setting.value else { return Handled::Declined };
    let name = if format.by_address {
        r.connection.local.ip().to_canonical().to_string().into_bytes()
    } else {
        match server_name(r) {
            Some(name) => name,
            None => return cx.unanswerable(Subject::Variable("SERVER_NAME".into()), setting.origin),
        }
    };
    let root = interpolate(&format.text, &name, server_port(r));
    r.filename = Some([root.as_slice(), &path].concat());
    r.context_document_root = Some(root.clone());
    r.document_root = Some(root);
    r.mapped_by = setting.origin;
    if script.is_some() {
        r.handler = setting.origin.map(|origin| Setting::new(b"cgi-script".to_vec(), origin));
        r.notes.set(b"alias-forced-type", b"cgi-script");
        r.context_prefix = b"/cgi-bin".to_vec();
    }
    Handled::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(format: &str, name: &str) -> String {
        String::from_utf8(interpolate(format.as_bytes(), name.as_bytes(), 80)).expect("text")
    }

    #[test]
    fn the_examples_of_the_manual() {
        assert_eq!(root("/www/%0/docs", "www.Domain.com"), "/www/www.domain.com/docs");
        assert_eq!(root("/h/%3+/%2.1/%2.2/%2.3/%2", "www.domain.example.com"), "/h/example.com/d/o/m/domain");
        assert_eq!(root("/h/%3+/%2.-1/%2.-2/%2.-3/%2", "www.domain.example.com"), "/h/example.com/n/i/a/domain");
        assert_eq!(root("/h/%2.4+", "www.domain.com"), "/h/ain");
        assert_eq!(root("/h/%-1/%-2+/%p/%%", "a.b.c"), "/h/c/a.b/80/%");
        assert_eq!(root("/h/%7/%2.9/", "a.b.c"), "/h/_/_");
    }

    #[test]
    fn what_the_server_refuses() {
        assert!(parse_format(b"www/%0").is_err());
        assert!(parse_format(b"/www/%x").is_err());
        assert!(parse_format(b"/www/%1.").is_err());
        assert_eq!(parse_format(b"NONE"), Ok(None));
    }
}

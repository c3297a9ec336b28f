//! mod_alias: `Redirect`, `RedirectMatch`, `RedirectTemp`, `RedirectPermanent`, `Alias`, `AliasMatch`, `ScriptAlias`,
//! `ScriptAliasMatch`.
//!
//! Server-level redirects, and those that a `<Location>` or `<If>` makes without naming a path, act in translate_name,
//! before any access control; those of directories, files and `.htaccess` act in the fixups, after it. A virtual host's
//! list comes before the main server's, a deeper section's before the one around it.

use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use crate::apache::escape::{atoi, escape_uri, is_url, substitute};
use crate::apache::expr::{self, Failure, StringExpr};
use crate::apache::model::{Command, Place};
use crate::apache::request::normalize::canonical_path;
use crate::apache::request::{Cx, Handled, RequestRec, expr_text};
use crate::apache::variables::construct_url;
use crate::cause;
use crate::fact::{Question, Subject};
use crate::outcome::Decision;
use crate::pattern::{Options, Pattern};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// The lists of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    aliases: Vec<(Arc<Alias>, Origin)>,
    redirects: Vec<(Arc<Redirect>, Origin)>,
}

/// What a section says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    redirects: Vec<(Arc<Redirect>, Origin)>,
    /// `Alias target`, where the section's own path is what is replaced.
    alias: Option<Setting<Arc<SectionAlias>>>,
    /// `Redirect target` or `Redirect 403`.
    redirect: Option<Setting<Arc<SectionRedirect>>>,
    /// `RedirectRelative`.
    relative: Option<bool>,
    /// `AliasPreservePath`.
    preserve_path: Option<bool>,
}

/// A path to replace: a prefix, or a pattern.
#[derive(Debug)]
enum From {
    Prefix(Vec<u8>),
    Pattern(Pattern),
}

/// `Alias` and its kin with two arguments.
#[derive(Debug)]
pub(crate) struct Alias {
    from: From,
    real: Vec<u8>,
    script: bool,
}

/// `Redirect` and its kin with a path.
#[derive(Debug)]
pub(crate) struct Redirect {
    from: From,
    /// `None` for a status that is no redirect.
    url: Option<Vec<u8>>,
    status: u16,
}

/// `Alias target` in a section.
#[derive(Debug)]
pub(crate) struct SectionAlias {
    /// `cmd->path`.
    path: Vec<u8>,
    target: StringExpr,
    script: bool,
}

/// `Redirect [status] target` or `Redirect status` in a section.
#[derive(Debug)]
pub(crate) struct SectionRedirect {
    target: Option<StringExpr>,
    status: u16,
}

/// Either form of a directive.
#[derive(Debug)]
pub(crate) enum Parsed<L, S> {
    /// For the list.
    List(L),
    /// For the section itself.
    Section(S),
}

impl ServerRecord {
    /// The virtual host's lists first.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        ServerRecord {
            aliases: vhost.aliases.iter().chain(&base.aliases).cloned().collect(),
            redirects: vhost.redirects.iter().chain(&base.redirects).cloned().collect(),
        }
    }
}

impl DirRecord {
    /// The new section's list first; of everything else, what was said later.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        DirRecord {
            redirects: new.redirects.iter().chain(&base.redirects).cloned().collect(),
            alias: new.alias.clone().or_else(|| base.alias.clone()),
            redirect: new.redirect.clone().or_else(|| base.redirect.clone()),
            relative: new.relative.or(base.relative),
            preserve_path: new.preserve_path.or(base.preserve_path),
        }
    }
}

/// Reads an `Alias`, `AliasMatch`, `ScriptAlias` or `ScriptAliasMatch`. `path` is `cmd->path`, `None` at server level.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_alias(
    name: &str,
    words: &[&[u8]],
    path: Option<&[u8]>,
    place: Place,
    context: expr::Context,
) -> Result<Parsed<Alias, SectionAlias>, String> {
    let script = name.starts_with("Script");
    match *words {
        [target] if !name.ends_with("Match") => {
            if matches!(place, Place::Directory | Place::Files | Place::If | Place::Htaccess) {
                return Err(format!("{name} cannot occur within <Directory>, <Files> or <If> section"));
            }
            let Some(path) = path else { return Err("Alias must have two arguments when used globally".into()) };
            let target = expr::parse_string(target, context)
                .map_err(|message| format!("Cannot parse alias expression '{}': {message}", lossy(target)))?;
            Ok(Parsed::Section(SectionAlias { path: path.to_vec(), target, script }))
        }
        [fake, real, ..] => {
            if path.is_some() {
                return Err(format!("{name} cannot occur within directory context"));
            }
            let from =
                if name.ends_with("Match") { From::Pattern(compile(fake)?) } else { From::Prefix(fake.to_vec()) };
            Ok(Parsed::List(Alias { from, real: real.to_vec(), script }))
        }
        _ => Err(format!("{name} takes two arguments")),
    }
}

/// Reads a `Redirect`, `RedirectMatch`, `RedirectTemp` or `RedirectPermanent`. `in_section`: anywhere but at server level.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_redirect(
    name: &str,
    words: &[&[u8]],
    in_section: bool,
    context: expr::Context,
) -> Result<Parsed<Redirect, SectionRedirect>, String> {
    let word = |index: usize| words.get(index).copied();
    let Some(first) = word(0) else { return Err(format!("{name} takes one, two or three arguments")) };
    let mut status = if name == "RedirectPermanent" { 301 } else { 302 };
    // Whether the first word is a status that redirects, one that does not, or no status at all.
    let mut is_redirect = Some(true);
    match first.to_ascii_lowercase().as_slice() {
        b"permanent" => status = 301,
        b"temp" => status = 302,
        b"seeother" => status = 303,
        b"gone" => {
            status = 410;
            is_redirect = Some(false);
        }
        [b'0'..=b'9', ..] => {
            status = u16::try_from(atoi(first)).unwrap_or(u16::MAX);
            is_redirect = Some(is_redirect_status(status));
        }
        _ => is_redirect = None,
    }
    if word(2).is_some() && is_redirect.is_none() {
        return Err("Redirect: invalid first argument (of three)".into());
    }
    if in_section {
        let target = match (is_redirect, word(1), word(2)) {
            (Some(true), Some(target), None) => Some(target),
            (None, None, _) => Some(first),
            _ => None,
        };
        if let Some(text) = target {
            let target = expr::parse_string(text, context)
                .map_err(|message| format!("Cannot parse redirect expression '{}': {message}", lossy(text)))?;
            return Ok(Parsed::Section(SectionRedirect { target: Some(target), status }));
        }
        if is_redirect == Some(false) && word(1).is_none() {
            return Ok(Parsed::Section(SectionRedirect { target: None, status }));
        }
    }
    let (fake, url) =
        if word(2).is_none() && is_redirect.is_none() { (Some(first), word(1)) } else { (word(1), word(2)) };
    let regex = name == "RedirectMatch";
    let fake = fake.unwrap_or_default();
    let from = if regex { From::Pattern(compile(fake)?) } else { From::Prefix(fake.to_vec()) };
    if is_redirect_status(status) {
        let Some(url) = url else { return Err("URL to redirect to is missing".into()) };
        if !regex && !is_url(url) && !url.starts_with(b"/") {
            return Err("Redirect to non-URL".into());
        }
    } else if url.is_some() {
        return Err("Redirect URL not valid for this status".into());
    }
    Ok(Parsed::List(Redirect { from, url: url.map(<[u8]>::to_vec), status }))
}

fn is_redirect_status(status: u16) -> bool {
    (300..400).contains(&status)
}

fn compile(pattern: &[u8]) -> Result<Pattern, String> {
    Pattern::new(pattern, Options::apache(false)).map_err(|_| "Regular expression could not be compiled.".to_owned())
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    match cmd.name {
        "Alias" | "AliasMatch" | "ScriptAlias" | "ScriptAliasMatch" => {
            match parse_alias(cmd.name, &cmd.args, cmd.path, cmd.place, cmd.expr_context()) {
                Ok(Parsed::List(alias)) => server.aliases.push((Arc::new(alias), cmd.origin)),
                Ok(Parsed::Section(alias)) => dir.alias = Some(Setting::new(Arc::new(alias), cmd.origin)),
                Err(_) => {}
            }
        }
        "RedirectRelative" => dir.relative = Some(cmd.flag()),
        "AliasPreservePath" => dir.preserve_path = Some(cmd.flag()),
        _ => match parse_redirect(cmd.name, &cmd.args, !cmd.at_server_level(), cmd.expr_context()) {
            Ok(Parsed::List(redirect)) => {
                let list = if cmd.at_server_level() { &mut server.redirects } else { &mut dir.redirects };
                list.push((Arc::new(redirect), cmd.origin));
            }
            Ok(Parsed::Section(redirect)) => dir.redirect = Some(Setting::new(Arc::new(redirect), cmd.origin)),
            Err(_) => {}
        },
    }
}

/// How many bytes of the path an alias covers (`alias_matches`): a `/` stands for any number of them, and the match ends
/// at the end of either or at a `/`. 0: not covered.
pub(crate) fn covered(path: &[u8], fake: &[u8]) -> usize {
    let slashes = |text: &[u8], at: usize| text[at..].iter().take_while(|byte| **byte == b'/').count();
    let (mut p, mut f) = (0, 0);
    while let Some(&byte) = fake.get(f) {
        if path.get(p) != Some(&byte) {
            return 0;
        }
        if byte == b'/' {
            p += slashes(path, p);
            f += slashes(fake, f);
        } else {
            p += 1;
            f += 1;
        }
    }
    let at_boundary = fake.last() == Some(&b'/') || path.get(p).is_none_or(|next| *next == b'/');
    if at_boundary { p } else { 0 }
}

/// translate_name: redirects first, then aliases.
pub(crate) fn translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !matches!(r.uri.first(), None | Some(b'/')) {
        return Handled::Declined;
    }
    let server = r.server.alias.clone().unwrap_or_default();
    match redirect(&server.redirects, r, cx) {
        Handled::Declined => {}
        ended => return ended,
    }
    if let Some(setting) = r.per_dir.alias.as_ref().and_then(|dir| dir.alias.clone()) {
        return section_alias(&setting, r, cx);
    }
    for (alias, origin) in &server.aliases {
        let real = match &alias.from {
            From::Pattern(pattern) => match pattern.captures(&r.uri) {
                Ok(Some(captures)) => substitute(&alias.real, &r.uri, &captures),
                Ok(None) => continue,
                Err(_) => return match_limit(pattern, *origin, cx),
            },
            From::Prefix(fake) => match covered(&r.uri, fake) {
                0 => continue,
                length => {
                    r.context_prefix = fake.clone();
                    r.context_document_root = Some(alias.real.clone());
                    [&alias.real, &r.uri[length..]].concat()
                }
            },
        };
        return map(&real, alias.script, *origin, r, cx);
    }
    Handled::Declined
}

/// fixups: the redirects of directories, files and `.htaccess`.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    match r.per_dir.alias.clone() {
        Some(dir) => redirect(&dir.redirects, r, cx),
        None => Handled::Declined,
    }
}

fn map(real: &[u8], script: bool, origin: Origin, r: &mut RequestRec, cx: &mut Cx) -> Handled {
    if script {
        r.handler = Some(Setting::new(b"cgi-script".to_vec(), origin));
        r.notes.set(b"alias-forced-type", b"cgi-script");
    }
    let Some(filename) = server_root_relative(real, cx) else { return Handled::Declined };
    cx.note("translate_name", Some(origin), || Event::Mapped { file: filename.clone() });
    r.mapped_by = Some(origin);
    r.filename = Some(filename);
    Handled::Ok
}

/// `ap_server_root_relative`: under `ServerRoot` unless absolute; `.`, `..` and repeated slashes are worked out. `None`
/// above the root.
fn server_root_relative(path: &[u8], cx: &Cx) -> Option<Vec<u8>> {
    let mut found = canonical_path(cx.config.known.server_root_relative(path).as_os_str().as_bytes())?;
    // A final slash stays: what lies there has to be a directory.
    if path.ends_with(b"/") && !found.ends_with(b"/") {
        found.push(b'/');
    }
    Some(found)
}

fn section_alias<'c>(setting: &Setting<Arc<SectionAlias>>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let alias = &setting.value;
    let Some(origin) = setting.origin else { return Handled::Declined };
    let mut real = match expr_text(&alias.target, r, cx) {
        Ok(real) => real,
        Err(Failure::Unknown) => return Handled::Unknown,
        // The server logs AH02825 and goes on with an empty file name.
        Err(Failure::Error(_)) => return cx.unanswerable(Subject::Opaque("Alias".to_owned()), Some(origin)),
    };
    let preserve = r.per_dir.alias.as_ref().and_then(|dir| dir.preserve_path).unwrap_or(false);
    if preserve {
        let length = covered(&r.uri, &alias.path);
        if length > 0 {
            r.context_prefix = alias.path.clone();
            r.context_document_root = Some(real.clone());
            real.extend_from_slice(&r.uri[length..]);
        }
    }
    map(&real, alias.script, origin, r, cx)
}

/// The section's own redirect, then a list.
fn redirect<'c>(list: &[(Arc<Redirect>, Origin)], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if let Some(setting) = r.per_dir.alias.as_ref().and_then(|dir| dir.redirect.clone()) {
        let target = match &setting.value.target {
            None => Vec::new(),
            Some(target) => match expr_text(target, r, cx) {
                Ok(target) => escape_url(&target),
                Err(Failure::Unknown) => return Handled::Unknown,
                Err(Failure::Error(_)) => {
                    return r.refuse(Decision::new(&cause::apache::REDIRECT_EVALUATION).by(setting.origin), 500);
                }
            },
        };
        return answer(target, setting.value.status, setting.origin, r);
    }
    for (redirect, origin) in list {
        let target = match &redirect.from {
            From::Pattern(pattern) => match pattern.captures(&r.uri) {
                Ok(Some(captures)) => redirect.url.as_ref().map(|url| escape_url(&substitute(url, &r.uri, &captures))),
                Ok(None) => continue,
                Err(_) => return match_limit(pattern, *origin, cx),
            },
            From::Prefix(fake) => match covered(&r.uri, fake) {
                0 => continue,
                length => {
                    let url = redirect.url.clone();
                    r.context_prefix = fake.clone();
                    r.context_document_root = url.clone();
                    url.map(|mut url| {
                        url.extend_from_slice(&escape_uri(&r.uri[length..]));
                        url
                    })
                }
            },
        };
        return answer(target.unwrap_or_default(), redirect.status, Some(*origin), r);
    }
    Handled::Declined
}

fn match_limit(pattern: &Pattern, origin: Origin, cx: &Cx) -> Handled {
    cx.inquiry.unanswerable(Question::at(Subject::MatchLimit(lossy(pattern.source())), Some(origin)));
    Handled::Unknown
}

/// Escapes a URL up to its query or fragment, which stay as they are.
fn escape_url(url: &[u8]) -> Vec<u8> {
    let end = url.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(url.len());
    let mut escaped = escape_uri(&url[..end]);
    escaped.extend_from_slice(&url[end..]);
    escaped
}

fn answer(mut target: Vec<u8>, status: u16, origin: Option<Origin>, r: &mut RequestRec) -> Handled {
    if is_redirect_status(status) {
        let relative = r.per_dir.alias.as_ref().and_then(|dir| dir.relative).unwrap_or(false);
        if target.starts_with(b"/") && !relative {
            target = construct_url(&target, r);
        }
        if !target.starts_with(b"/") && !is_url(&target) {
            return r.refuse(Decision::new(&cause::apache::REDIRECT_INVALID_TARGET).by(origin), 500);
        }
        if let Some(query) = &r.args
            && !target.contains(&b'?')
        {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        r.location = Some(target);
        return r.refuse(Decision::new(&cause::apache::REDIRECT).by(origin), status);
    }
    let cause = if status == 403 { &cause::apache::REDIRECT_403 } else { &cause::apache::REDIRECT_STATUS };
    // 0 says that all is well, and leaves the request without a file.
    r.refuse(Decision::new(cause).by(origin), if status == 0 { 404 } else { status })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash_or_at_the_end() {
        for (path, fake, length) in [
            (&b"/al/x"[..], &b"/al"[..], 3),
            (b"/al", b"/al", 3),
            (b"/alx", b"/al", 0),
            (b"/al", b"/al/", 0),
            (b"/al///x", b"/al/", 6),
            (b"//al/x", b"/al", 4),
            (b"/x", b"/", 1),
        ] {
            assert_eq!(covered(path, fake), length);
        }
    }

    #[test]
    fn a_status_that_redirects_needs_a_url_and_another_takes_none() {
        let parse = |words: &[&[u8]]| parse_redirect("Redirect", words, false, expr::Context::default()).err();
        assert_eq!(parse(&[b"301", b"/a", b"/b"]), None);
        assert_eq!(parse(&[b"403", b"/a"]), None);
        assert_eq!(parse(&[b"403", b"/a", b"/b"]).as_deref(), Some("Redirect URL not valid for this status"));
        assert_eq!(parse(&[b"301", b"/a"]).as_deref(), Some("URL to redirect to is missing"));
        assert_eq!(parse(&[b"x", b"/a", b"/b"]).as_deref(), Some("Redirect: invalid first argument (of three)"));
        assert_eq!(parse(&[b"/a", b"b"]).as_deref(), Some("Redirect to non-URL"));
    }

    #[test]
    fn in_a_section_the_path_is_the_sections() {
        let parse = |words: &[&[u8]]| parse_redirect("Redirect", words, true, expr::Context::default()).expect("valid");
        assert!(matches!(parse(&[b"403"]), Parsed::Section(SectionRedirect { target: None, status: 403 })));
        assert!(matches!(parse(&[b"http://x/"]), Parsed::Section(SectionRedirect { target: Some(_), status: 302 })));
        assert!(matches!(parse(&[b"301", b"/x"]), Parsed::Section(SectionRedirect { target: Some(_), status: 301 })));
        assert!(matches!(parse(&[b"/a", b"/b"]), Parsed::List(Redirect { status: 302, .. })));
    }

    #[test]
    fn only_the_path_of_a_target_is_escaped() {
        assert_eq!(escape_url(b"http://h/a b?c d#e f"), b"http://h/a%20b?c d#e f");
    }
}

//! mod_userdir: `/~user` is a directory of that user.

use crate::apache::lex::getword_conf;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::stat;
use crate::cause;
use crate::fs::Follow;
use crate::identity::Accounts;
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    /// Whether `disabled` or `enabled` stands alone.
    disabled: Option<bool>,
    directories: Option<Setting<Vec<u8>>>,
    enabled_users: Vec<Vec<u8>>,
    disabled_users: Vec<Vec<u8>>,
}

impl ServerRecord {
    /// The lists of users are not merged.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        ServerRecord {
            disabled: vhost.disabled.or(base.disabled),
            directories: vhost.directories.clone().or_else(|| base.directories.clone()),
            enabled_users: vhost.enabled_users.clone(),
            disabled_users: vhost.disabled_users.clone(),
        }
    }
}

/// Adds a directive to the record of its server.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord) {
    let mut names = cmd.raw;
    let word = getword_conf(&mut names).to_ascii_lowercase();
    let list = match word.as_slice() {
        b"disable" | b"disabled" => {
            if names.is_empty() {
                server.disabled = Some(true);
            }
            &mut server.disabled_users
        }
        b"enable" | b"enabled" => {
            if names.is_empty() {
                server.disabled = Some(false);
            }
            &mut server.enabled_users
        }
        _ => {
            server.directories = Some(Setting::new(cmd.raw.to_vec(), cmd.origin));
            return;
        }
    };
    while !names.is_empty() {
        list.push(getword_conf(&mut names).into_owned());
    }
}

/// What one word of `UserDir` makes of a user.
enum Mapped {
    Directory(Vec<u8>),
    Redirect(Vec<u8>),
    /// No such user.
    Nothing,
}

fn map(word: &[u8], user: &[u8], rest: &[u8], accounts: &Accounts) -> Mapped {
    let absolute = word.starts_with(b"/");
    // The prefix is what comes before the first star; further stars next to it go with it.
    let (prefix, suffix) = match memchr::memchr(b'*', word) {
        Some(star) => {
            let stars = word[star..].iter().take_while(|byte| **byte == b'*').count();
            (Some(&word[..star]), &word[star + stars..])
        }
        None => (None, word),
    };
    let is_url = prefix.is_some_and(|prefix| prefix.contains(&b':'));
    match prefix {
        Some(prefix) if is_url && !absolute => {
            // Without a star at the end the word's rest is not used for a URL.
            let suffix = if suffix.is_empty() || absolute { suffix } else { &b""[..] };
            Mapped::Redirect([prefix, user, suffix, rest].concat())
        }
        Some(prefix) if suffix.is_empty() || absolute => Mapped::Directory([prefix, user, suffix].concat()),
        None if absolute || word.is_empty() => Mapped::Directory([word, b"/", user].concat()),
        _ => match std::str::from_utf8(user).ok().and_then(|user| accounts.user(user)) {
            Some(account) => Mapped::Directory([account.home.as_bytes(), b"/", suffix].concat()),
            None => Mapped::Nothing,
        },
    }
}

/// translate_name, after mod_alias.
pub(crate) fn translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.server.userdir.clone() else { return Handled::Declined };
    let Some(Setting { value: directories, origin }) = &record.directories else { return Handled::Declined };
    let Some(path) = r.uri.strip_prefix(b"/~") else { return Handled::Declined };
    let end = memchr::memchr(b'/', path).unwrap_or(path.len());
    let (user, rest) = (path[..end].to_vec(), path[end..].to_vec());
    let odd = matches!(user.get(1..), Some([b'.'] | [b'.', b'.']));
    let listed = |list: &[Vec<u8>]| list.iter().any(|known| known.eq_ignore_ascii_case(&user));
    if user.is_empty() || odd || listed(&record.disabled_users) {
        return Handled::Declined;
    }
    if record.disabled == Some(true) && !listed(&record.enabled_users) {
        return Handled::Declined;
    }
    let accounts = Accounts::read(cx.world.fs);
    let mut words = directories.as_slice();
    while !words.is_empty() {
        let word = getword_conf(&mut words).into_owned();
        match map(&word, &user, &rest, &accounts) {
            Mapped::Nothing => {}
            Mapped::Redirect(url) => {
                r.location = Some(url);
                return r.refuse(Decision::new(&cause::apache::USERDIR_REDIRECT).by(*origin), 302);
            }
            Mapped::Directory(directory) => {
                // The last one is taken whether it exists or not.
                if words.is_empty() || stat(&directory, Follow::Yes, cx).is_some() {
                    return mapped(directory, &rest, *origin, r);
                }
            }
        }
    }
    Handled::Declined
}

fn mapped(directory: Vec<u8>, rest: &[u8], origin: Option<Origin>, r: &mut RequestRec) -> Handled {
    r.context_prefix = r.uri[..r.uri.len() - rest.len()].to_vec();
    r.filename = Some([directory.as_slice(), rest].concat());
    r.context_document_root = Some(directory);
    r.mapped_by = origin;
    Handled::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_directory_at_home_a_pattern_or_a_url() {
        let accounts = Accounts::parse(b"bob:x:1000:1000::/home/bob:/bin/sh\n", b"");
        let directory = |word: &str| match map(word.as_bytes(), b"bob", b"/x", &accounts) {
            Mapped::Directory(directory) => String::from_utf8(directory).expect("text"),
            Mapped::Redirect(url) => format!("302 {}", String::from_utf8_lossy(&url)),
            Mapped::Nothing => String::new(),
        };
        assert_eq!(directory("public_html"), "/home/bob/public_html");
        assert_eq!(directory("/var/users"), "/var/users/bob");
        assert_eq!(directory("/home/*/www"), "/home/bob/www");
        assert_eq!(directory("http://h/~*/"), "302 http://h/~bob/x");
        assert!(matches!(map(b"public_html", b"eve", b"", &accounts), Mapped::Nothing));
    }
}

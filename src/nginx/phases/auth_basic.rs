//! `ngx_http_auth_basic_module`: credentials first, then the file, so that a missing file is 401 for whoever shows no
//! password and 403 for everybody else.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use super::super::base64;
use super::super::mapping::{full_name, path_from};
use super::super::request::{Cx, Flow, HttpRequest, Method, error};
use super::super::version::Version;
use super::access::Handled;
use crate::cause::Cause;
use crate::cause::nginx as causes;
use crate::fact::{Fact, Question, Subject};

use crate::fs::{Bytes, Errno};
use crate::outcome::{Decision, Related};
use crate::password::{Verdict, verify_nginx};
use crate::trace::nginx::{AuthBasic, Event};

/// Longest password file that is read, in bytes (64 MiB).
const MAX_FILE: u64 = 64 << 20;

/// User and password of a Basic authorization (`ngx_http_auth_basic_user`): the scheme in any case, a user that is not
/// empty, and a colon.
pub(crate) fn credentials(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, rest) = header.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    let mut text = base64::decode(rest.trim_ascii_start(), base64::Alphabet::Standard)?;
    let colon = memchr::memchr(b':', &text).filter(|&colon| colon > 0)?;
    let password = text.split_off(colon + 1);
    text.pop();
    Some((text, password))
}

pub(super) fn auth_basic_handler<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Handled> {
    let auth = &r.conf.auth;
    let (Some(realm), Some(file)) = (&auth.realm.value, &auth.user_file.value) else {
        return ControlFlow::Continue(Handled::Declined);
    };
    if *realm.evaluate(r, cx)? == *b"off" {
        return ControlFlow::Continue(Handled::Declined);
    }
    let proxy = r.method == Method::CONNECT;
    let (name, unauthorized): (&[u8], _) = if proxy { (b"Proxy-Authorization", 407) } else { (b"Authorization", 401) };
    let Some((user, password)) = r.header(name).and_then(credentials) else {
        return refuse(r, cx, unauthorized, causes::AUTH_BASIC_REQUIRED, None, AuthBasic::NoCredentials, None);
    };
    let written = file.evaluate(r, cx)?;
    let path = path_from(full_name(&cx.config.conf_prefix, &written));
    let user = Some(user);
    let bytes = match read_password_file(&path, r, cx) {
        Ok(Fact::Known(bytes)) => bytes,
        Ok(Fact::Unknown(question)) => return content_unknown(question, r, cx, unauthorized, user, path),
        Err((Errno::Enoent, _)) => {
            return refuse(
                r,
                cx,
                403,
                causes::AUTH_BASIC_FILE_MISSING,
                user,
                AuthBasic::File(Errno::Enoent),
                Some(path),
            );
        }
        Err((errno, inode)) => {
            let decision = decide(r, cx, causes::AUTH_BASIC_FILE_ERROR, user, AuthBasic::File(errno), Some(inode));
            return error(500, decision);
        }
    };
    let Some(hash) = find_user(&bytes, user.as_deref().unwrap_or_default()) else {
        return refuse(r, cx, unauthorized, causes::AUTH_BASIC_UNKNOWN_USER, user, AuthBasic::UnknownUser, Some(path));
    };
    let verdict = match verify_nginx(&password, hash) {
        Verdict::Match if !is_known_to_crypt(hash, r, cx) => AuthBasic::Mismatch,
        Verdict::Match => AuthBasic::Match,
        Verdict::Mismatch => AuthBasic::Mismatch,
        Verdict::Unverifiable => ask_password(r, cx, user.as_deref().unwrap_or_default()),
    };
    match verdict {
        AuthBasic::Match => {
            let file = Some(path);
            cx.push("access", auth.user_file.origin, || Event::AuthBasic { user, verdict, file });
            ControlFlow::Continue(Handled::Ok)
        }
        _ => refuse(r, cx, unauthorized, causes::AUTH_BASIC_MISMATCH, user, verdict, Some(path)),
    }
}

/// The errno of the server's open(2) or read(2) and the inode at fault.
fn read_password_file(path: &Path, r: &HttpRequest, cx: &Cx) -> Result<Fact<Bytes>, (Errno, PathBuf)> {
    debug_assert!(r.depth == 0, "subrequests skip the access phase");
    cx.disk.read(path, MAX_FILE).map_err(|denied| (denied.errno, denied.path))
}

/// The hash of the first line that names the user: `user:hash[:anything]`. A `#` begins a comment only at the start of a
/// line.
fn find_user<'f>(file: &'f [u8], user: &[u8]) -> Option<&'f [u8]> {
    file.split(|&byte| byte == b'\n').filter(|line| !line.starts_with(b"#")).find_map(|line| {
        let hash = line.strip_prefix(user)?.strip_prefix(b":")?;
        let end = hash.iter().position(|byte| matches!(byte, b':' | b'\r')).unwrap_or(hash.len());
        Some(&hash[..end])
    })
}

/// yescrypt is not in every crypt(3): Debian's has it, musl's has not.
fn is_known_to_crypt(hash: &[u8], r: &HttpRequest, cx: &Cx) -> bool {
    if cx.version == Version::DEBIAN_1_22_1 || !hash.starts_with(b"$y$") {
        return true;
    }
    let subject = Subject::Other("whether crypt(3) of the server knows yescrypt".to_owned());
    let words = ["crypt(3) of the server knows yescrypt", "crypt(3) of the server does not know yescrypt"];
    cx.inquiry.choose(Question::at(subject, r.conf.auth.user_file.origin), &words) == 0
}

fn ask_password(r: &HttpRequest, cx: &Cx, user: &[u8]) -> AuthBasic {
    let user = String::from_utf8_lossy(user).into_owned();
    let question = Question::at(Subject::Password(user.clone()), r.conf.auth.user_file.origin);
    let (fits, fails) =
        (format!("the password fits the hash of `{user}`"), format!("the password of `{user}` is wrong"));
    if cx.inquiry.choose(question, &[&fits, &fails]) == 0 { AuthBasic::Match } else { AuthBasic::Mismatch }
}

/// The file opens, but nobody knows what is in it: the user may be there with this password, or not.
fn content_unknown<'a>(
    question: Question,
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
    unauthorized: u16,
    user: Option<Vec<u8>>,
    path: PathBuf,
) -> Flow<Handled> {
    let shown = path.display();
    let (good, bad) =
        (format!("{shown} holds this user and password"), format!("{shown} does not hold this user and password"));
    if cx.inquiry.choose(question, &[&good, &bad]) == 0 {
        return ControlFlow::Continue(Handled::Ok);
    }
    refuse(r, cx, unauthorized, causes::AUTH_BASIC_MISMATCH, user, AuthBasic::Mismatch, Some(path))
}

fn refuse<'a>(
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
    status: u16,
    cause: &'static Cause,
    user: Option<Vec<u8>>,
    verdict: AuthBasic,
    file: Option<PathBuf>,
) -> Flow<Handled> {
    let decision = decide(r, cx, cause, user, verdict, file);
    ControlFlow::Continue(Handled::Status(status, Box::new(decision)))
}

fn decide<'a>(
    r: &mut HttpRequest<'a>,
    cx: &mut Cx<'a>,
    cause: &'static Cause,
    user: Option<Vec<u8>>,
    verdict: AuthBasic,
    file: Option<PathBuf>,
) -> Decision {
    let auth = &r.conf.auth;
    let blamed = if verdict == AuthBasic::NoCredentials { auth.realm.origin } else { auth.user_file.origin };
    let event = Event::AuthBasic { user: user.clone(), verdict, file: file.clone() };
    cx.push("access", blamed, || event.clone());
    let mut decision = Decision::new(cause).by(blamed).with(r.related());
    if let Some(origin) = auth.realm.origin.filter(|origin| Some(*origin) != blamed) {
        decision.related.push(Related { role: "auth_basic", origin });
    }
    let shown = file.as_deref().unwrap_or(Path::new("")).display().to_string();
    let user = user.map_or_else(String::new, |user| String::from_utf8_lossy(&user).into_owned());
    decision.log = match verdict {
        AuthBasic::NoCredentials => cause.log.map(str::to_owned),
        AuthBasic::UnknownUser => Some(format!("user \"{user}\" was not found in \"{shown}\"")),
        AuthBasic::Mismatch => Some(format!("user \"{user}\": password mismatch")),
        AuthBasic::File(errno) => Some(format!("open() \"{shown}\" failed ({}:", errno.number())),
        AuthBasic::Match => cause.log.map(str::to_owned),
    };
    decision.path = file.filter(|_| matches!(verdict, AuthBasic::File(_)));
    decision.event = Some(crate::trace::Event::Nginx(event));
    decision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_need_a_user_and_a_colon() {
        assert_eq!(credentials(b"basic dXNlcjpzZWNyZXQ="), Some((b"user".to_vec(), b"secret".to_vec())));
        assert_eq!(credentials(b"Basic dXNlcjo="), Some((b"user".to_vec(), Vec::new())));
        assert_eq!(credentials(b"Basic OnNlY3JldA=="), None);
        assert_eq!(credentials(b"Basic dXNlcg=="), None);
        assert_eq!(credentials(b"Basic !"), None);
        assert_eq!(credentials(b"Bearer x"), None);
        assert_eq!(credentials(b""), None);
    }

    #[test]
    fn the_first_line_that_names_the_user_decides() {
        let file = b"#bob:x\nal:1\nbob:2:rest\r\nbob:3\nlast:4";
        assert_eq!(find_user(file, b"bob"), Some(b"2".as_slice()));
        assert_eq!(find_user(file, b"al"), Some(b"1".as_slice()));
        assert_eq!(find_user(file, b"last"), Some(b"4".as_slice()));
        assert_eq!(find_user(file, b"carl"), None);
    }
}

//! mod_auth_digest: what is wrong with a login, and what is not known of one that is right. A nonce holds a secret that
//! the server makes up when it starts, so that nobody else can say whether it is good.

use md5::Digest;

use crate::apache::access::authn::{Hash, Provider, auth_type, challenge, provider, realm_hash};
use crate::apache::access::providers::Aliases;
use crate::apache::escape::unescape_url;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec, uri};
use crate::cause;
use crate::cause::Cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// Whether a text has the form of a nonce: a time in base64, which ends in `=`, and a hash of 40 digits, which nobody but
/// the server can make.
fn is_nonce(text: &[u8]) -> bool {
    text.len() == 52 && text[11] == b'='
}

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `AuthName`, as it is written.
    realm: Option<Vec<u8>>,
    providers: Vec<Provider>,
    /// `AuthDigestNcCheck On`.
    counts: Option<Setting<bool>>,
}

impl DirRecord {
    /// What is said further inside counts.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord {
            realm: new.realm.clone().or_else(|| base.realm.clone()),
            providers: if new.providers.is_empty() { &base.providers } else { &new.providers }.clone(),
            counts: new.counts.or(base.counts),
        }
    }

    /// `AuthName` and the directives of mod_auth_digest.
    pub fn command(&mut self, cmd: &Command, aliases: &Aliases) {
        match cmd.name {
            "AuthName" => self.realm = cmd.arg(0).map(<[u8]>::to_vec),
            "AuthDigestProvider" => self.providers.extend(cmd.args.iter().map(|name| provider(name, aliases))),
            "AuthDigestNcCheck" => self.counts = Some(Setting::new(cmd.flag(), cmd.origin)),
            _ => {}
        }
    }
}

/// check_user_id (authenticate_digest_user).
pub(crate) fn check_user_id<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("auth_digest_module") {
        return Handled::Declined;
    }
    let current = match auth_type(r, cx) {
        Ok(Some(current)) if current.value.eq_ignore_ascii_case(b"digest") => current,
        Ok(_) => return Handled::Declined,
        Err(ended) => return ended,
    };
    if r.per_dir.authn_core.as_ref().is_none_or(|record| record.auth_name.is_none()) {
        return r.refuse(Decision::new(&cause::apache::AUTHNAME_MISSING).by(current.origin), 500);
    }
    let header: &[u8] = if r.forward_proxy { b"Proxy-Authorization" } else { b"Authorization" };
    let login = match r.headers_in.get(header).map(read) {
        None => return refuse(r, &cause::apache::AUTHENTICATION_REQUIRED, None, current.origin),
        Some(Err(NoLogin::OtherScheme)) => {
            return refuse(r, &cause::apache::WRONG_AUTH_SCHEME, Some("AH01781"), current.origin);
        }
        Some(Err(NoLogin::Incomplete)) => {
            return refuse(r, &cause::apache::AUTHENTICATION_REQUIRED, Some("AH01782"), current.origin);
        }
        Some(Ok(login)) => login,
    };
    r.user = Some(login.user.clone());
    r.auth_type = Some(b"Digest".to_vec());
    verify(&login, current.origin, r, cx)
}

/// Whether a login is good, in the server's order; the nonce comes last.
fn verify<'c>(login: &Login, by: Option<Origin>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    match same_uri(&login.uri, r) {
        Some(true) => {}
        Some(false) => {
            let mut decision = Decision::new(&cause::apache::DIGEST_URI).by(by);
            decision.log = Some("AH01786".to_owned());
            return r.refuse(decision, 400);
        }
        None => return cx.unanswerable(Subject::Opaque("the uri of a digest login".to_owned()), by),
    }
    let record = r.per_dir.auth_digest.clone().unwrap_or_default();
    let mismatch = &cause::apache::PASSWORD_MISMATCH;
    if login.opaque.as_deref().is_some_and(is_zero) {
        return refuse(r, mismatch, Some("AH01787"), by);
    }
    if record.realm.as_ref() != Some(&login.realm) {
        return refuse(r, mismatch, Some(if record.realm.is_none() { "AH02533" } else { "AH01788" }), by);
    }
    if login.algorithm.as_ref().is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case(b"md5")) {
        return refuse(r, mismatch, Some("AH01789"), by);
    }
    let (hash, file) = match realm_hash(&record.providers, &login.user, &login.realm, r, cx) {
        Hash::Found(hash, file) => (hash, file),
        Hash::NotFound(file) => return refuse(r, &cause::apache::USER_NOT_FOUND, Some("AH01790"), file.or(by)),
        Hash::Error(log, file) => {
            let mut decision = Decision::new(&cause::apache::PASSWORD_FILE).by(file.or(by));
            decision.default = file.is_none();
            decision.log = Some(log.to_owned());
            return r.refuse(decision, 500);
        }
        Hash::Unknown => return Handled::Unknown,
    };
    // Logins of RFC 2069, which have none, are no longer taken.
    if login.qop.as_ref().is_none_or(|qop| !qop.eq_ignore_ascii_case(b"auth")) {
        return refuse(r, mismatch, Some("AH10560"), by);
    }
    // That of the request that the client made, whoever asks on its behalf.
    let method = r.the_request.split(|&byte| byte == b' ').next().unwrap_or_default();
    if login.response != login.expected(&hash, method) {
        return refuse(r, mismatch, Some("AH01794"), file.or(by));
    }
    if let Some(counts) = record.counts.filter(|counts| counts.value) {
        return cx.unanswerable(Subject::Opaque("AuthDigestNcCheck".to_owned()), counts.origin);
    }
    // An opaque value goes into the nonce, and is handed out only where logins are counted.
    let good = login.opaque.is_none()
        && cx.assume(
            Subject::Other("the nonce of the login".to_owned()),
            by,
            "the server made the nonce, and it is not too old",
            "the nonce is not the server's, or too old",
        );
    if good { Handled::Ok } else { refuse(r, &cause::apache::DIGEST_NONCE, None, by) }
}

/// 401, with its log number.
fn refuse(r: &mut RequestRec, cause: &'static Cause, log: Option<&str>, by: Option<Origin>) -> Handled {
    let handled = challenge(r, cause, by);
    if let (Some(decision), Some(log)) = (&mut r.decision, log) {
        decision.log = Some(log.to_owned());
    }
    handled
}

/// Whether the login is for the target of the request; `None`: it names a host, which is not compared here.
fn same_uri(uri: &[u8], r: &RequestRec) -> Option<bool> {
    let target = r.the_request.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    if uri == target {
        return Some(true);
    }
    let (Some(own), Some(asked)) = (uri::parse(uri), uri::parse(target)) else { return Some(false) };
    let text = |part: Option<&[u8]>| part.map(|part| unescape_url(part, false).0);
    // What old browsers leave out (AuthDigestEnableQueryStringHack).
    let left_out = own.query.is_none() && r.subprocess_env.contains(b"AuthDigestEnableQueryStringHack");
    if text(own.path) != text(asked.path) || !left_out && text(own.query) != text(asked.query) {
        return Some(false);
    }
    own.hostname.is_none().then_some(true)
}

/// strtol of an opaque value in base 16.
fn is_zero(opaque: &[u8]) -> bool {
    let digits = opaque.trim_ascii_start();
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    !digits.iter().take_while(|byte| byte.is_ascii_hexdigit()).any(|&byte| byte != b'0')
}

/// Why an `Authorization` header is no login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NoLogin {
    /// It is of another scheme.
    OtherScheme,
    /// It lacks one of the parameters that every login has, or its nonce has another form.
    Incomplete,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Login {
    user: Vec<u8>,
    realm: Vec<u8>,
    nonce: Vec<u8>,
    uri: Vec<u8>,
    response: Vec<u8>,
    algorithm: Option<Vec<u8>>,
    opaque: Option<Vec<u8>>,
    qop: Option<Vec<u8>>,
    nc: Vec<u8>,
    cnonce: Vec<u8>,
}

impl Login {
    /// The response of a client that has the hash of user, realm and password (new_digest).
    fn expected(&self, hash: &[u8], method: &[u8]) -> Vec<u8> {
        let hex = |text: &[u8]| -> Vec<u8> {
            md5::Md5::digest(text).iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
        };
        let request = hex(&[method, &self.uri].join(&b':'));
        let qop = self.qop.as_deref().unwrap_or_default();
        hex(&[hash, &self.nonce, &self.nc, &self.cnonce, qop, &request].join(&b':'))
    }
}

/// get_digest_rec.
fn read(header: &[u8]) -> Result<Login, NoLogin> {
    let end = header.iter().position(u8::is_ascii_whitespace).unwrap_or(header.len());
    let (scheme, mut rest) = header.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"digest") {
        return Err(NoLogin::OtherScheme);
    }
    let mut parameters = Vec::new();
    while !rest.is_empty() {
        parameters.push(parameter(&mut rest));
    }
    // What is said twice counts as it was said last.
    let take = |name: &str| {
        let named = parameters.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
        named.map(|(_, value)| value.clone())
    };
    let login = || {
        let qop = take("qop");
        let (nc, cnonce) = (take("nc"), take("cnonce"));
        (qop.is_none() || nc.is_some() && cnonce.is_some()).then_some(())?;
        Some(Login {
            user: take("username")?,
            realm: take("realm")?,
            nonce: take("nonce").filter(|nonce| is_nonce(nonce))?,
            uri: take("uri")?,
            response: take("response")?,
            algorithm: take("algorithm"),
            opaque: take("opaque"),
            qop,
            nc: nc.unwrap_or_default(),
            cnonce: cnonce.unwrap_or_default(),
        })
    };
    login().ok_or(NoLogin::Incomplete)
}

/// Takes a parameter and the comma behind it: its name and its value, which is empty where there is none.
fn parameter<'h>(rest: &mut &'h [u8]) -> (&'h [u8], Vec<u8>) {
    let text = rest.trim_ascii_start();
    let ends = |byte: &u8| matches!(byte, b'=' | b',') || byte.is_ascii_whitespace();
    let (name, after) = text.split_at(text.iter().position(ends).unwrap_or(text.len()));
    let mut behind = after.trim_ascii_start();
    let mut value = Vec::new();
    if let Some(given) = behind.strip_prefix(b"=").map(<[u8]>::trim_ascii_start) {
        (value, behind) = match given.strip_prefix(b"\"") {
            Some(inner) => quoted(inner),
            None => {
                let ends = |byte: &u8| *byte == b',' || byte.is_ascii_whitespace();
                let (token, behind) = given.split_at(given.iter().position(ends).unwrap_or(given.len()));
                (token.to_vec(), behind)
            }
        };
    }
    *rest = memchr::memchr(b',', behind).map_or(&[], |comma| &behind[comma + 1..]);
    (name, value)
}

/// A quoted text and what follows it; a backslash takes the meaning of the next byte.
fn quoted(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut value, mut at) = (Vec::new(), 0);
    while at < text.len() && text[at] != b'"' {
        if text[at] == b'\\' && at + 1 < text.len() {
            at += 1;
        }
        value.push(text[at]);
        at += 1;
    }
    (value, text.get(at + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "OWUYoxxhBgA=c66adf828be3e48ed55f734292581dbb8791c6a2";

    #[test]
    fn a_login_has_all_its_parameters() {
        let login = |more: &str| {
            read(format!("Digest username=\"a,\\\"b\", realm=\"r\", nonce={NONCE}, uri=\"/\"{more}").as_bytes())
        };
        assert!(
            matches!(login(", response=x"), Ok(login) if login.user == b"a,\"b" && login.nonce == NONCE.as_bytes())
        );
        assert_eq!(login(""), Err(NoLogin::Incomplete));
        assert_eq!(read(b"Digest username=a, realm=r, nonce=n, uri=u, response=x"), Err(NoLogin::Incomplete));
        assert_eq!(login(", response=x, qop=auth"), Err(NoLogin::Incomplete));
        assert!(matches!(login(", response=x, qop=auth, cnonce=c, nc=1"), Ok(login) if login.nc == b"1"));
        assert_eq!(read(b"Digest"), Err(NoLogin::Incomplete));
        assert_eq!(read(b"Digest \"\\"), Err(NoLogin::Incomplete));
        assert_eq!(read(b"Basic YTpi"), Err(NoLogin::OtherScheme));
    }

    #[test]
    fn the_response_of_the_example_in_rfc_2617() {
        let text = |text: &str| text.as_bytes().to_vec();
        let login = Login {
            nonce: text("dcd98b7102dd2f0e8b11d0f600bfb0c093"),
            uri: text("/dir/index.html"),
            response: text("6629fae49393a05397450978507c4ef1"),
            qop: Some(text("auth")),
            nc: text("00000001"),
            cnonce: text("0a4f113b"),
            ..Login::default()
        };
        let hash = b"939e7578ed9e3c518a452acee763bce9";
        assert_eq!(login.response, login.expected(hash, b"GET"));
        assert_ne!(login.response, login.expected(hash, b"POST"));
    }
}

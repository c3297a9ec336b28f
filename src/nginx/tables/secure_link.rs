//! `$secure_link` (`ngx_http_secure_link_module.c`), in both its forms: `secure_link` with `secure_link_md5`, and the
//! older `secure_link_secret`, whose value is the rest of the path.

use md5::{Digest, Md5};

use super::super::base64::{self, Alphabet};
use super::super::complex::{ComplexValue, Evaluated};
use super::super::inet;
use super::super::request::{Cx, HttpRequest};
use super::super::variables::{Table, Value};
use crate::fact::{Question, Subject};
use crate::source::{Origin, Setting};

/// The settings of a block.
#[derive(Clone, Debug, Default)]
pub struct SecureLink {
    link: Option<Setting<ComplexValue>>,
    md5: Option<Setting<ComplexValue>>,
    secret: Option<Setting<Box<[u8]>>>,
}

impl SecureLink {
    /// The directives that [`set`](Self::set) knows.
    pub const DIRECTIVES: &[&str] = &["secure_link", "secure_link_md5", "secure_link_secret"];

    /// Takes a directive.
    pub fn set(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, _first_here: bool, table: &Table) {
        let &[text] = args else { return };
        match name {
            b"secure_link" => {
                self.link = Some(Setting::new(ComplexValue::compile(text, table), origin));
                self.secret = None;
            }
            b"secure_link_md5" => {
                self.md5 = Some(Setting::new(ComplexValue::compile(text, table), origin));
                self.secret = None;
            }
            _ => *self = SecureLink { secret: Some(Setting::new(text.into(), origin)), ..SecureLink::default() },
        }
    }
}

/// `$secure_link`.
pub(in super::super) fn secure_link<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Value {
    let conf: &'a SecureLink = &r.conf.secure_link;
    if let Some(secret) = &conf.secret {
        return Value::found(rest_of_path(&r.unparsed_uri, &secret.value));
    }
    let (Some(link), Some(md5)) = (&conf.link, &conf.md5) else { return Value::NotFound };
    let link = match link.value.value(r, cx) {
        Evaluated::Text(text) => text,
        Evaluated::Unknown(question) => return Value::Unknown(question),
        Evaluated::Overrun => return Value::NotFound,
    };
    let (hash, expires) = match memchr::memchr(b',', &link) {
        Some(comma) => {
            let text = &link[comma + 1..];
            let Some(expires) = inet::atoi(text).filter(|expires| *expires > 0) else { return Value::NotFound };
            r.vars.set_expires(text);
            (&link[..comma], Some(expires))
        }
        None => (&*link, None),
    };
    if hash.len() > 24 {
        return Value::NotFound;
    }
    let Some(hash) = base64::decode(hash, Alphabet::Url).filter(|hash| hash.len() == 16) else {
        return Value::NotFound;
    };
    let text = match md5.value.value(r, cx) {
        Evaluated::Text(text) => text,
        Evaluated::Unknown(question) => return Value::Unknown(question),
        Evaluated::Overrun => return Value::NotFound,
    };
    if hash != Md5::digest(&text).as_slice() {
        return Value::NotFound;
    }
    match (expires, cx.world.now) {
        (None, _) => Value::text("1"),
        (Some(expires), Some(now)) => Value::text(if expires < now { "0" } else { "1" }),
        (Some(_), None) => {
            let question = Question::at(Subject::Clock, md5.origin);
            let alternatives = ["the link has not expired yet", "the link has expired"];
            Value::text(["1", "0"][cx.inquiry.choose(question, &alternatives)])
        }
    }
}

/// `$secure_link_expires`: known once `$secure_link` was looked at.
pub(in super::super) fn secure_link_expires<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::found(r.vars.expires())
}

/// `/prefix/MD5/rest`, the hash being that of the rest and the secret.
fn rest_of_path<'u>(unparsed_uri: &'u [u8], secret: &[u8]) -> Option<&'u [u8]> {
    let path = unparsed_uri.get(1..)?;
    let (_, path) = split_at_slash(path)?;
    let (hash, rest) = split_at_slash(path)?;
    if hash.len() != 32 || rest.is_empty() {
        return None;
    }
    let mut md5 = Md5::new();
    md5.update(rest);
    md5.update(secret);
    let digest = md5.finalize();
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let equal = digest.iter().zip(hash.chunks_exact(2)).all(|(byte, pair)| {
        let value = hex(pair[0]).zip(hex(pair[1])).map(|(high, low)| high * 16 + low);
        value == Some(u32::from(*byte))
    });
    equal.then_some(rest)
}

fn split_at_slash(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let slash = memchr::memchr(b'/', text)?;
    Some((&text[..slash], &text[slash + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_form_gives_the_rest_of_the_path() {
        // md5("linksecret")
        let hash = "d2f2ac3c4d26a2d4a8e1aee7c25bb95f";
        let digest: String = Md5::digest(b"linksecret").iter().map(|byte| format!("{byte:02x}")).collect();
        let uri = format!("/p/{digest}/link");
        assert_eq!(rest_of_path(uri.as_bytes(), b"secret"), Some(&b"link"[..]));
        assert_eq!(rest_of_path(uri.as_bytes(), b"other"), None);
        assert_eq!(rest_of_path(format!("/p/{hash}/").as_bytes(), b"secret"), None);
        assert_eq!(rest_of_path(b"/p/link", b"secret"), None);
    }
}

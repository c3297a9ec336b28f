//! Whether a client certificate is accepted. Of one that is given as PEM it can be told without cryptography whether it
//! has expired and whether its issuer is one of the configured authorities; anything else is a question.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::calendar::days_since_1970;
use crate::fact::{Fact, Inquiry, Question, Subject};
use crate::fs;
use crate::request::ClientCert;
use crate::source::Origin;
use crate::world::World;

/// Longest file of authorities that is read, in bytes (4 MiB).
const MAX_FILE: u64 = 4 << 20;

/// What a client certificate comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None is shown.
    None,
    /// It verifies.
    Accepted,
    /// No configured authority has issued it, and nothing else is wrong with it.
    UnknownIssuer,
    /// Something else is wrong with it.
    Refused,
}

/// What a server asks of a certificate.
pub struct Terms<'a> {
    /// The files of authorities; a directory of them cannot be looked into and leaves the question open.
    pub authorities: Vec<PathBuf>,
    /// An issuer that nobody knows is forgiven (`optional_no_ca`).
    pub any_issuer: bool,
    /// The directive that asks.
    pub origin: Option<Origin>,
    /// The files, and the clock.
    pub world: &'a World<'a>,
    /// Questions.
    pub inquiry: &'a Inquiry<'a>,
}

impl Terms<'_> {
    /// What they make of the certificate (SSL_get_verify_result).
    pub fn verdict(&self, shown: &ClientCert) -> Verdict {
        match shown {
            ClientCert::None => Verdict::None,
            // Nobody can have vouched for it.
            ClientCert::Ok if self.authorities.is_empty() => Verdict::UnknownIssuer,
            ClientCert::Ok => Verdict::Accepted,
            ClientCert::Failed if self.any_issuer => {
                let words =
                    ["nobody here knows who issued the client certificate", "the client certificate is bad otherwise"];
                if self.choose(&words) == 0 { Verdict::UnknownIssuer } else { Verdict::Refused }
            }
            ClientCert::Failed => Verdict::Refused,
            ClientCert::Pem(pem) => self.of_pem(pem),
        }
    }

    fn of_pem(&self, pem: &[u8]) -> Verdict {
        let shown = certificates(pem);
        let Some(fields) = shown.first().and_then(|leaf| Fields::of(leaf)) else { return self.ask() };
        match (self.world.now, fields.not_before(), fields.not_after()) {
            (Some(now), Some(begin), Some(end)) if now < begin || now > end => Verdict::Refused,
            (Some(_), Some(_), Some(_)) if self.authorities.is_empty() || self.issued_elsewhere(&shown) => {
                Verdict::UnknownIssuer
            }
            _ if self.issued_elsewhere(&shown) && !self.any_issuer => Verdict::Refused,
            _ => self.ask(),
        }
    }

    /// Signatures are not looked at.
    fn ask(&self) -> Verdict {
        let words = ["the client certificate verifies", "the client certificate does not verify"];
        if self.choose(&words) == 0 { Verdict::Accepted } else { Verdict::Refused }
    }

    fn choose(&self, words: &[&str]) -> usize {
        self.inquiry.choose(Question::at(Subject::Certificate("the client's".to_owned()), self.origin), words)
    }

    /// Whether a lone certificate names an issuer that is no configured authority, all of which can be read.
    fn issued_elsewhere(&self, shown: &[Vec<u8>]) -> bool {
        let [leaf] = shown else { return false };
        let Some(Fields { issuer, .. }) = Fields::of(leaf) else { return false };
        let mut known = Vec::new();
        for path in &self.authorities {
            let bytes = match fs::real_path(self.world.fs, path) {
                Fact::Known(Ok(path)) => self.world.fs.read(&path, MAX_FILE),
                _ => return false,
            };
            match bytes {
                Fact::Known(Ok(bytes)) => known.extend(certificates(&bytes)),
                _ => return false,
            }
        }
        let is_authority = |certificate: &Vec<u8>| {
            certificate == leaf
                || Fields::of(certificate).is_some_and(|fields| fields.subject.eq_ignore_ascii_case(issuer))
        };
        !known.is_empty() && !known.iter().any(is_authority)
    }
}

/// The DER bytes of every certificate in a PEM file.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    bodies
        .filter_map(|body| {
            let digits: Vec<u8> =
                body.split("-----END").next()?.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            STANDARD.decode(&digits).ok()
        })
        .collect()
}

/// What is read of a DER certificate (RFC 5280, 4.1), as it is encoded.
struct Fields<'d> {
    issuer: &'d [u8],
    validity: &'d [u8],
    subject: &'d [u8],
}

impl<'d> Fields<'d> {
    fn of(certificate: &'d [u8]) -> Option<Fields<'d>> {
        let (certificate, _) = element(certificate)?;
        let (mut fields, _) = element(certificate.content)?;
        let mut next = || -> Option<Element<'d>> {
            let (field, rest) = element(fields.content)?;
            fields.content = rest;
            Some(field)
        };
        // version [0], where it is not v1; then serial number, signature, issuer, validity, subject.
        const VERSION: u8 = 0xa0;
        if next()?.tag == VERSION {
            next()?;
        }
        next()?;
        let issuer = next()?.content;
        let validity = next()?.content;
        Some(Fields { issuer, validity, subject: next()?.content })
    }

    /// Seconds since 1970.
    fn not_before(&self) -> Option<i64> {
        time(&element(self.validity)?.0)
    }

    /// Seconds since 1970.
    fn not_after(&self) -> Option<i64> {
        let (_, rest) = element(self.validity)?;
        time(&element(rest)?.0)
    }
}

/// A UTCTime (two digits of a year: 1950 to 2049) or a GeneralizedTime, both in the form that ends in `Z`.
fn time(element: &Element) -> Option<i64> {
    const UTC_TIME: u8 = 0x17;
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = text.split_at_checked(if element.tag == UTC_TIME { 2 } else { 4 })?;
    let mut year: i64 = year.parse().ok()?;
    if element.tag == UTC_TIME {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let days = days_since_1970(year, month, day);
    Some(days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?)
}

struct Element<'d> {
    tag: u8,
    content: &'d [u8],
}

/// The first element of a DER sequence, and what follows it.
fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&[tag, first], mut rest) = der.split_first_chunk()?;
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            bytes.iter().fold(0usize, |length, &byte| length << 8 | usize::from(byte))
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, content }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_or_four_digits_of_a_year() {
        let of = |tag, text: &'static str| time(&Element { tag, content: text.as_bytes() });
        assert_eq!(of(0x17, "700101000000Z"), Some(0));
        assert_eq!(of(0x17, "240229120001Z"), Some(1_709_208_001));
        assert_eq!(of(0x18, "21000301000000Z"), Some(4_107_542_400));
        assert_eq!(of(0x17, "2402291200Z"), None);
        assert_eq!(of(0x17, "240229120001+0100"), None);
    }

    #[test]
    fn elements_have_short_and_long_lengths() {
        let short = element(&[0x30, 2, 1, 2, 9]).map(|(read, rest)| (read.tag, read.content, rest));
        assert_eq!(short, Some((0x30, &[1u8, 2][..], &[9u8][..])));
        let long = [&[0x04, 0x81, 0x80][..], &[7; 128]].concat();
        assert_eq!(element(&long).map(|(read, _)| read.content.len()), Some(128));
        assert!(element(&[0x30, 5, 1]).is_none());
        assert!(element(&[0x30, 0x80, 0, 0]).is_none());
        assert!(element(&[]).is_none());
    }
}

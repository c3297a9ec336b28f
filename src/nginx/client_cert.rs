//! Whether a client certificate given as PEM is accepted, as far as it can be told without cryptography: a certificate
//! whose issuer is none of the configured authorities is refused; anything else is a question.

use super::base64::{self, Alphabet};
use super::mapping::{full_name, path_from};
use super::model::SrvConf;
use super::request::Cx;
use crate::fact::{Fact, Question, Subject};
use crate::fs;
use crate::request::ClientCert;

/// Longest file of authorities that is read, in bytes (4 MiB).
const MAX_FILE: u64 = 4 << 20;

static ACCEPTED: ClientCert = ClientCert::Ok;
static REFUSED: ClientCert = ClientCert::Failed;

/// What the server's settings make of the certificate: [`ClientCert::Ok`], `Failed` or `None`.
pub(super) fn verdict<'a>(shown: &'a ClientCert, srv: &SrvConf, cx: &Cx<'a>) -> &'a ClientCert {
    let ClientCert::Pem(pem) = shown else { return shown };
    if issued_elsewhere(pem, srv, cx) {
        return &REFUSED;
    }
    let question = Question::at(Subject::Certificate("the client's".to_owned()), srv.ssl_verify_client.origin);
    let words = ["the client certificate verifies", "the client certificate does not verify"];
    if cx.inquiry.choose(question, &words) == 0 { &ACCEPTED } else { &REFUSED }
}

/// Whether a lone certificate names an issuer that is no configured authority, all of which can be read.
fn issued_elsewhere(pem: &[u8], srv: &SrvConf, cx: &Cx) -> bool {
    let shown = certificates(pem);
    let [leaf] = &*shown else { return false };
    let Some((issuer, _)) = names(leaf) else { return false };
    let mut authorities = Vec::new();
    for file in [&srv.ssl_client_certificate.value, &srv.ssl_trusted_certificate.value].into_iter().flatten() {
        let path = path_from(full_name(&cx.config.conf_prefix, file));
        let bytes = match fs::real_path(cx.world.fs, &path) {
            Fact::Known(Ok(path)) => cx.world.fs.read(&path, MAX_FILE),
            _ => return false,
        };
        match bytes {
            Fact::Known(Ok(bytes)) => authorities.extend(certificates(&bytes)),
            _ => return false,
        }
    }
    let is_authority = |certificate: &Vec<u8>| {
        certificate == leaf || names(certificate).is_some_and(|(_, subject)| subject.eq_ignore_ascii_case(issuer))
    };
    !authorities.is_empty() && !authorities.iter().any(is_authority)
}

/// The DER bytes of every certificate in a PEM file.
fn certificates(pem: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(pem);
    let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
    bodies
        .filter_map(|body| {
            let digits: Vec<u8> =
                body.split("-----END").next()?.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            base64::decode(&digits, Alphabet::Standard)
        })
        .collect()
}

/// Issuer and subject of a DER certificate (RFC 5280, 4.1), as they are encoded.
fn names(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (certificate, _) = element(certificate)?;
    let (mut fields, _) = element(certificate.content)?;
    let mut next = || -> Option<Element<'_>> {
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
    let issuer = next()?;
    next()?;
    Some((issuer.content, next()?.content))
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

//! Passwords against the hashes of htpasswd files, as each server checks them.
//!
//! Both compute the whole line again and compare it as text, so a hash cut short or written another way never matches.
//! Neither answers an error for a hash it does not know: that password is wrong. crypt(3) is libxcrypt's, as on Debian
//! and its kin; a hash of a kind that is not computed here, or that would take too long, is [`Verdict::Unverifiable`].

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

mod des;
mod md5;
mod sha;

/// What the server finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The password is right.
    Match,
    /// The password is wrong, or the server does not understand the hash.
    Mismatch,
    /// Not known here: the caller asks.
    Unverifiable,
}

impl From<bool> for Verdict {
    fn from(same: bool) -> Self {
        if same { Verdict::Match } else { Verdict::Mismatch }
    }
}

/// As ngx_crypt: `$apr1$`, `{PLAIN}`, `{SSHA}`, `{SHA}`, and crypt(3) for anything else.
pub fn verify_nginx(password: &[u8], hash: &[u8]) -> Verdict {
    let password = c_string(password);
    if hash.starts_with(b"$apr1$") {
        return Verdict::from(md5::apr1(password, hash) == hash);
    }
    if let Some(plain) = hash.strip_prefix(b"{PLAIN}") {
        return Verdict::from(plain == password);
    }
    if let Some(encoded) = hash.strip_prefix(b"{SSHA}") {
        // ngx_decode_base64 stops at the first `=`; a hash without a salt is compared all the same.
        let decoded = STANDARD.decode(encoded).unwrap_or_default();
        let salt = decoded.get(20..).unwrap_or_default();
        let mut salted = Sha1::digest([password, salt].concat()).to_vec();
        salted.extend_from_slice(salt);
        return Verdict::from(STANDARD.encode(salted).as_bytes() == encoded);
    }
    if let Some(encoded) = hash.strip_prefix(b"{SHA}") {
        return Verdict::from(STANDARD.encode(Sha1::digest(password)).as_bytes() == encoded);
    }
    crypt(password, hash)
}

/// As apr_password_validate: bcrypt, `$apr1$`, `{SHA}`, and crypt(3) for anything else.
pub fn verify_apache(password: &[u8], hash: &[u8]) -> Verdict {
    let password = c_string(password);
    if hash.starts_with(b"$apr1$") {
        return Verdict::from(md5::apr1(password, hash) == hash);
    }
    if let Some(encoded) = hash.strip_prefix(b"{SHA}") {
        return Verdict::from(STANDARD.encode(Sha1::digest(password)).as_bytes() == encoded);
    }
    crypt(password, hash)
}

/// Both servers hand passwords on as C strings.
fn c_string(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// crypt(3).
fn crypt(password: &[u8], hash: &[u8]) -> Verdict {
    match hash {
        [b'$', b'1', b'$', ..] => Verdict::from(md5::crypt(password, hash) == hash),
        [b'$', b'5' | b'6', b'$', ..] => remembered(password, hash, sha::verify),
        [b'$', b'2', b'a' | b'b' | b'y', b'$', ..] => remembered(password, hash, bcrypt),
        [b'$', b'y', b'$', ..] => remembered(password, hash, yescrypt),
        // NT, scrypt, gost-yescrypt, sunmd5, sha1crypt, the bcrypt of old PHP, and BSDi's extended DES.
        [b'$', b'3' | b'7', b'$', ..] | [b'$', b'2', b'x', b'$', ..] | [b'_', ..] => Verdict::Unverifiable,
        _ if [&b"$gy$"[..], b"$sha1$", b"$md5"].iter().any(|prefix| hash.starts_with(prefix)) => Verdict::Unverifiable,
        [b'$', ..] => Verdict::Mismatch,
        _ => des::verify(password, hash),
    }
}

fn bcrypt(password: &[u8], hash: &[u8]) -> Verdict {
    /// 2^14 rounds take about a second.
    const HIGHEST_COST: u32 = 14;
    let Ok(text) = std::str::from_utf8(hash) else { return Verdict::Mismatch };
    let cost = text.get(4..6).filter(|_| text.get(6..7) == Some("$")).and_then(|cost| cost.parse::<u32>().ok());
    match cost {
        Some(4..=HIGHEST_COST) if text.len() == 60 => {
            bcrypt::verify(password, text).map_or(Verdict::Mismatch, Verdict::from)
        }
        Some(4..=31) if text.len() == 60 => Verdict::Unverifiable,
        _ => Verdict::Mismatch,
    }
}

fn yescrypt(password: &[u8], hash: &[u8]) -> Verdict {
    use yescrypt::{PasswordVerifier, Yescrypt};
    let Ok(text) = std::str::from_utf8(hash) else { return Verdict::Mismatch };
    let parameters = text.split('$').nth(2).unwrap_or_default().as_bytes();
    // Only what crypt_gensalt(3) writes: flavour `j`, N of 2^12 (`9`) or a little around it, r of one digit. Everything
    // else may take any amount of memory.
    match parameters {
        [b'j', b'5'..=b'9' | b'A' | b'B', _] if hash.is_ascii() => {
            Verdict::from(Yescrypt::default().verify_password(password, text).is_ok())
        }
        _ => Verdict::Unverifiable,
    }
}

/// Slow hashes are computed once: one answer is the result of many runs with the same credentials.
fn remembered(password: &[u8], hash: &[u8], verify: fn(&[u8], &[u8]) -> Verdict) -> Verdict {
    type Verdicts = HashMap<(Vec<u8>, Vec<u8>), Verdict>;
    /// So that a batch of guessed passwords does not fill the memory.
    const MOST: usize = 1024;
    static VERDICTS: LazyLock<Mutex<Verdicts>> = LazyLock::new(Mutex::default);
    let key = (password.to_vec(), hash.to_vec());
    if let Some(&known) = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known;
    }
    let verdict = verify(password, hash);
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    if verdicts.len() >= MOST {
        verdicts.clear();
    }
    verdicts.insert(key, verdict);
    verdict
}

/// The alphabet of crypt(3), in which a character stands for six bits.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends the `length` lowest six-bit groups of `bits`, lowest first.
fn push_crypt64(text: &mut Vec<u8>, mut bits: u32, length: usize) {
    for _ in 0..length {
        text.push(ALPHABET[(bits & 63) as usize]);
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes of `secret` by openssl passwd, htpasswd and libxcrypt's crypt(3); a real nginx and a real Apache take them.
    const OF_SECRET: [&str; 9] = [
        "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/",
        "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
        "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
        "$6$abcdefghijklmnop$J/AWykHqo2Tx5UtavGnFc3ytI33la50JpzLTarSWVhkIXK6wOjNwwZjsrIw2UgmrER2EKrSHCeQyAINEEXAk1/",
        "$6$rounds=1500$salt$j55JdF81BDj0Hfwbbpxjl1TOSm23nF1SoPKEQNmFbY634KSLHcyppjFGgKahLknIIlyZ9MEP0Y6fd/LGfyQXw0",
        "abNANd1rDfiNc",
        "$2y$05$ExnCE1a3RHWpuYvf5y.N.Og4Rd4mLoBLglg3J2wHzFbeAamo4QMIa",
        "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    ];

    #[test]
    fn what_the_tools_write_is_verified() {
        for hash in OF_SECRET {
            let hash = hash.as_bytes();
            let shown = String::from_utf8_lossy(hash);
            assert_eq!(verify_nginx(b"secret", hash), Verdict::Match, "{shown}");
            assert_eq!(verify_apache(b"secret", hash), Verdict::Match, "{shown}");
            assert_eq!(verify_nginx(b"secret\0more", hash), Verdict::Match, "{shown}");
            assert_eq!(verify_apache(b"Secret", hash), Verdict::Mismatch, "{shown}");
            assert_eq!(verify_nginx(b"", hash), Verdict::Mismatch, "{shown}");
            assert_eq!(verify_nginx(b"secret", &hash[..hash.len() - 1]), Verdict::Mismatch, "{shown}");
        }
    }

    #[test]
    fn nginx_s_own_schemes() {
        let salted = b"{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
        for (hash, verdict) in [(&b"{PLAIN}secret"[..], Verdict::Match), (salted, Verdict::Match)] {
            assert_eq!(verify_nginx(b"secret", hash), verdict);
            assert_eq!(verify_apache(b"secret", hash), Verdict::Mismatch);
            assert_eq!(verify_nginx(b"other", hash), Verdict::Mismatch);
        }
        assert_eq!(verify_nginx(b"secret", b"{SSHA}abc"), Verdict::Mismatch);
        assert_eq!(verify_nginx(b"secret", b"{PLAIN}"), Verdict::Mismatch);
    }

    #[test]
    fn what_the_library_does_not_know_is_a_wrong_password() {
        for hash in
            ["secret", "", "*", "*0", "!!", "$9$abc", "a", "$1", "$6$", "$2y$05$", "$2y$99$", "{sha}x", "$apr1$"]
        {
            assert_eq!(verify_nginx(b"secret", hash.as_bytes()), Verdict::Mismatch, "{hash}");
            assert_eq!(verify_apache(b"secret", hash.as_bytes()), Verdict::Mismatch, "{hash}");
        }
    }

    #[test]
    fn what_is_not_computed_here_is_a_question() {
        for hash in [
            "_J9..rasmz0.F/jqjWck",
            "$3$$878d8014606cda29677a44efa1353fc7",
            "$sha1$100$salt$3m6GCv84FUXWHsBF/NbPwZSN6JyW",
            "$7$CU..../....abcdefgh$XWs9HxtpA2.6U5CDBBbcW.h3o9pYlC.MIIb8JqMgZx6",
            "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$uE5FcoxTz78xZpMZkpTmj/0MogyeNUSLIjdCxpQjz.8",
            "$y$jzzT$F5Jx5fExrKuPp53xLKQ..1$GmcwIgvdUC9qLWcKCi6gklUa1dM3ziD43YxYNURLKy0",
            "$2y$31$ExnCE1a3RHWpuYvf5y.N.Og4Rd4mLoBLglg3J2wHzFbeAamo4QMIa",
            "$6$rounds=999999999$salt$j55JdF81BDj0Hfwbbpxjl1TOSm23nF1SoPKEQNmFbY634KSLHcyppjFGgKahLknIIlyZ9MEP0Y6fd/LGfyQXw0",
        ] {
            assert_eq!(verify_nginx(b"secret", hash.as_bytes()), Verdict::Unverifiable, "{hash}");
        }
    }

    #[test]
    fn hostile_hashes_do_no_harm() {
        let pieces: [&[u8]; 14] = [
            b"$",
            b"2y",
            b"$y$",
            b"$6$",
            b"rounds=",
            b"99999999999999999999",
            b"\xff\xfe",
            b"$apr1$",
            b"{SSHA}",
            b"==",
            b"j9T",
            b"$5$",
            b"=",
            b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let hash = [first, second, third].concat();
                    assert_ne!(verify_nginx(b"secret", &hash), Verdict::Match, "{}", String::from_utf8_lossy(&hash));
                }
            }
        }
    }
}

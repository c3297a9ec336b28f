//! crypt(3)'s SHA-256 (`$5$`) and SHA-512 (`$6$`) schemes; the rounds are sha-crypt's, the text around them is ours.

use sha_crypt::{Params, sha256_crypt, sha512_crypt};

use super::{Verdict, push_crypt64};

/// Rounds that are computed; a line may ask for 999,999,999.
const MOST_ROUNDS: u32 = 500_000;

/// The password against a line that starts with `$5$` or `$6$`.
pub(super) fn verify(password: &[u8], line: &[u8]) -> Verdict {
    let Some((magic, rest)) = line.split_at_checked(3) else { return Verdict::Mismatch };
    let (rounds, rest) = match rest.strip_prefix(b"rounds=") {
        None => (None, rest),
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse::<u32>().ok());
            // Zero, a leading zero, no number or no `$` after it: crypt(3) fails. So do fewer than 1000 and too many.
            match (number, rest.get(digits), rest.first()) {
                (Some(1000..=999_999_999), Some(b'$'), Some(b'1'..=b'9')) => (number, &rest[digits + 1..]),
                _ => return Verdict::Mismatch,
            }
        }
    };
    let salt = rest.split(|&byte| byte == b'$').next().unwrap_or_default();
    let salt = &salt[..salt.len().min(16)];
    let params = match rounds {
        Some(rounds) if rounds > MOST_ROUNDS => return Verdict::Unverifiable,
        Some(rounds) => Params::new(rounds).unwrap_or(Params::RECOMMENDED),
        None => Params::RECOMMENDED,
    };
    let mut computed = magic.to_vec();
    if let Some(rounds) = rounds {
        computed.extend_from_slice(format!("rounds={rounds}$").as_bytes());
    }
    computed.extend_from_slice(salt);
    computed.push(b'$');
    if magic == b"$5$" {
        encode_256(&mut computed, &sha256_crypt(password, salt, params));
    } else {
        encode_512(&mut computed, &sha512_crypt(password, salt, params));
    }
    Verdict::from(computed == line)
}

fn bits(high: u8, middle: u8, low: u8) -> u32 {
    u32::from(high) << 16 | u32::from(middle) << 8 | u32::from(low)
}

/// The order in which the bytes are written: three columns of ten that rotate from line to line.
fn encode_256(text: &mut Vec<u8>, digest: &[u8; 32]) {
    let (mut a, mut b, mut c) = (0, 10, 20);
    for _ in 0..10 {
        push_crypt64(text, bits(digest[a], digest[b], digest[c]), 4);
        (a, b, c) = (c + 1, a + 1, b + 1);
    }
    push_crypt64(text, bits(0, digest[31], digest[30]), 3);
}

/// The same with three columns of twenty-one, rotating the other way.
fn encode_512(text: &mut Vec<u8>, digest: &[u8; 64]) {
    let (mut a, mut b, mut c) = (0, 21, 42);
    for _ in 0..21 {
        push_crypt64(text, bits(digest[a], digest[b], digest[c]), 4);
        (a, b, c) = (b + 1, c + 1, a + 1);
    }
    push_crypt64(text, digest[63].into(), 2);
}

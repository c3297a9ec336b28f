//! crypt(3)'s MD5 scheme (`$1$`) and APR's variant of it (`$apr1$`): a thousand rounds of MD5 by Poul-Henning Kamp.

use md5::{Digest, Md5};

use super::push_crypt64;

/// The `$1$` line for this password with the salt of `setting`.
pub(super) fn crypt(password: &[u8], setting: &[u8]) -> Vec<u8> {
    hash(password, setting, b"$1$")
}

/// The `$apr1$` line for this password with the salt of `setting`.
pub(super) fn apr1(password: &[u8], setting: &[u8]) -> Vec<u8> {
    hash(password, setting, b"$apr1$")
}

fn hash(password: &[u8], setting: &[u8], magic: &[u8]) -> Vec<u8> {
    let salt = setting.get(magic.len()..).unwrap_or_default();
    let salt = salt.split(|&byte| byte == b'$').next().unwrap_or_default();
    let salt = &salt[..salt.len().min(8)];
    let inner = Md5::digest([password, salt, password].concat());

    let mut digest = Md5::new();
    digest.update(password);
    digest.update(magic);
    digest.update(salt);
    for chunk in password.chunks(16) {
        digest.update(&inner[..chunk.len()]);
    }
    let mut length = password.len();
    while length != 0 {
        // An odd bit adds a NUL, an even one the first character.
        digest.update(if length & 1 == 1 { &b"\0"[..] } else { &password[..1] });
        length >>= 1;
    }
    let mut state = digest.finalize();
    for round in 0..1000 {
        let mut digest = Md5::new();
        let (first, last): (&[u8], &[u8]) = if round % 2 == 1 { (password, &state) } else { (&state, password) };
        digest.update(first);
        if round % 3 != 0 {
            digest.update(salt);
        }
        if round % 7 != 0 {
            digest.update(password);
        }
        digest.update(last);
        state = digest.finalize();
    }

    let mut line = [magic, salt, b"$"].concat();
    for (high, middle, low) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        let bits = u32::from(state[high]) << 16 | u32::from(state[middle]) << 8 | u32::from(state[low]);
        push_crypt64(&mut line, bits, 4);
    }
    push_crypt64(&mut line, state[11].into(), 2);
    line
}

//! FNV-1a, for the names that are looked up once a directive: they are short, and whoever writes the configuration gains
//! nothing from names that collide, for the tables hold only the server's own.

use std::hash::{BuildHasherDefault, Hasher};

/// What a `HashMap` takes.
pub(super) type BuildFnv = BuildHasherDefault<Fnv>;

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

//! Pieces of a configuration's text: a range of a file's bytes, copied only where the server itself makes new text.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::apache::lex;

/// A range of bytes that everybody shares who reads the file they come from.
#[derive(Clone)]
pub struct Piece {
    bytes: Arc<[u8]>,
    start: u32,
    end: u32,
}

impl Piece {
    /// A range of a file; files are at most [`MAX_FILE`](crate::source::MAX_FILE) bytes long, so that an offset fits.
    pub(super) fn of(bytes: &Arc<[u8]>, range: Range<usize>) -> Self {
        let clamp = |offset: usize| u32::try_from(offset.min(bytes.len())).unwrap_or(u32::MAX);
        Piece { bytes: bytes.clone(), start: clamp(range.start), end: clamp(range.end) }
    }

    /// Text that is in no file: continuations joined, variables or parameters replaced.
    pub(super) fn made(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Piece::of(&bytes, 0..bytes.len())
    }

    /// Its last `length` bytes: what is left of a line from which words were taken.
    pub(super) fn rest(&self, length: usize) -> Self {
        self.part(self.len().saturating_sub(length)..self.len())
    }

    /// A range of it, without the white space at both ends.
    pub(super) fn trimmed(&self, range: Range<usize>) -> Self {
        let text = &self[range.clone()];
        let start = range.start + text.iter().position(|&byte| !lex::is_space(byte)).unwrap_or(text.len());
        self.part(start..start + lex::trim(text).len())
    }

    fn part(&self, range: Range<usize>) -> Self {
        let from = self.start as usize;
        Piece::of(&self.bytes, from + range.start..from + range.end)
    }
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_part_is_counted_from_the_part() {
        let line = Piece::of(&Arc::from(*b"x\n Require  ip 10 \n"), 3..18);
        assert_eq!(&*line, b"Require  ip 10 ");
        let rest = line.rest(6);
        assert_eq!(&*rest, b"ip 10 ");
        assert_eq!((&*rest.trimmed(2..6), &*rest.trimmed(2..3)), (&b"10"[..], &b""[..]));
        assert_eq!(&*Piece::made(*b" a ").trimmed(0..3), b"a");
    }
}

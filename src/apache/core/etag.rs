//! `FileETag`: what an entity tag is made of.

use crate::apache::model::Command;

/// `FileETag`: the parts of an entity tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileETag {
    bits: Option<u8>,
    add: u8,
    remove: u8,
}

impl FileETag {
    /// `MTime`.
    pub const MTIME: u8 = 1;
    /// `Size`.
    pub const SIZE: u8 = 2;
    /// `INode`.
    pub const INODE: u8 = 4;
    /// `Digest`.
    pub const DIGEST: u8 = 8;

    /// The parts in force: MTime and Size by default.
    pub fn parts(self) -> u8 {
        self.bits.unwrap_or(((Self::MTIME | Self::SIZE) & !self.remove) | self.add)
    }

    pub(super) fn command(&mut self, cmd: &Command) {
        for word in &cmd.args {
            let (action, name) = match word.split_first() {
                Some((sign @ (b'+' | b'-'), rest)) => (*sign, rest),
                _ => (b' ', *word),
            };
            let bit = match name.to_ascii_lowercase().as_slice() {
                b"none" => 0,
                b"all" => Self::MTIME | Self::SIZE | Self::INODE,
                b"size" => Self::SIZE,
                b"mtime" | b"lmtime" | b"lastmodified" => Self::MTIME,
                b"inode" => Self::INODE,
                b"digest" => Self::DIGEST,
                _ => continue,
            };
            match action {
                b'+' => (self.add, self.remove) = (self.add | bit, self.remove & !bit),
                b'-' => (self.add, self.remove) = (self.add & !bit, self.remove | bit),
                _ => *self = FileETag { bits: Some(self.bits.unwrap_or(0) | bit), add: 0, remove: 0 },
            }
        }
    }

    pub(super) fn merge(base: FileETag, new: FileETag) -> FileETag {
        if new.bits.is_some() {
            return new;
        }
        let add = (base.add & !new.remove) | new.add;
        let remove = (base.remove & !new.add) | new.remove;
        FileETag { bits: base.bits.map(|bits| (bits & !remove) | add), add, remove }
    }
}

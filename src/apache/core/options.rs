//! `Options`: the bits, and the arithmetic of `+`, `-` and absolute lines.

use crate::apache::model::Command;
use crate::source::Origin;

/// `Indexes`.
pub const INDEXES: u32 = 1;
/// `Includes` and `IncludesNOEXEC`.
pub const INCLUDES: u32 = 2;
/// `FollowSymLinks`.
pub const SYM_LINKS: u32 = 4;
/// `ExecCGI`.
pub const EXEC_CGI: u32 = 8;
/// The part of `Includes` that allows `exec`.
pub const INC_WITH_EXEC: u32 = 32;
/// `SymLinksIfOwnerMatch`.
pub const SYM_OWNER: u32 = 64;
/// `MultiViews`.
pub const MULTI: u32 = 128;
/// `All`: neither `MultiViews` nor `SymLinksIfOwnerMatch`.
pub const ALL: u32 = INDEXES | INCLUDES | INC_WITH_EXEC | SYM_LINKS | EXEC_CGI;
/// Every bit: what may be set where nothing restricts `AllowOverride Options`.
pub const EVERY: u32 = ALL | SYM_OWNER | MULTI;

/// The bits of an option's name, in any case; `None` for an unknown name.
pub fn bits(name: &[u8]) -> Option<u32> {
    const NAMES: [(&str, u32); 10] = [
        ("Indexes", INDEXES),
        ("Includes", INCLUDES | INC_WITH_EXEC),
        ("IncludesNOEXEC", INCLUDES),
        ("FollowSymLinks", SYM_LINKS),
        ("SymLinksIfOwnerMatch", SYM_OWNER),
        ("ExecCGI", EXEC_CGI),
        ("MultiViews", MULTI),
        ("RunScripts", MULTI | EXEC_CGI),
        ("None", 0),
        ("All", ALL),
    ];
    NAMES.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name)).map(|(_, bits)| *bits)
}

/// `Options` of one place, or merged: what is set, and for each bit the directive that settled it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Only `+` and `-` so far: the place below shows through.
    pub relative: bool,
    /// The options on.
    pub set: u32,
    add: u32,
    remove: u32,
    settled_by: [Option<Origin>; 8],
}

impl Default for Options {
    fn default() -> Self {
        Options { relative: true, set: 0, add: 0, remove: 0, settled_by: [None; 8] }
    }
}

impl Options {
    /// What holds before any directive: FollowSymLinks.
    pub fn server_default() -> Self {
        Options { set: SYM_LINKS, ..Options::default() }
    }

    /// Whether any of these bits is on.
    pub fn has(&self, bits: u32) -> bool {
        self.set & bits != 0
    }

    /// The directive that settled this one bit, whether it switched it on or off.
    pub fn origin_of(&self, bit: u32) -> Option<Origin> {
        self.settled_by[bit.trailing_zeros().min(7) as usize]
    }

    fn settle(&mut self, bits: u32, origin: Option<Origin>) {
        for (bit, slot) in self.settled_by.iter_mut().enumerate() {
            if bits >> bit & 1 == 1 {
                *slot = origin;
            }
        }
    }

    /// One `Options` directive (set_options). Unknown words were refused by the check and change nothing here.
    pub(super) fn command(&mut self, cmd: &Command) {
        for (index, word) in cmd.args.iter().enumerate() {
            let (action, name) = match word.split_first() {
                Some((sign @ (b'+' | b'-'), rest)) => (*sign, rest),
                _ => (b' ', *word),
            };
            let bits = bits(name).unwrap_or(0);
            if action == b' ' && index == 0 {
                (self.relative, self.set) = (false, 0);
                self.settle(!0, Some(cmd.origin));
            }
            match action {
                b'-' => {
                    self.remove |= bits;
                    self.add &= !bits;
                    self.set &= !bits;
                }
                b'+' => {
                    self.add |= bits;
                    self.remove &= !bits;
                    self.set |= bits;
                }
                _ => self.set |= bits,
            }
            self.settle(bits, Some(cmd.origin));
        }
    }

    /// The options of a place seen through those of a later one.
    pub fn merge(base: &Options, new: &Options) -> Options {
        if !new.relative {
            return new.clone();
        }
        let mut merged = base.clone();
        merged.add = (base.add & !new.remove) | new.add;
        merged.remove = (base.remove & !new.add) | new.remove;
        merged.set = (base.set & !merged.remove) | merged.add;
        for (slot, later) in merged.settled_by.iter_mut().zip(new.settled_by) {
            *slot = later.or(*slot);
        }
        let with_exec = INCLUDES | INC_WITH_EXEC;
        if base.set & with_exec == with_exec && new.set & with_exec == INCLUDES {
            merged.set &= !INC_WITH_EXEC;
        }
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(set: u32) -> Options {
        Options { relative: false, set, ..Options::default() }
    }

    #[test]
    fn a_relative_line_changes_and_an_absolute_one_replaces() {
        let plus = Options { set: INDEXES, add: INDEXES, ..Options::default() };
        assert_eq!(Options::merge(&Options::server_default(), &plus).set, SYM_LINKS | INDEXES);
        let minus = Options { remove: SYM_LINKS, ..Options::default() };
        assert_eq!(Options::merge(&absolute(ALL), &minus).set, ALL & !SYM_LINKS);
        assert_eq!(Options::merge(&absolute(ALL), &absolute(EXEC_CGI)).set, EXEC_CGI);
    }

    #[test]
    fn includes_without_exec_takes_exec_away() {
        let new = Options { set: INCLUDES, add: INCLUDES, ..Options::default() };
        let merged = Options::merge(&absolute(INCLUDES | INC_WITH_EXEC), &new);
        assert_eq!(merged.set, INCLUDES);
    }
}

//! Which modules there are: the ones linked in, the ones `LoadModule` names, the ones `--modules` lists.
//!
//! A module's file is never opened. An identifier in the table counts as loaded; with an unknown one, a directive that
//! no table has may belong to it.

use std::collections::HashSet;

use crate::apache::directives::{self, ModuleOrigin, Row};
use crate::apache::fnv::BuildFnv;

/// The loaded modules, in the order in which the server has them.
#[derive(Clone, Debug)]
pub struct Modules {
    /// In order.
    loaded: Vec<String>,
    /// The same names, to ask for one.
    set: HashSet<String, BuildFnv>,
    /// Which rows of the table of directives are theirs, by index.
    owned: Vec<bool>,
}

/// What `LoadModule` found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// Loaded now.
    New,
    /// It is linked into the server; the server refuses to load it again.
    Builtin,
    /// Loaded before: a warning.
    Again,
}

impl Modules {
    /// The modules linked into Debian's server, and the ones of a list: identifiers with or without `_module`,
    /// separated by commas or blanks; `all`: every module shipped with the server, of the MPMs the one that Debian loads.
    pub fn new(list: Option<&str>) -> Self {
        let origin = |origin| move |row: &&directives::ModuleRow| row.origin == origin;
        let owned = vec![false; directives::rows().len()];
        let mut modules = Modules { loaded: Vec::new(), set: HashSet::default(), owned };
        for builtin in directives::modules().iter().filter(origin(ModuleOrigin::Builtin)) {
            modules.insert(builtin.id);
        }
        for name in list.unwrap_or_default().split([',', ' ']).filter(|name| !name.is_empty()) {
            if name == "all" {
                let shipped = directives::modules().iter().filter(origin(ModuleOrigin::Httpd));
                for row in shipped.filter(|row| !row.id.starts_with("mpm_") || row.id == "mpm_event_module") {
                    modules.add(row.id);
                }
            } else if directives::module(name).is_some() {
                modules.add(name);
            } else {
                modules.add(&format!("{}_module", name.trim_end_matches("_module")));
            }
        }
        modules
    }

    /// Loads one.
    pub fn add(&mut self, id: &str) -> Added {
        if directives::module(id).is_some_and(|row| row.origin == ModuleOrigin::Builtin) {
            return Added::Builtin;
        }
        if self.has(id) {
            return Added::Again;
        }
        self.insert(id);
        Added::New
    }

    fn insert(&mut self, id: &str) {
        self.loaded.push(id.to_owned());
        self.set.insert(id.to_owned());
        for (row, owned) in directives::rows().iter().zip(&mut self.owned) {
            *owned |= row.modules.contains(&id);
        }
    }

    /// Whether the module with this identifier is there: `authz_core_module`.
    pub fn has(&self, id: &str) -> bool {
        self.set.contains(id)
    }

    /// Identifiers: the linked ones, then in the order of `LoadModule`.
    pub fn in_order(&self) -> impl Iterator<Item = &str> {
        self.loaded.iter().map(String::as_str)
    }

    /// The loaded modules that no table has.
    pub fn unknown(&self) -> impl Iterator<Item = &str> {
        self.in_order().filter(|id| directives::module(id).is_none())
    }

    /// Whether any comes from somebody else: it may bring names (providers, filters, handlers) that no table has.
    pub fn others(&self) -> bool {
        self.in_order().any(|id| directives::module(id).is_none_or(|row| row.origin == ModuleOrigin::Other))
    }

    /// Whether `<IfModule NAME>` holds: an identifier, or the name of a source file. Exact case.
    pub fn is_module(&self, name: &[u8]) -> bool {
        self.in_order().any(|id| {
            id.as_bytes() == name
                || match directives::module(id) {
                    Some(row) => row.file.as_bytes() == name,
                    // By convention.
                    None => format!("mod_{}.c", id.trim_end_matches("_module")).as_bytes() == name,
                }
        })
    }

    /// The rows of a directive that loaded modules own.
    pub fn rows(&self, name: &[u8]) -> impl Iterator<Item = &'static Row> + '_ {
        self.own(directives::find(name))
    }

    /// Those rows of a name that loaded modules own.
    pub fn own(&self, known: Option<&'static directives::Known>) -> impl Iterator<Item = &'static Row> + '_ {
        known.into_iter().flat_map(|known| {
            let owned = self.owned.iter().skip(known.first);
            known.rows.iter().zip(owned).filter(|&(_, &owned)| owned).map(|(row, _)| row)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_with_or_without_their_ending() {
        let modules = Modules::new(Some("dir,authz_core_module mpm_event"));
        assert!(modules.has("dir_module") && modules.has("authz_core_module") && modules.has("mpm_event_module"));
        assert!(modules.has("core_module"));
        assert!(!modules.has("rewrite_module"));
    }

    #[test]
    fn if_module_knows_identifiers_and_source_files() {
        let mut modules = Modules::new(None);
        assert_eq!(modules.add("mpm_event_module"), Added::New);
        assert_eq!(modules.add("mpm_event_module"), Added::Again);
        assert_eq!(modules.add("log_config_module"), Added::Builtin);
        assert_eq!(modules.add("foo_module"), Added::New);
        for name in ["core.c", "event.c", "mpm_event_module", "mod_foo.c", "mod_log_config.c"] {
            assert!(modules.is_module(name.as_bytes()), "{name}");
        }
        for name in ["mod_dir", "mod_dir.c", "CORE.C"] {
            assert!(!modules.is_module(name.as_bytes()), "{name}");
        }
        assert_eq!(modules.unknown().collect::<Vec<_>>(), ["foo_module"]);
    }
}

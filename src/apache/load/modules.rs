//! Which modules there are: the ones linked in, the ones `LoadModule` names, the ones `--modules` lists.
//!
//! A module's file is never opened. An identifier in the table counts as loaded; with an unknown one, a directive that
//! no table has may belong to it.

use std::collections::HashSet;

use crate::apache::directives::{self, ModuleOrigin, Row};

/// The loaded modules, in the order in which the server has them.
#[derive(Clone, Debug)]
pub struct Modules {
    /// In order.
    loaded: Vec<String>,
    /// The same names, to ask for one.
    set: HashSet<String>,
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
        let builtin = directives::modules().iter().filter(origin(ModuleOrigin::Builtin));
        let loaded: Vec<String> = builtin.map(|row| row.id.to_owned()).collect();
        let mut modules = Modules { set: loaded.iter().cloned().collect(), loaded };
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
        self.loaded.push(id.to_owned());
        self.set.insert(id.to_owned());
        Added::New
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
        self.own(directives::lookup(name))
    }

    /// Those of some rows that loaded modules own.
    pub fn own(&self, rows: &'static [Row]) -> impl Iterator<Item = &'static Row> + '_ {
        rows.iter().filter(|row| row.modules.iter().any(|id| self.has(id)))
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

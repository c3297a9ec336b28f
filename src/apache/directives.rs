//! The table of directives: who owns each, what it takes, where it may stand and whether it matters.
//!
//! The rows are in `grammars/apache.toml`; `directives/table.rs` is generated from them by this module's test.

mod table;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::fnv::BuildFnv;

/// The AllowOverride class `Limit`.
pub const OR_LIMIT: u32 = 1;
/// The AllowOverride class `Options`.
pub const OR_OPTIONS: u32 = 2;
/// The AllowOverride class `FileInfo`.
pub const OR_FILEINFO: u32 = 4;
/// The AllowOverride class `AuthConfig`.
pub const OR_AUTHCFG: u32 = 8;
/// The AllowOverride class `Indexes`.
pub const OR_INDEXES: u32 = 16;
/// No `AllowOverride` was met: not zero, so `.htaccess` files are read, and nothing is allowed in them.
pub const OR_UNSET: u32 = 32;
/// All five classes.
pub const OR_ALL: u32 = 31;
/// Inside a directory section of the main configuration.
pub const ACCESS_CONF: u32 = 64;
/// Server level and `<VirtualHost>`.
pub const RSRC_CONF: u32 = 128;
/// Runs while the file is read.
pub const EXEC_ON_READ: u32 = 256;
/// `AllowOverride Nonfatal=Override`.
pub const NONFATAL_OVERRIDE: u32 = 512;
/// `AllowOverride Nonfatal=Unknown`.
pub const NONFATAL_UNKNOWN: u32 = 1024;
/// Inside `<Proxy>`.
pub const PROXY_CONF: u32 = 2048;

/// How the arguments are taken (`cmd_how`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Args {
    /// One word.
    Take1,
    /// Two words.
    Take2,
    /// Three words.
    Take3,
    /// One or two words.
    Take12,
    /// One or three words.
    Take13,
    /// Two or three words.
    Take23,
    /// One to three words.
    Take123,
    /// `On` or `Off`; further words are ignored.
    Flag,
    /// One call for each word, at least one.
    Iterate,
    /// The first word with each of the others.
    Iterate2,
    /// Up to 64 words.
    Argv,
    /// The module gets the rest of the line.
    Raw,
}

/// What happens to the setting where several sections apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inherit {
    /// The later section that sets it wins.
    Set,
    /// A later section with any directive of the module replaces all of them: the module has no merge function.
    Record,
    /// Lists add up.
    Append,
    /// A later list replaces an earlier one.
    Replace,
    /// Never inherited.
    Never,
}

/// Whether it can change the status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Simulated.
    Modelled,
    /// Cannot change the status.
    Inert,
    /// May change it, and is not simulated.
    Opaque,
}

/// One directive of one or several modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name as the server spells it in messages, with the `<` of a section.
    pub name: &'static str,
    /// Identifiers of the modules that own it.
    pub modules: &'static [&'static str],
    /// How its arguments are taken.
    pub args: Args,
    /// Where it may stand: `OR_*`, `ACCESS_CONF`, `RSRC_CONF`, `PROXY_CONF`; and `EXEC_ON_READ`.
    pub mask: u32,
    /// How sections merge it.
    pub inherit: Inherit,
    /// Whether it matters.
    pub effect: Effect,
}

/// Where a module comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleOrigin {
    /// Linked into Debian's binary.
    Builtin,
    /// Shipped with the server.
    Httpd,
    /// Somebody else's.
    Other,
}

/// A module that this program knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleRow {
    /// What `LoadModule` calls it: `dir_module`.
    pub id: &'static str,
    /// Its source file, the other name that `<IfModule>` knows: `mod_dir.c`.
    pub file: &'static str,
    /// Where it comes from.
    pub origin: ModuleOrigin,
}

impl Row {
    /// Whether it starts a section.
    pub fn is_section(&self) -> bool {
        self.name.starts_with('<')
    }

    /// Whether it runs while the file is read.
    pub fn runs_while_reading(&self) -> bool {
        self.mask & EXEC_ON_READ != 0
    }

    /// The places and AllowOverride classes that admit it, for a reader: `server config, .htaccess with AllowOverride FileInfo`.
    pub fn places(&self) -> String {
        let mut places = Vec::new();
        // The AllowOverride classes Options, FileInfo and Indexes are admitted at server level too.
        if self.mask & (RSRC_CONF | OR_OPTIONS | OR_FILEINFO | OR_INDEXES) != 0 {
            places.push("server config".to_owned());
        }
        if self.mask & (ACCESS_CONF | OR_ALL) != 0 {
            places.push("directory sections".to_owned());
        }
        if self.mask & PROXY_CONF != 0 {
            places.push("<Proxy>".to_owned());
        }
        let classes = override_classes(self.mask);
        if !classes.is_empty() {
            places.push(format!(".htaccess with AllowOverride {}", classes.join(" or ")));
        }
        places.join(", ")
    }
}

/// The names of the AllowOverride classes in a mask.
pub fn override_classes(mask: u32) -> Vec<&'static str> {
    let classes = [
        (OR_AUTHCFG, "AuthConfig"),
        (OR_FILEINFO, "FileInfo"),
        (OR_INDEXES, "Indexes"),
        (OR_LIMIT, "Limit"),
        (OR_OPTIONS, "Options"),
    ];
    if mask & OR_ALL == OR_ALL {
        return vec!["All"];
    }
    classes.iter().filter(|(bit, _)| mask & bit != 0).map(|(_, name)| *name).collect()
}

/// A name that some row has.
#[derive(Debug)]
pub struct Known {
    /// In lower case; of a section with its `<`.
    pub lower: String,
    /// The rows of that name.
    pub rows: &'static [Row],
    /// The index of the first of them among all [`rows`].
    pub first: usize,
}

/// Longer than every name.
const LONGEST: usize = 64;

/// A name, whatever its case; the name of a section starts with `<`. `None`: nobody has such a directive.
pub fn find(name: &[u8]) -> Option<&'static Known> {
    static BY_NAME: LazyLock<HashMap<Vec<u8>, Known, BuildFnv>> = LazyLock::new(|| {
        let mut first = 0;
        let same = |left: &Row, right: &Row| left.name.eq_ignore_ascii_case(right.name);
        let known = table::ROWS.chunk_by(same).map(|rows| {
            first += rows.len();
            Known { lower: rows[0].name.to_ascii_lowercase(), rows, first: first - rows.len() }
        });
        known.map(|known| (known.lower.clone().into_bytes(), known)).collect()
    });
    let mut lower = [0; LONGEST];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    BY_NAME.get(&*lower)
}

/// The rows of a name, whatever its case; the name of a section starts with `<`. Empty: nobody has such a directive.
pub fn lookup(name: &[u8]) -> &'static [Row] {
    find(name).map_or(&[], |known| known.rows)
}

/// Every row, sorted by lower-case name.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// Every known module.
pub fn modules() -> &'static [ModuleRow] {
    table::MODULES
}

/// The module with this identifier.
pub fn module(id: &str) -> Option<&'static ModuleRow> {
    table::MODULES.iter().find(|module| module.id == id)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::path::Path;

    use super::*;

    fn text<'a>(row: &'a toml::Value, key: &str) -> &'a str {
        row.get(key).and_then(toml::Value::as_str).unwrap_or_else(|| panic!("no {key} in {row:?}"))
    }

    fn variant(word: &str) -> String {
        word[..1].to_uppercase() + &word[1..]
    }

    fn mask(places: &str) -> u32 {
        places.split(' ').fold(0, |mask, place| {
            mask | match place {
                "server" => RSRC_CONF,
                "directory" => ACCESS_CONF,
                "Limit" => OR_LIMIT,
                "Options" => OR_OPTIONS,
                "FileInfo" => OR_FILEINFO,
                "AuthConfig" => OR_AUTHCFG,
                "Indexes" => OR_INDEXES,
                "All" => OR_ALL,
                "proxy" => PROXY_CONF,
                "on-read" => EXEC_ON_READ,
                other => panic!("no place {other:?}"),
            }
        })
    }

    fn generate(grammar: &str) -> String {
        let grammar: toml::Value = toml::from_str(grammar).expect("grammars/apache.toml is TOML");
        let list = |key: &str| grammar.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let mut source = String::from(
            "//! Generated from grammars/apache.toml by `UPDATE=1 cargo test --lib apache::directives`.\n\n\
             use super::Args::*;\nuse super::Effect::*;\nuse super::Inherit::*;\nuse super::ModuleOrigin::*;\nuse super::{ModuleRow, Row};\n\n\
             #[rustfmt::skip]\npub(super) const MODULES: &[ModuleRow] = &[\n",
        );
        let mut ids = Vec::new();
        for module in list("modules") {
            let (id, file, origin) = (text(&module, "id"), text(&module, "file"), variant(text(&module, "origin")));
            ids.push(id.to_owned());
            writeln!(source, "    ModuleRow {{ id: {id:?}, file: {file:?}, origin: {origin} }},").expect("a String");
        }
        source.push_str("];\n\n#[rustfmt::skip]\npub(super) const ROWS: &[Row] = &[\n");
        let mut rows = list("directives");
        rows.sort_by_key(|row| text(row, "name").to_ascii_lowercase());
        for row in &rows {
            let owners: Vec<String> = row["modules"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(toml::Value::as_str)
                .map(|id| ids.iter().find(|known| *known == id || **known == format!("{id}_module")).cloned())
                .map(|id| id.unwrap_or_else(|| panic!("{row:?}: a module without a row")))
                .collect();
            writeln!(
                source,
                "    Row {{ name: {:?}, modules: &{owners:?}, args: {}, mask: {}, inherit: {}, effect: {} }},",
                text(row, "name"),
                variant(text(row, "args")),
                mask(text(row, "where")),
                variant(text(row, "inherit")),
                variant(text(row, "effect")),
            )
            .expect("a String");
        }
        source.push_str("];\n");
        source
    }

    #[test]
    fn the_table_is_generated_from_the_grammar() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let grammar = std::fs::read_to_string(root.join("grammars/apache.toml")).expect("grammars/apache.toml");
        let table = root.join("src/apache/directives/table.rs");
        let generated = generate(&grammar);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&table, &generated).expect("the table can be written");
        }
        let committed = std::fs::read_to_string(&table).unwrap_or_default();
        assert!(committed == generated, "run UPDATE=1 cargo test --lib apache::directives");
    }

    #[test]
    fn lookup_ignores_case_and_keeps_sections_apart() {
        assert_eq!(lookup(b"DIRECTORYINDEX")[0].name, "DirectoryIndex");
        assert_eq!(lookup(b"<directory")[0].name, "<Directory");
        assert!(lookup(b"directory").is_empty());
        assert_eq!(lookup(b"scriptlog")[0].modules, ["cgi_module", "cgid_module"]);
    }

    #[test]
    fn every_row_can_be_found() {
        for row in rows() {
            assert!(lookup(row.name.as_bytes()).contains(row), "{}", row.name);
        }
    }
}

//! Every directive that nginx's modules define, from grammars/nginx.toml.
//!
//! The rows in `directives/table.rs` are generated from that file and committed; the test below generates them again and
//! fails where they differ (`UPDATE=1 cargo test --lib nginx::directives` writes them).

mod table;

use std::hash::Hasher;

/// What kind of module a directive belongs to: nginx looks only among the modules of the block it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `include`: in every block.
    Any,
    /// Main level.
    Core,
    /// Inside `events`.
    Event,
    /// Inside `http`.
    Http,
    /// Inside `mail`.
    Mail,
    /// Inside `stream`.
    Stream,
}

/// A kind of block, or a set of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Contexts(pub u16);

impl Contexts {
    /// File level of the main file.
    pub const MAIN: Contexts = Contexts(1);
    /// `events`.
    pub const EVENTS: Contexts = Contexts(1 << 1);
    /// `http`.
    pub const HTTP: Contexts = Contexts(1 << 2);
    /// `server` in `http`.
    pub const SERVER: Contexts = Contexts(1 << 3);
    /// `location`.
    pub const LOCATION: Contexts = Contexts(1 << 4);
    /// `if` in a server.
    pub const SERVER_IF: Contexts = Contexts(1 << 5);
    /// `if` in a location.
    pub const LOCATION_IF: Contexts = Contexts(1 << 6);
    /// `limit_except`.
    pub const LIMIT_EXCEPT: Contexts = Contexts(1 << 7);
    /// `upstream` in `http`.
    pub const UPSTREAM: Contexts = Contexts(1 << 8);
    /// `stream`.
    pub const STREAM: Contexts = Contexts(1 << 9);
    /// `server` in `stream`.
    pub const STREAM_SERVER: Contexts = Contexts(1 << 10);
    /// `upstream` in `stream`.
    pub const STREAM_UPSTREAM: Contexts = Contexts(1 << 11);
    /// `mail`.
    pub const MAIL: Contexts = Contexts(1 << 12);
    /// `server` in `mail`.
    pub const MAIL_SERVER: Contexts = Contexts(1 << 13);
    /// Every block.
    pub const ANY: Contexts = Contexts(u16::MAX);

    /// Names as in grammars/nginx.toml, in the order of the bits.
    const NAMES: [&str; 14] = [
        "main",
        "events",
        "http",
        "server",
        "location",
        "if-in-server",
        "if-in-location",
        "limit_except",
        "upstream",
        "stream",
        "stream-server",
        "stream-upstream",
        "mail",
        "mail-server",
    ];

    /// Whether the sets have a block in common.
    pub fn overlaps(self, other: Contexts) -> bool {
        self.0 & other.0 != 0
    }

    /// The names of the blocks.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}

/// How many arguments are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arity {
    /// One of these counts: bit n for n arguments.
    Counts(u16),
    /// At least so many.
    AtLeast(usize),
    /// Any number.
    Any,
}

impl Arity {
    /// Whether `count` arguments are accepted.
    pub fn accepts(self, count: usize) -> bool {
        match self {
            Arity::Counts(bits) => count < 8 && bits & (1 << count) != 0,
            Arity::AtLeast(least) => count >= least,
            Arity::Any => true,
        }
    }
}

/// How the arguments are read: nginx's common setters, or a function of the directive's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setter {
    /// `on` or `off`.
    Flag,
    /// Bytes with `k`, `m`.
    Size,
    /// Bytes with `k`, `m`, `g`.
    Offset,
    /// Decimal digits, within bounds where the row has them.
    Number {
        /// Least and greatest accepted.
        bounds: Option<(u32, u32)>,
    },
    /// A time that may have `ms`.
    Milliseconds,
    /// A time in whole seconds.
    Seconds,
    /// Any text, once.
    String,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// Some of these words.
    Bitmask(&'static [&'static str]),
    /// A count and a size.
    Buffers,
    /// Any texts, accumulating.
    List,
    /// Two texts, accumulating.
    Pairs,
    /// A text with variables, once.
    Complex,
    /// A size that may be a variable.
    ComplexSize,
    /// MIME types.
    Types,
    /// A directory with up to three levels.
    Path,
    /// `user:rw group:r`.
    Access,
    /// Texts with variables, accumulating.
    Predicate,
    /// An address to bind to.
    Bind,
    /// Read and forgotten.
    Obsolete,
    /// A function of its own.
    Own,
}

/// What a block does with its parent's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Inherit {
    /// Its own value, else the parent's.
    Value,
    /// Its own list replaces the parent's whole list.
    Replace,
    /// Not inherited.
    None,
    /// Only into `if` and `limit_except` of the same location.
    Handler,
}

/// What is done about a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The evaluator knows it.
    Modelled,
    /// Cannot change the status of an answer, nor who gives it.
    Inert,
    /// May change it, and is not simulated.
    Opaque,
}

/// One directive of one module, in some versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name, exactly as written.
    pub name: &'static str,
    /// The module.
    pub module: &'static str,
    /// The module's kind.
    pub kind: Kind,
    /// The blocks it may stand in.
    pub contexts: Contexts,
    /// How many arguments it takes.
    pub arity: Arity,
    /// Whether it opens a block.
    pub block: bool,
    /// In 1.22.1, in 1.31.3.
    pub versions: (bool, bool),
    /// How its arguments are read.
    pub setter: Setter,
    /// What nested blocks inherit.
    pub inherit: Inherit,
    /// Whether it can change an answer.
    pub effect: Effect,
}

/// The modules of a recorded build.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// `debian-nginx-full-1.22.1`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Its modules, sorted.
    pub modules: &'static [&'static str],
}

/// The builds that were recorded.
pub fn profiles() -> &'static [Profile] {
    table::PROFILES
}

/// Every row.
pub fn all() -> &'static [Row] {
    table::ROWS
}

/// The rows of a name, of any module and version; none where no table has it.
pub fn rows(name: &[u8]) -> &'static [Row] {
    let start = table::ROWS.partition_point(|row| row.name.as_bytes() < name);
    let length = table::ROWS[start..].iter().take_while(|row| row.name.as_bytes() == name).count();
    &table::ROWS[start..start + length]
}

/// The row of a directive inside `http` (any module, newest version first); `None` where no table has it.
pub fn http(name: &[u8]) -> Option<&'static Row> {
    let found = rows(name).iter().filter(|row| matches!(row.kind, Kind::Http | Kind::Any | Kind::Core));
    found.max_by_key(|row| (row.kind == Kind::Http, row.contexts != Contexts::UPSTREAM, row.versions.1))
}

/// What is done about a directive inside `http`; one that is in no table may do anything.
pub fn effect(name: &[u8]) -> Effect {
    http(name).map_or(Effect::Opaque, |row| row.effect)
}

/// Hashes names of directives, which are short and in the tables: nobody can choose them so that they collide.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_u64(&mut self, number: u64) {
        // An odd constant with bits all over; the product's high bits depend on all of the number's.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fmt::Write;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Grammar {
        profile: Vec<TomlProfile>,
        directive: Vec<TomlRow>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct TomlProfile {
        name: String,
        version: String,
        modules: Vec<String>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct TomlRow {
        name: String,
        module: String,
        kind: String,
        contexts: Vec<String>,
        args: toml::Value,
        #[serde(default)]
        block: bool,
        versions: Option<Vec<String>>,
        #[serde(flatten)]
        value: TomlSetter,
        was: Option<TomlWas>,
        inherit: String,
        effect: String,
    }

    #[derive(Deserialize, Clone)]
    struct TomlSetter {
        setter: Option<String>,
        values: Option<Vec<String>>,
        min: Option<u32>,
        max: Option<u32>,
    }

    #[derive(Deserialize)]
    struct TomlWas {
        args: Option<toml::Value>,
        #[serde(flatten)]
        value: TomlSetter,
    }

    const VERSIONS: [&str; 2] = ["1.22.1", "1.31.3"];

    fn arity(args: &toml::Value) -> String {
        match args.as_array() {
            Some(counts) => {
                let bits =
                    counts.iter().filter_map(toml::Value::as_integer).fold(0u16, |bits, count| bits | 1 << count);
                format!("Arity::Counts({bits:#b})")
            }
            None => match args.as_str() {
                Some("flag") => "Arity::Counts(0b10)".to_owned(),
                Some("at-least-1") => "Arity::AtLeast(1)".to_owned(),
                Some("at-least-2") => "Arity::AtLeast(2)".to_owned(),
                Some("any") => "Arity::Any".to_owned(),
                other => panic!("args = {other:?}"),
            },
        }
    }

    fn setter(value: &TomlSetter) -> String {
        let words = || format!("&{:?}", value.values.as_deref().unwrap_or_default());
        let simple = |name: &str| format!("Setter::{name}");
        match value.setter.as_deref() {
            Some("number") => format!("Setter::Number {{ bounds: {:?} }}", value.min.zip(value.max)),
            Some("enum") => format!("Setter::Enum({})", words()),
            Some("bitmask") => format!("Setter::Bitmask({})", words()),
            Some("complex-size") => simple("ComplexSize"),
            Some(
                name @ ("flag" | "size" | "offset" | "milliseconds" | "seconds" | "string" | "buffers" | "list"
                | "pairs" | "complex" | "types" | "path" | "access" | "predicate" | "bind" | "obsolete" | "own"),
            ) => simple(&capital(name)),
            other => panic!("setter = {other:?}"),
        }
    }

    fn capital(word: &str) -> String {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    }

    fn generate(grammar: &Grammar) -> String {
        let mut out = String::from(
            "//! Generated from grammars/nginx.toml by the test in directives.rs: change that file, then\n//! `UPDATE=1 cargo test --lib nginx::directives`.\n\nuse super::{Arity, Contexts, Effect, Inherit, Kind, Profile, Row, Setter};\n\n#[rustfmt::skip]\npub(super) static PROFILES: &[Profile] = &[\n",
        );
        for profile in &grammar.profile {
            let TomlProfile { name, version, modules } = profile;
            writeln!(out, "    Profile {{ name: {name:?}, version: {version:?}, modules: &{modules:?} }},")
                .expect("a string");
        }
        out.push_str("];\n\n#[rustfmt::skip]\npub(super) static ROWS: &[Row] = &[\n");
        for row in &grammar.directive {
            let contexts = row.contexts.iter().fold(0u16, |bits, context| {
                match Contexts::NAMES.iter().position(|name| name == context) {
                    Some(bit) => bits | 1 << bit,
                    None if context == "any" => u16::MAX,
                    None => panic!("context {context}"),
                }
            });
            let has = |version: &str| {
                row.versions.as_ref().is_none_or(|versions| versions.iter().any(|known| known == version))
            };
            let mut variants = vec![(VERSIONS.map(has), &row.args, row.value.clone())];
            if let Some(was) = &row.was {
                let old = &was.value;
                let value = TomlSetter {
                    setter: old.setter.clone().or_else(|| row.value.setter.clone()),
                    values: old.values.clone().or_else(|| row.value.values.clone()),
                    min: old.min.or(row.value.min),
                    max: old.max.or(row.value.max),
                };
                variants = vec![
                    ([true, false], was.args.as_ref().unwrap_or(&row.args), value),
                    ([false, true], &row.args, row.value.clone()),
                ];
            }
            for ([old, new], args, value) in variants {
                let TomlRow { name, module, block, .. } = row;
                let (kind, inherit, effect) = (capital(&row.kind), capital(&row.inherit), capital(&row.effect));
                let (arity, setter) = (arity(args), setter(&value));
                writeln!(
                    out,
                    "    Row {{ name: {name:?}, module: {module:?}, kind: Kind::{kind}, contexts: Contexts({contexts:#x}), arity: {arity}, block: {block}, versions: ({old}, {new}), setter: {setter}, inherit: Inherit::{inherit}, effect: Effect::{effect} }},"
                )
                .expect("a string");
            }
        }
        out.push_str("];\n");
        out
    }

    #[test]
    fn the_table_is_what_the_grammar_says() {
        let grammar: Grammar = toml::from_str(include_str!("../../grammars/nginx.toml")).expect("grammars/nginx.toml");
        let names: Vec<&str> = grammar.directive.iter().map(|row| row.name.as_str()).collect();
        assert!(names.is_sorted(), "grammars/nginx.toml is sorted by name");
        let generated = generate(&grammar);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/nginx/directives/table.rs");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, &generated).expect("table.rs");
        }
        let committed = std::fs::read_to_string(path).expect("table.rs");
        assert!(
            committed == generated,
            "table.rs is not what grammars/nginx.toml says: UPDATE=1 cargo test --lib nginx::directives"
        );
    }

    #[test]
    fn rows_are_found_by_their_exact_name() {
        assert_eq!(rows(b"deny").iter().filter(|row| row.kind == Kind::Http).count(), 1);
        assert!(rows(b"Deny").is_empty() && rows(b"").is_empty() && rows(b"zzz").is_empty());
        assert_eq!(effect(b"deny"), Effect::Modelled);
        assert_eq!(effect(b"access_by_lua_block"), Effect::Opaque);
        assert_eq!(effect(b"no_such_directive"), Effect::Opaque);
        assert!(rows(b"satisfy")[0].arity.accepts(1) && !rows(b"satisfy")[0].arity.accepts(2));
    }
}

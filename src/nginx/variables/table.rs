//! Every variable that a configuration names, and what defines it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::tables::geo::Geo;
use super::super::tables::geoip2::Lookup;
use super::super::tables::map::Map;
use super::super::tables::split_clients::SplitClients;
use super::super::version::Version;
use super::builtin;
use crate::pattern::{Options, Pattern, PatternError};
use crate::source::{AppendOnly, Origin};

/// A variable of a [`Table`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VariableId(u32);

/// Every variable that a configuration names, and what defines it.
///
/// What defines a name is known once the configuration was read. Names may be added later, through a shared reference:
/// the records of a server are made when somebody asks for them.
#[derive(Debug)]
pub struct Table {
    version: Version,
    variables: AppendOnly<Variable>,
    ids: Mutex<HashMap<Box<[u8]>, VariableId>>,
    /// Expressions that were met, by source and case: servers repeat each other's, and each is compiled once.
    patterns: Mutex<Patterns>,
    pub(super) geoip_database: bool,
    geoip_header: bool,
    charset_maps: Vec<[Box<[u8]>; 2]>,
}

/// Expressions by their source, and whether they ignore case.
type Patterns = HashMap<(Box<[u8]>, bool), Arc<Pattern>>;

/// A variable, by whatever it is worked out.
#[derive(Debug)]
pub(super) struct Variable {
    /// Its name, in lower case and without `$`.
    pub(super) name: Box<[u8]>,
    /// What works it out.
    pub(super) definition: Definition,
    /// The directive that says so.
    pub(super) origin: Option<Origin>,
}

impl VariableId {
    /// Its place among the variables of the table.
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a variable is worked out by.
#[derive(Debug)]
pub enum Definition {
    /// Nothing: nginx refuses the configuration.
    Undefined,
    /// Built into nginx.
    Builtin(&'static builtin::Row),
    /// Built in by its prefix; the rest of the name says which one of them.
    Prefixed(&'static builtin::PrefixRow),
    /// `set`: empty until it runs.
    Set,
    /// A named group of some regular expression: not found until that has matched.
    Capture,
    /// `map`.
    Map(Box<Map>),
    /// `geo`.
    Geo(Box<Geo>),
    /// `split_clients`.
    SplitClients(Box<SplitClients>),
    /// `geoip2`.
    Database(Box<Lookup>),
    /// A directive that is not simulated.
    Opaque,
}

impl Table {
    /// A table that knows what is built into this version.
    pub fn new(version: Version) -> Self {
        Table {
            version,
            variables: AppendOnly::default(),
            ids: Mutex::default(),
            patterns: Mutex::default(),
            geoip_database: false,
            geoip_header: false,
            charset_maps: Vec::new(),
        }
    }

    /// The expression with this source, shared by all who have the same.
    ///
    /// # Errors
    /// PCRE's words about one that it refuses.
    pub(super) fn pattern(&self, source: &[u8], caseless: bool) -> Result<Arc<Pattern>, PatternError> {
        let key = (source.into(), caseless);
        let mut patterns = locked(&self.patterns);
        if let Some(pattern) = patterns.get(&key) {
            return Ok(pattern.clone());
        }
        let pattern = Arc::new(Pattern::new(source, Options::nginx(caseless))?);
        patterns.insert(key, pattern.clone());
        Ok(pattern)
    }

    /// The variable of this name, without `$` and in any case (`ngx_http_get_variable_index`).
    pub fn id(&self, name: &[u8]) -> VariableId {
        let name = name.to_ascii_lowercase();
        let mut ids = locked(&self.ids);
        if let Some(&id) = ids.get(&*name) {
            return id;
        }
        let definition = builtin::find(&name, self.version);
        let id = VariableId(self.variables.push(Variable { name: name.clone().into(), definition, origin: None }));
        ids.insert(name.into(), id);
        id
    }

    /// Says what a variable is worked out by. The last one to say so wins, but `set` gives way to everything else, since
    /// it only makes the name known (`NGX_HTTP_VAR_WEAK`).
    pub fn define(&mut self, name: &[u8], definition: Definition, origin: Option<Origin>) -> VariableId {
        let id = self.id(name);
        let Some(variable) = self.variables.get_mut(id.0) else { return id };
        if !matches!(definition, Definition::Set) || matches!(variable.definition, Definition::Undefined) {
            variable.definition = definition;
            variable.origin = origin;
        }
        id
    }

    pub(super) fn variable(&self, id: VariableId) -> &Variable {
        self.variables.get(id.0)
    }

    /// The name, in lower case and without `$`.
    pub fn name(&self, id: VariableId) -> &[u8] {
        &self.variable(id).name
    }

    /// What works it out.
    pub fn definition(&self, id: VariableId) -> &Definition {
        &self.variable(id).definition
    }

    /// The directive that defines it; none for a built-in one.
    pub fn origin(&self, id: VariableId) -> Option<Origin> {
        self.variable(id).origin
    }

    /// A `geoip_country`, `geoip_city` or `geoip_org` is there: `$geoip_…` come out of a database of the old format.
    pub(in crate::nginx) fn has_geoip_database(&mut self) {
        self.geoip_database = true;
    }

    /// A `charset_map` between two charsets is there, whose names are compared without case.
    pub(in crate::nginx) fn add_charset_map(&mut self, one: &[u8], other: &[u8]) {
        self.charset_maps.push([one.to_ascii_lowercase().into(), other.to_ascii_lowercase().into()]);
    }

    /// Whether a `charset_map` leads from one of two different charsets to the other.
    pub(in crate::nginx) fn recodes(&self, from: &[u8], to: &[u8]) -> bool {
        let is = |name: &[u8], known: &[u8]| name.eq_ignore_ascii_case(known);
        let leads = |[one, other]: &[Box<[u8]>; 2]| is(from, one) && is(to, other) || is(from, other) && is(to, one);
        !from.eq_ignore_ascii_case(to) && self.charset_maps.iter().any(leads)
    }

    /// `geoip2_proxy` is there: a header may say which address is looked up.
    pub(in crate::nginx) fn geoip_follows_header(&mut self) {
        self.geoip_header = true;
    }

    /// Whether a header may say which address `geoip2` looks up.
    pub(in crate::nginx) fn geoip_by_header(&self) -> bool {
        self.geoip_header
    }

    /// The names that nothing defines, in the order in which they were met.
    pub fn undefined(&self) -> impl Iterator<Item = &[u8]> {
        let undefined = |variable: &&Variable| matches!(variable.definition, Definition::Undefined);
        let all = (0..self.variables.len()).map(|at| self.variables.get(at));
        all.filter(undefined).map(|variable| &*variable.name)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a name, without `$` and in lower case, is built into a version of nginx.
pub fn is_builtin(name: &[u8], version: Version) -> bool {
    !matches!(builtin::find(name, version), Definition::Undefined)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_gives_way_to_every_other_definition() {
        let mut table = Table::new(Version::NEWEST);
        table.define(b"Http_X", Definition::Set, None);
        assert!(matches!(table.definition(table.id(b"http_x")), Definition::Prefixed(_)));
        let id = table.define(b"x", Definition::Set, None);
        table.define(b"X", Definition::Capture, None);
        table.define(b"x", Definition::Set, None);
        assert!(matches!(table.definition(id), Definition::Capture));
        table.id(b"nowhere");
        assert_eq!(table.undefined().collect::<Vec<_>>(), [b"nowhere"]);
    }
}

//! The directives that define variables, and the tables behind some built-in ones.

use super::include::{Loaded, Placed};
use super::variables::{Definition, Table};
use crate::source::Origin;

pub mod browser;
pub mod geo;
pub mod geoip2;
pub mod hostnames;
pub mod map;
pub mod referer;
pub mod secure_link;
pub mod split_clients;

/// How many different values a table may have for the question "which one?" to be answered one by one.
const MOST_ALTERNATIVES: usize = 8;

/// A line inside the block of a table.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// Its words.
    pub words: Vec<&'a [u8]>,
    /// Its place.
    pub origin: Origin,
}

/// Defines the variables of a directive of the `http` level, or of any other level where a module that is not simulated
/// sets one. Directives that define no variable are passed over.
pub fn define(placed: Placed<'_>, loaded: &Loaded, table: &mut Table) {
    let words: Vec<&[u8]> = placed.args().map(|word| word.value(&loaded.sources)).collect();
    let entries = || entries(placed, loaded);
    let origin = placed.origin();
    match (placed.name().value(&loaded.sources), &*words) {
        (b"map", &[source, name]) => map::define(source, name, &entries(), origin, table),
        (b"geo", &[name]) => geo::define(None, name, &entries(), origin, table),
        (b"geo", &[address, name]) => geo::define(Some(address), name, &entries(), origin, table),
        (b"split_clients", &[key, name]) => split_clients::define(key, name, &entries(), origin, table),
        (b"geoip2", &[database]) => geoip2::define(database, &entries(), table),
        (b"charset_map", &[one, other]) => table.add_charset_map(one, other),
        (b"geoip2_proxy", _) => table.geoip_follows_header(),
        (b"geoip_country" | b"geoip_city" | b"geoip_org", _) => table.has_geoip_database(),
        (
            b"perl_set" | b"js_set" | b"js_var" | b"set_by_lua_block" | b"set_by_lua_file" | b"set_by_lua",
            &[name, ..],
        ) => {
            opaque(name, origin, table);
        }
        (b"auth_request_set", &[name, _]) => {
            if let Some(name) = name.strip_prefix(b"$") {
                table.define(name, Definition::Set, Some(origin));
            }
        }
        (b"auth_jwt_claim_set" | b"auth_jwt_header_set", &[name, ..]) => opaque(name, origin, table),
        // set-misc, encrypted-session, form-input, array-var and their kind: `set_…  $variable …`.
        (directive, &[name, ..]) if directive.starts_with(b"set_") && directive != b"set_real_ip_from" => {
            opaque(name, origin, table);
        }
        _ => {}
    }
}

/// The lines inside the block of a table.
pub(super) fn entries<'a>(block: Placed<'a>, loaded: &'a Loaded) -> Vec<Entry<'a>> {
    let lines = loaded.children(block);
    lines
        .map(|line| {
            let words = std::iter::once(line.directive.name()).chain(line.directive.args());
            Entry { words: words.map(|word| word.value(&loaded.sources)).collect(), origin: line.origin() }
        })
        .collect()
}

fn opaque(name: &[u8], origin: Origin, table: &mut Table) {
    if let Some(name) = name.strip_prefix(b"$") {
        table.define(name, Definition::Opaque, Some(origin));
    }
}

//! What must be known of every server before one of them is asked: who listens where under which names, and the variables
//! and back ends that one server defines and all can name. Everything else waits until somebody asks
//! ([`model::Server`](super::model::Server)).

use super::include::{Loaded, Placed};
use super::listen::{Listen, ServerName};
use super::merge::split_location;
use super::model::Upstream;
use super::script::condition;
use super::settings::pass_kind;
use super::tables;
use super::upstream::Target;
use super::variables::{Regex, Table};
use super::version::Version;
use crate::source::Setting;

/// Most sockets of one configuration: far more than a machine has ports for.
const MOST_SOCKETS: usize = 1 << 20;

/// See the module.
pub(super) struct Survey<'l> {
    loaded: &'l Loaded,
    /// Every definition of a variable.
    pub table: Table,
    /// Every server, in order.
    pub servers: Vec<Listed<'l>>,
    /// What literal `*_pass` addresses make.
    pub groups: Vec<Upstream>,
    /// How many more sockets are read: port ranges multiply.
    sockets_left: usize,
}

/// A server by its sockets and names.
pub(super) struct Listed<'l> {
    pub block: Placed<'l>,
    pub names: Vec<Setting<ServerName>>,
    pub listens: Vec<Listen>,
}

impl<'l> Survey<'l> {
    /// Looks through an `http` block.
    pub(super) fn of(block: Placed<'l>, loaded: &'l Loaded, version: Version) -> Self {
        let (table, servers, groups) = (Table::new(version), Vec::new(), Vec::new());
        let mut survey = Survey { loaded, table, servers, groups, sockets_left: MOST_SOCKETS };
        survey.http(block);
        survey
    }

    fn values(&self, placed: &Placed<'l>) -> Vec<&'l [u8]> {
        placed.args().map(|word| word.value(&self.loaded.sources)).collect()
    }

    fn http(&mut self, block: Placed<'l>) {
        for placed in self.loaded.children(block) {
            if placed.name().value(&self.loaded.sources) == b"server" {
                let listed = self.server(placed);
                self.servers.push(listed);
                self.block(placed);
            } else {
                self.directive(placed);
            }
        }
    }

    fn server(&mut self, block: Placed<'l>) -> Listed<'l> {
        let (mut names, mut listens) = (Vec::new(), Vec::new());
        for placed in self.loaded.children(block) {
            match placed.name().value(&self.loaded.sources) {
                b"server_name" => {
                    for name in self.values(&placed) {
                        names.extend(self.server_name(name).map(|name| Setting::new(name, placed.origin())));
                    }
                }
                b"listen" => {
                    let read = Listen::parse(&self.values(&placed), placed.origin()).unwrap_or_default();
                    let read = read.into_iter().take(self.sockets_left);
                    let before = listens.len();
                    listens.extend(read);
                    self.sockets_left -= listens.len() - before;
                }
                _ => {}
            }
        }
        if listens.is_empty() {
            listens.push(Listen::default_socket());
        }
        Listed { block, names, listens }
    }

    /// A name of a server; a regular expression that PCRE refuses is none.
    fn server_name(&mut self, name: &[u8]) -> Option<ServerName> {
        let Some(source) = name.strip_prefix(b"~") else {
            return Some(ServerName::Text(name.to_ascii_lowercase().into()));
        };
        // Names are compared in lower case, so an expression with a capital letter is made to ignore it.
        let caseless = source.iter().any(u8::is_ascii_uppercase);
        let regex = Regex::define(source, caseless, &mut self.table).ok()?;
        Some(ServerName::Regex(name.into(), regex))
    }

    /// A block of a server.
    fn block(&mut self, block: Placed<'l>) {
        for placed in self.loaded.children(block) {
            self.directive(placed);
            if placed.is_block() {
                self.block(placed);
            }
        }
    }

    fn directive(&mut self, placed: Placed<'l>) {
        let name = placed.name().value(&self.loaded.sources);
        // Expressions without named groups define nothing, and are compiled when somebody asks.
        let named = |source: &&[u8]| Regex::may_name_groups(source);
        match name {
            b"location" | b"if" | b"rewrite" if placed.args().any(|word| named(&word.value(&self.loaded.sources))) => {
                let words = self.values(&placed);
                if let Some((source, caseless)) = expression(name, &words) {
                    // One that PCRE refuses defines nothing.
                    let _ = Regex::define(source, caseless, &mut self.table);
                }
            }
            _ if defines_variable(name) => tables::define(placed, self.loaded, &mut self.table),
            _ => {
                if let Some(kind) = pass_kind(name) {
                    let url = placed.arg(0, &self.loaded.sources).filter(|url| !url.contains(&b'$'));
                    let target = url.and_then(|url| Target::parse(kind, url).ok());
                    let group = target.and_then(|target| target.group());
                    self.groups.extend(group.filter(|group| self.groups.last() != Some(group)));
                }
            }
        }
    }
}

/// The regular expression of a `location`, `if` or `rewrite`, and whether it ignores case.
fn expression<'t>(name: &[u8], words: &[&'t [u8]]) -> Option<(&'t [u8], bool)> {
    match (name, words) {
        (b"rewrite", [pattern, ..]) => Some((pattern, false)),
        (b"if", _) => match condition::parse(words).ok()? {
            condition::Parsed::Match { pattern, caseless, .. } => Some((pattern, caseless)),
            _ => None,
        },
        (b"location", _) => match split_location(words)? {
            (b"~", source) => Some((source, false)),
            (b"~*", source) => Some((source, true)),
            _ => None,
        },
        _ => None,
    }
}

/// Whether [`tables::define`] may know the directive: most names are told apart here without looking further.
fn defines_variable(name: &[u8]) -> bool {
    matches!(name, b"map" | b"split_clients" | b"perl_set" | b"auth_request_set" | b"charset_map")
        || [&b"geo"[..], b"js_", b"set_", b"auth_jwt_"].iter().any(|prefix| name.starts_with(prefix))
}

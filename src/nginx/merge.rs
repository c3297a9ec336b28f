//! From the tree to the model: main → server → location, module by module.
//!
//! A block begins as a clone of the record around it, less what nginx does not inherit ([`inherit`]); its own directives
//! then overwrite what they name. Since a directive may stand behind the blocks that inherit it, a block is read twice:
//! first its settings, then its programs and the blocks inside it.

use std::sync::Arc;

use super::include::{Loaded, Placed};
use super::listen::{Addresses, Listen, ServerName};
use super::location::Locations;
use super::mapping::full_name;
use super::model::{
    Handler, Http, LimitExcept, LocConf, Location, LocationKind, OpaquePhase, PassKind, Server, SrvConf, Upstream, Zone,
};
use super::request::Method;
use super::script;
use super::settings::{Here, Settings};
use super::tables;
use super::upstream::Target;
use super::variables::{Regex, Table};
use super::version::Version;
use crate::source::{Origin, Setting};

/// The blocks that have a record of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Server,
    Location,
    If,
    LimitExcept,
}

/// The record that a block begins with.
fn inherit(parent: &LocConf, block: Block, origin: Origin) -> LocConf {
    // A `limit_except` keeps the back end of its location and loses every other handler. For an `if` nothing is copied:
    // the handler that was chosen with the location stays in force.
    let is_back_end = |handler: &&Setting<Handler>| {
        matches!(&handler.value, Handler::Pass(kind, _) if *kind != PassKind::Memcached) && block == Block::LimitExcept
    };
    LocConf {
        origin,
        handler: parent.handler.as_ref().filter(is_back_end).cloned(),
        try_files: None,
        program: None,
        ..parent.clone()
    }
}

/// Builds the model of an `http` block.
pub(super) fn http(block: Placed, loaded: &Loaded, version: Version, prefix: &[u8], conf_prefix: &[u8]) -> Http {
    let mut reader = Reader {
        loaded,
        version,
        prefix,
        conf_prefix,
        table: Table::new(version),
        groups: Vec::new(),
        sockets_left: MOST_SOCKETS,
    };
    reader.http(block)
}

/// Most sockets of one configuration: far more than a machine has ports for.
const MOST_SOCKETS: usize = 1 << 20;

struct Reader<'l> {
    loaded: &'l Loaded,
    version: Version,
    prefix: &'l [u8],
    conf_prefix: &'l [u8],
    table: Table,
    /// What literal `*_pass` addresses make.
    groups: Vec<Upstream>,
    /// How many more sockets are read: port ranges multiply.
    sockets_left: usize,
}

/// What a block holds beside settings: most hold nothing, and need not be read again for it.
#[derive(Clone, Copy, Debug, Default)]
struct Inside {
    program: bool,
    limit_except: bool,
    locations: bool,
}

impl<'l> Reader<'l> {
    fn name(&self, placed: &Placed<'l>) -> &'l [u8] {
        placed.directive.name.value(&self.loaded.sources)
    }

    fn args(&self, placed: &Placed<'l>) -> Vec<&'l [u8]> {
        placed.directive.args.iter().map(|word| word.value(&self.loaded.sources)).collect()
    }

    fn http(&mut self, block: Placed<'l>) -> Http {
        let mut srv = SrvConf::default();
        let mut conf = LocConf::defaults(block.origin(), full_name(self.prefix, b"html"));
        self.settings(block, &mut conf, &mut srv, &[]);
        let mut http = Http {
            origin: block.origin(),
            conf,
            servers: Vec::new(),
            addresses: Addresses::default(),
            variables: Table::new(self.version),
            limit_req_zones: Vec::new(),
            limit_conn_zones: Vec::new(),
            upstreams: Vec::new(),
        };
        let srv = Arc::new(srv);
        for placed in self.loaded.children(block) {
            let args = self.args(&placed);
            match (self.name(&placed), &*args) {
                (b"server", _) => {
                    let server = self.server(placed, &http.conf, &srv);
                    http.servers.push(server);
                }
                (b"upstream", [name, ..]) => {
                    let none_live = self.none_live(placed);
                    http.upstreams.push(Upstream { host: name.to_ascii_lowercase().into(), port: None, none_live });
                }
                (b"limit_req_zone", _) => http.limit_req_zones.extend(self.zone(&args, placed.origin())),
                (b"limit_conn_zone", _) => http.limit_conn_zones.extend(self.zone(&args, placed.origin())),
                _ => {}
            }
        }
        http.upstreams.append(&mut self.groups);
        http.addresses = Addresses::new(&http.servers);
        http.variables = std::mem::replace(&mut self.table, Table::new(self.version));
        http
    }

    /// `limit_req_zone KEY zone=NAME:SIZE …`.
    fn zone(&mut self, args: &[&[u8]], origin: Origin) -> Option<Zone> {
        let (key, parameters) = args.split_first()?;
        let text = parameters.iter().find_map(|parameter| parameter.strip_prefix(b"zone="))?;
        let name = text.split(|&byte| byte == b':').next()?;
        Some(Zone { name: name.into(), key: self.settings_for(&[]).value(key), origin })
    }

    fn settings_for<'s>(&'s mut self, names: &'s [Setting<ServerName>]) -> Settings<'s> {
        Settings {
            table: &mut self.table,
            prefix: self.prefix,
            conf_prefix: self.conf_prefix,
            server_names: names,
            location: b"",
        }
    }

    /// The first `server` of an `upstream` block, if every one of them is `down` (case `nobody-of-the-group-is-up`).
    fn none_live(&self, block: Placed<'l>) -> Option<Origin> {
        let named = |name: &'static [u8]| self.loaded.children(block).filter(move |placed| self.name(placed) == name);
        let mut servers = named(b"server");
        let first = servers.next()?;
        // upstream_fair asks the only server of a group without looking at it (case `fair-asks-its-only-server`).
        if named(b"fair").next().is_some() && servers.next().is_none() {
            return None;
        }
        let is_down = |placed: Placed<'l>| self.args(&placed).iter().skip(1).any(|parameter| *parameter == b"down");
        named(b"server").all(is_down).then_some(first.origin())
    }

    /// The settings of a block, in a record that begins as its parent's.
    fn settings(&mut self, block: Placed<'l>, conf: &mut LocConf, srv: &mut SrvConf, names: &[Setting<ServerName>]) {
        self.read(block, Here::new(None, OpaquePhase::ServerRewrite), conf, srv, names, b"");
    }

    /// Takes the settings of a block, and says what else there is in it.
    fn read(
        &mut self,
        block: Placed<'l>,
        mut here: Here,
        conf: &mut LocConf,
        srv: &mut SrvConf,
        names: &[Setting<ServerName>],
        location: &[u8],
    ) -> Inside {
        let loaded = self.loaded;
        let mut inside = Inside::default();
        let mut args = Vec::new();
        for placed in loaded.children(block) {
            let name = self.name(&placed);
            match name {
                b"location" => inside.locations = true,
                b"limit_except" => inside.limit_except = true,
                b"if" | b"set" | b"rewrite" | b"return" | b"break" => inside.program = true,
                _ => {}
            }
            args.clear();
            args.extend(placed.directive.args.iter().map(|word| word.value(&loaded.sources)));
            if defines_variable(name) {
                tables::define(placed, loaded, &mut self.table);
            }
            if name == b"types" {
                let lines = tables::entries(placed, loaded);
                Arc::make_mut(&mut conf.filters).content_types.add(&lines, here.first("types"));
            }
            let mut settings = self.settings_for(names);
            settings.location = location;
            settings.set(name, &args, placed.origin(), &mut here, conf, srv);
        }
        if let Some(Handler::Pass(kind, url)) = conf.handler.as_ref().map(|handler| &handler.value) {
            let target = url.as_literal().and_then(|url| Target::parse(*kind, url).ok());
            self.groups.extend(target.and_then(|target| target.group()));
        }
        inside
    }

    fn server(&mut self, block: Placed<'l>, outer: &LocConf, outer_srv: &Arc<SrvConf>) -> Server {
        let mut conf = inherit(outer, Block::Server, block.origin());
        let mut srv = SrvConf::clone(outer_srv);
        let (mut names, mut listens) = (Vec::new(), Vec::new());
        for placed in self.loaded.children(block) {
            match self.name(&placed) {
                b"server_name" => {
                    for name in self.args(&placed) {
                        names.extend(self.server_name(name).map(|name| Setting::new(name, placed.origin())));
                    }
                }
                b"listen" => {
                    let read = Listen::parse(&self.args(&placed), placed.origin()).unwrap_or_default();
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
        self.settings(block, &mut conf, &mut srv, &names);
        conf.program = self.program(block, None, &names);
        let locations = self.locations(block, &conf, &mut srv, &names);
        Server { origin: block.origin(), names, listens, srv: Arc::new(srv), conf, locations }
    }

    /// A name of a server; a regular expression that PCRE refuses is none.
    fn server_name(&mut self, name: &[u8]) -> Option<ServerName> {
        let Some(source) = name.strip_prefix(b"~") else {
            return Some(ServerName::Text(name.to_ascii_lowercase().into()));
        };
        // Names are compared in lower case, so an expression with a capital letter is made to ignore it.
        let caseless = source.iter().any(u8::is_ascii_uppercase);
        let regex = Regex::compile(source, caseless, &mut self.table).ok()?;
        Some(ServerName::Regex(name.into(), regex))
    }

    /// The rewrite module's directives of a block, those of its `if` blocks in their place. At the level of a location each
    /// `if` has a record of its own.
    fn program(
        &mut self,
        block: Placed<'l>,
        location: Option<(&LocConf, &[u8])>,
        names: &[Setting<ServerName>],
    ) -> Option<Arc<script::Program>> {
        let mut builder = script::Builder::default();
        self.add_to_program(block, &mut builder, location, names);
        builder.finish().map(Arc::new)
    }

    fn add_to_program(
        &mut self,
        block: Placed<'l>,
        builder: &mut script::Builder,
        location: Option<(&LocConf, &[u8])>,
        names: &[Setting<ServerName>],
    ) {
        let loaded = self.loaded;
        for placed in loaded.children(block) {
            match self.name(&placed) {
                b"if" => {
                    let open = builder.begin_if(placed, loaded, &mut self.table);
                    let conf = location.map(|(conf, name)| {
                        let mut own = inherit(conf, Block::If, placed.origin());
                        // Its settings come into force in the middle of the rewrite phase.
                        let here = Here::new(None, OpaquePhase::Preaccess);
                        self.read(placed, here, &mut own, &mut SrvConf::default(), names, name);
                        Arc::new(own)
                    });
                    self.add_to_program(placed, builder, location, names);
                    builder.end_if(open, conf);
                }
                b"set" | b"rewrite" | b"return" | b"break" => builder.push(placed, loaded, &mut self.table),
                _ => {}
            }
        }
    }

    fn locations(
        &mut self,
        block: Placed<'l>,
        outer: &LocConf,
        srv: &mut SrvConf,
        names: &[Setting<ServerName>],
    ) -> Locations {
        let loaded = self.loaded;
        let blocks =
            loaded.children(block).filter(|placed| placed.directive.name.value(&loaded.sources) == b"location");
        let all = blocks.filter_map(|placed| self.location(placed, outer, srv, names)).collect();
        Locations::new(all, self.version)
    }

    fn location(
        &mut self,
        block: Placed<'l>,
        outer: &LocConf,
        srv: &mut SrvConf,
        names: &[Setting<ServerName>],
    ) -> Option<Location> {
        let (kind, name) = self.location_name(&self.args(&block))?;
        let mut conf = inherit(outer, Block::Location, block.origin());
        let here = Here::new(Some(&kind), OpaquePhase::Rewrite);
        let inside = self.read(block, here, &mut conf, srv, names, name);
        if inside.program {
            conf.program = self.program(block, Some((&conf, name)), names);
        }
        let loaded = self.loaded;
        let mut limit_except = None;
        let limits = inside.limit_except.then(|| loaded.children(block)).into_iter().flatten();
        for placed in limits.filter(|placed| placed.directive.name.value(&loaded.sources) == b"limit_except") {
            let mut own = inherit(&conf, Block::LimitExcept, placed.origin());
            let here = Here::new(None, OpaquePhase::Rewrite);
            self.read(placed, here, &mut own, &mut SrvConf::default(), names, name);
            let methods = limited_methods(&self.args(&placed));
            limit_except = Some(Box::new(LimitExcept { origin: placed.origin(), methods, conf: own }));
        }
        let locations = match inside.locations {
            true => self.locations(block, &conf, srv, names),
            false => Locations::default(),
        };
        let passes = matches!(&conf.handler, Some(handler) if matches!(handler.value, Handler::Pass(..)));
        let auto_redirect = passes && name.ends_with(b"/");
        Some(Location { origin: block.origin(), name: name.into(), kind, conf, locations, limit_except, auto_redirect })
    }

    /// `location [MODIFIER] NAME`, the modifier perhaps glued to the name.
    fn location_name(&mut self, args: &[&'l [u8]]) -> Option<(LocationKind, &'l [u8])> {
        let (modifier, name): (&[u8], &[u8]) = match *args {
            [modifier, name] => (modifier, name),
            [glued] => match *glued {
                [b'~', b'*', ..] | [b'^', b'~', ..] => glued.split_at(2),
                [b'=' | b'~', ..] => glued.split_at(1),
                _ => (b"", glued),
            },
            _ => return None,
        };
        let kind = match modifier {
            b"=" => LocationKind::Exact,
            b"^~" => LocationKind::NoRegex,
            b"~" | b"~*" => LocationKind::Regex(Regex::compile(name, modifier == b"~*", &mut self.table).ok()?),
            _ if name.starts_with(b"@") => LocationKind::Named,
            _ => LocationKind::Prefix,
        };
        Some((kind, name))
    }
}

/// The methods of a `limit_except`, in any case; GET stands for HEAD too.
fn limited_methods(args: &[&[u8]]) -> u32 {
    let methods = args.iter().map(|name| Method::of(&name.to_ascii_uppercase()).0);
    let methods = methods.fold(0, |all, method| all | method);
    if methods & Method::GET.0 != 0 { methods | Method::HEAD.0 } else { methods }
}

/// Whether [`tables::define`] may know the directive: most names are told apart here without looking further.
fn defines_variable(name: &[u8]) -> bool {
    matches!(name, b"map" | b"split_clients" | b"perl_set" | b"auth_request_set" | b"charset_map")
        || [&b"geo"[..], b"js_", b"set_", b"auth_jwt_"].iter().any(|prefix| name.starts_with(prefix))
}

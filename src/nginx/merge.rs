//! From the tree to the model: main → server → location, module by module.
//!
//! A block begins as a clone of the record around it, less what nginx does not inherit ([`inherit`]); its own directives
//! then overwrite what they name. Since a directive may stand behind the blocks that inherit it, a block is read twice:
//! first its settings, then its programs and the blocks inside it.

use std::sync::Arc;

use super::include::{Handle, Loaded, Placed};
use super::listen::{Addresses, ServerName};
use super::location::Locations;
use super::mapping::full_name;
use super::model::{
    Handler, Http, LimitExcept, LocConf, Location, LocationKind, OpaquePhase, PassKind, Records, Server, SrvConf,
    Upstream, Zone,
};
use super::request::Method;
use super::script;
use super::settings::{Here, Settings};
use super::survey::{Listed, Survey};
use super::tables;
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
pub(super) fn http(block: Placed, loaded: &Arc<Loaded>, version: Version, prefix: &[u8], conf_prefix: &[u8]) -> Http {
    let Survey { table, servers, mut groups, .. } = Survey::of(block, loaded, version);
    let table = Arc::new(table);
    let mut conf = LocConf::defaults(block.origin(), full_name(prefix, b"html"));
    let mut srv = SrvConf::default();
    let reader = Reader { loaded, version, prefix, conf_prefix, table: &table };
    reader.settings(block, &mut conf, &mut srv, &[]);
    let mut http = Http {
        origin: block.origin(),
        conf: conf.clone(),
        servers: Vec::new(),
        addresses: Addresses::default(),
        variables: table.clone(),
        limit_req_zones: Vec::new(),
        limit_conn_zones: Vec::new(),
        upstreams: Vec::new(),
    };
    for placed in loaded.children(block) {
        match reader.name(&placed) {
            b"upstream" => http.upstreams.extend(reader.upstream(placed)),
            b"limit_req_zone" => http.limit_req_zones.extend(reader.zone(placed)),
            b"limit_conn_zone" => http.limit_conn_zones.extend(reader.zone(placed)),
            _ => {}
        }
    }
    http.upstreams.append(&mut groups);
    let ground = Arc::new(Ground {
        loaded: loaded.clone(),
        version,
        prefix: prefix.into(),
        conf_prefix: conf_prefix.into(),
        table,
        conf,
        srv,
    });
    let recipe = |block: Placed| Recipe { ground: ground.clone(), block: block.handle() };
    let server = |Listed { block, names, listens }| Server::new(block.origin(), names, listens, recipe(block));
    http.servers = servers.into_iter().map(server).collect();
    http.addresses = Addresses::new(&http.servers);
    http
}

/// How the records of a server are made.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    ground: Arc<Ground>,
    block: Handle,
}

/// What every server's records are made from.
#[derive(Debug)]
struct Ground {
    loaded: Arc<Loaded>,
    version: Version,
    prefix: Box<[u8]>,
    conf_prefix: Box<[u8]>,
    table: Arc<Table>,
    /// The records of `http`.
    conf: LocConf,
    srv: SrvConf,
}

impl Recipe {
    /// The merged records of the server, which has these names.
    pub(super) fn records(&self, names: &[Setting<ServerName>]) -> Records {
        let Ground { loaded, version, prefix, conf_prefix, table, conf, srv } = &*self.ground;
        let reader = Reader { loaded, version: *version, prefix, conf_prefix, table };
        reader.records(loaded.placed(self.block), names, conf, srv)
    }
}

struct Reader<'l> {
    loaded: &'l Loaded,
    version: Version,
    prefix: &'l [u8],
    conf_prefix: &'l [u8],
    table: &'l Table,
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
        placed.directive.name().value(&self.loaded.sources)
    }

    fn args(&self, placed: &Placed<'l>) -> Vec<&'l [u8]> {
        placed.directive.args().map(|word| word.value(&self.loaded.sources)).collect()
    }

    /// `upstream NAME { … }`.
    fn upstream(&self, block: Placed<'l>) -> Option<Upstream> {
        let name = block.arg(0, &self.loaded.sources)?;
        Some(Upstream { host: name.to_ascii_lowercase().into(), port: None, none_live: self.none_live(block) })
    }

    /// `limit_req_zone KEY zone=NAME:SIZE …`.
    fn zone(&self, placed: Placed<'l>) -> Option<Zone> {
        let args = self.args(&placed);
        let (key, parameters) = args.split_first()?;
        let text = parameters.iter().find_map(|parameter| parameter.strip_prefix(b"zone="))?;
        let name = text.split(|&byte| byte == b':').next()?;
        Some(Zone { name: name.into(), key: self.settings_for(&[]).value(key), origin: placed.origin() })
    }

    fn settings_for<'s>(&'s self, names: &'s [Setting<ServerName>]) -> Settings<'s> {
        Settings {
            table: self.table,
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
    fn settings(&self, block: Placed<'l>, conf: &mut LocConf, srv: &mut SrvConf, names: &[Setting<ServerName>]) {
        self.read(block, Here::new(None, OpaquePhase::ServerRewrite), conf, srv, names, b"");
    }

    /// Takes the settings of a block, and says what else there is in it.
    fn read(
        &self,
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
            args.extend(placed.directive.args().map(|word| word.value(&loaded.sources)));
            if name == b"types" {
                let lines = tables::entries(placed, loaded);
                Arc::make_mut(&mut conf.filters).content_types.add(&lines, here.first("types"));
            }
            let mut settings = self.settings_for(names);
            settings.location = location;
            settings.set(name, &args, placed.origin(), &mut here, conf, srv);
        }
        inside
    }

    fn records(
        &self,
        block: Placed<'l>,
        names: &[Setting<ServerName>],
        outer: &LocConf,
        outer_srv: &SrvConf,
    ) -> Records {
        let mut conf = inherit(outer, Block::Server, block.origin());
        let mut srv = outer_srv.clone();
        self.settings(block, &mut conf, &mut srv, names);
        conf.program = self.program(block, None, names);
        let locations = self.locations(block, &conf, &mut srv, names);
        Records { srv, conf, locations }
    }

    /// The rewrite module's directives of a block, those of its `if` blocks in their place. At the level of a location each
    /// `if` has a record of its own.
    fn program(
        &self,
        block: Placed<'l>,
        location: Option<(&LocConf, &[u8])>,
        names: &[Setting<ServerName>],
    ) -> Option<Arc<script::Program>> {
        let mut builder = script::Builder::default();
        self.add_to_program(block, &mut builder, location, names);
        builder.finish().map(Arc::new)
    }

    fn add_to_program(
        &self,
        block: Placed<'l>,
        builder: &mut script::Builder,
        location: Option<(&LocConf, &[u8])>,
        names: &[Setting<ServerName>],
    ) {
        let loaded = self.loaded;
        for placed in loaded.children(block) {
            match self.name(&placed) {
                b"if" => {
                    let open = builder.begin_if(placed, loaded, self.table);
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
                b"set" | b"rewrite" | b"return" | b"break" => builder.push(placed, loaded, self.table),
                _ => {}
            }
        }
    }

    fn locations(
        &self,
        block: Placed<'l>,
        outer: &LocConf,
        srv: &mut SrvConf,
        names: &[Setting<ServerName>],
    ) -> Locations {
        let loaded = self.loaded;
        let blocks =
            loaded.children(block).filter(|placed| placed.directive.name().value(&loaded.sources) == b"location");
        let all = blocks.filter_map(|placed| self.location(placed, outer, srv, names)).collect();
        Locations::new(all, self.version)
    }

    fn location(
        &self,
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
        for placed in limits.filter(|placed| placed.directive.name().value(&loaded.sources) == b"limit_except") {
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
    fn location_name(&self, args: &[&'l [u8]]) -> Option<(LocationKind, &'l [u8])> {
        let (modifier, name) = split_location(args)?;
        let kind = match modifier {
            b"=" => LocationKind::Exact,
            b"^~" => LocationKind::NoRegex,
            b"~" | b"~*" => LocationKind::Regex(Regex::compile(name, modifier == b"~*", self.table).ok()?),
            _ if name.starts_with(b"@") => LocationKind::Named,
            _ => LocationKind::Prefix,
        };
        Some((kind, name))
    }
}

/// The modifier of a location, empty where there is none, and its name.
pub(super) fn split_location<'t>(args: &[&'t [u8]]) -> Option<(&'t [u8], &'t [u8])> {
    match *args {
        [modifier, name] => Some((modifier, name)),
        [glued] => Some(match *glued {
            [b'~', b'*', ..] | [b'^', b'~', ..] => glued.split_at(2),
            [b'=' | b'~', ..] => glued.split_at(1),
            _ => (b"", glued),
        }),
        _ => None,
    }
}

/// The methods of a `limit_except`, in any case; GET stands for HEAD too.
fn limited_methods(args: &[&[u8]]) -> u32 {
    let methods = args.iter().map(|name| Method::of(&name.to_ascii_uppercase()).0);
    let methods = methods.fold(0, |all, method| all | method);
    if methods & Method::GET.0 != 0 { methods | Method::HEAD.0 } else { methods }
}

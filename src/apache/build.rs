//! From the expanded tree to the model: the second pass (ap_walk_config), which runs every directive's function on the
//! records of the place it stands in.
//!
//! What the server would refuse was refused by the check; here a malformed directive changes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apache::access::address::Network;
use crate::apache::access::{self, authz_core, providers};
use crate::apache::expr;
use crate::apache::fnmatch::is_fnmatch;
use crate::apache::lex::getword_conf;
use crate::apache::load::{Known, Node};
use crate::apache::model::{
    Command, DirConf, Held, Holdings, Matcher, MethodSet, Methods, Opaque, PerDir, Place, Section, SectionList,
    ServerConf, ServerRecords,
};
use crate::apache::remoteip::protocol::ProxyProtocol;
use crate::apache::request::normalize::merge_slashes;
use crate::apache::{
    Config, actions, alias, content, core, env, filters, mime, negotiation, opaque, proxy, remoteip, rewrite, setenvif,
    speling, userdir, vhost, vhost_alias,
};
use crate::pattern::{Options, Pattern};
use crate::source::{Origin, Setting};

/// One `Listen` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// The address; `None`: every one.
    pub address: Option<std::net::IpAddr>,
    /// The port.
    pub port: u16,
}

/// What the whole configuration gives.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The main server and the virtual hosts.
    pub servers: Vec<ServerConf>,
    /// The method registry.
    pub methods: Methods,
    /// `Listen`, in order.
    pub listens: Vec<Listen>,
    /// `User`.
    pub user: Option<Setting<Vec<u8>>>,
    /// `Group`.
    pub group: Option<Setting<Vec<u8>>>,
    /// `<AuthzProviderAlias>` and `<AuthnProviderAlias>`.
    pub aliases: Arc<providers::Aliases>,
    /// The regular expressions that sections share.
    pub patterns: Arc<Patterns>,
    /// `RemoteIPProxyProtocol`.
    pub proxy_protocol: ProxyProtocol,
}

/// The regular expressions of sections, by their text: hosts that are written alike share them, and each is compiled once.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    known: Mutex<HashMap<Box<[u8]>, Arc<Pattern>>>,
}

/// Most expressions that are shared; `.htaccess` files that change again and again may not pile up.
const MOST_PATTERNS: usize = 20_000;

impl Patterns {
    /// `None`: it cannot be compiled.
    fn section(&self, source: &[u8]) -> Option<Arc<Pattern>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pattern) = known.get(source) {
            return Some(pattern.clone());
        }
        let pattern = Arc::new(Pattern::new(source, Options::apache(false)).ok()?);
        if known.len() < MOST_PATTERNS {
            known.insert(source.into(), pattern.clone());
        }
        Some(pattern)
    }
}

/// By what a server is chosen.
#[derive(Default)]
struct Names {
    addresses: Vec<vhost::Address>,
    name: Option<Setting<Vec<u8>>>,
    port: u16,
    scheme: Option<Vec<u8>>,
    aliases: Vec<Vec<u8>>,
    wild_aliases: Vec<Vec<u8>>,
    server_path: Option<Vec<u8>>,
}

/// A server while it is read.
#[derive(Default)]
struct Draft {
    names: Names,
    directories: Vec<Arc<Section>>,
    locations: Vec<Arc<Section>>,
    proxies: Vec<Arc<Section>>,
    dir: DirConf,
    records: ServerRecords,
}

/// A virtual host that was passed on the way through the file: how it is chosen, and the providers known there. What it
/// holds is read when somebody asks.
struct Passed {
    /// Its place among the directives of the main server.
    node: usize,
    names: Names,
    aliases: Arc<providers::Aliases>,
}

/// Where a directive stands.
#[derive(Clone)]
struct Scope {
    place: Place,
    htaccess: bool,
    path: Option<Vec<u8>>,
    section: Option<Origin>,
    limited: MethodSet,
    server: usize,
}

impl Scope {
    /// The top of a server.
    fn server(server: usize) -> Scope {
        Scope { place: Place::Server, htaccess: false, path: None, section: None, limited: MethodSet::ALL, server }
    }
}

struct Builder<'b> {
    known: &'b Known,
    server_root: Vec<u8>,
    methods: Methods,
    aliases: Arc<providers::Aliases>,
    patterns: &'b Patterns,
    listens: Vec<Listen>,
    user: Option<Setting<Vec<u8>>>,
    group: Option<Setting<Vec<u8>>>,
    proxy_protocol: ProxyProtocol,
}

/// The model of a configuration.
pub(crate) fn model(nodes: &Arc<Vec<Node>>, known: &Arc<Known>) -> Model {
    let patterns = Arc::new(Patterns::default());
    let mut builder = Builder::new(known, Methods::new(), Arc::default(), &patterns);
    let mut main = Draft::default();
    main.dir.core.options = core::Options::server_default();
    let mut passed = Vec::new();
    builder.main(nodes, &mut main, &mut passed);
    if known.modules.has("dav_module") {
        // dav_init_handler: after the whole configuration.
        builder.methods.register(b"BIND");
        builder.methods.register(b"SEARCH");
    }
    let Builder { methods, aliases, listens, user, group, proxy_protocol, .. } = builder;
    let names = std::mem::take(&mut main.names);
    let main = Arc::new(main);
    let own = {
        let main = main.clone();
        Box::new(move || merged(&main, Draft::default(), 0))
    };
    let mut servers = vec![server(0, None, names, own)];
    for (index, host) in (1..).zip(passed) {
        let (nodes, known, main) = (nodes.clone(), known.clone(), main.clone());
        let (methods, patterns) = (methods.clone(), patterns.clone());
        let origin = nodes.get(host.node).map(|node| node.origin);
        let own = Box::new(move || {
            let mut builder = Builder::new(&known, methods, host.aliases, &patterns);
            let mut draft = Draft::default();
            builder.server(&nodes[host.node].children, index, &mut draft);
            merged(&main, draft, index)
        });
        servers.push(server(index, origin, host.names, own));
    }
    Model { servers, methods, listens, user, group, aliases, patterns, proxy_protocol }
}

fn server(
    index: usize,
    origin: Option<Origin>,
    names: Names,
    holdings: Box<dyn FnOnce() -> Holdings + Send + Sync>,
) -> ServerConf {
    let Names { addresses, name, port, scheme, aliases, wild_aliases, server_path } = names;
    let held = Held::new(holdings);
    ServerConf { index, origin, addresses, name, port, scheme, aliases, wild_aliases, server_path, held }
}

/// The records of an `.htaccess` in `directory`, which ends in a slash.
pub(crate) fn htaccess(nodes: &[Node], directory: &[u8], origin: Origin, config: &Config) -> DirConf {
    let mut builder = Builder::new(&config.known, config.methods.clone(), config.aliases.clone(), &config.patterns);
    let scope = Scope {
        place: Place::Htaccess,
        htaccess: true,
        path: Some(directory.to_vec()),
        section: None,
        limited: MethodSet::ALL,
        server: 0,
    };
    let mut scratch = Draft::default();
    let mut conf = DirConf { sections: vec![origin], ..DirConf::default() };
    builder.section(nodes, &scope, &mut scratch, &mut conf);
    conf
}

/// A virtual host seen through the main server, or the main server itself (`index` 0, an empty draft).
fn merged(main: &Draft, draft: Draft, index: usize) -> Holdings {
    let both = |main: &[Arc<Section>], own: Vec<Arc<Section>>| -> SectionList {
        Arc::new(main.iter().cloned().chain(own).collect())
    };
    let mut directories: Vec<Arc<Section>> = main.directories.iter().cloned().chain(draft.directories).collect();
    // ap_core_reorder_directories: regular expressions last, each sort by components; a stable sort keeps the order of the file.
    directories.sort_by_key(|section| (matches!(section.matcher, Matcher::Regex(_)), section.components));
    let mut dir = DirConf::merge(&main.dir, &draft.dir);
    // AllowEncodedSlashes of the main server holds for the main server only.
    if index == 0 {
        dir.core.encoded_slashes = main.dir.core.encoded_slashes;
    }
    Holdings {
        locations: both(&main.locations, draft.locations),
        proxies: both(&main.proxies, draft.proxies),
        directories: Arc::new(directories),
        defaults: PerDir::new(Arc::new(dir), index as u64 + 1),
        records: ServerRecords::merge(&main.records, &draft.records),
    }
}

impl<'b> Builder<'b> {
    fn new(known: &'b Known, methods: Methods, aliases: Arc<providers::Aliases>, patterns: &'b Patterns) -> Self {
        use std::os::unix::ffi::OsStrExt;
        Builder {
            known,
            server_root: known.server_root.as_os_str().as_bytes().to_vec(),
            methods,
            aliases,
            patterns,
            listens: Vec::new(),
            user: None,
            group: None,
            proxy_protocol: ProxyProtocol::default(),
        }
    }

    /// The directives of the main server; virtual hosts are passed.
    fn main(&mut self, nodes: &[Node], draft: &mut Draft, passed: &mut Vec<Passed>) {
        let mut dir = std::mem::take(&mut draft.dir);
        let scope = Scope::server(0);
        for (at, node) in nodes.iter().enumerate() {
            if node.is_section("virtualhost") {
                let host = self.pass(at, node, draft.names.port);
                passed.push(host);
            } else {
                self.node(node, &scope, draft, &mut dir);
            }
        }
        draft.dir = dir;
    }

    /// The directives of a virtual host.
    fn server(&mut self, nodes: &[Node], index: usize, draft: &mut Draft) {
        let mut dir = std::mem::take(&mut draft.dir);
        self.section(nodes, &Scope::server(index), draft, &mut dir);
        draft.dir = dir;
    }

    /// What of a virtual host counts outside of it: its names, and the methods that get a number in it.
    fn pass(&mut self, at: usize, node: &Node, main_port: u16) -> Passed {
        let addresses = node.words().filter_map(|word| vhost::Address::parse(word, main_port)).collect();
        let aliases = self.aliases.clone();
        let mut names = Names { addresses, ..Names::default() };
        for child in &node.children {
            if !child.section && !child.skipped {
                self.server_directive(child, &mut names);
            }
        }
        self.register_limited(&node.children);
        Passed { node: at, names, aliases }
    }

    /// Gives the methods of every `<Limit>` and `<LimitExcept>` a number.
    fn register_limited(&mut self, nodes: &[Node]) {
        for node in nodes.iter().filter(|node| node.section) {
            if matches!(node.name(), "limit" | "limitexcept") {
                self.limit(node, &Scope::server(0));
            }
            self.register_limited(&node.children);
        }
    }

    /// The directives of a section, whose records are `dir`.
    fn section(&mut self, nodes: &[Node], scope: &Scope, draft: &mut Draft, dir: &mut DirConf) {
        for node in nodes {
            self.node(node, scope, draft, dir);
        }
    }

    fn node(&mut self, node: &Node, scope: &Scope, draft: &mut Draft, dir: &mut DirConf) {
        if !node.section {
            return self.directive(node, scope, draft, dir);
        }
        match node.name() {
            "directory" | "directorymatch" => {
                if let Some(section) = self.directory(node, scope, draft) {
                    draft.directories.push(Arc::new(section));
                }
            }
            "location" | "locationmatch" => {
                if let Some(section) = self.matched(node, scope, draft, Place::Location) {
                    draft.locations.push(Arc::new(section));
                }
            }
            "proxy" | "proxymatch" => {
                if let Some(section) = self.matched(node, scope, draft, Place::Proxy) {
                    draft.proxies.push(Arc::new(section));
                }
            }
            "files" | "filesmatch" => {
                if let Some(section) = self.matched(node, scope, draft, Place::Files) {
                    push(&mut dir.core.files, section);
                }
            }
            "if" | "elseif" | "else" => {
                if let Some(section) = self.condition(node, scope, draft) {
                    push(&mut dir.core.ifs, section);
                }
            }
            "limit" | "limitexcept" => {
                let inner = Scope { limited: self.limit(node, scope), ..scope.clone() };
                self.section(&node.children, &inner, draft, dir);
            }
            "requireall" | "requireany" | "requirenone" => {
                if let Some(container) = self.container(node, scope, draft, dir) {
                    Arc::make_mut(dir.authz_core.get_or_insert_default()).add(container);
                }
            }
            "authzprovideralias" | "authnprovideralias" => self.provider_alias(node, scope, draft),
            _ if node.opaque() => note_opaque(node, scope, draft, dir),
            // Sections that only group what they hold (`<IfVersion>` and its like are gone by now).
            _ => {}
        }
    }

    /// `<Directory>`: the path is made canonical and ends in a slash; `~` and `<DirectoryMatch>` are expressions.
    fn directory(&mut self, node: &Node, scope: &Scope, draft: &mut Draft) -> Option<Section> {
        let mut args: &[u8] = node.args();
        let mut word = getword_conf(&mut args).into_owned();
        let mut regex = node.name() == "directorymatch";
        if word == b"~" && !regex {
            word = getword_conf(&mut args).into_owned();
            regex = true;
        }
        let matcher = if regex {
            Matcher::Regex(self.patterns.section(&word)?)
        } else {
            if word != b"/" {
                word = directory_path(&word);
            }
            if is_fnmatch(&word) { Matcher::Glob(word.clone()) } else { Matcher::Literal(word.clone()) }
        };
        // Of an expression, too: the slashes in its text. Case: expressions-are-sorted-by-their-slashes.
        let components = if word == b"/" { 0 } else { word.iter().filter(|&&byte| byte == b'/').count() };
        let inner = Scope { place: Place::Directory, path: Some(word), ..scope.clone() };
        Some(self.finish(node, matcher, components, false, &inner, draft))
    }

    /// `<Location>`, `<Files>`, `<Proxy>` and their Match forms.
    fn matched(&mut self, node: &Node, scope: &Scope, draft: &mut Draft, place: Place) -> Option<Section> {
        let mut args: &[u8] = node.args();
        let mut word = getword_conf(&mut args).into_owned();
        let mut regex = node.name().ends_with("match");
        if word == b"~" && !regex {
            word = getword_conf(&mut args).into_owned();
            regex = true;
        }
        let matcher = if regex {
            let mut expression = word.clone();
            if place == Place::Proxy {
                // <ProxyMatch> sees the URL without the `proxy:` in front of it.
                expression = expression.strip_prefix(b"proxy:").map(<[u8]>::to_vec).unwrap_or(expression);
            }
            Matcher::Regex(self.patterns.section(&expression)?)
        } else {
            if place == Place::Files {
                word = merge_slashes(word.strip_prefix(b"./").unwrap_or(&word));
            }
            if is_fnmatch(&word) { Matcher::Glob(word.clone()) } else { Matcher::Literal(word.clone()) }
        };
        let inner = Scope { place, path: Some(word), ..scope.clone() };
        Some(self.finish(node, matcher, 0, false, &inner, draft))
    }

    fn condition(&mut self, node: &Node, scope: &Scope, draft: &mut Draft) -> Option<Section> {
        let inner = Scope { place: Place::If, path: Some(b"*If".to_vec()), ..scope.clone() };
        let matcher = if node.name() == "else" {
            Matcher::Otherwise
        } else {
            let mut args: &[u8] = node.args();
            let text = getword_conf(&mut args).into_owned();
            let context = self.command(node, "<If", &inner).expr_context();
            Matcher::Condition(Box::new(expr::parse(&text, context).ok()?))
        };
        Some(self.finish(node, matcher, 0, node.name() != "if", &inner, draft))
    }

    fn finish(
        &mut self,
        node: &Node,
        matcher: Matcher,
        components: usize,
        is_else: bool,
        inner: &Scope,
        draft: &mut Draft,
    ) -> Section {
        let mut conf = DirConf { sections: vec![node.origin], ..DirConf::default() };
        let inner = &Scope { section: Some(node.origin), ..inner.clone() };
        self.section(&node.children, inner, draft, &mut conf);
        Section { place: inner.place, matcher, is_else, origin: node.origin, components, conf: Arc::new(conf) }
    }

    /// The methods of a `<Limit>` or `<LimitExcept>` and of those around it. A name nobody knew gets a number.
    fn limit(&mut self, node: &Node, scope: &Scope) -> MethodSet {
        let mut methods = 0u64;
        for name in node.words() {
            let number = if scope.htaccess { self.methods.number(name) } else { self.methods.register(name) };
            methods |= 1 << number;
        }
        let named = if node.name() == "limitexcept" { !methods } else { methods };
        MethodSet(scope.limited.0 & named)
    }

    /// `<RequireAll>` and its like; an empty one is refused by the check. What is no requirement belongs to the place around.
    fn container(
        &mut self,
        node: &Node,
        scope: &Scope,
        draft: &mut Draft,
        dir: &mut DirConf,
    ) -> Option<authz_core::Node> {
        let mut container = authz_core::container(node.name(), node.origin);
        self.fill(&mut container, &node.children, scope, draft, dir);
        (!container.is_empty()).then_some(container)
    }

    fn fill(
        &mut self,
        container: &mut authz_core::Node,
        nodes: &[Node],
        scope: &Scope,
        draft: &mut Draft,
        dir: &mut DirConf,
    ) {
        for child in nodes {
            match child.name() {
                "limit" | "limitexcept" if child.section => {
                    let inner = Scope { limited: self.limit(child, scope), ..scope.clone() };
                    self.fill(container, &child.children, &inner, draft, dir);
                }
                "requireall" | "requireany" | "requirenone" if child.section => {
                    if let Some(nested) = self.container(child, scope, draft, dir) {
                        container.fill(nested);
                    }
                }
                "require" => {
                    let command = self.command(child, "Require", scope);
                    if let Some(rule) = authz_core::require(&command, &self.aliases) {
                        container.fill(rule);
                    }
                }
                _ => self.node(child, scope, draft, dir),
            }
        }
    }

    /// `<AuthzProviderAlias base alias "args">`, `<AuthnProviderAlias base alias>`.
    fn provider_alias(&mut self, node: &Node, scope: &Scope, draft: &mut Draft) {
        let (Some(base), Some(alias)) = (node.word(0), node.word(1)) else { return };
        let mut conf = DirConf::default();
        let inner = Scope { place: Place::Directory, path: Some(b"*provider".to_vec()), ..scope.clone() };
        self.section(&node.children, &inner, draft, &mut conf);
        let conf = Arc::new(conf);
        if node.name() == "authnprovideralias" {
            Arc::make_mut(&mut self.aliases).authn.insert(alias.to_vec(), (base.to_vec(), conf));
            return;
        }
        let command = self.command(node, "Require", &inner);
        let arguments = node.word(2).unwrap_or_default();
        if let Ok(provider) = providers::parse(base, arguments, &command, &providers::Aliases::default()) {
            Arc::make_mut(&mut self.aliases).authz.insert(alias.to_vec(), (Arc::new(provider), conf));
        }
    }

    fn command<'n>(&'n self, node: &'n Node, name: &'n str, scope: &'n Scope) -> Command<'n> {
        Command {
            name,
            args: node.words().collect(),
            raw: node.args(),
            origin: node.origin,
            limited: scope.limited,
            place: scope.place,
            htaccess: scope.htaccess,
            path: scope.path.as_deref(),
            section: scope.section,
            server: scope.server,
            server_root: &self.server_root,
            methods: &self.methods,
            modules: &self.known.modules,
        }
    }

    /// One directive that is no section: the module that owns it gets it.
    fn directive(&mut self, node: &Node, scope: &Scope, draft: &mut Draft, dir: &mut DirConf) {
        if node.skipped {
            return node.rows().iter().flat_map(|row| row.modules).for_each(|module| touch(module, scope, dir));
        }
        if node.opaque() {
            return note_opaque(node, scope, draft, dir);
        }
        if scope.path.is_none() {
            self.server_directive(node, &mut draft.names);
        }
        for row in node.rows() {
            let Some(module) = row.modules.iter().find(|module| self.known.modules.has(module)) else { continue };
            let command = self.command(node, row.name, scope);
            dispatch(module, &command, draft, dir, &self.aliases);
        }
    }

    /// What is kept outside the modules' records: names, ports, identities.
    fn server_directive(&mut self, node: &Node, names: &mut Names) {
        let Some(word) = node.word(0) else { return };
        match node.name() {
            "servername" => {
                let (scheme, rest) = match word.windows(3).position(|part| part == b"://") {
                    Some(at) => (Some(word[..at].to_vec()), &word[at + 3..]),
                    None => (None, word),
                };
                let colon = rest.iter().rposition(|&byte| byte == b':').filter(|_| !rest.ends_with(b"]"));
                let port = colon.and_then(|at| std::str::from_utf8(&rest[at + 1..]).ok()?.parse().ok());
                let name = if port.is_some() { &rest[..colon.unwrap_or(rest.len())] } else { rest };
                names.name = Some(Setting::new(name.to_vec(), node.origin));
                names.port = port.unwrap_or(0);
                names.scheme = scheme;
            }
            "serveralias" => {
                for word in node.words() {
                    let wild = word.contains(&b'*') || word.contains(&b'?');
                    let list = if wild { &mut names.wild_aliases } else { &mut names.aliases };
                    list.push(word.to_vec());
                }
            }
            "serverpath" => names.server_path = Some(word.to_vec()),
            "listen" => self.listens.extend(listen(word)),
            "user" => self.user = Some(Setting::new(word.to_vec(), node.origin)),
            "group" => self.group = Some(Setting::new(word.to_vec(), node.origin)),
            "remoteipproxyprotocol" => {
                self.proxy_protocol.switch(word.eq_ignore_ascii_case(b"on"), &names.addresses, node.origin);
            }
            "remoteipproxyprotocolexceptions" => {
                self.proxy_protocol.except(node.words().filter_map(|word| Network::parse(word).ok()));
            }
            "registerhttpmethod" => {
                for method in node.words() {
                    self.methods.register(method);
                }
            }
            // The method of a Script gets a number like one in a <Limit>.
            "script" => {
                self.methods.register(word);
            }
            _ => {}
        }
    }
}

fn push(list: &mut Option<SectionList>, section: Section) {
    Arc::make_mut(list.get_or_insert_default()).push(Arc::new(section));
}

fn note_opaque(node: &Node, scope: &Scope, draft: &mut Draft, dir: &mut DirConf) {
    let row = node.rows().first();
    let opaque = Opaque {
        name: row.map_or(node.written(), |row| row.name).to_owned(),
        module: row.and_then(|row| row.modules.first()).copied().unwrap_or_default(),
        origin: node.origin,
    };
    if !opaque::acts(&opaque) {
        return;
    }
    if scope.path.is_none() { draft.records.opaque.push(opaque) } else { dir.opaque.push(opaque) }
}

/// A `<Directory>` argument as the server stores it: without `//`, `/./` and `/../`, with a final slash.
fn directory_path(word: &[u8]) -> Vec<u8> {
    let mut path = crate::apache::request::normalize::canonical_path(word).unwrap_or_else(|| word.to_vec());
    if !path.ends_with(b"/") {
        path.push(b'/');
    }
    path
}

fn listen(word: &[u8]) -> Option<Listen> {
    let text = std::str::from_utf8(word).ok()?;
    match text.rsplit_once(':') {
        None => Some(Listen { address: None, port: text.parse().ok()? }),
        Some((host, port)) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let address = match host {
                "*" => None,
                "localhost" => Some(std::net::IpAddr::from([127, 0, 0, 1])),
                _ => Some(host.parse().ok()?),
            };
            Some(Listen { address, port: port.parse().ok()? })
        }
    }
}

/// A directive that a `Nonfatal` override skips makes a record of its module all the same, and even an empty one takes the
/// place of what a module that does not merge its records said further out.
fn touch(module: &str, scope: &Scope, dir: &mut DirConf) {
    match module {
        "access_compat_module" => drop(dir.access_compat.get_or_insert_default()),
        "authn_file_module" => drop(dir.authn_file.get_or_insert_default()),
        "authn_anon_module" => drop(dir.authn_anon.get_or_insert_default()),
        "authz_groupfile_module" => drop(dir.authz_groupfile.get_or_insert_default()),
        "rewrite_module" => Arc::make_mut(dir.rewrite.get_or_insert_default()).stand_in(scope.path.as_deref()),
        "speling_module" => drop(dir.speling.get_or_insert_default()),
        _ => {}
    }
}

/// Hands a directive to the module that owns it.
fn dispatch(module: &str, cmd: &Command, draft: &mut Draft, dir: &mut DirConf, aliases: &providers::Aliases) {
    /// The record of a module in this place, created when its first directive is met.
    macro_rules! record {
        ($field:expr) => {
            Arc::make_mut($field.get_or_insert_default())
        };
    }
    let records = &mut draft.records;
    match module {
        "core_module" | "http_module" => core::command(cmd, &mut records.core, &mut dir.core),
        "access_compat_module" => access::compat::command(cmd, record!(dir.access_compat)),
        "authz_core_module" => authz_core::command(cmd, record!(dir.authz_core), aliases),
        "authn_core_module" => {
            record!(dir.authn_core).command(cmd);
            // Two modules read this one.
            if cmd.name == "AuthName" {
                record!(dir.auth_digest).command(cmd, aliases);
            }
        }
        "auth_digest_module" => record!(dir.auth_digest).command(cmd, aliases),
        "auth_basic_module" => record!(dir.auth_basic).command(cmd, aliases),
        "auth_form_module" => record!(dir.auth_form).command(cmd),
        "authn_file_module" => record!(dir.authn_file).command(cmd),
        "authn_anon_module" => record!(dir.authn_anon).command(cmd),
        "authz_groupfile_module" => record!(dir.authz_groupfile).command(cmd),
        "allowmethods_module" => access::allowmethods::command(cmd, record!(dir.allowmethods)),
        "ssl_module" => access::ssl::command(cmd, record!(records.ssl), record!(dir.ssl)),
        "dav_module" => record!(dir.dav).command(cmd),
        "include_module" => record!(dir.include).command(cmd),
        "headers_module" => record!(dir.headers).command(cmd),
        "filter_module" => {
            record!(dir.filter).command(cmd);
            filters::command(cmd, record!(dir.filters));
        }
        "dir_module" => content::dir::command(cmd, record!(dir.dir)),
        "actions_module" => actions::command(cmd, record!(dir.actions)),
        "alias_module" => alias::command(cmd, record!(records.alias), record!(dir.alias)),
        "env_module" => env::command(cmd, record!(dir.env)),
        "charset_lite_module" | "substitute_module" => filters::command(cmd, record!(dir.filters)),
        "mime_module" => mime::command(cmd, record!(records.mime), record!(dir.mime)),
        "negotiation_module" => negotiation::command(cmd, record!(dir.negotiation)),
        "proxy_module" | "proxy_wstunnel_module" => proxy::command(cmd, record!(records.proxy), record!(dir.proxy)),
        "remoteip_module" => remoteip::command(cmd, record!(records.remoteip)),
        "rewrite_module" => rewrite::command(cmd, record!(records.rewrite), record!(dir.rewrite)),
        "setenvif_module" => setenvif::command(cmd, record!(records.setenvif), record!(dir.setenvif)),
        "speling_module" => speling::command(cmd, record!(dir.speling)),
        "userdir_module" => userdir::command(cmd, record!(records.userdir)),
        "vhost_alias_module" => vhost_alias::command(cmd, record!(records.vhost_alias)),
        _ => {}
    }
}

//! Apache httpd: load, evaluate, explain.
//!
//! A configuration is read in the server's two passes ([`check::load`]) and becomes a model ([`build`]); one request runs
//! through the hooks in the order of [`request::process_request_internal`].

pub(crate) mod access;
mod actions;
pub(crate) mod alias;
pub mod arity;
pub(crate) mod build;
pub mod check;
pub(crate) mod content;
pub(crate) mod core;
mod date;
pub mod directives;
mod env;
mod escape;
pub mod explain;
mod expr;
mod filters;
pub(crate) mod fnmatch;
mod fnv;
mod headers;
pub(crate) mod htaccess;
pub mod lex;
pub mod load;
mod merge;
mod mime;
pub(crate) mod model;
mod negotiation;
mod opaque;
pub mod parse;
pub(crate) mod proxy;
pub(crate) mod remoteip;
mod request;
pub(crate) mod rewrite;
mod setenvif;
mod speling;
mod table;
mod userdir;
mod variables;
pub(crate) mod vhost;
mod vhost_alias;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::cause;
use crate::fact::{Fact, Inquiry, Question, Subject};
use crate::fs::{Disk, Filesystem, Identity};
use crate::identity::Accounts;
use crate::outcome::{Decision, Outcome, Run, Seen};
use crate::problem::{Problem, first_refusal};
use crate::request::{ClientCert, HttpVersion, Peer, Request, Scheme};
use crate::server::LoadOptions;
use crate::source::SourceMap;
use crate::trace::{Event, Trace};
use crate::world::World;

use model::M_INVALID;
use request::{Connection, Cx, RequestRec};

/// A loaded configuration.
#[derive(Debug)]
pub struct Config {
    /// The text of every file read, `.htaccess` files included as they are met.
    pub sources: SourceMap,
    /// Every problem, in the order in which the server meets them.
    pub problems: Vec<Problem>,
    /// What an `.htaccess` needs to be read.
    pub(crate) known: Arc<load::Known>,
    /// The directives of the main server level, in order: what the rules of lint read.
    pub(crate) nodes: Arc<Vec<load::Node>>,
    /// What could not be known while reading, of the kind that may change any answer.
    pub(crate) known_opaque: Vec<Question>,
    pub(crate) servers: Vec<model::ServerConf>,
    /// Which of the servers an address and a name choose.
    pub(crate) chains: vhost::Chains,
    pub(crate) methods: model::Methods,
    pub(crate) aliases: Arc<access::providers::Aliases>,
    pub(crate) patterns: Arc<build::Patterns>,
    pub(crate) listens: Vec<build::Listen>,
    /// Which connections must begin with a PROXY line.
    pub(crate) proxy_protocol: remoteip::protocol::ProxyProtocol,
    pub(crate) htaccess: htaccess::Cache,
    /// The types of file name extensions, once they were asked for.
    pub(crate) types: mime::Types,
    /// Merges of sections made so far.
    pub(crate) merges: merge::Merges,
    /// The identifiers of the loaded modules.
    pub(crate) modules: std::collections::HashSet<String>,
    /// The hooks of the loaded modules, where their order depends on what was loaded first.
    pub(crate) hooks: request::hooks::Hooks,
    /// Whether every authentication hook is declared "per configuration", so that equal matches mean equal objects.
    pub(crate) auth_per_conf: bool,
    worker: Fact<Identity>,
}

/// The modules whose hooks want to see every request (AP_AUTH_INTERNAL_PER_URI).
const PER_URI_MODULES: [&str; 4] = ["allowmethods_module", "auth_form_module", "lua_module", "log_debug_module"];

/// Debian's User and Group, where the configuration names none.
const DEFAULT_USER: &str = "www-data";

/// Reads the main file and everything it includes.
pub fn load(options: &LoadOptions, fs: &dyn Filesystem) -> Config {
    let loaded = check::load(options, fs);
    let (nodes, known) = (Arc::new(loaded.nodes), Arc::new(loaded.known));
    let model = build::model(&nodes, &known);
    let modules = &known.modules;
    let loaded_modules = modules.in_order().map(str::to_owned).collect();
    let hooks = request::hooks::Hooks::new(modules);
    let auth_per_conf = !PER_URI_MODULES.iter().any(|module| modules.has(module)) && modules.unknown().next().is_none();
    let name = |setting: Option<&crate::source::Setting<Vec<u8>>>| {
        setting.map(|setting| String::from_utf8_lossy(&setting.value).into_owned())
    };
    let (user, group) = (name(model.user.as_ref()), name(model.group.as_ref()));
    let worker = Accounts::read(fs).apache(user.as_deref().unwrap_or(DEFAULT_USER), group.as_deref());
    Config {
        sources: loaded.sources,
        problems: loaded.problems,
        known,
        nodes,
        known_opaque: loaded.questions,
        chains: vhost::Chains::of(&model.servers),
        servers: model.servers,
        methods: model.methods,
        aliases: model.aliases,
        patterns: model.patterns,
        listens: model.listens,
        proxy_protocol: model.proxy_protocol,
        htaccess: htaccess::Cache::default(),
        types: mime::Types::default(),
        merges: merge::Merges::default(),
        modules: loaded_modules,
        hooks,
        auth_per_conf,
        worker,
    }
}

/// Evaluates one request.
pub fn evaluate(config: &Config, request: &Request, world: &World) -> Run {
    let inquiry = Inquiry::new(world.answers);
    if let Some(problem) = first_refusal(&config.problems) {
        return refused(problem, inquiry);
    }
    let unknown_worker;
    let worker = match (world.worker, &config.worker) {
        (Some(worker), _) | (None, Fact::Known(worker)) => worker,
        (None, Fact::Unknown(question)) => {
            let name = match &question.subject {
                Subject::User(name) | Subject::Group(name) => name.as_str(),
                _ => DEFAULT_USER,
            };
            unknown_worker = Identity::unknown(name);
            &unknown_worker
        }
    };
    let mut cx = Cx {
        config,
        world,
        inquiry: &inquiry,
        disk: Disk { fs: world.fs, identity: worker, inquiry: &inquiry },
        trace: Trace::new(world.trace),
        end: None,
        identities: config.servers.len() as u64,
        requests: 0,
    };
    let mut run = Run::default();
    match connect(config, request, &cx) {
        Some(local) => {
            let mut r = request_rec(config, request, local);
            let end = request::process_request(&mut r, &mut cx);
            run.outcome = end.outcome;
            run.decision = end.decision;
            run.location = end.location;
            run.seen = Seen {
                client: Some(canonical(r.client)),
                host: r.hostname.clone(),
                path: r.first_path.clone(),
                local: Some(local),
                server: r.server.origin,
                sections: end.sections,
                file: end.file.map(|file| std::path::PathBuf::from(std::ffi::OsStr::new(&os(&file)))),
            };
        }
        None => {
            run.outcome = Outcome::Closed;
            run.decision = Some(Decision::new(&cause::apache::NOT_LISTENING));
        }
    }
    run.trace = cx.trace.into_steps();
    run.asked = inquiry.into_asked();
    run
}

fn os(bytes: &[u8]) -> std::ffi::OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

/// The server would not start: its first complaint is the answer to every request.
fn refused(problem: &Problem, inquiry: Inquiry) -> Run {
    let mut decision = Decision::new(&cause::apache::CONFIGURATION_REFUSED).by(problem.origin);
    decision.event = Some(Event::Apache(crate::trace::apache::Event::Problem { message: problem.message.clone() }));
    Run { outcome: Outcome::Refused, decision: Some(decision), asked: inquiry.into_asked(), ..Run::default() }
}

fn canonical(client: Peer) -> Peer {
    match client {
        Peer::Ip(ip) => Peer::Ip(ip.to_canonical()),
        Peer::Unix => Peer::Unix,
    }
}

/// Our end of the connection: as the question says, else the loopback of the client's family, else the one address that
/// listens on that port, else a question. `None`: nothing listens there.
fn connect(config: &Config, request: &Request, cx: &Cx) -> Option<SocketAddr> {
    let port = request.to.port.or_else(|| config.listens.first().map(|listen| listen.port))?;
    let listening: Vec<Option<IpAddr>> =
        config.listens.iter().filter(|listen| listen.port == port).map(|listen| listen.address).collect();
    let reaches = |ip: IpAddr| listening.iter().any(|address| address.is_none_or(|own| listens_for(own, ip)));
    if let Some(ip) = request.to.address {
        return reaches(ip).then(|| SocketAddr::new(ip, port));
    }
    let loopback = match request.peer {
        Peer::Ip(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_none() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        _ => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    if reaches(loopback) {
        return Some(SocketAddr::new(loopback, port));
    }
    let mut own: Vec<IpAddr> = listening.into_iter().flatten().filter(|own| !own.is_unspecified()).collect();
    own.dedup();
    match own.as_slice() {
        [] => None,
        [only] => Some(SocketAddr::new(*only, port)),
        several => {
            let words: Vec<String> = several.iter().map(|ip| format!("the connection is to {ip}")).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let question = Question::new(Subject::Other(format!("the address reached on port {port}")));
            let chosen = cx.inquiry.choose(question, &words);
            several.get(chosen).map(|ip| SocketAddr::new(*ip, port))
        }
    }
}

/// Whether a socket bound to `own` takes connections to `ip`. The IPv6 wildcard takes IPv4 as well.
fn listens_for(own: IpAddr, ip: IpAddr) -> bool {
    match own {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => ip.to_canonical().is_ipv4(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
        own => own.to_canonical() == ip.to_canonical(),
    }
}

fn is_address(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(|name| name.parse::<IpAddr>().is_ok())
}

/// The request as ap_create_request and the first line make it.
fn request_rec<'c>(config: &'c Config, request: &Request, local: SocketAddr) -> RequestRec<'c> {
    let chain = config.chains.given_ip(local);
    // INVARIANT: the model always has the main server, and a chain names servers of the model.
    let server = &config.servers[chain.base.min(config.servers.len() - 1)];
    let engine = server.ssl.as_ref().is_some_and(|ssl| ssl.is_on());
    let tls = match request.to.scheme {
        Some(scheme) => scheme == Scheme::Https,
        None => engine,
    };
    let mut headers_in = table::Table::default();
    for (name, value) in &request.headers {
        headers_in.add(name, value);
    }
    let mut the_request = [request.method.as_slice(), b" ", &request.target].concat();
    if request.version != HttpVersion::HTTP_09 {
        the_request.extend_from_slice(format!(" HTTP/{}.{}", request.version.major, request.version.minor).as_bytes());
    }
    let method_number = if request.method.is_empty() { M_INVALID } else { config.methods.number(&request.method) };
    RequestRec {
        server,
        per_dir: server.held.defaults.clone(),
        method: request.method.clone(),
        method_number,
        the_request,
        protocol: request.version,
        headers_in,
        unparsed_uri: request.target.clone(),
        client: request.peer,
        connection: Connection {
            peer: request.peer,
            local,
            tls,
            client_cert: if tls { request.client_cert.clone() } else { ClientCert::None },
            offered: ClientCert::None,
            handshake: None,
            // An address is no name, and no client sends one.
            sni: request.to.name.clone().filter(|name| tls && !is_address(name)),
        },
        ..RequestRec::empty(server, local)
    }
}

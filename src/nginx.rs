//! nginx: load, evaluate, explain.
//!
//! [`load`] reads the files, checks them as `nginx -t` does and builds the model; [`evaluate`] takes one request through
//! [`phases`], in nginx's own order.

pub mod base64;
pub mod build;
pub mod check;
pub mod complex;
mod connect;
mod defaults;
pub mod directives;
pub mod explain;
pub mod filters;
pub mod include;
pub mod inet;
pub mod lex;
pub mod listen;
pub mod location;
pub mod mapping;
mod merge;
pub mod model;
pub mod parse;
pub mod phases;
pub mod realip;
mod receive;
pub mod request;
pub mod script;
mod settings;
mod survey;
pub mod tables;
pub mod upstream;
pub mod uri;
pub mod variables;
pub mod version;

use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use self::build::Build;
use self::include::{Loaded, Placed};
use self::listen::Listen;
use self::model::Http;
use self::request::{Cx, Ending, HttpRequest, Leave};
use self::version::Version;
use crate::cause::nginx as causes;
use crate::fact::{Fact, Inquiry, Subject};
use crate::fs::{Disk, Filesystem, Identity};
use crate::identity::Accounts;
use crate::outcome::{Decision, Outcome, Run, Seen};
use crate::problem::{Problem, first_refusal};
use crate::request::Request;
use crate::server::LoadOptions;
use crate::trace::Trace;
use crate::world::World;

/// A loaded configuration.
#[derive(Debug)]
pub struct Config {
    /// Every file read, with its tree.
    pub loaded: Arc<Loaded>,
    /// Every problem, in the order in which the server meets them.
    pub problems: Vec<Problem>,
    /// The `http` block; `None`: there is none, and nothing is listened on.
    pub http: Option<Http>,
    /// Where the servers of the stream and mail modules listen for TCP; what they answer is not simulated.
    pub other_listens: Vec<Listen>,
    /// The build that is followed.
    pub build: Build,
    /// Who the workers are.
    pub worker: Fact<Identity>,
    /// The directory of relative `root`s, `alias`es and log files (`-p`).
    pub prefix: Box<[u8]>,
    /// The directory of relative password files: the main file's.
    pub conf_prefix: Box<[u8]>,
    /// Remarks about how the options were taken.
    pub notes: Vec<String>,
}

/// Debian's prefix.
const PREFIX: &[u8] = b"/usr/share/nginx";

/// Reads the main file and everything it includes.
pub fn load(options: &LoadOptions, fs: &dyn Filesystem) -> Config {
    let loaded = Arc::new(include::load(&options.config, fs));
    let (build, notes) = Build::resolve(options);
    let mut problems = check::check(&loaded, &build);
    let prefix = options.prefix.as_deref().map_or(PREFIX, |prefix| prefix.as_os_str().as_bytes());
    if first_refusal(&problems).is_none() {
        problems.extend(check::databases(&loaded, prefix, fs));
    }
    let conf_prefix: Box<[u8]> = loaded.conf_prefix.as_os_str().as_bytes().into();
    let main =
        |name: &[u8]| loaded.main_directives().find(|placed| placed.directive.name().value(&loaded.sources) == name);
    let http = main(b"http").map(|block| merge::http(block, &loaded, build.version, prefix, &conf_prefix));
    let user = main(b"user");
    let words: Vec<String> = user
        .iter()
        .flat_map(|placed| placed.args())
        .map(|word| String::from_utf8_lossy(word.value(&loaded.sources)).into_owned())
        .collect();
    let accounts = Accounts::read(fs);
    let worker = match &*words {
        [] => Fact::Known(accounts.nobody()),
        [user, group @ ..] => accounts.nginx(user, group.first().map(String::as_str)),
    };
    let other_listens = other_listens(&loaded);
    Config { loaded, problems, http, other_listens, build, worker, prefix: prefix.into(), conf_prefix, notes }
}

/// The TCP sockets of `stream` and `mail` servers.
fn other_listens(loaded: &Loaded) -> Vec<Listen> {
    let is = |placed: &Placed, name: &[u8]| placed.directive.name().value(&loaded.sources) == name;
    let protocols = loaded.main_directives().filter(|placed| is(placed, b"stream") || is(placed, b"mail"));
    let servers = protocols.flat_map(|block| loaded.children(block)).filter(|placed| is(placed, b"server"));
    let listens = servers.flat_map(|block| loaded.children(block)).filter(|placed| is(placed, b"listen"));
    let sockets = listens.filter_map(|placed| {
        let mut args = placed.directive.args().map(|word| word.value(&loaded.sources));
        let address = args.next()?;
        if args.any(|parameter| parameter == b"udp") { None } else { Listen::parse(&[address], placed.origin()).ok() }
    });
    sockets.flatten().collect()
}

/// Evaluates one request.
pub fn evaluate(config: &Config, request: &Request, world: &World) -> Run {
    if let Some(problem) = first_refusal(&config.problems) {
        let mut decision = Decision::new(causes::CONFIG_REFUSED).by(problem.origin);
        decision.log = Some(format!("[emerg] {}", problem.message));
        return Run { outcome: Outcome::Refused, decision: Some(decision), ..Run::default() };
    }
    let inquiry = Inquiry::new(world.answers);
    // A part of the configuration that nobody could read may say anything.
    let unanswerable = match &config.http {
        Some(_) => config.loaded.questions.first().cloned(),
        None => connect::elsewhere(config, request),
    };
    if let Some(question) = unanswerable {
        inquiry.unanswerable(question);
        return Run { outcome: Outcome::Unknown, asked: inquiry.into_asked(), ..Run::default() };
    }
    let Some(http) = &config.http else {
        let decision = Decision::new(causes::NO_LISTENER);
        return Run { outcome: Outcome::Closed, decision: Some(decision), ..Run::default() };
    };
    let unknown;
    let identity = match (world.worker, &config.worker) {
        (Some(identity), _) | (None, Fact::Known(identity)) => identity,
        (None, Fact::Unknown(question)) => {
            let name = match &question.subject {
                Subject::User(name) | Subject::Group(name) => name.as_str(),
                _ => "the worker",
            };
            unknown = Identity::unknown(name);
            &unknown
        }
    };
    let mut cx = Cx {
        config,
        variables: &http.variables,
        world,
        inquiry: &inquiry,
        disk: Disk { fs: world.fs, identity, inquiry: &inquiry },
        trace: Trace::new(world.trace),
        version: config.build.version,
        notes: config.notes.clone(),
        handed_over: 0,
    };
    let mut seen = Seen { client: Some(request.peer), ..Seen::default() };
    let ending = answer(http, request, &mut seen, &mut cx);
    let Cx { trace, notes, .. } = cx;
    Run {
        outcome: ending.outcome,
        decision: ending.decision.map(|decision| *decision),
        location: ending.location,
        seen,
        trace: trace.into_steps(),
        asked: inquiry.into_asked(),
        notes,
    }
}

/// From the connection to the last byte of the header.
fn answer<'a>(http: &'a Http, request: &'a Request, seen: &mut Seen, cx: &mut Cx<'a>) -> Ending {
    let accepted = match connect::accept(http, request, cx) {
        ControlFlow::Continue(accepted) => accepted,
        ControlFlow::Break(Leave::Closed(decision)) => return Ending::closed(decision),
        ControlFlow::Break(_) => return Ending::unknown(),
    };
    let mut r = receive::begin(http, request, &accepted);
    let first = receive::receive(http, &accepted, &mut r, cx);
    seen.path = first.is_continue().then(|| r.uri.clone());
    let ending = phases::run(&mut r, cx, first);
    look_back(&r, seen);
    ending
}

/// Answers a request that this server sends to itself while it answers another one.
fn answer_again(http: &Http, request: &Request, cx: &Cx) -> Ending {
    let mut again = Cx {
        config: cx.config,
        variables: cx.variables,
        world: cx.world,
        inquiry: cx.inquiry,
        disk: cx.disk,
        trace: Trace::new(false),
        version: cx.version,
        notes: Vec::new(),
        handed_over: cx.handed_over + 1,
    };
    answer(http, request, &mut Seen::default(), &mut again)
}

/// What the reader is told about the request, as it was understood in the end.
fn look_back(r: &HttpRequest, seen: &mut Seen) {
    seen.client = Some(r.connection.client);
    seen.host = r.host.clone();
    seen.local = r.connection.local;
    seen.server = Some(r.server.origin);
    seen.sections = r.location.iter().map(|location| location.origin).collect();
    seen.file = r.file.clone();
}

/// The version of a configuration's build.
impl Config {
    /// Whose behaviour is followed.
    pub fn version(&self) -> Version {
        self.build.version
    }
}

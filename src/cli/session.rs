//! A loaded server and the world it lives in: what every question of one invocation shares.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use super::Failure;
use super::settings::{Ground, ServerOptions};
use crate::ask::{self, AskError, Question};
use crate::explain::{Answer, Bench, Fields};
use crate::fact::{Answers, Fact};
use crate::fs::Identity;
use crate::request::Request;
use crate::server::{LoadOptions, Server};
use crate::world::{NoResolver, World};

/// Largest certificate that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

/// The request, in options. With request lines they are what a line has where it says nothing itself.
#[derive(Debug, Clone, Args)]
pub(super) struct RequestOptions {
    /// Address of the client (the TCP peer), or `unix:` [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    from: Option<String>,
    /// Local address that the client connects to
    #[arg(long, value_name = "IP")]
    to: Option<String>,
    /// Request method [default: GET]
    #[arg(long, value_name = "M")]
    method: Option<String>,
    /// A header line; may be given several times
    #[arg(long, value_name = "'K: V'", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Credentials, sent as Basic authorization
    #[arg(long, value_name = "NAME[:PASS]")]
    user: Option<String>,
    /// Version in the request line [default: 1.1]
    #[arg(long, value_name = "V")]
    http_version: Option<String>,
    /// Send no Host header but one that is given
    #[arg(long)]
    no_host: bool,
    /// Client certificate: none, ok, failed, or a PEM file [default: none]
    #[arg(long, value_name = "WHICH")]
    client_cert: Option<String>,
    /// Raw request target, where it is not the URL's path
    #[arg(long)]
    target: Option<String>,
    /// What to ask for: a URL chooses scheme, address, port and Host; a bare path asks the first default server
    #[arg(value_name = "URL|PATH")]
    pub url: Option<String>,
}

fn parse_header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or("a header line is `Name: value`")?;
    Ok((name.trim_end().to_owned(), value.trim().to_owned()))
}

impl RequestOptions {
    /// What these options say, as a request line would.
    pub(super) fn question(&self) -> Question<'_> {
        self.fill(Question { url: borrowed(&self.url), target: borrowed(&self.target), ..Question::default() })
    }

    /// A line, with these options for what it leaves out.
    pub(super) fn fill<'q>(&'q self, line: Question<'q>) -> Question<'q> {
        let given = || self.header.iter().map(|(name, value)| (name.as_str().into(), Some(value.as_str().into())));
        Question {
            method: line.method.or_else(|| borrowed(&self.method)),
            from: line.from.or_else(|| borrowed(&self.from)),
            to: line.to.or_else(|| borrowed(&self.to)),
            headers: line.headers.or_else(|| (!self.header.is_empty()).then(|| given().collect())),
            user: line.user.or_else(|| borrowed(&self.user)),
            version: line.version.or_else(|| borrowed(&self.http_version)),
            no_host: line.no_host.or(self.no_host.then_some(true)),
            client_cert: line.client_cert.or_else(|| borrowed(&self.client_cert)),
            ..line
        }
    }
}

fn borrowed(option: &Option<String>) -> Option<Cow<'_, str>> {
    option.as_deref().map(Cow::Borrowed)
}

/// The time of the question: a link that has expired by now is expired in the answer.
fn seconds_since_epoch() -> Option<i64> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(time.as_secs()).ok()
}

/// See the module.
pub(super) struct Session<'a> {
    pub server: Server,
    options: LoadOptions,
    pub ground: &'a Ground,
    worker: Option<Identity>,
}

impl<'a> Session<'a> {
    /// Loads the server that the options name.
    pub(super) fn open(options: &ServerOptions, ground: &'a Ground) -> Result<Session<'a>, Failure> {
        let (server, load_options) = options.load(ground)?;
        Ok(Session { server, options: load_options, ground, worker: options.worker(ground) })
    }

    /// The request that a question asks for.
    pub(super) fn request(&self, question: &Question) -> Result<Request, AskError> {
        ask::request(question, |path| {
            let path = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
            match self.ground.serving().read(&path, MAX_PEM) {
                Fact::Known(Ok(bytes)) => Ok(bytes.to_vec()),
                Fact::Known(Err(errno)) => Err(format!("cannot read {}: {errno}", path.display())),
                Fact::Unknown(_) => Err(format!("cannot read {}", path.display())),
            }
        })
    }

    /// The answer to a request. An error of our own is an answer that says so: the other requests of a batch are not its
    /// business.
    pub(super) fn answer(&self, request: &Request, fields: Fields) -> Answer {
        let answers = Answers::new();
        let world = World {
            fs: self.ground.serving(),
            worker: self.worker.as_ref(),
            resolver: &NoResolver,
            now: seconds_since_epoch(),
            answers: &answers,
            trace: false,
        };
        let bench = Bench { server: &self.server, options: &self.options, loading: self.ground.loading(), world };
        let asking = AssertUnwindSafe(|| bench.explain(request, fields));
        catch_unwind(asking)
            .unwrap_or_else(|_| Answer::unknown("why403 itself failed on this request; please report it"))
    }
}

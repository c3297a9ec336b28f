//! `why403 explain`: one question on the command line, or a request a line and an answer a line.

use std::borrow::Cow;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use super::settings::{Files, ServerOptions};
use super::{ANSWERED, Failure, NOT_ASKED, written};
use crate::ask::{self, AskError, Id, Question};
use crate::explain::{Answer, Bench, Fields};
use crate::fact::{Answers, Fact};
use crate::fs::{Filesystem, Identity};
use crate::report::{human, json, jsonl};
use crate::request::Request;
use crate::server::{LoadOptions, Server};
use crate::world::{NoResolver, World};

/// Largest certificate that is read, in bytes.
const MAX_PEM: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    request: RequestOptions,
    /// A request a line (JSON); `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    requests: Option<PathBuf>,
    /// Parts of the answer to compute and show, comma-separated: request, outcome, cause, trace, assumptions,
    /// alternatives, fixes
    #[arg(long, value_name = "LIST", value_parser = parse_fields)]
    fields: Option<Fields>,
    /// How to show the answer
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

/// The request, in options. With `--requests` they are what a line has where it says nothing itself.
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
    #[arg(value_name = "URL|PATH", required_unless_present = "requests")]
    url: Option<String>,
}

/// How an answer is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
}

fn parse_fields(list: &str) -> Result<Fields, String> {
    Fields::parse(list).map_err(|name| format!("`{name}` is no part of an answer"))
}

fn parse_header(line: &str) -> Result<(String, String), String> {
    let (name, value) = line.split_once(':').ok_or("a header line is `Name: value`")?;
    Ok((name.trim_end().to_owned(), value.trim().to_owned()))
}

impl RequestOptions {
    /// What these options say, as a request line would.
    fn question(&self) -> Question<'_> {
        self.fill(Question { url: borrowed(&self.url), target: borrowed(&self.target), ..Question::default() })
    }

    /// A line, with these options for what it leaves out.
    fn fill<'q>(&'q self, line: Question<'q>) -> Question<'q> {
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

/// A loaded server and the world it lives in: what every question of one invocation shares.
struct Session<'a> {
    server: Server,
    options: LoadOptions,
    loading: &'a dyn Filesystem,
    fs: &'a dyn Filesystem,
    worker: Option<Identity>,
    fields: Fields,
    format: Format,
    style: human::Style,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    // Whoever writes requests into a pipe may change files between them.
    let files = if options.requests.as_deref() == Some(Path::new("-")) { Files::Moving } else { Files::Still };
    let ground = options.server.ground(files)?;
    let (server, load_options) = options.server.load(ground.loading())?;
    let session = Session {
        server,
        options: load_options,
        loading: ground.loading(),
        fs: ground.serving(),
        worker: options.server.worker(ground.loading()),
        fields: options.fields.unwrap_or(Fields::ALL),
        format: options.format,
        style: super::style(),
    };
    match &options.requests {
        None => session.one(options, out),
        Some(path) if path == Path::new("-") => session.lines(options, io::stdin().lock(), out),
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            session.lines(options, io::BufReader::new(file), out)
        }
    }
}

impl Session<'_> {
    /// The question of the command line.
    fn one(&self, options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
        let question = options.request.question();
        let request = self.request(&question).map_err(|error| format!("{}: {}", error.field, error.message))?;
        let answer = self.answer(&request);
        written(self.show("1", &request, &answer, out))?;
        Ok(ANSWERED)
    }

    /// A request a line, an answer a line, each written out before the next is read.
    fn lines(&self, options: &Options, mut input: impl BufRead, out: &mut dyn Write) -> Result<u8, Failure> {
        let mut code = ANSWERED;
        let mut line = Vec::new();
        for number in 1usize.. {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(|error| format!("cannot read requests: {error}"))? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if let Err(error) = self.line(options, number, text, out)? {
                code = NOT_ASKED;
                let id = ask::id_of(text).unwrap_or_else(|| number.to_string());
                written(self.refuse(&id, &error, out))?;
            }
            written(out.flush())?;
        }
        Ok(code)
    }

    /// Answers one line; the inner error is one that the line itself gets.
    fn line(
        &self,
        options: &Options,
        number: usize,
        text: &str,
        out: &mut dyn Write,
    ) -> Result<Result<(), AskError>, Failure> {
        let asked = ask::read(text).and_then(|question| {
            let question = options.request.fill(question);
            let request = self.request(&question)?;
            Ok((question.id.as_ref().map(Id::to_string), request))
        });
        let (id, request) = match asked {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error)),
        };
        let id = id.unwrap_or_else(|| number.to_string());
        let answer = self.answer(&request);
        written(self.show(&id, &request, &answer, out))?;
        Ok(Ok(()))
    }

    fn request(&self, question: &Question) -> Result<Request, AskError> {
        ask::request(question, |path| {
            let path = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
            match self.fs.read(&path, MAX_PEM) {
                Fact::Known(Ok(bytes)) => Ok(bytes),
                Fact::Known(Err(errno)) => Err(format!("cannot read {}: {errno}", path.display())),
                Fact::Unknown(_) => Err(format!("cannot read {}", path.display())),
            }
        })
    }

    fn answer(&self, request: &Request) -> Answer {
        let answers = Answers::new();
        let world = World {
            fs: self.fs,
            worker: self.worker.as_ref(),
            resolver: &NoResolver,
            now: seconds_since_epoch(),
            answers: &answers,
            trace: false,
        };
        let bench = Bench { server: &self.server, options: &self.options, loading: self.loading, world };
        bench.explain(request, self.fields)
    }

    fn show(&self, id: &str, request: &Request, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
        let line = || jsonl::Answer::new(id, &self.server, request, answer, self.fields);
        match self.format {
            Format::Human => {
                let page = human::Page { style: &self.style, server: &self.server, fs: self.fs, request, answer };
                page.write(out)
            }
            Format::Json => json::write(out, &line()),
            Format::Jsonl => jsonl::write_line(out, &line()),
        }
    }

    fn refuse(&self, id: &str, error: &AskError, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            Format::Human => writeln!(out, "{id}: could not be asked: {}: {}", error.field, error.message),
            Format::Json => json::write(out, &jsonl::Refusal::new(id, error)),
            Format::Jsonl => jsonl::write_line(out, &jsonl::Refusal::new(id, error)),
        }
    }
}

/// The time of the question: a link that has expired by now is expired in the answer.
fn seconds_since_epoch() -> Option<i64> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(time.as_secs()).ok()
}

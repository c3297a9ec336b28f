//! `why403 explain`: one question on the command line, or a request a line and an answer a line.

use std::io::{self, BufRead, Read, Write};
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::session::{RequestOptions, Session};
use super::settings::{Files, ServerOptions};
use super::{ANSWERED, Failure, NOT_ASKED, written};
use crate::ask::{self, AskError, Id};
use crate::explain::Fields;
use crate::report::{human, json, jsonl};
use crate::request::Request;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    #[command(flatten)]
    request: RequestOptions,
    /// A request a line (JSON); `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "url", required_unless_present = "url")]
    requests: Option<PathBuf>,
    /// Parts of the answer to compute and show, comma-separated: request, outcome, cause, trace, assumptions,
    /// alternatives, fixes
    #[arg(long, value_name = "LIST", value_parser = parse_fields)]
    fields: Option<Fields>,
    /// How to show the answer
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
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

/// Shows answers.
struct Desk<'a> {
    session: Session<'a>,
    fields: Fields,
    format: Format,
    style: human::Style,
}

pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    // Whoever writes requests into a pipe may change files between them.
    let files = if options.requests.as_deref() == Some(Path::new("-")) { Files::Moving } else { Files::Still };
    let ground = options.server.ground(files)?;
    // The process ends with the command: a large configuration need not be taken apart before.
    let desk = ManuallyDrop::new(Desk {
        session: Session::open(&options.server, &ground)?,
        fields: options.fields.unwrap_or(Fields::ALL),
        format: options.format,
        style: super::style(),
    });
    match &options.requests {
        None => desk.one(options, out),
        Some(path) if path == Path::new("-") => desk.lines(options, io::stdin().lock(), out),
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
            desk.lines(options, file, out)
        }
    }
}

impl Desk<'_> {
    /// The question of the command line.
    fn one(&self, options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
        let question = options.request.question();
        let request = self.session.request(&question).map_err(|error| format!("{}: {}", error.field, error.message))?;
        written(self.show("1", &request, out))?;
        Ok(ANSWERED)
    }

    /// A request a line, an answer a line; all of them are written out before another line is waited for.
    fn lines(&self, options: &Options, input: impl Read, out: &mut dyn Write) -> Result<u8, Failure> {
        let mut input = io::BufReader::new(input);
        let mut code = ANSWERED;
        let mut line = Vec::new();
        let mut list = json::List::default();
        for number in 1usize.. {
            line.clear();
            if memchr::memchr(b'\n', input.buffer()).is_none() {
                written(out.flush())?;
            }
            if input.read_until(b'\n', &mut line).map_err(|error| format!("cannot read requests: {error}"))? == 0 {
                break;
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            if self.format == Format::Json {
                written(list.next(out))?;
            }
            if let Err(error) = self.line(options, number, text, out)? {
                code = NOT_ASKED;
                let id = ask::id_of(text).unwrap_or_else(|| number.to_string());
                written(self.refuse(&id, &error, out))?;
            }
        }
        if self.format == Format::Json {
            written(list.end(out))?;
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
            let request = self.session.request(&question)?;
            Ok((question.id.as_ref().map(Id::to_string), request))
        });
        let (id, request) = match asked {
            Ok(asked) => asked,
            Err(error) => return Ok(Err(error)),
        };
        let id = id.unwrap_or_else(|| number.to_string());
        written(self.show(&id, &request, out))?;
        Ok(Ok(()))
    }

    fn show(&self, id: &str, request: &Request, out: &mut dyn Write) -> io::Result<()> {
        let answer = &self.session.answer(request, self.fields);
        let server = &self.session.server;
        let line = || jsonl::Answer::new(id, server, request, answer, self.fields);
        match self.format {
            Format::Human => {
                let fs = self.session.ground.serving();
                human::Page { style: &self.style, server, fs, request, answer }.write(out)
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

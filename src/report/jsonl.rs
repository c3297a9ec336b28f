//! `why403/explain/v1`: the answer line. The structs here are the contract, spelled out; inner types are free to change.

use std::borrow::Cow;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;

use crate::ask::AskError;
use crate::explain::{self, Fields, Why};
use crate::fix::{self, Safety};
use crate::outcome::{Certainty, Decision, Outcome};
use crate::problem::Problem;
use crate::request::{Peer, Request};
use crate::server::Server;
use crate::source::Origin;

/// The name of this version of the answer.
pub const SCHEMA: &str = "why403/explain/v1";

/// An answer line. A field that was not asked for is left out.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    schema: &'static str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<Seen<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<SureOutcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Option<Cause<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Vec<Step<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    assumptions: Option<Vec<Assumption<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alternatives: Option<Vec<Alternative<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fixes: Option<Vec<Fix<'a>>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
}

/// The request as the server understood it.
#[derive(Debug, Serialize)]
struct Seen<'a> {
    method: Cow<'a, str>,
    target: Cow<'a, str>,
    path: Option<Cow<'a, str>>,
    host: Option<Cow<'a, str>>,
    from: String,
    client: String,
}

#[derive(Debug, Serialize)]
struct SureOutcome {
    kind: &'static str,
    status: Option<u16>,
    certainty: &'static str,
}

/// Kind and status.
#[derive(Debug, Serialize)]
struct Ending {
    kind: &'static str,
    status: Option<u16>,
}

#[derive(Debug, Serialize)]
struct Cause<'a> {
    code: Cow<'a, str>,
    phase: &'a str,
    message: &'a str,
    log: Option<&'a str>,
    directive: Option<Directive<'a>>,
    path: Option<Cow<'a, str>>,
    related: Vec<Related<'a>>,
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    text: Cow<'a, str>,
}

/// A place with what led there; spelled out, since flattening one struct into another is slow.
#[derive(Debug, Serialize)]
struct Directive<'a> {
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    text: Cow<'a, str>,
    default: bool,
    included_from: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    file: Cow<'a, str>,
    line: u32,
}

/// A place with its role, spelled out for the same reason.
#[derive(Debug, Serialize)]
struct Related<'a> {
    role: &'a str,
    file: Cow<'a, str>,
    line: u32,
    column: u32,
    text: Cow<'a, str>,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    phase: &'a str,
    message: &'a str,
    file: Option<Cow<'a, str>>,
    line: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Assumption<'a> {
    question: String,
    assumed: Option<&'a str>,
    path: Option<Cow<'a, str>>,
    directive: Option<Place<'a>>,
}

#[derive(Debug, Serialize)]
struct Alternative<'a> {
    when: &'a [String],
    outcome: Ending,
}

#[derive(Debug, Serialize)]
struct Fix<'a> {
    title: &'a str,
    safety: &'static str,
    edits: Vec<Edit<'a>>,
    commands: Vec<String>,
    then: Option<Ending>,
}

#[derive(Debug, Serialize)]
struct Edit<'a> {
    file: Cow<'a, str>,
    line: u32,
    end_line: u32,
    replacement: &'a str,
}

/// A line that could not be asked.
#[derive(Debug, Serialize)]
pub struct Refusal<'a> {
    id: &'a str,
    error: RefusalError<'a>,
}

#[derive(Debug, Serialize)]
struct RefusalError<'a> {
    field: &'a str,
    message: &'a str,
}

impl<'a> Refusal<'a> {
    /// The line for this error.
    pub fn new(id: &'a str, error: &'a AskError) -> Self {
        Refusal { id, error: RefusalError { field: error.field, message: &error.message } }
    }
}

impl<'a> Answer<'a> {
    /// The line for this answer.
    pub fn new(
        id: &'a str,
        server: &'a Server,
        request: &'a Request,
        answer: &'a explain::Answer,
        fields: Fields,
    ) -> Self {
        Answer {
            schema: SCHEMA,
            id,
            request: fields.request.then(|| seen(request, answer)),
            outcome: fields.outcome.then(|| {
                let Ending { kind, status } = ending(answer.outcome);
                SureOutcome { kind, status, certainty: certainty(answer.certainty) }
            }),
            cause: fields.cause.then(|| cause(server, answer)),
            trace: fields.trace.then(|| trace(server, answer)),
            assumptions: fields
                .assumptions
                .then(|| answer.assumptions.iter().map(|assumption| assumed(server, assumption)).collect()),
            alternatives: fields.alternatives.then(|| {
                let line = |it: &'a explain::Alternative| Alternative { when: &it.when, outcome: ending(it.outcome) };
                answer.alternatives.iter().map(line).collect()
            }),
            fixes: fields.fixes.then(|| answer.fixes.iter().map(fix).collect()),
            notes: &answer.run.notes,
        }
    }
}

/// Writes one value as one line.
pub fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    // One write a line: through `dyn Write` every token would be one. Most lines are shorter than this.
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, line)?;
    text.push(b'\n');
    out.write_all(&text)
}

/// The client's address as it is asked about.
pub fn peer(peer: Peer) -> String {
    peer.to_string()
}

fn seen<'a>(request: &'a Request, answer: &'a explain::Answer) -> Seen<'a> {
    let seen = &answer.run.seen;
    let from = peer(request.peer);
    Seen {
        method: String::from_utf8_lossy(&request.method),
        target: String::from_utf8_lossy(&request.target),
        path: seen.path.as_deref().map(String::from_utf8_lossy),
        host: seen.host.as_deref().map(String::from_utf8_lossy),
        client: seen.client.map_or_else(|| from.clone(), peer),
        from,
    }
}

fn ending(outcome: Outcome) -> Ending {
    let (kind, status) = match outcome {
        Outcome::Response(status) => ("response", Some(status)),
        Outcome::Upstream => ("upstream", None),
        Outcome::Closed => ("closed", None),
        Outcome::Refused => ("refused", None),
        Outcome::Unknown => ("unknown", None),
    };
    Ending { kind, status }
}

fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Certain => "certain",
        Certainty::Conditional => "conditional",
        Certainty::Unknown => "unknown",
    }
}

fn cause<'a>(server: &'a Server, answer: &'a explain::Answer) -> Option<Cause<'a>> {
    match answer.why.as_ref()? {
        Why::Refused(problem) => Some(refusal(server, problem)),
        Why::Decided(sentences) => {
            let decision = answer.run.decision.as_ref()?;
            Some(Cause {
                code: decision.cause.code.into(),
                phase: decision.cause.phase,
                message: &sentences.what,
                log: decision.log.as_deref(),
                directive: decision.directive.map(|origin| directive(server, origin, decision)),
                path: decision.path.as_deref().map(text),
                related: decision
                    .related
                    .iter()
                    .map(|related| {
                        let Place { file, line, column, text } = place(server, related.origin);
                        Related { role: related.role, file, line, column, text }
                    })
                    .collect(),
            })
        }
    }
}

/// The first problem, at the line that the server itself names.
fn refusal<'a>(server: &'a Server, problem: &'a Problem) -> Cause<'a> {
    Cause {
        code: format!("{}/{}", server.kind().name(), problem.kind.id()).into(),
        phase: "configuration",
        message: &problem.message,
        log: Some(&problem.message),
        directive: problem_place(server, problem),
        path: None,
        related: Vec::new(),
    }
}

fn problem_place<'a>(server: &'a Server, problem: &'a Problem) -> Option<Directive<'a>> {
    let sources = server.sources();
    let written = problem.origin.map(|origin| (origin, place(server, origin)));
    let included_from = problem.origin.map(|origin| chain(server, origin)).unwrap_or_default();
    let place = match (problem.reported, written) {
        (Some((file, line)), Some((origin, mut place))) if origin.span.file == file => {
            // The column belongs to the line on which the directive starts; the server may name a later one.
            if place.line != line {
                place.column = 1;
                place.line = line;
            }
            place
        }
        (Some((file, line)), _) => {
            let file = sources.file(file);
            let words = file.line(line).unwrap_or_default().trim_ascii();
            Place { file: text(&file.path), line, column: 1, text: lossy(words) }
        }
        (None, Some((_, place))) => place,
        (None, None) => return None,
    };
    Some(Directive::new(place, false, included_from))
}

fn directive<'a>(server: &'a Server, origin: Origin, decision: &Decision) -> Directive<'a> {
    Directive::new(place(server, origin), decision.default, chain(server, origin))
}

impl<'a> Directive<'a> {
    fn new(Place { file, line, column, text }: Place<'a>, default: bool, included_from: Vec<Line<'a>>) -> Self {
        Directive { file, line, column, text, default, included_from }
    }
}

fn chain(server: &Server, origin: Origin) -> Vec<Line<'_>> {
    let sources = server.sources();
    let line = |at: Origin| Line { file: text(&sources.file(at.span.file).path), line: sources.start(at.span).line };
    sources.chain(origin).into_iter().map(|inclusion| line(inclusion.at)).collect()
}

fn place(server: &Server, origin: Origin) -> Place<'_> {
    let sources = server.sources();
    let start = sources.start(origin.span);
    Place {
        file: text(&sources.file(origin.span.file).path),
        line: start.line,
        column: start.column,
        text: lossy(server.kind().head(sources.text(origin.span))),
    }
}

fn trace<'a>(server: &'a Server, answer: &'a explain::Answer) -> Vec<Step<'a>> {
    let sources = server.sources();
    let steps = answer.run.trace.iter().zip(&answer.steps);
    steps
        .map(|(step, message)| Step {
            phase: step.phase,
            message,
            file: step.origin.map(|origin| text(&sources.file(origin.span.file).path)),
            line: step.origin.map(|origin| sources.start(origin.span).line),
        })
        .collect()
}

fn assumed<'a>(server: &'a Server, assumption: &'a explain::Assumption) -> Assumption<'a> {
    Assumption {
        question: assumption.question.subject.to_string(),
        assumed: assumption.assumed.as_deref(),
        path: assumption.question.path().map(text),
        directive: assumption.question.origin.map(|origin| place(server, origin)),
    }
}

fn fix(fix: &fix::Fix) -> Fix<'_> {
    Fix {
        title: &fix.title,
        safety: match fix.safety {
            Safety::Safe => "safe",
            Safety::Review => "review",
        },
        edits: fix
            .edits
            .iter()
            .map(|edit| Edit {
                file: text(&edit.file),
                line: edit.line,
                end_line: edit.end_line,
                replacement: &edit.replacement,
            })
            .collect(),
        commands: fix.commands.iter().map(ToString::to_string).collect(),
        then: fix.then.map(ending),
    }
}

fn text(path: &Path) -> Cow<'_, str> {
    lossy(path.as_os_str().as_bytes())
}

/// Most texts are UTF-8, which is seen faster than it is repaired.
fn lossy(text: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)
}

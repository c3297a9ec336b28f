//! What a rule sees, and how it reports.

use std::cell::OnceCell;

use crate::fact::{Answers, Asked};
use crate::finding::{Finding, Level, Place, RelatedPlace, Witness};
use crate::fix::Fix;
use crate::lint::settings::RuleOptions;
use crate::outcome::{Certainty, Outcome, Run};
use crate::request::Request;
use crate::rules::Rule;
use crate::rules::blocks::Blocks;
use crate::rules::sections::Layout;
use crate::rules::spots::{self, Spot};
use crate::server::Server;
use crate::source::{Origin, SourceFile, SourceMap, Span};
use crate::world::World;
use crate::{apache, nginx};

/// A loaded configuration in its world, as a rule sees it.
pub struct Subject<'a> {
    /// The configuration.
    pub server: &'a Server,
    /// The world it lives in.
    pub world: World<'a>,
    /// Only a part of a configuration is known: what stands around it is made up.
    pub fragment: bool,
    /// Whether the world has a file tree (`false` under `--no-fs` and for standard input).
    pub tree: bool,
    /// Options of the rule that runs.
    pub options: &'a RuleOptions,
    /// What the rules for Apache share.
    pub(crate) layout: &'a OnceCell<Layout>,
    /// The text of an nginx configuration, for the rules about what the model does not hold.
    pub(crate) blocks: Option<&'a Blocks<'a>>,
    /// What the rules for nginx share.
    pub(crate) spots: &'a OnceCell<Vec<Spot<'a>>>,
}

impl<'a> Subject<'a> {
    /// The nginx configuration, if it is one.
    pub fn nginx(&self) -> Option<&'a nginx::Config> {
        match self.server {
            Server::Nginx(config) => Some(config),
            Server::Apache(_) => None,
        }
    }

    /// The `http` block of an nginx configuration.
    pub fn http(&self) -> Option<&'a nginx::model::Http> {
        self.nginx()?.http.as_ref()
    }

    /// The text of an nginx configuration and its `http` block.
    pub(crate) fn blocks_and_http(&self) -> Option<(&'a Blocks<'a>, &'a nginx::model::Http)> {
        Some((self.blocks?, self.http()?))
    }

    /// The Apache configuration, if it is one.
    pub fn apache(&self) -> Option<&'a apache::Config> {
        match self.server {
            Server::Apache(config) => Some(config),
            Server::Nginx(_) => None,
        }
    }

    /// The Apache configuration with its sections and mappings, if it is one.
    pub(crate) fn layout(&self) -> Option<(&'a apache::Config, &'a Layout)> {
        let config = self.apache()?;
        let layout = self.layout.get_or_init(|| Layout::of(self, config));
        layout.reset();
        Some((config, layout))
    }

    /// Every place of the nginx configuration whose settings can be in force, in its order; none for Apache's.
    pub(crate) fn spots(&self) -> &'a [Spot<'a>] {
        self.spots
            .get_or_init(|| self.nginx().and_then(|config| config.http.as_ref()).map(spots::spots).unwrap_or_default())
    }

    /// The texts.
    pub fn sources(&self) -> &'a SourceMap {
        self.server.sources()
    }

    /// What the server answers. The certainty is `Certain` where nothing was asked or no answer to what was asked changes
    /// the outcome (each question is flipped once, alone; a rule needs no more).
    pub fn ask(&self, request: &Request) -> (Run, Certainty) {
        let run = self.server.evaluate(request, &self.world);
        let certainty = match run.outcome {
            Outcome::Unknown => Certainty::Unknown,
            _ if run.asked.iter().all(|asked| self.settled(request, &run, asked)) => Certainty::Certain,
            _ => Certainty::Conditional,
        };
        (run, certainty)
    }

    fn settled(&self, request: &Request, run: &Run, asked: &Asked) -> bool {
        (0..asked.alternatives.len()).filter(|&other| other != asked.chosen).all(|other| {
            let mut answers: Answers = self.world.answers.clone();
            answers.insert(asked.question.subject.clone(), other);
            let world = World { answers: &answers, trace: false, ..self.world };
            self.server.evaluate(request, &world).outcome == run.outcome
        })
    }
}

/// The findings of one rule on one configuration.
pub struct Findings<'a> {
    rule: &'static Rule,
    sources: &'a SourceMap,
    found: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// No findings yet.
    pub fn new(rule: &'static Rule, sources: &'a SourceMap) -> Self {
        Findings { rule, sources, found: Vec::new() }
    }

    /// Reports at a directive. The message says what happens, to whom, and why: one line, lower case, no final stop.
    /// What else belongs to the finding is added to what this returns.
    pub fn at(&mut self, origin: Origin, message: impl Into<String>) -> &mut Finding {
        let place = place(self.sources, origin.span);
        let text = line_text(self.sources.file(origin.span.file), &place);
        self.add(place, text, message.into())
    }

    /// Reports at a place that no directive of the configuration holds (a file of the tree).
    pub fn at_place(&mut self, place: Place, message: impl Into<String>) -> &mut Finding {
        let file = self.sources.files().map(|(_, file)| file).find(|file| file.path == place.file);
        let text = file.map(|file| line_text(file, &place)).unwrap_or_default();
        self.add(place, text, message.into())
    }

    fn add(&mut self, place: Place, text: String, message: String) -> &mut Finding {
        self.found.push(Finding {
            rule: self.rule.id,
            level: self.rule.level,
            category: self.rule.category,
            certainty: Certainty::Certain,
            message,
            place,
            text,
            related: Vec::new(),
            witness: None,
            fix: None,
            help: None,
            count: 1,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// A related place for a finding.
    pub fn related(&self, origin: Origin, message: impl Into<String>) -> RelatedPlace {
        RelatedPlace { message: message.into(), place: place(self.sources, origin.span) }
    }

    /// Everything found.
    pub fn into_vec(self) -> Vec<Finding> {
        self.found
    }
}

impl Finding {
    /// Another level than the rule's own.
    pub fn level(&mut self, level: Level) -> &mut Self {
        self.level = level;
        self
    }

    /// Another place that belongs to it.
    pub fn with(&mut self, related: RelatedPlace) -> &mut Self {
        self.related.push(related);
        self
    }

    /// The proof.
    pub fn proven_by(&mut self, witness: Witness, certainty: Certainty) -> &mut Self {
        self.witness = Some(witness);
        self.certainty = certainty;
        self
    }

    /// The repair.
    pub fn fixed_by(&mut self, fix: Fix) -> &mut Self {
        self.fix = Some(fix);
        self
    }

    /// Advice.
    pub fn advise(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// Where a span stands, cut to its first line.
pub fn place(sources: &SourceMap, span: Span) -> Place {
    let file = sources.file(span.file);
    let start = file.line_column(span.start);
    let text = sources.text(span);
    let length = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let length = text[..length].strip_suffix(b"\r").map_or(length, <[u8]>::len);
    Place {
        file: file.path.clone(),
        line: start.line,
        column: start.column,
        end_line: start.line,
        end_column: start.column + length as u32,
    }
}

/// The trimmed text of a place's first line, for the fingerprint.
fn line_text(file: &SourceFile, place: &Place) -> String {
    String::from_utf8_lossy(file.line(place.line).unwrap_or_default()).trim().to_owned()
}

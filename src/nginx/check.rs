//! What `nginx -t` says of a configuration, without looking at the machine.
//!
//! The configuration is read once, in nginx's order: each directive is looked up (`ngx_conf_handler`), its arguments are
//! counted, its setter reads them, its block is read, and at the end of `http` the modules see the whole. The first
//! refusal is the one that nginx prints; reading goes on after it as well as it can. Files, certificates, users and host names
//! are not looked for: whether they are there is no fact of the text.

mod access;
mod core;
mod databases;
mod finish;
mod http;
mod images;
mod limits;
mod listen;
mod logs;
mod misc;
mod proxy;
mod rewrite;
mod scope;
mod setter;
mod sticky;
mod stream;
mod tables;
mod upstream;
pub mod value;
mod variables;

pub(super) use databases::databases;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::nginx::build::Build;
use crate::nginx::directives::{self, Contexts, Row, Setter};
use crate::nginx::include::{Loaded, Placed, Step};
use crate::nginx::version::Version;
use crate::pattern::Pattern;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::source::{FileId, InclusionId, Origin, Span};
use crate::syntax::Items;

/// Everything that nginx would say, in its order.
pub fn check(loaded: &Loaded, build: &Build) -> Vec<Problem> {
    let mut checker = Checker::new(loaded, build);
    if let Some(failure) = loaded.main_failure() {
        let (kind, message, severity) = (failure.kind, failure.message.clone(), failure.severity);
        checker.problems.push(Problem { severity, kind, message, origin: None, reported: None, help: None });
    }
    if let Some(main) = loaded.main {
        checker.file(main);
    }
    checker.problems
}

/// Why a directive is refused.
#[derive(Debug)]
struct Refusal {
    kind: ProblemKind,
    message: String,
    /// The text to point at, where it is not the whole directive.
    origin: Option<Origin>,
    /// The place that nginx names, where it is not the one at which it reads.
    named: Named,
    help: Option<String>,
}

/// The place in nginx's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// Where the lexer stands.
    Here,
    /// None.
    Nowhere,
    /// Another one: a byte of a file.
    At(FileId, u32),
}

type Verdict<T = ()> = Result<T, Refusal>;

/// A value that nginx refuses.
fn bad<T>(message: impl Into<String>) -> Verdict<T> {
    Err(refusal(message))
}

fn refusal(message: impl Into<String>) -> Refusal {
    Refusal { kind: ProblemKind::Value, message: message.into(), origin: None, named: Named::Here, help: None }
}

/// A value as nginx prints it in a message.
fn show(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// A directive that is being read, as every setter sees it (`ngx_command_t`, `cf->args`).
#[derive(Clone, Copy)]
struct Line<'a, 'v> {
    /// Its row in the table.
    row: &'static Row,
    directive: Placed<'a>,
    /// Its arguments.
    values: &'v [&'a [u8]],
}

/// A block that is being read.
struct Block<'a> {
    context: Contexts,
    /// The directive that opened it; `None` for the main file.
    opener: Option<Placed<'a>>,
    /// Directives that may stand here once, and did: a few, so a list.
    seen: Vec<&'static str>,
    /// Values of bitmask directives that were given.
    bits: Vec<(&'static str, usize)>,
    /// The location, where the block is one or lies in one.
    location: scope::Place<'a>,
    /// What the end of the block needs to know.
    facts: scope::Facts,
}

impl<'a> Block<'a> {
    fn new(context: Contexts, opener: Option<Placed<'a>>) -> Self {
        let (seen, bits) = (Vec::new(), Vec::new());
        Block { context, opener, seen, bits, location: scope::Place::default(), facts: scope::Facts::default() }
    }

    /// nginx's usual answer to a second use: `is duplicate`.
    fn once(&mut self, name: &'static str) -> Verdict {
        if self.seen.contains(&name) {
            return bad(format!("\"{name}\" directive is duplicate"));
        }
        self.seen.push(name);
        Ok(())
    }
}

/// A file that is being read, with the faults of its text that were not met yet.
struct Reading {
    file: FileId,
    via: Option<InclusionId>,
    next_fault: usize,
}

struct Checker<'a> {
    loaded: &'a Loaded,
    build: Build,
    problems: Vec<Problem>,
    reading: Vec<Reading>,
    /// The byte at which nginx's lexer stands.
    at: (FileId, u32),
    /// The row of each name that was met in each kind of block. Only names that this build has are kept.
    rows: HashMap<(&'static [u8], Contexts), &'static Row, BuildHasherDefault<directives::NameHasher>>,
    /// Regular expressions that were met, with case and without: servers repeat each other's.
    patterns: [HashMap<Box<[u8]>, Arc<Pattern>>; 2],
    /// Lists of values that were given back, to be filled again.
    spare: Vec<Vec<&'a [u8]>>,
    main: core::Main,
    zones: limits::Zones,
    http: scope::Http<'a>,
    stream: stream::Stream<'a>,
}

impl<'a> Checker<'a> {
    fn new(loaded: &'a Loaded, build: &Build) -> Self {
        let modern = build.version >= Version::NEWEST;
        Checker {
            loaded,
            build: build.clone(),
            problems: Vec::new(),
            reading: Vec::new(),
            at: (FileId(0), 0),
            rows: HashMap::default(),
            patterns: Default::default(),
            spare: Vec::new(),
            main: core::Main::default(),
            zones: limits::Zones::default(),
            http: scope::Http::new(build, modern),
            stream: stream::Stream::new(build, modern),
        }
    }

    /// Whether the newer of the two known versions is followed.
    fn modern(&self) -> bool {
        self.build.version >= Version::NEWEST
    }

    /// The values of a directive's arguments.
    fn values(&self, directive: Placed<'a>) -> Vec<&'a [u8]> {
        directive.directive.args().map(|word| word.value(&self.loaded.sources)).collect()
    }

    /// The same in a list that is given back by [`Checker::give_back`]: most directives need one.
    fn borrow_values(&mut self, directive: Placed<'a>) -> Vec<&'a [u8]> {
        let mut values = self.spare.pop().unwrap_or_default();
        values.extend(directive.directive.args().map(|word| word.value(&self.loaded.sources)));
        values
    }

    fn give_back(&mut self, mut values: Vec<&'a [u8]>) {
        values.clear();
        self.spare.push(values);
    }

    fn name(&self, directive: Placed<'a>) -> &'a [u8] {
        directive.directive.name().value(&self.loaded.sources)
    }

    /// The main file: `ngx_init_cycle`, as far as the configuration goes.
    fn file(&mut self, main: FileId) {
        self.reading.push(Reading { file: main, via: None, next_fault: 0 });
        let mut block = Block::new(Contexts::MAIN, None);
        let items = self.loaded.items(main);
        self.read(items, None, &mut block);
        self.faults_before(u32::MAX);
        if self.problems.iter().all(|problem| problem.severity != Severity::Refused) {
            self.end_of_configuration(&block);
        }
    }

    /// Reads the directives of a block or file, included ones too.
    fn read(&mut self, items: Items<'a>, via: Option<InclusionId>, block: &mut Block<'a>) {
        self.each(items, via, |checker, directive| checker.directive(directive, block));
    }

    /// Reads a block with a grammar of its own (`map`, `types`): a block in it is refused, and so on for each line.
    fn lines(&mut self, block: Placed<'a>, mut line: impl FnMut(&mut Self, Placed<'a>) -> Verdict) {
        self.each(block.items(), block.via, |checker, directive| {
            let verdict = match directive.is_block() {
                true => Err(Refusal { kind: ProblemKind::Syntax, ..refusal("unexpected \"{\"") }),
                false => line(checker, directive),
            };
            checker.report(directive, verdict);
        });
        self.stand(block.span().file, block.span().end.saturating_sub(1));
    }

    fn each(&mut self, items: Items<'a>, via: Option<InclusionId>, mut visit: impl FnMut(&mut Self, Placed<'a>)) {
        let loaded = self.loaded;
        for step in loaded.steps(items, via) {
            match step {
                Step::Directive(directive) => {
                    self.stand(directive.span().file, directive.reported_at());
                    visit(self, directive);
                }
                Step::Include(include) => {
                    self.stand(include.span().file, include.reported_at());
                    self.missing(include);
                }
                Step::Enter(file, via) => self.reading.push(Reading { file, via: Some(via), next_fault: 0 }),
                Step::Leave => {
                    self.faults_before(u32::MAX);
                    self.reading.pop();
                }
            }
        }
    }

    /// The lexer has come to a byte: faults of the text before it were met.
    fn stand(&mut self, file: FileId, byte: u32) {
        self.faults_before(byte);
        self.at = (file, byte);
    }

    fn faults_before(&mut self, byte: u32) {
        let loaded = self.loaded;
        let Some(reading) = self.reading.last_mut() else { return };
        let (file, via) = (reading.file, reading.via);
        let faults = &loaded.faults(file)[reading.next_fault..];
        let met = faults.iter().take_while(|fault| fault.met <= byte).count();
        reading.next_fault += met;
        for fault in &faults[..met] {
            self.problems.push(Problem {
                severity: Severity::Refused,
                kind: fault.kind,
                message: fault.message.clone(),
                origin: Some(Origin { span: fault.span, via }),
                reported: Some((file, loaded.sources.file(file).line_column(fault.reported_at).line)),
                help: None,
            });
        }
    }

    /// An `include` that read nothing.
    fn missing(&mut self, include: Placed<'a>) {
        let Some(failure) = self.loaded.failure(include) else { return };
        let refusal = Refusal { kind: failure.kind, ..refusal(failure.message.clone()) };
        self.push(failure.severity, Some(include.origin()), refusal);
    }

    fn report(&mut self, directive: Placed<'a>, verdict: Verdict) {
        if let Err(refusal) = verdict {
            self.push(Severity::Refused, Some(directive.origin()), refusal);
        }
    }

    fn warn(&mut self, directive: Placed<'a>, message: impl Into<String>) {
        self.push(Severity::Warning, Some(directive.origin()), refusal(message));
    }

    fn push(&mut self, severity: Severity, origin: Option<Origin>, refusal: Refusal) {
        let named = match refusal.named {
            Named::Here => Some(self.at),
            Named::Nowhere => None,
            Named::At(file, byte) => Some((file, byte)),
        };
        let reported = named.map(|(file, byte)| (file, self.loaded.sources.file(file).line_column(byte).line));
        let Refusal { kind, message, help, .. } = refusal;
        self.problems.push(Problem { severity, kind, message, origin: refusal.origin.or(origin), reported, help });
    }

    /// `ngx_conf_handler`: the directive's row, its arguments, its setter.
    fn directive(&mut self, directive: Placed<'a>, block: &mut Block<'a>) {
        let verdict = match self.find(directive, block.context) {
            Ok(row) => {
                let values = self.borrow_values(directive);
                let verdict = self.set(Line { row, directive, values: &values }, block);
                self.give_back(values);
                verdict
            }
            Err(refusal) => Err(refusal),
        };
        self.report(directive, verdict);
    }

    fn find(&mut self, directive: Placed<'a>, context: Contexts) -> Verdict<&'static Row> {
        let name = self.name(directive);
        let row = self.row(name, directive, context)?;
        let shown = || show(name);
        match (row.block, directive.is_block()) {
            (false, true) => {
                let message = format!("directive \"{}\" is not terminated by \";\"", shown());
                return Err(Refusal { kind: ProblemKind::Syntax, ..refusal(message) });
            }
            (true, false) => {
                let message = format!("directive \"{}\" has no opening \"{{\"", shown());
                return Err(Refusal { kind: ProblemKind::Syntax, ..refusal(message) });
            }
            _ => {}
        }
        if !row.arity.accepts(directive.args().len()) {
            let message = format!("invalid number of arguments in \"{}\" directive", shown());
            return Err(Refusal { kind: ProblemKind::Arity, help: self.swallowed(directive), ..refusal(message) });
        }
        Ok(row)
    }

    /// The row of a name in a block, looked up in the tables once.
    fn row(&mut self, name: &[u8], directive: Placed<'a>, context: Contexts) -> Verdict<&'static Row> {
        if let Some(&row) = self.rows.get(&(name, context)) {
            return Ok(row);
        }
        let shown = show(name);
        let rows = directives::rows(name);
        let built: Vec<&'static Row> = rows.iter().filter(|row| self.build.has(row)).collect();
        let Some(&row) = built.iter().find(|row| row.contexts.overlaps(context)) else {
            let origin = Some(Origin { span: directive.name().span, via: directive.via });
            if built.is_empty() {
                return Err(Refusal { origin, ..self.unknown(name, rows) });
            }
            let allowed = Contexts(built.iter().fold(0, |bits, row| bits | row.contexts.0));
            let allowed: Vec<&str> = allowed.names().collect();
            let help = Some(format!("`{shown}` is allowed in {}", allowed.join(", ")));
            let message = format!("\"{shown}\" directive is not allowed here");
            return Err(Refusal { kind: ProblemKind::Context, origin, help, ..refusal(message) });
        };
        self.rows.insert((row.name.as_bytes(), context), row);
        Ok(row)
    }

    fn unknown(&self, name: &[u8], rows: &'static [Row]) -> Refusal {
        let refused = refusal(format!("unknown directive \"{}\"", show(name)));
        if let Some(row) = rows.first() {
            let has_module = rows.iter().any(|row| self.build.has_module(row.module));
            let help = if has_module {
                format!("nginx {} has no such directive", self.build.version)
            } else {
                format!("it belongs to {}, which this build does not have", row.module)
            };
            let kind = if has_module { ProblemKind::UnknownDirective } else { ProblemKind::MissingModule };
            return Refusal { kind, help: Some(help), ..refused };
        }
        let known = directives::all().iter().filter(|row| self.build.has(row)).map(|row| row.name);
        let help = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        Refusal { kind: ProblemKind::UnknownDirective, help, ..refused }
    }

    /// A forgotten `;` makes the next line part of this directive: the first argument on a later line that is a directive.
    fn swallowed(&self, directive: Placed<'a>) -> Option<String> {
        let line = |span: Span| self.loaded.sources.start(span).line;
        let mut before = directive.name().span;
        for word in directive.args() {
            let value = word.value(&self.loaded.sources);
            if line(word.span) > line(before) && !word.quoted && !directives::rows(value).is_empty() {
                return Some(format!("a `;` seems to be missing at the end of line {}", line(before)));
            }
            before = word.span;
        }
        None
    }

    /// Runs the setter.
    fn set(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        match line.row.setter {
            Setter::Own => self.own(line, block),
            _ => self.common(line, block),
        }
    }
}

/// The known name closest to a wrong one, if it is close: at most two letters off, one for short names.
fn nearest(name: &[u8], known: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let limit = if name.len() < 5 { 1 } else { 2 };
    let scored = known
        .filter(|near| near.len().abs_diff(name.len()) <= limit)
        .map(|near| (distance(name, near.as_bytes()), near));
    scored.filter(|(distance, _)| *distance <= limit).min().map(|(_, near)| near)
}

/// Optimal string alignment: insertions, deletions, changes and swaps of neighbours.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (rows[i][j] + usize::from(x != y)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;
    use crate::nginx::include;
    use crate::server::LoadOptions;
    use std::path::Path;

    fn problems(files: &[(&str, &str)], version: &str) -> Vec<Problem> {
        let main = Path::new("/etc/nginx/nginx.conf");
        let fs = files.iter().fold(MemoryFs::new(), |fs, (path, text)| fs.file(path, text));
        let mut options = LoadOptions::new(main);
        options.version = Some(version.to_owned());
        options.modules =
            directives::profiles().iter().find(|known| known.version == version).map(|known| known.name.to_owned());
        check(&include::load(main, &fs), &Build::resolve(&options).0)
    }

    /// As in recorded.tsv: the first refusal, else the first warning, else `ok`.
    fn verdict(text: &str, version: &str) -> String {
        let problems = problems(&[("/etc/nginx/nginx.conf", text)], version);
        match (crate::problem::first_refusal(&problems), problems.first()) {
            (Some(Problem { reported: Some((_, line)), message, .. }), _) => format!("{line}: {message}"),
            (Some(Problem { message, .. }), _) => message.clone(),
            (None, Some(warning)) => format!("warn {}", warning.message),
            (None, None) => "ok".to_owned(),
        }
    }

    /// The words of PCRE differ with its version.
    fn without_pcre(text: &str) -> &str {
        text.split("_compile() failed").next().unwrap_or(text).trim_end_matches("pcre2").trim_end_matches("pcre")
    }

    #[test]
    fn every_recorded_message_is_said() {
        let mut wrong = Vec::new();
        for line in include_str!("check/recorded.tsv").lines().filter(|line| !line.starts_with('#')) {
            let columns: Vec<&str> = line.split('\t').collect();
            let &[context, text, old, new] = columns.as_slice() else { panic!("four columns: {line}") };
            let text = match context {
                "server" => format!("events {{}}\nhttp {{\nserver {{\n{text}\n}}\n}}\n"),
                "image_filter" => format!(
                    "load_module ngx_http_image_filter_module.so; events {{}}\nhttp {{\nserver {{ location / {{\n{text}\n}}\n}}\n}}\n"
                ),
                _ => format!("events {{}}\nhttp {{\n{text}\n}}\n"),
            };
            for (version, recorded) in [("1.22.1", old), ("1.31.3", new)] {
                // That build has no such module.
                if recorded == "-" {
                    continue;
                }
                let said = verdict(&text, version);
                if without_pcre(&said) != without_pcre(recorded) {
                    wrong.push(format!("{version}: {text}\n  nginx: {recorded}\n  here:  {said}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_refusal_in_an_included_file_names_that_file() {
        let files = [
            ("/etc/nginx/nginx.conf", "events {}\nhttp {\ninclude a;\n}\n"),
            ("/etc/nginx/a", "\nserver {\n listen 80\n foo\n;\n}"),
        ];
        let found = problems(&files, "1.31.3");
        let first = &found[0];
        assert_eq!(first.reported.map(|(file, line)| (file.0, line)), Some((1, 5)));
        assert_eq!(first.origin.and_then(|origin| origin.via).map(|via| via.0), Some(0));
    }

    #[test]
    fn faults_of_the_text_come_in_their_turn() {
        let found = problems(&[("/etc/nginx/nginx.conf", "foo;\n}\nbar;\n")], "1.31.3");
        let messages: Vec<&str> = found.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, ["unknown directive \"foo\"", "unexpected \"}\"", "unknown directive \"bar\""]);
    }

    #[test]
    fn help_is_offered() {
        let help = |text: &str| {
            let text = format!("events {{}}\nhttp {{\nserver {{\n{text}\n}}\n}}\n");
            problems(&[("/etc/nginx/nginx.conf", &text)], "1.31.3")[0].help.clone().unwrap_or_default()
        };
        assert_eq!(help("alow all;"), "did you mean `allow`?");
        assert_eq!(help("internal;"), "`internal` is allowed in location");
        assert_eq!(help("autoindex on\nlisten 80;"), "a `;` seems to be missing at the end of line 4");
        assert_eq!(
            help("modsecurity on;"),
            "it belongs to ngx_http_modsecurity_module, which this build does not have"
        );
    }
}

//! The lines of a file become nodes (`ap_build_config_sub`), and what runs while reading runs (`execute_now`).

use std::borrow::Cow;
use std::path::Path;

use super::input::{Input, Text, TooLong};
use super::modules::Added;
use super::piece::Piece;
use super::{Known, Node, Override, SERVER_LEVEL, include, macros};
use crate::apache::directives::{NONFATAL_OVERRIDE, Row};
use crate::apache::{arity, directives, lex};
use crate::fact::{Fact, Question};
use crate::fs::Filesystem;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::source::{FileId, InclusionId, InclusionKind, MAX_FILE, Origin, SourceMap};

/// Sections and conditions inside each other, over all files; a limit of this program.
const MAX_NESTING: usize = 256;
/// Lines read over all files; a limit of this program, against includes and macros that multiply.
const MAX_LINES: usize = 4_000_000;
/// Bytes read over all lines, after replacement; a limit of this program.
const MAX_BYTES: usize = 1 << 30;
/// Includes inside each other (`AP_MAX_INCLUDE_DEPTH`).
const MAX_INCLUDES: u32 = 128;

/// Reading stops at the first refusal, as the server does.
pub(super) type Stop = Box<Problem>;

/// The nodes of one level of the tree, and the sections that are open in it.
#[derive(Debug, Default)]
pub(super) struct Builder {
    /// Finished nodes of the outermost level.
    pub roots: Vec<Node>,
    /// Open sections, outermost first.
    open: Vec<Node>,
}

impl Builder {
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(section) => section.children.push(node),
            None => self.roots.push(node),
        }
    }

    fn close(&mut self) {
        if let Some(mut section) = self.open.pop() {
            section.children.shrink_to_fit();
            self.add(section);
        }
    }

    /// Everything that was read; sections that nothing closed end here.
    pub fn finish(mut self) -> Vec<Node> {
        while !self.open.is_empty() {
            self.close();
        }
        self.roots
    }
}

/// The state of one reading.
pub(super) struct Reader<'a> {
    /// What is known so far; what an `.htaccess` adds is its own.
    pub known: Cow<'a, Known>,
    pub(super) fs: &'a dyn Filesystem,
    pub(super) sources: &'a SourceMap,
    /// What may stand in the `.htaccess` that is read; `None`: the main configuration.
    pub(super) allowed: Option<&'a Override>,
    /// Problems so far.
    pub problems: Vec<Problem>,
    /// What could not be known.
    pub questions: Vec<Question>,
    nesting: usize,
    includes: u32,
    lines: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    pub fn new(
        known: Cow<'a, Known>,
        fs: &'a dyn Filesystem,
        sources: &'a SourceMap,
        allowed: Option<&'a Override>,
    ) -> Self {
        Reader {
            known,
            fs,
            sources,
            allowed,
            problems: Vec::new(),
            questions: Vec::new(),
            nesting: 0,
            includes: 0,
            lines: 0,
            bytes: 0,
        }
    }

    /// Reads a file of the main configuration. `at`: the directive that includes it.
    pub fn read_file(&mut self, path: &Path, at: Option<(Origin, u32)>, nodes: &mut Vec<Node>) -> Result<(), Stop> {
        let message = |why: String| format!("could not open configuration file {}: {why}", path.display());
        match self.fs.read(path, MAX_FILE) {
            Fact::Known(Ok(bytes)) => {
                let file = self.sources.add(path, bytes);
                let via = at.map(|(at, _)| self.sources.include(file, at, InclusionKind::Include));
                self.read_source(file, via, nodes)
            }
            Fact::Known(Err(errno)) => Err(refusal(ProblemKind::MissingFile, message(include::describe(errno)), at)),
            Fact::Unknown(question) => {
                self.problems.push(Problem {
                    severity: Severity::Warning,
                    ..*refusal(ProblemKind::MissingFile, message("its content is not known".into()), at)
                });
                self.questions.push(Question { origin: at.map(|(origin, _)| origin), ..question });
                Ok(())
            }
        }
    }

    /// Reads a file whose bytes are known (`ap_build_config`); what it opens it must close.
    pub fn read_source(&mut self, file: FileId, via: Option<InclusionId>, nodes: &mut Vec<Node>) -> Result<(), Stop> {
        let limit = if self.allowed.is_some() { lex::MAX_HTACCESS_LINE } else { lex::MAX_LINE };
        let mut input = Input::new(file, via, self.sources.file(file).bytes.clone(), limit);
        let mut builder = Builder::default();
        let mut result = Ok(());
        while let Some(text) = self.next(&mut input).transpose() {
            result = text.and_then(|text| self.line(text, &mut input, &mut builder));
            if result.is_err() {
                break;
            }
        }
        if result.is_ok() && !builder.open.is_empty() {
            result = Err(self.not_closed(&builder));
        }
        nodes.append(&mut builder.finish());
        result
    }

    /// Every open section is named, innermost first. The outermost is the one blamed, except in an `.htaccess`, where
    /// the message is all there is.
    fn not_closed(&self, builder: &Builder) -> Stop {
        let blamed = if self.allowed.is_some() { builder.open.last() } else { builder.open.first() };
        let name = |section: &Node| {
            let path = &self.sources.file(section.origin.span.file).path;
            format!("{}:{}: {}> was not closed", path.display(), section.line, spelling(section))
        };
        let message = builder.open.iter().rev().map(name).collect::<Vec<_>>().join("; ");
        refusal(ProblemKind::Syntax, message, blamed.map(|section| (section.origin, section.line)))
    }

    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Text>, Stop> {
        self.lines += 1;
        match input.next() {
            Ok(Some(text)) => {
                self.bytes += text.bytes.len();
                if self.lines > MAX_LINES || self.bytes > MAX_BYTES {
                    let message = format!("more than {MAX_LINES} lines or {MAX_BYTES} bytes of configuration");
                    return Err(refusal(ProblemKind::Limit, message, Some((text.origin, text.line))));
                }
                Ok(Some(text))
            }
            Ok(None) => Ok(None),
            Err(TooLong { origin, line }) => {
                Err(refusal(ProblemKind::Syntax, "line too long".into(), Some((origin, line))))
            }
        }
    }

    /// The content of a section that is spliced in place, up to its end tag or, silently, the end of the file
    /// (`ap_build_cont_config`).
    pub(super) fn splice(&mut self, end: &str, input: &mut Input, builder: &mut Builder) -> Result<(), Stop> {
        let mut inner = Builder::default();
        let mut result = Ok(());
        loop {
            let text = match self.next(input) {
                Ok(Some(text)) => text,
                Ok(None) => break,
                Err(stop) => {
                    result = Err(stop);
                    break;
                }
            };
            let tag = text.bytes.strip_prefix(b"</").and_then(|tag| tag.strip_suffix(b">"));
            if inner.open.is_empty() && tag.is_some_and(|tag| tag.eq_ignore_ascii_case(end.as_bytes())) {
                break;
            }
            result = self.line(text, input, &mut inner);
            if result.is_err() {
                break;
            }
        }
        for node in inner.finish() {
            builder.add(node);
        }
        result
    }

    /// Skips a section by counting start and end tags (`ap_soak_end_container`). Nothing in it is replaced or run.
    pub(super) fn skip(&mut self, section: &str, input: &mut Input) -> Result<(), Stop> {
        let mut open = vec![section.as_bytes().to_vec()];
        let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        while let Some(innermost) = open.last() {
            let Some(text) = self.next(input)? else {
                let message = format!("expected </{}> before end of configuration", lossy(innermost));
                return Err(refusal(ProblemKind::Syntax, message, input.blamed));
            };
            let mut args = &text.bytes[..];
            let word = lex::getword_conf(&mut args);
            if let Some(tag) = word.strip_prefix(b"</") {
                // Whatever the last byte is, it is taken for the `>`.
                let tag = &tag[..tag.len().saturating_sub(1)];
                if !tag.eq_ignore_ascii_case(innermost) {
                    let message = format!("expected </{}> but saw </{}>", lossy(innermost), lossy(tag));
                    return Err(refusal(ProblemKind::Syntax, message, input.blamed));
                }
                open.pop();
            } else if let Some(name) = word.strip_prefix(b"<") {
                let name = if args.is_empty() { name.strip_suffix(b">").unwrap_or(name) } else { name };
                open.push(name.to_vec());
            }
        }
        Ok(())
    }

    /// One logical line.
    fn line(&mut self, text: Text, input: &mut Input, builder: &mut Builder) -> Result<(), Stop> {
        if text.bytes.is_empty() || text.bytes.starts_with(b"#") {
            return Ok(());
        }
        let at = (text.origin, text.line);
        let expanded = self.known.variables.expand(&text.bytes);
        if expanded.too_long {
            let message = "a line grows past 16 MiB by replacement".to_owned();
            return Err(refusal(ProblemKind::Limit, message, Some(at)));
        }
        for name in expanded.undefined {
            let message = format!("config variable ${{{}}} is not defined", String::from_utf8_lossy(name));
            self.problems
                .push(Problem { severity: Severity::Warning, ..*refusal(ProblemKind::Reference, message, Some(at)) });
        }
        self.bytes += expanded.text.len();
        let whole = match expanded.text {
            Cow::Borrowed(_) => text.bytes.clone(),
            Cow::Owned(replaced) => Piece::made(replaced),
        };
        let mut after = &*whole;
        let mut name = lex::getword_conf(&mut after);
        if name.is_empty() {
            return Ok(());
        }
        let mut args = whole.rest(after.len());
        if name.get(1) != Some(&b'/') {
            if let Some(bare) = name.strip_suffix(b">") {
                name = Cow::Owned(bare.to_vec());
            }
            if name.starts_with(b"<") && args.is_empty() {
                args = Piece::made(*b">");
            }
        }
        let known = directives::find(&name);
        let row = self.known.modules.own(known).find(|row| row.runs_while_reading());
        if let Some(row) = row {
            input.blamed = Some(at);
            return self.execute(row, &args, at, input, builder);
        }
        if let Some(tag) = name.strip_prefix(b"</") {
            return end_tag(tag, at, builder);
        }
        let node = Node::new(&name, known, &args, at.0, at.1);
        if node.section {
            if self.nesting + builder.open.len() >= MAX_NESTING {
                return Err(refusal(ProblemKind::Limit, format!("more than {MAX_NESTING} nested sections"), Some(at)));
            }
            builder.open.push(node);
        } else {
            builder.add(node);
        }
        Ok(())
    }

    /// Runs a directive that runs while reading (`execute_now`, `invoke_cmd`).
    fn execute(
        &mut self,
        row: &'static Row,
        args: &Piece,
        at: (Origin, u32),
        input: &mut Input,
        builder: &mut Builder,
    ) -> Result<(), Stop> {
        let admitted = match self.allowed {
            Some(allowed) => allowed.admits(row),
            None => SERVER_LEVEL & row.mask != 0,
        };
        if !admitted {
            let skipped = self.allowed.is_some_and(|allowed| allowed.mask & NONFATAL_OVERRIDE != 0);
            let mut problem = refusal(ProblemKind::Context, format!("{} not allowed here", row.name), Some(at));
            if skipped {
                problem.severity = Severity::Warning;
                self.problems.push(*problem);
                return Ok(());
            }
            return Err(problem);
        }
        let words = arity::take(row, args).map_err(|message| refusal(ProblemKind::Arity, message, Some(at)))?;
        let word = |index: usize| words.get(index).map_or(&[][..], |word| &**word);
        let result = match row.name.to_ascii_lowercase().as_str() {
            "define" | "undefine" if word(0).contains(&b':') => Err("variable name must not contain ':'".to_owned()),
            "define" => {
                let value = words.get(1).map(|value| &**value).filter(|value| !value.is_empty());
                self.known.to_mut().variables.define(word(0), value);
                Ok(())
            }
            "undefine" => {
                self.known.to_mut().variables.undefine(word(0));
                Ok(())
            }
            "serverroot" => {
                let root = Path::new(std::ffi::OsStr::new("")).join(path(word(0)));
                self.known.to_mut().server_root = include::clean(&root);
                Ok(())
            }
            "loadmodule" => {
                self.load_module(word(0), at);
                Ok(())
            }
            "include" => return self.include(word(0), false, at, builder),
            "includeoptional" => return self.include(word(0), true, at, builder),
            "use" => self.use_macro(args, at, input),
            "undefmacro" => self.known.to_mut().macros.undefine(word(0)),
            "<macro" => self.define_macro(args, at, input)?,
            "<ifversion" => {
                let holds = super::conditions::version(self.known.version, word(0), words.get(1), words.get(2));
                return self.conditional(row, holds, at, input, builder);
            }
            "<ifmodule" | "<ifdefine" | "<iffile" | "<ifdirective" | "<ifsection" => {
                let holds = self.condition(row, args, at.0);
                return self.conditional(row, holds, at, input, builder);
            }
            _ if row.is_section() => {
                // A hook of mod_lua: the text is Lua, up to its end tag.
                let name = row.name;
                builder.add(Node::new(name.as_bytes(), directives::find(name.as_bytes()), args, at.0, at.1));
                return self.skip(&name[1..], input);
            }
            "loadfile" | "defaultruntimedir" => Ok(()),
            _ => {
                let name = row.name.as_bytes();
                builder.add(Node::new(name, directives::find(name), args, at.0, at.1));
                Ok(())
            }
        };
        result.map_err(|message| refusal(ProblemKind::Value, message, Some(at)))
    }

    /// `<IfX>`: true, its lines are spliced in place; false, they are skipped.
    fn conditional(
        &mut self,
        row: &Row,
        holds: Result<bool, String>,
        at: (Origin, u32),
        input: &mut Input,
        builder: &mut Builder,
    ) -> Result<(), Stop> {
        let holds = holds.map_err(|message| refusal(ProblemKind::Syntax, message, Some(at)))?;
        let name = &row.name[1..];
        if !holds {
            return self.skip(name, input);
        }
        let depth = 1 + builder.open.len();
        if self.nesting + depth > MAX_NESTING {
            return Err(refusal(ProblemKind::Limit, format!("more than {MAX_NESTING} nested sections"), Some(at)));
        }
        self.nesting += depth;
        let result = self.splice(name, input, builder);
        self.nesting -= depth;
        result
    }

    fn load_module(&mut self, id: &[u8], at: (Origin, u32)) {
        let id = String::from_utf8_lossy(id);
        let message = match self.known.to_mut().modules.add(&id) {
            Added::New if directives::module(&id).is_some() => return,
            Added::New => format!("module {id} is not known; what it does is not simulated"),
            // Another build may have it as a file, so this is no refusal although Debian's server stops here.
            Added::Builtin => format!("module {id} is built into Debian's server, which refuses to load it"),
            Added::Again => format!("module {id} is already loaded, skipping"),
        };
        self.problems
            .push(Problem { severity: Severity::Warning, ..*refusal(ProblemKind::MissingModule, message, Some(at)) });
    }

    fn include(&mut self, name: &[u8], optional: bool, at: (Origin, u32), builder: &mut Builder) -> Result<(), Stop> {
        if self.includes >= MAX_INCLUDES {
            let message = format!("exceeded maximum include depth of {MAX_INCLUDES}, there appears to be a recursion");
            return Err(refusal(ProblemKind::Limit, message, Some(at)));
        }
        let path = self.known.server_root_relative(name);
        let mut files = include::Search::new(self.fs, optional);
        let found = files.expand(&path);
        self.questions.extend(files.questions.drain(..).map(|question| Question { origin: Some(at.0), ..question }));
        self.includes += 1;
        self.nesting += builder.open.len();
        let mut nodes = Vec::new();
        let mut result = Ok(());
        for file in &files.found {
            result = self.read_file(file, Some(at), &mut nodes);
            if result.is_err() {
                break;
            }
        }
        self.includes -= 1;
        self.nesting -= builder.open.len();
        for node in nodes {
            builder.add(node);
        }
        result?;
        found.map_err(|message| refusal(ProblemKind::MissingFile, message, Some(at)))
    }

    fn define_macro(&mut self, args: &[u8], at: (Origin, u32), input: &mut Input) -> Result<Result<(), String>, Stop> {
        let mut definition = match macros::Definition::start(args, at) {
            Ok(definition) => definition,
            Err(message) => return Ok(Err(message)),
        };
        while let Some(text) = self.next(input)? {
            match definition.line(text) {
                Ok(macros::Progress::More) => {}
                Ok(macros::Progress::Done) => {
                    self.known.to_mut().macros.define(definition);
                    return Ok(Ok(()));
                }
                Err(message) => return Ok(Err(message)),
            }
        }
        Ok(Err(format!("{}: expected token not found: </Macro>", definition.describe(self.sources))))
    }

    fn use_macro(&mut self, args: &[u8], at: (Origin, u32), input: &mut Input) -> Result<(), String> {
        let mut rest = args;
        let name = lex::getword_conf(&mut rest).to_ascii_lowercase();
        let lines = self.known.macros.expand(&name, rest, self.sources, |name| input.plays(name))?;
        let file = lines.first().map_or(at.0.span.file, |line| line.span.file);
        let via = self.sources.include(file, at.0, InclusionKind::Macro);
        input.play(name, lines, via);
        Ok(())
    }

    /// `<IfModule>`, `<IfDefine>`, `<IfFile>`, `<IfDirective>`, `<IfSection>` (`start_cond_section`).
    fn condition(&mut self, row: &Row, args: &[u8], origin: Origin) -> Result<bool, String> {
        let (negated, word) = super::conditions::argument(row.name, args)?;
        let holds = match row.name.to_ascii_lowercase().as_str() {
            "<ifmodule" => self.known.modules.is_module(&word),
            "<ifdefine" => self.known.variables.is_defined(&word),
            "<ifdirective" => self.known.modules.rows(&word).next().is_some(),
            "<ifsection" => self.known.modules.rows(&[b"<", &word[..]].concat()).next().is_some(),
            _ => match crate::fs::stat(self.fs, &self.known.server_root_relative(&word)) {
                Fact::Known(found) => found.is_ok(),
                Fact::Unknown(question) => {
                    self.questions.push(Question { origin: Some(origin), ..question });
                    false
                }
            },
        };
        Ok(holds != negated)
    }
}

/// An end tag: `tag` is what follows its `</`.
fn end_tag(tag: &[u8], at: (Origin, u32), builder: &mut Builder) -> Result<(), Stop> {
    let lossy = String::from_utf8_lossy(tag);
    let error = |message: String| Err(refusal(ProblemKind::Syntax, message, Some(at)));
    let Some(section) = builder.open.last() else {
        return error(format!("</{lossy} without matching <{lossy} section"));
    };
    let Some(bare) = tag.strip_suffix(b">") else {
        return error(format!("</{lossy}> directive missing closing '>'"));
    };
    if !bare.eq_ignore_ascii_case(&section.written().as_bytes()[1..]) {
        return error(format!("expected </{}> but saw </{}>", &spelling(section)[1..], String::from_utf8_lossy(bare)));
    }
    builder.close();
    Ok(())
}

/// The name as the server spells it: the table's, else the one written.
fn spelling(section: &Node) -> &str {
    section.rows().first().map_or(section.written(), |row| row.name)
}

/// A refusal at a place.
pub(super) fn refusal(kind: ProblemKind, message: String, at: Option<(Origin, u32)>) -> Stop {
    Box::new(Problem {
        severity: Severity::Refused,
        kind,
        message,
        origin: at.map(|(origin, _)| origin),
        reported: at.map(|(origin, line)| (origin.span.file, line)),
        help: None,
    })
}

fn path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

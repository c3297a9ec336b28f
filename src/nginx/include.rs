//! Reading the main file and everything it includes (`ngx_conf_include`; grammars/nginx.md, "Includes").
//!
//! Each path is read and parsed once, however often it is included; what differs is the [`Inclusion`](crate::source::Inclusion).
//! Whoever reads the configuration walks [`Loaded::children`] and never meets an `include`: the included directives stand in its place.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::ops::Deref;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::fact::{Fact, Question};
use crate::fs::{self, Errno, FileKind, Filesystem};
use crate::nginx::parse::{self, Fault, Parsed};
use crate::problem::{ProblemKind, Severity};
use crate::source::{FileId, InclusionId, InclusionKind, MAX_FILE, Origin, SourceMap};
use crate::syntax::{Directive, Item, Items};

/// Includes nested deeper than this are not read. nginx keeps every file of the chain open and fails at its own limit.
pub const MAX_DEPTH: usize = 100;

/// Blocks nested deeper than this through all files together are not read: whoever walks them may recurse.
pub const MAX_BLOCKS: usize = 300;

/// More inclusions than this are not made.
pub const MAX_INCLUSIONS: usize = 100_000;

/// A configuration as text: every file, its tree, and who included it where.
#[derive(Debug)]
pub struct Loaded {
    /// The text of every file read.
    pub sources: SourceMap,
    /// The main file, where it could be read.
    pub main: Option<FileId>,
    /// The main file's path.
    pub path: PathBuf,
    /// The directory of the main file: relative includes, password files and certificates start here.
    pub conf_prefix: PathBuf,
    /// What nobody said about the files that would be read.
    pub questions: Vec<Question>,
    /// By [`FileId`].
    parsed: Vec<Parsed>,
    included: HashMap<Origin, Included>,
    /// Why the main file could not be read.
    main_failure: Option<Failure>,
}

/// What an `include` led to.
#[derive(Clone, Debug, Default)]
struct Included {
    files: Vec<InclusionId>,
    failure: Option<Failure>,
}

/// Why a file is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Missing, or a limit of this program.
    pub kind: ProblemKind,
    /// nginx's words.
    pub message: String,
    /// A warning where nobody said whether the file is there.
    pub severity: Severity,
}

/// A directive where it is read: the same text included twice is placed twice.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The text.
    pub directive: Directive<'a>,
    /// The inclusion through which it is read; `None` in the main file.
    pub via: Option<InclusionId>,
}

/// A directive's place in a [`Loaded`], for whoever outlives the trees' borrow.
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    file: FileId,
    number: u32,
    via: Option<InclusionId>,
}

impl Placed<'_> {
    /// What [`Loaded::placed`] gives it back for.
    pub fn handle(&self) -> Handle {
        Handle { file: self.directive.span().file, number: self.directive.number(), via: self.via }
    }

    /// Where it stands, and who included it.
    pub fn origin(&self) -> Origin {
        Origin { span: self.directive.span(), via: self.via }
    }
}

impl<'a> Deref for Placed<'a> {
    type Target = Directive<'a>;

    fn deref(&self) -> &Directive<'a> {
        &self.directive
    }
}

/// One step of a reader through a block, as nginx takes it.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// A directive that is no `include`.
    Directive(Placed<'a>),
    /// An `include` that was followed, or could not be.
    Include(Placed<'a>),
    /// An included file begins: the `include` was the last directive.
    Enter(FileId, InclusionId),
    /// The file ends.
    Leave,
}

/// The steps through a block or a file. See [`Loaded::steps`].
#[derive(Clone, Debug)]
pub struct Steps<'a> {
    loaded: &'a Loaded,
    stack: Vec<Frame<'a>>,
}

#[derive(Clone, Debug)]
struct Frame<'a> {
    items: Items<'a>,
    via: Option<InclusionId>,
    /// Files to read before going on with `items`.
    pending: &'a [InclusionId],
}

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let frame = self.stack.last_mut()?;
        if let Some((&id, rest)) = frame.pending.split_first() {
            frame.pending = rest;
            let file = self.loaded.sources.inclusion(id).file;
            self.stack.push(Frame { items: self.loaded.items(file), via: Some(id), pending: &[] });
            return Some(Step::Enter(file, id));
        }
        match frame.items.find_map(Item::directive) {
            Some(directive) => {
                let placed = Placed { directive, via: frame.via };
                match self.loaded.included(placed) {
                    Some(included) => {
                        frame.pending = &included.files;
                        Some(Step::Include(placed))
                    }
                    None => Some(Step::Directive(placed)),
                }
            }
            None => {
                self.stack.pop();
                (!self.stack.is_empty()).then_some(Step::Leave)
            }
        }
    }
}

/// The directives of a block or file in nginx's order, included ones in place of their `include`.
#[derive(Clone, Debug)]
pub struct Directives<'a>(Steps<'a>);

impl<'a> Iterator for Directives<'a> {
    type Item = Placed<'a>;

    fn next(&mut self) -> Option<Placed<'a>> {
        self.0.find_map(|step| match step {
            Step::Directive(placed) => Some(placed),
            Step::Include(_) | Step::Enter(..) | Step::Leave => None,
        })
    }
}

impl Loaded {
    /// The directives of the main file, includes spliced in.
    pub fn main_directives(&self) -> Directives<'_> {
        let stack = self.main.map(|file| Frame { items: self.items(file), via: None, pending: &[] });
        Directives(Steps { loaded: self, stack: stack.into_iter().collect() })
    }

    /// The directives of a block, includes spliced in; none for a simple directive.
    pub fn children<'a>(&'a self, block: Placed<'a>) -> Directives<'a> {
        self.directives(block.items(), block.via)
    }

    /// The directives among these items, which were read through `via`.
    pub fn directives<'a>(&'a self, items: Items<'a>, via: Option<InclusionId>) -> Directives<'a> {
        Directives(self.steps(items, via))
    }

    /// The same, for whoever must know where an included file begins and ends.
    pub fn steps<'a>(&'a self, items: Items<'a>, via: Option<InclusionId>) -> Steps<'a> {
        Steps { loaded: self, stack: vec![Frame { items, via, pending: &[] }] }
    }

    /// The directive with this handle, which must come from here.
    pub fn placed(&self, handle: Handle) -> Placed<'_> {
        let tree = &self.parsed[handle.file.0 as usize].tree;
        Placed { directive: tree.directive(handle.number), via: handle.via }
    }

    /// The items at the level of a file.
    pub fn items(&self, file: FileId) -> Items<'_> {
        self.parsed[file.0 as usize].tree.items()
    }

    /// What nginx refuses in the text of a file, in its order.
    pub fn faults(&self, file: FileId) -> &[Fault] {
        &self.parsed[file.0 as usize].faults
    }

    fn included(&self, directive: Placed) -> Option<&Included> {
        is_named_include(directive.directive, &self.sources).then(|| self.included.get(&directive.origin())).flatten()
    }

    /// Why an `include` read nothing; `None` where it did, or where it is none.
    pub fn failure(&self, include: Placed) -> Option<&Failure> {
        self.included(include)?.failure.as_ref()
    }

    /// Why the main file could not be read.
    pub fn main_failure(&self) -> Option<&Failure> {
        self.main_failure.as_ref()
    }

    /// `ngx_conf_full_name`: relative to the main file's directory.
    pub fn full_name(&self, name: &[u8]) -> PathBuf {
        self.conf_prefix.join(OsStr::from_bytes(name))
    }
}

/// Reads the main file and everything it includes. Never fails: what is missing is kept where it was missed. Files are
/// read as the master process does, by root; a FIFO, socket or device is never opened.
pub fn load(main: &Path, fs: &dyn Filesystem) -> Loaded {
    let conf_prefix = main.parent().unwrap_or(Path::new("/")).to_path_buf();
    let loaded = Loaded {
        sources: SourceMap::default(),
        main: None,
        path: main.to_path_buf(),
        conf_prefix,
        questions: Vec::new(),
        parsed: Vec::new(),
        included: HashMap::new(),
        main_failure: None,
    };
    let mut loader = Loader { fs, loaded, files: HashMap::new(), sites: Vec::new(), depths: Vec::new() };
    match loader.open(main) {
        Ok(file) => {
            loader.loaded.main = Some(file);
            loader.follow(file);
        }
        Err(failure) => loader.loaded.main_failure = Some(failure),
    }
    loader.loaded
}

/// Whether a directive is called `include`; most names are told apart by their length.
fn is_named_include(directive: Directive, sources: &SourceMap) -> bool {
    let name = directive.name();
    let may_be = name.quoted || name.unescaped.is_some() || name.span.end - name.span.start == 7;
    may_be && name.value(sources) == b"include"
}

/// An `include` in a text.
#[derive(Clone, Debug)]
struct Site {
    directive: crate::source::Span,
    pattern: Vec<u8>,
    /// Blocks around it in its own file.
    depth: usize,
}

struct Loader<'a> {
    fs: &'a dyn Filesystem,
    loaded: Loaded,
    files: HashMap<PathBuf, Result<FileId, Failure>>,
    /// The includes of each file, in order.
    sites: Vec<Vec<Site>>,
    /// How deep the blocks of each file go.
    depths: Vec<usize>,
}

/// A file whose includes are being followed.
struct Reading {
    file: FileId,
    via: Option<InclusionId>,
    next: usize,
    /// Blocks around the text that includes the file.
    depth: usize,
    /// Inclusions of the site before `next` that were not followed yet, last first.
    pending: Vec<InclusionId>,
}

impl Loader<'_> {
    /// Follows every include, depth first, without recursion.
    fn follow(&mut self, main: FileId) {
        let mut chain = vec![Reading { file: main, via: None, next: 0, depth: 0, pending: Vec::new() }];
        while let Some(reading) = chain.last_mut() {
            if let Some(id) = reading.pending.pop() {
                let file = self.loaded.sources.inclusion(id).file;
                let depth = reading.depth + self.sites[reading.file.0 as usize][reading.next - 1].depth;
                chain.push(Reading { file, via: Some(id), next: 0, depth, pending: Vec::new() });
                continue;
            }
            let Some(site) = self.sites[reading.file.0 as usize].get(reading.next).cloned() else {
                chain.pop();
                continue;
            };
            reading.next += 1;
            let origin = Origin { span: site.directive, via: reading.via };
            let included = self.include(&site, origin, &chain);
            if let Some(reading) = chain.last_mut() {
                reading.pending = included.files.iter().rev().copied().collect();
            }
            self.loaded.included.insert(origin, included);
        }
    }

    /// One `include`. nginx stops at the first file that cannot be read.
    fn include(&mut self, site: &Site, origin: Origin, chain: &[Reading]) -> Included {
        let mut included = Included::default();
        let full = self.loaded.full_name(&site.pattern);
        let paths =
            if is_pattern(full.as_os_str().as_bytes()) { self.glob(full.as_os_str().as_bytes()) } else { vec![full] };
        for path in paths {
            match self.enter(&path, site, origin, chain) {
                Ok(id) => included.files.push(id),
                Err(failure) => {
                    included.failure = Some(failure);
                    break;
                }
            }
        }
        included
    }

    fn enter(&mut self, path: &Path, site: &Site, origin: Origin, chain: &[Reading]) -> Result<InclusionId, Failure> {
        let limit = |message: String| Failure { kind: ProblemKind::Limit, message, severity: Severity::Refused };
        let shown = path.display();
        let file = self.open(path)?;
        if chain.iter().any(|reading| reading.file == file) {
            return Err(Failure {
                kind: ProblemKind::Syntax,
                severity: Severity::Refused,
                message: format!("include cycle: open() \"{shown}\" fails (24: Too many open files)"),
            });
        }
        if chain.len() > MAX_DEPTH {
            return Err(limit(format!("\"{shown}\": includes nested deeper than {MAX_DEPTH} are not read")));
        }
        let around = chain.last().map_or(0, |reading| reading.depth) + site.depth;
        if around + self.depths[file.0 as usize] > MAX_BLOCKS {
            return Err(limit(format!(
                "\"{shown}\": blocks nested deeper than {MAX_BLOCKS} through includes are not read"
            )));
        }
        if self.loaded.included.len() > MAX_INCLUSIONS {
            return Err(limit(format!("\"{shown}\": more than {MAX_INCLUSIONS} inclusions are not read")));
        }
        Ok(self.loaded.sources.include(file, origin, InclusionKind::Include))
    }

    fn open(&mut self, path: &Path) -> Result<FileId, Failure> {
        if let Some(known) = self.files.get(path) {
            return known.clone();
        }
        let opened = self.read(path);
        self.files.insert(path.to_path_buf(), opened.clone());
        opened
    }

    fn read(&mut self, path: &Path) -> Result<FileId, Failure> {
        let shown = path.display();
        let failure =
            |message: String| Err(Failure { kind: ProblemKind::MissingFile, message, severity: Severity::Refused });
        let bytes = match self.fs.read(path, MAX_FILE) {
            Fact::Known(Ok(bytes)) => bytes,
            Fact::Known(Err(Errno::Eisdir)) => {
                return failure(format!("read() \"{shown}\" failed (21: Is a directory)"));
            }
            Fact::Known(Err(Errno::NOT_REGULAR)) => {
                return failure(format!("\"{shown}\" is not a regular file and is not opened"));
            }
            Fact::Known(Err(Errno::EFBIG)) => {
                let message = format!("\"{shown}\" is longer than {} MiB and is not read", MAX_FILE >> 20);
                return Err(Failure { kind: ProblemKind::Limit, message, severity: Severity::Refused });
            }
            Fact::Known(Err(errno)) => return failure(format!("open() \"{shown}\" failed ({})", errno.number())),
            Fact::Unknown(question) => {
                self.loaded.questions.push(question);
                let message = format!("open() \"{shown}\": nobody said what is in it");
                return Err(Failure { kind: ProblemKind::MissingFile, message, severity: Severity::Warning });
            }
        };
        let file = self.loaded.sources.add(path, bytes);
        let parsed = parse::parse(file, &self.loaded.sources.file(file).bytes);
        let (sites, depth) = self.sites_of(parsed.tree.items());
        self.sites.push(sites);
        self.depths.push(depth);
        self.loaded.parsed.push(parsed);
        Ok(file)
    }

    /// The includes of a text in order, and how deep its blocks go. Whatever block they stand in, it counts: `map`, `types`, `geo` and `upstream` know them too.
    fn sites_of(&self, items: Items) -> (Vec<Site>, usize) {
        let sources = &self.loaded.sources;
        let mut sites = Vec::new();
        let mut stack = vec![items];
        let mut deepest = 0;
        while let Some(level) = stack.last_mut() {
            let Some(item) = level.next() else {
                stack.pop();
                continue;
            };
            let Some(directive) = item.directive() else { continue };
            if directive.is_block() {
                stack.push(directive.items());
                deepest = deepest.max(stack.len() - 1);
            } else if is_named_include(directive, sources)
                && let (Some(pattern), 1) = (directive.arg(0, sources), directive.args().len())
            {
                let depth = stack.len() - 1;
                sites.push(Site { directive: directive.span(), pattern: pattern.to_vec(), depth });
            }
        }
        (sites, deepest)
    }

    /// glob(3) without flags, as root: names in byte order, a leading dot only where the pattern has one. What nobody
    /// knows about a directory is a question, and the directory is taken as empty.
    fn glob(&mut self, pattern: &[u8]) -> Vec<PathBuf> {
        let mut found = vec![PathBuf::from("/")];
        let parts: Vec<&[u8]> = pattern.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            let last = index + 1 == parts.len();
            let matcher = Matcher::new(part);
            let mut next = Vec::new();
            for dir in &found {
                match &matcher {
                    Matcher::Literal(name) => {
                        let path = dir.join(OsStr::from_bytes(name));
                        if self.exists(&path, last) {
                            next.push(path);
                        }
                    }
                    Matcher::Pattern(pattern) => {
                        let names = self.names(dir);
                        let matching = names.iter().filter(|name| matches(pattern, name));
                        let paths: Vec<_> = matching.map(|name| dir.join(OsStr::from_bytes(name))).collect();
                        next.extend(paths.into_iter().filter(|path| last || self.is_directory(path)));
                    }
                }
            }
            next.truncate(MAX_INCLUSIONS);
            found = next;
        }
        found.sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
        found
    }

    fn names(&mut self, dir: &Path) -> Vec<Vec<u8>> {
        match self.fs.list(dir) {
            Fact::Known(names) => names.unwrap_or_default(),
            Fact::Unknown(question) => {
                self.loaded.questions.push(question);
                Vec::new()
            }
        }
    }

    fn exists(&mut self, path: &Path, last: bool) -> bool {
        if !last {
            return self.is_directory(path);
        }
        let found = self.fs.lstat(path);
        self.known(found).is_some()
    }

    fn is_directory(&mut self, path: &Path) -> bool {
        let found = fs::stat(self.fs, path);
        self.known(found).is_some_and(|stat| stat.kind == FileKind::Directory)
    }

    /// What is there; what nobody knows is a question, and counts as nothing.
    fn known<T>(&mut self, found: Fact<Result<T, Errno>>) -> Option<T> {
        match found {
            Fact::Known(found) => found.ok(),
            Fact::Unknown(question) => {
                self.loaded.questions.push(question);
                None
            }
        }
    }
}

/// Whether nginx hands the name to glob(3) rather than to open(2).
pub fn is_pattern(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'*' | b'?' | b'['))
}

/// One component of a pattern.
enum Matcher {
    /// No mark in it; backslashes undone.
    Literal(Vec<u8>),
    Pattern(glob::Pattern),
}

impl Matcher {
    /// The `glob` crate reads text, so bytes are taken as Latin-1; what glob(3) writes otherwise is put in its words:
    /// `\x` is `[x]`, `[^` is `[!`, and `**` is no more than `*`.
    fn new(part: &[u8]) -> Matcher {
        let mut literal = Vec::new();
        let mut pattern = String::new();
        let mut is_literal = true;
        let mut bytes = part.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => {
                    let Some(escaped) = bytes.next() else { break };
                    literal.push(escaped);
                    pattern.push_str(&glob::Pattern::escape(char::from(escaped).encode_utf8(&mut [0; 4])));
                }
                b'*' => {
                    is_literal = false;
                    if !pattern.ends_with('*') {
                        pattern.push('*');
                    }
                }
                b'?' | b'[' => {
                    is_literal = false;
                    pattern.push(char::from(byte));
                    if byte == b'[' && bytes.next_if_eq(&b'^').is_some() {
                        pattern.push('!');
                    }
                }
                _ => {
                    literal.push(byte);
                    pattern.push(char::from(byte));
                }
            }
        }
        if is_literal {
            return Matcher::Literal(literal);
        }
        match glob::Pattern::new(&pattern) {
            Ok(pattern) => Matcher::Pattern(pattern),
            // glob(3) takes a `[` without its `]` literally.
            Err(_) => Matcher::Literal(part.to_vec()),
        }
    }
}

fn matches(pattern: &glob::Pattern, name: &[u8]) -> bool {
    let options =
        glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
    let name: String = name.iter().map(|&byte| char::from(byte)).collect();
    pattern.matches_with(&name, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;

    fn names(loaded: &Loaded) -> Vec<String> {
        fn visit<'a>(loaded: &'a Loaded, directives: Directives<'a>, out: &mut Vec<String>) {
            for placed in directives {
                let chain = loaded.sources.chain(placed.origin()).len();
                out.push(format!("{}@{chain}", String::from_utf8_lossy(placed.name().value(&loaded.sources))));
                visit(loaded, loaded.children(placed), out);
            }
        }
        let mut out = Vec::new();
        visit(loaded, loaded.main_directives(), &mut out);
        out
    }

    fn loaded(files: &[(&str, &str)]) -> Loaded {
        let fs = files.iter().fold(MemoryFs::new(), |fs, (path, text)| fs.file(path, *text));
        load(Path::new("/etc/nginx/nginx.conf"), &fs)
    }

    #[test]
    fn a_glob_is_read_in_byte_order_relative_to_the_main_file() {
        let loaded = loaded(&[
            ("/etc/nginx/nginx.conf", "http { include sites/*.conf; z; }"),
            ("/etc/nginx/sites/b.conf", "b;"),
            ("/etc/nginx/sites/B.conf", "B; include sites/deep/x;"),
            ("/etc/nginx/sites/.hidden.conf", "hidden;"),
            ("/etc/nginx/sites/deep/x", "x;"),
            ("/etc/nginx/sites/a.conf~", "backup;"),
        ]);
        assert_eq!(names(&loaded), ["http@0", "B@1", "x@2", "b@1", "z@0"]);
    }

    #[test]
    fn the_same_file_twice_is_one_tree_and_two_inclusions() {
        let loaded = loaded(&[
            ("/etc/nginx/nginx.conf", "location /a { include acl; }\nlocation /b { include acl; }"),
            ("/etc/nginx/acl", "deny all;"),
        ]);
        assert_eq!(names(&loaded), ["location@0", "deny@1", "location@0", "deny@1"]);
        assert_eq!(loaded.sources.files().count(), 2);
        let lines: Vec<u32> = loaded
            .main_directives()
            .flat_map(|location| loaded.children(location))
            .map(|deny| loaded.sources.start(loaded.sources.chain(deny.origin())[0].at.span).line)
            .collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn a_cycle_and_a_missing_file_stop_there() {
        let loaded = loaded(&[
            ("/etc/nginx/nginx.conf", "a; include /etc/nginx/other; include gone; include none*; include d?[!x]/*;"),
            ("/etc/nginx/other", "b; include other;"),
            ("/etc/nginx/dir/y", "y;"),
        ]);
        assert_eq!(names(&loaded), ["a@0", "b@1", "y@1"]);
        let failures: Vec<&str> =
            loaded.included.values().filter_map(|i| i.failure.as_ref()).map(|f| f.message.as_str()).collect();
        assert_eq!(failures.len(), 2, "{failures:?}");
        let loaded = super::load(Path::new("/nowhere"), &MemoryFs::new());
        assert_eq!(
            loaded.main_failure().map(|failure| failure.message.as_str()),
            Some("open() \"/nowhere\" failed (2)")
        );
    }

    #[test]
    fn blocks_through_includes_have_a_limit() {
        let nested = |inner: &str| format!("{}{inner}{}", "location / {".repeat(150), "}".repeat(150));
        let loaded = loaded(&[
            ("/etc/nginx/nginx.conf", &nested("include a;")),
            ("/etc/nginx/a", &nested("include b;")),
            ("/etc/nginx/b", "location / { }"),
        ]);
        assert_eq!(loaded.sources.files().count(), 3);
        let failures: Vec<ProblemKind> =
            loaded.included.values().filter_map(|i| i.failure.as_ref()).map(|f| f.kind).collect();
        assert_eq!(failures, [ProblemKind::Limit]);
    }

    #[test]
    fn patterns_mean_what_glob_says() {
        let is = |pattern: &str, name: &[u8]| match Matcher::new(pattern.as_bytes()) {
            Matcher::Pattern(pattern) => matches(&pattern, name),
            Matcher::Literal(literal) => literal == name,
        };
        assert!(is("[^a]?.conf", b"bc.conf") && !is("[^a]?.conf", b"ac.conf"));
        assert!(is("**.conf", b"a.conf") && is(r"\*a*", b"*ab") && !is(r"\*a*", b"xab"));
        assert!(is("?", b"\xff") && !is("*", b".a") && is(".*", b".a"));
        assert!(is("[a", b"[a"));
    }
}

//! What `apache2 -t` refuses after reading: the second of the server's two passes (`ap_walk_config`).
//!
//! Directives are taken in file order; each is looked up, its place is compared with its mask, its words are counted and
//! its values are checked. The server stops at the first refusal, this pass goes on and reports all of them in the same
//! order. What depends on the machine (files, certificates, users, host names) is never a refusal here.
//!
//! The same pass over an `.htaccess` finds what turns every request into a 500.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use super::directives::{Args, NONFATAL_OVERRIDE, NONFATAL_UNKNOWN, Row};
use super::load::{self, Htaccess, Known, Loaded, Node, Override, SERVER_LEVEL};
use super::model::Methods;
use super::{arity, directives, expr};
use crate::fs::Filesystem;
use crate::problem::{Problem, ProblemKind, Severity, first_refusal};
use crate::server::LoadOptions;
use crate::source::{FileId, InclusionId, SourceMap};

mod access;
mod autoindex;
mod core;
mod headers;
mod mapping;
mod modules;
mod proxy;
mod sections;
mod services;
mod values;

/// Reads the main file and everything it includes, and checks it.
pub fn load(options: &LoadOptions, fs: &dyn Filesystem) -> Loaded {
    let mut loaded = load::read(options, fs);
    if !loaded.stopped {
        let methods = RefCell::new(Methods::new());
        let mut checker = Checker { fs: Some(fs), ..Checker::new(&loaded.known, None, &methods) };
        checker.walk(&mut loaded.nodes, &Place::top(SERVER_LEVEL, false));
        let mut negative = Vec::new();
        access::only_negative(&loaded.nodes, &mut negative);
        for node in negative {
            let message = format!("{}> directive contains only negative authorization directives", node.written());
            checker.report(Severity::Refused, ProblemKind::Value, message, node, None);
            // The server finds these after both passes and names no line.
            if let Some(problem) = checker.problems.last_mut() {
                problem.reported = None;
            }
        }
        let problems = checker.problems;
        loaded.known.methods = methods.into_inner();
        loaded.problems.extend(problems);
    }
    loaded
}

/// Reads and checks an `.htaccess` whose bytes are `file` of `sources`. The first refusal is the reason of a 500.
pub fn htaccess(
    known: &Known,
    fs: &dyn Filesystem,
    sources: &SourceMap,
    file: FileId,
    via: Option<InclusionId>,
    allowed: &Override,
) -> Htaccess {
    let mut htaccess = load::read_htaccess(known, fs, sources, file, via, allowed);
    if first_refusal(&htaccess.problems).is_none() {
        let methods = RefCell::new(known.methods.clone());
        let mut checker = Checker::new(known, Some(allowed), &methods);
        checker.walk(&mut htaccess.nodes, &Place::top(allowed.mask, true));
        htaccess.problems.append(&mut checker.problems);
    }
    htaccess
}

/// Where a directive stands (`cmd_parms`).
#[derive(Clone, Copy)]
struct Place<'p> {
    /// What is admitted here (`override`).
    mask: u32,
    /// The section around it, as the server spells it: `<Directory`.
    section: Option<&'p str>,
    /// Where that section stands.
    outer: Option<&'p Place<'p>>,
    /// Inside a section that matches paths, or in an `.htaccess` (`path` is set).
    path: bool,
    /// Inside a `<VirtualHost>`.
    vhost: bool,
    /// The methods that `<Limit>` leaves, by number; all bits: there is no `<Limit>`.
    methods: u64,
}

impl Place<'_> {
    /// The server level, or the top of an `.htaccess`.
    fn top(mask: u32, htaccess: bool) -> Self {
        Place { mask, section: None, outer: None, path: htaccess, vhost: false, methods: u64::MAX }
    }

    /// The innermost section around it that has one of these lower-case names (`find_parent`).
    fn within(&self, names: &[&str]) -> Option<&str> {
        let found = self.section.filter(|section| names.iter().any(|name| section[1..].eq_ignore_ascii_case(name)));
        found.or_else(|| self.outer.and_then(|outer| outer.within(names)))
    }
}

/// A directive of a loaded module that may stand where it stands and has as many words as it takes.
struct Line<'a> {
    node: &'a Node,
    row: &'static Row,
    /// The words, once somebody asks who was not given them counted.
    taken: OnceCell<Vec<Cow<'a, [u8]>>>,
    place: &'a Place<'a>,
    known: &'a Known,
    fs: Option<&'a dyn Filesystem>,
    allowed: Option<&'a Override>,
    methods: &'a RefCell<Methods>,
}

impl<'a> Line<'a> {
    /// The words as its kind takes them.
    fn words(&self) -> &[Cow<'a, [u8]>] {
        self.taken.get_or_init(|| arity::all(self.node.args()))
    }

    /// Word `index`, empty where there is none.
    fn word(&self, index: usize) -> &[u8] {
        self.words().get(index).map_or(&[], |word| word)
    }

    /// Word `index` for a message.
    fn lossy(&self, index: usize) -> Cow<'_, str> {
        String::from_utf8_lossy(self.word(index))
    }

    /// What an expression may name here.
    fn expressions(&self) -> expr::Context {
        expr::Context {
            restricted: self.allowed.is_some(),
            ssl_compat: false,
            ssl: self.known.modules.has("ssl_module"),
            http2: self.known.modules.has("http2_module"),
            session: self.known.modules.has("session_module"),
        }
    }

    /// The refusal of a directive that does not go with one of these sections around it.
    fn not_within(&self, names: &[&str]) -> Result<(), String> {
        match self.place.within(names) {
            Some(section) => Err(format!("{} cannot occur within {section}> section", spelling(self.row))),
            None => Ok(()),
        }
    }

    /// The refusal of a directive that a `<Limit>` around it rules out.
    fn not_limited(&self) -> Result<(), String> {
        if self.place.methods == u64::MAX {
            return Ok(());
        }
        Err(format!("{} cannot occur within <Limit> or <LimitExcept> section", spelling(self.row)))
    }
}

/// The words of a directive whose kind counts them; the others take any number, and most of their handlers look at the text.
fn counted<'n>(row: &Row, node: &'n Node) -> Result<OnceCell<Vec<Cow<'n, [u8]>>>, String> {
    if row.args == Args::Raw { Ok(OnceCell::new()) } else { arity::take(row, node.args()).map(OnceCell::from) }
}

/// The name of a row, with the `>` of a section.
fn spelling(row: &Row) -> String {
    let end = if row.is_section() { ">" } else { "" };
    format!("{}{end}", row.name)
}

/// State of one check over all files.
struct Checker<'a> {
    known: &'a Known,
    /// The files that the main configuration may name; `None` for an `.htaccess`, which names none.
    fs: Option<&'a dyn Filesystem>,
    /// What may stand in the `.htaccess` that is checked; `None`: the main configuration.
    allowed: Option<&'a Override>,
    /// The methods known so far.
    methods: &'a RefCell<Methods>,
    /// What the configuration defined so far, to find what it defines twice or not at all.
    defined: Defined,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    fn new(known: &'a Known, allowed: Option<&'a Override>, methods: &'a RefCell<Methods>) -> Self {
        Checker { known, fs: None, allowed, methods, defined: Defined::default(), problems: Vec::new() }
    }

    /// Checks the directives of one level; sections that a `Nonfatal` override skips are taken out, other directives marked.
    fn walk(&mut self, nodes: &mut Vec<Node>, place: &Place) {
        let mut last_if = false;
        nodes.retain_mut(|node| {
            if node.section && matches!(node.name(), "else" | "elseif") && !last_if {
                let message =
                    format!("{}> section without previous <If> or <ElseIf> section in same scope", node.written());
                self.report(Severity::Refused, ProblemKind::Syntax, message, node, None);
            }
            if node.section && matches!(node.name(), "if" | "elseif" | "else") {
                last_if = node.name() != "else";
            }
            self.directive(node, place)
        });
    }

    /// Checks one directive; `false`: nothing of it is left.
    fn directive(&mut self, node: &mut Node, place: &Place) -> bool {
        let known = self.known;
        let mut rows = known.modules.own(node.known()).filter(|row| !row.runs_while_reading()).peekable();
        if rows.peek().is_none() {
            // One that ran while reading and stayed in the tree is done.
            return known.modules.own(node.known()).next().is_some() || self.unknown(node, place);
        }
        for row in rows {
            if !self.admits(row, place) {
                let message = match place.section {
                    Some(section) => format!("{} not allowed in {section}> context", row.name),
                    None => format!("{} not allowed here", row.name),
                };
                let skipped = place.mask & NONFATAL_OVERRIDE != 0;
                let severity = if skipped { Severity::Warning } else { Severity::Refused };
                let help = format!("{} is allowed in {}", row.name, row.places());
                self.report(severity, ProblemKind::Context, message, node, Some(help));
                node.skipped = skipped;
                return !skipped || !node.section;
            }
            let refused = match counted(row, node) {
                Err(message) => Some((ProblemKind::Arity, message)),
                Ok(words) => {
                    let line = Line {
                        node,
                        row,
                        taken: words,
                        place,
                        known,
                        fs: self.fs,
                        allowed: self.allowed,
                        methods: self.methods,
                    };
                    values::check(&line, &mut self.defined).err().map(|message| (ProblemKind::Value, message))
                }
            };
            if let Some((kind, message)) = refused {
                self.report(Severity::Refused, kind, message, node, None);
                return true;
            }
        }
        if node.section {
            self.section(node, place);
        }
        true
    }

    /// Checks a section: its arguments, what it holds, and what holds for the whole of it.
    fn section(&mut self, node: &mut Node, place: &Place) {
        let Some(row) = self.known.modules.own(node.known()).next() else { return };
        let mut children = std::mem::take(&mut node.children);
        let line = Line {
            node,
            row,
            taken: OnceCell::new(),
            place,
            known: self.known,
            fs: self.fs,
            allowed: self.allowed,
            methods: self.methods,
        };
        let result = match sections::open(&line) {
            Ok(inner) => {
                if inner.vhost && !place.vhost {
                    self.defined.vhost_cache = None;
                }
                let before = self.problems.len();
                self.walk(&mut children, &inner);
                // The end of a section is not reached after a refusal in it.
                let refused = self.problems[before..].iter().any(|problem| problem.severity == Severity::Refused);
                if refused { Ok(()) } else { sections::close(&line, &children, &mut self.defined) }
            }
            Err(message) => Err(message),
        };
        if let Err(message) = result {
            self.report(Severity::Refused, ProblemKind::Value, message, node, None);
        }
        node.children = children;
    }

    fn admits(&self, row: &Row, place: &Place) -> bool {
        let listed =
            |allowed: &&Override| allowed.list.iter().flatten().any(|name| name.eq_ignore_ascii_case(row.name));
        place.mask & row.mask != 0 || self.allowed.as_ref().is_some_and(listed)
    }

    /// A directive that no loaded module has.
    fn unknown(&mut self, node: &Node, place: &Place) -> bool {
        if let Some(row) = node.rows().first() {
            let modules: Vec<_> =
                row.modules.iter().map(|id| format!("mod_{}", id.trim_end_matches("_module"))).collect();
            let message = format!("`{}` needs {}, which no LoadModule loads", row.name, modules.join(" or "));
            let help = format!("LoadModule {} …", row.modules[0]);
            return self.refuse_unknown(ProblemKind::MissingModule, message, node, place, Some(help));
        }
        if self.known.modules.unknown().next().is_some() {
            // It may belong to a module that no table knows; the evaluator asks.
            return true;
        }
        let message = format!(
            "invalid command '{}', perhaps misspelled or defined by a module not included in the server configuration",
            node.written()
        );
        let help = similar(node.written()).map(|name| format!("did you mean `{name}`?"));
        self.refuse_unknown(ProblemKind::UnknownDirective, message, node, place, help)
    }

    fn refuse_unknown(
        &mut self,
        kind: ProblemKind,
        message: String,
        node: &Node,
        place: &Place,
        help: Option<String>,
    ) -> bool {
        let skipped = place.mask & NONFATAL_UNKNOWN != 0;
        let severity = if skipped { Severity::Warning } else { Severity::Refused };
        self.report(severity, kind, message, node, help);
        !skipped
    }

    fn report(&mut self, severity: Severity, kind: ProblemKind, message: String, node: &Node, help: Option<String>) {
        self.problems.push(Problem {
            severity,
            kind,
            message,
            origin: Some(node.origin),
            reported: Some(node.reported()),
            help,
        });
    }
}

/// Names that the configuration defines, as far as the check has come.
#[derive(Default)]
struct Defined {
    /// Names of `<AuthzProviderAlias>`.
    authz: Vec<Vec<u8>>,
    /// Names of `<AuthnProviderAlias>`.
    authn: Vec<Vec<u8>>,
    /// Filters that a directive declared.
    filters: Vec<Vec<u8>>,
    /// `CacheDirLevels` and `CacheDirLength` of the main server.
    cache: Option<(i64, i64)>,
    /// Those of the virtual host that is read.
    vhost_cache: Option<(i64, i64)>,
}

/// The known name nearest to one that nobody has, if it is near enough: one edit, or two for a long name.
fn similar(written: &str) -> Option<&'static str> {
    let lower = written.to_ascii_lowercase();
    let most = if lower.len() > 6 { 2 } else { 1 };
    directives::rows()
        .iter()
        .map(|row| (distance(&lower, &row.name.to_ascii_lowercase(), most), row.name))
        .filter(|&(distance, _)| distance <= most)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// Edits between two names (a swap of neighbours counts one); anything above `most` is `most + 1`.
fn distance(left: &str, right: &str, most: usize) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len().abs_diff(right.len()) > most {
        return most + 1;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let same = left[i - 1] == right[j - 1];
            let mut best = (rows[i - 1][j] + 1).min(row[j - 1] + 1).min(rows[i - 1][j - 1] + usize::from(!same));
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()].min(most + 1)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::fs::memory::MemoryFs;

    fn first(text: &str) -> Option<(String, u32, Option<String>)> {
        let fs = MemoryFs::new().file("/httpd.conf", text);
        let mut options = LoadOptions::new(Path::new("/httpd.conf"));
        options.modules = Some("mpm_event authz_core authz_host alias access_compat".into());
        let loaded = load(&options, &fs);
        first_refusal(&loaded.problems).map(|problem| {
            (problem.message.clone(), problem.reported.map_or(0, |(_, line)| line), problem.help.clone())
        })
    }

    fn refusal(text: &str) -> String {
        let (message, line, _) = first(text).unwrap_or_default();
        format!("{line}: {message}")
    }

    #[test]
    fn an_unloaded_module_is_named() {
        assert_eq!(refusal("\nRewriteEngine On\n"), "2: `RewriteEngine` needs mod_rewrite, which no LoadModule loads");
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion() {
        let (message, line, help) = first("DocumentRot /srv\n").expect("refused");
        assert!(message.starts_with("invalid command 'DocumentRot'"), "{message}");
        assert_eq!((line, help.as_deref()), (1, Some("did you mean `DocumentRoot`?")));
    }

    #[test]
    fn places_follow_the_masks() {
        assert_eq!(refusal("Require all denied\n"), "1: Require not allowed here");
        assert_eq!(refusal("Order allow,deny\n"), "1: order not allowed here");
        assert_eq!(
            refusal("<Directory /a>\nServerName x\n</Directory>\n"),
            "2: ServerName not allowed in <Directory> context"
        );
        assert_eq!(
            refusal("<Directory /a>\n<RequireAll>\nOptions None\n</RequireAll>\n</Directory>\n"),
            "3: Options not allowed in <RequireAll> context"
        );
        assert_eq!(refusal("Options None\n<Location /x>\nRequire all granted\n</Location>\n"), "0: ");
    }

    #[test]
    fn requirements_follow_their_container() {
        let section = |inner: &str| format!("<Directory /a>\n{inner}\n</Directory>\n");
        assert_eq!(
            refusal(&section("Require not ip 10")),
            "2: negative Require directive has no effect in <RequireAny> directive"
        );
        assert_eq!(
            refusal(&section("<RequireAll>\nRequire not ip 10\n</RequireAll>")),
            "0: <RequireAll> directive contains only negative authorization directives"
        );
        assert_eq!(
            refusal(&section("<RequireAny>\n</RequireAny>")),
            "2: <RequireAny> directive contains no authorization directives"
        );
        assert_eq!(refusal(&section("Require ALL granted")), "2: unknown Authz provider: ALL");
        assert_eq!(refusal(&section("Require ip 10.1/16")).split(" appears").next(), Some("2: ip address '10.1/16'"));
    }

    #[test]
    fn sections_are_refused_by_their_arguments() {
        assert_eq!(refusal("<Directory /a\n</Directory>\n"), "1: <Directory> directive missing closing '>'");
        assert_eq!(
            refusal("<Directory /a /b>\n</Directory>\n"),
            "1: Multiple <Directory> arguments not (yet) supported"
        );
        assert_eq!(refusal("<FilesMatch \"(\">\n</FilesMatch>\n"), "1: regex could not be compiled");
        assert_eq!(refusal("<VirtualHost 80>\n</VirtualHost>\n"), "1: missing address for VirtualHost");
        assert_eq!(refusal("<Else>\n</Else>\n").split(" section").next(), Some("1: <Else>"));
    }

    fn htaccess_says(text: &str, allowed: &Override) -> (usize, Option<String>) {
        let fs = MemoryFs::new().file("/httpd.conf", "");
        let mut options = LoadOptions::new(Path::new("/httpd.conf"));
        options.modules = Some("mpm_event authz_core dir".into());
        let known = load(&options, &fs).known;
        let sources = SourceMap::default();
        let file = sources.add(Path::new("/srv/.htaccess"), text.as_bytes());
        let htaccess = htaccess(&known, &fs, &sources, file, None, allowed);
        let kept = htaccess.nodes.iter().filter(|node| !node.skipped).count();
        (kept, first_refusal(&htaccess.problems).map(|problem| problem.message.clone()))
    }

    #[test]
    fn an_htaccess_holds_what_the_override_admits() {
        let allow = |mask: u32| Override { mask, options: u32::MAX, list: None };
        let text = "DirectoryIndex a\nRequire all granted\n";
        assert_eq!(htaccess_says(text, &allow(directives::OR_ALL)), (2, None));
        let refused = Some("Require not allowed here".to_owned());
        assert_eq!(htaccess_says(text, &allow(directives::OR_INDEXES)), (2, refused));
        assert_eq!(htaccess_says(text, &allow(directives::OR_INDEXES | NONFATAL_OVERRIDE)), (1, None));
        assert_eq!(htaccess_says("# nothing\n", &allow(directives::OR_UNSET)), (0, None));
        let conditional = "<IfModule x.c>\n</IfModule>\n";
        let refused = Some("<IfModule not allowed here".to_owned());
        assert_eq!(htaccess_says(conditional, &allow(directives::OR_UNSET)), (0, refused));
        let list = Override { mask: 0, options: 0, list: Some(vec!["require".into()]) };
        assert_eq!(htaccess_says("Require all granted\n", &list), (1, None));
    }

    #[test]
    fn an_unknown_directive_can_be_skipped() {
        let allowed = Override { mask: directives::OR_ALL | NONFATAL_UNKNOWN, options: u32::MAX, list: None };
        assert_eq!(htaccess_says("Nonsense\nDirectoryIndex a\n", &allowed), (1, None));
    }
}

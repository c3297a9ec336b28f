//! Reading a configuration as the server reads it: the first of its two passes (`ap_build_config`).
//!
//! Lines are read in file order. Some directives run while they are read (`Define`, `Include`, `LoadModule`,
//! `<IfModule>`, `<Macro>` …) and change what the following lines mean; what is left is the tree that the second pass
//! and the model work on. It is *expanded*: none of those directives is in it any more, but every node knows the
//! chain of inclusions and macro uses through which it came.
//!
//! An `.htaccess` is read by the same code at the time of a request, see [`htaccess`].

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::directives::{OR_ALL, OR_AUTHCFG, OR_LIMIT, RSRC_CONF, Row};
use crate::fact::{Fact, Question, Subject};
use crate::fs::Filesystem;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::server::LoadOptions;
use crate::source::{FileId, InclusionId, MAX_FILE, SourceMap};

mod conditions;
mod envvars;
mod include;
mod input;
mod macros;
mod modules;
mod node;
mod piece;
mod reader;
mod variables;

pub use modules::Modules;
pub use node::{Node, Words};
use reader::Reader;
pub use variables::Variables;

/// Debian's ServerRoot, for a file that does not set one.
const DEBIAN_SERVER_ROOT: &str = "/etc/apache2";

/// What a later reader of the same server needs: an `.htaccess` sees the modules, variables and macros of the main
/// configuration.
#[derive(Clone, Debug)]
pub struct Known {
    /// The loaded modules.
    pub modules: Modules,
    /// Names, values and environment.
    pub variables: Variables,
    /// `ServerRoot`, else `--prefix`, else Debian's.
    pub server_root: PathBuf,
    /// The server's version, as `<IfVersion>` sees it.
    pub version: [u32; 3],
    /// The methods that the main configuration registered; filled by the check.
    pub(crate) methods: super::model::Methods,
    macros: macros::Macros,
}

impl Known {
    /// `ap_server_root_relative`: the path itself if absolute, else below ServerRoot; `.`, `..` and double slashes resolved.
    pub fn server_root_relative(&self, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let joined = self.server_root.join(std::ffi::OsStr::from_bytes(path));
        include::clean(&joined)
    }
}

/// A configuration as it was read.
#[derive(Debug)]
pub struct Loaded {
    /// The text of every file read.
    pub sources: SourceMap,
    /// Problems in the order in which the server meets them; it stops at the first refusal.
    pub problems: Vec<Problem>,
    /// Whether reading stopped at a refusal: the tree is what had been read until then.
    pub stopped: bool,
    /// The directives of the main server, in order.
    pub nodes: Vec<Node>,
    /// What an `.htaccess` needs.
    pub known: Known,
    /// What could not be known while reading.
    pub questions: Vec<Question>,
}

/// The version of the server whose behaviour is followed by default.
const NEWEST: [u32; 3] = [2, 4, 71];

fn version(text: Option<&str>) -> [u32; 3] {
    let Some(text) = text else { return NEWEST };
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| parts.next().unwrap_or(0))
}

/// Reads the main file and everything it includes. It never fails: what the server would refuse is in
/// [`Loaded::problems`].
pub fn read(options: &LoadOptions, fs: &dyn Filesystem) -> Loaded {
    let sources = SourceMap::default();
    let mut questions = Vec::new();
    let mut variables = Variables::default();
    envvars::defaults(&mut variables);
    let directory = options.config.parent().unwrap_or(Path::new("/"));
    let shell = directory.join("envvars");
    if let Fact::Known(Ok(text)) = fs.read(&shell, MAX_FILE)
        && !envvars::read(&text, &mut variables).is_empty()
    {
        questions.push(Question::new(Subject::Content(shell)));
    }
    for name in &options.defines {
        variables.define(name.as_bytes(), None);
    }
    let server_root = options.prefix.clone().unwrap_or_else(|| DEBIAN_SERVER_ROOT.into());
    let known = Known {
        modules: Modules::new(options.modules.as_deref()),
        variables,
        server_root,
        version: version(options.version.as_deref()),
        methods: super::model::Methods::new(),
        macros: macros::Macros::default(),
    };
    let mut reader = Reader::new(Cow::Owned(known), fs, &sources, None);
    let mut nodes = Vec::new();
    let stopped = match reader.read_file(&options.config, None, &mut nodes) {
        Ok(()) => false,
        Err(problem) => {
            reader.problems.push(*problem);
            true
        }
    };
    let Reader { known, mut problems, questions: open, .. } = reader;
    let known = known.into_owned();
    questions.extend(open);
    for id in known.modules.unknown() {
        questions.push(Question::new(Subject::Module(id.to_owned())));
    }
    if !stopped {
        let mpms = ["mpm_event_module", "mpm_worker_module", "mpm_prefork_module"];
        let count = mpms.iter().filter(|id| known.modules.has(id)).count();
        if count > 1 {
            problems.push(Problem {
                severity: Severity::Refused,
                kind: ProblemKind::Value,
                message: "more than one MPM loaded".into(),
                origin: None,
                reported: None,
                help: Some("load one of mpm_event_module, mpm_worker_module and mpm_prefork_module".into()),
            });
        }
    }
    Loaded { sources, problems, stopped, nodes, known, questions }
}

/// The single options by bit: option `n` is bit `1 << n`. `All` is the first four.
pub const OPTION_NAMES: [&str; 7] =
    ["Indexes", "Includes", "FollowSymLinks", "ExecCGI", "IncludesNOEXEC", "SymLinksIfOwnerMatch", "MultiViews"];

/// What may stand in an `.htaccess` (apache.md §4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The AllowOverride classes in force, `OR_UNSET` where no AllowOverride was met, and the `NONFATAL_*` bits.
    pub mask: u32,
    /// The options that an `Options` line may name, as bits in the order of [`OPTION_NAMES`].
    pub options: u32,
    /// AllowOverrideList, in lower case; `None`: there is no list.
    pub list: Option<Vec<String>>,
}

impl Override {
    /// Whether a directive of this row may stand here.
    pub fn admits(&self, row: &Row) -> bool {
        let listed = |list: &Vec<String>| list.iter().any(|name| name.eq_ignore_ascii_case(row.name));
        self.mask & row.mask != 0 || self.list.as_ref().is_some_and(listed)
    }
}

/// An `.htaccess` as it was read.
#[derive(Debug)]
pub struct Htaccess {
    /// Its directives; those that a `Nonfatal` override skips are marked, unknown ones and sections taken out.
    pub nodes: Vec<Node>,
    /// Problems in the order in which the server meets them; the first refusal is the reason of the 500.
    pub problems: Vec<Problem>,
    /// What could not be known while reading.
    pub questions: Vec<Question>,
}

/// Reads an `.htaccess` whose bytes are `file` of `sources`: the first pass only, see `check::htaccess` for both.
pub(crate) fn read_htaccess(
    known: &Known,
    fs: &dyn Filesystem,
    sources: &SourceMap,
    file: FileId,
    via: Option<InclusionId>,
    allowed: &Override,
) -> Htaccess {
    let mut reader = Reader::new(Cow::Borrowed(known), fs, sources, Some(allowed));
    let mut nodes = Vec::new();
    if let Err(problem) = reader.read_source(file, via, &mut nodes) {
        reader.problems.push(*problem);
    }
    Htaccess { nodes, problems: reader.problems, questions: reader.questions }
}

/// The places that the server level admits: the classes Limit and AuthConfig are for directories only.
pub(crate) const SERVER_LEVEL: u32 = (RSRC_CONF | OR_ALL) & !(OR_AUTHCFG | OR_LIMIT);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;
    use crate::problem::first_refusal;

    /// The names left in the tree with their first words, and the first refusal with its line.
    fn read_files(files: &[(&str, &str)]) -> (Vec<String>, Option<(String, u32)>) {
        let fs = files.iter().fold(MemoryFs::new(), |fs, (path, text)| fs.file(path, text));
        let mut options = LoadOptions::new(Path::new(files[0].0));
        options.prefix = Some("/etc/apache2".into());
        options.modules = Some("mpm_event macro dir".into());
        let loaded = read(&options, &fs);
        let name =
            |node: &Node| format!("{} {}", node.name(), String::from_utf8_lossy(node.word(0).unwrap_or_default()));
        let refused = first_refusal(&loaded.problems)
            .map(|problem| (problem.message.clone(), problem.reported.map_or(0, |(_, line)| line)));
        (loaded.nodes.iter().map(name).collect(), refused)
    }

    fn names(text: &str) -> Vec<String> {
        read_files(&[("/etc/apache2/httpd.conf", text)]).0
    }

    fn refusal(text: &str) -> Option<(String, u32)> {
        read_files(&[("/etc/apache2/httpd.conf", text)]).1
    }

    #[test]
    fn true_conditions_are_spliced_and_false_ones_skipped() {
        assert_eq!(
            names("<IfModule mod_dir.c>\nA 1\n</IfModule>\n<IfModule mod_foo.c>\nB 2\n</IfModule>\nC 3\n"),
            ["a 1", "c 3"]
        );
        assert_eq!(names("Define X\n<IfDefine !X>\nA 1\n</IfDefine>\n<IfDefine X>\nB 2\n"), ["b 2"]);
    }

    #[test]
    fn a_false_condition_must_end() {
        let message = "expected </IfModule> before end of configuration".to_owned();
        assert_eq!(refusal("\n<IfModule x.c>\n"), Some((message, 2)));
    }

    #[test]
    fn a_section_must_end_where_it_starts() {
        assert_eq!(
            refusal("<If x>\n<IfModule core.c>\n</If>\n"),
            Some(("</If> without matching <If> section".into(), 3))
        );
        let (_, refused) = read_files(&[("/etc/apache2/httpd.conf", "\n<If x>\n<Files y>\n")]);
        assert_eq!(refused.map(|(_, line)| line), Some(2));
    }

    #[test]
    fn includes_are_sorted_by_bytes_and_know_their_chain() {
        let (names, refused) = read_files(&[
            ("/etc/apache2/httpd.conf", "Include conf.d/*.conf\nIncludeOptional none/*.conf\nInclude dir\n"),
            ("/etc/apache2/conf.d/b.conf", "B 1\n"),
            ("/etc/apache2/conf.d/B.conf", "A 1\n"),
            ("/etc/apache2/conf.d/.h.conf", "Hidden 1\n"),
            ("/etc/apache2/dir/sub/.x", "C 1\n"),
        ]);
        assert_eq!((names, refused), (vec!["a 1".to_owned(), "b 1".into(), "c 1".into()], None));
    }

    #[test]
    fn an_include_of_itself_ends() {
        let (message, _) = refusal("Include httpd.conf\n").expect("a refusal");
        assert!(message.contains("maximum include depth"), "{message}");
    }

    #[test]
    fn macros_put_their_lines_in_place() {
        let text = "<Macro M $a>\nA $a\n</Macro>\nUse m 1\nUse M 2\nB 3\n";
        assert_eq!(names(text), ["a 1", "a 2", "b 3"]);
        assert_eq!(refusal("<Macro M>\nUse M\n</Macro>\nUse M\n").map(|(_, line)| line), Some(2));
        assert_eq!(names("<Macro M>\nA 1\n</Macro>\nUse M\nlost"), ["a 1"]);
    }

    #[test]
    fn hostile_nesting_and_growth_end() {
        assert!(refusal(&"<IfModule core.c>\n".repeat(100_000)).is_some());
        let doubling = "Define A x\n".to_owned() + &"Define A ${A}${A}\n".repeat(60);
        assert!(refusal(&doubling).is_some());
    }

    #[test]
    fn variables_reach_names_and_sections() {
        assert_eq!(
            names("Define D Directory\n<${D} /x>\n</${D}>\nDefine N \"Require all\"\n${N} denied\n"),
            ["directory /x", "require all"]
        );
    }
}

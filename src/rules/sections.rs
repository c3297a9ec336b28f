//! Apache: the sections of a configuration, and the URLs and files that they govern.
//!
//! What a rule believes from here is only a reason to ask: the answer to a request is the proof.

use std::cell::{Cell, OnceCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::sample::samples;
use super::spots::{Asked, stranger};
use crate::apache::Config;
use crate::apache::core::Handler;
use crate::apache::htaccess;
use crate::apache::load::Node;
use crate::apache::model::{DirConf, Matcher, Place, Section, ServerConf};
use crate::ask;
use crate::fact::Fact;
use crate::finding::Witness;
use crate::fs::FileKind;
use crate::lint::subject::Subject;
use crate::outcome::{Outcome, Run};
use crate::source::{FileId, Origin};
use crate::world::World;

/// Most requests that one rule asks of one configuration: a configuration of thousands of hosts repeats its mistakes.
const MOST_ASKED: u32 = 4_000;
/// Most directories that are searched for `.htaccess` files.
const MOST_DIRECTORIES: usize = 2_000;
/// Deepest directory below a mapping that is searched.
const DEEPEST: usize = 12;

/// A URL prefix and the directory it is mapped to, both with a slash at the end.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    /// Index of the server.
    pub server: usize,
    /// `/` of `DocumentRoot`, else the first argument of `Alias` or `ScriptAlias`.
    pub url: String,
    /// The directory.
    pub dir: Vec<u8>,
    /// The directive.
    pub origin: Origin,
}

/// A section with a server in which it stands.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    /// Index of the server; 0 for those of the main server, which every server has.
    pub server: usize,
    /// The section.
    pub section: Arc<Section>,
    /// The section around a `<Files>` or `<If>`.
    pub outer: Option<Arc<Section>>,
}

/// A configuration with everything a rule needs to find its way in it.
#[derive(Debug)]
pub(crate) struct Layout {
    /// Every mapping, server by server.
    pub mappings: Vec<Mapping>,
    /// Every section, each once.
    pub spots: Vec<Spot>,
    /// The `.htaccess` files in the directories that are served.
    pub files: Vec<Htaccess>,
    blocks: HashMap<Origin, usize>,
    by_dir: BTreeMap<Vec<u8>, Vec<usize>>,
    by_origin: HashMap<Origin, usize>,
    /// The spots that are `.htaccess` files, by their directory without its final slash.
    by_file: HashMap<Vec<u8>, usize>,
    asked: Cell<u32>,
}

impl Layout {
    /// The layout of a configuration in its world.
    pub fn of(subject: &Subject, config: &Config) -> Layout {
        let blocks = config.nodes.iter().enumerate().filter(|(_, node)| node.is_section("virtualhost"));
        let mut layout = Layout {
            mappings: Vec::new(),
            spots: Vec::new(),
            files: Vec::new(),
            blocks: blocks.map(|(index, node)| (node.origin, index)).collect(),
            by_dir: BTreeMap::new(),
            by_origin: HashMap::new(),
            by_file: HashMap::new(),
            asked: Cell::new(0),
        };
        layout.mappings =
            config.servers.iter().flat_map(|server| mappings(config, server, layout.nodes(config, server))).collect();
        for (index, mapping) in layout.mappings.iter().enumerate() {
            layout.by_dir.entry(mapping.dir.clone()).or_default().push(index);
        }
        let mut known: HashSet<*const Section> = HashSet::new();
        for server in &config.servers {
            let lists = [&server.held.directories, &server.held.locations];
            let own = lists.into_iter().flat_map(|list| list.iter());
            let inner = server.held.defaults.conf().core.files.iter().chain(&server.held.defaults.conf().core.ifs);
            for section in own.chain(inner.flat_map(|list| list.iter())) {
                layout.collect(server.index, section, None, &mut known, 0);
            }
        }
        layout.files = layout.htaccess_files(subject, config);
        for file in &layout.files {
            // Asking makes the evaluator read the file.
            layout.ask(subject, file.server, &format!("{}x", file.url), stranger(), "");
        }
        let mut texts: HashMap<&OsStr, FileId> = HashMap::new();
        for (id, file) in config.sources.files() {
            texts.entry(file.path.as_os_str()).or_insert(id);
        }
        for file in &mut layout.files {
            file.text = texts.get(file.path.as_os_str()).copied();
        }
        for (path, conf) in htaccess::records(&config.htaccess) {
            let Ok(index) = layout.files.binary_search_by(|file| file.path.cmp(&path)) else { continue };
            let file = &layout.files[index];
            let Some(&origin) = conf.sections.first() else { continue };
            let dir = [path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes(), b"/"].concat();
            let matcher = Matcher::Literal(dir);
            let section = Section { place: Place::Htaccess, matcher, is_else: false, origin, components: 0, conf };
            layout.collect(file.server, &Arc::new(section), None, &mut known, 0);
        }
        for (index, spot) in layout.spots.iter().enumerate() {
            layout.by_origin.entry(spot.section.origin).or_insert(index);
            if let (Place::Htaccess, Matcher::Literal(dir)) = (spot.section.place, &spot.section.matcher) {
                layout.by_file.entry(bare(dir).to_vec()).or_insert(index);
            }
        }
        layout
    }

    /// Another rule begins.
    pub fn reset(&self) {
        self.asked.set(0);
    }

    fn collect(
        &mut self,
        server: usize,
        section: &Arc<Section>,
        outer: Option<&Arc<Section>>,
        known: &mut HashSet<*const Section>,
        depth: usize,
    ) {
        if depth > DEEPEST || !known.insert(Arc::as_ptr(section)) {
            return;
        }
        self.spots.push(Spot { server, section: section.clone(), outer: outer.cloned() });
        let core = &section.conf.core;
        for inner in core.files.iter().chain(&core.ifs).flat_map(|list| list.iter()) {
            self.collect(server, inner, Some(section), known, depth + 1);
        }
    }

    /// Which of the spots a section is.
    pub fn index_of(&self, origin: Origin) -> Option<usize> {
        self.by_origin.get(&origin).copied()
    }

    /// The spot of a section that a request met.
    pub fn spot(&self, origin: Origin) -> Option<&Spot> {
        self.index_of(origin).map(|index| &self.spots[index])
    }

    /// The spot of an `.htaccess` that the evaluator read.
    pub fn spot_of_file(&self, file: &Htaccess) -> Option<&Spot> {
        let dir = file.path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
        self.by_file.get(bare(dir)).map(|&index| &self.spots[index])
    }

    /// The servers that are asked for something of this server: itself, and for the main server the first virtual hosts as
    /// well, because those take the requests.
    fn servers(&self, index: usize) -> impl Iterator<Item = usize> {
        let others = if index == 0 { 1..(self.blocks.len() + 1).min(4) } else { 0..0 };
        std::iter::once(index).chain(others)
    }

    /// URLs of a path of the file system, with the servers that have them.
    pub fn urls_of(&self, path: &[u8]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let mut end = path.len();
        while let Some(slash) = path[..end].iter().rposition(|&byte| byte == b'/') {
            for &index in self.by_dir.get(&path[..=slash]).into_iter().flatten().take(4) {
                let mapping = &self.mappings[index];
                if let Some(rest) = plain(&path[slash + 1..]) {
                    found.push((mapping.server, format!("{}{rest}", mapping.url)));
                }
            }
            end = slash;
        }
        found
    }

    /// The mapping that a URL of a server falls under: the first `Alias` that fits, else the root.
    pub fn mapping_of(&self, server: usize, url: &str) -> Option<&Mapping> {
        let start = self.mappings.partition_point(|mapping| mapping.server < server);
        let own = self.mappings[start..].iter().take_while(|mapping| mapping.server == server);
        let main = self.mappings.iter().take_while(|mapping| mapping.server == 0 && server != 0);
        let (mut roots, mut aliases) = (Vec::new(), Vec::new());
        own.chain(main)
            .for_each(|mapping| if mapping.url == "/" { roots.push(mapping) } else { aliases.push(mapping) });
        aliases.into_iter().chain(roots).find(|mapping| url.starts_with(&mapping.url))
    }

    /// The path of the file system that a URL of a server is mapped to.
    pub fn file_of(&self, server: usize, url: &str) -> Option<Vec<u8>> {
        let mapping = self.mapping_of(server, url)?;
        Some([&mapping.dir, url.strip_prefix(mapping.url.as_str())?.as_bytes()].concat())
    }

    /// URLs that a section probably governs, with the servers to ask. What really happens shows when they are asked.
    pub fn urls(&self, spot: &Spot) -> Vec<(usize, String)> {
        let mut found = match (&spot.section.place, &spot.section.matcher) {
            (Place::Directory | Place::Htaccess, Matcher::Literal(dir)) => self.below(dir),
            (Place::Directory, Matcher::Glob(pattern)) => self.below(&unglobbed(pattern)),
            (Place::Directory, Matcher::Regex(pattern)) => {
                let texts = samples(pattern.source());
                let fits = |path: &[u8]| pattern.is_match(path).unwrap_or(false);
                let mut found = Vec::new();
                for text in &texts {
                    for path in [text.clone(), [text.as_slice(), b"/x"].concat()] {
                        found.extend(self.urls_of(&path));
                    }
                    let inside =
                        self.mappings.iter().filter(|mapping| spot.server == 0 || mapping.server == spot.server);
                    for mapping in inside.take(2) {
                        let rest = text.strip_prefix(b"/").unwrap_or(text);
                        if fits(&[&mapping.dir, rest].concat())
                            && let Some(rest) = plain(rest)
                        {
                            found.push((mapping.server, format!("{}{rest}/x", mapping.url)));
                        }
                    }
                }
                found
            }
            (Place::Location, Matcher::Literal(path)) => {
                let paths = plain(path).map(|path| {
                    let slash = path.trim_end_matches('/');
                    [format!("{slash}/x"), path.clone(), format!("{slash}/x.txt")]
                });
                self.everywhere(spot.server, paths.into_iter().flatten())
            }
            (Place::Location, Matcher::Glob(pattern)) => {
                let path = unglobbed(pattern);
                self.everywhere(spot.server, plain(&path).into_iter())
            }
            (Place::Location, Matcher::Regex(pattern)) => {
                let fits = |path: &String| pattern.is_match(path.as_bytes()).unwrap_or(false);
                let mut paths = Vec::new();
                for text in samples(pattern.source()).iter().filter_map(|text| plain(text)) {
                    paths.extend(["", "/", "/x"].map(|head| format!("{head}{text}")).into_iter().filter(fits));
                }
                self.everywhere(spot.server, paths.into_iter())
            }
            (Place::Files, _) => {
                let names = file_names(&spot.section);
                let heads = match spot.outer.as_ref().map(|outer| (outer.place, &outer.matcher)) {
                    Some((Place::Directory | Place::Htaccess, Matcher::Literal(dir))) => self.below(dir),
                    _ => self.everywhere(spot.server, std::iter::once("/x".to_owned())),
                };
                let mut found = Vec::new();
                for (server, head) in heads {
                    let dir = head.rsplit_once('/').map_or("", |(dir, _)| dir);
                    found.extend(names.iter().map(|name| (server, format!("{dir}/{name}"))));
                }
                found
            }
            (Place::If, _) => match &spot.outer {
                Some(outer) => self.urls(&Spot { section: outer.clone(), outer: None, ..spot.clone() }),
                None => self.everywhere(spot.server, ["/x".to_owned(), "/".to_owned()].into_iter()),
            },
            _ => Vec::new(),
        };
        found.retain(|(_, path)| path.starts_with('/'));
        found.truncate(12);
        found
    }

    /// Whether a directory lies in one that is served, or one that is served in it.
    pub fn is_mapped(&self, dir: &[u8]) -> bool {
        let mut slashes = (0..dir.len()).filter(|&at| dir[at] == b'/');
        let around = slashes.any(|at| self.by_dir.contains_key(&dir[..=at]));
        around || self.by_dir.range(dir.to_vec()..).next().is_some_and(|(path, _)| path.starts_with(dir))
    }

    /// What is served at this path of the disk or above it, in the order of the configuration.
    pub fn mappings_around(&self, path: &[u8]) -> impl Iterator<Item = &Mapping> {
        let path = [path, b"/"].concat();
        let ends = (0..path.len()).filter(|&at| path[at] == b'/');
        let mut found: Vec<usize> = ends.filter_map(|at| self.by_dir.get(&path[..=at])).flatten().copied().collect();
        found.sort_unstable();
        found.into_iter().map(|index| &self.mappings[index])
    }

    fn everywhere(&self, server: usize, paths: impl Iterator<Item = String>) -> Vec<(usize, String)> {
        paths.flat_map(|path| self.servers(server).map(move |server| (server, path.clone()))).collect()
    }

    /// URLs below a directory: of a file in it, and of the first mapping that lies inside it.
    fn below(&self, dir: &[u8]) -> Vec<(usize, String)> {
        let mut found = self.urls_of(&[dir, b"x"].concat());
        found.extend(self.urls_of(&[dir, b"x.txt"].concat()));
        found.extend(self.urls_of(dir));
        let inside = self.by_dir.range(dir.to_vec()..).take_while(|(path, _)| path.starts_with(dir));
        for &index in inside.flat_map(|(_, indexes)| indexes).take(3) {
            let mapping = &self.mappings[index];
            found.push((mapping.server, format!("{}x", mapping.url)));
        }
        found
    }

    /// Asks a server for a path; `None` where it cannot be reached or enough was asked.
    pub fn ask(&self, subject: &Subject, server: usize, path: &str, from: IpAddr, expected: &str) -> Option<Asked> {
        self.ask_with(subject, server, "GET", path, from, &[], expected)
    }

    /// Asks with a method and header lines.
    #[expect(clippy::too_many_arguments)]
    pub fn ask_with(
        &self,
        subject: &Subject,
        server: usize,
        method: &str,
        path: &str,
        from: IpAddr,
        headers: &[(&str, &str)],
        expected: &str,
    ) -> Option<Asked> {
        if self.asked.get() >= MOST_ASKED {
            return None;
        }
        self.asked.set(self.asked.get() + 1);
        let config = subject.apache()?;
        let server = config.servers.get(server)?;
        let (url, to) = address(config, server, from, path)?;
        let question = ask::Question {
            method: Some(method.into()),
            url: Some(url.as_str().into()),
            from: Some(from.to_string().into()),
            to: Some(to.as_str().into()),
            headers: Some(headers.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect()),
            ..ask::Question::default()
        };
        let request = ask::request(&question, |_| Err("no certificate is sent".to_owned())).ok()?;
        let (run, certainty) = subject.ask(&request);
        if run.seen.server != server.origin {
            return None;
        }
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (method, from, expected) = (method.to_owned(), from.to_string(), expected.to_owned());
        let witness = Witness { method, url, from, to, headers, gets: run.outcome, expected };
        Some(Asked { witness, run, certainty })
    }

    /// A request of a spot that an answer was accepted for: the first URL where `accept` holds.
    pub fn find(
        &self,
        subject: &Subject,
        spot: &Spot,
        from: IpAddr,
        expected: &str,
        accept: impl Fn(&Asked) -> bool,
    ) -> Option<Asked> {
        self.urls(spot).into_iter().find_map(|(server, path)| {
            self.ask(subject, server, &path, from, expected).filter(|asked| asked.met(&spot.section) && accept(asked))
        })
    }

    /// The directives of a server: those of its `<VirtualHost>`, or the main level.
    pub fn nodes<'c>(&self, config: &'c Config, server: &ServerConf) -> &'c [Node] {
        match server.origin.and_then(|origin| self.blocks.get(&origin)) {
            Some(&index) => &config.nodes[index].children,
            None if server.index == 0 => &config.nodes,
            None => &[],
        }
    }

    /// The `.htaccess` files in the directories that are served, each with a URL of its directory.
    fn htaccess_files(&self, subject: &Subject, config: &Config) -> Vec<Htaccess> {
        let mut found = Vec::new();
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        for mapping in &self.mappings {
            let server = &config.servers[mapping.server];
            let names: Vec<&[u8]> = match &server.core.access_file_names {
                Some(names) => names.value.iter().map(Vec::as_slice).collect(),
                None => vec![b".htaccess"],
            };
            let mut open = vec![(mapping.dir.clone(), 0)];
            while let Some((dir, depth)) = open.pop() {
                if seen.len() >= MOST_DIRECTORIES || !seen.insert(dir.clone()) {
                    continue;
                }
                let Fact::Known(Ok(mut entries)) = subject.world.fs.list(path_of(&dir)) else { continue };
                entries.sort();
                for entry in entries.iter().rev() {
                    let whole = [&dir, entry.as_slice()].concat();
                    let Fact::Known(Ok(stat)) = subject.world.fs.lstat(path_of(&whole)) else { continue };
                    if stat.kind == FileKind::Directory && depth < DEEPEST {
                        open.push(([&whole, &b"/"[..]].concat(), depth + 1));
                    } else if names.contains(&entry.as_slice())
                        && let Some(rest) = dir.strip_prefix(mapping.dir.as_slice()).and_then(plain)
                    {
                        let url = format!("{}{rest}", mapping.url);
                        let path = path_of(&whole).to_path_buf();
                        found.push(Htaccess { server: mapping.server, url, path, text: None, nodes: OnceCell::new() });
                    }
                }
            }
        }
        found.sort_by(|left, right| left.path.cmp(&right.path));
        found
    }
}

/// A directory without its final slash.
fn bare(dir: &[u8]) -> &[u8] {
    dir.strip_suffix(b"/").unwrap_or(dir)
}

/// An `.htaccess` on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Htaccess {
    /// A server that serves its directory.
    pub server: usize,
    /// The URL of the directory, with its slash.
    pub url: String,
    /// The file.
    pub path: PathBuf,
    /// Its text as the evaluator read it.
    text: Option<FileId>,
    nodes: OnceCell<Option<(FileId, Vec<Node>)>>,
}

impl Htaccess {
    /// Its directives as if everything might stand in it, and its text among the sources; `None`: it cannot be read.
    pub(super) fn read(&self, subject: &Subject, config: &Config) -> Option<(FileId, &[Node])> {
        let (file, nodes) = self.nodes.get_or_init(|| self.parse(subject, config)).as_ref()?;
        Some((*file, nodes))
    }

    fn parse(&self, subject: &Subject, config: &Config) -> Option<(FileId, Vec<Node>)> {
        use crate::apache::{check, directives, load};
        let bytes = match subject.world.fs.read(&self.path, 1 << 20) {
            Fact::Known(Ok(bytes)) => bytes,
            _ => return None,
        };
        let known = self.text.filter(|text| *config.sources.file(*text).bytes == *bytes);
        let file = known.unwrap_or_else(|| config.sources.add(&self.path, bytes));
        let allowed = load::Override { mask: directives::OR_ALL, options: !0, list: None };
        let read = check::htaccess(&config.known, subject.world.fs, &config.sources, file, None, &allowed);
        Some((file, read.nodes))
    }
}

/// The URL of a path on a server, and the address it is reached at; `None`: nothing listens for such clients.
fn address(config: &Config, server: &ServerConf, from: IpAddr, path: &str) -> Option<(String, String)> {
    let listens = &config.listens;
    let own = server
        .addresses
        .iter()
        .find(|own| !own.unresolved && (own.port == 0 || listens.iter().any(|listen| listen.port == own.port)));
    let port = match own {
        Some(own) if own.port != 0 => own.port,
        _ => listens.first()?.port,
    };
    let fixed = own.and_then(|own| own.address).or_else(|| {
        listens.iter().find(|listen| listen.port == port)?.address.filter(|address| !address.is_unspecified())
    });
    let to = fixed.unwrap_or(match from {
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    });
    if to.is_ipv4() != from.is_ipv4() {
        return None;
    }
    let tls = server.ssl.as_ref().is_some_and(|ssl| ssl.is_on());
    let scheme = if tls { "https" } else { "http" };
    let name = server.name.as_ref().map(|name| &name.value).or(server.aliases.first());
    let host = match name.and_then(|name| plain(name)).filter(|name| !name.is_empty()) {
        Some(name) => name,
        None if to.is_ipv6() => format!("[{to}]"),
        None => to.to_string(),
    };
    let port = match (tls, port) {
        (false, 80) | (true, 443) => String::new(),
        _ => format!(":{port}"),
    };
    Some((format!("{scheme}://{host}{port}{path}"), to.to_string()))
}

/// Runs a request with its trace.
pub(super) fn traced(subject: &Subject, server: usize, path: &str) -> Option<Run> {
    let config = subject.apache()?;
    let (url, to) = address(config, config.servers.get(server)?, stranger(), path)?;
    let question = ask::Question {
        url: Some(url.as_str().into()),
        from: Some(stranger().to_string().into()),
        to: Some(to.into()),
        ..ask::Question::default()
    };
    let request = ask::request(&question, |_| Err("no certificate is sent".to_owned())).ok()?;
    let world = World { trace: true, ..subject.world };
    Some(subject.server.evaluate(&request, &world))
}

impl Asked {
    /// Whether the request met a section.
    pub fn met(&self, section: &Section) -> bool {
        self.run.seen.sections.contains(&section.origin)
    }

    /// Whether a rule about access refused it, and not the lack of a file, an index or a permission.
    pub fn is_refused_by_rule(&self) -> bool {
        const RULES: [&str; 12] = [
            "apache/require-denied",
            "apache/require-denied-default-root",
            "apache/authz-forbidden-on-failure",
            "apache/access-compat-deny",
            "apache/access-compat-order-default",
            "apache/authentication-required",
            "apache/user-not-authorized",
            "apache/no-authenticated-user",
            "apache/ssl-required",
            "apache/ssl-require-expr",
            "apache/ssl-client-cert",
            "apache/password-file",
        ];
        self.run.decision.as_ref().is_some_and(|decision| RULES.contains(&decision.cause.code))
    }

    /// Whether the client got past every rule about access: served, not found, or refused for another reason.
    pub fn is_past_the_rules(&self) -> bool {
        match self.run.outcome {
            Outcome::Upstream => true,
            Outcome::Response(401) => false,
            Outcome::Response(403) => self.run.decision.as_ref().is_some_and(|decision| {
                matches!(
                    decision.cause.code,
                    "apache/autoindex-forbidden"
                        | "apache/file-permission"
                        | "apache/cgi-no-execcgi"
                        | "apache/cgi-directory"
                )
            }),
            Outcome::Response(status) => (100..500).contains(&status) && status != 400 && status != 421,
            Outcome::Closed | Outcome::Refused | Outcome::Unknown => false,
        }
    }
}

/// `DocumentRoot`, `Alias` and `ScriptAlias` with literal prefixes, of one server.
fn mappings(config: &Config, server: &ServerConf, nodes: &[Node]) -> Vec<Mapping> {
    let absolute = |word: &[u8]| {
        let path = config.known.server_root_relative(word);
        let mut path = path.as_os_str().as_bytes().to_vec();
        if !path.ends_with(b"/") {
            path.push(b'/');
        }
        path
    };
    let mut found = Vec::new();
    if let Some(root) = &server.core.document_root
        && let Some(origin) = root.origin
    {
        let (url, dir) = ("/".to_owned(), absolute(&root.value));
        found.push(Mapping { server: server.index, url, dir, origin });
    }
    for node in nodes.iter().filter(|node| node.is("alias") || node.is("scriptalias")) {
        let (Some(url), Some(dir)) = (node.word(0).and_then(plain), node.word(1)) else { continue };
        // `Alias /x /srv/x`: what follows the prefix follows the directory, slash and all.
        if url.starts_with('/') && url.ends_with('/') == dir.ends_with(b"/") {
            let url = format!("{}/", url.trim_end_matches('/'));
            found.push(Mapping { server: server.index, url, dir: absolute(dir), origin: node.origin });
        }
    }
    found
}

/// Names that a `<Files>` section matches.
pub(super) fn file_names(section: &Section) -> Vec<String> {
    match &section.matcher {
        Matcher::Literal(name) => plain(name).into_iter().collect(),
        Matcher::Glob(pattern) => plain(&unglobbed(pattern)).into_iter().collect(),
        Matcher::Regex(pattern) => {
            let heads = ["", "x", "x."];
            let texts = samples(pattern.source());
            let mut found = Vec::new();
            for text in texts.iter().filter_map(|text| plain(text)).filter(|text| !text.contains('/')) {
                for head in heads {
                    let name = format!("{head}{text}");
                    if pattern.is_match(name.as_bytes()).unwrap_or(false) {
                        found.push(name);
                    }
                }
            }
            found.truncate(4);
            found
        }
        Matcher::Condition(_) | Matcher::Otherwise => Vec::new(),
    }
}

/// A text that a shell pattern probably matches.
fn unglobbed(pattern: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'*' | b'?' => text.push(b'x'),
            b'[' => {
                let end = rest.iter().skip(1).position(|&byte| byte == b']').map_or(rest.len(), |at| at + 1);
                text.extend(rest.iter().find(|byte| byte.is_ascii_alphanumeric()));
                rest = rest.get(end + 1..).unwrap_or_default();
            }
            b'\\' => {
                text.extend(rest.first());
                rest = rest.get(1..).unwrap_or_default();
            }
            _ => text.push(byte),
        }
    }
    text
}

/// A path that stands in a URL as it is.
pub(super) fn plain(bytes: &[u8]) -> Option<String> {
    let fits = bytes.iter().all(|byte| byte.is_ascii_graphic() && !b"%?#\"<>\\^`{|}".contains(byte));
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Bytes as a path.
pub(super) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// The handler that a section sets by name.
pub(super) fn handler(conf: &DirConf) -> Option<(&[u8], Option<Origin>)> {
    let handler = conf.core.handler.as_ref()?;
    match &handler.value {
        Handler::Name(name) => Some((name, handler.origin)),
        Handler::Expr(_) => None,
    }
}

/// `<Directory /srv/www>`, for messages.
pub(super) fn name(section: &Section) -> String {
    let word = match section.place {
        Place::Directory => "Directory",
        Place::Location => "Location",
        Place::Files => "Files",
        Place::Proxy => "Proxy",
        Place::If => return "`<If>`".to_owned(),
        Place::Htaccess => return "this `.htaccess`".to_owned(),
        Place::Server => return "this server".to_owned(),
    };
    match &section.matcher {
        Matcher::Literal(text) | Matcher::Glob(text) => {
            let text = if text.len() > 1 && section.place == Place::Directory { text.strip_suffix(b"/") } else { None }
                .unwrap_or(text);
            format!("`<{word} {}>`", String::from_utf8_lossy(text))
        }
        Matcher::Regex(pattern) => format!("`<{word}Match {}>`", String::from_utf8_lossy(pattern.source())),
        Matcher::Condition(_) | Matcher::Otherwise => format!("`<{word}>`"),
    }
}

/// Every directive of a tree of directives, with those around it, outermost first; depth is bounded by the reader's.
pub(super) fn walk<'n>(nodes: &'n [Node], visit: &mut dyn FnMut(&'n Node, &[&'n Node])) {
    fn inner<'n>(nodes: &'n [Node], around: &mut Vec<&'n Node>, visit: &mut dyn FnMut(&'n Node, &[&'n Node])) {
        for node in nodes {
            visit(node, around);
            if !node.children.is_empty() && around.len() < 64 {
                around.push(node);
                inner(&node.children, around, visit);
                around.pop();
            }
        }
    }
    inner(nodes, &mut Vec::new(), visit);
}

/// The `AllowOverride` classes of a mask.
pub(super) fn classes(mask: u32) -> Vec<&'static str> {
    use crate::apache::directives::{OR_AUTHCFG, OR_FILEINFO, OR_INDEXES, OR_LIMIT, OR_OPTIONS};
    let names = [
        (OR_AUTHCFG, "AuthConfig"),
        (OR_FILEINFO, "FileInfo"),
        (OR_INDEXES, "Indexes"),
        (OR_LIMIT, "Limit"),
        (OR_OPTIONS, "Options"),
    ];
    names.iter().filter(|(class, _)| mask & class != 0).map(|(_, name)| *name).collect()
}

/// A path for messages.
pub(super) fn path_text(path: &Path) -> String {
    format!("`{}`", path.display())
}

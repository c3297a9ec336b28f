//! The one place where it matters which server is asked.

use std::path::{Path, PathBuf};

use crate::fix::Fix;
use crate::fs::Filesystem;
use crate::outcome::{Decision, Run};
use crate::problem::Problem;
use crate::request::Request;
use crate::sentence::Sentences;
use crate::source::SourceMap;
use crate::trace::Step;
use crate::world::World;
use crate::{apache, nginx};

/// Which server a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
}

impl Kind {
    /// Recognises the server from the text of a main file: nginx ends its directives with `;` and opens blocks with `{`,
    /// Apache does neither. Where the text says nothing, the file's name is asked; `None`: neither knows.
    pub fn recognise(path: &Path, text: &[u8]) -> Option<Kind> {
        let (mut nginx, mut apache) = (0usize, 0usize);
        let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).take(1000) {
            let code = line.split(|&byte| byte == b'#').next().unwrap_or_default().trim_ascii_end();
            match code.last() {
                Some(b';' | b'{' | b'}') => nginx += 1,
                _ => apache += 1,
            }
        }
        match nginx.cmp(&apache) {
            std::cmp::Ordering::Greater => Some(Kind::Nginx),
            std::cmp::Ordering::Less => Some(Kind::Apache),
            std::cmp::Ordering::Equal => match path.file_name()?.to_str()? {
                "nginx.conf" => Some(Kind::Nginx),
                "apache2.conf" | "httpd.conf" | ".htaccess" => Some(Kind::Apache),
                _ => None,
            },
        }
    }

    /// The part of a directive's text that is shown: without what a block or section holds. `text` is its whole span.
    pub fn head(self, text: &[u8]) -> &[u8] {
        match self {
            Kind::Nginx => nginx_head(text),
            Kind::Apache => apache_head(text),
        }
    }

    /// `nginx` or `apache`, as options and codes spell it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Apache => "apache",
        }
    }
}

/// Up to and with the `;` or `{` that ends the words: outside quotes, not after a backslash, not the brace of `${`.
fn nginx_head(text: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut previous = b' ';
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (quote, byte) {
            (_, b'\\') => at += 1,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') if previous.is_ascii_whitespace() => quote = Some(byte),
            (None, b'{') if previous == b'$' => {}
            (None, b';' | b'{') => return &text[..=at],
            _ => {}
        }
        previous = byte;
        at += 1;
    }
    text
}

/// The first logical line: up to a line end that no backslash precedes.
fn apache_head(text: &[u8]) -> &[u8] {
    for end in memchr::memchr_iter(b'\n', text) {
        let line = text[..end].strip_suffix(b"\r").unwrap_or(&text[..end]);
        if !line.ends_with(b"\\") {
            return line;
        }
    }
    text
}

/// How to load a configuration (contract, "Asking").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// The main file, absolute.
    pub config: PathBuf,
    /// The version whose behaviour is followed (`1.22.1`); `None`: the newest known.
    pub version: Option<String>,
    /// `--modules`: a profile's name or a comma-separated list; `None`: the server's default.
    pub modules: Option<String>,
    /// `--prefix`: nginx `-p`, Apache `-d`.
    pub prefix: Option<PathBuf>,
    /// `-D NAME`: Apache's defines.
    pub defines: Vec<String>,
}

impl LoadOptions {
    /// The defaults for this main file.
    pub fn new(config: &Path) -> Self {
        LoadOptions { config: config.to_path_buf(), version: None, modules: None, prefix: None, defines: Vec::new() }
    }
}

/// A loaded configuration. Loading never fails: what the server would refuse is in [`Server::problems`].
#[derive(Debug)]
pub enum Server {
    /// nginx.
    Nginx(Box<nginx::Config>),
    /// Apache httpd.
    Apache(Box<apache::Config>),
}

impl Server {
    /// Reads the configuration and everything it includes.
    pub fn load(kind: Kind, options: &LoadOptions, fs: &dyn Filesystem) -> Server {
        match kind {
            Kind::Nginx => Server::Nginx(Box::new(nginx::load(options, fs))),
            Kind::Apache => Server::Apache(Box::new(apache::load(options, fs))),
        }
    }

    /// Which server it is.
    pub fn kind(&self) -> Kind {
        match self {
            Server::Nginx(_) => Kind::Nginx,
            Server::Apache(_) => Kind::Apache,
        }
    }

    /// One run: pure, without IO of its own.
    pub fn evaluate(&self, request: &Request, world: &World) -> Run {
        match self {
            Server::Nginx(config) => nginx::evaluate(config, request, world),
            Server::Apache(config) => apache::evaluate(config, request, world),
        }
    }

    /// The sentences that go with a decision.
    pub fn describe(&self, run: &Run, decision: &Decision) -> Sentences {
        match self {
            Server::Nginx(config) => nginx::explain::describe(config, run, decision),
            Server::Apache(config) => apache::explain::describe(config, run, decision),
        }
    }

    /// Changes that may end a refusal, smallest reach first; none of them was tried yet.
    pub fn fixes(&self, request: &Request, run: &Run, decision: &Decision, world: &World) -> Vec<Fix> {
        match self {
            Server::Nginx(config) => nginx::explain::fixes(config, request, run, decision, world),
            Server::Apache(config) => apache::explain::fixes(config, request, run, decision, world),
        }
    }

    /// The sentence of one step of a trace.
    pub fn sentence(&self, step: &Step) -> String {
        match self {
            Server::Nginx(config) => nginx::explain::step(config, step),
            Server::Apache(config) => apache::explain::step(config, step),
        }
    }

    /// The text of every file read.
    pub fn sources(&self) -> &SourceMap {
        match self {
            Server::Nginx(config) => &config.loaded.sources,
            Server::Apache(config) => &config.sources,
        }
    }

    /// Every problem, in the order in which the server meets them.
    pub fn problems(&self) -> &[Problem] {
        match self {
            Server::Nginx(config) => &config.problems,
            Server::Apache(config) => &config.problems,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_which_server_it_is_for() {
        let kind = |text: &str| Kind::recognise(Path::new("/x.conf"), text.as_bytes());
        assert_eq!(kind("# c\nevents {}\nhttp {\n  server { listen 80; }\n}\n"), Some(Kind::Nginx));
        assert_eq!(kind("Listen 80\n<Directory />\n  Require all denied\n</Directory>\n"), Some(Kind::Apache));
        assert_eq!(kind(""), None);
        assert_eq!(Kind::recognise(Path::new("/etc/nginx/nginx.conf"), b""), Some(Kind::Nginx));
    }

    #[test]
    fn the_head_of_a_block_ends_at_its_brace() {
        let head = |text: &'static str| String::from_utf8_lossy(Kind::Nginx.head(text.as_bytes()));
        assert_eq!(head("location /a { deny all; }"), "location /a {");
        assert_eq!(head("return 403 \"a;b\"; x"), "return 403 \"a;b\";");
        assert_eq!(head("set $x ${y}z; x"), "set $x ${y}z;");
        assert_eq!(head("if ($a ~ \"^{\") { }"), "if ($a ~ \"^{\") {");
    }

    #[test]
    fn the_head_of_a_section_is_its_first_line() {
        assert_eq!(Kind::Apache.head(b"<Directory /x>\nRequire all denied\n"), b"<Directory /x>");
        assert_eq!(Kind::Apache.head(b"Require \\\n all denied"), b"Require \\\n all denied");
    }
}

//! Which part of a configuration a text is, from the text alone.

use std::path::Path;

use crate::server::Kind;

/// What a file is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// A whole configuration: `nginx.conf`, `httpd.conf`, `apache2.conf`.
    Main,
    /// nginx: what stands in `http { }` (`conf.d/*.conf`, `sites-enabled/*`).
    Http,
    /// nginx: what stands in `server { }`.
    Server,
    /// nginx: what stands in `location { }`.
    Location,
    /// Apache: what stands in the main file beside others, `<VirtualHost>` sections among it.
    ServerConfig,
    /// Apache: what stands in a `<VirtualHost>`.
    Vhost,
    /// Apache: what stands in a `<Directory>`.
    Directory,
    /// Apache: an `.htaccess`.
    Htaccess,
}

/// Every context with its name on the command line.
pub const CONTEXTS: &[(&str, Context)] = &[
    ("main", Context::Main),
    ("http", Context::Http),
    ("server", Context::Server),
    ("location", Context::Location),
    ("server-config", Context::ServerConfig),
    ("vhost", Context::Vhost),
    ("directory", Context::Directory),
    ("htaccess", Context::Htaccess),
];

impl Context {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        CONTEXTS.iter().find(|(_, context)| *context == self).map_or("main", |(name, _)| name)
    }

    /// The server whose context it is; a whole configuration is of either.
    pub fn kind(self) -> Option<Kind> {
        match self {
            Context::Main => None,
            Context::Http | Context::Server | Context::Location => Some(Kind::Nginx),
            Context::ServerConfig | Context::Vhost | Context::Directory | Context::Htaccess => Some(Kind::Apache),
        }
    }
}

/// The names of the directives at the top of an nginx text, cheaply: the first word after each `;`, `{`, `}` at depth 0.
fn top_names(text: &[u8]) -> Vec<&[u8]> {
    let (mut names, mut depth, mut at, mut fresh) = (Vec::new(), 0usize, 0, true);
    while at < text.len() {
        match text[at] {
            byte if byte.is_ascii_whitespace() => at += 1,
            b'#' if at == 0 || text[at - 1].is_ascii_whitespace() || matches!(text[at - 1], b';' | b'{' | b'}') => {
                at = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end);
            }
            quote @ (b'"' | b'\'') => {
                at += 1;
                while at < text.len() && text[at] != quote {
                    at += 1 + usize::from(text[at] == b'\\');
                }
                at += 1;
                fresh = false;
            }
            b';' => (at, fresh) = (at + 1, true),
            b'{' => (at, fresh, depth) = (at + 1, true, depth + 1),
            b'}' => (at, fresh, depth) = (at + 1, true, depth.saturating_sub(1)),
            _ => {
                let end = text[at..].iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b';' | b'{'));
                let end = end.map_or(text.len(), |end| at + end);
                if fresh && depth == 0 {
                    names.push(&text[at..end]);
                }
                fresh = false;
                at = end;
            }
        }
    }
    names
}

/// Which part of a configuration a text is. `allowed(context, name)` says whether a directive may stand directly in a
/// context, as the server's tables say; the first context of the list that admits the most wins.
pub fn context(kind: Kind, path: &Path, text: &[u8], allowed: &dyn Fn(Context, &[u8]) -> bool) -> Context {
    let (names, candidates): (Vec<&[u8]>, &[Context]) = match kind {
        Kind::Nginx => {
            let names = top_names(text);
            if names.iter().any(|name| matches!(*name, b"http" | b"events" | b"stream" | b"mail" | b"worker_processes"))
            {
                return Context::Main;
            }
            (names, &[Context::Server, Context::Http, Context::Location])
        }
        Kind::Apache => {
            if path.file_name().is_some_and(|name| name == ".htaccess") {
                return Context::Htaccess;
            }
            let lines =
                text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.starts_with(b"#"));
            let mut depth = 0usize;
            let mut names = Vec::new();
            for line in lines {
                let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
                let word = word.strip_suffix(b">").unwrap_or(word);
                if line.starts_with(b"</") {
                    depth = depth.saturating_sub(1);
                } else if !word.is_empty() {
                    if depth == 0 {
                        names.push(word);
                    }
                    depth += usize::from(line.starts_with(b"<"));
                }
            }
            let is = |name: &[u8], other: &str| name.eq_ignore_ascii_case(other.as_bytes());
            if names.iter().any(|name| is(name, "ServerRoot") || is(name, "PidFile")) {
                return Context::Main;
            }
            (names, &[Context::ServerConfig, Context::Vhost, Context::Directory, Context::Htaccess])
        }
    };
    let fits = |context: &Context| names.iter().filter(|name| allowed(*context, name)).count();
    let most = candidates.iter().map(fits).max().unwrap_or(0);
    candidates.iter().copied().find(|context| fits(context) == most).unwrap_or(candidates[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_the_top_skip_quotes_blocks_and_comments() {
        let text = b"a 'x;y {' z; # c { d\nb { c d; }\n\"e\" f;g h;";
        assert_eq!(top_names(text), [&b"a"[..], b"b", b"g"]);
    }
}

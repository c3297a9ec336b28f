//! `section-never-applies`: a section for nothing.

use super::sections::{Layout, Spot, name, path_of, walk};
use super::verdicts::{has_rules, restricts};
use super::{APACHE, Needs, Rule};
use crate::apache::Config;
use crate::apache::model::{Matcher, Place, ServerConf};
use crate::fact::Fact;
use crate::finding::{Category, Level};
use crate::fs;
use crate::lint::distance;
use crate::lint::subject::{Findings, Subject};
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;

pub(super) const RULE: Rule = Rule {
    id: "section-never-applies",
    title: "a section matches no request",
    level: Level::Error,
    category: Category::Correctness,
    servers: APACHE,
    needs: Needs::Tree,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut elsewhere = Elsewhere::default();
    walk(&config.nodes, &mut |node, _| elsewhere.take(node));
    for spot in &layout.spots {
        let why = match (spot.section.place, &spot.section.matcher) {
            (Place::Directory, Matcher::Literal(dir)) if dir != b"/" => {
                directory(subject, layout, spot, dir, &elsewhere)
            }
            (Place::Location, Matcher::Literal(path) | Matcher::Glob(path)) => location(subject, layout, spot, path),
            (Place::Files, Matcher::Literal(name) | Matcher::Glob(name)) if name.contains(&b'/') => {
                Some(("it is compared with the last component of a path, which holds no slash".to_owned(), None))
            }
            _ => None,
        };
        let Some((why, better)) = why else { continue };
        let finding = found.at(spot.section.origin, format!("{} matches no request: {why}", name(&spot.section)));
        if !has_rules(&spot.section.conf) {
            finding.level(Level::Warning);
        }
        if let Some(better) = better {
            finding.advise(format!("is `{better}` meant?"));
        }
    }
    if !subject.fragment {
        let lines = config.nodes.iter().filter(|node| node.is("listen")).count();
        // A line that is not understood may open any port.
        let servers = config.servers.iter().filter(|_| lines == config.listens.len());
        for server in servers {
            unreached(config, layout, server, found);
        }
    }
}

/// What else than `DocumentRoot`, `Alias` and `ScriptAlias` may lead into a directory.
#[derive(Default)]
struct Elsewhere {
    anywhere: bool,
    texts: HashSet<Box<[u8]>>,
}

impl Elsewhere {
    fn take(&mut self, node: &crate::apache::load::Node) {
        match node.name() {
            "userdir" => {
                self.anywhere |= node.word(0).is_some_and(|word| !word.to_ascii_lowercase().starts_with(b"disable"))
            }
            "virtualdocumentroot" | "virtualscriptalias" | "virtualdocumentrootip" | "virtualscriptaliasip" => {
                self.anywhere = true;
            }
            "directory" | "directorymatch" | "documentroot" => {}
            // Networks have a slash and lead nowhere; there may be very many of them.
            "require" | "allow" | "deny" => {}
            _ if !node.section => self.texts.extend(node.words().filter(|word| word.contains(&b'/')).map(Box::from)),
            _ => {}
        }
    }

    fn names(&self, dir: &[u8]) -> bool {
        let bare = dir.strip_suffix(b"/").unwrap_or(dir);
        self.anywhere || self.texts.iter().any(|text| memchr::memmem::find(text, bare).is_some())
    }
}

type Why = Option<(String, Option<String>)>;

fn directory(subject: &Subject, layout: &Layout, spot: &Spot, dir: &[u8], elsewhere: &Elsewhere) -> Why {
    let shown = |path: &[u8]| String::from_utf8_lossy(path).trim_end_matches('/').to_owned();
    if !dir.starts_with(b"/") {
        let url = memchr::memmem::find(dir, b"://").is_some() || dir.starts_with(b"http:");
        return url.then(|| ("it names a URL, and directories are paths of the file system".to_owned(), None));
    }
    if layout.is_mapped(dir) {
        return missing(subject, dir);
    }
    // A directory whose first components are almost those of one that is served.
    let parts = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
    let near = layout.mappings.iter().take(64).find_map(|mapping| {
        let (wanted, served) = (shown(dir), shown(&mapping.dir));
        let count = parts(served.as_bytes());
        let head: Vec<&str> = wanted.split('/').take(count + 1).collect();
        let head = head.join("/");
        let apart = distance(&head, &served);
        (count > 0 && (1..=2).contains(&apart)).then(|| format!("{served}{}", &wanted[head.len()..]))
    });
    if elsewhere.names(dir) {
        return None;
    }
    if near.is_some() {
        return Some(("no URL is mapped to it".to_owned(), near));
    }
    if subject.fragment || !restricts(&spot.section.conf) {
        return None;
    }
    let real = layout.mappings.iter().take(64).find(|mapping| {
        matches!(fs::real_path(subject.world.fs, path_of(&mapping.dir)), Fact::Known(Ok(real))
            if real.as_os_str().as_bytes() != &mapping.dir[..mapping.dir.len() - 1]
                && dir.starts_with(&[real.as_os_str().as_bytes(), b"/"].concat()))
    });
    Some(match real {
        Some(mapping) => {
            let served = shown(&mapping.dir);
            (
                format!(
                    "it is served as `{served}`, and the links in a path are not resolved before sections are compared"
                ),
                Some(served),
            )
        }
        None => ("no URL is mapped to it".to_owned(), None),
    })
}

/// A directory that is not there although the one around it is, and that holds one with almost the same name.
fn missing(subject: &Subject, dir: &[u8]) -> Why {
    let bare = dir.strip_suffix(b"/")?;
    if !matches!(fs::stat(subject.world.fs, path_of(bare)), Fact::Known(Err(_))) {
        return None;
    }
    let slash = bare.iter().rposition(|&byte| byte == b'/')?;
    let (parent, last) = (&bare[..=slash], String::from_utf8_lossy(&bare[slash + 1..]));
    let Fact::Known(Ok(names)) = subject.world.fs.list(path_of(parent)) else { return None };
    let near = names
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .find(|name| last.len() > 3 && (1..=2).contains(&distance(name, &last)))?;
    let better = format!("{}{near}", String::from_utf8_lossy(parent));
    Some(("there is no such directory".to_owned(), Some(better)))
}

fn location(subject: &Subject, layout: &Layout, spot: &Spot, path: &[u8]) -> Why {
    if let Some(at) = path.iter().position(|&byte| byte == b'?')
        && path[at..].contains(&b'=')
    {
        return Some(("it is compared with the path alone, without the query".to_owned(), None));
    }
    let root = layout.mappings_around(path).find(|mapping| {
        mapping.url == "/"
            && (spot.server == 0 || mapping.server == spot.server)
            && mapping.dir.iter().filter(|&&byte| byte == b'/').count() > 2
    })?;
    let taken = layout.mappings.iter().any(|mapping| mapping.url != "/" && path.starts_with(mapping.url.as_bytes()));
    let under = [root.dir.strip_suffix(b"/")?, path].concat();
    if taken || matches!(fs::stat(subject.world.fs, path_of(&under)), Fact::Known(Ok(_))) {
        return None;
    }
    let url = String::from_utf8_lossy(path.get(root.dir.len() - 1..).unwrap_or_default()).into_owned();
    let url = if url.is_empty() { "/".to_owned() } else { url };
    Some((
        "it names a directory of the disk, and locations are compared with the path of the URL".to_owned(),
        Some(url),
    ))
}

/// A virtual host on a port or address that nothing listens on.
fn unreached(config: &Config, layout: &Layout, server: &ServerConf, found: &mut Findings) {
    let Some(origin) = server.origin else { return };
    if server.addresses.is_empty() {
        return;
    }
    let reached = server.addresses.iter().any(|own| {
        own.unresolved
            || config.listens.iter().any(|listen| {
                let port = own.port == 0 || own.port == listen.port;
                let bound = listen.address.filter(|address| !address.is_unspecified());
                port && (bound.is_none() || own.address.is_none() || own.address == bound)
            })
    });
    if reached {
        return;
    }
    let mut rules = false;
    walk(layout.nodes(config, server), &mut |node, _| rules |= node.is("require") || node.is("deny"));
    let finding = found.at(origin, "this virtual host gets no request: no `Listen` opens its address and port");
    if !rules {
        finding.level(Level::Warning);
    }
}

const PAGE: &str = r#"# section-never-applies

A `<Directory>` outside of everything that is served, or written almost like something that is; a `<Location>` that names a directory of the disk or a query; a `<Files>` with a
slash; a `<VirtualHost>` that no `Listen` opens. An error where it holds access rules, else a warning.

## Flagged (apache, server config)
```apache
<Directory "/srv/wwww/p">
    Require all denied
</Directory>
<Location "/srv/www/q">
    Require all denied
</Location>
```

## Fixed (apache, server config)
```apache
<Directory "/srv/www/p">
    Require all denied
</Directory>
<Location "/q">
    Require all denied
</Location>
```

## Why
`<Directory>` is compared with the path that the URL was mapped to, as it was mapped: links are not resolved first. `<Location>` is compared with the path of the URL,
`<Files>` with the last component of the file name. None of them complains when nothing ever fits.
"#;

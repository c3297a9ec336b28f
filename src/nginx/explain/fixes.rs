//! Changes that may end a refusal, by cause. They are candidates: `crate::explain` tries each before anybody sees it.

use std::path::{Path, PathBuf};

use crate::fact::Fact;
use crate::fix::permission::{self, Needs};
use crate::fix::{Command, Edit, Fix, Safety};
use crate::nginx::Config;
use crate::outcome::{Decision, Run};
use crate::request::Request;
use crate::sentence::{shown, ticked};
use crate::server::Kind;
use crate::source::{Origin, SourceMap, Span};
use crate::world::World;

/// Most names of a directory that are looked at for an index.
const MOST_NAMES: usize = 1000;

/// The candidates for a decision, smallest reach first.
pub fn fixes(config: &Config, request: &Request, run: &Run, decision: &Decision, world: &World) -> Vec<Fix> {
    let work = Work { sources: &config.loaded.sources, request, run, world };
    let mut fixes = work.of(decision);
    // Under an error page or an authorization subrequest the refusal inside is the one to end.
    let mut inner = decision.inner.as_deref();
    while let Some(decision) = inner {
        fixes.extend(work.of(decision));
        inner = decision.inner.as_deref();
    }
    fixes
}

struct Work<'a> {
    sources: &'a SourceMap,
    request: &'a Request,
    run: &'a Run,
    world: &'a World<'a>,
}

impl Work<'_> {
    fn of(&self, decision: &Decision) -> Vec<Fix> {
        let code = decision.cause.code.strip_prefix("nginx/").unwrap_or(decision.cause.code);
        let mut fixes = match code {
            "access-deny" | "access-deny-satisfy-any" => self.allow(decision),
            "access-deny-limit-except" => [self.method(decision), self.allow(decision)].concat(),
            "auth-basic-file-missing" => self.touch(decision.path.as_deref()),
            "return-403" | "return-403-if" => self.returned(decision),
            "try-files-403" => [self.touch(self.run.seen.file.as_deref()), self.without_403(decision)].concat(),
            "directory-index" | "directory-index-post" => self.index(decision),
            "disable-symlinks" | "index-symlink" | "symlink-loop" => self.symlinks(decision),
            "error-page-status" => self.without_403(decision),
            "dav-permission" => self.permission(decision, Needs::Write),
            _ => Vec::new(),
        };
        if decision.path.is_some() && code != "dav-permission" {
            fixes.extend(self.permission(decision, Needs::Use));
        }
        // Taking the directive out is the last resort: it opens whatever the directive refused.
        if let Some(span) = self.removable(decision) {
            let title = format!("take {} out", self.shown(span));
            fixes.extend(review(Edit::delete(self.sources, span), title));
        }
        fixes
    }

    /// `allow CLIENT;` in front of the deny, in the same list.
    fn allow(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = decision.directive.map(|origin| origin.span) else { return Vec::new() };
        let line = format!("allow {};", self.run.seen.client());
        let title = format!("put `{line}` in front of {}", self.shown(span));
        safe(Edit::insert_before(self.sources, span, &line), title).into_iter().collect()
    }

    /// The method, added to `limit_except`.
    fn method(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = self.beside(decision, "limit_except") else { return Vec::new() };
        let method = shown(&self.request.method);
        let Some(head) = self.head(span).strip_suffix('{').map(|head| head.trim_end().to_owned()) else {
            return Vec::new();
        };
        let title = format!("add {method} to `{head}`");
        self.reword(span, &format!("{head} {method} {{"), title)
    }

    /// A `return 403` that spares this client; inside an `if` it can only go, or what fed the `if` can change.
    fn returned(&self, decision: &Decision) -> Vec<Fix> {
        let mut fixes = Vec::new();
        if let Some(span) = self.beside(decision, "valid_referers") {
            let head = self.head(span);
            let words = head.trim_end_matches(';');
            let line = match self.request.header("referer").next().and_then(host_of) {
                None => words.replacen("valid_referers", "valid_referers none", 1),
                Some(host) => format!("{words} {host}"),
            };
            fixes.extend(self.reword(span, &format!("{line};"), format!("write `{line};`")));
        }
        let rows = decision.related.iter().filter(|related| matches!(related.role, "map" | "geo"));
        for span in rows.map(|related| related.origin.span) {
            let row = self.head(span);
            if row.ends_with(';') && !row.starts_with("default") {
                let title = format!("take {} out of the table that feeds the condition", self.shown(span));
                fixes.extend(safe(Edit::delete(self.sources, span), title));
            }
        }
        if decision.cause.code.ends_with("return-403")
            && let Some(span) = decision.directive.map(|origin| origin.span)
        {
            let test = format!("if ($remote_addr != \"{}\") {{ {} }}", self.run.seen.client(), self.head(span));
            let title = format!("spare this client: `{test}`");
            fixes.extend(safe(Edit::replace(self.sources, span, &test), title));
        }
        fixes
    }

    /// Another status than 403, where a directive names it: `=403` in `try_files` or `error_page`.
    fn without_403(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = decision.directive.map(|origin| origin.span) else { return Vec::new() };
        let head = self.head(span);
        let (new, title) = if head.starts_with("try_files") {
            (head.replacen("=403", "=404", 1), "answer 404 where nothing is found")
        } else {
            (head.replacen("=403 ", "", 1), "leave the status of the error as it is")
        };
        if new == head { Vec::new() } else { self.reword(span, &new, title.to_owned()) }
    }

    /// An index for a directory: a file that lies there already, a new one, or a listing.
    fn index(&self, decision: &Decision) -> Vec<Fix> {
        let Some(directory) = decision.path.as_deref().or(self.run.seen.file.as_deref()) else { return Vec::new() };
        let Some(written) = decision.directive else { return Vec::new() };
        let mut fixes = Vec::new();
        for name in self.index_like(directory) {
            let title = format!("make `{name}` an index of `{}`", directory.display());
            let head = self.head(written.span);
            if let Some(words) = head.strip_suffix(';').filter(|head| head.starts_with("index")) {
                fixes.extend(self.reword(written.span, &format!("{words} {name};"), title));
            } else if let Some(block) = self.innermost() {
                let edit = Edit::append_to_block(self.sources, block.span, &format!("index {name};"));
                fixes.extend(safe(edit, title));
            }
        }
        fixes.extend(self.touch(Some(&directory.join("index.html"))));
        let title = format!("list `{}`", directory.display());
        if self.head(written.span).starts_with("autoindex") {
            fixes.extend(review(Edit::replace(self.sources, written.span, "autoindex on;"), title));
        } else if let Some(block) = self.innermost() {
            fixes.extend(review(Edit::append_to_block(self.sources, block.span, "autoindex on;"), title));
        }
        fixes
    }

    /// Files in a directory that look like an index: `index.*` and `default.*`.
    fn index_like(&self, directory: &Path) -> Vec<String> {
        let Fact::Known(Ok(names)) = self.world.fs.list(directory) else { return Vec::new() };
        let text = names.into_iter().take(MOST_NAMES).filter_map(|name| String::from_utf8(name).ok());
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        text.filter(|name| (name.starts_with("index.") || name.starts_with("default.")) && plain(name)).collect()
    }

    fn symlinks(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = decision.directive.map(|origin| origin.span) else { return Vec::new() };
        if !self.head(span).starts_with("disable_symlinks") {
            return decision.path.as_deref().map(unlooped).unwrap_or_default();
        }
        let mut fixes = Vec::new();
        for value in ["if_not_owner", "off"] {
            let line = format!("disable_symlinks {value};");
            fixes.extend(review(Edit::replace(self.sources, span, &line), format!("write `{line}`")));
        }
        fixes
    }

    fn permission(&self, decision: &Decision, needs: Needs) -> Vec<Fix> {
        let Some(path) = decision.path.as_deref() else { return Vec::new() };
        [permission::candidates(self.world.fs, path, needs), permission::relink(self.world.fs, path)].concat()
    }

    fn touch(&self, path: Option<&Path>) -> Vec<Fix> {
        let Some(path) = path.filter(|path| path.is_absolute() && path.file_name().is_some()) else {
            return Vec::new();
        };
        vec![Fix {
            title: format!("create `{}`", path.display()),
            edits: Vec::new(),
            commands: vec![Command::Touch(PathBuf::from(path))],
            safety: Safety::Safe,
            then: None,
        }]
    }

    /// The directive itself, where it is a simple one that somebody wrote to refuse: not what maps or opens a path.
    fn removable(&self, decision: &Decision) -> Option<Span> {
        let span = decision.directive.filter(|_| !decision.default && decision.path.is_none())?.span;
        let head = self.head(span);
        let keeps = ["root", "alias", "index", "autoindex", "proxy_pass", "try_files", "auth_basic_user_file"];
        let name = head.split([' ', '\t', ';']).next().unwrap_or_default();
        (head.ends_with(';') && !keeps.contains(&name)).then_some(span)
    }

    /// The related directive of this name.
    fn beside(&self, decision: &Decision, name: &str) -> Option<Span> {
        let spans = decision.related.iter().map(|related| related.origin.span);
        spans.into_iter().find(|span| self.head(*span).starts_with(name))
    }

    /// The location in force, else the server.
    fn innermost(&self) -> Option<Origin> {
        self.run.seen.sections.last().copied().or(self.run.seen.server)
    }

    /// Other words for the head of a directive.
    fn reword(&self, span: Span, text: &str, title: String) -> Vec<Fix> {
        let head = Kind::Nginx.head(self.sources.text(span)).len();
        let span = Span { end: span.start + head as u32, ..span };
        safe(Edit::replace(self.sources, span, text), title).into_iter().collect()
    }

    fn head(&self, span: Span) -> String {
        String::from_utf8_lossy(Kind::Nginx.head(self.sources.text(span))).into_owned()
    }

    fn shown(&self, span: Span) -> String {
        ticked(Kind::Nginx.head(self.sources.text(span)))
    }
}

/// A link that leads in a circle, pointed at something new beside it: a file, or a directory.
fn unlooped(link: &Path) -> Vec<Fix> {
    let Some(name) = link.file_name() else { return Vec::new() };
    let mut new = name.to_owned();
    new.push(".target");
    let target = link.with_file_name(new);
    let made = [Command::Touch(target.clone()), Command::Mkdir(target.clone())];
    let point = |made: Command| Fix {
        title: format!("point `{}` at something that is there", link.display()),
        edits: Vec::new(),
        commands: vec![made, Command::Link { target: target.clone(), path: link.to_path_buf() }],
        safety: Safety::Review,
        then: None,
    };
    made.map(point).to_vec()
}

fn safe(edit: Option<Edit>, title: String) -> Option<Fix> {
    Some(Fix { title, edits: vec![edit?], commands: Vec::new(), safety: Safety::Safe, then: None })
}

fn review(edit: Option<Edit>, title: String) -> Option<Fix> {
    Some(Fix { safety: Safety::Review, ..safe(edit, title)? })
}

/// The host in a Referer, if it can stand in a configuration as it is.
fn host_of(referer: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(referer).ok()?;
    let host = text.split_once("://")?.1.split(['/', ':', '?', '#']).next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    (!host.is_empty() && host.bytes().all(plain)).then(|| host.to_owned())
}

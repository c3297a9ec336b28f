//! Changes that may end a refusal, by cause. They are candidates: `crate::explain` tries each before anybody sees it.

use std::path::{Path, PathBuf};

use crate::apache::Config;
use crate::fact::Fact;
use crate::fix::permission::{self, Needs};
use crate::fix::{Command, Edit, Fix, Safety};
use crate::fs::Errno;
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
    let work = Work { sources: &config.sources, request, run, world };
    let mut fixes = work.of(decision);
    // Behind an index name, a fallback or an error document the refusal inside is the one to end.
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
        let code = decision.cause.code.strip_prefix("apache/").unwrap_or(decision.cause.code);
        let mut fixes = match code {
            "require-denied" => [self.method(decision), self.require(decision), self.section(decision)].concat(),
            // A requirement beside the one of `<Directory />` would open the whole disk to the client.
            "require-denied-default-root" => [self.section(decision), self.require(decision)].concat(),
            "access-compat-deny" | "access-compat-order-default" => {
                [self.method(decision), self.allow_from(decision)].concat()
            }
            "symlink-not-allowed" | "rewrite-options-off" | "symlink-subrequest" => {
                self.option(decision, "FollowSymLinks", Safety::Safe)
            }
            "symlink-owner-mismatch" => {
                [self.own_link(decision), self.option(decision, "FollowSymLinks", Safety::Review)].concat()
            }
            "symlink-target-unreachable" => self.missing_target(decision),
            "cgi-no-execcgi" => self.option(decision, "ExecCGI", Safety::Review),
            "autoindex-forbidden" => [self.index(decision), self.option(decision, "Indexes", Safety::Review)].concat(),
            "rewrite-forbidden" => self.condition(decision),
            "rewrite-query-control" | "proxy-control-chars" => self.escaping(decision),
            "rewrite-unsafe-3f" => self.rule_flags(decision, |flags| flags.push("UnsafeAllow3F".to_owned())),
            "cgi-directory" => self.not_found(decision),
            "dav-state-dir" => self.dav_off(decision),
            "not-a-file" => decision.path.iter().flat_map(|path| permission::replace(self.world.fs, path)).collect(),
            _ => Vec::new(),
        };
        if let Some(path) = &decision.path {
            fixes.extend(permission::candidates(self.world.fs, path, Needs::Use));
            fixes.extend(permission::relink(self.world.fs, path));
        }
        if code.starts_with("htaccess-")
            && let Some(span) = self.directive_named(decision, "allowoverride")
        {
            fixes.extend(self.reword(span, "AllowOverride None", Safety::Review));
        }
        // Taking the directive out is the last resort: it opens whatever the directive refused.
        if let Some(span) = self.removable(decision) {
            fixes.extend(review(Edit::delete(self.sources, span), format!("take {} out", self.shown(span))));
        }
        fixes
    }

    /// The client, added to the requirements that failed: to a list of addresses, beside a requirement that may be
    /// joined by an alternative, or in its place.
    fn require(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = self.directive_named(decision, "require") else { return self.put_into_container(decision) };
        let head = self.head(span);
        let words: Vec<&str> = head.split_whitespace().collect();
        let client = &self.run.seen.client();
        let mut fixes = Vec::new();
        if words.get(1).is_some_and(|provider| provider.eq_ignore_ascii_case("ip")) {
            let line = format!("{head} {client}");
            fixes.extend(safe(Edit::replace(self.sources, span, &line), format!("write `{line}`")));
        }
        let line = format!("Require ip {client}");
        let title = format!("put `{line}` beside `{head}`");
        fixes.extend(safe(Edit::insert_after(self.sources, span, &line), title));
        fixes.extend(safe(Edit::replace(self.sources, span, &line), format!("write `{line}` instead of `{head}`")));
        fixes.extend(review(
            Edit::replace(self.sources, span, "Require all granted"),
            format!("write `Require all granted` instead of `{head}`"),
        ));
        fixes
    }

    /// The client, inside a `<RequireAll>` or `<RequireAny>` in which nothing grants.
    fn put_into_container(&self, decision: &Decision) -> Vec<Fix> {
        let is_container = |origin: &Origin| self.head(origin.span).to_ascii_lowercase().starts_with("<require");
        let Some(origin) = decision.directive.filter(is_container) else { return Vec::new() };
        let Some(span) = self.whole_section(origin.span) else { return Vec::new() };
        let put = |line: &str| Edit::append_to_block(self.sources, span, line);
        let title = |line: &str| format!("put `{line}` into {}", self.shown(origin.span));
        let one = format!("Require ip {}", self.run.seen.client());
        let all = "Require all granted";
        safe(put(&one), title(&one)).into_iter().chain(review(put(all), title(all))).collect()
    }

    /// A section of its own for the directory that nothing grants, after the section whose `Require` is in force.
    fn section(&self, decision: &Decision) -> Vec<Fix> {
        let Some(directory) = self.directory() else { return Vec::new() };
        let one = format!("Require ip {}", self.run.seen.client());
        let title = |line: &str| format!("add a section for `{}` with `{line}`", directory.display());
        let insert = |line: &str| self.section_for(decision, &directory, line);
        let all = "Require all granted";
        safe(insert(&one), title(&one)).into_iter().chain(review(insert(all), title(all))).collect()
    }

    /// A section for a directory that holds this line, after the last section of directories that belongs to the decision.
    fn section_for(&self, decision: &Decision, directory: &Path, line: &str) -> Option<Edit> {
        let directory = directory.to_str().filter(|path| !path.contains(['"', '\n', '\\']))?;
        let mut edit = Edit::insert_after(self.sources, self.section_span(decision)?, "")?;
        let indent = std::mem::take(&mut edit.replacement);
        let section = format!("<Directory \"{directory}\">\n    {line}\n</Directory>");
        let lines: Vec<String> = section.lines().map(|line| format!("{indent}{line}")).collect();
        edit.replacement = lines.join("\n");
        Some(edit)
    }

    /// `Allow from CLIENT` beside the deciding Deny or Order.
    fn allow_from(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = decision.directive.map(|origin| origin.span) else { return Vec::new() };
        let line = format!("Allow from {}", self.run.seen.client());
        let mut fixes = Vec::new();
        fixes.extend(safe(
            Edit::insert_after(self.sources, span, &line),
            format!("put `{line}` after {}", self.shown(span)),
        ));
        // Under `Order allow,deny` an `Allow` beside the `Deny` that covers the client is not enough.
        if self.is_named(span, "deny") {
            let title = format!("write `{line}` instead of {}", self.shown(span));
            fixes.extend(safe(Edit::replace(self.sources, span, &line), title));
        }
        fixes
    }

    /// The method, added to the `<LimitExcept>` around the requirement.
    fn method(&self, decision: &Decision) -> Vec<Fix> {
        let spans = decision.related.iter().map(|related| related.origin.span);
        let limits = spans.filter(|span| self.head(*span).to_ascii_lowercase().starts_with("<limitexcept"));
        let mut fixes = Vec::new();
        for span in limits {
            let head = self.head(span);
            let Some(words) = head.strip_suffix('>') else { continue };
            let line = format!("{words} {}>", shown(&self.request.method));
            fixes.extend(self.reword(span, &line, Safety::Safe));
        }
        fixes
    }

    /// An option, added where `Options` are written, else in the innermost section.
    fn option(&self, decision: &Decision, option: &str, safety: Safety) -> Vec<Fix> {
        let Some(span) = self.directive_named(decision, "options") else {
            let Some(section) = self.run.seen.sections.last() else { return Vec::new() };
            let Some(span) = self.whole_section(section.span) else { return Vec::new() };
            let line = format!("Options +{option}");
            let edit = Edit::append_to_block(self.sources, span, &line);
            let title = format!("add `{line}` to {}", self.shown(section.span));
            return safe(edit, title).map(|fix| Fix { safety, ..fix }).into_iter().collect();
        };
        let head = self.head(span);
        let mut words: Vec<String> = head.split_whitespace().map(str::to_owned).collect();
        let removed = format!("-{option}");
        let relative = words.iter().skip(1).any(|word| word.starts_with(['+', '-']));
        words.retain(|word| !word.eq_ignore_ascii_case(&removed) && !word.eq_ignore_ascii_case("none"));
        words.push(if relative { format!("+{option}") } else { option.to_owned() });
        self.reword(span, &words.join(" "), safety)
    }

    /// An index for a directory: a file that lies there already, or a new one.
    fn index(&self, decision: &Decision) -> Vec<Fix> {
        let Some(directory) = decision.path.as_deref().or(self.run.seen.file.as_deref()) else { return Vec::new() };
        let mut fixes = Vec::new();
        for name in self.index_like(directory) {
            let title = format!("make `{name}` an index of `{}`", directory.display());
            let spans = decision.related.iter().map(|related| related.origin.span);
            let mut spans = spans.chain(decision.directive.map(|origin| origin.span));
            if let Some(span) = spans.find(|span| self.is_named(*span, "directoryindex")) {
                let line = format!("{} {name}", self.head(span));
                fixes.extend(safe(Edit::replace(self.sources, span, &line), title));
            } else if let Some(section) = self.run.seen.sections.last() {
                let line = format!("DirectoryIndex {name}");
                let span = self.whole_section(section.span);
                fixes.extend(span.and_then(|span| safe(Edit::append_to_block(self.sources, span, &line), title)));
            }
        }
        fixes.push(Fix {
            title: format!("create `{}`", directory.join("index.html").display()),
            edits: Vec::new(),
            commands: vec![Command::Touch(directory.join("index.html"))],
            safety: Safety::Safe,
            then: None,
        });
        fixes
    }

    /// Files in a directory that look like an index.
    fn index_like(&self, directory: &Path) -> Vec<String> {
        let Fact::Known(Ok(names)) = self.world.fs.list(directory) else { return Vec::new() };
        let text = names.into_iter().take(MOST_NAMES).filter_map(|name| String::from_utf8(name).ok());
        let plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        text.filter(|name| (name.starts_with("index.") || name.starts_with("default.")) && plain(name)).collect()
    }

    /// A condition in front of the rule that spares this client.
    fn condition(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = decision.directive.map(|origin| origin.span) else { return Vec::new() };
        let line = format!("RewriteCond %{{REMOTE_ADDR}} !={}", self.run.seen.client());
        let title = format!("spare this client: `{line}`");
        safe(Edit::insert_before(self.sources, span, &line), title).into_iter().collect()
    }

    /// A rule that escapes what it puts in: without `NE`, or with `B`.
    fn escaping(&self, decision: &Decision) -> Vec<Fix> {
        let without = |flags: &mut Vec<String>| {
            flags.retain(|flag| !flag.eq_ignore_ascii_case("NE") && !flag.eq_ignore_ascii_case("noescape"));
        };
        let with = |flags: &mut Vec<String>| flags.push("B".to_owned());
        [self.rule_flags(decision, without), self.rule_flags(decision, with)].concat()
    }

    /// Other flags for the deciding rule.
    fn rule_flags(&self, decision: &Decision, change: impl Fn(&mut Vec<String>)) -> Vec<Fix> {
        let Some(span) = self.directive_named(decision, "rewriterule") else { return Vec::new() };
        let head = self.head(span);
        let head = head.trim_end();
        let (rule, old) = match head.strip_suffix(']').and_then(|head| head.rsplit_once(" [")) {
            Some((rule, flags)) => (rule.trim_end(), flags),
            None => (head, ""),
        };
        let old: Vec<String> =
            old.split(',').map(|flag| flag.trim().to_owned()).filter(|flag| !flag.is_empty()).collect();
        let mut new = old.clone();
        change(&mut new);
        if new == old {
            return Vec::new();
        }
        let flags = if new.is_empty() { String::new() } else { format!(" [{}]", new.join(",")) };
        self.reword(span, &format!("{rule}{flags}"), Safety::Review)
    }

    /// 404 for the path itself: a directory of scripts is none.
    fn not_found(&self, decision: &Decision) -> Vec<Fix> {
        let Some(span) = self.directive_named(decision, "scriptalias") else { return Vec::new() };
        let Some(path) = self.run.seen.path.as_deref().and_then(|path| std::str::from_utf8(path).ok()) else {
            return Vec::new();
        };
        if !path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_-".contains(&byte)) {
            return Vec::new();
        }
        let line = format!("RedirectMatch 404 ^{path}$");
        let title = format!("answer 404 for the directory itself: `{line}`");
        safe(Edit::insert_before(self.sources, span, &line), title).into_iter().collect()
    }

    /// WebDAV switched off: its state directory is then one like any other. Further inside it cannot be switched off.
    fn dav_off(&self, decision: &Decision) -> Vec<Fix> {
        let span = self.directive_named(decision, "dav");
        span.map(|span| self.reword(span, "Dav Off", Safety::Review)).unwrap_or_default()
    }

    /// The link given to the owner of what it points to.
    fn own_link(&self, decision: &Decision) -> Vec<Fix> {
        let Some(link) = &decision.path else { return Vec::new() };
        let Fact::Known(Ok(stat)) = crate::fs::stat(self.world.fs, link) else { return Vec::new() };
        let Some(uid) = stat.uid else { return Vec::new() };
        vec![Fix {
            title: format!("give the link `{}` to the owner of its target", link.display()),
            edits: Vec::new(),
            commands: vec![Command::Chown { path: link.clone(), user: uid.to_string(), uid, no_follow: true }],
            safety: Safety::Safe,
            then: None,
        }]
    }

    /// The file that a link leads to, where nothing is there.
    fn missing_target(&self, decision: &Decision) -> Vec<Fix> {
        let Some(link) = &decision.path else { return Vec::new() };
        let Fact::Known(Ok(target)) = self.world.fs.read_link(link) else { return Vec::new() };
        let target = link.parent().unwrap_or(link).join(target);
        if !matches!(crate::fs::stat(self.world.fs, &target), Fact::Known(Err(Errno::Enoent))) {
            return Vec::new();
        }
        let mut commands = Vec::new();
        if let Some(directory) = target.parent() {
            commands.push(Command::Mkdir(directory.to_path_buf()));
        }
        commands.push(Command::Touch(target.clone()));
        let title = format!("create `{}`, where the link leads", target.display());
        vec![Fix { title, edits: Vec::new(), commands, safety: Safety::Safe, then: None }]
    }

    /// The directive itself, where it is a simple one that somebody wrote to refuse.
    fn removable(&self, decision: &Decision) -> Option<Span> {
        let span = decision.directive.filter(|_| !decision.default && decision.path.is_none())?.span;
        let keeps = ["options", "directoryindex", "documentroot", "alias", "aliasmatch", "order", "scriptalias"];
        let name = self.head(span).split_whitespace().next()?.to_ascii_lowercase();
        (!name.starts_with('<') && !keeps.contains(&name.as_str())).then_some(span)
    }

    /// The deciding directive, or a related one, with this name.
    fn directive_named(&self, decision: &Decision, name: &str) -> Option<Span> {
        let own = decision.directive.map(|origin| origin.span);
        let related = decision.related.iter().map(|related| related.origin.span);
        own.into_iter().chain(related).find(|span| self.is_named(*span, name))
    }

    fn is_named(&self, span: Span, name: &str) -> bool {
        self.head(span).split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(name))
    }

    /// The directory that a section would have to name: the one of the file, or the directory asked for.
    fn directory(&self) -> Option<PathBuf> {
        let file = self.run.seen.file.as_deref()?;
        let is_directory = matches!(crate::fs::stat(self.world.fs, file), Fact::Known(Ok(stat)) if stat.kind == crate::fs::FileKind::Directory);
        if is_directory { Some(file.to_path_buf()) } else { file.parent().map(Path::to_path_buf) }
    }

    /// The section that holds the deciding `Require`, from its start to its end.
    fn section_span(&self, decision: &Decision) -> Option<Span> {
        let own = decision.directive.filter(|origin| self.head(origin.span).starts_with('<'));
        let sections: Vec<Origin> = own
            .into_iter()
            .chain(decision.related.iter().map(|related| related.origin))
            .chain(self.run.seen.sections.iter().rev().copied())
            .collect();
        let directory = |origin: &&Origin| self.head(origin.span).to_ascii_lowercase().starts_with("<directory");
        self.whole_section(sections.iter().find(directory)?.span)
    }

    /// From the first line of a section to the end of its last, by counting lines that open and close the same kind.
    fn whole_section(&self, start: Span) -> Option<Span> {
        let text = &self.sources.file(start.file).bytes;
        let head = self.head(start);
        let name: String = head.strip_prefix('<')?.chars().take_while(char::is_ascii_alphanumeric).collect();
        let (open, close) = (format!("<{name}").to_ascii_lowercase(), format!("</{name}").to_ascii_lowercase());
        let mut depth = 0usize;
        let mut at = start.start as usize;
        for line in text.get(at..)?.split_inclusive(|&byte| byte == b'\n') {
            at += line.len();
            let line = line.trim_ascii().to_ascii_lowercase();
            let is = |tag: &str| {
                line.starts_with(tag.as_bytes()) && !line.get(tag.len()).is_some_and(u8::is_ascii_alphanumeric)
            };
            if is(&close) {
                depth = depth.checked_sub(1)?;
            } else if is(&open) {
                depth += 1;
            }
            if depth == 0 {
                let end = at - usize::from(text[..at].ends_with(b"\n"));
                let end = end - usize::from(text[..end].ends_with(b"\r"));
                return Some(Span::new(start.file, start.start as usize, end));
            }
        }
        None
    }

    fn reword(&self, span: Span, text: &str, safety: Safety) -> Vec<Fix> {
        let head = Kind::Apache.head(self.sources.text(span)).len();
        let span = Span { end: span.start + head as u32, ..span };
        let edit = Edit::replace(self.sources, span, text);
        safe(edit, format!("write `{text}`")).map(|fix| Fix { safety, ..fix }).into_iter().collect()
    }

    /// The first line, continued lines joined.
    fn head(&self, span: Span) -> String {
        let text = String::from_utf8_lossy(Kind::Apache.head(self.sources.text(span)));
        text.replace("\\\r\n", "").replace("\\\n", "")
    }

    fn shown(&self, span: Span) -> String {
        ticked(Kind::Apache.head(self.sources.text(span)))
    }
}

fn safe(edit: Option<Edit>, title: String) -> Option<Fix> {
    Some(Fix { title, edits: vec![edit?], commands: Vec::new(), safety: Safety::Safe, then: None })
}

fn review(edit: Option<Edit>, title: String) -> Option<Fix> {
    Some(Fix { safety: Safety::Review, ..safe(edit, title)? })
}

//! The answer for people: what, where, why and how, and the request as the server understood it.

mod quote;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use quote::Quote;

use crate::explain::{Answer, Assumption, Why};
use crate::fact::Fact;
use crate::fix::{Edit, Fix, Safety};
use crate::fs::{FileKind, Filesystem, Stat};
use crate::outcome::{Certainty, Decision, Outcome};
use crate::problem::Problem;
use crate::report::jsonl::peer;
use crate::request::Request;
use crate::sentence::{shown, ticked};
use crate::server::Server;
use crate::source::Origin;

/// Columns before the text of a part: two blanks, the part's name, blanks.
const MARGIN: usize = 8;

/// How the page looks.
#[derive(Clone, Debug)]
pub struct Style {
    /// Whether colours may be used.
    pub colour: bool,
    /// Columns of the page.
    pub width: usize,
    /// Paths below this directory are shown relative to it.
    pub directory: Option<PathBuf>,
}

/// Everything that a page is written from.
pub struct Page<'a> {
    /// How it looks.
    pub style: &'a Style,
    /// The server asked.
    pub server: &'a Server,
    /// The file system it sees: for the modes along a path.
    pub fs: &'a dyn Filesystem,
    /// What was asked.
    pub request: &'a Request,
    /// The answer.
    pub answer: &'a Answer,
}

impl Page<'_> {
    /// Writes the page.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.headline(out)?;
        match &self.answer.why {
            Some(Why::Refused(problem)) => self.problem(out, problem)?,
            Some(Why::Decided(sentences)) => {
                if let Some(decision) = &self.answer.run.decision {
                    self.decision(out, decision, &sentences.what)?;
                    for why in &sentences.why {
                        self.part(out, "why", why)?;
                    }
                    self.beside(out, decision)?;
                }
            }
            None => {}
        }
        for assumption in &self.answer.assumptions {
            self.assumption(out, assumption)?;
        }
        for alternative in &self.answer.alternatives {
            let when = alternative.when.join(" and ");
            self.part(out, "else", &format!("if {when}: {}", ending(alternative.outcome)))?;
        }
        for fix in &self.answer.fixes {
            self.fix(out, fix)?;
        }
        if self.answer.outcome != Outcome::Refused {
            self.seen(out)?;
        }
        for note in &self.answer.run.notes {
            self.part(out, "note", note)?;
        }
        Ok(())
    }

    /// `403 on GET /admin/ from 10.0.0.5`, and at the right margin the code and how sure it is.
    fn headline(&self, out: &mut dyn Write) -> io::Result<()> {
        let Request { method, target, peer: client, .. } = self.request;
        let asked = format!("{} {} from {}", shown(method), shown(target), peer(*client));
        let left = match self.answer.outcome {
            Outcome::Response(status) => format!("{status} on {asked}"),
            Outcome::Upstream => format!("handed to a back end: {asked}"),
            Outcome::Closed => format!("closed without a byte: {asked}"),
            Outcome::Refused => "the server would not load this configuration".to_owned(),
            Outcome::Unknown => format!("not decidable: {asked}"),
        };
        let certainty = match self.answer.certainty {
            Certainty::Certain => "certain",
            Certainty::Conditional => "conditional",
            Certainty::Unknown => "unknown",
        };
        let right = match (&self.answer.why, &self.answer.run.decision) {
            (Some(Why::Decided(_)), Some(decision)) => format!("{} · {certainty}", decision.cause.code),
            (Some(Why::Refused(problem)), _) => {
                format!("{}/{} · {certainty}", self.server.kind().name(), problem.kind.id())
            }
            _ => certainty.to_owned(),
        };
        let gap = self.style.width.saturating_sub(left.chars().count() + right.chars().count()).max(2);
        writeln!(out, "{}{}{right}", self.bold(&left), " ".repeat(gap))
    }

    fn problem(&self, out: &mut dyn Write, problem: &Problem) -> io::Result<()> {
        match (problem.origin, problem.reported) {
            (Some(origin), _) => self.quote(out, &problem.message, origin, "")?,
            (None, Some((file, line))) => {
                let path = self.path(&self.server.sources().file(file).path);
                self.part(out, "×", &format!("{} ({path}:{line})", problem.message))?;
            }
            (None, None) => self.part(out, "×", &problem.message)?,
        }
        if let (Some((file, line)), Some(origin)) = (problem.reported, problem.origin) {
            let sources = self.server.sources();
            if file != origin.span.file || line != sources.start(origin.span).line {
                let path = self.path(&sources.file(file).path);
                self.part(out, "line", &format!("the server itself names {path}:{line}"))?;
            }
        }
        match &problem.help {
            Some(help) => self.part(out, "help", help),
            None => Ok(()),
        }
    }

    fn decision(&self, out: &mut dyn Write, decision: &Decision, what: &str) -> io::Result<()> {
        let Some(origin) = decision.directive else { return self.part(out, "×", what) };
        let label = if decision.default {
            format!("nothing written decides in the {} phase; here it could", decision.cause.phase)
        } else {
            format!("decided in the {} phase", decision.cause.phase)
        };
        self.quote(out, what, origin, &label)
    }

    /// What belongs to the decision beside its sentences: other places, the path with its modes, the log, the cause before it.
    fn beside(&self, out: &mut dyn Write, decision: &Decision) -> io::Result<()> {
        let behind = |origin: Origin| self.answer.next.iter().any(|next| next.decision.directive == Some(origin));
        let together = decision.related.iter().filter(|related| related.role == "co-decider");
        for related in together.filter(|related| !behind(related.origin)) {
            let text =
                format!("{} at {} decides the same way", self.directive(related.origin), self.place(related.origin));
            self.part(out, "also", &text)?;
        }
        for next in &self.answer.next {
            let place = next.decision.directive.map(|origin| format!(" ({})", self.place(origin)));
            self.part(out, "next", &format!("{}{}", next.why.what, place.unwrap_or_default()))?;
        }
        if let Some(inner) = &decision.inner {
            let place = inner.directive.map(|origin| format!(": {} at {}", self.directive(origin), self.place(origin)));
            let text = format!("{} ({}){}", inner.cause.summary, inner.cause.code, place.unwrap_or_default());
            self.part(out, "first", &text)?;
        }
        if let Some(path) = &decision.path {
            self.modes(out, path)?;
        }
        let server = self.server.kind().name();
        match (&decision.log, self.answer.outcome) {
            (Some(log), _) => self.part(out, "log", &format!("{server} logs {}", ticked(log.as_bytes()))),
            (None, Outcome::Response(400..)) => self.part(out, "log", &format!("{server} logs nothing for it")),
            _ => Ok(()),
        }
    }

    /// Every directory down to the file that was wanted, with its mode; the one inode to change is marked.
    fn modes(&self, out: &mut dyn Write, blamed: &Path) -> io::Result<()> {
        let deepest = match &self.answer.run.seen.file {
            Some(file) if file.starts_with(blamed) => file,
            _ => blamed,
        };
        let mut components: Vec<&Path> = deepest.ancestors().collect();
        components.reverse();
        for (index, path) in components.into_iter().enumerate() {
            let Fact::Known(Ok(stat)) = self.fs.lstat(path) else { continue };
            let mark = if path == blamed { "  <- this one" } else { "" };
            let title = if index == 0 { "path" } else { "" };
            self.part(out, title, &format!("{}  {}{mark}", mode(&stat), path.display()))?;
        }
        Ok(())
    }

    fn assumption(&self, out: &mut dyn Write, assumption: &Assumption) -> io::Result<()> {
        let place = assumption.question.origin.map(|at| format!(" ({} at {})", self.directive(at), self.place(at)));
        let place = place.unwrap_or_default();
        let subject = &assumption.question.subject;
        match &assumption.assumed {
            Some(assumed) => self.part(out, "if", &format!("{assumed}; not known: {subject}{place}")),
            None => self.part(out, "open", &format!("{subject}{place}")),
        }
    }

    fn fix(&self, out: &mut dyn Write, fix: &Fix) -> io::Result<()> {
        let mut title = fix.title.clone();
        if let Some(then) = fix.then {
            title.push_str(&format!("  (tried: the answer becomes {})", ending(then)));
        }
        if fix.safety == Safety::Review {
            title.push_str("  (review it: it may open more than this request)");
        }
        self.part(out, "fix", &title)?;
        for edit in &fix.edits {
            for line in self.changed(edit) {
                writeln!(out, "{:MARGIN$}{line}", "")?;
            }
        }
        for command in &fix.commands {
            writeln!(out, "{:MARGIN$}$ {command}", "")?;
        }
        Ok(())
    }

    /// An edit as the lines that go and the lines that come.
    fn changed(&self, edit: &Edit) -> Vec<String> {
        let path = self.path(&edit.file);
        let mut lines = vec![format!("{path}:{}", edit.line)];
        let source = self.server.sources().files().find(|(_, source)| source.path == edit.file);
        for number in edit.line..=edit.end_line {
            if let Some(text) = source.and_then(|(_, source)| source.line(number)) {
                lines.push(format!("- {}", String::from_utf8_lossy(text)));
            }
        }
        if !edit.replacement.is_empty() {
            lines.extend(edit.replacement.lines().map(|line| format!("+ {line}")));
        }
        lines
    }

    /// The request as the server understood it.
    fn seen(&self, out: &mut dyn Write) -> io::Result<()> {
        let seen = &self.answer.run.seen;
        let mut parts = Vec::new();
        if let Some(client) = seen.client.filter(|client| *client != self.request.peer) {
            parts.push(format!("client {client}"));
        }
        parts.push(format!("method {}", shown(&self.request.method)));
        if let Some(host) = &seen.host {
            parts.push(format!("host {}", shown(host)));
        }
        if let Some(local) = seen.local {
            parts.push(format!("reached at {local}"));
        }
        if let Some(path) = &seen.path {
            parts.push(format!("path {}", shown(path)));
        }
        if let Some(file) = &seen.file {
            parts.push(format!("file {}", file.display()));
        }
        self.part(out, "asked", &parts.join(", "))?;
        let mut places: Vec<Origin> = Vec::new();
        for place in seen.server.iter().chain(&seen.sections) {
            if !places.contains(place) {
                places.push(*place);
            }
        }
        for place in places {
            self.part(out, "in", &format!("{} at {}", self.directive(place), self.place(place)))?;
        }
        Ok(())
    }

    /// The source with the place marked.
    fn quote(&self, out: &mut dyn Write, message: &str, origin: Origin, label: &str) -> io::Result<()> {
        let sources = self.server.sources();
        let chain: Vec<String> = sources.chain(origin).iter().map(|inclusion| self.place(inclusion.at)).collect();
        let quote = Quote {
            message,
            label,
            path: self.path(&sources.file(origin.span.file).path),
            included_from: chain.join(", "),
            file: sources.file(origin.span.file),
            start: origin.span.start,
            length: self.server.kind().head(sources.text(origin.span)).len(),
        };
        quote.write(out, self.style)
    }

    /// `  why   text`, wrapped at the page's width.
    fn part(&self, out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
        let width = self.style.width.saturating_sub(MARGIN).max(20);
        for (index, line) in wrapped(text, width).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            writeln!(
                out,
                "  {}{}{line}",
                self.bold(name),
                " ".repeat((MARGIN - 2).saturating_sub(name.chars().count()))
            )?;
        }
        Ok(())
    }

    fn bold(&self, text: &str) -> String {
        if self.style.colour && !text.is_empty() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn directive(&self, origin: Origin) -> String {
        ticked(self.server.kind().head(self.server.sources().text(origin.span)))
    }

    fn place(&self, origin: Origin) -> String {
        let sources = self.server.sources();
        format!("{}:{}", self.path(&sources.file(origin.span.file).path), sources.start(origin.span).line)
    }

    fn path(&self, path: &Path) -> String {
        let below = self.style.directory.as_deref().and_then(|directory| path.strip_prefix(directory).ok());
        below.unwrap_or(path).display().to_string()
    }
}

/// How a request ends, in a few words.
pub fn ending(outcome: Outcome) -> String {
    match outcome {
        Outcome::Response(status) => status.to_string(),
        Outcome::Upstream => "handed to a back end".to_owned(),
        Outcome::Closed => "closed without a byte".to_owned(),
        Outcome::Refused => "the configuration is refused".to_owned(),
        Outcome::Unknown => "not decidable".to_owned(),
    }
}

/// Mode and owner as `ls -ln` shows them.
fn mode(stat: &Stat) -> String {
    let kind = match stat.kind {
        FileKind::Regular => '-',
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        FileKind::Fifo => 'p',
        FileKind::Socket => 's',
        FileKind::Device => 'c',
    };
    let id = |id: Option<u32>| id.map_or("?".to_owned(), |id| id.to_string());
    let Some(mode) = stat.mode else { return format!("{kind}????????? {} {}", id(stat.uid), id(stat.gid)) };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    format!("{text} {} {}", id(stat.uid), id(stat.gid))
}

/// Lines of at most `width` characters, broken at blanks; a longer word stands alone. Runs of blanks are kept.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        let word_length = word.chars().count();
        if length > 0 && length + 1 + word_length > width {
            lines.push(String::new());
            length = 0;
        }
        let Some(line) = lines.last_mut() else { break };
        if length > 0 {
            line.push(' ');
            length += 1;
        }
        line.push_str(word);
        length += word_length;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_as_in_ls() {
        let stat = Stat { mode: Some(0o1755), uid: Some(0), gid: Some(33), ..Stat::of(FileKind::Directory) };
        assert_eq!(mode(&stat), "drwxr-xr-t 0 33");
        assert_eq!(mode(&Stat::of(FileKind::Regular)), "-????????? ? ?");
    }

    #[test]
    fn text_is_wrapped_at_blanks() {
        assert_eq!(wrapped("aa bb cc", 5), ["aa bb", "cc"]);
        assert_eq!(wrapped("aaaaaaaa b", 3), ["aaaaaaaa", "b"]);
    }
}

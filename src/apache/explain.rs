//! From facts to sentences: what decided a request, and the rule of the server behind it.
//!
//! One file per group of hooks; each knows the causes that its hooks can give.

mod access;
mod content;
mod fixes;
mod mapping;
mod protocol;
mod walk;

pub use fixes::fixes;

use super::Config;
use crate::outcome::{Decision, Related, Run};
use crate::sentence::{Sentences, path, ticked};
use crate::server::Kind;
use crate::source::Origin;
use crate::trace::apache::Event as ApacheEvent;
use crate::trace::{Event, Step};

/// A decision with what its sentences are made of.
struct Facts<'a> {
    config: &'a Config,
    run: &'a Run,
    decision: &'a Decision,
}

impl Facts<'_> {
    /// The code without `apache/`.
    fn code(&self) -> &'static str {
        self.decision.cause.code.strip_prefix("apache/").unwrap_or(self.decision.cause.code)
    }

    /// The deciding directive, as written.
    fn directive(&self) -> Option<String> {
        self.decision.directive.map(|origin| directive(self.config, origin))
    }

    /// The inode at fault.
    fn path(&self) -> String {
        self.decision.path.as_deref().map(path).unwrap_or_default()
    }

    /// The client's address.
    fn client(&self) -> String {
        self.run.seen.client()
    }

    /// The places of one role.
    fn related(&self, role: &'static str) -> impl Iterator<Item = &Related> {
        self.decision.related.iter().filter(move |related| related.role == role)
    }

    /// A place by text, file and line: `` `AllowOverride None` of /etc/apache2/apache2.conf:160 ``.
    fn place(&self, origin: Origin) -> String {
        let file = self.config.sources.file(origin.span.file);
        let line = file.line_column(origin.span.start).line;
        format!("{} of {}:{line}", directive(self.config, origin), file.path.display())
    }

    /// The typed fact behind the decision.
    fn event(&self) -> Option<&ApacheEvent> {
        match &self.decision.event {
            Some(Event::Apache(event)) => Some(event),
            _ => None,
        }
    }
}

/// What decided, and the rule of the server behind it.
pub fn describe(config: &Config, run: &Run, decision: &Decision) -> Sentences {
    let facts = Facts { config, run, decision };
    let what = match (what(&facts), facts.directive()) {
        (Some(what), _) => what,
        (None, Some(directive)) => format!("{directive}: {}", decision.cause.summary),
        (None, None) => decision.cause.summary.to_owned(),
    };
    let mut why = Vec::new();
    for part in [access::why, walk::why, content::why, mapping::why, protocol::why] {
        part(&facts, &mut why);
    }
    for related in facts.related("overridden") {
        why.push(format!("{} no longer counts: a later section replaces it", facts.place(related.origin)));
    }
    if let Some(ApacheEvent::HtaccessIgnored { path: ignored }) = facts.event() {
        let because = facts.related("override").next().map(|related| facts.place(related.origin));
        let because = because.map_or_else(String::new, |place| format!(", because of {place}"));
        why.push(format!("{} is not looked at{because}", path(ignored)));
    }
    if let Some(inner) = &decision.inner
        && inner.cause.code != decision.cause.code
    {
        let inner = describe(config, run, inner);
        why.push(inner.what);
        why.extend(inner.why);
    }
    Sentences { what, why }
}

/// The first line, where the cause has more to say than its summary.
fn what(facts: &Facts) -> Option<String> {
    access::what(facts).or_else(|| walk::what(facts)).or_else(|| content::what(facts)).or_else(|| mapping::what(facts))
}

/// One step of a trace.
pub fn step(config: &Config, step: &Step) -> String {
    let at = step.origin.map(|origin| directive(config, origin));
    let Event::Apache(event) = &step.event else { return at.unwrap_or_else(|| step.phase.to_owned()) };
    let at = at.unwrap_or_else(|| "the default".to_owned());
    let text = |bytes: &[u8]| ticked(bytes);
    match event {
        ApacheEvent::Note(note) => note.clone(),
        ApacheEvent::Problem { message } => message.clone(),
        ApacheEvent::SectionMatched { .. } => format!("{at} matches and is merged"),
        ApacheEvent::Condition { held: true } => format!("{at} holds and is merged"),
        ApacheEvent::Condition { held: false } => format!("{at} does not hold"),
        ApacheEvent::HtaccessRead { path: file } => format!("{} is read and merged", path(file)),
        ApacheEvent::HtaccessIgnored { path: file } => format!("{} is not looked at, by {at}", path(file)),
        ApacheEvent::Mapped { file } => format!("{at} maps the path to {}", text(file)),
        ApacheEvent::AccessCompat { order, allow, deny, refused } => {
            let said = |line: &Option<Origin>, none: &str| {
                line.map_or_else(|| none.to_owned(), |origin| format!("{} matches", directive(config, origin)))
            };
            let verdict = if *refused { "refused" } else { "not refused" };
            format!(
                "`Order {order}`: {}, {}: {verdict}",
                said(allow, "no Allow matches"),
                said(deny, "no Deny matches")
            )
        }
        ApacheEvent::Require { granted, negated } => {
            let holds = if *granted == *negated { "does not hold" } else { "holds" };
            format!("{at} {holds}")
        }
        ApacheEvent::GroupsOf { user, groups } if groups.is_empty() => format!("{} is in no group of {at}", text(user)),
        ApacheEvent::GroupsOf { user, groups } => {
            let groups: Vec<String> = groups.iter().map(|group| text(group)).collect();
            format!("{} is in {}, by {at}", text(user), groups.join(", "))
        }
        ApacheEvent::Password { user, matches: true } => format!("the password of {} is right, by {at}", text(user)),
        ApacheEvent::Password { user, matches: false } => format!("the password of {} is wrong, by {at}", text(user)),
        ApacheEvent::AuthorizationSkipped => {
            "the merged configuration is the one already authorized, so access is not checked again".to_owned()
        }
        ApacheEvent::SatisfiedAny => format!("under {at} the address is enough"),
        ApacheEvent::Index { name, status, usable } => {
            let found = if *usable { "" } else { ", no file there" };
            format!("{at}: {} gives {status}{found}", text(name))
        }
        ApacheEvent::SubRequest { uri } => format!("a sub-request for {}", text(uri)),
        ApacheEvent::SubRequestEnd { status } => format!("the sub-request ends with {status}"),
        ApacheEvent::InternalRedirect { uri } => format!("redirected internally to {}", text(uri)),
        ApacheEvent::ErrorDocument { status, target } => format!("{at} answers {status} with {}", text(target)),
        ApacheEvent::RewriteRule { subject } => format!("{at} matches {}", text(subject)),
        ApacheEvent::RewriteCond { held: true } => format!("{at} holds"),
        ApacheEvent::RewriteCond { held: false } => format!("{at} does not hold"),
        ApacheEvent::Client { address } => format!("by {at} the client is {address}"),
        ApacheEvent::VariableSet { name } => format!("{at} sets {}", text(name)),
        ApacheEvent::Handler { name } => format!("the handler is {}", text(name)),
    }
}

fn directive(config: &Config, origin: Origin) -> String {
    ticked(Kind::Apache.head(config.sources.text(origin.span)))
}

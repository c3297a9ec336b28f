//! mod_authz_core: the tree of `Require`, `<RequireAll>`, `<RequireAny>`, `<RequireNone>`, and how sections merge.
//!
//! Without AuthMerging the later section replaces the earlier; with it, both become children of a new node. The walks
//! fold the sections of one kind first and merge the result onto the earlier kinds, and a merged record keeps the
//! operator of its last part: so the fold is not associative, and [`DirRecord::merge`] must be applied as the walks do.

use std::sync::Arc;

use crate::apache::access::authn;
use crate::apache::access::providers::{self, Provider};
use crate::apache::htaccess;
use crate::apache::model::{Command, MethodSet, Place};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::cause;
use crate::cause::Cause;
use crate::outcome::{Decision, Related};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// How a container combines its children, and how AuthMerging combines sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logic {
    /// `<RequireAll>`, `AuthMerging And`.
    And,
    /// `<RequireAny>`, `AuthMerging Or`.
    Or,
    /// `AuthMerging Off`.
    Off,
}

/// What stands in a container.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// A `Require` line.
    Require(Arc<Provider>),
    /// A container.
    Container(Logic, Vec<Node>),
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it is.
    pub rule: Rule,
    /// `Require not`, `<RequireNone>`.
    pub negate: bool,
    /// The methods of the `<Limit>` around it; of a container the union of its children's.
    pub limited: MethodSet,
    /// The line; of a merged or implicit container that of its last child.
    pub origin: Option<Origin>,
    /// The section around it.
    pub section: Option<Origin>,
    /// Whether it stands in `<Directory "/">`.
    pub in_root_directory: bool,
}

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// The tree.
    pub section: Option<Node>,
    /// AuthMerging.
    pub op: Option<Setting<Logic>>,
    /// AuthzSendForbiddenOnFailure.
    pub forbidden_on_fail: Option<Setting<bool>>,
    /// Lines of earlier sections that no longer count, one a section.
    pub overridden: Vec<Origin>,
}

/// What a provider or a container answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// AUTHZ_DENIED.
    Denied,
    /// AUTHZ_DENIED_NO_USER.
    DeniedNoUser,
    /// AUTHZ_GRANTED.
    Granted,
    /// AUTHZ_NEUTRAL.
    Neutral,
    /// AUTHZ_GENERAL_ERROR.
    Error,
    /// Not known; a question says why.
    Unknown,
}

/// An answer with the lines that gave it: the first decides, the rest decide with it.
struct Verdict {
    status: Status,
    blame: Vec<Blame>,
}

#[derive(Clone, Copy)]
struct Blame {
    origin: Origin,
    section: Option<Origin>,
    all_denied: bool,
    in_root_directory: bool,
}

impl Node {
    fn container(logic: Logic) -> Node {
        Node {
            rule: Rule::Container(logic, Vec::new()),
            negate: false,
            limited: MethodSet(0),
            origin: None,
            section: None,
            in_root_directory: false,
        }
    }

    fn push(&mut self, child: Node) {
        self.limited.0 |= child.limited.0;
        self.origin = child.origin.or(self.origin);
        let Rule::Container(logic, children) = &mut self.rule else { return };
        match child.rule {
            // A nested container of the same kind is dissolved into its parent.
            Rule::Container(inner, mut nested) if inner == *logic && !child.negate => children.append(&mut nested),
            _ => children.push(child),
        }
    }
}

impl DirRecord {
    /// merge_authz_core_dir_config.
    pub fn merge(base: &Self, new: &Self) -> Self {
        let op = new.op.map(|op| op.value);
        let mut merged = match op {
            None if new.section.is_none() && base.section.is_some() => base.clone(),
            None | Some(Logic::Off) => {
                let mut merged = new.clone();
                let replaced = base.section.as_ref().and_then(|section| section.origin);
                merged.overridden = base.overridden.iter().copied().chain(replaced).chain(merged.overridden).collect();
                merged
            }
            Some(_) if base.section.is_none() && new.section.is_none() => new.clone(),
            Some(logic) => {
                let section = match (&base.section, &new.section) {
                    (Some(base), Some(new)) => Some(Node {
                        rule: Rule::Container(logic, vec![base.clone(), new.clone()]),
                        negate: false,
                        limited: MethodSet(base.limited.0 | new.limited.0),
                        origin: new.origin,
                        section: None,
                        in_root_directory: false,
                    }),
                    (Some(only), None) | (None, Some(only)) => Some(only.clone()),
                    (None, None) => None,
                };
                DirRecord { section, op: new.op, ..DirRecord::default() }
            }
        };
        merged.forbidden_on_fail = new.forbidden_on_fail.or(base.forbidden_on_fail);
        merged
    }

    /// A `Require` line, or a container that was read, into the section's tree.
    pub fn add(&mut self, node: Node) {
        self.section.get_or_insert_with(|| Node::container(Logic::Or)).push(node);
    }
}

/// One directive outside a container: `Require`, `AuthMerging`, `AuthzSendForbiddenOnFailure`.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord, aliases: &providers::Aliases) {
    match cmd.name.to_ascii_lowercase().as_str() {
        "require" => {
            if let Some(node) = require(cmd, aliases) {
                dir.add(node);
            }
        }
        "authmerging" => {
            let logic = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                b"off" => Logic::Off,
                b"and" => Logic::And,
                b"or" => Logic::Or,
                _ => return,
            };
            dir.op = Some(Setting::new(logic, cmd.origin));
        }
        "authzsendforbiddenonfailure" => dir.forbidden_on_fail = Some(Setting::new(cmd.flag(), cmd.origin)),
        _ => {}
    }
}

/// A `Require` line (add_authz_provider). `None`: the check has refused it.
pub(crate) fn require(cmd: &Command, aliases: &providers::Aliases) -> Option<Node> {
    let mut rest = cmd.raw;
    let mut name = crate::apache::lex::getword_conf(&mut rest);
    let negate = name.eq_ignore_ascii_case(b"not");
    if negate {
        name = crate::apache::lex::getword_conf(&mut rest);
    }
    let provider = providers::parse(&name, rest, cmd, aliases).ok()?;
    Some(Node {
        rule: Rule::Require(Arc::new(provider)),
        negate,
        limited: cmd.limited,
        origin: Some(cmd.origin),
        section: cmd.section,
        in_root_directory: cmd.place == Place::Directory && cmd.path == Some(b"/"),
    })
}

/// An empty container of this section name (`requireall`, …), to be filled with [`Node::fill`].
pub(crate) fn container(name: &str, origin: Origin) -> Node {
    let (logic, negate) = match name {
        "requireall" => (Logic::And, false),
        "requirenone" => (Logic::Or, true),
        _ => (Logic::Or, false),
    };
    Node { negate, origin: Some(origin), ..Node::container(logic) }
}

impl Node {
    /// Adds a child and keeps the container's own line.
    pub fn fill(&mut self, child: Node) {
        let origin = self.origin;
        self.push(child);
        self.origin = origin;
    }

    /// Whether a container has no child.
    pub fn is_empty(&self) -> bool {
        matches!(&self.rule, Rule::Container(_, children) if children.is_empty())
    }
}

/// apply_authz_sections.
fn apply<'c>(node: &Node, parent: Logic, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Verdict {
    if !node.limited.contains(r.method_number) {
        let status = if parent == Logic::And { Status::Granted } else { Status::Neutral };
        return Verdict { status, blame: Vec::new() };
    }
    let mut verdict = match &node.rule {
        Rule::Require(provider) => {
            let status = providers::check(provider, r, cx, node.origin);
            cx.note("auth_checker", node.origin, || Event::Require {
                granted: status == Status::Granted,
                negated: node.negate,
            });
            let all_denied = matches!(**provider, Provider::All(false));
            let own = node.origin.map(|origin| Blame {
                origin,
                section: node.section,
                all_denied,
                in_root_directory: node.in_root_directory,
            });
            Verdict { status, blame: own.into_iter().collect() }
        }
        Rule::Container(Logic::And, children) => all_of(children, r, cx),
        Rule::Container(_, children) => any_of(children, r, cx),
    };
    if node.negate {
        let own = node.origin.map(|origin| Blame {
            origin,
            section: node.section,
            all_denied: false,
            in_root_directory: node.in_root_directory,
        });
        match verdict.status {
            Status::Granted => verdict = Verdict { status: Status::Denied, blame: own.into_iter().collect() },
            Status::Denied | Status::DeniedNoUser => {
                verdict = Verdict { status: Status::Neutral, blame: own.into_iter().collect() };
            }
            _ => {}
        }
    }
    verdict
}

fn all_of<'c>(children: &[Node], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Verdict {
    let mut result = Verdict { status: Status::Neutral, blame: Vec::new() };
    for child in children {
        let verdict = apply(child, Logic::And, r, cx);
        match verdict.status {
            Status::Error | Status::Unknown | Status::Denied => return verdict,
            Status::Neutral if result.status == Status::Neutral => result.blame.extend(verdict.blame),
            Status::Neutral => {}
            Status::DeniedNoUser if result.status != Status::DeniedNoUser => result = verdict,
            _ if result.status == Status::Neutral => result = verdict,
            _ => {}
        }
    }
    result
}

fn any_of<'c>(children: &[Node], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Verdict {
    let mut status = Status::Neutral;
    let mut failed: Vec<Blame> = Vec::new();
    for child in children {
        let verdict = apply(child, Logic::Or, r, cx);
        match verdict.status {
            Status::Error | Status::Unknown | Status::Granted => return verdict,
            Status::Neutral => {}
            Status::DeniedNoUser if status != Status::DeniedNoUser => {
                // A user may change the answer: the lines that ask for one come first.
                status = Status::DeniedNoUser;
                failed.splice(0..0, verdict.blame);
            }
            other => {
                if status == Status::Neutral {
                    status = other;
                }
                failed.extend(verdict.blame);
            }
        }
    }
    if status == Status::Denied {
        // All failed: an explicit denial is the one to point at, else the last line.
        let primary = failed.iter().position(|blame| blame.all_denied).or(failed.len().checked_sub(1));
        if let Some(primary) = primary {
            failed[..=primary].rotate_right(1);
        }
    }
    Verdict { status, blame: failed }
}

/// access_checker_ex and auth_checker (authorize_user_core): before and after a user is known.
pub(crate) fn authorize_user<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>, after_authn: bool) -> Handled {
    if !cx.has_module("authz_core_module") {
        return Handled::Declined;
    }
    let record = r.per_dir.authz_core.clone().unwrap_or_default();
    let Some(section) = &record.section else {
        return match authn::auth_type(r, cx) {
            Err(ended) => ended,
            Ok(None) => Handled::Ok,
            Ok(Some(auth_type)) => {
                r.refuse(Decision::new(&cause::apache::AUTHTYPE_WITHOUT_REQUIRE).by(auth_type.origin), 500)
            }
        };
    };
    let verdict = apply(section, Logic::And, r, cx);
    match verdict.status {
        Status::Granted => Handled::Ok,
        Status::Unknown => Handled::Unknown,
        Status::Error => {
            let decision = decide(&cause::apache::REQUIRE_ERROR, &record, &verdict);
            r.refuse(decision, 500)
        }
        Status::DeniedNoUser if after_authn => {
            let decision = decide(&cause::apache::NO_AUTHENTICATED_USER, &record, &verdict);
            r.refuse(decision, 401)
        }
        Status::DeniedNoUser => {
            r.wants_user = verdict.blame.first().map(|blame| blame.origin);
            Handled::Declined
        }
        Status::Denied | Status::Neutral => {
            let typed = match authn::auth_type(r, cx) {
                Ok(auth_type) => auth_type.is_some(),
                Err(ended) => return ended,
            };
            if !after_authn || !typed {
                let root =
                    verdict.blame.len() == 1 && verdict.blame[0].all_denied && verdict.blame[0].in_root_directory;
                let cause =
                    if root { &cause::apache::REQUIRE_DENIED_DEFAULT_ROOT } else { &cause::apache::REQUIRE_DENIED };
                let mut decision = decide(cause, &record, &verdict);
                htaccess::explain_ignored(&mut decision, r, cx);
                return r.refuse(decision, 403);
            }
            match record.forbidden_on_fail {
                Some(setting) if setting.value => {
                    let mut decision = decide(&cause::apache::AUTHZ_FORBIDDEN_ON_FAILURE, &record, &verdict);
                    decision.related.extend(setting.origin.map(|origin| Related { role: "co-decider", origin }));
                    r.refuse(decision, 403)
                }
                _ => {
                    let decision = decide(&cause::apache::USER_NOT_AUTHORIZED, &record, &verdict);
                    r.refuse(decision, 401)
                }
            }
        }
    }
}

/// The decision: the lines to blame, the section of the first, and what earlier sections said in vain.
fn decide(cause: &'static Cause, record: &DirRecord, verdict: &Verdict) -> Decision {
    let own = record.section.as_ref().and_then(|section| section.origin);
    let mut lines = verdict.blame.iter().map(|blame| blame.origin);
    let mut decision = Decision::new(cause).by(lines.next().or(own));
    decision.related = lines.map(|origin| Related { role: "co-decider", origin }).collect();
    let section = verdict.blame.first().and_then(|blame| blame.section);
    decision.related.extend(section.map(|origin| Related { role: "section", origin }));
    decision.related.extend(record.overridden.iter().map(|origin| Related { role: "overridden", origin: *origin }));
    decision
}

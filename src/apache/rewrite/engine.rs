//! Running a list of rules over one request (`apply_rewrite_list`, `apply_rewrite_rule`, `apply_rewrite_cond`).

use std::cmp::Ordering;
use std::sync::Arc;

use super::expand::subrequest_ok;
use super::parse::atoi_int;
use super::uri::{absolute_uri, split_query};
use super::{Condition, FORCED_HANDLER, FORCED_MIME_TYPE, Rule, Rules, Test};
use crate::apache::expr::{Backrefs, Failure, FileTest, Scope};
use crate::apache::request::{Cx, Handled, RequestRec, subrequest};
use crate::apache::variables::{RequestScope, is_executable, scheme, server_name, server_port, stat};
use crate::apache::vhost;
use crate::cause;
use crate::fact::{Fact, Question, Subject};
use crate::fs::Follow;
use crate::outcome::{Decision, Related};
use crate::source::Origin;
use crate::trace::apache::Event;

/// Rules that one list may apply to one request, all rounds of `[N]` counted: a limit of ours.
const MAX_APPLIED: u32 = 100_000;

/// What a list of rules did.
pub(super) enum Applied {
    /// No substitution was made.
    Unchanged,
    /// `r->filename` is the result; not to be escaped where a rule says `[NE]`.
    Changed { no_escape: bool },
    /// A rule answers with a status of its own (`[F]`, `[G]`, `[R=404]`), or the engine gave up.
    Status(u16, Box<Decision>),
    /// The run ends here.
    Ended(Handled),
}

/// What one rule did.
enum Matched {
    No,
    Yes,
    WithoutSubstitution,
    /// A question mark came out of an expansion.
    Unsafe,
    Ended(Handled),
}

/// One list over one request.
pub(super) struct Engine<'e, 'c> {
    pub r: &'e mut RequestRec<'c>,
    pub cx: &'e mut Cx<'c>,
    /// The directory, in its context.
    pub directory: Option<Vec<u8>>,
    /// What rules are matched against.
    pub uri: Vec<u8>,
    /// `$0` to `$9`.
    pub rule_groups: Backrefs,
    /// `%0` to `%9`.
    pub condition_groups: Backrefs,
    /// The directive at work.
    pub origin: Origin,
    /// The last rule that substituted something, and where it stands.
    pub last_substitution: Option<(Arc<Rule>, Origin)>,
    /// The status that a redirecting rule asked for.
    pub redirect_status: u16,
    /// `[END]` was met.
    pub ended: bool,
    /// A substitution named this very server and was cut down to a path.
    pub reduced: bool,
}

impl<'e, 'c> Engine<'e, 'c> {
    /// `origin`: the first rule's, for questions before any rule was tried.
    pub(super) fn new(
        r: &'e mut RequestRec<'c>,
        cx: &'e mut Cx<'c>,
        directory: Option<Vec<u8>>,
        origin: Origin,
    ) -> Self {
        let redirect_status = r.status;
        Engine {
            r,
            cx,
            directory,
            uri: Vec::new(),
            rule_groups: Backrefs::None,
            condition_groups: Backrefs::None,
            origin,
            last_substitution: None,
            redirect_status,
            ended: false,
            reduced: false,
        }
    }

    /// `apply_rewrite_list`.
    pub(super) fn apply(&mut self, rules: &Rules) -> Applied {
        let (mut at, mut round, mut applied) = (0, 1_i64, 0);
        let mut result = Applied::Unchanged;
        while let Some((rule, origin)) = rules.get(at) {
            at += 1;
            if self.r.main.is_some() && (rule.flags.no_subrequest || rule.flags.redirect) {
                continue;
            }
            applied += 1;
            if applied > MAX_APPLIED {
                let subject = Subject::Limit(format!("more than {MAX_APPLIED} rewrite rules for one request"));
                return Applied::Ended(self.cx.unanswerable(subject, Some(*origin)));
            }
            self.origin = *origin;
            let matched = match self.apply_rule(rule) {
                Matched::No => {
                    // The rules chained to this one are skipped with it.
                    let mut chained = rule.flags.chain;
                    while chained && at < rules.len() {
                        chained = rules[at].0.flags.chain;
                        at += 1;
                    }
                    continue;
                }
                Matched::Ended(handled) => return Applied::Ended(handled),
                matched => matched,
            };
            if !rule.flags.no_substitution {
                self.last_substitution = Some((rule.clone(), *origin));
            }
            let longest = 2 * self.r.server.core.limit_request_line.as_ref().map_or(8190, |limit| limit.value);
            if self.r.filename.as_ref().is_some_and(|name| name.len() as u64 > longest) {
                return self.status(500, &cause::apache::REWRITE_TOO_LONG, rule);
            }
            if matches!(matched, Matched::Unsafe) {
                return self.status(403, &cause::apache::REWRITE_UNSAFE_3F, rule);
            }
            if rule.flags.forced_status {
                let cause = match rule.status {
                    403 => &cause::apache::REWRITE_FORBIDDEN,
                    _ => &cause::apache::REWRITE_STATUS,
                };
                if !self.cx.inquiry.waives(Some(self.origin), None) {
                    return self.status(rule.status, cause, rule);
                }
                continue;
            }
            if matches!(matched, Matched::Yes) {
                result = Applied::Changed { no_escape: rule.flags.no_escape };
            }
            if rule.flags.pass_through {
                let name = self.r.filename.take().unwrap_or_default();
                self.r.filename = Some([b"passthrough:", name.as_slice()].concat());
                return Applied::Changed { no_escape: false };
            }
            if rule.flags.end {
                self.ended = true;
                return result;
            }
            if rule.flags.proxy || rule.flags.last {
                return result;
            }
            if rule.flags.next_round {
                round += 1;
                if round >= rule.max_rounds {
                    return self.status(500, &cause::apache::REWRITE_ROUNDS, rule);
                }
                at = 0;
                continue;
            }
            at += rule.skip;
        }
        result
    }

    fn status(&self, status: u16, cause: &'static cause::Cause, rule: &Rule) -> Applied {
        Applied::Status(status, Box::new(self.decision(cause, rule)))
    }

    /// A decision by a rule; its conditions decide with it.
    pub(super) fn decision(&self, cause: &'static cause::Cause, rule: &Rule) -> Decision {
        let mut decision = Decision::new(cause).by(Some(self.origin));
        let conditions = rule.conditions.iter().map(|(_, origin)| Related { role: "condition", origin: *origin });
        decision.related.extend(conditions);
        decision
    }

    /// `apply_rewrite_rule`.
    fn apply_rule(&mut self, rule: &Rule) -> Matched {
        let filename = self.r.filename.clone().unwrap_or_default();
        let mut proxied = false;
        self.uri = filename.clone();
        if let Some(directory) = &self.directory {
            proxied = self.r.proxyreq && filename.starts_with(b"proxy:");
            self.uri.extend_from_slice(&self.r.path_info);
            if !proxied && self.uri.starts_with(directory) {
                self.uri.drain(..directory.len());
            }
        }
        match self.rule_matches(rule) {
            Ok(true) => {}
            Ok(false) => return Matched::No,
            Err(handled) => return Matched::Ended(handled),
        }
        let (origin, subject) = (self.origin, self.uri.clone());
        self.cx.note("rewrite", Some(origin), || Event::RewriteRule { subject });
        self.condition_groups = Backrefs::None;
        match self.conditions_hold(rule) {
            Ok(true) => {}
            Ok(false) => return Matched::No,
            Err(handled) => return Matched::Ended(handled),
        }
        self.origin = origin;
        let mut new_name = None;
        if !rule.flags.no_substitution {
            let expanded = self.expand(&rule.output, Some(rule));
            match expanded.text {
                Fact::Unknown(question) => return Matched::Ended(self.unanswerable(question)),
                Fact::Known(_) if expanded.unsafe_question_mark && !rule.flags.unsafe_allow_3f => {
                    return Matched::Unsafe;
                }
                Fact::Known(text) => new_name = Some(text),
            }
        }
        if let Err(handled) = self.set_environment(rule) {
            return Matched::Ended(handled);
        }
        let Some(new_name) = new_name else {
            return match self.force_type(rule) {
                Ok(()) => Matched::WithoutSubstitution,
                Err(handled) => Matched::Ended(handled),
            };
        };
        match self.substitute(rule, new_name, proxied) {
            Ok(()) => Matched::Yes,
            Err(handled) => Matched::Ended(handled),
        }
    }

    fn rule_matches(&mut self, rule: &Rule) -> Result<bool, Handled> {
        let Some(pattern) = &rule.pattern else { return Ok(false) };
        let Ok(captures) = pattern.captures(&self.uri) else {
            let pattern = String::from_utf8_lossy(pattern.source()).into_owned();
            return Err(self.cx.unanswerable(Subject::MatchLimit(pattern), Some(self.origin)));
        };
        if captures.is_some() == rule.negated {
            return Ok(false);
        }
        self.rule_groups = captures.map_or(Backrefs::None, |captures| Backrefs::of(&captures, &self.uri));
        Ok(true)
    }

    /// The conditions are joined by `and`; a run of `[OR]` is settled by the first that holds.
    fn conditions_hold(&mut self, rule: &Rule) -> Result<bool, Handled> {
        let mut at = 0;
        while let Some((condition, origin)) = rule.conditions.get(at) {
            self.origin = *origin;
            let holds = self.condition_holds(condition)?;
            if condition.or_next {
                if holds {
                    while rule.conditions.get(at).is_some_and(|(condition, _)| condition.or_next) {
                        at += 1;
                    }
                }
            } else if !holds {
                return Ok(false);
            }
            at += 1;
        }
        Ok(true)
    }

    /// `apply_rewrite_cond`.
    fn condition_holds(&mut self, condition: &Condition) -> Result<bool, Handled> {
        let origin = self.origin;
        let holds = match &condition.test {
            Test::Expr(expr) => {
                let mut groups = Backrefs::None;
                match expr.test(&mut RequestScope::new(self.r, self.cx).at(origin), &mut groups) {
                    Ok(holds) => {
                        if holds && !condition.negated {
                            self.condition_groups = groups;
                        }
                        holds
                    }
                    Err(Failure::Error(_)) => false,
                    Err(Failure::Unknown) => return Err(Handled::Unknown),
                }
            }
            test => match self.expand(&condition.input, None).text {
                Fact::Known(input) => self.test(test, condition, &input)?,
                Fact::Unknown(question) => {
                    let holds = self.decide(&question, condition);
                    if holds && !condition.negated && matches!(test, Test::Regex(_)) {
                        self.condition_groups = Backrefs::Unknown(question);
                    }
                    holds
                }
            },
        };
        let result = holds != condition.negated;
        self.cx.note("rewrite", Some(origin), || Event::RewriteCond { held: result });
        Ok(result)
    }

    /// A condition on something unknown may hold or not.
    fn decide(&mut self, question: &Question, condition: &Condition) -> bool {
        let input = String::from_utf8_lossy(&condition.input);
        let at = self.origin.span.start;
        let what = match &question.subject {
            Subject::Clock => format!("the time of the request in the condition on `{input}` at byte {at}"),
            _ => format!("`{input}` in the condition at byte {at}"),
        };
        let question = Question::at(Subject::Other(what), Some(self.origin));
        let (no, yes) = (format!("`{input}` does not pass the test"), format!("`{input}` passes the test"));
        self.cx.inquiry.choose(question, &[&no, &yes]) == 1
    }

    fn test(&mut self, test: &Test, condition: &Condition, input: &[u8]) -> Result<bool, Handled> {
        let file = |engine: &mut Self, test| RequestScope::new(engine.r, engine.cx).file_test(test, input);
        let text = |pattern: &[u8]| match condition.no_case {
            true => input.to_ascii_lowercase().cmp(&pattern.to_ascii_lowercase()),
            // Longer is greater; only then do bytes count.
            false => input.len().cmp(&pattern.len()).then_with(|| input.cmp(pattern)),
        };
        let number = |pattern: i32| atoi_int(input).cmp(&pattern);
        Ok(match test {
            Test::Regular => file(self, FileTest::Regular),
            Test::NonEmpty => file(self, FileTest::NonEmpty),
            Test::Directory => file(self, FileTest::Directory),
            Test::Link => file(self, FileTest::Link),
            // Unlike `-x` of an expression it follows a link.
            Test::Executable => {
                stat(input, Follow::Yes, self.cx).is_some_and(|stat| is_executable(input, &stat, self.cx))
            }
            Test::Uri => self.probe(input, false)?,
            Test::File => self.probe(input, true)?,
            Test::Less(pattern) => text(pattern) == Ordering::Less,
            Test::AtMost(pattern) => text(pattern) != Ordering::Greater,
            Test::Equal(pattern) => text(pattern) == Ordering::Equal,
            Test::AtLeast(pattern) => text(pattern) != Ordering::Less,
            Test::More(pattern) => text(pattern) == Ordering::Greater,
            Test::IntLess(pattern) => number(*pattern) == Ordering::Less,
            Test::IntAtMost(pattern) => number(*pattern) != Ordering::Greater,
            Test::IntEqual(pattern) => number(*pattern) == Ordering::Equal,
            Test::IntAtLeast(pattern) => number(*pattern) != Ordering::Less,
            Test::IntMore(pattern) => number(*pattern) == Ordering::Greater,
            Test::Regex(pattern) => match pattern.captures(input) {
                Ok(Some(captures)) => {
                    if !condition.negated {
                        self.condition_groups = Backrefs::of(&captures, input);
                    }
                    true
                }
                Ok(None) => false,
                Err(_) => {
                    let pattern = String::from_utf8_lossy(pattern.source()).into_owned();
                    return Err(self.cx.unanswerable(Subject::MatchLimit(pattern), Some(self.origin)));
                }
            },
            Test::Expr(_) => false,
        })
    }

    /// `-F` and `-U`: whether a sub-request for a file or a URL goes well.
    fn probe(&mut self, target: &[u8], file: bool) -> Result<bool, Handled> {
        if target.is_empty() || !subrequest_ok(self.r) {
            return Ok(false);
        }
        let sub = if file {
            subrequest::sub_req_lookup_file(target, self.r, self.cx)
        } else {
            subrequest::sub_req_lookup_uri(target, self.r, self.cx)
        };
        let Some(status) = sub.status() else {
            let target = String::from_utf8_lossy(target);
            let subject = Subject::Other(format!("what a sub-request for {target} is answered"));
            return Err(self.cx.unanswerable(subject, Some(self.origin)));
        };
        if !file {
            return Ok(status < 400);
        }
        let name = sub.r.filename.unwrap_or_default();
        Ok(status < 300 && stat(&name, Follow::Yes, self.cx).is_some())
    }

    fn unanswerable(&self, question: Question) -> Handled {
        self.cx.inquiry.unanswerable(Question::at(question.subject, question.origin.or(Some(self.origin))));
        Handled::Unknown
    }

    /// `[E=name:value]`, `[E=!name]`.
    fn set_environment(&mut self, rule: &Rule) -> Result<(), Handled> {
        for template in &rule.env {
            let text = match self.expand(template, None).text {
                Fact::Known(text) => text,
                Fact::Unknown(question) => return Err(self.unanswerable(question)),
            };
            if let Some(name) = text.strip_prefix(b"!") {
                self.r.subprocess_env.unset(name);
                continue;
            }
            let (name, value) = match memchr::memchr(b':', &text) {
                Some(colon) => (&text[..colon], &text[colon + 1..]),
                None => (&text[..], &b""[..]),
            };
            self.r.subprocess_env.set(name, value);
        }
        Ok(())
    }

    /// `[T=…]`, `[H=…]`: remembered until the fixups.
    fn force_type(&mut self, rule: &Rule) -> Result<(), Handled> {
        for (template, note) in [(&rule.mime_type, FORCED_MIME_TYPE), (&rule.handler, FORCED_HANDLER)] {
            let Some(template) = template else { continue };
            match self.expand(template, Some(rule)).text {
                Fact::Known(text) if text.is_empty() => {}
                Fact::Known(text) => {
                    self.r.notes.set(note, &text.to_ascii_lowercase());
                    if note == FORCED_HANDLER {
                        self.r.rewrite.forced_by = Some(self.origin);
                    }
                }
                Fact::Unknown(question) => return Err(self.unanswerable(question)),
            }
        }
        Ok(())
    }

    /// Makes the expanded substitution the new name of the request.
    fn substitute(&mut self, rule: &Rule, mut name: Vec<u8>, proxied: bool) -> Result<(), Handled> {
        let flags = rule.flags;
        let mut prefixed = false;
        if !proxied && !name.starts_with(b"/") && absolute_uri(&name).is_none() {
            match &self.directory {
                Some(directory) => {
                    name.splice(..0, directory.iter().copied());
                    prefixed = true;
                }
                None if !flags.proxy && !flags.redirect => {
                    name.insert(0, b'/');
                    prefixed = true;
                }
                None => {}
            }
        }
        if self.directory.is_some() && flags.discard_path_info {
            self.r.path_info.clear();
        }
        split_query(&mut name, &mut self.r.args, flags);
        if flags.proxy {
            self.r.filename = Some([b"proxy:", self.fully_qualified(name)?.as_slice()].concat());
            return Ok(());
        }
        if flags.redirect {
            self.r.filename = Some(self.fully_qualified(name)?);
            self.redirect_status = rule.status;
            return Ok(());
        }
        let mut name = self.reduced(name)?;
        if absolute_uri(&name).is_some() {
            self.redirect_status = rule.status;
            self.r.filename = Some(name);
            return Ok(());
        }
        // Slashes at the start are merged unless the substitution itself begins with two.
        if !flags.unc && !prefixed && !rule.output.starts_with(b"//") {
            let slashes = name.iter().take_while(|byte| **byte == b'/').count();
            name.drain(..slashes.saturating_sub(1));
        }
        self.r.filename = Some(name);
        self.force_type(rule)
    }

    /// The server's name, which matters only where it is compared or sent.
    fn own_name(&self) -> Result<Vec<u8>, Handled> {
        Ok(server_name(self.r).unwrap_or_else(|| b"localhost".to_vec()))
    }

    /// `fully_qualify_uri`: the URL of this server, unless the name is one already.
    fn fully_qualified(&self, name: Vec<u8>) -> Result<Vec<u8>, Handled> {
        if self.r.method == b"CONNECT" || absolute_uri(&name).is_some() {
            return Ok(name);
        }
        let slash: &[u8] = if name.starts_with(b"/") { b"" } else { b"/" };
        let mut url = scheme(self.r);
        url.extend_from_slice(b"://");
        url.extend_from_slice(&self.own_name()?);
        let port = server_port(self.r);
        if port != default_port(self.r) {
            url.extend_from_slice(format!(":{port}").as_bytes());
        }
        url.extend_from_slice(slash);
        url.extend_from_slice(&name);
        Ok(url)
    }

    /// `reduce_uri`: the path of a URL that names this very server.
    fn reduced(&mut self, name: Vec<u8>) -> Result<Vec<u8>, Handled> {
        let prefix = [&scheme(self.r)[..], b"://"].concat();
        let is_own_scheme = name.len() > prefix.len()
            && name[..prefix.len() - 3].eq_ignore_ascii_case(&prefix[..prefix.len() - 3])
            && name[..prefix.len()].ends_with(b"://");
        if !is_own_scheme {
            return Ok(name);
        }
        let rest = &name[prefix.len()..];
        let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = match memchr::memchr(b':', authority) {
            Some(colon) => (&authority[..colon], atoi_int(&authority[colon + 1..]) as u16),
            None => (authority, default_port(self.r)),
        };
        if !vhost::matches_request(&self.cx.config.servers, self.r.server.index, host, port) {
            return Ok(name);
        }
        self.reduced = true;
        Ok(if path.is_empty() { b"/".to_vec() } else { path.to_vec() })
    }
}

fn default_port(r: &RequestRec) -> u16 {
    if scheme(r) == b"https" { 443 } else { 80 }
}

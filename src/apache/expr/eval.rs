//! The evaluation of an expression (`server/util_expr_eval.c`).
//!
//! A word whose value is not known makes the *test* it stands in a question with two answers; a string made of it is
//! itself not known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Digest;

use super::lex::Compare;
use super::{Failure, Function, Node, Probe, Scope, StringMatch, Unary, Word};
use crate::apache::escape::{Unescaped, atoi, escape_uri, fill, unescape_url};
use crate::apache::fnmatch::{Flags, fnmatch};
use crate::fact::{Fact, Question, Subject};
use crate::pattern::Captures;

/// How deep calls of the server's two evaluators may nest (`AP_EXPR_MAX_RECURSION`).
const MAX_RECURSION: usize = 20;

/// `$0` to `$9`, as the last match with parentheses left them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Backrefs {
    /// No match so far, or the last one failed.
    #[default]
    None,
    /// The text of each group; one that took no part is empty.
    Groups(Vec<Vec<u8>>),
    /// The subject of the match was not known.
    Unknown(Question),
}

impl Backrefs {
    /// The groups of a match.
    pub fn of(captures: &Captures, subject: &[u8]) -> Backrefs {
        let text =
            |group: &Option<std::ops::Range<usize>>| group.clone().map_or_else(Vec::new, |at| subject[at].to_vec());
        Backrefs::Groups(captures.groups.iter().map(text).collect())
    }

    /// `ap_pregsub` with these groups.
    pub fn fill(&self, template: &[u8]) -> Fact<Vec<u8>> {
        let filled = fill(template, |number| match self.group(number) {
            Fact::Known(text) => Ok(text),
            Fact::Unknown(question) => Err(question),
        });
        filled.map_or_else(Fact::Unknown, Fact::Known)
    }

    /// The text of a group.
    pub fn group(&self, number: usize) -> Fact<Vec<u8>> {
        match self {
            Backrefs::None => Fact::Known(Vec::new()),
            Backrefs::Groups(groups) => Fact::Known(groups.get(number).cloned().unwrap_or_default()),
            Backrefs::Unknown(question) => Fact::Unknown(question.clone()),
        }
    }
}

pub(super) struct Evaluation<'e> {
    scope: &'e mut dyn Scope,
    backrefs: &'e mut Backrefs,
    source: &'e [u8],
    ssl_compat: bool,
    level: usize,
    /// How many tests were undecided before this one: tells the questions of one expression apart.
    undecided: usize,
}

type Text = Fact<Vec<u8>>;

impl<'e> Evaluation<'e> {
    pub(super) fn new(
        scope: &'e mut dyn Scope,
        backrefs: &'e mut Backrefs,
        source: &'e [u8],
        ssl_compat: bool,
    ) -> Evaluation<'e> {
        Evaluation { scope, backrefs, source, ssl_compat, level: 0, undecided: 0 }
    }

    fn deeper<T>(&mut self, evaluate: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        if self.level >= MAX_RECURSION {
            return Err(Failure::Error("Recursion limit reached".into()));
        }
        self.level += 1;
        let result = evaluate(self);
        self.level -= 1;
        result
    }

    /// `ap_expr_eval`.
    pub(super) fn test(&mut self, node: &Node) -> Result<bool, Failure> {
        self.deeper(|this| this.test_here(node))
    }

    /// `not`, and the last part of `and` and `or`, are worked off in the same call.
    fn test_here(&mut self, node: &Node) -> Result<bool, Failure> {
        match node {
            Node::Constant(value) => Ok(*value),
            Node::Not(inner) => Ok(!self.test_here(inner)?),
            Node::And(parts) | Node::Or(parts) => {
                let decisive = matches!(node, Node::Or(_));
                let Some((last, first)) = parts.split_last() else { return Ok(!decisive) };
                for part in first {
                    if self.test(part)? == decisive {
                        return Ok(decisive);
                    }
                }
                self.test_here(last)
            }
            Node::Compare { operator, left, right } => self.compare(*operator, left, right),
            Node::In { needle, words } => self.is_in(needle, words),
            Node::InPeerExtensions { needle, argument } => {
                let (Fact::Unknown(question) | Fact::Known(question)) =
                    map(self.word(argument)?, |oid| peer_extensions(&oid));
                self.word(needle)?;
                Ok(self.decide(question))
            }
            Node::Regex { subject, pattern, negated } => {
                let subject = self.word(subject)?;
                let matched = match &subject {
                    Fact::Unknown(question) => {
                        let matched = self.decide(question.clone());
                        if pattern.group_count() > 0 {
                            *self.backrefs = if matched { Backrefs::Unknown(question.clone()) } else { Backrefs::None };
                        }
                        matched
                    }
                    Fact::Known(subject) => match pattern.captures(subject) {
                        Ok(captures) => {
                            // Groups that somebody still wants survive a pattern without parentheses.
                            if pattern.group_count() > 0 {
                                *self.backrefs = match &captures {
                                    Some(captures) => Backrefs::of(captures, subject),
                                    None => Backrefs::None,
                                };
                            }
                            captures.is_some()
                        }
                        Err(_) => {
                            let pattern = String::from_utf8_lossy(pattern.source()).into_owned();
                            self.decide(Question::new(Subject::MatchLimit(pattern)))
                        }
                    },
                };
                Ok(matched != *negated)
            }
            Node::Unary { test, operand } => self.unary(test, operand),
            Node::IpMatch { address, net } => {
                let addresses = match self.word(address)? {
                    Fact::Known(name) => self.scope.addresses(&name),
                    Fact::Unknown(question) => Fact::Unknown(question),
                };
                match addresses {
                    // The server looks at the first address of a name.
                    Fact::Known(addresses) => Ok(addresses.first().is_some_and(|address| net.contains(*address))),
                    Fact::Unknown(question) => Ok(self.decide(question)),
                }
            }
            Node::Match { kind, text, pattern } => {
                let flags = match kind {
                    StringMatch::Text => Flags::default(),
                    StringMatch::CaselessText => Flags { caseless: true, ..Flags::default() },
                    StringMatch::Path => Flags { pathname: true, ..Flags::default() },
                };
                let (text, pattern) = (self.word(text)?, self.word(pattern)?);
                match both(text, pattern) {
                    Fact::Known((text, pattern)) => Ok(fnmatch(&pattern, &text, flags)),
                    Fact::Unknown(question) => Ok(self.decide(question)),
                }
            }
        }
    }

    fn compare(&mut self, operator: Compare, left: &Word, right: &Word) -> Result<bool, Failure> {
        let (left, right) = (self.word(left)?, self.word(right)?);
        match both(left, right) {
            Fact::Known((left, right)) => Ok(operator.holds(&left, &right, self.ssl_compat)),
            Fact::Unknown(question) => Ok(self.decide(question)),
        }
    }

    fn is_in(&mut self, needle: &Word, words: &[Word]) -> Result<bool, Failure> {
        let needle = self.word(needle)?;
        let mut open = None;
        for word in words {
            match both(needle.clone(), self.word(word)?) {
                Fact::Known((needle, word)) if needle == word => return Ok(true),
                Fact::Known(_) => {}
                Fact::Unknown(question) => open = Some(question),
            }
        }
        Ok(open.is_some_and(|question| self.decide(question)))
    }

    fn unary(&mut self, test: &Unary, operand: &Word) -> Result<bool, Failure> {
        if let Unary::ClientIn(net) = test {
            return Ok(self.scope.client_in(net));
        }
        let text = match self.word(operand)? {
            Fact::Known(text) => text,
            Fact::Unknown(question) => return Ok(self.decide(question)),
        };
        match test {
            Unary::Empty => Ok(text.is_empty()),
            Unary::NonEmpty => Ok(!text.is_empty()),
            Unary::Truth => Ok(is_true(&text)),
            Unary::File(test) => Ok(self.scope.file_test(*test, &text)),
            Unary::Probe(probe) => self.probe(*probe, &text),
            Unary::ClientIn(_) => Ok(false),
        }
    }

    fn probe(&mut self, probe: Probe, target: &[u8]) -> Result<bool, Failure> {
        match self.scope.probe(probe, target)? {
            Fact::Known(answer) => Ok(answer),
            Fact::Unknown(question) => Ok(self.decide(question)),
        }
    }

    /// `ap_expr_eval_word`.
    pub(super) fn word(&mut self, word: &Word) -> Result<Text, Failure> {
        self.deeper(|this| match word {
            Word::Literal(text) => Ok(Fact::Known(text.clone())),
            Word::Variable(name) => Ok(this.scope.variable(name)),
            Word::Backref(group) => Ok(this.backrefs.group(*group)),
            Word::Call { function, argument } => {
                let argument = this.word(argument)?;
                this.call(*function, argument)
            }
            Word::Concat(pieces) => {
                let mut joined = Fact::Known(Vec::new());
                for piece in pieces {
                    let piece = this.word(piece)?;
                    joined = map(both(joined, piece), |(mut joined, piece)| {
                        joined.extend_from_slice(&piece);
                        joined
                    });
                }
                Ok(joined)
            }
        })
        .map(|text| map(text, c_string))
    }

    fn call(&mut self, function: Function, argument: Text) -> Result<Text, Failure> {
        let argument = match argument {
            Fact::Known(argument) => argument,
            unknown @ Fact::Unknown(_) => return Ok(unknown),
        };
        Ok(Fact::Known(match function {
            Function::Lookup(table) => return Ok(self.scope.lookup(table, &argument)),
            Function::ToLower => argument.to_ascii_lowercase(),
            Function::ToUpper => argument.to_ascii_uppercase(),
            Function::Escape => escape_uri(&argument),
            Function::Unescape => match unescape_url(&argument, true) {
                (text, Unescaped::Ok) => text,
                _ => Vec::new(),
            },
            Function::Base64 => BASE64.encode(&argument).into_bytes(),
            Function::Unbase64 => unbase64(&argument),
            Function::Sha1 => hexadecimal(&sha1::Sha1::digest(&argument)),
            Function::Md5 => hexadecimal(&md5::Md5::digest(&argument)),
            Function::Ldap => escape_ldap(&argument),
            Function::File => match self.scope.read_file(&argument) {
                Fact::Known(Ok(content)) => content,
                Fact::Known(Err(message)) => return Err(Failure::Error(message)),
                Fact::Unknown(question) => return Ok(Fact::Unknown(question)),
            },
            Function::FileSize => {
                return Ok(map(self.scope.file_size(&argument), |size| size.to_string().into_bytes()));
            }
        }))
    }

    fn decide(&mut self, question: Question) -> bool {
        self.undecided += 1;
        let source = String::from_utf8_lossy(self.source);
        let test = match self.undecided {
            1 => format!("`{source}` holds"),
            number => format!("test {number} of `{source}` holds"),
        };
        self.scope.decide(question, &test)
    }
}

impl Compare {
    /// Whether the comparison is true of these two.
    fn holds(self, left: &[u8], right: &[u8], ssl_compat: bool) -> bool {
        let order = match self {
            _ if ssl_compat => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
            Compare::IntEq | Compare::IntNe | Compare::IntLt | Compare::IntLe | Compare::IntGt | Compare::IntGe => {
                atoi(left).cmp(&atoi(right))
            }
            _ => left.cmp(right),
        };
        match self {
            Compare::IntEq | Compare::StrEq => order.is_eq(),
            Compare::IntNe | Compare::StrNe => order.is_ne(),
            Compare::IntLt | Compare::StrLt => order.is_lt(),
            Compare::IntLe | Compare::StrLe => order.is_le(),
            Compare::IntGt | Compare::StrGt => order.is_gt(),
            Compare::IntGe | Compare::StrGe => order.is_ge(),
        }
    }
}

fn map<T, U>(fact: Fact<T>, change: impl FnOnce(T) -> U) -> Fact<U> {
    match fact {
        Fact::Known(value) => Fact::Known(change(value)),
        Fact::Unknown(question) => Fact::Unknown(question),
    }
}

fn both<T, U>(left: Fact<T>, right: Fact<U>) -> Fact<(T, U)> {
    match (left, right) {
        (Fact::Known(left), Fact::Known(right)) => Fact::Known((left, right)),
        (Fact::Unknown(question), _) | (_, Fact::Unknown(question)) => Fact::Unknown(question),
    }
}

/// Values are C strings: a NUL ends them.
fn c_string(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(memchr::memchr(0, &text).unwrap_or(text.len()));
    text
}

fn peer_extensions(oid: &[u8]) -> Question {
    Question::new(Subject::Certificate(format!("extension {}", String::from_utf8_lossy(oid))))
}

/// `-T`.
fn is_true(text: &[u8]) -> bool {
    !(text.is_empty()
        || text == b"0"
        || [&b"off"[..], b"no", b"false"].iter().any(|word| text.eq_ignore_ascii_case(word)))
}

fn hexadecimal(digest: &[u8]) -> Vec<u8> {
    digest.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
}

/// `ap_pbase64decode`: reads as far as the alphabet goes.
fn unbase64(text: &[u8]) -> Vec<u8> {
    let length = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count();
    let mut bits = 0_u32;
    let mut count = 0;
    let mut decoded = Vec::new();
    for &byte in &text[..length] {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    decoded
}

/// `apr_pescape_ldap` with `APR_ESCAPE_LDAP_ALL`.
fn escape_ldap(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_graphic() && !b"\\*()\"#+,;<=>/".contains(&byte) || byte == b' ' {
            escaped.push(byte);
        } else {
            escaped.extend_from_slice(format!("\\{byte:02x}").as_bytes());
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_take_groups_and_escapes() {
        let groups = Backrefs::of(&Captures { groups: vec![Some(0..3), Some(1..2), None] }, b"abc");
        assert_eq!(groups.fill(b"x$1\\$1$2$"), Fact::Known(b"xb$1$".to_vec()));
        assert_eq!(Backrefs::None.fill(b"$1-"), Fact::Known(b"-".to_vec()));
    }
}

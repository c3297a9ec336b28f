//! What a run was not told: facts, the questions that stand for missing ones, and the answers assumed.
//!
//! An evaluator that meets something unknown calls [`Inquiry::choose`] with every way it can turn out, and goes on with
//! the alternative that the current [`Answers`] name (the first one where they name none). `explain` explores the other
//! alternatives depth first by running again with longer answers; the evaluator knows nothing about that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::source::Origin;

/// Something known, or the question that would have to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact<T> {
    /// The fact.
    Known(T),
    /// Nobody said.
    Unknown(Question),
}

impl<T> Fact<T> {
    /// The fact, changed; the question stays.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Fact::Known(value) => Fact::Known(change(value)),
            Fact::Unknown(question) => Fact::Unknown(question),
        }
    }

    /// The fact, if it is one.
    pub fn known(self) -> Option<T> {
        match self {
            Fact::Known(value) => Some(value),
            Fact::Unknown(_) => None,
        }
    }
}

/// What is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// What is at this path (existence, kind).
    Path(PathBuf),
    /// Mode or owner of this path.
    Permission(PathBuf),
    /// Size or modification time of this path.
    Time(PathBuf),
    /// The content of this file.
    Content(PathBuf),
    /// The entries of this directory.
    Entries(PathBuf),
    /// uid and groups of this user.
    User(String),
    /// Members of this group.
    Group(String),
    /// The value of a variable, by its name without `$` or `%{}`.
    Variable(String),
    /// What a directive that is not simulated does to this request.
    Opaque(String),
    /// Whether a module is there.
    Module(String),
    /// The addresses of a name, or the name of an address.
    Resolve(String),
    /// What a back end answers; the words are the subject of "answers".
    Upstream(String),
    /// Whether a rate or connection limit is exceeded.
    Limit(String),
    /// The clock.
    Clock,
    /// Whether a certificate is accepted.
    Certificate(String),
    /// Whether a password fits a hash that cannot be verified here.
    Password(String),
    /// A regular expression that met its match limit.
    MatchLimit(String),
    /// Anything else, in words.
    Other(String),
    /// Whether a directive refuses the request, taken back for the sake of argument ([`Inquiry::waives`]).
    RefusalBy(Origin),
    /// Whether a path is refused, taken back in the same way.
    RefusalAt(PathBuf),
}

/// A question: its subject and, where a directive raises it, that directive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// What is not known.
    pub subject: Subject,
    /// The directive that makes it matter.
    pub origin: Option<Origin>,
}

impl Question {
    /// A question that no directive in particular raises.
    pub fn new(subject: Subject) -> Self {
        Question { subject, origin: None }
    }

    /// The same question, raised by a directive.
    pub fn at(subject: Subject, origin: Option<Origin>) -> Self {
        Question { subject, origin }
    }
}

impl Question {
    /// The path that the question is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match &self.subject {
            Subject::Path(path)
            | Subject::Permission(path)
            | Subject::Time(path)
            | Subject::Content(path)
            | Subject::Entries(path) => Some(path),
            _ => None,
        }
    }
}

/// The question in words.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Subject::Path(path) => write!(f, "what is at {}", path.display()),
            Subject::Permission(path) => write!(f, "mode and owner of {}", path.display()),
            Subject::Time(path) => write!(f, "size and modification time of {}", path.display()),
            Subject::Content(path) => write!(f, "the content of {}", path.display()),
            Subject::Entries(path) => write!(f, "what the directory {} holds", path.display()),
            Subject::User(name) => write!(f, "uid and groups of the user {name}"),
            Subject::Group(name) => write!(f, "gid and members of the group {name}"),
            Subject::Variable(name) => write!(f, "the value of the variable {name}"),
            Subject::Opaque(name) => write!(f, "what `{name}` does to this request: it is not simulated"),
            Subject::Module(name) => write!(f, "whether the module {name} is there"),
            Subject::Resolve(name) => write!(f, "what {name} resolves to"),
            Subject::Upstream(name) => write!(f, "what {name} answers"),
            Subject::Limit(name) => write!(f, "whether the limit {name} is exceeded"),
            Subject::Clock => write!(f, "what time it is"),
            Subject::Certificate(name) => write!(f, "whether the certificate is accepted: {name}"),
            Subject::Password(name) => write!(f, "whether the password fits: {name}"),
            Subject::MatchLimit(pattern) => write!(f, "whether `{pattern}` matches: it meets the match limit"),
            Subject::Other(words) => f.write_str(words),
            Subject::RefusalBy(_) => f.write_str("whether the directive refuses the request"),
            Subject::RefusalAt(path) => write!(f, "whether {} is refused", path.display()),
        }
    }
}

/// Answers to assume: the index of the alternative for each subject. The first alternative holds where nothing is named.
pub type Answers = BTreeMap<Subject, usize>;

/// One question that a run met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Every way it can turn out, in words that complete "if …": `/srv/a exists and is a file`.
    pub alternatives: Vec<String>,
    /// How many of them, from the first on, are worth telling wherever they lead; the others only where nothing else does.
    pub likely: usize,
    /// The one that was assumed.
    pub chosen: usize,
}

/// The questions of one run.
#[derive(Debug)]
pub struct Inquiry<'w> {
    answers: &'w Answers,
    asked: RefCell<Vec<Asked>>,
}

impl<'w> Inquiry<'w> {
    /// An inquiry that assumes these answers.
    pub fn new(answers: &'w Answers) -> Self {
        Inquiry { answers, asked: RefCell::default() }
    }

    /// Which alternative to go on with. The same subject asked again in one run gives the same answer and is recorded once.
    ///
    /// The alternatives must be the whole truth: an outcome is `certain` when all of them agree. Where they cannot be
    /// enumerated (an opaque directive, a variable that can be anything), the run must end as `Outcome::Unknown` with
    /// [`Inquiry::unanswerable`] naming the question.
    pub fn choose(&self, question: Question, alternatives: &[&str]) -> usize {
        self.choose_likely(question, alternatives, alternatives.len())
    }

    /// [`Inquiry::choose`] where only the first `likely` alternatives are what anybody would think of. The others count as
    /// much for what is certain, and are told only where nothing else ends like them.
    pub fn choose_likely(&self, question: Question, alternatives: &[&str], likely: usize) -> usize {
        let mut asked = self.asked.borrow_mut();
        if let Some(earlier) = asked.iter().find(|earlier| earlier.question.subject == question.subject) {
            return earlier.chosen.min(alternatives.len().saturating_sub(1));
        }
        let chosen = self.answers.get(&question.subject).copied().unwrap_or(0);
        let chosen = chosen.min(alternatives.len().saturating_sub(1));
        let alternatives = alternatives.iter().map(ToString::to_string).collect();
        asked.push(Asked { question, alternatives, likely, chosen });
        chosen
    }

    /// Records a question whose answers cannot be listed. The caller ends its run as unknown.
    pub fn unanswerable(&self, question: Question) {
        let mut asked = self.asked.borrow_mut();
        if !asked.iter().any(|earlier| earlier.question.subject == question.subject) {
            asked.push(Asked { question, alternatives: Vec::new(), likely: 0, chosen: 0 });
        }
    }

    /// Whether a refusal is taken back: `explain` does that to see what would refuse next. The evaluator then goes on as if
    /// the directive let this request pass or, for a refusal about a path, as if the path were open to the worker.
    pub fn waives(&self, directive: Option<Origin>, path: Option<&Path>) -> bool {
        match (path, directive) {
            _ if self.answers.is_empty() => false,
            (Some(path), _) => self.answers.contains_key(&Subject::RefusalAt(path.to_path_buf())),
            (None, Some(origin)) => self.answers.contains_key(&Subject::RefusalBy(origin)),
            (None, None) => false,
        }
    }

    /// Whether any refusal about a path is taken back.
    pub fn waives_paths(&self) -> bool {
        self.answers.keys().any(|subject| matches!(subject, Subject::RefusalAt(_)))
    }

    /// Whether anything was asked so far.
    pub fn is_empty(&self) -> bool {
        self.asked.borrow().is_empty()
    }

    /// Everything that was asked, in order.
    pub fn into_asked(self) -> Vec<Asked> {
        self.asked.into_inner()
    }
}

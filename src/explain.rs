//! From runs to an answer: which questions matter, how sure the outcome is, and the sentences that go with it.
//!
//! The evaluator assumes the first answer of every question it meets. Here the other answers are tried by running it
//! again, depth first, so that a question met only under another answer counts too. INVARIANT: `Certainty::Certain` is
//! said only when every answer of every question leads to the same kind and status.

mod chain;
mod repair;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::{Answers, Asked, Question, Subject};
use crate::fix::Fix;
use crate::fs::Filesystem;
use crate::outcome::{Certainty, Decision, Outcome, Run};
use crate::problem::{self, Problem};
use crate::request::Request;
use crate::sentence::Sentences;
use crate::server::{LoadOptions, Server};
use crate::world::World;

/// Past this many questions on one way through the evaluator nothing is certain.
const MOST_QUESTIONS: usize = 6;
/// Most ways to one other outcome that are told.
const MOST_WAYS: usize = 3;
/// Most runs for one answer; past it the exploration stops and nothing is certain.
const MOST_RUNS: usize = 256;

/// The parts of an answer that somebody wants to see. What only the others need is not computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The request as it was understood.
    pub request: bool,
    /// Kind, status, certainty.
    pub outcome: bool,
    /// Why.
    pub cause: bool,
    /// What was consulted.
    pub trace: bool,
    /// What was assumed.
    pub assumptions: bool,
    /// The other outcomes.
    pub alternatives: bool,
    /// What would change it.
    pub fixes: bool,
}

impl Fields {
    /// Everything.
    pub const ALL: Fields = Fields {
        request: true,
        outcome: true,
        cause: true,
        trace: true,
        assumptions: true,
        alternatives: true,
        fixes: true,
    };
    /// Nothing.
    pub const NONE: Fields = Fields {
        request: false,
        outcome: false,
        cause: false,
        trace: false,
        assumptions: false,
        alternatives: false,
        fixes: false,
    };

    /// Reads a comma-separated list of names; the error is the first name that is none.
    pub fn parse(list: &str) -> Result<Fields, String> {
        let mut fields = Fields::NONE;
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "request" => fields.request = true,
                "outcome" => fields.outcome = true,
                "cause" => fields.cause = true,
                "trace" => fields.trace = true,
                "assumptions" => fields.assumptions = true,
                "alternatives" => fields.alternatives = true,
                "fixes" => fields.fixes = true,
                "schema" | "id" => {}
                other => return Err(other.to_owned()),
            }
        }
        Ok(fields)
    }

    /// Whether the other answers of open questions have to be tried.
    fn explores(self) -> bool {
        self.outcome || self.assumptions || self.alternatives
    }
}

/// Something assumed on the way to the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumption {
    /// The question.
    pub question: Question,
    /// The answer that was assumed; `None`: the answers of this question cannot be listed.
    pub assumed: Option<String>,
}

/// Another outcome, and what has to hold for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// The answers that lead here, each a clause.
    pub when: Vec<String>,
    /// How it ends then.
    pub outcome: Outcome,
}

/// Why the status is what it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// The evaluator's decision, in [`Run::decision`] of the answer's run.
    Decided(Sentences),
    /// The configuration is refused: the first problem, as the server's own test reports it.
    Refused(Problem),
}

/// A refusal that stands behind another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What refuses.
    pub decision: Decision,
    /// Why.
    pub why: Sentences,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How it ends.
    pub outcome: Outcome,
    /// How sure that is.
    pub certainty: Certainty,
    /// Why; `None` for plain success and hand-over, or where it was not asked for.
    pub why: Option<Why>,
    /// What refuses next once the refusals before it are taken back, in order, until the request would be served. With the
    /// decision itself they are everything that has to change.
    pub next: Vec<Refusal>,
    /// A sentence for each step of the run's trace.
    pub steps: Vec<String>,
    /// What was assumed and matters.
    pub assumptions: Vec<Assumption>,
    /// The other outcomes.
    pub alternatives: Vec<Alternative>,
    /// Repairs, each tried.
    pub fixes: Vec<Fix>,
    /// The run under the assumptions.
    pub run: Run,
}

/// A loaded server, the world it lives in, and how it was loaded: what every question shares.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The server.
    pub server: &'a Server,
    /// How it was loaded: a fix is tried by loading the changed text again.
    pub options: &'a LoadOptions,
    /// From where.
    pub loading: &'a dyn Filesystem,
    /// What a run is told.
    pub world: World<'a>,
}

impl Bench<'_> {
    /// Answers one request.
    pub fn explain(&self, request: &Request, fields: Fields) -> Answer {
        if let Some(problem) = problem::first_refusal(self.server.problems()) {
            return refused(problem.clone());
        }
        let bench = Bench { world: World { trace: fields.trace, ..self.world }, ..*self };
        let mut exploration = Exploration { bench, request, runs: 0, cut: false };
        let mut run = exploration.run(bench.world.answers);
        let tree = if fields.explores() && !run.asked.is_empty() {
            exploration.explore(&mut bench.world.answers.clone(), &run, 0).collapsed()
        } else {
            Branch::Leaf(run.outcome)
        };
        let cut = exploration.cut;
        let certainty = match (&tree, run.outcome) {
            (_, Outcome::Unknown) => Certainty::Unknown,
            (Branch::Leaf(_), _) if !cut => Certainty::Certain,
            _ => Certainty::Conditional,
        };
        let assumptions = match certainty {
            Certainty::Certain => Vec::new(),
            _ => assumptions(&run, &tree, cut),
        };
        let mut alternatives = tree.alternatives();
        if cut {
            let when = vec!["questions that were not followed any further have other answers".to_owned()];
            alternatives.push(Alternative { when, outcome: Outcome::Unknown });
        }
        let fixes = if fields.fixes { repair::search(bench, request, &run) } else { Vec::new() };
        let next = if fields.cause { chain::behind(bench, request, &run) } else { Vec::new() };
        if let Some(decision) = &mut run.decision {
            chain::name(decision, &next);
        }
        let why = fields.cause.then(|| why(self.server, &run)).flatten();
        let steps = run.trace.iter().map(|step| self.server.sentence(step)).collect();
        Answer { outcome: run.outcome, certainty, why, next, steps, assumptions, alternatives, fixes, run }
    }
}

/// The sentences of a run's decision; plain success and hand-over need none.
fn why(server: &Server, run: &Run) -> Option<Why> {
    if matches!(run.outcome, Outcome::Response(..300) | Outcome::Upstream) {
        return None;
    }
    let decision = run.decision.as_ref()?;
    Some(Why::Decided(server.describe(run, decision)))
}

impl Answer {
    /// No answer, for this reason.
    pub fn unknown(reason: &str) -> Answer {
        let question = Question::new(Subject::Other(reason.to_owned()));
        Answer {
            outcome: Outcome::Unknown,
            certainty: Certainty::Unknown,
            why: None,
            next: Vec::new(),
            steps: Vec::new(),
            assumptions: vec![Assumption { question, assumed: None }],
            alternatives: Vec::new(),
            fixes: Vec::new(),
            run: Run::default(),
        }
    }
}

fn refused(problem: Problem) -> Answer {
    let run = Run { outcome: Outcome::Refused, ..Run::default() };
    Answer {
        outcome: Outcome::Refused,
        certainty: Certainty::Certain,
        why: Some(Why::Refused(problem)),
        next: Vec::new(),
        steps: Vec::new(),
        assumptions: Vec::new(),
        alternatives: Vec::new(),
        fixes: Vec::new(),
        run,
    }
}

/// What the run under the assumptions took for granted: the questions on its way that matter. Where the exploration was
/// cut short, nobody knows which matter, and all are named.
fn assumptions(run: &Run, tree: &Branch, cut: bool) -> Vec<Assumption> {
    let matters = |asked: &Asked| {
        cut || asked.alternatives.is_empty()
            || tree.first_way().any(|question| question.subject == asked.question.subject)
    };
    run.asked
        .iter()
        .filter(|asked| matters(asked))
        .map(|asked| Assumption {
            question: asked.question.clone(),
            assumed: asked.alternatives.get(asked.chosen).cloned(),
        })
        .collect()
}

/// What was found out about the open questions: a tree of answers with an outcome at each end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Branch {
    /// All questions answered.
    Leaf(Outcome),
    /// A question, and what follows from each answer. The first is the one assumed, the first `likely` are worth telling.
    Ask { question: Question, answers: Vec<(String, Branch)>, likely: usize },
}

impl Branch {
    /// The same tree without the questions that make no difference.
    fn collapsed(self) -> Branch {
        let Branch::Ask { question, answers, likely } = self else { return self };
        let answers: Vec<_> = answers.into_iter().map(|(words, branch)| (words, branch.collapsed())).collect();
        match answers.split_first() {
            Some(((_, first), rest)) if rest.iter().all(|(_, branch)| branch == first) => first.clone(),
            _ => Branch::Ask { question, answers, likely },
        }
    }

    /// The questions on the way that was assumed.
    fn first_way(&self) -> impl Iterator<Item = &Question> {
        let mut at = self;
        std::iter::from_fn(move || match at {
            Branch::Leaf(_) => None,
            Branch::Ask { question, answers, .. } => {
                at = &answers.first()?.1;
                Some(question)
            }
        })
    }

    /// Every end but the assumed one that differs from it, with what leads there. Of several ways to one outcome, those
    /// that need more than another are left out, and those by an unlikely answer where a likely one leads there too.
    fn alternatives(&self) -> Vec<Alternative> {
        let mut ends = Vec::new();
        self.ends(&mut Way { when: Vec::new(), assumed: true, likely: true }, &mut ends);
        let Some((_, assumed)) = ends.first().cloned() else { return Vec::new() };
        ends.retain(|(_, outcome)| *outcome != assumed);
        let (likely, unlikely): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(way, _)| way.likely);
        let ordinary: BTreeSet<Outcome> = likely.iter().map(|(_, outcome)| *outcome).collect();
        let odd = unlikely.into_iter().filter(|(_, outcome)| !ordinary.contains(outcome));
        let mut found: Vec<Alternative> = Vec::new();
        for (Way { when, .. }, outcome) in likely.into_iter().chain(odd) {
            let weaker =
                |other: &Alternative| other.outcome == outcome && other.when.iter().all(|clause| when.contains(clause));
            if !found.iter().any(weaker) {
                found.push(Alternative { when, outcome });
            }
        }
        // The ways that need least come first, and a few of them say enough.
        found.sort_by_key(|alternative| alternative.when.len());
        let mut shown: BTreeMap<Outcome, usize> = BTreeMap::new();
        found.retain(|alternative| {
            let count = shown.entry(alternative.outcome).or_default();
            *count += 1;
            *count <= MOST_WAYS
        });
        found
    }

    /// The ends in depth-first order.
    fn ends(&self, way: &mut Way, into: &mut Vec<(Way, Outcome)>) {
        match self {
            Branch::Leaf(outcome) => into.push((way.clone(), *outcome)),
            Branch::Ask { answers, likely, .. } => {
                let Way { assumed, likely: before, .. } = *way;
                for (index, (words, branch)) in answers.iter().enumerate() {
                    way.assumed = assumed && index == 0;
                    way.likely = before && index < *likely;
                    if way.assumed {
                        branch.ends(way, into);
                    } else {
                        way.when.push(words.clone());
                        branch.ends(way, into);
                        way.when.pop();
                    }
                }
            }
        }
    }
}

/// What leads to an end.
#[derive(Clone, Debug)]
struct Way {
    /// The answers, from the first one on that was not assumed.
    when: Vec<String>,
    /// Nothing but assumed answers so far; those need not be said.
    assumed: bool,
    /// Nothing but likely answers so far.
    likely: bool,
}

/// Running again with other answers.
struct Exploration<'a> {
    bench: Bench<'a>,
    request: &'a Request,
    runs: usize,
    cut: bool,
}

impl Exploration<'_> {
    fn run(&mut self, answers: &Answers) -> Run {
        self.runs += 1;
        self.bench.server.evaluate(self.request, &World { answers, ..self.bench.world })
    }

    /// The tree below `fixed`, whose run is at hand: its first question that is not fixed yet, with every answer tried.
    fn explore(&mut self, fixed: &mut Answers, run: &Run, depth: usize) -> Branch {
        let open = |asked: &&Asked| asked.alternatives.len() > 1 && !fixed.contains_key(&asked.question.subject);
        let Some(asked) = run.asked.iter().find(open) else { return Branch::Leaf(run.outcome) };
        if depth >= MOST_QUESTIONS || self.runs >= MOST_RUNS {
            self.cut = true;
            return Branch::Leaf(run.outcome);
        }
        let subject = &asked.question.subject;
        let mut answers = Vec::with_capacity(asked.alternatives.len());
        for (index, words) in asked.alternatives.iter().enumerate() {
            fixed.insert(subject.clone(), index);
            // The run at hand already holds the answer it chose.
            let branch = if index == asked.chosen {
                self.explore(fixed, run, depth + 1)
            } else {
                let other = self.run(fixed);
                self.explore(fixed, &other, depth + 1)
            };
            answers.push((words.clone(), branch));
        }
        fixed.remove(subject);
        Branch::Ask { question: asked.question.clone(), answers, likely: asked.likely }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, answers: Vec<(&str, Branch)>) -> Branch {
        let answers: Vec<_> = answers.into_iter().map(|(words, branch)| (words.to_owned(), branch)).collect();
        let likely = answers.len();
        Branch::Ask { question: Question::new(Subject::Other(name.to_owned())), answers, likely }
    }

    fn leaf(status: u16) -> Branch {
        Branch::Leaf(Outcome::Response(status))
    }

    #[test]
    fn a_question_that_changes_nothing_disappears() {
        let tree = ask("a", vec![("yes", leaf(403)), ("no", ask("b", vec![("yes", leaf(403)), ("no", leaf(403))]))]);
        assert_eq!(tree.collapsed(), leaf(403));
    }

    #[test]
    fn a_question_met_only_under_another_answer_counts() {
        let tree = ask("a", vec![("yes", leaf(403)), ("no", ask("b", vec![("yes", leaf(403)), ("no", leaf(200))]))]);
        let tree = tree.collapsed();
        assert_ne!(tree, leaf(403));
        let alternatives = tree.alternatives();
        assert_eq!(alternatives.len(), 1);
        assert_eq!(alternatives[0].when, ["no", "no"]);
        assert_eq!(alternatives[0].outcome, Outcome::Response(200));
    }

    #[test]
    fn of_two_ways_to_one_outcome_the_one_that_needs_less_is_shown() {
        let tree = ask(
            "a",
            vec![
                ("a1", ask("b", vec![("b1", leaf(200)), ("b2", leaf(404))])),
                ("a2", ask("b", vec![("b1", leaf(200)), ("b2", leaf(404))])),
            ],
        );
        // `a` matters to nobody: both answers lead to the same subtree.
        let alternatives = tree.collapsed().alternatives();
        assert_eq!(alternatives, [Alternative { when: vec!["b2".to_owned()], outcome: Outcome::Response(404) }]);
    }

    #[test]
    fn an_unlikely_answer_is_told_where_nothing_else_ends_like_it() {
        let tree = |odd| Branch::Ask {
            question: Question::new(Subject::Other("a".to_owned())),
            answers: [("file", leaf(200)), ("none", leaf(404)), ("odd", odd)]
                .map(|(words, end)| (words.to_owned(), end))
                .into(),
            likely: 2,
        };
        let told = |tree: Branch| -> Vec<Vec<String>> {
            tree.alternatives().into_iter().map(|alternative| alternative.when).collect()
        };
        assert_eq!(told(tree(leaf(404))), [["none"]]);
        assert_eq!(told(tree(leaf(500))), [["none"], ["odd"]]);
        // What is met under it is as unlikely.
        let below = ask("b", vec![("yes", leaf(404)), ("no", leaf(500))]);
        assert_eq!(told(tree(below)), [vec!["none"], vec!["odd", "no"]]);
    }

    #[test]
    fn fields_are_names_of_the_answer() {
        let fields = Fields::parse("outcome, cause").expect("both exist");
        assert!(fields.outcome && fields.cause && !fields.fixes);
        assert_eq!(Fields::parse("outcome,colour"), Err("colour".to_owned()));
    }
}

//! Everything that refuses: the first refusal is taken back and the request asked again, then the next one, until it would
//! be served. Together they are the smallest set of changes that ends the 403.

use super::{Bench, Refusal};
use crate::fact::Answers;
use crate::outcome::{Decision, Outcome, Related, Run};
use crate::request::Request;
use crate::world::World;

/// Most refusals behind the first one that are looked for.
const MOST: usize = 8;

/// What refuses behind the decision of `run`, in order. Only a 403 is looked behind: another status is no refusal that
/// several directives can join in.
pub(super) fn behind(bench: Bench, request: &Request, run: &Run) -> Vec<Refusal> {
    const FORBIDDEN: Outcome = Outcome::Response(403);
    let mut found = Vec::new();
    let Some(mut last) = run.decision.clone().filter(|_| run.outcome == FORBIDDEN) else { return found };
    let mut waived = bench.world.answers.clone();
    while found.len() < MOST {
        if !take_back(&last, &mut waived) {
            // It came again, so taking it back did not end it, and nobody knows what is behind it.
            found.pop();
            break;
        }
        let next = bench.server.evaluate(request, &World { answers: &waived, trace: false, ..bench.world });
        let Some(decision) = next.decision.clone().filter(|_| next.outcome == FORBIDDEN) else { break };
        let why = bench.server.describe(&next, &decision);
        last = decision.clone();
        found.push(Refusal { decision, why });
    }
    found
}

/// Takes back a refusal, and those behind an error page or a sub-request that it stands upon. `false`: all of them were
/// taken back before, or cannot be.
fn take_back(decision: &Decision, waived: &mut Answers) -> bool {
    let mut new = false;
    let mut at = Some(decision);
    while let Some(decision) = at {
        if let Some(refusal) = decision.refusal() {
            new |= waived.insert(refusal, 0).is_none();
        }
        at = decision.inner.as_deref();
    }
    new
}

/// Names the directives behind a decision as its co-deciders.
pub(super) fn name(decision: &mut Decision, behind: &[Refusal]) {
    for origin in behind.iter().filter_map(|refusal| refusal.decision.directive) {
        let known = |related: &Related| related.role == "co-decider" && related.origin == origin;
        if decision.directive != Some(origin) && !decision.related.iter().any(known) {
            decision.related.push(Related { role: "co-decider", origin });
        }
    }
}

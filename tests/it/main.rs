//! The one test binary: recorded cases, the real servers, the corpus, the documentation.

mod case;
mod cases;
mod corpus_apache;
mod rules;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let args = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    match cases::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("cases", move || Err(why.into()))),
    }
    trials.extend(rules::trials());
    trials.extend(corpus_apache::trials());
    libtest_mimic::run(&args, trials).exit();
}

//! The one test binary: recorded cases, the real servers, the corpus, the documentation.

mod case;
mod cases;
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
    libtest_mimic::run(&args, trials).exit();
}

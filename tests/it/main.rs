//! The one test binary: recorded cases, the real servers, the corpus, the documentation.

mod blame;
mod book;
mod case;
mod cases;
mod cli;
mod corpus_apache;
mod corpus_nginx;
mod coverage;
mod example;
mod fuzz;
mod generate;
mod honesty;
mod inert;
mod library;
mod limits;
mod lint;
mod proof;
mod repairs;
mod rules;
mod servers;
mod stock;
mod taken;
mod tidy;
mod values;
mod witnesses;

use libtest_mimic::{Arguments, Trial};

fn main() {
    if servers::session::serve_if_inside() {
        return;
    }
    let args = Arguments::from_args();
    let mut trials: Vec<Trial> = Vec::new();
    match cases::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("cases", move || Err(why.into()))),
    }
    trials.extend(rules::trials());
    trials.extend(cli::trials());
    trials.extend(lint::trials());
    trials.extend(book::trials());
    trials.extend(corpus_apache::trials());
    trials.extend(corpus_nginx::trials());
    trials.extend(coverage::trials());
    trials.extend(tidy::trials());
    match honesty::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("honesty", move || Err(why.into()))),
    }
    match taken::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("taken", move || Err(why.into()))),
    }
    match blame::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("blame", move || Err(why.into()))),
    }
    match repairs::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("repairs", move || Err(why.into()))),
    }
    match witnesses::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("witnesses", move || Err(why.into()))),
    }
    match servers::trials() {
        Ok(found) => trials.extend(found),
        Err(why) => trials.push(Trial::test("servers", move || Err(why.into()))),
    }
    trials.extend(fuzz::trials());
    trials.extend(generate::trials());
    trials.extend(inert::trials());
    trials.extend(stock::trials());
    trials.extend(limits::trials());
    trials.extend(values::trials());
    libtest_mimic::run(&args, trials).exit();
}

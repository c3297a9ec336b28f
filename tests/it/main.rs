//! One test binary.
use libtest_mimic::{Arguments, Trial};

fn main() {
    let args = Arguments::from_args();
    let tests: Vec<Trial> = vec![];
    libtest_mimic::run(&args, tests).exit();
}

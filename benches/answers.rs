//! Answers a second inside the library, on one core: `cargo bench --bench answers -- small medium`.
//!
//! A generated configuration is loaded once and asked many requests over all of its hosts, files looked at once (`CachedFs`).
//! The first round, which reads `.htaccess` files and compiles regular expressions, is told apart from the warm ones.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod generate;

use std::path::Path;
use std::time::Instant;

use why403::fact::Answers;
use why403::fs::cached::CachedFs;
use why403::fs::real::RealFs;
use why403::request::{Destination, Request};
use why403::server::{Kind, LoadOptions, Server};
use why403::world::{NoResolver, World};

/// Paths that are asked of every host: served, missing, refused by a section, an index, an .htaccess on the way.
const PATHS: &[&str] = &["/", "/index.html", "/app/", "/app/index.html", "/area0/x", "/x.ext1", "/no", "/area4/y.html"];
/// Rounds over all hosts and paths; the best warm one counts.
const ROUNDS: usize = 6;

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let sizes = generate::SIZES.into_iter().filter(|size| {
        if named.is_empty() { size.name != "large" } else { named.iter().any(|named| named == size.name) }
    });
    println!("| size | server | answers a second, first round | warm |");
    println!("|---|---|---:|---:|");
    for size in sizes {
        let top = tempfile::Builder::new().prefix("why403-bench-").tempdir().expect("a temporary directory");
        for kind in [Kind::Nginx, Kind::Apache] {
            let dir = top.path().join(kind.name());
            let config = match kind {
                Kind::Nginx => generate::nginx(&dir, size, 18403),
                Kind::Apache => generate::apache(&dir, size, 18404),
            };
            let speeds = ask(kind, &config.expect("generated"), size.hosts);
            let best = speeds.iter().skip(1).copied().fold(0.0, f64::max);
            println!("| {} | {} | {:.0} | {best:.0} |", size.name, kind.name(), speeds[0]);
        }
    }
}

/// Answers a second, round by round.
fn ask(kind: Kind, config: &Path, hosts: usize) -> Vec<f64> {
    let fs = CachedFs::new(RealFs);
    let server = Server::load(kind, &LoadOptions::new(config), &fs);
    let requests: Vec<Request> =
        (0..hosts).flat_map(|host| PATHS.iter().map(move |path| request(host, path))).collect();
    let answers = Answers::new();
    let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: Some(0), answers: &answers, trace: false };
    let round = |_| {
        let begun = Instant::now();
        for request in &requests {
            std::hint::black_box(server.evaluate(request, &world));
        }
        requests.len() as f64 / begun.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(round).collect()
}

fn request(host: usize, path: &str) -> Request {
    let to = Destination { address: Some([127, 0, 0, 1].into()), ..Destination::default() };
    Request { to, ..Request::get(path, &format!("host{host}.test")) }
}

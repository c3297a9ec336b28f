//! Whole processes against the real servers' own `-t`, on the same files, in the same run: `cargo bench --bench whole`.
//!
//! Prints a Markdown table of CPU times (user + system, medians of several runs), ratios and peak memory; it is what
//! `docs/performance.md` shows. `-- small medium large` chooses the sizes (default: small medium).

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod generate;

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;
use why403::rules;

/// Runs of each command; the median counts.
const RUNS: usize = 5;

/// What one run of a command cost.
#[derive(Clone, Copy, Debug)]
struct Cost {
    cpu: Duration,
    wall: Duration,
    /// Peak resident memory, bytes.
    memory: u64,
}

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let wanted = |name: &str| if named.is_empty() { name != "large" } else { named.iter().any(|named| named == name) };
    let program = PathBuf::from(env!("CARGO_BIN_EXE_why403"));
    // `--select core` adds to the rules that are on by default: the others are taken away by name.
    let others: Vec<&str> = rules::ALL.iter().filter(|rule| !rule.core).map(|rule| rule.id).collect();
    let others = others.join(",");
    println!("| size | what | CPU ms | wall ms | ratio | peak MiB | bytes per byte |");
    println!("|---|---|---:|---:|---:|---:|---:|");
    for size in generate::SIZES.into_iter().filter(|size| wanted(size.name)) {
        let top = tempfile::Builder::new().prefix("why403-bench-").tempdir().expect("a temporary directory");
        let (nginx, apache) = (top.path().join("nginx"), top.path().join("apache"));
        std::fs::create_dir_all(&nginx).expect("mkdir");
        std::fs::create_dir_all(&apache).expect("mkdir");
        let conf = generate::nginx(&nginx, size, 18403).expect("generated");
        let bytes = text_size(&nginx);
        let test =
            table(size.name, "nginx -t", bytes, None, &mut || command("nginx", &["-t", "-q", "-c", path(&conf)]));
        for (what, args) in [
            ("lint nginx, core rules, JSON lines", lint(&others, "jsonl", &conf)),
            ("lint nginx, core rules, for people", lint(&others, "human", &conf)),
            ("explain nginx, one URL, cold", explain(&conf, 18403)),
        ] {
            table(size.name, what, bytes, test, &mut || command(program.to_str().expect("a path"), &args));
        }
        started(
            size.name,
            "nginx, started and asked",
            &mut || command("nginx", &["-c", path(&conf), "-g", "daemon off;"]),
            18403,
        );
        let conf = generate::apache(&apache, size, 18404).expect("generated");
        let bytes = text_size(&apache);
        let test = table(size.name, "apache2 -t", bytes, None, &mut || command("apache2", &["-t", "-f", path(&conf)]));
        for (what, args) in [
            ("lint apache, core rules, JSON lines", lint(&others, "jsonl", &conf)),
            ("lint apache, core rules, for people", lint(&others, "human", &conf)),
            ("explain apache, one URL, cold", explain(&conf, 18404)),
        ] {
            table(size.name, what, bytes, test, &mut || command(program.to_str().expect("a path"), &args));
        }
        started(size.name, "apache2, started and asked", &mut || command("apache2", &["-X", "-f", path(&conf)]), 18404);
        let all = format!("find {} -name '*.conf' | xargs cat", nginx.display());
        table(size.name, "cat", bytes, None, &mut || command("sh", &["-c", &all]));
        let lines = format!("{all} | wc -l");
        table(size.name, "wc -l", bytes, None, &mut || command("sh", &["-c", &lines]));
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// Lints with the core rules only, whatever is found.
fn lint<'a>(others: &'a str, format: &'a str, conf: &'a Path) -> Vec<&'a str> {
    vec!["lint", "--select", "core", "--ignore", others, "--output", format, path(conf)]
}

fn explain(conf: &Path, port: u16) -> Vec<&str> {
    let url = if port == 18403 { "http://host7.test:18403/area0/x" } else { "http://host7.test:18404/area0/x" };
    vec!["explain", "--config", path(conf), "--to", "127.0.0.1", "--format", "json", "--fields", "outcome,cause", url]
}

fn command(program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs a command several times and prints its line; gives the median CPU time.
fn table(
    size: &str,
    what: &str,
    bytes: u64,
    base: Option<Duration>,
    make: &mut dyn FnMut() -> Command,
) -> Option<Duration> {
    let mut costs: Vec<Cost> = (0..RUNS).filter_map(|_| run(make())).collect();
    if costs.len() < RUNS {
        println!("| {size} | {what} | not to be had | | | | |");
        return None;
    }
    costs.sort_by_key(|cost| cost.cpu);
    let median = costs[RUNS / 2];
    let ratio = base.map_or(String::new(), |base| format!("{:.2}", median.cpu.as_secs_f64() / base.as_secs_f64()));
    println!(
        "| {size} | {what} | {:.1} | {:.1} | {ratio} | {:.1} | {:.1} |",
        median.cpu.as_secs_f64() * 1e3,
        median.wall.as_secs_f64() * 1e3,
        median.memory as f64 / (1 << 20) as f64,
        median.memory as f64 / bytes as f64,
    );
    std::io::stdout().flush().expect("standard output");
    Some(median.cpu)
}

fn run(mut command: Command) -> Option<Cost> {
    let begun = Instant::now();
    let used = command.spawn().ok()?.wait4().ok()?.rusage;
    Some(Cost { cpu: used.utime + used.stime, wall: begun.elapsed(), memory: used.maxrss })
}

/// Starts a server, asks it once, ends it; prints the wall time until the answer was read.
fn started(size: &str, what: &str, make: &mut dyn FnMut() -> Command, port: u16) {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let Ok(mut child) = make().spawn() else { return };
        let answered = ask(port, Duration::from_secs(60));
        let took = begun.elapsed();
        // Ended the way the servers end themselves, so that workers go too.
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        let _ = child.wait();
        if answered {
            times.push(took);
        }
    }
    times.sort();
    if let Some(median) = times.get(times.len() / 2) {
        println!("| {size} | {what} | | {:.1} | | | |", median.as_secs_f64() * 1e3);
    }
}

/// Asks until the port answers, at most for `patience`.
fn ask(port: u16, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            let asked = write!(stream, "GET /area0/x HTTP/1.0\r\nHost: host7.test\r\n\r\n");
            let mut answer = Vec::new();
            if asked.is_ok() && stream.read_to_end(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.") {
                return true;
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Bytes of configuration text below a directory.
fn text_size(dir: &Path) -> u64 {
    let mut total = 0;
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "conf" || end == "inc") || path.ends_with(".htaccess") {
                total += File::open(&path).and_then(|file| file.metadata()).map_or(0, |meta| meta.len());
            }
        }
    }
    total
}

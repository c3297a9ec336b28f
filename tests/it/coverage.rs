//! What the recorded cases cover: every cause is some recorded answer, and `tests/cases/README.md` names the case of every
//! trap.

use std::collections::BTreeSet;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use why403::cause;

use crate::case::Case;
use crate::cases::{self, Program};

/// Causes that no recorded answer can have, and why.
const NOT_RECORDED: &[(&str, &str)] = &[
    ("apache/configuration-refused", "a refused configuration is shown with the code of its first problem"),
    ("apache/not-listening", "nobody answers there"),
    ("apache/proxyreq-untranslated", "mod_proxy maps every request that it takes for a proxy's"),
    ("apache/lookup-file-failed", "the status of a sub-request, which no caller hands on"),
    ("apache/rewrite-stat-refused", "UNC paths, which only Windows has"),
    ("apache/cgi-nph-included", "stands in an included part of a page, not in its status"),
    ("apache/cern-meta-unreadable", "mod_cern_meta is not simulated"),
    ("apache/dav-operation", "depends on locks and on what clients wrote before: a question"),
    ("apache/proxy-connect-port", "mod_proxy_connect"),
    ("apache/proxy-ftp-login", "the answer of the FTP server"),
    ("apache/proxy-no-url", "what is no URL is refused at start or left to other handlers"),
    ("apache/upstream-403", "an answer from behind the server is an outcome of its own"),
    ("apache/third-party", "a module that is not simulated is a question"),
    ("apache/no-tls-here", "a client that speaks TLS to a plain port reads no answer"),
    ("apache/invalid-uri", "what is no path was refused earlier, or is a proxy's"),
    ("apache/rewrite-not-a-path", "since 2.4.60 a rule of a server makes a path of everything"),
    ("apache/too-many-subrequests", "stands in the answer as what the fallback or index met"),
    ("apache/proxy-no-address", "needs a resolver"),
    ("apache/no-handler", "the default handler takes what nobody else took"),
    ("nginx/config-refused", "a refused configuration is shown with the code of its first problem"),
    ("nginx/named-location-empty-uri", "only an error page can lead there: it is the page that fails"),
    ("nginx/limit-req", "a request alone keeps within any rate; that it does not is the alternative"),
    ("nginx/limit-conn", "a request alone keeps within any number; that it does not is the alternative"),
    ("nginx/proxy-protocol-missing", "that the client sends no PROXY line is the alternative"),
    ("nginx/tls-on-plain-port", "the answer goes out in the clear to a client that waits for a handshake"),
    ("nginx/no-handler", "the handler for files answers whatever does not end in a slash"),
    ("nginx/upstream", "a hand-over has no cause; an error that is intercepted is the alternative"),
    ("nginx/upstream-next-403", "an answer from behind the server is an outcome of its own"),
    ("nginx/x-accel", "an answer from behind the server is an outcome of its own"),
    ("nginx/third-party", "a module that is not simulated is a question"),
    ("nginx/dav-same-resource", "since 1.31.0, and the build that is recorded lacks the module"),
];

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("coverage::every_cause_of_apache_is_recorded", || causes("apache")),
        Trial::test("coverage::every_cause_of_nginx_is_recorded", || causes("nginx")),
        Trial::test("coverage::every_trap_has_its_case", traps),
    ]
}

fn own_cases() -> Result<Vec<Case>, String> {
    Case::all(&folder())
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Asks every case of a server and collects the causes of the answers that are the recorded ones.
fn causes(server: &str) -> Result<(), Failed> {
    let mut recorded = BTreeSet::new();
    for case in own_cases()?.iter().filter(|case| case.about.server == server) {
        let top = tempfile::Builder::new().prefix("why403-coverage-").tempdir()?;
        cases::open_to_all(top.path())?;
        case.lay_out(top.path())?;
        let mut program = Program::start(case, top.path())?;
        for question in &case.questions {
            let kept = cases::put_overlay(question, top.path())?;
            let answer = program.ask(&question.ask(case, top.path()))?;
            cases::take_overlay(kept)?;
            if cases::is_right(question.expect(&cases::version(case)), &answer["outcome"]) {
                recorded.extend(answer["cause"]["code"].as_str().map(str::to_owned));
            }
        }
        program.finish()?;
    }
    let mut wrong = Vec::new();
    for code in cause::all().map(|cause| cause.code).filter(|code| code.starts_with(&format!("{server}/"))) {
        let excused = NOT_RECORDED.iter().any(|(known, _)| *known == code);
        match (recorded.contains(code), excused) {
            (true, true) => wrong.push(format!("{code} is recorded, so it needs no excuse")),
            (false, false) => wrong.push(format!("{code} is the answer of no case")),
            _ => {}
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

/// The rows of the tables: `| 1 | what surprises | case, case |`, numbered, with folders that are there.
fn traps() -> Result<(), Failed> {
    let text = std::fs::read_to_string(folder().join("README.md"))?;
    let (mut server, mut number, mut wrong) = ("", 0, Vec::new());
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            (server, number) = (if heading.ends_with("nginx") { "nginx" } else { "apache" }, 0);
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [row, words, named] = cells.as_slice() else { continue };
        let Ok(row) = row.parse::<usize>() else { continue };
        number += 1;
        if row != number || words.is_empty() {
            wrong.push(format!("{server}: row {number} reads {line}"));
        }
        for name in named.split(',').map(|name| name.trim().trim_matches('`')) {
            if !folder().join(server).join(name).join("case.json").is_file() {
                wrong.push(format!("{server} {row}: there is no case {name:?}"));
            }
        }
    }
    if number == 0 {
        wrong.push("README.md has no table".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

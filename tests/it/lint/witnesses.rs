//! What the rules' pages show for Apache, put before the real server: it loads every example unless the page says that it
//! refuses, and answers the request that proves a finding as the finding says.

use std::path::Path;

use libtest_mimic::Failed;
use serde_json::{Value, json};
use why403::finding::Finding;
use why403::outcome::{Certainty, Outcome};
use why403::recognise::Context;
use why403::server::Kind;

use super::expect;
use crate::rules::{self, Example};
use crate::servers::Real;
use crate::servers::room::Room;
use crate::servers::session::{self, Session};

/// Every Apache example of every page.
pub fn pages() -> Result<(), Failed> {
    let (mut asked, mut wrong) = (0, Vec::new());
    for rule in why403::rules::ALL {
        for example in rules::examples(rule)?.into_iter().filter(|example| example.kind == Kind::Apache) {
            let page = Page::lay(&example)?;
            let verdict = page.verdict()?;
            if verdict.is_err() != example.refused {
                wrong.push(format!("{}: {verdict:?}\n{}", rule.id, example.text));
                continue;
            }
            let found = rules::lint(rule, &example)?;
            let proven: Vec<&Finding> = found
                .iter()
                .filter(|finding| finding.witness.is_some() && finding.certainty == Certainty::Certain)
                .collect();
            if proven.is_empty() {
                continue;
            }
            let mut session = page.start()?;
            for finding in proven {
                let Some(question) = question(finding) else { continue };
                asked += 1;
                let answer = session.ask(&question)?;
                if !confirms(finding, &answer) {
                    wrong.push(format!("{}: {:?}: the server says {answer}", finding.rule, finding.witness));
                }
            }
        }
    }
    expect(wrong.is_empty(), wrong.join("\n"))?;
    expect(asked > 20, format!("only {asked} witnesses"))
}

/// The witness as a request line.
fn question(finding: &Finding) -> Option<Value> {
    let witness = finding.witness.as_ref()?;
    Some(json!({"method": witness.method, "url": witness.url, "from": witness.from, "headers": witness.headers,
        "to": witness.to}))
}

fn confirms(finding: &Finding, answer: &Value) -> bool {
    match finding.witness.as_ref().map(|witness| &witness.gets) {
        Some(Outcome::Response(status)) => answer["kind"] == "response" && answer["status"] == *status,
        Some(Outcome::Upstream) => went_on(answer),
        Some(Outcome::Closed) => answer["kind"] == "closed",
        Some(Outcome::Refused) => answer["kind"] == "refused",
        Some(Outcome::Unknown) | None => false,
    }
}

/// Whether a request was handed on, to a stub or to nobody.
fn went_on(answer: &Value) -> bool {
    answer["kind"] == "upstream" || [502, 503, 504].iter().any(|status| answer["status"] == *status)
}

/// An example with its tree in a room.
struct Page {
    room: Room,
}

/// What reads an example, in place of the machine's own configuration.
const MAIN: &str = "/etc/apache2/why403-page.conf";

impl Page {
    /// Lays the example, and a main file that reads it, with every module where the example loads none itself.
    fn lay(example: &Example) -> Result<Page, Failed> {
        let room = Room::new()?;
        example.furnish(&room)?;
        let target = rules::target(example)?;
        for (path, bytes) in &target.given {
            room.put(path, bytes)?;
        }
        let modules = match example.context {
            Context::Main => String::new(),
            _ => session::apache_modules()? + "TypesConfig /etc/mime.types\n",
        };
        let text = format!(
            "{modules}ErrorLog /var/log/apache2/error.log\nServerName a.test\nUser www-data\nGroup www-data\n\
             PidFile /run/why403.pid\nInclude \"{}\"\n",
            target.options.config.display()
        );
        room.put(Path::new(MAIN), text.as_bytes())?;
        Ok(Page { room })
    }

    /// What the server's own check says.
    fn verdict(&self) -> Result<Result<(), String>, Failed> {
        let output = self.room.run(&["apache2", "-t", "-f", MAIN])?;
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        Ok(if output.status.success() { Ok(()) } else { Err(said()) })
    }

    fn start(&self) -> Result<Session, Failed> {
        let mut session = Session::open_in(&self.room)?;
        let real = Real::Apache;
        session
            .start(real.kind(), &real.binary()?, Path::new("/"), MAIN.trim_start_matches('/'))
            .map_err(|why| why.to_string())?;
        Ok(session)
    }
}

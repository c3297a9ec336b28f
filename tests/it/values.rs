//! Values of Apache's directives, right and wrong, one a line in `values/apache.txt`: `+ PLACE LINE` is accepted,
//! `- PLACE LINE` refused. This program says so, and with `WHY403_SERVERS=1` so does `apache2 -t`; both at the line.

use std::fs;
use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use why403::problem::first_refusal;
use why403::server::LoadOptions;

const LIST: &str = include_str!("values/apache.txt");

/// The modules whose directives are in the list, those first that others need.
const MODULES: [&str; 21] = [
    "mpm_prefork",
    "authn_core",
    "authz_core",
    "authz_host",
    "ldap",
    "proxy",
    "proxy_http",
    "proxy_balancer",
    "slotmem_shm",
    "cache",
    "cache_disk",
    "alias",
    "auth_basic",
    "authnz_ldap",
    "auth_digest",
    "autoindex",
    "rewrite",
    "sed",
    "ssl",
    "xml2enc",
    "access_compat",
];

pub fn trials() -> Vec<Trial> {
    vec![Trial::test("values::apache", apache)]
}

struct Value {
    accepted: bool,
    place: &'static str,
    line: String,
}

fn values() -> Vec<Value> {
    let lines = LIST.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (accepted, rest) = line.split_at(1);
            let (place, line) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
            Value { accepted: accepted == "+", place, line: line.replace("\\n", "\n") }
        })
        .collect()
}

/// The whole file, and the number of its last line that belongs to the value.
fn text(value: &Value, root: &str) -> (String, u32) {
    let mut text = String::new();
    for module in MODULES {
        text.push_str(&format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n"));
    }
    text.push_str(&format!("ServerName localhost\nListen 8099\nServerRoot {root}\nDocumentRoot {root}\n"));
    text.push_str(&format!("ErrorLog {root}/error.log\nPidFile {root}/pid\nDefaultRuntimeDir {root}\n"));
    let (open, close) = match value.place {
        "server" => (String::new(), ""),
        "vhost" => ("<VirtualHost *:8099>\n".to_owned(), "</VirtualHost>\n"),
        "directory" => (format!("<Directory {root}>\n"), "</Directory>\n"),
        "location" => ("<Location /q>\n".to_owned(), "</Location>\n"),
        "if" => ("<If true>\n".to_owned(), "</If>\n"),
        place => panic!("{place}"),
    };
    text.push_str(&open);
    text.push_str(&value.line);
    let last = text.lines().count() as u32;
    text.push('\n');
    text.push_str(close);
    (text, last)
}

fn apache() -> Result<(), Failed> {
    let root = tempfile::tempdir()?;
    let main = root.path().join("httpd.conf");
    let asked = std::env::var_os("WHY403_SERVERS").is_some();
    let mut wrong = Vec::new();
    for value in values() {
        let (text, last) = text(&value, &root.path().to_string_lossy());
        fs::write(&main, text)?;
        let expected = (!value.accepted).then_some(last);
        let mut compare = |who: &str, said: Option<u32>| {
            if said != expected {
                wrong.push(format!("{who}: {} {}: {said:?} instead of {expected:?}", value.place, value.line));
            }
        };
        compare("why403", ours(&main));
        if asked {
            compare("apache2 -t", theirs(&main)?);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

fn ours(main: &Path) -> Option<u32> {
    let config = why403::apache::load(&LoadOptions::new(main), &why403::fs::real::RealFs);
    first_refusal(&config.problems).map(|problem| problem.reported.as_ref().map_or(0, |(_, line)| *line))
}

fn theirs(main: &Path) -> Result<Option<u32>, Failed> {
    let output = Command::new("/usr/sbin/apache2").arg("-t").arg("-f").arg(main).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        return Ok(None);
    }
    let number = said.split("error on line ").nth(1).and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).map(Some).ok_or_else(|| said.into_owned().into())
}

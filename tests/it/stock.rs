//! Debian's own configuration as its package installs it: explained, and asked of the installed server in a namespace of
//! its own. And what `why403 lint` says of it is what `docs/findings.md` defends.

use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::servers;

/// The paths asked for, from the loopback address.
const PATHS: [&str; 8] =
    ["/", "/icons/", "/icons/none", "/server-status", "/cgi-bin/", "/.htaccess", "/none", "/index.html"];

pub fn trials() -> Vec<Trial> {
    if !servers::wanted() {
        return vec![Trial::test("stock (WHY403_SERVERS is not set: not asked)", || Ok(()))];
    }
    vec![
        Trial::test("stock::debian_apache", || compare("/etc/apache2/apache2.conf", APACHE)),
        Trial::test("stock::debian_nginx", || compare("/etc/nginx/nginx.conf", NGINX)),
        Trial::test("stock::findings_of_apache", || findings("/etc/apache2", "## Apache as Debian installs it")),
        Trial::test("stock::findings_of_nginx", || findings("/etc/nginx", "## nginx as Debian installs it")),
    ]
}

/// Starts the server with pid file and error log in `$1`, asks for the other arguments and prints a status a line.
const APACHE: &str = r#"
. /etc/apache2/envvars
mkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR"
apache2 -X -f /etc/apache2/apache2.conf -c "PidFile $1/pid" -c "ErrorLog $1/error.log" &
"#;
const NGINX: &str = r#"
nginx -c /etc/nginx/nginx.conf -e "$1/error.log" -g "daemon off;" 2>/dev/null &
"#;
const ASK: &str = r#"
server=$!
shift
for path in "$@"; do
    for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        if exec 3<>/dev/tcp/127.0.0.1/80; then break; fi 2>/dev/null
        sleep 0.2
    done
    printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$path" >&3
    read -r version status rest <&3
    echo "$status"
    exec 3>&-
done
kill -TERM "$server"
wait "$server"
"#;

/// The findings on a directory are those of the table below a heading of `docs/findings.md`: file and line, rule, level.
fn findings(dir: &str, heading: &str) -> Result<(), Failed> {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md"))?;
    let section = page.split_once(heading).ok_or_else(|| format!("no `{heading}`"))?.1;
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut defended: Vec<String> = rows
        .map(|row| row.replace('`', "").split('|').skip(1).take(3).map(str::trim).collect::<Vec<_>>().join(" "))
        .collect();
    let output = Command::new(env!("CARGO_BIN_EXE_why403")).args(["lint", "--output", "json", dir]).output()?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let found = answer["findings"].as_array().ok_or("no findings")?;
    let mut raised = Vec::new();
    for finding in found {
        let file = finding["file"].as_str().ok_or("no file")?;
        let file = file.trim_start_matches(dir).trim_start_matches('/');
        let word = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        raised.push(format!("{file}:{} {} {}", finding["line"], word("rule"), word("level")));
    }
    defended.sort();
    raised.sort();
    if defended == raised { Ok(()) } else { Err(format!("raised {raised:#?}, defended {defended:#?}").into()) }
}

fn compare(config: &str, start: &str) -> Result<(), Failed> {
    let dir = tempfile::Builder::new().prefix("why403-stock-").tempdir()?;
    let script = format!("ip link set lo up\n{start}{ASK}");
    let output =
        Command::new("unshare").args(["-n", "bash", "-c", &script, "stock"]).arg(dir.path()).args(PATHS).output()?;
    let real: Vec<u64> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(|status| status.trim().parse().ok()).collect();
    if real.len() != PATHS.len() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{} answers instead of {}: {said}", real.len(), PATHS.len()).into());
    }
    let mut wrong = Vec::new();
    for (path, status) in std::iter::zip(PATHS, real) {
        let url = format!("http://localhost{path}");
        let output = Command::new(env!("CARGO_BIN_EXE_why403"))
            .args(["explain", "--config", config, "--format", "json", "--fields", "outcome,cause", &url])
            .args(if config.contains("nginx") { &["--server-version", "1.22.1"][..] } else { &[] })
            .output()?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let outcome = &answer["outcome"];
        if outcome["status"] != status || outcome["certainty"] != "certain" {
            wrong.push(format!("{path}: the server said {status}, we {outcome} {}", answer["cause"]["code"]));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n").into()) }
}

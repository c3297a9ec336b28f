//! Debian's own configuration as its package installs it: explained, and asked of the installed server in a namespace of
//! its own.

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

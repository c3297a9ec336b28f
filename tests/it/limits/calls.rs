//! Under strace: no command executes a program, opens a socket, or writes a file that its options do not name. Needs
//! strace, so it runs where the servers are.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};

use super::{OVERRIDES, Place, patient};

/// The words of a command, and the start of the name of every file that it may write.
type Invocation = (&'static [&'static str], &'static [&'static str]);

/// Every command, in each way in which it does something else.
const COMMANDS: &[Invocation] = &[
    (&["explain", "--root", ".", "--config", "/httpd.conf", "/index.html"], &[]),
    (&["explain", "--root", ".", "--config", "/httpd.conf", "--requests", "requests.jsonl"], &[]),
    (&["explain", "--config", "nginx.conf", "--format", "jsonl", "/"], &[]),
    (&["fix", "--root", ".", "--config", "/nginx.conf", "/"], &[]),
    (&["fix", "--root", ".", "--config", "/nginx.conf", "--pick", "1", "--write", "/"], &["nginx.conf", ".why403-"]),
    (&["lint", "."], &[]),
    (&["lint", "--diff", "httpd.conf", "nginx.conf"], &[]),
    (&["lint", "--output", "sarif=out.sarif", "--write-baseline", "out.baseline", "nginx.conf"], &["out.", ".why403-"]),
    (&["lint", "--fix", "--unsafe-fixes", "nginx.conf"], &["nginx.conf", ".why403-"]),
    (&["capture", "--root", ".", "--config", "/httpd.conf", "-o", "out.tar"], &["out.tar", ".why403-"]),
    (&["explain", "--config", "out.tar", "/index.html"], &[]),
    (&["cause", "nginx/access-deny"], &[]),
    (&["rule", "alias-traversal"], &[]),
    (&["rules"], &[]),
    (&["completions", "bash"], &[]),
    (&["man"], &[]),
];

/// What could do any of that.
const WATCHED: &str = "trace=%network,%process,open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,\
                       truncate,ftruncate,chmod,fchmodat";

pub fn trials() -> Vec<Trial> {
    if !crate::servers::wanted() {
        let name = "limits::nothing_is_executed_or_fetched (WHY403_SERVERS is not set: not checked)";
        return vec![Trial::test(name, || Ok(()))];
    }
    vec![Trial::test("limits::nothing_is_executed_or_fetched", nothing_is_executed_or_fetched)]
}

/// A configuration that names programs and hosts wherever it can, for both servers.
fn nothing_is_executed_or_fetched() -> Result<(), Failed> {
    let programs = [
        OVERRIDES,
        "RewriteEngine on",
        "RewriteMap program prg:/bin/true",
        "RewriteRule ^/map/(.*) ${program:$1}",
        "Listen 127.0.0.1:81",
        "ServerAdmin \"|/bin/true\"",
    ];
    let place = Place::apache(programs.join("\n"))?
        .with("nginx.conf", NGINX)?
        .with("www/.htaccess", "Require host example.org\n")?
        .with("requests.jsonl", "{\"url\":\"/index.html\"}\n{\"url\":\"/map/x\",\"from\":\"192.0.2.1\"}\n")?;
    let log = place.0.path().join("strace.log");
    let mut seen = Vec::new();
    for &(words, writes) in COMMANDS {
        let mut command = Command::new("strace");
        command.current_dir(place.0.path()).args(["-f", "-e", WATCHED, "-o"]).arg(&log);
        command.arg(env!("CARGO_BIN_EXE_why403")).args(words).stdin(Stdio::null());
        let output = patient(command)?;
        check(&log, writes).map_err(|why| format!("{words:?}: {why}\n{}", String::from_utf8_lossy(&output.stderr)))?;
        seen.push(words[0]);
    }
    // A command that is new has to be listed.
    let help = patient(place.command(&["--help"]))?;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let names = commands.take_while(|line| line.starts_with("  "));
    // Deeper lines go on with the text of the line above.
    let names = names.filter_map(|line| line[2..].split(' ').next()).filter(|name| !name.is_empty());
    match names.into_iter().filter(|name| *name != "help").find(|name| !seen.contains(name)) {
        Some(name) => Err(format!("`{name}` is not among the commands that are watched").into()),
        None => Ok(()),
    }
}

const NGINX: &str = "\
user root;
events {}
http {
    resolver 127.0.0.53;
    server {
        listen 80;
        root /www;
        access_log \"|/bin/true\";
        location / {
            deny 10.0.0.1/8;
            deny all;
        }
        location /away/ {
            proxy_pass http://example.org;
        }
    }
}
";

/// The calls of one run. Threads are no programs, and what is opened for reading is not written.
fn check(log: &Path, writes: &[&str]) -> Result<(), String> {
    let text = fs::read_to_string(log).map_err(|error| format!("strace: {error}; apt-get install strace"))?;
    let calls = || text.lines().filter(|line| line.contains('('));
    if calls().filter(|line| line.contains("execve(")).count() != 1 {
        return Err(format!("it executed something:\n{text}"));
    }
    let network = ["socket(", "connect(", "sendto(", "bind("];
    let changes =
        ["O_WRONLY", "O_RDWR", "O_CREAT", "creat(", "rename", "unlink", "mkdir", " truncate(", " chmod(", "fchmodat("];
    let named = |line: &str| {
        let path = line.split('"').nth(1).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        path == "/dev/null" || writes.iter().any(|start| name.starts_with(start))
    };
    let forks = |line: &str| line.contains("fork(") || line.contains("clone") && !line.contains("CLONE_THREAD");
    let wrong = calls().find(|line| {
        network.iter().any(|call| line.contains(call))
            || forks(line)
            || changes.iter().any(|part| line.contains(part)) && !named(line)
    });
    wrong.map_or(Ok(()), |line| Err(line.to_owned()))
}

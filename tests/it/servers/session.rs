//! A real server in a network namespace of its own, in which every address is local.
//!
//! The test binary runs itself again inside `unshare`: that child starts server and stubs, sends the requests and hands
//! the answers back, one line of JSON each. It is the first process of its namespace, so nothing it started outlives it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::room::Room;
use super::{client, stubs};

/// Set for the child; it then is no test run.
const INSIDE: &str = "WHY403_INSIDE_NAMESPACE";

/// Why a server did not start.
#[derive(Debug)]
pub enum NotStarted {
    /// The server refused the configuration, in its own words.
    Refused(String),
    /// Something else is broken.
    Broken(String),
}

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            NotStarted::Refused(message) => write!(f, "the server refused the configuration: {message}"),
            NotStarted::Broken(message) => f.write_str(message),
        }
    }
}

/// The parent's end.
pub struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// A namespace in which no server runs yet.
    pub fn open() -> Result<Session, String> {
        let mut command = Command::new("unshare");
        command.args(["--net", "--pid", "--ipc", "--mount-proc", "--fork", "--kill-child", "--"]);
        Session::begin(command)
    }

    /// The same in a room.
    pub fn open_in(room: &Room) -> Result<Session, String> {
        Session::begin(room.enter(&["--net", "--ipc"]))
    }

    fn begin(mut command: Command) -> Result<Session, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        command.arg(own).env(INSIDE, "1");
        command.env("PATH", path_with_sbin()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let needed = "real servers need root and util-linux's unshare";
        let mut child = command.spawn().map_err(|error| format!("unshare: {error}; {needed}"))?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (stdin, stdout) = pipes.ok_or("the namespace has no pipes")?;
        let mut session = Session { child, stdin: Some(stdin), stdout: BufReader::new(stdout) };
        match session.say(&json!({"hello": true})) {
            Ok(answer) if answer["ready"] == true => Ok(session),
            Ok(answer) => Err(format!("no namespace with every address: {}", answer["error"])),
            Err(error) => Err(format!("no network namespace ({error}); {needed}")),
        }
    }

    /// Starts a server of this kind (`nginx`, `apache`), or starts it again with what its files say now.
    pub fn start(&mut self, kind: &str, binary: &Path, root: &Path, config: &str) -> Result<(), NotStarted> {
        let order = json!({"start": {"kind": kind, "binary": binary, "root": root, "config": config}});
        let answer = self.say(&order).map_err(NotStarted::Broken)?;
        match (answer["started"].as_bool(), answer["refused"].as_str()) {
            (Some(true), _) => Ok(()),
            (_, Some(message)) => Err(NotStarted::Refused(message.to_owned())),
            _ => Err(NotStarted::Broken(answer.to_string())),
        }
    }

    /// Sends one request line; the answer has `kind`, `status`, `location` and `log`, the lines that were logged.
    pub fn ask(&mut self, line: &Value) -> Result<Value, String> {
        let answer = self.say(&json!({"ask": line}))?;
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }

    fn say(&mut self, order: &Value) -> Result<Value, String> {
        let stdin = self.stdin.as_mut().ok_or("the session is over")?;
        writeln!(stdin, "{order}").and_then(|()| stdin.flush()).map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).map_err(|error| error.to_string())?;
        serde_json::from_str(&line).map_err(|error| format!("{line:?}: {error}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// In the child: takes orders until there are no more, and says that this was no test run.
pub fn serve_if_inside() -> bool {
    if std::env::var_os(INSIDE).is_none() {
        return false;
    }
    let mut output = std::io::stdout().lock();
    let mut running: Option<Running> = None;
    for line in std::io::stdin().lines() {
        let Ok(line) = line else { break };
        let order: Value = serde_json::from_str(&line).unwrap_or_default();
        let answer = if order["hello"] == true {
            match make_every_address_local() {
                Ok(()) => json!({"ready": true}),
                Err(error) => json!({"error": error}),
            }
        } else if order["start"].is_object() {
            // The old server goes first: the new one needs its ports.
            drop(running.take());
            match Running::start(&order["start"]) {
                Ok(started) => {
                    running = Some(started);
                    stubs::start();
                    json!({"started": true})
                }
                Err(message) => json!({"refused": message}),
            }
        } else {
            let asked =
                running.as_mut().ok_or_else(|| "no server runs".to_owned()).and_then(|it| it.ask(&order["ask"]));
            asked.unwrap_or_else(|error| json!({"error": error}))
        };
        if writeln!(output, "{answer}").and_then(|()| output.flush()).is_err() {
            break;
        }
    }
    true
}

fn make_every_address_local() -> Result<(), String> {
    for arguments in ["link set lo up", "route add local 0.0.0.0/0 dev lo", "-6 route add local ::/0 dev lo"] {
        let done = Command::new("ip").args(arguments.split(' ')).output();
        let done = done.map_err(|error| format!("ip: {error}; install iproute2"))?;
        if !done.status.success() {
            return Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&done.stderr)));
        }
    }
    // Without it nobody may bind an IPv6 address that is on no interface.
    fs::write("/proc/sys/net/ipv6/ip_nonlocal_bind", "1").map_err(|error| format!("ip_nonlocal_bind: {error}"))
}

/// A server that answers.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(order: &Value) -> Result<Running, String> {
        let text = |key: &str| order[key].as_str().map(PathBuf::from).ok_or_else(|| format!("no {key}"));
        let (binary, root) = (text("binary")?, text("root")?);
        let config = root.join(text("config")?);
        let nginx = order["kind"] == "nginx";
        fs::create_dir_all(root.join("logs")).map_err(|error| format!("logs: {error}"))?;
        let mut command = Command::new(&binary);
        if nginx {
            command.arg("-p").arg(&root).arg("-c").arg(&config).arg("-e").arg(root.join("logs/error.log"));
            let settings = fs::read_to_string(&config).unwrap_or_default();
            if !settings.lines().any(|line| line.trim_start().starts_with("daemon")) {
                command.args(["-g", "daemon off;"]);
            }
        } else {
            command.arg("-d").arg(&root).arg("-f").arg(&config).arg("-DFOREGROUND");
        }
        let output = root.join("logs/startup.log");
        let to_file = fs::File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let as_well = to_file.try_clone().map_err(|error| error.to_string())?;
        command.process_group(0).stdin(Stdio::null()).stdout(to_file).stderr(as_well);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        // Apache listens before it has finished reading; only then does it have children.
        while listening() == 0 || !nginx && !has_children(&child) {
            if let Ok(Some(_)) = child.try_wait() {
                let said = fs::read_to_string(&output).unwrap_or_default();
                let logged = fs::read_to_string(error_log(&root)).unwrap_or_default();
                return Err(if said.trim().is_empty() { logged } else { said });
            }
            if Instant::now() > deadline {
                end(&mut child);
                return Err("it does not listen after ten seconds".to_owned());
            }
            sleep(Duration::from_millis(3));
        }
        Ok(Running { child, log: error_log(&root) })
    }

    fn ask(&mut self, line: &Value) -> Result<Value, String> {
        let before = fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
        let mut answer = client::ask(line)?;
        let log = fs::read(&self.log).unwrap_or_default();
        let new = log.get(usize::try_from(before).unwrap_or(0)..).unwrap_or_default();
        let lines = String::from_utf8_lossy(new);
        let lines: Vec<&str> = lines.lines().filter(|line| !line.contains("[debug]")).collect();
        answer["log"] = json!(lines);
        Ok(answer)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Kills the server with its workers: they are one process group.
fn end(child: &mut Child) {
    let _ = Command::new("sh").arg("-c").arg(format!("kill -KILL -{}", child.id())).status();
    let _ = child.kill();
    let _ = child.wait();
    // The workers' sockets go a moment later, and must not be taken for those of the next server.
    let deadline = Instant::now() + Duration::from_secs(5);
    while listening() != 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(1));
    }
}

fn has_children(child: &Child) -> bool {
    let list = format!("/proc/{0}/task/{0}/children", child.id());
    fs::read_to_string(list).is_ok_and(|children| !children.trim().is_empty())
}

/// Where a case's server logs its errors.
fn error_log(root: &Path) -> PathBuf {
    let places = ["logs/error.log", "logs/error_log", "error.log"].map(|place| root.join(place));
    let existing = places.iter().find(|place| place.is_file());
    existing.unwrap_or(&places[0]).clone()
}

/// How many sockets of this namespace listen, those of the stubs left out.
fn listening() -> usize {
    let stub = |line: &str| stubs::PORTS.iter().any(|port| line.contains(&format!("0100007F:{port:04X}")));
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let tcp = tables.iter().flat_map(|table| table.lines()).filter(|line| line.contains(" 0A ") && !stub(line)).count();
    let unix = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    // Flags with __SO_ACCEPTCON: the socket listens.
    tcp + unix.lines().filter(|line| line.contains(" 00010000 ")).count()
}

/// `LoadModule` lines for every module that the package of Apache installs, with the event MPM.
pub fn apache_modules() -> std::io::Result<String> {
    let mut lines = String::new();
    for file in sorted("/etc/apache2/mods-available", ".load")? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with("mpm_") || name == "mpm_event.load" {
            lines.push_str(&fs::read_to_string(&file)?);
            lines.push('\n');
        }
    }
    Ok(lines)
}

/// `load_module` directives for every module that the packages of nginx install.
pub fn nginx_modules() -> std::io::Result<String> {
    let mut files = sorted("/usr/lib/nginx/modules", ".so")?;
    // What others are built on comes first.
    files.sort_by_key(|file| {
        !["ndk_", "ngx_stream_module", "ngx_mail_module"]
            .iter()
            .any(|base| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(base)))
    });
    Ok(files.iter().map(|file| format!("load_module {};", file.display())).collect())
}

fn sorted(dir: &str, end: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(end) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

//! A recorded case folder: its description, its file tree, and its requests with the answers that the real server gave.
//!
//! A case is laid out on a real disk (for the binary and the real servers) below a directory of its own, or in memory
//! (for the library, which then needs no root).

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// `case.json`, as far as the tests read it.
#[derive(Debug, Deserialize)]
pub struct About {
    pub server: String,
    pub config: Option<String>,
    pub worker: Option<String>,
    pub port: Option<u16>,
    pub recorded_with: String,
    /// Another version that was asked, and whether it said the same.
    #[serde(default)]
    pub also: Value,
    /// The same in an older spelling.
    #[serde(default)]
    pub nginx_1_31_3: Value,
}

impl About {
    /// Whether nginx 1.31.3 gave the answers that 1.22.1 gave.
    pub fn same_on_131(&self) -> bool {
        self.also["same"] == true || self.nginx_1_31_3 == "same answers"
    }
}

/// A line of `fs.json`.
#[derive(Debug, Deserialize)]
pub struct Entry {
    pub path: String,
    pub mode: Option<String>,
    pub owner: Option<String>,
    pub mtime: Option<f64>,
    pub symlink: Option<String>,
    #[serde(default)]
    pub dir: bool,
    #[serde(default)]
    pub fifo: bool,
    #[serde(default)]
    pub socket: bool,
}

/// A line of `requests.jsonl`.
#[derive(Debug, Clone)]
pub struct Question {
    /// The whole line: a request of the contract with `expect` and `overlay` besides.
    pub line: Value,
}

/// One case folder.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub about: About,
    pub entries: Vec<Entry>,
    pub questions: Vec<Question>,
}

impl Case {
    /// Reads a folder; an unreadable one is an error that names the file.
    pub fn read(folder: &Path, name: String) -> Result<Case, String> {
        let text =
            |file: &str| fs::read_to_string(folder.join(file)).map_err(|error| format!("{name}/{file}: {error}"));
        let about = serde_json::from_str(&text("case.json")?).map_err(|error| format!("{name}/case.json: {error}"))?;
        let entries = match fs::read_to_string(folder.join("fs.json")) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{name}/fs.json: {error}"))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("{name}/fs.json: {error}")),
        };
        let mut questions = Vec::new();
        for file in ["requests.jsonl", "requests-raw.jsonl"] {
            let Ok(text) = fs::read_to_string(folder.join(file)) else { continue };
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let line: Value = serde_json::from_str(line).map_err(|error| format!("{name}/{file}: {error}"))?;
                let question = if line.get("raw").is_some() { from_raw(&line) } else { Some(line) };
                questions.extend(question.map(|line| Question { line }));
            }
        }
        Ok(Case { name, folder: folder.to_path_buf(), about, entries, questions })
    }

    /// Every case folder below `top`, in name order: those that hold a `case.json`.
    pub fn all(top: &Path) -> Result<Vec<Case>, String> {
        let mut cases = Vec::new();
        let mut groups = names(top)?;
        groups.sort();
        for group in groups {
            let mut members = names(&top.join(&group))?;
            members.sort();
            for member in members {
                let folder = top.join(&group).join(&member);
                if folder.join("case.json").is_file() {
                    cases.push(Case::read(&folder, format!("{group}/{member}"))?);
                }
            }
        }
        Ok(cases)
    }

    /// The port that stands for `@PORT@`.
    pub fn port(&self) -> u16 {
        self.about.port.unwrap_or(8080)
    }

    /// The main configuration file, below the root.
    pub fn config(&self) -> &str {
        match &self.about.config {
            Some(config) => config,
            None if self.about.server == "nginx" => "conf/nginx.conf",
            None => "conf/httpd.conf",
        }
    }

    /// `@ROOT@` and `@PORT@` replaced; bytes that are no text are left alone.
    pub fn fill(&self, bytes: &[u8], root: &Path) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                text.replace("@ROOT@", &root.to_string_lossy()).replace("@PORT@", &self.port().to_string()).into_bytes()
            }
            Err(_) => bytes.to_vec(),
        }
    }

    /// The files below `root/`, as paths relative to it with their bytes, directories as `None`.
    pub fn files(&self) -> io::Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
        let top = self.folder.join("root");
        let mut found = Vec::new();
        let mut open = vec![PathBuf::new()];
        while let Some(dir) = open.pop() {
            let mut entries = fs::read_dir(top.join(&dir))?.collect::<io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let path = dir.join(entry.file_name());
                if entry.file_type()?.is_dir() {
                    found.push((path.clone(), None));
                    open.push(path);
                } else {
                    found.push((path, Some(fs::read(entry.path())?)));
                }
            }
        }
        Ok(found)
    }

    /// Lays the tree out at `root`, an existing empty directory: contents, then what `fs.json` says.
    pub fn lay_out(&self, root: &Path) -> io::Result<()> {
        for (path, bytes) in self.files()? {
            let path = root.join(path);
            match bytes {
                None => make_dir(&path)?,
                Some(bytes) => {
                    fs::write(&path, self.fill(&bytes, root))?;
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
                }
            }
        }
        for entry in &self.entries {
            let path = root.join(&entry.path);
            if let Some(parent) = path.parent() {
                make_dir(parent)?;
            }
            if entry.dir {
                make_dir(&path)?;
            }
            if let Some(target) = &entry.symlink {
                symlink(target.replace("@ROOT@", &root.to_string_lossy()), &path)?;
            }
            if entry.fifo {
                let made = std::process::Command::new("mkfifo").arg(&path).status()?;
                assert!(made.success(), "mkfifo {}", path.display());
            }
            if entry.socket {
                // Its file stays when nobody listens any more.
                drop(std::os::unix::net::UnixListener::bind(&path)?);
            }
        }
        // Modes last and deepest first, so that a closed directory does not stop the rest (tests may run without root).
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.path.matches('/').count()));
        for entry in entries {
            let path = root.join(&entry.path);
            if let Some(owner) = &entry.owner {
                let (uid, gid) = owner_ids(owner);
                match entry.symlink {
                    Some(_) => std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?,
                    None => chown(&path, Some(uid), Some(gid))?,
                }
            }
            if entry.symlink.is_some() {
                continue;
            }
            if let Some(mtime) = entry.mtime {
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs_f64(mtime);
                fs::File::open(&path)?.set_times(fs::FileTimes::new().set_modified(time))?;
            }
            if let Some(mode) = &entry.mode {
                fs::set_permissions(&path, fs::Permissions::from_mode(octal(mode)))?;
            }
        }
        Ok(())
    }
}

impl Question {
    /// The id, or `?`.
    pub fn id(&self) -> &str {
        self.line["id"].as_str().unwrap_or("?")
    }

    /// The line as a driver would send it: without what only the recording knows, placeholders filled.
    pub fn ask(&self, case: &Case, root: &Path) -> Value {
        let mut line = self.line.clone();
        if let Some(fields) = line.as_object_mut() {
            for field in ["expect", "expect_on", "overlay", "key", "derived", "note"] {
                fields.shift_remove(field);
            }
            if let Some(path) = fields.get("client_cert").and_then(Value::as_str).map(str::to_owned)
                && !matches!(path.as_str(), "none" | "ok" | "failed")
            {
                fields["client_cert"] = Value::String(root.join(path).to_string_lossy().into_owned());
            }
        }
        let text = case.fill(line.to_string().as_bytes(), root);
        serde_json::from_slice(&text).expect("a filled line is still JSON")
    }

    /// Files that lie there only for this question: path below the root, content (`None`: absent).
    pub fn overlay(&self) -> Vec<(String, Option<String>)> {
        let Some(overlay) = self.line.get("overlay").and_then(Value::as_object) else { return Vec::new() };
        overlay.iter().map(|(path, text)| (path.clone(), text.as_str().map(str::to_owned))).collect()
    }

    /// Whether another answer is recorded for this version.
    pub fn has_answer_on(&self, server_version: &str) -> bool {
        self.line.get("expect_on").and_then(|by| by.get(server_version)).is_some()
    }

    /// What the real server answered, on `version` where answers differ by version.
    pub fn expect(&self, server_version: &str) -> &Value {
        self.line.get("expect_on").and_then(|by| by.get(server_version)).unwrap_or(&self.line["expect"])
    }
}

/// uid and gid of an `owner` of `fs.json`: names of the recorded machine, or numbers.
pub fn owner_ids(owner: &str) -> (u32, u32) {
    let id = |name: &str| match name {
        "root" => 0,
        "www-data" => 33,
        "nobody" | "nogroup" => 65534,
        "daemon" => 1,
        number => number.parse().unwrap_or_else(|_| panic!("owner {number:?} is neither known nor a number")),
    };
    let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
    (id(user), id(group))
}

/// An octal mode (`"0700"`).
pub fn octal(mode: &str) -> u32 {
    u32::from_str_radix(mode.trim_start_matches("0o"), 8).unwrap_or_else(|_| panic!("mode {mode:?} is not octal"))
}

fn make_dir(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

fn names(dir: &Path) -> Result<Vec<String>, String> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    Ok(entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

/// A raw request as a contract line, where method, target and headers say all of it; `None` for one with a body or a
/// line that no field can carry.
fn from_raw(line: &Value) -> Option<Value> {
    let raw = line["raw"].as_str()?;
    let (head, _body) = raw.split_once("\r\n\r\n").or_else(|| raw.split_once("\n\n"))?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let version = version.strip_prefix("HTTP/")?;
    if words.next().is_some() {
        return None;
    }
    let mut headers = Vec::new();
    for header in lines {
        let (name, value) = header.split_once(':')?;
        headers.push(serde_json::json!([name, value.trim()]));
    }
    let no_host =
        !headers.iter().any(|header| header[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("host")));
    let (to, port) = (line["to"].as_str()?, line["port"].as_u64()?);
    Some(serde_json::json!({
        "id": line["id"], "method": method, "url": format!("http://{to}:{port}/"), "target": target, "version": version,
        "from": line["from"], "to": to, "headers": headers, "no_host": no_host,
        "expect": line["expect"], "expect_on": line.get("expect_on").cloned().unwrap_or(Value::Null),
    }))
}

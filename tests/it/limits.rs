//! What hostile or broken input ends in: an answer that says so, within seconds, and never half a file.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// The longest time for one question.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("limits::nested_blocks", nested_blocks),
        Trial::test("limits::nested_sections", nested_sections),
        Trial::test("limits::includes_in_a_circle", includes_in_a_circle),
        Trial::test("limits::many_directives", many_directives),
        Trial::test("limits::a_long_word", a_long_word),
        Trial::test("limits::bytes_that_are_no_text", bytes_that_are_no_text),
        Trial::test("limits::a_catastrophic_pattern", a_catastrophic_pattern),
        Trial::test("limits::a_deep_tree_of_requirements", a_deep_tree_of_requirements),
        Trial::test("limits::a_long_list_of_networks", a_long_list_of_networks),
        Trial::test("limits::a_path_of_many_levels", a_path_of_many_levels),
        Trial::test("limits::links_in_a_circle", links_in_a_circle),
        Trial::test("limits::pipes_and_devices_are_not_read", pipes_and_devices_are_not_read),
        Trial::test("limits::a_full_disk", a_full_disk),
        Trial::test("limits::a_configuration_that_cannot_be_written", a_configuration_that_cannot_be_written),
        Trial::test("limits::nothing_is_executed_or_fetched", nothing_is_executed_or_fetched),
    ]
}

/// A directory with a configuration and a document root.
struct Place(tempfile::TempDir);

impl Place {
    fn new(name: &str, config: impl AsRef<[u8]>) -> Result<Place, Failed> {
        let place = Place(tempfile::Builder::new().prefix("why403-limits-").tempdir()?);
        fs::create_dir(place.0.path().join("www"))?;
        fs::write(place.0.path().join("www/index.html"), "text")?;
        fs::write(place.0.path().join(name), config)?;
        Ok(place)
    }

    fn nginx(inside: impl AsRef<[u8]>) -> Result<Place, Failed> {
        let text =
            [&b"events {}\nhttp {\nserver {\nlisten 80;\nroot /www;\n"[..], inside.as_ref(), b"\n}\n}\n"].concat();
        Place::new("nginx.conf", text)
    }

    fn apache(inside: impl AsRef<[u8]>) -> Result<Place, Failed> {
        let modules = ["mpm_event", "authz_core", "authz_host", "dir", "alias", "rewrite"];
        let lines: String = modules.iter().map(|name| format!("LoadModule {name}_module m/mod_{name}.so\n")).collect();
        let text = [lines.as_bytes(), b"ServerName x\nListen 80\nDocumentRoot /www\n", inside.as_ref(), b"\n"].concat();
        Place::new("httpd.conf", text)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
        command.current_dir(self.0.path()).args(words).stdin(Stdio::null());
        command
    }

    /// One answer, or an error that names the time that was needed.
    fn ask(&self, path: &str) -> Result<Value, Failed> {
        let config = if self.0.path().join("nginx.conf").exists() { "/nginx.conf" } else { "/httpd.conf" };
        let output = patient(self.command(&["explain", "--root", ".", "--config", config, "--format", "jsonl", path]))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line =
            text.lines().next().ok_or_else(|| format!("no answer: {}", String::from_utf8_lossy(&output.stderr)))?;
        Ok(serde_json::from_str(line)?)
    }
}

/// Runs a program to its end, which must come by itself and soon.
fn patient(mut command: Command) -> Result<Output, Failed> {
    let begun = Instant::now();
    let output = command.output()?;
    let code = output.status.code().ok_or_else(|| format!("ended by {}", output.status))?;
    if code > 2 {
        return Err(format!("exit code {code}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    if begun.elapsed() > PATIENCE {
        return Err(format!("it took {:?}", begun.elapsed()).into());
    }
    Ok(output)
}

/// The configuration is not accepted, and the message holds these words.
fn refused(answer: &Value, words: &str) -> Result<(), Failed> {
    let message = answer["cause"]["message"].as_str().unwrap_or_default();
    if answer["outcome"]["kind"] == "refused" && message.contains(words) {
        return Ok(());
    }
    Err(format!("no refusal with {words:?}: {answer}").into())
}

fn kind(answer: &Value, expected: &[&str]) -> Result<(), Failed> {
    let kind = answer["outcome"]["kind"].as_str().unwrap_or_default();
    if expected.contains(&kind) { Ok(()) } else { Err(format!("{kind}, not {expected:?}: {answer}").into()) }
}

fn nested_blocks() -> Result<(), Failed> {
    let depth = 50_000;
    let text = format!("{}{}", "location / {\n".repeat(depth), "}\n".repeat(depth));
    refused(&Place::nginx(text)?.ask("/")?, "nested")
}

fn nested_sections() -> Result<(), Failed> {
    let depth = 50_000;
    let text = format!("{}{}", "<IfModule dir_module>\n".repeat(depth), "</IfModule>\n".repeat(depth));
    refused(&Place::apache(text)?.ask("/")?, "nest")
}

fn includes_in_a_circle() -> Result<(), Failed> {
    kind(&Place::nginx("include /nginx.conf;")?.ask("/")?, &["refused"])?;
    kind(
        &Place::nginx("include /circle.conf;")?.with("circle.conf", "include /circle.conf;")?.ask("/")?,
        &["refused"],
    )?;
    kind(&Place::apache("Include /httpd.conf")?.ask("/")?, &["refused"])
}

fn many_directives() -> Result<(), Failed> {
    kind(&Place::nginx("deny 10.0.0.1;\n".repeat(300_000))?.ask("/")?, &["response"])?;
    kind(&Place::apache("Redirect 410 /x\n".repeat(100_000))?.ask("/")?, &["response"])
}

fn a_long_word() -> Result<(), Failed> {
    let word = "x".repeat(10 << 20);
    refused(&Place::nginx(format!("return 200 {word};"))?.ask("/")?, "too long")?;
    kind(&Place::apache(format!("Redirect 410 /{word}"))?.ask("/")?, &["response", "refused"])
}

fn bytes_that_are_no_text() -> Result<(), Failed> {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    kind(&Place::nginx(&bytes)?.ask("/%00%ff")?, &["refused"])?;
    kind(&Place::apache(&bytes)?.ask("/%ff")?, &["refused"])?;
    kind(&Place::nginx(b"location /\xff\xfe { return 403 \"\xff\"; }")?.ask("/%ff%fe")?, &["response"])
}

fn a_catastrophic_pattern() -> Result<(), Failed> {
    let path = format!("/{}!", "a".repeat(6000));
    let hits = |answer: Value| match answer["outcome"]["kind"].as_str() {
        Some("response") => Ok(()),
        Some("unknown") if answer["assumptions"].to_string().contains("(a+)+") => Ok(()),
        _ => Err(Failed::from(format!("neither known nor the pattern named: {answer}"))),
    };
    hits(Place::nginx("location ~ \"^/((a+)+)+$\" { deny all; }")?.ask(&path)?)?;
    hits(Place::apache("RewriteEngine on\nRewriteRule ^/((a+)+)+$ - [F]")?.ask(&path)?)
}

fn a_deep_tree_of_requirements() -> Result<(), Failed> {
    for depth in [100, 20_000] {
        let open = "<RequireAll>\n".repeat(depth);
        let text = format!("<Location />\n{open}Require all granted\n{}</Location>", "</RequireAll>\n".repeat(depth));
        kind(&Place::apache(text)?.ask("/")?, &["response", "refused"])?;
    }
    Ok(())
}

fn a_long_list_of_networks() -> Result<(), Failed> {
    let networks: Vec<String> =
        (0..200_000).map(|n| format!("{}.{}.{}.0/24", n >> 16, n >> 8 & 255, n & 255)).collect();
    let text: String = networks.iter().map(|net| format!("deny {net};\n")).collect();
    kind(&Place::nginx(text)?.ask("/")?, &["response"])?;
    let text = format!("<Location />\nRequire ip {}\n</Location>", networks[..100_000].join(" "));
    kind(&Place::apache(text)?.ask("/")?, &["response"])
}

/// More directories with an .htaccess than a path can name: the server stops at the longest path.
fn a_path_of_many_levels() -> Result<(), Failed> {
    let place = Place::apache("<Directory />\nAllowOverride All\nRequire all granted\n</Directory>")?;
    // Each level is walked from the root, as the server does it, so the time grows with their square.
    const LEVELS: usize = 250;
    let mut directory = place.0.path().join("www");
    for _ in 0..LEVELS {
        directory.push("d");
        fs::create_dir(&directory)?;
        fs::write(directory.join(".htaccess"), "Redirect 410 /never\n")?;
    }
    kind(&place.ask(&format!("/{}", "d/".repeat(LEVELS)))?, &["response"])?;
    kind(&place.ask(&format!("/{}", "d/".repeat(10_000)))?, &["response"])
}

fn links_in_a_circle() -> Result<(), Failed> {
    let place = Place::nginx("")?;
    std::os::unix::fs::symlink("circle", place.0.path().join("www/circle"))?;
    let answer = place.ask("/circle/x")?;
    kind(&answer, &["response"])?;
    if answer["outcome"]["certainty"] == "certain" { Ok(()) } else { Err(format!("{answer}").into()) }
}

fn pipes_and_devices_are_not_read() -> Result<(), Failed> {
    let place = Place::apache("<Directory />\nAllowOverride All\nRequire all granted\n</Directory>")?;
    let pipe = place.0.path().join("www/.htaccess");
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    if !made.success() {
        return Err("mkfifo failed".into());
    }
    kind(&place.ask("/index.html")?, &["response", "unknown"])?;
    fs::remove_file(&pipe)?;
    std::os::unix::fs::symlink("/dev/zero", &pipe)?;
    kind(&place.ask("/index.html")?, &["response", "unknown"])?;
    fs::rename(place.0.path().join("httpd.conf"), place.0.path().join("kept.conf"))?;
    for device in ["/dev/zero", "/dev/stdin"] {
        let output = patient(place.command(&["explain", "--server", "nginx", "--config", device, "/"]))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        if !said.contains("not a regular file") {
            return Err(format!("{device}: {said}").into());
        }
    }
    Ok(())
}

fn a_full_disk() -> Result<(), Failed> {
    let place = Place::nginx("deny all;")?;
    let mut command = place.command(&["explain", "--root", ".", "--config", "/nginx.conf", "/"]);
    command.stdout(fs::File::options().write(true).open("/dev/full")?).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(stderr) = &mut child.stderr {
        stderr.read_to_string(&mut said)?;
    }
    match child.wait()?.code() {
        Some(2) if said.contains("No space left") => Ok(()),
        code => Err(format!("{code:?}: {said}").into()),
    }
}

/// The change is written beside the file and put in its place whole; where that cannot be done, the file stays.
fn a_configuration_that_cannot_be_written() -> Result<(), Failed> {
    let place = Place::nginx("location / {\nallow 10.0.0.1/8;\ndeny all;\n}")?;
    let path = place.0.path().join("nginx.conf");
    let before = fs::read(&path)?;
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_why403");
    // No byte may be written to any file: the same as a full disk, for whoever runs it.
    let script = format!("ulimit -f 0; trap '' XFSZ; exec '{program}' lint --unsafe-fixes nginx.conf 2>&1 | cat");
    command.current_dir(place.0.path()).args(["-c", &script]);
    let output = patient(command)?;
    if fs::read(&path)? != before {
        return Err(format!("the file changed: {}", String::from_utf8_lossy(&output.stdout)).into());
    }
    let left: Vec<_> = fs::read_dir(place.0.path())?.flatten().map(|entry| entry.file_name()).collect();
    if left.len() == 2 { Ok(()) } else { Err(format!("files were left behind: {left:?}").into()) }
}

/// Under strace: no program, no socket, no file opened for writing. Needs strace, so it runs where the servers are.
fn nothing_is_executed_or_fetched() -> Result<(), Failed> {
    if !crate::servers::wanted() {
        return Ok(());
    }
    let place = Place::apache(
        "<Directory />\nAllowOverride All\nRequire all granted\n</Directory>\nRewriteEngine on\nRewriteMap m prg:/bin/true",
    )?;
    fs::write(place.0.path().join("www/.htaccess"), "Require host example.org\n")?;
    let log = place.0.path().join("strace.log");
    for words in
        [["explain", "--root", ".", "--config", "/httpd.conf", "/index.html"].as_slice(), &["lint", "httpd.conf"]]
    {
        let mut command = Command::new("strace");
        command
            .current_dir(place.0.path())
            .args(["-f", "-e", "trace=%network,execve,open,openat,creat", "-o"])
            .arg(&log);
        command.arg(env!("CARGO_BIN_EXE_why403")).args(words).stdin(Stdio::null());
        let output = patient(command)?;
        check_calls(&log).map_err(|why| format!("{words:?}: {why}\n{}", String::from_utf8_lossy(&output.stderr)))?;
    }
    Ok(())
}

fn check_calls(log: &Path) -> Result<(), String> {
    let text = fs::read_to_string(log).map_err(|error| format!("strace: {error}; apt-get install strace"))?;
    let calls = || text.lines().filter(|line| line.contains('('));
    if calls().filter(|line| line.contains("execve(")).count() != 1 {
        return Err(format!("it executed something:\n{text}"));
    }
    let network = ["socket(", "connect(", "sendto(", "bind("];
    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "creat("];
    match calls()
        .find(|line| network.iter().chain(&writes).any(|part| line.contains(part)) && !line.contains("\"/dev/null\""))
    {
        Some(line) => Err(line.to_owned()),
        None => Ok(()),
    }
}

impl Place {
    fn with(self, name: &str, text: &str) -> Result<Place, Failed> {
        fs::write(self.0.path().join(name), text)?;
        Ok(self)
    }
}

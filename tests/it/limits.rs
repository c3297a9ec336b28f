//! What hostile or broken input ends in: an answer that says so, within seconds, and never half a file.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

mod calls;
mod files;

/// Apache: everything may stand in an .htaccess.
const OVERRIDES: &str = "<Directory />\nAllowOverride All\nRequire all granted\n</Directory>";
/// The longest time for one question.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn trials() -> Vec<Trial> {
    let own = [
        ("nested_blocks", nested_blocks as fn() -> Result<(), Failed>),
        ("nested_sections", nested_sections),
        ("includes_in_a_circle", includes_in_a_circle),
        ("includes_in_each_other", includes_in_each_other),
        ("many_directives", many_directives),
        ("many_lines", many_lines),
        ("a_long_word", a_long_word),
        ("bytes_that_are_no_text", bytes_that_are_no_text),
        ("a_catastrophic_pattern", a_catastrophic_pattern),
        ("a_deep_tree_of_requirements", a_deep_tree_of_requirements),
        ("a_long_list_of_networks", a_long_list_of_networks),
    ];
    let own = own.map(|(name, trial)| Trial::test(format!("limits::{name}"), trial));
    own.into_iter().chain(files::trials()).chain(calls::trials()).collect()
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

fn status(answer: &Value, expected: u16) -> Result<(), Failed> {
    if answer["outcome"]["status"] == expected { Ok(()) } else { Err(format!("not {expected}: {answer}").into()) }
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

/// A chain of files, each included by the one before, and deeper than the servers go (nginx itself has no limit).
fn includes_in_each_other() -> Result<(), Failed> {
    for (include, end) in [("include", ";"), ("Include", "")] {
        let line = |number: u32| format!("{include} /part{number}.conf{end}\n");
        let mut place = if end == ";" { Place::nginx(line(0))? } else { Place::apache(line(0))? };
        for number in 0..150 {
            place = place.with(&format!("part{number}.conf"), &line(number + 1))?;
        }
        refused(&place.with("part150.conf", "")?.ask("/")?, "include")?;
    }
    Ok(())
}

/// More lines than are read, and a file larger than is read, which is a hole on the disk.
fn many_lines() -> Result<(), Failed> {
    refused(&Place::apache("\n".repeat(4_000_100))?.ask("/")?, "more than")?;
    let place = Place::nginx("include /huge.conf;")?.with("huge.conf", "")?;
    fs::File::options().write(true).open(place.0.path().join("huge.conf"))?.set_len(300 << 20)?;
    refused(&place.ask("/")?, "longer than 256 MiB")?;
    let place = Place::apache("Include /huge.conf")?.with("huge.conf", "")?;
    fs::File::options().write(true).open(place.0.path().join("huge.conf"))?.set_len(300 << 20)?;
    refused(&place.ask("/")?, "oo large")
}

fn many_directives() -> Result<(), Failed> {
    kind(&Place::nginx("deny 10.0.0.1;\n".repeat(300_000))?.ask("/")?, &["response"])?;
    kind(&Place::apache("Redirect 410 /x\n".repeat(100_000))?.ask("/")?, &["response"])
}

fn a_long_word() -> Result<(), Failed> {
    let word = "x".repeat(10 << 20);
    refused(&Place::nginx(format!("return 200 {word};"))?.ask("/")?, "too long")?;
    kind(&Place::apache(format!("Redirect 410 /{word}"))?.ask("/")?, &["response"])?;
    let word = "x".repeat(17 << 20);
    refused(&Place::apache(format!("Redirect 410 /{word}"))?.ask("/")?, "line too long")?;
    let place = Place::apache(OVERRIDES)?.with("www/.htaccess", &format!("Redirect 410 /{}", "x".repeat(9000)))?;
    status(&place.ask("/")?, 500)
}

fn bytes_that_are_no_text() -> Result<(), Failed> {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    kind(&Place::nginx(&bytes)?.ask("/%00%ff")?, &["refused"])?;
    kind(&Place::apache(&bytes)?.ask("/%ff")?, &["refused"])?;
    kind(&Place::nginx(b"location /\xff\xfe { return 403 \"\xff\"; }")?.ask("/%ff%fe")?, &["response"])?;
    let place = Place::apache(OVERRIDES)?;
    fs::write(place.0.path().join("www/.htaccess"), &bytes)?;
    status(&place.ask("/%ff")?, 500)?;
    fs::write(place.0.path().join("www/.htaccess"), b"# \xff\x01\nRedirect 410 /\xff\xfe\n")?;
    status(&place.ask("/%ff%fe")?, 410)
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

impl Place {
    fn with(self, name: &str, text: &str) -> Result<Place, Failed> {
        fs::write(self.0.path().join(name), text)?;
        Ok(self)
    }
}

//! Files that are deep, circular, no files at all, not to be read, changing, or not to be written.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use libtest_mimic::{Failed, Trial};

use super::{OVERRIDES, Place, kind, patient, status};

pub fn trials() -> Vec<Trial> {
    let trials = [
        ("a_path_of_many_levels", a_path_of_many_levels as fn() -> Result<(), Failed>),
        ("links_in_a_circle", links_in_a_circle),
        ("pipes_and_devices_are_not_read", pipes_and_devices_are_not_read),
        ("what_may_not_be_read_is_named", what_may_not_be_read_is_named),
        ("files_that_change_and_vanish", files_that_change_and_vanish),
        ("a_full_disk", a_full_disk),
        ("a_configuration_that_cannot_be_written", a_configuration_that_cannot_be_written),
    ];
    trials.map(|(name, trial)| Trial::test(format!("limits::{name}"), trial)).into()
}

/// As many directories with an .htaccess as a path can name, and a path that names more: no path is longer than 4095 bytes.
fn a_path_of_many_levels() -> Result<(), Failed> {
    let place = Place::apache(OVERRIDES)?;
    const LEVELS: usize = 1_900;
    let mut directory = place.0.path().join("www");
    let top = directory.as_os_str().len();
    let mut levels = 0;
    while levels < LEVELS && top + 2 * levels + "/d/.htaccess".len() < 4_090 {
        directory.push("d");
        fs::create_dir(&directory)?;
        fs::write(directory.join(".htaccess"), "Redirect 410 /never\n")?;
        levels += 1;
    }
    kind(&place.ask(&format!("/{}", "d/".repeat(levels)))?, &["response"])?;
    kind(&place.ask(&format!("/{}", "d/".repeat(10_000)))?, &["response"])
}

fn links_in_a_circle() -> Result<(), Failed> {
    for place in [Place::nginx("")?, Place::apache("")?] {
        std::os::unix::fs::symlink("circle", place.0.path().join("www/circle"))?;
        let answer = place.ask("/circle/x")?;
        kind(&answer, &["response"])?;
        if answer["outcome"]["certainty"] != "certain" {
            return Err(format!("{answer}").into());
        }
    }
    let place = Place::nginx("include /circle.conf;")?;
    std::os::unix::fs::symlink("circle.conf", place.0.path().join("circle.conf"))?;
    kind(&place.ask("/")?, &["refused"])
}

fn pipe(path: &Path) -> Result<(), Failed> {
    let made = Command::new("mkfifo").arg(path).status()?;
    if made.success() { Ok(()) } else { Err("mkfifo failed".into()) }
}

fn pipes_and_devices_are_not_read() -> Result<(), Failed> {
    let place = Place::apache(OVERRIDES)?;
    let htaccess = place.0.path().join("www/.htaccess");
    pipe(&htaccess)?;
    status(&place.ask("/index.html")?, 403)?;
    fs::remove_file(&htaccess)?;
    std::os::unix::fs::symlink("/dev/zero", &htaccess)?;
    kind(&place.ask("/index.html")?, &["response", "unknown"])?;
    for include in [Place::nginx("include /pipe.conf;")?, Place::apache("Include /pipe.conf")?] {
        pipe(&include.0.path().join("pipe.conf"))?;
        kind(&include.ask("/")?, &["refused"])?;
    }
    fs::rename(place.0.path().join("httpd.conf"), place.0.path().join("kept.conf"))?;
    for device in ["/dev/zero", "/dev/stdin"] {
        for words in [&["explain", "--server", "nginx", "--config", device, "/"][..], &["lint", device]] {
            let output = patient(place.command(words))?;
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            if !said.contains("regular file") {
                return Err(format!("{words:?}: {said}").into());
            }
        }
    }
    Ok(())
}

/// As somebody who may read nothing of root's: the file is named, and nothing is guessed. Checked where root runs it.
fn what_may_not_be_read_is_named() -> Result<(), Failed> {
    const NOBODY: u32 = 65_534;
    let place = Place::nginx("include /closed.conf;")?.with("closed.conf", "deny all;")?;
    fs::set_permissions(place.0.path(), fs::Permissions::from_mode(0o755))?;
    let close = |name: &str| fs::set_permissions(place.0.path().join(name), fs::Permissions::from_mode(0o600));
    let nobody = |words: &[&str]| -> Result<String, Failed> {
        let mut command = place.command(words);
        command.uid(NOBODY).gid(NOBODY);
        match patient(command) {
            Ok(output) => Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()),
            // Not root: there is nobody to be.
            Err(_) if !may_be(NOBODY) => Ok("closed.conf nginx.conf".to_owned()),
            Err(error) => Err(error),
        }
    };
    let question = ["explain", "--root", ".", "--config", "/nginx.conf", "/"];
    close("closed.conf")?;
    for (name, words) in [("closed.conf", &question[..]), ("closed.conf", &["lint", "nginx.conf"])] {
        let said = nobody(words)?;
        if !said.contains(name) || said.contains("panicked") {
            return Err(format!("{words:?}: {said}").into());
        }
    }
    close("nginx.conf")?;
    for words in [&question[..], &["lint", "nginx.conf"]] {
        let said = nobody(words)?;
        if !said.contains("nginx.conf") || said.contains("panicked") {
            return Err(format!("{words:?}: {said}").into());
        }
    }
    Ok(())
}

/// Whether this process may start another as this user, who finds our program.
fn may_be(user: u32) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_why403"));
    command.arg("--version").uid(user).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// While somebody else writes, shortens, removes and replaces the files, every run ends with an answer.
fn files_that_change_and_vanish() -> Result<(), Failed> {
    let place = Place::apache(format!("{OVERRIDES}\nIncludeOptional /conf.d/*.conf"))?;
    let top = place.0.path();
    fs::create_dir(top.join("conf.d"))?;
    let (part, htaccess) = (top.join("conf.d/part.conf"), top.join("www/.htaccess"));
    let text = "Redirect 410 /x\n".repeat(2_000);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for file in [&part, &htaccess] {
                    let _ = fs::write(file, &text);
                    let _ = fs::write(file, "Redirect 410 /x\n");
                    let _ = fs::remove_file(file);
                    let _ = fs::create_dir(file);
                    let _ = fs::remove_dir(file);
                }
            }
        });
        let ended = (0..40).try_for_each(|_| {
            kind(&place.ask("/index.html")?, &["response", "refused", "unknown"])?;
            patient(place.command(&["lint", "httpd.conf"])).map(drop)
        });
        done.store(true, Ordering::Relaxed);
        ended
    })
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

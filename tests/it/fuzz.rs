//! The fuzz targets over the corpus, over saved finds, and over seeded mutations of a few words of configuration.
//!
//! `WHY403_LONG=1` makes the mutations many (`WHY403_FUZZ_SECONDS` for each target, 60).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

mod targets;

use targets::{TARGETS, Target};

/// Mutations of each target in an ordinary run.
const ROUNDS: u64 = 1500;
/// The longest time for one input.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for &(name, target) in TARGETS {
        trials.push(Trial::test(format!("fuzz::{name}"), move || mutate(name, target)));
    }
    trials.push(Trial::test("fuzz::finds", finds));
    match std::env::var_os("WHY403_CORPUS") {
        Some(top) => trials.push(Trial::test("fuzz::corpus", move || corpus(Path::new(&top)))),
        None => trials.push(Trial::test("fuzz::corpus (WHY403_CORPUS is not set: not checked)", || Ok(()))),
    }
    trials
}

/// What was found once: tests/finds/TARGET/NAME.
fn finds() -> Result<(), Failed> {
    for &(name, target) in TARGETS {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/finds").join(name);
        let Ok(found) = fs::read_dir(directory) else { continue };
        for entry in found {
            run(name, target, &fs::read(entry?.path())?)?;
        }
    }
    Ok(())
}

/// Every file of the corpus through the targets that take a file whole.
fn corpus(top: &Path) -> Result<(), Failed> {
    let mut open = vec![top.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
                continue;
            }
            let bytes = fs::read(entry.path())?;
            let name = entry.path().display().to_string();
            run(&name, targets::nginx_round_trip, &bytes)?;
            run(&name, targets::apache_round_trip, &bytes)?;
            if bytes.len() < 20_000 {
                run(&name, targets::htaccess, &bytes)?;
            }
        }
    }
    Ok(())
}

fn mutate(name: &str, target: Target) -> Result<(), Failed> {
    let long = std::env::var_os("WHY403_LONG").is_some();
    let seconds = std::env::var("WHY403_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut round = 0;
    while if long { Instant::now() < end } else { round < ROUNDS } {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ round.wrapping_mul(0xd134_2543_de82_ef95) ^ name.len() as u64);
        run(&format!("{name}, round {round}"), target, &dice.input())?;
        round += 1;
    }
    Ok(())
}

/// One input; a failure writes it below target/finds, from where it can be moved to tests/finds.
fn run(name: &str, target: Target, input: &[u8]) -> Result<(), Failed> {
    let begun = Instant::now();
    let fine = std::panic::catch_unwind(|| target(input)).is_ok();
    if fine && begun.elapsed() < PATIENCE {
        return Ok(());
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/finds");
    fs::create_dir_all(&directory)?;
    let file = directory.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    fs::write(&file, input)?;
    let what = if fine { "took too long" } else { "panicked" };
    Err(format!("{name} {what}; the input is {}", file.display()).into())
}

/// Chance, from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap_or(0)
    }

    /// Lines of configuration, some bytes of them changed.
    fn input(&mut self) -> Vec<u8> {
        let mut input = Vec::new();
        for _ in 0..=self.throw(12) {
            input.extend_from_slice(PIECES[self.throw(PIECES.len())].as_bytes());
            if self.throw(3) == 0 {
                input.push(b'\n');
            }
        }
        for _ in 0..self.throw(4) {
            let at = self.throw(input.len());
            match self.throw(4) {
                0 => input[at] = u8::try_from(self.throw(256)).unwrap_or(0),
                1 => drop(input.remove(at)),
                2 => input.insert(at, b"\\\"'{}<>;$%\0\n ("[self.throw(14)]),
                _ => input.truncate(at + 1),
            }
            if input.is_empty() {
                break;
            }
        }
        input
    }
}

const PIECES: &[&str] = &[
    "/a/file.html\n",
    "/a/denied.txt\n",
    "/%2e%2e/\n",
    "/empty/\n",
    "location / {",
    "location ~ ^/(a|b)+$ {",
    "location = /a {",
    "}\n",
    "deny all;\n",
    "allow 10.0.0.0/8;\n",
    "deny unix:;",
    "return 403;",
    "return 301 $uri$1;",
    "rewrite ^(.*)$ /x$1 last;",
    "if ($uri ~ (a)(?<b>c)) {",
    "if (!-f $request_filename) {",
    "set $a \"${b}x\";",
    "error_page 403 =200 /a/file.html;",
    "try_files $uri $uri/ =404;",
    "alias /www/a/;",
    "autoindex on;",
    "index x index.html;",
    "auth_basic \"x\";",
    "auth_basic_user_file /etc/passwd;",
    "satisfy any;",
    "disable_symlinks if_not_owner from=/www;",
    "internal;",
    "limit_except GET { deny all; }",
    "include /nginx.conf;",
    "proxy_pass http://x$1;",
    "<Directory /www>\n",
    "</Directory>\n",
    "<Location ~ \"^/a(.*)\">\n",
    "</Location>\n",
    "<Files *.html>\n",
    "</Files>\n",
    "<If \"%{REQUEST_URI} =~ m#(a)#\">\n",
    "</If>\n",
    "<RequireAny>\n",
    "</RequireAny>\n",
    "<RequireNone>\n",
    "</RequireNone>\n",
    "<Limit GET>\n",
    "</Limit>\n",
    "<IfModule x>\n",
    "</IfModule>\n",
    "Require all denied\n",
    "Require ip 10.0.0.0/8 ::1\n",
    "Require not user a\n",
    "Require expr %{REMOTE_ADDR} -ipmatch '10.0.0.0/8'\n",
    "Order deny,allow\n",
    "Deny from env=x\n",
    "Satisfy any\n",
    "RewriteEngine on\n",
    "RewriteRule ^(.*)$ /$1/x [L,R=301]\n",
    "RewriteRule . - [F]\n",
    "RewriteCond %{REQUEST_FILENAME} !-f [OR]\n",
    "RewriteRule ^a/?(.*) /a/$1 [N]\n",
    "Redirect 410 /a\n",
    "Alias /x /www/a\n",
    "AliasMatch ^/(.*) /www/$1\n",
    "Options -Indexes +FollowSymLinks\n",
    "AllowOverride All\n",
    "SetEnvIf Request_URI ^/(.) x=$1\n",
    "ErrorDocument 403 /a/file.html\n",
    "DirectoryIndex disabled\n",
    "Define X ${Y}\n",
    "<Macro m $a>\n",
    "</Macro>\n",
    "Use m ${X}\n",
    "Include /httpd.conf\n",
    "AuthType Basic\n",
    "AuthName x\n",
    "AuthUserFile /etc/passwd\n",
    "Require valid-user\n",
    "%{HTTP_HOST} == 'a' && ",
    "-f %{REQUEST_FILENAME}",
    " || !(1 -eq 2)",
    "tolower('A') in { 'a', 'b' }",
    "%{tolower:%{REQUEST_URI}}",
    "$1",
    "\\",
    "\"",
    "{\"id\":\"r\",\"url\":\"http://[::1]:80/%zz\",\"from\":\"::1\"}",
    "{\"url\":\"/\",\"headers\":[[\"A\",null]],\"user\":\"a:b\",\"to\":\"unix:/x\"}",
    "#mtree\n. type=dir mode=0755\n",
    "file type=file mode=0644 uid=0 size=1 time=1.0\n",
    "/www type=dir mode=0755 uid=0 gid=0\n",
    "[{\"path\":\"/www\",\"mode\":\"0755\"}]",
    "\u{7}\u{1}\u{1}",
    "# comment\\\n",
    "\r\n",
    "\u{feff}",
    "\u{0}",
];

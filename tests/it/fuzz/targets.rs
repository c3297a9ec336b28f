//! What the fuzz targets do with bytes. Each panics when a promise is broken; `fuzz/fuzz_targets` and the trials call them.

use std::path::{Path, PathBuf};

use why403::ask;
use why403::explain::{Bench, Fields};
use why403::fact::Answers;
use why403::fix::{self, Edit};
use why403::fs::Filesystem;
use why403::fs::manifest::ManifestFs;
use why403::fs::memory::MemoryFs;
use why403::request::Request;
use why403::server::{Kind, LoadOptions, Server};
use why403::source::SourceMap;
use why403::syntax::to_source;
use why403::world::{NoResolver, World};
use why403::{apache, nginx};

/// A target by its name.
pub type Target = fn(&[u8]);

/// All of them.
pub const TARGETS: &[(&str, Target)] = &[
    ("nginx_round_trip", nginx_round_trip),
    ("apache_round_trip", apache_round_trip),
    ("nginx_answer", nginx_answer),
    ("apache_answer", apache_answer),
    ("htaccess", htaccess),
    ("expression", expression),
    ("request_line", request_line),
    ("manifest", manifest),
    ("edits", edits),
];

/// nginx: the tree gives back the text.
pub fn nginx_round_trip(bytes: &[u8]) {
    let sources = SourceMap::default();
    let file = sources.add(Path::new("/nginx.conf"), bytes);
    let parsed = nginx::parse::parse(file, bytes);
    assert!(to_source(&parsed.tree, file, &sources) == bytes, "the tree is not the text");
}

/// Apache: likewise, a main file or an .htaccess.
pub fn apache_round_trip(bytes: &[u8]) {
    let sources = SourceMap::default();
    let file = sources.add(Path::new("/httpd.conf"), bytes);
    let (tree, _) = apache::parse::parse(file, bytes);
    assert!(to_source(&tree, file, &sources) == bytes, "the tree is not the text");
}

/// nginx: a request target, a line feed, and what stands in a server block is explained.
pub fn nginx_answer(bytes: &[u8]) {
    let (target, text) = first_line(bytes);
    let config = [&b"events {}\nhttp {\nserver {\nlisten 80;\nroot /www;\n"[..], text, b"\n}\n}\n"].concat();
    explain(Kind::Nginx, "/nginx.conf", tree().file("/nginx.conf", config), target);
}

/// Apache: likewise, the text being a main configuration behind the usual modules.
pub fn apache_answer(bytes: &[u8]) {
    let (target, text) = first_line(bytes);
    let config = [APACHE.as_bytes(), text].concat();
    explain(Kind::Apache, "/httpd.conf", tree().file("/httpd.conf", config), target);
}

/// An .htaccess in the way of a request.
pub fn htaccess(bytes: &[u8]) {
    let config = [APACHE, "<Directory />\nAllowOverride All\nRequire all granted\n</Directory>\n"].concat();
    let fs = tree().file("/httpd.conf", config).file("/www/.htaccess", bytes);
    explain(Kind::Apache, "/httpd.conf", fs, b"/a/file.html");
}

/// An expression of Apache, as a condition and as a requirement.
pub fn expression(bytes: &[u8]) {
    let text: Vec<u8> = bytes.iter().filter(|byte| !matches!(byte, b'\n' | b'\\')).copied().collect();
    let quoted = text.iter().flat_map(|&byte| if byte == b'"' { vec![b'\\', byte] } else { vec![byte] });
    let quoted: Vec<u8> = quoted.collect();
    let config = [
        APACHE.as_bytes(),
        b"<If \"",
        &quoted,
        b"\">\nRequire all denied\n</If>\n<Location />\nRequire expr ",
        &text,
        b"\n</Location>\n",
    ];
    explain(Kind::Apache, "/httpd.conf", tree().file("/httpd.conf", config.concat()), b"/a/file.html?q=1");
}

/// A line of JSON with a request.
pub fn request_line(bytes: &[u8]) {
    let Ok(line) = std::str::from_utf8(bytes) else { return };
    let _ = ask::id_of(line);
    if let Ok(question) = ask::read(line) {
        let _ = ask::request(&question, |_| Err("no file here".to_owned()));
    }
}

/// A listing of a file tree.
pub fn manifest(bytes: &[u8]) {
    let Ok(fs) = ManifestFs::parse(bytes, Path::new("/")) else { return };
    for path in ["/", "/www", "/www/../etc/x", "/a/b/c"] {
        let _ = fs.lstat(Path::new(path));
        let _ = why403::fs::stat(&fs, Path::new(path));
        let _ = fs.list(Path::new(path));
    }
}

/// Edits, three bytes each, of the text behind them.
pub fn edits(bytes: &[u8]) {
    let count = usize::from(bytes.first().copied().unwrap_or(0) % 8);
    let numbers = bytes.get(1..1 + 3 * count).unwrap_or_default();
    let text = bytes.get(1 + 3 * count..).unwrap_or_default();
    let edit = |numbers: &[u8]| Edit {
        file: PathBuf::from("/x"),
        line: u32::from(numbers[0]),
        end_line: u32::from(numbers[1]),
        replacement: "x\n".repeat(usize::from(numbers[2] % 4)),
    };
    let edits: Vec<Edit> = numbers.chunks_exact(3).map(edit).collect();
    let _ = fix::apply(text, &edits);
    assert!(fix::apply(text, &[]).as_deref() == Ok(text), "no edits, another text");
}

const APACHE: &str = "\
LoadModule mpm_event_module m/mod_mpm_event.so
LoadModule authz_core_module m/mod_authz_core.so
LoadModule authz_host_module m/mod_authz_host.so
LoadModule authz_user_module m/mod_authz_user.so
LoadModule authn_core_module m/mod_authn_core.so
LoadModule authn_file_module m/mod_authn_file.so
LoadModule auth_basic_module m/mod_auth_basic.so
LoadModule access_compat_module m/mod_access_compat.so
LoadModule mime_module m/mod_mime.so
LoadModule negotiation_module m/mod_negotiation.so
LoadModule autoindex_module m/mod_autoindex.so
LoadModule dir_module m/mod_dir.so
LoadModule alias_module m/mod_alias.so
LoadModule rewrite_module m/mod_rewrite.so
LoadModule setenvif_module m/mod_setenvif.so
LoadModule env_module m/mod_env.so
LoadModule macro_module m/mod_macro.so
ServerName localhost
Listen 80
DocumentRoot /www
";

fn tree() -> MemoryFs {
    MemoryFs::new()
        .file("/www/index.html", "text")
        .file("/www/a/file.html", "text")
        .file("/www/a/denied.txt", "text")
        .mode("/www/a/denied.txt", 0o600)
        .dir("/www/empty")
        .link("/www/loop", "loop")
        .link("/www/link", "a")
        .file(
            "/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n",
        )
        .file("/etc/group", "www-data:x:33:\nnogroup:x:65534:\n")
}

fn first_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// Loads and explains, with everything that an answer can show; the edits of its fixes fit the text.
fn explain(kind: Kind, config: &str, fs: MemoryFs, target: &[u8]) {
    let options = LoadOptions::new(Path::new(config));
    let server = Server::load(kind, &options, &fs);
    let mut request = Request::get("/", "localhost");
    if !target.is_empty() {
        request.target = target.to_vec();
    }
    let answers = Answers::new();
    let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: Some(0), answers: &answers, trace: true };
    let bench = Bench { server: &server, options: &options, loading: &fs, world };
    let _ = bench.explain(&request, Fields::ALL);
}

//! The file tree that generated configurations serve: a fixed skeleton, with modes, owners and gaps by chance.

use serde_json::{Value, json};

use super::dice::Dice;

/// Files below `root/`, each there most of the time.
const FILES: [&str; 22] = [
    "www/index.html",
    "www/a/index.html",
    "www/a/x.txt",
    "www/a/b/y.txt",
    "www/private/z.txt",
    "www/private/index.html",
    "www/docs/readme.html",
    "www/docs/index.htm",
    "www/img/p.png",
    "www/.hidden",
    "www/.git/config",
    "www/x.php",
    "www/a/x.php",
    "www/403.html",
    "www/404.html",
    "www/50x.html",
    "www/f",
    "other/index.html",
    "other/x.txt",
    "other/b/y.txt",
    "www/up/ok",
    "www/A/x.txt",
];

/// Links below `root/` and what they say.
const LINKS: [(&str, &str); 6] = [
    ("www/ln.txt", "a/x.txt"),
    ("www/lnd", "a"),
    ("www/loop", "loop"),
    ("www/dang", "nowhere"),
    ("www/a/out", "@ROOT@/other"),
    ("www/a/index.php", "../x.php"),
];

/// A tree with its `fs.json`.
#[derive(Clone)]
pub struct Tree {
    pub files: Vec<(String, String)>,
    pub entries: Vec<Value>,
}

impl Tree {
    pub fn grow(dice: &mut Dice) -> Tree {
        let mut files = Vec::new();
        let mut entries = Vec::new();
        for path in FILES {
            if dice.percent(88) {
                files.push((path.to_owned(), format!("{path}\n")));
                if dice.percent(12) {
                    let mode = dice.one(&["0600", "0640", "0000", "0604", "0444", "0755"]);
                    entries.push(json!({"path": path, "mode": mode, "owner": dice.one(OWNERS)}));
                }
            }
        }
        for (path, target) in LINKS {
            if dice.percent(70) {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                // The link's directory has to be there.
                if files.iter().any(|(file, _)| file.starts_with(&format!("{parent}/"))) {
                    entries.push(json!({"path": path, "symlink": target, "owner": dice.one(OWNERS)}));
                }
            }
        }
        for dir in ["www/empty", "www/a/empty"] {
            if dice.percent(60) {
                entries.push(json!({"path": dir, "dir": true}));
            }
        }
        for dir in ["www/a", "www/a/b", "www/private", "www/docs", "www/img", "other", "www/up", "www/.git"] {
            let there = files.iter().any(|(file, _)| file.starts_with(&format!("{dir}/")));
            if there && dice.percent(12) {
                let mode = dice.one(&["0700", "0711", "0744", "0750", "0705", "0751", "0555"]);
                entries.push(json!({"path": dir, "mode": mode, "owner": dice.one(OWNERS)}));
            }
        }
        Tree { files, entries }
    }
}

const OWNERS: &[&str] = &["root:root", "www-data:www-data", "root:www-data", "1000:1000", "1000:www-data"];

/// Paths to ask for, raw: most hit the tree, some need normalising, some hit nothing.
pub fn path(dice: &mut Dice) -> String {
    const PLAIN: [&str; 43] = [
        "/",
        "/a/",
        "/a",
        "/a/x.txt",
        "/a/b/",
        "/a/b",
        "/a/b/y.txt",
        "/private/",
        "/private/z.txt",
        "/private",
        "/docs/",
        "/docs/readme.html",
        "/docs",
        "/img/p.png",
        "/img/",
        "/.hidden",
        "/.git/config",
        "/x.php",
        "/a/x.php",
        "/f",
        "/f/",
        "/ln.txt",
        "/lnd/",
        "/lnd/x.txt",
        "/lnd",
        "/loop",
        "/dang",
        "/a/out/x.txt",
        "/a/out/",
        "/empty/",
        "/empty",
        "/none",
        "/none/",
        "/sub",
        "/sub/x",
        "/pass/x",
        "/a/none.txt",
        "/A/x.txt",
        "/403.html",
        "/up/ok",
        "/old/x",
        "/api/v1",
        "/index.html",
    ];
    let mut path = dice.one(&PLAIN).to_owned();
    if dice.percent(15) {
        path = match dice.below(9) {
            0 => path.replacen("/a", "/%61", 1),
            1 => path.replacen('/', "//", 1),
            2 => format!("/./{}", &path[1..]),
            3 => format!("/a/../{}", &path[1..]),
            4 => format!("{path}/"),
            5 => format!("{path}%20"),
            6 => path.to_uppercase(),
            7 => format!("{path}/../{}", &path[1..]),
            _ => format!("{path}x"),
        };
    }
    if dice.percent(15) {
        path.push_str(dice.one(&["?x=1", "?x=2&y=/a", "?", "?id=..%2f", "?debug"]));
    }
    path
}

/// Clients, among them those that generated rules speak of.
pub const CLIENTS: [&str; 8] =
    ["127.0.0.1", "10.0.0.1", "10.0.0.5", "10.1.2.3", "192.168.1.7", "203.0.113.9", "2001:db8::7", "::1"];

/// Networks and addresses for rules, as both servers write them.
pub const NETS: [&str; 10] = [
    "10.0.0.0/8",
    "10.0.0.5",
    "192.168.0.0/16",
    "127.0.0.1",
    "203.0.113.0/24",
    "2001:db8::/32",
    "::1",
    "10.0.0.0/24",
    "203.0.113.9",
    "2001:db8::7",
];

/// A request, not yet numbered.
pub fn request(dice: &mut Dice, hosts: &[&str]) -> Value {
    let url = format!("http://{}:@PORT@{}", dice.one(hosts), path(dice));
    let mut request = json!({"url": url, "from": dice.one(&CLIENTS)});
    if dice.percent(18) {
        request["method"] = json!(dice.one(&["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "FOO"]));
    }
    if dice.percent(25) {
        request["user"] = json!(dice.one(&["alice:secret", "alice:wrong", "bob:secret", "bob:", "carol:secret"]));
    }
    let mut headers = Vec::new();
    if dice.percent(30) {
        headers.push(json!(["User-Agent", dice.one(&["curl/7.88", "BadBot/1.0", "Mozilla/5.0", ""])]));
    }
    if dice.percent(20) {
        headers
            .push(json!(["Referer", dice.one(&["http://www.a.test/x", "https://evil.test/", "http://b.test", "-"])]));
    }
    if dice.percent(12) {
        headers
            .push(json!(["X-Forwarded-For", dice.one(&["10.0.0.5", "203.0.113.9, 10.0.0.1", "junk", "2001:db8::7"])]));
    }
    if dice.percent(10) {
        headers.push(json!(["Cookie", dice.one(&["k=1", "session=abc; k=2", ""])]));
    }
    if dice.percent(8) {
        headers.push(json!(["X-Key", dice.one(&["open", "shut"])]));
    }
    if !headers.is_empty() {
        request["headers"] = Value::Array(headers);
    }
    if dice.percent(4) {
        request["version"] = json!("1.0");
        request["no_host"] = json!(dice.percent(50));
    }
    if dice.percent(10) {
        odd(dice, &mut request);
    }
    request
}

/// Makes a request that few clients would send.
fn odd(dice: &mut Dice, request: &mut Value) {
    let header = |request: &mut Value, name: &str, value: &str| match request["headers"].as_array_mut() {
        Some(headers) => headers.push(json!([name, value])),
        None => request["headers"] = json!([[name, value]]),
    };
    match dice.below(10) {
        0 => request["no_host"] = json!(true),
        1 => header(
            request,
            "Host",
            dice.one(&["b.test", "a.test:80", "bad host", "", "A.TEST.", "[::1]", "x/../y", "a.test:x"]),
        ),
        2 => {
            let targets = [
                "http://b.test/a/x.txt",
                "*",
                "/%00",
                "/%zz",
                "/a%2fx.txt",
                "/a/%2e%2e/f",
                "/a\\x.txt",
                "a/x.txt",
                "/../f",
                "/..",
                "/a/..",
                "/%2e%2e/f",
                "//",
                "/a//b//y.txt",
                "/a/x.txt#y",
                "/a/x.txt%00",
                "/a/./b/../x.txt",
                "/private%2fz.txt",
                "/x.php/info",
                "/a/x.txt/info",
            ];
            request["target"] = json!(dice.one(&targets));
        }
        3 => header(request, "Range", dice.one(&["bytes=0-2", "bytes=900-", "bytes=5-1", "lines=1-2", "bytes=-3"])),
        4 => header(request, "If-None-Match", dice.one(&["*", "\"none\""])),
        5 => header(request, "If-Match", dice.one(&["*", "\"none\""])),
        6 => header(request, "Expect", dice.one(&["100-continue", "other"])),
        7 => {
            request["method"] =
                json!(dice.one(&["TRACE", "CONNECT", "PROPFIND", "get", "MKCOL", "COPY", "LOCK", "BREW"]))
        }
        8 => {
            if let Some(fields) = request.as_object_mut() {
                fields.remove("user");
            }
            header(
                request,
                "Authorization",
                dice.one(&[
                    "Basic !!!",
                    "Digest x",
                    "Basic",
                    "Basic YWxpY2U6c2VjcmV0",
                    "basic YWxpY2U6c2VjcmV0",
                    "Bearer x",
                ]),
            );
        }
        _ => header(request, "Content-Length", dice.one(&["0", "x", "-1"])),
    }
}

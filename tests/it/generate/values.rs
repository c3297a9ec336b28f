//! nginx configurations by chance in which values decide: maps, geo, captures, `set`, `if`, `rewrite`.
//!
//! What a variable comes to is made visible by `split_clients`: the exact hash of a text picks the status.

use serde_json::{Value, json};

use super::dice::Dice;
use super::{Block, Configuration, line};

/// The hosts that requests name.
const HOSTS: [&str; 4] = ["h.test", "www.test", "a.b", "H.test"];

const SEGMENTS: [&str; 11] = ["a", "b", "ab", "x", "y1", "d", "a.txt", "b.html", "q", "A", "12"];

const EXPRESSIONS: [&str; 20] = [
    "^/(a|b)(.*)$",
    "^/([^/]+)/(?<n1>.*)$",
    r"\.txt$",
    "^/x",
    "(?<n2>[0-9]+)",
    "/(.)(.)?$",
    "^/([a-z]+)([0-9])?",
    "^(.*)/$",
    "b",
    "^$",
    "(?<n1>a)(?<n2>b)?",
    "[+ ]",
    "^/d(/.*)?$",
    "x|(y)",
    "^(.+)$",
    "(?<n2>.)$",
    "^(?<n1>[a-z]*)",
    "=(.*)",
    "0",
    "(a)(b)?",
];

const VARIABLES: [&str; 52] = [
    "uri",
    "args",
    "arg_a",
    "arg_b",
    "v1",
    "v2",
    "v3",
    "m1",
    "m2",
    "m3",
    "m4",
    "g1",
    "g2",
    "s1",
    "n1",
    "n2",
    "host",
    "http_x_a",
    "cookie_c",
    "request_uri",
    "is_args",
    "request_method",
    "remote_addr",
    "query_string",
    "http_referer",
    "invalid_referer",
    "request_filename",
    "document_root",
    "status",
    "scheme",
    "server_name",
    "remote_user",
    "content_length",
    "server_protocol",
    "secure_link",
    "document_uri",
    "http_host",
    "arg_A",
    "cookie_D",
    "fastcgi_script_name",
    "realip_remote_addr",
    "http_cookie",
    "http_x_forwarded_for",
    "request",
    "binary_remote_addr",
    "proxy_add_x_forwarded_for",
    "realpath_root",
    "upstream_status",
    "sent_http_location",
    "https",
    "http_user_agent",
    "nginx_version",
];

const LITERALS: [&str; 12] = ["a", "b", "1", "0", "ab", "x", "12", "/a", "/d/", "", "A", "a.txt"];

const STATUSES: [&str; 21] = [
    "200", "201", "204", "301", "302", "303", "307", "400", "401", "402", "403", "403", "404", "405", "410", "418",
    "444", "500", "503", "299", "304",
];

/// A whole main file.
pub fn config(dice: &mut Dice) -> Configuration {
    let mut http = vec![line("access_log off;"), line("default_type text/plain;"), line("map_hash_bucket_size 128;")];
    // Every name exists, whatever chance leaves out.
    http.push(Block::new("map $uri $names", [line(r#""~(?<n1>_)(?<n2>_)" 1;"#)]));
    for number in 1..=4 {
        http.push(map(dice, number));
    }
    for number in 1..=2 {
        http.push(geo(dice, number));
    }
    let key = text(dice);
    http.push(Block::new(&format!("split_clients {key} $s1"), ["20% a;", "30.5% 1;", "* 0;"].map(line)));
    let key: String = (0..2 + dice.below(3)).map(|_| format!("{}|", reference(dice))).collect();
    let shares = (1..7).map(|number| line(&format!("14% {number};"))).chain([line("* 7;")]);
    http.push(Block::new(&format!("split_clients \"{key}\" $bucket"), shares));
    http.push(Block::new(
        "server",
        ["listen 127.0.0.1:81;", "set $v1 \"\";", "set $v2 \"\";", "set $v3 \"\";"].map(line),
    ));
    http.push(server(dice));
    let main = vec![
        line("user www-data;"),
        line("worker_processes 1;"),
        line("pid @ROOT@/logs/nginx.pid;"),
        line("error_log @ROOT@/logs/error.log info;"),
        Block::new("events", []),
        Block::new("http", http),
    ];
    Configuration { configs: vec![("conf/nginx.conf".to_owned(), main)], files: Vec::new() }
}

fn reference(dice: &mut Dice) -> String {
    if dice.percent(10) {
        return (*dice.one(&["$1", "$2"])).to_owned();
    }
    format!("${{{}}}", dice.one(&VARIABLES))
}

fn expression(dice: &mut Dice) -> String {
    format!("\"{}\"", dice.one(&EXPRESSIONS))
}

/// A quoted text of literals and variables.
fn text(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..1 + dice.below(3) {
        text += &if dice.percent(55) { reference(dice) } else { dice.one(&LITERALS).to_owned() };
        text += dice.one(&["", "", "", "|", "-", "/"]);
    }
    format!("\"{text}\"")
}

fn map(dice: &mut Dice, number: usize) -> Block {
    let source = match dice.below(3) {
        0 => "$uri".to_owned(),
        1 => text(dice),
        _ => format!("${}", dice.one(&["args", "arg_a", "http_x_a", "host", "v1", "cookie_c", "m1", "m2", "m3", "m4"])),
    };
    let mut inside = Vec::new();
    let hostnames = dice.percent(30);
    inside.extend(hostnames.then(|| line("hostnames;")));
    inside.extend(dice.percent(30).then(|| line("volatile;")));
    if dice.percent(70) {
        inside.push(line(&format!("default {};", text(dice))));
    }
    let mut keys = Vec::new();
    for _ in 0..dice.below(5) {
        let key = dice.one(&["a", "B", "1", "/a", "/d/", "", "12", "h.test", "*.test", "www.*"]);
        if !keys.contains(&key) && (hostnames || !key.contains('*')) {
            keys.push(key);
            inside.push(line(&format!("\"{key}\" {};", text(dice))));
        }
    }
    for _ in 0..dice.below(3) {
        let tilde = dice.one(&["~", "~", "~*"]);
        inside.push(line(&format!("\"{tilde}{}\" {};", dice.one(&EXPRESSIONS), text(dice))));
    }
    Block::new(&format!("map {source} $m{number}"), inside)
}

fn geo(dice: &mut Dice, number: usize) -> Block {
    let address = dice.one(&["", "", "$arg_ip ", "$http_x_a "]);
    let mut inside = Vec::new();
    let ranges = dice.percent(40);
    inside.extend(ranges.then(|| line("ranges;")));
    if dice.percent(70) {
        inside.push(line(&format!("default \"{}\";", dice.one(&LITERALS))));
    }
    let mut next = 0;
    for _ in 0..dice.below(5) {
        let net = if ranges {
            let (first, last) = (next + dice.below(3), next + 3 + dice.below(4));
            next = last + 1;
            format!("127.0.0.{first}-127.0.0.{last}")
        } else {
            dice.one(&["127.0.0.0/8", "127.0.0.2", "10.0.0.0/8", "127.0.0.4/30", "2001:db8::/32", "::/0", "9.9.9.9"])
                .to_owned()
        };
        inside.push(line(&format!("{net} \"{}\";", dice.one(&LITERALS))));
    }
    inside.extend(dice.percent(30).then(|| line("proxy 127.0.0.0/8;")));
    inside.extend(dice.percent(30).then(|| line("proxy_recursive;")));
    Block::new(&format!("geo {address}$g{number}"), inside)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Server,
    Location,
}

fn server(dice: &mut Dice) -> Block {
    let name = dice.one(&["h.test", "h.test *.b", "~^(?<n1>w+)\\.(test)$", "h.test ~(?<n2>b)$"]);
    let mut inside = vec![line("listen @PORT@;"), line(&format!("server_name {name};")), line("root @ROOT@/www;")];
    for _ in 0..dice.below(3) {
        inside.push(statement(dice, Level::Server, false));
    }
    inside.extend(dice.percent(30).then(|| setting(dice)));
    for _ in 0..1 + dice.below(5) {
        let one = location(dice);
        let plain = |block: &Block| block.text.replace("^~ ", "");
        if !inside.iter().any(|other| plain(other) == plain(&one)) {
            inside.push(one);
        }
    }
    let mut named: Vec<Block> = (0..dice.below(3)).map(|_| statement(dice, Level::Location, false)).collect();
    named.extend(buckets());
    inside.push(Block::new("location @n1", named));
    Block::new("server", inside)
}

fn location(dice: &mut Dice) -> Block {
    let name = match dice.below(4) {
        0 | 1 => format!("{} {}", dice.one(&["~", "~", "~*"]), expression(dice)),
        2 => format!("= /{}", dice.one(&SEGMENTS)),
        _ => format!("{}{}", dice.one(&["", "^~ "]), dice.one(&["/", "/a", "/b/", "/d", "/q", "/ab", "/a/b"])),
    };
    let mut inside: Vec<Block> = (0..dice.below(5)).map(|_| statement(dice, Level::Location, false)).collect();
    inside.extend(dice.percent(35).then(|| setting(dice)));
    if dice.percent(50) {
        inside.extend(buckets());
    }
    inside.extend(dice.percent(8).then(|| line("internal;")));
    Block::new(&format!("location {name}"), inside)
}

/// The exact hash of a text decides.
fn buckets() -> Vec<Block> {
    let one = |number| Block::new(&format!("if ($bucket = {number})"), [line(&format!("return 45{number};"))]);
    (1..7).map(one).chain([line("return 457;")]).collect()
}

fn statement(dice: &mut Dice, level: Level, inside_if: bool) -> Block {
    match dice.below(if inside_if { 7 } else { 10 }) {
        0..3 => line(&format!("set $v{} {};", 1 + dice.below(3), text(dice))),
        3 => line(&format!("set $args {};", text(dice))),
        4..6 => rewrite(dice),
        6 => line("break;"),
        7 => line(&answer(dice)),
        _ => {
            let mut inside: Vec<Block> = (0..dice.below(4)).map(|_| statement(dice, level, true)).collect();
            inside.extend(dice.percent(40).then(|| line(&answer(dice))));
            let setting = ["root @ROOT@/www/d;", "add_header X-Y z;", "error_page 404 /a.txt;"];
            inside.extend((level == Level::Location && dice.percent(15)).then(|| line(dice.one(&setting))));
            Block::new(&format!("if ({})", condition(dice)), inside)
        }
    }
}

fn rewrite(dice: &mut Dice) -> Block {
    const TARGETS: [&str; 16] = [
        "/",
        "/$1",
        "/$1/$2",
        "$uri",
        "/a?b=$1",
        "/x$args",
        "/$n1",
        "/d/",
        "/a.txt",
        "/$1?",
        "/$1?a=$2&b=1",
        "/q/$arg_a",
        "/b$m1",
        "/$1$m2",
        "http://h/$1",
        "https://h/$1?c=$2",
    ];
    let target =
        if dice.percent(80) { dice.one(&TARGETS).to_owned() } else { format!("/{}", text(dice).trim_matches('"')) };
    let flag = dice.one(&["", "", " last", " break", " redirect", " permanent"]);
    line(&format!("rewrite {} \"{target}\"{flag};", expression(dice)))
}

fn answer(dice: &mut Dice) -> String {
    let status = dice.one(&STATUSES);
    match dice.below(10) {
        0..4 => format!("return {status};"),
        4..7 => format!("return {status} {};", text(dice)),
        7 => format!("return {status} \"\";"),
        _ => format!("return {};", dice.one(&["http://h/x", "https://h$uri", "$scheme://h/$1"])),
    }
}

fn condition(dice: &mut Dice) -> String {
    let variable = dice.one(&VARIABLES);
    match dice.below(10) {
        0..2 => format!("${variable}"),
        2..5 => format!("${variable} {} {}", dice.one(&["=", "!="]), text(dice)),
        5..9 => format!("${variable} {} {}", dice.one(&["~", "~*", "!~", "!~*"]), expression(dice)),
        _ => {
            let test = dice.one(&["-f", "-d", "-e", "-x", "!-f", "!-d", "!-e", "!-x"]);
            format!(
                "{test} {}",
                dice.one(&["$document_root$uri", "$request_filename", "@ROOT@/www/$1", "@ROOT@/www/$arg_a"])
            )
        }
    }
}

/// One setting, so that none stands twice in a block.
fn setting(dice: &mut Dice) -> Block {
    line(dice.one(&[
        "error_page 403 /a.txt;",
        "error_page 404 =200 /a.txt;",
        "error_page 401 403 =402 @n1;",
        "error_page 418 = /x;",
        "error_page 301 302 /a.txt;",
        "valid_referers none h.test;",
        "valid_referers blocked server_names *.test ~a;",
        "set_real_ip_from 127.0.0.0/8;",
        "deny 127.0.0.3;",
        "try_files $uri /a.txt;",
        "try_files /$1 =404;",
        "recursive_error_pages on;",
        "fastcgi_split_path_info ^(/[a-z]+)(.*)$;",
        "secure_link $arg_md5,$arg_e;",
    ]))
}

/// A request, not yet numbered.
pub fn request(dice: &mut Dice) -> Value {
    let mut path: String = (0..1 + dice.below(3)).map(|_| format!("/{}", dice.one(&SEGMENTS))).collect();
    match dice.below(12) {
        0 => path = path.replacen('a', "%61", 1),
        1 => path += "%20z",
        2 => path += "+z",
        3 => path += "%25",
        4 => path.insert(0, '/'),
        5 => path.push('/'),
        _ => {}
    }
    let values = ["1", "0", "a", "b", "ab", "12", "/a", "127.0.0.4", "9.9.9.9", "", "x%20", "a.txt", "d"];
    for number in 0..dice.below(4) {
        path += if number == 0 { "?" } else { "&" };
        path += &format!("{}={}", dice.one(&["a", "b", "A", "ip", "e", "k"]), dice.one(&values));
    }
    let from = format!("127.0.0.{}", 1 + dice.below(6));
    let mut headers = Vec::new();
    let mut header = |dice: &mut Dice, chance, name: &str, values: &[&str]| {
        if dice.percent(chance) {
            headers.push(json!([name, dice.one(values)]));
        }
    };
    header(dice, 30, "X-A", &["a", "b", "127.0.0.5", "1", "ab", ""]);
    header(dice, 10, "X-A", &["b", "12"]);
    header(dice, 30, "Cookie", &["c=1", "c=a; d=b", "C=ab", "d=1, c=0", "x=y;c=/a"]);
    header(dice, 30, "Referer", &["http://h.test/", "https://evil.example/", "http://a.b", "", "http://h.test:80/a"]);
    header(
        dice,
        30,
        "X-Forwarded-For",
        &["9.9.9.9", "9.9.9.9, 127.0.0.2", "junk", "10.1.1.1, 127.0.0.1,", "9.9.9.9:80"],
    );
    header(dice, 20, "X-Real-IP", &["9.9.9.9", "127.0.0.3", "junk", "127.0.0.5, 9.9.9.9"]);
    header(dice, 10, "Authorization", &["Basic YTpi", "basic YWI6", "Bearer x", "Basic YWI"]);
    header(dice, 6, "If-None-Match", &["*", "\"x\""]);
    header(dice, 6, "If-Unmodified-Since", &["Mon, 01 Jan 2024 00:00:00 GMT", "junk"]);
    header(dice, 8, "Range", &["bytes=0-0", "bytes=0-1,2-3", "bytes=100-", "bytes=-2", "x=1-2"]);
    let mut request = json!({"url": format!("http://{}:@PORT@{path}", dice.one(&HOSTS)), "from": from});
    if !headers.is_empty() {
        request["headers"] = Value::Array(headers);
    }
    if dice.percent(12) {
        request["method"] = json!(dice.one(&["HEAD", "POST", "PUT"]));
    }
    request
}

/// The files that requests and expressions lead to.
pub const FILES: [&str; 6] = ["www/a.txt", "www/b.html", "www/x", "www/d/index.html", "www/a/a.txt", "www/q/a.txt"];

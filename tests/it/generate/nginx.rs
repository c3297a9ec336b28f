//! nginx configurations by chance, from a small grammar of whatever decides a status.

use super::dice::Dice;
use super::tree::NETS;
use super::{Block, Configuration, line};

/// The hosts that requests name: two served ones, one that no server has.
pub const HOSTS: [&str; 4] = ["a.test", "www.a.test", "b.test", "none.test"];

/// A whole main file.
pub fn config(dice: &mut Dice) -> Configuration {
    let mut http = vec![line("access_log off;"), line("default_type text/plain;"), line("map_hash_bucket_size 128;")];
    http.push(Block::new(
        "map $http_user_agent $bad_agent",
        [line("default 0;"), line("~*badbot 1;"), line(r#""" 2;"#)],
    ));
    http.push(Block::new("map $uri $by_uri", uri_map(dice)));
    http.push(Block::new("geo $by_net", geo(dice)));
    http.push(Block::new(
        "map $http_referer$args $mixed",
        [line("hostnames;"), line("default \"\";"), line("volatile;"), line("~x=1$ 1;"), line("~*evil evil;")],
    ));
    http.push(Block::new(r#"split_clients "$remote_addr$uri" $half"#, [line("50% 1;"), line("* \"\";")]));
    http.extend(settings(dice, Level::Http));
    for index in 0..1 + dice.below(2) {
        http.push(server(dice, index));
    }
    let main = vec![
        line(if dice.percent(80) { "user www-data;" } else { "user nobody nogroup;" }),
        line("worker_processes 1;"),
        line("pid @ROOT@/logs/nginx.pid;"),
        line("error_log @ROOT@/logs/error.log info;"),
        Block::new("events", []),
        Block::new("http", http),
    ];
    let passwords = "alice:{PLAIN}secret\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
    Configuration {
        configs: vec![("conf/nginx.conf".to_owned(), main)],
        files: vec![("conf/htpasswd".to_owned(), passwords.to_owned())],
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Http,
    Server,
    Location,
}

fn server(dice: &mut Dice, index: usize) -> Block {
    let mut inside = vec![line("listen @PORT@;"), line("listen [::]:@PORT@;")];
    inside.push(line(["server_name a.test *.a.test;", "server_name b.test ~^c;"][index]));
    inside.push(line("root @ROOT@/www;"));
    inside.extend(settings(dice, Level::Server));
    inside.extend(rewrites(dice, 12));
    for _ in 0..2 + dice.below(5) {
        let one = location(dice, 0);
        // The same location twice is refused, `^~` or not.
        let plain = |block: &Block| block.text.replace("^~ ", "");
        if !inside.iter().any(|other| plain(other) == plain(&one)) {
            inside.push(one);
        }
    }
    inside.push(Block::new("location = /sub", [line("internal;"), line(subrequest(dice))]));
    inside.push(Block::new(
        "location @fallback",
        [line(dice.one(&["return 403;", "return 204;", "try_files /index.html =404;"]))],
    ));
    Block::new("server", inside)
}

fn location(dice: &mut Dice, depth: usize) -> Block {
    let name = dice.one(&[
        "/pass/",
        "/sub",
        "\"/a/out\"",
        "~ ^/(?<dir>a|docs)/",
        "= /a/",
        "/A/",
        "/",
        "/a/",
        "/a",
        "/a/b/",
        "= /",
        "= /a/x.txt",
        "^~ /img/",
        "/private/",
        "/private",
        "/docs/",
        "/old/",
        "/api/",
        r"~ \.php$",
        r"~* \.(txt|png)$",
        r"~ /\.",
        "~ ^/a/(.*)$",
        "~* ^/(docs|img)/",
        "^~ /a/",
        "/up/",
        "= /403.html",
        "/lnd/",
        "= /f",
        "~ ^/[^/]+/$",
        "/none",
    ]);
    let mut inside = Vec::new();
    let regex = name.starts_with('~');
    match dice.below(100) {
        0..12 => {
            inside.push(line(if name.ends_with('/') && !regex { "alias @ROOT@/other/;" } else { "root @ROOT@/other;" }))
        }
        12..18 => inside.push(line(&format!("alias @ROOT@/www/{};", if regex { "a/$1" } else { "a" }))),
        _ => {}
    }
    inside.extend(settings(dice, Level::Location));
    inside.extend(rewrites(dice, 30));
    if dice.percent(14) {
        inside.push(limit_except(dice));
    }
    if dice.percent(8) {
        inside.push(line("internal;"));
    }
    match dice.below(100) {
        0..5 => inside.push(line("proxy_pass http://127.0.0.1:8081;")),
        5..8 => inside.push(line("fastcgi_pass 127.0.0.1:9000;")),
        8..10 => inside.push(line("empty_gif;")),
        10..13 => inside.push(line("root @ROOT@$flag/www;")),
        13..15 => inside.push(line("stub_status;")),
        15..17 => inside.push(line("random_index on;")),
        _ => {}
    }
    if depth < 2 && !name.starts_with('=') && dice.percent(14) {
        inside.push(nested(dice, name));
    }
    Block::new(&format!("location {name}"), inside)
}

/// What an authorization subrequest is answered.
fn subrequest(dice: &mut Dice) -> &'static str {
    dice.one(&[
        "return 403;",
        "return 401;",
        "return 204;",
        "return 200 ok;",
        "return 404;",
        "deny 10.0.0.0/8;",
        "proxy_pass http://127.0.0.1:8081;",
        "try_files /a/x.txt =403;",
        "return 302 /a/;",
        "auth_basic closed;",
    ])
}

/// A location inside another one, which nginx takes only where it lies inside by its text.
fn nested(dice: &mut Dice, outer: &str) -> Block {
    let prefix = outer.trim_start_matches("^~ ");
    let name = if prefix.starts_with('/') && dice.percent(50) {
        format!("{}b/", prefix.trim_end_matches('/').to_owned() + "/")
    } else {
        r"~ \.(txt|php)$".to_owned()
    };
    let mut inside = settings(dice, Level::Location);
    inside.extend(rewrites(dice, 25));
    Block::new(&format!("location {name}"), inside)
}

/// Settings that are inherited, each from a level's own chance.
fn settings(dice: &mut Dice, level: Level) -> Vec<Block> {
    let chance = |inner: usize| match level {
        Level::Http => inner / 4,
        Level::Server => inner / 2,
        Level::Location => inner,
    };
    let mut found = Vec::new();
    if dice.percent(chance(34)) {
        for _ in 0..1 + dice.below(3) {
            let action = dice.one(&["allow", "deny"]);
            let net = if dice.percent(25) { "all" } else { dice.one(&NETS) };
            found.push(line(&format!("{action} {net};")));
        }
        if dice.percent(60) {
            found.push(line("deny all;"));
        }
    }
    if dice.percent(chance(14)) {
        found.push(line(if dice.percent(20) { "auth_basic off;" } else { r#"auth_basic "closed";"# }));
        if dice.percent(90) {
            found.push(line(&format!(
                "auth_basic_user_file {};",
                dice.one(&["htpasswd", "htpasswd", "htpasswd", "missing"])
            )));
        }
    }
    if dice.percent(chance(14)) {
        found.push(line(dice.one(&["satisfy any;", "satisfy any;", "satisfy all;"])));
    }
    if dice.percent(chance(16)) {
        found.push(line(dice.one(&["autoindex on;", "autoindex off;"])));
    }
    if dice.percent(chance(18)) {
        found.push(line(&format!(
            "index {};",
            dice.one(&[
                "index.html",
                "index.php index.html",
                "nothing.html",
                "index.htm index.html",
                "x.txt /index.html",
                "index.php"
            ])
        )));
    }
    if dice.percent(chance(18)) {
        found.push(line(&format!(
            "error_page {};",
            dice.one(&[
                "403 /403.html",
                "403 404 /404.html",
                "403 =200 /index.html",
                "404 = @fallback",
                "403 =404 /404.html",
                "401 403 @fallback",
                "500 502 /50x.html",
                "403 http://b.test/",
                "403 =444 /x",
                "403 = /x.php",
                "401 =403 /403.html",
                "404 403 = /f",
                "403 = /x.php",
                "401 =403 /403.html",
                "404 403 = /f",
                "404 =403 /none.html",
                "405 =200 /index.html",
                "403 /private/z.txt",
            ])
        )));
    }
    if dice.percent(chance(14)) {
        found.push(line(&format!(
            "try_files {};",
            dice.one(&[
                "$uri $uri/ =404",
                "$uri =403",
                "$uri/ /index.html",
                "$uri $uri/ @fallback",
                "/none $uri.html /a/x.txt",
                "$uri $uri/index.html =404",
                "$uri $uri/",
                "/f =404",
                "$uri /private/z.txt",
            ])
        )));
        // Two of them are refused, and http has none.
        if level == Level::Http {
            found.pop();
        }
    }
    if dice.percent(chance(9)) {
        found.push(line(dice.one(&[
            "disable_symlinks on;",
            "disable_symlinks if_not_owner;",
            "disable_symlinks on from=@ROOT@/www;",
            "disable_symlinks off;",
            "disable_symlinks if_not_owner from=$document_root;",
        ])));
    }
    if dice.percent(chance(6)) {
        found.push(line("recursive_error_pages on;"));
    }
    if dice.percent(chance(10)) {
        found.push(line(dice.one(&[
            "auth_request /sub;",
            "auth_request /sub;",
            "auth_request off;",
            "auth_request /none;",
            "auth_request /a/x.txt;",
            "auth_request /private/;",
        ])));
    }
    if dice.percent(chance(6)) {
        // None of these changes who may see what.
        found.push(line(dice.one(&[
            "add_header X-Frame-Options DENY always;",
            "log_not_found off;",
            "server_tokens off;",
            "etag off;",
            "expires 1d;",
            "gzip on;",
            "absolute_redirect off;",
            "port_in_redirect off;",
            "server_name_in_redirect on;",
            "chunked_transfer_encoding off;",
            "keepalive_timeout 5;",
            "sendfile off;",
            "limit_rate 100k;",
            "client_max_body_size 1;",
            "open_file_cache max=10;",
            "if_modified_since before;",
            "max_ranges 0;",
            "types { text/html php; }",
        ])));
    }
    if dice.percent(chance(4)) {
        found.push(line(dice.one(&["mirror /none;", "gzip_static on;"])));
    }
    if level == Level::Server && dice.percent(8) {
        found.push(line(dice.one(&[
            "merge_slashes off;",
            "underscores_in_headers on;",
            "ignore_invalid_headers off;",
            "large_client_header_buffers 4 8k;",
        ])));
    }
    if level != Level::Http && dice.percent(chance(5)) {
        found.push(line(dice.one(&[
            "secure_link $arg_x,$arg_y;\n        secure_link_md5 \"$secure_link_expires$uri k\";",
            "secure_link $cookie_k;\n        secure_link_md5 k;",
        ])));
    }
    if dice.percent(chance(7)) {
        found.push(line(dice.one(&[
            "set_real_ip_from 127.0.0.1;",
            "set_real_ip_from 10.0.0.0/8;",
            "set_real_ip_from 0.0.0.0/0;",
        ])));
        found.push(line("real_ip_header X-Forwarded-For;"));
        if dice.percent(40) {
            found.push(line("real_ip_recursive on;"));
        }
    }
    if level == Level::Server || dice.percent(chance(6)) && level == Level::Location {
        found.push(line(dice.one(&[
            "valid_referers none blocked *.a.test;",
            "valid_referers *.a.test;",
            r"valid_referers none *.a.test ~\.test/;",
        ])));
    }
    found
}

fn limit_except(dice: &mut Dice) -> Block {
    let methods = dice.one(&["GET", "GET POST", "POST", "PUT DELETE"]);
    let mut inside = Vec::new();
    if dice.percent(50) {
        inside.push(line(&format!("allow {};", dice.one(&NETS))));
    }
    inside.push(line("deny all;"));
    Block::new(&format!("limit_except {methods}"), inside)
}

const CONDITIONS: [&str; 30] = [
    "$half",
    "$mixed",
    "$invalid_referer",
    "$secure_link",
    "$secure_link = 0",
    "-x $request_filename",
    "!-x $document_root$uri",
    "$scheme = http",
    "$remote_addr ~ ^10",
    "$request_uri ~ //",
    "$server_port = 8080",
    "$is_args",
    "$bad_agent",
    "$bad_agent = 2",
    "$by_net",
    "$by_uri",
    "$request_method = POST",
    "$request_method !~ ^(GET|HEAD)$",
    "-f $request_filename",
    "!-e $request_filename",
    "-d $request_filename",
    "$http_x_key = shut",
    r"$args ~ (\.\.|debug)",
    "$arg_x = 1",
    "$cookie_k",
    "$uri ~* ^/a/(.*)$",
    "$http_referer ~ evil",
    "$host != a.test",
    "$flag",
    "!-f $document_root/f",
];

const RETURNS: [&str; 9] = [
    "return 403;",
    "return 403;",
    "return 403;",
    "return 404;",
    "return 204;",
    "return 444;",
    "return 301 /a/;",
    r#"return 200 "ok";"#,
    "return http://b.test/;",
];

/// Directives of the rewrite module, at server or location level.
fn rewrites(dice: &mut Dice, chance: usize) -> Vec<Block> {
    let mut found = Vec::new();
    if dice.percent(chance) {
        found.push(line(dice.one(&["set $flag 1;", "set $flag $arg_x;", r#"set $flag "";"#, "set $flag 0;"])));
    } else {
        found.push(line(r#"set $flag "";"#));
    }
    if dice.percent(chance) {
        let mut inside = vec![line(&rewrite_or_return(dice))];
        if dice.percent(25) {
            inside.push(line(dice.one(&["set $flag 1;", "break;", "set $flag 0;"])));
        }
        found.push(Block::new(&format!("if ({})", dice.one(&CONDITIONS)), inside));
    }
    if dice.percent(chance / 2) {
        found.push(line(&rewrite_or_return(dice)));
    }
    found
}

fn rewrite_or_return(dice: &mut Dice) -> String {
    if dice.percent(60) {
        return dice.one(&RETURNS).to_owned();
    }
    let pattern = dice.one(&["^/old/(.*)$", "^/api/(.*)$", "^/a/(.*)$", r"\.txt$", "^(.*)$", "^/none", "/$"]);
    let to =
        dice.one(&["/a/$1", "/private/z.txt", "/none", "/index.html", "/b/$1?x=2", "/a/b/y.txt", "http://b.test/$1"]);
    let to = if pattern.contains('(') { to.to_owned() } else { to.replace("$1", "") };
    format!("rewrite {pattern} {to}{};", dice.one(&["", " last", " break", " redirect", " permanent"]))
}

fn uri_map(dice: &mut Dice) -> Vec<Block> {
    let mut inside = vec![line(dice.one(&[r#"default "";"#, "default 0;", "default 1;"]))];
    inside.push(line(dice.one(&["/a/x.txt 1;", "~^/private/ 1;", r"~*\.PHP$ yes;", "~^/(?<first>[^/]+)/ $first;"])));
    inside
}

fn geo(dice: &mut Dice) -> Vec<Block> {
    let mut inside = vec![line("default 0;")];
    for _ in 0..1 + dice.below(2) {
        let net = dice.one(&NETS);
        if !inside.iter().any(|other: &Block| other.text.starts_with(net)) {
            inside.push(line(&format!("{net} {};", dice.one(&["1", "0", r#""""#]))));
        }
    }
    inside
}

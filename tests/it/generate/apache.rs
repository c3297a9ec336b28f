//! Apache configurations by chance, from a small grammar of whatever decides a status.

use super::dice::Dice;
use super::tree::{NETS, Tree};
use super::{Block, Configuration, line};

/// The hosts that requests name: two served ones, one that no server has.
pub const HOSTS: [&str; 4] = ["a.test", "www.a.test", "b.test", "none.test"];

const MODULES: [&str; 24] = [
    "proxy",
    "proxy_http",
    "cgid",
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_host",
    "authz_user",
    "authz_groupfile",
    "access_compat",
    "auth_basic",
    "alias",
    "dir",
    "autoindex",
    "mime",
    "rewrite",
    "setenvif",
    "headers",
    "env",
    "remoteip",
    "allowmethods",
    "negotiation",
    "actions",
];

/// A whole main file, and some `.htaccess` files.
pub fn config(dice: &mut Dice, tree: &Tree) -> Configuration {
    let mut main = vec![
        line("ServerRoot \"@ROOT@\""),
        line("Listen @PORT@"),
        line("PidFile \"@ROOT@/logs/httpd.pid\""),
        line("ErrorLog \"@ROOT@/logs/error.log\""),
        line("LogLevel info"),
        line("ServerName localhost"),
        line("User www-data"),
        line("Group www-data"),
    ];
    main.extend(
        MODULES.map(|module| line(&format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so"))),
    );
    main.push(line("TypesConfig /dev/null"));
    let closed = [line("Require all denied"), line("AllowOverride None")];
    let open = [line("Require all granted"), line("Options FollowSymLinks")];
    main.push(Block::section("Directory", "/", if dice.percent(65) { closed } else { open }));
    main.push(line("DocumentRoot \"@ROOT@/www\""));
    let mut root = vec![line(dice.one(&[
        "AllowOverride All",
        "AllowOverride All",
        "AllowOverride AuthConfig Limit",
        "AllowOverride None",
        "AllowOverride FileInfo Options=Indexes",
    ]))];
    root.push(line(dice.one(&[
        "Require all granted",
        "Require all granted",
        "Require all granted",
        "Order allow,deny\n    Allow from all",
    ])));
    root.extend(settings(dice, Place::Directory, 8));
    main.push(Block::section("Directory", "\"@ROOT@/www\"", root));
    if dice.percent(60) {
        main.push(Block::section("Directory", "\"@ROOT@/other\"", [line("Require all granted")]));
    }
    if dice.percent(70) {
        main.push(Block::section("Files", "\".ht*\"", [line("Require all denied")]));
    }
    if dice.percent(30) {
        main.push(line("RemoteIPHeader X-Forwarded-For"));
        main.push(line(dice.one(&[
            "RemoteIPTrustedProxy 127.0.0.1",
            "RemoteIPInternalProxy 10.0.0.0/8",
            "RemoteIPInternalProxy 127.0.0.1 10.0.0.0/24",
        ])));
    }
    if dice.percent(12) {
        main.push(line(dice.one(&[
            "AllowEncodedSlashes On",
            "AllowEncodedSlashes NoDecode",
            "MergeSlashes Off",
            "TraceEnable off",
            "AccessFileName .acl .htaccess",
            "HttpProtocolOptions Unsafe",
            "TraceEnable extended",
            "LimitRequestFields 3",
        ])));
    }
    if dice.percent(12) {
        main.push(Block::section(
            "IfModule",
            dice.one(&["rewrite_module", "!mod_rewrite.c", "mod_none.c", "mod_alias.c"]),
            [line("Redirect 403 /docs")],
        ));
    }
    if dice.percent(10) {
        main.push(line(dice.one(&[
            "ScriptAlias /pass/ \"@ROOT@/www/a/\"",
            "ProxyPass /pass/ http://127.0.0.1:8081/",
            "ProxyPass /a/ http://127.0.0.1:8081/",
        ])));
    }
    main.extend(server_settings(dice));
    for _ in 0..1 + dice.below(4) {
        main.push(section(dice, 0));
    }
    if dice.percent(40) {
        let mut inside = vec![line("ServerName b.test"), line("DocumentRoot \"@ROOT@/www\"")];
        inside.extend(server_settings(dice));
        for _ in 0..1 + dice.below(2) {
            inside.push(section(dice, 0));
        }
        main.push(Block::section(
            "VirtualHost",
            "*:@PORT@",
            [line("ServerName a.test"), line("ServerAlias www.a.test"), line("DocumentRoot \"@ROOT@/www\"")],
        ));
        main.push(Block::section("VirtualHost", "*:@PORT@", inside));
    }
    let mut configs = vec![("conf/httpd.conf".to_owned(), main)];
    for dir in ["www", "www/a", "www/private", "www/docs", "www/a/b"] {
        let there = tree.files.iter().any(|(file, _)| file.starts_with(&format!("{dir}/")));
        if there && dice.percent(16) {
            let mut inside = settings(dice, Place::Htaccess, 30);
            if dice.percent(25) {
                inside.push(Block::section("Files", dice.one(&["x.txt", "\"*.php\"", "index.html"]), access(dice)));
            }
            configs.push((format!("{dir}/.htaccess"), inside));
        }
    }
    let passwords = "alice:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\nbob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
    let files = vec![
        ("conf/htpasswd".to_owned(), passwords.to_owned()),
        ("conf/groups".to_owned(), "staff: alice carol\nguests: bob\n".to_owned()),
    ];
    Configuration { configs, files }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Directory,
    Location,
    Files,
    Htaccess,
}

fn section(dice: &mut Dice, depth: usize) -> Block {
    let (name, argument, place) = match dice.below(12) {
        0..4 => (
            "Directory",
            dice.one(&[
                "\"@ROOT@/www/a\"",
                "\"@ROOT@/www/private\"",
                "\"@ROOT@/www/*\"",
                "\"@ROOT@/other\"",
                "\"@ROOT@/www/a/b\"",
                "~ \"/www/(a|docs)\"",
            ]),
            Place::Directory,
        ),
        4 => ("DirectoryMatch", dice.one(&["\"/\\.git\"", "\"/www/a/\"", "\"private\""]), Place::Directory),
        5..8 => (
            "Location",
            dice.one(&["/a", "/a/", "/private", "/", "/docs/readme.html", "\"/a/*\"", "/none"]),
            Place::Location,
        ),
        8 => ("LocationMatch", dice.one(&["\"^/(a|img)/\"", "\"\\.php$\"", "\"(?i)/A/\""]), Place::Location),
        9 => ("Files", dice.one(&["x.txt", "\"*.php\"", "\".hidden\"", "index.html"]), Place::Files),
        10 => ("FilesMatch", dice.one(&["\"\\.(txt|png)$\"", "\"^\\.\"", "\"^index\""]), Place::Files),
        _ => (
            "If",
            dice.one(&[
                "\"%{REMOTE_ADDR} -ipmatch '10.0.0.0/8'\"",
                "\"! -e %{REQUEST_FILENAME}\"",
                "\"%{REMOTE_USER} == 'alice'\"",
                "\"%{ENV:bad} == '1'\"",
                "true",
                "\"%{REQUEST_URI} -strmatch '/a/*'\"",
                "\"%{REQUEST_METHOD} == 'POST'\"",
                "\"%{HTTP_USER_AGENT} =~ /badbot/i\"",
                "\"-R '10.0.0.0/8'\"",
                "\"%{REQUEST_URI} =~ m#^/a/#\"",
                "\"%{HTTP_HOST} == 'a.test'\"",
                "\"-z %{HTTP_REFERER}\"",
                "\"%{QUERY_STRING} =~ /x=1/\"",
            ]),
            Place::Files,
        ),
    };
    let mut inside = settings(dice, place, 22);
    if depth == 0 && name == "Directory" && dice.percent(15) {
        inside.push(Block::section("Files", "x.txt", access(dice)));
    }
    if inside.is_empty() {
        inside = access(dice);
    }
    Block::section(name, argument, inside)
}

fn settings(dice: &mut Dice, place: Place, chance: usize) -> Vec<Block> {
    let mut found = Vec::new();
    if dice.percent(chance + 18) {
        found.extend(access(dice));
    }
    if dice.percent(chance) {
        found.push(line(&format!(
            "Options {}",
            dice.one(&[
                "Indexes",
                "+Indexes",
                "-Indexes",
                "FollowSymLinks",
                "SymLinksIfOwnerMatch",
                "None",
                "All",
                "-FollowSymLinks +SymLinksIfOwnerMatch",
                "Indexes FollowSymLinks",
                "+MultiViews",
                "-FollowSymLinks"
            ])
        )));
    }
    if dice.percent(chance / 2) {
        found.push(line(&format!(
            "DirectoryIndex {}",
            dice.one(&[
                "index.html",
                "index.php index.html",
                "nothing.html",
                "disabled",
                "x.txt /index.html",
                "index.htm"
            ])
        )));
    }
    if dice.percent(chance / 2) {
        found.push(line(&format!(
            "ErrorDocument {}",
            dice.one(&[
                "403 /403.html",
                "403 \"no\"",
                "404 /404.html",
                "403 /private/z.txt",
                "401 /403.html",
                "403 http://b.test/",
                "404 /none.html",
                "403 default"
            ])
        )));
    }
    if place == Place::Directory && dice.percent(chance) {
        found.push(line(&format!(
            "AllowOverride {}",
            dice.one(&["All", "None", "AuthConfig", "Limit", "Indexes FileInfo", "Options", "Nonfatal=All AuthConfig"])
        )));
    }
    if dice.percent(chance / 2) {
        found.extend(rewrites(dice, place));
    }
    if dice.percent(chance / 3) {
        found.push(line(dice.one(&[
            "SetEnvIf User-Agent badbot bad",
            "SetEnvIfNoCase Referer evil bad",
            "SetEnvIf Request_URI \"^/a/\" good",
            "SetEnv good 1",
            "BrowserMatch curl good",
        ])));
    }
    if place != Place::Files && dice.percent(chance / 3) {
        found.push(line(dice.one(&[
            "RedirectMatch 403 \"\\.php$\"",
            "Redirect gone /old",
            "Redirect 301 /old /a/",
            "RedirectMatch 404 /\\.git",
            "Redirect 403 /private",
        ])));
        if place == Place::Location || place == Place::Directory && dice.percent(50) {
            found.pop();
        }
    }
    if place == Place::Directory && dice.percent(chance / 4) {
        found.push(line(dice.one(&["AllowMethods GET", "AllowMethods GET POST OPTIONS", "AllowMethods reset"])));
    }
    if dice.percent(chance / 5) {
        found.push(line(dice.one(&[
            "AcceptPathInfo On",
            "AcceptPathInfo Default",
            "SetHandler none",
            "SetHandler default-handler",
            "DirectoryIndexRedirect on",
            "IndexIgnore *",
            "AddType text/plain .php",
            "FileETag None",
            "AcceptPathInfo Off",
            "DirectorySlash Off",
            "FallbackResource /index.html",
            "FallbackResource disabled",
        ])));
    }
    found
}

/// Who may come in.
fn access(dice: &mut Dice) -> Vec<Block> {
    let mut found = Vec::new();
    match dice.below(100) {
        0..48 => found.push(requirement(dice, 0)),
        48..62 => {
            let mut inside = vec![requirement(dice, 1)];
            inside.push(requirement(dice, 1));
            if dice.percent(35) {
                inside.push(line(&format!("Require not ip {}", dice.one(&NETS))));
            }
            let name = dice.one(&["RequireAll", "RequireAny"]);
            if name == "RequireAny" {
                inside
                    .retain(|block| !block.text.starts_with("Require not") && !block.text.starts_with("<RequireNone"));
            }
            found.push(Block::section(name, "", inside));
        }
        // Alone it would have no effect, and the server says so and stops.
        62..68 => {
            let none = Block::section("RequireNone", "", [requirement(dice, 2)]);
            found.push(Block::section("RequireAll", "", [line("Require all granted"), none]));
        }
        68..88 => {
            found.push(line(dice.one(&["Order allow,deny", "Order deny,allow", "Order Deny,Allow"])));
            for _ in 0..dice.below(3) {
                let from = dice.one(&[
                    "all",
                    "10.0.0.0/8",
                    "10.0.0.5",
                    "10.",
                    "192.168.1",
                    "2001:db8::/32",
                    "env=bad",
                    "env=good",
                    "env=!bad",
                    "203.0.113.0/255.255.255.0",
                ]);
                found.push(line(&format!("{} from {from}", dice.one(&["Allow", "Deny"]))));
            }
        }
        _ => {
            let inside = [line("Require all denied")];
            found.push(Block::section(
                dice.one(&["Limit", "LimitExcept"]),
                dice.one(&["GET", "POST PUT", "GET POST"]),
                inside,
            ));
        }
    }
    if dice.percent(25) {
        found.push(line("AuthType Basic"));
        found.push(line("AuthName closed"));
        found.push(line(dice.one(&[
            "AuthUserFile \"@ROOT@/conf/htpasswd\"",
            "AuthUserFile conf/htpasswd",
            "AuthUserFile conf/missing",
        ])));
        found.push(line("AuthGroupFile conf/groups"));
        found.push(line(dice.one(&[
            "Require valid-user",
            "Require user alice",
            "Require group staff",
            "Require user bob carol",
        ])));
    }
    if dice.percent(10) {
        found.push(line(dice.one(&["Satisfy Any", "Satisfy All"])));
    }
    if dice.percent(6) {
        found.push(line(dice.one(&["AuthMerging And", "AuthMerging Or", "AuthMerging Off"])));
    }
    found
}

fn requirement(dice: &mut Dice, depth: usize) -> Block {
    if depth == 1 && dice.percent(12) {
        let inside = [requirement(dice, 2), requirement(dice, 2)];
        return Block::section(dice.one(&["RequireAll", "RequireAny"]), "", inside);
    }
    let text = match dice.below(14) {
        0..3 => "Require all denied".to_owned(),
        3..5 => "Require all granted".to_owned(),
        5..9 => format!("Require ip {}", dice.one(&NETS)),
        9 => dice.one(&["Require local", "Require local", "Require valid-user", "Require user alice"]).to_owned(),
        10 => format!("Require method {}", dice.one(&["GET", "POST", "GET HEAD", "PUT DELETE"])),
        11 => format!("Require env {}", dice.one(&["good", "bad"])),
        12 => format!(
            "Require expr {}",
            dice.one(&[
                "\"%{REMOTE_ADDR} == '10.0.0.5'\"",
                "%{HTTP_USER_AGENT}=~/curl/",
                "\"-n req('X-Key')\"",
                "\"%{REQUEST_METHOD} != 'POST'\""
            ])
        ),
        _ => "Require ip 10.0.0.5 203.0.113.0/24".to_owned(),
    };
    line(&text)
}

fn rewrites(dice: &mut Dice, place: Place) -> Vec<Block> {
    if place == Place::Files || place == Place::Location {
        return Vec::new();
    }
    let mut found = vec![line(if dice.percent(92) { "RewriteEngine On" } else { "RewriteEngine Off" })];
    for _ in 0..1 + dice.below(2) {
        if dice.percent(45) {
            found.push(line(&format!(
                "RewriteCond {}",
                dice.one(&[
                    "%{HTTP_USER_AGENT} badbot [NC]",
                    "%{REQUEST_FILENAME} !-f",
                    "%{REQUEST_FILENAME} -d",
                    "%{QUERY_STRING} x=1",
                    "%{REQUEST_METHOD} !^(GET|HEAD)$",
                    "%{HTTP_REFERER} !^http://(www\\.)?a\\.test [NC]",
                    "%{REMOTE_ADDR} ^10\\.",
                    "%{HTTP_HOST} =a.test",
                    "%{REQUEST_URI} ^/a/",
                    "%{ENV:good} =1",
                    "%{REQUEST_FILENAME} -l",
                    "%{THE_REQUEST} \\s/a",
                    "%{REMOTE_ADDR} !^127",
                    "%{HTTPS} off",
                    "expr \"%{REQUEST_METHOD} == 'GET'\"",
                    "%{REQUEST_URI} -U",
                ])
            )));
        }
        found.push(line(&format!(
            "RewriteRule {}",
            dice.one(&[
                "\\.php$ - [F]",
                "^ - [F]",
                "^old/(.*)$ /a/$1 [R=301]",
                "^/?a/(.*)$ /private/$1",
                "\\.txt$ - [F,L]",
                "^/?none /index.html [L]",
                "^(.*)$ - [E=good:1]",
                "^/?api/ - [G]",
                "\\.png$ - [R=404]",
                "^/?docs/ /a/x.txt [PT]",
                "^/?img/ - [END]",
                "^index\\.html$ - [L]",
                "^(.*)\\.html$ $1.txt [L]",
                "^ - [R=403]",
                "^/?a/b - [F,NC]",
                "!\\.html$ - [F]",
                "^/?old http://b.test/ [R,L]",
                "^ - [S=1]",
                "^/?private - [CO=a:b:c,F]",
                "^/?f$ /a/ [N=3]",
                "^/?up/(.*) /other/$1",
            ])
        )));
    }
    found
}

fn server_settings(dice: &mut Dice) -> Vec<Block> {
    let mut found = Vec::new();
    if dice.percent(35) {
        found.push(line(&format!(
            "Alias {}",
            dice.one(&[
                "/old \"@ROOT@/other\"",
                "/a/out \"@ROOT@/other\"",
                "/up/ \"@ROOT@/other/\"",
                "/api \"@ROOT@/www/a\"",
                "/none \"@ROOT@/www/private\""
            ])
        )));
    }
    if dice.percent(20) {
        found.push(line(dice.one(&[
            "AliasMatch \"^/old/(.*)$\" \"@ROOT@/www/a/$1\"",
            "RedirectMatch 403 \"/\\.git\"",
            "Redirect 404 /private",
            "Redirect gone /img",
            "RedirectMatch 301 ^/api /a/",
        ])));
    }
    if dice.percent(18) {
        found.extend(rewrites(dice, Place::Directory));
    }
    if dice.percent(20) {
        found.push(line(&format!(
            "ErrorDocument {}",
            dice.one(&["403 /403.html", "403 \"no\"", "404 /404.html", "401 /index.html", "403 /none"])
        )));
    }
    if dice.percent(30) {
        found.push(line(dice.one(&[
            "SetEnvIf User-Agent badbot bad",
            "SetEnvIfNoCase User-Agent curl good",
            "SetEnvIf Remote_Addr ^10\\. good",
            "SetEnvIf Referer evil bad",
        ])));
    }
    found
}

//! Apache: a virtual host on a port of its own for each group.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Ask, Audited, CHANGED, SIZE, Variant, conditions, put, some_conditions};
use crate::servers::Real;

/// The first virtual host's port.
const PORT: usize = 20_000;
/// Added to a virtual host's port: the same host over TLS.
const TLS: usize = 10_000;

/// Where a directive stands.
const MAIN: usize = 0;
const VHOST: usize = 1;
const DIRECTORY: usize = 2;
const HTACCESS: usize = 3;

/// Debian's Apache 2.4 with every module that it can load.
pub struct Apache;

/// Where the modules are.
const MODULES: &str = "/usr/lib/apache2/modules";

/// Modules that others need, in an order in which they can be loaded.
const FIRST: [&str; 13] = [
    "mpm_event",
    "authn_core",
    "authz_core",
    "ldap",
    "proxy",
    "cache",
    "dav",
    "dbd",
    "session",
    "slotmem_shm",
    "socache_shmcb",
    "watchdog",
    "xml2enc",
];

/// Linked into the binary.
const BUILTIN: [&str; 8] = ["core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd"];

mod lines;
use lines::{LINES, MAIN_ONLY, NOT_IN_HTACCESS, UNTRIED};

#[derive(serde::Deserialize)]
struct Grammar {
    directives: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    modules: Vec<String>,
    args: String,
    #[serde(rename = "where")]
    places: String,
    effect: String,
}

impl Row {
    fn lines(&self) -> Vec<String> {
        let name = &self.name;
        match LINES.iter().find(|(known, _)| known == name) {
            Some((_, lines)) => lines.iter().map(|line| (*line).to_owned()).collect(),
            None if self.args == "flag" => vec![format!("{name} On"), format!("{name} Off")],
            None => vec![format!("{name} 1")],
        }
    }

    fn places(&self) -> Vec<usize> {
        let words: BTreeSet<&str> = self.places.split(' ').collect();
        let has = |word: &&str| words.contains(*word);
        let class = ["Limit", "Options", "FileInfo", "AuthConfig", "Indexes", "All"].iter().any(has);
        let mut places = Vec::new();
        if has(&"server") {
            places.push(if MAIN_ONLY.contains(&self.name.as_str()) { MAIN } else { VHOST });
        }
        if has(&"directory") || class {
            places.push(DIRECTORY);
        }
        if class && !NOT_IN_HTACCESS.contains(&self.name.as_str()) {
            places.push(HTACCESS);
        }
        places
    }
}

fn loaded() -> std::io::Result<Vec<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(MODULES)? {
        let file = entry?.file_name().to_string_lossy().into_owned();
        names.extend(file.strip_prefix("mod_").and_then(|name| name.strip_suffix(".so")).map(str::to_owned));
    }
    let first = FIRST.iter().map(|name| (*name).to_owned()).filter(|name| names.contains(name));
    let rest = names.iter().filter(|name| !FIRST.contains(&name.as_str()) && !name.starts_with("mpm_"));
    Ok(first.chain(rest.cloned()).collect())
}

impl Audited for Apache {
    fn real(&self) -> Real {
        Real::Apache
    }

    fn variants(&self) -> Vec<Variant> {
        let grammar: Grammar =
            toml::from_str(include_str!("../../../grammars/apache.toml")).expect("grammars/apache.toml");
        let mut modules: BTreeSet<String> = loaded().expect(MODULES).into_iter().collect();
        modules.extend(BUILTIN.map(str::to_owned));
        let tried = |row: &&Row| {
            row.effect == "inert"
                && row.modules.iter().any(|module| modules.contains(module))
                && !UNTRIED.iter().any(|(name, _)| *name == row.name)
        };
        let mut variants = Vec::new();
        for row in grammar.directives.iter().filter(tried) {
            for line in row.lines() {
                // Indented like its neighbours, a line tells which of its places a refusal is about.
                let indented = format!("  {}", line.replace('\n', "\n  "));
                let placed = |place| if place == DIRECTORY { indented.clone() } else { line.clone() };
                let variant = |place| Variant { name: row.name.clone(), line: placed(place), place };
                variants.extend(row.places().into_iter().map(variant));
            }
        }
        variants
    }

    fn untried(&self) -> &'static [(&'static str, &'static str)] {
        UNTRIED
    }

    fn shared(&self, variant: &Variant) -> bool {
        variant.place == MAIN
    }

    fn config(&self, root: &Path, groups: &[Vec<Variant>]) -> String {
        let lines = |place: usize, group: &[Variant]| -> String {
            group.iter().filter(|it| it.place == place).map(|it| format!("{}\n", it.line)).collect()
        };
        let mut text = String::new();
        for module in loaded().unwrap_or_default() {
            text += &format!("LoadModule {module}_module {MODULES}/mod_{module}.so\n");
        }
        text += HEAD;
        for group in groups {
            text += &lines(MAIN, group);
        }
        for (server, group) in groups.iter().enumerate() {
            let (port, tls) = (PORT + server, PORT + TLS + server);
            let host = HOST
                .replace("@VHOST@\n", &lines(VHOST, group))
                .replace("@DIRECTORY@\n", &lines(DIRECTORY, group))
                .replace("@SERVER@", &server.to_string());
            text += &format!("Listen 127.0.0.1:{port}\n<VirtualHost *:{port}>\n{host}</VirtualHost>\n");
            text += &format!("Listen 127.0.0.1:{tls}\n<VirtualHost *:{tls}>\n{host}{ENCRYPTED}</VirtualHost>\n");
        }
        text.replace("@ROOT@", &root.to_string_lossy())
    }

    fn files(&self, root: &Path, groups: &[Vec<Variant>]) -> Vec<(String, String)> {
        let file = |(server, group): (usize, &Vec<Variant>)| {
            let lines = group.iter().filter(|it| it.place == HTACCESS).map(|it| format!("{}\n", it.line));
            let text: String = lines.collect();
            (format!("www/.ht-{server}"), text.replace("@ROOT@", &root.to_string_lossy()))
        };
        groups.iter().enumerate().map(file).collect()
    }

    fn url(&self, server: usize, path: &str) -> String {
        match path.strip_prefix("tls:") {
            Some(path) => format!("https://localhost:{}{path}", PORT + TLS + server),
            None => format!("http://localhost:{}{path}", PORT + server),
        }
    }

    fn furnish(&self, root: &Path) -> std::io::Result<()> {
        let www = root.join("www");
        for place in PLACES {
            put(&www.join(place).join("file.html"), &"a line of html\n".repeat(SIZE / 15))?;
            put(&www.join(place).join("file.txt"), &"a line of text\n".repeat(SIZE / 15))?;
        }
        fs::create_dir_all(www.join("empty"))?;
        fs::create_dir_all(www.join("forbidden"))?;
        put(&www.join("choice/page.html.en"), "english\n")?;
        put(&www.join("choice/page.html.de"), "deutsch\n")?;
        put(
            &www.join("choice/map.var"),
            "URI: page.html.en\nContent-Language: en\n\nURI: page.html.de\nContent-Language: de\n",
        )?;
        put(&www.join("asis/gone.asis"), "Status: 410 Gone\nContent-Type: text/plain\n\ngone\n")?;
        put(
            &www.join("asis/dated.asis"),
            &format!("Last-Modified: {}\nContent-Type: text/plain\n\nbody\n", CHANGED.1),
        )?;
        put(&www.join("script/answer"), SCRIPT)?;
        let executable = |path: &Path| fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755));
        executable(&www.join("script/answer"))?;
        put(&www.join("ssi/marked.html"), &"a line of html\n".repeat(SIZE / 15))?;
        executable(&www.join("ssi/marked.html"))?;
        put(&www.join("ssi/include.html"), "<!--#include virtual=\"/missing\" -->\n")?;
        put(&www.join("plain.unknown"), "%PDF-1.4 and so on\n")?;
        put(&root.join("conf/users"), "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n")?;
        put(&root.join("conf/digest"), "alice:realm:0123456789abcdef0123456789abcdef\n")?;
        put(&root.join("conf/mime.types"), "text/html html\ntext/plain txt\n")?;
        put(&root.join("conf/magic"), "0 string %PDF- application/pdf\n")?;
        put(&root.join("conf/passphrase"), "#!/bin/sh\necho secret\n")?;
        executable(&root.join("conf/passphrase"))?;
        put(&root.join("conf/ticket.key"), &"k".repeat(48))?;
        let openssl = |arguments: &str| {
            let done = Command::new("openssl").args(arguments.split(' ')).current_dir(root.join("conf")).output()?;
            let failed =
                || std::io::Error::other(format!("openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr)));
            if done.status.success() { Ok(()) } else { Err(failed()) }
        };
        openssl("req -x509 -newkey rsa:2048 -nodes -keyout site.key -out site.crt -days 30 -subj /CN=localhost")?;
        let pair = fs::read_to_string(root.join("conf/site.crt"))? + &fs::read_to_string(root.join("conf/site.key"))?;
        put(&root.join("conf/pair.pem"), &pair)?;
        fs::create_dir_all(root.join("conf/certificates"))?;
        put(&root.join("conf/crl.index"), "")?;
        put(
            &root.join("conf/ca.cnf"),
            "[ca]\ndefault_ca=own\n[own]\ndatabase=crl.index\ndefault_md=sha256\ndefault_crl_days=30\n",
        )?;
        openssl("ca -gencrl -config ca.cnf -keyfile site.key -cert site.crt -out crl.pem")
    }

    fn requests(&self) -> Vec<Ask> {
        const OLD: &str = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
        let etag = format!("\"{SIZE:x}-{:x}\"", CHANGED.0 * 1_000_000);
        let long = |length: usize| "x".repeat(length);
        let mut asks = conditions("/file.html", &etag);
        // Where ranges are cut from what a filter made, the program asks; so only the conditions are of interest here.
        for place in FILTERED {
            let is_condition = |ask: &Ask| !ask.headers.iter().any(|(name, _)| *name == "Range");
            asks.extend(some_conditions(&format!("/{place}/file.html"), &etag).into_iter().filter(is_condition));
            asks.extend(some_conditions(&format!("/{place}/file.txt"), &etag).into_iter().take(3));
        }
        asks.extend(PATHS.iter().map(|path| Ask::get(path)));
        asks.extend([
            Ask::get("/auth/file.html").header("Authorization", "Basic YWxpY2U6c2VjcmV0"),
            Ask::get("/auth/file.html").header("Authorization", "Basic YWxpY2U6d3Jvbmc="),
            Ask::get("/digest/file.html").header("Authorization", "Digest username=\"alice\""),
            Ask::get("/file.html").method("HEAD"),
            Ask::get("/file.html").method("TRACE"),
            Ask::get("/file.html").method("OPTIONS"),
            Ask::get("/file.html").method("DELETE"),
            Ask::get("/file.html").method("WHATEVER"),
            Ask::get("/file.html").method("POST").header("Content-Length", "0"),
            Ask::get("/file.html").method("PUT").header("Content-Length", "0"),
            Ask::get("/limited/file.html").method("POST").header("Content-Length", "2000000"),
            Ask::get("/file.html").method("POST").header("Content-Encoding", "gzip").header("Content-Length", "0"),
            Ask::get("/proxy/a").method("POST").header("Content-Length", "0"),
            Ask::get("/proxy/a").header("Authorization", "Basic YWxpY2U6c2VjcmV0"),
            Ask::get("/dav/file.html").method("PROPFIND").header("Depth", "0"),
            Ask::get("/dav/").method("PROPFIND").header("Depth", "infinity"),
            Ask::get("/dav/file.html").method("LOCK").header("Content-Length", "0"),
            Ask::get("/dav/file.html").method("PROPPATCH").header("Content-Length", "0"),
            Ask::get("/dav/missing").method("DELETE"),
            Ask::get("/dav/file.html").method("MKCOL"),
            Ask::get("/script/answer").method("POST").header("Content-Length", "0"),
            Ask::get("/choice/page").header("Accept-Language", "de"),
            Ask::get("/choice/page").header("Accept-Language", "fr").header("Accept", "image/png"),
            Ask::get("/choice/map.var").header("Accept-Language", "de"),
            Ask::get("/asis/dated.asis").header("If-Modified-Since", CHANGED.1),
            Ask::get("/list/").header("If-Modified-Since", CHANGED.1),
            Ask::get("/missing").header("Range", "bytes=0-1"),
            Ask::get("/caught").header("Range", "bytes=0-1").header("If-Modified-Since", CHANGED.1),
            Ask::get("/file.html").header("X-Long", &long(7000)),
            Ask::get("/file.html").header("X-Long", &long(9000)),
            Ask::get(&format!("/{}", long(200))),
            Ask::get(&format!("/{}", long(9000))),
            Ask::get("/file.html").header("X_Under", "b"),
            Ask::get("/judged/file.html").header("X-Deny", "1"),
            Ask::get("/judged/file.html").header("X-Forwarded-For", "192.0.2.1"),
            Ask::get("/judged/file.html").header("Cookie", "Apache=1; session=expiry=1"),
            Ask::get("/judged/file.html").header("User-Agent", OLD),
            Ask::get("/file.html").header("Expect", "100-continue"),
            Ask::get("/file.html").header("Expect", "something"),
            Ask::get("/file.html").header("Transfer-Encoding", "gzip"),
            Ask::get("/file.html")
                .header("Upgrade", "h2c")
                .header("Connection", "Upgrade")
                .header("HTTP2-Settings", "AAMAAABkAAQAAP__"),
            Ask::get("/file.html").header("Upgrade", "TLS/1.0").header("Connection", "Upgrade"),
            Ask::get("/referer/file.html").header("Referer", "http://other.test/"),
            Ask::get("/%2e%2e/file.html").header("Host", "other.test"),
            Ask { version: "1.0", ..Ask::get("/file.html") },
            Ask { version: "1.0", ..Ask::get("/moved/") },
            Ask::get("tls:/file.html").header("If-Modified-Since", CHANGED.1),
            Ask::get("tls:/file.html").header("Range", "bytes=0-1"),
        ]);
        asks
    }
}

/// A script that says that it ran.
const SCRIPT: &str = "#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\nX-Why403-Script: 1\\r\\n\\r\\nscript\\n'\n";

/// Directories with the two files.
const PLACES: [&str; 22] = [
    "",
    "gzip",
    "brotli",
    "ssi",
    "chain",
    "substitute",
    "sed",
    "charset",
    "expires",
    "rate",
    "cached",
    "denied",
    "auth",
    "digest",
    "list",
    "dav",
    "limited",
    "judged",
    "referer",
    "local",
    "session",
    "rewritten",
];

/// Those whose answers pass filters or headers.
const FILTERED: [&str; 11] =
    ["gzip", "brotli", "ssi", "chain", "substitute", "sed", "charset", "expires", "rate", "session", "local"];

/// Asked plainly.
const PATHS: &[&str] = &[
    "/",
    "/empty",
    "/empty/",
    "/list/",
    "/list/?C=S;O=D",
    "/forbidden/",
    "/missing",
    "/missing/deeper",
    "/file.html/path/info",
    "/plain.unknown",
    "/denied/file.html",
    "/auth/file.html",
    "/digest/file.html",
    "/moved/",
    "/gone/",
    "/caught",
    "/caught-outside",
    "/rewritten/file.html",
    "/rewritten/secret",
    "/rewritten/loop",
    "/choice/page",
    "/choice/page.html",
    "/choice/map.var",
    "/choice/missing",
    "/asis/gone.asis",
    "/script/answer",
    "/script/missing",
    "/script/answer/path/info",
    "/ssi/marked.html",
    "/ssi/include.html",
    "/status",
    "/info",
    "/balancers",
    "/proxy/a",
    "/fcgi/a",
    "/scgi/a",
    "/ajp/a",
    "/uwsgi/a",
    "/balanced/a",
    "/websocket/a",
    "/~nobody/",
    "/a%2fb",
    "/%",
    "/%00",
    "/a/../../b",
    "/../b",
    "//file.html",
    "/FILE.HTML",
    "/.ht-0",
    "/judged/file.html",
    "/.well-known/acme-challenge/token",
    "/file.html?Password=x",
    "tls:/file.html",
    "tls:/missing",
    "tls:/denied/file.html",
    "tls:/encrypted/file.html",
    "/encrypted/file.html",
];

/// Before everything that is tried.
const HEAD: &str = "\
ServerRoot @ROOT@
ServerName localhost
PidFile @ROOT@/logs/httpd.pid
ErrorLog @ROOT@/logs/error.log
LogLevel emerg
User www-data
Group www-data
DefaultRuntimeDir @ROOT@/tmp
Mutex file:@ROOT@/tmp default
StartServers 1
ServerLimit 2
ThreadsPerChild 16
MaxRequestWorkers 32
MinSpareThreads 1
MaxSpareThreads 32
TypesConfig @ROOT@/conf/mime.types
ScriptSock @ROOT@/tmp/cgid.sock
DAVLockDB @ROOT@/tmp/locks
MDStoreDir @ROOT@/tmp/md
CacheRoot @ROOT@/tmp
SSLSessionCache none
SSLStaplingCache shmcb:@ROOT@/tmp/staples(128000)
";

/// Every way to an answer that a directive could have an influence on.
const HOST: &str = r#"ServerName localhost
DocumentRoot @ROOT@/www
AccessFileName .ht-@SERVER@
@VHOST@
<Directory @ROOT@/www>
Require all granted
AllowOverride All
Options FollowSymLinks
@DIRECTORY@
</Directory>
ErrorDocument 410 /file.html
ErrorDocument 409 http://localhost/elsewhere
Redirect 301 /moved /file.html
Redirect gone /gone
Redirect gone /caught
Redirect 409 /caught-outside
AddType text/html .html
AddLanguage en .en
AddLanguage de .de
<Directory @ROOT@/www/gzip>
AddOutputFilterByType DEFLATE text/html
</Directory>
<Directory @ROOT@/www/brotli>
SetOutputFilter BROTLI_COMPRESS
</Directory>
<Directory @ROOT@/www/ssi>
Options +Includes
AddOutputFilter INCLUDES .html
</Directory>
<Directory @ROOT@/www/chain>
FilterDeclare own CONTENT_SET
FilterProvider own DEFLATE "%{CONTENT_TYPE} =~ m#^text/html#"
FilterChain own
</Directory>
<Directory @ROOT@/www/substitute>
SetOutputFilter SUBSTITUTE
Substitute "s/html/HTML/"
</Directory>
<Directory @ROOT@/www/sed>
SetOutputFilter Sed
OutputSed "s/html/HTML/"
</Directory>
<Directory @ROOT@/www/charset>
CharsetSourceEnc ISO-8859-1
CharsetDefault UTF-8
</Directory>
<Directory @ROOT@/www/expires>
ExpiresActive On
ExpiresDefault "access plus 1 day"
Header set Cache-Control private
</Directory>
<Directory @ROOT@/www/rate>
SetOutputFilter RATE_LIMIT
SetEnv rate-limit 4000
</Directory>
<Directory @ROOT@/www/session>
Session On
SessionCookieName session path=/
SessionEnv On
</Directory>
<Directory @ROOT@/www/denied>
Require all denied
</Directory>
<Directory @ROOT@/www/auth>
AuthType Basic
AuthName realm
AuthUserFile @ROOT@/conf/users
Require valid-user
</Directory>
<Directory @ROOT@/www/digest>
AuthType Digest
AuthName realm
AuthUserFile @ROOT@/conf/digest
Require valid-user
</Directory>
<Directory @ROOT@/www/list>
Options +Indexes
</Directory>
<Directory @ROOT@/www/dav>
Dav On
</Directory>
<Directory @ROOT@/www/limited>
LimitRequestBody 1000
</Directory>
<Directory @ROOT@/www/judged>
SetEnvIf X-Deny . deny
BrowserMatch MSIE deny
<RequireAll>
Require not env deny
Require all granted
</RequireAll>
</Directory>
<Directory @ROOT@/www/referer>
Require expr %{HTTP_REFERER} !~ /other/
</Directory>
<Directory @ROOT@/www/local>
Require ip 127.0.0.1
Require host localhost
</Directory>
<Directory @ROOT@/www/rewritten>
RewriteEngine On
RewriteBase /rewritten/
RewriteRule ^secret$ - [F]
RewriteRule ^loop(.*)$ loop$1x
</Directory>
<Directory @ROOT@/www/choice>
Options +MultiViews
AddHandler type-map .var
</Directory>
<Directory @ROOT@/www/asis>
AddHandler send-as-is .asis
</Directory>
<Location /script>
Options +ExecCGI
SetHandler cgi-script
</Location>
<Location /status>
SetHandler server-status
</Location>
<Location /info>
SetHandler server-info
</Location>
<Location /balancers>
SetHandler balancer-manager
</Location>
<Location /encrypted>
SSLRequireSSL
</Location>
UserDir public_html
<Proxy balancer://own-@SERVER@>
BalancerMember http://127.0.0.1:8081
</Proxy>
ProxyPass /proxy http://127.0.0.1:8081
ProxyPass /fcgi fcgi://127.0.0.1:9000
ProxyPass /scgi scgi://127.0.0.1:8082
ProxyPass /ajp ajp://127.0.0.1:8082
ProxyPass /uwsgi uwsgi://127.0.0.1:8082
ProxyPass /websocket ws://127.0.0.1:8082
ProxyPass /balanced balancer://own-@SERVER@
"#;

/// The virtual host over TLS.
const ENCRYPTED: &str = "\
SSLEngine On
SSLCertificateFile @ROOT@/conf/site.crt
SSLCertificateKeyFile @ROOT@/conf/site.key
";

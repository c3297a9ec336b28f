//! nginx: a server on a port of its own for each group.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Ask, Audited, CHANGED, SIZE, Variant, conditions, put, some_conditions};
use crate::servers::Real;

/// The first server's port.
const PORT: usize = 20_000;
/// Added to a server's port: the same server over TLS.
const TLS: usize = 10_000;
/// Where a directive stands.
const HTTP: usize = 0;
const SERVER: usize = 1;

/// The build that is audited.
pub struct Nginx(pub Real);

/// Lines for directives whose words cannot be made up from the row.
const LINES: &[(&str, &[&str])] = &[
    ("access_log", &["access_log off;", "access_log @ROOT@/logs/a.log;"]),
    (
        "add_header",
        &[
            "add_header X-A b always;",
            "add_header Last-Modified '' always;",
            "add_header ETag '\"x\"';",
            "add_header Accept-Ranges none;",
        ],
    ),
    ("add_trailer", &["add_trailer X-A b always;"]),
    ("aio", &["aio on;", "aio threads;"]),
    ("ancient_browser", &["ancient_browser Lynx netscape4;"]),
    ("ancient_browser_value", &["ancient_browser_value old;"]),
    ("auth_delay", &["auth_delay 10ms;"]),
    ("auth_pam_set_pam_env", &["auth_pam_set_pam_env on;"]),
    ("charset", &["charset utf-8;", "charset koi8-r;"]),
    ("charset_map", &["charset_map windows-1251 utf-8 { C0 D090; }"]),
    ("client_body_temp_path", &["client_body_temp_path @ROOT@/tmp/b 1 2;"]),
    ("connection_pool_size", &["connection_pool_size 256;", "connection_pool_size 512;"]),
    ("dav_ext_lock_zone", &["dav_ext_lock_zone zone=locks:1m timeout=5m;"]),
    ("directio", &["directio 1;", "directio off;"]),
    ("directio_alignment", &["directio_alignment 4k;"]),
    ("error_log", &["error_log @ROOT@/logs/other.log debug;", "error_log stderr crit;"]),
    ("expires", &["expires 1h;", "expires epoch;", "expires max;", "expires modified -1d;"]),
    ("fastcgi_cache", &["fastcgi_cache zone_fastcgi; fastcgi_cache_key $uri; fastcgi_cache_valid any 1m;"]),
    ("fastcgi_cache_key", &["fastcgi_cache_key $host$uri;"]),
    ("fastcgi_cache_path", &["fastcgi_cache_path @ROOT@/tmp/f keys_zone=f:1m levels=1:2 inactive=1m;"]),
    ("fastcgi_cache_valid", &["fastcgi_cache_valid 200 404 1m;"]),
    ("fastcgi_param", &["fastcgi_param QUERY_STRING $query_string;", "fastcgi_param HTTPS on if_not_empty;"]),
    ("fastcgi_split_path_info", &["fastcgi_split_path_info ^(.+)(/.*)$;"]),
    ("fastcgi_store", &["fastcgi_store @ROOT@/tmp/s$uri;"]),
    ("grpc_ssl_password_file", &["grpc_ssl_password_file @ROOT@/conf/passwords;"]),
    ("gzip_disable", &["gzip_disable 'msie6';", "gzip_disable '.';"]),
    ("gzip_hash", &["gzip_hash 32k;"]),
    ("gzip_window", &["gzip_window 4k;"]),
    ("js_context_reuse", &["js_context_reuse 64;"]),
    ("js_context_reuse_max_size", &["js_context_reuse_max_size 1m;"]),
    ("js_engine", &["js_engine njs;"]),
    ("js_fetch_keepalive", &["js_fetch_keepalive 4;"]),
    ("js_fetch_keepalive_requests", &["js_fetch_keepalive_requests 4;"]),
    ("js_fetch_keepalive_time", &["js_fetch_keepalive_time 1m;"]),
    ("js_fetch_keepalive_timeout", &["js_fetch_keepalive_timeout 1m;"]),
    ("js_fetch_protocols", &["js_fetch_protocols TLSv1.2;"]),
    ("js_fetch_proxy", &["js_fetch_proxy http://127.0.0.1:8082;"]),
    ("js_fetch_timeout", &["js_fetch_timeout 1s;"]),
    ("js_fetch_verify", &["js_fetch_verify off;"]),
    ("js_fetch_verify_depth", &["js_fetch_verify_depth 2;"]),
    ("js_import", &["js_import @ROOT@/conf/code.js;"]),
    ("js_preload_object", &["js_preload_object @ROOT@/conf/data.json;"]),
    ("js_shared_dict_zone", &["js_shared_dict_zone zone=shared:1m;"]),
    ("keepalive_timeout", &["keepalive_timeout 0;", "keepalive_timeout 5s 4s;"]),
    ("keyval_zone", &["keyval_zone zone=pairs:64k;"]),
    ("log_format", &["log_format own '$uri $status';"]),
    ("map_hash_bucket_size", &["map_hash_bucket_size 256;"]),
    ("modern_browser", &["modern_browser gecko 1.0;", "modern_browser unlisted;"]),
    ("modern_browser_value", &["modern_browser_value new;"]),
    (
        "open_file_cache",
        &["open_file_cache max=100 inactive=10s;", "open_file_cache max=1; open_file_cache_errors on;"],
    ),
    ("open_file_cache_events", &["open_file_cache_events on;"]),
    ("open_log_file_cache", &["open_log_file_cache max=10 inactive=1s min_uses=2 valid=1m;"]),
    ("postpone_gzipping", &["postpone_gzipping 100;"]),
    ("proxy_buffers", &["proxy_buffers 8 8k;"]),
    ("proxy_cache", &["proxy_cache zone_proxy; proxy_cache_key $uri; proxy_cache_valid any 1m;"]),
    ("proxy_cache_key", &["proxy_cache_key $host$uri;"]),
    ("proxy_cache_path", &["proxy_cache_path @ROOT@/tmp/p keys_zone=p:1m levels=1:2 max_size=1m;"]),
    ("proxy_cache_valid", &["proxy_cache_valid 200 404 1m;"]),
    ("proxy_cookie_domain", &["proxy_cookie_domain off;", "proxy_cookie_domain a.test b.test;"]),
    ("proxy_cookie_flags", &["proxy_cookie_flags ~ secure;"]),
    ("proxy_cookie_path", &["proxy_cookie_path /a/ /;"]),
    ("proxy_http_version", &["proxy_http_version 1.1;"]),
    ("proxy_method", &["proxy_method POST;"]),
    ("proxy_redirect", &["proxy_redirect off;", "proxy_redirect http://a.test/ /;"]),
    ("proxy_set_header", &["proxy_set_header X-A b;", "proxy_set_header X-Deny '';"]),
    ("proxy_ssl_password_file", &["proxy_ssl_password_file @ROOT@/conf/passwords;"]),
    ("proxy_store", &["proxy_store @ROOT@/tmp/s$uri;"]),
    ("resolver", &["resolver 127.0.0.1 valid=1s;"]),
    ("scgi_cache", &["scgi_cache zone_scgi; scgi_cache_key $uri; scgi_cache_valid any 1m;"]),
    ("scgi_cache_key", &["scgi_cache_key $host$uri;"]),
    ("scgi_cache_path", &["scgi_cache_path @ROOT@/tmp/sc keys_zone=sc:1m;"]),
    ("scgi_cache_valid", &["scgi_cache_valid any 1m;"]),
    ("scgi_param", &["scgi_param SCGI 1;"]),
    ("scgi_store", &["scgi_store @ROOT@/tmp/s$uri;"]),
    ("set_base32_alphabet", &["set_base32_alphabet abcdefghijklmnopqrstuvwxyz234567;"]),
    ("set_base32_padding", &["set_base32_padding on;"]),
    ("set_misc_base32_padding", &["set_misc_base32_padding on;"]),
    ("source_charset", &["source_charset koi8-r;"]),
    ("ssl_buffer_size", &["ssl_buffer_size 4k;"]),
    ("ssl_certificate_cache", &["ssl_certificate_cache off;"]),
    ("ssl_certificate_key", &["ssl_certificate_key @ROOT@/conf/site.key; ssl_certificate @ROOT@/conf/site.crt;"]),
    ("ssl_ciphers", &["ssl_ciphers HIGH;"]),
    ("ssl_conf_command", &["ssl_conf_command Options PrioritizeChaCha;"]),
    ("ssl_dhparam", &["ssl_dhparam @ROOT@/conf/dh.pem;"]),
    ("ssl_ecdh_curve", &["ssl_ecdh_curve prime256v1;"]),
    ("ssl_ocsp_cache", &["ssl_ocsp_cache shared:ocsp:1m;"]),
    ("ssl_ocsp_responder", &["ssl_ocsp_responder http://127.0.0.1:8082/;"]),
    ("ssl_password_file", &["ssl_password_file @ROOT@/conf/passwords;"]),
    ("ssl_protocols", &["ssl_protocols TLSv1.2;", "ssl_protocols TLSv1.3;"]),
    ("ssl_session_cache", &["ssl_session_cache none;", "ssl_session_cache shared:tls:1m;"]),
    ("ssl_session_ticket_key", &["ssl_session_ticket_key @ROOT@/conf/ticket.key;"]),
    ("ssl_stapling_responder", &["ssl_stapling_responder http://127.0.0.1:8082/;"]),
    ("ssi_value_length", &["ssi_value_length 64;"]),
    ("subs_buffers", &["subs_buffers 4 4k;"]),
    ("subs_filter", &["subs_filter html htm gi;", "subs_filter_types *; subs_filter a b;"]),
    ("subs_filter_bypass", &["subs_filter_bypass $arg_x;"]),
    ("subs_filter_types", &["subs_filter_types text/plain;"]),
    ("subs_line_buffer_size", &["subs_line_buffer_size 4 4k;"]),
    ("upstream_fair_shm_size", &["upstream_fair_shm_size 64k;"]),
    ("userid_expires", &["userid on; userid_expires 1d;"]),
    ("userid_mark", &["userid on; userid_mark x;"]),
    ("userid_p3p", &["userid on; userid_p3p 'policyref=\"/w3c/p3p.xml\"';"]),
    ("uwsgi_cache", &["uwsgi_cache zone_uwsgi; uwsgi_cache_key $uri; uwsgi_cache_valid any 1m;"]),
    ("uwsgi_cache_key", &["uwsgi_cache_key $host$uri;"]),
    ("uwsgi_cache_path", &["uwsgi_cache_path @ROOT@/tmp/u keys_zone=u:1m;"]),
    ("uwsgi_cache_valid", &["uwsgi_cache_valid any 1m;"]),
    ("uwsgi_param", &["uwsgi_param UWSGI 1;"]),
    ("uwsgi_ssl_password_file", &["uwsgi_ssl_password_file @ROOT@/conf/passwords;"]),
    ("uwsgi_store", &["uwsgi_store @ROOT@/tmp/s$uri;"]),
];

/// Directives of the build that this audit cannot try.
const UNTRIED: &[(&str, &str)] = &[];

#[derive(serde::Deserialize)]
struct Grammar {
    profile: Vec<Profile>,
    directive: Vec<Row>,
}

#[derive(serde::Deserialize)]
struct Profile {
    version: String,
    modules: Vec<String>,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    module: String,
    contexts: Vec<String>,
    versions: Option<Vec<String>>,
    setter: Option<String>,
    values: Option<Vec<String>>,
    min: Option<u32>,
    max: Option<u32>,
    effect: String,
}

impl Row {
    fn lines(&self) -> Vec<String> {
        let name = &self.name;
        if let Some((_, lines)) = LINES.iter().find(|(known, _)| known == name) {
            return lines.iter().map(|line| (*line).to_owned()).collect();
        }
        let values = self.values.clone().unwrap_or_default();
        let words: Vec<String> = match self.setter.as_deref() {
            // These three have to fit the default size and number of buffers.
            _ if name.ends_with("_busy_buffers_size") => vec!["12k".to_owned()],
            _ if name.ends_with("_temp_file_write_size") => vec!["16k".to_owned()],
            _ if name.ends_with("_max_temp_file_size") => vec!["0".to_owned(), "1m".to_owned()],
            _ if name.ends_with("_buffer_size") => vec!["8k".to_owned()],
            Some("flag") => vec!["on".to_owned(), "off".to_owned()],
            // All of them at once; `off` and `none` go with nothing else, and so does what no library still has.
            Some("bitmask") => {
                let alone = |word: &&String| matches!(word.as_str(), "off" | "none");
                let together: Vec<&str> = values.iter().filter(|word| !alone(word)).map(String::as_str).collect();
                let together =
                    if name.ends_with("userid_flags") { "secure httponly".to_owned() } else { together.join(" ") };
                std::iter::once(together).chain(values.iter().filter(alone).cloned()).collect()
            }
            Some("enum") => values,
            Some("size" | "offset" | "complex-size") => ["1k", "16k", "1m", "0"].map(str::to_owned).into(),
            Some("milliseconds" | "seconds") => ["7s", "1h"].map(str::to_owned).into(),
            Some("number") => match (self.min, self.max) {
                (Some(min), Some(max)) => vec![min.to_string(), max.to_string()],
                _ => ["1", "1024"].map(str::to_owned).into(),
            },
            Some("buffers") => vec!["8 8k".to_owned()],
            Some("bind") => ["127.0.0.1", "127.0.0.9 transparent", "off"].map(str::to_owned).into(),
            Some("access") => vec!["user:rw group:r".to_owned()],
            Some("path") => vec![format!("@ROOT@/tmp/{name}")],
            Some("predicate") => ["1", "$arg_x"].map(str::to_owned).into(),
            Some("pairs") => vec!["X-A b".to_owned()],
            Some("types") => ["text/plain", "*"].map(str::to_owned).into(),
            Some("list") => vec![format!("X-{name}")],
            Some("obsolete") => ["on", "10", "10s"].map(str::to_owned).into(),
            _ if name.ends_with("_trusted_certificate") => vec!["@ROOT@/conf/site.crt".to_owned()],
            _ if name.ends_with("_certificate") => {
                return vec![format!("{name} @ROOT@/conf/site.crt; {name}_key @ROOT@/conf/site.key;")];
            }
            _ if name.ends_with("_certificate_key") => {
                let certificate = name.trim_end_matches("_key");
                return vec![format!("{certificate} @ROOT@/conf/site.crt; {name} @ROOT@/conf/site.key;")];
            }
            _ if name.ends_with("_certificate_cache") => vec!["off".to_owned(), "max=10".to_owned()],
            _ if name.ends_with("_crl") => vec!["@ROOT@/conf/crl.pem".to_owned()],
            _ if name.ends_with("_ciphers") => vec!["HIGH".to_owned()],
            _ => vec![format!("word_{name}")],
        };
        words.iter().map(|word| format!("{name} {word};")).collect()
    }
}

impl Audited for Nginx {
    fn real(&self) -> Real {
        self.0
    }

    fn variants(&self) -> Vec<Variant> {
        let grammar: Grammar =
            toml::from_str(include_str!("../../../grammars/nginx.toml")).expect("grammars/nginx.toml");
        let version = self.0.version().trim_start_matches("nginx/");
        let build = grammar.profile.iter().find(|profile| profile.version == version).expect("a profile");
        let exists = |row: &&Row| {
            row.effect == "inert"
                && build.modules.contains(&row.module)
                && row.versions.as_ref().is_none_or(|versions| versions.iter().any(|known| known == version))
        };
        let mut variants = Vec::new();
        for row in grammar.directive.iter().filter(exists) {
            let stands = |context: &str| row.contexts.iter().any(|known| known == context);
            let place = match (stands("server"), stands("http")) {
                (true, _) => SERVER,
                (false, true) => HTTP,
                _ => continue,
            };
            variants.extend(row.lines().into_iter().map(|line| Variant { name: row.name.clone(), line, place }));
        }
        variants
    }

    fn untried(&self) -> &'static [(&'static str, &'static str)] {
        UNTRIED
    }

    fn shared(&self, variant: &Variant) -> bool {
        variant.place == HTTP
    }

    fn config(&self, root: &Path, groups: &[Vec<Variant>]) -> String {
        let modules: &[&str] = match self.0 {
            Real::Nginx122 => &["auth_pam", "dav_ext", "echo", "geoip2", "subs_filter", "upstream_fair"],
            _ => &[],
        };
        let mut text = String::new();
        for module in modules {
            text += &format!("load_module /usr/lib/nginx/modules/ngx_http_{module}_module.so;\n");
        }
        text += "user www-data;\nworker_processes 1;\npid @ROOT@/logs/nginx.pid;\nerror_log @ROOT@/logs/error.log emerg;\n\
                 thread_pool default threads=1;\nevents { worker_connections 4096; }\nhttp {\naccess_log off;\n\
                 types { text/html html; text/plain txt; }\ncharset_map koi8-r utf-8 { C0 D090; }\n\
                 client_body_temp_path @ROOT@/tmp/body;\nproxy_temp_path @ROOT@/tmp/proxy;\n\
                 fastcgi_temp_path @ROOT@/tmp/fastcgi;\nscgi_temp_path @ROOT@/tmp/scgi;\nuwsgi_temp_path @ROOT@/tmp/uwsgi;\n\
                 proxy_cache_path @ROOT@/tmp/zone_proxy keys_zone=zone_proxy:1m;\n\
                 fastcgi_cache_path @ROOT@/tmp/zone_fastcgi keys_zone=zone_fastcgi:1m;\n\
                 scgi_cache_path @ROOT@/tmp/zone_scgi keys_zone=zone_scgi:1m;\n\
                 uwsgi_cache_path @ROOT@/tmp/zone_uwsgi keys_zone=zone_uwsgi:1m;\n\
                 ssl_certificate @ROOT@/conf/site.crt;\nssl_certificate_key @ROOT@/conf/site.key;\n";
        let lines = |place: usize, group: &[Variant]| -> String {
            group.iter().filter(|it| it.place == place).map(|it| format!("{}\n", it.line)).collect()
        };
        for group in groups {
            text += &lines(HTTP, group);
        }
        let locations = match self.0 {
            // Not in the static build.
            Real::Nginx131 => {
                LOCATIONS.lines().filter(|line| !line.starts_with("# full ")).collect::<Vec<_>>().join("\n")
            }
            _ => LOCATIONS.replace("# full ", ""),
        };
        for (server, group) in groups.iter().enumerate() {
            text += &format!(
                "server {{\nlisten {};\nlisten {} ssl;\nroot @ROOT@/www;\n{}{locations}\n}}\n",
                PORT + server,
                PORT + TLS + server,
                lines(SERVER, group),
                locations = locations.replace("@PORT@", &(PORT + server).to_string()),
            );
        }
        (text + "}\n").replace("@ROOT@", &root.to_string_lossy())
    }

    fn url(&self, server: usize, path: &str) -> String {
        match path.strip_prefix("tls:") {
            Some(path) => format!("https://localhost:{}{path}", PORT + TLS + server),
            None => format!("http://localhost:{}{path}", PORT + server),
        }
    }

    fn furnish(&self, root: &Path) -> std::io::Result<()> {
        for place in
            ["", "gzip", "packed", "ssi", "sub", "add", "charset", "denied", "auth", "list", "dav", "flv", "mp4"]
        {
            put(&root.join("www").join(place).join("file.html"), &"a line of html\n".repeat(SIZE / 15))?;
            put(&root.join("www").join(place).join("file.txt"), &"a line of text\n".repeat(SIZE / 15))?;
        }
        // Shorter than what the ranges ask for, so it is seen which of the two is sent.
        put(&root.join("www/packed/file.html.gz"), "")?;
        fs::create_dir_all(root.join("www/empty"))?;
        put(&root.join("conf/users"), "alice:{PLAIN}secret\n")?;
        put(&root.join("conf/code.js"), "export default {};\n")?;
        put(&root.join("conf/data.json"), "{}\n")?;
        put(&root.join("conf/passwords"), "secret\n")?;
        put(&root.join("conf/ticket.key"), &"k".repeat(48))?;
        let openssl = |arguments: &str| {
            let done = Command::new("openssl").args(arguments.split(' ')).current_dir(root.join("conf")).output()?;
            let failed =
                || std::io::Error::other(format!("openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr)));
            if done.status.success() { Ok(()) } else { Err(failed()) }
        };
        openssl("req -x509 -newkey rsa:2048 -nodes -keyout site.key -out site.crt -days 30 -subj /CN=localhost")?;
        openssl("dhparam -dsaparam -out dh.pem 2048")?;
        put(&root.join("conf/crl.index"), "")?;
        put(
            &root.join("conf/ca.cnf"),
            "[ca]\ndefault_ca=own\n[own]\ndatabase=crl.index\ndefault_md=sha256\ndefault_crl_days=30\n",
        )?;
        openssl("ca -gencrl -config ca.cnf -keyfile site.key -cert site.crt -out crl.pem")
    }

    fn requests(&self) -> Vec<Ask> {
        const MSIE: &str = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)";
        let etag = format!("\"{:x}-{SIZE:x}\"", CHANGED.0);
        let long = |length: usize| "x".repeat(length);
        let mut asks = conditions("/file.html", &etag);
        for path in [
            "gzip/file.html",
            "gzip/file.txt",
            "ssi/file.html",
            "sub/file.html",
            "add/file.html",
            "charset/file.html",
            "proxy/a",
            "fcgi/a",
        ] {
            asks.extend(some_conditions(&format!("/{path}"), &etag));
        }
        asks.extend(PATHS.iter().map(|path| Ask::get(path)));
        // What the filters take away is seen from the ranges: where one is at work, there are none.
        let ranges = |path| Ask::get(path).header("Accept-Encoding", "gzip").header("Range", "bytes=0-1");
        asks.extend(["/gzip/file.html", "/gzip/file.txt", "/packed/file.html"].map(ranges));
        asks.extend(["/gzip/file.html", "/packed/file.html"].map(|path| ranges(path).header("Via", "1.1 proxy")));
        asks.extend(["/gzip/file.html", "/packed/file.html"].map(|path| ranges(path).header("User-Agent", MSIE)));
        asks.extend(["/gzip/file.html", "/packed/file.html"].map(|path| Ask { version: "1.0", ..ranges(path) }));
        asks.extend([
            Ask::get("/auth/file.html").header("Authorization", "Basic YWxpY2U6c2VjcmV0"),
            Ask::get("/auth/file.html").header("Authorization", "Basic YWxpY2U6d3Jvbmc="),
            Ask::get("/file.html").method("HEAD"),
            Ask::get("/file.html").method("TRACE"),
            Ask::get("/file.html").method("CONNECT"),
            Ask::get("/file.html").method("POST").header("Content-Length", "0"),
            Ask::get("/file.html").method("POST").header("Content-Length", "9999999"),
            Ask::get("/proxy/a").method("POST").header("Content-Length", "0"),
            Ask::get("/dav/file.html").method("PUT").header("Content-Length", "0"),
            Ask::get("/dav/missing").method("DELETE"),
            Ask::get("/file.html").header("X-Long", &long(900)),
            Ask::get("/file.html").header("X-Long", &long(7000)),
            Ask::get("/file.html").header("X-Long", &long(9000)),
            Ask::get(&format!("/{}", long(7000))),
            Ask::get(&format!("/{}", long(9000))),
            Ask::get("/file.html").header("X_Under", "b"),
            Ask::get("/judged/file.html").header("X-Deny", "1"),
            Ask::get("/file.html").header("Expect", "100-continue"),
            Ask::get("/file.html").header("Transfer-Encoding", "gzip"),
            Ask::get("/referer/file.html").header("Referer", "http://other.test/"),
            Ask::get("/browser/").header("User-Agent", MSIE),
            Ask::get("/list/").header("User-Agent", MSIE),
            Ask { version: "1.0", ..Ask::get("/file.html") },
        ]);
        asks
    }
}

/// Asked plainly.
const PATHS: &[&str] = &[
    "/",
    "/empty",
    "/empty/",
    "/list/",
    "/missing",
    "/denied/file.html",
    "/auth/file.html",
    "/moved/",
    "/if/?x=1",
    "/if/",
    "/try/nothing",
    "/scgi/a",
    "/uwsgi/a",
    "/grpc/a",
    "/memcached/a",
    "/internal",
    "/caught",
    "/stub",
    "/gif",
    "/mp4/file.html",
    "/flv/file.html",
    "/%",
    "/%00",
    "/a/../../b",
    "//file.html",
    "/limited/file.html",
    "/mirror/file.html",
    "/subrequest/file.html",
    "/rewritten/file.html",
    "/browser/",
    "/judged/file.html",
    "/asked/file.html",
    "/referer/file.html",
    "tls:/file.html",
    "tls:/denied/file.html",
];

/// Every way to an answer that a directive could have an influence on.
const LOCATIONS: &str = "\
error_page 410 /file.html;
location / { index file.html; }
location /empty/ { }
location /list/ { autoindex on; }
location /denied/ { deny all; }
location /auth/ { auth_basic realm; auth_basic_user_file @ROOT@/conf/users; }
location /moved/ { return 301 /file.html; }
location /if/ { if ($arg_x) { return 403; } return 200 ok; }
location /try/ { try_files $uri /missing/ =404; }
location /internal { internal; }
location /caught { return 410; }
location /gif { empty_gif; }
location /gzip/ { gzip on; }
# full location /packed/ { gzip_static on; }
location /ssi/ { ssi on; }
# full location /sub/ { sub_filter html htm; }
# full location /add/ { add_after_body /file.txt; }
location /charset/ { charset utf-8; override_charset on; }
location /limited/ { limit_except GET { deny all; } }
location /subrequest/ { auth_request /asked/file.html; alias @ROOT@/www/; }
location /mirror/ { mirror /asked/file.html; alias @ROOT@/www/; }
location /judged/ { auth_request /judge; alias @ROOT@/www/; }
location /judge { proxy_pass http://localhost:@PORT@/judgement; }
location /judgement { if ($http_x_deny) { return 403; } return 204; }
location /asked/ { alias @ROOT@/www/; }
location /rewritten/ { rewrite ^/rewritten/(.*)$ /$1 last; }
location /browser/ { if ($msie) { return 403; } return 204; }
location /referer/ { valid_referers none localhost; if ($invalid_referer) { return 403; } alias @ROOT@/www/; }
location /proxy/ { proxy_pass http://127.0.0.1:8081; }
location /fcgi/ { fastcgi_pass 127.0.0.1:9000; }
location /scgi/ { scgi_pass 127.0.0.1:8082; }
location /uwsgi/ { uwsgi_pass 127.0.0.1:8082; }
location /grpc/ { grpc_pass 127.0.0.1:8082; }
location /memcached/ { set $memcached_key a; memcached_pass 127.0.0.1:8082; }
# full location /stub { stub_status; }
# full location /mp4/ { mp4; }
# full location /flv/ { flv; }
# full location /dav/ { dav_methods PUT DELETE; client_body_temp_path @ROOT@/tmp/dav; }";

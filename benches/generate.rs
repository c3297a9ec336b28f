//! Large configurations from a seed: V virtual hosts × L locations or sections × A access rules, with includes and, for Apache,
//! a tree of `.htaccess` files. The same numbers give the same bytes.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How large.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub name: &'static str,
    pub hosts: usize,
    pub locations: usize,
    pub rules: usize,
}

/// About 50 kB, 5 MB and 50 MB of text.
pub const SIZES: [Size; 3] = [
    Size { name: "small", hosts: 10, locations: 20, rules: 6 },
    Size { name: "medium", hosts: 1_000, locations: 20, rules: 6 },
    Size { name: "large", hosts: 10_000, locations: 20, rules: 6 },
];

/// A small generator of numbers (xorshift64*): nobody depends on its quality, only on its being the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % sides
    }

    fn network(&mut self) -> String {
        let bits = 8 + self.roll(17);
        let address = (10u32 << 24) | (self.roll(1 << 24) as u32);
        let masked = address & (u32::MAX << (32 - bits));
        format!("{}/{bits}", std::net::Ipv4Addr::from(masked))
    }
}

/// Writes an nginx configuration below `dir` and returns its main file. It listens on `port` only.
pub fn nginx(dir: &Path, size: Size, port: u16) -> io::Result<PathBuf> {
    let mut dice = Dice(0x6e67_696e_7800_0001 ^ size.hosts as u64);
    fs::create_dir_all(dir.join("sites"))?;
    fs::create_dir_all(dir.join("www/app"))?;
    fs::write(dir.join("www/index.html"), "hello\n")?;
    fs::write(dir.join("www/app/index.html"), "app\n")?;
    let top = dir.display();
    let main = format!(
        "worker_processes 1;\npid {top}/nginx.pid;\nerror_log {top}/error.log;\nevents {{ worker_connections 64; }}\nhttp {{\n    access_log off;\n    server_names_hash_max_size 65536;\n    server_names_hash_bucket_size 128;\n    include {top}/sites/*.conf;\n}}\n"
    );
    fs::write(dir.join("nginx.conf"), main)?;
    fs::write(
        dir.join("proxy_headers.inc"),
        "proxy_set_header Host $host;\nproxy_set_header X-Real-IP $remote_addr;\n",
    )?;
    for host in 0..size.hosts {
        let mut text = String::new();
        let _ = write!(
            text,
            "# virtual host {host}\nserver {{\n    listen 127.0.0.1:{port};\n    server_name host{host}.test www.host{host}.test;\n    root {top}/www;\n    index index.html index.htm;\n\n"
        );
        for location in 0..size.locations {
            match location % 5 {
                0 => {
                    let _ = writeln!(text, "    location /area{location}/ {{");
                }
                1 => {
                    let _ = writeln!(text, "    location ^~ /static{location}/ {{");
                }
                2 => {
                    let _ = writeln!(text, "    location ~ \\.ext{location}$ {{");
                }
                3 => {
                    let _ = writeln!(text, "    location = /exact{location} {{");
                }
                _ => {
                    let _ = writeln!(
                        text,
                        "    location /api{location}/ {{\n        include {top}/proxy_headers.inc;\n        proxy_pass http://127.0.0.1:9;"
                    );
                }
            }
            for rule in 0..size.rules {
                let verb = if dice.roll(2) == 0 { "allow" } else { "deny" };
                let _ = writeln!(
                    text,
                    "        {verb} {};",
                    if rule + 1 == size.rules { "all".to_owned() } else { dice.network() }
                );
            }
            if location % 5 != 4 {
                text.push_str("        try_files $uri $uri/ =404;\n");
            }
            text.push_str("    }\n");
        }
        text.push_str("}\n");
        fs::write(dir.join(format!("sites/host{host:05}.conf")), text)?;
    }
    Ok(dir.join("nginx.conf"))
}

/// Writes an Apache configuration below `dir`, two `.htaccess` files a host, and returns its main file.
pub fn apache(dir: &Path, size: Size, port: u16) -> io::Result<PathBuf> {
    let mut dice = Dice(0x6874_7470_6400_0001 ^ size.hosts as u64);
    fs::create_dir_all(dir.join("sites"))?;
    let top = dir.display();
    let mut main = format!(
        "ServerRoot \"{top}\"\nListen 127.0.0.1:{port}\nServerName localhost\nPidFile \"{top}/httpd.pid\"\nErrorLog \"{top}/error.log\"\nUser www-data\nGroup www-data\n"
    );
    for module in [
        "mpm_event",
        "authz_core",
        "authz_host",
        "authn_core",
        "access_compat",
        "dir",
        "alias",
        "mime",
        "autoindex",
        "setenvif",
        "rewrite",
    ] {
        let _ = writeln!(main, "LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so");
    }
    main.push_str("TypesConfig /dev/null\n<Directory />\n    AllowOverride None\n    Require all denied\n</Directory>\nIncludeOptional sites/*.conf\n");
    fs::write(dir.join("httpd.conf"), main)?;
    for host in 0..size.hosts {
        let root = dir.join(format!("www/host{host:05}"));
        fs::create_dir_all(root.join("app"))?;
        fs::write(root.join("index.html"), "hello\n")?;
        fs::write(root.join("app/index.html"), "app\n")?;
        fs::write(root.join(".htaccess"), "Options -Indexes\nDirectoryIndex index.html\n")?;
        fs::write(root.join("app/.htaccess"), format!("Require ip {}\n", dice.network()))?;
        let root = root.display();
        let mut text = format!(
            "# virtual host {host}\n<VirtualHost *:{port}>\n    ServerName host{host}.test\n    ServerAlias www.host{host}.test\n    DocumentRoot \"{root}\"\n    <Directory \"{root}\">\n        AllowOverride All\n        Require all granted\n    </Directory>\n"
        );
        for section in 0..size.locations {
            match section % 4 {
                0 => {
                    let _ = writeln!(text, "    <Location \"/area{section}\">");
                }
                1 => {
                    let _ = writeln!(text, "    <LocationMatch \"\\.ext{section}$\">");
                }
                2 => {
                    let _ = writeln!(text, "    <Directory \"{root}/dir{section}\">");
                }
                _ => {
                    let _ = writeln!(text, "    <FilesMatch \"\\.bak{section}$\">");
                }
            }
            for _ in 0..size.rules {
                let _ = writeln!(text, "        Require ip {}", dice.network());
            }
            let kind = ["Location", "LocationMatch", "Directory", "FilesMatch"][section % 4];
            let _ = writeln!(text, "    </{kind}>");
        }
        text.push_str("</VirtualHost>\n");
        fs::write(dir.join(format!("sites/host{host:05}.conf")), text)?;
    }
    Ok(dir.join("httpd.conf"))
}

//! The values of the core's own directives.

use super::super::load::OPTION_NAMES;
use super::Line;
use super::values::{atoi, is_one_of};
use crate::apache::core::has_status_line;
use crate::apache::model::M_INVALID;
use crate::apache::{expr, fnmatch, lex};

/// Checks a directive of the core; `None`: it is none that is checked here.
pub(super) fn check(line: &Line, name: &str) -> Option<Result<(), String>> {
    Some(match name {
        "options" => options(line),
        "allowoverride" => allow_override(line),
        "allowoverridelist" => allow_override_list(line),
        "errordocument" => error_document(line),
        "servername" => server_name(line),
        "serveralias" if !line.place.vhost => Err(format!("{} only used in <VirtualHost>", line.row.name)),
        "listen" => listen(line),
        "loglevel" => line.words().iter().try_for_each(|word| log_level(word)),
        "errorlogformat" => error_log_format(line),
        "fileetag" => file_etag(line),
        "registerhttpmethod" => {
            line.words().iter().for_each(|word| {
                line.methods.borrow_mut().register(word);
            });
            Ok(())
        }
        "error" => Err(String::from_utf8_lossy(line.node.args()).into_owned()),
        "cgivar"
            if !line.word(1).eq_ignore_ascii_case(b"current-uri")
                && !line.word(1).eq_ignore_ascii_case(b"original-uri") =>
        {
            Err(format!("CGIVar: unrecognized rule '{}'", line.lossy(1)))
        }
        "mutex" => mutex(line),
        "sethandler" | "forcetype" if line.words().len() == 1 => handler(line, name),
        "limitinternalrecursion" if line.words().iter().any(|word| atoi(word, i64::from(i32::MAX)) < 1) => {
            Err("the recursion limit must be greater than zero".into())
        }
        _ => return None,
    })
}

/// The single options that a word names, as bits in the order of [`OPTION_NAMES`]; `None`: there is no such option.
fn option_bits(word: &[u8]) -> Option<u32> {
    let bit = |name: &str| OPTION_NAMES.iter().position(|known| *known == name).map_or(0, |at| 1_u32 << at);
    Some(match word.to_ascii_lowercase().as_slice() {
        b"indexes" => bit("Indexes"),
        b"includes" => bit("Includes") | bit("IncludesNOEXEC"),
        b"includesnoexec" => bit("IncludesNOEXEC"),
        b"followsymlinks" => bit("FollowSymLinks"),
        b"symlinksifownermatch" => bit("SymLinksIfOwnerMatch"),
        b"execcgi" => bit("ExecCGI"),
        b"multiviews" => bit("MultiViews"),
        b"runscripts" => bit("MultiViews") | bit("ExecCGI"),
        b"none" => 0,
        b"all" => bit("Indexes") | bit("Includes") | bit("IncludesNOEXEC") | bit("FollowSymLinks") | bit("ExecCGI"),
        _ => return None,
    })
}

/// `Options`: all words signed or none, `None` and `All` first, and in an `.htaccess` only what is permitted.
fn options(line: &Line) -> Result<(), String> {
    let permitted = line.allowed.map_or(u32::MAX, |allowed| allowed.options);
    let (mut signed, mut all_or_none) = (false, false);
    for (index, word) in line.words().iter().enumerate() {
        let first = index == 0;
        let bare = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-"));
        let mixed = Err("either all Options must start with + or -, or no Option may".to_owned());
        match bare {
            Some(_) if !signed && !first && !all_or_none => return mixed,
            Some(_) => signed = true,
            None if signed => return mixed,
            None => {}
        }
        let bare = bare.unwrap_or(word);
        let lossy = String::from_utf8_lossy(bare).into_owned();
        let Some(bits) = option_bits(bare) else { return Err(format!("illegal option {lossy}")) };
        if is_one_of(bare, &["none", "all"]) {
            if !first {
                return Err(format!("'Options {lossy}' must be the first option given"));
            }
            if signed {
                return Err(format!("you may not use 'Options +{lossy}' or 'Options -{lossy}'"));
            }
            all_or_none = true;
        }
        if permitted & bits != bits {
            return Err(format!("option {lossy} not allowed here"));
        }
    }
    Ok(())
}

fn allow_override(line: &Line) -> Result<(), String> {
    for word in line.words() {
        let (key, value) = match word.iter().position(|&byte| byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (&word[..], None),
        };
        let lossy = String::from_utf8_lossy(key);
        match value {
            None if key.eq_ignore_ascii_case(b"nonfatal") => {
                return Err(format!("=Override, =Unknown or =All expected after {lossy}"));
            }
            // An unknown value of Options= or Nonfatal= is accepted without a word.
            _ if is_one_of(
                key,
                &["none", "all", "limit", "options", "fileinfo", "authconfig", "indexes", "nonfatal"],
            ) => {}
            _ => return Err(format!("illegal override option {lossy}")),
        }
    }
    Ok(())
}

fn allow_override_list(line: &Line) -> Result<(), String> {
    // The words before a `None` were accepted by then.
    if line.words().len() > 1 && line.words().iter().any(|word| word.eq_ignore_ascii_case(b"none")) {
        return Err("'None' not allowed with other directives in AllowOverrideList".into());
    }
    Ok(())
}

fn error_document(line: &Line) -> Result<(), String> {
    let status = atoi(line.word(0), i64::from(i32::MAX));
    if !u16::try_from(status).is_ok_and(has_status_line) {
        return Err(format!("unsupported HTTP response code {}", line.lossy(0)));
    }
    let text = line.word(1);
    if text.eq_ignore_ascii_case(b"default") {
        return Ok(());
    }
    match expr::parse_string(text, line.expressions()) {
        Ok(_) => Ok(()),
        Err(message) => Err(format!("cannot parse expression in ErrorDocument: {message}")),
    }
}

fn server_name(line: &Line) -> Result<(), String> {
    let name = line.word(0);
    if fnmatch::is_fnmatch(name) {
        let name = line.lossy(0);
        return Err(format!("invalid ServerName \"{name}\", use ServerAlias to set multiple server names"));
    }
    let host = memchr::memmem::find(name, b"://").map_or(name, |at| &name[at + 3..]);
    if let Some(colon) = memchr::memchr(b':', host)
        && !(1..=65535).contains(&atoi(&host[colon + 1..], i64::from(i32::MAX)))
    {
        return Err(format!("the port number \"{}\" is outside the appropriate range (i.e., 1..65535)", line.lossy(0)));
    }
    Ok(())
}

/// What apr_parse_addr_port makes of an address: host and port, each if it is there.
pub(super) fn address(word: &[u8]) -> Option<(Option<&[u8]>, Option<u16>)> {
    let port = |digits: &[u8]| -> Option<u16> {
        let text = std::str::from_utf8(digits).ok()?;
        text.parse().ok().filter(|port| *port > 0)
    };
    // A bare number is a port; otherwise digits after the last colon are, and brackets protect an IPv6 address.
    let digits = word.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (head, tail) = word.split_at(word.len() - digits);
    let (host, port) = match (head, tail) {
        ([], tail) => return Some((None, Some(port(tail)?))),
        ([host @ .., b':'], tail) if !tail.is_empty() => (host, Some(port(tail)?)),
        ([.., b':'], _) => return None,
        _ => (word, None),
    };
    if host.is_empty() {
        return None;
    }
    if let Some(inner) = host.strip_prefix(b"[") {
        let inner = inner.strip_suffix(b"]")?;
        let address = inner.split(|&byte| byte == b'%').next().unwrap_or(inner);
        std::str::from_utf8(address).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
    }
    Some((Some(host), port))
}

fn listen(line: &Line) -> Result<(), String> {
    if line.words().is_empty() || line.words().len() > 2 {
        return Err("Listen requires 1 or 2 arguments".into());
    }
    match address(line.word(0)) {
        None => Err("invalid address or port".into()),
        Some((_, None)) => Err("port must be specified".into()),
        Some((_, Some(_))) => Ok(()),
    }
}

/// An address of `<VirtualHost>`; a name that does not resolve is dropped with a message, not refused.
pub(super) fn virtual_host_address(word: &[u8]) -> Result<(), String> {
    let word = word.strip_suffix(b":*").unwrap_or(word);
    match address(word) {
        _ if word == b"*" => Ok(()),
        None => Err("the address or port is invalid".into()),
        Some((None, _)) => Err("missing address for VirtualHost".into()),
        Some(_) => Ok(()),
    }
}

/// `[module:]level`.
fn log_level(word: &[u8]) -> Result<(), String> {
    let level = word.iter().rposition(|&byte| byte == b':').map_or(word, |at| &word[at + 1..]);
    let known = [
        "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace1", "trace2", "trace3", "trace4",
        "trace5", "trace6", "trace7", "trace8",
    ];
    if is_one_of(level, &known) {
        Ok(())
    } else {
        Err("log level keyword must be one of emerg, alert, crit, error, warn, notice, info, debug, trace1, …, trace8"
            .into())
    }
}

fn error_log_format(line: &Line) -> Result<(), String> {
    if line.words().len() < 2 {
        let has_message =
            memchr::memmem::find(line.word(0), b"%M").is_some() || memchr::memmem::find(line.word(0), b"}M").is_some();
        return if has_message {
            Ok(())
        } else {
            Err("main ErrorLogFormat must contain message format string '%M'".into())
        };
    }
    if is_one_of(line.word(0), &["request", "connection"]) {
        return Ok(());
    }
    Err("ErrorLogFormat type must be one of request, connection".into())
}

fn file_etag(line: &Line) -> Result<(), String> {
    let mut rest = line.node.args();
    while !rest.is_empty() {
        let word = lex::getword_conf(&mut rest);
        let bare = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-")).unwrap_or(&word);
        if !is_one_of(bare, &["none", "all", "mtime", "size", "inode", "digest"]) {
            return Err(format!("unknown keyword '{}' for FileETag directive", String::from_utf8_lossy(bare)));
        }
        if bare.len() != word.len() && is_one_of(bare, &["none", "all"]) {
            return Err(format!("FileETag: {} may not be combined with + or -", String::from_utf8_lossy(bare)));
        }
    }
    Ok(())
}

/// The mutexes of modules (ap_mutex_register). `default` stands for all of them.
const MUTEXES: [(&str, &str); 17] = [
    ("authdigest-client", "auth_digest_module"),
    ("authdigest-opaque", "auth_digest_module"),
    ("authn-socache", "authn_socache_module"),
    ("cache-socache", "cache_socache_module"),
    ("example-ipc-shm", "example_ipc_module"),
    ("ldap-cache", "ldap_module"),
    ("lua-ivm-shm", "lua_module"),
    ("mpm-accept", "mpm_prefork_module"),
    ("mpm-accept", "mpm_worker_module"),
    ("proxy", "proxy_module"),
    ("proxy-balancer-shm", "proxy_balancer_module"),
    ("rewrite-map", "rewrite_module"),
    ("ssl-cache", "ssl_module"),
    ("ssl-stapling", "ssl_module"),
    ("ssl-stapling-refresh", "ssl_module"),
    ("watchdog-callback", "watchdog_module"),
    ("default", "core_module"),
];

fn mutex(line: &Line) -> Result<(), String> {
    let mechanism = line.word(0).split(|&byte| byte == b':').next().unwrap_or_default();
    if is_one_of(mechanism, &["none", "no"]) && line.words().len() < 2 {
        return Err("None is not allowed for mutex type default".into());
    }
    let known = ["none", "no", "default", "yes", "flock", "fcntl", "file", "pthread", "sysvsem", "sem", "posixsem"];
    if !is_one_of(mechanism, &known) {
        return Err(format!("invalid Mutex argument {}", line.lossy(0)));
    }
    let modules = &line.known.modules;
    let named = |word: &[u8]| MUTEXES.iter().any(|(known, module)| known.as_bytes() == word && modules.has(module));
    let unknown = line.words().iter().skip(1).find(|word| !named(word) && !word.eq_ignore_ascii_case(b"omitpid"));
    match unknown {
        // Other people's modules have mutexes of their own.
        Some(word) if !modules.others() => Err(format!("Mutex type {} is not valid", String::from_utf8_lossy(word))),
        _ => Ok(()),
    }
}

/// `SetHandler` and `ForceType` take an expression after `expr=`.
fn handler(line: &Line, name: &str) -> Result<(), String> {
    let Some(text) = line.word(0).strip_prefix(b"expr=") else { return Ok(()) };
    if name == "forcetype" {
        return Ok(());
    }
    match expr::parse_string(text, line.expressions()) {
        Ok(_) => Ok(()),
        Err(message) => Err(format!("can't parse handler expression: {message}")),
    }
}

/// Whether `word` is a method that has a number.
pub(super) fn method(line: &Line, word: &[u8]) -> Result<(), String> {
    if line.methods.borrow().number(word) != M_INVALID {
        Ok(())
    } else {
        Err(format!("invalid Method '{}'", String::from_utf8_lossy(word)))
    }
}

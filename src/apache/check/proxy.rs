//! mod_proxy: `ProxyPass`, balancers and their parameters.

use super::Line;
use super::modules::require;
use super::values::{atoi, is_one_of, is_time, regex};
use crate::apache::{expr, lex};

/// `[!]` words before the target that are no parameter of the form `key=value`.
const KEYWORDS: &[&str] = &["interpolate", "nocanon", "noquery"];

/// What the value of a parameter must be.
#[derive(Clone, Copy)]
enum Parameter {
    /// A number, read like atoi(3).
    Number(i64, i64),
    /// 0 or a size of at least 512 bytes.
    Size,
    /// A time that is not 0.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything.
    Any,
}
use Parameter::{Any, Number, Size, Time, Word};

const INT: i64 = i32::MAX as i64;

/// The parameters of a worker (`set_worker_param`).
const WORKER: &[(&str, Parameter)] = &[
    ("acquire", Time),
    ("addressttl", Any),
    ("connectiontimeout", Time),
    ("disablereuse", Word(&["on", "off"])),
    ("enablereuse", Word(&["on", "off"])),
    ("flusher", Any),
    ("flushpackets", Word(&["on", "off", "auto"])),
    ("flushwait", Number(0, 1000)),
    ("iobuffersize", Size),
    ("keepalive", Word(&["on", "off"])),
    ("lbset", Number(0, 99)),
    ("loadfactor", Number(1, 100)),
    ("max", Number(0, INT)),
    ("min", Number(0, INT)),
    ("ping", Time),
    ("receivebuffersize", Size),
    ("redirect", Any),
    ("responsefieldsize", Number(0, INT)),
    ("retry", Number(0, INT)),
    ("route", Any),
    ("secret", Any),
    ("smax", Number(0, INT)),
    ("status", Any),
    ("timeout", Number(1, INT)),
    ("ttl", Number(1, INT)),
    ("upgrade", Any),
];

/// The parameters of a worker that mod_proxy_hcheck adds.
const HEALTH: &[(&str, Parameter)] = &[
    ("hcexpr", Any),
    ("hcfails", Number(0, INT)),
    ("hcinterval", Time),
    ("hcmethod", Any),
    ("hcpasses", Number(0, INT)),
    ("hctemplate", Any),
    ("hcuri", Any),
];

/// The parameters of a balancer (`set_balancer_param`).
const BALANCER: &[(&str, Parameter)] = &[
    ("failonstatus", Any),
    ("failontimeout", Word(&["on", "off"])),
    ("forcerecovery", Word(&["on", "off"])),
    ("growth", Number(0, 100)),
    ("lbmethod", Any),
    ("maxattempts", Number(0, INT)),
    ("nofailover", Word(&["on", "off"])),
    ("nonce", Any),
    ("scolonpathdelim", Word(&["on", "off"])),
    ("stickysession", Any),
    ("stickysessionsep", Any),
    ("timeout", Number(1, INT)),
];

/// `key=value` parameters of a worker or a balancer.
fn parameters<'w>(line: &Line, target: &[u8], words: impl Iterator<Item = &'w [u8]>) -> Result<(), String> {
    let balancer = target.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"balancer:"));
    for word in words {
        let Some(equals) = memchr::memchr(b'=', word) else {
            return Err(format!("invalid {} parameter, it must be in the form 'key=value'", line.row.name));
        };
        let (key, value) = (&word[..equals], &word[equals + 1..]);
        let find = |list: &'static [(&'static str, Parameter)]| {
            list.iter().find(|(name, _)| key.eq_ignore_ascii_case(name.as_bytes())).copied()
        };
        let health = || if line.known.modules.has("proxy_hcheck_module") { find(HEALTH) } else { None };
        let found = if balancer { find(BALANCER) } else { find(WORKER).or_else(health) };
        let key = String::from_utf8_lossy(key);
        let Some((_, parameter)) = found else {
            return Err(format!("unknown {} parameter '{key}'", if balancer { "Balancer" } else { "Worker" }));
        };
        let fits = match parameter {
            Number(least, most) => (least..=most).contains(&atoi(value, INT)),
            Size => matches!(atoi(value, INT), 0 | 512..),
            Time => is_time(value) && atoi(value, INT) != 0,
            Word(words) => is_one_of(value, words),
            Any => true,
        };
        require(fits, &format!("{key}: invalid value '{}'", String::from_utf8_lossy(value)))?;
    }
    Ok(())
}

/// `ProxyPass [PATH] TARGET [key=value …]` (`add_pass`); inside a `<Location>` there is no path.
pub(super) fn proxy_pass(line: &Line) -> Result<(), String> {
    let in_location = line.place.within(&["location", "locationmatch"]).is_some();
    let mut words = line.words().iter().map(|word| &**word);
    let mut matches = line.row.name == "ProxyPassMatch";
    let mut path = if in_location { None } else { words.next() };
    if path == Some(b"~") {
        require(!matches, "ProxyPassMatch invalid syntax ('~' usage).")?;
        matches = true;
        path = words.next();
    }
    if matches && path.is_some_and(|path| regex(path).is_err()) {
        return Err("regular expression could not be compiled".into());
    }
    let mapping = |word: &[u8]| word.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"mapping="));
    if line.words().iter().any(|word| mapping(word) && !is_one_of(&word[8..], &["encoded", "servlet"])) {
        return Err("unknown mapping".into());
    }
    let mut rest = words.filter(|word| !is_one_of(word, KEYWORDS) && !mapping(word));
    let Some(target) = rest.next() else {
        return Err("ProxyPass|ProxyPassMatch needs a path when not defined in a location".into());
    };
    let is_mapping = |word: &&[u8]| word.get(..8).is_some_and(|key| key.eq_ignore_ascii_case(b"mapping="));
    let (mappings, rest): (Vec<&[u8]>, Vec<&[u8]>) = rest.partition(is_mapping);
    let known = mappings.iter().all(|word| is_one_of(&word[8..], &["encoded", "servlet"]));
    require(known, "unknown mapping")?;
    // A path that is not proxied has no worker, so nobody reads its parameters.
    if target != b"!" {
        parameters(line, target, rest.into_iter())?;
    }
    if target == b"!" { Ok(()) } else { worker_url(target) }
}

/// What a worker's URL needs (ap_proxy_define_worker): a scheme, and a host unless a socket stands in for it.
fn worker_url(target: &[u8]) -> Result<(), String> {
    let lossy = String::from_utf8_lossy(target);
    let starts = |text: &[u8], prefix: &[u8]| text.get(..prefix.len()).is_some_and(|t| t.eq_ignore_ascii_case(prefix));
    let (socket, url) = match memchr::memchr(b'|', target) {
        Some(bar) if starts(target, b"unix:") => (true, &target[bar + 1..]),
        _ => (false, target),
    };
    require(!(socket && url.is_empty()), "ProxyPass|ProxyPassMatch uses an invalid \"unix:\" URL")?;
    let Some(colon) = memchr::memchr(b':', url).filter(|&colon| colon > 0 && !url[..colon].contains(&b'/')) else {
        return Err(format!("ProxyPass URL must be absolute!: {lossy}"));
    };
    let authority = url[colon + 1..].strip_prefix(b"//").unwrap_or_default();
    let authority = authority.split(|byte| b"/?#".contains(byte)).next().unwrap_or_default();
    if starts(url, b"balancer:") {
        return require(!authority.is_empty(), &format!("ProxyPass Bad syntax for a balancer name ({lossy})"));
    }
    let host = &authority[memchr::memrchr(b'@', authority).map_or(0, |at| at + 1)..];
    require(!host.is_empty() || socket, &format!("ProxyPass URL must be absolute!: {lossy}"))?;
    // What a group of ProxyPassMatch stands for may belong to the port.
    let port = if host.starts_with(b"[") { None } else { memchr::memchr(b':', host).map(|at| &host[at + 1..]) };
    let readable = port.is_none_or(|port| port.iter().all(|&byte| byte.is_ascii_digit()) || port.contains(&b'$'));
    require(readable, &format!("ProxyPass Unable to parse URL: {lossy}"))
}

/// `BalancerMember [balancer://…] URL [key=value …]` (`add_member`).
pub(super) fn balancer_member(line: &Line) -> Result<(), String> {
    let inside = line.place.within(&["proxy", "proxymatch"]).is_some();
    let mut words =
        line.words().iter().filter(|word| !word.contains(&b'=') || memchr::memmem::find(word, b"://").is_some());
    let first = words.next();
    let balancer = if inside { None } else { first };
    let member = if inside { first } else { words.next() };
    if !inside && balancer.is_none() {
        return Err("BalancerMember must define balancer name when outside <Proxy > section".into());
    }
    let Some(member) = member else { return Err("BalancerMember must define remote proxy server".into()) };
    if let Some(name) = balancer {
        let named = name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"balancer://"));
        require(named, &format!("BalancerMember bad syntax for a balancer name ({})", String::from_utf8_lossy(name)))?;
    }
    require(
        memchr::memmem::find(member, b"://").is_some() || member.starts_with(b"unix:"),
        &format!("BalancerMember: unable to parse URL: {}", String::from_utf8_lossy(member)),
    )?;
    let rest = line.words().iter().filter(|word| *word != member && Some(*word) != balancer);
    parameters(line, member, rest.map(|word| &**word))
}

/// `ProxySet [URL] key=value …`; which worker it is about is not known before all are read.
pub(super) fn proxy_set(line: &Line) -> Result<(), String> {
    let inside = line.place.within(&["proxy", "proxymatch", "location", "locationmatch"]).is_some();
    if !inside && memchr::memmem::find(line.word(0), b"://").is_none() {
        return Err(format!("ProxySet can not find '{}' Worker", line.lossy(0)));
    }
    // Inside a section its own URL is the target, which may be a balancer or a worker: any parameter of either will do.
    if inside {
        return pairs(line.words().iter().map(|word| &**word), "ProxySet");
    }
    parameters(line, line.word(0), line.words()[1..].iter().map(|word| &**word))
}

fn pairs<'w>(words: impl Iterator<Item = &'w [u8]>, name: &str) -> Result<(), String> {
    for word in words {
        require(word.contains(&b'='), &format!("invalid {name} parameter, it must be in the form 'key=value'"))?;
    }
    Ok(())
}

/// `ProxyHCTemplate NAME key=value …`.
pub(super) fn template(line: &Line) -> Result<(), String> {
    require(!line.words().is_empty(), "missing template name for ProxyHCTemplate")?;
    pairs(line.words()[1..].iter().map(|word| &**word), "ProxyHCTemplate")
}

/// `ProxyHCExpr NAME EXPRESSION` and `ProxyFCGISetEnvIf CONDITION NAME [VALUE]`.
pub(super) fn expression(line: &Line) -> Result<(), String> {
    let named = line.row.name == "ProxyHCExpr";
    let mut rest = line.node.args();
    if named {
        require(!lex::getword_conf(&mut rest).is_empty(), "missing expression name for ProxyHCExpr")?;
    }
    let text = lex::getword_conf(&mut rest);
    require(!text.is_empty(), &format!("missing expression for {}", line.row.name))?;
    match expr::parse(&text, line.expressions()) {
        Ok(_) => Ok(()),
        // Health checks know a variable and a function of their own.
        Err(_) if named && memchr::memmem::find(&text, b"hc(").is_some() => Ok(()),
        Err(message) => Err(format!("could not parse expression \"{}\": {message}", String::from_utf8_lossy(&text))),
    }
}

//! The values of other modules' directives.

use super::core::method;
use super::values::{atoi, digits, is_one_of, is_time};
use super::{Defined, Line};
use crate::apache::access::address::Network;
use crate::apache::expr;

/// Checks a directive; `None`: it is none that is checked here.
pub(super) fn check(line: &Line, name: &str, defined: &mut Defined) -> Option<Result<(), String>> {
    Some(match name {
        "allowmethods" => allow_methods(line),
        "action" => match line.words().get(2) {
            Some(word) if !word.eq_ignore_ascii_case(b"virtual") => {
                Err(format!("unrecognized option '{}'", line.lossy(2)))
            }
            _ => Ok(()),
        },
        "allowconnect" => {
            all(line, |word| word.first().is_some_and(u8::is_ascii_digit), "port numbers must be numeric")
        }
        "cachedisable" if line.place.path => require(
            line.word(0).eq_ignore_ascii_case(b"on"),
            "CacheDisable must be followed by the word 'on' when in a Location.",
        ),
        "cachedisable" => {
            let word = line.word(0);
            require(word.starts_with(b"/") || word.contains(&b':'), "CacheDisable must specify a path or an URL")
        }
        "authname" | "authtype" => match expr::parse_string(line.word(0), line.expressions()) {
            Ok(_) => Ok(()),
            Err(message) => Err(format!("Cannot parse expression '{}' in {}: {message}", line.lossy(0), line.row.name)),
        },
        "authldapurl" => ldap_url(line),
        "cacheenable" => cache_enable(line),
        "cachedirlevels" | "cachedirlength" => cache_directories(line, name, defined),
        "cookiedomain" => {
            require(line.word(0).starts_with(b"."), "CookieDomain values must begin with a dot").and(require(
                line.word(0).iter().skip(1).any(|&byte| byte == b'.'),
                "CookieDomain values must hold a second dot",
            ))
        }
        "customlog" | "globallog" => custom_log(line),
        "dav" => dav(line),
        "directoryindexredirect" => directory_index_redirect(line),
        "indexoptions" => super::autoindex::index_options(line),
        "indexorderdefault" => super::autoindex::order(line),
        "proxyremote" | "proxyremotematch" => require(
            memchr::memmem::find(line.word(1), b"://").is_some(),
            &format!("{}: bad syntax for a remote proxy server", line.row.name),
        ),
        "proxypass" | "proxypassmatch" => super::proxy::proxy_pass(line),
        "proxypassreverse"
            if line.words().len() < 2
                && line.place.within(&["location", "locationmatch", "proxy", "proxymatch"]).is_none() =>
        {
            Err("ProxyPassReverse needs a path when not defined in a location".into())
        }
        "proxydomain" => require(line.word(0).starts_with(b"."), "ProxyDomain: domain name must start with a dot"),
        "receivebuffersize" | "sendbuffersize" | "proxyreceivebuffersize" | "proxyiobuffersize" => {
            let size = atoi(line.word(0), i64::from(i32::MAX));
            require(
                size == 0 || size >= 512,
                &format!("{} must be >= 512 bytes, or 0 for system default", line.row.name),
            )
        }
        "remoteipproxyprotocolexceptions" => remote_exceptions(line),
        "requestreadtimeout" => request_read_timeout(line),
        "sslsessioncache" | "sslstaplingcache" | "authncachesocache" | "cachesocache" => shared_cache(line, name),
        "ssloptions" => all(
            line,
            |word| {
                let word = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-")).unwrap_or(word);
                is_one_of(
                    word,
                    &[
                        "stdenvvars",
                        "exportcertdata",
                        "fakebasicauth",
                        "strictrequire",
                        "optrenegotiate",
                        "legacydnstringformat",
                        "exportbothcertdata",
                    ],
                )
            },
            "illegal option",
        ),
        "sslprotocol" | "sslproxyprotocol" => all(
            line,
            |word| {
                // SSLv2 can only be taken out any more.
                let (taken_out, word) = match word.split_first() {
                    Some((sign @ (b'+' | b'-'), rest)) => (*sign == b'-', rest),
                    _ => (false, word),
                };
                taken_out && is_one_of(word, &["sslv2"])
                    || is_one_of(word, &["sslv3", "tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3", "all"])
            },
            "illegal protocol",
        ),
        "h2pushpriority" => require(
            line.words().len() < 2
                || digits(line.word(1)).is_some()
                || is_one_of(line.word(1), &["after", "before", "interleaved"]),
            "dependency must be one of 'After', 'Before' or 'Interleaved'",
        ),
        "sslrequire" => match expr::parse(line.node.args(), expr::Context { ssl_compat: true, ..line.expressions() }) {
            Ok(_) => Ok(()),
            Err(message) => Err(format!("SSLRequire: {message}")),
        },
        "sslciphersuite" | "sslproxyciphersuite" if line.words().len() > 1 => require(
            is_one_of(line.word(0), &["ssl", "tlsv1.3"]),
            &format!("protocol '{}' not supported", line.lossy(0)),
        ),
        "sslengine" => {
            require(is_one_of(line.word(0), &["on", "off", "optional"]), "Argument must be On, Off, or Optional")
        }
        "heartbeatmaxservers" => {
            let count = atoi(line.word(0), i64::from(i32::MAX));
            require(
                count == 0 || count >= 10,
                "HeartbeatMaxServers: should be 0 for file storage, or greater or equal than 10 for slotmem",
            )
        }
        "cachelastmodifiedfactor" => {
            let number = std::str::from_utf8(line.word(0)).ok().and_then(|text| text.parse::<f64>().ok());
            require(number.is_some(), "CacheLastModifiedFactor value must be a float")
        }
        "asyncrequestworkerfactor" => {
            let number = std::str::from_utf8(line.word(0)).ok().and_then(|text| text.parse::<f64>().ok());
            require(
                number.is_some_and(|number| number > 0.0),
                "AsyncRequestWorkerFactor argument must be a positive number",
            )
        }
        "errorlog" | "transferlog" if memchr::memmem::find(line.word(0), b"://").is_some() => {
            Err(format!("{}: a URL is no file", line.row.name))
        }
        "heartbeataddress" | "heartbeatlisten" => match super::core::address(line.word(0)) {
            Some((Some(_), Some(_))) => Ok(()),
            _ => Err(format!("{}: no host or no port provided in address", line.row.name)),
        },
        "ldapconnectionpoolttl" => {
            let word = line.word(0).strip_prefix(b"-").unwrap_or(line.word(0));
            require(is_time(word), "LDAPConnectionPoolTTL has wrong format")
        }
        "logmessage" => line.words().iter().skip(1).try_for_each(|word| {
            require(
                is_one_of(word, &["hook=", "expr="]),
                &format!("invalid argument {}", String::from_utf8_lossy(word)),
            )
        }),
        "luahookaccesschecker"
        | "luahookauthchecker"
        | "luahookcheckuserid"
        | "luahooktranslatename"
        | "luahookpretranslate"
            if line.words().len() > 2 =>
        {
            require(is_one_of(line.word(2), &["early", "late"]), "third argument must be 'early' or 'late'")
        }
        "luamaphandler" => super::values::regex(line.word(0)),
        "mdcertificatefile" | "mdcertificatekeyfile" | "mdmember" | "mdmembers" => {
            let alone =
                line.words().len() == 1 && is_one_of(line.word(0), &["auto", "manual"]) && name.starts_with("mdmember");
            let inside = line.place.within(&["mdomainset", "mdomain"]).is_some();
            require(
                alone || inside,
                &format!("{} is only valid inside a '<MDomainSet' context, not here", line.row.name),
            )
        }
        "mdomain" => require(!line.words().is_empty(), "needs at least one domain name"),
        "mdprivatekeys" => require(!line.words().is_empty(), "needs to specify the private key type"),
        "mdhttpproxy" => require(memchr::memchr(b':', line.word(0)).is_some(), "missing uri scheme"),
        "memcacheconnttl" | "redisconnpoolttl" | "redistimeout" => require(
            is_time(line.word(0)) && atoi(line.word(0), i64::MAX) <= 3600,
            &format!("{} has wrong format, or is more than one hour", line.row.name),
        ),
        "sslcompression" => require(
            !is_one_of(line.word(0), &["on"]),
            "this version of OpenSSL does not have any compression methods available",
        ),
        "sslpassphrasedialog" => {
            let word = line.word(0);
            require(
                is_one_of(word, &["builtin", "exec:"]) || word.starts_with(b"|"),
                "SSLPassPhraseDialog: invalid argument",
            )
        }
        "sslrandomseed" => require(
            is_one_of(line.word(0), &["startup", "connect"]),
            &format!("SSLRandomSeed: invalid context: `{}'", line.lossy(0)),
        ),
        "substitute" => substitute(line),
        "substitutemaxlinelength" => {
            let word = line.word(0);
            let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let unit = is_one_of(&word[digits..], &["", "b", "k", "m", "g"]);
            require(
                digits > 0 && unit,
                "SubstituteMaxLineLength must be a non-negative integer optionally suffixed with 'b', 'k', 'm' or 'g'",
            )
        }
        "userdir" => require(!line.node.args().is_empty(), "UserDir requires an argument"),
        "watchdoginterval" => require(is_time(line.word(0)), "unparse-able WatchdogInterval setting"),
        "addoutputfilterbytype" if line.words().len() < 2 => {
            Err("AddOutputFilterByType requires at least two arguments".into())
        }
        "addoutputfilterbytype" => filter(line, line.word(0), defined),
        "filterprovider" => filter(line, line.word(1), defined),
        "filterprotocol" | "filtertrace" => require(
            defined.filters.iter().any(|known| known == line.word(0)),
            &format!("{}: no such filter {}", line.row.name, line.lossy(0)),
        ),
        "filterdeclare" | "extfilterdefine" | "luaoutputfilter" | "luainputfilter" => {
            defined.filters.push(line.word(0).to_vec());
            if name != "extfilterdefine" {
                return Some(Ok(()));
            }
            let known = [
                "mode=",
                "intype=",
                "outtype=",
                "ftype=",
                "cmd=",
                "disableenv=",
                "enableenv=",
                "preservescontentlength",
            ];
            line.words().iter().skip(1).take_while(|word| !word.starts_with(b"cmd=")).try_for_each(|word| {
                require(is_one_of(word, &known), &format!("unexpected parameter: `{}'", String::from_utf8_lossy(word)))
            })
        }
        "balancermember" => super::proxy::balancer_member(line),
        "proxyset" => super::proxy::proxy_set(line),
        "proxyhctemplate" => super::proxy::template(line),
        "proxyhcexpr" | "proxyfcgisetenvif" => super::proxy::expression(line),
        "authformbody" | "authformlocation" | "authformmethod" | "authformmimetype" | "authformpassword"
        | "authformusername" | "sessioncookiename" | "sessioncookiename2" => {
            let bad = line.word(0).is_empty() || line.word(0).iter().any(|byte| matches!(byte, b'=' | b'&'));
            require(!bad, &format!("{} cannot be empty, or contain '=' or '&'", line.row.name))
        }
        "sessiondbdcookiename" | "sessiondbdcookiename2" => {
            let bad = line.word(0).iter().any(|byte| matches!(byte, b'=' | b'&' | b';'));
            require(!bad, &format!("{} cannot contain '=', ';' or '&'", line.row.name))
        }
        "brotlifilternote" | "deflatefilternote" if line.words().len() > 1 => require(
            is_one_of(line.word(0), &["input", "output", "ratio"]),
            &format!("unknown note type {}", line.lossy(0)),
        ),
        _ => return None,
    })
}

pub(super) fn require(holds: bool, message: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message.to_owned()) }
}

fn all(line: &Line, fits: impl Fn(&[u8]) -> bool, message: &str) -> Result<(), String> {
    match line.words().iter().find(|word| !fits(word)) {
        Some(word) => Err(format!("{}: {message} '{}'", line.row.name, String::from_utf8_lossy(word))),
        None => Ok(()),
    }
}

fn allow_methods(line: &Line) -> Result<(), String> {
    if line.words().is_empty() {
        return Err("AllowMethods: no method or 'reset' keyword given".into());
    }
    if line.word(0).eq_ignore_ascii_case(b"reset") {
        return require(line.words().len() == 1, "AllowMethods: 'reset' keyword cannot be used with methods");
    }
    line.words().iter().try_for_each(|word| method(line, word))
}

fn cache_enable(line: &Line) -> Result<(), String> {
    let (kind, url) = (line.word(0), line.words().get(1));
    if kind.starts_with(b"/") {
        return Err(format!("provider ({}) starts with a '/', are url and provider switched?", line.lossy(0)));
    }
    let given = url.is_some() || line.place.path;
    require(given, &format!("CacheEnable provider ({}) is missing an URL", line.lossy(0)))
}

/// apr_ldap_url_parse, as far as the form decides: `ldap[s|i]://host/dn?attributes?scope?filter`.
fn ldap_url(line: &Line) -> Result<(), String> {
    let url = line.word(0);
    let known = ["ldap://", "ldaps://", "ldapi://"];
    let scheme = known
        .iter()
        .find(|scheme| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes())));
    require(scheme.is_some(), "The scheme was not recognised as a valid LDAP URL scheme.")?;
    let scope = url.split(|&byte| byte == b'?').nth(2).unwrap_or_default();
    require(
        is_one_of(scope, &["", "base", "one", "onetree", "sub", "subtree"]),
        "Bad scope encountered while parsing LDAP URL.",
    )?;
    require(
        line.words().len() < 2 || is_one_of(line.word(1), &["none", "ssl", "tls", "starttls"]),
        "Invalid LDAP connection mode setting: must be one of NONE, SSL, or TLS/STARTTLS",
    )
}

/// `CacheDirLevels` and `CacheDirLength`, of which each server has its own: names may not become too long together.
fn cache_directories(line: &Line, name: &str, defined: &mut Defined) -> Result<(), String> {
    let number = atoi(line.word(0), i64::MAX);
    require((1..=20).contains(&number), &format!("{} value must be an integer between 1 and 20", line.row.name))?;
    let current = if line.place.vhost { &mut defined.vhost_cache } else { &mut defined.cache };
    let (levels, length) = current.get_or_insert((2, 2));
    *(if name == "cachedirlevels" { &mut *levels } else { &mut *length }) = number;
    require(*levels * *length <= 20, "CacheDirLevels*CacheDirLength value must not be higher than 20")
}

/// `CustomLog FILE FORMAT [env=…|expr=…]`.
fn custom_log(line: &Line) -> Result<(), String> {
    let Some(condition) = line.words().get(2) else { return Ok(()) };
    let start = |prefix: &[u8]| condition.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if start(b"env=") {
        let variable = condition[4..].strip_prefix(b"!").unwrap_or(&condition[4..]);
        return require(!variable.is_empty(), "missing environment variable name");
    }
    if start(b"expr=") {
        return match expr::parse(&condition[5..], line.expressions()) {
            Ok(_) => Ok(()),
            Err(message) => Err(message),
        };
    }
    Err("error in condition clause".into())
}

fn dav(line: &Line) -> Result<(), String> {
    let provider = line.word(0);
    if provider.eq_ignore_ascii_case(b"off") {
        return Ok(());
    }
    let name = if provider.eq_ignore_ascii_case(b"on") { b"filesystem" } else { provider };
    // A provider of this name comes with mod_dav_fs; other modules bring others.
    let known = name == b"filesystem" && line.known.modules.has("dav_fs_module")
        || name == b"svn" && line.known.modules.has("dav_svn_module");
    require(
        known || line.known.modules.unknown().next().is_some(),
        &format!("unknown DAV provider: {}", String::from_utf8_lossy(name)),
    )
}

fn directory_index_redirect(line: &Line) -> Result<(), String> {
    let word = line.word(0);
    if is_one_of(word, &["on", "off", "temp", "permanent", "seeother"]) {
        return Ok(());
    }
    match digits(word) {
        Some(300..=399) => Ok(()),
        Some(number) if number >= 0 => Err("DirectoryIndexRedirect only accepts values between 300 and 399".into()),
        _ => Err("DirectoryIndexRedirect ON|OFF|permanent|temp|seeother|3xx".into()),
    }
}

fn remote_exceptions(line: &Line) -> Result<(), String> {
    require(!line.words().is_empty(), "RemoteIPProxyProtocolExceptions requires an argument")?;
    all(line, |word| Network::parse(word).is_ok(), "ip address appears to be invalid")
}

fn request_read_timeout(line: &Line) -> Result<(), String> {
    line.words().iter().try_for_each(|word| {
        let Some(equals) = memchr::memchr(b'=', word) else {
            return Err("invalid RequestReadTimeout parameter, it must be in the form 'key=value'".to_owned());
        };
        let (key, value) = (&word[..equals], &word[equals + 1..]);
        let lossy = String::from_utf8_lossy(word);
        require(
            is_one_of(key, &["handshake", "header", "body"]),
            &format!("RequestReadTimeout: {lossy}: unknown parameter"),
        )?;
        let (range, rate) = match memchr::memchr(b',', value) {
            Some(comma) => (&value[..comma], Some(&value[comma + 1..])),
            None => (value, None),
        };
        let number = |text: &[u8]| digits(text).filter(|number| *number >= 0);
        let good_rate = match rate {
            None => true,
            Some(rate) => match rate.split_at_checked(8) {
                Some((name, digits)) if name.eq_ignore_ascii_case(b"minrate=") => {
                    number(digits).is_some_and(|rate| rate > 0)
                }
                _ => false,
            },
        };
        let good_range = match memchr::memchr(b'-', range) {
            Some(dash) => match (number(&range[..dash]), number(&range[dash + 1..])) {
                (Some(least), Some(most)) => least < most,
                _ => false,
            },
            None => number(range).is_some(),
        };
        require(good_range && good_rate, &format!("RequestReadTimeout: {lossy}: invalid timeout or rate"))
    })
}

/// The shared object caches, `NAME[:ARGUMENT]`: each comes with a module of its own.
fn shared_cache(line: &Line, name: &str) -> Result<(), String> {
    let word = line.word(0);
    let ssl = name.starts_with("ssl");
    if name == "sslsessioncache" && is_one_of(word, &["none", "nonenotnull"]) {
        return Ok(());
    }
    let provider = word.split(|&byte| byte == b':').next().unwrap_or(word);
    let lossy = String::from_utf8_lossy(provider).into_owned();
    let modules = &line.known.modules;
    if modules.has(&format!("socache_{}_module", lossy.to_ascii_lowercase())) || !ssl && provider == b"default" {
        return Ok(());
    }
    if modules.unknown().next().is_some() {
        return Ok(());
    }
    Err(format!("{}: '{lossy}' cache not supported, maybe you need to load mod_socache_{lossy}", line.row.name))
}

/// `s/pattern/replacement/flags` (`set_pattern`).
fn substitute(line: &Line) -> Result<(), String> {
    let bad = Err("bad Substitute format, must be an s/// pattern".to_owned());
    let Some((b's', rest)) = line.word(0).split_first() else { return bad };
    let Some((&delimiter, rest)) = rest.split_first() else { return bad };
    let parts: Vec<&[u8]> = rest.splitn(3, |&byte| byte == delimiter).collect();
    if parts.len() < 2 {
        return bad;
    }
    let flags = parts.get(2).copied().unwrap_or_default();
    if let Some(flag) = flags.iter().find(|flag| !matches!(flag.to_ascii_lowercase(), b'i' | b'n' | b'f' | b'q')) {
        return Err(format!("bad Substitute flag '{}', only s///[infq] are supported", char::from(*flag)));
    }
    if flags.contains(&b'n') { Ok(()) } else { super::values::regex(parts[0]) }
}

/// The output filters that modules bring; a name is looked up in any case.
const FILTERS: &[(&str, &str)] = &[
    ("brotli_compress", "brotli_module"),
    ("buffer", "buffer_module"),
    ("casefilter", "case_filter_module"),
    ("data", "data_module"),
    ("deflate", "deflate_module"),
    ("includes", "include_module"),
    ("inflate", "deflate_module"),
    ("proxy-html", "proxy_html_module"),
    ("rate_limit", "ratelimit_module"),
    ("sed", "sed_module"),
    ("substitute", "substitute_module"),
    ("xlateout", "charset_lite_module"),
    ("xml2enc", "xml2enc_module"),
];

/// `AddOutputFilterByType` and `FilterProvider` want a filter that exists.
fn filter(line: &Line, list: &[u8], defined: &Defined) -> Result<(), String> {
    let modules = &line.known.modules;
    let exists = |name: &[u8]| {
        FILTERS.iter().any(|(known, module)| name.eq_ignore_ascii_case(known.as_bytes()) && modules.has(module))
            || defined.filters.iter().any(|known| known.eq_ignore_ascii_case(name))
    };
    match list.split(|&byte| byte == b';').find(|name| !exists(name)) {
        // Other modules bring filters that no table has.
        Some(name) if !modules.others() => Err(format!("unknown filter provider {}", String::from_utf8_lossy(name))),
        _ => Ok(()),
    }
}

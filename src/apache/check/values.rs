//! The values of directives: what each module's own handler refuses.
//!
//! Most handlers want one of a few words, a number in a range or a regular expression; those are rows of [`TABLE`].

use std::sync::LazyLock;

use super::super::{directives, lex};
use super::{Defined, Line, access, core, headers, mapping, modules, services};
use crate::pattern::{Options, Pattern};

/// What the arguments of a directive must be.
#[derive(Clone, Copy)]
enum Value {
    /// The first word is one of these, in any case.
    Word(&'static [&'static str]),
    /// Every word is one of these, in any case, with or without `+` or `-`.
    Words(&'static [&'static str]),
    /// The first word, read like atoi(3), lies in this range: text that is no number counts as 0.
    Number(i64, i64),
    /// The first word is a number as a whole and lies in this range.
    Digits(i64, i64),
    /// One of these words, or a number as a whole in this range.
    WordOrDigits(&'static [&'static str], i64, i64),
    /// A time: a number and `s`, `ms`, `mi` or `h`.
    Time,
    /// A time of mod_md: a number and a unit, or a percentage.
    Duration,
    /// This word, from 0, is a regular expression.
    Regex(usize),
    /// No form of it is accepted any more.
    Gone,
}
use Value::{Digits, Duration, Gone, Number, Regex, Time, Word, WordOrDigits, Words};

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;

/// By lower-case name.
#[rustfmt::skip]
const TABLE: &[(&str, Value)] = &[
    ("acceptpathinfo", Word(&["on", "off", "default"])),
    ("allowencodedslashes", Word(&["on", "off", "nodecode"])),
    ("authbasicusedigestalgorithm", Word(&["off", "md5"])),
    ("authdigestalgorithm", Word(&["md5"])),
    ("authdigestnoncelifetime", Digits(i64::MIN, LONG)),
    ("authdigestqop", Word(&["auth"])),
    ("authdigestshmemsize", Digits(88, LONG)),
    ("authformsize", Number(0, LONG)),
    ("authldapdereferencealiases", Word(&["never", "off", "searching", "finding", "always", "on"])),
    ("authldapinitialbindpattern", Regex(0)),
    ("authmerging", Word(&["off", "and", "or"])),
    ("balancergrowth", Number(0, 1000)),
    ("brotlialteretag", Word(&["addsuffix", "nochange", "remove"])),
    ("brotlicompressionmaxinputblock", Number(16, 24)),
    ("brotlicompressionquality", Number(0, 11)),
    ("brotlicompressionwindow", Number(10, 24)),
    ("buffersize", Digits(1, LONG)),
    ("cachelockmaxage", Number(1, LONG)),
    ("cachemaxfilesize", Number(0, LONG)),
    ("cacheminfilesize", Number(0, LONG)),
    ("cachereadsize", Number(0, LONG)),
    ("cachereadtime", Number(0, LONG)),
    ("cachesocachemaxsize", Number(1024, u32::MAX as i64)),
    ("cachesocachemaxtime", Number(0, LONG)),
    ("cachesocachemintime", Number(0, LONG)),
    ("cachesocachereadsize", Number(0, LONG)),
    ("cachesocachereadtime", Number(0, LONG)),
    ("cgidscripttimeout", Time),
    ("cgiscripttimeout", Time),
    ("cgivar", Word(&["request_uri"])),
    ("charsetoptions", Words(&["implicitadd", "noimplicitadd", "translateallmimetypes", "notranslateallmimetypes", "debuglevel="])),
    ("cookiesamesite", Word(&["strict", "lax", "none"])),
    ("cookiestyle", Word(&["netscape", "cookie", "cookie2", "rfc2109", "rfc2965"])),
    ("davmintimeout", Number(0, INT)),
    ("dbdexptime", Digits(0, LONG)),
    ("dbdkeep", Digits(0, LONG)),
    ("dbdmax", Digits(0, LONG)),
    ("dbdmin", Digits(0, LONG)),
    ("deflatealteretag", Word(&["addsuffix", "nochange", "remove"])),
    ("deflatebuffersize", Number(1, INT)),
    ("deflatecompressionlevel", Number(1, 9)),
    ("deflateinflatelimitrequestbody", Digits(0, LONG)),
    ("deflateinflateratioburst", Number(1, INT)),
    ("deflateinflateratiolimit", Number(1, INT)),
    ("deflatememlevel", Number(1, 9)),
    ("deflatewindowsize", Number(1, 15)),
    ("directorycheckhandler", Word(&["on", "off"])),
    ("enablemmap", Word(&["on", "off"])),
    ("enablesendfile", Word(&["on", "off"])),
    ("extfilteroptions", Words(&["logstderr", "nologstderr", "onfail=abort", "onfail=remove"])),
    ("fancyindexing", Gone),
    ("flushmaxpipelined", Digits(-1, INT)),
    ("flushmaxthreshold", Digits(0, u32::MAX as i64)),
    ("h2copyfiles", Word(&["on", "off"])),
    ("h2direct", Word(&["on", "off"])),
    ("h2earlyhints", Word(&["on", "off"])),
    ("h2maxdataframelen", Number(0, INT)),
    ("h2maxheaderblocklen", Number(0, INT)),
    ("h2maxsessionstreams", Number(1, INT)),
    ("h2maxstreamerrors", Number(0, INT)),
    ("h2maxworkeridleseconds", Time),
    ("h2maxworkers", Number(1, INT)),
    ("h2minworkers", Number(1, INT)),
    ("h2moderntlsonly", Word(&["on", "off"])),
    ("h2outputbuffering", Word(&["on", "off"])),
    ("h2padding", Number(0, 8)),
    ("h2proxyrequests", Word(&["on", "off"])),
    ("h2push", Word(&["on", "off"])),
    ("h2streammaxmemsize", Number(1024, INT)),
    ("h2streamtimeout", Time),
    ("h2upgrade", Word(&["on", "off"])),
    ("h2websockets", Word(&["on", "off"])),
    ("h2windowsize", Number(1024, LONG)),
    ("hostnamelookups", Word(&["on", "off", "double"])),
    ("httpprotocoloptions", Words(&["unsafe", "strict", "registeredmethods", "lenientmethods", "require1.0", "allow0.9"])),
    ("keepalivetimeout", Time),
    ("keptbodysize", Digits(0, LONG)),
    ("ldapreferralhoplimit", Number(1, INT)),
    ("ldapreferrals", Word(&["on", "off", "default"])),
    ("ldapretries", Number(0, INT)),
    ("ldapretrydelay", Time),
    ("ldaptimeout", Digits(0, LONG)),
    ("ldaptrustedmode", Word(&["none", "ssl", "tls", "starttls"])),
    ("limitrequestbody", Digits(0, LONG)),
    ("limitrequestfields", Number(0, INT)),
    ("limitrequestfieldsize", Number(0, INT)),
    ("limitrequestline", Number(0, INT)),
    ("limitxmlrequestbody", Number(0, LONG)),
    ("listenbacklog", Number(1, INT)),
    ("listencoresbucketsratio", Number(1, INT)),
    ("listentcpdeferaccept", Number(1, INT)),
    ("luacodecache", Word(&["never", "stat", "forever"])),
    ("luahookinsertfilter", Gone),
    ("luainherit", Word(&["none", "parent-first", "parent-last"])),
    ("luascope", Word(&["once", "request", "conn", "thread", "server"])),
    ("maxmemfree", Number(0, LONG)),
    ("maxrangeoverlaps", WordOrDigits(&["none", "default", "unlimited"], 1, LONG)),
    ("maxrangereversals", WordOrDigits(&["none", "default", "unlimited"], 1, LONG)),
    ("maxranges", WordOrDigits(&["none", "default", "unlimited"], 1, LONG)),
    ("mdactivationdelay", Duration),
    ("mdbaseserver", Word(&["on", "off"])),
    ("mdcertificatestatus", Word(&["on", "off"])),
    ("mdchallengedns01version", Word(&["1", "2"])),
    ("mddrivemode", Word(&["auto", "always", "manual"])),
    ("mdinitialdelay", Duration),
    ("mdmatchnames", Word(&["all", "servernames"])),
    ("mdmuststaple", Word(&["on", "off"])),
    ("mdprofilemandatory", Word(&["on", "off"])),
    ("mdrenewmode", Word(&["auto", "always", "manual"])),
    ("mdrenewviaari", Word(&["on", "off"])),
    ("mdrenewwindow", Duration),
    ("mdrequirehttps", Word(&["off", "temporary", "permanent"])),
    ("mdretryfailover", Number(1, INT)),
    ("mdserverstatus", Word(&["on", "off"])),
    ("mdstapleothers", Word(&["on", "off"])),
    ("mdstapling", Word(&["on", "off"])),
    ("mdstaplingkeepresponse", Duration),
    ("mdstaplingrenewwindow", Duration),
    ("mdwarnwindow", Duration),
    ("modemstandard", Word(&["v.21", "v.26bis", "v.32", "v.34", "v.92"])),
    ("port", Gone),
    ("protocolshonororder", Word(&["on", "off"])),
    ("proxybadheader", Word(&["iserror", "ignore", "startbody"])),
    ("proxyerroroverride", Word(&["on", "off"])),
    ("proxyfcgibackendtype", Word(&["fpm", "generic"])),
    ("proxyhctpsize", Number(0, INT)),
    ("proxyhtmlbufsize", Digits(i64::MIN, LONG)),
    ("proxystatus", Word(&["on", "off", "full"])),
    ("proxytimeout", Number(1, INT)),
    ("proxyvia", Word(&["on", "off", "full", "block"])),
    ("readbuffersize", Digits(0, u32::MAX as i64)),
    ("regexdefaultoptions", Words(&["none", "icase", "extended", "dotall", "dollar_endonly"])),
    ("satisfy", Word(&["any", "all"])),
    ("serversignature", Word(&["on", "off", "email"])),
    ("servertokens", Word(&["os", "min", "minimal", "major", "minor", "prod", "productonly", "full"])),
    ("sessionexpiryupdateinterval", Number(0, LONG)),
    ("sslcarevocationcheck", Word(&["none", "leaf", "chain"])),
    ("sslcryptodevice", Word(&["builtin"])),
    ("ssllog", Gone),
    ("sslloglevel", Gone),
    ("sslocsprespondertimeout", Number(0, INT)),
    ("sslocspresponsemaxage", Number(0, INT)),
    ("sslocspresponsetimeskew", Number(0, INT)),
    ("sslproxycarevocationcheck", Word(&["none", "leaf", "chain"])),
    ("sslproxyverify", Word(&["none", "off", "optional", "require", "on", "optional_no_ca"])),
    ("sslproxyverifydepth", Number(0, INT)),
    ("sslrenegbuffersize", Number(0, INT)),
    ("sslsessioncachetimeout", Number(0, INT)),
    ("sslstaplingerrorcachetimeout", Number(0, INT)),
    ("sslstaplingrespondertimeout", Number(0, INT)),
    ("sslstaplingresponsemaxage", Number(0, INT)),
    ("sslstaplingresponsetimeskew", Number(0, INT)),
    ("sslstaplingstandardcachetimeout", Number(0, INT)),
    ("sslverifyclient", Word(&["none", "off", "optional", "require", "on", "optional_no_ca"])),
    ("sslverifydepth", Number(0, INT)),
    ("sslvhostsnipolicy", Word(&["strict", "secure", "authonly", "insecure"])),
    ("threadstacksize", Number(0, LONG)),
    ("traceenable", Word(&["on", "off", "extended"])),
    ("unlistedmethods", Word(&["on", "off"])),
    ("usecanonicalname", Word(&["on", "off", "dns"])),
    ("usecanonicalphysicalport", Word(&["on", "off"])),
    ("xbithack", Word(&["on", "off", "full"])),
    ("xml2encdefault", Word(&[
        "utf-8", "utf8", "utf-16", "utf16", "iso-10646-ucs-2", "ucs-2", "ucs2", "iso-10646-ucs-4", "ucs-4", "ucs4",
        "iso-8859-1", "iso-latin-1", "iso latin 1", "iso-8859-2", "iso-latin-2", "iso latin 2", "iso-8859-3",
        "iso-8859-4", "iso-8859-5", "iso-8859-6", "iso-8859-7", "iso-8859-8", "iso-8859-9", "iso-2022-jp", "shift_jis",
        "euc-jp",
    ])),
];

/// Directives of the server level that must not stand in a `<VirtualHost>`, in lower case.
#[rustfmt::skip]
const MAIN_ONLY: &[&str] = &[
    "acceptfilter", "asyncrequestworkerfactor", "authncacheenable", "authncachesocache", "authnzfcgidefineprovider",
    "chrootdir", "coredumpdirectory", "extendedstatus", "globallog", "gracefulshutdowntimeout", "group",
    "heartbeataddress", "heartbeatlisten", "heartbeatmaxservers", "heartbeatstorage", "ldapcacheentries",
    "ldapcachettl", "ldapconnectiontimeout", "ldaplibrarydebug", "ldapopcacheentries", "ldapopcachettl",
    "ldapretries", "ldapretrydelay", "ldapsharedcachefile", "ldapsharedcachesize", "ldaptimeout",
    "ldaptrustedglobalcert", "ldapverifyservercert", "listen", "listenbacklog", "listencoresbucketsratio",
    "listentcpdeferaccept", "maxclients", "maxconnectionsperchild", "maxmemfree", "maxrequestsperchild",
    "maxrequestworkers", "maxspareservers", "maxsparethreads", "minspareservers", "minsparethreads", "mutex",
    "pidfile", "proxyhctpsize", "receivebuffersize", "regexdefaultoptions", "registerhttpmethod", "scoreboardfile",
    "scriptsock", "seerequesttail", "sendbuffersize", "serverlimit", "servertokens", "sessioncryptodriver",
    "sslcryptodevice", "sslfips", "sslpassphrasedialog", "sslrandomseed", "sslsessioncache", "sslstaplingcache",
    "sslvhostsnipolicy", "startservers", "suexec", "threadlimit", "threadsperchild", "threadstacksize", "user",
    "watchdoginterval", "xml2encalias",
];

/// Directives that their mask admits in sections that match paths, and their handlers only in `<Location>`.
const LOCATION_ONLY: &[&str] = &[
    "cachedisable",
    "cacheenable",
    "luahooktranslatename",
    "luainputfilter",
    "luamaphandler",
    "luaoutputfilter",
    "proxypass",
    "proxypassmatch",
    "proxypassreverse",
];

/// What the tables say about a name.
#[derive(Clone, Copy)]
struct Traits {
    main_only: bool,
    location_only: bool,
    value: Option<Value>,
}

impl Traits {
    fn of(name: &str) -> Traits {
        Traits {
            main_only: MAIN_ONLY.contains(&name),
            location_only: LOCATION_ONLY.contains(&name),
            value: TABLE.binary_search_by_key(&name, |(name, _)| name).ok().map(|at| TABLE[at].1),
        }
    }

    /// Those of every row of the table of directives, by index: a large configuration asks for a few of them very often.
    fn table() -> &'static [Traits] {
        static TRAITS: LazyLock<Vec<Traits>> = LazyLock::new(|| {
            let names = directives::rows().iter().map(|row| row.name.to_ascii_lowercase());
            names.map(|name| Traits::of(&name)).collect()
        });
        &TRAITS
    }
}

/// Checks the place beyond the mask, then the values.
pub(super) fn check(line: &Line, defined: &mut Defined) -> Result<(), String> {
    let Some(known) = line.node.known() else { return Ok(()) };
    let traits = Traits::table()[known.first];
    if line.place.vhost && traits.main_only {
        return Err(format!("{} cannot occur within <VirtualHost> section", line.row.name));
    }
    if traits.location_only {
        line.not_limited()?;
        line.not_within(&["directory", "directorymatch", "files", "filesmatch", "if", "elseif", "else"])?;
    }
    if let Some(value) = traits.value {
        return table(line, value);
    }
    match known.lower.as_str() {
        "allow" | "deny" => access::allow(line),
        "order" => access::order(line),
        "require" => access::require(line, defined),
        "authbasicprovider" | "authdigestprovider" | "authformprovider" => access::authn_providers(line, defined),
        "header" | "requestheader" => headers::header(line),
        "expiresbytype" | "expiresdefault" => headers::expires(line),
        "cookieexpires" => headers::cookie_expires(line),
        name => mapping::check(line, name)
            .or_else(|| core::check(line, name))
            .or_else(|| modules::check(line, name, defined))
            .or_else(|| services::check(line, name))
            .unwrap_or(Ok(())),
    }
}

fn table(line: &Line, value: Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{}: {what}: '{}'", line.row.name, line.lossy(0)));
    let one_of = |words: &[&str]| format!("must be one of {}", words.join(", "));
    match value {
        Word(words) if !is_one_of(line.word(0), words) => wrong(&one_of(words)),
        Words(words) => match line.words().iter().find(|word| !is_one_of(unsigned(word), words)) {
            Some(word) => {
                Err(format!("{}: unknown option '{}', {}", line.row.name, String::from_utf8_lossy(word), one_of(words)))
            }
            None => Ok(()),
        },
        Number(least, most) if !(least..=most).contains(&atoi(line.word(0), most)) => wrong(&range(least, most)),
        Digits(least, most) if !digits(line.word(0)).is_some_and(|number| (least..=most).contains(&number)) => {
            wrong(&range(least, most))
        }
        WordOrDigits(words, least, most)
            if !is_one_of(line.word(0), words)
                && !digits(line.word(0)).is_some_and(|number| (least..=most).contains(&number)) =>
        {
            wrong(&format!("{} or {}", one_of(words), range(least, most)))
        }
        Time if !is_time(line.word(0)) => wrong("has wrong format"),
        Duration if !is_duration(line.word(0)) => wrong("has unrecognized format"),
        Regex(index) => regex(line.word(index)),
        Gone => Err(format!("{} is no longer supported", line.row.name)),
        Word(_) | Number(..) | Digits(..) | WordOrDigits(..) | Time | Duration => Ok(()),
    }
}

fn range(least: i64, most: i64) -> String {
    match (least, most) {
        (i64::MIN, _) => "must be a number".to_owned(),
        (least, INT | LONG) => format!("must be a number not below {least}"),
        (least, most) => format!("must be a number between {least} and {most}"),
    }
}

/// Whether a word is one of a list, in any case; one that ends in `=` or `:` stands for whatever follows it.
pub(super) fn is_one_of(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|known| {
        let known = known.as_bytes();
        word.eq_ignore_ascii_case(known)
            || matches!(known.last(), Some(b'=' | b':'))
                && word.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))
    })
}

fn unsigned(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"-")).unwrap_or(word)
}

/// atoi(3) or atol(3): the number at the start of a word, else 0; one that does not fit an int wraps where `most` is an int.
pub(super) fn atoi(word: &[u8], most: i64) -> i64 {
    let text = lex::trim(word);
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let magnitude = text
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0_i64, |number, byte| number.saturating_mul(10).saturating_add(i64::from(byte - b'0')));
    let number = if negative { -magnitude } else { magnitude };
    // What C's (int) keeps of a long.
    if most == LONG || most == i64::from(u32::MAX) { number } else { i64::from(number as i32) }
}

/// A word that is a number as a whole.
pub(super) fn digits(word: &[u8]) -> Option<i64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// `ap_timeout_parameter_parse`: a number that is not negative, and a unit of which the first letters count.
pub(super) fn is_time(word: &[u8]) -> bool {
    let text = lex::trim(word);
    let end =
        text.iter().skip_while(|byte| matches!(byte, b'+' | b'-')).take_while(|byte| byte.is_ascii_digit()).count();
    let signs = text.iter().take_while(|byte| matches!(byte, b'+' | b'-')).count();
    if signs > 1 || text.starts_with(b"-") {
        return false;
    }
    match text[signs.min(text.len()) + end..].to_ascii_lowercase().as_slice() {
        [] => !text.is_empty(),
        [b's' | b'h', ..] | [b'm', b's' | b'i', ..] => true,
        _ => false,
    }
}

/// A number, signed or not, and a unit or `%`.
pub(super) fn is_duration(word: &[u8]) -> bool {
    let unsigned = word.strip_prefix(b"-").unwrap_or(word);
    let digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && is_one_of(&unsigned[digits..], &["", "%", "d", "h", "mi", "m", "s", "ms", "w", "y"])
}

/// A regular expression that must compile.
pub(super) fn regex(text: &[u8]) -> Result<(), String> {
    match Pattern::new(text, Options::apache(false)) {
        Ok(_) => Ok(()),
        Err(_) => Err("regular expression could not be compiled".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(MAIN_ONLY.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn numbers_are_read_like_c() {
        assert_eq!(atoi(b"12x", INT), 12);
        assert_eq!(atoi(b"x", INT), 0);
        assert_eq!(atoi(b"-1", INT), -1);
        assert_eq!(atoi(b"99999999999", INT), 1_215_752_191);
        assert_eq!(digits(b"12x"), None);
    }

    #[test]
    fn times_need_a_unit_that_exists() {
        for time in ["5", "5s", "300ms", "2min", "1h", "http"] {
            assert!(is_time(time.as_bytes()), "{time}");
        }
        for time in ["x", "5d", "-1", "5m", "On"] {
            assert!(!is_time(time.as_bytes()), "{time}");
        }
    }
}

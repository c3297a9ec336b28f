//! The values of directives of mod_sed, LDAP, mod_md, HTTP/2 and OpenSSL.

use super::Line;
use super::values::{atoi, digits, is_duration, is_one_of};
use crate::apache::lex;

/// Kinds of certificate files that every directive of mod_ldap knows.
const LDAP_TYPES: [&str; 4] = ["ca_der", "ca_base64", "cert_der", "cert_base64"];

/// What SSL_CONF_cmd knows in files.
const OPENSSL_COMMANDS: [&str; 27] = [
    "Certificate",
    "ChainCAFile",
    "ChainCAPath",
    "ChainCAStore",
    "CipherString",
    "Ciphersuites",
    "ClientCAFile",
    "ClientCAPath",
    "ClientCAStore",
    "ClientSignatureAlgorithms",
    "Curves",
    "DHParameters",
    "ECDHParameters",
    "Groups",
    "MaxProtocol",
    "MinProtocol",
    "NumTickets",
    "Options",
    "PrivateKey",
    "Protocol",
    "RecordPadding",
    "RequestCAFile",
    "RequestCAPath",
    "ServerInfoFile",
    "SignatureAlgorithms",
    "VerifyCAFile",
    "VerifyMode",
];

/// Checks a directive; `None`: it is none that is checked here.
pub(super) fn check(line: &Line, name: &str) -> Option<Result<(), String>> {
    let words = line.words();
    Some(match name {
        "cachekeybaseurl" => {
            let word = line.word(0);
            require(word.starts_with(b"//") || word.contains(&b':'), || {
                format!("URL '{}' must contain at least one of a scheme, a hostname or a port", line.lossy(0))
            })
        }
        "h2pushdiarysize" => {
            let size = atoi(line.word(0), i64::from(i32::MAX));
            require(size == 0 || size.count_ones() == 1 && size > 0, || "value must be a power of 2".to_owned())
        }
        "h2pushresource" => {
            let last = if line.word(0) == b"add" { 2 } else { 1 };
            require(words.get(last).is_none_or(|word| word.eq_ignore_ascii_case(b"critical")), || {
                "unknown last parameter".to_owned()
            })
        }
        "inputsed" | "outputsed" => sed(line),
        "ldaptrustedclientcert" => {
            let more = ["cert_nickname", "cert_pfx", "cert_key3_db", "key_der", "key_base64", "key_pfx"];
            certificate_type(line, &more)
        }
        "ldaptrustedglobalcert" => {
            certificate_type(line, &["ca_cert7_db", "ca_secmod", "cert_key3_db", "cert_nickname", "cert_pfx"])
        }
        "mdcheckinterval" | "mdretrydelay" => {
            require(is_duration(line.word(0)) && atoi(line.word(0), i64::MAX) != 0, || {
                format!("{}: must be a duration greater than 0", line.row.name)
            })
        }
        "mdportmap" => words.iter().try_for_each(|word| port_map(word)),
        "mdstorelocks" => require(is_one_of(line.word(0), &["on", "off"]) || is_duration(line.word(0)), || {
            "neither 'on', 'off' or a duration specified".to_owned()
        }),
        "sslopensslconfcmd" => require(is_one_of(line.word(0), &OPENSSL_COMMANDS), || {
            format!("'{}': invalid OpenSSL configuration command", line.lossy(0))
        }),
        "proxyhcexpr" | "proxyhctemplate" => {
            let htaccess = line.expressions().restricted;
            require(!htaccess, || format!("{} cannot occur within htaccess files", line.row.name))
        }
        "sslcacertificatefile" | "sslcacertificatepath" => {
            require(!line.place.path, || "Your SSL library does not have support for per-directory CA".to_owned())
        }
        "sslciphersuite" => {
            let tls13 = words.len() > 1 && line.word(0).eq_ignore_ascii_case(b"TLSv1.3");
            require(!(tls13 && line.place.path), || {
                "TLSv1.3 ciphers cannot be set inside a directory context".to_owned()
            })
        }
        "sslocspenable" => {
            let flags = words.iter().skip(1).all(|word| word.eq_ignore_ascii_case(b"no_ocsp_for_cert_ok"));
            require(is_one_of(line.word(0), &["on", "off", "leaf"]) && flags, || {
                "SSLOCSPEnable: Invalid argument".to_owned()
            })
        }
        "watchdoginterval" => {
            let number = atoi(line.word(0), i64::MAX);
            let milliseconds = line.word(0).to_ascii_lowercase().ends_with(b"ms");
            require(if milliseconds { number >= 100 } else { number > 0 }, || {
                "Invalid WatchdogInterval: minimal value 100ms".to_owned()
            })
        }
        _ => return None,
    })
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

fn certificate_type(line: &Line, more: &[&str]) -> Result<(), String> {
    let known = is_one_of(line.word(0), &LDAP_TYPES) || is_one_of(line.word(0), more);
    require(known, || format!("The certificate type \"{}\" is not recognised", line.lossy(0)))
}

/// set_port_map: `http:8080`, `443:8443`, `80:-`.
fn port_map(word: &[u8]) -> Result<(), String> {
    let colon = memchr::memchr(b':', word).ok_or("no ':' after first port number")?;
    let (from, to) = (&word[..colon], &word[colon + 1..]);
    let from = match from {
        b"http" => 80,
        b"https" => 443,
        _ => digits(from).ok_or("no ':' after first port number")?,
    };
    require(to == b"-" || digits(to).is_some_and(|port| (1..=65535).contains(&port)), || {
        "invalid number for port map, must be [0, 65535]".to_owned()
    })?;
    require(matches!(from, 80 | 443), || "mapped port number must be 80 or 443".to_owned())
}

/// The command that a sed(1) script begins with, and the three separators of a substitution.
fn sed(line: &Line) -> Result<(), String> {
    const COMMANDS: &[u8] = b"{}=:abcdDgGhHilnNpPqrstwxy#!/\\$";
    let script = lex::trim(line.word(0));
    let command = script.iter().copied().find(|byte| !byte.is_ascii_digit() && !b", ".contains(byte));
    let wrong = |what: String| Err(format!("Failed to compile sed expression. {what}"));
    match command {
        None => wrong(format!("unrecognized command: {}", line.lossy(0))),
        Some(command) if !COMMANDS.contains(&command) => {
            wrong(format!("unrecognized command: {}", char::from(command)))
        }
        Some(b's') => substitution(&script[script.iter().position(|&byte| byte == b's').unwrap_or(0) + 1..])
            .map_err(|what| format!("Failed to compile sed expression. {what}: {}", line.lossy(0))),
        Some(b'}') => wrong(format!("too many }}'s: {}", line.lossy(0))),
        Some(command) => {
            let at = script.iter().position(|&byte| byte == command).unwrap_or(0);
            let rest = &script[at + 1..];
            let ends =
                |rest: &[u8]| lex::trim(rest).is_empty() || matches!(rest.first(), Some(b';' | b'\n' | b'}' | b'#'));
            let well_formed = match command {
                b'a' | b'c' | b'i' => rest.starts_with(b"\\"),
                b'r' | b'w' => rest.starts_with(b" "),
                b'd' | b'D' | b'g' | b'G' | b'h' | b'H' | b'l' | b'n' | b'N' | b'p' | b'P' | b'x' | b'=' => ends(rest),
                _ => true,
            };
            if well_formed { Ok(()) } else { wrong(format!("command garbled: {}", line.lossy(0))) }
        }
    }
}

/// What follows the `s` of a substitution: two texts, each with a separator behind it, and flags.
fn substitution(text: &[u8]) -> Result<(), &'static str> {
    let Some((&separator, rest)) = text.split_first() else { return Err("ill-formed s") };
    let (mut escaped, mut parts, mut behind) = (false, 0, rest.len());
    for (at, &byte) in rest.iter().enumerate() {
        if !escaped && byte == separator {
            parts += 1;
            if parts == 2 {
                behind = at + 1;
                break;
            }
        }
        escaped = !escaped && byte == b'\\';
    }
    let flags = &rest[behind.min(rest.len())..];
    let end = flags.iter().position(|byte| b";\n}#w".contains(byte)).unwrap_or(flags.len());
    let known = flags[..end].iter().all(|byte| byte.is_ascii_digit() || b"gp".contains(byte));
    if parts == 2 && known { Ok(()) } else { Err("command garbled") }
}

#[cfg(test)]
mod tests {
    use super::port_map;

    #[test]
    fn only_the_two_web_ports_are_mapped() {
        for word in ["http:8080", "443:8443", "80:-"] {
            assert!(port_map(word.as_bytes()).is_ok(), "{word}");
        }
        for word in ["8080", "http:x", "22:2222", "http:70000"] {
            assert!(port_map(word.as_bytes()).is_err(), "{word}");
        }
    }
}

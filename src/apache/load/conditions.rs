//! The arguments of `<IfModule>` and its kin, and the versions of `<IfVersion>`.

use std::borrow::Cow;

use crate::apache::lex;
use crate::pattern::{Options, Pattern};

/// The argument of a condition and whether a `!` negates it (`start_cond_section`).
pub(super) fn argument<'a>(name: &str, args: &'a [u8]) -> Result<(bool, Cow<'a, [u8]>), String> {
    let Some(end) = memchr::memrchr(b'>', args) else {
        return Err(format!("{name}> directive missing closing '>'"));
    };
    let (negated, mut rest) = match args[..end].strip_prefix(b"!") {
        Some(rest) => (true, rest),
        None => (false, &args[..end]),
    };
    let word = lex::getword_conf(&mut rest);
    if word.is_empty() {
        return Err(format!("{name}> directive requires additional arguments"));
    }
    Ok((negated, word))
}

/// Whether `<IfVersion FIRST [SECOND [THIRD]]` holds for a server of this version (`start_ifversion`).
pub(super) fn version(
    server: [u32; 3],
    first: &[u8],
    second: Option<&Cow<[u8]>>,
    third: Option<&Cow<[u8]>>,
) -> Result<bool, String> {
    let second = second.map(|word| &**word);
    let mut third = third.map(|word| &**word);
    let (mut operator, mut version) = second.map_or((&b"="[..], first), |second| (first, second));
    if third.is_none() && version == b">" {
        (operator, version, third) = (&b"="[..], operator, Some(&b">"[..]));
    }
    let version = match third {
        Some(b">") if !version.is_empty() => version,
        _ => version.strip_suffix(b">").ok_or("<IfVersion> directive missing closing '>'")?,
    };
    let (reverse, bare) = match operator {
        [b'!', rest @ ..] if !rest.is_empty() => (true, rest),
        // A lone `!` is an operator that does not exist.
        _ => (false, operator),
    };
    let unknown = || Err(format!("unrecognized operator '{}'", String::from_utf8_lossy(operator)));
    let (kind, or_equal) = match bare {
        [kind] => (*kind, false),
        [kind, b'='] if *kind != b'~' => (*kind, true),
        _ => return unknown(),
    };
    let holds = match kind {
        b'=' => match version.strip_prefix(b"/") {
            None => compare(server, version)?.is_eq(),
            Some(regex) => {
                let regex = regex.strip_suffix(b"/").ok_or("missing delimiting / of regular expression")?;
                matches(server, regex)?
            }
        },
        b'~' => matches(server, version)?,
        b'<' => {
            let order = compare(server, version)?;
            order.is_lt() || or_equal && order.is_eq()
        }
        b'>' => {
            let order = compare(server, version)?;
            order.is_gt() || or_equal && order.is_eq()
        }
        _ => return unknown(),
    };
    Ok(holds != reverse)
}

/// The server's version against `major[.minor[.patch]]`; parts left out are 0.
fn compare(server: [u32; 3], version: &[u8]) -> Result<std::cmp::Ordering, String> {
    let mut wanted = [0; 3];
    let parts: Vec<&[u8]> = version.split(|&byte| byte == b'.').collect();
    let number = |part: &[u8]| std::str::from_utf8(part).ok().and_then(|text| text.parse::<u32>().ok());
    let digits = |part: &&[u8]| part.iter().all(u8::is_ascii_digit);
    if parts.len() > 3 || !parts.iter().all(digits) || parts[0].is_empty() {
        return Err("version appears to be invalid, it must have the format major[.minor[.patch]]".into());
    }
    for (wanted, part) in wanted.iter_mut().zip(&parts) {
        *wanted = number(part).unwrap_or(0);
    }
    Ok(server.cmp(&wanted))
}

fn matches(server: [u32; 3], regex: &[u8]) -> Result<bool, String> {
    let pattern = Pattern::new(regex, Options::apache(false)).map_err(|_| "unable to compile regular expression")?;
    let [major, minor, patch] = server;
    let text = format!("{major}.{minor}.{patch}");
    pattern.is_match(text.as_bytes()).map_err(|_| "unable to match regular expression".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(args: &str) -> Result<bool, String> {
        let words: Vec<_> = lex::words(args.as_bytes()).map(|(_, word)| word).collect();
        version([2, 4, 71], &words[0], words.get(1), words.get(2))
    }

    #[test]
    fn versions() {
        for (args, expected) in [
            (">= 2.4>", true),
            ("> 2.4.71>", false),
            ("< 2.5>", true),
            ("2.4.71>", true),
            ("2.4>", false),
            ("!= 2.4>", true),
            ("!< 2.4>", true),
            ("~ ^2\\.4>", true),
            ("= /^2\\.2/>", false),
            ("\"2.4.71\" >", true),
            (">= \"2.4\" >", true),
        ] {
            assert_eq!(holds(args), Ok(expected), "{args}");
        }
        for args in [">= 2.4", "=> 2.4>", ">= x>", "! 2.4>", "= /x>"] {
            assert!(holds(args).is_err(), "{args}");
        }
    }

    #[test]
    fn a_condition_takes_its_first_word() {
        assert_eq!(argument("<IfModule", b"! mod_a.c b >"), Ok((true, Cow::Borrowed(&b"mod_a.c"[..]))));
        assert!(argument("<IfModule", b"mod_a.c").is_err());
        assert!(argument("<IfModule", b" >").is_err());
    }
}

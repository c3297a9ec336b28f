//! The arguments of `RewriteRule`, `RewriteCond`, `RewriteOptions`, `RewriteMap` and `RewriteBase`, read as mod_rewrite
//! reads them: it splits its lines itself, and its errors are configuration errors.

use super::{Condition, Map, MapKind, Options, Rule, RuleFlags, Test};
use crate::apache::core::has_status_line;
use crate::apache::escape::atoi;
use crate::apache::expr;
use crate::apache::lex::is_space;
use crate::pattern::{self, Pattern};

/// Rounds that `[N]` may make where the flag says no number (`REWRITE_MAX_ROUNDS`).
const MAX_ROUNDS: i64 = 32000;

/// The three words of a line (`parseargline`).
struct Words<'l> {
    first: &'l [u8],
    second: &'l [u8],
    /// The byte before the end of the second word, a quote included where the word is empty.
    second_ends_with: Option<u8>,
    third: Option<&'l [u8]>,
}

/// One word and what follows it; quoted, it ends at the quote, otherwise at white space. A backslash keeps white space
/// in the word, and stays there itself.
fn word(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let quote = line.first().copied().filter(|byte| matches!(byte, b'"' | b'\''));
    let start = usize::from(quote.is_some());
    let mut at = start;
    while let Some(&byte) = line.get(at) {
        let ends = match quote {
            Some(quote) => byte == quote,
            None => is_space(byte),
        };
        if ends {
            return (&line[start..at], Some(&line[at + 1..]));
        }
        let escapes_space = byte == b'\\' && line.get(at + 1).copied().is_some_and(is_space);
        at += 1 + usize::from(escapes_space);
    }
    (&line[start.min(line.len())..], None)
}

fn split(line: &[u8]) -> Option<Words<'_>> {
    let start = skip_space(line);
    let (first, rest) = word(start);
    let after = skip_space(rest?);
    let (second, rest) = word(after);
    let end = after.len() - rest.map_or(0, |rest| rest.len() + 1);
    let second_ends_with = end.checked_sub(1).and_then(|last| after.get(last)).copied();
    let third = rest.map(skip_space).filter(|rest| !rest.is_empty()).map(|rest| word(rest).0);
    Some(Words { first, second, second_ends_with, third })
}

fn skip_space(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|byte| is_space(**byte)).count()..]
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Calls `set` with key and value of every flag in `[A,B=C]` (`cmd_parseflagfield`).
fn flags(field: &[u8], mut set: impl FnMut(&[u8], &[u8]) -> Result<(), String>) -> Result<(), String> {
    let Some(inner) = field.strip_prefix(b"[").and_then(|field| field.strip_suffix(b"]")) else {
        return Err("bad flag delimiters".into());
    };
    // The closing bracket counts as one more comma.
    let mut rest = Some(inner);
    while let Some(list) = rest {
        let (flag, next) = match memchr::memchr(b',', list) {
            Some(comma) => (&list[..comma], Some(&list[comma + 1..])),
            None => (list, None),
        };
        rest = next;
        let flag = flag.trim_ascii();
        let (key, value) = match memchr::memchr(b'=', flag) {
            Some(equals) => (&flag[..equals], &flag[equals + 1..]),
            None => (flag, &b""[..]),
        };
        set(key, value)?;
    }
    Ok(())
}

/// Reads the arguments of a `RewriteRule`; its conditions are added by the caller.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_rule(line: &[u8]) -> Result<Rule, String> {
    let words = split(line).ok_or_else(|| format!("RewriteRule: bad argument line '{}'", lossy(line)))?;
    let mut rule = Rule {
        pattern: None,
        negated: false,
        output: words.second.to_vec(),
        flags: RuleFlags::default(),
        status: 302,
        skip: 0,
        max_rounds: MAX_ROUNDS,
        env: Vec::new(),
        cookies: Vec::new(),
        handler: None,
        mime_type: None,
        escapes: None,
        no_escapes: None,
        conditions: Vec::new(),
    };
    if let Some(field) = words.third {
        flags(field, |key, value| rule_flag(&mut rule, key, value))
            .map_err(|message| format!("RewriteRule: {message}"))?;
    }
    let source = match words.first.strip_prefix(b"!") {
        Some(source) => {
            rule.negated = true;
            source
        }
        None => words.first,
    };
    let options = pattern::Options::apache(rule.flags.no_case);
    let pattern = Pattern::new(source, options)
        .map_err(|_| format!("RewriteRule: cannot compile regular expression '{}'", lossy(source)))?;
    rule.pattern = Some(pattern);
    rule.flags.no_substitution |= rule.output == b"-";
    if words.second_ends_with == Some(b'?') {
        // A literal `?` at the end drops the query, or with QSA separates what is appended.
        if rule.flags.qs_append {
            rule.flags.qs_last = true;
        } else {
            rule.flags.qs_none = true;
            rule.output.pop();
        }
    } else if rule.flags.qs_discard && !rule.output.contains(&b'?') {
        rule.flags.qs_none = true;
    }
    Ok(rule)
}

/// One flag of a rule (`cmd_rewriterule_setflag`): the short name in any case, or the long one.
fn rule_flag(rule: &mut Rule, key: &[u8], value: &[u8]) -> Result<(), String> {
    let flags = &mut rule.flags;
    match key.to_ascii_lowercase().as_slice() {
        b"b" | b"backrefescaping" => {
            flags.escape_backrefs = true;
            if !value.is_empty() {
                rule.escapes = Some(value.to_vec());
            }
        }
        b"bne" if value.is_empty() => {
            return Err("flag 'BNE' wants a list of characters (i.e. [BNE=...])".into());
        }
        b"bne" => rule.no_escapes = Some(value.to_vec()),
        b"bnp" | b"backrefernoplus" => flags.escape_no_plus = true,
        b"bctls" => {
            flags.escape_controls = true;
            flags.escape_backrefs = true;
        }
        b"c" | b"chain" => flags.chain = true,
        b"co" | b"cookie" => rule.cookies.push(value.to_vec()),
        b"d" | b"dpi" | b"discardpath" => flags.discard_path_info = true,
        // Any other name that begins with a `d` is taken without a word.
        [b'd', ..] => {}
        b"e" | b"env" => rule.env.push(value.to_vec()),
        b"end" => flags.end = true,
        b"f" | b"forbidden" => force_status(rule, 403),
        b"g" | b"gone" => force_status(rule, 410),
        b"h" | b"handler" => rule.handler = Some(value.to_vec()),
        b"l" | b"last" => flags.last = true,
        b"ne" | b"noescape" => flags.no_escape = true,
        b"n" | b"next" => {
            flags.next_round = true;
            if !value.is_empty() {
                rule.max_rounds = atoi(value);
            }
        }
        b"ns" | b"nosubreq" => flags.no_subrequest = true,
        b"nc" | b"nocase" => flags.no_case = true,
        b"p" | b"proxy" => flags.proxy = true,
        b"pt" | b"passthrough" => flags.pass_through = true,
        b"qsa" | b"qsappend" => flags.qs_append = true,
        b"qsd" | b"qsdiscard" => flags.qs_discard = true,
        b"qsl" | b"qslast" => flags.qs_last = true,
        b"r" | b"redirect" => redirect_flag(rule, value)?,
        b"s" | b"skip" => rule.skip = usize::try_from(atoi(value)).unwrap_or(0),
        b"t" | b"type" => rule.mime_type = Some(value.to_vec()),
        b"unsafeprefixstat" => flags.unsafe_prefix_stat = true,
        b"unsafeallow3f" => flags.unsafe_allow_3f = true,
        b"unc" => flags.unc = true,
        _ => return Err(format!("unknown flag '{}'", lossy(key))),
    }
    Ok(())
}

fn force_status(rule: &mut Rule, status: u16) {
    rule.flags.forced_status = true;
    rule.flags.no_substitution = true;
    rule.status = status;
}

fn redirect_flag(rule: &mut Rule, value: &[u8]) -> Result<(), String> {
    rule.flags.redirect = true;
    if value.is_empty() {
        return Ok(());
    }
    rule.status = match value.to_ascii_lowercase().as_slice() {
        b"permanent" => 301,
        b"temp" => 302,
        b"seeother" => 303,
        [b'0'..=b'9', ..] => {
            let invalid = || format!("invalid HTTP response code '{}' for flag 'R'", lossy(value));
            let status = u16::try_from(atoi(value)).map_err(|_| invalid())?;
            if !has_status_line(status) {
                return Err(invalid());
            }
            if !(300..400).contains(&status) {
                rule.flags.forced_status = true;
                rule.flags.no_substitution = true;
            }
            status
        }
        // Any other word is taken without a complaint and gives no status; the redirect is a 302 in the end.
        _ => 0,
    };
    Ok(())
}

/// Reads the arguments of a `RewriteCond`.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_condition(line: &[u8], context: expr::Context) -> Result<Condition, String> {
    let words = split(line).ok_or_else(|| format!("RewriteCond: bad argument line '{}'", lossy(line)))?;
    let (mut no_case, mut or_next) = (false, false);
    if let Some(field) = words.third {
        flags(field, |key, _| {
            match key.to_ascii_lowercase().as_slice() {
                b"nocase" | b"nc" => no_case = true,
                b"ornext" | b"or" => or_next = true,
                b"novary" | b"nv" => {}
                _ => return Err(format!("unknown flag '{}'", lossy(key))),
            }
            Ok(())
        })
        .map_err(|message| format!("RewriteCond: {message}"))?;
    }
    let (mut negated, pattern) = match words.second.strip_prefix(b"!") {
        Some(pattern) => (true, pattern),
        None => (false, words.second),
    };
    let test = if words.first.eq_ignore_ascii_case(b"expr") {
        let expr = expr::parse(pattern, context)
            .map_err(|message| format!("RewriteCond: cannot compile expression \"{}\" {message}", lossy(pattern)))?;
        Test::Expr(expr)
    } else if let Some(test) = special_test(pattern, &mut negated) {
        test
    } else {
        let options = pattern::Options::apache(no_case);
        let compiled = Pattern::new(pattern, options)
            .map_err(|_| format!("RewriteCond: cannot compile regular expression '{}'", lossy(pattern)))?;
        Test::Regex(compiled)
    };
    Ok(Condition { input: words.first.to_vec(), test, negated, no_case, or_next })
}

/// A condition that is no regular expression: `-f`, `>b`, `-gt5`. One byte alone is always a regular expression.
fn special_test(pattern: &[u8], negated: &mut bool) -> Option<Test> {
    Some(match pattern {
        [b'-', b'f'] => Test::Regular,
        [b'-', b's'] => Test::NonEmpty,
        [b'-', b'd'] => Test::Directory,
        [b'-', b'x'] => Test::Executable,
        [b'-', b'h' | b'L' | b'l'] => Test::Link,
        [b'-', b'U'] => Test::Uri,
        [b'-', b'F'] => Test::File,
        [b'-', b'l', b't', number @ ..] if !number.is_empty() => Test::IntLess(atoi_int(number)),
        [b'-', b'l', b'e', number @ ..] if !number.is_empty() => Test::IntAtMost(atoi_int(number)),
        [b'-', b'g', b't', number @ ..] if !number.is_empty() => Test::IntMore(atoi_int(number)),
        [b'-', b'g', b'e', number @ ..] if !number.is_empty() => Test::IntAtLeast(atoi_int(number)),
        [b'-', b'e', b'q', number @ ..] if !number.is_empty() => Test::IntEqual(atoi_int(number)),
        [b'-', b'n', b'e', number @ ..] if !number.is_empty() => {
            *negated = !*negated;
            Test::IntEqual(atoi_int(number))
        }
        [b'>', b'=', text @ ..] => Test::AtLeast(text.to_vec()),
        [b'>', text @ ..] if !text.is_empty() => Test::More(text.to_vec()),
        [b'<', b'=', text @ ..] => Test::AtMost(text.to_vec()),
        [b'<', text @ ..] if !text.is_empty() => Test::Less(text.to_vec()),
        [b'=', b'"', b'"'] => Test::Equal(Vec::new()),
        [b'=', text @ ..] if !text.is_empty() => Test::Equal(text.to_vec()),
        _ => return None,
    })
}

/// `atoi` into an `int`.
pub(super) fn atoi_int(text: &[u8]) -> i32 {
    // glibc goes through `long` and keeps the lower half.
    atoi(text) as i32
}

/// Reads the words of a `RewriteOptions`.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_options(words: &[&[u8]]) -> Result<Options, String> {
    let mut options = Options::default();
    for word in words {
        match word.to_ascii_lowercase().as_slice() {
            b"inherit" => options.inherit = true,
            b"inheritbefore" => options.inherit_before = true,
            b"inheritdown" => options.inherit_down = true,
            b"inheritdownbefore" => options.inherit_down_before = true,
            b"ignoreinherit" => options.ignore_inherit = true,
            b"allownoslash" => options.allow_no_slash = true,
            b"allowanyuri" => options.allow_any_uri = true,
            b"mergebase" => options.merge_base = true,
            b"ignorecontextinfo" => options.ignore_context_info = true,
            b"legacyprefixdocroot" => options.legacy_prefix_docroot = true,
            b"unsafeprefixstat" => options.unsafe_prefix_stat = true,
            lower if lower.starts_with(b"maxredirects=") => {}
            _ => return Err(format!("RewriteOptions: unknown option '{}'", lossy(word))),
        }
    }
    Ok(options)
}

/// Reads name and source of a `RewriteMap`, without looking at its file.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_map(words: &[&[u8]]) -> Result<Map, String> {
    let [name, source, ..] = words else { return Err("RewriteMap takes two or three arguments".into()) };
    let prefixed = |prefix: &[u8]| {
        let found = source.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        found.then(|| source[prefix.len()..].to_vec())
    };
    let kind = if let Some(file) = prefixed(b"txt:") {
        MapKind::Text(file)
    } else if let Some(file) = prefixed(b"rnd:") {
        MapKind::Random(file)
    } else if let Some(rest) = prefixed(b"dbm") {
        match (rest.first(), memchr::memchr(b':', &rest)) {
            (Some(b':'), _) => MapKind::Dbm(rest[1..].to_vec()),
            (Some(b'='), Some(colon)) => MapKind::Dbm(rest[colon + 1..].to_vec()),
            _ => return Err(format!("RewriteMap: bad map:{}", lossy(source))),
        }
    } else if prefixed(b"dbd:").is_some() || prefixed(b"fastdbd:").is_some() {
        MapKind::Database
    } else if let Some(program) = prefixed(b"prg:") {
        MapKind::Program(program)
    } else if let Some(function) = prefixed(b"int:") {
        match function.as_slice() {
            b"toupper" => MapKind::ToUpper,
            b"tolower" => MapKind::ToLower,
            b"escape" => MapKind::Escape,
            b"unescape" => MapKind::Unescape,
            _ => return Err(format!("RewriteMap: internal map not found:{}", lossy(&function))),
        }
    } else {
        MapKind::Text(source.to_vec())
    };
    Ok(Map { name: name.to_vec(), kind })
}

/// Checks the argument of a `RewriteBase`, which stands in a directory context.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_base(base: &[u8]) -> Result<Vec<u8>, String> {
    match base.first() {
        None => Err("RewriteBase: empty URL not allowed".into()),
        Some(b'/') => Ok(base.to_vec()),
        Some(_) => Err("RewriteBase: argument is not a valid URL".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_escaped_blanks_and_end_at_their_quote() {
        let words = split(br#"  "^a b"  x\ y  [L]"#).expect("three words");
        assert_eq!((words.first, words.second, words.third), (&b"^a b"[..], &br"x\ y"[..], Some(&b"[L]"[..])));
        assert!(split(b"^a").is_none());
        assert!(split(b"\"^a b").is_none());
    }

    #[test]
    fn flags_set_what_their_names_say() {
        let rule = parse_rule(b"!^/a - [nc,E=A:b=c,R=404]").expect("a rule");
        assert!(rule.negated && rule.flags.no_case && rule.flags.forced_status && rule.flags.no_substitution);
        assert_eq!((rule.status, rule.env), (404, vec![b"A:b=c".to_vec()]));
        let rule = parse_rule(b"^/a /b? [QSA]").expect("a rule");
        assert!(rule.flags.qs_last && rule.output == b"/b?");
        let rule = parse_rule(b"^/a /b?").expect("a rule");
        assert!(rule.flags.qs_none && rule.output == b"/b");
    }

    #[test]
    fn what_the_server_refuses() {
        for (line, message) in [
            (&b"^a"[..], "RewriteRule: bad argument line '^a'"),
            (b"^a - [F, L]", "RewriteRule: bad flag delimiters"),
            (b"^a - F", "RewriteRule: bad flag delimiters"),
            (b"^a - [X]", "RewriteRule: unknown flag 'X'"),
            (b"^a - []", "RewriteRule: unknown flag ''"),
            (b"^a - [L,]", "RewriteRule: unknown flag ''"),
            (b"^a - [R=999]", "RewriteRule: invalid HTTP response code '999' for flag 'R'"),
            (b"^(a - [F]", "RewriteRule: cannot compile regular expression '^(a'"),
        ] {
            assert_eq!(parse_rule(line).err().as_deref(), Some(message));
        }
    }

    #[test]
    fn conditions_are_recognised_by_their_first_bytes() {
        let test = |line: &[u8]| parse_condition(line, expr::Context::default()).expect("a condition");
        assert!(matches!(test(b"%{X} -f").test, Test::Regular));
        assert!(matches!(test(b"%{X} !-ne5"), Condition { test: Test::IntEqual(5), negated: false, .. }));
        assert!(matches!(test(b"%{X} =\"\"").test, Test::Equal(text) if text.is_empty()));
        assert!(matches!(test(b"%{X} -lt").test, Test::Regex(_)));
        assert!(matches!(test(b"%{X} >").test, Test::Regex(_)));
        assert!(matches!(test(b"expr \"'a' == 'a'\"").test, Test::Expr(_)));
    }
}

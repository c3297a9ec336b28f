//! The servers' regular expressions: PCRE2 on bytes, with a limit on the work of one match.
//!
//! What the pcre2 crate has no setter for is said in front of the pattern, where PCRE2 takes it: the match limit, and
//! the newline convention that stands in for DOLLAR_ENDONLY.

use std::ops::Range;
use std::sync::OnceLock;

use pcre2::bytes::{Regex, RegexBuilder};

mod release;

/// Steps that one match may take. PCRE2's own default is ten million; a pattern that needs more than this many on a URL is
/// reported as a question instead of holding up the answer.
const MATCH_LIMIT: u32 = 1_000_000;

/// Compile options, named as in pcre2api(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// PCRE2_CASELESS.
    pub caseless: bool,
    /// PCRE2_DOTALL.
    pub dotall: bool,
    /// PCRE2_DOLLAR_ENDONLY: `$` does not match before a final line feed.
    pub dollar_endonly: bool,
    /// PCRE2_MULTILINE.
    pub multiline: bool,
    /// PCRE2_EXTENDED.
    pub extended: bool,
    /// PCRE2_ANCHORED.
    pub anchored: bool,
}

impl Options {
    /// As nginx compiles: nothing but CASELESS, for `~*`.
    pub fn nginx(caseless: bool) -> Self {
        Options { caseless, ..Options::default() }
    }

    /// As Apache compiles (AP_REG_DEFAULT, `RegexDefaultOptions`): DOTALL and DOLLAR_ENDONLY.
    pub fn apache(caseless: bool) -> Self {
        Options { caseless, dotall: true, dollar_endonly: true, ..Options::default() }
    }
}

/// Why a pattern is refused: PCRE2's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// The message, as pcre2_get_error_message(3) words it.
    pub message: String,
    /// The byte of the pattern at which PCRE2 stopped, from 0.
    pub offset: usize,
}

/// A match was given up: whether the subject matches is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchLimit;

/// The groups of a match as byte ranges of the subject; group 0 is the whole match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captures {
    /// One entry a group; `None` where the group took no part.
    pub groups: Vec<Option<Range<usize>>>,
}

/// A valid pattern. It is checked at construction and compiled for matching when first used.
#[derive(Debug)]
pub struct Pattern {
    source: Box<[u8]>,
    options: Options,
    names: Vec<Option<String>>,
    matcher: OnceLock<Option<Regex>>,
    /// The same with a stack of its own, for a match that does not fit onto the program's.
    roomy: OnceLock<Option<Box<Regex>>>,
}

/// How a pattern is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// To be checked only.
    Check,
    /// For matching.
    Match,
    /// For matching with a stack of a megabyte, which is mapped for every pattern that gets one.
    Roomy,
}

/// PCRE2_ERROR_JIT_STACKLIMIT.
const STACK_LIMIT: i32 = -46;

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// What PCRE2 says about an invalid one.
    pub fn new(source: &[u8], options: Options) -> Result<Pattern, PatternError> {
        let names = match literal_groups(source) {
            Some(groups) => vec![None; groups + 1],
            None => compile(source, options, Use::Check)?.capture_names().to_vec(),
        };
        Ok(Pattern { source: source.into(), options, names, matcher: OnceLock::new(), roomy: OnceLock::new() })
    }

    /// Whether the pattern matches anywhere in the subject.
    ///
    /// # Errors
    /// [`MatchLimit`] where the match was given up.
    pub fn is_match(&self, subject: &[u8]) -> Result<bool, MatchLimit> {
        self.run(|regex| regex.is_match(subject))
    }

    /// The groups of the first match.
    ///
    /// # Errors
    /// [`MatchLimit`] where the match was given up.
    pub fn captures(&self, subject: &[u8]) -> Result<Option<Captures>, MatchLimit> {
        // Room for groups is made only for a match; most patterns do not match.
        if !self.is_match(subject)? {
            return Ok(None);
        }
        self.run(|regex| {
            let mut places = regex.capture_locations();
            regex.captures_read(&mut places, subject)?;
            let groups = (0..places.len()).map(|group| places.get(group).map(|(start, end)| start..end));
            Ok(Some(Captures { groups: groups.collect() }))
        })
    }

    /// How many groups the pattern has, the whole match not counted.
    pub fn group_count(&self) -> usize {
        self.names.len() - 1
    }

    /// The name of each group, by its number; group 0 has none.
    pub fn names(&self) -> &[Option<String>] {
        &self.names
    }

    /// Whether both are written alike and read alike.
    pub fn is_same(&self, other: &Pattern) -> bool {
        self.source == other.source && self.options == other.options
    }

    /// Whether letters of either case are the same.
    pub fn is_caseless(&self) -> bool {
        self.options.caseless
    }

    /// The pattern as written.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    fn run<T>(&self, work: impl Fn(&Regex) -> Result<T, pcre2::Error>) -> Result<T, MatchLimit> {
        let compiled = |how| compile(&self.source, self.options, how).ok();
        let matcher = self.matcher.get_or_init(|| compiled(Use::Match)).as_ref().ok_or(MatchLimit)?;
        work(matcher).or_else(|error| {
            let roomy = || self.roomy.get_or_init(|| compiled(Use::Roomy).map(Box::new)).as_deref();
            let again = if error.code() == STACK_LIMIT { roomy() } else { None };
            work(again.ok_or(MatchLimit)?).map_err(|_| MatchLimit)
        })
    }
}

/// The number of groups of a pattern so plain that it is certainly valid: letters, digits, `/ - _ . ^ $ |`, escaped
/// punctuation, `(…)` and `.*`. Most location patterns are, and need no compilation before the first match.
fn literal_groups(source: &[u8]) -> Option<usize> {
    let (mut open, mut groups) = (0usize, 0usize);
    let mut bytes = source.iter().peekable();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next_if(|next| next.is_ascii_punctuation())?;
            }
            b'(' => {
                // `(?…` and `(*…` are PCRE's own syntax, a long nest has a limit of its own.
                if open == 20 || bytes.next_if(|next| matches!(next, b'?' | b'*' | b'+')).is_some() {
                    return None;
                }
                open += 1;
                groups += 1;
            }
            b')' => open = open.checked_sub(1)?,
            b'.' => {
                bytes.next_if_eq(&&b'*');
            }
            b'/' | b'-' | b'_' | b'^' | b'$' | b'|' => {}
            _ if byte.is_ascii_alphanumeric() => {}
            _ => return None,
        }
    }
    (open == 0 && source.len() < 1000).then_some(groups)
}

fn compile(source: &[u8], options: Options, how: Use) -> Result<Regex, PatternError> {
    let mut text = format!("(*LIMIT_MATCH={MATCH_LIMIT})");
    if options.dollar_endonly {
        // With NUL as the only newline, `$` sees no line feed; no subject of a request holds a NUL.
        text.push_str("(*NUL)");
    }
    let (pattern, origins) = as_text(source);
    let missing = release::missing_digits(pattern.as_bytes()).map_err(|error| {
        let offset =
            origins.as_ref().map_or(error.offset, |origins| origins.get(error.offset).copied().unwrap_or(source.len()));
        PatternError { offset, ..error }
    })?;
    let (pattern, origins) = with_digits(pattern, origins, &missing);
    let prefix = text.len();
    let mut anchor = 0;
    if options.anchored {
        // \G at the start of the first match is the start of the subject; the group keeps alternatives together.
        let verbs = leading_verbs(&pattern);
        text.push_str(&pattern[..verbs]);
        text.push_str("\\G(?:");
        text.push_str(&pattern[verbs..]);
        text.push(')');
        anchor = "\\G(?:".len();
    } else {
        text.push_str(&pattern);
    }
    RegexBuilder::new()
        .caseless(options.caseless)
        .dotall(options.dotall)
        .multi_line(options.multiline)
        .extended(options.extended)
        .jit_if_available(how != Use::Check)
        .max_jit_stack_size((how == Use::Roomy).then_some(1 << 20))
        .build(&text)
        .map_err(|error| {
            let offset = error.offset().unwrap_or(0).saturating_sub(prefix + anchor);
            let offset =
                origins.as_ref().map_or(offset, |origins| origins.get(offset).copied().unwrap_or(source.len()));
            PatternError { message: message(&error), offset: offset.min(source.len()) }
        })
}

/// The length of `(*VERB)`s that must stay in front of everything.
fn leading_verbs(pattern: &str) -> usize {
    let mut length = 0;
    while pattern[length..].starts_with("(*") {
        match pattern[length..].find(')') {
            Some(end) => length += end + 1,
            None => break,
        }
    }
    length
}

/// PCRE2's message without the crate's frame ("PCRE2: error compiling pattern at offset 3: missing …").
fn message(error: &pcre2::Error) -> String {
    let text = error.to_string();
    match text.split_once("at offset ").and_then(|(_, rest)| rest.split_once(": ")) {
        Some((_, message)) => message.to_owned(),
        None => text,
    }
}

/// The pattern as the `&str` that the crate takes; bytes that are no UTF-8 become `\xHH`. The second part maps each byte
/// of the text to the byte of the pattern it came from; `None` where they are the same.
fn as_text(source: &[u8]) -> (String, Option<Vec<usize>>) {
    if let Ok(text) = std::str::from_utf8(source) {
        return (text.to_owned(), None);
    }
    let (mut text, mut origins) = (String::with_capacity(source.len() + 16), Vec::new());
    let (mut literal, mut at) = (false, 0);
    for chunk in source.utf8_chunks() {
        let valid = chunk.valid();
        for piece in valid.split_inclusive("\\Q") {
            // A `\Q` that is itself inside `\Q…\E` changes nothing; an `\E` before it ends the earlier one.
            if piece.contains("\\E") {
                literal = false;
            }
            literal |= piece.ends_with("\\Q");
        }
        text.push_str(valid);
        origins.extend(at..at + valid.len());
        at += valid.len();
        for byte in chunk.invalid() {
            // `\` before such a byte means the byte itself.
            let backslashes = text.bytes().rev().take_while(|&byte| byte == b'\\').count();
            if !literal && backslashes % 2 == 1 {
                text.pop();
                origins.pop();
            }
            let escaped = if literal { format!("\\E\\x{byte:02x}\\Q") } else { format!("\\x{byte:02x}") };
            origins.extend(std::iter::repeat_n(at, escaped.len()));
            text.push_str(&escaped);
            at += 1;
        }
    }
    (text, Some(origins))
}

/// Adds `00` at these bytes of the text.
fn with_digits(text: String, origins: Option<Vec<usize>>, missing: &[usize]) -> (String, Option<Vec<usize>>) {
    if missing.is_empty() {
        return (text, origins);
    }
    let mut origins = origins.unwrap_or_else(|| (0..text.len()).collect());
    let mut text = text;
    for &at in missing.iter().rev() {
        let origin = origins.get(at).copied().unwrap_or_else(|| origins.last().map_or(0, |last| last + 1));
        text.insert_str(at, "00");
        origins.splice(at..at, [origin, origin]);
    }
    (text, Some(origins))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &[u8], options: Options, subject: &[u8]) -> bool {
        Pattern::new(source, options).expect("valid").is_match(subject).expect("within the limit")
    }

    #[test]
    fn the_bundled_library_is_linked() {
        // A system library would be mapped as a file of its own (the crate prefers one unless PCRE2_SYS_STATIC is set).
        let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
        assert!(matches(b"a", Options::nginx(false), b"a") && !maps.contains("libpcre"), "{maps}");
    }

    #[test]
    fn dollar_before_a_final_line_feed_is_nginx_only() {
        assert!(matches(b"^/a$", Options::nginx(false), b"/a\n"));
        assert!(!matches(b"^/a$", Options::apache(false), b"/a\n"));
        assert!(!matches(b"^/a.b$", Options::nginx(false), b"/a\nb"));
        assert!(matches(b"^/a.b$", Options::apache(false), b"/a\nb"));
    }

    #[test]
    fn hexadecimal_digits_may_be_missing() {
        assert!(matches(br"^[\xz]$", Options::nginx(false), b"z"));
        assert!(matches(br"^[\xz]$", Options::nginx(false), b"\0"));
        assert!(!matches(br"^[\xz]$", Options::nginx(false), b"x"));
        let error = Pattern::new(br"\x(", Options::nginx(false)).expect_err("no closing parenthesis");
        assert_eq!(error.offset, 3);
    }

    #[test]
    fn caseless_and_anchored() {
        assert!(matches(b"\\.PHP$", Options::nginx(true), b"/x.php"));
        assert!(!matches(b"\\.PHP$", Options::nginx(false), b"/x.php"));
        let anchored = Options { anchored: true, ..Options::default() };
        assert!(!matches(b"b|c", anchored, b"abc"));
        assert!(matches(b"b|a", anchored, b"abc"));
    }

    #[test]
    fn bytes_that_are_no_text_match_themselves() {
        assert!(matches(b"^/\xff$", Options::nginx(false), b"/\xff"));
        assert!(matches(b"^/\\\xff$", Options::nginx(false), b"/\xff"));
        assert!(matches(b"^/[\xe9\xe8]$", Options::nginx(false), b"/\xe8"));
        assert!(matches(b"^\\Q/.\xff.\\E$", Options::nginx(false), b"/.\xff."));
        assert!(!matches(b"^\\Q/.\xff.\\E$", Options::nginx(false), b"/.\xffx"));
        // A multi-byte character is bytes, too: `?` applies to its last one.
        assert!(matches("^/é?$".as_bytes(), Options::nginx(false), b"/\xc3"));
    }

    #[test]
    fn groups_and_names_are_known_before_the_first_match() {
        let plain = Pattern::new(b"^/(a|b)/(.*)\\.php$", Options::nginx(false)).expect("valid");
        assert_eq!((plain.group_count(), plain.names().len()), (2, 3));
        assert!(plain.matcher.get().is_none());
        let groups = plain.captures(b"/b/x.php").expect("within the limit").expect("matches").groups;
        assert_eq!(groups, [Some(0..8), Some(1..2), Some(3..4)]);
        let named = Pattern::new(b"^/(?<user>[^/]+)(x)?", Options::nginx(false)).expect("valid");
        assert_eq!(named.names(), [None, Some("user".to_owned()), None]);
        assert_eq!(named.captures(b"/joe/").expect("within").expect("matches").groups[2], None);
    }

    #[test]
    fn an_invalid_pattern_is_refused_in_pcre_s_words() {
        let error = Pattern::new(b"a(b", Options::nginx(false)).expect_err("no closing parenthesis");
        assert_eq!((error.message.as_str(), error.offset), ("missing closing parenthesis", 3));
        let error = Pattern::new(b"\xff[a", Options::apache(true)).expect_err("no closing bracket");
        assert_eq!((error.message.as_str(), error.offset), ("missing terminating ] for character class", 3));
        assert!(Pattern::new(b"*a", Options::nginx(false)).is_err());
        assert!(Pattern::new(b"a)", Options::nginx(false)).is_err());
    }

    #[test]
    fn what_is_taken_for_plain_is_valid() {
        for source in [&b"^/a/(.*)$"[..], b"()", b"a||b", b".*.*", b"\\.(gif|jpg)$", b"$^", b"-\\-", b"(a(b(c)))"] {
            let groups = literal_groups(source).expect("plain");
            assert_eq!(compile(source, Options::nginx(false), Use::Check).expect("valid").captures_len(), groups + 1);
        }
        for source in
            [&b"(?i)a"[..], b"(*UTF)a", b"a(", b")", b"a+", b"\\", b"\\d", b"[a", b"**", b"(*a)", b"(+a)", b".**"]
        {
            assert_eq!(literal_groups(source), None, "{}", String::from_utf8_lossy(source));
        }
    }

    #[test]
    fn a_match_that_needs_a_stack_of_its_own_gets_one() {
        let pattern = Pattern::new(b"^/((?:a|b|(c))*)$", Options::nginx(false)).expect("valid");
        let subject = [b"/".as_slice(), &b"abc".repeat(2_000)].concat();
        assert_eq!(pattern.is_match(&subject), Ok(true));
        assert_eq!(pattern.captures(&subject).expect("within").expect("matches").groups[1], Some(1..subject.len()));
        assert!(pattern.roomy.get().is_some());
    }

    #[test]
    fn a_match_that_takes_too_long_is_not_an_answer() {
        let pattern = Pattern::new(b"^(([a-z])+.)+[A-Z]([a-z])+$", Options::nginx(false)).expect("valid");
        assert_eq!(pattern.is_match(&[b'a'; 200]), Err(MatchLimit));
        assert_eq!(pattern.captures(&[b'a'; 200]), Err(MatchLimit));
    }
}

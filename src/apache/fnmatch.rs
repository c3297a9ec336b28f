//! `apr_fnmatch` and `apr_fnmatch_test`: the shell patterns of section names, server aliases and `-fnmatch`.
//!
//! Not glob(3), and with two quirks of APR of its own: a bracket expression is negated by `!` or `^`, and one that is
//! never closed is an ordinary `[`. Runs in polynomial time whatever the pattern.

/// How to match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `APR_FNM_PATHNAME`: no wildcard matches `/`.
    pub pathname: bool,
    /// `APR_FNM_CASE_BLIND`.
    pub caseless: bool,
    /// `APR_FNM_PERIOD`: a leading dot must be written.
    pub period: bool,
    /// `APR_FNM_NOESCAPE`: a backslash is an ordinary character.
    pub no_escape: bool,
}

/// Whether the whole text matches the pattern.
pub(crate) fn fnmatch(pattern: &[u8], text: &[u8], flags: Flags) -> bool {
    if !flags.pathname {
        return matches(pattern, text, flags);
    }
    // With pathname, slashes of pattern and text are paired up one by one.
    let mut segments = split(pattern, flags);
    let mut parts = text.split(|byte| *byte == b'/');
    loop {
        match (segments.next(), parts.next()) {
            (Some(segment), Some(part)) if matches(segment, part, flags) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// `apr_fnmatch_test`: whether a name holds `*`, `?` or a closed bracket expression.
pub(crate) fn is_fnmatch(name: &[u8]) -> bool {
    let mut open = false;
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'?' | b'*' => return true,
            b'\\' if bytes.next().is_none() => return false,
            b'[' => open = true,
            b']' if open => return true,
            _ => {}
        }
    }
    false
}

/// The pattern's segments between slashes; an escaped slash and one in brackets separate as well.
fn split(pattern: &[u8], flags: Flags) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(pattern);
    std::iter::from_fn(move || {
        let all = rest?;
        match memchr::memchr(b'/', all) {
            None => {
                rest = None;
                Some(all)
            }
            Some(at) => {
                rest = Some(&all[at + 1..]);
                let end = if at > 0 && all[at - 1] == b'\\' && !flags.no_escape { at - 1 } else { at };
                Some(&all[..end])
            }
        }
    })
}

/// One step of a pattern.
enum Step<'p> {
    Star,
    Any,
    Class { negated: bool, items: &'p [u8] },
    Byte(u8),
}

fn step(pattern: &[u8], flags: Flags) -> (Step<'_>, usize) {
    match pattern[0] {
        b'*' => (Step::Star, 1),
        b'?' => (Step::Any, 1),
        b'[' => match class_end(pattern, flags) {
            Some(end) => {
                let negated = matches!(pattern[1], b'!' | b'^');
                (Step::Class { negated, items: &pattern[1 + usize::from(negated)..end] }, end + 1)
            }
            None => (Step::Byte(b'['), 1),
        },
        b'\\' if !flags.no_escape && pattern.len() > 1 => (Step::Byte(pattern[1]), 2),
        byte => (Step::Byte(byte), 1),
    }
}

/// The place of the `]` that closes the class at the start of the pattern. A `]` right after the opening is a member.
fn class_end(pattern: &[u8], flags: Flags) -> Option<usize> {
    let mut at = 1 + usize::from(matches!(pattern.get(1), Some(b'!' | b'^')));
    let first = at;
    while let Some(&byte) = pattern.get(at) {
        match byte {
            b']' if at > first => return Some(at),
            b'\\' if !flags.no_escape => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn in_class(items: &[u8], byte: u8, flags: Flags) -> bool {
    let fold = |byte: u8| if flags.caseless { byte.to_ascii_lowercase() } else { byte };
    let mut at = 0;
    let member = |at: &mut usize| {
        let mut byte = items[*at];
        if byte == b'\\' && !flags.no_escape && *at + 1 < items.len() {
            *at += 1;
            byte = items[*at];
        }
        *at += 1;
        byte
    };
    let mut found = false;
    while at < items.len() {
        let low = member(&mut at);
        let high = if items.get(at) == Some(&b'-') && at + 1 < items.len() {
            at += 1;
            member(&mut at)
        } else {
            low
        };
        found |= (low..=high).contains(&byte) || (fold(low)..=fold(high)).contains(&fold(byte));
    }
    found
}

fn matches(pattern: &[u8], text: &[u8], flags: Flags) -> bool {
    let leading_dot = flags.period && text.first() == Some(&b'.');
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star: pattern behind it, and the text it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        let here = if p < pattern.len() {
            let (step, length) = step(&pattern[p..], flags);
            match (step, text.get(t)) {
                (Step::Star, _) if !(leading_dot && t == 0) => {
                    star = Some((p + 1, t));
                    p += 1;
                    continue;
                }
                (Step::Any, Some(_)) if !(leading_dot && t == 0) => Some(length),
                (Step::Class { negated, items }, Some(&byte)) if !(leading_dot && t == 0) => {
                    (in_class(items, byte, flags) != negated).then_some(length)
                }
                (Step::Byte(wanted), Some(&byte)) => {
                    let equal = wanted == byte || flags.caseless && wanted.eq_ignore_ascii_case(&byte);
                    equal.then_some(length)
                }
                _ => None,
            }
        } else if t == text.len() {
            return true;
        } else {
            None
        };
        match (here, star) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((behind, taken))) if taken < text.len() => {
                star = Some((behind, taken + 1));
                p = behind;
                t = taken + 1;
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_patterns_match_as_apr_does() {
        let path = Flags { pathname: true, ..Flags::default() };
        let plain = Flags::default();
        // Answers of apr_fnmatch 1.7.2.
        for (pattern, text, flags, expected) in [
            ("/d*", "/d", path, true),
            ("/d*", "/d/", path, false),
            ("/d*", "/d/x", plain, true),
            ("*", "", path, true),
            ("*", ".htaccess", path, true),
            ("?", "", plain, false),
            ("a[b-d]e", "ace", plain, true),
            ("a[!b-d]e", "ace", plain, false),
            ("a[^b-d]e", "axe", plain, true),
            ("a[", "a[", plain, true),
            ("a\\*b", "a*b", plain, true),
            ("a\\*b", "axb", plain, false),
            ("*.php*", "x.php.txt", plain, true),
            ("a*b*c*d", "aXbXcX", plain, false),
            ("/*/x", "/a/x", path, true),
            ("/*/x", "/a/b/x", path, false),
        ] {
            assert_eq!(fnmatch(pattern.as_bytes(), text.as_bytes(), flags), expected, "{pattern} {text}");
        }
        let caseless = Flags { caseless: true, ..Flags::default() };
        assert!(fnmatch(b"A[b-d]E", b"aCe", caseless));
        let period = Flags { period: true, ..Flags::default() };
        assert!(!fnmatch(b"*", b".a", period));
    }

    #[test]
    fn only_wildcards_and_closed_brackets_make_a_pattern() {
        assert!(is_fnmatch(b"/a*"));
        assert!(is_fnmatch(b"/[ab]"));
        assert!(!is_fnmatch(b"/[ab"));
        assert!(!is_fnmatch(b"/a\\*"));
    }
}

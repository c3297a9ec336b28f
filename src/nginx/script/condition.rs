//! The condition of an `if` (`ngx_http_rewrite_if_condition`), read without looking names up.
//!
//! The words between the parentheses, which may cling to the first and the last one.

/// A condition as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<'t> {
    /// `$name`.
    Variable(&'t [u8]),
    /// `$name = text`, `$name != text`.
    Equal {
        /// The variable, without `$`.
        name: &'t [u8],
        /// What it is compared with.
        text: &'t [u8],
        /// `!=`.
        negated: bool,
    },
    /// `$name ~ pattern` and its kind.
    Match {
        /// The variable, without `$`.
        name: &'t [u8],
        /// The expression.
        pattern: &'t [u8],
        /// `~*`.
        caseless: bool,
        /// `!~`.
        negated: bool,
    },
    /// `-f path` and its kind.
    File {
        /// Which test.
        test: FileTest,
        /// The path.
        path: &'t [u8],
        /// `!-f`.
        negated: bool,
    },
}

/// A test of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileTest {
    /// `-f`: a regular file.
    File,
    /// `-d`: a directory.
    Directory,
    /// `-e`: either, or a link.
    Exists,
    /// `-x`: the owner's execute bit.
    Executable,
}

impl FileTest {
    /// The letter that stands for it.
    pub fn letter(self) -> char {
        match self {
            FileTest::File => 'f',
            FileTest::Directory => 'd',
            FileTest::Exists => 'e',
            FileTest::Executable => 'x',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        Some(match letter {
            b'f' => FileTest::File,
            b'd' => FileTest::Directory,
            b'e' => FileTest::Exists,
            b'x' => FileTest::Executable,
            _ => return None,
        })
    }
}

/// Reads the words of an `if`.
///
/// # Errors
/// nginx's message for words that it refuses.
pub fn parse<'t>(words: &[&'t [u8]]) -> Result<Parsed<'t>, String> {
    let invalid = |word: &[u8]| Err(format!("invalid condition \"{}\"", String::from_utf8_lossy(word)));
    let (Some(&first), Some(&last)) = (words.first(), words.last()) else { return invalid(b"") };
    let Some(opened) = first.strip_prefix(b"(") else { return invalid(first) };
    let mut inner: Vec<&[u8]> = words.to_vec();
    inner[0] = opened;
    let last = if words.len() == 1 { opened } else { last };
    let Some(closed) = last.strip_suffix(b")") else { return invalid(last) };
    let end = inner.len() - 1;
    inner[end] = closed;
    // A parenthesis of its own is no word of the condition.
    if closed.is_empty() && (words.len() > 1 || first.len() > 1) {
        inner.pop();
    }
    if opened.is_empty() && !inner.is_empty() {
        inner.remove(0);
    }
    match *inner {
        [variable] if is_variable(variable) => Ok(Parsed::Variable(&variable[1..])),
        [variable, operator, operand] if is_variable(variable) => {
            let name = &variable[1..];
            match operator {
                b"=" | b"!=" => Ok(Parsed::Equal { name, text: operand, negated: operator.len() == 2 }),
                b"~" | b"~*" | b"!~" | b"!~*" => Ok(Parsed::Match {
                    name,
                    pattern: operand,
                    caseless: operator.ends_with(b"*"),
                    negated: operator.starts_with(b"!"),
                }),
                _ => Err(format!("unexpected \"{}\" in condition", String::from_utf8_lossy(operator))),
            }
        }
        [operator, path] => match *operator {
            [b'-', letter] | [b'!', b'-', letter] => match FileTest::of(letter) {
                Some(test) => Ok(Parsed::File { test, path, negated: operator.len() == 3 }),
                None => invalid(operator),
            },
            _ => invalid(operator),
        },
        [word, ..] => invalid(word),
        [] => invalid(b""),
    }
}

fn is_variable(word: &[u8]) -> bool {
    word.len() > 1 && word[0] == b'$'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let words: Vec<&[u8]> = text.split('_').map(str::as_bytes).collect();
        parse(&words).map(|parsed| format!("{parsed:?}"))
    }

    #[test]
    fn parentheses_may_stand_alone_or_cling() {
        for text in ["($a)", "(_$a_)", "($a_)", "(_$a)"] {
            assert_eq!(
                parse(&text.split('_').map(str::as_bytes).collect::<Vec<_>>()),
                Ok(Parsed::Variable(b"a")),
                "{text}"
            );
        }
        let equal = Parsed::Equal { name: b"a", text: b"b", negated: true };
        assert_eq!(parse(&[b"($a", b"!=", b"b", b")"]), Ok(equal));
        assert_eq!(parse(&[b"(", b"$a", b"!=", b"b)"]), Ok(equal));
        let empty = Parsed::Equal { name: b"a", text: b"", negated: false };
        assert_eq!(parse(&[b"($a", b"=", b"", b")"]), Ok(empty));
        let file = Parsed::File { test: FileTest::Exists, path: b"/x", negated: true };
        assert_eq!(parse(&[b"(!-e", b"/x)"]), Ok(file));
    }

    #[test]
    fn refused_conditions_have_the_servers_message() {
        // Recorded with `nginx -t`; `_` stands for a blank.
        for (text, message) in [
            ("$uri", "invalid condition \"$uri\""),
            ("($a_==_b)", "unexpected \"==\" in condition"),
            ("(!$a)", "invalid condition \"!$a\""),
            ("(a_=_b)", "invalid condition \"a\""),
            ("($a_$b)", "invalid condition \"$a\""),
            ("($a_=_b_c)", "invalid condition \"$a\""),
            ("(-f)", "invalid condition \"-f\""),
            ("(-z_/x)", "invalid condition \"-z\""),
            ("($a_=_b", "invalid condition \"b\""),
        ] {
            assert_eq!(read(text), Err(message.to_owned()), "{text}");
        }
    }
}

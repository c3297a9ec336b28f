//! Arguments as the server takes them (`invoke_cmd`): how many words, and the message where they do not fit.

use super::directives::{Args, Row};
use super::lex;

/// Largest number of words that an `Argv` directive gets (`AP_MAX_ARGC`).
const MAX_ARGV: usize = 64;

/// The words of `args` by the row's kind, or the server's message without its hint. A `Raw` directive gets every word
/// and is never refused here.
pub fn take<'a>(row: &Row, args: &'a [u8]) -> Result<Vec<std::borrow::Cow<'a, [u8]>>, String> {
    let mut rest = args;
    let mut words = Vec::new();
    let take = |rest: &mut &'a [u8], words: &mut Vec<_>, most: usize| {
        while words.len() < most && !rest.is_empty() {
            words.push(lex::getword_conf(rest));
        }
    };
    let wrong = |how: &str| Err(format!("{} {how}", row.name));
    let counted: (usize, usize, &str) = match row.args {
        Args::Take1 => (1, 1, "takes one argument"),
        Args::Take2 => (2, 2, "takes two arguments"),
        Args::Take3 => (3, 3, "takes three arguments"),
        Args::Take12 => (1, 2, "takes 1-2 arguments"),
        Args::Take13 => (1, 3, "takes one or three arguments"),
        Args::Take23 => (2, 3, "takes two or three arguments"),
        Args::Take123 => (1, 3, "takes one, two or three arguments"),
        Args::Flag => {
            let word = lex::getword_conf(&mut rest);
            if !word.eq_ignore_ascii_case(b"on") && !word.eq_ignore_ascii_case(b"off") {
                return wrong("must be On or Off");
            }
            return Ok(vec![word]);
        }
        Args::Iterate | Args::Iterate2 => {
            take(&mut rest, &mut words, usize::MAX);
            let least = if row.args == Args::Iterate { 1 } else { 2 };
            // An empty word ends the list; for two, whatever follows the first word counts as something there.
            if words.first().is_none_or(|word| word.is_empty()) || words.len() < least {
                let least = if least == 1 { "one argument" } else { "two arguments" };
                return wrong(&format!("requires at least {least}"));
            }
            let end = words.iter().skip(1).position(|word| word.is_empty()).map_or(words.len(), |at| at + 1);
            words.truncate(end);
            return Ok(words);
        }
        Args::Argv => {
            take(&mut rest, &mut words, MAX_ARGV);
            return Ok(words);
        }
        Args::Raw => return Ok(all(rest)),
    };
    let (least, most, how) = counted;
    take(&mut rest, &mut words, most);
    let missing = words.len() < least || words.iter().take(least).any(|word| word.is_empty());
    let two_of_one_or_three = row.args == Args::Take13 && words.len() == 2 && !words[1].is_empty();
    if missing || !rest.is_empty() || two_of_one_or_three {
        return wrong(how);
    }
    Ok(words)
}

/// Every word of `args`: those of a `Raw` directive.
pub fn all(args: &[u8]) -> Vec<std::borrow::Cow<'_, [u8]>> {
    let mut rest = args;
    std::iter::from_fn(|| (!rest.is_empty()).then(|| lex::getword_conf(&mut rest))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::directives::lookup;
    use super::*;

    fn refusal(line: &str) -> Option<String> {
        let (name, args) = line.split_once(' ').unwrap_or((line, ""));
        take(&lookup(name.as_bytes())[0], args.as_bytes()).err()
    }

    #[test]
    fn counted_words() {
        assert_eq!(refusal("ServerName a b").as_deref(), Some("ServerName takes one argument"));
        assert_eq!(refusal("ServerName \"\"").as_deref(), Some("ServerName takes one argument"));
        assert_eq!(refusal("ServerName \"a b\""), None);
        assert_eq!(refusal("Redirect /a /b /c /d").as_deref(), Some("Redirect takes one, two or three arguments"));
        assert_eq!(refusal("RedirectMatch 403").as_deref(), Some("RedirectMatch takes two or three arguments"));
    }

    #[test]
    fn a_flag_ignores_what_follows() {
        assert_eq!(refusal("RewriteEngine oN off"), None);
        assert_eq!(refusal("RewriteEngine yes").as_deref(), Some("RewriteEngine must be On or Off"));
        assert_eq!(refusal("RewriteEngine").as_deref(), Some("RewriteEngine must be On or Off"));
    }

    #[test]
    fn lists_need_one_or_two() {
        assert_eq!(refusal("Allow from").as_deref(), Some("allow requires at least two arguments"));
        assert_eq!(refusal("Allow from all").as_deref(), None);
        assert_eq!(refusal("Options").as_deref(), None);
        assert_eq!(refusal("PassEnv").as_deref(), Some("PassEnv requires at least one argument"));
    }
}

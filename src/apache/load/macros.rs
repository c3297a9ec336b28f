//! mod_macro: `<Macro Name $a @b %c>`, `Use Name v1 v2`, `UndefMacro Name`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::input::Text;
use super::piece::Piece;
use crate::apache::lex;
use crate::source::{Origin, SourceMap, Span};

/// Longest line of a macro after substitution, in bytes (`MAX_STRING_LEN`).
const MAX_LINE: usize = 8192;

/// One line of a macro's body.
#[derive(Clone, Debug)]
pub(super) struct MacroLine {
    /// The logical line.
    pub text: Piece,
    /// Where it stands in the definition.
    pub span: Span,
    /// The line that it ends on in the file of the definition.
    pub line: u32,
}

/// A macro, being read or complete.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    name: Vec<u8>,
    parameters: Vec<Vec<u8>>,
    lines: Vec<MacroLine>,
    at: (Origin, u32),
    nesting: u32,
}

/// Whether the definition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It does.
    More,
    /// The end tag was met.
    Done,
}

impl Definition {
    /// The start of a definition, from what follows `<Macro` (`macro_section`).
    pub fn start(args: &[u8], at: (Origin, u32)) -> Result<Self, String> {
        let end = memchr::memrchr(b'>', args).ok_or("<Macro> directive missing closing '>'")?;
        if end == 0 {
            return Err("<Macro macro definition: empty name".into());
        }
        let mut rest = &args[..end];
        let name = lex::getword_conf(&mut rest).to_ascii_lowercase();
        if name.is_empty() {
            return Err("<Macro macro definition: name not found".into());
        }
        let parameters = arguments(rest);
        let lossy = String::from_utf8_lossy(&name).into_owned();
        for (index, parameter) in parameters.iter().enumerate() {
            if parameter.is_empty() {
                return Err(format!("macro '{lossy}': empty argument #{} name", index + 1));
            }
            if let Some(other) = parameters[index + 1..].iter().position(|other| other == parameter) {
                return Err(format!(
                    "argument name conflict in macro '{lossy}': argument '{}': #{} and #{}",
                    String::from_utf8_lossy(parameter),
                    index + 1,
                    index + other + 2
                ));
            }
        }
        Ok(Definition { name, parameters, lines: Vec::new(), at, nesting: 1 })
    }

    /// One more line; comments are dropped, macros inside are counted.
    pub fn line(&mut self, text: Text) -> Result<Progress, String> {
        if text.bytes.starts_with(b"#") {
            return Ok(Progress::More);
        }
        let mut rest = &text.bytes[..];
        let first = lex::getword_conf(&mut rest);
        if first.eq_ignore_ascii_case(b"</Macro>") {
            self.nesting -= 1;
            if self.nesting == 0 {
                return Ok(Progress::Done);
            }
        } else if first.eq_ignore_ascii_case(b"<Macro") {
            self.nesting += 1;
        }
        self.lines.push(MacroLine { span: text.origin.span, line: text.line, text: text.bytes });
        Ok(Progress::More)
    }

    /// `macro 'm' (defined on line L of "F")`.
    pub fn describe(&self, sources: &SourceMap) -> String {
        let path = &sources.file(self.at.0.span.file).path;
        let name = String::from_utf8_lossy(&self.name);
        format!("macro '{name}' (defined on line {} of \"{}\")", self.at.1, path.display())
    }
}

/// The words of a parameter or argument list.
fn arguments(list: &[u8]) -> Vec<Vec<u8>> {
    lex::words(list).map(|(_, word)| word.into_owned()).collect()
}

/// The macros defined so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Macros {
    /// By lower-case name. `None` marks one that was removed: the server then still knows that macros exist.
    defined: BTreeMap<Vec<u8>, Option<Arc<Definition>>>,
}

impl Macros {
    /// Adds a finished definition; a later one of the same name replaces it.
    pub fn define(&mut self, definition: Definition) {
        self.defined.insert(definition.name.clone(), Some(Arc::new(definition)));
    }

    /// `UndefMacro`.
    pub fn undefine(&mut self, name: &[u8]) -> Result<(), String> {
        if self.defined.is_empty() {
            return Err("no macro defined before UndefMacro".into());
        }
        match self.defined.get_mut(&name.to_ascii_lowercase()) {
            Some(definition @ Some(_)) => {
                *definition = None;
                Ok(())
            }
            _ => Err(format!("cannot remove undefined macro '{}'", String::from_utf8_lossy(name))),
        }
    }

    /// The lines of a macro with these arguments in place of its parameters (`use_macro`). `plays`: whether a macro is
    /// being read out already.
    pub fn expand(
        &self,
        name: &[u8],
        args: &[u8],
        sources: &SourceMap,
        plays: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<MacroLine>, String> {
        let lossy = String::from_utf8_lossy(name);
        if self.defined.is_empty() {
            return Err("no macro defined before Use".into());
        }
        if name.is_empty() {
            return Err("no macro name specified with Use".into());
        }
        let Some(Some(definition)) = self.defined.get(name) else { return Err(format!("macro '{lossy}' undefined")) };
        if plays(name) {
            return Err(format!("recursive use of macro '{lossy}' is invalid"));
        }
        let replacements = arguments(args);
        if replacements.len() != definition.parameters.len() {
            return Err(format!(
                "{} used with {} arguments instead of {}",
                definition.describe(sources),
                replacements.len(),
                definition.parameters.len()
            ));
        }
        let mut lines = definition.lines.clone();
        for (number, line) in (1..).zip(&mut lines) {
            let text = substitute(&line.text, &definition.parameters, &replacements).ok_or_else(|| {
                format!(
                    "while processing line {number} of {}: cannot substitute, buffer size too small",
                    definition.describe(sources)
                )
            })?;
            line.text = Piece::made(text);
        }
        Ok(lines)
    }
}

/// Every parameter replaced from left to right, the longest where several start at one place; `None`: the line grows
/// too long. A parameter that starts with `@` is replaced by the quoted value.
fn substitute(line: &[u8], parameters: &[Vec<u8>], replacements: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut text = line.to_vec();
    let mut at = 0;
    while let Some((found, index)) = parameters
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some((at + memchr::memmem::find(text.get(at..)?, name)?, index)))
        .min_by_key(|&(found, index)| (found, std::cmp::Reverse(parameters[index].len())))
    {
        let (name, replacement) = (&parameters[index], &replacements[index]);
        let value =
            if name.starts_with(b"@") && name != replacement { quoted(replacement) } else { replacement.clone() };
        text.splice(found..found + name.len(), value);
        if text.len() >= MAX_LINE {
            return None;
        }
        // The server moves on by the length of the bare value, also where it quoted it.
        at = found + replacement.len();
    }
    Some(text)
}

fn quoted(value: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in value {
        if matches!(byte, b'"' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(line: &str, pairs: &[(&str, &str)]) -> String {
        let of = |pick: fn(&(&str, &str)) -> String| -> Vec<Vec<u8>> {
            pairs.iter().map(|pair| pick(pair).into_bytes()).collect()
        };
        let text = substitute(line.as_bytes(), &of(|pair| pair.0.into()), &of(|pair| pair.1.into()));
        String::from_utf8(text.expect("short")).expect("text")
    }

    #[test]
    fn the_longest_parameter_wins_and_an_at_sign_quotes() {
        assert_eq!(replace("Require $ab $a", &[("$a", "x"), ("$ab", "y z")]), "Require y z x");
        assert_eq!(replace("Alias @p", &[("@p", "/a \"b\"")]), r#"Alias "/a \"b\"""#);
        assert_eq!(replace("$a", &[("$a", "$a$a")]), "$a$a");
    }

    #[test]
    fn a_line_that_grows_too_long_is_an_error() {
        let long = vec![b'x'; MAX_LINE];
        assert_eq!(substitute(b"$a", &[b"$a".to_vec()], &[long]), None);
    }
}

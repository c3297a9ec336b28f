//! `Define`d names, their values, the environment, and `${NAME}` (`ap_resolve_env`).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Longest line after replacement, in bytes; a limit of this program.
pub const MAX_EXPANDED: usize = 16 << 20;

/// Names, values and environment, as far as the file was read.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// Names that `<IfDefine>` knows; exact case.
    names: BTreeSet<Vec<u8>>,
    /// Values of `Define NAME VALUE`, by lower-case name: an apr_table ignores case.
    values: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The environment that the server was started with.
    environment: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A line after replacement.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded<'a> {
    /// The text.
    pub text: Cow<'a, [u8]>,
    /// Names that stayed as they were, because nothing defines them.
    pub undefined: Vec<&'a [u8]>,
    /// The text grew past [`MAX_EXPANDED`] and was cut.
    pub too_long: bool,
}

impl Variables {
    /// `Define NAME [VALUE]`; an empty value only defines the name.
    pub fn define(&mut self, name: &[u8], value: Option<&[u8]>) {
        self.names.insert(name.to_vec());
        if let Some(value) = value {
            self.values.insert(name.to_ascii_lowercase(), value.to_vec());
        }
    }

    /// `UnDefine NAME`.
    pub fn undefine(&mut self, name: &[u8]) {
        self.names.remove(name);
        self.values.remove(&name.to_ascii_lowercase());
    }

    /// Whether `<IfDefine NAME>` holds.
    pub fn is_defined(&self, name: &[u8]) -> bool {
        self.names.contains(name)
    }

    /// A variable of the environment that the server was started with, where it is known.
    pub fn environment(&self, name: &[u8]) -> Option<&[u8]> {
        self.environment.get(name).map(Vec::as_slice)
    }

    /// A variable of the environment.
    pub fn export(&mut self, name: &[u8], value: &[u8]) {
        self.environment.insert(name.to_vec(), value.to_vec());
    }

    /// The value of `${NAME}`.
    pub fn value(&self, name: &[u8]) -> Option<&[u8]> {
        self.values.get(&name.to_ascii_lowercase()).or_else(|| self.environment.get(name)).map(Vec::as_slice)
    }

    /// Replaces every `${NAME}` once; the name ends at the first `}`, the result is not looked at again.
    pub fn expand<'a>(&self, line: &'a [u8]) -> Expanded<'a> {
        let mut expanded = Expanded { text: Cow::Borrowed(line), undefined: Vec::new(), too_long: false };
        let mut text = Vec::new();
        let mut copied = 0;
        let mut at = 0;
        while let Some(found) = memchr::memchr(b'$', &line[at..]) {
            let start = at + found;
            if line.get(start + 1) != Some(&b'{') {
                at = start + 1;
                continue;
            }
            let Some(length) = memchr::memchr(b'}', &line[start + 2..]) else { break };
            let name = &line[start + 2..start + 2 + length];
            at = start + 2 + length + 1;
            match self.value(name) {
                Some(value) => {
                    text.extend_from_slice(&line[copied..start]);
                    text.extend_from_slice(value);
                    copied = at;
                    if text.len() > MAX_EXPANDED {
                        expanded.too_long = true;
                        break;
                    }
                }
                None if name.contains(&b':') => {}
                None => expanded.undefined.push(name),
            }
        }
        if copied > 0 {
            text.extend_from_slice(&line[copied..]);
            expanded.text = Cow::Owned(text);
        }
        expanded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(line: &str) -> (String, Vec<String>) {
        let mut variables = Variables::default();
        variables.define(b"M", Some(b"all denied"));
        variables.define(b"FLAG", None);
        variables.export(b"LOGS", b"/var/log");
        let expanded = variables.expand(line.as_bytes());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&expanded.text), expanded.undefined.into_iter().map(text).collect())
    }

    #[test]
    fn values_then_the_environment_then_nothing() {
        assert_eq!(expand("Require ${m} ${LOGS}"), ("Require all denied /var/log".into(), vec![]));
        assert_eq!(expand("a ${FLAG} ${logs}"), ("a ${FLAG} ${logs}".into(), vec!["FLAG".into(), "logs".into()]));
        assert_eq!(expand("${map:x|y} $M ${M"), ("${map:x|y} $M ${M".into(), vec![]));
    }

    #[test]
    fn a_name_ends_at_the_first_brace() {
        assert_eq!(expand("${B${M}}"), ("${B${M}}".into(), vec!["B${M".into()]));
    }
}

//! Debian's `envvars`: the shell file that the start script reads before it starts the server.
//!
//! Nothing is executed. Plain `export NAME=VALUE` and `NAME=VALUE` lines are read, with `$NAME` and `${NAME}` in the
//! value; in the usual file the only other statement is the one that sets `SUFFIX`, which is empty for `/etc/apache2`.

use std::collections::BTreeMap;

use super::variables::Variables;

/// The values that Debian's stock file gives (apache.md §1.10).
const DEFAULTS: &[(&str, &str)] = &[
    ("APACHE_RUN_USER", "www-data"),
    ("APACHE_RUN_GROUP", "www-data"),
    ("APACHE_RUN_DIR", "/var/run/apache2"),
    ("APACHE_LOCK_DIR", "/var/lock/apache2"),
    ("APACHE_LOG_DIR", "/var/log/apache2"),
    ("APACHE_PID_FILE", "/var/run/apache2/apache2.pid"),
];

/// Debian's defaults.
pub fn defaults(variables: &mut Variables) {
    for (name, value) in DEFAULTS {
        variables.export(name.as_bytes(), value.as_bytes());
    }
}

/// Reads the file; gives the 1-based numbers of assignments whose value is more than text and variables.
pub fn read(text: &[u8], variables: &mut Variables) -> Vec<u32> {
    let mut shell: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut open = Vec::new();
    for (number, line) in (1..).zip(text.split(|&byte| byte == b'\n')) {
        let line = line.trim_ascii();
        let (exported, assignment) = match line.strip_prefix(b"export ") {
            Some(rest) => (true, rest.trim_ascii()),
            None => (false, line),
        };
        let Some(equals) = memchr::memchr(b'=', assignment) else {
            if exported && let Some(value) = shell.get(assignment) {
                variables.export(assignment, value);
            }
            continue;
        };
        let (name, raw) = (&assignment[..equals], &assignment[equals + 1..]);
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            continue;
        }
        // `SUFFIX` is set in both branches of an `if`; for `/etc/apache2` the second one, which is empty, holds.
        match value(raw, &shell) {
            Some(value) => {
                if exported {
                    variables.export(name, &value);
                }
                shell.insert(name.to_vec(), value);
            }
            None if exported => open.push(number),
            None => {}
        }
    }
    open
}

/// The value of an assignment; `None` where the shell would do more than replace variables.
fn value(raw: &[u8], shell: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<Vec<u8>> {
    let mut value = Vec::new();
    let mut rest = raw;
    let mut quote = None;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\'' | b'"' if quote == Some(byte) => quote = None,
            b'\'' | b'"' if quote.is_none() => quote = Some(byte),
            b'$' if quote != Some(b'\'') => {
                let (name, after) = name(rest)?;
                value.extend_from_slice(shell.get(name).map_or(&[], Vec::as_slice));
                rest = after;
            }
            b'`' | b'\\' if quote != Some(b'\'') => return None,
            b' ' | b'\t' | b'#' | b';' if quote.is_none() => {
                return rest_is_comment(byte, rest).then_some(value);
            }
            b'&' | b'|' | b'(' | b'<' | b'>' if quote.is_none() => return None,
            byte => value.push(byte),
        }
    }
    quote.is_none().then_some(value)
}

/// Whether nothing but a comment follows an unquoted blank.
fn rest_is_comment(byte: u8, rest: &[u8]) -> bool {
    byte != b'#' && matches!(rest.trim_ascii().first(), None | Some(b'#'))
}

/// The name after a `$`, plain or in braces without anything else in them.
fn name(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    if let Some(inner) = rest.strip_prefix(b"{") {
        let end = memchr::memchr(b'}', inner)?;
        return inner[..end].iter().all(is_name).then_some((&inner[..end], &inner[end + 1..]));
    }
    let end = rest.iter().position(|byte| !is_name(byte)).unwrap_or(rest.len());
    (end > 0).then(|| rest.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_assignments_are_read_and_nothing_is_executed() {
        let text = b"unset HOME\nif [ x ] ; then\n\tSUFFIX=\"-${A##b}\"\nelse\n\tSUFFIX=\nfi\nexport APACHE_RUN_USER=web # who\n\
            export APACHE_LOG_DIR=/logs$SUFFIX\nexport X=$(id)\nLANG='C x'\nexport LANG\n";
        let mut variables = Variables::default();
        defaults(&mut variables);
        assert_eq!(read(text, &mut variables), [9]);
        assert_eq!(variables.value(b"APACHE_RUN_USER"), Some(&b"web"[..]));
        assert_eq!(variables.value(b"APACHE_LOG_DIR"), Some(&b"/logs"[..]));
        assert_eq!(variables.value(b"LANG"), Some(&b"C x"[..]));
        assert_eq!(variables.value(b"APACHE_RUN_GROUP"), Some(&b"www-data"[..]));
        assert_eq!(variables.value(b"X"), None);
    }
}

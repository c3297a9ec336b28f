//! The helpers of mod_rewrite around URLs and paths.

use crate::apache::escape::{escape_uri, push_escaped};

use super::{Rule, RuleFlags};

/// Schemes that make a substitution absolute (`is_absolute_uri`), and whether a query is split off them.
const SCHEMES: [(&str, bool); 18] = [
    ("ajp://", true),
    ("balancer://", true),
    ("ftp://", false),
    ("fcgi://", true),
    ("gopher://", false),
    ("http://", true),
    ("https://", true),
    ("h2://", true),
    ("h2c://", true),
    ("ldap://", false),
    ("mailto:", true),
    ("news:", false),
    ("nntp://", false),
    ("scgi://", true),
    ("ws://", true),
    ("wss://", true),
    ("unix://", true),
    ("unix:", true),
];

/// The length of the scheme of an absolute URL, with its `://`, and whether it may have a query; `None`: a path.
pub(super) fn absolute_uri(uri: &[u8]) -> Option<(usize, bool)> {
    if uri.len() <= 5 {
        return None;
    }
    let (scheme, has_query) = SCHEMES.iter().find(|(scheme, _)| {
        uri.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme.as_bytes()))
    })?;
    Some((scheme.len(), *has_query))
}

/// `escape_backref`: what of a group is percent-encoded under `[B]`.
pub(super) fn escape_backref(text: &[u8], rule: &Rule) -> Vec<u8> {
    let RuleFlags { escape_no_plus, escape_controls, .. } = rule.flags;
    let mut escaped = Vec::with_capacity(text.len());
    for &byte in text {
        let by_default = match &rule.escapes {
            _ if escape_controls => byte <= b' ' || byte == 0x7f,
            None => true,
            Some(_) => false,
        };
        let listed = rule.escapes.as_ref().is_some_and(|escapes| escapes.contains(&byte));
        let excepted = rule.no_escapes.as_ref().is_some_and(|bytes| bytes.contains(&byte));
        match byte {
            _ if !(by_default || listed) || excepted => escaped.push(byte),
            b'_' => escaped.push(byte),
            _ if byte.is_ascii_alphanumeric() => escaped.push(byte),
            b' ' if !escape_no_plus => escaped.push(b'+'),
            _ => push_escaped(&mut escaped, byte),
        }
    }
    escaped
}

/// `escape_absolute_uri`: everything after the host, or after the scheme where there is no host.
pub(super) fn escape_absolute_uri(uri: &[u8], scheme: usize) -> Vec<u8> {
    let mut start = scheme;
    if uri[..scheme].ends_with(b"/") {
        match memchr::memchr(b'/', &uri[scheme..]) {
            Some(slash) if scheme + slash + 1 < uri.len() => start = scheme + slash + 1,
            _ => return uri.to_vec(),
        }
        if uri[..4].eq_ignore_ascii_case(b"ldap") {
            let parts: Vec<Vec<u8>> = uri[start..].splitn(5, |byte| *byte == b'?').map(escape_uri).collect();
            return [&uri[..start], &parts.join(&b"?"[..])].concat();
        }
    }
    [&uri[..start], &escape_uri(&uri[start..])].concat()
}

/// `subst_prefix_path`: `input` with the prefix `matched` (which ends at a slash) replaced.
pub(super) fn replace_prefix(input: &[u8], matched: &[u8], replacement: &[u8]) -> Option<Vec<u8>> {
    let matched = matched.strip_suffix(b"/").unwrap_or(matched);
    let rest = input.strip_prefix(matched)?.strip_prefix(b"/")?;
    let mut output = replacement.to_vec();
    if !output.is_empty() && output.last() != Some(&b'/') {
        output.push(b'/');
    }
    output.extend_from_slice(rest);
    Some(output)
}

/// `splitout_queryargs`: takes the query off a rewritten name and works out the request's.
pub(super) fn split_query(name: &mut Vec<u8>, args: &mut Option<Vec<u8>>, flags: RuleFlags) {
    if flags.qs_none {
        *args = None;
        return;
    }
    let skip = match absolute_uri(name) {
        // A scheme without queries: what was asked is forgotten.
        Some((_, false)) => {
            *args = None;
            return;
        }
        Some((scheme, true)) => scheme,
        None => 0,
    };
    if flags.qs_discard {
        *args = None;
    }
    let found = if flags.qs_last { memchr::memrchr(b'?', &name[skip..]) } else { memchr::memchr(b'?', &name[skip..]) };
    let Some(mark) = found.map(|at| at + skip) else { return };
    let query = name.split_off(mark)[1..].to_vec();
    if flags.qs_append {
        if !query.is_empty() {
            let mut joined = query;
            joined.push(b'&');
            joined.extend_from_slice(args.as_deref().unwrap_or_default());
            *args = Some(joined);
        }
    } else {
        *args = Some(query);
    }
    match args {
        Some(text) if text.is_empty() => *args = None,
        Some(text) if text.last() == Some(&b'&') => {
            text.pop();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_known_by_name() {
        assert_eq!(absolute_uri(b"http://h/x"), Some((7, true)));
        assert_eq!(absolute_uri(b"FTP://h/x"), Some((6, false)));
        assert_eq!(absolute_uri(b"unix:/s|http://h"), Some((5, true)));
        assert_eq!(absolute_uri(b"unix://s"), Some((7, true)));
        assert_eq!(absolute_uri(b"foo://h/x"), None);
        assert_eq!(absolute_uri(b"ws://"), None);
    }

    #[test]
    fn a_query_is_replaced_appended_or_dropped() {
        let split = |name: &[u8], args: &[u8], flags: RuleFlags| {
            let (mut name, mut args) = (name.to_vec(), Some(args.to_vec()));
            split_query(&mut name, &mut args, flags);
            (name, args)
        };
        let none = RuleFlags::default();
        assert_eq!(split(b"/x?b=2", b"a=1", none), (b"/x".to_vec(), Some(b"b=2".to_vec())));
        assert_eq!(split(b"/x", b"a=1", none), (b"/x".to_vec(), Some(b"a=1".to_vec())));
        assert_eq!(split(b"/x?", b"a=1", none), (b"/x".to_vec(), None));
        let append = RuleFlags { qs_append: true, ..none };
        assert_eq!(split(b"/x?b", b"a=1", append), (b"/x".to_vec(), Some(b"b&a=1".to_vec())));
        let last = RuleFlags { qs_last: true, ..none };
        assert_eq!(split(b"/x?y?z", b"", last), (b"/x?y".to_vec(), Some(b"z".to_vec())));
    }

    #[test]
    fn a_prefix_is_replaced_only_at_a_slash() {
        assert_eq!(replace_prefix(b"/w/d/x", b"/w/d/", b"/u"), Some(b"/u/x".to_vec()));
        assert_eq!(replace_prefix(b"/w/dx", b"/w/d/", b"/u"), None);
    }

    #[test]
    fn only_what_follows_the_host_is_escaped() {
        assert_eq!(escape_absolute_uri(b"http://h h/a b", 7), b"http://h h/a%20b");
        assert_eq!(escape_absolute_uri(b"mailto:a b", 7), b"mailto:a%20b");
    }
}

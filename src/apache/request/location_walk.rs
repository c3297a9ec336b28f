//! `<Location>` and `<LocationMatch>`: one list, in configuration order (ap_location_walk).

use crate::apache::fnmatch::fnmatch;
use crate::apache::model::Matcher;
use crate::apache::request::walk::{Kind, PATHNAME, Walk, regex_matches};
use crate::apache::request::{Cx, Handled, RequestRec, normalize};
use crate::trace::apache::Event;

/// ap_location_walk. Literals and patterns see the path with slashes merged whatever MergeSlashes says.
pub(crate) fn location_walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let sections = &r.server.held.locations;
    if sections.is_empty() {
        return Handled::Ok;
    }
    let mut walk = Walk::prepare(Kind::Location, r);
    let merge_slashes = r.server.core.merge_slashes.unwrap_or(true);
    let uri = if merge_slashes { r.uri.clone() } else { normalize::merge_slashes(&r.uri) };
    if walk.is_familiar(sections, &uri) {
        if walk.has_result(r) {
            walk.store(r);
            return Handled::Ok;
        }
        walk.take_over();
    } else {
        walk.again(cx.config.auth_per_conf);
        walk.cache.cached = Some(uri.clone());
        let subject = r.uri.clone();
        for section in sections.iter() {
            let matched = match &section.matcher {
                Matcher::Literal(prefix) => location_matches(prefix, &uri),
                Matcher::Glob(pattern) => fnmatch(pattern, &uri, PATHNAME),
                _ => match regex_matches(section, &subject, r, cx) {
                    Some(matched) => matched,
                    None => return Handled::Unknown,
                },
            };
            if matched {
                cx.note("location_walk", Some(section.origin), || Event::SectionMatched { kind: "Location" });
                walk.matched(&section.conf, cx);
            }
        }
    }
    walk.finish(sections, r, cx);
    Handled::Ok
}

/// A literal matches the path itself and what lies below it.
pub(crate) fn location_matches(prefix: &[u8], uri: &[u8]) -> bool {
    match uri.strip_prefix(prefix) {
        Some(rest) => prefix.is_empty() || prefix.ends_with(b"/") || rest.is_empty() || rest[0] == b'/',
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::location_matches;

    #[test]
    fn a_location_ends_at_a_slash() {
        assert!(location_matches(b"/d", b"/d") && location_matches(b"/d", b"/d/x") && !location_matches(b"/d", b"/dx"));
        assert!(location_matches(b"/d/", b"/d/") && !location_matches(b"/d/", b"/d"));
        assert!(location_matches(b"/", b"/x") && location_matches(b"", b"*"));
    }
}

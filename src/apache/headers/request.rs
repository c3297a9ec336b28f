//! `RequestHeader`: what a request is compared with, before or after the walks.

use super::{Action, Edit, How, Rule, When};
use crate::apache::escape::substitute;
use crate::apache::expr::Failure;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::fact::Subject;

/// Headers that something still looks at after the fixups: conditions, ranges, bodies, and what WebDAV asks for.
const READ_LATE: [&[u8]; 14] = [
    b"If-Match",
    b"If-Modified-Since",
    b"If-None-Match",
    b"If-Range",
    b"If-Unmodified-Since",
    b"Range",
    b"Content-Length",
    b"Content-Type",
    b"Transfer-Encoding",
    b"Expect",
    b"Depth",
    b"Destination",
    b"If",
    b"Overwrite",
];

/// post_read_request (ap_headers_early).
pub(crate) fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    change_request(true, r, cx)
}

/// fixups (ap_headers_fixup).
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    change_request(false, r, cx)
}

fn change_request<'c>(early: bool, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.per_dir.headers.clone() else { return Handled::Declined };
    for rule in &record.request {
        // What only a sub-request or an internal redirect may still look at is not worth a question.
        let matters = early || rule.is_plain() || READ_LATE.iter().any(|name| rule.is_of(name));
        if matches!(rule.when, When::Early) != early || !matters {
            continue;
        }
        match rule.applies(r, cx) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return Handled::Unknown,
        }
        if apply(rule, r, cx).is_err() {
            return cx.unanswerable(Subject::Opaque("RequestHeader".to_owned()), Some(rule.origin));
        }
    }
    Handled::Declined
}

/// Does what the line says.
fn apply<'c>(rule: &Rule, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<(), Failure> {
    let name = rule.name.as_slice();
    match &rule.action {
        Action::Put(How::SetIfEmpty, _) if r.headers_in.contains(name) => {}
        Action::Put(how, value) => {
            let value = value.text(r, cx)?;
            let is_listed = |list: &[u8]| list.split(|&byte| byte == b',').any(|part| part.trim_ascii() == value);
            match how {
                How::Set | How::SetIfEmpty => r.headers_in.set(name, &value),
                How::Add => r.headers_in.add(name, &value),
                How::Merge if r.headers_in.get(name).is_some_and(is_listed) => {}
                How::Append | How::Merge => r.headers_in.merge(name, &value),
            }
        }
        Action::Unset => r.headers_in.unset(name),
        Action::Edit(edit) => {
            let named = r.headers_in.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
            let values: Vec<Vec<u8>> = named.map(|(_, value)| value.to_vec()).collect();
            let mut edited = Vec::new();
            for old in values {
                edited.push(edit.apply(&old, r, cx)?);
            }
            r.headers_in.unset(name);
            for value in edited {
                r.headers_in.add(name, &value);
            }
        }
        Action::Other => {}
    }
    Ok(())
}

impl Edit {
    /// process_regexp: the first match replaced; not known where `edit*` has to look for another one behind it.
    fn apply<'c>(&self, old: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Vec<u8>, Failure> {
        let Some(captures) = self.pattern.captures(old).map_err(|_| Failure::Unknown)? else { return Ok(old.to_vec()) };
        let found = captures.groups.first().cloned().flatten().ok_or(Failure::Unknown)?;
        if self.all && found.end < old.len() {
            return Err(Failure::Unknown);
        }
        let template = self.value.text(r, cx)?;
        Ok([&old[..found.start], &substitute(&template, old, &captures), &old[found.end..]].concat())
    }
}

//! mod_asis: a file that brings its own headers, and with them perhaps its own status (`Status: 403 …`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::apache::model::M_GET;
use crate::apache::request::subrequest::internal_redirect;
use crate::apache::request::{Cx, Handled, RequestRec, conditional, handler_is};
use crate::cause;
use crate::fact::{Fact, Question};
use crate::fs::Errno;
use crate::outcome::Decision;

/// Largest send-as-is file read for its headers, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// asis_handler.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let named = handler_is(r, "send-as-is") || handler_is(r, "httpd/send-as-is");
    if !named || !cx.has_module("asis_module") || r.method_number != M_GET {
        return Handled::Declined;
    }
    let origin = r.handler.as_ref().and_then(|handler| handler.origin);
    if r.finfo.is_none() {
        return r.refuse(Decision::new(&cause::apache::ASIS_NOT_FOUND).by(r.mapped_by), 404);
    }
    let filename = r.filename.clone().unwrap_or_default();
    let text = match cx.disk.read(Path::new(OsStr::from_bytes(&filename)), MAX_FILE) {
        Ok(Fact::Known(text)) => text,
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(Question::at(question.subject, origin));
            return Handled::Unknown;
        }
        Err(denied) => {
            let mut decision = Decision::new(&cause::apache::ASIS_UNREADABLE).by(r.mapped_by);
            decision.path = Some(denied.path);
            if denied.errno != Errno::Eisdir {
                return r.refuse(decision, 403);
            }
            // A directory is opened like a file; it breaks off when its body is to be sent (case
            // `directories-as-they-are`).
            if r.method == b"HEAD" {
                return Handled::Ok;
            }
            r.decision = Some(decision);
            return Handled::Closed;
        }
    };
    match headers(&text) {
        Ok(found) => {
            if let Some(location) = found.location {
                if location.starts_with(b"/") && found.status.is_none_or(|status| (300..400).contains(&status)) {
                    r.status = 200;
                    return internal_redirect(&location, r, cx);
                }
                r.location = Some(location);
            }
            match found.status {
                Some(status) if status != 200 => {
                    // The file is the answer, body and all: no error document is looked for.
                    r.status = status;
                    r.decision = Some(Decision::new(&cause::apache::ASIS_STATUS).by(origin.or(r.mapped_by)));
                    Handled::Ok
                }
                _ => {
                    if let Some(condition) = conditional::if_scripted(r, found.modified) {
                        return condition;
                    }
                    Handled::Ok
                }
            }
        }
        // A malformed header is logged; what was read until then stands.
        Err(()) => Handled::Ok,
    }
}

#[derive(Default)]
struct Headers {
    status: Option<u16>,
    location: Option<Vec<u8>>,
    modified: Option<Vec<u8>>,
}

/// ap_scan_script_header_err: lines until an empty one.
fn headers(text: &[u8]) -> Result<Headers, ()> {
    let mut found = Headers::default();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(found);
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(())?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii_start());
        match name.to_ascii_lowercase().as_slice() {
            b"status" => {
                let digits: String =
                    value.iter().take_while(|byte| byte.is_ascii_digit()).map(|&b| b as char).collect();
                found.status = digits.parse().ok();
            }
            b"location" => found.location = Some(value.to_vec()),
            b"last-modified" => found.modified = Some(value.to_vec()),
            _ => {}
        }
    }
    Err(())
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn the_status_line_of_a_file() {
        let found = headers(b"Status: 401 Gone fishing\r\nLocation: /x\r\n\r\nbody").unwrap_or_default();
        assert_eq!(found.status, Some(401));
        assert_eq!(found.location.as_deref(), Some(&b"/x"[..]));
        assert!(headers(b"no header").is_err());
    }
}

//! `<Files>` and `<FilesMatch>`: the last component of the file name, empty for a directory (ap_file_walk).

use crate::apache::fnmatch::fnmatch;
use crate::apache::model::Matcher;
use crate::apache::request::walk::{Kind, PATHNAME, Walk, regex_matches};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::trace::apache::Event;

/// ap_file_walk, over the lists of the server level and of every directory merged so far.
pub(crate) fn file_walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(filename) = r.filename.clone() else { return Handled::Ok };
    let Some(sections) = r.per_dir.core.files.clone() else { return Handled::Ok };
    let start = filename.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
    let name = filename[start..].to_vec();
    let mut walk = Walk::prepare(Kind::File, r);
    if walk.is_familiar(&sections, &name) {
        if walk.has_result(r) {
            walk.store(r);
            return Handled::Ok;
        }
        walk.take_over();
    } else {
        walk.again(cx.config.auth_per_conf);
        walk.cache.cached = Some(name.clone());
        for section in sections.iter() {
            let matched = match &section.matcher {
                Matcher::Literal(text) => *text == name,
                Matcher::Glob(pattern) => fnmatch(pattern, &name, PATHNAME),
                _ => match regex_matches(section, &name, r, cx) {
                    Some(matched) => matched,
                    None => return Handled::Unknown,
                },
            };
            if matched {
                cx.note("file_walk", Some(section.origin), || Event::SectionMatched { kind: "Files" });
                walk.matched(&section.conf, cx);
            }
        }
    }
    walk.finish(&sections, r, cx);
    Handled::Ok
}

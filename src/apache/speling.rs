//! mod_speling: a missing file whose name is nearly that of another is redirected there (301), or listed (300).

use crate::apache::escape::escape_uri;
use crate::apache::model::{Command, M_GET};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::{construct_url, to_path};
use crate::cause;
use crate::fact::Fact;
use crate::outcome::Decision;
use crate::source::{Origin, Setting};

/// What a place says. There is no merging: a place that says anything starts from the defaults.
#[derive(Clone, Debug)]
pub(crate) struct DirRecord {
    enabled: Option<Setting<bool>>,
    case_only: bool,
    basename: bool,
}

impl Default for DirRecord {
    fn default() -> Self {
        DirRecord { enabled: None, case_only: false, basename: true }
    }
}

/// How far a name is from the one asked for, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distance {
    Miscapitalized,
    Transposition,
    MissingCharacter,
    ExtraCharacter,
    SimpleTypo,
    /// Only what comes before the first dot is the same.
    SameBasename,
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, dir: &mut DirRecord) {
    match cmd.name {
        "CheckSpelling" => dir.enabled = Some(Setting::new(cmd.flag(), cmd.origin)),
        "CheckCaseOnly" => dir.case_only = cmd.flag(),
        "CheckBasenameMatch" => dir.basename = cmd.flag(),
        _ => {}
    }
}

/// `spdist`: one typing error at most, case not counted.
fn distance(asked: &[u8], name: &[u8]) -> Option<Distance> {
    let (asked, name) = (asked.to_ascii_lowercase(), name.to_ascii_lowercase());
    let same = asked.iter().zip(&name).take_while(|(left, right)| left == right).count();
    match (&asked[same..], &name[same..]) {
        ([], []) => Some(Distance::Miscapitalized),
        ([a, b, asked @ ..], [x, y, name @ ..]) if a == y && b == x && asked == name => Some(Distance::Transposition),
        ([_, asked @ ..], [_, name @ ..]) if asked == name => Some(Distance::SimpleTypo),
        ([_, asked @ ..], name) if asked == name => Some(Distance::ExtraCharacter),
        (asked, [_, name @ ..]) if asked == name => Some(Distance::MissingCharacter),
        _ => None,
    }
}

fn basename(name: &[u8]) -> &[u8] {
    &name[..memchr::memchr(b'.', name).unwrap_or(name.len())]
}

impl DirRecord {
    fn compare(&self, asked: &[u8], name: &[u8]) -> Option<Distance> {
        if asked.eq_ignore_ascii_case(name) {
            return Some(Distance::Miscapitalized);
        }
        let typo = if self.case_only { None } else { distance(asked, name) };
        let same_base = self.basename && basename(asked).eq_ignore_ascii_case(basename(name));
        typo.or_else(|| same_base.then_some(Distance::SameBasename))
    }
}

/// fixups, of the last rank.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.per_dir.speling.clone() else { return Handled::Declined };
    let Some(Setting { value: true, origin }) = record.enabled else { return Handled::Declined };
    if r.method_number != M_GET || r.finfo.is_some() || r.proxyreq || r.main.is_some() || r.uri == b"/" {
        return Handled::Declined;
    }
    let Some(filename) = r.filename.clone() else { return Handled::Declined };
    let Some(slash) = memchr::memrchr(b'/', &filename) else { return Handled::Declined };
    let asked = &filename[slash + 1..];
    // The path must end in the part that is missing, or it cannot be put right.
    let tail = [asked, &r.path_info].concat();
    let Some(url) = r.uri.strip_suffix(tail.as_slice()).map(<[u8]>::to_vec) else { return Handled::Declined };
    let names = match cx.disk.open_dir(&to_path(&filename[..slash])) {
        Ok(Fact::Known(names)) => names,
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(question);
            return Handled::Unknown;
        }
        Err(_) => return Handled::Declined,
    };
    // readdir(3) gives these two as well, and one letter is a simple typo of a dot.
    let names = names.into_iter().chain([b".".to_vec(), b"..".to_vec()]);
    let mut candidates = Vec::new();
    for name in names {
        if name == asked {
            return Handled::Ok;
        }
        candidates.extend(record.compare(asked, &name).map(|distance| (distance, name)));
    }
    candidates.sort();
    match candidates.as_slice() {
        [] => Handled::Ok,
        [(first, name), rest @ ..]
            if *first != Distance::SameBasename && rest.first().is_none_or(|(second, _)| second != first) =>
        {
            fixed(&url, name, origin, r)
        }
        _ => r.refuse(Decision::new(&cause::apache::SPELING_CHOICES).by(origin), 300),
    }
}

fn fixed(url: &[u8], name: &[u8], origin: Option<Origin>, r: &mut RequestRec) -> Handled {
    let mut path = escape_uri(&[url, name, &r.path_info].concat());
    if let Some(args) = &r.args {
        path.push(b'?');
        path.extend_from_slice(args);
    }
    r.location = Some(construct_url(&path, r));
    r.refuse(Decision::new(&cause::apache::SPELING_REDIRECT).by(origin), 301)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_typing_error_is_told_from_another() {
        for (asked, name, expected) in [
            ("Good.html", "good.html", Some(Distance::Miscapitalized)),
            ("godo.html", "good.html", Some(Distance::Transposition)),
            ("goood.html", "good.html", Some(Distance::ExtraCharacter)),
            ("god.html", "good.html", Some(Distance::MissingCharacter)),
            ("gxod.html", "good.html", Some(Distance::SimpleTypo)),
            ("gxxd.html", "good.html", None),
        ] {
            assert_eq!(distance(asked.as_bytes(), name.as_bytes()), expected, "{asked}");
        }
        let record = DirRecord::default();
        assert_eq!(record.compare(b"good.htm2x", b"good.txt"), Some(Distance::SameBasename));
        let case_only = DirRecord { case_only: true, basename: false, ..DirRecord::default() };
        assert_eq!(case_only.compare(b"godo.html", b"good.html"), None);
    }
}

//! mod_include: a page that is put together from parts has neither a date nor a tag of its own, so that conditions of the
//! request are not looked at (includes_setup). `XBitHack full` makes an exception for files that their group may run.

use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec, handler_is};
use crate::apache::variables::to_path;
use crate::fact::Subject;
use crate::source::Setting;

/// The name of the filter, in lower case.
const INCLUDES: &[u8] = b"includes";

/// What a place says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    bit: Option<XBitHack>,
    tag: Option<bool>,
}

/// `XBitHack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum XBitHack {
    Off,
    On,
    Full,
}

impl DirRecord {
    /// merge_includes_dir_config.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord { bit: new.bit.or(base.bit), tag: new.tag.or(base.tag) }
    }

    /// `XBitHack`, `SSIETag`.
    pub fn command(&mut self, cmd: &Command) {
        match cmd.name {
            "XBitHack" => {
                self.bit = cmd.arg(0).map(|word| match word.to_ascii_lowercase().as_slice() {
                    b"full" => XBitHack::Full,
                    b"on" => XBitHack::On,
                    _ => XBitHack::Off,
                });
            }
            "SSIETag" => self.tag = Some(cmd.flag()),
            _ => {}
        }
    }
}

/// mod_filter's record of a place: what `AddOutputFilterByType` adds, whatever the type (the filters are set up before a
/// type is looked at).
#[derive(Clone, Debug, Default)]
pub(crate) struct FilterRecord {
    by_type: Vec<Vec<u8>>,
}

impl FilterRecord {
    /// cfg_merge.
    pub fn merge(base: &Self, new: &Self) -> Self {
        FilterRecord { by_type: base.by_type.iter().chain(&new.by_type).cloned().collect() }
    }

    /// `AddOutputFilterByType`.
    pub fn command(&mut self, cmd: &Command) {
        if cmd.name == "AddOutputFilterByType" {
            self.by_type.extend(cmd.arg(0).into_iter().flat_map(filter_names));
        }
    }
}

/// The names in `SUBSTITUTE;INCLUDES`, in lower case.
pub(crate) fn filter_names(word: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    word.split(|&byte| byte == b';').map(<[u8]>::to_ascii_lowercase)
}

/// include_fixup: the handler that is a filter, and HTML files that may be run.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("include_module") {
        return Handled::Declined;
    }
    let record = r.per_dir.include.clone().unwrap_or_default();
    if handler_is(r, "server-parsed") {
        r.content_type.get_or_insert_with(|| b"text/html".to_vec());
        let origin = r.handler.as_ref().and_then(|handler| handler.origin);
        r.handler = Some(Setting { value: b"default-handler".to_vec(), origin });
    } else {
        let html = r.content_type.as_ref().is_some_and(|media| media.starts_with(b"text/html"));
        if matches!(record.bit, None | Some(XBitHack::Off)) || !html || !may_run(r, 0o100, cx) {
            return Handled::Declined;
        }
    }
    r.output_filters.push(INCLUDES.to_vec());
    Handled::Declined
}

/// How the filter, where it is in force, changes what conditions are compared with.
pub(crate) struct Validators {
    /// Whether conditions are looked at.
    pub compared: bool,
    /// Whether there is an entity tag.
    pub tagged: bool,
}

/// includes_setup.
pub(crate) fn validators(r: &RequestRec, cx: &Cx) -> Validators {
    let by_place = r.per_dir.core.output_filters.iter().flatten();
    let by_type = r.per_dir.filter.iter().flat_map(|filter| &filter.by_type);
    let mut filters = r.output_filters.iter().chain(by_place).chain(by_type);
    if !cx.has_module("include_module") || !filters.any(|name| name == INCLUDES) {
        return Validators { compared: true, tagged: true };
    }
    let record = r.per_dir.include.clone().unwrap_or_default();
    Validators {
        compared: record.bit == Some(XBitHack::Full) && may_run(r, 0o010, cx),
        tagged: record.tag == Some(true),
    }
}

/// Whether the mode of the file has one of these bits.
fn may_run(r: &RequestRec, bits: u32, cx: &Cx) -> bool {
    let Some(stat) = &r.finfo else { return false };
    match stat.mode {
        Some(mode) => mode & bits != 0,
        None => {
            let path = r.filename.as_deref().map(to_path).unwrap_or_default();
            let shown = path.display().to_string();
            let (no, yes) = (format!("`{shown}` may not be run"), format!("`{shown}` may be run"));
            !cx.assume(Subject::Permission(path), None, &no, &yes)
        }
    }
}

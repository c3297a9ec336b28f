//! Output filters, as far as they change a status: which of them stand between a file and the cutting of ranges.
//!
//! What a filter makes of a body is not simulated, so how long the filtered body is, and whether it comes in one piece,
//! is asked where a range is. Filters that pass this request through unchanged are known as such.

use crate::apache::content::include::filter_names;
use crate::apache::core::options;
use crate::apache::model::Command;
use crate::apache::request::{Cx, RequestRec};
use crate::fs::Stat;
use crate::source::{Origin, Setting};

/// The record of a place: mod_filter, mod_substitute and mod_charset_lite together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// `AddOutputFilterByType`: the filter, and the types it is for.
    by_type: Vec<(Vec<u8>, Vec<Vec<u8>>)>,
    /// `FilterChain` names a filter.
    chained: bool,
    /// `SubstituteMaxLineLength`, in bytes.
    longest_line: Option<Setting<u64>>,
    /// `CharsetSourceEnc` and `CharsetDefault`.
    charset_source: bool,
    charset_default: bool,
}

impl Record {
    /// Filters add up; a switch of the new place wins.
    pub fn merge(base: &Record, new: &Record) -> Record {
        Record {
            by_type: base.by_type.iter().chain(&new.by_type).cloned().collect(),
            chained: base.chained || new.chained,
            longest_line: new.longest_line.or(base.longest_line),
            charset_source: base.charset_source || new.charset_source,
            charset_default: base.charset_default || new.charset_default,
        }
    }
}

/// Adds a directive to the record of the place where it stands.
pub(crate) fn command(cmd: &Command, dir: &mut Record) {
    match cmd.name {
        "AddOutputFilterByType" => {
            let Some((names, types)) = cmd.args.split_first() else { return };
            let types: Vec<Vec<u8>> = types.iter().map(|word| word.to_vec()).collect();
            dir.by_type.extend(filter_names(names).map(|name| (name, types.clone())));
        }
        "FilterChain" => dir.chained |= cmd.args.iter().any(|word| *word != b"!"),
        "SubstituteMaxLineLength" => {
            let bytes = cmd.arg(0).and_then(size);
            dir.longest_line = bytes.map(|bytes| Setting::new(bytes, cmd.origin));
        }
        "CharsetSourceEnc" => dir.charset_source = true,
        "CharsetDefault" => dir.charset_default = true,
        _ => {}
    }
}

/// A number of bytes, or of kilobytes and so on.
fn size(word: &[u8]) -> Option<u64> {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u64 = std::str::from_utf8(&word[..digits]).ok()?.parse().ok()?;
    let shift = match word[digits..].first().map(u8::to_ascii_lowercase) {
        Some(b'k') => 10,
        Some(b'm') => 20,
        Some(b'g') => 30,
        _ => 0,
    };
    number.checked_mul(1 << shift)
}

/// Whether mod_substitute may meet a line that is too long for it, which is a 500: the line that limits them, if one does.
pub(crate) fn too_long(r: &RequestRec, stat: &Stat, cx: &Cx) -> Option<Option<Origin>> {
    const DEFAULT: u64 = 1 << 20;
    let limit = r.per_dir.filters.as_ref().and_then(|record| record.longest_line);
    let bytes = limit.map_or(DEFAULT, |limit| limit.value);
    (cx.has_module("substitute_module")
        && in_force(r).any(|name| name == b"substitute")
        && stat.size.is_none_or(|size| size > bytes))
    .then(|| limit.and_then(|limit| limit.origin))
}

/// Whether what ranges are cut from may be something else than the file.
pub(crate) fn transform(r: &RequestRec, cx: &Cx) -> bool {
    let record = r.per_dir.filters.as_ref();
    let charset = record.is_some_and(|record| record.charset_source && record.charset_default);
    let chained = record.is_some_and(|record| record.chained);
    charset && cx.has_module("charset_lite_module") || chained || in_force(r).any(|name| may_change(name, r, cx))
}

/// The filters by name: of the section, of the file's extensions, and of its media type.
fn in_force<'r>(r: &'r RequestRec) -> impl Iterator<Item = &'r [u8]> {
    let media = r.content_type.as_deref().unwrap_or_default();
    let media = media.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let record = r.per_dir.filters.as_ref();
    let by_type = record.into_iter().flat_map(|record| &record.by_type);
    let by_type = by_type.filter(move |(_, types)| types.iter().any(|known| known.eq_ignore_ascii_case(media)));
    let section = r.per_dir.core.output_filters.iter().flatten().map(Vec::as_slice);
    let extensions = r.output_filters.iter().map(Vec::as_slice);
    section.chain(extensions).chain(by_type.map(|(name, _)| name.as_slice()))
}

/// Whether a filter may change the body of this answer; one that has nothing to do passes it on in one piece.
fn may_change(name: &[u8], r: &RequestRec, cx: &Cx) -> bool {
    let accepts = |coding: &[u8]| {
        let list = r.headers_in.get(b"Accept-Encoding").unwrap_or_default().to_ascii_lowercase();
        memchr::memmem::find(&list, coding).is_some()
    };
    match name {
        b"none" => false,
        b"deflate" => cx.has_module("deflate_module") && (accepts(b"gzip") || r.subprocess_env.contains(b"force-gzip")),
        b"brotli_compress" => cx.has_module("brotli_module") && accepts(b"br"),
        b"includes" => cx.has_module("include_module") && r.per_dir.core.options.has(options::INCLUDES),
        _ => true,
    }
}

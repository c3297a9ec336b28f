//! The bytes of every file that was read, and places in them.
//!
//! A [`Span`] is twelve bytes and `Copy`; line and column are computed only when somebody shows one. An [`Origin`] adds
//! who included the file, so that the same text included twice is one tree and two inclusions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Index of a file in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A half-open range of bytes in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// The file the bytes belong to.
    pub file: FileId,
    /// First byte, counted from 0.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end` of `file`; offsets past 4 GiB saturate (no file that long is read, see [`MAX_FILE`]).
    pub fn new(file: FileId, start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file, start: clamp(start), end: clamp(end) }
    }

    /// The smallest span that holds both; they must lie in the same file.
    pub fn to(self, end: Span) -> Span {
        Span { file: self.file, start: self.start, end: end.end }
    }
}

/// Largest configuration file that is read, in bytes (256 MiB). A larger one is a problem, not an attempt.
pub const MAX_FILE: u64 = 256 << 20;

/// Index of an [`Inclusion`] in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InclusionId(pub u32);

/// How a text came to be read where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InclusionKind {
    /// `include`, `Include`, `IncludeOptional`.
    Include,
    /// Apache's `Use` of a macro: the text stands in the macro's definition.
    Macro,
    /// An `.htaccess` that the directory walk read; `at` is the `AllowOverride` in force.
    Htaccess,
}

/// One reading of a file (or of a macro's body) on behalf of a directive.
#[derive(Clone, Copy, Debug)]
pub struct Inclusion {
    /// What was read.
    pub file: FileId,
    /// The directive that asked for it, with its own chain.
    pub at: Origin,
    /// Which construct asked.
    pub kind: InclusionKind,
}

/// A place in the text, and who included it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// The text itself.
    pub span: Span,
    /// The inclusion through which it was read; `None` in the main file.
    pub via: Option<InclusionId>,
}

/// A value with the directive that set it, kept through every merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Setting<T> {
    /// The value.
    pub value: T,
    /// The directive that set it; `None`: the built-in default.
    pub origin: Option<Origin>,
}

impl<T> Setting<T> {
    /// A value that a directive set.
    pub fn new(value: T, origin: Origin) -> Self {
        Setting { value, origin: Some(origin) }
    }

    /// A built-in default.
    pub fn default_value(value: T) -> Self {
        Setting { value, origin: None }
    }
}

/// One file as it was read.
#[derive(Debug)]
pub struct SourceFile {
    /// Absolute path, as opened (links not resolved, `--root` not shown).
    pub path: PathBuf,
    /// The bytes, whatever they are.
    pub bytes: Arc<[u8]>,
    line_starts: OnceLock<Vec<u32>>,
}

/// A place as people count: 1-based line, 1-based column in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: u32,
    /// Column in bytes, from 1.
    pub column: u32,
}

impl SourceFile {
    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let mut starts = vec![0];
            starts.extend(memchr::memchr_iter(b'\n', &self.bytes).map(|at| at as u32 + 1));
            starts
        })
    }

    /// Line and column of a byte offset; an offset past the end is the end.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let starts = self.line_starts();
        let line = starts.partition_point(|&start| start <= offset).max(1);
        LineColumn { line: line as u32, column: offset - starts[line - 1] + 1 }
    }

    /// The bytes of a line (from 1), without its line end; `None` past the last line.
    pub fn line(&self, line: u32) -> Option<&[u8]> {
        let starts = self.line_starts();
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let start = *starts.get(index)? as usize;
        let end = starts.get(index + 1).map_or(self.bytes.len(), |&next| next as usize - 1);
        let text = self.bytes.get(start..end)?;
        Some(text.strip_suffix(b"\r").unwrap_or(text))
    }

    /// Where a line (from 1) starts; past the last line, the end of the file.
    pub fn line_start(&self, line: u32) -> usize {
        let index = line.saturating_sub(1) as usize;
        self.line_starts().get(index).map_or(self.bytes.len(), |&start| start as usize)
    }

    /// How many lines the file has: line feeds plus one.
    pub fn line_count(&self) -> u32 {
        self.line_starts().len() as u32
    }
}

/// Every file read for one configuration, and every inclusion.
///
/// It only grows, and it grows through a shared reference: an evaluator that meets an `.htaccess` adds it while others
/// read. A file once added stays where it is.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: AppendOnly<Arc<SourceFile>>,
    inclusions: AppendOnly<Inclusion>,
}

impl SourceMap {
    /// Adds a file and returns its id. The same path may be added again when its content was read again.
    pub fn add(&self, path: &Path, bytes: impl Into<Arc<[u8]>>) -> FileId {
        FileId(self.files.push(Arc::new(SourceFile {
            path: path.to_path_buf(),
            bytes: bytes.into(),
            line_starts: OnceLock::new(),
        })))
    }

    /// Adds an inclusion and returns its id.
    pub fn include(&self, file: FileId, at: Origin, kind: InclusionKind) -> InclusionId {
        InclusionId(self.inclusions.push(Inclusion { file, at, kind }))
    }

    /// The file with this id, which must be one that [`SourceMap::add`] gave.
    #[inline]
    pub fn file(&self, id: FileId) -> &SourceFile {
        self.files.get(id.0)
    }

    /// The inclusion with this id, which must be one that [`SourceMap::include`] gave.
    pub fn inclusion(&self, id: InclusionId) -> Inclusion {
        *self.inclusions.get(id.0)
    }

    /// A file for whoever outlives the map.
    pub fn shared(&self, id: FileId) -> Arc<SourceFile> {
        self.files.get(id.0).clone()
    }

    /// Every file, in the order they were read.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        (0..self.files.len()).map(|index| (FileId(index), &**self.files.get(index)))
    }

    /// Every inclusion, in the order they were made.
    pub fn inclusions(&self) -> impl Iterator<Item = Inclusion> {
        (0..self.inclusions.len()).map(|index| *self.inclusions.get(index))
    }

    /// The bytes of a span.
    #[inline]
    pub fn text(&self, span: Span) -> &[u8] {
        let bytes = &self.file(span.file).bytes;
        bytes.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Where a span starts.
    pub fn start(&self, span: Span) -> LineColumn {
        self.file(span.file).line_column(span.start)
    }

    /// Who included this place, innermost first.
    pub fn chain(&self, origin: Origin) -> Vec<Inclusion> {
        let mut chain = Vec::new();
        let mut via = origin.via;
        while let Some(id) = via {
            let inclusion = self.inclusion(id);
            chain.push(inclusion);
            via = inclusion.at.via;
        }
        chain
    }
}

/// A list that grows behind a shared reference. Elements sit in buckets of 1, 2, 4, … and never move.
pub(crate) struct AppendOnly<T> {
    buckets: [OnceLock<Box<[OnceLock<T>]>>; u32::BITS as usize],
    length: Mutex<u32>,
}

impl<T> AppendOnly<T> {
    /// Bucket and place of an index: bucket `b` holds the `2^b` indices from `2^b - 1` on.
    #[inline]
    fn place(index: u32) -> (usize, usize) {
        let from_one = index + 1;
        let bucket = from_one.ilog2();
        (bucket as usize, (from_one - (1 << bucket)) as usize)
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> u32 {
        *self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an element and gives its index.
    pub(crate) fn push(&self, value: T) -> u32 {
        let mut length = self.length.lock().unwrap_or_else(PoisonError::into_inner);
        let index = *length;
        let (bucket, place) = Self::place(index);
        let slots = self.buckets[bucket].get_or_init(|| (0..1usize << bucket).map(|_| OnceLock::new()).collect());
        // INVARIANT: the length is raised under the lock, so this slot is free.
        let _ = slots[place].set(value);
        *length = index + 1;
        index
    }

    /// An element of whoever alone knows the list.
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (bucket, place) = Self::place(index);
        self.buckets[bucket].get_mut()?.get_mut(place)?.get_mut()
    }

    /// The element with this index, which must be one that [`AppendOnly::push`] gave.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> &T {
        let (bucket, place) = Self::place(index);
        let slot = self.buckets[bucket].get().and_then(|slots| slots[place].get());
        slot.expect("an index is handed out only after its slot was filled")
    }
}

impl<T> Default for AppendOnly<T> {
    fn default() -> Self {
        AppendOnly { buckets: [const { OnceLock::new() }; u32::BITS as usize], length: Mutex::new(0) }
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for AppendOnly<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((0..self.len()).map(|index| self.get(index))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_stays_where_it_is_while_others_are_added() {
        let sources = SourceMap::default();
        let first = sources.add(Path::new("/a"), *b"one\ntwo");
        let text = sources.file(first);
        for _ in 0..100 {
            sources.add(Path::new("/b"), *b"");
        }
        assert_eq!(text.line(2), Some(&b"two"[..]));
        assert_eq!(sources.files().count(), 101);
    }
}

//! The bytes of every file that was read, and places in them.
//!
//! A [`Span`] is twelve bytes and `Copy`; line and column are computed only when somebody shows one. An [`Origin`] adds
//! who included the file, so that the same text included twice is one tree and two inclusions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

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

    /// How many lines the file has: line feeds plus one.
    pub fn line_count(&self) -> u32 {
        self.line_starts().len() as u32
    }
}

/// Every file read for one configuration, and every inclusion.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
    inclusions: Vec<Inclusion>,
}

impl SourceMap {
    /// Adds a file and returns its id. The same path may be added again when its content was read again.
    pub fn add(&mut self, path: &Path, bytes: impl Into<Arc<[u8]>>) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.files.push(Arc::new(SourceFile {
            path: path.to_path_buf(),
            bytes: bytes.into(),
            line_starts: OnceLock::new(),
        }));
        id
    }

    /// Adds an inclusion and returns its id.
    pub fn include(&mut self, file: FileId, at: Origin, kind: InclusionKind) -> InclusionId {
        let id = InclusionId(self.inclusions.len() as u32);
        self.inclusions.push(Inclusion { file, at, kind });
        id
    }

    /// The file with this id.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// The inclusion with this id.
    pub fn inclusion(&self, id: InclusionId) -> Inclusion {
        self.inclusions[id.0 as usize]
    }

    /// Every file, in the order they were read.
    pub fn files(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(index, file)| (FileId(index as u32), &**file))
    }

    /// The bytes of a span.
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

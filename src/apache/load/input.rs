//! Where lines come from: a file, and the macros that are being used in it.

use std::borrow::Cow;
use std::sync::Arc;

use super::macros::MacroLine;
use super::piece::Piece;
use crate::apache::lex;
use crate::source::{FileId, InclusionId, Origin, Span};

/// A logical line as the server gets it.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Trimmed, continuations joined, macro parameters replaced.
    pub bytes: Piece,
    /// Where it stands.
    pub origin: Origin,
    /// The line number that the server gives it.
    pub line: u32,
}

/// A file, and on top of it the macros in use (`cmd_parms.config_file` and its chain).
#[derive(Debug)]
pub(super) struct Input {
    file: FileId,
    via: Option<InclusionId>,
    bytes: Arc<[u8]>,
    at: usize,
    line: u32,
    limit: usize,
    macros: Vec<Playing>,
    /// The directive that a message of this file is about (`cmd_parms.err_directive`).
    pub blamed: Option<(Origin, u32)>,
}

/// A macro that is being read out.
#[derive(Debug)]
struct Playing {
    name: Vec<u8>,
    lines: std::vec::IntoIter<MacroLine>,
    via: InclusionId,
}

/// What ended the reading of a line.
#[derive(Debug)]
pub(super) struct TooLong {
    /// The place of the line.
    pub origin: Origin,
    /// The number of its last line read.
    pub line: u32,
}

impl Input {
    /// The lines of a file.
    pub fn new(file: FileId, via: Option<InclusionId>, bytes: Arc<[u8]>, limit: usize) -> Self {
        Input { file, via, bytes, at: 0, line: 0, limit, macros: Vec::new(), blamed: None }
    }

    /// The next line, of the innermost macro first; `None` at the end of the file.
    pub fn next(&mut self) -> Result<Option<Text>, TooLong> {
        let after_macro = !self.macros.is_empty();
        while let Some(playing) = self.macros.last_mut() {
            if let Some(line) = playing.lines.next() {
                let origin = Origin { span: line.span, via: Some(playing.via) };
                return Ok(Some(Text { bytes: line.text, origin, line: line.line }));
            }
            self.macros.pop();
        }
        let Some(line) = lex::logical_line(&self.bytes, self.at, self.limit) else { return Ok(None) };
        self.at = line.whole.end;
        self.line += line.height + line.overcount;
        let origin = Origin { span: Span::new(self.file, line.span.start, line.span.end), via: self.via };
        // The first line after a macro is read byte by byte (`array_getch`), and lost where the file ends without an LF.
        if after_macro && !self.bytes[line.whole.clone()].ends_with(b"\n") {
            return Ok(None);
        }
        if line.too_long {
            return Err(TooLong { origin, line: self.line });
        }
        let bytes = match line.text {
            // A line that nothing was taken out of begins where its first word does.
            Cow::Borrowed(text) if line.height == 1 => {
                Piece::of(&self.bytes, line.span.start..line.span.start + text.len())
            }
            text => Piece::made(&*text),
        };
        Ok(Some(Text { bytes, origin, line: self.line }))
    }

    /// Whether a macro of this name is being read out.
    pub fn plays(&self, name: &[u8]) -> bool {
        self.macros.iter().any(|playing| playing.name == name)
    }

    /// Puts the lines of a macro before the rest of the file.
    pub fn play(&mut self, name: Vec<u8>, lines: Vec<MacroLine>, via: InclusionId) {
        self.macros.push(Playing { name, lines: lines.into_iter(), via });
    }
}

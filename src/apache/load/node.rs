//! The nodes of the expanded tree.

use super::piece::Piece;
use crate::apache::directives::{self, Effect, Row};
use crate::apache::lex;
use crate::source::{FileId, Origin};

/// One directive of the expanded tree. A large configuration has hundreds of thousands: what the table of directives or the
/// text of the file says already is not said again.
#[derive(Clone, Debug)]
pub struct Node {
    known: Option<&'static directives::Known>,
    args: Piece,
    own: Option<Box<Own>>,
    /// The directives of a section, in order.
    pub children: Vec<Node>,
    /// The logical line, of a section its start line.
    pub origin: Origin,
    /// The line that the server names: the last physical line of the logical one.
    pub line: u32,
    /// Whether a `Nonfatal` override skips it.
    pub skipped: bool,
    /// Whether it is a section.
    pub section: bool,
    /// A section whose start line has its `>`.
    pub closed: bool,
}

/// What a node has that neither the table nor the text has.
#[derive(Clone, Debug)]
struct Own {
    /// The name as written, where the table does not spell it so.
    written: Option<Box<str>>,
    /// The name in lower case, where no table has it.
    lower: Option<Box<str>>,
    /// The words, where the value of one is not a part of its text.
    words: Option<Box<[Box<[u8]>]>>,
}

impl Node {
    /// A node from a name, what the table says about it, and the rest of its line.
    pub(super) fn new(
        written: &[u8],
        known: Option<&'static directives::Known>,
        rest: &Piece,
        origin: Origin,
        line: u32,
    ) -> Node {
        let section = written.starts_with(b"<");
        let (end, closed) = match memchr::memrchr(b'>', rest) {
            Some(end) if section => (end, true),
            _ => (rest.len(), !section),
        };
        let args = rest.trimmed(0..end);
        // Nearly every name is spelled as in the table, and nearly no word has an escape.
        let spelled = known.and_then(|known| known.rows.first()).is_some_and(|row| row.name.as_bytes() == written);
        let words = memchr::memchr(b'\\', &args).and_then(|_| lex::unescaped_words(&args));
        let own = (!spelled || words.is_some()).then(|| {
            let text = String::from_utf8_lossy(written);
            Box::new(Own {
                lower: known.is_none().then(|| text[usize::from(section)..].to_ascii_lowercase().into()),
                written: (!spelled).then(|| text.into()),
                words,
            })
        });
        Node { known, args, own, children: Vec::new(), origin, line, skipped: false, section, closed }
    }

    /// The name in lower case, of a section without its `<`: `require`, `directory`.
    pub fn name(&self) -> &str {
        match (self.known, &self.own) {
            (Some(known), _) => &known.lower[usize::from(self.section)..],
            (None, own) => own.as_ref().and_then(|own| own.lower.as_deref()).unwrap_or_default(),
        }
    }

    /// The name as written, after `${VAR}` replacement, with the `<` of a section.
    pub fn written(&self) -> &str {
        let own = self.own.as_ref().and_then(|own| own.written.as_deref());
        own.or_else(|| self.rows().first().map(|row| row.name)).unwrap_or_default()
    }

    /// What the table says about the name; `None`: no table has it.
    pub fn known(&self) -> Option<&'static directives::Known> {
        self.known
    }

    /// Every row of that name, of loaded modules and others; empty: no table has it.
    pub fn rows(&self) -> &'static [Row] {
        self.known.map_or(&[], |known| known.rows)
    }

    /// The rest of the line after replacement, without blanks around it; of a section the text before its last `>`.
    pub fn args(&self) -> &[u8] {
        &self.args
    }

    /// The arguments split by `ap_getword_conf`.
    pub fn words(&self) -> Words<'_> {
        match self.own.as_ref().and_then(|own| own.words.as_ref()) {
            Some(words) => Words::Unescaped(words.iter()),
            None => Words::Text(&self.args),
        }
    }

    /// Argument `index`, from 0.
    pub fn word(&self, index: usize) -> Option<&[u8]> {
        self.words().nth(index)
    }

    /// Whether it is a plain directive of this lower-case name.
    pub fn is(&self, name: &str) -> bool {
        !self.section && self.name() == name
    }

    /// Whether it is a section of this lower-case name.
    pub fn is_section(&self, name: &str) -> bool {
        self.section && self.name() == name
    }

    /// Whether it may change the status of an answer without being simulated.
    pub fn opaque(&self) -> bool {
        self.rows().first().is_none_or(|row| row.effect == Effect::Opaque)
    }

    /// The file and line that the server names.
    pub fn reported(&self) -> (FileId, u32) {
        (self.origin.span.file, self.line)
    }
}

/// The words of a node, in order.
#[derive(Clone, Debug)]
pub enum Words<'n> {
    /// Still to be found in the text; none of them has an escape.
    Text(&'n [u8]),
    /// Found, since one has.
    Unescaped(std::slice::Iter<'n, Box<[u8]>>),
}

impl<'n> Iterator for Words<'n> {
    type Item = &'n [u8];

    fn next(&mut self) -> Option<&'n [u8]> {
        match self {
            Words::Text(rest) => lex::next_word(rest).map(lex::without_quotes),
            Words::Unescaped(words) => words.next().map(|word| &**word),
        }
    }
}

//! The tree that both grammars build: text → tree → the same text.
//!
//! Lossless without a second tree: words and comments keep their spans, what is between items is white space, so
//! [`to_source`] gives the file back byte for byte, and a fix is an edit of bytes. What a word *means* to the server
//! (escapes and quotes undone) is owned only where it is no part of its bytes. A large configuration has a million words:
//! the types are as small as they can be.

use crate::source::{FileId, SourceMap, Span};

/// One word of a directive: its place, and its value as the server sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The raw text, quotes included.
    pub span: Span,
    /// Whether the word was written in quotes.
    pub quoted: bool,
    /// The value where it is neither the raw text nor what stands between its quotes.
    pub unescaped: Option<Box<Unescaped>>,
}

/// A value with escapes undone; boxed, since few words have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unescaped(pub Box<[u8]>);

impl Word {
    /// A word whose value is its raw text.
    pub fn plain(span: Span) -> Self {
        Word { span, quoted: false, unescaped: None }
    }

    /// The value as the server sees it.
    pub fn value<'a>(&'a self, sources: &'a SourceMap) -> &'a [u8] {
        match &self.unescaped {
            Some(value) => &value.0,
            None if self.quoted => between_quotes(sources.text(self.span)),
            None => sources.text(self.span),
        }
    }
}

/// What stands between the quotes of a word; the second one may be missing at the end of a file.
fn between_quotes(raw: &[u8]) -> &[u8] {
    match raw {
        [first, inner @ .., last] if first == last => inner,
        [_, inner @ ..] => inner,
        [] => raw,
    }
}

/// A directive with its arguments and, for a block or section, what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// The name; for an Apache section without its `<` (`Directory`).
    pub name: Word,
    /// The arguments in order.
    pub args: Box<[Word]>,
    /// The items of a block; `None` for a simple directive.
    pub block: Option<Box<[Item]>>,
    /// Everything from the name to the `;`, the `}` or the end of the section.
    pub span: Span,
    /// The last byte that the server had read when it ran this directive: nginx's `;` or `{`, Apache's last physical line.
    /// The line of this byte is the line that the server itself names in a message.
    pub reported_at: u32,
    /// Set where the text inside a block is another language (`content_by_lua_block`): its raw bytes, never parsed.
    pub raw_block: Option<Box<Span>>,
}

/// What may stand in a file or in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A directive.
    Directive(Directive),
    /// A comment with its `#`, without the line end.
    Comment(Span),
    /// Bytes that the parser had to skip, or white space where it chose to keep that.
    Blank(Span),
}

/// A parsed file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// The items at file level, in order.
    pub items: Vec<Item>,
}

impl Item {
    /// The item's place.
    pub fn span(&self) -> Span {
        match self {
            Item::Directive(directive) => directive.span,
            Item::Comment(span) | Item::Blank(span) => *span,
        }
    }

    /// The directive, if it is one.
    pub fn directive(&self) -> Option<&Directive> {
        match self {
            Item::Directive(directive) => Some(directive),
            _ => None,
        }
    }
}

impl Directive {
    /// The value of argument `index` (from 0), as the server sees it.
    pub fn arg<'a>(&'a self, index: usize, sources: &'a SourceMap) -> Option<&'a [u8]> {
        self.args.get(index).map(|word| word.value(sources))
    }

    /// The directives of the block, in order; none for a simple directive.
    pub fn children(&self) -> impl Iterator<Item = &Directive> {
        self.block.iter().flat_map(|items| items.iter()).filter_map(Item::directive)
    }
}

impl Tree {
    /// The directives at file level, in order.
    pub fn directives(&self) -> impl Iterator<Item = &Directive> {
        self.items.iter().filter_map(Item::directive)
    }
}

/// The text of a tree: every top-level item's bytes, in order, and the white space between them.
/// `to_source(parse(text)) == text` for any text, which the property tests and the fuzz targets check.
pub fn to_source(tree: &Tree, file: FileId, sources: &SourceMap) -> Vec<u8> {
    let whole = &sources.file(file).bytes;
    let mut text = Vec::with_capacity(whole.len());
    // Other bytes than white space between items were forgotten: they stay away here, too.
    let gap = |from: usize, to: usize, text: &mut Vec<u8>| {
        let between = whole.get(from..to).unwrap_or_default();
        text.extend_from_slice(if between.iter().all(u8::is_ascii_whitespace) { between } else { b"" });
    };
    let mut at = 0;
    for Span { start, end, .. } in tree.items.iter().map(Item::span) {
        gap(at, start as usize, &mut text);
        text.extend_from_slice(sources.text(Span { file, start, end }));
        at = end as usize;
    }
    gap(at, whole.len(), &mut text);
    text
}

//! The tree that both grammars build: text → tree → the same text.
//!
//! Lossless without a second tree: words and comments keep their places, what is between items is white space, so
//! [`to_source`] gives the file back byte for byte, and a fix is an edit of bytes. What a word *means* to the server
//! (escapes and quotes undone) is owned only where it is no part of its bytes.
//!
//! A large configuration has a million words, so a file is two lists: its items in the order of the text, each block
//! before what it holds and with the number of the first item past it, and the words of all of them. A [`Directive`], a
//! [`Word`] and the like are views into these lists, made when somebody looks.

use crate::source::{FileId, SourceMap, Span};

/// A parsed file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    file: FileId,
    nodes: Box<[Node]>,
    words: Box<[Place]>,
    /// Values that are neither the raw text nor what stands between its quotes, by the number of the word.
    unescaped: Box<[(u32, Box<[u8]>)]>,
}

/// An item: a directive, a comment, or blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Node {
    kind: Kind,
    start: u32,
    end: u32,
    /// The first word of a directive; its words end where those of the next item begin.
    words: u32,
    /// See [`Directive::reported_at`].
    reported_at: u32,
    /// The first item that is neither this one nor inside its block.
    past: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Simple,
    Block,
    /// A block whose text is another language, with or without its `}`.
    Raw {
        closed: bool,
    },
    Comment,
    Blank,
}

/// The bytes of a word, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// No file is so long that the highest bits of a place are needed ([`crate::source::MAX_FILE`]).
    const QUOTED: u32 = 1 << 31;
    const UNESCAPED: u32 = 1 << 31;
}

/// One word of a directive: its place, and its value as the server sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<'t> {
    /// The raw text, quotes included.
    pub span: Span,
    /// Whether the word was written in quotes.
    pub quoted: bool,
    /// The value where it is neither the raw text nor what stands between its quotes.
    pub unescaped: Option<&'t [u8]>,
}

impl<'t> Word<'t> {
    /// The value as the server sees it.
    #[inline]
    pub fn value(self, sources: &'t SourceMap) -> &'t [u8] {
        match self.unescaped {
            Some(value) => value,
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
#[derive(Clone, Copy)]
pub struct Directive<'t> {
    tree: &'t Tree,
    at: u32,
}

/// What may stand in a file or in a block.
#[derive(Clone, Copy, Debug)]
pub enum Item<'t> {
    /// A directive.
    Directive(Directive<'t>),
    /// A comment with its `#`, without the line end.
    Comment(Span),
    /// Bytes that the parser had to skip, or white space where it chose to keep that.
    Blank(Span),
}

impl<'t> Item<'t> {
    /// The item's place.
    pub fn span(&self) -> Span {
        match self {
            Item::Directive(directive) => directive.span(),
            Item::Comment(span) | Item::Blank(span) => *span,
        }
    }

    /// The directive, if it is one.
    pub fn directive(self) -> Option<Directive<'t>> {
        match self {
            Item::Directive(directive) => Some(directive),
            _ => None,
        }
    }
}

impl<'t> Directive<'t> {
    #[inline]
    fn node(&self) -> &'t Node {
        &self.tree.nodes[self.at as usize]
    }

    /// Its number in the tree, for [`Tree::directive`].
    pub fn number(&self) -> u32 {
        self.at
    }

    /// The name; for an Apache section without its `<` (`Directory`).
    #[inline]
    pub fn name(&self) -> Word<'t> {
        self.tree.word(self.node().words)
    }

    /// The arguments in order.
    #[inline]
    pub fn args(&self) -> Words<'t> {
        let end = self.tree.nodes.get(self.at as usize + 1).map_or(self.tree.words.len() as u32, |next| next.words);
        Words { tree: self.tree, at: self.node().words + 1, end }
    }

    /// The value of argument `index` (from 0), as the server sees it.
    pub fn arg(&self, index: usize, sources: &'t SourceMap) -> Option<&'t [u8]> {
        self.args().get(index).map(|word| word.value(sources))
    }

    /// Everything from the name to the `;`, the `}` or the end of the section.
    #[inline]
    pub fn span(&self) -> Span {
        self.tree.span(self.node())
    }

    /// The last byte that the server had read when it ran this directive: nginx's `;` or `{`, Apache's last physical line.
    /// The line of this byte is the line that the server itself names in a message.
    #[inline]
    pub fn reported_at(&self) -> u32 {
        self.node().reported_at
    }

    /// Whether it has a block, be it empty.
    #[inline]
    pub fn is_block(&self) -> bool {
        matches!(self.node().kind, Kind::Block | Kind::Raw { .. })
    }

    /// What its block holds; nothing for a simple directive.
    #[inline]
    pub fn items(&self) -> Items<'t> {
        Items { tree: self.tree, at: self.at + 1, end: self.node().past }
    }

    /// The directives of the block, in order; none for a simple directive.
    pub fn children(&self) -> impl Iterator<Item = Directive<'t>> + use<'t> {
        self.items().filter_map(Item::directive)
    }

    /// The text of a block that is another language (`content_by_lua_block`): its raw bytes, never parsed.
    pub fn raw_block(&self) -> Option<Span> {
        let Node { kind: Kind::Raw { closed }, reported_at, end, .. } = *self.node() else { return None };
        Some(Span { file: self.tree.file, start: reported_at + 1, end: end - u32::from(closed) })
    }
}

impl std::fmt::Debug for Directive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directive").field("at", &self.at).field("span", &self.span()).finish()
    }
}

/// Words one after the other.
#[derive(Clone, Debug)]
pub struct Words<'t> {
    tree: &'t Tree,
    at: u32,
    end: u32,
}

impl<'t> Words<'t> {
    /// The word at this place, from 0.
    pub fn get(&self, index: usize) -> Option<Word<'t>> {
        self.clone().nth(index)
    }

    /// The first one.
    pub fn first(&self) -> Option<Word<'t>> {
        self.get(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.at == self.end
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    #[inline]
    fn next(&mut self) -> Option<Word<'t>> {
        (self.at < self.end).then(|| {
            self.at += 1;
            self.tree.word(self.at - 1)
        })
    }

    fn nth(&mut self, index: usize) -> Option<Word<'t>> {
        self.at = u32::try_from(index).map_or(self.end, |index| self.at.saturating_add(index).min(self.end));
        self.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let length = (self.end - self.at) as usize;
        (length, Some(length))
    }
}

impl DoubleEndedIterator for Words<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        (self.at < self.end).then(|| {
            self.end -= 1;
            self.tree.word(self.end)
        })
    }
}

impl ExactSizeIterator for Words<'_> {}

/// The items of a file or block, in order.
#[derive(Clone, Debug)]
pub struct Items<'t> {
    tree: &'t Tree,
    at: u32,
    end: u32,
}

impl<'t> Iterator for Items<'t> {
    type Item = Item<'t>;

    #[inline]
    fn next(&mut self) -> Option<Item<'t>> {
        if self.at >= self.end {
            return None;
        }
        let (tree, at) = (self.tree, self.at);
        let node = &tree.nodes[at as usize];
        self.at = node.past;
        Some(match node.kind {
            Kind::Comment => Item::Comment(tree.span(node)),
            Kind::Blank => Item::Blank(tree.span(node)),
            Kind::Simple | Kind::Block | Kind::Raw { .. } => Item::Directive(Directive { tree, at }),
        })
    }
}

impl Tree {
    /// The items at file level, in order.
    pub fn items(&self) -> Items<'_> {
        Items { tree: self, at: 0, end: self.nodes.len() as u32 }
    }

    /// The directives at file level, in order.
    pub fn directives(&self) -> impl Iterator<Item = Directive<'_>> {
        self.items().filter_map(Item::directive)
    }

    /// The directive with this number, which must be one that [`Directive::number`] gave.
    pub fn directive(&self, number: u32) -> Directive<'_> {
        Directive { tree: self, at: number }
    }

    #[inline]
    fn span(&self, node: &Node) -> Span {
        Span { file: self.file, start: node.start, end: node.end }
    }

    #[inline]
    fn word(&self, number: u32) -> Word<'_> {
        let Place { start, end } = self.words[number as usize];
        let unescaped = || {
            let at = self.unescaped.binary_search_by_key(&number, |(word, _)| *word).ok()?;
            Some(&*self.unescaped[at].1)
        };
        Word {
            span: Span { file: self.file, start: start & !Place::QUOTED, end: end & !Place::UNESCAPED },
            quoted: start & Place::QUOTED != 0,
            unescaped: if end & Place::UNESCAPED != 0 { unescaped() } else { None },
        }
    }
}

/// Puts a tree together, item by item as the text goes.
#[derive(Debug)]
pub struct Builder {
    file: FileId,
    nodes: Vec<Node>,
    words: Vec<Place>,
    unescaped: Vec<(u32, Box<[u8]>)>,
    /// The first word that belongs to no item yet.
    pending: usize,
    open: Vec<u32>,
    /// Items before this one lie in blocks that are closed.
    sealed: u32,
}

impl Builder {
    /// For a file of this many bytes.
    pub fn new(file: FileId, length: usize) -> Self {
        // About what an ordinary configuration has; both lists are cut to size in the end.
        let (nodes, words) = (Vec::with_capacity(length / 24), Vec::with_capacity(length / 12));
        Builder { file, nodes, words, unescaped: Vec::new(), pending: 0, open: Vec::new(), sealed: 0 }
    }

    /// Adds a word to the directive that is being read: its bytes, whether they are quoted, and its value where that is
    /// something else.
    pub fn word(&mut self, start: usize, end: usize, quoted: bool, unescaped: Option<Box<[u8]>>) {
        let Span { start, end, .. } = Span::new(self.file, start, end);
        let mut place = Place { start, end };
        if quoted {
            place.start |= Place::QUOTED;
        }
        if let Some(value) = unescaped {
            place.end |= Place::UNESCAPED;
            self.unescaped.push((self.words.len() as u32, value));
        }
        self.words.push(place);
    }

    /// How many words the directive that is being read has so far.
    pub fn pending(&self) -> usize {
        self.words.len() - self.pending
    }

    /// The place of the first of them.
    pub fn first_pending(&self) -> Option<Span> {
        let place = self.words.get(self.pending)?;
        Some(Span { file: self.file, start: place.start & !Place::QUOTED, end: place.end & !Place::UNESCAPED })
    }

    /// Forgets the words of the directive that is being read.
    pub fn forget_words(&mut self) {
        self.words.truncate(self.pending);
        let first = self.pending as u32;
        self.unescaped.truncate(self.unescaped.partition_point(|(word, _)| *word < first));
    }

    /// A comment.
    pub fn comment(&mut self, span: Span) {
        self.node(Kind::Comment, span, 0);
    }

    /// Bytes without meaning.
    pub fn blank(&mut self, span: Span) {
        self.node(Kind::Blank, span, 0);
    }

    /// Lengthens the last item, if it is a blank in the block that is open; says whether it is.
    pub fn lengthen_blank(&mut self, end: u32) -> bool {
        let count = self.nodes.len() as u32;
        match self.nodes.last_mut() {
            Some(last) if last.kind == Kind::Blank && count > self.sealed => {
                last.end = end;
                true
            }
            _ => false,
        }
    }

    /// Ends a directive without a block; needs at least one word.
    pub fn simple(&mut self, span: Span, reported_at: u32) {
        self.node(Kind::Simple, span, reported_at);
    }

    /// Ends a directive whose block is another language; needs at least one word.
    pub fn raw(&mut self, span: Span, reported_at: u32, closed: bool) {
        self.node(Kind::Raw { closed }, span, reported_at);
    }

    /// Opens the block of a directive, which needs at least one word. What follows stands in it.
    pub fn open(&mut self, span: Span, reported_at: u32) {
        self.open.push(self.nodes.len() as u32);
        self.node(Kind::Block, span, reported_at);
    }

    /// Closes the innermost block, where there is one; the directive reaches to `end`.
    pub fn close(&mut self, end: usize) {
        let past = self.nodes.len() as u32;
        self.sealed = past;
        if let Some(node) = self.open.pop().and_then(|open| self.nodes.get_mut(open as usize)) {
            node.end = Span::new(self.file, 0, end).end;
            node.past = past;
        }
    }

    /// How many blocks are open.
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The tree; every block must be closed.
    pub fn finish(mut self) -> Tree {
        self.forget_words();
        debug_assert!(self.open.is_empty(), "every block is closed");
        Tree { file: self.file, nodes: self.nodes.into(), words: self.words.into(), unescaped: self.unescaped.into() }
    }

    fn node(&mut self, kind: Kind, span: Span, reported_at: u32) {
        let past = self.nodes.len() as u32 + 1;
        let words = self.pending as u32;
        self.nodes.push(Node { kind, start: span.start, end: span.end, words, reported_at, past });
        self.pending = self.words.len();
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
    for Span { start, end, .. } in tree.items().map(|item| item.span()) {
        gap(at, start as usize, &mut text);
        text.extend_from_slice(sources.text(Span { file, start, end }));
        at = end as usize;
    }
    gap(at, whole.len(), &mut text);
    text
}

//! nginx: the text as blocks, includes followed, for rules about directives that cannot change who is answered what and that
//! the model therefore does not hold (`add_header`, `ssl_protocols`, …).

use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

use crate::nginx::include::{Loaded, Placed};
use crate::nginx::script::condition::{self, Parsed};
use crate::source::{Origin, SourceMap};

/// Every block of a configuration whose content is directives.
pub(crate) struct Blocks<'a> {
    loaded: &'a Loaded,
    all: Vec<Block<'a>>,
    by_origin: HashMap<Origin, usize>,
}

/// One block; the first one of all is the level of the main file.
pub(crate) struct Block<'a> {
    /// Its place in the list.
    pub at: usize,
    /// The directive that opens it; `None` at the level of the main file.
    pub opened: Option<Line<'a>>,
    /// The block around it.
    parent: Option<usize>,
    /// What stands directly in it, in nginx's order.
    pub lines: Vec<Line<'a>>,
    /// The blocks directly in it, which stand together in the list.
    inner: Range<usize>,
    /// The lines in the order of their names, if there are many: `http` may hold ten thousand servers.
    by_name: OnceCell<Vec<usize>>,
}

/// A directive with its words undone.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// The directive, and through which inclusion it is read.
    pub placed: Placed<'a>,
    /// Its name.
    pub name: &'a [u8],
    /// Its arguments.
    pub words: Vec<&'a [u8]>,
}

impl Line<'_> {
    /// Its place.
    pub fn origin(&self) -> Origin {
        self.placed.origin()
    }

    /// The condition, if it is an `if` that nginx accepts.
    pub fn condition(&self) -> Option<Parsed<'_>> {
        if self.name == b"if" { condition::parse(&self.words).ok() } else { None }
    }
}

/// The blocks that hold directives; `map`, `types` and their like hold data.
const OF_DIRECTIVES: [&[u8]; 9] =
    [b"events", b"http", b"server", b"location", b"if", b"limit_except", b"upstream", b"stream", b"mail"];

impl<'a> Blocks<'a> {
    /// Reads them off the trees.
    pub fn of(loaded: &'a Loaded) -> Blocks<'a> {
        let line = |placed: Placed<'a>| Line {
            placed,
            name: placed.directive.name().value(&loaded.sources),
            words: placed.directive.args().map(|word| word.value(&loaded.sources)).collect(),
        };
        let mut blocks = Blocks { loaded, all: Vec::new(), by_origin: HashMap::new() };
        let lines = loaded.main_directives().map(line).collect();
        let by_name = OnceCell::new();
        let main = Block { at: 0, opened: None, parent: None, lines, inner: 0..0, by_name };
        blocks.all.push(main);
        let mut next = 0;
        while next < blocks.all.len() {
            let inner = blocks.all[next].lines.iter().filter(|line| OF_DIRECTIVES.contains(&line.name)).cloned();
            let inner: Vec<Line> = inner.collect();
            blocks.all[next].inner = blocks.all.len()..blocks.all.len() + inner.len();
            for opened in inner {
                let at = blocks.all.len();
                blocks.by_origin.insert(opened.origin(), at);
                let lines = loaded.children(opened.placed).map(line).collect();
                let (parent, inner, by_name) = (Some(next), at..at, OnceCell::new());
                blocks.all.push(Block { at, opened: Some(opened), parent, lines, inner, by_name });
            }
            next += 1;
        }
        blocks
    }

    /// The texts.
    pub fn sources(&self) -> &'a SourceMap {
        &self.loaded.sources
    }

    /// Every block, outer ones before those in them.
    pub fn all(&self) -> &[Block<'a>] {
        &self.all
    }

    /// Every block of the `http` module, `http` itself first.
    pub fn http(&self) -> impl Iterator<Item = &Block<'a>> {
        self.all.iter().filter(|block| self.outwards(block).any(|outer| outer.name() == b"http"))
    }

    /// The block that this directive opens.
    pub fn opened_by(&self, origin: Origin) -> Option<&Block<'a>> {
        self.by_origin.get(&origin).map(|&at| &self.all[at])
    }

    /// A block, the one around it, and so on to the main file.
    pub fn outwards<'b>(&'b self, block: &'b Block<'a>) -> impl Iterator<Item = &'b Block<'a>> {
        std::iter::successors(Some(block), |inner| self.around(inner))
    }

    /// The block around a block.
    pub fn around(&self, block: &Block<'a>) -> Option<&Block<'a>> {
        block.parent.map(|at| &self.all[at])
    }

    /// A block and every block inside it.
    pub fn inwards<'b>(&'b self, block: &'b Block<'a>) -> impl Iterator<Item = &'b Block<'a>> {
        // The blocks of one level stand together, and so do those inside them.
        let level = |outer: &Range<usize>| {
            let (first, last) = (self.all.get(outer.start)?, self.all.get(outer.end.checked_sub(1)?)?);
            Some(first.inner.start..last.inner.end).filter(|level| !outer.is_empty() && !level.is_empty())
        };
        std::iter::successors(Some(block.at..block.at + 1), level).flatten().map(|at| &self.all[at])
    }

    /// The innermost block from this one outwards that has such a directive of its own: whose values are in force here, for
    /// every directive that a block takes over whole or not at all.
    pub fn nearest<'b>(&'b self, block: &'b Block<'a>, name: &[u8]) -> Option<&'b Block<'a>> {
        self.outwards(block).find(|outer| outer.own(name).next().is_some())
    }

    /// The directives of this name in force in a block: those of the nearest block that has any.
    pub fn in_force<'b>(&'b self, block: &'b Block<'a>, name: &'b [u8]) -> impl Iterator<Item = &'b Line<'a>> {
        self.nearest(block, name).into_iter().flat_map(move |outer| outer.own(name))
    }

    /// The entries of a block of data (`map`, `geo`, `types`), includes followed.
    pub fn entries(&self, line: &Line<'a>) -> Vec<Line<'a>> {
        let sources = self.sources();
        let entries = self.loaded.children(line.placed).map(|placed| Line {
            placed,
            name: placed.directive.name().value(sources),
            words: placed.directive.args().map(|word| word.value(sources)).collect(),
        });
        entries.collect()
    }
}

/// So many lines are looked through faster than looked up.
const FEW: usize = 32;

impl<'a> Block<'a> {
    /// `http`, `server`, `location`, …; empty for the main file.
    pub fn name(&self) -> &'a [u8] {
        self.opened.as_ref().map_or(b"", |line| line.name)
    }

    /// Its own directives of this name.
    pub fn own<'b>(&'b self, name: &'b [u8]) -> impl Iterator<Item = &'b Line<'a>> {
        let (few, places) = match self.lines.len() {
            ..=FEW => (&self.lines[..], &[][..]),
            _ => (&[][..], self.places(name)),
        };
        let many = places.iter().map(|&at| &self.lines[at]);
        few.iter().filter(move |line| line.name == name).chain(many)
    }

    /// Where the lines of a name are, in their order.
    fn places(&self, name: &[u8]) -> &[usize] {
        let order = self.by_name.get_or_init(|| {
            let mut order: Vec<usize> = (0..self.lines.len()).collect();
            order.sort_by_key(|&at| self.lines[at].name);
            order
        });
        let from = order.partition_point(|&at| self.lines[at].name < name);
        let length = order[from..].partition_point(|&at| self.lines[at].name == name);
        &order[from..from + length]
    }

    /// `location /a/`, `this server`, for messages.
    pub fn shown(&self) -> String {
        match &self.opened {
            Some(line) if line.name == b"location" => {
                let words: Vec<_> = line.words.iter().map(|word| String::from_utf8_lossy(word)).collect();
                format!("`location {}`", words.join(" "))
            }
            Some(line) => format!("this `{}`", String::from_utf8_lossy(line.name)),
            None => "the main file".to_owned(),
        }
    }
}

/// Whether a text names a variable, as `$name` or `${name}`.
pub(crate) fn mentions(text: &[u8], name: &str) -> bool {
    use crate::nginx::complex::{RawPart, parse};
    let wanted = name.as_bytes();
    parse(text).is_ok_and(|parts| {
        parts.iter().any(|part| matches!(part, RawPart::Variable(found) if found.eq_ignore_ascii_case(wanted)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;
    use std::path::Path;

    #[test]
    fn what_is_in_force_is_what_the_nearest_block_says() {
        let fs = MemoryFs::new()
            .file("/n.conf", "http { a 1; a 2; server { location / { a 3; if ($x) { } } location /b { include i; } } }")
            .file("/i", "b 4; location /b/c { }");
        let loaded = crate::nginx::include::load(Path::new("/n.conf"), &fs);
        let blocks = Blocks::of(&loaded);
        let in_force = |place: &str| -> Vec<String> {
            let block = blocks.all().iter().find(|block| block.shown() == place).expect("a block");
            blocks.in_force(block, b"a").map(|line| String::from_utf8_lossy(line.words[0]).into_owned()).collect()
        };
        assert_eq!(in_force("this `if`"), ["3"]);
        assert_eq!(in_force("`location /b/c`"), ["1", "2"]);
        assert_eq!(blocks.http().count(), 6);
        let inside = |place: &str| {
            let block = blocks.all().iter().find(|block| block.shown() == place).expect("a block");
            blocks.inwards(block).map(Block::shown).collect::<Vec<_>>()
        };
        assert_eq!(
            inside("this `server`"),
            ["this `server`", "`location /`", "`location /b`", "this `if`", "`location /b/c`"]
        );
        assert_eq!(inside("`location /b`"), ["`location /b`", "`location /b/c`"]);
        assert_eq!(inside("this `if`"), ["this `if`"]);
    }

    #[test]
    fn a_variable_is_named_with_and_without_braces() {
        for (text, there) in
            [("a$uri", true), ("${URI}x", true), ("$uri_x", false), ("uri", false), ("$request_uri", false)]
        {
            assert_eq!(mentions(text.as_bytes(), "uri"), there, "{text}");
        }
    }
}

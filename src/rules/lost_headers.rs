//! What `header-redefinition` and `proxy-header-redefinition` share: lists of headers that a block takes over whole or not
//! at all.

use super::blocks::{Block, Blocks, Line};

/// A block whose own list hides the one around it.
pub(super) struct Lost<'b, 'a> {
    /// The block with a list of its own.
    pub block: &'b Block<'a>,
    /// The first directive of that list.
    pub first: &'b Line<'a>,
    /// The directives around it whose headers are set here no more.
    pub lines: Vec<&'b Line<'a>>,
}

impl Lost<'_, '_> {
    /// The names of the lost headers, for messages.
    pub fn names(&self) -> Vec<String> {
        self.lines.iter().map(|line| String::from_utf8_lossy(line.words[0]).into_owned()).collect()
    }

    /// Whether one of these headers is lost.
    pub fn has(&self, names: &[&str]) -> bool {
        self.names().iter().any(|lost| names.iter().any(|name| name.eq_ignore_ascii_case(lost)))
    }
}

/// Every block of the `http` module with a list of its own in which headers of the list around it are missing.
pub(super) fn lost<'b, 'a>(blocks: &'b Blocks<'a>, directive: &'b [u8]) -> Vec<Lost<'b, 'a>> {
    let mut found = Vec::new();
    for block in blocks.http() {
        let (Some(first), Some(outer)) = (block.own(directive).next(), blocks.around(block)) else { continue };
        let set = |name: &[u8]| block.own(directive).any(|own| own.words[0].eq_ignore_ascii_case(name));
        let around = blocks.in_force(outer, directive).filter(|line| line.words.len() >= 2);
        let lines: Vec<&Line> = around.filter(|line| !set(line.words[0])).collect();
        if !lines.is_empty() {
            found.push(Lost { block, first, lines });
        }
    }
    found
}

/// The lost directives as text, to be put in front of the block's own.
pub(super) fn text(blocks: &Blocks, lost: &Lost) -> Option<String> {
    let texts = lost.lines.iter().map(|line| std::str::from_utf8(blocks.sources().text(line.placed.span)).ok());
    let texts: Option<Vec<&str>> = texts.collect();
    texts.map(|texts| texts.join(" ")).filter(|text| !text.contains('\n'))
}

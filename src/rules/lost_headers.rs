//! What `header-redefinition` and `proxy-header-redefinition` share: lists of headers that a block takes over whole or not
//! at all.

use super::blocks::{Block, Blocks, Line};
use crate::finding::Level;
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::Findings;

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

    /// The finding: an error where one of `grave` is lost, with the lost lines in front of the block's own as its repair.
    pub fn report(&self, blocks: &Blocks, message: String, grave: &[&str], found: &mut Findings) {
        let related = self.lines.iter().take(5).map(|line| found.related(line.origin(), "is not sent here")).collect();
        let is_grave = |lost: &String| grave.iter().any(|name| name.eq_ignore_ascii_case(lost));
        let finding = found.at(self.first.origin(), message);
        finding.related = related;
        if self.names().iter().any(is_grave) {
            finding.level(Level::Error);
        }
        let text = self.text(blocks);
        let edit = text.and_then(|text| Edit::insert_before(blocks.sources(), self.first.placed.span(), &text));
        if let Some(edit) = edit {
            finding.fixed_by(Fix::text("repeat the outer headers here", Safety::Safe, vec![edit]));
        }
    }

    /// The lost directives as text, to be put in front of the block's own.
    fn text(&self, blocks: &Blocks) -> Option<String> {
        let texts = self.lines.iter().map(|line| std::str::from_utf8(blocks.sources().text(line.placed.span())).ok());
        let texts: Option<Vec<&str>> = texts.collect();
        texts.map(|texts| texts.join(" ")).filter(|text| !text.contains('\n'))
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

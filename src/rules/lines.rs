//! Apache: the directives of a configuration and of the `.htaccess` files below it, for rules about what is written.

use super::sections::{Htaccess, Layout, Spot, walk};
use crate::apache::Config;
use crate::apache::load::Node;
use crate::lint::subject::Subject;

/// One directive where it stands.
pub(super) struct Line<'n> {
    /// The directive.
    pub node: &'n Node,
    /// The sections around it, outermost first.
    pub around: &'n [&'n Node],
    /// The `.htaccess` it stands in.
    pub file: Option<&'n Htaccess>,
}

impl Line<'_> {
    /// The innermost section around it, or the file, as something that requests meet.
    pub fn spot<'l>(&self, layout: &'l Layout) -> Option<&'l Spot> {
        let section = self.around.iter().rev().find_map(|section| layout.spot(section.origin));
        section.or_else(|| layout.spot_of_file(self.file?))
    }

    /// Argument `index` is this word, in any case.
    pub fn says(&self, index: usize, word: &str) -> bool {
        self.node.word(index).is_some_and(|said| said.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// Whether it stands directly in a `<Directory>` with a plain path (or that path), or in a `.htaccess`.
    pub fn in_directory(&self) -> bool {
        match self.around.last() {
            Some(section) => {
                section.is_section("directory")
                    && section
                        .word(0)
                        .is_some_and(|word| word != b"~" && !word.iter().any(|byte| b"*?[".contains(byte)))
            }
            None => self.file.is_some(),
        }
    }
}

/// Every directive. A text that macros or includes repeat comes again with each of them.
pub(super) fn every(subject: &Subject, config: &Config, layout: &Layout, visit: &mut dyn FnMut(&Line)) {
    walk(&config.nodes, &mut |node, around| visit(&Line { node, around, file: None }));
    for file in &layout.files {
        if let Some((_, nodes)) = file.read(subject, config) {
            walk(nodes, &mut |node, around| visit(&Line { node, around, file: Some(file) }));
        }
    }
}

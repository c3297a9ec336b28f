//! Apache: the directives of a configuration and of the `.htaccess` files below it, for rules about what is written.

use super::sections::{Htaccess, Layout, Spot, walk};
use crate::apache::Config;
use crate::apache::load::Node;
use crate::apache::model::{Matcher, Place};
use crate::lint::subject::Subject;
use crate::source::Origin;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
        section.or_else(|| {
            let dir = self.file?.path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
            let is_its = |spot: &&Spot| match &spot.section.matcher {
                Matcher::Literal(path) => path.strip_suffix(b"/") == Some(dir.strip_suffix(b"/").unwrap_or(dir)),
                _ => false,
            };
            layout.spots.iter().filter(|spot| spot.section.place == Place::Htaccess).find(is_its)
        })
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

/// Every directive, each place in the text once although macros and includes may repeat it.
pub(super) fn every(subject: &Subject, config: &Config, layout: &Layout, visit: &mut dyn FnMut(&Line)) {
    let mut seen: HashSet<Origin> = HashSet::new();
    walk(&config.nodes, &mut |node, around| {
        if seen.insert(node.origin) {
            visit(&Line { node, around, file: None });
        }
    });
    for file in &layout.files {
        if let Some((_, nodes)) = file.read(subject, config) {
            walk(nodes, &mut |node, around| visit(&Line { node, around, file: Some(file) }));
        }
    }
}

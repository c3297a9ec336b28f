//! The type of a response (`ngx_http_set_content_type`), and the types that a filter takes
//! (`ngx_http_test_content_type`).

use std::collections::HashMap;
use std::sync::Arc;

use super::super::tables::Entry;

/// `types` and `default_type` of a block.
#[derive(Clone, Debug)]
pub struct ContentTypes {
    /// `None`: no `types` block is in force, and nginx's own three are.
    by_extension: Option<Arc<HashMap<Vec<u8>, Vec<u8>>>>,
    default: Arc<[u8]>,
}

impl Default for ContentTypes {
    fn default() -> Self {
        ContentTypes { by_extension: None, default: (*b"text/plain").into() }
    }
}

impl ContentTypes {
    /// Takes the lines of a `types` block. `first_here`: what was inherited is dropped.
    pub fn add(&mut self, lines: &[Entry<'_>], first_here: bool) {
        if first_here {
            self.by_extension = None;
        }
        let by_extension = Arc::make_mut(self.by_extension.get_or_insert_default());
        for line in lines {
            let Some((kind, extensions)) = line.words.split_first() else { continue };
            by_extension.extend(extensions.iter().map(|extension| (extension.to_ascii_lowercase(), kind.to_vec())));
        }
    }

    /// Takes a `default_type`.
    pub(super) fn set_default(&mut self, kind: &[u8]) {
        self.default = kind.into();
    }

    /// The type of a file, by the extension of the URI.
    pub(super) fn of(&self, uri: &[u8]) -> &[u8] {
        let Some(extension) = extension(uri) else { return &self.default };
        let extension = extension.to_ascii_lowercase();
        let kind = match (&self.by_extension, &*extension) {
            (Some(by_extension), _) => by_extension.get(&extension).map(Vec::as_slice),
            (None, b"html") => Some(&b"text/html"[..]),
            (None, b"gif") => Some(&b"image/gif"[..]),
            (None, b"jpg") => Some(&b"image/jpeg"[..]),
            (None, _) => None,
        };
        kind.unwrap_or(&self.default)
    }
}

/// What follows the last dot of the last segment (`ngx_http_set_exten`); a dot that begins the segment does not count.
fn extension(uri: &[u8]) -> Option<&[u8]> {
    let segment = uri.rsplit(|&byte| byte == b'/').next()?;
    let dot = memchr::memrchr(b'.', segment).filter(|dot| *dot > 0)?;
    Some(&segment[dot + 1..]).filter(|extension| !extension.is_empty())
}

/// The types that a filter takes: `ssi_types`, `gzip_types` and their kind.
#[derive(Clone, Debug)]
pub(super) enum Takes {
    /// Nobody said.
    Stock(&'static [&'static [u8]]),
    /// Those listed, in lower case, besides the first stock one.
    Listed(Arc<[Box<[u8]>]>),
    /// `*`.
    Any,
}

impl Takes {
    /// What most filters take.
    pub(super) const HTML: Takes = Takes::Stock(&[b"text/html"]);

    /// Takes the arguments of the directive, of which a block may have several. `first` is the stock type that stays.
    pub(super) fn add(&mut self, args: &[&[u8]], first: &'static [u8], first_here: bool) {
        if args.contains(&&b"*"[..]) {
            *self = Takes::Any;
            return;
        }
        let mut kinds: Vec<Box<[u8]>> = match self {
            _ if first_here => vec![first.into()],
            Takes::Any => return,
            Takes::Listed(kinds) => kinds.to_vec(),
            Takes::Stock(_) => vec![first.into()],
        };
        kinds.extend(args.iter().map(|kind| kind.to_ascii_lowercase().into()));
        *self = Takes::Listed(kinds.into());
    }

    /// Whether the filter takes this type.
    pub(super) fn has(&self, kind: &[u8]) -> bool {
        let is_kind = |known: &[u8]| !kind.is_empty() && known.eq_ignore_ascii_case(kind);
        match self {
            Takes::Stock(kinds) => kinds.iter().any(|known| is_kind(known)),
            Takes::Listed(kinds) => kinds.iter().any(|known| is_kind(known)),
            Takes::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_follows_a_dot_that_does_not_begin_the_segment() {
        assert_eq!(extension(b"/a.tar.gz"), Some(&b"gz"[..]));
        assert_eq!(extension(b"/d/.a.html"), Some(&b"html"[..]));
        for uri in [&b"/.html"[..], b"/d/.html", b"/a.", b"/a.b/c", b"/", b""] {
            assert_eq!(extension(uri), None);
        }
    }

    #[test]
    fn a_list_keeps_the_stock_type_and_a_star_stays() {
        let mut takes = Takes::HTML;
        takes.add(&[b"TEXT/Plain"], b"text/html", true);
        takes.add(&[b"a/b"], b"text/html", false);
        assert!(takes.has(b"text/HTML") && takes.has(b"text/plain") && takes.has(b"a/b"));
        assert!(!takes.has(b"text/css") && !takes.has(b""));
        takes.add(&[b"*", b"a/b"], b"text/html", false);
        takes.add(&[b"a/c"], b"text/html", false);
        assert!(takes.has(b"text/css") && takes.has(b""));
        takes.add(&[b"a/c"], b"text/html", true);
        assert!(!takes.has(b"text/css"));
    }
}

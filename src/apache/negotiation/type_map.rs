//! Type maps: records of header lines, one a variant (`read_type_map`).

use super::accept::{entry, token};
use super::choose::Variant;
use crate::apache::lex::is_space;

/// The type that makes a file a type map.
pub(super) const MAGIC_TYPE: &[u8] = b"application/x-type-map";

/// A line without a colon or without anything after it: the server answers 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError;

/// The longest text of a variant that stands in the map itself.
const MAX_BODY: usize = 8191;

/// What the reader found.
enum Header {
    End,
    /// A blank line: the record is complete.
    Separator,
    Line(Vec<u8>),
}

/// Every variant; `name` is the map's own, for those whose text stands in it.
pub(super) fn parse(map: &[u8], name: &[u8]) -> Result<Vec<Variant>, SyntaxError> {
    let mut reader = Reader { rest: map };
    let mut variants = Vec::new();
    let (mut variant, mut has_content) = (Variant::new(b""), false);
    loop {
        let line = match reader.header() {
            Header::Line(line) => line,
            end => {
                if !variant.file_name.is_empty() && has_content {
                    variants.push(variant);
                }
                if matches!(end, Header::End) {
                    return Ok(variants);
                }
                (variant, has_content) = (Variant::new(b""), false);
                continue;
            }
        };
        let colon = memchr::memchr(b':', &line).ok_or(SyntaxError)?;
        let key = line[..colon].to_ascii_lowercase();
        let body = without_comments(line[colon + 1..].trim_ascii_start());
        if body.is_empty() {
            return Err(SyntaxError);
        }
        let mut rest = body.as_slice();
        match key.as_slice() {
            b"uri" => variant.file_name = token(&mut rest, false).to_vec(),
            b"content-type" => {
                variant.set_type(entry(&mut rest));
                has_content = true;
            }
            b"content-length" => {
                let digits = token(&mut rest, false);
                let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
                match length.filter(|length| *length >= 0) {
                    Some(length) => variant.bytes = length,
                    // The server stops reading here and makes do with what it has.
                    None => return Ok(variants),
                }
                has_content = true;
            }
            b"content-language" => {
                while !rest.is_empty() {
                    let before = rest.len();
                    variant.languages.push(token(&mut rest, false).to_ascii_lowercase());
                    rest = rest.strip_prefix(b",").or_else(|| rest.strip_prefix(b";")).unwrap_or(rest);
                    if rest.len() == before {
                        break;
                    }
                }
                has_content = true;
            }
            b"content-encoding" => {
                variant.encoding = Some(token(&mut rest, false).to_vec());
                has_content = true;
            }
            b"body" => {
                let Some(length) = reader.body(body.trim_ascii_end()) else { return Ok(variants) };
                variant.bytes = length as i64;
                variant.body = true;
                variant.file_name = name.to_vec();
            }
            _ => {}
        }
    }
}

/// Comments in parentheses become blanks.
fn without_comments(body: &[u8]) -> Vec<u8> {
    let mut inside = false;
    body.iter()
        .map(|&byte| {
            let was = inside;
            match byte {
                b'(' => inside = true,
                b')' => inside = false,
                _ => {}
            }
            if inside || was { b' ' } else { byte }
        })
        .collect()
}

struct Reader<'m> {
    rest: &'m [u8],
}

impl Reader<'_> {
    fn line(&mut self) -> Option<&[u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |end| end + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(line)
    }

    /// `get_header_line`: a line and those that continue it, which begin with white space. Comments are skipped.
    fn header(&mut self) -> Header {
        let mut header = loop {
            match self.line() {
                None => return Header::End,
                Some(line) if line.starts_with(b"#") => {}
                Some(line) => break line.to_vec(),
            }
        };
        if header.iter().all(|byte| is_space(*byte)) {
            return Header::Separator;
        }
        if header.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"Body:")) {
            return Header::Line(header);
        }
        loop {
            match self.rest.first() {
                Some(b'#') => {
                    self.line();
                }
                Some(byte) if is_space(*byte) => {
                    let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
                    let text = self.rest[..end].trim_ascii_start();
                    if text.is_empty() {
                        return Header::Line(header);
                    }
                    header.extend_from_slice(text);
                    header.push(b'\n');
                    self.line();
                }
                _ => return Header::Line(header),
            }
        }
    }

    /// The text up to a line with the tag (`get_body`): its length.
    fn body(&mut self, tag: &[u8]) -> Option<usize> {
        let window = &self.rest[..self.rest.len().min(MAX_BODY)];
        let length = memchr::memmem::find(window, tag)?;
        self.rest = &self.rest[length + tag.len()..];
        self.line();
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_separated_by_blank_lines() {
        let map = b"URI: x.en\nContent-type: text/html; qs=0.5\nContent-language: en, fr\n\n# c\nURI: x.de\n\
            Content-Type: text/html\n  ;level=3\n\nURI: nothing\n";
        let variants = parse(map, b"x.var").expect("valid");
        assert_eq!(variants.len(), 2);
        assert_eq!((variants[0].source_quality, variants[0].languages.len()), (0.5, 2));
        assert_eq!((&variants[1].file_name[..], variants[1].level), (&b"x.de"[..], 3.0));
    }

    #[test]
    fn a_text_may_stand_in_the_map() {
        let map = b"Content-type: text/plain\nBody:----x----\nhello\n----x----\n\nURI: y\nContent-Type: a/b\n";
        let variants = parse(map, b"x.var").expect("valid");
        assert_eq!((variants[0].body, variants[0].bytes, &variants[0].file_name[..]), (true, 6, &b"x.var"[..]));
        assert_eq!(variants[1].file_name, b"y");
    }

    #[test]
    fn a_line_without_a_colon_is_an_error() {
        assert_eq!(parse(b"URI x\n", b""), Err(SyntaxError));
        assert_eq!(parse(b"URI:\n", b""), Err(SyntaxError));
    }
}

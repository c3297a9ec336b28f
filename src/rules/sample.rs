//! Strings that a regular expression matches, for witnesses. Best effort: every string is tried on the real pattern before
//! it is used, so a construct that is not understood costs a witness, never a wrong finding.

/// Most strings given for one expression.
const MOST: usize = 12;
/// Deepest nesting of groups that is followed.
const DEEPEST: usize = 20;

/// Strings that probably match, likely ones first; anchors, look-arounds and back-references are passed over.
pub(super) fn samples(regex: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader { text: regex, at: 0 };
    let found = reader.alternatives(0);
    let mut strings: Vec<Vec<u8>> = Vec::new();
    for string in found {
        if !strings.contains(&string) {
            strings.push(string);
        }
    }
    strings
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.text.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn eat(&mut self, text: &[u8]) -> bool {
        let there = self.text[self.at.min(self.text.len())..].starts_with(text);
        self.at += if there { text.len() } else { 0 };
        there
    }

    /// `a|b|c` up to `)` or the end.
    fn alternatives(&mut self, depth: usize) -> Vec<Vec<u8>> {
        let mut all = self.sequence(depth);
        while self.eat(b"|") {
            all.extend(self.sequence(depth));
        }
        all.truncate(MOST);
        all
    }

    fn sequence(&mut self, depth: usize) -> Vec<Vec<u8>> {
        let mut strings = vec![Vec::new()];
        while self.at < self.text.len() && !matches!(self.text[self.at], b'|' | b')') {
            let Some(mut atoms) = self.atom(depth) else { continue };
            if self.quantifier() {
                // Once is likelier than not at all, which is still a string of its own.
                atoms.push(Vec::new());
            }
            let mut longer = Vec::new();
            for atom in &atoms {
                for string in &strings {
                    longer.push([string.as_slice(), atom].concat());
                }
            }
            longer.truncate(MOST);
            strings = longer;
        }
        strings
    }

    /// What one atom may be; `None` for something of no width.
    fn atom(&mut self, depth: usize) -> Option<Vec<Vec<u8>>> {
        let one = |byte: u8| Some(vec![vec![byte]]);
        match self.next()? {
            b'^' | b'$' => None,
            b'.' => one(b'x'),
            b'[' => Some(self.class()),
            b'(' if depth >= DEEPEST => {
                self.at = self.text.len();
                None
            }
            b'(' => {
                let look = [&b"?="[..], b"?!", b"?<=", b"?<!"].into_iter().any(|mark| self.eat(mark));
                if !look && self.eat(b"?") {
                    // A name, flags, or nothing up to the first `:`, `>` or `'` that ends the mark.
                    while let Some(byte) = self.next() {
                        match byte {
                            b':' | b'>' => break,
                            b')' => return None,
                            _ => {}
                        }
                    }
                }
                let inner = self.alternatives(depth + 1);
                self.eat(b")");
                if look { None } else { Some(inner) }
            }
            b'\\' => match self.next()? {
                b'd' => one(b'1'),
                b'w' | b'D' | b'S' | b'N' => one(b'x'),
                b's' | b'h' => one(b' '),
                b'W' => one(b'-'),
                b'b' | b'B' | b'A' | b'z' | b'Z' | b'G' | b'K' => None,
                b'Q' => {
                    let rest = &self.text[self.at..];
                    let end = memchr::memmem::find(rest, b"\\E").unwrap_or(rest.len());
                    let text = rest[..end].to_vec();
                    self.at = (self.at + end + 2).min(self.text.len());
                    Some(vec![text])
                }
                byte if byte.is_ascii_digit() => None,
                byte => one(byte),
            },
            byte => one(byte),
        }
    }

    /// `[...]`: its first few members, or something outside a negated one.
    fn class(&mut self) -> Vec<Vec<u8>> {
        let negated = self.eat(b"^");
        let mut members = [false; 256];
        let mut first = true;
        let mut order = Vec::new();
        while let Some(byte) = self.next() {
            if byte == b']' && !first {
                break;
            }
            first = false;
            let from = match byte {
                b'[' if self.text[self.at..].starts_with(b":") => {
                    let end = memchr::memmem::find(&self.text[self.at..], b":]")
                        .map_or(self.text.len(), |end| self.at + end + 2);
                    self.at = end.min(self.text.len());
                    for byte in b'0'..=b'z' {
                        members[usize::from(byte)] |= byte.is_ascii_alphanumeric();
                    }
                    order.push(b'a');
                    continue;
                }
                b'\\' => match self.next() {
                    Some(b'd') => b'1',
                    Some(b'w') => b'x',
                    Some(b's') => b' ',
                    Some(byte) => byte,
                    None => break,
                },
                byte => byte,
            };
            let range =
                self.text.get(self.at) == Some(&b'-') && !matches!(self.text.get(self.at + 1), None | Some(b']'));
            let to = if range {
                self.at += 1;
                self.next().unwrap_or(from)
            } else {
                from
            };
            for byte in from..=to.max(from) {
                members[usize::from(byte)] = true;
            }
            order.push(from);
        }
        if negated {
            let outside = b"xa1_-./".iter().find(|byte| !members[usize::from(**byte)]);
            return outside.map(|byte| vec![vec![*byte]]).unwrap_or_default();
        }
        order.into_iter().take(3).map(|byte| vec![byte]).collect()
    }

    /// Reads a quantifier; whether it admits nothing at all. More than once is not needed, a fixed count is.
    fn quantifier(&mut self) -> bool {
        let optional = match self.text.get(self.at) {
            Some(b'?' | b'*') => true,
            Some(b'+') => false,
            Some(b'{') if self.text.get(self.at + 1).is_some_and(u8::is_ascii_digit) => {
                let end = self.text[self.at..].iter().position(|&byte| byte == b'}').unwrap_or(0);
                let zero = self.text[self.at + 1] == b'0';
                self.at += end;
                zero
            }
            _ => return false,
        };
        self.at += 1;
        // Lazy or possessive.
        if matches!(self.text.get(self.at), Some(b'?' | b'+')) {
            self.at += 1;
        }
        optional
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Options, Pattern};

    #[test]
    fn samples_match_their_expression() {
        for regex in [
            r"\.php$",
            r"^/admin/.*\.js$",
            r"[^/]\.php(/|$)",
            r"/\.(?!well-known/)",
            r"\.(jpe?g|png|gif)$",
            r"^/(?<year>\d+)/x",
            r"^/wp-(admin|login\.php)",
            r"[[:alnum:]]+\.bak$",
            r"^/a\Q.b\E",
        ] {
            let pattern = Pattern::new(regex.as_bytes(), Options::nginx(false)).expect("an expression");
            let found = samples(regex.as_bytes());
            assert!(found.iter().any(|string| pattern.is_match(string) == Ok(true)), "{regex}: {found:?}");
        }
    }

    #[test]
    fn hostile_expressions_end() {
        for regex in [
            "(".repeat(100_000),
            "[".repeat(1000),
            "a{".to_owned(),
            "\\".to_owned(),
            "(?<".to_owned(),
            "(a|b)".repeat(500),
        ] {
            let _ = samples(regex.as_bytes());
        }
    }
}

//! From tokens to the tree (`ngx_conf_parse`; grammars/nginx.md, "Directives and blocks").
//!
//! Never fails: it recovers at `;` and `}`, and says what nginx would have refused, with the line that nginx names. Needs no
//! table of directives: what the words mean is for others to say.

use crate::nginx::lex::{self, Quote, Token};
use crate::problem::ProblemKind;
use crate::source::{FileId, Span};
use crate::syntax::{Builder, Tree};

/// Blocks nested deeper than this are not read (nginx itself has no limit but its stack).
pub const MAX_DEPTH: usize = 200;

/// Something in the text of one file that nginx refuses, whoever included the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes of the file that nginx had read when it found out: faults and directives sort by it.
    pub met: u32,
    /// The byte whose line nginx names.
    pub reported_at: u32,
    /// The text to point at.
    pub span: Span,
    /// Syntax, or a limit of this program.
    pub kind: ProblemKind,
    /// nginx's words.
    pub message: String,
}

/// A parsed file: the tree, and its faults in the order in which nginx meets them.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The tree; its text is the file, byte for byte.
    pub tree: Tree,
    /// What nginx refuses in it.
    pub faults: Vec<Fault>,
}

/// Parses one file.
pub fn parse(file: FileId, text: &[u8]) -> Parsed {
    let mut parser = Parser {
        file,
        text,
        at: 0,
        tree: Builder::new(file, text.len()),
        stray: 0,
        open: Vec::new(),
        faults: Vec::new(),
    };
    while let Ok((rest, token)) = lex::token(&text[parser.at..]) {
        let end = text.len() - rest.len();
        parser.take(token, end);
    }
    parser.finish()
}

/// A block whose `}` has not come yet.
struct Open {
    brace: usize,
    /// Stray `{` on the level above.
    stray: usize,
}

struct Parser<'a> {
    file: FileId,
    text: &'a [u8],
    at: usize,
    /// The items so far, and the words of the directive that is being read.
    tree: Builder,
    /// `{` in the innermost block that opened nothing; so many `}` close nothing.
    stray: usize,
    open: Vec<Open>,
    faults: Vec<Fault>,
}

impl Parser<'_> {
    fn take(&mut self, token: Token, end: usize) {
        let span = Span::new(self.file, self.at, end);
        if end - self.at + 1 >= lex::BUFFER {
            self.limit(token, end);
        }
        match token {
            Token::Word(quote) => self.word(quote, span),
            // White space between items needs no item of its own; between words, comments belong to the directive.
            Token::Blank => {}
            Token::Comment if self.tree.pending() > 0 => {}
            Token::Comment => self.tree.comment(span),
            Token::Semicolon if self.tree.pending() == 0 => self.unexpected(span),
            Token::Semicolon => self.simple(end),
            Token::Open if self.tree.pending() == 0 => {
                self.unexpected(span);
                self.stray += 1;
            }
            Token::Open => return self.block(end),
            Token::Close if self.tree.pending() > 0 => {
                self.fault(self.at, span, "unexpected \"}\"".to_owned());
                self.simple(self.at);
                return; // and now the brace closes the block
            }
            Token::Close if self.stray > 0 => {
                self.stray -= 1;
                self.tree.blank(span);
            }
            Token::Close => match self.open.pop() {
                Some(open) => self.close(&open, end),
                None => self.unexpected(span),
            },
        }
        self.at = end;
    }

    fn word(&mut self, quote: Quote, span: Span) {
        let (start, end) = (span.start as usize, span.end as usize);
        let (quoted, inner) = match quote {
            Quote::Plain => (false, start..start),
            Quote::None => (false, start..end),
            Quote::Closed(_) => (true, start + 1..end - 1),
            Quote::Open(_) => (true, start + 1..end),
        };
        let inner = &self.text[inner];
        let unescaped = if inner.contains(&b'\\') { lex::unescape(inner) } else { None };
        self.tree.word(start, end, quoted, unescaped);
        // Only white space, `;`, `{` or the `)` of an `if` may follow a closing quote.
        if let (Quote::Closed(_), Some(&next)) = (quote, self.text.get(span.end as usize))
            && !lex::is_blank(next)
            && !matches!(next, b';' | b'{' | b')')
        {
            let at = span.end as usize;
            self.fault(at, Span::new(self.file, at, at + 1), format!("unexpected \"{}\"", char::from(next)));
        }
    }

    /// `ngx_conf_read_token` refuses what fills its buffer before its end is seen: a word ended by `;` or `{` may be one
    /// byte longer than one ended by white space, since the end then needs no room.
    fn limit(&mut self, token: Token, end: usize) {
        let (start, quote) = match token {
            Token::Comment | Token::Word(Quote::None | Quote::Plain) => (self.at, None),
            Token::Word(Quote::Closed(quote) | Quote::Open(quote)) => (self.at + 1, Some(quote)),
            _ => return,
        };
        let blank_follows = token != Token::Comment && self.text.get(end).is_some_and(|&next| lex::is_blank(next));
        let held = end - start + usize::from(blank_follows);
        if held < lex::BUFFER || start + lex::BUFFER >= self.text.len() {
            return;
        }
        let still_quoted = match token {
            Token::Word(Quote::Closed(_)) => end > start + lex::BUFFER,
            _ => true,
        };
        let message = match quote {
            Some(quote) if still_quoted => {
                format!("too long parameter, probably missing terminating \"{}\" character", char::from(quote))
            }
            _ => {
                let head = String::from_utf8_lossy(&self.text[start..start + 10]);
                format!("too long parameter \"{head}...\" started")
            }
        };
        let (met, reported_at) = (start + lex::BUFFER, start.saturating_sub(usize::from(quote.is_some())));
        self.faults.push(Fault {
            met: met as u32,
            reported_at: reported_at as u32,
            span: Span::new(self.file, self.at, end),
            kind: ProblemKind::Syntax,
            message,
        });
    }

    fn fault(&mut self, at: usize, span: Span, message: String) {
        self.faults.push(Fault { met: at as u32, reported_at: at as u32, span, kind: ProblemKind::Syntax, message });
    }

    /// A mark with no directive before it: refused, and skipped.
    fn unexpected(&mut self, span: Span) {
        let mark = char::from(self.text[self.at]);
        self.fault(self.at, span, format!("unexpected \"{mark}\""));
        self.tree.blank(span);
    }

    /// Ends a directive without a block; `end` is one past its `;`, or where it was broken off.
    fn simple(&mut self, end: usize) {
        let Some(name) = self.tree.first_pending() else { return };
        self.tree.simple(Span::new(self.file, name.start as usize, end), self.at as u32);
        self.at = end;
    }

    /// Opens a block; `end` is one past its `{`.
    fn block(&mut self, end: usize) {
        let Some(name) = self.tree.first_pending() else { return };
        let (start, brace) = (name.start as usize, self.at);
        self.at = end;
        if is_lua(&self.text[start..name.end as usize]) {
            return self.raw(start, brace, end);
        }
        if self.open.len() == MAX_DEPTH {
            let span = Span::new(self.file, start, end);
            let message = format!("blocks nested deeper than {MAX_DEPTH} are not read");
            let kind = ProblemKind::Limit;
            self.faults.push(Fault { met: brace as u32, reported_at: brace as u32, span, kind, message });
            self.tree.forget_words();
            self.tree.blank(span);
            self.stray += 1;
            return;
        }
        self.tree.open(Span::new(self.file, start, end), brace as u32);
        self.open.push(Open { brace, stray: std::mem::take(&mut self.stray) });
    }

    /// A block in Lua: its text is kept, not read.
    fn raw(&mut self, name: usize, brace: usize, start: usize) {
        let (end, closed) = match lex::lua_body(&self.text[start..]) {
            Ok((_, body)) => (start + body.len() + 1, true),
            Err(_) => {
                let end = self.text.len();
                let brace = Span::new(self.file, brace, start);
                self.fault(end, brace, "unexpected end of file, expecting \"}\"".to_owned());
                (end, false)
            }
        };
        self.at = end;
        self.tree.raw(Span::new(self.file, name, end), brace as u32, closed);
    }

    fn close(&mut self, open: &Open, end: usize) {
        self.stray = open.stray;
        self.tree.close(end);
    }

    fn finish(mut self) -> Parsed {
        let end = self.text.len();
        if let Some(span) = self.tree.first_pending() {
            self.fault(end, span, "unexpected end of file, expecting \";\" or \"}\"".to_owned());
            self.simple(end);
        } else if let Some(open) = self.open.last() {
            let span = Span::new(self.file, open.brace, open.brace + 1);
            self.fault(end, span, "unexpected end of file, expecting \"}\"".to_owned());
        }
        while let Some(open) = self.open.pop() {
            self.close(&open, end);
        }
        self.faults.sort_by_key(|fault| fault.met);
        Parsed { tree: self.tree.finish(), faults: self.faults }
    }
}

/// OpenResty reads `{name}_by_lua_block {` up to the brace that Lua pairs with it.
fn is_lua(name: &[u8]) -> bool {
    name.ends_with(b"_by_lua_block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceMap;
    use crate::syntax::{Directive, Item, Items, to_source};
    use std::path::Path;

    fn read(text: &[u8]) -> (SourceMap, Parsed) {
        let sources = SourceMap::default();
        let file = sources.add(Path::new("/nginx.conf"), text.to_vec());
        let parsed = parse(file, text);
        (sources, parsed)
    }

    /// The text of some items, put together from the parts that the tree knows.
    fn glue(items: Items, mut at: usize, sources: &SourceMap, out: &mut Vec<u8>) -> usize {
        for item in items {
            let Span { file, start, end } = item.span();
            let gap = sources.text(Span::new(file, at, start as usize));
            assert!(gap.iter().copied().all(lex::is_blank), "only white space stands between items");
            out.extend_from_slice(gap);
            at = end as usize;
            match item {
                Item::Directive(directive) if directive.is_block() && directive.raw_block().is_none() => {
                    let Span { file, start, end } = directive.span();
                    let body = directive.reported_at() as usize + 1;
                    out.extend_from_slice(sources.text(Span::new(file, start as usize, body)));
                    let rest = glue(directive.items(), body, sources, out);
                    let tail = sources.text(Span::new(file, rest, end as usize));
                    out.extend_from_slice(tail);
                    let brace = tail.trim_ascii_start();
                    assert!(matches!(brace, b"" | b"}"), "only white space and the `}}` are left of a block");
                }
                _ => out.extend_from_slice(sources.text(item.span())),
            }
        }
        at
    }

    fn faults(text: &str) -> Vec<(u32, String)> {
        let (sources, parsed) = read(text.as_bytes());
        let line = |fault: &Fault| sources.file(fault.span.file).line_column(fault.reported_at).line;
        parsed.faults.iter().map(|fault| (line(fault), fault.message.clone())).collect()
    }

    #[test]
    fn every_text_comes_back_byte_for_byte() {
        let pieces: [&[u8]; 20] = [
            b"a",
            b" ",
            b"\n",
            b";",
            b"{",
            b"}",
            b"\"",
            b"'",
            b"\\",
            b"#",
            b"$",
            b"${",
            b")",
            b"\xff",
            b"\r\n",
            b"location /a {",
            b"deny all;",
            b"x_by_lua_block {",
            b"[[",
            b"\0",
        ];
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..4000 {
            let mut text = Vec::new();
            for _ in 0..random(40) {
                text.extend_from_slice(pieces[random(pieces.len())]);
            }
            let (sources, parsed) = read(&text);
            assert_eq!(to_source(&parsed.tree, FileId(0), &sources), text, "{:?}", String::from_utf8_lossy(&text));
            let mut glued = Vec::new();
            let rest = glue(parsed.tree.items(), 0, &sources, &mut glued);
            glued.extend_from_slice(&text[rest..]);
            assert!(text[rest..].iter().copied().all(lex::is_blank));
            assert_eq!(glued, text, "{:?}", String::from_utf8_lossy(&text));
        }
    }

    #[test]
    fn faults_carry_the_line_that_nginx_names() {
        let one = |line, message: &str| vec![(line, message.to_owned())];
        assert_eq!(faults("a;\n;"), one(2, "unexpected \";\""));
        assert_eq!(faults("a\n}\nb;"), [(2, "unexpected \"}\"".to_owned()), (2, "unexpected \"}\"".to_owned())]);
        assert_eq!(faults("a {\n b\n}\nc;"), one(3, "unexpected \"}\""));
        assert_eq!(faults("a {\n b;\n"), one(3, "unexpected end of file, expecting \"}\""));
        assert_eq!(faults("a \"b"), one(1, "unexpected end of file, expecting \";\" or \"}\""));
        assert_eq!(faults("a \"b\"c;"), one(1, "unexpected \"c\""));
        assert_eq!(faults("if ($a = \"b\") {}"), []);
        assert_eq!(faults("}\na;"), one(1, "unexpected \"}\""));
    }

    #[test]
    fn the_rest_of_the_file_is_understood_after_a_fault() {
        let (sources, parsed) = read(b"server {\n listen 80\n}\n{ x; }\nroot /a;\n");
        let names: Vec<&[u8]> = parsed.tree.directives().map(|directive| directive.name().value(&sources)).collect();
        assert_eq!(names, [&b"server"[..], b"x", b"root"]);
    }

    #[test]
    fn a_word_may_have_4095_bytes_and_no_more() {
        let word = |length: usize, end: &str| format!("a {}{end}\n\n", "x".repeat(length));
        assert_eq!(faults(&word(4095, ";")), []);
        assert_eq!(faults(&word(4094, " ;")), []);
        let long = "too long parameter \"xxxxxxxxxx...\" started".to_owned();
        assert_eq!(faults(&word(4095, " ;")), [(1, long.clone())]);
        assert_eq!(faults(&word(4096, ";")), [(1, long)]);
        let quoted = format!("\na \"{}\";\n\n", "x".repeat(5000));
        assert_eq!(
            faults(&quoted),
            [(2, "too long parameter, probably missing terminating \"\"\" character".to_owned())]
        );
        assert_eq!(faults(&format!("#{}\n", "x".repeat(4094))), []);
        assert_eq!(faults(&format!("\n#{}\na;", "x".repeat(4095))).len(), 1);
    }

    #[test]
    fn lua_is_kept_and_not_read() {
        let (sources, parsed) = read(b"location / { access_by_lua_block { if x then y = { '}' } end } deny all; }");
        let location = parsed.tree.directives().next().expect("a location");
        let inside: Vec<Directive> = location.children().collect();
        assert_eq!(inside.len(), 2);
        assert_eq!(sources.text(inside[0].raw_block().expect("raw")), b" if x then y = { '}' } end ");
        assert_eq!(inside[1].arg(0, &sources), Some(&b"all"[..]));
        assert_eq!(parsed.faults, []);
    }

    #[test]
    fn hostile_depth_is_a_limit_and_not_a_crash() {
        let text = "a{".repeat(100_000);
        let (sources, parsed) = read(text.as_bytes());
        assert_eq!(to_source(&parsed.tree, FileId(0), &sources), text.as_bytes());
        assert_eq!(parsed.faults[0].kind, ProblemKind::Limit);
    }
}

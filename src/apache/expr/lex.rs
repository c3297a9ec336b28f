//! The scanner of `ap_expr` (`server/util_expr_scan.l`): a state machine over bytes, because what a byte means depends
//! on whether it stands in an expression, a string, a variable name or the argument of a function in a string.

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `true`.
    True,
    /// `false`.
    False,
    /// `-?[0-9]+`.
    Digits(Vec<u8>),
    /// A name: of a function, or of a variable after `%{`.
    Name(Vec<u8>),
    /// A stretch of literal text inside a string.
    Text(Vec<u8>),
    /// `/re/` or `m#re#`, with its `i`.
    Regex { source: Vec<u8>, caseless: bool },
    /// `$0` to `$9`.
    Backref(usize),
    /// `-x`: one character.
    Unary(u8),
    /// `-word`.
    Binary(Vec<u8>),
    /// A comparison.
    Compare(Compare),
    /// `in`, `-in`.
    In,
    /// `=~`.
    Matches,
    /// `!~`.
    MatchesNot,
    /// `and`, `&&`.
    And,
    /// `or`, `||`.
    Or,
    /// `not`, `!`.
    Not,
    /// `.`.
    Concat,
    /// An opening quote.
    StringStart,
    /// A closing quote.
    StringEnd,
    /// `%{`.
    VariableStart,
    /// The `}` of a variable.
    VariableEnd,
    /// One of `( ) { } , :`.
    Punctuation(u8),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    IntEq,
    IntNe,
    IntLt,
    IntLe,
    IntGt,
    IntGe,
    StrEq,
    StrNe,
    StrLt,
    StrLe,
    StrGt,
    StrGe,
}

/// `MAX_STRING_LEN`: the longest piece of a string or regular expression.
const MAX_STRING_LEN: usize = 8192;

/// Where the scanner is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Initial,
    /// In a string; the delimiter, or none where the whole text is a string.
    Text(Option<u8>),
    /// After `%{`.
    Variable,
    /// After the `:` in `%{func:`.
    Argument,
}

/// Splits a whole expression; the error is the scanner's own message.
pub(super) fn tokens(text: &[u8], string: bool) -> Result<Vec<Token>, String> {
    // The server works on C strings.
    let text = &text[..memchr::memchr(0, text).unwrap_or(text.len())];
    let start = if string { State::Text(None) } else { State::Initial };
    let mut lexer = Lexer { text, at: 0, state: vec![start], piece: Vec::new(), tokens: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    /// A stack: a variable inside an argument inside a string goes back to where it came from.
    state: Vec<State>,
    /// Literal text gathered so far.
    piece: Vec<u8>,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            let state = self.state.last().copied().unwrap_or(State::Initial);
            let Some(&byte) = self.text.get(self.at) else {
                return match state {
                    State::Initial => Ok(()),
                    State::Text(None) => {
                        // The end of a string expression is always a piece of text, empty as it may be.
                        self.tokens.push(Token::Text(std::mem::take(&mut self.piece)));
                        Ok(())
                    }
                    _ => Err("Unterminated string or variable".into()),
                };
            };
            match state {
                State::Initial => self.initial(byte)?,
                State::Text(delimiter) => self.string(byte, delimiter)?,
                State::Variable => self.variable(byte)?,
                State::Argument => self.argument(byte)?,
            }
        }
    }

    fn rest(&self) -> &[u8] {
        &self.text[self.at..]
    }

    fn enter(&mut self, state: State) -> Result<(), String> {
        // `%{a:%{b:%{…` nests without bound in the server, whose scanner keeps a stack as well.
        if self.state.len() > MAX_NESTING {
            return Err("expression is nested too deeply".into());
        }
        self.state.push(state);
        Ok(())
    }

    fn initial(&mut self, byte: u8) -> Result<(), String> {
        let rest = self.rest();
        let run = |test: fn(&u8) -> bool| rest.iter().take_while(|byte| test(byte)).count();
        match byte {
            b' ' | b'\t' | b'\n' => self.at += 1,
            b'"' | b'\'' => {
                self.tokens.push(Token::StringStart);
                self.at += 1;
                self.enter(State::Text(Some(byte)))?;
            }
            b'%' if rest.get(1) == Some(&b'{') => {
                self.tokens.push(Token::VariableStart);
                self.at += 2;
                self.enter(State::Variable)?;
            }
            b'$' if rest.get(1).is_some_and(u8::is_ascii_digit) => {
                self.tokens.push(Token::Backref(usize::from(rest[1] - b'0')));
                self.at += 2;
            }
            b'/' => self.regex(1, byte)?,
            // `m` and a delimiter is as long as a name of one letter and comes first; a longer name wins.
            b'm' if rest.get(1).is_some_and(|next| b"/#$%^,;:_?|-!.'\"".contains(next)) && name_length(rest) < 3 => {
                self.regex(2, rest[1])?;
            }
            b'a'..=b'z' | b'A'..=b'Z' => {
                let name = rest[..name_length(rest)].to_vec();
                self.at += name.len();
                self.tokens.push(keyword(&name).unwrap_or(Token::Name(name)));
            }
            b'0'..=b'9' => {
                let length = run(u8::is_ascii_digit);
                let digits = rest[..length].to_vec();
                self.at += length;
                self.tokens.push(Token::Digits(digits));
            }
            b'-' => self.dash()?,
            b'(' | b')' | b'{' | b'}' | b',' | b':' => {
                self.tokens.push(Token::Punctuation(byte));
                self.at += 1;
            }
            _ => self.operator(byte)?,
        }
        Ok(())
    }

    fn dash(&mut self) -> Result<(), String> {
        let rest = &self.rest()[1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            self.tokens.push(Token::Digits(self.text[self.at..=self.at + digits].to_vec()));
            self.at += 1 + digits;
            return Ok(());
        }
        let word = match rest.first() {
            Some(first) if first.is_ascii_alphabetic() || *first == b'_' => &rest[..word_length(rest)],
            _ => return Err("Parse error near '-'".into()),
        };
        let token = match word {
            [one] => Token::Unary(*one),
            b"in" => Token::In,
            b"eq" => Token::Compare(Compare::IntEq),
            b"ne" => Token::Compare(Compare::IntNe),
            b"ge" => Token::Compare(Compare::IntGe),
            b"le" => Token::Compare(Compare::IntLe),
            b"gt" => Token::Compare(Compare::IntGt),
            b"lt" => Token::Compare(Compare::IntLt),
            _ => Token::Binary(word.to_vec()),
        };
        self.at += 1 + word.len();
        self.tokens.push(token);
        Ok(())
    }

    fn operator(&mut self, byte: u8) -> Result<(), String> {
        let (token, length) = match (byte, self.rest().get(1)) {
            (b'=', Some(b'~')) => (Token::Matches, 2),
            (b'=', Some(b'=')) => (Token::Compare(Compare::StrEq), 2),
            (b'=', _) => (Token::Compare(Compare::StrEq), 1),
            (b'!', Some(b'~')) => (Token::MatchesNot, 2),
            (b'!', Some(b'=')) => (Token::Compare(Compare::StrNe), 2),
            (b'!', _) => (Token::Not, 1),
            (b'<', Some(b'=')) => (Token::Compare(Compare::StrLe), 2),
            (b'<', _) => (Token::Compare(Compare::StrLt), 1),
            (b'>', Some(b'=')) => (Token::Compare(Compare::StrGe), 2),
            (b'>', _) => (Token::Compare(Compare::StrGt), 1),
            (b'&', Some(b'&')) => (Token::And, 2),
            (b'|', Some(b'|')) => (Token::Or, 2),
            (b'.', _) => (Token::Concat, 1),
            _ => return Err(format!("Parse error near '{}'", char::from(byte))),
        };
        self.at += length;
        self.tokens.push(token);
        Ok(())
    }

    fn regex(&mut self, opening: usize, delimiter: u8) -> Result<(), String> {
        let body = &self.rest()[opening..];
        // Without a closing delimiter the scanner meets the end inside the expression: no token, and so no operand.
        let Some(length) = memchr::memchr(delimiter, body) else {
            self.at = self.text.len();
            return Ok(());
        };
        if length >= MAX_STRING_LEN {
            return Err("Regexp too long".into());
        }
        let source = body[..length].to_vec();
        let caseless = body.get(length + 1) == Some(&b'i');
        self.at += opening + length + 1 + usize::from(caseless);
        self.tokens.push(Token::Regex { source, caseless });
        Ok(())
    }

    fn string(&mut self, byte: u8, delimiter: Option<u8>) -> Result<(), String> {
        match byte {
            b'\n' => return Err("Unterminated string or variable".into()),
            b'\\' => self.escape()?,
            b'$' if self.rest().get(1).is_some_and(u8::is_ascii_digit) => self.backref(),
            b'%' if self.rest().get(1) == Some(&b'{') => {
                self.flush();
                self.tokens.push(Token::VariableStart);
                self.at += 2;
                self.enter(State::Variable)?;
            }
            _ if Some(byte) == delimiter => {
                self.flush();
                self.tokens.push(Token::StringEnd);
                self.at += 1;
                self.state.pop();
            }
            _ => self.append(byte)?,
        }
        Ok(())
    }

    fn variable(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'}' => {
                self.tokens.push(Token::VariableEnd);
                self.at += 1;
                self.state.pop();
            }
            b':' => {
                self.tokens.push(Token::Punctuation(b':'));
                self.at += 1;
                self.state.pop();
                self.enter(State::Argument)?;
            }
            b'\n' => return Err("Unterminated string or variable".into()),
            b'a'..=b'z' | b'A'..=b'Z' => {
                let name = self.rest()[..name_length(self.rest())].to_vec();
                self.at += name.len();
                self.tokens.push(Token::Name(name));
            }
            _ => return Err(format!("Invalid character in variable name '{}'", char::from(byte))),
        }
        Ok(())
    }

    fn argument(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'\n' => return Err("Unterminated string or variable".into()),
            b'\\' => self.escape()?,
            b'$' if self.rest().get(1).is_some_and(u8::is_ascii_digit) => self.backref(),
            b'%' if self.rest().get(1) == Some(&b'{') => {
                self.flush();
                self.tokens.push(Token::VariableStart);
                self.at += 2;
                self.enter(State::Variable)?;
            }
            b'}' => {
                self.flush();
                self.tokens.push(Token::VariableEnd);
                self.at += 1;
                self.state.pop();
            }
            // No rule of the scanner covers a bare quote here; the server dies of it.
            b'"' | b'\'' => return Err("flex scanner jammed".into()),
            _ => self.append(byte)?,
        }
        Ok(())
    }

    fn backref(&mut self) {
        self.flush();
        self.tokens.push(Token::Backref(usize::from(self.text[self.at + 1] - b'0')));
        self.at += 2;
    }

    fn escape(&mut self) -> Result<(), String> {
        let rest = &self.text[self.at + 1..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let octal = rest.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let (byte, length) = match rest.first() {
            // The longest match wins: `\12` is octal, `\128` and `\8` are not.
            Some(b'0'..=b'9') if digits > octal => return Err("Bad escape sequence".into()),
            Some(b'0'..=b'7') => {
                let value = rest[..octal].iter().fold(0_u32, |value, digit| value * 8 + u32::from(digit - b'0'));
                (u8::try_from(value).map_err(|_| "Escape sequence out of bound".to_owned())?, octal)
            }
            Some(b'n') => (b'\n', 1),
            Some(b'r') => (b'\r', 1),
            Some(b't') => (b'\t', 1),
            Some(b'b') => (8, 1),
            Some(b'f') => (12, 1),
            Some(&other) => (other, 1),
            None => return Err("flex scanner jammed".into()),
        };
        self.append(byte)?;
        self.at += length;
        Ok(())
    }

    fn append(&mut self, byte: u8) -> Result<(), String> {
        self.piece.push(byte);
        if self.piece.len() >= MAX_STRING_LEN {
            return Err("String too long".into());
        }
        self.at += 1;
        Ok(())
    }

    fn flush(&mut self) {
        if !self.piece.is_empty() {
            // Pieces are C strings: `\0` ends one early.
            let end = memchr::memchr(0, &self.piece).unwrap_or(self.piece.len());
            self.piece.truncate(end);
            self.tokens.push(Token::Text(std::mem::take(&mut self.piece)));
        }
    }
}

/// A limit of ours on nested variables; nobody writes more than two.
const MAX_NESTING: usize = 64;

fn name_length(text: &[u8]) -> usize {
    match text.first() {
        Some(first) if first.is_ascii_alphabetic() => word_length(text),
        _ => 0,
    }
}

fn word_length(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

fn keyword(name: &[u8]) -> Option<Token> {
    Some(match name {
        b"true" => Token::True,
        b"false" => Token::False,
        b"and" => Token::And,
        b"or" => Token::Or,
        b"not" => Token::Not,
        b"in" => Token::In,
        b"eq" => Token::Compare(Compare::IntEq),
        b"ne" => Token::Compare(Compare::IntNe),
        b"lt" => Token::Compare(Compare::IntLt),
        b"le" => Token::Compare(Compare::IntLe),
        b"gt" => Token::Compare(Compare::IntGt),
        b"ge" => Token::Compare(Compare::IntGe),
        _ => return None,
    })
}

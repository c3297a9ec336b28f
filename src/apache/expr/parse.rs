//! The grammar of `ap_expr` (`server/util_expr_parse.y`): `not` binds before `and`, `and` before `or`; words are
//! joined by `.`; names of variables, functions and operators are looked up while reading, so that an unknown one is a
//! configuration error.

use super::lex::{Compare, Token, tokens};
use super::{Context, FileTest, Function, Node, Pieces, Probe, StringMatch, Table, Unary, Word, variable_name};
use crate::apache::access::address::Network;
use crate::pattern::{Options, Pattern};

/// A limit of ours on nested parentheses and calls (the server's own is some thousands).
const MAX_DEPTH: usize = 300;

/// Parses an expression with a truth value.
pub(super) fn parse_bool(text: &[u8], context: Context) -> Result<Node, String> {
    let mut parser = Parser::new(text, false, context)?;
    let node = parser.expr()?;
    parser.end()?;
    parser.finish(node)
}

/// Parses a string expression.
pub(super) fn parse_string(text: &[u8], context: Context) -> Result<Word, String> {
    let mut parser = Parser::new(text, true, context)?;
    let word = parser.string()?;
    parser.end()?;
    parser.finish(word)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    context: Context,
    /// The first unknown name: the server goes on reading, and says so only if the rest is well formed.
    lookup_error: Option<String>,
}

impl Parser {
    fn new(text: &[u8], string: bool, context: Context) -> Result<Parser, String> {
        Ok(Parser { tokens: tokens(text, string)?, at: 0, depth: 0, context, lookup_error: None })
    }

    fn finish<T>(self, value: T) -> Result<T, String> {
        match self.lookup_error {
            Some(message) => Err(message),
            None => Ok(value),
        }
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn eat(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &Token) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn end(&mut self) -> Result<(), String> {
        if self.at >= self.tokens.len() { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> String {
        match self.peek() {
            None => "syntax error, unexpected $end".into(),
            Some(token) => format!("syntax error, unexpected {}", describe(token)),
        }
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("memory exhausted".into());
        }
        let result = parse(self);
        self.depth -= 1;
        result
    }

    /// `expr`, at the level of `or`.
    fn expr(&mut self) -> Result<Node, String> {
        let mut alternatives = vec![self.conjunction()?];
        while self.eat(&Token::Or) {
            alternatives.push(self.conjunction()?);
        }
        Ok(single(alternatives, Node::Or))
    }

    fn conjunction(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.negation()?];
        while self.eat(&Token::And) {
            parts.push(self.negation()?);
        }
        Ok(single(parts, Node::And))
    }

    fn negation(&mut self) -> Result<Node, String> {
        let mut negated = false;
        while self.eat(&Token::Not) {
            negated = !negated;
        }
        let node = self.nested(Self::primary)?;
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    fn primary(&mut self) -> Result<Node, String> {
        match self.peek() {
            Some(Token::True) => {
                self.at += 1;
                Ok(Node::Constant(true))
            }
            Some(Token::False) => {
                self.at += 1;
                Ok(Node::Constant(false))
            }
            Some(Token::Punctuation(b'(')) => {
                self.at += 1;
                let node = self.expr()?;
                self.expect(&Token::Punctuation(b')'))?;
                Ok(node)
            }
            Some(&Token::Unary(name)) => {
                self.at += 1;
                let operand = self.word()?;
                Ok(self.unary(name, operand))
            }
            _ => self.comparison(),
        }
    }

    fn comparison(&mut self) -> Result<Node, String> {
        let left = self.word()?;
        match self.next() {
            Some(Token::Compare(operator)) => Ok(Node::Compare { operator, left, right: self.word()? }),
            Some(Token::Binary(name)) => {
                let right = self.word()?;
                Ok(self.binary(&name, left, right))
            }
            Some(Token::In) => self.list(left),
            Some(Token::Matches) => self.regex(left, false),
            Some(Token::MatchesNot) => self.regex(left, true),
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn list(&mut self, needle: Word) -> Result<Node, String> {
        match self.next() {
            Some(Token::Punctuation(b'{')) => {
                let mut words = vec![self.word()?];
                while self.eat(&Token::Punctuation(b',')) {
                    words.push(self.word()?);
                }
                self.expect(&Token::Punctuation(b'}'))?;
                // The server builds its list backwards; only the order of evaluation differs.
                words.reverse();
                Ok(Node::In { needle, words })
            }
            Some(Token::Name(name)) => {
                self.expect(&Token::Punctuation(b'('))?;
                let argument = self.nested(Self::word)?;
                self.expect(&Token::Punctuation(b')'))?;
                if !(self.context.ssl && name.eq_ignore_ascii_case(b"PeerExtList")) {
                    self.unknown("List-returning function", "", &name);
                }
                Ok(Node::InPeerExtensions { needle, argument })
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn regex(&mut self, subject: Word, negated: bool) -> Result<Node, String> {
        let Some(Token::Regex { source, caseless }) = self.next() else {
            self.at -= 1;
            return Err(self.unexpected());
        };
        let pattern = Pattern::new(&source, Options::apache(caseless))
            .map_err(|_| "Failed to compile regular expression".to_owned())?;
        Ok(Node::Regex { subject, pattern, negated })
    }

    /// `word`: pieces joined by `.`.
    fn word(&mut self) -> Result<Word, String> {
        let mut words = vec![self.operand()?];
        while self.eat(&Token::Concat) {
            words.push(self.operand()?);
        }
        Ok(single(words, Word::Concat))
    }

    fn operand(&mut self) -> Result<Word, String> {
        match self.next() {
            Some(Token::Digits(digits)) => Ok(Word::Literal(digits)),
            Some(Token::VariableStart) => self.nested(Self::variable),
            Some(Token::Backref(group)) => Ok(Word::Backref(group)),
            Some(Token::Name(name)) => {
                self.expect(&Token::Punctuation(b'('))?;
                let argument = self.nested(Self::word)?;
                self.expect(&Token::Punctuation(b')'))?;
                Ok(self.function(&name, argument))
            }
            Some(Token::StringStart) => {
                if self.eat(&Token::StringEnd) {
                    return Ok(Word::Literal(Vec::new()));
                }
                let word = self.string()?;
                self.expect(&Token::StringEnd)?;
                Ok(word)
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    /// `string`: at least one piece of text, variable or back-reference.
    fn string(&mut self) -> Result<Word, String> {
        let mut pieces: Pieces = Vec::new();
        loop {
            match self.peek() {
                Some(Token::Text(text)) => pieces.push(Word::Literal(text.clone())),
                Some(&Token::Backref(group)) => pieces.push(Word::Backref(group)),
                Some(Token::VariableStart) => {
                    self.at += 1;
                    pieces.push(self.nested(Self::variable)?);
                    continue;
                }
                _ if pieces.is_empty() => return Err(self.unexpected()),
                _ => return Ok(single(pieces, Word::Concat)),
            }
            self.at += 1;
        }
    }

    /// After `%{`: a variable, or `func:argument`.
    fn variable(&mut self) -> Result<Word, String> {
        let Some(Token::Name(name)) = self.next() else {
            self.at -= 1;
            return Err(self.unexpected());
        };
        match self.next() {
            Some(Token::VariableEnd) => Ok(match variable_name(&name, self.context) {
                Some(variable) => Word::Variable(variable),
                None => {
                    self.unknown("Variable", "", &name);
                    Word::Literal(Vec::new())
                }
            }),
            Some(Token::Punctuation(b':')) => {
                let argument = self.string()?;
                self.expect(&Token::VariableEnd)?;
                Ok(self.function(&name, argument))
            }
            _ => {
                self.at -= 1;
                Err(self.unexpected())
            }
        }
    }

    fn function(&mut self, name: &[u8], argument: Word) -> Word {
        let lower = name.to_ascii_lowercase();
        let function = match lower.as_slice() {
            b"osenv" => Function::Lookup(Table::OsEnvironment),
            b"env" => Function::Lookup(Table::Environment),
            b"resp" => Function::Lookup(Table::ResponseHeader),
            b"req" | b"http" | b"req_novary" => Function::Lookup(Table::RequestHeader),
            b"note" => Function::Lookup(Table::Note),
            b"reqenv" => Function::Lookup(Table::RequestEnvironment),
            b"ssl" if self.context.ssl => Function::Lookup(Table::Ssl),
            b"session" if self.context.session => Function::Lookup(Table::Session),
            b"tolower" => Function::ToLower,
            b"toupper" => Function::ToUpper,
            b"escape" => Function::Escape,
            b"unescape" => Function::Unescape,
            b"base64" => Function::Base64,
            b"unbase64" => Function::Unbase64,
            b"sha1" => Function::Sha1,
            b"md5" => Function::Md5,
            b"ldap" => Function::Ldap,
            b"file" | b"filesize" if self.context.restricted => {
                let name = String::from_utf8_lossy(&lower).into_owned();
                self.lookup_failed(format!("{name} not available in restricted context"));
                Function::ToLower
            }
            b"file" => Function::File,
            b"filesize" => Function::FileSize,
            _ => {
                self.unknown("Function", "", name);
                Function::ToLower
            }
        };
        Word::Call { function, argument: Box::new(argument) }
    }

    fn unary(&mut self, name: u8, operand: Word) -> Node {
        let test = match name {
            b'n' => Unary::NonEmpty,
            b'z' => Unary::Empty,
            b'T' => Unary::Truth,
            b'R' => match self.subnet("R", &operand) {
                Some(net) => Unary::ClientIn(net),
                None => Unary::Empty,
            },
            b'd' => Unary::File(FileTest::Directory),
            b'e' => Unary::File(FileTest::Exists),
            b'f' => Unary::File(FileTest::Regular),
            b's' => Unary::File(FileTest::NonEmpty),
            b'L' | b'h' => Unary::File(FileTest::Link),
            b'x' => Unary::File(FileTest::Executable),
            b'F' => Unary::Probe(Probe::File),
            b'U' | b'A' => Unary::Probe(Probe::Uri),
            _ => {
                self.unknown("Unary operator", "-", &[name]);
                Unary::Empty
            }
        };
        Node::Unary { test, operand }
    }

    fn binary(&mut self, name: &[u8], left: Word, right: Word) -> Node {
        let kind = match name.to_ascii_lowercase().as_slice() {
            b"ipmatch" => {
                return match self.subnet("ipmatch", &right) {
                    Some(net) => Node::IpMatch { address: left, net },
                    None => Node::Constant(false),
                };
            }
            b"fnmatch" => StringMatch::Path,
            b"strmatch" => StringMatch::Text,
            b"strcmatch" => StringMatch::CaselessText,
            _ => {
                self.unknown("Binary operator", "-", name);
                StringMatch::Text
            }
        };
        Node::Match { kind, text: left, pattern: right }
    }

    fn subnet(&mut self, name: &str, word: &Word) -> Option<Network> {
        let Word::Literal(text) = word else {
            self.lookup_failed(format!("-{name} requires subnet/netmask as constant argument"));
            return None;
        };
        let net = Network::parse(text);
        if net.is_err() {
            self.lookup_failed("parsing of subnet/netmask failed".into());
        }
        net.ok()
    }

    fn unknown(&mut self, what: &str, prefix: &str, name: &[u8]) {
        self.lookup_failed(format!("{what} '{prefix}{}' does not exist", String::from_utf8_lossy(name)));
    }

    fn lookup_failed(&mut self, message: String) {
        // The last one is what the server keeps.
        self.lookup_error = Some(message);
    }
}

fn single<T>(mut items: Vec<T>, many: impl FnOnce(Vec<T>) -> T) -> T {
    match items.len() {
        1 => items.remove(0),
        _ => many(items),
    }
}

/// The name that the server's generated parser gives a token in its message.
fn describe(token: &Token) -> String {
    let name = match token {
        Token::True => "T_TRUE",
        Token::False => "T_FALSE",
        Token::Digits(_) => "T_DIGIT",
        Token::Name(_) => "T_ID",
        Token::Text(_) => "T_STRING",
        Token::Regex { caseless: false, .. } => "T_REGEX",
        Token::Regex { caseless: true, .. } => "T_REGEX_I",
        Token::Backref(_) => "T_REGEX_BACKREF",
        Token::Unary(_) => "T_OP_UNARY",
        Token::Binary(_) => "T_OP_BINARY",
        Token::Compare(operator) => match operator {
            Compare::IntEq => "T_OP_EQ",
            Compare::IntNe => "T_OP_NE",
            Compare::IntLt => "T_OP_LT",
            Compare::IntLe => "T_OP_LE",
            Compare::IntGt => "T_OP_GT",
            Compare::IntGe => "T_OP_GE",
            Compare::StrEq => "T_OP_STR_EQ",
            Compare::StrNe => "T_OP_STR_NE",
            Compare::StrLt => "T_OP_STR_LT",
            Compare::StrLe => "T_OP_STR_LE",
            Compare::StrGt => "T_OP_STR_GT",
            Compare::StrGe => "T_OP_STR_GE",
        },
        Token::In => "T_OP_IN",
        Token::Matches => "T_OP_REG",
        Token::MatchesNot => "T_OP_NRE",
        Token::And => "T_OP_AND",
        Token::Or => "T_OP_OR",
        Token::Not => "T_OP_NOT",
        Token::Concat => "T_OP_CONCAT",
        Token::StringStart => "T_STR_BEGIN",
        Token::StringEnd => "T_STR_END",
        Token::VariableStart => "T_VAR_BEGIN",
        Token::VariableEnd => "T_VAR_END",
        Token::Punctuation(byte) => return format!("'{}'", char::from(*byte)),
    };
    name.to_owned()
}

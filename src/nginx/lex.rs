//! nginx's lexer: words, quotes, escapes, comments (`ngx_conf_read_token`; grammars/nginx.md, "Tokens").
//!
//! Works on bytes; every byte belongs to exactly one token, so that the text can be put together again.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while1};
use nom::combinator::{map, opt, value};
use nom::error::{Error, ErrorKind};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

/// Size of nginx's reading buffer. A word or comment that fills it is refused, so the longest has one byte less.
pub const BUFFER: usize = 4096;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Space, tab, CR, LF: nothing else is white space, not even a form feed.
    Blank,
    /// From `#` up to the line feed.
    Comment,
    /// A word, with its quotes.
    Word(Quote),
    /// `;`
    Semicolon,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// How a word was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Without quotes, escapes and variables.
    Plain,
    /// Without quotes.
    None,
    /// In `'…'` or `"…"`.
    Closed(u8),
    /// A quote that the end of the file left open.
    Open(u8),
}

/// nginx's white space.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The next token. Fails only on empty input.
pub fn token(input: &[u8]) -> IResult<&[u8], Token> {
    let Some((&first, rest)) = input.split_first() else {
        return Err(nom::Err::Error(Error::new(input, ErrorKind::Eof)));
    };
    match first {
        b' ' | b'\t' | b'\r' | b'\n' => value(Token::Blank, take_while(is_blank)).parse(rest),
        b'#' => value(Token::Comment, take_till(|byte| byte == b'\n')).parse(rest),
        b';' => Ok((rest, Token::Semicolon)),
        b'{' => Ok((rest, Token::Open)),
        b'}' => Ok((rest, Token::Close)),
        b'"' | b'\'' => map(quoted(first), Token::Word).parse(input),
        _ => plain(input).or_else(|_| value(Token::Word(Quote::None), unquoted).parse(input)),
    }
}

/// A backslash and whatever follows it; at the end of the file nothing does.
fn escape(input: &[u8]) -> IResult<&[u8], ()> {
    value((), preceded(tag("\\"), opt(take(1usize)))).parse(input)
}

/// Everything up to the same quote; line feeds are ordinary here, and a backslash protects any byte.
fn quoted<'a>(quote: u8) -> impl Parser<&'a [u8], Output = Quote, Error = nom::error::Error<&'a [u8]>> {
    let plain = move |input| value((), take_while1(move |byte| byte != quote && byte != b'\\')).parse(input);
    let body = fold_many0(alt((plain, escape)), || (), |(), ()| ());
    let mark = move |input: &'a [u8]| tag(&[quote][..]).parse(input);
    delimited(mark, body, nom::combinator::success(())).and(opt(mark)).map(move |((), closing): ((), Option<&[u8]>)| {
        if closing.is_some() { Quote::Closed(quote) } else { Quote::Open(quote) }
    })
}

/// Bytes that go on with a word, whatever they follow.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let others = b" \t\r\n;{\\$";
    let mut at = 0;
    while at < others.len() {
        plain[others[at] as usize] = false;
        at += 1;
    }
    plain
};

/// A word that is plain from end to end, as most are.
fn plain(input: &[u8]) -> IResult<&[u8], Token> {
    let length = input.iter().position(|&byte| !PLAIN[usize::from(byte)]).unwrap_or(input.len());
    match input.get(length) {
        Some(b'\\' | b'$') => Err(nom::Err::Error(Error::new(input, ErrorKind::Verify))),
        _ => Ok((&input[length..], Token::Word(Quote::Plain))),
    }
}

/// A word without quotes ends at white space, `;` or `{`, but not at a `{` after `$` or after `${`: `${name}` is one word.
/// `}`, `#`, quotes and parentheses are ordinary bytes inside it.
fn unquoted(input: &[u8]) -> IResult<&[u8], ()> {
    let ends = |byte: u8| is_blank(byte) || byte == b';' || byte == b'{';
    let plain = |input| value((), take_while1(move |byte| !ends(byte) && byte != b'\\' && byte != b'$')).parse(input);
    let variable = value((), (tag("$"), take_till(|byte| byte != b'{')));
    fold_many0(alt((plain, variable, escape)), || (), |(), ()| ()).parse(input)
}

/// Undoes the escapes that nginx knows: `\"`, `\'`, `\\`, `\t`, `\r`, `\n`; any other backslash stays. `None` where
/// there is nothing to undo.
pub fn unescape(raw: &[u8]) -> Option<Box<[u8]>> {
    memchr::memchr(b'\\', raw)?;
    let mut value = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, tail @ ..] = rest {
        let (byte, after) = match (first, tail) {
            (b'\\', [b'"' | b'\'' | b'\\', after @ ..]) => (tail[0], after),
            (b'\\', [b't', after @ ..]) => (b'\t', after),
            (b'\\', [b'r', after @ ..]) => (b'\r', after),
            (b'\\', [b'n', after @ ..]) => (b'\n', after),
            _ => (*first, tail),
        };
        value.push(byte);
        rest = after;
    }
    Some(value.into())
}

/// The body of a `*_by_lua_block { … }` from behind the `{` up to its matching `}`, which is not consumed. Braces in Lua
/// strings and comments do not count. Fails where the end of the file comes first.
pub fn lua_body(input: &[u8]) -> IResult<&[u8], &[u8]> {
    let mut depth = 0usize;
    let mut rest = input;
    loop {
        let (after, piece) = lua_piece(rest)?;
        match piece {
            Lua::Open => depth += 1,
            Lua::Close if depth == 0 => return Ok((rest, &input[..input.len() - rest.len()])),
            Lua::Close => depth -= 1,
            Lua::Text => {}
        }
        rest = after;
    }
}

#[derive(Clone, Copy)]
enum Lua {
    Open,
    Close,
    Text,
}

fn lua_piece(input: &[u8]) -> IResult<&[u8], Lua> {
    let special = |byte: u8| matches!(byte, b'{' | b'}' | b'"' | b'\'' | b'[' | b'-');
    alt((
        value(Lua::Text, take_while1(move |byte| !special(byte))),
        value(Lua::Open, tag("{")),
        value(Lua::Close, tag("}")),
        value(Lua::Text, quoted(b'"')),
        value(Lua::Text, quoted(b'\'')),
        value(Lua::Text, preceded(tag("--"), lua_long)),
        value(Lua::Text, preceded(tag("--"), take_till(|byte| byte == b'\n'))),
        value(Lua::Text, lua_long),
        value(Lua::Text, take(1usize)),
    ))
    .parse(input)
}

/// `[[…]]`, `[=[…]=]`, …: a long string or, after `--`, a long comment.
fn lua_long(input: &[u8]) -> IResult<&[u8], ()> {
    let (body, level) = delimited(tag("["), take_till(|byte| byte != b'='), tag("[")).parse(input)?;
    let closing: Vec<u8> = [b"]", level, b"]"].concat();
    let (rest, _) = (nom::bytes::complete::take_until(&closing[..]), take(closing.len())).parse(body)?;
    Ok((rest, ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<(&str, Token)> {
        let mut rest = text.as_bytes();
        let mut tokens = Vec::new();
        while let Ok((after, token)) = super::token(rest) {
            let length = rest.len() - after.len();
            assert!(length > 0, "no progress at {rest:?}");
            tokens.push((std::str::from_utf8(&rest[..length]).expect("ASCII"), token));
            rest = after;
        }
        tokens.retain(|(_, token)| *token != Token::Blank);
        tokens
    }

    fn words(text: &str) -> Vec<&str> {
        split(text).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn a_word_ends_where_nginx_ends_it() {
        assert_eq!(words("location /a{return 403;}"), ["location", "/a", "{", "return", "403", ";", "}"]);
        assert_eq!(words("return 403}"), ["return", "403}"]);
        assert_eq!(words("set $a ${b}c;"), ["set", "$a", "${b}c", ";"]);
        assert_eq!(words("a${{b"), ["a${{b"]);
        assert_eq!(words("~ ^/a{2}"), ["~", "^/a", "{", "2}"]);
        assert_eq!(words(r"a\ b\;c d"), [r"a\ b\;c", "d"]);
        assert_eq!(words(r"a$\{b"), [r"a$\{b"]);
        assert_eq!(words("a#b #c;\nd"), ["a#b", "#c;", "d"]);
    }

    #[test]
    fn quotes_hold_everything_but_the_same_quote() {
        assert_eq!(words("\"a;\n'b\\\"c\" d"), ["\"a;\n'b\\\"c\"", "d"]);
        assert_eq!(split("'ab")[0].1, Token::Word(Quote::Open(b'\'')));
        assert_eq!(split("\"\"")[0].1, Token::Word(Quote::Closed(b'"')));
    }

    #[test]
    fn only_six_escapes_are_undone() {
        assert_eq!(unescape(br#"a\"\'\\\t\r\n\.\;\ "#).as_deref(), Some(&b"a\"'\\\t\r\n\\.\\;\\ "[..]));
        assert_eq!(unescape(b"plain"), None);
    }

    #[test]
    fn lua_braces_count_only_outside_strings_and_comments() {
        let body = b" local t = { '}', \"}\\\"}\", [==[ ]] } ]==] } -- }\n--[[ } ]] x[1] = a-b } after";
        let (rest, inside) = lua_body(body).expect("closed");
        assert_eq!(rest, b"} after");
        assert!(inside.ends_with(b"a-b "));
        assert!(lua_body(b"{ }").is_err());
    }
}

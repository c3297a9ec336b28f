//! From a question as people or programs put it (a URL and a few options, a JSON line) to a [`Request`] on the wire.
//!
//! The rules are the contract's: the path goes in raw, Host comes from the URL unless one is given, and what cannot be
//! sent is an [`AskError`] that names the field.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer};

use crate::request::{ClientCert, Destination, HttpVersion, Peer, Request, Scheme};

/// Why something could not be asked: the field of the request line, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskError {
    /// The field (`url`, `from`, `headers`…); `line` where the line as a whole is no request.
    pub field: &'static str,
    /// What is wrong, as a clause.
    pub message: String,
}

impl AskError {
    /// An error in this field.
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        AskError { field, message: message.into() }
    }
}

/// Name and value of a header line; without a value it is not sent.
pub type Header<'q> = (Cow<'q, str>, Option<Cow<'q, str>>);

/// A header line as bytes, to be sent.
type Line = (Vec<u8>, Vec<u8>);

/// A request as it is asked for. Everything but `url` has a default.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Question<'q> {
    /// Echoed in the answer; defaults to the line number.
    #[serde(borrow, default)]
    pub id: Option<Id<'q>>,
    /// `GET` where nothing is said.
    #[serde(borrow, default)]
    pub method: Option<Cow<'q, str>>,
    /// A URL or a bare path.
    #[serde(borrow, default)]
    pub url: Option<Cow<'q, str>>,
    /// The TCP peer, or `unix:`.
    #[serde(borrow, default)]
    pub from: Option<Cow<'q, str>>,
    /// The local address reached.
    #[serde(borrow, default)]
    pub to: Option<Cow<'q, str>>,
    /// Header lines in order; a value of null is not sent.
    #[serde(borrow, default)]
    pub headers: Option<Vec<Header<'q>>>,
    /// `NAME[:PASS]`, sent as Basic authorization.
    #[serde(borrow, default)]
    pub user: Option<Cow<'q, str>>,
    /// `1.1`, `1.0`, …
    #[serde(borrow, default)]
    pub version: Option<Cow<'q, str>>,
    /// Send no Host that was not given as a header.
    #[serde(default)]
    pub no_host: Option<bool>,
    /// `none`, `ok`, `failed`, or the path of a PEM file.
    #[serde(borrow, default)]
    pub client_cert: Option<Cow<'q, str>>,
    /// The raw request target where it is not the URL's path.
    #[serde(borrow, default)]
    pub target: Option<Cow<'q, str>>,
}

/// The id of a request line: a string, or a number that is echoed as its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id<'q> {
    /// Text.
    Text(Cow<'q, str>),
    /// A number.
    Number(i64),
}

/// By hand: trying one form after the other makes an error message for each number.
impl<'de: 'q, 'q> Deserialize<'de> for Id<'q> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Id<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Id<'de>, E> {
                Ok(Id::Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Id<'de>, E> {
                Ok(Id::Text(text.to_owned().into()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Id<'de>, E> {
                Ok(Id::Number(number))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Id<'de>, E> {
                i64::try_from(number).map(Id::Number).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl std::fmt::Display for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Id::Text(text) => f.write_str(text),
            Id::Number(number) => write!(f, "{number}"),
        }
    }
}

/// The id of a line, as far as one can be read in it even where the line cannot be asked.
pub fn id_of(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    match value.get("id")? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Reads a request line.
pub fn read(line: &str) -> Result<Question<'_>, AskError> {
    // serde would take an array for the fields in order.
    if line.trim_start().starts_with('[') {
        return Err(AskError::new("line", "a request line is a JSON object"));
    }
    serde_json::from_str(line).map_err(|error| blame(line, &error))
}

/// The field for which a line was refused. Slow, and only for lines that are wrong.
fn blame(line: &str, error: &serde_json::Error) -> AskError {
    let fields = match serde_json::from_str::<serde_json::Value>(line) {
        Ok(serde_json::Value::Object(fields)) => fields,
        Ok(_) => return AskError::new("line", "a request line is a JSON object"),
        Err(error) => return AskError::new("line", format!("not JSON: {error}")),
    };
    const TEXT: [&str; 8] = ["method", "url", "from", "to", "user", "version", "client_cert", "target"];
    for field in TEXT {
        if fields.get(field).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return AskError::new(field, format!("`{field}` is a string"));
        }
    }
    if fields.get("id").is_some_and(|id| !id.is_string() && !id.is_i64() && !id.is_null()) {
        return AskError::new("id", "`id` is a string");
    }
    if fields.get("no_host").is_some_and(|value| !value.is_boolean() && !value.is_null()) {
        return AskError::new("no_host", "`no_host` is true or false");
    }
    let pairs = |value: &serde_json::Value| {
        value.as_array().is_some_and(|lines| {
            lines.iter().all(|line| {
                line.as_array().is_some_and(|pair| {
                    pair.len() == 2 && pair[0].is_string() && (pair[1].is_string() || pair[1].is_null())
                })
            })
        })
    };
    if fields.get("headers").is_some_and(|value| !value.is_null() && !pairs(value)) {
        return AskError::new("headers", "`headers` is a list of [name, value] pairs; a value is a string or null");
    }
    AskError::new("line", error.to_string())
}

/// The request that a question asks for. `pem` reads the certificate file that `client_cert` names.
pub fn request(question: &Question, pem: impl FnOnce(&str) -> Result<Vec<u8>, String>) -> Result<Request, AskError> {
    let url = question.url.as_deref().ok_or_else(|| AskError::new("url", "`url` is missing"))?;
    let peer = match question.from.as_deref() {
        None => Peer::Ip(IpAddr::from([127, 0, 0, 1])),
        Some(text) => peer(text)?,
    };
    let url = Url::parse(url.as_bytes())?;
    let mut to = url.destination();
    if let Some(text) = question.to.as_deref() {
        to.address = Some(address("to", text)?);
    }
    let method = question.method.as_deref().unwrap_or("GET").as_bytes().to_vec();
    if method.is_empty() || method.iter().any(|byte| byte.is_ascii_whitespace()) {
        return Err(AskError::new("method", "a method is one word"));
    }
    let target = match question.target.as_deref() {
        Some(target) => target.as_bytes().to_vec(),
        None => url.target.to_vec(),
    };
    if target.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        let field = if question.target.is_some() { "target" } else { "url" };
        return Err(AskError::new(field, "a request target holds no line end"));
    }
    Ok(Request {
        method,
        target,
        version: question.version.as_deref().map_or(Ok(HttpVersion::HTTP_11), version)?,
        headers: headers(question, &url, peer)?,
        peer,
        to,
        client_cert: match question.client_cert.as_deref() {
            None | Some("none") => ClientCert::None,
            Some("ok") => ClientCert::Ok,
            Some("failed") => ClientCert::Failed,
            Some(path) => ClientCert::Pem(pem(path).map_err(|why| AskError::new("client_cert", why))?),
        },
    })
}

fn peer(text: &str) -> Result<Peer, AskError> {
    match text {
        "unix:" | "unix" => Ok(Peer::Unix),
        text => Ok(Peer::Ip(address("from", text)?)),
    }
}

fn address(field: &'static str, text: &str) -> Result<IpAddr, AskError> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| AskError::new(field, format!("`{text}` is not an IP address")))
}

fn version(text: &str) -> Result<HttpVersion, AskError> {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    // `01.1` is another text than `1.1`, and not a version to either server.
    let is_padded = major.len() > 1 && major.starts_with('0');
    match (number(major).filter(|_| !is_padded), number(minor)) {
        (Some(major), Some(minor)) => Ok(HttpVersion { major, minor }),
        _ => Err(AskError::new("version", format!("`{text}` is not a version such as 1.1"))),
    }
}

/// The header lines in the order in which they are sent: Host, the ones given, Authorization.
fn headers(question: &Question, url: &Url, peer: Peer) -> Result<Vec<Line>, AskError> {
    let given = question.headers.as_deref().unwrap_or_default();
    let names = |name: &str| given.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
    let mut lines = Vec::with_capacity(given.len() + 2);
    if !question.no_host.unwrap_or(false) && !names("host") {
        lines.push((b"Host".to_vec(), url.host_header(peer)));
    }
    for (name, value) in given {
        let Some(value) = value else { continue };
        if name.is_empty() || name.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | b':')) {
            return Err(AskError::new("headers", format!("`{}` is not the name of a header", name.escape_debug())));
        }
        if value.bytes().any(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(AskError::new("headers", format!("the value of `{name}` holds a line end")));
        }
        lines.push((name.as_bytes().to_vec(), value.trim_matches(' ').as_bytes().to_vec()));
    }
    let credentials = match question.user.as_deref() {
        Some(user) if user.contains(':') => Some(user.as_bytes().to_vec()),
        Some(user) => Some(format!("{user}:").into_bytes()),
        None => url.credentials.clone(),
    };
    if let Some(credentials) = credentials {
        let authorization = format!("Basic {}", BASE64_STANDARD.encode(credentials)).into_bytes();
        let given = lines.iter().find(|(key, _)| key.eq_ignore_ascii_case(b"authorization"));
        match given {
            None => lines.push((b"Authorization".to_vec(), authorization)),
            // Recorded requests say the same thing in both ways.
            Some((_, value)) if *value == authorization => {}
            Some(_) => {
                let message = "credentials are given twice: by `user` and by an Authorization header";
                return Err(AskError::new("user", message));
            }
        }
    }
    Ok(lines)
}

/// A URL taken apart; nothing in it is decoded or normalised.
#[derive(Debug, PartialEq, Eq)]
struct Url<'u> {
    scheme: Option<Scheme>,
    /// Host as written, IPv6 brackets kept; empty for a bare path.
    host: &'u [u8],
    port: Option<u16>,
    credentials: Option<Vec<u8>>,
    target: Cow<'u, [u8]>,
}

impl<'u> Url<'u> {
    fn parse(text: &'u [u8]) -> Result<Self, AskError> {
        let error = |message: &str| AskError::new("url", message);
        if text.starts_with(b"/") || text == b"*" {
            let target = without_fragment(text);
            return Ok(Url { scheme: None, host: b"", port: None, credentials: None, target: target.into() });
        }
        let (scheme, rest) = if let Some(rest) = strip_prefix_caseless(text, b"http://") {
            (Scheme::Http, rest)
        } else if let Some(rest) = strip_prefix_caseless(text, b"https://") {
            (Scheme::Https, rest)
        } else {
            return Err(error("neither an http or https URL nor a path that begins with /"));
        };
        let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (credentials, authority) = match authority.iter().rposition(|&byte| byte == b'@') {
            Some(at) => {
                let mut user: Vec<u8> = percent_encoding::percent_decode(&authority[..at]).collect();
                if !authority[..at].contains(&b':') {
                    user.push(b':');
                }
                (Some(user), &authority[at + 1..])
            }
            None => (None, authority),
        };
        let (host, port) = match authority.iter().rposition(|&byte| byte == b':') {
            Some(at) if !authority[at..].contains(&b']') => (&authority[..at], &authority[at + 1..]),
            _ => (authority, &b""[..]),
        };
        if host.is_empty() {
            return Err(error("the URL names no host"));
        }
        if host.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err(error("a blank in the host"));
        }
        if host.starts_with(b"[") && bracketed(host).is_none() {
            return Err(error("the address in brackets is not an IPv6 address"));
        }
        let port = match port {
            b"" => None,
            digits => Some(
                std::str::from_utf8(digits)
                    .ok()
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse().ok())
                    .filter(|&port| port != 0)
                    .ok_or_else(|| error("the port is not a number from 1 to 65535"))?,
            ),
        };
        let path = without_fragment(path);
        let target = if path.starts_with(b"/") { path.into() } else { [b"/", path].concat().into() };
        Ok(Url { scheme: Some(scheme), host, port, credentials, target })
    }

    fn destination(&self) -> Destination {
        let Some(scheme) = self.scheme else { return Destination::default() };
        let bare = bracketed(self.host).unwrap_or(self.host);
        Destination {
            scheme: Some(scheme),
            address: std::str::from_utf8(bare).ok().and_then(|host| host.parse().ok()),
            port: Some(self.port.unwrap_or(default_port(scheme))),
            name: Some(bare.to_vec()),
        }
    }

    /// What a client puts into Host: the port only where it is not the scheme's own. A bare path is asked of the
    /// loopback address, a Host that names nobody.
    fn host_header(&self, peer: Peer) -> Vec<u8> {
        let Some(scheme) = self.scheme else {
            return match peer {
                Peer::Ip(IpAddr::V6(_)) => b"[::1]".to_vec(),
                _ => b"127.0.0.1".to_vec(),
            };
        };
        match self.port {
            Some(port) if port != default_port(scheme) => [self.host, format!(":{port}").as_bytes()].concat(),
            _ => self.host.to_vec(),
        }
    }
}

fn default_port(scheme: Scheme) -> u16 {
    match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    }
}

/// The address inside brackets, if it is one.
fn bracketed(host: &[u8]) -> Option<&[u8]> {
    let inner = host.strip_prefix(b"[")?.strip_suffix(b"]")?;
    std::str::from_utf8(inner).ok()?.parse::<std::net::Ipv6Addr>().ok()?;
    Some(inner)
}

/// A fragment stays in the client.
fn without_fragment(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == b'#').next().unwrap_or_default()
}

fn strip_prefix_caseless<'t>(text: &'t [u8], prefix: &[u8]) -> Option<&'t [u8]> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Result<Request, AskError> {
        request(&read(line)?, |path| Err(format!("{path}: none")))
    }

    fn field(line: &str) -> &'static str {
        ask(line).expect_err(line).field
    }

    fn host(line: &str) -> Option<String> {
        let request = ask(line).expect(line);
        request.header("host").next().map(|value| String::from_utf8_lossy(value).into_owned())
    }

    #[test]
    fn a_url_chooses_scheme_port_host_and_raw_path() {
        let request = ask(r#"{"url":"https://a.example:8443/x%2f/../y?q=1#f"}"#).expect("a request");
        assert_eq!(request.target, b"/x%2f/../y?q=1");
        assert_eq!(request.to.scheme, Some(Scheme::Https));
        assert_eq!(request.to.port, Some(8443));
        assert_eq!(request.to.name.as_deref(), Some(&b"a.example"[..]));
        assert_eq!(request.to.address, None);
        assert_eq!(request.header("host").next(), Some(&b"a.example:8443"[..]));
    }

    #[test]
    fn a_literal_address_is_the_address_reached() {
        let request = ask(r#"{"url":"http://[2001:db8::1]/"}"#).expect("a request");
        assert_eq!(request.to.address, "2001:db8::1".parse().ok());
        assert_eq!(request.header("host").next(), Some(&b"[2001:db8::1]"[..]));
        let request = ask(r#"{"url":"http://10.0.0.1/","to":"10.0.0.2"}"#).expect("a request");
        assert_eq!(request.to.address, "10.0.0.2".parse().ok());
    }

    #[test]
    fn the_port_of_the_scheme_is_not_sent() {
        assert_eq!(host(r#"{"url":"http://a:80/"}"#).as_deref(), Some("a"));
        assert_eq!(host(r#"{"url":"http://a:443/"}"#).as_deref(), Some("a:443"));
        assert_eq!(host(r#"{"url":"https://a:443"}"#).as_deref(), Some("a"));
    }

    #[test]
    fn host_comes_from_a_header_or_not_at_all() {
        assert_eq!(host(r#"{"url":"http://a/","headers":[["hOst","b"]]}"#).as_deref(), Some("b"));
        assert_eq!(host(r#"{"url":"http://a/","headers":[["Host",null]]}"#), None);
        assert_eq!(host(r#"{"url":"http://a/","no_host":true}"#), None);
    }

    #[test]
    fn a_bare_path_leaves_the_destination_open() {
        let request = ask(r#"{"url":"/admin/?x"}"#).expect("a request");
        assert_eq!(request.to, Destination::default());
        assert_eq!(request.target, b"/admin/?x");
    }

    #[test]
    fn user_becomes_basic_authorization() {
        let request = ask(r#"{"url":"http://a/","user":"alice:pw"}"#).expect("a request");
        assert_eq!(request.header("authorization").next(), Some(&b"Basic YWxpY2U6cHc="[..]));
        assert_eq!(field(r#"{"url":"http://a/","user":"a:b","headers":[["Authorization","x"]]}"#), "user");
    }

    #[test]
    fn unknown_fields_are_ignored_and_nulls_are_defaults() {
        let line = r#"{"id":null,"url":"http://a","from":null,"headers":null,"target":null,"expect":{"status":1}}"#;
        let request = ask(line).expect("a request");
        assert_eq!((&request.method[..], &request.target[..]), (&b"GET"[..], &b"/"[..]));
    }

    #[test]
    fn what_cannot_be_asked_names_its_field() {
        assert_eq!(field("{"), "line");
        assert_eq!(field("[]"), "line");
        assert_eq!(field("{}"), "url");
        assert_eq!(field(r#"{"url":"ftp://a/"}"#), "url");
        assert_eq!(field(r#"{"url":"http:///x"}"#), "url");
        assert_eq!(field(r#"{"url":"http://a:99999/"}"#), "url");
        assert_eq!(field(r#"{"url":7}"#), "url");
        assert_eq!(field(r#"{"url":"/","from":"10.0.0"}"#), "from");
        assert_eq!(field(r#"{"url":"/","to":"here"}"#), "to");
        assert_eq!(field(r#"{"url":"/","method":"A B"}"#), "method");
        assert_eq!(field(r#"{"url":"/","version":"x"}"#), "version");
        assert_eq!(field(r#"{"url":"/","headers":[["a"]]}"#), "headers");
        assert_eq!(field(r#"{"url":"/","headers":[["a","b\nc"]]}"#), "headers");
        assert_eq!(field(r#"{"url":"/","client_cert":"/none.pem"}"#), "client_cert");
    }
}

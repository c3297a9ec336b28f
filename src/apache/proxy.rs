//! mod_proxy: which requests are handed to another server.
//!
//! `ProxyPass` maps a path in translate_name, `[P]` of mod_rewrite and `SetHandler proxy:…` hand over later. What is
//! mapped to `proxy:URL` has no directories: `<Proxy>` sections stand in for them. The answer of the other side is not
//! ours; a request ends here as upstream.

mod servlet;

use std::sync::Arc;

use crate::apache::escape::substitute;
use crate::apache::fnmatch::{Flags, fnmatch};
use crate::apache::lex::getword_conf;
use crate::apache::model::{Command, DirConf, M_OPTIONS, M_TRACE, Matcher, PerDir};
use crate::apache::request::{Cx, Handled, RequestRec, map_to_storage, proceed};
use crate::apache::variables::scheme;
use crate::apache::{alias, fnmatch, vhost};
use crate::cause;
use crate::fact::{Fact, Subject};
use crate::outcome::Decision;
use crate::pattern::{Options, Pattern};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    passes: Vec<(Arc<Pass>, Origin)>,
    /// `ProxyRequests`.
    forward: Option<Setting<bool>>,
    /// `ProxyBlock`.
    blocked: Vec<(Vec<u8>, Origin)>,
    /// `ProxyPassInherit`.
    inherit: Option<bool>,
    /// The last `ProxyRemote` or `ProxyRemoteMatch`.
    remote: Option<Origin>,
}

/// What a section says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    pass: Option<Setting<Arc<Pass>>>,
    /// `ProxyWebsocketFallbackToProxyHttp`.
    websocket_fallback: Option<Setting<bool>>,
}

/// A `ProxyPass` or `ProxyPassMatch`.
#[derive(Debug)]
struct Pass {
    from: From,
    /// Where to; `!`: nowhere.
    to: Vec<u8>,
    /// The path is passed on as it was sent.
    no_canon: bool,
    /// `mapping=`: the path is mapped before it is decoded, and nothing else maps it then.
    mapping: Option<Mapping>,
}

/// How `mapping=` reads a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mapping {
    /// As it is encoded.
    Encoded,
    /// Its segments without what follows a semicolon.
    Servlet,
}

#[derive(Debug)]
enum From {
    Prefix(Vec<u8>),
    Pattern(Pattern),
}

/// What a `ProxyPass` made of a path.
enum Passed {
    No,
    /// `!`: no other line is tried.
    Excluded,
    To {
        url: Vec<u8>,
        /// Made of the target as it was sent.
        raw: bool,
        /// What `mapping=servlet` makes of the path for everybody else.
        path: Option<Vec<u8>>,
    },
    MatchLimit,
}

impl ServerRecord {
    /// The virtual host's lines first, then the main server's.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        let inherit = vhost.inherit.or(base.inherit);
        let inherited = base.passes.iter().filter(|_| inherit != Some(false));
        ServerRecord {
            passes: vhost.passes.iter().chain(inherited).cloned().collect(),
            forward: vhost.forward.or(base.forward),
            blocked: vhost.blocked.iter().chain(&base.blocked).cloned().collect(),
            inherit,
            remote: vhost.remote.or(base.remote),
        }
    }
}

impl DirRecord {
    /// The later section's line.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        DirRecord {
            pass: new.pass.clone().or_else(|| base.pass.clone()),
            websocket_fallback: new.websocket_fallback.or(base.websocket_fallback),
        }
    }
}

/// Adds a directive to the records of the place where it stands.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    match cmd.name {
        "ProxyPass" | "ProxyPassMatch" => {
            let Some(pass) = parse_pass(cmd) else { return };
            match cmd.path {
                Some(_) => dir.pass = Some(Setting::new(Arc::new(pass), cmd.origin)),
                None => server.passes.push((Arc::new(pass), cmd.origin)),
            }
        }
        "ProxyRequests" => server.forward = Some(Setting::new(cmd.flag(), cmd.origin)),
        "ProxyWebsocketFallbackToProxyHttp" => {
            dir.websocket_fallback = Some(Setting::new(cmd.flag(), cmd.origin));
        }
        "ProxyRemote" | "ProxyRemoteMatch" => server.remote = Some(cmd.origin),
        "ProxyPassInherit" => server.inherit = Some(cmd.flag()),
        "ProxyBlock" => server.blocked.extend(cmd.args.iter().map(|word| (word.to_vec(), cmd.origin))),
        _ => {}
    }
}

/// `add_pass`: path and URL, in a section only the URL; parameters follow.
fn parse_pass(cmd: &Command) -> Option<Pass> {
    let mut rest = cmd.raw;
    let mut words = std::iter::from_fn(|| {
        let word = getword_conf(&mut rest);
        (!word.is_empty()).then(|| word.into_owned())
    });
    let mut regex = cmd.name == "ProxyPassMatch";
    let from = match cmd.path {
        Some(path) => {
            regex |= fnmatch::is_fnmatch(path);
            path.to_vec()
        }
        None => match words.next()? {
            tilde if tilde == b"~" => {
                regex = true;
                words.next()?
            }
            path => path,
        },
    };
    let to = words.next()?;
    let options: Vec<Vec<u8>> = words.collect();
    let no_canon = options.iter().any(|word| word.eq_ignore_ascii_case(b"nocanon"));
    let value = |word: &Vec<u8>| {
        let (key, value) = word.split_at_checked(8)?;
        key.eq_ignore_ascii_case(b"mapping=").then(|| value.eq_ignore_ascii_case(b"servlet"))
    };
    let mappings = options.iter().filter_map(value);
    let mapping = mappings.max().map(|servlet| if servlet { Mapping::Servlet } else { Mapping::Encoded });
    let from = match regex {
        true => From::Pattern(Pattern::new(&from, Options::apache(false)).ok()?),
        false => From::Prefix(from),
    };
    Some(Pass { from, to: without_socket(&to), no_canon, mapping })
}

/// The URL behind `unix:/socket|` (`ap_proxy_de_socketfy`).
fn without_socket(url: &[u8]) -> Vec<u8> {
    let is_socket = url.get(..5).is_some_and(|start| start.eq_ignore_ascii_case(b"unix:"));
    match memchr::memchr(b'|', url) {
        Some(bar) if is_socket => url[bar + 1..].to_vec(),
        _ => url.to_vec(),
    }
}

impl Pass {
    /// `ap_proxy_trans_match`.
    fn apply(&self, r: &RequestRec) -> Passed {
        // `nocanon` hands the target on as it was sent, unless decoding has changed what matches (AH01136).
        let raw = Some(r.unparsed_uri.as_slice()).filter(|_| self.no_canon);
        let mut path = None;
        let (to, raw) = match &self.from {
            From::Prefix(prefix) if self.mapping == Some(Mapping::Servlet) => match servlet::covered(&r.uri, prefix) {
                None => return Passed::No,
                Some((length, normal)) => {
                    path = Some(normal);
                    ([&self.to, &r.uri[length..]].concat(), false)
                }
            },
            From::Prefix(path) => match alias::covered(&r.uri, path) {
                0 => return Passed::No,
                length => {
                    let raw = raw.filter(|raw| alias::covered(raw, path) == length);
                    ([&self.to, &raw.unwrap_or(&r.uri)[length..]].concat(), raw.is_some())
                }
            },
            From::Pattern(pattern) => {
                let on_raw = match raw.map(|raw| pattern.captures(raw)).transpose() {
                    Ok(captures) => captures.flatten(),
                    Err(_) => return Passed::MatchLimit,
                };
                let decoded = match pattern.captures(&r.uri) {
                    Ok(None) => return Passed::No,
                    Err(_) => return Passed::MatchLimit,
                    Ok(Some(captures)) => captures,
                };
                let is_raw = on_raw.is_some();
                let subject = raw.filter(|_| is_raw).unwrap_or(&r.uri);
                match substitute(&self.to, subject, on_raw.as_ref().unwrap_or(&decoded)) {
                    // Without a group in the URL the whole path is added.
                    same if same == self.to => ([&self.to, subject].concat(), is_raw),
                    filled => (filled, is_raw),
                }
            }
        };
        if self.to == b"!" { Passed::Excluded } else { Passed::To { url: to, raw, path } }
    }
}

/// post_read_request (`proxy_detect`): with `ProxyRequests On`, a URL that is not this server's is fetched for the client.
pub(crate) fn detect<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(record) = r.server.proxy.clone() else { return Handled::Declined };
    let Some(Setting { value: true, origin }) = record.forward else { return Handled::Declined };
    if r.method == b"CONNECT" {
        // Which ports are allowed is mod_proxy_connect's affair.
        return cx.unanswerable(Subject::Opaque("ProxyRequests and CONNECT".into()), origin);
    }
    let target = r.unparsed_uri.clone();
    let Some(asked) = r.parsed_uri.scheme.clone() else { return Handled::Declined };
    let own_scheme = scheme(r);
    let default = if own_scheme == b"https" { 443 } else { 80 };
    let port = r.parsed_uri.port.as_ref().and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
    let is_own = asked.eq_ignore_ascii_case(&own_scheme)
        && r.parsed_uri.hostname.as_ref().is_some_and(|host| {
            vhost::matches_request(&cx.config.servers, r.server.index, host, port.unwrap_or(default))
        });
    if !is_own {
        r.proxyreq = true;
        r.forward_proxy = true;
        r.filename = Some([b"proxy:", target.as_slice()].concat());
        r.uri = target;
        r.mapped_by = origin;
        r.handler = Some(Setting { value: b"proxy-server".to_vec(), origin });
    }
    Handled::Declined
}

/// pre_translate_name (`proxy_pre_translate_name`): lines with `mapping=`, while the path is still encoded.
pub(crate) fn pre_translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    map(true, r, cx)
}

/// translate_name, after mod_rewrite and before mod_alias (`proxy_translate_name`).
pub(crate) fn translate_name<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    map(false, r, cx)
}

/// `proxy_trans`: the line of the section first, then the server's.
fn map<'c>(early: bool, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("proxy_module") {
        return Handled::Declined;
    }
    if r.proxyreq {
        return Handled::Ok;
    }
    if r.unparsed_uri == b"*" || r.uri.first() != Some(&b'/') || r.subprocess_env.contains(b"no-proxy") {
        return Handled::Declined;
    }
    let own = r.per_dir.proxy.as_ref().and_then(|dir| dir.pass.clone());
    let own = own.and_then(|setting| Some((setting.value, setting.origin?)));
    let server = r.server.proxy.clone().unwrap_or_default();
    for (pass, origin) in own.iter().chain(&server.passes).filter(|(pass, _)| pass.mapping.is_some() == early) {
        match pass.apply(r) {
            Passed::No => {}
            Passed::Excluded => return Handled::Declined,
            Passed::MatchLimit => {
                return cx.unanswerable(Subject::MatchLimit("ProxyPassMatch".into()), Some(*origin));
            }
            Passed::To { url, raw, path } => {
                let file = [b"proxy:", url.as_slice()].concat();
                cx.note("translate_name", Some(*origin), || Event::Mapped { file: file.clone() });
                if raw {
                    r.notes.set(b"proxy-nocanon", b"1");
                }
                r.uri = path.unwrap_or_else(|| std::mem::take(&mut r.uri));
                r.filename = Some(file);
                r.mapped_by = Some(*origin);
                r.proxyreq = true;
                r.handler = Some(Setting::new(b"proxy-server".to_vec(), *origin));
                return Handled::Ok;
            }
        }
    }
    Handled::Declined
}

/// The URL that a request is mapped to.
fn target<'r>(r: &'r RequestRec) -> Option<&'r [u8]> {
    r.filename.as_deref().filter(|_| r.proxyreq)?.strip_prefix(b"proxy:")
}

/// Whether the request goes to another server: directories and files are not walked for it.
pub(crate) fn is_mapped(r: &RequestRec) -> bool {
    target(r).is_some()
}

/// map_to_storage (`proxy_walk`): the `<Proxy>` sections that match the URL, in configuration order.
pub(crate) fn walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(url) = target(r).map(<[u8]>::to_vec) else { return Handled::Declined };
    for section in r.server.held.proxies.iter() {
        let matched = match &section.matcher {
            Matcher::Literal(prefix) => url.starts_with(prefix.strip_prefix(b"proxy:").unwrap_or(prefix)),
            Matcher::Glob(pattern) => {
                fnmatch(pattern.strip_prefix(b"proxy:").unwrap_or(pattern), &url, Flags::default())
            }
            Matcher::Regex(pattern) => pattern.is_match(&url) == Ok(true),
            Matcher::Condition(_) | Matcher::Otherwise => false,
        };
        if matched {
            cx.note("proxy_walk", Some(section.origin), || Event::SectionMatched { kind: "Proxy" });
            let merged = DirConf::merge(&r.per_dir, &section.conf);
            r.per_dir = PerDir::new(Arc::new(merged), cx.identity());
        }
    }
    Handled::Ok
}

/// fixups (`ap_proxy_canon_url`): what is passed on as it came must not hold control characters.
pub(crate) fn fixups<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    let Some(url) = target(r) else { return Handled::Declined };
    let control = |text: &[u8]| text.iter().any(|byte| *byte <= b' ' || *byte == 0x7f);
    let raw_path = r.notes.contains(b"proxy-nocanon") && control(url);
    if raw_path || r.args.as_deref().is_some_and(control) {
        // The rule or the ProxyPass that handed the request over.
        let by = r.redirected_by.or(r.mapped_by);
        return r.refuse(Decision::new(&cause::apache::PROXY_CONTROL_CHARS).by(by), 403);
    }
    Handled::Ok
}

/// Schemes, and the module that speaks each.
const SCHEMES: [(&str, &str); 14] = [
    ("http", "proxy_http_module"),
    ("https", "proxy_http_module"),
    ("ws", "proxy_wstunnel_module"),
    ("wss", "proxy_wstunnel_module"),
    ("ajp", "proxy_ajp_module"),
    ("fcgi", "proxy_fcgi_module"),
    ("scgi", "proxy_scgi_module"),
    ("uwsgi", "proxy_uwsgi_module"),
    ("ftp", "proxy_ftp_module"),
    ("h2", "proxy_http2_module"),
    ("h2c", "proxy_http2_module"),
    ("fd", "proxy_fdpass_module"),
    ("balancer", "proxy_balancer_module"),
    ("connect", "proxy_connect_module"),
];

/// The first handler (`proxy_handler`).
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("proxy_module") {
        return Handled::Declined;
    }
    let handler = r.handler.clone();
    let url = match (target(r), &handler) {
        (Some(url), _) => url.to_vec(),
        (None, Some(handler)) if !r.proxyreq => match handler.value.strip_prefix(b"proxy:") {
            // What is no URL is taken back, and the next handler looks at the file.
            Some(url) if memchr::memchr(b':', url).is_some() => url.to_vec(),
            _ => return Handled::Declined,
        },
        _ => return Handled::Declined,
    };
    let by = handler.and_then(|handler| handler.origin).or(r.mapped_by);
    let url = without_socket(&url);
    let Some(colon) = memchr::memchr(b':', &url) else {
        return r.refuse(Decision::new(&cause::apache::PROXY_NO_URL).by(by), 400);
    };
    let scheme = String::from_utf8_lossy(&url[..colon]).to_ascii_lowercase();
    let module = SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, module)| *module);
    // A web socket that is none is plain HTTP to the same back end.
    let speaks = module.is_some_and(|module| cx.has_module(module))
        || scheme.starts_with("ws") && cx.has_module("proxy_http_module");
    // Nobody makes a URL of what a handler names either, so that the next one gets the file.
    if !speaks && !r.proxyreq {
        return Handled::Declined;
    }
    proceed!(max_forwards(r));
    if r.method_number == M_TRACE
        && let Some(disabled) = r.server.core.trace_enable.filter(|enabled| !enabled.value)
    {
        let mut decision = Decision::new(&cause::apache::TRACE_DISABLED).by(disabled.origin);
        decision.log = Some("AH01139".to_owned());
        return r.refuse(decision, 405);
    }
    if !speaks || scheme == "https" && !cx.has_module("ssl_module") {
        return r.refuse(Decision::new(&cause::apache::PROXY_NO_PROTOCOL).by(by), 500);
    }
    // Switched off, a request that asks for no web socket is left to whatever handler comes next.
    let fallback = r.per_dir.proxy.as_ref().and_then(|record| record.websocket_fallback);
    if let Some(fallback) = fallback.filter(|fallback| !fallback.value && scheme.starts_with("ws")) {
        return cx.unanswerable(Subject::Opaque("ProxyWebsocketFallbackToProxyHttp".to_owned()), fallback.origin);
    }
    let remote = r.server.proxy.as_ref().and_then(|record| record.remote);
    match blocked(&url[colon + 1..], r) {
        // Another proxy takes every URL that its line fits, also those that it cannot be asked for.
        None if remote.is_some() && !scheme.starts_with("http") => {
            cx.unanswerable(Subject::Opaque("ProxyRemote".to_owned()), remote)
        }
        None => Handled::Upstream,
        // The host is looked up first; one that has no address is 500 (AH00898).
        Some((host, origin)) if !is_address(&host) && !has_address(&host, origin, cx) => {
            r.refuse(Decision::new(&cause::apache::PROXY_NO_ADDRESS).by(by), 500)
        }
        Some((_, origin)) => r.refuse(Decision::new(&cause::apache::PROXY_BLOCK).by(Some(origin)), 403),
    }
}

/// Max-Forwards, before anything is forwarded: at 0 only TRACE and OPTIONS are answered, by this server.
fn max_forwards(r: &mut RequestRec) -> Handled {
    // What a number that is too large is read as is no number either (apr_strtoi64); what is empty is 0.
    const LARGEST: i64 = i64::MAX - 1;
    let Some(value) = r.headers_in.get(b"Max-Forwards") else { return Handled::Ok };
    let number = std::str::from_utf8(value).ok().and_then(|text| match text {
        "" => Some(0),
        _ => text.parse::<i64>().ok(),
    });
    let log = match number {
        Some(0) => "AH00898",
        Some(1..=LARGEST) => return Handled::Ok,
        _ => "AH10188",
    };
    match r.method_number {
        M_OPTIONS if number == Some(0) => Handled::Done,
        M_TRACE if number == Some(0) => map_to_storage::trace(r),
        _ => {
            let mut decision = Decision::new(&cause::apache::PROXY_MAX_FORWARDS);
            decision.log = Some(log.to_owned());
            r.refuse(decision, 400)
        }
    }
}

fn is_address(host: &[u8]) -> bool {
    std::str::from_utf8(host).is_ok_and(|host| host.parse::<std::net::IpAddr>().is_ok())
}

fn has_address(host: &[u8], origin: Origin, cx: &Cx) -> bool {
    let host = String::from_utf8_lossy(host);
    match cx.world.resolver.addresses(&host) {
        Fact::Known(addresses) => !addresses.is_empty(),
        Fact::Unknown(question) => {
            let (yes, no) = (format!("`{host}` has an address"), format!("`{host}` has no address"));
            cx.assume(question.subject, Some(origin), &yes, &no)
        }
    }
}

/// The host, and the `ProxyBlock` that has a word which the host holds (`ap_proxy_checkproxyblock`).
fn blocked(rest: &[u8], r: &RequestRec) -> Option<(Vec<u8>, Origin)> {
    let authority = rest.strip_prefix(b"//")?.split(|byte| matches!(byte, b'/' | b'?')).next()?;
    let host = authority.rsplit(|byte| *byte == b'@').next()?.split(|byte| *byte == b':').next()?.to_ascii_lowercase();
    let record = r.server.proxy.as_ref()?;
    let holds = |word: &[u8]| word.starts_with(b"*") || memchr::memmem::find(&host, word).is_some();
    let origin = record.blocked.iter().find(|(word, _)| holds(word)).map(|(_, origin)| *origin)?;
    Some((host, origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_not_part_of_the_url() {
        assert_eq!(without_socket(b"unix:/run/s|fcgi://localhost"), b"fcgi://localhost");
        assert_eq!(without_socket(b"http://h/a|b"), b"http://h/a|b");
    }
}

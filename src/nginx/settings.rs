//! Words become typed settings: one line a directive, nginx's own argument rules.
//!
//! What the configuration check refuses is passed over here. A directive that is neither known nor inert is kept as
//! opaque, with the phase in which it acts as far as its name tells.

use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::complex::ComplexValue;
use super::directives::{self, Effect};
use super::filters::Filters;
use super::listen::ServerName;
use super::mapping::full_name;
use super::model::{
    AccessConf, AccessRule, Alias, DisableSymlinks, ErrorPage, GzipStatic, Handler, ListingFormat, LocConf,
    LocationKind, Mapping, Opaque, OpaquePhase, PassKind, Satisfy, SrvConf, TryFile, VerifyClient,
};
use super::realip::RealIp;
use super::request::Method;
use super::tables::browser::Browsers;
use super::tables::referer::ValidReferers;
use super::tables::secure_link::SecureLink;
use super::variables::Table;
use crate::source::{Origin, Setting};

/// Lists that a block has begun anew: the first own entry drops what was inherited.
pub(super) struct Here<'k> {
    begun: Vec<&'static str>,
    kind: Option<&'k LocationKind>,
    opaque: OpaquePhase,
}

impl<'k> Here<'k> {
    /// For a block; `kind` if it is a location, `opaque`: the earliest phase in which a directive of it can act.
    pub(super) fn new(kind: Option<&'k LocationKind>, opaque: OpaquePhase) -> Self {
        Here { begun: Vec::new(), kind, opaque }
    }

    /// Whether this is the first entry of the list in this block.
    pub(super) fn first(&mut self, list: &'static str) -> bool {
        let first = !self.begun.contains(&list);
        if first {
            self.begun.push(list);
        }
        first
    }
}

/// What reading a setting needs.
pub(super) struct Settings<'s> {
    pub(super) table: &'s Table,
    pub(super) prefix: &'s [u8],
    pub(super) conf_prefix: &'s [u8],
    pub(super) server_names: &'s [Setting<ServerName>],
    /// The name of the location around the block.
    pub(super) location: &'s [u8],
}

fn flag(args: &[&[u8]]) -> Option<bool> {
    match args {
        [on] if on.eq_ignore_ascii_case(b"on") => Some(true),
        [off] if off.eq_ignore_ascii_case(b"off") => Some(false),
        _ => None,
    }
}

/// Digits and a unit: `k`, `m`, and `g` as ngx_parse_offset takes it.
pub(super) fn size(text: &[u8]) -> Option<u64> {
    let (digits, factor) = match text.split_last()? {
        (b'k' | b'K', digits) => (digits, 1 << 10),
        (b'm' | b'M', digits) => (digits, 1 << 20),
        (b'g' | b'G', digits) => (digits, 1 << 30),
        _ => (text, 1),
    };
    number::<u64>(digits)?.checked_mul(factor)
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Overwrites a setting, if the value can be read.
macro_rules! assign {
    ($place:expr, $value:expr, $origin:expr) => {
        if let Some(value) = $value {
            $place = Setting::new(value, $origin);
        }
    };
}

impl Settings<'_> {
    /// A text with variables.
    pub(super) fn value(&mut self, text: &[u8]) -> ComplexValue {
        ComplexValue::compile(text, self.table)
    }

    /// A path below a prefix, unless it begins with a variable.
    fn path(&mut self, prefix: &[u8], text: &[u8]) -> ComplexValue {
        if text.starts_with(b"$") { self.value(text) } else { self.value(&full_name(prefix, text)) }
    }

    /// Takes one directive of a block.
    pub(super) fn set(
        &mut self,
        name: &[u8],
        args: &[&[u8]],
        origin: Origin,
        here: &mut Here,
        conf: &mut LocConf,
        srv: &mut SrvConf,
    ) {
        let known = self.access_and_auth(name, args, origin, here, conf)
            || self.core(name, args, origin, here, conf)
            || limits(name, args, origin, here, conf)
            || self.content(name, args, origin, here, conf)
            || self.handler(name, args, origin, conf)
            || self.proxy(name, args, origin, here, conf)
            || self.modules(name, args, origin, here, conf)
            || server(name, args, origin, srv);
        srv.allow_connect |= name == b"tunnel_pass";
        if !known && directives::effect(name) == Effect::Opaque {
            add_opaque(name, args, origin, here, conf);
        }
    }

    fn core(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) -> bool {
        match (name, args) {
            (b"root", [path]) => {
                let path = path.strip_suffix(b"/").unwrap_or(path);
                // `root /` leaves nothing, which is the root all the same.
                let path = if path.is_empty() && !args[0].is_empty() {
                    ComplexValue::literal(b"")
                } else {
                    self.path(self.prefix, path)
                };
                Arc::make_mut(&mut conf.core).mapping = Setting::new(Mapping { path, alias: None }, origin);
            }
            (b"alias", [path]) => {
                let alias = match here.kind {
                    Some(LocationKind::Regex(_)) => Alias::Whole,
                    _ => Alias::Prefix(self.location.len()),
                };
                let path = self.path(self.prefix, path);
                Arc::make_mut(&mut conf.core).mapping = Setting::new(Mapping { path, alias: Some(alias) }, origin);
            }
            (b"satisfy", [how]) => {
                let how = if how.eq_ignore_ascii_case(b"any") { Satisfy::Any } else { Satisfy::All };
                Arc::make_mut(&mut conf.core).satisfy = Setting::new(how, origin);
            }
            (b"internal", []) => Arc::make_mut(&mut conf.core).internal = Setting::new(true, origin),
            (b"error_page", _) => self.error_page(args, origin, here, conf),
            (b"recursive_error_pages", _) => {
                assign!(Arc::make_mut(&mut conf.core).recursive_error_pages, flag(args), origin);
            }
            (b"client_max_body_size", [text]) => {
                assign!(Arc::make_mut(&mut conf.core).client_max_body_size, size(text), origin);
            }
            (b"disable_symlinks", _) => self.disable_symlinks(args, origin, conf),
            (b"open_file_cache", [first, ..]) => {
                Arc::make_mut(&mut conf.core).open_file_cache = Setting::new(*first != b"off", origin);
            }
            (b"msie_refresh", _) => assign!(Arc::make_mut(&mut conf.core).msie_refresh, flag(args), origin),
            // Runs when the answer has been given.
            (b"post_action", _) => {}
            (b"resolver", _) => Arc::make_mut(&mut conf.core).resolver = Setting::new(!args.is_empty(), origin),
            _ => return false,
        }
        true
    }

    /// `error_page CODE… [=[RESPONSE]] URI`.
    fn error_page(&mut self, args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) {
        let core = Arc::make_mut(&mut conf.core);
        if here.first("error_page") {
            core.error_pages.clear();
        }
        let Some((page, codes)) = args.split_last() else { return };
        let (codes, overwrite) = match codes.split_last() {
            Some((last, codes)) if last.starts_with(b"=") => (codes, Some(number(&last[1..]))),
            _ => (codes, None),
        };
        let is_literal = memchr::memchr(b'$', page).is_none();
        let question = memchr::memchr(b'?', page).filter(|_| is_literal && page.starts_with(b"/"));
        let (uri, query) = question.map_or((*page, &b""[..]), |at| (&page[..at], &page[at + 1..]));
        let page = self.value(uri);
        for status in codes.iter().filter_map(|code| number::<u16>(code)) {
            // The codes of TLS and header errors never go over the wire.
            let overwrite =
                if overwrite.is_none() && matches!(status, 494..=497) { Some(Some(400)) } else { overwrite };
            let value = ErrorPage { status, overwrite, page: page.clone(), args: query.into() };
            core.error_pages.push(Setting::new(value, origin));
        }
    }

    fn disable_symlinks(&mut self, args: &[&[u8]], origin: Origin, conf: &mut LocConf) {
        let mut from = None;
        let core = Arc::make_mut(&mut conf.core);
        for arg in args {
            let how = match *arg {
                b"off" => DisableSymlinks::Off,
                b"on" => DisableSymlinks::On,
                b"if_not_owner" => DisableSymlinks::IfNotOwner,
                _ => {
                    from = arg.strip_prefix(b"from=").map(|prefix| ComplexValue::compile(prefix, self.table));
                    continue;
                }
            };
            core.disable_symlinks = Setting::new(how, origin);
        }
        core.disable_symlinks_from = Setting::new(from, origin);
    }

    fn access_and_auth(
        &mut self,
        name: &[u8],
        args: &[&[u8]],
        origin: Origin,
        here: &mut Here,
        conf: &mut LocConf,
    ) -> bool {
        match (name, args) {
            (b"allow" | b"deny", [text]) => {
                let access = Arc::make_mut(&mut conf.access);
                if here.first("access") {
                    *access = AccessConf::default();
                }
                add_rule(access, text, name == b"deny", origin);
            }
            (b"auth_basic", [realm]) => {
                let realm = (*realm != b"off").then(|| self.value(realm));
                Arc::make_mut(&mut conf.auth).realm = Setting::new(realm, origin);
            }
            (b"auth_basic_user_file", [file]) => {
                let file = self.path(self.conf_prefix, file);
                Arc::make_mut(&mut conf.auth).user_file = Setting::new(Some(file), origin);
            }
            (b"auth_request", [uri]) => {
                // An empty one asks nobody either (case `memcached-without-a-key`).
                let uri = (*uri != b"off" && !uri.is_empty()).then(|| (*uri).into());
                Arc::make_mut(&mut conf.auth).request = Setting::new(uri, origin);
            }
            (b"auth_request_set", [variable, value]) => {
                let Some(variable) = variable.strip_prefix(b"$") else { return true };
                let set = (self.table.id(variable), self.value(value));
                let auth = Arc::make_mut(&mut conf.auth);
                if here.first("auth_request_set") {
                    auth.request_set.clear();
                }
                auth.request_set.push(Setting::new(set, origin));
            }
            _ => return false,
        }
        true
    }

    fn content(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) -> bool {
        match (name, args) {
            (b"index", _) => {
                let names: Vec<_> = args.iter().map(|name| Setting::new(self.value(name), origin)).collect();
                let content = Arc::make_mut(&mut conf.content);
                if here.first("index") {
                    content.index.clear();
                }
                content.index.extend(names);
            }
            (b"autoindex", _) => assign!(Arc::make_mut(&mut conf.content).autoindex, flag(args), origin),
            (b"autoindex_format", [format]) => {
                let format = match &*format.to_ascii_lowercase() {
                    b"json" => ListingFormat::Json,
                    b"jsonp" => ListingFormat::Jsonp,
                    b"xml" => ListingFormat::Xml,
                    _ => ListingFormat::Html,
                };
                Arc::make_mut(&mut conf.content).autoindex_format = Setting::new(format, origin);
            }
            (b"gunzip", _) => assign!(Arc::make_mut(&mut conf.content).gunzip, flag(args), origin),
            (b"random_index", _) => assign!(Arc::make_mut(&mut conf.content).random_index, flag(args), origin),
            (b"gzip_static", [how]) => {
                let how = match &*how.to_ascii_lowercase() {
                    b"always" => GzipStatic::Always,
                    b"on" => GzipStatic::On,
                    _ => GzipStatic::Off,
                };
                Arc::make_mut(&mut conf.content).gzip_static = Setting::new(how, origin);
            }
            (b"dav_methods", _) => {
                let methods = args.iter().fold(0, |all, name| all | Method::of(&name.to_ascii_uppercase()).0);
                Arc::make_mut(&mut conf.content).dav_methods = Setting::new(methods, origin);
            }
            (b"min_delete_depth", [depth]) => {
                assign!(Arc::make_mut(&mut conf.content).min_delete_depth, number(depth), origin);
            }
            (b"create_full_put_path", _) => {
                assign!(Arc::make_mut(&mut conf.content).create_full_put_path, flag(args), origin);
            }
            (b"mirror", [uri]) => Arc::make_mut(&mut conf.content).mirror = Setting::new(*uri != b"off", origin),
            (b"mirror_request_body", _) => {
                assign!(Arc::make_mut(&mut conf.content).mirror_request_body, flag(args), origin);
            }
            (b"try_files", [paths @ .., last]) => {
                let mut files: Vec<TryFile> = paths.iter().map(|path| self.try_file(path)).collect();
                files.push(match last.strip_prefix(b"=") {
                    Some(code) => TryFile::Code(number(code).unwrap_or(0)),
                    None => TryFile::Uri(self.value(last)),
                });
                conf.try_files = Some(Arc::new(Setting::new(files, origin)));
            }
            _ => return false,
        }
        true
    }

    fn try_file(&mut self, path: &[u8]) -> TryFile {
        match path.strip_suffix(b"/") {
            Some(directory) => TryFile::Path { name: self.value(directory), directory: true },
            None => TryFile::Path { name: self.value(path), directory: false },
        }
    }

    fn handler(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, conf: &mut LocConf) -> bool {
        let Some(kind) = pass_kind(name) else { return simple_handler(name, args, origin, conf) };
        let url = self.value(args.first().copied().unwrap_or_default());
        conf.handler = Some(Setting::new(Handler::Pass(kind, url), origin));
        true
    }

    fn proxy(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) -> bool {
        match (name, args) {
            (b"proxy_set_header", [name, value]) => {
                let value = self.value(value);
                let proxy = Arc::make_mut(&mut conf.proxy);
                if here.first("proxy_set_header") {
                    proxy.headers.clear();
                }
                proxy.headers.push(Setting::new(((*name).into(), value), origin));
            }
            (b"proxy_pass_request_headers", _) => {
                Arc::make_mut(&mut conf.proxy).pass_headers = flag(args).unwrap_or(true);
            }
            (b"proxy_method", _) => Arc::make_mut(&mut conf.proxy).method = Some(origin),
            _ => return false,
        }
        true
    }

    /// Modules that keep their settings beside what they do.
    fn modules(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) -> bool {
        let is_in = |names: &[&'static str]| names.iter().find(|known| known.as_bytes() == name).copied();
        if let Some(list) = is_in(RealIp::DIRECTIVES) {
            let first = here.first(list);
            Arc::make_mut(&mut conf.realip).set(name, args, origin, first, self.table);
        } else if let Some(list) = is_in(ValidReferers::DIRECTIVES) {
            let first = here.first(list);
            let referer = Arc::make_mut(&mut conf.referer);
            referer.set(name, args, origin, first, self.table);
            if args.contains(&&b"server_names"[..]) {
                if self.server_names.is_empty() {
                    // A server without names has the empty one.
                    referer.add_server_name(b"");
                }
                for name in self.server_names {
                    match &name.value {
                        ServerName::Text(text) => referer.add_server_name(text),
                        ServerName::Regex(_, regex) => referer.add_server_pattern(regex.pattern().clone()),
                    }
                }
            }
        } else if let Some(list) = is_in(Browsers::DIRECTIVES) {
            let first = here.first(list);
            Arc::make_mut(&mut conf.browsers).set(name, args, origin, first, self.table);
        } else if let Some(list) = is_in(SecureLink::DIRECTIVES) {
            let first = here.first(list);
            Arc::make_mut(&mut conf.secure_link).set(name, args, origin, first, self.table);
        } else if let Some(list) = Filters::directive(name) {
            let first = here.first(list);
            Arc::make_mut(&mut conf.filters).set(name, args, origin, first, self.table);
        } else {
            return false;
        }
        true
    }
}

/// `allow` and `deny`: `all`, `unix:`, an address or a network, its low bits ignored.
fn add_rule(access: &mut AccessConf, text: &[u8], deny: bool, origin: Origin) {
    let all = text == b"all";
    if all || text == b"unix:" {
        access.unix.push(Setting::new(AccessRule { net: (), deny }, origin));
    }
    let text = std::str::from_utf8(text).unwrap_or_default();
    let is_v6 = text.contains(':');
    let v4 = match () {
        () if all => Some(Ipv4Net::default()),
        () if is_v6 => None,
        () => text.parse().ok().or_else(|| text.parse::<std::net::Ipv4Addr>().ok().map(Ipv4Net::from)),
    };
    if let Some(net) = v4 {
        access.v4.push(Setting::new(AccessRule { net: net.trunc(), deny }, origin));
    }
    let v6 = match () {
        () if all => Some(Ipv6Net::default()),
        () if is_v6 => text.parse().ok().or_else(|| text.parse::<std::net::Ipv6Addr>().ok().map(Ipv6Net::from)),
        () => None,
    };
    if let Some(net) = v6 {
        access.v6.push(Setting::new(AccessRule { net: net.trunc(), deny }, origin));
    }
}

fn limits(name: &[u8], args: &[&[u8]], origin: Origin, here: &mut Here, conf: &mut LocConf) -> bool {
    let status = || args.first().and_then(|status| number::<u16>(status));
    match name {
        b"limit_req" => {
            let limits = Arc::make_mut(&mut conf.limits);
            if here.first("limit_req") {
                limits.req.clear();
            }
            let zone = args.iter().find_map(|arg| arg.strip_prefix(b"zone="));
            limits.req.extend(zone.map(|zone| Setting::new(zone.into(), origin)));
        }
        b"limit_conn" => {
            let limits = Arc::make_mut(&mut conf.limits);
            if here.first("limit_conn") {
                limits.conn.clear();
            }
            limits.conn.extend(args.first().map(|zone| Setting::new((*zone).into(), origin)));
        }
        b"limit_req_status" => assign!(Arc::make_mut(&mut conf.limits).req_status, status(), origin),
        b"limit_conn_status" => assign!(Arc::make_mut(&mut conf.limits).conn_status, status(), origin),
        b"limit_req_dry_run" => assign!(Arc::make_mut(&mut conf.limits).req_dry_run, flag(args), origin),
        b"limit_conn_dry_run" => assign!(Arc::make_mut(&mut conf.limits).conn_dry_run, flag(args), origin),
        _ => return false,
    }
    true
}

/// The module whose `*_pass` a directive is.
pub(super) fn pass_kind(name: &[u8]) -> Option<PassKind> {
    Some(match name {
        b"proxy_pass" => PassKind::Proxy,
        b"fastcgi_pass" => PassKind::Fastcgi,
        b"uwsgi_pass" => PassKind::Uwsgi,
        b"scgi_pass" => PassKind::Scgi,
        b"grpc_pass" => PassKind::Grpc,
        b"memcached_pass" => PassKind::Memcached,
        b"tunnel_pass" => PassKind::Tunnel,
        _ => return None,
    })
}

fn simple_handler(name: &[u8], args: &[&[u8]], origin: Origin, conf: &mut LocConf) -> bool {
    let intercepts = match name {
        b"proxy_intercept_errors" => Some(PassKind::Proxy),
        b"fastcgi_intercept_errors" => Some(PassKind::Fastcgi),
        b"uwsgi_intercept_errors" => Some(PassKind::Uwsgi),
        b"scgi_intercept_errors" => Some(PassKind::Scgi),
        b"grpc_intercept_errors" => Some(PassKind::Grpc),
        _ => None,
    };
    if let Some(kind) = intercepts {
        assign!(Arc::make_mut(&mut conf.content).intercept_errors[kind as usize], flag(args), origin);
        return true;
    }
    let handler = match name {
        b"stub_status" => Handler::StubStatus,
        b"empty_gif" => Handler::EmptyGif,
        b"flv" => Handler::Flv,
        b"mp4" => Handler::Mp4,
        b"perl"
        | b"js_content"
        | b"api"
        | b"status"
        | b"f4f"
        | b"hls"
        | b"vod"
        | b"mysql_query"
        | b"postgres_pass"
        | b"content_by_lua"
        | b"content_by_lua_block"
        | b"content_by_lua_file"
        | b"echo"
        | b"echo_status"
        | b"redis_pass"
        | b"redis2_pass"
        | b"drizzle_pass"
        | b"push_stream_publisher"
        | b"push_stream_subscriber"
        | b"passenger_enabled"
        | b"acme_challenge" => Handler::Opaque(name.into()),
        _ => return false,
    };
    conf.handler = Some(Setting::new(handler, origin));
    true
}

fn server(name: &[u8], args: &[&[u8]], origin: Origin, srv: &mut SrvConf) -> bool {
    let on = || flag(args);
    match (name, args) {
        (b"merge_slashes", _) => assign!(srv.merge_slashes, on(), origin),
        (b"http2", _) => assign!(srv.http2, on(), origin),
        (b"underscores_in_headers", _) => assign!(srv.underscores_in_headers, on(), origin),
        (b"ignore_invalid_headers", _) => assign!(srv.ignore_invalid_headers, on(), origin),
        (b"large_client_header_buffers", [count, bytes]) => {
            assign!(srv.large_client_header_buffers, number(count).zip(size(bytes)), origin);
        }
        (b"client_header_buffer_size", [bytes]) => assign!(srv.client_header_buffer_size, size(bytes), origin),
        (b"max_headers", [count]) => assign!(srv.max_headers, number(count), origin),
        (b"ssl", _) => assign!(srv.ssl, on(), origin),
        (b"ssl_reject_handshake", _) => assign!(srv.ssl_reject_handshake, on(), origin),
        (b"ssl_verify_client", [how]) => {
            let how = match &*how.to_ascii_lowercase() {
                b"on" => VerifyClient::On,
                b"optional" => VerifyClient::Optional,
                b"optional_no_ca" => VerifyClient::OptionalNoCa,
                _ => VerifyClient::Off,
            };
            srv.ssl_verify_client = Setting::new(how, origin);
        }
        (b"ssl_client_certificate", [file]) => {
            srv.ssl_client_certificate = Setting::new(Some((*file).into()), origin);
        }
        (b"ssl_trusted_certificate", [file]) => {
            srv.ssl_trusted_certificate = Setting::new(Some((*file).into()), origin);
        }
        _ => return false,
    }
    true
}

/// Most opaque directives that a block remembers: one in force is enough to make an answer unknown.
const MOST_OPAQUE: usize = 256;

/// Keeps an opaque directive, with the phase in which it acts: the earliest possible one where the name tells nothing.
/// Like every value, it replaces an inherited one of its name, and `off` takes that away.
fn add_opaque(name: &[u8], args: &[&[u8]], origin: Origin, here: &Here, conf: &mut LocConf) {
    let starts = |prefix: &[u8]| name.starts_with(prefix);
    // What only gives a variable its meaning, or serves another directive, does nothing by itself.
    let serves =
        [&b"set_"[..], b"perl_", b"js_set", b"js_var", b"image_filter_", b"auth_jwt_", b"auth_pam_", b"oidc_provider"];
    let serves =
        serves.iter().any(|prefix| starts(prefix)) || matches!(name, b"MainRule" | b"xml_entities" | b"keyval");
    if serves && name != b"auth_jwt_require" {
        return;
    }
    let phase = match () {
        // These wait for the stock handlers of their phase.
        () if starts(b"rewrite_by_lua") => OpaquePhase::Preaccess,
        () if starts(b"access_by_lua") => OpaquePhase::AfterAccess,
        () if starts(b"auth_") || name.ends_with(b"_access") => OpaquePhase::Access,
        () if starts(b"precontent_by_") => OpaquePhase::Precontent,
        () if starts(b"header_filter_by_") || starts(b"body_filter_by_") => OpaquePhase::Filter,
        () if name.ends_with(b"_filter") || name == b"xslt_stylesheet" => OpaquePhase::Filter,
        () => here.opaque,
    };
    if conf.opaque.len() >= MOST_OPAQUE {
        return;
    }
    let others = conf.opaque.iter().filter(|other| *other.name != *name).cloned();
    let own = (args != [b"off"]).then(|| Opaque { name: name.into(), origin, phase });
    conf.opaque = others.chain(own).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size(b"10"), Some(10));
        assert_eq!(size(b"1k"), Some(1024));
        assert_eq!(size(b"2M"), Some(2 << 20));
        assert_eq!(size(b"1g"), Some(1 << 30));
        assert_eq!(size(b"x"), None);
        assert_eq!(size(b"99999999999g"), None);
    }

    #[test]
    fn all_enters_every_list_and_a_network_only_its_own() {
        let origin = Origin { span: crate::source::Span::new(crate::source::FileId(0), 0, 0), via: None };
        let mut access = AccessConf::default();
        for text in [&b"all"[..], b"10.0.0.1/8", b"::1", b"unix:", b"0.0.0.0/0"] {
            add_rule(&mut access, text, true, origin);
        }
        assert_eq!((access.v4.len(), access.v6.len(), access.unix.len()), (3, 2, 2));
        assert_eq!(access.v4[1].value.net.to_string(), "10.0.0.0/8");
    }
}

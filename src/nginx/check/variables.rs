//! Names of variables: which exist, which are mentioned (`ngx_http_script_compile`, `ngx_http_add_variable`,
//! `ngx_http_variables_init_vars`).

use std::collections::HashMap;
use std::sync::Arc;

use super::{Block, Checker, Refusal, Verdict, bad, refusal, show};
use crate::nginx::build::Build;
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::pattern::{Options, Pattern};
use crate::problem::ProblemKind;
use crate::source::Origin;

/// The variables of `http` or of `stream`.
#[derive(Debug)]
pub(super) struct Variables {
    /// By name in lower case; `true` where a directive may define the name again.
    defined: HashMap<Vec<u8>, bool>,
    prefixes: Vec<&'static str>,
    /// Names that were mentioned, in order, with the first place.
    used: Vec<(Vec<u8>, Option<Origin>)>,
}

impl Variables {
    pub(super) fn new(build: &Build, tables: &[Builtin], prefixes: &[Prefix], modern: bool) -> Self {
        let here = |in_old: bool| modern || in_old;
        let mut defined = HashMap::new();
        for (_, names) in tables.iter().filter(|(module, _)| build.has_module(module)) {
            for name in names.split_ascii_whitespace() {
                // `+` in front: only in the newer version; `/` behind: may be defined again.
                let (name, in_old) = name.strip_prefix('+').map_or((name, true), |name| (name, false));
                let (name, changeable) = name.strip_suffix('/').map_or((name, false), |name| (name, true));
                if here(in_old) {
                    defined.insert(name.as_bytes().to_vec(), changeable);
                }
            }
        }
        let prefixes = prefixes.iter().filter(|(_, module, in_old)| here(*in_old) && build.has_module(module));
        Variables { defined, prefixes: prefixes.map(|(prefix, ..)| *prefix).collect(), used: Vec::new() }
    }

    /// `ngx_http_add_variable`.
    pub(super) fn define(&mut self, name: &[u8]) -> Verdict {
        if name.is_empty() {
            return bad("invalid variable name \"$\"");
        }
        let name = name.to_ascii_lowercase();
        match self.defined.get(&name) {
            Some(false) => bad(format!("the duplicate \"{}\" variable", show(&name))),
            _ => {
                self.defined.insert(name, true);
                Ok(())
            }
        }
    }

    /// `ngx_http_get_variable_index`.
    pub(super) fn mention(&mut self, name: &[u8], origin: Option<Origin>) -> Verdict {
        if name.is_empty() {
            return bad("invalid variable name \"$\"");
        }
        if !self.used.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            self.used.push((name.to_ascii_lowercase(), origin));
        }
        Ok(())
    }

    /// The names that nothing defines, in the order of their first mention.
    fn undefined(&self) -> Vec<(Vec<u8>, Option<Origin>)> {
        let known = |name: &Vec<u8>| {
            self.defined.contains_key(name) || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
        };
        self.used.iter().filter(|(name, _)| !known(name)).cloned().collect()
    }
}

impl<'a> Checker<'a> {
    /// The variables of the module that the block belongs to.
    pub(super) fn variables(&mut self, context: Contexts) -> &mut Variables {
        let stream = Contexts(Contexts::STREAM.0 | Contexts::STREAM_SERVER.0 | Contexts::STREAM_UPSTREAM.0);
        if context.overlaps(stream) { &mut self.stream.variables } else { &mut self.http.variables }
    }

    /// A text in which nginx looks for variables (`ngx_http_compile_complex_value`).
    pub(super) fn text(&mut self, text: &[u8], directive: Placed<'a>, block: &Block<'a>) -> Verdict {
        self.compile(text, directive, block.context)
    }

    pub(super) fn compile(&mut self, text: &[u8], directive: Placed<'a>, context: Contexts) -> Verdict {
        let mut rest = text;
        while let Some(dollar) = rest.iter().position(|&byte| byte == b'$') {
            rest = &rest[dollar + 1..];
            let in_braces = match rest.first() {
                None => return bad("invalid variable name"),
                Some(b'1'..=b'9') => {
                    rest = &rest[1..];
                    continue;
                }
                Some(b'{') => true,
                Some(_) => false,
            };
            let start = usize::from(in_braces);
            let Some(tail) = rest.get(start..).filter(|tail| !tail.is_empty()) else {
                return bad("invalid variable name");
            };
            let length = tail.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            let name = &tail[..length];
            rest = &tail[length..];
            if in_braces {
                match rest.first() {
                    Some(b'}') => rest = &rest[1..],
                    _ => return bad(format!("the closing bracket in \"{}\" variable is missing", show(name))),
                }
            }
            if name.is_empty() {
                return bad("invalid variable name");
            }
            let origin = Some(directive.origin());
            self.variables(context).mention(name, origin)?;
        }
        Ok(())
    }

    /// A regular expression whose named groups become variables (`ngx_http_regex_compile`).
    pub(super) fn regex(
        &mut self,
        source: &[u8],
        caseless: bool,
        directive: Placed<'a>,
        context: Contexts,
    ) -> Verdict<Arc<Pattern>> {
        let pattern = self.plain_regex(source, caseless)?;
        for name in pattern.names().iter().flatten() {
            let origin = Some(directive.origin());
            let variables = self.variables(context);
            variables.define(name.as_bytes())?;
            variables.mention(name.as_bytes(), origin)?;
        }
        Ok(pattern)
    }

    /// A regular expression without variables (`ngx_regex_compile`).
    pub(super) fn plain_regex(&mut self, source: &[u8], caseless: bool) -> Verdict<Arc<Pattern>> {
        if let Some(pattern) = self.patterns[usize::from(caseless)].get(source) {
            return Ok(pattern.clone());
        }
        let pattern = Pattern::new(source, Options::nginx(caseless)).map_err(|error| {
            let library = if self.modern() { "pcre_compile" } else { "pcre2_compile" };
            let place = match source.get(error.offset..) {
                Some(rest) if !rest.is_empty() => format!(" at \"{}\"", show(rest)),
                _ => String::new(),
            };
            refusal(format!("{library}() failed: {} in \"{}\"{place}", error.message, show(source)))
        })?;
        let pattern = Arc::new(pattern);
        self.patterns[usize::from(caseless)].insert(source.into(), pattern.clone());
        Ok(pattern)
    }

    /// `$name` as the whole of a word: the name of a variable that a directive defines.
    pub(super) fn define(&mut self, word: &[u8], context: Contexts) -> Verdict {
        match word.strip_prefix(b"$") {
            Some(name) => self.variables(context).define(name),
            None => bad(format!("invalid variable name \"{}\"", show(word))),
        }
    }

    /// `ngx_http_variables_init_vars`: nginx names no place, and stops at the first.
    pub(super) fn undefined_variables(&mut self, context: Contexts) {
        for (name, origin) in self.variables(context).undefined() {
            let message = format!("unknown \"{}\" variable", show(&name));
            let refusal = Refusal { kind: ProblemKind::Reference, named: super::Named::Nowhere, ..refusal(message) };
            self.push(crate::problem::Severity::Refused, origin, refusal);
        }
    }
}

/// A module, and the names that it defines.
pub(super) type Builtin = (&'static str, &'static str);

/// A prefix of names that always exist, its module, and whether 1.22.1 has it.
pub(super) type Prefix = (&'static str, &'static str, bool);

pub(super) const HTTP_PREFIXES: &[Prefix] = &[
    ("http_", "ngx_http_core_module", true),
    ("arg_", "ngx_http_core_module", true),
    ("cookie_", "ngx_http_core_module", true),
    ("sent_http_", "ngx_http_core_module", true),
    ("sent_trailer_", "ngx_http_core_module", true),
    ("upstream_http_", "ngx_http_upstream_module", true),
    ("upstream_trailer_", "ngx_http_upstream_module", true),
    ("upstream_cookie_", "ngx_http_upstream_module", true),
    ("proxy_protocol_tlv_", "ngx_http_core_module", false),
    ("jwt_claim_", "ngx_http_auth_jwt_module", true),
    ("jwt_header_", "ngx_http_auth_jwt_module", true),
];

pub(super) const STREAM_PREFIXES: &[Prefix] = &[("proxy_protocol_tlv_", "ngx_stream_core_module", false)];

pub(super) const HTTP: &[Builtin] = &[
    ("ngx_http_browser_module", "ancient_browser/ modern_browser/ msie/"),
    (
        "ngx_http_core_module",
        "args/ binary_remote_addr body_bytes_sent bytes_sent connection connection_requests connection_time content_length
        content_type document_root document_uri host hostname http_cookie http_host http_referer http_user_agent http_via
        http_x_forwarded_for https is_args +is_request_port limit_rate/ msec nginx_version pid pipe proxy_protocol_addr
        proxy_protocol_port proxy_protocol_server_addr proxy_protocol_server_port query_string realpath_root remote_addr
        remote_port remote_user request request_body request_body_file request_completion request_filename request_id
        request_length request_method +request_port request_time request_uri scheme sent_http_cache_control
        sent_http_connection sent_http_content_length sent_http_content_type sent_http_keep_alive sent_http_last_modified
        sent_http_link sent_http_location sent_http_transfer_encoding server_addr server_name server_port server_protocol
        status tcpinfo_rcv_space tcpinfo_rtt tcpinfo_rttvar tcpinfo_snd_cwnd time_iso8601 time_local uri",
    ),
    ("ngx_http_stub_status_module", "connections_active connections_reading connections_waiting connections_writing"),
    ("ngx_http_ssi_filter_module", "date_gmt date_local"),
    ("ngx_http_fastcgi_module", "fastcgi_path_info fastcgi_script_name"),
    (
        "ngx_http_geoip_module",
        "geoip_area_code geoip_city geoip_city_continent_code geoip_city_country_code geoip_city_country_code3
        geoip_city_country_name geoip_country_code geoip_country_code3 geoip_country_name geoip_dma_code geoip_latitude
        geoip_longitude geoip_org geoip_postal_code geoip_region geoip_region_name",
    ),
    ("ngx_http_grpc_module", "grpc_internal_trailers"),
    ("ngx_http_v2_module", "http2"),
    ("ngx_http_v3_module", "+http3"),
    ("ngx_http_limit_conn_module", "limit_conn_status"),
    ("ngx_http_limit_req_module", "limit_req_status"),
    (
        "ngx_http_proxy_module",
        "proxy_add_via proxy_add_x_forwarded_for proxy_host/ proxy_internal_body_length proxy_internal_chunked
        +proxy_internal_host/ proxy_port/",
    ),
    ("ngx_http_realip_module", "realip_remote_addr realip_remote_port"),
    (
        "ngx_http_ssl_module",
        "ssl_alpn_protocol/ ssl_cipher/ ssl_ciphers/ ssl_client_cert/ ssl_client_escaped_cert/ ssl_client_fingerprint/
        ssl_client_i_dn/ ssl_client_i_dn_legacy/ ssl_client_raw_cert/ ssl_client_s_dn/ ssl_client_s_dn_legacy/
        ssl_client_serial/ +ssl_client_sigalg/ ssl_client_v_end/ ssl_client_v_remain/ ssl_client_v_start/ ssl_client_verify/
        ssl_curve/ ssl_curves/ ssl_early_data/ +ssl_ech_outer_server_name/ +ssl_ech_status/ ssl_protocol/ ssl_server_name/
        ssl_session_id/ ssl_session_reused/ +ssl_sigalg/ +ssl_sigalgs/",
    ),
    (
        "ngx_http_upstream_module",
        "upstream_addr upstream_bytes_received upstream_bytes_sent upstream_cache_etag upstream_cache_last_modified
        upstream_cache_status upstream_connect_time upstream_header_time upstream_response_length upstream_response_time
        upstream_status",
    ),
    ("ngx_http_gzip_filter_module", "gzip_ratio"),
    ("ngx_http_referer_module", "invalid_referer/"),
    ("ngx_http_secure_link_module", "secure_link secure_link_expires"),
    ("ngx_http_slice_filter_module", "slice_range"),
    ("ngx_http_userid_filter_module", "uid_got uid_set uid_reset/"),
    (
        "ngx_http_echo_module",
        "echo_cacheable_request_uri echo_client_request_headers echo_client_request_method echo_incr echo_it
        echo_request_body echo_request_method echo_request_uri echo_response_status echo_timer_elapsed",
    ),
    ("ngx_http_auth_jwt_module", "jwt_claims jwt_nowtime jwt_payload"),
];

pub(super) const STREAM: &[Builtin] = &[
    (
        "ngx_stream_core_module",
        "binary_remote_addr bytes_received bytes_sent connection hostname msec nginx_version pid protocol
        proxy_protocol_addr proxy_protocol_port proxy_protocol_server_addr proxy_protocol_server_port remote_addr
        remote_port server_addr +server_name server_port session_time status time_iso8601 time_local",
    ),
    ("ngx_stream_limit_conn_module", "limit_conn_status"),
    ("ngx_stream_realip_module", "realip_remote_addr realip_remote_port"),
    (
        "ngx_stream_ssl_module",
        "ssl_alpn_protocol/ ssl_cipher/ ssl_ciphers/ ssl_client_cert/ ssl_client_escaped_cert/ ssl_client_fingerprint/
        ssl_client_i_dn/ ssl_client_raw_cert/ ssl_client_s_dn/ ssl_client_serial/ +ssl_client_sigalg/ ssl_client_v_end/
        ssl_client_v_remain/ ssl_client_v_start/ ssl_client_verify/ ssl_curve/ ssl_curves/ +ssl_ech_outer_server_name/
        +ssl_ech_status/ ssl_protocol/ ssl_server_name/ ssl_session_id/ ssl_session_reused/ +ssl_sigalg/ +ssl_sigalgs/",
    ),
    ("ngx_stream_ssl_preread_module", "ssl_preread_alpn_protocols ssl_preread_protocol ssl_preread_server_name"),
    (
        "ngx_stream_upstream_module",
        "upstream_addr upstream_bytes_received upstream_bytes_sent upstream_connect_time upstream_first_byte_time
        upstream_session_time",
    ),
];

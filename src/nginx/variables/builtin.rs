//! The variables that nginx brings along: a row for each, as in the modules' own tables.
//!
//! A variable of a module that a build lacks is refused by the configuration check; here every one has its row.

use super::super::request::{Cx, HttpRequest};
use super::super::tables::{browser, referer, secure_link};
use super::super::version::Version;
use super::{Definition, Value, connection, headers, paths};

/// Works a variable out.
pub type Get = for<'a> fn(&mut HttpRequest<'a>, &mut Cx<'a>) -> Value;

/// Works out a variable that has its name behind a prefix, given that name.
pub type GetNamed = for<'a> fn(&mut HttpRequest<'a>, &mut Cx<'a>, &[u8]) -> Value;

/// A variable that is built in.
#[derive(Debug)]
pub struct Row {
    /// Its name, without `$`.
    pub name: &'static str,
    /// What works it out.
    pub get: Get,
    /// Worked out again at each use (NGX_HTTP_VAR_NOCACHEABLE).
    pub volatile: bool,
    /// The first version that has it, where the oldest known one has not.
    pub since: Option<Version>,
}

/// Variables that are built in by the beginning of their name.
#[derive(Debug)]
pub struct PrefixRow {
    /// The prefix, without `$`.
    pub prefix: &'static str,
    /// What works one out.
    pub get: GetNamed,
    /// Worked out again at each use.
    pub volatile: bool,
    /// The first version that has them, where the oldest known one has not.
    pub since: Option<Version>,
}

/// What is built in under this lower-case name.
pub(super) fn find(name: &[u8], version: Version) -> Definition {
    let exists = |since: Option<Version>| since.is_none_or(|since| version >= since);
    if let Some(row) = ROWS.iter().find(|row| row.name.as_bytes() == name && exists(row.since)) {
        return Definition::Builtin(row);
    }
    let prefixed = PREFIXES.iter().find(|row| name.starts_with(row.prefix.as_bytes()) && exists(row.since));
    prefixed.map_or(Definition::Undefined, Definition::Prefixed)
}

const fn row(name: &'static str, get: Get) -> Row {
    Row { name, get, volatile: false, since: None }
}

const fn volatile(name: &'static str, get: Get) -> Row {
    Row { name, get, volatile: true, since: None }
}

const fn since(minor: u16, patch: u16, mut row: Row) -> Row {
    row.since = Some(Version::new(1, minor, patch));
    row
}

const fn prefix(prefix: &'static str, get: GetNamed, volatile: bool) -> PrefixRow {
    PrefixRow { prefix, get, volatile, since: None }
}

/// A row whose value is a matter of the moment or of the machine.
macro_rules! unknown {
    ($name:literal) => {
        row($name, |_, _| Value::unknown($name))
    };
}

/// A row out of a database of the old format: nothing without one.
macro_rules! geoip {
    ($name:literal) => {
        row($name, |_, cx| if cx.variables.geoip_database { Value::unknown($name) } else { Value::NotFound })
    };
}

/// A row that has no value before there is a response, and none on a plain connection.
macro_rules! tls {
    ($name:literal) => {
        row($name, |r, _| if r.connection.tls { Value::unknown($name) } else { Value::NotFound })
    };
}

/// A row that says how the response turned out: nothing before there is one.
macro_rules! response {
    ($name:literal) => {
        volatile($name, |r, _| headers::of_response(r, $name))
    };
}

/// Unknown variables that are certainly neither empty nor `0`. (`$request_time` is `0.000` at least; `$remote_port` is
/// empty on a unix socket.)
pub(super) const NEVER_EMPTY: &[&str] = &[
    "hostname",
    "pid",
    "connection",
    "connection_requests",
    "connection_time",
    "request_id",
    "request_time",
    "request_length",
    "msec",
    "time_iso8601",
    "time_local",
    "date_gmt",
    "date_local",
    "sent_http_connection",
    "ssl_protocol",
    "ssl_cipher",
];

const PREFIXES: &[PrefixRow] = &[
    prefix("http_", headers::request_header, false),
    prefix("arg_", headers::argument, true),
    prefix("cookie_", headers::cookie, false),
    prefix("sent_http_", headers::sent_header, false),
    prefix("sent_trailer_", |_, _, _| Value::NotFound, false),
    prefix("upstream_http_", |r, _, name| headers::of_upstream(r, "upstream_http_", name), true),
    prefix("upstream_trailer_", |r, _, name| headers::of_upstream(r, "upstream_trailer_", name), true),
    prefix("upstream_cookie_", |r, _, name| headers::of_upstream(r, "upstream_cookie_", name), true),
    PrefixRow {
        prefix: "proxy_protocol_tlv_",
        get: |r, _, name| connection::proxy_protocol_tlv(r, name),
        volatile: false,
        since: Some(Version::new(1, 23, 2)),
    },
];

const ROWS: &[Row] = &[
    // The request line and its parts.
    volatile("uri", paths::uri),
    volatile("document_uri", paths::uri),
    volatile("args", paths::args),
    volatile("query_string", paths::args),
    volatile("is_args", paths::is_args),
    row("request_uri", paths::request_uri),
    row("request", paths::request_line),
    volatile("request_method", paths::request_method),
    row("server_protocol", paths::server_protocol),
    // Files.
    volatile("document_root", paths::document_root),
    volatile("realpath_root", paths::realpath_root),
    volatile("request_filename", paths::request_filename),
    volatile("fastcgi_script_name", paths::fastcgi_script_name),
    volatile("fastcgi_path_info", paths::fastcgi_path_info),
    // Headers.
    row("host", headers::host),
    row("http_host", |r, cx| headers::request_header(r, cx, b"host")),
    row("http_user_agent", |r, cx| headers::request_header(r, cx, b"user_agent")),
    row("http_referer", |r, cx| headers::request_header(r, cx, b"referer")),
    row("http_via", |r, cx| headers::request_header(r, cx, b"via")),
    row("http_x_forwarded_for", headers::x_forwarded_for),
    row("http_cookie", headers::cookies),
    row("content_length", headers::content_length),
    row("content_type", headers::content_type),
    row("remote_user", headers::remote_user),
    row("proxy_add_x_forwarded_for", headers::add_x_forwarded_for),
    // Both ends of the connection.
    row("remote_addr", connection::remote_addr),
    row("binary_remote_addr", connection::binary_remote_addr),
    row("realip_remote_addr", connection::realip_remote_addr),
    unknown!("remote_port"),
    unknown!("realip_remote_port"),
    row("server_addr", connection::server_addr),
    row("server_port", connection::server_port),
    row("server_name", connection::server_name),
    row("scheme", |r, _| Value::text(if r.connection.tls { "https" } else { "http" })),
    row("https", |r, _| Value::text(if r.connection.tls { "on" } else { "" })),
    since(29, 3, row("request_port", connection::request_port)),
    since(29, 3, row("is_request_port", connection::is_request_port)),
    row("proxy_protocol_addr", |r, _| connection::proxy_protocol(r, "proxy_protocol_addr")),
    row("proxy_protocol_port", |r, _| connection::proxy_protocol(r, "proxy_protocol_port")),
    row("proxy_protocol_server_addr", |r, _| connection::proxy_protocol(r, "proxy_protocol_server_addr")),
    row("proxy_protocol_server_port", |r, _| connection::proxy_protocol(r, "proxy_protocol_server_port")),
    row("http2", |r, _| match (r.http2, r.connection.tls) {
        (true, true) => Value::text("h2"),
        (true, false) => Value::text("h2c"),
        (false, _) => Value::NotFound,
    }),
    since(25, 0, row("http3", |_, _| Value::NotFound)),
    since(25, 0, row("quic", |_, _| Value::NotFound)),
    // TLS.
    row("ssl_client_verify", connection::ssl_client_verify),
    row("ssl_server_name", connection::ssl_server_name),
    row("ssl_client_s_dn", |r, _| connection::of_client_cert(r, "ssl_client_s_dn")),
    row("ssl_client_i_dn", |r, _| connection::of_client_cert(r, "ssl_client_i_dn")),
    row("ssl_client_s_dn_legacy", |r, _| connection::of_client_cert(r, "ssl_client_s_dn_legacy")),
    row("ssl_client_i_dn_legacy", |r, _| connection::of_client_cert(r, "ssl_client_i_dn_legacy")),
    row("ssl_client_serial", |r, _| connection::of_client_cert(r, "ssl_client_serial")),
    row("ssl_client_fingerprint", |r, _| connection::of_client_cert(r, "ssl_client_fingerprint")),
    row("ssl_client_cert", |r, _| connection::of_client_cert(r, "ssl_client_cert")),
    row("ssl_client_raw_cert", |r, _| connection::of_client_cert(r, "ssl_client_raw_cert")),
    row("ssl_client_escaped_cert", |r, _| connection::of_client_cert(r, "ssl_client_escaped_cert")),
    row("ssl_client_v_start", |r, _| connection::of_client_cert(r, "ssl_client_v_start")),
    row("ssl_client_v_end", |r, _| connection::of_client_cert(r, "ssl_client_v_end")),
    row("ssl_client_v_remain", |r, _| connection::of_client_cert(r, "ssl_client_v_remain")),
    since(29, 4, row("ssl_client_sigalg", |r, _| connection::of_client_cert(r, "ssl_client_sigalg"))),
    tls!("ssl_protocol"),
    tls!("ssl_cipher"),
    tls!("ssl_ciphers"),
    tls!("ssl_curve"),
    tls!("ssl_curves"),
    tls!("ssl_session_id"),
    tls!("ssl_session_reused"),
    tls!("ssl_early_data"),
    tls!("ssl_alpn_protocol"),
    since(29, 4, tls!("ssl_sigalg")),
    since(29, 4, tls!("ssl_sigalgs")),
    since(29, 4, tls!("ssl_ech_status")),
    since(29, 4, tls!("ssl_ech_outer_server_name")),
    // Tables that are built in.
    row("invalid_referer", referer::invalid_referer),
    row("secure_link", secure_link::secure_link),
    row("secure_link_expires", secure_link::secure_link_expires),
    row("msie", browser::msie),
    row("modern_browser", browser::modern),
    row("ancient_browser", browser::ancient),
    geoip!("geoip_country_code"),
    geoip!("geoip_country_code3"),
    geoip!("geoip_country_name"),
    geoip!("geoip_org"),
    geoip!("geoip_city"),
    geoip!("geoip_city_continent_code"),
    geoip!("geoip_city_country_code"),
    geoip!("geoip_city_country_code3"),
    geoip!("geoip_city_country_name"),
    geoip!("geoip_region"),
    geoip!("geoip_region_name"),
    geoip!("geoip_postal_code"),
    geoip!("geoip_latitude"),
    geoip!("geoip_longitude"),
    geoip!("geoip_area_code"),
    geoip!("geoip_dma_code"),
    // The answer, as far as there is one.
    volatile("status", headers::status),
    row("request_completion", |_, _| Value::text("")),
    // Whatever reads them here runs before the first byte of the answer goes out.
    row("bytes_sent", |_, _| Value::text("0")),
    row("body_bytes_sent", |_, _| Value::text("0")),
    row("request_body", |_, _| Value::NotFound),
    row("request_body_file", |_, _| Value::NotFound),
    row("sent_http_content_type", |r, cx| headers::sent_header(r, cx, b"content_type")),
    row("sent_http_content_length", |r, cx| headers::sent_header(r, cx, b"content_length")),
    row("sent_http_location", |r, cx| headers::sent_header(r, cx, b"location")),
    row("sent_http_last_modified", |r, cx| headers::sent_header(r, cx, b"last_modified")),
    unknown!("sent_http_connection"),
    unknown!("sent_http_keep_alive"),
    row("sent_http_transfer_encoding", |r, cx| headers::sent_header(r, cx, b"transfer_encoding")),
    row("sent_http_cache_control", |r, cx| headers::sent_header(r, cx, b"cache_control")),
    row("sent_http_link", |r, cx| headers::sent_header(r, cx, b"link")),
    response!("upstream_addr"),
    response!("upstream_status"),
    response!("upstream_connect_time"),
    response!("upstream_header_time"),
    response!("upstream_response_time"),
    response!("upstream_response_length"),
    response!("upstream_bytes_received"),
    response!("upstream_bytes_sent"),
    response!("upstream_cache_status"),
    response!("upstream_cache_last_modified"),
    response!("upstream_cache_etag"),
    response!("proxy_host"),
    response!("proxy_port"),
    response!("proxy_internal_host"),
    response!("proxy_internal_body_length"),
    response!("proxy_internal_chunked"),
    response!("proxy_add_via"),
    response!("grpc_internal_trailers"),
    response!("gzip_ratio"),
    volatile("limit_req_status", |r, _| connection::limit_status(r, "limit_req_status")),
    volatile("limit_conn_status", |r, _| connection::limit_status(r, "limit_conn_status")),
    volatile("limit_rate", |_, _| Value::text("0")),
    row("slice_range", |_, _| Value::NotFound),
    unknown!("uid_got"),
    unknown!("uid_set"),
    unknown!("uid_reset"),
    // The moment, the machine, the process.
    row("nginx_version", |_, cx| Value::text(cx.version.to_string())),
    unknown!("hostname"),
    unknown!("pid"),
    row("pipe", |_, _| Value::text(".")),
    unknown!("connection"),
    unknown!("connection_requests"),
    unknown!("connection_time"),
    unknown!("connections_active"),
    unknown!("connections_reading"),
    unknown!("connections_writing"),
    unknown!("connections_waiting"),
    unknown!("request_id"),
    unknown!("request_time"),
    unknown!("request_length"),
    unknown!("msec"),
    unknown!("time_iso8601"),
    unknown!("time_local"),
    unknown!("date_gmt"),
    unknown!("date_local"),
    unknown!("tcpinfo_rtt"),
    unknown!("tcpinfo_rttvar"),
    unknown!("tcpinfo_snd_cwnd"),
    unknown!("tcpinfo_rcv_space"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_listed_twice() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(!ROWS[at + 1..].iter().any(|other| other.name == row.name), "{}", row.name);
        }
    }

    #[test]
    fn younger_names_are_unknown_to_older_versions() {
        let old = Version::DEBIAN_1_22_1;
        assert!(matches!(find(b"request_port", old), Definition::Undefined));
        assert!(matches!(find(b"proxy_protocol_tlv_x", old), Definition::Undefined));
        assert!(matches!(find(b"request_port", Version::NEWEST), Definition::Builtin(_)));
        assert!(matches!(find(b"http_x_y", old), Definition::Prefixed(_)));
        assert!(matches!(find(b"nothing", old), Definition::Undefined));
    }
}

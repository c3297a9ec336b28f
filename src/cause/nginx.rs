//! The causes of nginx: every place in its HTTP core and stock modules that sets a status worth explaining.
//!
//! Phase names are those of `ngx_http_phases`, with `request line` and `request headers` before the first of them and
//! `filters` after the last.

use super::Cause;

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident: $code:literal, $phase:literal, $log:expr, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $name: &Cause =
                &Cause { code: concat!("nginx/", $code), phase: $phase, log: $log, summary: $summary };
        )*

        /// Every cause of nginx.
        pub const CAUSES: &[&Cause] = &[$($name),*];
    };
}

causes! {
    // Refused or never reached.
    CONFIG_REFUSED: "config-refused", "configuration", Some("[emerg]"), "nginx refuses to load this configuration";
    NO_LISTENER: "no-listener", "connection", None, "nothing listens on the address the client connects to";
    HANDSHAKE_REJECTED: "handshake-rejected", "connection", None, "`ssl_reject_handshake` ends the TLS handshake: no HTTP answer is given";
    TLS_ON_PLAIN_PORT: "tls-on-plain-port", "connection", Some("client sent invalid method"), "a TLS handshake arrives at a port without `ssl`";
    HTTP2_ONLY: "http2-only", "connection", Some("invalid connection preface"), "the port understands HTTP/2 only, and the client speaks HTTP/1";
    PROXY_PROTOCOL_MISSING: "proxy-protocol-missing", "connection", Some("broken header"), "the port expects the PROXY protocol and closes any other connection";

    // Request line and headers.
    INVALID_METHOD: "invalid-method", "request line", Some("client sent invalid method"), "the method holds bytes other than A-Z, `_` and `-`";
    INVALID_REQUEST: "invalid-request", "request line", Some("client sent invalid request"), "the request target is malformed";
    INVALID_VERSION: "invalid-version", "request line", Some("client sent invalid version"), "the major version of HTTP is not 1";
    URI_TOO_LONG: "uri-too-long", "request line", Some("client sent too long URI"), "the request line does not fit into one large header buffer";
    INVALID_HOST: "invalid-host", "request headers", Some("client sent invalid host"), "the host name is not acceptable";
    NO_HOST: "no-host", "request headers", Some("client sent HTTP/1.1 request without \"Host\" header"), "an HTTP/1.1 request must have a Host header";
    INVALID_HEADER: "invalid-header", "request headers", Some("client sent invalid header line"), "a header line holds a control byte";
    DUPLICATE_HEADER: "duplicate-header", "request headers", Some("client sent duplicate header line"), "a header that may stand once stands twice";
    HEADER_TOO_LARGE: "header-too-large", "request headers", Some("client sent too long header line"), "the header does not fit into the large header buffers";
    TOO_MANY_HEADERS: "too-many-headers", "request headers", Some("client sent too many header lines"), "there are more header lines than `max_headers` allows";
    INVALID_LENGTH: "invalid-length", "request headers", Some("client sent invalid \"Content-Length\" header"), "the length of the body is not said in an acceptable way";
    TRANSFER_ENCODING: "transfer-encoding", "request headers", Some("client sent unknown \"Transfer-Encoding\""), "the transfer encoding is not known";
    METHOD_REFUSED: "method-refused", "request headers", Some("client sent TRACE method"), "TRACE and CONNECT are refused before any location is chosen";
    MISDIRECTED: "misdirected", "request headers", Some("client attempted to request the server name different from the one that was negotiated"), "the name of the TLS handshake and the Host differ, and the server of the Host verifies clients";
    PLAIN_ON_TLS_PORT: "plain-on-tls-port", "request headers", Some("client sent plain HTTP request to HTTPS port"), "plain HTTP arrives at a port that speaks TLS";
    CLIENT_CERTIFICATE_BAD: "client-certificate-bad", "request headers", Some("client SSL certificate verify error"), "the client certificate does not verify";
    CLIENT_CERTIFICATE_MISSING: "client-certificate-missing", "request headers", Some("client sent no required SSL certificate"), "`ssl_verify_client on` and the client shows no certificate";

    // Server rewrite, find config, rewrite.
    RETURN_403: "return-403", "rewrite", None, "a `return` answers 403";
    RETURN_403_IF: "return-403-if", "rewrite", None, "a `return` inside an `if` answers 403";
    RETURN: "return", "rewrite", None, "a `return` answers";
    RETURN_CLOSE: "return-close", "rewrite", None, "a `return` closes the connection without an answer";
    REWRITE_REDIRECT: "rewrite-redirect", "rewrite", None, "a `rewrite` redirects the client";
    REWRITE_EMPTY: "rewrite-empty", "rewrite", Some("the rewritten URI has a zero length"), "a `rewrite` leaves nothing of the URI";
    SCRIPT_OVERRUN: "script-overrun", "rewrite", Some("no buffer space in script copy"), "a value grew while nginx put it together";
    REWRITE_CYCLE: "rewrite-cycle", "rewrite", Some("rewrite or internal redirection cycle"), "more than ten rewrites and internal redirects follow one another";
    ALIAS_REWRITTEN: "alias-rewritten", "content", Some("\"alias\" cannot be used in location"), "a location with `alias` cannot map a URI that was rewritten";
    INTERNAL: "internal", "find config", None, "the location is `internal` and the request came from outside";
    BODY_TOO_LARGE: "body-too-large", "find config", Some("client intended to send too large body"), "the announced body is longer than `client_max_body_size`";
    AUTO_REDIRECT: "auto-redirect", "find config", None, "a location that ends in a slash and hands over to a back end redirects the URI without it";
    NAMED_MISSING: "named-location-missing", "find config", Some("could not find named location"), "no location has this name";
    NAMED_EMPTY_URI: "named-location-empty-uri", "find config", Some("empty URI in redirect to named location"), "a named location cannot answer a request whose URI was never read";

    // Preaccess.
    LIMIT_REQ: "limit-req", "preaccess", Some("limiting requests, excess:"), "the rate of `limit_req` is exceeded";
    LIMIT_CONN: "limit-conn", "preaccess", Some("limiting connections by zone"), "the number of `limit_conn` is exceeded";

    // Access.
    ACCESS_DENY: "access-deny", "access", Some("access forbidden by rule"), "a `deny` is the first rule that covers the client";
    ACCESS_DENY_LIMIT_EXCEPT: "access-deny-limit-except", "access", Some("access forbidden by rule"), "`limit_except` denies this method to the client";
    ACCESS_DENY_SATISFY_ANY: "access-deny-satisfy-any", "post access", Some("access forbidden by rule"), "`satisfy any`: no method lets the client in";
    AUTH_BASIC_REQUIRED: "auth-basic-required", "access", Some("no user/password was provided for basic authentication"), "the request carries no user and password";
    AUTH_BASIC_UNKNOWN_USER: "auth-basic-unknown-user", "access", Some("was not found in"), "the password file does not name the user";
    AUTH_BASIC_MISMATCH: "auth-basic-mismatch", "access", Some("password mismatch"), "the password does not fit";
    AUTH_BASIC_FILE_MISSING: "auth-basic-file-missing", "access", Some("open() \"\" failed (2:"), "the password file does not exist";
    AUTH_BASIC_FILE_ERROR: "auth-basic-file-error", "access", Some("open() \"\" failed"), "the password file cannot be read";
    AUTH_REQUEST_403: "auth-request-403", "access", None, "the authorization subrequest answers 403";
    AUTH_REQUEST_401: "auth-request-401", "access", None, "the authorization subrequest answers 401";
    AUTH_REQUEST_UNEXPECTED: "auth-request-unexpected", "access", Some("auth request unexpected status:"), "the authorization subrequest answers neither 2xx nor 401 nor 403";
    AUTH_REQUEST_CLOSED: "auth-request-closed", "access", None, "the authorization subrequest closes the connection";

    // Precontent.
    TRY_FILES_403: "try-files-403", "precontent", None, "no file of `try_files` exists, and `=403` is its last word";
    TRY_FILES_CODE: "try-files-code", "precontent", None, "no file of `try_files` exists, and a status is its last word";

    // Content.
    DIRECTORY_INDEX: "directory-index", "content", Some("directory index of \"\" is forbidden"), "the directory has no index file and no listing";
    DIRECTORY_INDEX_POST: "directory-index-post", "content", Some("directory index of \"\" is forbidden"), "listings answer GET and HEAD only";
    INDEX_SEARCH_PERMISSION: "index-search-permission", "content", Some("is forbidden (13:"), "a directory on the way may not be searched";
    INDEX_UNREADABLE: "index-unreadable", "content", Some("open() \"\" failed (13:"), "the index file may not be read";
    INDEX_SYMLINK: "index-symlink", "content", None, "a symbolic link on the way to the index file is refused";
    INDEX_NOT_FOUND: "index-not-found", "content", Some("is not found"), "the directory does not exist";
    INDEX_ERROR: "index-error", "content", Some("stat() \"\" failed"), "the directory of the index cannot be examined";
    AUTOINDEX_PERMISSION: "autoindex-permission", "content", Some("opendir() \"\" failed (13:"), "the directory may not be read";
    AUTOINDEX_ERROR: "autoindex-error", "content", Some("opendir() \"\" failed"), "the directory cannot be listed";
    AUTOINDEX_CALLBACK: "autoindex-callback", "content", Some("client sent invalid callback name"), "the JSONP callback is not acceptable";
    RANDOM_INDEX_PERMISSION: "random-index-permission", "content", Some("opendir() \"\" failed (13:"), "the directory may not be read";
    RANDOM_INDEX_ERROR: "random-index-error", "content", Some("opendir() \"\" failed"), "the directory cannot be listed";
    STATIC_PERMISSION: "static-permission", "content", Some("open() \"\" failed (13:"), "the worker may not open the file";
    STATIC_DIRECTORY_UNREADABLE: "static-directory-unreadable", "content", Some("open() \"\" failed (13:"), "the directory may not be read, which the redirect to its slash needs";
    SYMLINK_LOOP: "symlink-loop", "content", Some("open() \"\" failed (40:"), "symbolic links lead in a circle";
    DISABLE_SYMLINKS: "disable-symlinks", "content", Some("openat() \"\" failed (40:"), "`disable_symlinks` refuses a link on the way";
    NOT_FOUND: "not-found", "content", Some("open() \"\" failed (2:"), "the file does not exist";
    NOT_REGULAR: "not-regular", "content", Some("is not a regular file"), "what the URI maps to is no regular file";
    NO_HANDLER: "no-handler", "content", Some("no handler found"), "no handler answers this request";
    OPEN_ERROR: "open-error", "content", Some("open() \"\" failed"), "the file cannot be opened";
    DIRECTORY_REDIRECT: "directory-redirect", "content", None, "the URI names a directory and lacks the final slash";
    METHOD_NOT_ALLOWED: "method-not-allowed", "content", None, "files answer GET and HEAD only";
    HANDLER_METHOD: "handler-method", "content", None, "the handler of the location does not answer this method";
    MEDIA_PERMISSION: "media-permission", "content", Some("open() \"\" failed (13:"), "the worker may not open the media file";
    DAV_PERMISSION: "dav-permission", "content", Some("failed (13:"), "the worker may not change the file system here";
    DAV_SAME_RESOURCE: "dav-same-resource", "content", Some("point to the same location"), "source and destination are the same";
    DAV_CONFLICT: "dav-conflict", "content", None, "the request does not fit what is there";
    DAV_BAD_REQUEST: "dav-bad-request", "content", Some("client sent"), "a header of the WebDAV request is missing or bad";
    DAV_NOT_FOUND: "dav-not-found", "content", Some("failed (2:"), "what the WebDAV request names does not exist";
    DAV_ERROR: "dav-error", "content", Some("failed"), "the WebDAV request fails in the file system";
    UPSTREAM: "upstream", "content", None, "a back end answers";
    UPSTREAM_NEXT_403: "upstream-next-403", "content", None, "every back end answered 403";
    UPSTREAM_INVALID_URL: "upstream-invalid-url", "content", Some("invalid URL prefix"), "the address of the back end is malformed";
    UPSTREAM_NO_RESOLVER: "upstream-no-resolver", "content", Some("no resolver defined to resolve"), "the name of the back end is computed and there is no `resolver`";
    UPSTREAM_NONE_LIVE: "upstream-none-live", "content", Some("no live upstreams"), "every server of the group is marked `down`";
    MEMCACHED_KEY_UNSET: "memcached-key-unset", "content", Some("the \"$memcached_key\" variable is not set"), "nothing gives `$memcached_key` a value, so memcached cannot be asked";
    X_ACCEL: "x-accel", "content", None, "the back end's X-Accel-Redirect leads here";
    THIRD_PARTY: "third-party", "content", None, "a module that is not simulated decides";

    // Special responses and filters.
    ERROR_PAGE_STATUS: "error-page-status", "special response", None, "`error_page` gives the error another status";
    ERROR_PAGE_FORBIDDEN: "error-page-forbidden", "special response", None, "the error page itself is refused";
    ERROR_PAGE_FAILED: "error-page-failed", "special response", None, "the error page itself fails";
    ERROR_PAGE_REDIRECT: "error-page-redirect", "special response", None, "`error_page` redirects the client";
    SSL_ERROR_PAGE: "ssl-error-page", "special response", Some("client SSL certificate verify error"), "`error_page` gives a TLS error another status";
    GUNZIP_FAILED: "gunzip-failed", "filters", Some("inflate()"), "the file is to be unpacked, and is no whole file of gzip";
    CHARSET_UNSET: "charset-unset", "filters", None, "a charset is the value of a variable, and the variable has none";
    NOT_MODIFIED: "not-modified", "filters", None, "the client's copy is current";
    PRECONDITION_FAILED: "precondition-failed", "filters", None, "a precondition of the request does not hold";
    RANGE_NOT_SATISFIABLE: "range-not-satisfiable", "filters", None, "no byte of the requested ranges exists";
}

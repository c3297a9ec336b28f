//! The causes of Apache: every place in the hooks that sets a status from 300 on.
//!
//! The 403s are the complete list of the server's source; the rest are the statuses that the evaluator can give.

use super::Cause;

/// Declares the causes and the table of all of them.
macro_rules! causes {
    ($($name:ident: $code:literal, $phase:literal, $log:expr, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            pub static $name: Cause = Cause {
                code: concat!("apache/", $code),
                phase: $phase,
                log: $log,
                summary: $summary,
            };
        )*

        /// Every cause of Apache.
        pub const CAUSES: &[&Cause] = &[$(&$name),*];
    };
}

causes! {
    REQUIRE_DENIED: "require-denied", "access_checker_ex", Some("AH01630"), "no rule in force grants this request";
    REQUIRE_DENIED_DEFAULT_ROOT: "require-denied-default-root", "access_checker_ex", Some("AH01630"), "only the section for `/` applies, and it denies everything";
    AUTHZ_FORBIDDEN_ON_FAILURE: "authz-forbidden-on-failure", "auth_checker", Some("AH01631"), "the user is known but not authorized, and that is answered with 403";
    ACCESS_COMPAT_DENY: "access-compat-deny", "access_checker", Some("AH01797"), "a Deny line covers the client";
    ACCESS_COMPAT_ORDER_DEFAULT: "access-compat-order-default", "access_checker", Some("AH01797"), "no Allow line covers the client, and this order denies everybody else";
    SSL_REQUIRED: "ssl-required", "access_checker", Some("AH02219"), "the connection is not TLS";
    SSL_REQUIRE_EXPR: "ssl-require-expr", "access_checker", Some("AH02229"), "the expression does not hold";
    SSL_STRICT_REQUIRE: "ssl-strict-require", "check_user_id", None, "StrictRequire keeps the refusal although another rule grants access";
    SSL_SNI_MISMATCH: "ssl-sni-mismatch", "post_read_request", Some("AH02032"), "the names of the handshake and of the Host header choose servers with different TLS settings";
    SSL_SNI_STRICT: "ssl-sni-strict", "post_read_request", Some("AH02033"), "the handshake named no host, and SSLStrictSNIVHostCheck wants one";
    SSL_HANDSHAKE: "ssl-handshake", "connection", Some("AH02008"), "the handshake fails for want of a client certificate that is accepted";
    SSL_CLIENT_CERT: "ssl-client-cert", "access_checker", Some("AH02261"), "the client shows no certificate that is accepted";
    SSL_FAKE_BASIC_SPOOF: "ssl-fake-basic-spoof", "check_user_id", Some("AH02035"), "the credentials look like those that FakeBasicAuth makes";
    HTACCESS_UNREADABLE: "htaccess-unreadable", "map_to_storage", Some("AH00529"), "the worker cannot open the `.htaccess`";
    HTACCESS_NOT_REGULAR: "htaccess-not-regular", "map_to_storage", Some("AH00529"), "the `.htaccess` is not a regular file";
    SEARCH_PERMISSION: "search-permission", "map_to_storage", Some("AH00035"), "the worker may not search a directory on the way";
    PATH_STAT_ERROR: "path-stat-error", "map_to_storage", Some("AH00036"), "a component of the path cannot be looked at";
    PATH_TOO_LONG: "path-too-long", "translate_name", Some("AH00127"), "document root and path together are longer than 4095 bytes";
    SYMLINK_NOT_ALLOWED: "symlink-not-allowed", "map_to_storage", Some("AH00037"), "the path holds a symbolic link, and links are not followed here";
    SYMLINK_OWNER_MISMATCH: "symlink-owner-mismatch", "map_to_storage", Some("AH00037"), "a symbolic link and what it leads to have different owners";
    SYMLINK_TARGET_UNREACHABLE: "symlink-target-unreachable", "map_to_storage", Some("AH00037"), "what a symbolic link leads to cannot be reached";
    SYMLINK_SUBREQUEST: "symlink-subrequest", "map_to_storage", Some("AH00032"), "the file is a symbolic link that may not be followed";
    NOT_A_FILE: "not-a-file", "map_to_storage", Some("AH00038"), "the path leads to neither a file nor a directory";
    FILE_PERMISSION: "file-permission", "handler", Some("AH00132"), "the worker may not read the file";
    PROXYREQ_UNTRANSLATED: "proxyreq-untranslated", "translate_name", None, "nothing takes this request for a proxy";
    LOOKUP_FILE_FAILED: "lookup-file-failed", "sub_request", None, "the file name of a sub-request is not valid";
    AUTOINDEX_FORBIDDEN: "autoindex-forbidden", "handler", Some("AH01276"), "the directory has no index file, and listing it is not allowed";
    AUTOINDEX_UNREADABLE: "autoindex-unreadable", "handler", Some("AH01275"), "the worker may not read the directory";
    INDEX_SUBREQUEST_DENIED: "index-subrequest-denied", "fixups", None, "an index file of the directory is refused";
    FALLBACK_DENIED: "fallback-denied", "fixups", None, "the fallback resource is refused";
    REDIRECT_403: "redirect-403", "translate_name", None, "a redirect with status 403 covers the path";
    REWRITE_FORBIDDEN: "rewrite-forbidden", "translate_name", None, "a rewrite rule forbids the path";
    REWRITE_OPTIONS_OFF: "rewrite-options-off", "fixups", Some("AH00670"), "rewriting in a directory needs FollowSymLinks or SymLinksIfOwnerMatch";
    REWRITE_PROXY_MISSING: "rewrite-proxy-missing", "translate_name", Some("AH00669"), "a rewrite rule hands the request to a proxy, and mod_proxy is not loaded";
    REWRITE_QUERY_CONTROL: "rewrite-query-control", "translate_name", Some("AH10410"), "the rewritten query holds control characters or blanks";
    REWRITE_UNSAFE_3F: "rewrite-unsafe-3f", "translate_name", Some("AH10508"), "an encoded question mark of the request would start a query";
    REWRITE_STAT_REFUSED: "rewrite-stat-refused", "translate_name", None, "a file test of a rewrite condition is refused";
    CGI_NO_EXECCGI: "cgi-no-execcgi", "handler", Some("AH02809"), "a script handler is set, and running scripts is not allowed here";
    CGI_DIRECTORY: "cgi-directory", "handler", Some("AH02812"), "a directory cannot be run as a script";
    CGI_NPH_INCLUDED: "cgi-nph-included", "handler", Some("AH02810"), "an nph- script cannot be included";
    MULTIVIEWS_UNREADABLE_DIR: "multiviews-unreadable-dir", "type_checker", Some("AH00686"), "the worker may not read the directory that MultiViews searches";
    TYPEMAP_UNREADABLE: "typemap-unreadable", "handler", Some("AH00683"), "the worker may not read the type map";
    ASIS_UNREADABLE: "asis-unreadable", "handler", Some("AH01234"), "the worker may not read the file";
    CERN_META_UNREADABLE: "cern-meta-unreadable", "fixups", Some("AH01562"), "the worker may not read the meta file";
    DAV_STATE_DIR: "dav-state-dir", "handler", Some("AH10619"), "the state directory of WebDAV is not served";
    DAV_EXTRA_PATH: "dav-extra-path", "handler", None, "the URL goes on behind a file, which WebDAV knows no resource for";
    DAV_OPERATION: "dav-operation", "handler", None, "a WebDAV operation is refused";
    PROXY_BLOCK: "proxy-block", "handler", Some("AH00898"), "ProxyBlock names the host";
    PROXY_CONNECT_PORT: "proxy-connect-port", "handler", Some("AH00898"), "AllowCONNECT does not name the port";
    PROXY_CONTROL_CHARS: "proxy-control-chars", "fixups", Some("AH10415"), "the path or query to be forwarded holds control characters";
    PROXY_FTP_LOGIN: "proxy-ftp-login", "handler", None, "the FTP server refuses the login";
    UPSTREAM_403: "upstream-403", "handler", None, "the content behind the handler says so, not the configuration";
    THIRD_PARTY: "third-party", "post_read_request", None, "a module that is not simulated may refuse the request";
    CONFIGURATION_REFUSED: "configuration-refused", "configuration", None, "the server refuses this configuration";
    NOT_LISTENING: "not-listening", "connection", None, "nothing listens on this address and port";
    NO_TLS_HERE: "no-tls-here", "connection", None, "the port does not speak TLS";
    HTTP_ON_HTTPS_PORT: "http-on-https-port", "connection", Some("AH01996"), "plain HTTP was spoken on a TLS port";
    REQUEST_LINE_TOO_LONG: "request-line-too-long", "read_request", Some("AH00565"), "the request line is longer than allowed";
    BAD_REQUEST_LINE: "bad-request-line", "read_request", Some("AH03445"), "the request line is malformed";
    FOREIGN_SCHEME: "foreign-scheme", "post_read_request", None, "the URL's scheme is neither http nor https";
    HTTP_09_REJECTED: "http-09-rejected", "read_request", Some("AH02401"), "HTTP/0.9 is not accepted";
    METHOD_NOT_REGISTERED: "method-not-registered", "read_request", Some("AH02423"), "only registered methods are accepted";
    HEADER_TOO_LONG: "header-too-long", "read_request", Some("AH00561"), "a header is longer than allowed";
    TOO_MANY_HEADERS: "too-many-headers", "read_request", Some("AH00563"), "there are more headers than allowed";
    BAD_HEADER: "bad-header", "read_request", Some("AH02426"), "a header is malformed";
    BAD_HOST: "bad-host", "read_request", Some("AH00550"), "the host name is malformed";
    HOST_MISSING: "host-missing", "read_request", Some("AH00569"), "the request names no host";
    STRICT_HOST_CHECK: "strict-host-check", "read_request", Some("AH10157"), "the host name is none of the server's";
    EXPECTATION: "expectation", "read_request", Some("AH00570"), "the expectation is not known";
    INVALID_PATH: "invalid-path", "normalize_path", Some("AH10244"), "the path is malformed or leads above the root";
    ENCODED_SLASH: "encoded-slash", "unescape_path", Some("AH00026"), "the path holds an encoded slash";
    ENCODED_NUL: "encoded-nul", "unescape_path", None, "the path holds an encoded NUL";
    INVALID_URI: "invalid-uri", "translate_name", Some("AH00126"), "the path does not begin with a slash";
    TRACE_DISABLED: "trace-disabled", "map_to_storage", None, "TRACE is switched off";
    TRACE_BODY: "trace-body", "map_to_storage", None, "TRACE may not carry a body";
    HTACCESS_ERROR: "htaccess-error", "map_to_storage", None, "the `.htaccess` holds something that it may not hold";
    ALLOW_METHODS: "allow-methods", "access_checker", Some("AH01623"), "the method is not among the allowed ones";
    AUTHENTICATION_REQUIRED: "authentication-required", "check_user_id", None, "credentials are asked for, and none were sent";
    WRONG_AUTH_SCHEME: "wrong-auth-scheme", "check_user_id", Some("AH01614"), "the credentials are of another scheme";
    PASSWORD_MISMATCH: "password-mismatch", "check_user_id", Some("AH01617"), "the password is wrong";
    USER_NOT_FOUND: "user-not-found", "check_user_id", Some("AH01618"), "the user is not known";
    PASSWORD_FILE: "password-file", "check_user_id", Some("AH01620"), "there is no password file that can be read";
    AUTHNAME_MISSING: "authname-missing", "check_user_id", Some("AH01615"), "authentication needs an AuthName";
    AUTHTYPE_WITHOUT_REQUIRE: "authtype-without-require", "access_checker_ex", Some("AH01627"), "an AuthType is set, and no rule says who may";
    AUTHTYPE_WITHOUT_MODULE: "authtype-without-module", "check_user_id", Some("AH01796"), "no loaded module does this AuthType";
    DIGEST_URI: "digest-uri", "check_user_id", Some("AH01786"), "the digest login is for another URI";
    DIGEST_NONCE: "digest-nonce", "check_user_id", Some("AH01776"), "the nonce of the digest login is not good";
    FORM_LOGIN: "form-login", "check_user_id", None, "there is no login, and the client is sent to the login page";
    FORM_LOGOUT: "form-logout", "handler", None, "the client has logged out and is sent on";
    BASIC_FAKE: "basic-fake", "fixups", Some("AH02455"), "the credentials to be passed on cannot be evaluated";
    NO_AUTHENTICATION_MODULE: "no-authentication-module", "check_user_id", Some("AH00025"), "no loaded module authenticates anybody";
    NO_AUTHENTICATION_DONE: "no-authentication-done", "check_user_id", Some("AH00027"), "a user is required, and no AuthType is in force";
    NO_AUTHENTICATED_USER: "no-authenticated-user", "auth_checker", Some("AH01629"), "the rule needs a user";
    USER_NOT_AUTHORIZED: "user-not-authorized", "auth_checker", Some("AH01631"), "the user is known but not authorized";
    REQUIRE_ERROR: "require-error", "access_checker_ex", Some("AH02320"), "the expression of a rule cannot be evaluated";
    HANDLER_EXPR: "handler-expr", "fixups", Some("AH03154"), "the handler's expression cannot be evaluated";
    DIRECTORY_SLASH: "directory-slash", "fixups", None, "a directory is asked for without its final slash";
    INDEX_REDIRECT: "index-redirect", "fixups", None, "the index is answered with a redirect";
    REDIRECT: "redirect", "translate_name", None, "a redirect covers the path";
    REWRITE_REDIRECT: "rewrite-redirect", "translate_name", None, "a rewrite rule redirects";
    REWRITE_STATUS: "rewrite-status", "translate_name", None, "a rewrite rule ends the request with this status";
    REDIRECT_STATUS: "redirect-status", "translate_name", None, "a redirect ends the request with this status";
    REWRITE_NOT_A_PATH: "rewrite-not-a-path", "translate_name", None, "a rewrite rule left something that is no path";
    REWRITE_ROUNDS: "rewrite-too-many-rounds", "translate_name", Some("AH02596"), "a rewrite rule starts over without end";
    TOO_MANY_REDIRECTS: "too-many-redirects", "internal_redirect", Some("AH00124"), "the request was redirected internally more often than allowed";
    TOO_MANY_SUBREQUESTS: "too-many-subrequests", "sub_request", Some("AH00125"), "sub-requests are nested deeper than allowed";
    ERROR_DOCUMENT_REDIRECT: "error-document-redirect", "error", None, "the ErrorDocument is a URL, which turns the error into a redirect";
    NEGOTIATION_NO_VARIANT: "negotiation-no-variant", "type_checker", Some("AH00687"), "variants exist, and none of them may be served";
    NEGOTIATION_NOT_ACCEPTABLE: "negotiation-not-acceptable", "type_checker", Some("AH00690"), "no variant is acceptable to the client";
    NEGOTIATION_MULTIPLE_CHOICES: "negotiation-multiple-choices", "handler", None, "the client is left to choose a variant";
    SPELING_REDIRECT: "speling-redirect", "fixups", None, "the name was corrected";
    SPELING_CHOICES: "speling-choices", "fixups", None, "several names are close to the one asked for";
    USERDIR_REDIRECT: "userdir-redirect", "translate_name", None, "home pages are elsewhere";
    CGI_NOT_FOUND: "cgi-not-found", "handler", Some("AH02811"), "the script does not exist";
    CGI_PATH_INFO: "cgi-path-info", "handler", Some("AH02813"), "a path behind the script is not accepted";
    ASIS_NOT_FOUND: "asis-not-found", "handler", Some("AH01233"), "the file does not exist";
    ASIS_STATUS: "asis-status", "handler", None, "the file itself carries this status";
    NOT_FOUND: "not-found", "handler", Some("AH00128"), "the file does not exist";
    DIRECTORY_NOT_SERVED: "directory-not-served", "handler", Some("AH00129"), "a directory is not served as a file";
    PATH_INFO_NOT_ACCEPTED: "path-info-not-accepted", "handler", Some("AH00130"), "the path goes on behind a file";
    METHOD_NOT_ALLOWED: "method-not-allowed", "handler", None, "the file is served for GET, POST and OPTIONS only";
    METHOD_NOT_IMPLEMENTED: "method-not-implemented", "handler", None, "the page of the module answers GET and HEAD only";
    UNKNOWN_METHOD: "unknown-method", "handler", Some("AH00135"), "the method is not known";
    BODY_TOO_LARGE: "body-too-large", "handler", Some("AH01587"), "the body is larger than allowed";
    RESPONSE_HEADER: "response-header", "handler", Some("AH02430"), "a header that the configuration adds holds control characters";
    RESPONSE_HEADER_NAME: "response-header-name", "handler", Some("AH02429"), "a header that the configuration adds has a name that is none";
    FIFO_BLOCKS: "fifo-blocks", "handler", None, "opening the FIFO waits for ever";
    NO_HANDLER: "no-handler", "handler", Some("AH00523"), "no handler takes the request";
    REDIRECT_EVALUATION: "redirect-evaluation", "translate_name", Some("AH02826"), "the target of a redirect cannot be evaluated";
    REDIRECT_INVALID_TARGET: "redirect-invalid-target", "translate_name", Some("AH00674"), "the target of a redirect is no URL";
    PROXY_MAX_FORWARDS: "proxy-max-forwards", "handler", Some("AH00898"), "the request has passed as many proxies as it may";
    PROXY_NO_ADDRESS: "proxy-no-address", "handler", Some("AH00898"), "the host to be asked has no address";
    PROXY_NO_URL: "proxy-no-url", "handler", Some("AH01141"), "what is to be proxied is no URL";
    PROXY_NO_PROTOCOL: "proxy-no-protocol", "handler", Some("AH01144"), "no module that is loaded speaks the protocol of the URL";
    REMOTEIP_PROXY_PROTOCOL: "remoteip-proxy-protocol", "connection", Some("AH03496"), "the connection does not begin with the PROXY line that the server waits for";
    REWRITE_TOO_LONG: "rewrite-too-long", "translate_name", None, "rewrite rules make the path longer without end";
    VARIANT_ALSO_VARIES: "variant-also-varies", "type_checker", None, "the chosen variant would be negotiated again";
    TYPE_MAP_MISSING: "type-map-missing", "handler", Some("AH00683"), "the type map does not exist";
    TYPE_MAP_INVALID: "type-map-invalid", "handler", Some("AH00681"), "a line of the type map cannot be read";
    ACTION_FILE_MISSING: "action-file-missing", "handler", Some("AH00652"), "an Action is for files that exist, and this one does not";
    NOT_MODIFIED: "not-modified", "handler", None, "the client has the current version";
    PRECONDITION_FAILED: "precondition-failed", "handler", None, "a condition of the request does not hold";
    RANGE_NOT_SATISFIABLE: "range-not-satisfiable", "handler", None, "no requested range lies within the file";
}

#[cfg(test)]
mod tests {
    use super::CAUSES;

    #[test]
    fn codes_are_unique_and_kebab_case() {
        let mut codes: Vec<&str> = CAUSES.iter().map(|cause| cause.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]));
        let fine = |code: &str| {
            code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-/".contains(&byte))
        };
        assert!(codes.iter().all(|code| fine(code)));
    }
}

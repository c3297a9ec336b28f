//! nginx's built-in defaults: what holds where nobody says anything.

use std::sync::Arc;

use super::complex::ComplexValue;
use super::model::{
    AuthConf, ContentConf, CoreConf, DisableSymlinks, GzipStatic, LimitConf, ListingFormat, LocConf, Mapping,
    ProxyConf, Satisfy, SrvConf, VerifyClient,
};
use crate::source::{Origin, Setting};

impl Default for SrvConf {
    fn default() -> Self {
        SrvConf {
            merge_slashes: Setting::default_value(true),
            underscores_in_headers: Setting::default_value(false),
            http2: Setting::default_value(false),
            ignore_invalid_headers: Setting::default_value(true),
            large_client_header_buffers: Setting::default_value((4, 8 << 10)),
            client_header_buffer_size: Setting::default_value(1 << 10),
            max_headers: Setting::default_value(1000),
            ssl_verify_client: Setting::default_value(VerifyClient::Off),
            ssl_client_certificate: Setting::default_value(None),
            ssl_trusted_certificate: Setting::default_value(None),
            ssl_reject_handshake: Setting::default_value(false),
            ssl: Setting::default_value(false),
            allow_connect: false,
        }
    }
}

impl LocConf {
    /// nginx's built-in defaults, `root` being `html` below the prefix.
    pub(super) fn defaults(origin: Origin, root: Vec<u8>) -> LocConf {
        let off = || Setting::default_value(false);
        LocConf {
            origin,
            core: Arc::new(CoreConf {
                mapping: Setting::default_value(Mapping { path: ComplexValue::literal(&root), alias: None }),
                satisfy: Setting::default_value(Satisfy::All),
                internal: off(),
                error_pages: Vec::new(),
                recursive_error_pages: off(),
                client_max_body_size: Setting::default_value(1 << 20),
                disable_symlinks: Setting::default_value(DisableSymlinks::Off),
                disable_symlinks_from: Setting::default_value(None),
                resolver: off(),
                open_file_cache: off(),
                msie_refresh: off(),
            }),
            access: Arc::default(),
            auth: Arc::new(AuthConf {
                realm: Setting::default_value(None),
                user_file: Setting::default_value(None),
                request: Setting::default_value(None),
                request_set: Vec::new(),
            }),
            realip: Arc::default(),
            limits: Arc::new(LimitConf {
                req: Vec::new(),
                req_status: Setting::default_value(503),
                req_dry_run: off(),
                conn: Vec::new(),
                conn_status: Setting::default_value(503),
                conn_dry_run: off(),
            }),
            content: Arc::new(ContentConf {
                index: vec![Setting::default_value(ComplexValue::literal(b"index.html"))],
                autoindex: off(),
                autoindex_format: Setting::default_value(ListingFormat::Html),
                random_index: off(),
                gzip_static: Setting::default_value(GzipStatic::Off),
                gunzip: off(),
                dav_methods: Setting::default_value(0),
                min_delete_depth: Setting::default_value(0),
                create_full_put_path: off(),
                mirror: off(),
                mirror_request_body: Setting::default_value(true),
                intercept_errors: std::array::from_fn(|_| off()),
            }),
            proxy: Arc::new(ProxyConf { headers: Vec::new(), pass_headers: true, method: None }),
            filters: Arc::default(),
            referer: Arc::default(),
            browsers: Arc::default(),
            secure_link: Arc::default(),
            handler: None,
            try_files: None,
            program: None,
            opaque: Arc::from([]),
        }
    }
}

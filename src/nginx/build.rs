//! Which nginx: its version, and the modules that it was built with or loads.

use crate::nginx::directives::{self, Row};
use crate::nginx::version::Version;
use crate::server::LoadOptions;

/// A build of nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// The version whose behaviour is followed.
    pub version: Version,
    /// Names of the modules, sorted: `ngx_http_access_module`.
    pub modules: Vec<String>,
}

impl Build {
    /// The build that the options name: `--modules` is a profile, or modules (with or without `ngx_…_module` around
    /// them) on top of the version's recorded build. The notes say what was taken otherwise than asked.
    pub fn resolve(options: &LoadOptions) -> (Build, Vec<String>) {
        let mut notes = Vec::new();
        let asked = options.modules.as_deref().map(str::trim);
        let profile = asked.and_then(|name| directives::profiles().iter().find(|profile| profile.name == name));
        // A profile names a version too; `--server-version` has the last word.
        let text = options.version.as_deref().or(profile.map(|profile| profile.version));
        let (version, note) = Version::resolve(text);
        notes.extend(note);
        let recorded =
            profile.or_else(|| directives::profiles().iter().find(|profile| profile.version == version.to_string()));
        let mut modules: Vec<String> =
            recorded.iter().flat_map(|profile| profile.modules).map(|&name| name.to_owned()).collect();
        // Nothing said: whatever the project's own source can be built with on Linux.
        if asked.is_none() {
            modules.extend(
                directives::all().iter().map(|row| row.module).filter(|module| official(module)).map(str::to_owned),
            );
        }
        if let (Some(asked), None) = (asked, profile) {
            for name in asked.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                match module_of(name) {
                    Some(module) => modules.push(module.to_owned()),
                    None => notes.push(format!("no directive of a module `{name}` is known")),
                }
            }
        }
        modules.sort_unstable();
        modules.dedup();
        (Build { version, modules }, notes)
    }

    /// Whether the build has the row's directive.
    pub fn has(&self, row: &Row) -> bool {
        self.in_version(row) && self.has_module(row.module)
    }

    /// Whether the module is there.
    pub fn has_module(&self, module: &str) -> bool {
        self.modules.binary_search_by(|known| known.as_str().cmp(module)).is_ok()
    }

    /// Adds what a `load_module` loads: the module that its file is named after, and of `mail` and `stream` what is built
    /// into the same file.
    pub fn load(&mut self, module: &str) {
        let family = match module {
            "ngx_mail_module" => "ngx_mail_",
            "ngx_stream_module" => "ngx_stream_",
            _ => "",
        };
        // A database needs a library, and its module a file of its own.
        let inside = |name: &&str| !family.is_empty() && name.starts_with(family) && !name.contains("geoip");
        for name in directives::all().iter().map(|row| row.module).filter(inside).filter(|name| official(name)) {
            self.add(name);
        }
        self.add(module);
    }

    fn add(&mut self, module: &str) {
        if let Err(at) = self.modules.binary_search_by(|known| known.as_str().cmp(module)) {
            self.modules.insert(at, module.to_owned());
        }
    }

    fn in_version(&self, row: &Row) -> bool {
        if self.version >= Version::NEWEST { row.versions.1 } else { row.versions.0 }
    }
}

/// `echo`, `http_echo`, `ngx_http_echo_module` → the module, where the tables have one.
fn module_of(name: &str) -> Option<&'static str> {
    let forms =
        [name.to_owned(), format!("ngx_{name}_module"), format!("ngx_http_{name}_module"), format!("ngx_{name}")];
    directives::all().iter().map(|row| row.module).find(|module| forms.iter().any(|form| form == module))
}

/// Modules that nginx's own source does not have: third parties', commercial ones, and njs.
const THIRD_PARTY: &[&str] = &[
    "nginx-plus",
    "ngx_http_app_protect_module",
    "ngx_http_auth_digest_module",
    "ngx_http_auth_jwt_module",
    "ngx_http_auth_ldap_module",
    "ngx_http_auth_pam_module",
    "ngx_http_auth_spnego_module",
    "ngx_http_brotli_filter_module",
    "ngx_http_brotli_static_module",
    "ngx_http_cache_purge_module",
    "ngx_http_dav_ext_module",
    "ngx_http_echo_module",
    "ngx_http_fancyindex_module",
    "ngx_http_geoip2_module",
    "ngx_http_header_count_module",
    "ngx_http_headers_more_filter_module",
    "ngx_http_js_module",
    "ngx_http_keyval_module",
    "ngx_http_lua_module",
    "ngx_http_modsecurity",
    "ngx_http_modsecurity_module",
    "ngx_http_naxsi_module",
    "ngx_http_oidc_module",
    "ngx_http_passenger_module",
    "ngx_http_set_misc_module",
    "ngx_http_subs_filter_module",
    "ngx_http_testcookie_access_module",
    "ngx_http_upstream_check_module",
    "ngx_http_upstream_fair_module",
    "ngx_http_vhost_traffic_status_module",
    "ngx_http_zstd_filter_module",
    "ngx_http_zstd_static_module",
    "ngx_pagespeed",
    "ngx_rtmp_module",
    "ngx_stream_geoip2_module",
    "ngx_stream_js_module",
    "ngx_stream_keyval_module",
    "third-party",
];

/// Modules of other systems.
const ELSEWHERE: &[&str] = &["ngx_devpoll_module", "ngx_eventport_module", "ngx_iocp_module", "ngx_kqueue_module"];

/// Whether a module is in nginx's own source, for Linux.
fn official(module: &str) -> bool {
    !THIRD_PARTY.contains(&module) && !ELSEWHERE.contains(&module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn build(version: Option<&str>, modules: Option<&str>) -> (Build, Vec<String>) {
        let mut options = LoadOptions::new(Path::new("/etc/nginx/nginx.conf"));
        options.version = version.map(str::to_owned);
        options.modules = modules.map(str::to_owned);
        Build::resolve(&options)
    }

    fn has(build: &Build, name: &str) -> bool {
        directives::rows(name.as_bytes()).iter().any(|row| build.has(row))
    }

    #[test]
    fn every_official_module_is_there_unless_a_profile_says_otherwise() {
        let (old, notes) = build(Some("1.22.1"), None);
        assert!(notes.is_empty() && has(&old, "dav_methods") && has(&old, "max_headers") && !has(&old, "http2"));
        let (new, _) = build(None, None);
        assert!(has(&new, "dav_methods") && has(&new, "http2") && has(&new, "perl"));
        assert!(!has(&new, "modsecurity") && !has(&new, "kqueue_changes"));
        let (fixed, _) = build(None, Some("static-1.31.3"));
        assert!(!has(&fixed, "dav_methods") && has(&fixed, "js_content") && !has(&fixed, "perl"));
        let (debian, _) = build(None, Some("debian-nginx-full-1.22.1"));
        assert!(has(&debian, "dav_methods") && !has(&debian, "http2") && !has(&debian, "perl"));
    }

    #[test]
    fn modules_are_added_by_name() {
        let (build, notes) = build(None, Some("http_dav, modsecurity, nonsense"));
        assert!(has(&build, "dav_methods") && has(&build, "modsecurity"));
        assert_eq!(notes.len(), 1);
    }
}

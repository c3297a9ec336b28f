//! Directives and modules that are not simulated: when they can change an answer at all.
//!
//! A row of the directive table says that a directive is opaque; most such modules act on every request from the first
//! hook on, but some speak only where a handler or a provider of theirs is named, and that place asks its own question.

use crate::apache::model::Opaque;

/// Modules that speak only through their handler, their authentication provider, or a background task.
const PASSIVE_MODULES: [&str; 10] = [
    "authn_dbd_module",
    "authn_fcgi_module",
    "authnz_external_module",
    "authnz_fcgi_module",
    "authnz_pam_module",
    "authz_dbd_module",
    "imagemap_module",
    "isapi_module",
    "reflector_module",
    "upload_progress_module",
];

/// Directives of mod_lua that only prepare what a hook or a handler of its own would need.
const PASSIVE_LUA: [&str; 9] = [
    "LuaAuthzProvider",
    "LuaCodeCache",
    "LuaInherit",
    "LuaInputFilter",
    "LuaOutputFilter",
    "LuaPackageCPath",
    "LuaPackagePath",
    "LuaRoot",
    "LuaScope",
];

/// Directives that have a say only in what mod_dav is asked about anyway.
const PASSIVE_DAV: [&str; 1] = ["DAVDepthInfinity"];

/// The directives of mod_fcgid that take part in access control; its others describe how scripts are run.
const ACTIVE_FCGID: [&str; 3] = ["FcgidAccessChecker", "FcgidAuthenticator", "FcgidAuthorizer"];

/// Whether the directive can change the answer to a request by itself.
pub(crate) fn acts(opaque: &Opaque) -> bool {
    let named = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(&opaque.name));
    match opaque.module {
        "fcgid_module" => named(&ACTIVE_FCGID),
        "lua_module" => !named(&PASSIVE_LUA),
        "dav_module" => !named(&PASSIVE_DAV),
        module => !PASSIVE_MODULES.contains(&module),
    }
}

/// Handlers of script modules: a file that exists is run, and the script answers.
const SCRIPT_HANDLERS: [(&str, &str); 9] = [
    ("application/x-httpd-php", "php_module"),
    ("application/x-httpd-php", "php7_module"),
    ("application/x-httpd-php", "php5_module"),
    ("fcgid-script", "fcgid_module"),
    ("fastcgi-script", "fastcgi_module"),
    ("perl-script", "perl_module"),
    ("modperl", "perl_module"),
    ("python-program", "python_module"),
    ("wsgi-script", "wsgi_module"),
];

/// Whether a handler's name is that of a loaded script module.
pub(crate) fn is_script_handler(name: &[u8], is_loaded: impl Fn(&str) -> bool) -> bool {
    SCRIPT_HANDLERS.iter().any(|(handler, module)| handler.as_bytes() == name && is_loaded(module))
}

/// Handlers of modules whose answers are not known.
const OPAQUE_HANDLERS: [(&str, &str); 8] = [
    ("lua-script", "lua_module"),
    ("imap-file", "imagemap_module"),
    ("application/x-httpd-imap", "imagemap_module"),
    ("heartbeat", "heartmonitor_module"),
    ("form-redirect-handler", "auth_form_module"),
    ("isapi-handler", "isapi_module"),
    ("jakarta-servlet", "jk_module"),
    ("reflector", "reflector_module"),
];

/// Whether a handler's name is that of a loaded module that is not simulated.
pub(crate) fn is_opaque_handler(name: &[u8], is_loaded: impl Fn(&str) -> bool) -> bool {
    OPAQUE_HANDLERS.iter().any(|(handler, module)| handler.as_bytes() == name && is_loaded(module))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{FileId, Origin, Span};

    #[test]
    fn some_modules_speak_only_where_they_are_named() {
        let origin = Origin { span: Span::new(FileId(0), 0, 0), via: None };
        let acts = |name: &str, module| acts(&Opaque { name: name.to_owned(), module, origin });
        assert!(!acts("FcgidMaxRequestLen", "fcgid_module") && acts("FcgidAuthorizer", "fcgid_module"));
        assert!(!acts("LuaRoot", "lua_module") && acts("LuaHookFixups", "lua_module"));
        assert!(acts("SecRule", "security2_module"));
    }
}

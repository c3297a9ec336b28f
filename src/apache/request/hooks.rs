//! In which order the modules are called (apr_hook_sort_all): each function has its place, and functions of one place are
//! called in the order in which their modules were loaded.
//!
//! The other hooks have one order whatever was loaded first: their functions name each other or stand in places of their
//! own, or they look for their own handler or `AuthType` only.

use crate::apache::access::{allowmethods, authn, compat, ssl};
use crate::apache::content::{dav, dir, include};
use crate::apache::load::Modules;
use crate::apache::request::Hook;
use crate::apache::{alias, env, headers, proxy, remoteip, rewrite, setenvif, speling};

/// What a module registers.
struct Registered {
    module: &'static str,
    place: i8,
    hook: Hook,
}

// APR_HOOK_*, and right behind one of them for a function that names a predecessor.
const REALLY_FIRST: i8 = -10;
const FIRST: i8 = 0;
const BEHIND_FIRST: i8 = 1;
const MIDDLE: i8 = 10;
const BEHIND_MIDDLE: i8 = 11;
const LAST: i8 = 20;

const POST_READ_REQUEST: [Registered; 5] = [
    Registered { module: "headers_module", place: FIRST, hook: headers::post_read_request },
    Registered { module: "remoteip_module", place: FIRST, hook: remoteip::post_read_request },
    Registered { module: "proxy_module", place: FIRST, hook: proxy::detect },
    Registered { module: "setenvif_module", place: MIDDLE, hook: setenvif::post_read_request },
    Registered { module: "ssl_module", place: BEHIND_MIDDLE, hook: ssl::handshake::post_read_request },
];

const ACCESS_CHECKER: [Registered; 3] = [
    Registered { module: "allowmethods_module", place: REALLY_FIRST, hook: allowmethods::check_access },
    Registered { module: "access_compat_module", place: MIDDLE, hook: compat::check_dir_access },
    Registered { module: "ssl_module", place: MIDDLE, hook: ssl::check_access },
];

const FIXUPS: [Registered; 11] = [
    Registered { module: "rewrite_module", place: FIRST, hook: rewrite::hook_fixup },
    Registered { module: "proxy_module", place: BEHIND_FIRST, hook: proxy::fixups },
    Registered { module: "alias_module", place: MIDDLE, hook: alias::fixups },
    Registered { module: "env_module", place: MIDDLE, hook: env::fixups },
    Registered { module: "dav_module", place: MIDDLE, hook: dav::fixups },
    Registered { module: "rewrite_module", place: LAST, hook: rewrite::hook_mimetype },
    Registered { module: "include_module", place: LAST, hook: include::fixups },
    Registered { module: "speling_module", place: LAST, hook: speling::fixups },
    Registered { module: "dir_module", place: LAST, hook: dir::fixups },
    Registered { module: "headers_module", place: LAST, hook: headers::fixups },
    Registered { module: "auth_basic_module", place: LAST, hook: authn::fake_basic },
];

/// The hooks whose order depends on what was loaded first.
#[derive(Debug)]
pub(crate) struct Hooks {
    /// post_read_request.
    pub post_read_request: Vec<Hook>,
    /// access_checker.
    pub access_checker: Vec<Hook>,
    /// fixups, behind the core's own.
    pub fixups: Vec<Hook>,
}

impl Hooks {
    /// The hooks of these modules.
    pub fn new(modules: &Modules) -> Self {
        Hooks {
            post_read_request: in_order(modules, &POST_READ_REQUEST),
            access_checker: in_order(modules, &ACCESS_CHECKER),
            fixups: in_order(modules, &FIXUPS),
        }
    }
}

fn in_order(modules: &Modules, registered: &[Registered]) -> Vec<Hook> {
    let of = |module| registered.iter().filter(move |one| one.module == module);
    let mut sorted: Vec<&Registered> = modules.in_order().flat_map(of).collect();
    sorted.sort_by_key(|one| one.place);
    sorted.into_iter().map(|one| one.hook).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_of_one_place_are_called_as_they_were_loaded() {
        let order = |list| {
            let of = |module| FIXUPS.iter().filter(move |one| one.module == module);
            let modules = Modules::new(Some(list));
            let hooks = Hooks::new(&modules).fixups;
            let name = |hook: &Hook| {
                let same = |one: &&Registered| std::ptr::fn_addr_eq(one.hook, *hook);
                modules.in_order().flat_map(of).find(same).map_or("", |one| one.module)
            };
            hooks.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(
            order("speling,dir,proxy,rewrite"),
            ["rewrite_module", "proxy_module", "speling_module", "dir_module", "rewrite_module"]
        );
        assert_eq!(order("dir,speling,alias"), ["alias_module", "dir_module", "speling_module"]);
    }
}

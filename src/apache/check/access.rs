//! Access control: `Require` and its containers, provider aliases, `Order`, `Allow` and `Deny`.

use super::super::load::Node;
use super::core::method;
use super::{Defined, Line};
use crate::apache::access::address::{Network, NotAnAddress};
use crate::apache::{expr, lex};

/// The names that `Require` knows, with the module that brings each.
const AUTHZ_PROVIDERS: &[(&str, &str)] = &[
    ("all", "authz_core_module"),
    ("env", "authz_core_module"),
    ("expr", "authz_core_module"),
    ("method", "authz_core_module"),
    ("forward-dns", "authz_host_module"),
    ("host", "authz_host_module"),
    ("ip", "authz_host_module"),
    ("local", "authz_host_module"),
    ("user", "authz_user_module"),
    ("valid-user", "authz_user_module"),
    ("file-group", "authz_groupfile_module"),
    ("group", "authz_groupfile_module"),
    ("file-owner", "authz_owner_module"),
    ("dbm-file-group", "authz_dbm_module"),
    ("dbm-group", "authz_dbm_module"),
    ("dbd-group", "authz_dbd_module"),
    ("dbd-login", "authz_dbd_module"),
    ("dbd-logout", "authz_dbd_module"),
    ("ldap-attribute", "authnz_ldap_module"),
    ("ldap-dn", "authnz_ldap_module"),
    ("ldap-filter", "authnz_ldap_module"),
    ("ldap-group", "authnz_ldap_module"),
    ("ldap-search", "authnz_ldap_module"),
    ("ldap-user", "authnz_ldap_module"),
    ("ssl", "ssl_module"),
    ("ssl-verify-client", "ssl_module"),
];

/// The names that `AuthBasicProvider` and its kin know; the third column: whether it can do Digest.
const AUTHN_PROVIDERS: &[(&str, &str, bool)] = &[
    ("anon", "authn_anon_module", false),
    ("dbd", "authn_dbd_module", true),
    ("dbm", "authn_dbm_module", true),
    ("file", "authn_file_module", true),
    ("ldap", "authnz_ldap_module", false),
    ("socache", "authn_socache_module", true),
];

/// Checks that a name of a `Require` is known, and the rest of its line.
fn provider(line: &Line, name: &[u8], rest: &[u8], defined: &Defined) -> Result<(), String> {
    let modules = &line.known.modules;
    let found = AUTHZ_PROVIDERS.iter().find(|(known, _)| known.as_bytes() == name);
    match found {
        Some((_, module)) if modules.has(module) => {}
        _ if defined.authz.iter().any(|alias| alias == name) || modules.others() => return Ok(()),
        found => {
            let module = found.map(|(_, id)| format!(", which mod_{} brings", id.trim_end_matches("_module")));
            return Err(format!(
                "unknown Authz provider: {}{}",
                String::from_utf8_lossy(name),
                module.unwrap_or_default()
            ));
        }
    }
    let words = || lex::words(rest).map(|(_, word)| word).take_while(|word| !word.is_empty());
    match name {
        b"all" if !rest.eq_ignore_ascii_case(b"granted") && !rest.eq_ignore_ascii_case(b"denied") => {
            Err("argument for 'Require all' must be 'granted' or 'denied'".into())
        }
        b"method" => words().try_for_each(|word| method(line, &word)),
        b"ip" => {
            if words().next().is_none() {
                return Err("'require ip' requires an argument".into());
            }
            words().try_for_each(|word| {
                Network::parse(&word).map(|_| ()).map_err(|why| {
                    let why = match why {
                        NotAnAddress::Text => "",
                        NotAnAddress::Address => ": the specified IP address is invalid",
                        NotAnAddress::Mask => ": the specified network mask is invalid",
                    };
                    format!("ip address '{}' appears to be invalid{why}", String::from_utf8_lossy(&word))
                })
            })
        }
        b"expr" => {
            let inner = rest.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(rest);
            expression(expr::parse(inner, line.expressions()).err())
        }
        b"host" | b"forward-dns" | b"user" | b"group" | b"dbm-group" | b"dbd-group" => {
            expression(expr::parse_string(rest, line.expressions()).err())
        }
        b"ldap-attribute" | b"ldap-dn" | b"ldap-filter" | b"ldap-group" | b"ldap-search" | b"ldap-user" => {
            expression(expr::parse_string(rest, line.expressions()).err())
        }
        b"ssl" | b"ssl-verify-client" if !rest.is_empty() => {
            Err(format!("'Require {}' does not take arguments", String::from_utf8_lossy(name)))
        }
        _ => Ok(()),
    }
}

fn expression(error: Option<String>) -> Result<(), String> {
    error.map_or(Ok(()), |message| Err(format!("cannot parse expression in require line: {message}")))
}

/// `Require [not] PROVIDER …` (`add_authz_provider`).
pub(super) fn require(line: &Line, defined: &Defined) -> Result<(), String> {
    let mut rest = line.node.args();
    let mut name = lex::getword_conf(&mut rest);
    let negated = name.eq_ignore_ascii_case(b"not");
    if negated {
        name = lex::getword_conf(&mut rest);
    }
    provider(line, &name, rest, defined)?;
    if negated && container_around(line) != "<RequireAll>" {
        let container = container_around(line);
        return Err(format!("negative {} directive has no effect in {container} directive", line.row.name));
    }
    Ok(())
}

/// The container that a requirement stands in; a section without one stands for a `<RequireAny>`.
fn container_around(line: &Line) -> &'static str {
    match line.place.within(&["requireall", "requireany", "requirenone"]) {
        Some(section) if section.eq_ignore_ascii_case("<RequireAll") => "<RequireAll>",
        Some(section) if section.eq_ignore_ascii_case("<RequireNone") => "<RequireNone>",
        _ => "<RequireAny>",
    }
}

/// The end of a container (`add_authz_section`).
pub(super) fn container(line: &Line, children: &[Node]) -> Result<(), String> {
    let name = format!("{}>", line.row.name);
    if !holds_requirement(children) {
        return Err(format!("{name} directive contains no authorization directives"));
    }
    let around = container_around(line);
    if line.node.name() == "requirenone" && around != "<RequireAll>" {
        return Err(format!("{name} directive has no effect in {around} directive"));
    }
    Ok(())
}

fn holds_requirement(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node.name() {
        "require" | "requireall" | "requireany" | "requirenone" => true,
        "limit" | "limitexcept" => holds_requirement(&node.children),
        _ => false,
    })
}

/// Every `<RequireAll>` in which each requirement is negated: the server finds these after it has read everything
/// (`authz_core_check_section`), and not in an `.htaccess`.
pub(super) fn only_negative<'n>(nodes: &'n [Node], found: &mut Vec<&'n Node>) {
    for node in nodes {
        if node.is_section("requireall") && only_negated(&node.children) && holds_requirement(&node.children) {
            found.push(node);
        }
        only_negative(&node.children, found);
    }
}

fn only_negated(nodes: &[Node]) -> bool {
    nodes.iter().all(|node| match node.name() {
        "require" => node.word(0).is_some_and(|word| word.eq_ignore_ascii_case(b"not")),
        // A container with the same operator is merged into the one around it.
        "requireall" | "limit" | "limitexcept" => only_negated(&node.children),
        "requireany" => false,
        _ => true,
    })
}

/// The arguments of `<AuthzProviderAlias base name [args]>` and `<AuthnProviderAlias base name>`.
pub(super) fn provider_alias(line: &Line) -> Result<(), String> {
    if line.place.vhost {
        return Err(format!("{}> cannot occur within <VirtualHost> section", line.row.name));
    }
    if !line.node.closed {
        return Err(format!("{}> directive missing closing '>'", line.row.name));
    }
    if line.word(0).is_empty() || line.word(1).is_empty() {
        return Err(format!("{}> directive requires additional arguments", line.row.name));
    }
    if line.node.name() == "authnprovideralias" {
        if line.word(0).eq_ignore_ascii_case(line.word(1)) {
            return Err("the alias provider name must be different from the base provider name".into());
        }
        if authn_provider(line.word(1)).is_some_and(|(_, module, _)| line.known.modules.has(module)) {
            return Err(format!("the alias provider {} has already been registered", line.lossy(1)));
        }
    }
    Ok(())
}

/// What a provider alias must fulfil at its end, and its registration.
pub(super) fn register_alias(line: &Line, defined: &mut Defined) -> Result<(), String> {
    if line.node.name() == "authzprovideralias" {
        provider(line, line.word(0), line.word(2), defined).map_err(|message| match message {
            message if message.starts_with("unknown Authz") => message,
            message => format!("can't parse 'Require {} {}': {message}", line.lossy(0), line.lossy(2)),
        })?;
        defined.authz.push(line.word(1).to_vec());
    } else {
        known_authn(line, line.word(0), defined)?;
        if defined.authn.iter().any(|alias| alias == line.word(1)) {
            return Err(format!("the alias provider {} has already been registered", line.lossy(1)));
        }
        defined.authn.push(line.word(1).to_vec());
    }
    Ok(())
}

fn authn_provider(name: &[u8]) -> Option<&'static (&'static str, &'static str, bool)> {
    AUTHN_PROVIDERS.iter().find(|(known, _, _)| known.as_bytes() == name)
}

fn known_authn(line: &Line, name: &[u8], defined: &Defined) -> Result<(), String> {
    let known = authn_provider(name).is_some_and(|(_, module, _)| line.known.modules.has(module));
    if known || defined.authn.iter().any(|alias| alias == name) || line.known.modules.others() {
        return Ok(());
    }
    Err(format!("unknown Authn provider: {}", String::from_utf8_lossy(name)))
}

/// `AuthBasicProvider`, `AuthDigestProvider`, `AuthFormProvider`: every word a known provider.
pub(super) fn authn_providers(line: &Line, defined: &Defined) -> Result<(), String> {
    for word in line.words() {
        known_authn(line, word, defined)?;
        if line.row.name == "AuthDigestProvider" && authn_provider(word).is_some_and(|(_, _, digest)| !digest) {
            return Err(format!(
                "the '{}' Authn provider doesn't support Digest Authentication",
                String::from_utf8_lossy(word)
            ));
        }
    }
    Ok(())
}

/// `Order`, one word.
pub(super) fn order(line: &Line) -> Result<(), String> {
    let known = [&b"allow,deny"[..], b"deny,allow", b"mutual-failure"];
    if known.iter().any(|order| line.word(0).eq_ignore_ascii_case(order)) {
        Ok(())
    } else {
        Err("unknown order".into())
    }
}

/// `Allow from` and `Deny from`.
pub(super) fn allow(line: &Line) -> Result<(), String> {
    if !line.word(0).eq_ignore_ascii_case(b"from") {
        return Err("allow and deny must be followed by 'from'".into());
    }
    line.words()[1..].iter().try_for_each(|word| {
        let is_env = word.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"env="));
        if is_env || word.eq_ignore_ascii_case(b"all") {
            return Ok(());
        }
        match Network::parse(word) {
            Ok(_) => Ok(()),
            Err(NotAnAddress::Address) => Err("the specified IP address is invalid".into()),
            Err(NotAnAddress::Mask) => Err("the specified network mask is invalid".into()),
            Err(NotAnAddress::Text) if word.contains(&b'/') => Err("an IP address was expected".into()),
            Err(NotAnAddress::Text) if word.contains(&b'#') => Err("no comments are allowed here".into()),
            Err(NotAnAddress::Text) => Ok(()),
        }
    })
}

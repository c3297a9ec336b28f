//! The lint rules: one line each, in the order of the catalogue; one file a rule, with its page in it.

use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};
use crate::server::Kind;

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The configuration alone.
    Config,
    /// Also the file tree; without one it reports only what the configuration proves.
    Tree,
    /// Also the declared server version or modules.
    Version,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// The bare id, named for what is wrong.
    pub id: &'static str,
    /// What is wrong, in one line.
    pub title: &'static str,
    /// Its level unless a finding or the settings say otherwise.
    pub level: Level,
    /// What it is about.
    pub category: Category,
    /// The servers whose configurations it reads.
    pub servers: &'static [Kind],
    /// What it looks at.
    pub needs: Needs,
    /// On unless the settings say otherwise.
    pub default: bool,
    /// One of the core set.
    pub core: bool,
    /// The page: what, why, Flagged, Fixed, the server's behaviour behind it (Markdown).
    pub page: &'static str,
    /// Looks, and reports. Problem rules (`syntax-error` and its like) have none: their findings come from the parser and
    /// the configuration check.
    pub check: Option<fn(&Subject, &mut Findings)>,
}

/// Both servers.
pub const BOTH: &[Kind] = &[Kind::Nginx, Kind::Apache];
/// nginx only.
pub const NGINX: &[Kind] = &[Kind::Nginx];
/// Apache only.
pub const APACHE: &[Kind] = &[Kind::Apache];

mod access_compat_directive;
mod access_log_missing;
mod access_regex_unanchored;
mod access_rule_shadowed;
mod access_rules_not_inherited;
mod acl_bypassed_by_regex_location;
mod acl_missing_on_other_server;
mod acl_never_reached;
mod alias_in_regex_without_capture;
mod alias_trailing_slash;
mod alias_traversal;
mod allow_without_deny;
mod allowoverride_too_wide;
mod auth_incomplete;
mod auth_without_require;
mod basic_auth_over_http;
pub(crate) mod blocks;
mod body_size_or_gzip_unset;
mod child_require_replaces_parent;
mod client_address_spoofable;
mod condition_never_true;
mod config_not_understood;
mod content_type_by_add_header;
mod default_server_implicit;
mod directive_wrong_context;
mod directory_rules_do_not_guard_proxy;
mod directory_without_index;
mod duplicate_access_rule;
mod duplicate_directive;
mod duplicate_location;
mod error_log_off;
mod exact_location_protects_one_uri;
mod forwarded_for_appends_client_text;
mod geo_or_map_opens_by_default;
mod guarded_rule_dropped;
mod guards;
mod header_decides_access;
mod header_multiline;
mod header_not_on_errors;
mod header_redefinition;
mod host_rule_needs_dns;
mod hsts_weak;
mod htaccess_directive_not_permitted;
mod htaccess_ignored;
mod if_in_location;
mod include_missing;
mod include_picks_up_backups;
mod internal_missing;
mod internal_redirect_denied;
mod invalid_argument;
pub(crate) mod invalid_network;
mod ip_rule_never_matches;
mod ipv6_clients_not_covered;
mod later_section_reopens;
mod limit_container_empty;
mod lines;
mod listing_enabled;
mod local_only_behind_proxy;
mod location_cannot_match;
mod lost_headers;
mod map_default_missing;
mod merge_slashes_off_bypass;
mod method_name_case;
mod methods_left_open;
mod mixed_access_styles;
pub(crate) mod negative_require_no_effect;
mod network_has_host_bits;
pub(crate) mod options_mixed_signs;
mod options_too_wide;
mod order_misread;
mod origin_regex_too_wide;
mod partial_address;
mod password_file_reachable;
mod path_not_granted;
mod path_not_readable;
mod php_runs_any_file;
mod protected_files_reachable_elsewhere;
mod proxy_buffering_off;
mod proxy_header_redefinition;
mod proxy_host_header;
mod proxy_passes_decoded_path;
mod referer_check_lets_empty_pass;
mod regex_characters_in_prefix;
mod regex_invalid;
mod remote_addr_compared_as_text;
pub(crate) mod removed_directive;
mod require_lines_are_alternatives;
mod resolver_external;
mod response_splitting;
mod return_bypasses_acl;
mod rewrite_condition_detached;
mod rewrite_needs_symlinks_option;
mod rewrite_never_matches;
mod rewrite_unreachable;
mod root_directory_granted;
mod root_in_location;
mod sample;
mod satisfy_any_opens;
mod satisfy_without_alternatives;
mod section_never_applies;
pub(crate) mod sections;
mod secure_link_unchecked;
mod sensitive_file_served;
mod server_name_conflict;
mod server_name_suspicious;
mod space_before_semicolon;
pub(crate) mod spots;
mod status_page_open;
mod suppression_unused;
mod symlink_refused;
mod syntax_error;
mod tls_port_without_tls;
mod tls_protocol_weak;
mod trailing_whitespace;
mod try_files_with_handler;
mod try_files_without_cache;
mod undefined_reference;
mod unknown_directive;
mod unreachable_location;
mod upgrade_smuggling;
mod upstream_resolved_once;
mod userdir_enabled;
mod variable_case_mismatch;
mod verdicts;
mod version_disclosed;
mod worker_limits;
mod worker_runs_as_root;

/// Every rule, in the order of the catalogue.
pub const ALL: &[&Rule] = &[
    &acl_bypassed_by_regex_location::RULE,
    &acl_never_reached::RULE,
    &access_rule_shadowed::RULE,
    &access_rules_not_inherited::RULE,
    &return_bypasses_acl::RULE,
    &allow_without_deny::RULE,
    &alias_traversal::RULE,
    &protected_files_reachable_elsewhere::RULE,
    &acl_missing_on_other_server::RULE,
    &satisfy_any_opens::RULE,
    &client_address_spoofable::RULE,
    &ip_rule_never_matches::RULE,
    &ipv6_clients_not_covered::RULE,
    &htaccess_ignored::RULE,
    &htaccess_directive_not_permitted::RULE,
    &mixed_access_styles::RULE,
    &methods_left_open::RULE,
    &later_section_reopens::RULE,
    &child_require_replaces_parent::RULE,
    &require_lines_are_alternatives::RULE,
    &section_never_applies::RULE,
    &path_not_granted::RULE,
    &status_page_open::RULE,
    &sensitive_file_served::RULE,
    &password_file_reachable::RULE,
    &directory_without_index::RULE,
    &path_not_readable::RULE,
    &symlink_refused::RULE,
    &listing_enabled::RULE,
    &server_name_conflict::RULE,
    &default_server_implicit::RULE,
    &syntax_error::RULE,
    &unknown_directive::RULE,
    &directive_wrong_context::RULE,
    &invalid_argument::RULE,
    &invalid_network::RULE,
    &network_has_host_bits::RULE,
    &directory_rules_do_not_guard_proxy::RULE,
    &internal_redirect_denied::RULE,
    &guarded_rule_dropped::RULE,
    &unreachable_location::RULE,
    &exact_location_protects_one_uri::RULE,
    &access_regex_unanchored::RULE,
    &merge_slashes_off_bypass::RULE,
    &auth_incomplete::RULE,
    &auth_without_require::RULE,
    &satisfy_without_alternatives::RULE,
    &duplicate_access_rule::RULE,
    &partial_address::RULE,
    &remote_addr_compared_as_text::RULE,
    &condition_never_true::RULE,
    &geo_or_map_opens_by_default::RULE,
    &header_decides_access::RULE,
    &referer_check_lets_empty_pass::RULE,
    &origin_regex_too_wide::RULE,
    &host_rule_needs_dns::RULE,
    &local_only_behind_proxy::RULE,
    &negative_require_no_effect::RULE,
    &order_misread::RULE,
    &access_compat_directive::RULE,
    &internal_missing::RULE,
    &secure_link_unchecked::RULE,
    &method_name_case::RULE,
    &limit_container_empty::RULE,
    &root_directory_granted::RULE,
    &php_runs_any_file::RULE,
    &allowoverride_too_wide::RULE,
    &options_mixed_signs::RULE,
    &options_too_wide::RULE,
    &userdir_enabled::RULE,
    &rewrite_never_matches::RULE,
    &rewrite_needs_symlinks_option::RULE,
    &rewrite_condition_detached::RULE,
    &rewrite_unreachable::RULE,
    &regex_invalid::RULE,
    &location_cannot_match::RULE,
    &regex_characters_in_prefix::RULE,
    &duplicate_location::RULE,
    &if_in_location::RULE,
    &try_files_with_handler::RULE,
    &root_in_location::RULE,
    &alias_trailing_slash::RULE,
    &alias_in_regex_without_capture::RULE,
    &proxy_passes_decoded_path::RULE,
    &proxy_host_header::RULE,
    &proxy_header_redefinition::RULE,
    &forwarded_for_appends_client_text::RULE,
    &upgrade_smuggling::RULE,
    &upstream_resolved_once::RULE,
    &resolver_external::RULE,
    &response_splitting::RULE,
    &header_redefinition::RULE,
    &header_not_on_errors::RULE,
    &header_multiline::RULE,
    &content_type_by_add_header::RULE,
    &version_disclosed::RULE,
    &tls_protocol_weak::RULE,
    &tls_port_without_tls::RULE,
    &basic_auth_over_http::RULE,
    &hsts_weak::RULE,
    &include_missing::RULE,
    &include_picks_up_backups::RULE,
    &duplicate_directive::RULE,
    &removed_directive::RULE,
    &undefined_reference::RULE,
    &variable_case_mismatch::RULE,
    &server_name_suspicious::RULE,
    &error_log_off::RULE,
    &worker_runs_as_root::RULE,
    &map_default_missing::RULE,
    &worker_limits::RULE,
    &body_size_or_gzip_unset::RULE,
    &proxy_buffering_off::RULE,
    &trailing_whitespace::RULE,
    &space_before_semicolon::RULE,
    &config_not_understood::RULE,
    &suppression_unused::RULE,
    &try_files_without_cache::RULE,
    &access_log_missing::RULE,
];

/// The rule with this id.
pub fn find(id: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.id == id)
}

/// The page of a rule as it stands in `docs/rules/`: the facts of the table, then the page.
pub fn document(rule: &Rule) -> String {
    let servers: Vec<&str> = rule.servers.iter().map(|kind| kind.name()).collect();
    let needs = match rule.needs {
        Needs::Config => "the configuration",
        Needs::Tree => "the configuration and the file tree",
        Needs::Version => "the configuration and the server's version",
    };
    let default = if rule.default { "on" } else { "off" };
    let core = if rule.core { ", core" } else { "" };
    let body = rule.page.split_once('\n').map_or("", |(_, body)| body);
    format!(
        "# {}\n\n*{}: {}; {}; reads {needs}; {default} by default{core}.*\n\n**{}**\n{body}",
        rule.id,
        servers.join(" and "),
        rule.level.name(),
        rule.category.name(),
        sentence(rule.title),
    )
}

/// The rules of the catalogue that are not written yet.
pub const TO_COME: &[&str] = &[
    "access-opened-in-child",
    "acl-narrower-than-proxy",
    "allowoverridelist-bad-entry",
    "auth-file-missing",
    "authmerging-surprise",
    "block-too-long",
    "case-sensitive-protection",
    "cgi-directory-inside-root",
    "config-writable-by-worker",
    "cors-reflects-origin",
    "deprecated-directive",
    "directive-spelling",
    "empty-section",
    "encoded-slash-and-acl",
    "error-page-masks-denial",
    "filesystem-root-served",
    "htaccess-lookup-cost",
    "include-cycle",
    "indentation",
    "known-vulnerable-version",
    "location-order",
    "mergeable-networks",
    "methods-unrestricted",
    "misdirected-request-unchecked",
    "module-unneeded",
    "nobody-can-reach",
    "ocsp-stapling-broken",
    "open-forward-proxy",
    "options-replace-inherited",
    "password-hash-weak",
    "plain-http-not-redirected",
    "prefix-without-boundary",
    "proxy-connection-header",
    "proxy-slash-mismatch",
    "proxy-target-from-client",
    "rate-limit-absent",
    "redirect-runs-before-authorization",
    "regex-could-be-literal",
    "regex-group-missing",
    "regex-redos",
    "rewrite-flag-missing",
    "rewrite-loop",
    "rewrite-rules-not-inherited",
    "rewrite-without-engine",
    "script-source-served",
    "security-header-missing",
    "symlink-leaves-root",
    "timeouts-unset",
    "tls-ciphers-weak",
    "tls-group-unsupported",
    "tls-key-exposed",
    "trace-enabled",
    "unused-definition",
    "uploads-executable",
    "variable-in-if-needs-quotes",
    "zero-address-is-one-host",
];

/// The table of contents of `docs/rules/`.
pub fn index() -> String {
    let mut text = String::from(
        "# Rules\n\n| rule | servers | level | category | default | what is wrong |\n|---|---|---|---|---|---|\n",
    );
    for rule in ALL {
        let servers: Vec<&str> = rule.servers.iter().map(|kind| kind.name()).collect();
        let default = if rule.default { "on" } else { "off" };
        let core = if rule.core { " ●" } else { "" };
        text.push_str(&format!(
            "| [`{id}`]({id}.md){core} | {} | {} | {} | {default} | {} |\n",
            servers.join(", "),
            rule.level.name(),
            rule.category.name(),
            rule.title,
            id = rule.id,
        ));
    }
    text.push_str("\n● the core set.\n");
    let list: Vec<String> = TO_COME.iter().map(|id| format!("`{id}`")).collect();
    text.push_str(&format!("\n## To come\n\nIn the catalogue, and not written yet: {}.\n", list.join(", ")));
    text
}

fn sentence(title: &str) -> String {
    let mut characters = title.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_is_written_is_no_longer_to_come() {
        let written: Vec<&str> = TO_COME.iter().copied().filter(|id| ALL.iter().any(|rule| rule.id == *id)).collect();
        assert!(written.is_empty(), "written: {written:?}");
    }
}

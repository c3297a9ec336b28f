//! The core's own records: `Options`, `AllowOverride`, `ErrorDocument`, handlers, limits, and the section lists.
//!
//! Follows create_core_dir_config, merge_core_dir_configs and the command functions of server/core.c.

use std::sync::Arc;

use crate::apache::content::include::filter_names;
use crate::apache::expr;
use crate::apache::model::{Command, SectionList};
use crate::source::Setting;

mod etag;
pub(crate) mod options;

pub(crate) use etag::FileETag;
pub(crate) use options::Options;

/// `AllowOverride`: the classes of directives an `.htaccess` may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AllowOverride {
    /// OR_LIMIT … OR_INDEXES and the `Nonfatal` flags; 0 is `None`.
    pub mask: u32,
    /// The `Options` bits that may be changed.
    pub options: u32,
}

/// What an `ErrorDocument` answers.
#[derive(Clone, Debug)]
pub(crate) enum ErrorDocument {
    /// `default`: the built-in page.
    Default,
    /// A text (it holds a blank, or is neither a path nor a URL).
    Text,
    /// A path or URL, an expression.
    Target(Arc<expr::StringExpr>),
}

/// A handler name.
#[derive(Clone, Debug)]
pub(crate) enum Handler {
    /// `SetHandler name`, lower-cased.
    Name(Vec<u8>),
    /// `SetHandler` with an expression.
    Expr(Arc<expr::StringExpr>),
}

/// How many ranges a request may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeLimit {
    /// `none`: ranges are not served at all (`MaxRanges`), or any number.
    None,
    /// `unlimited`.
    Unlimited,
    /// A number.
    Count(u32),
}

/// The core's record of a directory-like place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// `Options`.
    pub options: Options,
    /// `AllowOverride`; `None`: never said, which is not the same as `AllowOverride None`.
    pub allow_override: Option<Setting<AllowOverride>>,
    /// `AllowOverrideList`, lower case.
    pub override_list: Option<Setting<Arc<Vec<String>>>>,
    /// `ErrorDocument`, one a status.
    pub error_documents: Vec<(u16, Setting<ErrorDocument>)>,
    /// `AcceptPathInfo`: on, off; `None`: default.
    pub accept_path_info: Option<Setting<bool>>,
    /// `SetHandler`.
    pub handler: Option<Setting<Handler>>,
    /// `ForceType`.
    pub mime_type: Option<Setting<Vec<u8>>>,
    /// `SetOutputFilter`: names in lower case.
    pub output_filters: Option<Vec<Vec<u8>>>,
    /// `HostnameLookups`.
    pub hostname_lookups: Option<bool>,
    /// `UseCanonicalName`.
    pub use_canonical_name: Option<bool>,
    /// `UseCanonicalPhysicalPort`.
    pub use_canonical_phys_port: Option<bool>,
    /// `LimitRequestBody`, in bytes.
    pub limit_request_body: Option<Setting<u64>>,
    /// `FileETag`.
    pub etag: FileETag,
    /// `MaxRanges`, `MaxRangeOverlaps`, `MaxRangeReversals`.
    pub max_ranges: Option<RangeLimit>,
    /// See `max_ranges`.
    pub max_overlaps: Option<RangeLimit>,
    /// See `max_ranges`.
    pub max_reversals: Option<RangeLimit>,
    /// `AllowEncodedSlashes`: allowed, and decoded.
    pub encoded_slashes: Option<Setting<EncodedSlashes>>,
    /// `<Files>` sections.
    pub files: Option<SectionList>,
    /// `<If>`, `<ElseIf>`, `<Else>` sections.
    pub ifs: Option<SectionList>,
}

/// `AllowEncodedSlashes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EncodedSlashes {
    /// 404.
    Off,
    /// Decoded to `/`.
    On,
    /// Kept as `%2F`.
    NoDecode,
}

/// The core's record of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    /// `DocumentRoot`.
    pub document_root: Option<Setting<Vec<u8>>>,
    /// `AccessFileName`.
    pub access_file_names: Option<Setting<Vec<Vec<u8>>>>,
    /// `TraceEnable`: off is `Some(false)`.
    pub trace_enable: Option<Setting<bool>>,
    /// `MergeSlashes`.
    pub merge_slashes: Option<bool>,
    /// `StrictHostCheck`.
    pub strict_host_check: Option<Setting<bool>>,
    /// `HttpProtocolOptions Allow0.9`.
    pub allow_http_09: Option<Setting<bool>>,
    /// `HttpProtocolOptions Unsafe`.
    pub unsafe_protocol: Option<bool>,
    /// `HttpProtocolOptions RegisteredMethods`.
    pub registered_methods: Option<Setting<bool>>,
    /// `LimitInternalRecursion`: redirects, sub-requests.
    pub redirect_limit: Option<u32>,
    /// See `redirect_limit`.
    pub subrequest_limit: Option<u32>,
    /// `LimitRequestLine`, `LimitRequestFieldSize`, `LimitRequestFields`.
    pub limit_request_line: Option<Setting<u64>>,
    /// See `limit_request_line`.
    pub limit_field_size: Option<Setting<u64>>,
    /// See `limit_request_line`.
    pub limit_fields: Option<Setting<u64>>,
    /// `ServerAdmin`.
    pub admin: Option<Vec<u8>>,
}

fn number(word: Option<&[u8]>) -> Option<u64> {
    std::str::from_utf8(word?).ok()?.parse().ok()
}

fn range_limit(word: Option<&[u8]>) -> Option<RangeLimit> {
    let word = word?;
    Some(match word.to_ascii_lowercase().as_slice() {
        b"none" => RangeLimit::None,
        b"default" => return None,
        b"unlimited" => RangeLimit::Unlimited,
        _ => match number(Some(word))? {
            0 => RangeLimit::Unlimited,
            count => RangeLimit::Count(u32::try_from(count).unwrap_or(u32::MAX)),
        },
    })
}

/// One directive of the core that is not a section.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    let origin = cmd.origin;
    let on = |word: &[u8]| word.eq_ignore_ascii_case(b"on");
    match cmd.name.to_ascii_lowercase().as_str() {
        "options" => dir.options.command(cmd),
        "allowoverride" => dir.allow_override = Some(Setting::new(allow_override(&cmd.args), origin)),
        "allowoverridelist" => {
            let names = cmd.args.iter().map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
            let names = names.filter(|name| name != "none").collect();
            dir.override_list = Some(Setting::new(Arc::new(names), origin));
        }
        "errordocument" => error_document(cmd, dir),
        "acceptpathinfo" => {
            dir.accept_path_info = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                b"on" => Some(Setting::new(true, origin)),
                b"off" => Some(Setting::new(false, origin)),
                _ => None,
            }
        }
        "sethandler" => dir.handler = cmd.arg(0).and_then(|word| handler(cmd, word)),
        "setoutputfilter" => dir.output_filters = cmd.arg(0).map(|word| filter_names(word).collect()),
        "forcetype" => dir.mime_type = cmd.arg(0).map(|word| Setting::new(word.to_ascii_lowercase(), origin)),
        "hostnamelookups" => dir.hostname_lookups = cmd.arg(0).map(|word| !word.eq_ignore_ascii_case(b"off")),
        "usecanonicalname" => dir.use_canonical_name = cmd.arg(0).map(on),
        "usecanonicalphysicalport" => dir.use_canonical_phys_port = Some(cmd.flag()),
        "limitrequestbody" => dir.limit_request_body = number(cmd.arg(0)).map(|limit| Setting::new(limit, origin)),
        "fileetag" => dir.etag.command(cmd),
        "maxranges" => dir.max_ranges = range_limit(cmd.arg(0)),
        "maxrangeoverlaps" => dir.max_overlaps = range_limit(cmd.arg(0)),
        "maxrangereversals" => dir.max_reversals = range_limit(cmd.arg(0)),
        "allowencodedslashes" => {
            let value = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                b"on" => EncodedSlashes::On,
                b"nodecode" => EncodedSlashes::NoDecode,
                _ => EncodedSlashes::Off,
            };
            dir.encoded_slashes = Some(Setting::new(value, origin));
        }
        "documentroot" => {
            server.document_root = cmd.arg(0).map(|word| Setting::new(cmd.server_root_relative(word), origin));
        }
        "accessfilename" => {
            let names = cmd.args.iter().map(|name| name.to_vec()).collect();
            server.access_file_names = Some(Setting::new(names, origin));
        }
        "traceenable" => {
            let off = cmd.arg(0).is_some_and(|word| word.eq_ignore_ascii_case(b"off"));
            server.trace_enable = Some(Setting::new(!off, origin));
        }
        "mergeslashes" => server.merge_slashes = Some(cmd.flag()),
        "stricthostcheck" => server.strict_host_check = Some(Setting::new(cmd.flag(), origin)),
        "httpprotocoloptions" => {
            for word in &cmd.args {
                match word.to_ascii_lowercase().as_slice() {
                    b"allow0.9" => server.allow_http_09 = Some(Setting::new(true, origin)),
                    b"require1.0" => server.allow_http_09 = Some(Setting::new(false, origin)),
                    b"strict" => server.unsafe_protocol = Some(false),
                    b"unsafe" => server.unsafe_protocol = Some(true),
                    b"registeredmethods" => server.registered_methods = Some(Setting::new(true, origin)),
                    b"lenientmethods" => server.registered_methods = Some(Setting::new(false, origin)),
                    _ => {}
                }
            }
        }
        "limitinternalrecursion" => {
            let limit = |index| number(cmd.arg(index)).and_then(|limit| u32::try_from(limit).ok());
            server.redirect_limit = limit(0);
            server.subrequest_limit = limit(1).or(limit(0));
        }
        "limitrequestline" => server.limit_request_line = number(cmd.arg(0)).map(|limit| Setting::new(limit, origin)),
        "limitrequestfieldsize" => {
            server.limit_field_size = number(cmd.arg(0)).map(|limit| Setting::new(limit, origin));
        }
        "limitrequestfields" => server.limit_fields = number(cmd.arg(0)).map(|limit| Setting::new(limit, origin)),
        "serveradmin" => server.admin = cmd.arg(0).map(<[u8]>::to_vec),
        _ => {}
    }
}

/// The words of `AllowOverride`, left to right: `None` and `All` replace, the others add (set_override).
fn allow_override(words: &[&[u8]]) -> AllowOverride {
    use crate::apache::directives as table;
    let mut value = AllowOverride { mask: 0, options: options::EVERY };
    for word in words {
        let (key, list) = match word.iter().position(|&byte| byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (*word, None),
        };
        match key.to_ascii_lowercase().as_slice() {
            b"limit" => value.mask |= table::OR_LIMIT,
            b"options" => {
                value.mask |= table::OR_OPTIONS;
                value.options = match list {
                    Some(list) => {
                        list.split(|&byte| byte == b',').filter_map(options::bits).fold(0, |all, bits| all | bits)
                    }
                    None => options::ALL,
                };
            }
            b"fileinfo" => value.mask |= table::OR_FILEINFO,
            b"authconfig" => value.mask |= table::OR_AUTHCFG,
            b"indexes" => value.mask |= table::OR_INDEXES,
            b"nonfatal" => {
                value.mask |= match list.unwrap_or_default().to_ascii_lowercase().as_slice() {
                    b"override" => table::NONFATAL_OVERRIDE,
                    b"unknown" => table::NONFATAL_UNKNOWN,
                    _ => table::NONFATAL_OVERRIDE | table::NONFATAL_UNKNOWN,
                }
            }
            b"none" => value.mask = 0,
            b"all" => value.mask = table::OR_ALL,
            _ => {}
        }
    }
    value
}

fn error_document(cmd: &Command, dir: &mut DirRecord) {
    let (Some(status), Some(message)) = (number(cmd.arg(0)), cmd.arg(1)) else { return };
    let Ok(status) = u16::try_from(status) else { return };
    let is_text = message.contains(&b' ') || !(message.starts_with(b"/") || is_url(message));
    if status == 401 && !is_text && is_url(message) {
        return;
    }
    let document = if message.eq_ignore_ascii_case(b"default") {
        ErrorDocument::Default
    } else if is_text {
        ErrorDocument::Text
    } else {
        match expr::parse_string(message, cmd.expr_context()) {
            Ok(target) => ErrorDocument::Target(Arc::new(target)),
            Err(_) => return,
        }
    };
    dir.error_documents.retain(|(earlier, _)| *earlier != status);
    dir.error_documents.push((status, Setting::new(document, cmd.origin)));
}

fn handler(cmd: &Command, word: &[u8]) -> Option<Setting<Handler>> {
    let value = match word.strip_prefix(b"expr=") {
        Some(text) => Handler::Expr(Arc::new(expr::parse_string(text, cmd.expr_context()).ok()?)),
        None if word.windows(2).any(|pair| pair == b"%{") => {
            Handler::Expr(Arc::new(expr::parse_string(word, cmd.expr_context()).ok()?))
        }
        None => Handler::Name(word.to_ascii_lowercase()),
    };
    Some(Setting::new(value, cmd.origin))
}

/// Whether a text begins like a URL, `scheme:/` (ap_is_url).
pub(crate) fn is_url(text: &[u8]) -> bool {
    let scheme = text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)).count();
    scheme > 0 && text.get(scheme) == Some(&b':') && text.get(scheme + 1) == Some(&b'/')
}

fn append(base: &Option<SectionList>, new: &Option<SectionList>) -> Option<SectionList> {
    match (base, new) {
        (Some(base), Some(new)) => Some(Arc::new(base.iter().chain(new.iter()).cloned().collect())),
        (Some(list), None) | (None, Some(list)) => Some(list.clone()),
        (None, None) => None,
    }
}

impl DirRecord {
    /// merge_core_dir_configs. `AllowEncodedSlashes` is not handed down at all.
    pub fn merge(base: &Self, new: &Self) -> Self {
        let mut error_documents = base.error_documents.clone();
        for (status, document) in &new.error_documents {
            error_documents.retain(|(earlier, _)| earlier != status);
            error_documents.push((*status, document.clone()));
        }
        DirRecord {
            options: Options::merge(&base.options, &new.options),
            allow_override: new.allow_override.or(base.allow_override),
            override_list: new.override_list.clone().or_else(|| base.override_list.clone()),
            error_documents,
            accept_path_info: new.accept_path_info.or(base.accept_path_info),
            handler: new.handler.clone().or_else(|| base.handler.clone()),
            mime_type: new.mime_type.clone().or_else(|| base.mime_type.clone()),
            output_filters: new.output_filters.clone().or_else(|| base.output_filters.clone()),
            hostname_lookups: new.hostname_lookups.or(base.hostname_lookups),
            use_canonical_name: new.use_canonical_name.or(base.use_canonical_name),
            use_canonical_phys_port: new.use_canonical_phys_port.or(base.use_canonical_phys_port),
            limit_request_body: new.limit_request_body.or(base.limit_request_body),
            etag: FileETag::merge(base.etag, new.etag),
            max_ranges: new.max_ranges.or(base.max_ranges),
            max_overlaps: new.max_overlaps.or(base.max_overlaps),
            max_reversals: new.max_reversals.or(base.max_reversals),
            encoded_slashes: new.encoded_slashes,
            files: append(&base.files, &new.files),
            ifs: append(&base.ifs, &new.ifs),
        }
    }
}

impl ServerRecord {
    /// merge_core_server_configs, with the limits that live in server_rec.
    pub fn merge(base: &Self, vhost: &Self) -> Self {
        ServerRecord {
            document_root: vhost.document_root.clone().or_else(|| base.document_root.clone()),
            access_file_names: vhost.access_file_names.clone().or_else(|| base.access_file_names.clone()),
            trace_enable: vhost.trace_enable.or(base.trace_enable),
            merge_slashes: vhost.merge_slashes.or(base.merge_slashes),
            strict_host_check: vhost.strict_host_check.or(base.strict_host_check),
            allow_http_09: vhost.allow_http_09.or(base.allow_http_09),
            unsafe_protocol: vhost.unsafe_protocol.or(base.unsafe_protocol),
            registered_methods: vhost.registered_methods.or(base.registered_methods),
            redirect_limit: vhost.redirect_limit.or(base.redirect_limit),
            subrequest_limit: vhost.subrequest_limit.or(base.subrequest_limit),
            limit_request_line: vhost.limit_request_line.or(base.limit_request_line),
            limit_field_size: vhost.limit_field_size.or(base.limit_field_size),
            limit_fields: vhost.limit_fields.or(base.limit_fields),
            admin: vhost.admin.clone().or_else(|| base.admin.clone()),
        }
    }
}

/// Whether the server has a status line of its own for a status (`ap_index_of_response`); any other is sent as 500.
pub(crate) fn has_status_line(status: u16) -> bool {
    matches!(status, 100..=103 | 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=417 | 421..=424)
        || matches!(status, 426 | 428 | 429 | 431 | 451 | 500..=508 | 510 | 511)
}

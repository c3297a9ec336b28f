//! mod_mime: type, coding, languages and handler from the extensions of a file name.
//!
//! Every extension after the first dot counts, in any case and in any place: `x.cgi.txt` has the handler of `.cgi`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::apache::content::include::filter_names;
use crate::apache::lex::getword_conf;
use crate::apache::model::{Command, Place};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::to_path;
use crate::fact::Fact;
use crate::fs::{Bytes, Errno};
use crate::source::{Origin, Setting};

/// The longest list of types that is read, in bytes.
const MAX_TYPES: u64 = 16 << 20;

/// The note in which [`find_ct`] leaves the parts of a name that mean nothing to it, separated by slashes.
pub(crate) const EXCEPTIONS: &[u8] = b"ap-mime-exceptions-list";
/// Our own note: the list of types that would say whether an extension has one cannot be read here.
pub(crate) const TYPE_UNKNOWN: &[u8] = b"why403-type-unknown";

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    types_config: Option<Vec<u8>>,
}

/// What a section says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    extensions: Vec<(Vec<u8>, Extension)>,
    removed: Vec<(Vec<u8>, Field)>,
    default_language: Option<Vec<u8>>,
    multiviews: Option<MultiviewsMatch>,
    use_path_info: Option<bool>,
}

/// What one extension means.
#[derive(Clone, Debug, Default)]
struct Extension {
    /// Empty after `RemoveType`: not even the list of types is asked.
    mime_type: Option<Setting<Vec<u8>>>,
    encoding: Option<Vec<u8>>,
    language: Option<Vec<u8>>,
    handler: Option<Setting<Vec<u8>>>,
    charset: Option<Vec<u8>>,
    /// Whether it adds a filter on the way in.
    input_filter: bool,
    /// The filters that it adds on the way out, separated by semicolons.
    output_filter: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Type,
    Encoding,
    Language,
    Handler,
    Charset,
    InputFilter,
    OutputFilter,
}

/// `MultiviewsMatch`: which extensions without metadata MultiViews passes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MultiviewsMatch {
    any: bool,
    negotiated_only: bool,
    handlers: bool,
    filters: bool,
}

impl ServerRecord {
    /// mod_mime does not merge servers: a virtual host's own record stands, and the list is the main server's anyway.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        ServerRecord { types_config: base.types_config.clone().or_else(|| vhost.types_config.clone()) }
    }
}

impl Extension {
    fn overlaid_by(&self, top: &Extension) -> Extension {
        Extension {
            mime_type: top.mime_type.clone().or_else(|| self.mime_type.clone()),
            encoding: top.encoding.clone().or_else(|| self.encoding.clone()),
            language: top.language.clone().or_else(|| self.language.clone()),
            handler: top.handler.clone().or_else(|| self.handler.clone()),
            charset: top.charset.clone().or_else(|| self.charset.clone()),
            input_filter: top.input_filter || self.input_filter,
            output_filter: top.output_filter.clone().or_else(|| self.output_filter.clone()),
        }
    }

    fn set(&mut self, field: Field, value: &[u8], origin: Origin) {
        let value = value.to_ascii_lowercase();
        match field {
            Field::Type => self.mime_type = Some(Setting::new(value, origin)),
            Field::Encoding => self.encoding = Some(value),
            Field::Language => self.language = Some(value),
            Field::Handler => self.handler = Some(Setting::new(value, origin)),
            Field::Charset => self.charset = Some(value),
            Field::InputFilter => self.input_filter = true,
            Field::OutputFilter => self.output_filter = Some(value),
        }
    }

    fn remove(&mut self, field: Field) {
        match field {
            Field::Type => self.mime_type = None,
            Field::Encoding => self.encoding = None,
            Field::Language => self.language = None,
            Field::Handler => self.handler = None,
            Field::Charset => self.charset = None,
            Field::InputFilter => self.input_filter = false,
            Field::OutputFilter => self.output_filter = None,
        }
    }
}

impl DirRecord {
    /// Extension by extension, the new section's meanings on top; then what the new section removes.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        let mut extensions = base.extensions.clone();
        for (name, top) in &new.extensions {
            match extensions.iter_mut().find(|(known, _)| known == name) {
                Some((_, extension)) => *extension = extension.overlaid_by(top),
                None => extensions.push((name.clone(), top.clone())),
            }
        }
        for (name, field) in &new.removed {
            if let Some((_, extension)) = extensions.iter_mut().find(|(known, _)| known == name) {
                extension.remove(*field);
            }
        }
        DirRecord {
            extensions,
            removed: Vec::new(),
            default_language: new.default_language.clone().or_else(|| base.default_language.clone()),
            multiviews: new.multiviews.or(base.multiviews),
            use_path_info: new.use_path_info.or(base.use_path_info),
        }
    }

    fn extension(&mut self, name: &[u8]) -> &mut Extension {
        let name = extension_name(name);
        let at = match self.extensions.iter().position(|(known, _)| *known == name) {
            Some(at) => at,
            None => {
                self.extensions.push((name, Extension::default()));
                self.extensions.len() - 1
            }
        };
        &mut self.extensions[at].1
    }
}

fn extension_name(word: &[u8]) -> Vec<u8> {
    word.strip_prefix(b".").unwrap_or(word).to_ascii_lowercase()
}

/// Adds one word of a `MultiviewsMatch` to those before it.
///
/// # Errors
/// The server's message.
pub(crate) fn parse_multiviews_match(
    earlier: MultiviewsMatch,
    word: &[u8],
    place: Place,
) -> Result<MultiviewsMatch, String> {
    if place == Place::Location {
        return Err("MultiviewsMatch cannot occur within <Location> section".into());
    }
    let mut flags = earlier;
    match word.to_ascii_lowercase().as_slice() {
        b"any" if earlier.negotiated_only || earlier.handlers || earlier.filters => {
            return Err("Any is incompatible with NegotiatedOnly, Filters and Handlers".into());
        }
        b"any" => flags.any = true,
        b"negotiatedonly" if earlier.any || earlier.handlers || earlier.filters => {
            return Err("NegotiatedOnly is incompatible with Any, Filters and Handlers".into());
        }
        b"negotiatedonly" => flags.negotiated_only = true,
        b"filters" if earlier.any || earlier.negotiated_only => {
            return Err("Filters is incompatible with Any and NegotiatedOnly".into());
        }
        b"filters" => flags.filters = true,
        b"handlers" if earlier.any || earlier.negotiated_only => {
            return Err("Handlers is incompatible with Any and NegotiatedOnly".into());
        }
        b"handlers" => flags.handlers = true,
        _ => return Err(format!("Unrecognized option '{}'", String::from_utf8_lossy(word))),
    }
    Ok(flags)
}

/// Adds a directive to the records of the place where it stands.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    let field = match cmd.name.trim_start_matches("Add").trim_start_matches("Remove") {
        "Type" => Some(Field::Type),
        "Encoding" => Some(Field::Encoding),
        "Language" => Some(Field::Language),
        "Handler" => Some(Field::Handler),
        "Charset" => Some(Field::Charset),
        "InputFilter" => Some(Field::InputFilter),
        "OutputFilter" => Some(Field::OutputFilter),
        _ => None,
    };
    match (cmd.name, field) {
        (name, Some(field)) if name.starts_with("Add") => {
            let Some((value, names)) = cmd.args.split_first() else { return };
            for name in names {
                dir.extension(name).set(field, value, cmd.origin);
            }
        }
        // An empty type hides the extension from the list of types as well.
        ("RemoveType", _) => {
            for name in &cmd.args {
                dir.extension(name).set(Field::Type, b"", cmd.origin);
            }
        }
        (_, Some(field)) => dir.removed.extend(cmd.args.iter().map(|name| (extension_name(name), field))),
        ("TypesConfig", None) => server.types_config = cmd.arg(0).map(|word| cmd.server_root_relative(word)),
        ("DefaultLanguage", None) => dir.default_language = cmd.arg(0).map(<[u8]>::to_vec),
        ("ModMimeUsePathInfo", None) => dir.use_path_info = Some(cmd.flag()),
        ("MultiviewsMatch", None) => {
            for word in &cmd.args {
                let earlier = dir.multiviews.unwrap_or_default();
                dir.multiviews = parse_multiviews_match(earlier, word, cmd.place).ok().or(dir.multiviews);
            }
        }
        _ => {}
    }
}

/// type_checker.
pub(crate) fn find_ct<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("mime_module") {
        return Handled::Declined;
    }
    if r.is_directory() {
        r.content_type = Some(b"httpd/unix-directory".to_vec());
        r.content_type_by = None;
        return Handled::Ok;
    }
    let Some(filename) = &r.filename else { return Handled::Declined };
    let record = r.per_dir.mime.clone().unwrap_or_default();
    let mut resource = filename.clone();
    if record.use_path_info == Some(true) {
        resource.extend_from_slice(&r.path_info);
    } else if r.proxyreq
        && r.notes.contains(b"proxy-nocanon")
        && let Some(query) = memchr::memchr(b'?', &resource)
    {
        resource.truncate(query);
    }
    let name = resource.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    // Leading dots belong to the base name.
    let dots = name.iter().take_while(|byte| **byte == b'.').count();
    let base = memchr::memchr(b'.', &name[dots..]).map_or(name.len(), |dot| dots + dot);
    let mut exceptions = vec![name[..base].to_vec()];
    let multiviews = record.multiviews.unwrap_or_default();
    let (mut found_any, mut charset) = (false, None);
    for written in name[base..].split(|byte| *byte == b'.').filter(|part| !part.is_empty()) {
        let part = written.to_ascii_lowercase();
        let extension = record.extensions.iter().find(|(known, _)| *known == part).map(|(_, extension)| extension);
        let mut found = false;
        if extension.is_none_or(|extension| extension.mime_type.is_none()) {
            match listed_type(&part, r, cx) {
                Fact::Known(Some(mime_type)) => {
                    r.content_type = Some(mime_type);
                    r.content_type_by = None;
                    found = true;
                }
                Fact::Known(None) => {}
                // Served with or without a type; whether it is a variant depends on it.
                Fact::Unknown(_) => r.notes.set(TYPE_UNKNOWN, b"1"),
            }
        }
        if let Some(extension) = extension {
            if let Some(mime_type) = extension.mime_type.as_ref().filter(|mime_type| !mime_type.value.is_empty()) {
                r.content_type = Some(mime_type.value.clone());
                r.content_type_by = mime_type.origin;
                found = true;
            }
            if let Some(value) = &extension.charset {
                charset = Some(value.clone());
                found = true;
            }
            if let Some(language) = &extension.language {
                r.content_languages.push(language.clone());
                found = true;
            }
            if let Some(encoding) = &extension.encoding {
                r.content_encoding = Some(match r.content_encoding.take() {
                    Some(earlier) => [earlier.as_slice(), b", ", encoding].concat(),
                    None => encoding.clone(),
                });
                found = true;
            }
            if let Some(handler) = extension.handler.as_ref().filter(|_| !r.proxyreq) {
                r.handler = Some(handler.clone());
                found |= multiviews.handlers;
            }
            if let Some(names) = extension.output_filter.as_ref().filter(|_| !r.proxyreq) {
                r.output_filters.extend(filter_names(names));
            }
            found |= multiviews.filters && (extension.input_filter || extension.output_filter.is_some());
        }
        if found || multiviews.any {
            found_any = true;
        } else {
            exceptions.push(written.to_vec());
        }
    }
    if found_any {
        r.notes.set(EXCEPTIONS, &exceptions.join(&b'/'));
    }
    if let (Some(mime_type), Some(charset)) = (&mut r.content_type, charset) {
        let end = memchr::memchr(b';', mime_type).unwrap_or(mime_type.len());
        mime_type.splice(end..end, [b"; charset=", charset.as_slice()].concat());
    }
    if r.content_languages.is_empty() {
        r.content_languages.extend(record.default_language.clone());
    }
    if r.content_type.is_some() { Handled::Ok } else { Handled::Declined }
}

/// The type of an extension in the list that `TypesConfig` names.
fn listed_type(extension: &[u8], r: &RequestRec, cx: &Cx) -> Fact<Option<Vec<u8>>> {
    cx.config.types.of(extension, || cx.world.fs.read(&types_config(r, cx), MAX_TYPES))
}

/// The file that `TypesConfig` names.
pub(crate) fn types_config(r: &RequestRec, cx: &Cx) -> PathBuf {
    let main = cx.config.servers.first().and_then(|server| server.mime.clone());
    let file = main.or_else(|| r.server.mime.clone()).and_then(|record| record.types_config.clone());
    match file {
        Some(file) => to_path(&file),
        None => cx.config.known.server_root.join("mime.types"),
    }
}

/// The list that `TypesConfig` names. The server reads it when it starts, so it is read once.
#[derive(Debug, Default)]
pub(crate) struct Types(OnceLock<HashMap<Vec<u8>, Arc<[u8]>>>);

impl Types {
    /// The type of an extension in lower case. `read`: the list; one that is not to be had names no type.
    fn of(&self, extension: &[u8], read: impl FnOnce() -> Fact<Result<Bytes, Errno>>) -> Fact<Option<Vec<u8>>> {
        let types = match self.0.get() {
            Some(types) => types,
            None => match read() {
                Fact::Known(Ok(list)) => self.0.get_or_init(|| parse_types(&list)),
                Fact::Known(Err(_)) => return Fact::Known(None),
                Fact::Unknown(question) => return Fact::Unknown(question),
            },
        };
        Fact::Known(types.get(extension).map(|mime_type| mime_type.to_vec()))
    }
}

/// A type and its extensions a line; a later line wins (mime_post_config).
fn parse_types(list: &[u8]) -> HashMap<Vec<u8>, Arc<[u8]>> {
    let mut types = HashMap::new();
    for line in list.split(|byte| *byte == b'\n').filter(|line| line.first() != Some(&b'#')) {
        let mut rest = line.trim_ascii();
        let mime_type: Arc<[u8]> = getword_conf(&mut rest).as_ref().into();
        while !rest.is_empty() {
            types.insert(getword_conf(&mut rest).to_ascii_lowercase(), mime_type.clone());
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_line_of_the_list_wins() {
        let list = b"# text/x a\ntext/plain txt TXT2\n\napplication/x TXT\nimage/y\n";
        let types = Types::default();
        let missing = || Fact::Known(Err(Errno::Enoent));
        assert_eq!(types.of(b"txt", missing), Fact::Known(None));
        assert_eq!(
            types.of(b"txt", || Fact::Known(Ok(list.to_vec().into()))),
            Fact::Known(Some(b"application/x".to_vec()))
        );
        assert_eq!(types.of(b"txt2", missing), Fact::Known(Some(b"text/plain".to_vec())));
        assert_eq!(types.of(b"a", missing), Fact::Known(None));
    }

    #[test]
    fn words_of_multiviews_match_exclude_each_other() {
        let add = |earlier, word: &[u8]| parse_multiviews_match(earlier, word, Place::Directory);
        let handlers = add(MultiviewsMatch::default(), b"handlers").expect("a word");
        assert!(add(handlers, b"Filters").is_ok());
        assert!(add(handlers, b"Any").is_err());
        assert!(add(handlers, b"x").is_err());
        assert!(parse_multiviews_match(MultiviewsMatch::default(), b"any", Place::Location).is_err());
    }
}

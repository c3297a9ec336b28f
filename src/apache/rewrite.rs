//! mod_rewrite: rules of a server run in translate_name on the URL path, those of a directory in the fixups on the file
//! name with the directory taken off.
//!
//! `parse.rs` reads the directives, `expand.rs` fills in `$1`, `%1`, `%{VAR}` and `${map:key}`, `engine.rs` runs a list
//! of rules (`apply_rewrite_list`), `uri.rs` has the helpers around URLs, and this file has the records, how they merge,
//! and the two hooks.

mod engine;
mod expand;
mod fixup;
mod parse;
mod translate;
mod uri;

use std::sync::Arc;

pub(crate) use fixup::hook_fixup;
pub(crate) use parse::{parse_base, parse_condition, parse_map, parse_options, parse_rule};
pub(crate) use translate::hook_uri2file;

use crate::apache::expr;
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::pattern::Pattern;
use crate::source::{Origin, Setting};

/// A `RewriteRule` with the conditions above it.
#[derive(Debug)]
pub(crate) struct Rule {
    pattern: Option<Pattern>,
    negated: bool,
    /// The substitution.
    output: Vec<u8>,
    flags: RuleFlags,
    /// The status of `[F]`, `[G]`, `[R=…]`; 0 where `[R=word]` names none.
    status: u16,
    /// `[S=n]`.
    skip: usize,
    /// `[N=n]`.
    max_rounds: i64,
    /// `[E=…]`, not expanded.
    env: Vec<Vec<u8>>,
    /// `[CO=…]`, not expanded.
    cookies: Vec<Vec<u8>>,
    /// `[H=…]`.
    handler: Option<Vec<u8>>,
    /// `[T=…]`.
    mime_type: Option<Vec<u8>>,
    /// `[B=…]`: what is escaped.
    escapes: Option<Vec<u8>>,
    /// `[BNE=…]`: what is not.
    no_escapes: Option<Vec<u8>>,
    conditions: Vec<(Arc<Condition>, Origin)>,
}

/// Flags of a rule without a value.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RuleFlags {
    escape_backrefs: bool,
    escape_no_plus: bool,
    escape_controls: bool,
    chain: bool,
    discard_path_info: bool,
    end: bool,
    forced_status: bool,
    last: bool,
    next_round: bool,
    no_case: bool,
    no_escape: bool,
    no_substitution: bool,
    no_subrequest: bool,
    pass_through: bool,
    proxy: bool,
    qs_append: bool,
    qs_discard: bool,
    qs_last: bool,
    qs_none: bool,
    redirect: bool,
    unc: bool,
    unsafe_allow_3f: bool,
    unsafe_prefix_stat: bool,
}

/// A `RewriteCond`.
#[derive(Debug)]
pub(crate) struct Condition {
    input: Vec<u8>,
    test: Test,
    negated: bool,
    no_case: bool,
    or_next: bool,
}

/// What a condition asks of its expanded input.
#[derive(Debug)]
pub(crate) enum Test {
    Regex(Pattern),
    Expr(expr::Expr),
    Regular,
    NonEmpty,
    Directory,
    Executable,
    Link,
    Uri,
    File,
    Less(Vec<u8>),
    AtMost(Vec<u8>),
    Equal(Vec<u8>),
    AtLeast(Vec<u8>),
    More(Vec<u8>),
    IntLess(i32),
    IntAtMost(i32),
    IntEqual(i32),
    IntAtLeast(i32),
    IntMore(i32),
}

/// `RewriteOptions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    inherit: bool,
    inherit_before: bool,
    inherit_down: bool,
    inherit_down_before: bool,
    ignore_inherit: bool,
    allow_no_slash: bool,
    allow_any_uri: bool,
    merge_base: bool,
    ignore_context_info: bool,
    legacy_prefix_docroot: bool,
    unsafe_prefix_stat: bool,
}

/// A `RewriteMap`.
#[derive(Clone, Debug)]
pub(crate) struct Map {
    name: Vec<u8>,
    kind: MapKind,
}

/// Where the values of a map come from. File names are as written, relative to `ServerRoot`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    Text(Vec<u8>),
    Random(Vec<u8>),
    Dbm(Vec<u8>),
    Database,
    Program(Vec<u8>),
    ToUpper,
    ToLower,
    Escape,
    Unescape,
}

impl Map {
    /// The file that must exist when the server starts: that of a text, random or program map. A dbm map's own files
    /// are named by its library.
    pub fn file(&self) -> Option<&[u8]> {
        match &self.kind {
            MapKind::Text(file) | MapKind::Random(file) => Some(file),
            MapKind::Program(command) => command.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()),
            _ => None,
        }
    }
}

type Rules = Vec<(Arc<Rule>, Origin)>;

/// Rules, and conditions that wait for one.
#[derive(Clone, Debug, Default)]
struct List {
    rules: Rules,
    waiting: Vec<(Arc<Condition>, Origin)>,
}

impl List {
    fn then(&self, other: &List) -> List {
        List {
            rules: self.rules.iter().chain(&other.rules).cloned().collect(),
            waiting: self.waiting.iter().chain(&other.waiting).cloned().collect(),
        }
    }

    /// How the rules of two places go together (`config_*_merge`).
    fn merge(base: &List, base_options: Options, new: &List, options: Options) -> List {
        let down = !options.ignore_inherit;
        if options.inherit || base_options.inherit_down && down {
            new.then(base)
        } else if options.inherit_before || base_options.inherit_down_before && down {
            base.then(new)
        } else {
            new.clone()
        }
    }
}

/// What a server says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    /// The server whose directives these are: one without any has none of its own and does no rewriting.
    server: usize,
    engine: Option<Setting<bool>>,
    options: Option<Options>,
    maps: Vec<(Map, Origin)>,
    list: List,
}

/// What a section or an `.htaccess` says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    /// The directory with its final slash; for other sections their argument. `None` at server level.
    directory: Option<Vec<u8>>,
    engine: Option<Setting<bool>>,
    options: Option<Options>,
    base: Option<Vec<u8>>,
    list: List,
}

/// What a request and the requests made from it remember.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestState {
    /// A rule with `[END]` was applied: no more rewriting for this request and those made from it.
    ended: bool,
    /// The rule that forced a handler with `[H=…]`.
    forced_by: Option<Origin>,
}

impl RequestState {
    /// What a sub-request starts with: `[END]` holds for redirects, not for the requests that a request makes.
    pub fn for_subrequest(&self) -> RequestState {
        RequestState::default()
    }
}

impl Options {
    fn or(self, other: Options) -> Options {
        Options {
            inherit: self.inherit || other.inherit,
            inherit_before: self.inherit_before || other.inherit_before,
            inherit_down: self.inherit_down || other.inherit_down,
            inherit_down_before: self.inherit_down_before || other.inherit_down_before,
            ignore_inherit: self.ignore_inherit || other.ignore_inherit,
            allow_no_slash: self.allow_no_slash || other.allow_no_slash,
            allow_any_uri: self.allow_any_uri || other.allow_any_uri,
            merge_base: self.merge_base || other.merge_base,
            ignore_context_info: self.ignore_context_info || other.ignore_context_info,
            legacy_prefix_docroot: self.legacy_prefix_docroot || other.legacy_prefix_docroot,
            unsafe_prefix_stat: self.unsafe_prefix_stat || other.unsafe_prefix_stat,
        }
    }
}

impl ServerRecord {
    /// `config_server_merge`.
    pub fn merge(base: &ServerRecord, vhost: &ServerRecord) -> ServerRecord {
        let options = vhost.options.or(base.options);
        let effective = options.unwrap_or_default();
        let base_options = base.options.unwrap_or_default();
        let inherits = effective.inherit
            || effective.inherit_before
            || (base_options.inherit_down || base_options.inherit_down_before) && !effective.ignore_inherit;
        let mut maps = vhost.maps.clone();
        if inherits {
            // Of one name the later server's counts, in either order of the rules: a look-up finds the first.
            maps.extend(base.maps.iter().cloned());
        }
        ServerRecord {
            server: vhost.server,
            engine: vhost.engine.or(base.engine),
            options,
            maps,
            list: List::merge(&base.list, base_options, &vhost.list, effective),
        }
    }
}

impl DirRecord {
    /// `config_perdir_merge`.
    pub fn merge(base: &DirRecord, new: &DirRecord) -> DirRecord {
        let options = new.options.or(base.options);
        let effective = options.unwrap_or_default();
        let base_url = match &new.base {
            None if effective.merge_base => base.base.clone(),
            own => own.clone(),
        };
        DirRecord {
            directory: new.directory.clone(),
            engine: new.engine.or(base.engine),
            options,
            base: base_url,
            list: List::merge(&base.list, base.options.unwrap_or_default(), &new.list, effective),
        }
    }

    fn is_enabled(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.value)
    }

    /// The path of the section or `.htaccess` that the record belongs to (config_perdir_create).
    pub fn stand_in(&mut self, path: Option<&[u8]>) {
        self.directory = path.map(|path| {
            let mut directory = path.to_vec();
            if directory.last() != Some(&b'/') {
                directory.push(b'/');
            }
            directory
        });
    }
}

/// Adds a directive to the records of the place where it stands.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    if cmd.at_server_level() {
        server.server = cmd.server;
    } else {
        dir.stand_in(cmd.path);
    }
    let at_server_level = cmd.at_server_level();
    let list = if at_server_level { &mut server.list } else { &mut dir.list };
    match cmd.name {
        "RewriteEngine" => {
            let engine = Some(Setting::new(cmd.flag(), cmd.origin));
            if at_server_level {
                server.engine = engine;
            }
            dir.engine = engine;
        }
        "RewriteOptions" => {
            let Ok(options) = parse_options(&cmd.args) else { return };
            if at_server_level {
                server.options = Some(server.options.unwrap_or_default().or(options));
            }
            dir.options = Some(dir.options.unwrap_or_default().or(options));
        }
        "RewriteBase" => dir.base = cmd.arg(0).and_then(|base| parse_base(base).ok()),
        "RewriteMap" => {
            if let Ok(map) = parse_map(&cmd.args) {
                // A name given again stands for its last map.
                server.maps.insert(0, (map, cmd.origin));
            }
        }
        "RewriteCond" => {
            if let Ok(condition) = parse_condition(cmd.raw, cmd.expr_context()) {
                list.waiting.push((Arc::new(condition), cmd.origin));
            }
        }
        "RewriteRule" => {
            if let Ok(mut rule) = parse_rule(cmd.raw) {
                rule.conditions = std::mem::take(&mut list.waiting);
                list.rules.push((Arc::new(rule), cmd.origin));
            }
        }
        _ => {}
    }
}

/// type_checker of a request that a rule with `[T=…]` or `[H=…]` matched (`hook_mimetype`, a fixup of the last rank).
pub(crate) fn hook_mimetype<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    if let Some(mime_type) = r.notes.get(FORCED_MIME_TYPE).map(<[u8]>::to_vec) {
        r.content_type = Some(mime_type);
        r.content_type_by = r.rewrite.forced_by;
    }
    if let Some(handler) = r.notes.get(FORCED_HANDLER).map(<[u8]>::to_vec) {
        let origin = r.rewrite.forced_by;
        r.handler = Some(Setting { value: handler, origin });
    }
    Handled::Ok
}

/// The note that carries `[T=…]` to the fixups.
const FORCED_MIME_TYPE: &[u8] = b"rewrite-forced-mimetype";
/// The note that carries `[H=…]` to the fixups.
const FORCED_HANDLER: &[u8] = b"rewrite-forced-handler";

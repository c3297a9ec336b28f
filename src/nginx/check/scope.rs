//! What is remembered while the `http` block is read: of the whole, and of each block in it.

use std::collections::HashMap;

use super::listen::Listens;
use super::tables::Keys;
use super::upstream::Upstreams;
use super::variables::{self, Variables};
use crate::nginx::build::Build;
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::source::{FileId, Origin};

/// What the modules of `http` know together.
#[derive(Debug)]
pub(super) struct Http<'a> {
    pub(super) variables: Variables,
    pub(super) upstreams: Upstreams,
    pub(super) listens: Listens,
    /// Names of `log_format`.
    pub(super) formats: Vec<Vec<u8>>,
    pub(super) log_buffers: HashMap<Vec<u8>, (i64, i64, i64)>,
    /// Charsets that a `charset_map` joins.
    pub(super) charset_maps: Vec<(&'a [u8], &'a [u8])>,
    /// Files of `geoip2`, as they are written.
    pub(super) databases: Vec<&'a [u8]>,
    /// Every `server`, in order.
    pub(super) servers: Vec<ServerNames<'a>>,
    /// Every block with a record of its own, in the order of their `{`.
    pub(super) scopes: Vec<Scope<'a>>,
    modern: bool,
}

impl Http<'_> {
    pub(super) fn new(build: &Build, modern: bool) -> Self {
        Http {
            variables: Variables::new(build, variables::HTTP, variables::HTTP_PREFIXES, modern),
            upstreams: Upstreams::default(),
            listens: Listens::default(),
            formats: vec![b"combined".to_vec()],
            log_buffers: HashMap::new(),
            charset_maps: Vec::new(),
            databases: Vec::new(),
            servers: Vec::new(),
            scopes: Vec::new(),
            modern,
        }
    }

    /// A module was loaded: its variables exist too.
    pub(super) fn variables_of(&mut self, build: &Build) {
        self.variables = Variables::new(build, variables::HTTP, variables::HTTP_PREFIXES, self.modern);
    }
}

/// The names of a `server`.
#[derive(Debug, Default)]
pub(super) struct ServerNames<'a> {
    pub(super) names: Vec<&'a [u8]>,
    /// Whether a `server_name` regex captures something.
    pub(super) captures: bool,
    /// Where its `{` stands.
    pub(super) at: Option<(FileId, u32)>,
}

/// A block with a record of its own, as the merge sees it at the end of `http`.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) parent: Option<usize>,
    pub(super) context: Contexts,
    pub(super) origin: Origin,
    /// The byte of its `{`.
    pub(super) at: (FileId, u32),
    /// The server it lies in, by its index.
    pub(super) server: Option<usize>,
    pub(super) place: Place<'a>,
    /// Values of directives that the merge compares, in their order: most blocks have none or a few.
    pub(super) given: Vec<(&'static str, Box<[&'a [u8]]>)>,
    /// Texts that are compiled only when the block is merged.
    pub(super) late: Vec<(Placed<'a>, &'a [u8])>,
    pub(super) referers: Option<Box<Referers>>,
}

impl<'a> Scope<'a> {
    /// What the block itself gives a directive, as often as it does.
    pub(super) fn values(&self, name: &str) -> impl DoubleEndedIterator<Item = &[&'a [u8]]> {
        self.given.iter().filter(move |(given, _)| *given == name).map(|(_, values)| &**values)
    }
}

/// What kind of location a block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Match {
    /// No location.
    #[default]
    None,
    Prefix,
    Exact,
    NoRegex,
    Regex,
    Named,
}

/// The location that a block is, or lies in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: Match,
    /// `if` and `limit_except`: a location without a name of its own.
    pub(super) anonymous: bool,
}

/// What later directives of a block, and its end, need to know.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) root: Option<&'static str>,
    /// Whether the URL of `proxy_pass` has variables, once it was given.
    pub(super) proxy_pass: Option<bool>,
    pub(super) redirects: Redirects,
    /// `NAME_store` and `NAME_cache` exclude each other.
    pub(super) zones: Vec<(&'static str, Vec<u8>)>,
    pub(super) servers: usize,
    pub(super) balancer: Option<&'static str>,
    pub(super) listens: bool,
    pub(super) referers: Option<Box<Referers>>,
    pub(super) scope: usize,
}

/// `proxy_redirect` and its kin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Redirects {
    #[default]
    Unset,
    Off,
    Some,
}

/// `valid_referers` of a block.
#[derive(Debug, Default)]
pub(super) struct Referers {
    pub(super) lenient: bool,
    pub(super) server_names: bool,
    pub(super) keys: Option<Keys>,
    pub(super) given: Option<Origin>,
}

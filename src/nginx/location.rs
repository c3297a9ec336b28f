//! The location tree of a block and `ngx_http_core_find_location`.
//!
//! Prefix and exact names lie in one sorted list in which every entry knows the longest other entry that is a prefix of
//! it; regular expressions are tried in order of configuration.

use std::ops::ControlFlow;

use super::model::{Location, LocationKind};
use super::request::{Cx, Flow, HttpRequest};
use super::version::Version;
use crate::trace::nginx::{Event, Lost};

/// The locations of one block.
#[derive(Debug, Default)]
pub struct Locations {
    /// In configuration order.
    pub all: Vec<Location>,
    entries: Vec<Entry>,
    regexes: Vec<usize>,
    named: Vec<usize>,
    /// Whether any location redirects to its slash.
    redirects: bool,
}

/// One name in the static tree.
#[derive(Debug)]
struct Entry {
    /// The name that is compared. Before 1.23.4 a long one is cut, see [`Locations::new`].
    name: Box<[u8]>,
    /// `location name` or `location ^~ name`.
    inclusive: Option<usize>,
    /// `location = name`.
    exact: Option<usize>,
    /// The entry whose name is the longest proper prefix of this one and which has an inclusive location.
    parent: Option<usize>,
}

/// What the static tree says.
enum Static {
    Exact(usize),
    /// The name plus a slash is a location that passes to a back end: 301.
    AutoRedirect(usize),
    Prefix(usize),
    None,
}

/// How a location was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// `r.location` is set.
    Location,
    /// `r.location` is the location with the slash; the answer is a redirect to it.
    AutoRedirect,
    /// The server's own record stays in force.
    Nothing,
}

impl Locations {
    /// Builds the tree. `server` matters for one old mistake: up to 1.23.3 the length of a name (less the part it shares
    /// with the location around it in the tree) was kept in one byte.
    pub fn new(all: Vec<Location>, server: Version) -> Locations {
        let mut order: Vec<usize> = Vec::new();
        let (mut regexes, mut named) = (Vec::new(), Vec::new());
        for (index, location) in all.iter().enumerate() {
            match location.kind {
                LocationKind::Regex(_) => regexes.push(index),
                LocationKind::Named => named.push(index),
                LocationKind::Exact | LocationKind::Prefix | LocationKind::NoRegex => order.push(index),
            }
        }
        order.sort_by(|&a, &b| all[a].name.cmp(&all[b].name));
        let mut entries: Vec<Entry> = Vec::with_capacity(order.len());
        for index in order {
            let location = &all[index];
            let same = entries.last_mut().filter(|last| last.name == location.name);
            let entry = match same {
                Some(entry) => entry,
                None => {
                    // Whatever sorts between a prefix and this name has that prefix too, so it is up the chain.
                    let mut parent = entries.len().checked_sub(1);
                    while let Some(at) = parent {
                        if entries[at].inclusive.is_some() && location.name.starts_with(&entries[at].name) {
                            break;
                        }
                        parent = entries[at].parent;
                    }
                    entries.push(Entry { name: location.name.clone(), inclusive: None, exact: None, parent });
                    let last = entries.len() - 1;
                    &mut entries[last]
                }
            };
            let slot =
                if matches!(location.kind, LocationKind::Exact) { &mut entry.exact } else { &mut entry.inclusive };
            slot.get_or_insert(index);
        }
        if server < Version::new(1, 23, 4) {
            cut_long_names(&mut entries);
        }
        let redirects = all.iter().any(|location| location.auto_redirect);
        Locations { all, entries, regexes, named, redirects }
    }

    /// The location `@name`, the first one of that name.
    pub fn named(&self, name: &[u8]) -> Option<&Location> {
        self.named.iter().map(|&index| &self.all[index]).find(|location| *location.name == *name)
    }

    /// The regular expressions in the order in which they are tried.
    pub fn regexes(&self) -> impl Iterator<Item = &Location> {
        self.regexes.iter().map(|&index| &self.all[index])
    }

    /// `ngx_http_core_find_static_location`: the longest prefix; an exact name wins.
    fn find_static(&self, uri: &[u8]) -> Static {
        let after = self.entries.partition_point(|entry| *entry.name <= *uri);
        let mut at = after.checked_sub(1);
        // An exact location that is no whole match cannot be met through `parent`, which skips it.
        while let Some(index) = at {
            let entry = &self.entries[index];
            if uri.starts_with(&entry.name) {
                if entry.name.len() == uri.len() {
                    match (entry.exact, entry.inclusive) {
                        (Some(location), _) => return Static::Exact(location),
                        (None, Some(location)) => return Static::Prefix(location),
                        (None, None) => {}
                    }
                }
                if entry.inclusive.is_some() {
                    break;
                }
            }
            at = entry.parent;
        }
        if let Some(location) = self.auto_redirect(uri, after) {
            return Static::AutoRedirect(location);
        }
        at.and_then(|index| self.entries[index].inclusive).map_or(Static::None, Static::Prefix)
    }

    /// The location named `uri` plus a slash, if it hands its requests to a back end.
    fn auto_redirect(&self, uri: &[u8], after: usize) -> Option<usize> {
        if !self.redirects {
            return None;
        }
        let rest = &self.entries[after..];
        let order = |entry: &Entry| {
            let (head, tail) = entry.name.split_at(entry.name.len().min(uri.len()));
            head.cmp(uri).then_with(|| tail.cmp(b"/"))
        };
        let at = rest.binary_search_by(order).ok()?;
        let entry = &rest[at];
        let passes = |index: Option<usize>| index.is_some_and(|index| self.all[index].auto_redirect);
        (passes(entry.exact) || passes(entry.inclusive)).then(|| entry.exact.or(entry.inclusive)).flatten()
    }
}

/// Names longer than 255 bytes beyond their parent count modulo 256.
fn cut_long_names(entries: &mut [Entry]) {
    let lengths: Vec<usize> = entries.iter().map(|entry| entry.name.len()).collect();
    if lengths.iter().all(|&length| length <= 255) {
        return;
    }
    for index in 0..entries.len() {
        let parent = entries[index].parent;
        let (before, kept) = parent.map_or((0, 0), |parent| (lengths[parent], entries[parent].name.len()));
        let own = &entries[index].name[before..];
        let mut name = parent.map_or_else(Vec::new, |parent| entries[parent].name[..kept].to_vec());
        name.extend_from_slice(&own[..own.len() % 256]);
        entries[index].name = name.into();
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for index in 0..entries.len() {
        let parent = (0..index)
            .rev()
            .find(|&at| entries[at].inclusive.is_some() && entries[index].name.starts_with(&entries[at].name));
        entries[index].parent = parent;
    }
}

/// Chooses the location of `r.uri` below the server's record, as the find-config phase does.
pub fn find_location<'a>(r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Chosen> {
    r.location = None;
    r.conf = &r.server.conf;
    find(&r.server.locations, true, r, cx).map_continue(|found| match found {
        Matched::Exact | Matched::Regex | Matched::Prefix => Chosen::Location,
        Matched::AutoRedirect => Chosen::AutoRedirect,
        Matched::None => Chosen::Nothing,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Matched {
    Exact,
    AutoRedirect,
    Regex,
    Prefix,
    None,
}

fn choose<'a>(location: &'a Location, r: &mut HttpRequest<'a>) {
    r.location = Some(location);
    r.conf = &location.conf;
}

/// One level. The tree of a location given by a regular expression is never built, so prefix and exact locations inside
/// one are dead (`with_static` is false there); nested expressions are tried.
fn find<'a>(locations: &'a Locations, with_static: bool, r: &mut HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<Matched> {
    let mut matched = Matched::None;
    let mut no_regex = false;
    match if with_static { locations.find_static(&r.uri) } else { Static::None } {
        Static::Exact(index) => {
            choose(&locations.all[index], r);
            return ControlFlow::Continue(Matched::Exact);
        }
        Static::AutoRedirect(index) => {
            choose(&locations.all[index], r);
            return ControlFlow::Continue(Matched::AutoRedirect);
        }
        Static::Prefix(index) => {
            let location = &locations.all[index];
            choose(location, r);
            no_regex = matches!(location.kind, LocationKind::NoRegex);
            matched = match find(&location.locations, true, r, cx)? {
                Matched::None | Matched::Prefix => Matched::Prefix,
                decided => return ControlFlow::Continue(decided),
            };
        }
        Static::None => {}
    }
    if no_regex {
        if let Some(location) = r.location.filter(|_| !locations.regexes.is_empty()) {
            cx.push("find config", Some(location.origin), || Event::RegexesSkipped);
        }
        return ControlFlow::Continue(matched);
    }
    for location in locations.regexes() {
        let LocationKind::Regex(regex) = &location.kind else { continue };
        if !r.exec_on_uri(regex, cx)? {
            cx.push("find config", Some(location.origin), || Event::LocationLost(Lost::NoMatch));
            continue;
        }
        if let Some(prefix) = r.location {
            cx.push("find config", Some(prefix.origin), || Event::LocationLost(Lost::ToRegex));
        }
        choose(location, r);
        find(&location.locations, false, r, cx)?;
        return ControlFlow::Continue(Matched::Regex);
    }
    ControlFlow::Continue(matched)
}

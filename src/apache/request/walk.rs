//! What the four walks share: each remembers what it matched, and a sub-request or redirect that matches the same again
//! gets the *same object* back (walk_cache_t, prep_walk_cache). Authorization is skipped for the same object only, so
//! this bookkeeping decides statuses.

use std::rc::Rc;
use std::sync::Arc;

use crate::apache::fnmatch::Flags;
use crate::apache::model::{DirConf, Matcher, PerDir, Section, SectionList};
use crate::apache::request::{Cx, Parent, RequestRec};
use crate::fact::Subject;
use crate::pattern::Pattern;

/// How section patterns are matched: no wildcard crosses a slash.
pub(crate) const PATHNAME: Flags = Flags { pathname: true, caseless: false, period: false, no_escape: false };

/// Which walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `<Directory>` and `.htaccess`.
    Directory,
    /// `<Location>`.
    Location,
    /// `<Files>`.
    File,
    /// `<If>`.
    If,
}

/// The latest cache of each walk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Walks {
    latest: [Option<Rc<Cache>>; 4],
}

/// A section that matched, and the merge up to it.
#[derive(Clone, Debug)]
struct Walked {
    matched: Arc<DirConf>,
    merged: Arc<DirConf>,
}

/// walk_cache_t.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cache {
    /// What was matched: a directory, a URI, a file name.
    pub cached: Option<Vec<u8>>,
    /// The list that was tried.
    tested: Option<SectionList>,
    /// The records the result was merged upon.
    base: Option<PerDir>,
    /// The result.
    result: Option<PerDir>,
    walked: Vec<Walked>,
    previous: Option<Rc<Cache>>,
    count: u32,
}

/// A walk under way.
pub(crate) struct Walk {
    /// The cache, which [`Walk::finish`] stores.
    pub cache: Cache,
    kind: Kind,
    /// Still in step with the cached walk: the old result may be used.
    cached: bool,
    /// Cached matches not yet met again.
    matches: usize,
    cached_matches: usize,
    next: usize,
    merged: Option<Arc<DirConf>>,
}

impl Walk {
    /// prep_walk_cache: the cache of the same invocation in the parent, else of the previous invocation here.
    pub fn prepare(kind: Kind, r: &RequestRec) -> Walk {
        let previous = r.walks.latest[kind as usize].clone();
        let count = previous.as_ref().map_or(0, |cache| cache.count + 1);
        let inherited =
            |parent: &Option<Rc<Parent>>| parent.as_ref().and_then(|parent| parent.walks.latest[kind as usize].clone());
        let mut copy = previous.clone();
        if let Some(mut cache) = inherited(&r.prev).or_else(|| inherited(&r.main)) {
            while cache.count > count {
                let Some(earlier) = cache.previous.clone() else { break };
                cache = earlier;
            }
            if cache.count == count {
                copy = Some(cache);
            }
        }
        let mut cache = copy.map(|cache| (*cache).clone()).unwrap_or_default();
        (cache.previous, cache.count) = (previous, count);
        let matches = cache.walked.len();
        Walk { cached: cache.cached.is_some(), matches, cached_matches: matches, next: 0, merged: None, kind, cache }
    }

    /// Whether the cache is of this very list and name.
    pub fn is_familiar(&self, list: &SectionList, name: &[u8]) -> bool {
        let same_list = self.cache.tested.as_ref().is_some_and(|tested| Arc::ptr_eq(tested, list));
        same_list && self.cache.cached.as_deref() == Some(name)
    }

    /// For a familiar walk: the result if `r` already has it or stands where the old walk stood.
    pub fn familiar_result(&self, r: &RequestRec) -> Option<PerDir> {
        let (base, result) = (self.cache.base.as_ref()?, self.cache.result.as_ref()?);
        (r.per_dir.is(result) || r.per_dir.is(base)).then(|| result.clone())
    }

    /// Whether `r` already has the cached result.
    pub fn has_result(&self, r: &RequestRec) -> bool {
        self.cache.result.as_ref().is_some_and(|result| r.per_dir.is(result))
    }

    /// A familiar walk takes all its matches over.
    pub fn take_over(&mut self) {
        self.merged = self.cache.walked.last().map(|walked| walked.merged.clone());
        self.matches = 0;
    }

    /// The walk is done again: results may be reused only if no auth module wants to see every request (`per_conf`).
    pub fn again(&mut self, per_conf: bool) {
        self.cached &= per_conf;
    }

    /// One section matched.
    pub fn matched(&mut self, conf: &Arc<DirConf>, cx: &Cx) {
        if self.matches > 0 {
            let walked = &self.cache.walked[self.next];
            if Arc::ptr_eq(&walked.matched, conf) {
                self.merged = Some(walked.merged.clone());
                self.next += 1;
                self.matches -= 1;
                return;
            }
            // Out of step: what is left of the old matches is dropped.
            self.drop_remaining();
        }
        let merged = match &self.merged {
            Some(earlier) => cx.config.merges.merge(earlier, conf),
            None => conf.clone(),
        };
        self.cache.walked.push(Walked { matched: conf.clone(), merged: merged.clone() });
        self.merged = Some(merged);
    }

    fn drop_remaining(&mut self) {
        let keep = self.cache.walked.len() - self.matches;
        self.cache.walked.truncate(keep);
        self.matches = 0;
        self.cached = false;
    }

    /// What matched so far, merged.
    pub fn merged(&self) -> Option<&Arc<DirConf>> {
        self.merged.as_ref()
    }

    /// The end of a walk: merges the matches onto `r`, or reuses the old result where nothing changed.
    pub fn finish<'c>(mut self, list: &SectionList, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) {
        if self.matches > 0 {
            self.drop_remaining();
        } else if self.cache.walked.len() > self.cached_matches {
            self.cached = false;
        }
        let same_base = self.cache.base.as_ref().is_some_and(|base| r.per_dir.is(base));
        match &self.cache.result {
            Some(result) if self.cached && same_base => r.per_dir = result.clone(),
            _ => {
                self.cache.tested = Some(list.clone());
                self.cache.base = Some(r.per_dir.clone());
                if let Some(merged) = &self.merged {
                    let conf = cx.config.merges.merge(r.per_dir.conf(), merged);
                    r.per_dir = PerDir::new(conf, cx.identity());
                }
                self.cache.result = Some(r.per_dir.clone());
            }
        }
        self.store(r);
    }

    /// Leaves the cache as the latest of its kind without merging anything.
    pub fn store(self, r: &mut RequestRec) {
        r.walks.latest[self.kind as usize] = Some(Rc::new(self.cache));
    }
}

/// Whether the named groups of a regular expression section matched; sets `MATCH_NAME` in the environment.
pub(crate) fn regex_matches(section: &Section, subject: &[u8], r: &mut RequestRec, cx: &Cx) -> Option<bool> {
    let Matcher::Regex(pattern) = &section.matcher else { return Some(false) };
    if pattern.names().iter().all(Option::is_none) {
        return pattern.is_match(subject).map_err(|_| limit(pattern, section, cx)).ok();
    }
    match pattern.captures(subject) {
        Ok(Some(captures)) => {
            for (group, name) in pattern.names().iter().enumerate() {
                let range = captures.groups.get(group).cloned().flatten();
                if let (Some(name), Some(range)) = (name, range) {
                    let key = format!("MATCH_{}", name.to_ascii_uppercase());
                    let value = subject.get(range).unwrap_or_default().to_vec();
                    r.subprocess_env.set(key.as_bytes(), &value);
                }
            }
            Some(true)
        }
        Ok(None) => Some(false),
        Err(_) => {
            limit(pattern, section, cx);
            None
        }
    }
}

/// The match was given up, so that nobody knows.
fn limit(pattern: &Pattern, section: &Section, cx: &Cx) {
    let text = String::from_utf8_lossy(pattern.source()).into_owned();
    cx.unanswerable(Subject::MatchLimit(text), Some(section.origin));
}

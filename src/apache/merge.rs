//! Merges that were made once: sections are merged in the same order for request after request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::apache::model::DirConf;

/// How many merges are kept. A configuration has far fewer; `.htaccess` files that change again and again may not pile up.
const MOST: usize = 20_000;

/// Two places and what they give together. The places are kept, so that their addresses stay theirs.
#[derive(Debug)]
struct Made {
    _base: Arc<DirConf>,
    _new: Arc<DirConf>,
    merged: Arc<DirConf>,
}

/// The merges so far, by the addresses of the two places.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    made: Mutex<HashMap<(usize, usize), Made>>,
}

impl Merges {
    /// [`DirConf::merge`], remembered.
    pub fn merge(&self, base: &Arc<DirConf>, new: &Arc<DirConf>) -> Arc<DirConf> {
        let key = (Arc::as_ptr(base) as usize, Arc::as_ptr(new) as usize);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(earlier) = made.get(&key) {
            return earlier.merged.clone();
        }
        if made.len() >= MOST {
            made.clear();
        }
        let merged = Arc::new(DirConf::merge(base, new));
        made.insert(key, Made { _base: base.clone(), _new: new.clone(), merged: merged.clone() });
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_two_places_are_merged_once() {
        let (base, new) = (Arc::new(DirConf::default()), Arc::new(DirConf::default()));
        let merges = Merges::default();
        assert!(Arc::ptr_eq(&merges.merge(&base, &new), &merges.merge(&base, &new)));
        assert!(!Arc::ptr_eq(&merges.merge(&base, &new), &merges.merge(&new, &base)));
    }
}

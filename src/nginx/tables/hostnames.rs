//! Names with wildcards, as `map` with `hostnames` and `valid_referers` look them up (`ngx_hash_find_combined`).
//!
//! `a.x` stands for itself, `*.x` for what ends in it, `.x` for both, `a.*` for what begins with it. An exact name comes
//! before the longest ending, that before the longest beginning. Everything is compared in lower case.

use std::collections::HashMap;

/// A table of names.
#[derive(Clone, Debug)]
pub struct Hostnames<T> {
    exact: HashMap<Box<[u8]>, T>,
    /// By what follows the first dot; `true`: the name without anything in front counts too.
    endings: HashMap<Box<[u8]>, (T, bool)>,
    beginnings: HashMap<Box<[u8]>, T>,
}

impl<T> Default for Hostnames<T> {
    fn default() -> Self {
        Hostnames { exact: HashMap::new(), endings: HashMap::new(), beginnings: HashMap::new() }
    }
}

impl<T: Clone> Hostnames<T> {
    /// Adds a name that is only ever itself.
    pub fn insert_exact(&mut self, name: &[u8], value: T) {
        self.exact.insert(name.to_ascii_lowercase().into(), value);
    }

    /// Adds a name that may be a wildcard (`ngx_hash_add_key` with NGX_HASH_WILDCARD_KEY). One that is neither is left
    /// out: nginx refuses it.
    pub fn insert(&mut self, name: &[u8], value: T) {
        let name = name.to_ascii_lowercase();
        let stars = name.iter().filter(|&&byte| byte == b'*').count();
        if stars > 1 || name.windows(2).any(|two| two == b"..") || name.contains(&0) {
            return;
        }
        match &*name {
            [b'.', rest @ ..] if !rest.is_empty() => {
                self.endings.insert(rest.into(), (value, true));
            }
            [b'*', b'.', rest @ ..] if !rest.is_empty() => {
                self.endings.insert(rest.into(), (value, false));
            }
            [rest @ .., b'.', b'*'] if !rest.is_empty() => {
                self.beginnings.insert(rest.into(), value);
            }
            _ if stars == 0 => {
                self.exact.insert(name.into(), value);
            }
            _ => {}
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.endings.is_empty() && self.beginnings.is_empty()
    }

    /// What a name stands for.
    pub fn find(&self, name: &[u8]) -> Option<&T> {
        let name = &*name.to_ascii_lowercase();
        if let Some(value) = self.exact.get(name) {
            return Some(value);
        }
        if name.is_empty() {
            return None;
        }
        if let Some((value, true)) = self.endings.get(name) {
            return Some(value);
        }
        let dots = || name.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at);
        let longest_ending = dots().find_map(|dot| self.endings.get(&name[dot + 1..]));
        if let Some((value, _)) = longest_ending {
            return Some(value);
        }
        let mut longest_beginning = None;
        for dot in dots() {
            longest_beginning = self.beginnings.get(&name[..dot]).or(longest_beginning);
        }
        longest_beginning
    }

    /// Every value.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        let endings = self.endings.values().map(|(value, _)| value);
        self.exact.values().chain(endings).chain(self.beginnings.values())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_then_longest_ending_then_longest_beginning() {
        let mut names = Hostnames::default();
        for name in ["a.ex.com", "*.ex.com", "*.b.ex.com", ".dot.com", "www.*", "www.x.*", "*.com"] {
            names.insert(name.as_bytes(), name);
        }
        for (name, found) in [
            ("A.ex.com", Some("a.ex.com")),
            ("x.ex.com", Some("*.ex.com")),
            ("x.y.b.ex.com", Some("*.b.ex.com")),
            ("b.ex.com", Some("*.ex.com")),
            ("ex.com", Some("*.com")),
            ("dot.com", Some(".dot.com")),
            ("x.dot.com", Some(".dot.com")),
            ("www.com", Some("*.com")),
            ("www.org", Some("www.*")),
            ("www.x.org", Some("www.x.*")),
            ("www", None),
            ("", None),
        ] {
            assert_eq!(names.find(name.as_bytes()).copied(), found, "{name}");
        }
    }

    #[test]
    fn what_is_no_wildcard_is_left_out() {
        let mut names = Hostnames::default();
        for name in ["a*b", "*", "a..b", "*.*"] {
            names.insert(name.as_bytes(), ());
        }
        assert!(names.is_empty());
        names.insert(b".", ());
        assert!(names.find(b".").is_some());
    }
}

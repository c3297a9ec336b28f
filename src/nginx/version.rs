//! Which nginx is followed: Debian 12's 1.22.1 with its backports, or 1.31.3.

use std::fmt;

/// A version of nginx as its numbers compare. Only the two recorded ones are known; see [`Version::resolve`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u16,
    minor: u16,
    patch: u16,
}

impl Version {
    /// Debian 12's build with its security backports: `max_headers`, and no mapping through an alias once a rewrite has
    /// changed the URI.
    pub const DEBIAN_1_22_1: Version = Version::new(1, 22, 1);
    /// The newest version known.
    pub const NEWEST: Version = Version::new(1, 31, 3);

    /// The version `major.minor.patch`, to compare with.
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Version { major, minor, patch }
    }

    /// The nearest known version at or below the one asked for (the oldest known below that), and a note where it is
    /// another one than asked for. Text that is no version is taken as the newest, with a note.
    pub fn resolve(text: Option<&str>) -> (Version, Option<String>) {
        let Some(text) = text else { return (Version::NEWEST, None) };
        let Some(asked) = Version::parse(text) else {
            return (
                Version::NEWEST,
                Some(format!("`{text}` is not a version of nginx: taken as {}", Version::NEWEST)),
            );
        };
        let known = if asked >= Version::NEWEST { Version::NEWEST } else { Version::DEBIAN_1_22_1 };
        let note = (asked != known).then(|| format!("nginx {asked} is not known: taken as {known}"));
        (known, note)
    }

    fn parse(text: &str) -> Option<Version> {
        let mut numbers = text.trim().split('.').map(|part| part.parse().ok());
        let version = Version::new(
            numbers.next()??,
            numbers.next().flatten().unwrap_or(0),
            numbers.next().flatten().unwrap_or(0),
        );
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_version_is_the_nearest_known_below() {
        assert_eq!(Version::resolve(Some("1.25.0")).0, Version::DEBIAN_1_22_1);
        assert!(Version::resolve(Some("1.25.0")).1.is_some());
        assert_eq!(Version::resolve(Some("1.31.3")), (Version::NEWEST, None));
        assert_eq!(Version::resolve(Some("1.99")).0, Version::NEWEST);
        assert_eq!(Version::resolve(None), (Version::NEWEST, None));
    }
}

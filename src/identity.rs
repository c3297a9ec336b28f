//! Who the workers are: passwd and group files read through a file system.
//!
//! Only the files are read, never NSS: a user that lives in LDAP is a user of whom only the name is known
//! ([`Identity::unknown`]), and permissions that depend on who that is become questions.

use std::path::Path;

use crate::fact::{Fact, Question, Subject};
use crate::fs::{self, Filesystem, Identity};

/// Largest passwd or group file that is read, in bytes.
const MOST: u64 = 16 << 20;

/// A line of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory, as `UserDir` and `~` need it.
    pub home: String,
}

/// A line of group(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// Login names of the users who have it besides their primary group.
    pub members: Vec<String>,
}

/// The accounts of a machine, as its files list them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    users: Vec<User>,
    groups: Vec<Group>,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`. A file that is missing or unknown has no lines.
    pub fn read(files: &dyn Filesystem) -> Self {
        let lines = |path: &str| match fs::real_path(files, Path::new(path)) {
            Fact::Known(Ok(at)) => files.read(&at, MOST).known().and_then(Result::ok).unwrap_or_default(),
            _ => fs::Bytes::default(),
        };
        Self::parse(&lines("/etc/passwd"), &lines("/etc/group"))
    }

    /// From the text of the two files. A line that is not of their form is skipped, as getpwnam(3) does.
    pub fn parse(passwd: &[u8], group: &[u8]) -> Self {
        let fields = |line: &[u8]| -> Vec<String> {
            line.split(|&byte| byte == b':').map(|field| String::from_utf8_lossy(field).into_owned()).collect()
        };
        let lines = |text: &[u8]| -> Vec<Vec<String>> { text.split(|&byte| byte == b'\n').map(fields).collect() };
        let user = |fields: Vec<String>| match fields.as_slice() {
            [name, _, uid, gid, _, home, ..] if !name.is_empty() => {
                Some(User { name: name.clone(), uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.clone() })
            }
            _ => None,
        };
        let group_of = |fields: Vec<String>| match fields.as_slice() {
            [name, _, gid, rest @ ..] if !name.is_empty() => {
                let members = rest.first().map(String::as_str).unwrap_or_default().split(',');
                let members = members.filter(|member| !member.is_empty()).map(str::to_owned).collect();
                Some(Group { name: name.clone(), gid: gid.parse().ok()?, members })
            }
            _ => None,
        };
        Accounts {
            users: lines(passwd).into_iter().filter_map(user).collect(),
            groups: lines(group).into_iter().filter_map(group_of).collect(),
        }
    }

    /// getpwnam(3).
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// getpwuid(3).
    pub fn user_by_id(&self, uid: u32) -> Option<&User> {
        self.users.iter().find(|user| user.uid == uid)
    }

    /// getgrnam(3).
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The first group with this number.
    pub fn group_by_id(&self, gid: u32) -> Option<&Group> {
        self.groups.iter().find(|group| group.gid == gid)
    }

    /// The groups of initgroups(3): `gid`, and every group that lists the user.
    fn groups_of(&self, name: &str, gid: u32) -> Vec<u32> {
        let mut groups = vec![gid];
        let listed = self.groups.iter().filter(|group| group.members.iter().any(|member| member == name));
        groups.extend(listed.map(|group| group.gid));
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn identity(&self, name: &str, uid: u32, gid: u32) -> Identity {
        Identity { uid, gid, groups: self.groups_of(name, gid), name: name.to_owned() }
    }

    /// A well-known account, where there are no account files at all: an image without them, or a tree nobody may look at.
    fn bare(&self, name: &str) -> Option<User> {
        if self.users.is_empty() && self.groups.is_empty() { well_known(name) } else { None }
    }

    /// nginx's `user NAME [GROUP]`: the group is GROUP, or the group that is *called* NAME; never the user's primary one.
    pub fn nginx(&self, name: &str, group: Option<&str>) -> Fact<Identity> {
        let user = self.user(name).cloned().or_else(|| self.bare(name));
        let Some(user) = user else { return unknown_user(name) };
        let group = group.unwrap_or(name);
        match self.group(group).map(|group| group.gid).or_else(|| self.bare(group).map(|group| group.gid)) {
            Some(gid) => Fact::Known(self.identity(name, user.uid, gid)),
            None => unknown_group(group),
        }
    }

    /// Apache's `User` and `Group`: names, or `#` and a number. Without `Group` the compiled default `#-1` would stop the
    /// server; the user's primary group stands in for it.
    pub fn apache(&self, user: &str, group: Option<&str>) -> Fact<Identity> {
        let (name, uid, primary) = match user.strip_prefix('#').map(str::parse::<u32>) {
            Some(Ok(uid)) => match self.user_by_id(uid) {
                Some(user) => (user.name.clone(), uid, Some(user.gid)),
                None => (user.to_owned(), uid, None),
            },
            Some(Err(_)) => return unknown_user(user),
            None => match self.user(user) {
                Some(found) => (user.to_owned(), found.uid, Some(found.gid)),
                None => return unknown_user(user),
            },
        };
        let gid = match group {
            Some(group) => match group.strip_prefix('#').map(str::parse::<u32>) {
                Some(number) => number.ok(),
                None => self.group(group).map(|group| group.gid),
            },
            None => primary,
        };
        match gid {
            Some(gid) => Fact::Known(self.identity(&name, uid, gid)),
            None => unknown_group(group.unwrap_or(user)),
        }
    }

    /// `--worker USER[:GROUP]`: names or plain numbers; without GROUP the user's primary group.
    pub fn worker(&self, option: &str) -> Fact<Identity> {
        let (user, group) = option.split_once(':').map_or((option, None), |(user, group)| (user, Some(group)));
        let found = match user.parse::<u32>() {
            Ok(uid) => self.user_by_id(uid).cloned().or_else(|| {
                let home = String::new();
                Some(User { name: user.to_owned(), uid, gid: uid, home })
            }),
            Err(_) => self.user(user).cloned(),
        };
        let Some(found) = found.or_else(|| well_known(user)) else { return unknown_user(user) };
        let gid = match group {
            None => Some(found.gid),
            Some(group) => group.parse().ok().or_else(|| self.group(group).map(|group| group.gid)),
        };
        match gid.or_else(|| group.and_then(well_known).map(|user| user.gid)) {
            Some(gid) => Fact::Known(self.identity(&found.name, found.uid, gid)),
            None => unknown_group(group.unwrap_or(user)),
        }
    }

    /// Who works where a configuration names nobody: `nobody` and `nogroup`, as Debian's nginx was compiled.
    pub fn nobody(&self) -> Identity {
        let uid = self.user("nobody").map_or(65534, |user| user.uid);
        let gid = self.group("nogroup").or_else(|| self.group("nobody")).map_or(65534, |group| group.gid);
        self.identity("nobody", uid, gid)
    }
}

/// The users whose numbers are the same on every Linux, for trees without account files.
fn well_known(name: &str) -> Option<User> {
    let (name, id) = match name {
        "root" => ("root", 0),
        "nobody" | "nogroup" => ("nobody", 65534),
        _ => return None,
    };
    Some(User { name: name.to_owned(), uid: id, gid: id, home: String::new() })
}

fn unknown_user(name: &str) -> Fact<Identity> {
    Fact::Unknown(Question::new(Subject::User(name.to_owned())))
}

fn unknown_group(name: &str) -> Fact<Identity> {
    Fact::Unknown(Question::new(Subject::Group(name.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::memory::MemoryFs;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        www-data:x:33:33:www:/var/www:/usr/sbin/nologin\ndeploy:x:1000:100::/home/deploy:\nbroken:x:no\n";
    const GROUP: &str =
        "root:x:0:\nwww-data:x:33:\nnogroup:x:65534:\nusers:x:100:\nsite:x:500:deploy,www-data\ndocker:x:999:deploy\n";

    fn accounts() -> Accounts {
        Accounts::read(&MemoryFs::new().file("/etc/passwd", PASSWD).file("/etc/group", GROUP))
    }

    fn ids(identity: Fact<Identity>) -> Result<(u32, u32, Vec<u32>), Subject> {
        match identity {
            Fact::Known(identity) => Ok((identity.uid, identity.gid, identity.groups)),
            Fact::Unknown(question) => Err(question.subject),
        }
    }

    #[test]
    fn nginx_takes_the_group_called_like_the_user() {
        let accounts = accounts();
        assert_eq!(ids(accounts.nginx("www-data", None)), Ok((33, 33, vec![33, 500])));
        assert_eq!(ids(accounts.nginx("deploy", Some("users"))), Ok((1000, 100, vec![100, 500, 999])));
        assert_eq!(ids(accounts.nginx("deploy", None)), Err(Subject::Group("deploy".into())));
        assert_eq!(ids(accounts.nginx("1000", None)), Err(Subject::User("1000".into())));
    }

    #[test]
    fn apache_takes_numbers_with_a_hash() {
        let accounts = accounts();
        assert_eq!(ids(accounts.apache("#33", Some("#7"))), Ok((33, 7, vec![7, 500])));
        assert_eq!(ids(accounts.apache("deploy", None)), Ok((1000, 100, vec![100, 500, 999])));
        assert_eq!(ids(accounts.apache("#4242", Some("users"))), Ok((4242, 100, vec![100])));
        assert_eq!(ids(accounts.apache("#-1", Some("#-1"))), Err(Subject::User("#-1".into())));
        assert_eq!(ids(accounts.apache("ldap-user", Some("users"))), Err(Subject::User("ldap-user".into())));
    }

    #[test]
    fn the_option_takes_names_and_numbers() {
        let accounts = accounts();
        assert_eq!(ids(accounts.worker("deploy")), Ok((1000, 100, vec![100, 500, 999])));
        assert_eq!(ids(accounts.worker("www-data:users")), Ok((33, 100, vec![100, 500])));
        assert_eq!(ids(accounts.worker("7:8")), Ok((7, 8, vec![8])));
        assert_eq!(ids(accounts.worker("broken")), Err(Subject::User("broken".into())));
        // An image without account files.
        assert_eq!(ids(Accounts::default().worker("nobody:nogroup")), Ok((65534, 65534, vec![65534])));
        assert_eq!(Accounts::default().nobody().uid, 65534);
    }
}

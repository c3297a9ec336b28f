//! `ngx_http_browser_module`: `$msie`, `$modern_browser` and `$ancient_browser`, from what the User-Agent says and what
//! the configuration takes for modern and ancient.

use memchr::memmem;

use super::super::request::{Cx, HttpRequest};
use super::super::variables::{Table, Value};
use crate::source::Origin;

/// The Internet Explorer that a User-Agent claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::nginx) enum Msie {
    /// None, or Opera in disguise.
    No,
    /// One that needs no special care.
    Yes,
    /// 4, 5, or 6 before its second service pack.
    Old,
}

impl Msie {
    /// `ngx_http_process_user_agent`.
    pub(in crate::nginx) fn of(r: &HttpRequest) -> Msie {
        let agent = r.header(b"User-Agent").unwrap_or_default();
        let Some(at) = memmem::find(agent, b"MSIE ").filter(|at| at + 7 < agent.len()) else { return Msie::No };
        if memmem::find(agent, b"Opera").is_some() {
            return Msie::No;
        }
        match agent[at + 5..] {
            [b'4' | b'5', b'.', ..] => Msie::Old,
            [b'6', b'.', ref rest @ ..] if memmem::find(rest, b"SV1").is_none() => Msie::Old,
            _ => Msie::Yes,
        }
    }
}

/// How a browser of `modern_browser` names itself and its version: what stands before the name at least, and the name.
struct Family {
    keyword: &'static [u8],
    skip: usize,
    name: &'static [u8],
    /// Bytes from the start of the name to the version.
    add: usize,
}

/// In the order in which they are looked for: Opera claims to be any of the others.
const FAMILIES: [Family; 5] = [
    Family { keyword: b"opera", skip: 0, name: b"Opera", add: "Opera ".len() },
    Family { keyword: b"msie", skip: "Mozilla/4.0 (compatible; ".len(), name: b"MSIE ", add: "MSIE ".len() },
    Family { keyword: b"gecko", skip: "Mozilla/5.0 (".len(), name: b"rv:", add: "rv:".len() },
    Family { keyword: b"safari", skip: "Mozilla/5.0 (".len(), name: b"Safari/", add: "Safari/".len() },
    Family {
        keyword: b"konqueror",
        skip: "Mozilla/5.0 (compatible; ".len(),
        name: b"Konqueror/",
        add: "Konqueror/".len(),
    },
];

/// The settings of a block.
#[derive(Clone, Debug, Default)]
pub struct Browsers {
    /// Indexes of families with the least version that is modern, in the order of the families.
    modern: Vec<(usize, u64)>,
    unlisted_are_modern: bool,
    ancient: Vec<Box<[u8]>>,
    netscape4: bool,
    modern_value: Option<Box<[u8]>>,
    ancient_value: Option<Box<[u8]>>,
}

impl Browsers {
    /// The directives that [`set`](Self::set) knows.
    pub const DIRECTIVES: &[&str] =
        &["modern_browser", "ancient_browser", "modern_browser_value", "ancient_browser_value"];

    /// Takes a directive.
    pub fn set(&mut self, name: &[u8], args: &[&[u8]], _: Origin, first_here: bool, _: &Table) {
        match (name, args) {
            (b"modern_browser", _) => {
                if first_here {
                    self.modern.clear();
                    self.unlisted_are_modern = false;
                }
                match *args {
                    [b"unlisted"] => self.unlisted_are_modern = true,
                    [name, version] => {
                        let named = |family: &Family| family.keyword.eq_ignore_ascii_case(name);
                        self.modern.extend(FAMILIES.iter().position(named).map(|at| (at, Version::read(version).0)));
                        self.modern.sort_by_key(|(family, _)| *family);
                    }
                    _ => {}
                }
            }
            (b"ancient_browser", _) => {
                if first_here {
                    self.ancient.clear();
                    self.netscape4 = false;
                }
                for &name in args {
                    match name {
                        b"netscape4" => self.netscape4 = true,
                        _ => self.ancient.push(name.into()),
                    }
                }
            }
            (b"modern_browser_value", [value]) => self.modern_value = Some((*value).into()),
            (b"ancient_browser_value", [value]) => self.ancient_value = Some((*value).into()),
            _ => {}
        }
    }

    /// `ngx_http_browser`.
    fn is_modern(&self, agent: Option<&[u8]>) -> bool {
        let Some(agent) = agent else { return self.unlisted_are_modern };
        for &(family, least) in &self.modern {
            let Family { skip, name, add, .. } = FAMILIES[family];
            let version = agent.get(skip..).and_then(|rest| {
                let at = memmem::find(rest, name)?;
                rest.get(at + add..).filter(|version| !version.is_empty())
            });
            if let Some(version) = version {
                return Version::read(version).reaches(least);
            }
        }
        if !self.modern.is_empty() && !self.unlisted_are_modern {
            return false;
        }
        let is_netscape4 = agent.len() > "Mozilla/4.72 ".len()
            && agent.strip_prefix(b"Mozilla/").is_some_and(|rest| matches!(rest.first(), Some(b'1'..=b'4')));
        let is_ancient =
            self.netscape4 && is_netscape4 || self.ancient.iter().any(|name| memmem::find(agent, name).is_some());
        !is_ancient && self.unlisted_are_modern
    }
}

/// A version as one number, two digits a part; and the largest that was passed while a part was still to come.
struct Version(u64, u64);

impl Version {
    fn read(text: &[u8]) -> Version {
        let (mut version, mut passed, mut part, mut scale) = (0u64, 0u64, 0u64, 1_000_000u64);
        for &byte in text {
            match byte {
                b'0'..=b'9' => part = part.saturating_mul(10).saturating_add(u64::from(byte - b'0')),
                b'.' => {
                    version = version.saturating_add(part.saturating_mul(scale));
                    passed = version;
                    part = 0;
                    scale /= 100;
                }
                _ => break,
            }
        }
        Version(version.saturating_add(part.saturating_mul(scale)), passed)
    }

    fn reaches(&self, least: u64) -> bool {
        self.1 > least || self.0 >= least
    }
}

/// `$msie`.
pub(in super::super) fn msie<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    Value::text(if Msie::of(r) == Msie::No { "" } else { "1" })
}

/// `$modern_browser`.
pub(in super::super) fn modern<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    value(r, true)
}

/// `$ancient_browser`.
pub(in super::super) fn ancient<'a>(r: &mut HttpRequest<'a>, _: &mut Cx<'a>) -> Value {
    value(r, false)
}

fn value(r: &HttpRequest, modern: bool) -> Value {
    let browsers = &r.conf.browsers;
    if browsers.is_modern(r.header(b"User-Agent")) != modern {
        return Value::text("");
    }
    let value = if modern { &browsers.modern_value } else { &browsers.ancient_value };
    value.as_deref().map_or(Value::text("1"), Value::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn browsers(directives: &[(&str, &[&str])]) -> Browsers {
        let mut browsers = Browsers::default();
        for (name, args) in directives {
            let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
            let span = crate::source::Span { file: crate::source::FileId(0), start: 0, end: 0 };
            let table = Table::new(crate::nginx::version::Version::NEWEST);
            browsers.set(name.as_bytes(), &args, Origin { span, via: None }, false, &table);
        }
        browsers
    }

    #[test]
    fn a_listed_browser_is_modern_from_its_version_on() {
        let browsers = browsers(&[("modern_browser", &["msie", "5.5"]), ("modern_browser", &["opera", "9"])]);
        let is_modern = |agent: &str| browsers.is_modern(Some(agent.as_bytes()));
        assert!(is_modern("Mozilla/4.0 (compatible; MSIE 6.0)"));
        assert!(is_modern("Mozilla/4.0 (compatible; MSIE 5.5; x)"));
        assert!(!is_modern("Mozilla/4.0 (compatible; MSIE 5.01)"));
        assert!(!is_modern("Mozilla/4.0 (compatible; MSIE 6.0; x) Opera 8.0"));
        assert!(!is_modern("curl/7"));
        assert!(!browsers.is_modern(None));
    }

    #[test]
    fn an_unlisted_browser_is_modern_where_the_list_says_so_and_it_is_not_ancient() {
        let browsers = browsers(&[("modern_browser", &["unlisted"]), ("ancient_browser", &["netscape4", "Lynx"])]);
        assert!(browsers.is_modern(None));
        assert!(browsers.is_modern(Some(b"curl/7")));
        assert!(!browsers.is_modern(Some(b"Lynx/2.8")));
        assert!(!browsers.is_modern(Some(b"Mozilla/4.76 [en] (X11)")));
    }
}

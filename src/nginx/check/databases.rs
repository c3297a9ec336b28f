//! Databases that nginx opens while it reads its configuration. One that can be seen and is none is a refusal; about one
//! that nobody can see, nothing is said.

use std::path::Path;

use crate::fact::Fact;
use crate::fs::Filesystem;
use crate::nginx::include::{Loaded, Placed};
use crate::nginx::mapping::{full_name, path_from};
use crate::nginx::tables::geoip2;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::source::Span;

/// The first database that keeps nginx from starting.
pub(in crate::nginx) fn databases(loaded: &Loaded, prefix: &[u8], fs: &dyn Filesystem) -> Option<Problem> {
    let http = loaded.main_directives().find(|placed| name(loaded, placed) == b"http")?;
    loaded.children(http).find_map(|placed| {
        let file = placed.args().next()?.value(&loaded.sources);
        let message = match name(loaded, &placed) {
            b"geoip2" => {
                let file = path_from(full_name(prefix, file));
                if geoip2::is_database(&read(&file, fs)?) {
                    return None;
                }
                format!("MMDB_open(\"{}\") failed", file.display())
            }
            b"geoip_country" => legacy(file, "GeoIP", &[1, 12], fs)?,
            b"geoip_city" => legacy(file, "GeoIP City", &[2, 6, 30, 31], fs)?,
            b"geoip_org" => legacy(file, "GeoIP", &[4, 5, 9, 11, 21, 22, 23, 24], fs)?,
            _ => return None,
        };
        let origin = placed.origin();
        let place = Span { start: placed.directive.reported_at(), ..origin.span };
        let line = loaded.sources.start(place).line;
        Some(Problem {
            severity: Severity::Refused,
            kind: ProblemKind::Value,
            message,
            origin: Some(origin),
            reported: Some((origin.span.file, line)),
            help: None,
        })
    })
}

fn name<'l>(loaded: &'l Loaded, placed: &Placed<'l>) -> &'l [u8] {
    placed.directive.name().value(&loaded.sources)
}

/// What is said about a file of the older format whose kind is none of these. A relative path starts where nginx was
/// started, which nobody knows.
fn legacy(file: &[u8], what: &str, kinds: &[u8], fs: &dyn Filesystem) -> Option<String> {
    let path = path_from(file.to_vec());
    if !path.is_absolute() {
        return None;
    }
    let kind = kind(&read(&path, fs)?);
    let file = path.display();
    match kind {
        None => Some(format!("GeoIP_open(\"{file}\") failed")),
        Some(kind) if !kinds.contains(&kind) => Some(format!("invalid {what} database \"{file}\" type:{kind}")),
        Some(_) => None,
    }
}

fn read(path: &Path, fs: &dyn Filesystem) -> Option<crate::fs::Bytes> {
    match fs.read(path, geoip2::LARGEST) {
        Fact::Known(Ok(bytes)) => Some(bytes),
        _ => None,
    }
}

/// The kind stands behind three bytes of all ones near the end (`_setup_segments`); without them it is that of countries.
/// `None`: the file is empty.
fn kind(bytes: &[u8]) -> Option<u8> {
    /// How far from the end the mark is looked for.
    const NEAR: usize = 20;
    if bytes.is_empty() {
        return None;
    }
    let mark = |back: &usize| bytes.len().checked_sub(3 + back).filter(|at| bytes[*at..].starts_with(&[255; 3]));
    let kind = (0..NEAR).find_map(|back| mark(&back)).and_then(|at| bytes.get(at + 3).copied()).unwrap_or(1);
    Some(if kind >= 106 { kind - 105 } else { kind })
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn the_kind_stands_behind_a_mark() {
        assert_eq!((kind(b""), kind(b"no database")), (None, Some(1)));
        assert_eq!((kind(b"abc\xff\xff\xff\x02abc"), kind(b"abc\xff\xff\xff\x6babc")), (Some(2), Some(2)));
        assert_eq!(kind(b"\xff\xff\xff\x02 the mark is too far from the end"), Some(1));
    }
}

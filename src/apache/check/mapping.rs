//! Arguments of the modules that map a URL to something: each module reads its own directives, and says what is wrong.

use super::Line;
use crate::apache::mime::MultiviewsMatch;
use crate::apache::model::Place;
use crate::apache::negotiation::ForcePriority;
use crate::apache::{alias, mime, negotiation, remoteip, rewrite, setenvif, vhost_alias};
use crate::fact::Fact;
use crate::fs;

/// What the owner of a directive says about its arguments; `None`: not one of these.
pub(super) fn check(line: &Line, name: &str) -> Option<Result<(), String>> {
    let words: Vec<&[u8]> = line.words().iter().map(|word| &**word).collect();
    let raw = line.node.args();
    Some(match name {
        "alias" | "aliasmatch" | "scriptalias" | "scriptaliasmatch" => {
            if let refused @ Err(_) = line.not_limited() {
                return Some(refused);
            }
            let path = line.place.path.then_some(&b"/"[..]);
            alias::parse_alias(line.row.name, &words, path, place(line), line.expressions()).map(drop)
        }
        "redirect" | "redirectmatch" | "redirecttemp" | "redirectpermanent" => {
            alias::parse_redirect(line.row.name, &words, line.place.path, line.expressions()).map(drop)
        }
        "rewriterule" => rewrite::parse_rule(raw).map(drop),
        "rewritecond" => rewrite::parse_condition(raw, line.expressions()).map(drop),
        "rewriteoptions" => rewrite::parse_options(&words).map(drop),
        "rewritemap" => rewrite_map(line, &words),
        "rewritebase" if !line.place.path => Err("RewriteBase: only valid in per-directory config files".into()),
        "rewritebase" => rewrite::parse_base(line.word(0)).map(drop),
        "setenvif" | "setenvifnocase" | "setenvifexpr" | "browsermatch" | "browsermatchnocase" => {
            setenvif::parse(line.row.name, raw, line.expressions()).map(drop)
        }
        // One call a word, each on top of those before it.
        "multiviewsmatch" if line.not_limited().is_err() => line.not_limited(),
        "multiviewsmatch" => words
            .iter()
            .try_fold(MultiviewsMatch::default(), |earlier, word| {
                mime::parse_multiviews_match(earlier, word, place(line))
            })
            .map(drop),
        "forcelanguagepriority" => words
            .iter()
            .try_fold(ForcePriority::default(), |earlier, word| negotiation::parse_force_priority(earlier, word))
            .map(drop),
        "remoteiptrustedproxy" | "remoteipinternalproxy" => {
            words.iter().try_for_each(|word| remoteip::parse_proxy(line.row.name, word))
        }
        "virtualdocumentroot" | "virtualdocumentrootip" | "virtualscriptalias" | "virtualscriptaliasip" => {
            vhost_alias::parse_format(line.word(0)).map(drop)
        }
        _ => return None,
    })
}

/// A `RewriteMap` whose file must be there when the server starts.
fn rewrite_map(line: &Line, words: &[&[u8]]) -> Result<(), String> {
    let map = rewrite::parse_map(words)?;
    let (Some(file), Some(files)) = (map.file(), line.fs) else { return Ok(()) };
    let path = line.known.server_root_relative(file);
    match fs::stat(files, &path) {
        Fact::Known(Err(_)) => Err(format!("RewriteMap: file for map {} not found:{}", line.lossy(0), path.display())),
        _ => Ok(()),
    }
}

/// The kind of place, as far as these modules tell places apart.
fn place(line: &Line) -> Place {
    let within = |names: &[&str]| line.place.within(names).is_some();
    if within(&["directory", "directorymatch"]) {
        Place::Directory
    } else if within(&["files", "filesmatch"]) {
        Place::Files
    } else if within(&["location", "locationmatch"]) {
        Place::Location
    } else if line.allowed.is_some() {
        Place::Htaccess
    } else if within(&["if", "elseif", "else"]) {
        Place::If
    } else {
        Place::Server
    }
}

//! `sticky` in an upstream (`ngx_http_upstream_sticky_module.c`): `cookie`, `route` and `learn`.

use super::{Block, Checker, Verdict, bad, show, value};
use crate::nginx::include::Placed;

/// Bytes of the smallest zone that `learn` takes: eight pages.
const SMALLEST_ZONE: i64 = 8 * 4096;

impl<'a> Checker<'a> {
    pub(super) fn sticky(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        match values {
            [b"cookie", name, parameters @ ..] => self.sticky_cookie(directive, name, parameters, block),
            [b"route", names @ ..] => {
                for name in names {
                    let Some(name) = name.strip_prefix(b"$") else {
                        return bad(format!("invalid variable name \"{}\"", show(name)));
                    };
                    self.variables(block.context).mention(name, Some(directive.origin()))?;
                }
                Ok(())
            }
            [b"learn", parameters @ ..] => self.sticky_learn(directive, parameters, block),
            [word, ..] => bad(format!("unknown parameter \"{}\"", show(word))),
            [] => Ok(()),
        }
    }

    fn sticky_cookie(
        &mut self,
        directive: Placed<'a>,
        name: &[u8],
        parameters: &[&'a [u8]],
        block: &Block<'a>,
    ) -> Verdict {
        if name.is_empty() {
            return no("empty cookie name");
        }
        let mut seen: Vec<&[u8]> = Vec::new();
        for parameter in parameters {
            let key = parameter.split_inclusive(|&byte| byte == b'=').next().unwrap_or_default();
            let text = &parameter[key.len()..];
            let is_known = match key {
                b"domain=" | b"path=" | b"expires=" | b"samesite=" => true,
                b"httponly" | b"secure" => text.is_empty(),
                _ => false,
            };
            if !is_known {
                return bad(format!("unknown parameter \"{}\"", show(parameter)));
            }
            let word = key.strip_suffix(b"=").unwrap_or(key);
            if seen.contains(&word) {
                return no(&format!("parameter \"{}\" is duplicate", show(word)));
            }
            seen.push(word);
            match word {
                b"domain" | b"path" if text.is_empty() => return no(&format!("no value for \"{}\"", show(word))),
                b"domain" => self.text(text, directive, block)?,
                b"expires" if text != b"max" && value::time(text, true).is_none() => {
                    return no("invalid \"expires\" parameter value");
                }
                b"samesite" => {
                    self.text(text, directive, block)?;
                    let is_value = [&b"strict"[..], b"lax", b"none"].iter().any(|word| text.eq_ignore_ascii_case(word));
                    if !is_value && !text.contains(&b'$') {
                        return no("invalid \"samesite\" parameter value");
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn sticky_learn(&mut self, directive: Placed<'a>, parameters: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let (mut create, mut lookup, mut zone, mut timeout) = (false, false, false, false);
        for parameter in parameters {
            if let Some(text) = parameter.strip_prefix(b"zone=") {
                if zone {
                    return no("duplicate zone");
                }
                zone = true;
                sticky_zone(text)?;
            } else if let Some(text) = parameter.strip_prefix(b"timeout=") {
                if timeout {
                    return no("duplicate timeout");
                }
                timeout = true;
                if value::time(text, false).is_none_or(|time| time == 0) {
                    return no("invalid timeout");
                }
            } else if let Some((key, name)) =
                [("create", &mut create), ("lookup", &mut lookup)].into_iter().find_map(|(key, given)| {
                    let name = parameter.strip_prefix(key.as_bytes())?.strip_prefix(b"=")?;
                    *given = true;
                    Some((key, name))
                })
            {
                let Some(name) = name.strip_prefix(b"$") else {
                    return no(&format!("missing variable in the \"{key}\" parameter"));
                };
                self.variables(block.context).mention(name, Some(directive.origin()))?;
            } else if *parameter != b"header" {
                return bad(format!("unknown parameter \"{}\"", show(parameter)));
            }
        }
        for (given, key) in [(lookup, "lookup"), (create, "create"), (zone, "zone")] {
            if !given {
                return no(&format!("\"{key}\" parameter is not specified"));
            }
        }
        Ok(())
    }
}

/// `NAME:SIZE`.
fn sticky_zone(text: &[u8]) -> Verdict {
    let Some(colon) = memchr::memchr(b':', text) else { return no("zone size is not specified") };
    if colon == 0 {
        return no("zone name is not specified");
    }
    match value::size(&text[colon + 1..]) {
        None => no("invalid zone size"),
        Some(size) if size < SMALLEST_ZONE => no("zone is too small"),
        Some(_) => Ok(()),
    }
}

fn no(why: &str) -> Verdict {
    bad(format!("\"sticky\" directive {why}"))
}

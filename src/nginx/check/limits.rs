//! Shared memory zones and who uses them: `limit_req`, `limit_conn`, caches, TLS sessions (`ngx_shared_memory_add`).

use super::{Block, Checker, Line, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Row;
use crate::nginx::include::Placed;
use crate::problem::{ProblemKind, Severity};
use crate::source::Origin;

/// nginx asks the system; it is 4096 bytes on every machine that these builds run on.
const PAGE: i64 = 4096;

/// A shared memory zone.
#[derive(Debug)]
struct Zone {
    name: Vec<u8>,
    size: i64,
    /// The module that it belongs to.
    tag: &'static str,
    /// Whether the directive that defines it was met.
    bound: bool,
    origin: Origin,
}

/// Every zone of the configuration; `http` and `stream` share one list.
#[derive(Debug, Default)]
pub(super) struct Zones(Vec<Zone>);

impl Zones {
    /// `ngx_shared_memory_add`; a size of 0 only mentions the zone. Answers whether the zone was bound already.
    fn add(&mut self, name: &[u8], size: i64, tag: &'static str, origin: Origin) -> Verdict<bool> {
        let shown = show(name);
        let Some(zone) = self.0.iter_mut().find(|zone| zone.name == name) else {
            self.0.push(Zone { name: name.to_vec(), size, tag, bound: size > 0, origin });
            return Ok(false);
        };
        if zone.tag != tag {
            return bad(format!("the shared memory zone \"{shown}\" is already declared for a different use"));
        }
        if zone.size == 0 {
            zone.size = size;
        }
        if size > 0 && size != zone.size {
            let known = zone.size;
            return bad(format!(
                "the size {size} of shared memory zone \"{shown}\" conflicts with already declared size {known}"
            ));
        }
        let bound = zone.bound;
        zone.bound |= size > 0;
        Ok(bound)
    }
}

impl<'a> Checker<'a> {
    /// Uses a zone that another directive defines.
    pub(super) fn use_zone(&mut self, name: &[u8], tag: &'static str, directive: Placed<'a>) -> Verdict {
        self.zones.add(name, 0, tag, directive.origin()).map(drop)
    }

    /// Defines a zone, or uses it again with the same size; answers whether it was defined before.
    pub(super) fn define_zone(
        &mut self,
        name: &[u8],
        size: i64,
        tag: &'static str,
        directive: Placed<'a>,
    ) -> Verdict<bool> {
        self.zones.add(name, size, tag, directive.origin())
    }

    pub(super) fn is_bound(&self, name: &[u8]) -> bool {
        self.zones.0.iter().any(|zone| zone.name == name && zone.bound)
    }

    /// `ngx_init_cycle` maps the zones once all is read; one without a size was only mentioned.
    pub(super) fn zones_without_size(&mut self) {
        let empty: Vec<(String, Origin)> = self
            .zones
            .0
            .iter()
            .filter(|zone| zone.size == 0)
            .map(|zone| (show(&zone.name).into_owned(), zone.origin))
            .collect();
        for (name, origin) in empty {
            let refused = refusal(format!("zero size shared memory zone \"{name}\""));
            self.push(
                Severity::Refused,
                Some(origin),
                Refusal { kind: ProblemKind::Reference, named: Named::Nowhere, ..refused },
            );
        }
    }

    /// Directives that define or use zones; `false` for any other.
    pub(super) fn limit_setter(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict<bool> {
        let Line { row, directive, values } = line;
        match row.name {
            "limit_req_zone" => self.limit_zone(row, "ngx_http_limit_req_module", directive, values, block)?,
            "limit_conn_zone" => self.limit_zone(row, row.module, directive, values, block)?,
            "limit_req" => self.limit_req(directive, values, block)?,
            "limit_conn" => self.limit_conn(row, directive, values, block)?,
            "proxy_cache_path" | "fastcgi_cache_path" | "uwsgi_cache_path" | "scgi_cache_path" => {
                self.cache_path(row, directive, values)?;
            }
            "ssl_session_cache" => self.session_cache(row, directive, values)?,
            "ssl_ocsp_cache" => {
                block.once("ssl_ocsp_cache")?;
                self.ocsp_cache(directive, values.first().copied().unwrap_or_default())?;
            }
            "zone" => self.upstream_zone(row, directive, values)?,
            name if name.ends_with("_cache_valid") => cache_valid(values)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn limit_zone(
        &mut self,
        row: &'static Row,
        tag: &'static str,
        directive: Placed<'a>,
        values: &[&'a [u8]],
        block: &Block<'a>,
    ) -> Verdict {
        let [key, words @ ..] = values else { return Ok(()) };
        self.text(key, directive, block)?;
        let (mut name, mut size) = (&b""[..], 0);
        for word in words {
            if let Some(zone) = word.strip_prefix(b"zone=") {
                (name, size) = sized(zone).ok_or_else(|| refusal(format!("invalid zone size \"{}\"", show(word))))?;
                if size < 8 * PAGE {
                    return bad(format!("zone \"{}\" is too small", show(word)));
                }
            } else if let (Some(rate), "limit_req_zone") = (word.strip_prefix(b"rate="), row.name) {
                let digits = rate.strip_suffix(b"r/s").or_else(|| rate.strip_suffix(b"r/m")).unwrap_or(rate);
                if value::number(digits).is_none_or(|rate| rate <= 0) {
                    return bad(format!("invalid rate \"{}\"", show(word)));
                }
            } else {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        if name.is_empty() {
            return bad(format!("\"{}\" must have \"zone\" parameter", row.name));
        }
        match self.define_zone(name, size, tag, directive)? {
            true => bad(format!("{} \"{}\" is already bound to key \"{}\"", row.name, show(name), show(key))),
            false => Ok(()),
        }
    }

    fn limit_req(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        let mut zone = None;
        for word in values {
            let positive = |prefix: &[u8]| {
                word.strip_prefix(prefix).map(|digits| value::number(digits).is_some_and(|number| number > 0))
            };
            if let Some(name) = word.strip_prefix(b"zone=") {
                self.use_zone(name, "ngx_http_limit_req_module", directive)?;
                zone = Some(name);
            } else if positive(b"burst=") == Some(false) {
                return bad(format!("invalid burst value \"{}\"", show(word)));
            } else if positive(b"delay=") == Some(false) {
                return bad(format!("invalid delay value \"{}\"", show(word)));
            } else if *word != b"nodelay" && positive(b"burst=").or(positive(b"delay=")).is_none() {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        let Some(zone) = zone else { return bad("\"limit_req\" must have \"zone\" parameter") };
        once_per_zone("limit_req", zone, block)
    }

    fn limit_conn(
        &mut self,
        row: &'static Row,
        directive: Placed<'a>,
        values: &[&[u8]],
        block: &mut Block<'a>,
    ) -> Verdict {
        let [zone, count] = values else { return Ok(()) };
        self.use_zone(zone, row.module, directive)?;
        once_per_zone("limit_conn", zone, block)?;
        match value::number(count) {
            None | Some(0) => bad(format!("invalid number of connections \"{}\"", show(count))),
            Some(65_536..) => bad("connection limit must be less 65536"),
            Some(_) => Ok(()),
        }
    }

    fn upstream_zone(&mut self, row: &'static Row, directive: Placed<'a>, values: &[&[u8]]) -> Verdict {
        let [name, rest @ ..] = values else { return Ok(()) };
        if name.is_empty() {
            return bad("invalid zone name \"\"");
        }
        let size = match rest {
            [size] => value::size(size).ok_or_else(|| refusal(format!("invalid zone size \"{}\"", show(size))))?,
            _ => 0,
        };
        if !rest.is_empty() && size < 8 * PAGE {
            return bad(format!("zone \"{}\" is too small", show(name)));
        }
        self.define_zone(name, size, row.module, directive).map(drop)
    }

    fn session_cache(&mut self, row: &'static Row, directive: Placed<'a>, values: &[&[u8]]) -> Verdict {
        for word in values {
            let invalid = || refusal(format!("invalid session cache \"{}\"", show(word)));
            if matches!(*word, b"off" | b"none" | b"builtin") {
                continue;
            }
            if let Some(size) = word.strip_prefix(b"builtin:").filter(|size| !size.is_empty()) {
                value::number(size).ok_or_else(invalid)?;
                continue;
            }
            let (name, size) = word
                .strip_prefix(b"shared:")
                .and_then(sized)
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(invalid)?;
            if size < 8 * PAGE {
                return bad(format!("session cache \"{}\" is too small", show(word)));
            }
            self.define_zone(name, size, row.module, directive)?;
        }
        Ok(())
    }

    fn ocsp_cache(&mut self, directive: Placed<'a>, word: &[u8]) -> Verdict {
        if word == b"off" {
            return Ok(());
        }
        let zone = word.strip_prefix(b"shared:").and_then(sized).filter(|(name, _)| !name.is_empty());
        match zone {
            None => bad(format!("invalid OCSP cache \"{}\"", show(word))),
            Some((_, ..32_768)) => bad(format!("OCSP cache \"{}\" is too small", show(word))),
            // Another use of the module than its sessions: the same zone cannot serve both.
            Some((name, size)) => self.define_zone(name, size, "ssl_ocsp_cache", directive).map(drop),
        }
    }

    fn cache_path(&mut self, row: &'static Row, directive: Placed<'a>, values: &[&[u8]]) -> Verdict {
        let (mut name, mut size) = (&b""[..], 0);
        for word in values.iter().skip(1) {
            let invalid = |what: &str| bad(format!("invalid {what} \"{}\"", show(word)));
            let Some(equals) = word.iter().position(|&byte| byte == b'=') else { return invalid("parameter") };
            let (key, text) = (&word[..equals], &word[equals + 1..]);
            match key {
                b"levels" => {
                    if !levels(text) {
                        return bad(format!("invalid \"levels\" \"{}\"", show(word)));
                    }
                }
                b"use_temp_path" => {
                    if !matches!(text, b"on" | b"off") {
                        return bad(format!(
                            "invalid use_temp_path value \"{}\", it must be \"on\" or \"off\"",
                            show(word)
                        ));
                    }
                }
                b"keys_zone" => {
                    (name, size) =
                        sized(text).ok_or_else(|| refusal(format!("invalid keys zone size \"{}\"", show(word))))?;
                    if size < 2 * PAGE {
                        return bad(format!("keys zone \"{}\" is too small", show(word)));
                    }
                }
                b"inactive" if value::time(text, true).is_none() => return invalid("inactive value"),
                b"max_size" if value::offset(text).is_none() => return invalid("max_size value"),
                b"min_free" if value::offset(text).is_none() => return invalid("min_free value"),
                b"loader_files" if value::number(text).is_none() => return invalid("loader_files value"),
                b"loader_sleep" if value::time(text, false).is_none() => return invalid("loader_sleep value"),
                b"loader_threshold" if value::time(text, false).is_none() => return invalid("loader_threshold value"),
                b"manager_files" if value::number(text).is_none() => return invalid("manager_files value"),
                b"manager_sleep" if value::time(text, false).is_none() => return invalid("manager_sleep value"),
                b"manager_threshold" if value::time(text, false).is_none() => {
                    return invalid("manager_threshold value");
                }
                b"inactive" | b"max_size" | b"min_free" | b"loader_files" | b"loader_sleep" | b"loader_threshold"
                | b"manager_files" | b"manager_sleep" | b"manager_threshold" => {}
                _ => return invalid("parameter"),
            }
        }
        if name.is_empty() || size == 0 {
            return bad(format!("\"{}\" must have \"keys_zone\" parameter", row.name));
        }
        match self.define_zone(name, size, row.module, directive)? {
            true => bad(format!("duplicate zone \"{}\"", show(name))),
            false => Ok(()),
        }
    }
}

/// `NAME:SIZE`.
fn sized(text: &[u8]) -> Option<(&[u8], i64)> {
    let colon = text.iter().position(|&byte| byte == b':')?;
    Some((&text[..colon], value::size(&text[colon + 1..])?))
}

/// Up to three levels of one or two digits: `1:2`.
fn levels(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|&byte| byte == b':').collect();
    text.is_empty() || (parts.len() <= 3 && parts.iter().all(|part| matches!(part, [b'1' | b'2'])))
}

fn once_per_zone(name: &'static str, zone: &[u8], block: &mut Block) -> Verdict {
    let used = (name, zone.to_vec());
    if block.facts.zones.contains(&used) {
        return bad(format!("\"{name}\" directive is duplicate"));
    }
    block.facts.zones.push(used);
    Ok(())
}

fn cache_valid(values: &[&[u8]]) -> Verdict {
    let [codes @ .., time] = values else { return Ok(()) };
    if value::time(time, true).is_none() {
        return bad(format!("invalid time value \"{}\"", show(time)));
    }
    for code in codes {
        let sound = *code == b"any" || value::number(code).is_some_and(|code| (100..=599).contains(&code));
        if !sound {
            return bad(format!("invalid status \"{}\"", show(code)));
        }
    }
    Ok(())
}

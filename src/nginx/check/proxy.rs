//! Handing a request over: `NAME_pass` and what shapes it.

use super::scope::{Match, Redirects};
use super::upstream::{is_bindable, url};
use super::{Block, Checker, Line, Verdict, bad, refusal, show};
use crate::nginx::directives::Row;
use crate::nginx::include::Placed;

impl<'a> Checker<'a> {
    /// Directives of the modules that hand over; `false` for any other.
    pub(super) fn proxy_setter(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict<bool> {
        let Line { row, directive, values } = line;
        let first = values.first().copied().unwrap_or_default();
        match row.name {
            "proxy_pass" => self.proxy_pass(directive, first, block)?,
            "fastcgi_pass" | "scgi_pass" | "memcached_pass" | "uwsgi_pass" | "grpc_pass" => {
                self.pass(row.name, directive, first, block)?
            }
            "proxy_redirect" => self.proxy_redirect(directive, values, block)?,
            "proxy_cookie_domain" | "proxy_cookie_path" | "proxy_cookie_flags" => {
                self.cookies(row.name, directive, values, block)?
            }
            "fastcgi_split_path_info" => {
                let pattern = self.plain_regex(first, false)?;
                if pattern.group_count() != 2 {
                    return bad(format!("pattern \"{}\" must have 2 captures", show(first)));
                }
            }
            "fastcgi_param" | "uwsgi_param" | "scgi_param" => {
                if let [_, _, word] = values
                    && *word != b"if_not_empty"
                {
                    return bad(format!("invalid parameter \"{}\"", show(word)));
                }
            }
            "proxy_store" | "fastcgi_store" | "uwsgi_store" | "scgi_store" => {
                self.store(row, directive, first, block)?
            }
            "proxy_cache" | "fastcgi_cache" | "uwsgi_cache" | "scgi_cache" => {
                self.cache(row, directive, first, block)?
            }
            "proxy_cache_key" | "fastcgi_cache_key" | "uwsgi_cache_key" | "scgi_cache_key" => {
                block.once(row.name)?;
                self.text(first, directive, block)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn proxy_pass(&mut self, directive: Placed<'a>, target: &'a [u8], block: &mut Block<'a>) -> Verdict {
        block.once("proxy_pass")?;
        block.facts.proxy_pass = Some(target.contains(&b'$'));
        if target.contains(&b'$') {
            return self.text(target, directive, block);
        }
        let (rest, port) = if target.len() >= 7 && target[..7].eq_ignore_ascii_case(b"http://") {
            (&target[7..], 80)
        } else if target.len() >= 8 && target[..8].eq_ignore_ascii_case(b"https://") {
            (&target[8..], 443)
        } else {
            return bad("invalid URL prefix");
        };
        let parsed = url(rest, port, true).map_err(|why| refusal(format!("{why} in upstream \"{}\"", show(rest))))?;
        let at = self.at;
        self.upstreams(block.context).mention(&parsed, at, directive.origin())?;
        let place = &block.location;
        if parsed.has_uri && (place.anonymous || matches!(place.kind, Match::Named | Match::Regex)) {
            return bad(
                "\"proxy_pass\" cannot have URI part in location given by regular expression, or inside named location, \
                 or inside \"if\" statement, or inside \"limit_except\" block",
            );
        }
        Ok(())
    }

    fn pass(&mut self, name: &'static str, directive: Placed<'a>, target: &'a [u8], block: &mut Block<'a>) -> Verdict {
        block.once(name)?;
        if name != "memcached_pass" && target.contains(&b'$') {
            return self.text(target, directive, block);
        }
        let scheme =
            |scheme: &[u8]| target.len() >= scheme.len() && target[..scheme.len()].eq_ignore_ascii_case(scheme);
        let prefixes: &[&[u8]] = match name {
            "grpc_pass" => &[b"grpc://", b"grpcs://"],
            "uwsgi_pass" => &[b"uwsgi://", b"suwsgi://"],
            _ => &[],
        };
        let rest = prefixes.iter().find(|prefix| scheme(prefix)).map_or(target, |prefix| &target[prefix.len()..]);
        let parsed = url(rest, 0, false).map_err(|why| refusal(format!("{why} in upstream \"{}\"", show(rest))))?;
        let at = self.at;
        self.upstreams(block.context).mention(&parsed, at, directive.origin())
    }

    fn proxy_redirect(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        if block.facts.redirects == Redirects::Off {
            return bad("\"proxy_redirect\" directive is duplicate");
        }
        match values {
            [b"off"] if block.facts.redirects == Redirects::Some => bad("\"proxy_redirect\" directive is duplicate"),
            [b"off"] => {
                block.facts.redirects = Redirects::Off;
                Ok(())
            }
            [b"default"] => {
                block.facts.redirects = Redirects::Some;
                match block.facts.proxy_pass {
                    Some(true) => {
                        bad("\"proxy_redirect default\" cannot be used with \"proxy_pass\" directive with variables")
                    }
                    None => bad("\"proxy_redirect default\" should be placed after the \"proxy_pass\" directive"),
                    Some(false) => Ok(()),
                }
            }
            [word] => bad(format!("invalid parameter \"{}\"", show(word))),
            [pattern, replacement] => {
                block.facts.redirects = Redirects::Some;
                match pattern {
                    [b'~', b'*', source @ ..] => drop(self.regex(source, true, directive, block.context)?),
                    [b'~', source @ ..] => drop(self.regex(source, false, directive, block.context)?),
                    text => self.text(text, directive, block)?,
                }
                self.text(replacement, directive, block)
            }
            _ => Ok(()),
        }
    }

    fn cookies(
        &mut self,
        name: &'static str,
        directive: Placed<'a>,
        values: &[&[u8]],
        block: &mut Block<'a>,
    ) -> Verdict {
        let duplicate = || bad(format!("\"{name}\" directive is duplicate"));
        let key = |on: bool| (name, if on { vec![1] } else { vec![0] });
        if block.facts.zones.contains(&key(false)) {
            return duplicate();
        }
        if let [word] = values {
            if *word != b"off" {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
            if block.facts.zones.contains(&key(true)) {
                return duplicate();
            }
            block.facts.zones.push(key(false));
            return Ok(());
        }
        block.facts.zones.push(key(true));
        let [pattern, rest @ ..] = values else { return Ok(()) };
        match pattern {
            [b'~', b'*', source @ ..] if name == "proxy_cookie_path" => {
                drop(self.regex(source, true, directive, block.context)?)
            }
            [b'~', source @ ..] => drop(self.regex(source, name != "proxy_cookie_path", directive, block.context)?),
            text => self.text(text, directive, block)?,
        }
        for text in rest {
            self.text(text, directive, block)?;
        }
        Ok(())
    }

    fn store(&mut self, row: &'static Row, directive: Placed<'a>, path: &[u8], block: &mut Block<'a>) -> Verdict {
        block.once(row.name)?;
        let cache = row.name.replace("_store", "_cache");
        match path {
            b"off" => Ok(()),
            b"" => bad("empty path"),
            _ if block.facts.zones.iter().any(|(name, _)| *name == cache) => {
                bad(format!("\"{}\" directive is incompatible with \"{cache}\"", row.name))
            }
            _ => {
                block.facts.zones.push((row.name, Vec::new()));
                if path == b"on" { Ok(()) } else { self.text(path, directive, block) }
            }
        }
    }

    fn cache(&mut self, row: &'static Row, directive: Placed<'a>, zone: &[u8], block: &mut Block<'a>) -> Verdict {
        block.once(row.name)?;
        if zone == b"off" {
            return Ok(());
        }
        let store = row.name.replace("_cache", "_store");
        if block.facts.zones.iter().any(|(name, _)| *name == store) {
            return bad(format!("\"{}\" directive is incompatible with \"{store}\"", row.name));
        }
        block.facts.zones.push((row.name, Vec::new()));
        self.text(zone, directive, block)?;
        if zone.contains(&b'$') {
            return Ok(());
        }
        self.use_zone(zone, row.module, directive)
    }

    /// `ngx_http_upstream_bind_set_slot`.
    pub(super) fn bind(&mut self, values: &[&[u8]], directive: Placed<'a>, block: &mut Block<'a>) -> Verdict {
        let [address, rest @ ..] = values else { return Ok(()) };
        if *address == b"off" && rest.is_empty() {
            return Ok(());
        }
        self.text(address, directive, block)?;
        if !address.contains(&b'$') && !is_bindable(address) {
            return bad(format!("invalid address \"{}\"", show(address)));
        }
        match rest {
            [word] if *word != b"transparent" => bad(format!("invalid parameter \"{}\"", show(word))),
            _ => Ok(()),
        }
    }
}

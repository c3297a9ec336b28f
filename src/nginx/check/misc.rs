//! Small setters of small modules: browsers, `userid`, caches of certificates, `least_time`.

use super::upstream::url;
use super::{Block, Checker, Line, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Kind;

impl<'a> Checker<'a> {
    /// `false` for a directive that is not read here.
    pub(super) fn misc_setter(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict<bool> {
        let Line { row, directive, values } = line;
        let first = values.first().copied().unwrap_or_default();
        match row.name {
            "modern_browser" => modern_browser(values)?,
            "modern_browser_value" | "ancient_browser_value" | "geoip_country" | "geoip_city" | "geoip_org" => {
                block.once(row.name)?
            }
            "userid_expires" => {
                block.once(row.name)?;
                if !matches!(first, b"max" | b"off") && value::time(first, true).is_none() {
                    return bad("\"userid_expires\" directive invalid value");
                }
            }
            "userid_mark" => {
                block.once(row.name)?;
                if first != b"off" && !matches!(first, [byte] if byte.is_ascii_alphanumeric() || *byte == b'=') {
                    return bad("\"userid_mark\" directive value must be \"off\" or a single letter, digit or \"=\"");
                }
            }
            name if name.ends_with("ssl_certificate_cache") => {
                block.once(row.name)?;
                certificate_cache(row.name, values)?;
            }
            "ssl_password_file" | "proxy_ssl_password_file" | "grpc_ssl_password_file" | "uwsgi_ssl_password_file" => {
                block.once(row.name)?;
            }
            "least_time" => {
                self.balance(row.name, directive, block);
                let known: &[&[u8]] = if row.kind == Kind::Stream {
                    &[b"connect", b"first_byte", b"last_byte"]
                } else {
                    &[b"header", b"last_byte"]
                };
                if let Some(word) = values.get(1).filter(|word| **word != b"inflight") {
                    return bad(format!("invalid parameter \"{}\"", show(word)));
                }
                block.once(row.name)?;
                if !known.iter().any(|word| word.eq_ignore_ascii_case(first)) {
                    return bad(format!("invalid value \"{}\"", show(first)));
                }
            }
            "sticky" => {
                block.once(row.name)?;
                self.sticky(directive, values, block)?;
            }
            "image_filter" => self.image_filter(directive, values, block)?,
            "image_filter_jpeg_quality" | "image_filter_webp_quality" => self.image_quality(directive, first, block)?,
            "image_filter_sharpen" => self.text(first, directive, block)?,
            "tunnel_pass" => {
                block.once(row.name)?;
                if first.contains(&b'$') {
                    self.text(first, directive, block)?;
                } else if !first.is_empty() {
                    let parsed = url(first, 0, false)
                        .map_err(|why| refusal(format!("{why} in upstream \"{}\"", show(first))))?;
                    let at = self.at;
                    self.upstreams(block.context).mention(&parsed, at, directive.origin())?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn modern_browser(values: &[&[u8]]) -> Verdict {
    const BROWSERS: [&[u8]; 5] = [b"opera", b"msie", b"gecko", b"safari", b"konqueror"];
    match values {
        [b"unlisted"] => Ok(()),
        // nginx refuses it without a word.
        [word] => Err(Refusal {
            named: Named::Nowhere,
            ..refusal(format!("\"modern_browser {}\" has no version", show(word)))
        }),
        [name, _] if !BROWSERS.iter().any(|known| known.eq_ignore_ascii_case(name)) => {
            bad(format!("unknown browser name \"{}\"", show(name)))
        }
        [_, version] if version.iter().any(|byte| !byte.is_ascii_digit() && *byte != b'.') => {
            bad(format!("invalid browser version \"{}\"", show(version)))
        }
        _ => Ok(()),
    }
}

fn certificate_cache(name: &str, values: &[&[u8]]) -> Verdict {
    let (mut max, mut off) = (false, false);
    for word in values {
        let time = |prefix: &[u8]| word.strip_prefix(prefix).map(|time| value::time(time, true).is_some());
        let sound = if let Some(number) = word.strip_prefix(b"max=") {
            max = true;
            value::number(number).is_some_and(|number| number > 0)
        } else if let Some(sound) = time(b"inactive=").or_else(|| time(b"valid=")) {
            sound
        } else {
            off |= *word == b"off";
            *word == b"off"
        };
        if !sound {
            return bad(format!("invalid parameter \"{}\"", show(word)));
        }
    }
    match off || max {
        true => Ok(()),
        false => bad(format!("\"{name}\" must have the \"max\" parameter")),
    }
}

//! nginx's common setters (`ngx_conf_set_*_slot`): one reading for some five hundred directives.

use super::{Block, Checker, Line, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Setter;
use crate::nginx::include::Placed;

impl<'a> Checker<'a> {
    /// Reads the arguments of a directive whose setter is one of nginx's own common ones.
    pub(super) fn common(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, values } = line;
        let accumulates = matches!(
            row.setter,
            Setter::Bitmask(_)
                | Setter::List
                | Setter::Pairs
                | Setter::Types
                | Setter::Obsolete
                | Setter::Own
                | Setter::Predicate
        );
        if !accumulates {
            block.once(row.name)?;
        }
        let first = values.first().copied().unwrap_or_default();
        let invalid = || refusal(format!("\"{}\" directive invalid value", row.name));
        match row.setter {
            Setter::Flag => flag(row.name, first).map(|_| ())?,
            Setter::Size => self.size(row.name, value::size(first).ok_or_else(invalid)?, directive)?,
            Setter::Offset => drop(value::offset(first).ok_or_else(invalid)?),
            Setter::Milliseconds => drop(value::time(first, false).ok_or_else(invalid)?),
            Setter::Seconds => drop(value::time(first, true).ok_or_else(invalid)?),
            Setter::Number { bounds } => number(row.name, first, bounds)?,
            Setter::Enum(words) => {
                if !words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(first)) {
                    let help = format!("one of {}", words.join(", "));
                    return Err(super::Refusal {
                        help: Some(help),
                        ..refusal(format!("invalid value \"{}\"", show(first)))
                    });
                }
            }
            Setter::Bitmask(words) => self.bitmask(row.name, words, directive, values, block)?,
            Setter::Buffers => {
                let sound = value::number(first).is_some_and(|count| count > 0)
                    && values.get(1).is_some_and(|text| value::size(text).is_some_and(|size| size > 0));
                if !sound {
                    return Err(invalid());
                }
            }
            Setter::Complex => self.text(first, directive, block)?,
            Setter::ComplexSize => {
                self.text(first, directive, block)?;
                if !first.contains(&b'$') && value::size(first).is_none() {
                    return Err(invalid());
                }
            }
            Setter::Predicate => {
                for text in values {
                    self.text(text, directive, block)?;
                }
            }
            Setter::Path => path(row.name, values)?,
            Setter::Access => access(values)?,
            Setter::Bind => self.bind(values, directive, block)?,
            Setter::Obsolete => self.warn(directive, format!("the \"{}\" directive is obsolete, ignored", row.name)),
            Setter::String | Setter::List | Setter::Pairs | Setter::Types | Setter::Own => {}
        }
        self.after(line, block)
    }

    /// What some directives ask of a size (`ngx_conf_post_t`).
    fn size(&mut self, name: &'static str, size: i64, directive: Placed<'a>) -> Verdict {
        /// `NGX_MIN_POOL_SIZE` on a 64-bit machine.
        const MIN_POOL: i64 = 112;
        let power = |least: i64, most: i64| (least..=most).contains(&size) && size & (size - 1) == 0;
        match name {
            "connection_pool_size" | "request_pool_size" | "http2_pool_size" if size < MIN_POOL => {
                bad(format!("the pool size must be no less than {MIN_POOL}"))
            }
            "connection_pool_size" | "request_pool_size" | "http2_pool_size" if size % 16 != 0 => {
                bad("the pool size must be a multiple of 16")
            }
            "gzip_window" if !power(512, 32 << 10) => {
                bad("\"gzip_window\" directive must be 512, 1k, 2k, 4k, 8k, 16k, or 32k")
            }
            "gzip_hash" if !power(512, 128 << 10) => {
                bad("\"gzip_hash\" directive must be 512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k")
            }
            "http2_recv_buffer_size" if size <= 16 => bad("\"http2_recv_buffer_size\" directive value is too small"),
            "http2_body_preread_size" if size > i64::from(i32::MAX) => {
                bad(format!("the maximum body preread buffer size is {}", i32::MAX))
            }
            "http2_chunk_size" if size == 0 => bad("the http2 chunk size cannot be zero"),
            _ => {
                if name.ends_with("send_lowat") {
                    self.warn(directive, format!("\"{name}\" is not supported, ignored"));
                }
                Ok(())
            }
        }
    }

    fn bitmask(
        &mut self,
        name: &'static str,
        words: &'static [&'static str],
        directive: Placed<'a>,
        values: &[&'a [u8]],
        block: &mut Block<'a>,
    ) -> Verdict {
        for text in values {
            let Some(bit) = words.iter().position(|word| word.as_bytes().eq_ignore_ascii_case(text)) else {
                let help = format!("any of {}", words.join(", "));
                return Err(super::Refusal {
                    help: Some(help),
                    ..refusal(format!("invalid value \"{}\"", show(text)))
                });
            };
            if block.bits.contains(&(name, bit)) {
                self.warn(directive, format!("duplicate value \"{}\"", show(text)));
            } else {
                block.bits.push((name, bit));
            }
        }
        Ok(())
    }
}

/// `on` or `off`, in any case.
pub(super) fn flag(name: &str, text: &[u8]) -> Verdict<bool> {
    if text.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if text.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        bad(format!("invalid value \"{}\" in \"{name}\" directive, it must be \"on\" or \"off\"", show(text)))
    }
}

fn number(name: &str, text: &[u8], bounds: Option<(u32, u32)>) -> Verdict {
    let Some(number) = value::number(text) else { return bad(format!("\"{name}\" directive invalid number")) };
    if name == "http2_streams_index_size" && (number == 0 || number & (number - 1) != 0) {
        return bad("\"http2_streams_index_size\" directive must be a power of two");
    }
    match bounds {
        Some((low, high)) if number < i64::from(low) || number > i64::from(high) => {
            bad(format!("value must be between {low} and {high}"))
        }
        _ => Ok(()),
    }
}

/// `ngx_conf_set_path_slot`: a directory, and levels whose names together are not too long.
fn path(name: &str, values: &[&[u8]]) -> Verdict {
    let levels = values.get(1..).unwrap_or_default();
    let mut length = 0;
    for level in levels {
        match value::number(level) {
            Some(level) if level > 0 => length += level.saturating_add(1),
            _ => return bad(format!("\"{name}\" directive invalid value")),
        }
    }
    if length > 10 + levels.len() as i64 { bad(format!("\"{name}\" directive invalid value")) } else { Ok(()) }
}

/// `ngx_conf_set_access_slot`: `user:rw`, `group:r`, `all:rw`.
fn access(values: &[&[u8]]) -> Verdict {
    for text in values {
        let rights = [&b"user:"[..], b"group:", b"all:"].into_iter().find_map(|who| text.strip_prefix(who));
        if !matches!(rights, Some(b"rw" | b"r")) {
            return bad(format!("invalid value \"{}\"", show(text)));
        }
    }
    Ok(())
}

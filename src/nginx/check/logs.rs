//! `log_format`, `access_log`, `error_log`.

use super::upstream::url;
use super::{Block, Checker, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::problem::ProblemKind;

/// What `ngx_http_log_module` writes itself; no variables, although written like them.
const LOG_NAMES: [&[u8]; 9] = [
    b"pipe",
    b"time_local",
    b"time_iso8601",
    b"msec",
    b"request_time",
    b"status",
    b"bytes_sent",
    b"body_bytes_sent",
    b"request_length",
];

impl<'a> Checker<'a> {
    pub(super) fn log_format(&mut self, directive: Placed<'a>, values: &[&[u8]], context: Contexts) -> Verdict {
        let [name, texts @ ..] = values else { return Ok(()) };
        let formats = self.formats(context);
        if formats.iter().any(|known| known == name) {
            return bad(format!("duplicate \"log_format\" name \"{}\"", show(name)));
        }
        formats.push(name.to_vec());
        let texts = match texts {
            [[b'e', b's', b'c', b'a', b'p', b'e', b'=', escape @ ..], rest @ ..] => {
                if !matches!(escape, b"json" | b"none" | b"default") {
                    return bad(format!("unknown log format escaping \"{}\"", show(escape)));
                }
                rest
            }
            texts => texts,
        };
        for text in texts {
            self.log_text(text, directive, context)?;
        }
        Ok(())
    }

    /// Unlike elsewhere, `$1` is the variable named 1.
    fn log_text(&mut self, text: &[u8], directive: Placed<'a>, context: Contexts) -> Verdict {
        let mut rest = text;
        while let Some(dollar) = rest.iter().position(|&byte| byte == b'$') {
            let invalid = || refusal(format!("invalid parameter \"{}\"", show(&rest[dollar..])));
            let behind = &rest[dollar + 1..];
            let in_braces = behind.first() == Some(&b'{');
            let tail = &behind[usize::from(in_braces)..];
            if tail.is_empty() {
                return Err(invalid());
            }
            let length = tail.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            let name = &tail[..length];
            if in_braces && tail.get(length) != Some(&b'}') {
                return bad(format!("the closing bracket in \"{}\" variable is missing", show(name)));
            }
            if name.is_empty() {
                return Err(invalid());
            }
            if context != Contexts::HTTP || !LOG_NAMES.contains(&name) {
                let origin = Some(directive.origin());
                self.variables(context).mention(name, origin)?;
            }
            rest = &tail[length + usize::from(in_braces)..];
        }
        Ok(())
    }

    fn formats(&mut self, context: Contexts) -> &mut Vec<Vec<u8>> {
        let stream = Contexts(Contexts::STREAM.0 | Contexts::STREAM_SERVER.0);
        if context.overlaps(stream) { &mut self.stream.formats } else { &mut self.http.formats }
    }

    pub(super) fn access_log(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let [path, rest @ ..] = values else { return Ok(()) };
        if *path == b"off" {
            return match rest {
                [] => Ok(()),
                [word, ..] => bad(format!("invalid parameter \"{}\"", show(word))),
            };
        }
        let syslog = path.starts_with(b"syslog:");
        if syslog {
            syslog_parameters(&path[7..])?;
        } else {
            self.text(path, directive, block)?;
        }
        let in_stream = block.context.overlaps(Contexts(Contexts::STREAM.0 | Contexts::STREAM_SERVER.0));
        let (format, words) = match rest {
            [format, words @ ..] => (*format, words),
            [] if in_stream => return bad("log format is not specified"),
            [] => (&b"combined"[..], &[][..]),
        };
        if !self.formats(block.context).iter().any(|known| known.eq_ignore_ascii_case(format)) {
            let refused = refusal(format!("unknown log format \"{}\"", show(format)));
            return Err(Refusal { kind: ProblemKind::Reference, ..refused });
        }
        let (mut size, mut flush, mut gzip) = (0, 0, 0);
        for word in words {
            if let Some(text) = word.strip_prefix(b"buffer=") {
                size = value::size(text).unwrap_or(0);
                if size == 0 {
                    return bad(format!("invalid buffer size \"{}\"", show(text)));
                }
            } else if let Some(text) = word.strip_prefix(b"flush=") {
                flush = value::time(text, false).unwrap_or(0);
                if flush == 0 {
                    return bad(format!("invalid flush time \"{}\"", show(text)));
                }
            } else if *word == b"gzip" || word.starts_with(b"gzip=") {
                size = if size == 0 { 64 << 10 } else { size };
                let level = word.strip_prefix(b"gzip=").unwrap_or(b"1");
                gzip = value::number(level).unwrap_or(0);
                if !(1..=9).contains(&gzip) {
                    return bad(format!("invalid compression level \"{}\"", show(level)));
                }
            } else if let Some(text) = word.strip_prefix(b"if=") {
                self.text(text, directive, block)?;
            } else {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        if flush > 0 && size == 0 {
            return bad(format!("no buffer is defined for access_log \"{}\"", show(path)));
        }
        if size == 0 {
            return Ok(());
        }
        if path.contains(&b'$') && !syslog {
            return bad("buffered logs cannot have variables in name");
        }
        if syslog {
            return bad("logs to syslog cannot be buffered");
        }
        let settings = (size, flush, gzip);
        match self.http.log_buffers.insert(path.to_vec(), settings) {
            Some(known) if known != settings => {
                bad(format!("access_log \"{}\" already defined with conflicting parameters", show(path)))
            }
            _ => Ok(()),
        }
    }

    /// `ngx_log_set_log`. Whether the file can be opened is not looked at.
    pub(super) fn error_log(&mut self, values: &[&[u8]]) -> Verdict {
        const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
        const DEBUG: [&str; 7] =
            ["debug_core", "debug_alloc", "debug_mutex", "debug_event", "debug_http", "debug_mail", "debug_stream"];
        let [path, levels @ ..] = values else { return Ok(()) };
        if let Some(parameters) = path.strip_prefix(b"syslog:") {
            syslog_parameters(parameters)?;
        }
        if let Some(size) = path.strip_prefix(b"memory:")
            && value::size(size).is_none_or(|size| size < 2048)
        {
            return bad(format!("invalid buffer size \"{}\"", show(size)));
        }
        let (mut level, mut debug) = (false, false);
        for word in levels {
            let is = |names: &[&str]| names.iter().any(|name| name.as_bytes() == *word);
            if is(&LEVELS) {
                if level || debug {
                    return bad(format!("duplicate log level \"{}\"", show(word)));
                }
                level = true;
            } else if is(&DEBUG) && !level {
                debug = true;
            } else {
                return bad(format!("invalid log level \"{}\"", show(word)));
            }
        }
        Ok(())
    }
}

/// `ngx_syslog_parse_args`.
fn syslog_parameters(text: &[u8]) -> Verdict {
    const FACILITIES: [&str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp", "ntp",
        "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ];
    const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"];
    let mut seen: Vec<&str> = Vec::new();
    for part in text.split(|&byte| byte == b',') {
        let (name, argument) = match part.iter().position(|&byte| byte == b'=') {
            Some(equals) => (&part[..equals], &part[equals + 1..]),
            None => (part, &b""[..]),
        };
        let known = ["server", "facility", "severity", "tag"]
            .into_iter()
            .find(|known| known.as_bytes() == name && part.len() > name.len());
        let Some(known) = known else {
            if part == b"nohostname" {
                continue;
            }
            return bad(format!("unknown syslog parameter \"{}\"", show(part)));
        };
        if seen.contains(&known) {
            return bad(format!("duplicate syslog \"{known}\""));
        }
        seen.push(known);
        let is = |names: &[&str]| names.iter().any(|name| name.as_bytes() == argument);
        match known {
            "server" => {
                url(argument, 514, false)
                    .map_err(|why| refusal(format!("{why} in syslog server \"{}\"", show(argument))))?;
            }
            "facility" if !is(&FACILITIES) => return bad(format!("unknown syslog facility \"{}\"", show(argument))),
            "severity" if !is(&SEVERITIES) => return bad(format!("unknown syslog severity \"{}\"", show(argument))),
            "tag" if argument.len() > 32 => return bad("syslog tag length exceeds 32"),
            "tag" if !argument.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') => {
                return bad("syslog \"tag\" only allows alphanumeric characters and underscore");
            }
            _ => {}
        }
    }
    match seen.contains(&"server") {
        true => Ok(()),
        false => bad("no syslog server specified"),
    }
}

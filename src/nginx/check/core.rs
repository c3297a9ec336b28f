//! The main level: processes, events, modules (`ngx_core_module`, `ngx_event_core_module`).

use super::{Block, Checker, Line, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::{Contexts, Kind};
use crate::nginx::include::Placed;
use crate::problem::{ProblemKind, Severity};

/// What the end of the configuration needs to know of the main level.
#[derive(Debug, Default)]
pub(super) struct Main {
    events: bool,
    /// Modules are fixed once a directive of one was met.
    modules_used: bool,
}

impl<'a> Checker<'a> {
    /// Setters of their own, by the kind of their module.
    pub(super) fn own(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, .. } = line;
        match row.kind {
            Kind::Any | Kind::Core | Kind::Event => self.core_own(line, block),
            Kind::Http => self.http_own(line, block),
            Kind::Stream => self.stream_own(line, block),
            Kind::Mail => {
                let context = if row.name == "mail" { Contexts::MAIL } else { Contexts::MAIL_SERVER };
                self.enter(directive, &mut Block::new(context, Some(directive)));
                Ok(())
            }
        }
    }

    /// Reads the directives of a block, and stands at its `}` afterwards.
    pub(super) fn enter(&mut self, opener: Placed<'a>, block: &mut Block<'a>) {
        self.read(opener.items(), opener.via, block);
        self.stand(opener.span().file, opener.span().end.saturating_sub(1));
    }

    fn core_own(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, values } = line;
        let first = values.first().copied().unwrap_or_default();
        match row.name {
            "events" => {
                block.once("events")?;
                self.main.events = true;
                self.main.modules_used = true;
                self.enter(directive, &mut Block::new(Contexts::EVENTS, Some(directive)));
            }
            "http" => {
                block.once("http")?;
                self.main.modules_used = true;
                self.http_block(directive);
            }
            "stream" => {
                block.once("stream")?;
                self.main.modules_used = true;
                self.stream_block(directive);
            }
            "mail" => {
                block.once("mail")?;
                self.main.modules_used = true;
                self.enter(directive, &mut Block::new(Contexts::MAIL, Some(directive)));
            }
            "load_module" => self.load_module(first)?,
            "user" => block.once("user")?,
            "worker_processes" => {
                block.once("worker_processes")?;
                if first != b"auto" && value::number(first).is_none() {
                    return bad("\"worker_processes\" directive invalid value");
                }
            }
            "worker_priority" => {
                block.once("worker_priority")?;
                let digits = first.strip_prefix(b"-").or_else(|| first.strip_prefix(b"+")).unwrap_or(first);
                if value::number(digits).is_none() {
                    return bad("\"worker_priority\" directive invalid number");
                }
            }
            "worker_connections" => {
                block.once("worker_connections")?;
                if value::number(first).is_none() {
                    return bad(format!("invalid number \"{}\" in \"worker_connections\" directive", show(first)));
                }
            }
            "use" => {
                block.once("use")?;
                if !matches!(first, b"epoll" | b"poll" | b"select") {
                    return bad(format!("invalid event type \"{}\"", show(first)));
                }
            }
            "worker_cpu_affinity" => {
                block.once("worker_cpu_affinity")?;
                affinity(values)?;
            }
            "thread_pool" => thread_pool(values)?,
            "error_log" => self.error_log(values)?,
            "debug_connection" => self.debug_connection(first)?,
            _ => {}
        }
        Ok(())
    }

    /// `ngx_load_module`: the module's directives exist from here on. Whether the file is there is not looked at.
    fn load_module(&mut self, file: &[u8]) -> Verdict {
        if self.main.modules_used {
            return bad("\"load_module\" directive is specified too late");
        }
        let name = file.rsplit(|&byte| byte == b'/').next().unwrap_or(file);
        let name = show(name.strip_suffix(b".so").unwrap_or(name)).into_owned();
        self.build.load(&name);
        self.rows.clear();
        if name == "ngx_http_geoip_module" || name == "ngx_stream_module" {
            self.http.variables_of(&self.build);
            self.stream.variables_of(&self.build);
        }
        Ok(())
    }

    fn debug_connection(&mut self, text: &[u8]) -> Verdict {
        if text == b"unix:" || super::access::Network::parse(text).is_some() {
            return Ok(());
        }
        // A name would have to be looked up.
        match text.contains(&b'/') {
            true => bad(format!("host not found in debug_connection \"{}\"", show(text))),
            false => Ok(()),
        }
    }

    /// What `ngx_init_cycle` finds missing once everything was read.
    pub(super) fn end_of_configuration(&mut self, main: &Block<'a>) {
        if !self.main.events {
            let refusal = Refusal {
                kind: ProblemKind::Value,
                named: Named::Nowhere,
                ..refusal("no \"events\" section in configuration")
            };
            self.push(Severity::Refused, main.opener.map(|opener| opener.origin()), refusal);
        }
        self.zones_without_size();
    }
}

fn affinity(values: &[&[u8]]) -> Verdict {
    let masks = match values {
        [b"auto"] => return Ok(()),
        [b"auto", mask] => std::slice::from_ref(mask),
        masks => masks,
    };
    for mask in masks {
        if mask.len() > 1024 {
            return bad("\"worker_cpu_affinity\" supports up to 1024 CPUs only");
        }
        if mask.iter().any(|byte| !matches!(byte, b'0' | b'1' | b' ')) {
            let wrong =
                mask.iter().find(|byte| !matches!(byte, b'0' | b'1' | b' ')).map_or(' ', |byte| char::from(*byte));
            return bad(format!("invalid character \"{wrong}\" in \"worker_cpu_affinity\""));
        }
    }
    Ok(())
}

fn thread_pool(values: &[&[u8]]) -> Verdict {
    let mut threads = false;
    for text in values.iter().skip(1) {
        let number = |prefix: &[u8], least: i64| {
            text.strip_prefix(prefix).map(|digits| value::number(digits).filter(|&number| number >= least))
        };
        match (number(b"threads=", 1), number(b"max_queue=", 0)) {
            (Some(Some(_)), _) => threads = true,
            (Some(None), _) => return bad(format!("invalid threads value \"{}\"", show(text))),
            (_, Some(Some(_))) => {}
            (_, Some(None)) => return bad(format!("invalid max_queue value \"{}\"", show(text))),
            _ => {}
        }
    }
    match threads {
        true => Ok(()),
        false => bad("\"thread_pool\" must have \"threads\" parameter"),
    }
}

//! The `stream` block: the same setters where they are the same, and its own `listen` and `proxy_pass`.

use super::listen::{Listens, Port, addresses};
use super::upstream::{Upstreams, url};
use super::variables::{self, Variables};
use super::{Block, Checker, Line, Verdict, bad, http, refusal, show, value};
use crate::nginx::build::Build;
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::problem::Severity;

/// What the modules of `stream` know together.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    pub(super) variables: Variables,
    pub(super) upstreams: Upstreams,
    pub(super) formats: Vec<Vec<u8>>,
    listens: Listens,
    servers: usize,
    /// Servers without anybody to hand a connection to.
    idle: Vec<Placed<'a>>,
    modern: bool,
}

impl Stream<'_> {
    pub(super) fn new(build: &Build, modern: bool) -> Self {
        Stream {
            variables: Variables::new(build, variables::STREAM, variables::STREAM_PREFIXES, modern),
            upstreams: Upstreams::default(),
            formats: Vec::new(),
            listens: Listens::default(),
            servers: 0,
            idle: Vec::new(),
            modern,
        }
    }

    /// A module was loaded: its variables exist too.
    pub(super) fn variables_of(&mut self, build: &Build) {
        self.variables = Variables::new(build, variables::STREAM, variables::STREAM_PREFIXES, self.modern);
    }
}

impl<'a> Checker<'a> {
    pub(super) fn stream_block(&mut self, opener: Placed<'a>) {
        self.enter(opener, &mut Block::new(Contexts::STREAM, Some(opener)));
        self.upstream_faults(Contexts::STREAM);
        for server in std::mem::take(&mut self.stream.idle) {
            let refused = http::at((server.span().file, server.reported_at()), "no handler for server".to_owned());
            self.push(Severity::Refused, Some(server.origin()), refused);
        }
        self.undefined_variables(Contexts::STREAM);
    }

    pub(super) fn stream_own(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, values } = line;
        let first = values.first().copied().unwrap_or_default();
        match row.name {
            "server" if block.context == Contexts::STREAM_UPSTREAM => self.upstream_server(values, block),
            "server" => self.stream_server(directive),
            "upstream" => self.upstream_block(directive, first, block),
            "listen" => self.stream_listen(values, block),
            "proxy_pass" => self.stream_pass(directive, first, block),
            "pass" => {
                block.facts.servers += 1;
                self.text(first, directive, block)
            }
            "return" => {
                block.once("return")?;
                block.facts.servers += 1;
                self.text(first, directive, block)
            }
            "js_content" => {
                block.facts.servers += 1;
                Ok(())
            }
            "set" => self.set_variable(directive, values, block),
            "js_set" | "js_var" | "keyval" => {
                let name = if row.name == "keyval" { values.get(1).copied().unwrap_or_default() } else { first };
                self.define(name, block.context)
            }
            "map" => self.map(directive, values, block),
            "geo" => self.geo(directive, values, block),
            "split_clients" => self.split_clients(directive, values, block),
            "geoip2" => self.geoip2(directive, values, block),
            "allow" | "deny" => self.access_rule(directive, first),
            "set_real_ip_from" => self.realip_from(directive, first),
            "resolver" => {
                block.once("resolver")?;
                super::upstream::resolver(values)
            }
            "log_format" => self.log_format(directive, values, block.context),
            "access_log" => self.access_log(directive, values, block),
            "error_log" => self.error_log(values),
            "proxy_bind" => {
                block.once("proxy_bind")?;
                self.bind(values, directive, block)
            }
            "zone" => {
                self.upstream_in_zone(block);
                self.limit_setter(line, block).map(drop)
            }
            _ => {
                if !self.limit_setter(line, block)? && !self.upstream_setter(line, block)? {
                    self.misc_setter(line, block)?;
                }
                Ok(())
            }
        }
    }

    fn stream_server(&mut self, directive: Placed<'a>) -> Verdict {
        let mut block = Block::new(Contexts::STREAM_SERVER, Some(directive));
        self.enter(directive, &mut block);
        self.stream.servers += 1;
        if block.facts.servers == 0 && !self.modern() {
            self.stream.idle.push(directive);
        }
        match block.facts.listens {
            true => Ok(()),
            false => Err(http::at(
                (directive.span().file, directive.reported_at()),
                "no \"listen\" is defined for server".to_owned(),
            )),
        }
    }

    fn stream_listen(&mut self, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.facts.listens = true;
        let [address, words @ ..] = values else { return Ok(()) };
        let ports = addresses(address, 0)
            .map_err(|why| refusal(format!("{why} in \"{}\" of the \"listen\" directive", show(address))))?;
        if ports.iter().any(|port| matches!(port, Port::Inet(_, 0) | Port::Name(_, 0))) {
            return bad(format!("no port in \"{}\" of the \"listen\" directive", show(address)));
        }
        let (mut udp, mut set, mut default) = (false, false, false);
        let mut excluded = None;
        for word in words {
            let number = |prefix: &[u8]| word.strip_prefix(prefix).map(value::number);
            let sized = word.strip_prefix(b"rcvbuf=").or_else(|| word.strip_prefix(b"sndbuf="));
            let sound = match *word {
                b"udp" => {
                    udp = true;
                    true
                }
                b"bind" | b"reuseport" | b"ipv6only=on" | b"ipv6only=off" => true,
                b"ssl" | b"proxy_protocol" => {
                    excluded = excluded.or(Some(show(word).into_owned()));
                    true
                }
                b"default_server" | b"deferred" | b"multipath" => self.modern(),
                _ if number(b"backlog=").is_some() => {
                    excluded = excluded.or(Some("backlog".to_owned()));
                    number(b"backlog=").flatten().is_some_and(|backlog| backlog > 0)
                }
                _ if number(b"fastopen=").is_some() => number(b"fastopen=").flatten().is_some(),
                _ if word.starts_with(b"so_keepalive=") => {
                    excluded = excluded.or(Some("so_keepalive".to_owned()));
                    super::listen::keepalive(&word[13..])?;
                    true
                }
                _ if word.starts_with(b"accept_filter=") => self.modern(),
                _ => sized.is_some_and(|size| value::size(size).is_some()),
            };
            default |= *word == b"default_server";
            set |= !matches!(*word, b"default_server" | b"udp" | b"ssl" | b"proxy_protocol");
            if !sound {
                return bad(format!("invalid parameter \"{}\"", show(word)));
            }
        }
        if let (true, Some(name)) = (udp, excluded) {
            return bad(format!("\"listen\" directive \"{name}\" parameter is incompatible with \"udp\""));
        }
        let server = self.stream.servers;
        for port in ports.into_iter().filter(|port| !matches!(port, Port::Name(..))) {
            // Without names to choose by, as in 1.22.1, an address belongs to one server.
            if !self.modern() && self.stream.listens.has(&port, udp) {
                return bad(format!("duplicate \"{}\" address and port pair", port.text()));
            }
            self.stream.listens.add(port, server, set, default, false, udp).map_err(refusal)?;
        }
        Ok(())
    }

    fn stream_pass(&mut self, directive: Placed<'a>, target: &[u8], block: &mut Block<'a>) -> Verdict {
        block.once("proxy_pass")?;
        block.facts.servers += 1;
        self.text(target, directive, block)?;
        if target.contains(&b'$') {
            return Ok(());
        }
        let parsed = url(target, 0, false).map_err(|why| refusal(format!("{why} in upstream \"{}\"", show(target))))?;
        let at = self.at;
        self.upstreams(block.context).mention(&parsed, at, directive.origin())
    }
}

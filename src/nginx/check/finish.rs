//! The end of `http`: what its modules refuse once they see the whole (`ngx_http_block`): merged records, location trees,
//! listening addresses, variables, server names.

use std::collections::HashMap;

use super::http::at;
use super::listen::Listen;
use super::scope::{Match, Scope};
use super::tables::{Added, Keys};
use super::{Checker, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::problem::{ProblemKind, Severity};
use crate::source::Origin;

/// Modules that keep answers in buffers of the same rules.
const BUFFERED: [&str; 4] = ["proxy", "fastcgi", "uwsgi", "scgi"];

impl<'a> Checker<'a> {
    pub(super) fn end_of_http(&mut self, opener: Placed<'a>) {
        self.client_buffers(opener);
        self.upstream_faults(Contexts::HTTP);
        self.referers(opener);
        self.certificates();
        self.buffers(opener);
        self.peer_certificates();
        self.late_texts();
        self.locations();
        self.charsets();
        self.listening_certificates();
        self.undefined_variables(Contexts::HTTP);
        self.server_names();
    }

    fn merged(&self) -> Vec<usize> {
        (0..self.http.scopes.len()).filter(|&scope| self.http.scopes[scope].context != Contexts::HTTP).collect()
    }

    /// The last value of a directive in force for a block: its own, else its parent's.
    fn in_force(&self, scope: usize, name: &str) -> Option<&Vec<Vec<&'a [u8]>>> {
        let mut at = Some(scope);
        while let Some(index) = at {
            let scope: &Scope<'a> = &self.http.scopes[index];
            if let Some(given) = scope.given.get(name) {
                return Some(given);
            }
            at = scope.parent;
        }
        None
    }

    fn size_in_force(&self, scope: usize, name: &str) -> Option<i64> {
        value::size(self.in_force(scope, name)?.first()?.first()?)
    }

    fn buffers_in_force(&self, scope: usize, name: &str) -> Option<(i64, i64)> {
        match self.in_force(scope, name)?.first()?.as_slice() {
            [count, size] => Some((value::number(count)?, value::size(size)?)),
            _ => None,
        }
    }

    fn refuse_at_end(&mut self, opener: Placed<'a>, verdict: Verdict) {
        if let Err(refusal) = verdict {
            self.push(Severity::Refused, Some(opener.origin()), refusal);
        }
    }

    fn client_buffers(&mut self, opener: Placed<'a>) {
        for scope in self.merged() {
            if self.http.scopes[scope].context != Contexts::SERVER {
                continue;
            }
            let (_, size) = self.buffers_in_force(scope, "large_client_header_buffers").unwrap_or((4, 8192));
            let pool = self.size_in_force(scope, "connection_pool_size").unwrap_or(512);
            if size < pool {
                let message = "the \"large_client_header_buffers\" size must be equal to or greater than \"connection_pool_size\"";
                self.refuse_at_end(opener, bad(message));
                return;
            }
        }
    }

    /// `ngx_http_referer_merge_conf`: the names of the server become referers too.
    fn referers(&mut self, opener: Placed<'a>) {
        for scope in self.merged() {
            let mut referers = std::mem::take(&mut self.http.scopes[scope].referers);
            let Some(origin) = referers.given else { continue };
            let mut keys = referers.keys.take().unwrap_or_default();
            if let (true, Some(server)) = (referers.server_names, self.http.scopes[scope].server) {
                let names = &self.http.servers[server].names;
                let mut texts = names.iter().filter(|name| name.first() != Some(&b'~'));
                let verdict = texts.try_for_each(|name| keys.require(name, true));
                if names.is_empty() {
                    // A server without names has the empty one.
                    keys.add(b"", true);
                }
                self.refuse_at_end(opener, verdict);
            }
            if referers.lenient && keys.is_empty() {
                let message = "the \"none\" or \"blocked\" referers are specified in the \"valid_referers\" directive without any valid referer";
                self.push(Severity::Refused, Some(origin), Refusal { named: Named::Nowhere, ..refusal(message) });
            }
        }
    }

    /// `ngx_http_ssl_merge_srv_conf`, as far as no certificate is opened.
    fn certificates(&mut self) {
        for scope in self.merged() {
            if self.http.scopes[scope].context != Contexts::SERVER {
                continue;
            }
            let count = |name: &str| self.in_force(scope, name).map_or(0, Vec::len);
            let (certificates, keys) = (count("ssl_certificate"), count("ssl_certificate_key"));
            let word = |name: &str| self.in_force(scope, name).and_then(|given| given.first()?.first().copied());
            let is_on = |name: &str| word(name).is_some_and(|word| word.eq_ignore_ascii_case(b"on"));
            let origin = self.http.scopes[scope].origin;
            let place = self.http.scopes[scope].at;
            let message = if is_on("ssl") && certificates == 0 {
                Some((true, "no \"ssl_certificate\" is defined for the \"ssl\" directive".to_owned()))
            } else if certificates > keys {
                let last = self
                    .in_force(scope, "ssl_certificate")
                    .and_then(|given| given.last()?.first().copied())
                    .unwrap_or_default();
                Some((false, format!("no \"ssl_certificate_key\" is defined for certificate \"{}\"", show(last))))
            } else if certificates == 0 && !is_on("ssl_reject_handshake") {
                None
            } else {
                let verify = word("ssl_verify_client").map(<[u8]>::to_ascii_lowercase);
                let given = |name: &str| word(name).is_some_and(|file| !file.is_empty());
                let lacks = !(given("ssl_client_certificate") || self.modern() && given("ssl_trusted_certificate"));
                let which = if self.modern() {
                    "ssl_client_certificate or ssl_trusted_certificate"
                } else {
                    "ssl_client_certificate"
                };
                let wanted = matches!(verify.as_deref(), Some(b"on" | b"optional"));
                (wanted && lacks).then(|| (false, format!("no {which} for ssl_verify_client")))
            };
            if let Some((placed, message)) = message {
                let refused =
                    if placed { at(place, message) } else { Refusal { named: Named::Nowhere, ..refusal(message) } };
                self.push(Severity::Refused, Some(origin), refused);
            }
        }
    }

    fn buffers(&mut self, opener: Placed<'a>) {
        for module in BUFFERED {
            for scope in self.merged() {
                let verdict = self.module_buffers(module, scope);
                let failed = verdict.is_err();
                self.refuse_at_end(opener, verdict);
                if failed {
                    break;
                }
            }
        }
    }

    fn module_buffers(&self, module: &str, scope: usize) -> Verdict {
        let name = |what: &str| format!("{module}_{what}");
        let (count, each) = self.buffers_in_force(scope, &name("buffers")).unwrap_or((8, 4096));
        if count < 2 {
            return bad(format!("there must be at least 2 \"{module}_buffers\""));
        }
        let first = self.size_in_force(scope, &name("buffer_size")).unwrap_or(4096);
        let size = first.max(each);
        let largest =
            format!("the maximum of the value of \"{module}_buffer_size\" and one of the \"{module}_buffers\"");
        let busy = self.size_in_force(scope, &name("busy_buffers_size")).unwrap_or(2 * size);
        if busy < size {
            return bad(format!("\"{module}_busy_buffers_size\" must be equal to or greater than {largest}"));
        }
        if busy > (count - 1).saturating_mul(each) {
            return bad(format!(
                "\"{module}_busy_buffers_size\" must be less than the size of all \"{module}_buffers\" minus one buffer"
            ));
        }
        if self.size_in_force(scope, &name("temp_file_write_size")).is_some_and(|written| written < size) {
            return bad(format!("\"{module}_temp_file_write_size\" must be equal to or greater than {largest}"));
        }
        if self.size_in_force(scope, &name("max_temp_file_size")).is_some_and(|max| max != 0 && max < size) {
            return bad(format!(
                "\"{module}_max_temp_file_size\" must be equal to zero to disable temporary files usage or must be equal to or \
                 greater than {largest}"
            ));
        }
        let zone = self.in_force(scope, &name("cache")).and_then(|given| given.first()?.first().copied());
        if let Some(zone) = zone.filter(|zone| *zone != b"off" && !zone.contains(&b'$'))
            && !self.is_bound(zone)
        {
            let refused = refusal(format!("\"{module}_cache\" zone \"{}\" is unknown", show(zone)));
            return Err(Refusal { kind: ProblemKind::Reference, ..refused });
        }
        Ok(())
    }

    /// TLS towards a back end: a check of its certificate needs one to trust (`ngx_http_proxy_set_ssl`).
    fn peer_certificates(&mut self) {
        for module in ["proxy", "uwsgi", "grpc"] {
            for scope in self.merged() {
                let pass = self.http.scopes[scope].given.get(format!("{module}_pass").as_str());
                let target =
                    pass.and_then(|given| given.first()?.first().copied()).unwrap_or_default().to_ascii_lowercase();
                let secure =
                    [&b"https://"[..], b"suwsgi://", b"grpcs://"].iter().any(|scheme| target.starts_with(scheme));
                if !secure && !target.contains(&b'$') {
                    continue;
                }
                let word = |what: &str| {
                    self.in_force(scope, &format!("{module}_ssl_{what}"))
                        .and_then(|given| given.first()?.first().copied())
                };
                let message = if let (Some(certificate), None) =
                    (word("certificate").filter(|text| !text.is_empty()), word("certificate_key"))
                {
                    format!("no \"{module}_ssl_certificate_key\" is defined for certificate \"{}\"", show(certificate))
                } else if word("verify").is_some_and(|word| word.eq_ignore_ascii_case(b"on"))
                    && word("trusted_certificate").is_none()
                {
                    format!("no {module}_ssl_trusted_certificate for {module}_ssl_verify")
                } else {
                    continue;
                };
                let origin = self.http.scopes[scope].origin;
                self.push(Severity::Refused, Some(origin), Refusal { named: Named::Nowhere, ..refusal(message) });
            }
        }
    }

    /// Texts that nginx compiles only when it merges: `proxy_set_header`, `fastcgi_param`, …
    fn late_texts(&mut self) {
        let texts: Vec<(Placed<'a>, &'a [u8])> =
            self.http.scopes.iter().flat_map(|scope| scope.late.iter().copied()).collect();
        for (directive, text) in texts {
            let verdict = self.compile(text, directive, Contexts::HTTP);
            self.report(directive, verdict);
        }
    }

    /// `ngx_http_init_static_location_trees`: the same prefix or exact location twice in one block.
    fn locations(&mut self) {
        let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, scope) in self.http.scopes.iter().enumerate() {
            if let (Some(parent), Contexts::LOCATION) = (scope.parent, scope.context) {
                children.entry(parent).or_default().push(index);
            }
        }
        let mut duplicates = Vec::new();
        for (server, scope) in self.http.scopes.iter().enumerate() {
            if scope.context == Contexts::SERVER {
                self.duplicates(server, &children, &mut duplicates);
            }
        }
        for index in duplicates {
            let scope = &self.http.scopes[index];
            let message = format!("duplicate location \"{}\"", show(&scope.place.name));
            let (refused, origin) = (at(scope.at, message), scope.origin);
            self.push(Severity::Refused, Some(origin), refused);
        }
    }

    /// Depth first and in the order of the names, as the trees are built.
    fn duplicates(&self, server: usize, children: &HashMap<usize, Vec<usize>>, out: &mut Vec<usize>) {
        enum Visit {
            Down(usize),
            Up(usize),
        }
        let mut stack = vec![Visit::Down(server)];
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Down(scope) => {
                    stack.push(Visit::Up(scope));
                    let mut below = children.get(&scope).cloned().unwrap_or_default();
                    below.sort_by(|&a, &b| self.http.scopes[a].place.name.cmp(&self.http.scopes[b].place.name));
                    stack.extend(below.into_iter().rev().map(Visit::Down));
                }
                Visit::Up(scope) => {
                    let mut seen: HashMap<(&[u8], bool), usize> = HashMap::new();
                    let mut below: Vec<usize> = children.get(&scope).cloned().unwrap_or_default();
                    below.sort_by(|&a, &b| self.http.scopes[a].place.name.cmp(&self.http.scopes[b].place.name));
                    for index in below {
                        let place = &self.http.scopes[index].place;
                        if matches!(place.kind, Match::Prefix | Match::NoRegex | Match::Exact) {
                            let key = (place.name.as_slice(), place.kind == Match::Exact);
                            if seen.insert(key, index).is_some() {
                                out.push(index);
                            }
                        }
                    }
                }
            }
        }
    }

    /// `ngx_http_charset_postconfiguration`: two different charsets need a table between them.
    fn charsets(&mut self) {
        for scope in self.merged() {
            let word = |name: &str| self.in_force(scope, name).and_then(|given| given.first()?.first().copied());
            let (Some(from), Some(to)) = (word("source_charset"), word("charset")) else { continue };
            let plain = |text: &[u8]| text != b"off" && !text.contains(&b'$');
            if !plain(from) || !plain(to) || from.eq_ignore_ascii_case(to) {
                continue;
            }
            let joins = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(from) && b.eq_ignore_ascii_case(to);
            if self.http.charset_maps.iter().any(|&(a, b)| joins(a, b) || joins(b, a)) {
                continue;
            }
            let message = format!("no \"charset_map\" between the charsets \"{}\" and \"{}\"", show(from), show(to));
            let origin = self.http.scopes[scope].origin;
            self.push(Severity::Refused, Some(origin), Refusal { named: Named::Nowhere, ..refusal(message) });
            return;
        }
    }

    /// Addresses as nginx groups them: by port, in the order in which each was met first.
    fn by_port(&self) -> Vec<&Listen> {
        let port = |listen: &Listen| match &listen.port {
            super::listen::Port::Inet(address, port) => (Some(address.is_ipv4()), *port),
            _ => (None, 0),
        };
        let mut listens: Vec<&Listen> = self.http.listens.0.iter().collect();
        let mut first: HashMap<_, usize> = HashMap::new();
        for (at, listen) in listens.iter().enumerate() {
            first.entry(port(listen)).or_insert(at);
        }
        listens.sort_by_key(|listen| first.get(&port(listen)).copied());
        listens
    }

    /// The record of each server's own block, by the server's number.
    fn server_scopes(&self) -> HashMap<usize, usize> {
        let scopes = self.http.scopes.iter().enumerate().rev();
        scopes
            .filter(|(_, scope)| scope.context == Contexts::SERVER)
            .filter_map(|(index, scope)| Some((scope.server?, index)))
            .collect()
    }

    /// `ngx_http_ssl_init`.
    fn listening_certificates(&mut self) {
        let mut refused: Vec<(Refusal, Option<Origin>)> = Vec::new();
        let scopes = self.server_scopes();
        for listen in self.by_port().into_iter().filter(|listen| listen.ssl) {
            let state = |server: usize| {
                let scope = *scopes.get(&server)?;
                let rejects = self.in_force(scope, "ssl_reject_handshake");
                let rejects = rejects
                    .and_then(|given| given.first()?.first())
                    .is_some_and(|word| word.eq_ignore_ascii_case(b"on"));
                Some((self.in_force(scope, "ssl_certificate").is_some(), rejects))
            };
            let Some((certified, rejects)) = state(listen.default_server) else { continue };
            if certified {
                continue;
            }
            let others = listen.servers.iter().copied().filter(|&server| state(server) == Some((false, false)));
            let lacking = if rejects { others.into_iter().next() } else { Some(listen.default_server) };
            let place = lacking.and_then(|server| Some((self.http.servers[server].at?, *scopes.get(&server)?)));
            if let Some((place, scope)) = place {
                let message = "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive".to_owned();
                refused.push((at(place, message), Some(self.http.scopes[scope].origin)));
            }
        }
        for (refusal, origin) in refused {
            self.push(Severity::Refused, origin, refusal);
        }
    }

    /// `ngx_http_server_names`, on every address where names matter.
    fn server_names(&mut self) {
        let mut found: Vec<(Severity, Refusal, Option<Origin>)> = Vec::new();
        let scopes = self.server_scopes();
        for listen in self.by_port() {
            if listen.servers.len() < 2 && !self.http.servers[listen.default_server].captures {
                continue;
            }
            let mut keys = Keys::default();
            for &server in &listen.servers {
                let origin = scopes.get(&server).map(|&scope| self.http.scopes[scope].origin);
                let unnamed = [Vec::new()];
                let names = &self.http.servers[server].names;
                let names = if names.is_empty() { &unnamed[..] } else { names };
                for name in names.iter().filter(|name| name.first() != Some(&b'~')) {
                    let address = listen.port.text();
                    let shown = show(name).to_lowercase();
                    let (severity, message) = match keys.add(name, true) {
                        Added::Ok => continue,
                        Added::Busy => {
                            (Severity::Warning, format!("conflicting server name \"{shown}\" on {address}, ignored"))
                        }
                        Added::Declined => {
                            (Severity::Refused, format!("invalid server name or wildcard \"{shown}\" on {address}"))
                        }
                    };
                    found.push((severity, Refusal { named: Named::Nowhere, ..refusal(message) }, origin));
                }
            }
        }
        for (severity, refusal, origin) in found {
            self.push(severity, origin, refusal);
        }
    }
}

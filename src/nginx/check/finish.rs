//! The end of `http`: what its modules refuse once they see the whole (`ngx_http_block`): merged records, location trees,
//! listening addresses, variables, server names.

use std::collections::HashMap;

use super::http::at;
use super::listen::Listen;
use super::scope::Match;
use super::tables::{Added, Keys};
use super::{Checker, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::problem::{ProblemKind, Severity};
use crate::source::Origin;

/// A module that keeps answers in buffers, with the names of its directives about them.
struct Buffered {
    module: &'static str,
    buffers: &'static str,
    buffer_size: &'static str,
    busy_buffers_size: &'static str,
    temp_file_write_size: &'static str,
    max_temp_file_size: &'static str,
    cache: &'static str,
}

macro_rules! buffered {
    ($module:literal) => {
        Buffered {
            module: $module,
            buffers: concat!($module, "_buffers"),
            buffer_size: concat!($module, "_buffer_size"),
            busy_buffers_size: concat!($module, "_busy_buffers_size"),
            temp_file_write_size: concat!($module, "_temp_file_write_size"),
            max_temp_file_size: concat!($module, "_max_temp_file_size"),
            cache: concat!($module, "_cache"),
        }
    };
}

/// Modules that keep answers in buffers of the same rules.
const BUFFERED: [Buffered; 4] = [buffered!("proxy"), buffered!("fastcgi"), buffered!("uwsgi"), buffered!("scgi")];

/// Modules that speak TLS to a back end: where it is, then `certificate`, `certificate_key`, `verify`, `trusted_certificate`.
const PEERS: [(&str, &str, [&str; 4]); 3] = [
    (
        "proxy",
        "proxy_pass",
        ["proxy_ssl_certificate", "proxy_ssl_certificate_key", "proxy_ssl_verify", "proxy_ssl_trusted_certificate"],
    ),
    (
        "uwsgi",
        "uwsgi_pass",
        ["uwsgi_ssl_certificate", "uwsgi_ssl_certificate_key", "uwsgi_ssl_verify", "uwsgi_ssl_trusted_certificate"],
    ),
    (
        "grpc",
        "grpc_pass",
        ["grpc_ssl_certificate", "grpc_ssl_certificate_key", "grpc_ssl_verify", "grpc_ssl_trusted_certificate"],
    ),
];

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

    /// The blocks that are merged with the one around them: all but `http` itself.
    fn merged(&self) -> Vec<usize> {
        (0..self.http.scopes.len()).filter(|&scope| self.http.scopes[scope].context != Contexts::HTTP).collect()
    }

    fn servers(&self) -> Vec<usize> {
        (0..self.http.scopes.len()).filter(|&scope| self.http.scopes[scope].context == Contexts::SERVER).collect()
    }

    /// Whether something else may be in force for a block than for a merged block before it: it gives one of these
    /// directives itself, or is the first to inherit from `http`.
    fn decides(&self, scope: usize, is_meant: impl Fn(&str) -> bool) -> bool {
        let scope = &self.http.scopes[scope];
        let below_http = scope.parent.is_none_or(|parent| self.http.scopes[parent].context == Contexts::HTTP);
        below_http || scope.given.iter().any(|(name, _)| is_meant(name))
    }

    /// The values of a directive in force for a block, as often as it is given: its own, else its parent's.
    fn in_force<'s>(
        &'s self,
        scope: usize,
        name: &'s str,
    ) -> impl DoubleEndedIterator<Item = &'s [&'a [u8]]> + use<'s, 'a> {
        let mut around = std::iter::successors(Some(scope), |&scope| self.http.scopes[scope].parent);
        let giving = around.find(|&scope| self.http.scopes[scope].given.iter().any(|(given, _)| *given == name));
        giving.into_iter().flat_map(move |scope| self.http.scopes[scope].values(name))
    }

    /// The first word of a directive in force.
    fn word_in_force(&self, scope: usize, name: &str) -> Option<&'a [u8]> {
        self.in_force(scope, name).next()?.first().copied()
    }

    fn size_in_force(&self, scope: usize, name: &str) -> Option<i64> {
        value::size(self.word_in_force(scope, name)?)
    }

    fn buffers_in_force(&self, scope: usize, name: &str) -> Option<(i64, i64)> {
        match self.in_force(scope, name).next()? {
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
        for scope in self.servers() {
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
            let Some(mut referers) = self.http.scopes[scope].referers.take() else { continue };
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
        for scope in self.servers() {
            let count = |name: &str| self.in_force(scope, name).count();
            let (certificates, keys) = (count("ssl_certificate"), count("ssl_certificate_key"));
            let word = |name: &str| self.word_in_force(scope, name);
            let is_on = |name: &str| word(name).is_some_and(|word| word.eq_ignore_ascii_case(b"on"));
            let origin = self.http.scopes[scope].origin;
            let place = self.http.scopes[scope].at;
            let message = if is_on("ssl") && certificates == 0 {
                Some((true, "no \"ssl_certificate\" is defined for the \"ssl\" directive".to_owned()))
            } else if certificates > keys {
                let last = self.in_force(scope, "ssl_certificate").next_back();
                let last = last.and_then(|values| values.first().copied()).unwrap_or_default();
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
        for module in &BUFFERED {
            for scope in self.merged() {
                if !self.decides(scope, |name| module.has(name)) {
                    continue;
                }
                let verdict = self.module_buffers(module, scope);
                let failed = verdict.is_err();
                self.refuse_at_end(opener, verdict);
                if failed {
                    break;
                }
            }
        }
    }

    fn module_buffers(&self, names: &Buffered, scope: usize) -> Verdict {
        let module = names.module;
        let (count, each) = self.buffers_in_force(scope, names.buffers).unwrap_or((8, 4096));
        if count < 2 {
            return bad(format!("there must be at least 2 \"{module}_buffers\""));
        }
        let first = self.size_in_force(scope, names.buffer_size).unwrap_or(4096);
        let size = first.max(each);
        let largest =
            || format!("the maximum of the value of \"{module}_buffer_size\" and one of the \"{module}_buffers\"");
        let busy = self.size_in_force(scope, names.busy_buffers_size).unwrap_or(2 * size);
        if busy < size {
            return bad(format!("\"{module}_busy_buffers_size\" must be equal to or greater than {}", largest()));
        }
        if busy > (count - 1).saturating_mul(each) {
            return bad(format!(
                "\"{module}_busy_buffers_size\" must be less than the size of all \"{module}_buffers\" minus one buffer"
            ));
        }
        if self.size_in_force(scope, names.temp_file_write_size).is_some_and(|written| written < size) {
            return bad(format!("\"{module}_temp_file_write_size\" must be equal to or greater than {}", largest()));
        }
        if self.size_in_force(scope, names.max_temp_file_size).is_some_and(|max| max != 0 && max < size) {
            return bad(format!(
                "\"{module}_max_temp_file_size\" must be equal to zero to disable temporary files usage or must be equal to or \
                 greater than {}",
                largest()
            ));
        }
        let zone = self.word_in_force(scope, names.cache);
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
        for (module, pass, [certificate, key, verify, trusted]) in PEERS {
            for scope in self.merged() {
                let Some(target) = self.http.scopes[scope].values(pass).next() else { continue };
                let target = target.first().copied().unwrap_or_default();
                let secure = [&b"https://"[..], b"suwsgi://", b"grpcs://"]
                    .iter()
                    .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
                if !secure && !target.contains(&b'$') {
                    continue;
                }
                let word = |name: &str| self.word_in_force(scope, name);
                let message = if let (Some(certificate), None) =
                    (word(certificate).filter(|text| !text.is_empty()), word(key))
                {
                    format!("no \"{module}_ssl_certificate_key\" is defined for certificate \"{}\"", show(certificate))
                } else if word(verify).is_some_and(|word| word.eq_ignore_ascii_case(b"on")) && word(trusted).is_none() {
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
        for scope in 0..self.http.scopes.len() {
            for (directive, text) in std::mem::take(&mut self.http.scopes[scope].late) {
                let verdict = self.compile(text, directive, Contexts::HTTP);
                self.report(directive, verdict);
            }
        }
    }

    /// `ngx_http_init_static_location_trees`: the same prefix or exact location twice in one block.
    fn locations(&mut self) {
        let scopes = &self.http.scopes;
        let locations = scopes.iter().enumerate().filter(|(_, scope)| scope.context == Contexts::LOCATION);
        // The locations of a block stand together, in the order of their names.
        let mut children: Vec<Child> = locations
            .filter_map(|(index, scope)| Some(Child { parent: scope.parent?, name: scope.place.name, index }))
            .collect();
        children.sort_unstable();
        let mut duplicates = Vec::new();
        for server in self.servers() {
            self.duplicates(server, &children, &mut duplicates);
        }
        for index in duplicates {
            let scope = &self.http.scopes[index];
            let message = format!("duplicate location \"{}\"", show(scope.place.name));
            let (refused, origin) = (at(scope.at, message), scope.origin);
            self.push(Severity::Refused, Some(origin), refused);
        }
    }

    /// Depth first and in the order of the names, as the trees are built.
    fn duplicates(&self, server: usize, children: &[Child], out: &mut Vec<usize>) {
        enum Visit {
            Down(usize),
            Up(usize),
        }
        let below = |scope: usize| {
            let from = children.partition_point(|child| child.parent < scope);
            let length = children[from..].partition_point(|child| child.parent == scope);
            &children[from..from + length]
        };
        let mut stack = vec![Visit::Down(server)];
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Down(scope) => {
                    stack.push(Visit::Up(scope));
                    stack.extend(below(scope).iter().rev().map(|child| Visit::Down(child.index)));
                }
                Visit::Up(scope) => {
                    for same in below(scope).chunk_by(|one, next| one.name == next.name) {
                        let (mut exact, mut prefix) = (false, false);
                        for child in same {
                            let seen = match self.http.scopes[child.index].place.kind {
                                Match::Exact => &mut exact,
                                Match::Prefix | Match::NoRegex => &mut prefix,
                                _ => continue,
                            };
                            if std::mem::replace(seen, true) {
                                out.push(child.index);
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
            if !self.decides(scope, |name| matches!(name, "source_charset" | "charset")) {
                continue;
            }
            let word = |name: &str| self.word_in_force(scope, name);
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
                let rejects = self.word_in_force(scope, "ssl_reject_handshake");
                let rejects = rejects.is_some_and(|word| word.eq_ignore_ascii_case(b"on"));
                Some((self.in_force(scope, "ssl_certificate").next().is_some(), rejects))
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
                let unnamed = [&b""[..]];
                let names = &self.http.servers[server].names;
                let names = if names.is_empty() { &unnamed[..] } else { names };
                for name in names.iter().filter(|name| name.first() != Some(&b'~')) {
                    let added = keys.add(name, true);
                    if added == Added::Ok {
                        continue;
                    }
                    let (shown, address) = (show(name).to_lowercase(), listen.port.text());
                    let (severity, message) = match added {
                        Added::Declined => {
                            (Severity::Refused, format!("invalid server name or wildcard \"{shown}\" on {address}"))
                        }
                        _ => (Severity::Warning, format!("conflicting server name \"{shown}\" on {address}, ignored")),
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

/// A location in the block around it; in the order in which nginx looks at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Child<'a> {
    parent: usize,
    name: &'a [u8],
    index: usize,
}

impl Buffered {
    fn has(&self, name: &str) -> bool {
        [
            self.buffers,
            self.buffer_size,
            self.busy_buffers_size,
            self.temp_file_write_size,
            self.max_temp_file_size,
            self.cache,
        ]
        .contains(&name)
    }
}

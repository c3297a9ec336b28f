//! The `http` block: servers, locations, and the setters of the modules in it.

use super::listen::Port;
use super::scope::{Match, Place, Scope, ServerNames};
use super::{Block, Checker, Line, Named, Refusal, Verdict, bad, refusal, show, value};
use crate::nginx::directives::Contexts;
use crate::nginx::include::Placed;
use crate::source::FileId;

/// Whether the end of `http` looks at the values of a directive.
fn is_merged(name: &str) -> bool {
    matches!(
        name,
        "ssl_certificate"
            | "ssl_certificate_key"
            | "ssl_verify_client"
            | "ssl_client_certificate"
            | "ssl_trusted_certificate"
            | "ssl_reject_handshake"
            | "ssl"
            | "ssl_ocsp"
            | "ssl_protocols"
            | "proxy_buffer_size"
            | "proxy_buffers"
            | "proxy_busy_buffers_size"
            | "proxy_temp_file_write_size"
            | "proxy_max_temp_file_size"
            | "fastcgi_buffer_size"
            | "fastcgi_buffers"
            | "fastcgi_busy_buffers_size"
            | "fastcgi_temp_file_write_size"
            | "fastcgi_max_temp_file_size"
            | "uwsgi_buffer_size"
            | "uwsgi_buffers"
            | "uwsgi_busy_buffers_size"
            | "uwsgi_temp_file_write_size"
            | "uwsgi_max_temp_file_size"
            | "scgi_buffer_size"
            | "scgi_buffers"
            | "scgi_busy_buffers_size"
            | "scgi_temp_file_write_size"
            | "scgi_max_temp_file_size"
            | "large_client_header_buffers"
            | "connection_pool_size"
            | "proxy_pass"
            | "proxy_ssl_certificate"
            | "proxy_ssl_certificate_key"
            | "proxy_ssl_verify"
            | "proxy_ssl_trusted_certificate"
            | "uwsgi_pass"
            | "uwsgi_ssl_certificate"
            | "uwsgi_ssl_certificate_key"
            | "uwsgi_ssl_verify"
            | "uwsgi_ssl_trusted_certificate"
            | "grpc_pass"
            | "grpc_ssl_certificate"
            | "grpc_ssl_certificate_key"
            | "grpc_ssl_verify"
            | "grpc_ssl_trusted_certificate"
            | "charset"
            | "source_charset"
            | "proxy_cache"
            | "fastcgi_cache"
            | "uwsgi_cache"
            | "scgi_cache"
    )
}

impl<'a> Checker<'a> {
    pub(super) fn http_block(&mut self, opener: Placed<'a>) {
        let mut block = self.scope(Contexts::HTTP, opener, None, Place::default(), None);
        self.enter(opener, &mut block);
        self.leave(&mut block);
        self.end_of_http(opener);
    }

    /// A block with a record of its own.
    fn scope(
        &mut self,
        context: Contexts,
        opener: Placed<'a>,
        parent: Option<&Block<'a>>,
        place: Place<'a>,
        server: Option<usize>,
    ) -> Block<'a> {
        let mut block = Block::new(context, Some(opener));
        block.location = place;
        block.facts.scope = self.http.scopes.len();
        let parent_scope = parent.map(|parent| parent.facts.scope);
        let server = server.or_else(|| parent_scope.and_then(|parent| self.http.scopes[parent].server));
        self.http.scopes.push(Scope {
            parent: parent_scope,
            context,
            origin: opener.origin(),
            at: (opener.span().file, opener.reported_at()),
            server,
            place,
            given: Vec::new(),
            late: Vec::new(),
            referers: None,
        });
        block
    }

    fn leave(&mut self, block: &mut Block<'a>) {
        self.http.scopes[block.facts.scope].referers = block.facts.referers.take();
    }

    /// Remembers what the merge will need. Every setter of `http` ends here.
    pub(super) fn after(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, values } = line;
        const SCOPED: u16 = Contexts::HTTP.0
            | Contexts::SERVER.0
            | Contexts::LOCATION.0
            | Contexts::LOCATION_IF.0
            | Contexts::SERVER_IF.0
            | Contexts::LIMIT_EXCEPT.0;
        if block.context.overlaps(Contexts(SCOPED)) {
            let scope = &mut self.http.scopes[block.facts.scope];
            if is_merged(row.name) {
                scope.given.push((row.name, values.into()));
            }
            if matches!(
                row.name,
                "proxy_set_header" | "fastcgi_param" | "uwsgi_param" | "scgi_param" | "grpc_set_header"
            ) {
                scope.late.extend(values.get(1).map(|text| (directive, *text)));
            }
        }
        Ok(())
    }

    pub(super) fn http_own(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        self.http_setter(line, block)?;
        self.after(line, block)
    }

    fn http_setter(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        let Line { row, directive, values } = line;
        let first = values.first().copied().unwrap_or_default();
        match row.name {
            "server" if block.context == Contexts::UPSTREAM => self.upstream_server(values, block)?,
            "server" => self.server(directive, block),
            "location" => self.location(directive, values, block)?,
            "if" => {
                let context =
                    if block.context == Contexts::SERVER { Contexts::SERVER_IF } else { Contexts::LOCATION_IF };
                let condition = self.condition(directive, values, block);
                let failed = condition.is_err();
                self.report(directive, condition);
                if !failed {
                    self.anonymous(context, directive, block);
                }
            }
            "zone" => {
                self.upstream_in_zone(block);
                self.limit_setter(line, block)?;
            }
            "limit_except" => self.limit_except(directive, values, block)?,
            "upstream" => self.upstream_block(directive, first, block)?,
            "map" => self.map(directive, values, block)?,
            "geo" => self.geo(directive, values, block)?,
            "split_clients" => self.split_clients(directive, values, block)?,
            "geoip2" => self.geoip2(directive, values, block)?,
            "types" => self.types(directive)?,
            "charset_map" => self.charset_map(directive, values)?,
            "listen" => self.listen(directive, values, block)?,
            "server_name" => self.server_name(directive, values, block)?,
            "root" | "alias" => self.root(row.name, directive, first, block)?,
            "internal" => block.once("internal")?,
            "error_page" => self.error_page(directive, values, block)?,
            "try_files" => self.try_files(directive, values, block)?,
            "index" => self.index(directive, values, block)?,
            "allow" | "deny" => self.access_rule(directive, first)?,
            "set_real_ip_from" => self.realip_from(directive, first)?,
            "real_ip_header" => block.once("real_ip_header")?,
            "valid_referers" => self.valid_referers(directive, values, block)?,
            "auth_basic_user_file" => {
                block.once(row.name)?;
                self.text(first, directive, block)?;
            }
            "auth_request" => block.once(row.name)?,
            "auth_request_set" => {
                self.define(first, block.context)?;
                self.variables(block.context).mention(&first[1..], Some(directive.origin()))?;
                self.text(values.get(1).copied().unwrap_or_default(), directive, block)?;
            }
            "rewrite" => self.rewrite(directive, values, block)?,
            "return" => self.return_(directive, values, block)?,
            "set" => self.set_variable(directive, values, block)?,
            "disable_symlinks" => self.disable_symlinks(directive, values, block)?,
            "open_file_cache" => {
                block.once(row.name)?;
                file_cache(row.name, values)?;
            }
            "keepalive_timeout" => {
                block.once(row.name)?;
                let sound = value::time(first, false).is_some()
                    && values.get(1).is_none_or(|text| value::time(text, true).is_some());
                if !sound {
                    return bad("\"keepalive_timeout\" directive invalid value");
                }
            }
            "directio" => {
                block.once(row.name)?;
                if first != b"off" && value::offset(first).is_none() {
                    return bad("\"directio\" directive invalid value");
                }
            }
            "aio" => {
                block.once(row.name)?;
                let threads = first.strip_prefix(b"threads").filter(|rest| rest.is_empty() || rest.starts_with(b"="));
                match threads {
                    Some(pool) => self.text(pool, directive, block)?,
                    None if matches!(first, b"on" | b"off") => {}
                    None => return bad("\"aio\" directive invalid value"),
                }
            }
            "resolver" => {
                block.once(row.name)?;
                super::upstream::resolver(values)?;
            }
            "gzip_disable" => {
                for text in values.iter().filter(|text| **text != b"msie6") {
                    self.plain_regex(text, true)?;
                }
            }
            "add_header" | "add_trailer" => self.add_header(directive, values, block)?,
            "expires" => self.expires(directive, values, block)?,
            "mirror" => {
                if first == b"off" {
                    block.once("mirror")?;
                }
            }
            "log_format" => self.log_format(directive, values, block.context)?,
            "access_log" => self.access_log(directive, values, block)?,
            "open_log_file_cache" => {
                block.once(row.name)?;
                file_cache(row.name, values)?;
            }
            "error_log" => self.error_log(values)?,
            "charset" | "source_charset" | "override_charset" => {
                block.once(row.name)?;
                self.text(first, directive, block)?;
            }
            "sub_filter" => {
                if first.is_empty() {
                    return bad("empty search pattern");
                }
                for text in values {
                    self.text(text, directive, block)?;
                }
            }
            "secure_link" | "secure_link_md5" => self.text(first, directive, block)?,
            "ssl" => {
                block.once(row.name)?;
                super::setter::flag(row.name, first)?;
                self.warn(
                    directive,
                    "the \"ssl\" directive is deprecated, use the \"listen ... ssl\" directive instead",
                );
            }
            "stub_status" | "empty_gif" | "flv" | "mp4" => {}
            name if name.contains("_by_lua") => {
                if let ("set_by_lua" | "set_by_lua_file" | "set_by_lua_block", [name, ..]) = (name, values) {
                    self.define(name, block.context)?;
                }
            }
            "js_set" | "js_var" | "perl_set" | "keyval" | "auth_jwt_claim_set" | "auth_jwt_header_set" => {
                let name = if row.name == "keyval" { values.get(1).copied().unwrap_or_default() } else { first };
                self.define(name, block.context)?;
            }
            name if row.module == "ngx_http_set_misc_module" && !name.starts_with("set_base32") => {
                self.define(first, block.context)?;
            }
            _ => self.more_setters(line, block)?,
        }
        Ok(())
    }

    fn more_setters(&mut self, line: Line<'a, '_>, block: &mut Block<'a>) -> Verdict {
        if self.limit_setter(line, block)? || self.proxy_setter(line, block)? {
            return Ok(());
        }
        if !self.upstream_setter(line, block)? {
            self.misc_setter(line, block)?;
        }
        Ok(())
    }

    fn server(&mut self, directive: Placed<'a>, parent: &Block<'a>) {
        let index = self.http.servers.len();
        let at = (directive.span().file, directive.reported_at());
        self.http.servers.push(ServerNames { at: Some(at), ..ServerNames::default() });
        let mut block = self.scope(Contexts::SERVER, directive, Some(parent), Place::default(), Some(index));
        self.enter(directive, &mut block);
        if !block.facts.listens {
            let port = Port::any(80);
            let verdict = self.http.listens.add(port, index, false, false, false, false);
            self.report(directive, verdict.map_err(refusal));
        }
        self.leave(&mut block);
    }

    fn location(&mut self, directive: Placed<'a>, values: &[&'a [u8]], parent: &mut Block<'a>) -> Verdict {
        let place = self.place(directive, values, parent.context)?;
        if parent.context == Contexts::LOCATION {
            let outer = &parent.location;
            let (name, outside) = (|| show(place.name), || show(outer.name));
            match outer.kind {
                Match::Exact => {
                    return bad(format!(
                        "location \"{}\" cannot be inside the exact location \"{}\"",
                        name(),
                        outside()
                    ));
                }
                Match::Named => {
                    return bad(format!(
                        "location \"{}\" cannot be inside the named location \"{}\"",
                        name(),
                        outside()
                    ));
                }
                _ => {}
            }
            if place.kind == Match::Named {
                return bad(format!("named location \"{}\" can be on the server level only", name()));
            }
            if place.kind != Match::Regex && !place.name.starts_with(outer.name) {
                return bad(format!("location \"{}\" is outside location \"{}\"", name(), outside()));
            }
        }
        let mut block = self.scope(Contexts::LOCATION, directive, Some(parent), place, None);
        self.enter(directive, &mut block);
        self.leave(&mut block);
        Ok(())
    }

    /// The modifier may stand alone or be glued to the name.
    fn place(&mut self, directive: Placed<'a>, values: &[&'a [u8]], context: Contexts) -> Verdict<Place<'a>> {
        let (name, kind) = match values {
            [b"=", name] => (*name, Match::Exact),
            [b"^~", name] => (*name, Match::NoRegex),
            [b"~", name] => return self.regex_place(directive, name, false, context),
            [b"~*", name] => return self.regex_place(directive, name, true, context),
            [modifier, _] => return bad(format!("invalid location modifier \"{}\"", show(modifier))),
            [[b'=', name @ ..]] => (name, Match::Exact),
            [[b'^', b'~', name @ ..]] => (name, Match::NoRegex),
            [[b'~', b'*', name @ ..]] => return self.regex_place(directive, name, true, context),
            [[b'~', name @ ..]] => return self.regex_place(directive, name, false, context),
            [name @ [b'@', ..]] => (*name, Match::Named),
            [name] => (*name, Match::Prefix),
            _ => (&b""[..], Match::Prefix),
        };
        Ok(Place { name, kind, anonymous: false })
    }

    fn regex_place(
        &mut self,
        directive: Placed<'a>,
        source: &'a [u8],
        caseless: bool,
        context: Contexts,
    ) -> Verdict<Place<'a>> {
        self.regex(source, caseless, directive, context)?;
        Ok(Place { name: source, kind: Match::Regex, anonymous: false })
    }

    /// `if` and `limit_except`: the name is the parent's, and nothing else of it.
    fn anonymous(&mut self, context: Contexts, directive: Placed<'a>, parent: &Block<'a>) {
        let place = Place { name: parent.location.name, kind: Match::None, anonymous: true };
        let mut block = self.scope(context, directive, Some(parent), place, None);
        self.enter(directive, &mut block);
        self.leave(&mut block);
    }

    fn limit_except(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        const METHODS: [&str; 14] = [
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "DELETE",
            "MKCOL",
            "COPY",
            "MOVE",
            "OPTIONS",
            "PROPFIND",
            "PROPPATCH",
            "LOCK",
            "UNLOCK",
            "PATCH",
        ];
        block.once("limit_except")?;
        for method in values {
            if !METHODS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(method)) {
                return bad(format!("invalid method \"{}\"", show(method)));
            }
        }
        self.anonymous(Contexts::LIMIT_EXCEPT, directive, block);
        Ok(())
    }

    fn root(&mut self, name: &'static str, directive: Placed<'a>, path: &[u8], block: &mut Block<'a>) -> Verdict {
        match block.facts.root {
            Some(earlier) if earlier == name => return bad(format!("\"{name}\" directive is duplicate")),
            Some(earlier) => {
                return bad(format!(
                    "\"{name}\" directive is duplicate, \"{earlier}\" directive was specified earlier"
                ));
            }
            None => block.facts.root = Some(name),
        }
        if name == "alias" && block.location.kind == Match::Named {
            return bad("the \"alias\" directive cannot be used inside the named location");
        }
        for (variable, plain, braced) in [
            ("document_root", &b"$document_root"[..], &b"${document_root}"[..]),
            ("realpath_root", b"$realpath_root", b"${realpath_root}"),
        ] {
            let mentions = |form| memchr::memmem::find(path, form).is_some();
            if mentions(plain) || mentions(braced) {
                return bad(format!("the ${variable} variable cannot be used in the \"{name}\" directive"));
            }
        }
        self.text(path, directive, block)
    }

    fn error_page(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let [before @ .., uri] = values else { return Ok(()) };
        let codes = match before {
            [codes @ .., [b'=', code @ ..]] => {
                if codes.is_empty() || (!code.is_empty() && value::number(code).is_none()) {
                    return bad(format!("invalid value \"{}\"", show(before.last().copied().unwrap_or_default())));
                }
                codes
            }
            codes => codes,
        };
        self.text(uri, directive, block)?;
        for code in codes {
            match value::number(code) {
                None | Some(499) => return bad(format!("invalid value \"{}\"", show(code))),
                Some(300..=599) => {}
                Some(_) => return bad(format!("value \"{}\" must be between 300 and 599", show(code))),
            }
        }
        Ok(())
    }

    fn try_files(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.once("try_files")?;
        let [files @ .., last] = values else { return Ok(()) };
        for file in files {
            self.text(file.strip_suffix(b"/").unwrap_or(file), directive, block)?;
        }
        self.text(last, directive, block)?;
        match last {
            [b'=', code @ ..] if value::number(code).is_none_or(|code| code > 999) => {
                bad(format!("invalid code \"{}\"", show(last)))
            }
            _ => Ok(()),
        }
    }

    fn index(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        for (position, name) in values.iter().enumerate() {
            if name.first() == Some(&b'/') && position + 1 != values.len() {
                self.warn(directive, "only the last index in \"index\" directive should be absolute");
            }
            if name.is_empty() {
                return bad("index \"\" in \"index\" directive is invalid");
            }
            self.text(name, directive, block)?;
        }
        Ok(())
    }

    fn disable_symlinks(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.once("disable_symlinks")?;
        let (mut mode, mut from) = (None, false);
        for &text in values {
            match text {
                b"off" | b"on" | b"if_not_owner" => mode = Some(text),
                [b'f', b'r', b'o', b'm', b'=', path @ ..] => {
                    from = true;
                    self.text(path, directive, block)?;
                }
                _ => return bad(format!("invalid parameter \"{}\"", show(text))),
            }
        }
        let Some(mode) = mode else {
            return bad("\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter");
        };
        match (values, from) {
            ([first, second], false) => bad(format!("duplicate parameters \"{} {}\"", show(first), show(second))),
            (_, true) if mode == b"off" => bad("\"from=\" cannot be used with \"off\" parameter"),
            _ => Ok(()),
        }
    }

    fn server_name(&mut self, directive: Placed<'a>, values: &[&'a [u8]], block: &Block<'a>) -> Verdict {
        let Some(server) = self.http.scopes[block.facts.scope].server else { return Ok(()) };
        for name in values {
            let invalid = match name {
                [b'*', rest @ ..] => rest.len() < 2 || rest[0] != b'.',
                [b'.', rest @ ..] => rest.is_empty(),
                _ => false,
            };
            if invalid {
                return bad(format!("server name \"{}\" is invalid", show(name)));
            }
            if name.contains(&b'/') {
                self.warn(directive, format!("server name \"{}\" has suspicious symbols", show(name)));
            }
            match *name {
                b"~" => return bad("empty regex in server name \"~\""),
                [b'~', source @ ..] => {
                    let caseless = source.iter().any(u8::is_ascii_uppercase);
                    let pattern = self.regex(source, caseless, directive, block.context)?;
                    self.http.servers[server].captures = pattern.group_count() > 0;
                }
                _ => {}
            }
            self.http.servers[server].names.push(name);
        }
        Ok(())
    }

    fn add_header(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &Block<'a>) -> Verdict {
        let [name, text, rest @ ..] = values else { return Ok(()) };
        let _ = name;
        self.text(text, directive, block)?;
        match rest {
            [always] if *always != b"always" => bad(format!("invalid parameter \"{}\"", show(always))),
            _ => Ok(()),
        }
    }

    fn expires(&mut self, directive: Placed<'a>, values: &[&[u8]], block: &mut Block<'a>) -> Verdict {
        block.once("expires")?;
        let (text, modified) = match values {
            [text] => (*text, false),
            [b"modified", text] => (*text, true),
            _ => return bad("\"expires\" directive invalid value"),
        };
        self.text(text, directive, block)?;
        if text.contains(&b'$') || (!modified && matches!(text, b"epoch" | b"max" | b"off")) {
            return Ok(());
        }
        let (daily, time) = match text {
            [b'@', time @ ..] => (true, time),
            [b'+' | b'-', time @ ..] => (false, time),
            time => (false, time),
        };
        if daily && modified {
            return bad("\"expires\" directive daily time cannot be used with \"modified\" parameter");
        }
        match value::time(time, true) {
            None => bad("\"expires\" directive invalid value"),
            Some(seconds) if daily && seconds > 86_400 => {
                bad("\"expires\" directive daily time value must be less than 24 hours")
            }
            Some(_) => Ok(()),
        }
    }
}

/// `open_file_cache` and `open_log_file_cache`.
fn file_cache(name: &str, values: &[&[u8]]) -> Verdict {
    let log = name == "open_log_file_cache";
    let (mut max, mut off) = (0, false);
    for text in values {
        let number = |prefix: &[u8]| text.strip_prefix(prefix).map(value::number);
        let time = |prefix: &[u8]| text.strip_prefix(prefix).map(|time| value::time(time, true).is_some());
        let sound = if let Some(number) = number(b"max=") {
            max = number.unwrap_or(0);
            number.is_some_and(|number| log || number > 0)
        } else if let Some(sound) = time(b"inactive=") {
            sound
        } else if let (true, Some(number)) = (log, number(b"min_uses=")) {
            number.is_some()
        } else if let (true, Some(sound)) = (log, time(b"valid=")) {
            sound
        } else {
            off |= *text == b"off";
            *text == b"off"
        };
        if !sound {
            return bad(format!("invalid \"{name}\" parameter \"{}\"", show(text)));
        }
    }
    match off || max > 0 {
        true => Ok(()),
        false => bad(format!("\"{name}\" must have \"max\" parameter")),
    }
}

/// A refusal that nginx places at another directive than the one it reads.
pub(super) fn at(place: (FileId, u32), message: String) -> Refusal {
    Refusal { named: Named::At(place.0, place.1), ..refusal(message) }
}

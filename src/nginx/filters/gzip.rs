//! Which clients get gzip (`ngx_http_gzip_ok`): what `gzip_static` and the gzip filter ask first.

use std::sync::Arc;

use super::super::request::{Cx, Flow, HttpRequest};
use super::super::tables::browser::Msie;
use crate::fact::{Question, Subject};
use crate::pattern::{Options, Pattern};
use crate::request::HttpVersion;
use crate::source::{Origin, Setting};

/// The settings of a block.
#[derive(Clone, Debug)]
pub struct GzipClients {
    disabled: Vec<Setting<Arc<Pattern>>>,
    disabled_for_old_msie: bool,
    least_version: HttpVersion,
    /// For requests with a Via.
    proxied: Setting<Proxied>,
}

/// `gzip_proxied`, as far as the request decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxied {
    /// `off`: no request with a Via gets gzip.
    Off,
    /// `any`.
    Any,
    /// Headers of the response have a say; with `auth`, an Authorization is enough.
    Response { auth: bool },
}

impl Default for GzipClients {
    fn default() -> Self {
        GzipClients {
            disabled: Vec::new(),
            disabled_for_old_msie: false,
            least_version: HttpVersion::HTTP_11,
            proxied: Setting::default_value(Proxied::Off),
        }
    }
}

impl GzipClients {
    /// Takes `gzip_disable`, `gzip_http_version` or `gzip_proxied`.
    pub(super) fn set(&mut self, name: &[u8], args: &[&[u8]], origin: Origin, first_here: bool) {
        match name {
            b"gzip_disable" => {
                if first_here {
                    self.disabled.clear();
                    self.disabled_for_old_msie = false;
                }
                for &agent in args {
                    if agent == b"msie6" {
                        self.disabled_for_old_msie = true;
                    } else if let Ok(pattern) = Pattern::new(agent, Options::nginx(true)) {
                        self.disabled.push(Setting::new(Arc::new(pattern), origin));
                    }
                }
            }
            b"gzip_http_version" => {
                let old = args.first().is_some_and(|version| *version == b"1.0");
                self.least_version = if old { HttpVersion::HTTP_10 } else { HttpVersion::HTTP_11 };
            }
            b"gzip_proxied" => {
                let has = |word: &[u8]| args.iter().any(|arg| arg.eq_ignore_ascii_case(word));
                let proxied = match () {
                    () if has(b"off") => Proxied::Off,
                    () if has(b"any") => Proxied::Any,
                    () => Proxied::Response { auth: has(b"auth") },
                };
                self.proxied = Setting::new(proxied, origin);
            }
            _ => {}
        }
    }

    /// Whether the request may be answered with gzip.
    pub(in crate::nginx) fn accept<'a>(&self, r: &HttpRequest<'a>, cx: &mut Cx<'a>) -> Flow<bool> {
        let wanted = r.header(b"Accept-Encoding").is_some_and(lets_gzip_in);
        if !wanted || r.version < self.least_version || self.disabled_for_old_msie && Msie::of(r) == Msie::Old {
            return Flow::Continue(false);
        }
        let lets_proxy = r.header(b"Via").is_none()
            || match self.proxied.value {
                Proxied::Off => false,
                Proxied::Any => true,
                Proxied::Response { auth } if auth && r.header(b"Authorization").is_some() => true,
                Proxied::Response { .. } => {
                    let question = Question::at(Subject::Opaque("gzip_proxied".to_owned()), self.proxied.origin);
                    cx.inquiry.choose(question, &["the client gets gzip", "the client does not get gzip"]) == 0
                }
            };
        let Some(agent) = r.header(b"User-Agent").filter(|_| lets_proxy) else { return Flow::Continue(lets_proxy) };
        for pattern in &self.disabled {
            match pattern.value.is_match(agent) {
                Ok(true) => return Flow::Continue(false),
                Ok(false) => {}
                Err(_) => {
                    let source = String::from_utf8_lossy(pattern.value.source()).into_owned();
                    return cx.unknown(Question::at(Subject::MatchLimit(source), pattern.origin));
                }
            }
        }
        Flow::Continue(true)
    }
}

/// `gzip` or `*` among the codings, with a quality that is not zero.
fn lets_gzip_in(accept: &[u8]) -> bool {
    let quality = |coding: &[u8]| {
        let mut parts = coding.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next()?.to_ascii_lowercase();
        let zero = parts.any(|part| {
            let value = part.strip_prefix(b"q=").or(part.strip_prefix(b"Q="));
            value.is_some_and(|value| !value.is_empty() && value.iter().all(|byte| matches!(byte, b'0' | b'.')))
        });
        Some((name, !zero))
    };
    let codings: Vec<(Vec<u8>, bool)> = accept.split(|&byte| byte == b',').filter_map(quality).collect();
    let of = |name: &[u8]| codings.iter().find(|(coding, _)| coding == name).map(|&(_, wanted)| wanted);
    of(b"gzip").or(of(b"*")).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::lets_gzip_in;

    #[test]
    fn gzip_is_wanted_unless_its_quality_is_zero() {
        assert!(lets_gzip_in(b"gzip, deflate"));
        assert!(lets_gzip_in(b"br;q=1, gzip;q=0.1"));
        assert!(lets_gzip_in(b"*"));
        assert!(!lets_gzip_in(b"gzip;q=0.000, *"));
        assert!(!lets_gzip_in(b"deflate"));
    }
}

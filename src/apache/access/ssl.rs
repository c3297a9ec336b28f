//! What mod_ssl says about access: SSLRequireSSL, SSLRequire, SSLVerifyClient, StrictRequire, and the guard against
//! forged FakeBasicAuth credentials. What the handshake has to say is in [`handshake`].

use std::sync::Arc;

use base64::Engine;

use crate::apache::expr::{self, Expr, Failure};
use crate::apache::model::Command;
use crate::apache::request::{Cx, Handled, RequestRec, proceed, test_expr};
use crate::cause;
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::request::ClientCert;
use crate::source::Setting;

pub(crate) mod handshake;

pub(crate) use handshake::ServerRecord;

/// `SSLVerifyClient`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verify {
    /// `none`.
    None,
    /// `optional`.
    Optional,
    /// `require`.
    Require,
    /// `optional_no_ca`.
    OptionalNoCa,
}

/// The record of a place.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirRecord {
    require_ssl: Option<Setting<()>>,
    requirements: Vec<Setting<Arc<Expr>>>,
    verify_client: Option<Setting<Verify>>,
    strict_require: Option<Setting<bool>>,
    /// `SSLOptions +FakeBasicAuth` or `SSLUserName`: the certificate makes the user.
    user_of_certificate: Option<Setting<bool>>,
}

impl DirRecord {
    /// ssl_config_perdir_merge.
    pub fn merge(base: &Self, new: &Self) -> Self {
        DirRecord {
            require_ssl: new.require_ssl.or(base.require_ssl),
            requirements: base.requirements.iter().chain(&new.requirements).cloned().collect(),
            verify_client: new.verify_client.or(base.verify_client),
            strict_require: new.strict_require.or(base.strict_require),
            user_of_certificate: new.user_of_certificate.or(base.user_of_certificate),
        }
    }
}

/// The directives of mod_ssl that can refuse a request.
pub(crate) fn command(cmd: &Command, server: &mut ServerRecord, dir: &mut DirRecord) {
    match cmd.name.to_ascii_lowercase().as_str() {
        "sslrequiressl" => dir.require_ssl = Some(Setting::new((), cmd.origin)),
        "sslrequire" => {
            let context = expr::Context { ssl_compat: true, ..cmd.expr_context() };
            if let Ok(expr) = expr::parse(cmd.raw, context) {
                dir.requirements.push(Setting::new(Arc::new(expr), cmd.origin));
            }
        }
        "sslverifyclient" => {
            let verify = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                b"none" | b"off" => Verify::None,
                b"optional" => Verify::Optional,
                b"optional_no_ca" => Verify::OptionalNoCa,
                _ => Verify::Require,
            };
            let place = if cmd.at_server_level() { &mut server.verify_client } else { &mut dir.verify_client };
            *place = Some(Setting::new(verify, cmd.origin));
        }
        "ssloptions" => {
            for word in &cmd.args {
                let name = word.strip_prefix(b"+").or(word.strip_prefix(b"-")).unwrap_or(word);
                let signed = word.starts_with(b"+") || word.starts_with(b"-");
                for (known, option) in
                    [("StrictRequire", &mut dir.strict_require), ("FakeBasicAuth", &mut dir.user_of_certificate)]
                {
                    if name.eq_ignore_ascii_case(known.as_bytes()) {
                        *option = Some(Setting::new(!word.starts_with(b"-"), cmd.origin));
                    } else if !signed && option.is_none() {
                        *option = Some(Setting::new(false, cmd.origin));
                    }
                }
            }
        }
        "sslusername" => dir.user_of_certificate = Some(Setting::new(true, cmd.origin)),
        _ if cmd.at_server_level() => server.command(cmd),
        _ => {}
    }
}

/// ssl_hook_Access. Without TLS only SSLRequireSSL speaks; SSLRequire and SSLVerifyClient are not looked at.
pub(crate) fn check_access<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let record = r.per_dir.ssl.clone().unwrap_or_default();
    if !r.connection.tls {
        return match record.require_ssl {
            Some(setting) => refuse(r, &record, Decision::new(&cause::apache::SSL_REQUIRED).by(setting.origin)),
            None => Handled::Ok,
        };
    }
    if !r.server.ssl.as_ref().is_some_and(|server| server.is_on()) {
        return Handled::Ok;
    }
    proceed!(handshake::verify_again(record.verify_client, r, cx));
    if let Some(Setting { value: true, origin }) = record.user_of_certificate
        && r.connection.client_cert != ClientCert::None
    {
        return cx
            .unanswerable(Subject::Certificate("the user that the client's certificate names".to_owned()), origin);
    }
    for requirement in &record.requirements {
        match test_expr(&requirement.value, r, cx) {
            Ok(true) => {}
            Ok(false) => {
                let decision = Decision::new(&cause::apache::SSL_REQUIRE_EXPR).by(requirement.origin);
                return refuse(r, &record, decision);
            }
            Err(Failure::Error(_)) => {
                let mut decision = Decision::new(&cause::apache::SSL_REQUIRE_EXPR).by(requirement.origin);
                decision.log = Some("AH02265".to_owned());
                return refuse(r, &record, decision);
            }
            Err(Failure::Unknown) => return Handled::Unknown,
        }
    }
    Handled::Ok
}

/// Under StrictRequire the refusal outlives `Satisfy Any` (the `ssl-access-forbidden` note).
fn refuse(r: &mut RequestRec, record: &DirRecord, decision: Decision) -> Handled {
    if record.strict_require.is_some_and(|strict| strict.value) {
        r.notes.set(b"ssl-access-forbidden", b"1");
        r.strict_refusal = Some(Box::new(decision.clone()));
    }
    r.refuse(decision, 403)
}

/// ssl_hook_UserCheck: credentials like those that FakeBasicAuth makes are refused, on plain HTTP as well.
pub(crate) fn check_user_id<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("ssl_module") {
        return Handled::Declined;
    }
    if let Some(refused) = strict(r) {
        return refused;
    }
    if r.main.is_some() || r.prev.is_some() {
        return Handled::Declined;
    }
    let Some(line) = r.headers_in.get(b"Authorization") else { return Handled::Declined };
    let Some((scheme, code)) = line.split_at_checked(6) else { return Handled::Declined };
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return Handled::Declined;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(code.trim_ascii()).unwrap_or_default();
    if decoded.starts_with(b"/") && decoded.ends_with(b":password") {
        let by = r.wants_user;
        return r.refuse(Decision::new(&cause::apache::SSL_FAKE_BASIC_SPOOF).by(by), 403);
    }
    Handled::Declined
}

/// ssl_hook_Auth.
pub(crate) fn auth_checker<'c>(r: &mut RequestRec<'c>, _cx: &mut Cx<'c>) -> Handled {
    strict(r).unwrap_or(Handled::Declined)
}

fn strict(r: &mut RequestRec) -> Option<Handled> {
    let mut inner = r.strict_refusal.clone()?;
    let mut decision = Decision::new(&cause::apache::SSL_STRICT_REQUIRE).by(inner.directive);
    decision.related.append(&mut inner.related);
    decision.inner = Some(inner);
    Some(r.refuse(decision, 403))
}

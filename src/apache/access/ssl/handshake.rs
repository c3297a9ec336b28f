//! The TLS handshake as far as it decides: which host's settings it uses, whether a client certificate is asked for, and
//! which other hosts a request may then name.

use std::collections::BTreeMap;

use super::Verify;
use crate::apache::model::{Command, ServerConf};
use crate::apache::request::{Cx, Handled, RequestRec};
use crate::apache::variables::to_path;
use crate::apache::vhost::Chain;
use crate::cause;
use crate::client_cert::{Terms, Verdict};
use crate::fact::Subject;
use crate::outcome::Decision;
use crate::request::ClientCert;
use crate::source::Setting;

/// `SSLVHostSNIPolicy`: which settings two hosts must share, so that a request may name another one than the handshake did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SniPolicy {
    /// None.
    Insecure,
    /// Those by which the client is known.
    AuthOnly,
    /// Those, and the server's own: protocols, ciphers, certificates. The default.
    Secure,
    /// It must be the same host.
    Strict,
}

/// The record of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerRecord {
    /// `SSLEngine`.
    pub engine: Option<Setting<bool>>,
    /// `SSLVerifyClient` at server level: part of the handshake.
    pub verify_client: Option<Setting<Verify>>,
    /// `SSLStrictSNIVHostCheck`.
    strict_sni: Option<Setting<bool>>,
    /// `SSLVHostSNIPolicy`, of the main server only.
    policy: Option<Setting<SniPolicy>>,
    /// The other settings that hosts may differ in, by directive in lower case; files as absolute paths.
    settings: BTreeMap<String, Vec<Vec<u8>>>,
}

/// Settings by which the client is known, with the defaults that are the same as saying nothing.
const CLIENT: [(&str, Option<&str>); 9] = [
    ("sslverifydepth", Some("1")),
    ("sslcacertificatefile", None),
    ("sslcacertificatepath", None),
    ("sslcadnrequestfile", None),
    ("sslcadnrequestpath", None),
    ("sslcarevocationfile", None),
    ("sslcarevocationpath", None),
    ("sslcarevocationcheck", Some("none")),
    ("sslocspenable", Some("off")),
];

/// The server's own.
const SERVER: [&str; 5] =
    ["sslprotocol", "sslciphersuite", "sslciphersuite tlsv1.3", "sslcertificatefile", "sslcertificatekeyfile"];

/// Settings whose value is opaque here: where they differ, whether the hosts do is asked.
const OPAQUE: [&str; 1] = ["sslopensslconfcmd"];

/// The versions that `SSLProtocol` knows, which is also what `all` means.
const VERSIONS: [&str; 4] = ["tlsv1", "tlsv1.1", "tlsv1.2", "tlsv1.3"];

impl ServerRecord {
    /// One directive at server level.
    pub fn command(&mut self, cmd: &Command) {
        let name = cmd.name.to_ascii_lowercase();
        let flag = || Some(Setting::new(cmd.flag(), cmd.origin));
        match name.as_str() {
            // `optional` upgrades on request only; a plain connection stays plain.
            "sslengine" => self.engine = flag(),
            "sslstrictsnivhostcheck" => self.strict_sni = flag(),
            "sslvhostsnipolicy" => {
                let policy = match cmd.arg(0).unwrap_or_default().to_ascii_lowercase().as_slice() {
                    b"insecure" => SniPolicy::Insecure,
                    b"authonly" => SniPolicy::AuthOnly,
                    b"strict" => SniPolicy::Strict,
                    _ => SniPolicy::Secure,
                };
                self.policy = Some(Setting::new(policy, cmd.origin));
            }
            "sslprotocol" => {
                let versions = protocols(&cmd.args);
                self.settings.insert(name, versions.into_iter().map(|name| name.as_bytes().to_vec()).collect());
            }
            "sslciphersuite" => {
                let tls13 = cmd.args.len() == 2 && cmd.args[0].eq_ignore_ascii_case(b"TLSv1.3");
                let key = if tls13 { format!("{name} tlsv1.3") } else { name };
                self.settings.insert(key, cmd.args.last().map(|word| word.to_vec()).into_iter().collect());
            }
            // Several certificates add up, those of the main server and of the host, too.
            "sslcertificatefile" | "sslcertificatekeyfile" => {
                let file = cmd.server_root_relative(cmd.arg(0).unwrap_or_default());
                self.settings.entry(name).or_default().push(file);
            }
            "sslopensslconfcmd" => {
                let words = cmd.args.join(&b' ');
                self.settings.entry(name).or_default().push(words);
            }
            known if CLIENT.iter().any(|(name, _)| *name == known) => {
                let word = cmd.arg(0).unwrap_or_default();
                let is_path = known.ends_with("file") || known.ends_with("path");
                let value = if is_path { cmd.server_root_relative(word) } else { word.to_ascii_lowercase() };
                self.settings.insert(name, vec![value]);
            }
            _ => {}
        }
    }

    /// ssl_config_server_merge.
    pub fn merge(base: &Self, new: &Self) -> Self {
        let mut settings = base.settings.clone();
        for (name, values) in &new.settings {
            let list = name.starts_with("sslcertificate") || OPAQUE.contains(&name.as_str());
            let earlier = settings.remove(name).filter(|_| list).unwrap_or_default();
            settings.insert(name.clone(), [earlier, values.clone()].concat());
        }
        ServerRecord {
            engine: new.engine.or(base.engine),
            verify_client: new.verify_client.or(base.verify_client),
            strict_sni: new.strict_sni.or(base.strict_sni),
            policy: new.policy.or(base.policy),
            settings,
        }
    }

    /// Whether connections to this server are TLS.
    pub fn is_on(&self) -> bool {
        self.engine.is_some_and(|engine| engine.value)
    }

    fn verify(&self) -> Verify {
        self.verify_client.map_or(Verify::None, |verify| verify.value)
    }

    /// Whether TLS 1.3 is spoken, which every client of today prefers.
    fn has_tls13(&self) -> bool {
        self.settings.get("sslprotocol").is_none_or(|versions| versions.iter().any(|version| version == b"tlsv1.3"))
    }

    /// A setting in the form in which two are compared: defaults spelled out are no settings, lists are sets.
    fn setting(&self, name: &str) -> Vec<&[u8]> {
        let mut values: Vec<&[u8]> = self.settings.get(name).into_iter().flatten().map(Vec::as_slice).collect();
        values.sort_unstable();
        values.dedup();
        let default = CLIENT.iter().find(|(known, _)| *known == name).and_then(|(_, default)| *default);
        if default.is_some_and(|default| values == [default.as_bytes()])
            || (name == "sslprotocol" && values.len() == VERSIONS.len())
        {
            values.clear();
        }
        values
    }

    fn same(&self, other: &Self, names: impl IntoIterator<Item = &'static str>) -> bool {
        names.into_iter().all(|name| self.setting(name) == other.setting(name))
    }
}

/// ssl_cmd_protocol_parse: what is left of `all -TLSv1 +TLSv1.1`.
fn protocols(words: &[&[u8]]) -> Vec<&'static str> {
    let mut on: Vec<&'static str> = Vec::new();
    for word in words {
        let (sign, name) = match word.split_first() {
            Some((sign @ (b'+' | b'-'), name)) => (Some(*sign), name),
            _ => (None, *word),
        };
        let named: Vec<&'static str> = VERSIONS
            .into_iter()
            .filter(|version| name.eq_ignore_ascii_case(b"all") || name.eq_ignore_ascii_case(version.as_bytes()))
            .collect();
        if sign.is_none() {
            on.clear();
        }
        on.retain(|version| !named.contains(version));
        if sign != Some(b'-') {
            on.extend(named);
        }
    }
    on
}

/// The host whose settings the handshake uses: the one that SNI names, else the first of the address (init_vhost).
fn host<'c>(r: &RequestRec<'c>, chain: &Chain, cx: &Cx<'c>) -> &'c ServerConf {
    let named = r.connection.sni.as_ref().and_then(|name| chain.by_name(&cx.config.servers, name));
    named.and_then(|index| cx.config.servers.get(index)).unwrap_or(r.server)
}

/// The handshake of a TLS connection. `r.server` is the first host of the address; what the client shows of its
/// certificate afterwards is what it was asked for.
pub(crate) fn handshake<'c>(r: &mut RequestRec<'c>, chain: &Chain, cx: &mut Cx<'c>) -> Handled {
    let host = host(r, chain, cx);
    r.connection.handshake = Some(host.index);
    let (own, first) = (host.ssl.clone().unwrap_or_default(), r.server.ssl.clone().unwrap_or_default());
    // A host without TLS lends its name to the handshake of the first one, and lets no certificate pass.
    let record = if own.is_on() { &own } else { &first };
    let by = record.verify_client.and_then(|verify| verify.origin);
    let refused = |r: &mut RequestRec| {
        r.decision = Some(Decision::new(&cause::apache::SSL_HANDSHAKE).by(by));
        Handled::Closed
    };
    r.connection.offered = r.connection.client_cert.clone();
    let verify = record.verify();
    if verify == Verify::None {
        r.connection.client_cert = ClientCert::None;
        return Handled::Ok;
    }
    if r.connection.offered == ClientCert::None {
        return if verify == Verify::Require { refused(r) } else { Handled::Ok };
    }
    if !own.is_on() {
        return refused(r);
    }
    match verdict(&own, r, cx) {
        Verdict::None | Verdict::Accepted => {
            r.connection.client_cert = ClientCert::Ok;
            Handled::Ok
        }
        // ssl_verify_error_is_optional.
        Verdict::UnknownIssuer if verify == Verify::OptionalNoCa => {
            r.connection.client_cert = ClientCert::Failed;
            Handled::Ok
        }
        Verdict::UnknownIssuer | Verdict::Refused => refused(r),
    }
}

/// What a host makes of the certificate that the client would show it.
fn verdict(record: &ServerRecord, r: &RequestRec, cx: &Cx) -> Verdict {
    let files = ["sslcacertificatefile", "sslcacertificatepath"].iter().filter_map(|name| record.settings.get(*name));
    let terms = Terms {
        authorities: files.flatten().map(|file| to_path(file)).collect(),
        any_issuer: record.verify() == Verify::OptionalNoCa,
        origin: record.verify_client.and_then(|verify| verify.origin),
        world: cx.world,
        inquiry: cx.inquiry,
    };
    terms.verdict(&r.connection.offered)
}

/// ssl_hook_ReadReq: the host of the request, where it is not the one of the handshake, must share its settings.
pub(crate) fn post_read_request<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(index) = r.connection.handshake.filter(|_| !r.forward_proxy) else { return Handled::Declined };
    if r.main.is_some() || r.prev.is_some() {
        return Handled::Declined;
    }
    let Some(host) = cx.config.servers.get(index) else { return Handled::Declined };
    let (own, new) = (host.ssl.clone().unwrap_or_default(), r.server.ssl.clone().unwrap_or_default());
    if r.connection.sni.is_none() {
        let strict = [new.strict_sni, own.strict_sni].into_iter().flatten().find(|strict| strict.value);
        let named = !cx.config.chains.given_ip(r.connection.local).is_single();
        if let Some(setting) = strict.filter(|_| named) {
            return r.refuse(Decision::new(&cause::apache::SSL_SNI_STRICT).by(setting.origin), 403);
        }
    } else if r.hostname.is_none() {
        let mut decision = Decision::new(&cause::apache::HOST_MISSING);
        decision.log = Some("AH02031".to_owned());
        return r.refuse(decision, 400);
    }
    if r.server.index == index {
        return Handled::Declined;
    }
    let policy = own.policy.map_or(SniPolicy::Secure, |policy| policy.value);
    let same_client = || own.verify() == new.verify() && own.same(&new, CLIENT.map(|(name, _)| name));
    let same_host = || match (own.is_on(), new.is_on()) {
        (true, true) => true,
        (false, false) => !cx.assume(
            Subject::Other("whether two hosts without TLS of their own share their settings".to_owned()),
            r.server.origin,
            "they do not",
            "they do",
        ),
        _ => false,
    };
    let same_opaque = || {
        own.same(&new, OPAQUE)
            || !cx.assume(
                Subject::Opaque("SSLOpenSSLConfCmd".to_owned()),
                r.server.origin,
                "the settings of the two hosts differ",
                "the settings of the two hosts are the same",
            )
    };
    let same = match policy {
        SniPolicy::Insecure => true,
        SniPolicy::Strict => false,
        SniPolicy::AuthOnly => same_client() && same_host() && same_opaque(),
        SniPolicy::Secure => same_client() && own.same(&new, SERVER) && same_host() && same_opaque(),
    };
    if same {
        return Handled::Declined;
    }
    let by = own.policy.and_then(|policy| policy.origin).or(r.server.origin);
    r.refuse(Decision::new(&cause::apache::SSL_SNI_MISMATCH).by(by), 421)
}

/// What a place asks of the client's certificate beyond the handshake (ssl_hook_Access_modern, ssl_hook_Access_classic).
/// TLS 1.3 asks for it after the handshake, which few clients do; before, the handshake is done again.
pub(crate) fn verify_again<'c>(place: Option<Setting<Verify>>, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let host = r.connection.handshake.and_then(|index| cx.config.servers.get(index));
    let in_place = host.and_then(|host| host.ssl.clone()).unwrap_or_default();
    let server = r.server.ssl.as_ref().and_then(|ssl| ssl.verify_client);
    let asked: Vec<Setting<Verify>> = [place, server].into_iter().flatten().collect();
    let required = asked.iter().find(|verify| verify.value == Verify::Require);
    let Some(needed) = required.or_else(|| asked.iter().find(|verify| verify.value != Verify::None)) else {
        return Handled::Ok;
    };
    let stricter = match in_place.verify() {
        Verify::None => true,
        Verify::Optional | Verify::OptionalNoCa => needed.value == Verify::Require,
        Verify::Require => false,
    };
    if !stricter {
        return Handled::Ok;
    }
    let decision = |log: &str| {
        let mut decision = Decision::new(&cause::apache::SSL_CLIENT_CERT).by(needed.origin);
        decision.log = Some(log.to_owned());
        decision
    };
    // A client that has no certificate says nothing of asking for it later, either.
    if in_place.has_tls13()
        && (r.connection.offered == ClientCert::None
            || cx.assume(
                Subject::Other("whether the client shows a certificate after the handshake".to_owned()),
                needed.origin,
                "the client cannot be asked for a certificate after the handshake of TLS 1.3",
                "the client can be asked for a certificate after the handshake",
            ))
    {
        return r.refuse(decision("AH10158"), 403);
    }
    let shown = verdict(&in_place, r, cx) == Verdict::Accepted;
    let broken = r.connection.offered != ClientCert::None && needed.value != Verify::OptionalNoCa;
    if !shown && (broken || needed.value == Verify::Require) {
        if in_place.has_tls13() {
            return r.refuse(decision(if broken { "AH02262" } else { "AH02263" }), 403);
        }
        // The handshake that is done again fails, and the connection with it.
        r.decision = Some(decision("AH02261"));
        return Handled::Closed;
    }
    r.connection.client_cert = if shown { ClientCert::Ok } else { r.connection.offered.clone() };
    Handled::Ok
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_words_add_up() {
        assert_eq!(protocols(&[b"all"]), VERSIONS);
        assert_eq!(protocols(&[b"all", b"-TLSv1", b"-tlsv1.1", b"-SSLv3"]), ["tlsv1.2", "tlsv1.3"]);
        assert_eq!(protocols(&[b"-all", b"+TLSv1.2"]), ["tlsv1.2"]);
        assert_eq!(protocols(&[b"TLSv1.2", b"TLSv1.3"]), ["tlsv1.3"]);
    }

    #[test]
    fn defaults_spelled_out_are_no_settings() {
        let record = |name: &str, value: &str| ServerRecord {
            settings: BTreeMap::from([(name.to_owned(), vec![value.as_bytes().to_vec()])]),
            ..ServerRecord::default()
        };
        let none = ServerRecord::default();
        let names = || CLIENT.map(|(name, _)| name);
        assert!(record("sslverifydepth", "1").same(&none, names()));
        assert!(!record("sslverifydepth", "3").same(&none, names()));
        assert!(!record("sslcacertificatefile", "/ca").same(&none, names()));
    }
}

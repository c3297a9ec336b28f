//! Who is it: mod_authn_core (`AuthType`, `AuthName`), mod_auth_basic, and the providers mod_authn_file and
//! mod_authn_anon.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;

use crate::apache::access::providers::{Aliases, MAX_FILE};
use crate::apache::expr::{self, Failure, StringExpr};
use crate::apache::model::{Command, DirConf, PerDir};
use crate::apache::request::{Cx, Handled, RequestRec, expr_text};
use crate::cause;
use crate::cause::Cause;
use crate::fact::{Fact, Question, Subject};
use crate::outcome::{Decision, Related};
use crate::password::{Verdict, verify_apache};
use crate::source::{Origin, Setting};
use crate::trace::apache::Event;

/// mod_authn_core's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoreRecord {
    /// AuthType.
    pub auth_type: Option<Setting<Arc<StringExpr>>>,
    /// AuthName.
    pub auth_name: Option<Setting<Arc<StringExpr>>>,
}

impl CoreRecord {
    /// merge_authn_core_dir_config.
    pub fn merge(base: &Self, new: &Self) -> Self {
        CoreRecord {
            auth_type: new.auth_type.clone().or_else(|| base.auth_type.clone()),
            auth_name: new.auth_name.clone().or_else(|| base.auth_name.clone()),
        }
    }

    /// `AuthType` or `AuthName`.
    pub fn command(&mut self, cmd: &Command) {
        let text = cmd.arg(0).and_then(|word| expr::parse_string(word, cmd.expr_context()).ok());
        let setting = text.map(|text| Setting::new(Arc::new(text), cmd.origin));
        if cmd.name.eq_ignore_ascii_case("AuthType") {
            self.auth_type = setting;
        } else {
            self.auth_name = setting;
        }
    }
}

/// A provider named by AuthBasicProvider.
#[derive(Clone, Debug)]
pub(crate) enum Provider {
    /// `file`.
    File,
    /// `anon`.
    Anon,
    /// Any other: what it says is not known.
    Opaque(String),
    /// An `<AuthnProviderAlias>`.
    Alias(Box<Provider>, Arc<DirConf>),
}

/// mod_auth_basic's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct BasicRecord {
    providers: Option<Setting<Vec<Provider>>>,
    authoritative: Option<Setting<bool>>,
    fake: Option<Setting<Option<Fake>>>,
    digest: Option<Setting<bool>>,
}

impl BasicRecord {
    /// merge_auth_basic_dir_config.
    pub fn merge(base: &Self, new: &Self) -> Self {
        BasicRecord {
            providers: new.providers.clone().or_else(|| base.providers.clone()),
            authoritative: new.authoritative.or(base.authoritative),
            fake: new.fake.clone().or_else(|| base.fake.clone()),
            digest: new.digest.or(base.digest),
        }
    }

    /// `AuthBasicProvider`, `AuthBasicAuthoritative`, `AuthBasicFake`, `AuthBasicUseDigestAlgorithm`.
    pub fn command(&mut self, cmd: &Command, aliases: &Aliases) {
        let off = cmd.arg(0).is_some_and(|word| word.eq_ignore_ascii_case(b"off"));
        match cmd.name.to_ascii_lowercase().as_str() {
            "authbasicprovider" => {
                let list = self.providers.get_or_insert_with(|| Setting::new(Vec::new(), cmd.origin));
                list.value.extend(cmd.args.iter().map(|name| provider(name, aliases)));
            }
            "authbasicauthoritative" => self.authoritative = Some(Setting::new(cmd.flag(), cmd.origin)),
            "authbasicfake" => self.fake = Some(Setting::new(Fake::parse(cmd).filter(|_| !off), cmd.origin)),
            "authbasicusedigestalgorithm" => self.digest = Some(Setting::new(!off, cmd.origin)),
            _ => {}
        }
    }
}

/// `AuthBasicFake user password`: the credentials that are passed on in place of what was sent.
#[derive(Clone, Debug)]
struct Fake {
    user: Arc<StringExpr>,
    password: Arc<StringExpr>,
}

impl Fake {
    fn parse(cmd: &Command) -> Option<Self> {
        let text = |word| expr::parse_string(word, cmd.expr_context()).ok().map(Arc::new);
        Some(Fake { user: text(cmd.arg(0)?)?, password: text(cmd.arg(1).unwrap_or(b"password"))? })
    }
}

pub(super) fn provider(name: &[u8], aliases: &Aliases) -> Provider {
    match name.to_ascii_lowercase().as_slice() {
        b"file" => Provider::File,
        b"anon" => Provider::Anon,
        _ => match aliases.authn.get(name) {
            Some((base, conf)) => Provider::Alias(Box::new(provider(base, &Aliases::default())), conf.clone()),
            None => Provider::Opaque(String::from_utf8_lossy(name).into_owned()),
        },
    }
}

/// mod_authn_file's record.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileRecord {
    /// AuthUserFile.
    pub file: Option<Setting<Vec<u8>>>,
}

impl FileRecord {
    /// `AuthUserFile path`.
    pub fn command(&mut self, cmd: &Command) {
        self.file = cmd.arg(0).map(|name| Setting::new(cmd.server_root_relative(name), cmd.origin));
    }
}

/// mod_authn_anon's record.
#[derive(Clone, Debug)]
pub(crate) struct AnonRecord {
    users: Vec<Vec<u8>>,
    no_user_id: bool,
    must_give_email: bool,
    verify_email: bool,
}

impl Default for AnonRecord {
    fn default() -> Self {
        AnonRecord { users: Vec::new(), no_user_id: false, must_give_email: true, verify_email: false }
    }
}

impl AnonRecord {
    /// The directives of mod_authn_anon.
    pub fn command(&mut self, cmd: &Command) {
        match cmd.name.to_ascii_lowercase().as_str() {
            "anonymous" => self.users.extend(cmd.args.iter().map(|name| name.to_vec())),
            "anonymous_mustgiveemail" => self.must_give_email = cmd.flag(),
            "anonymous_nouserid" => self.no_user_id = cmd.flag(),
            "anonymous_verifyemail" => self.verify_email = cmd.flag(),
            _ => {}
        }
    }
}

/// An AuthType in force, evaluated, with its directive.
pub(crate) struct AuthType {
    /// The value.
    pub value: Vec<u8>,
    /// Its line.
    pub origin: Option<Origin>,
}

/// ap_auth_type: `None` in any case is none. `Err`: not known.
pub(crate) fn auth_type<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Option<AuthType>, Handled> {
    let Some(setting) = r.per_dir.authn_core.as_ref().and_then(|record| record.auth_type.clone()) else {
        return Ok(None);
    };
    match expr_text(&setting.value, r, cx) {
        Ok(value) if value.eq_ignore_ascii_case(b"none") => Ok(None),
        Ok(value) => Ok(Some(AuthType { value, origin: setting.origin })),
        Err(Failure::Error(_)) => Ok(None),
        Err(Failure::Unknown) => Err(Handled::Unknown),
    }
}

/// mod_auth_basic, authenticate_basic_user.
pub(crate) fn authenticate_basic_user<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("auth_basic_module") {
        return Handled::Declined;
    }
    let current = match auth_type(r, cx) {
        Ok(Some(current)) if current.value.eq_ignore_ascii_case(b"basic") => current,
        Ok(_) => return Handled::Declined,
        Err(ended) => return ended,
    };
    let record = r.per_dir.auth_basic.clone().unwrap_or_default();
    if r.per_dir.authn_core.as_ref().is_none_or(|record| record.auth_name.is_none()) {
        return r.refuse(Decision::new(&cause::apache::AUTHNAME_MISSING).by(current.origin), 500);
    }
    r.auth_type = Some(current.value.clone());
    let header = if r.forward_proxy { &b"Proxy-Authorization"[..] } else { b"Authorization" };
    let Some(line) = r.headers_in.get(header).map(<[u8]>::to_vec) else {
        return challenge(r, &cause::apache::AUTHENTICATION_REQUIRED, current.origin);
    };
    let space = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    if !line[..space].eq_ignore_ascii_case(b"basic") {
        return challenge(r, &cause::apache::WRONG_AUTH_SCHEME, current.origin);
    }
    let decoded = decode(line[space..].trim_ascii_start());
    let colon = decoded.iter().position(|&byte| byte == b':').unwrap_or(decoded.len());
    let (user, password) = (decoded[..colon].to_vec(), decoded.get(colon + 1..).unwrap_or_default().to_vec());
    r.user = Some(user.clone());

    let listed = record.providers.as_ref().map_or(&[][..], |providers| &providers.value);
    let default = [Provider::File];
    let providers = if listed.is_empty() { &default[..] } else { listed };
    let mut answer = Answer::NotFound(None);
    for provider in providers {
        if record.digest.is_some_and(|digest| digest.value) {
            return cx.unanswerable(
                Subject::Opaque("AuthBasicUseDigestAlgorithm".to_owned()),
                record.digest.and_then(|digest| digest.origin),
            );
        }
        answer = check_password(provider, &user, &password, r, cx);
        if !matches!(answer, Answer::NotFound(_)) {
            break;
        }
    }
    let authoritative = record.authoritative.is_none_or(|setting| setting.value);
    match answer {
        Answer::Granted => Handled::Ok,
        Answer::Unknown => Handled::Unknown,
        Answer::Denied(origin) => challenge(r, &cause::apache::PASSWORD_MISMATCH, origin),
        _ if !authoritative => Handled::Declined,
        Answer::NotFound(origin) => challenge(r, &cause::apache::USER_NOT_FOUND, origin.or(current.origin)),
        Answer::Error(log, origin) => {
            let mut decision = Decision::new(&cause::apache::PASSWORD_FILE).by(origin.or(current.origin));
            decision.default = origin.is_none();
            decision.log = Some(log.to_owned());
            r.refuse(decision, 500)
        }
    }
}

/// fixups (authenticate_basic_fake): the header that a script or a back end gets, and what is asked later on its behalf.
pub(crate) fn fake_basic<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let Some(Setting { value: Some(fake), origin }) =
        r.per_dir.auth_basic.as_ref().and_then(|record| record.fake.clone())
    else {
        return Handled::Declined;
    };
    let mut login: Vec<Vec<u8>> = Vec::new();
    for (text, log) in [(&fake.user, "AH02455"), (&fake.password, "AH02456")] {
        match expr_text(text, r, cx) {
            Ok(text) if text.is_empty() => {
                r.headers_in.unset(b"Authorization");
                return Handled::Declined;
            }
            Ok(text) => login.push(text),
            Err(Failure::Unknown) => return Handled::Unknown,
            Err(Failure::Error(_)) => {
                let mut decision = Decision::new(&cause::apache::BASIC_FAKE).by(origin);
                decision.log = Some(log.to_owned());
                return r.refuse(decision, 500);
            }
        }
    }
    let login = base64::engine::general_purpose::STANDARD.encode(login.join(&b':'));
    r.headers_in.set(b"Authorization", format!("Basic {login}").as_bytes());
    Handled::Ok
}

/// 401: by the line that asks for a user, with what else decided.
pub(super) fn challenge(r: &mut RequestRec, cause: &'static Cause, origin: Option<Origin>) -> Handled {
    let by = r.wants_user.or(origin);
    let mut decision = Decision::new(cause).by(by);
    decision
        .related
        .extend(origin.filter(|origin| by != Some(*origin)).map(|origin| Related { role: "authentication", origin }));
    r.refuse(decision, 401)
}

/// Base64 as apr decodes it: up to the first character that is none.
fn decode(text: &[u8]) -> Vec<u8> {
    let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'+' || *byte == b'/';
    let code: Vec<u8> = text.iter().copied().take_while(is_code).collect();
    // A single left-over character holds no byte.
    let usable = if code.len() % 4 == 1 { &code[..code.len() - 1] } else { &code[..] };
    let lenient = base64::engine::GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent);
    let engine = base64::engine::GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
    let mut decoded = engine.decode(usable).unwrap_or_default();
    // What follows a NUL is not seen as password.
    if let Some(nul) = decoded.iter().position(|&byte| byte == 0) {
        decoded.truncate(nul);
    }
    decoded
}

/// What a provider says of a user.
enum Answer {
    Granted,
    Denied(Option<Origin>),
    NotFound(Option<Origin>),
    /// AUTH_GENERAL_ERROR, with its log number.
    Error(&'static str, Option<Origin>),
    Unknown,
}

fn check_password<'c>(
    provider: &Provider,
    user: &[u8],
    password: &[u8],
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Answer {
    match provider {
        Provider::File => file(user, password, r, cx),
        Provider::Anon => anon(user, password, r),
        Provider::Opaque(name) => {
            cx.unanswerable(Subject::Opaque(format!("AuthBasicProvider {name}")), None);
            Answer::Unknown
        }
        Provider::Alias(base, conf) => {
            let own = r.per_dir.clone();
            r.per_dir = PerDir::new(Arc::new(DirConf::merge(&own, conf)), cx.identity());
            let answer = check_password(base, user, password, r, cx);
            r.per_dir = own;
            answer
        }
    }
}

/// Why an AuthUserFile gives no users.
enum UserFile {
    /// AUTH_GENERAL_ERROR, with its log number.
    Error(&'static str, Option<Origin>),
    Unknown,
}

/// The text of the AuthUserFile; the numbers are logged where none is named, and where it cannot be opened.
fn user_file(
    r: &RequestRec,
    cx: &Cx,
    (unnamed, closed): (&'static str, &'static str),
) -> Result<(Arc<[u8]>, Option<Origin>), UserFile> {
    let Some(file) = r.per_dir.authn_file.as_ref().and_then(|record| record.file.as_ref()) else {
        return Err(UserFile::Error(unnamed, None));
    };
    // The one file that need not be regular (ap_pcfg_openfile).
    if file.value == b"/dev/null" {
        return Ok((Arc::default(), file.origin));
    }
    match cx.disk.read(Path::new(OsStr::from_bytes(&file.value)), MAX_FILE) {
        Err(_) => Err(UserFile::Error(closed, file.origin)),
        Ok(Fact::Known(text)) => Ok((text, file.origin)),
        Ok(Fact::Unknown(question)) => {
            cx.inquiry.unanswerable(Question::at(question.subject, file.origin));
            Err(UserFile::Unknown)
        }
    }
}

/// The lines that are neither empty nor a comment.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// What providers have of a user in a realm.
pub(super) enum Hash {
    /// The hash of user, realm and password, and the file it stands in.
    Found(Vec<u8>, Option<Origin>),
    NotFound(Option<Origin>),
    /// AUTH_GENERAL_ERROR, with its log number.
    Error(&'static str, Option<Origin>),
    Unknown,
}

/// get_hash of mod_auth_digest: the first provider that knows the user; without any, mod_authn_file.
pub(super) fn realm_hash<'c>(
    providers: &[Provider],
    user: &[u8],
    realm: &[u8],
    r: &mut RequestRec<'c>,
    cx: &mut Cx<'c>,
) -> Hash {
    let mut found = Hash::NotFound(None);
    for provider in if providers.is_empty() { &[Provider::File] } else { providers } {
        found = match provider {
            Provider::File => file_hash(user, realm, r, cx),
            Provider::Alias(base, conf) => {
                let own = r.per_dir.clone();
                r.per_dir = PerDir::new(Arc::new(DirConf::merge(&own, conf)), cx.identity());
                let found = realm_hash(std::slice::from_ref(base), user, realm, r, cx);
                r.per_dir = own;
                found
            }
            Provider::Anon => Hash::NotFound(None),
            Provider::Opaque(name) => {
                cx.unanswerable(Subject::Opaque(format!("AuthDigestProvider {name}")), None);
                Hash::Unknown
            }
        };
        if !matches!(found, Hash::NotFound(_)) {
            break;
        }
    }
    found
}

/// get_realm_hash of mod_authn_file: `user:realm:hash`.
fn file_hash(user: &[u8], realm: &[u8], r: &RequestRec, cx: &Cx) -> Hash {
    let (text, origin) = match user_file(r, cx, ("AH01621", "AH01622")) {
        Ok(read) => read,
        Err(UserFile::Error(log, origin)) => return Hash::Error(log, origin),
        Err(UserFile::Unknown) => return Hash::Unknown,
    };
    let hash = lines(&text).find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        let same = fields.next() == Some(user) && fields.next() == Some(realm);
        same.then(|| fields.next().unwrap_or_default().to_vec())
    });
    hash.map_or(Hash::NotFound(origin), |hash| Hash::Found(hash, origin))
}

/// mod_authn_file: the first line whose text before the colon is the user decides.
fn file<'c>(user: &[u8], password: &[u8], r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Answer {
    let (text, origin) = match user_file(r, cx, ("AH01619", "AH01620")) {
        Ok(read) => read,
        Err(UserFile::Error(log, origin)) => return Answer::Error(log, origin),
        Err(UserFile::Unknown) => return Answer::Unknown,
    };
    let hash = lines(&text).find_map(|line| {
        let mut fields = line.split(|&byte| byte == b':');
        fields.next().filter(|name| *name == user).map(|_| fields.next().unwrap_or_default())
    });
    let Some(hash) = hash else { return Answer::NotFound(origin) };
    let verdict = verify_apache(password, hash);
    cx.note("check_user_id", origin, || Event::Password { user: user.to_vec(), matches: verdict == Verdict::Match });
    match verdict {
        Verdict::Match => Answer::Granted,
        Verdict::Mismatch => Answer::Denied(origin),
        Verdict::Unverifiable => {
            let user = String::from_utf8_lossy(user);
            let fits = cx.assume(
                Subject::Password(user.clone().into_owned()),
                origin,
                &format!("the password of {user} fits"),
                &format!("the password of {user} does not fit"),
            );
            if fits { Answer::Granted } else { Answer::Denied(origin) }
        }
    }
}

/// mod_authn_anon.
fn anon(user: &[u8], password: &[u8], r: &RequestRec) -> Answer {
    let record = r.per_dir.authn_anon.clone().unwrap_or_default();
    let star = record.users.iter().any(|name| name == b"*");
    let listed = star || record.users.iter().any(|name| name.eq_ignore_ascii_case(user));
    if !(listed || user.is_empty() && record.no_user_id) {
        return Answer::NotFound(None);
    }
    if user.is_empty() && !record.no_user_id {
        return Answer::NotFound(None);
    }
    let given = !record.must_give_email || !password.is_empty();
    let address = password.contains(&b'@') && password.contains(&b'.');
    if given && (!record.verify_email || address) { Answer::Granted } else { Answer::Denied(None) }
}

/// mod_authn_core, authenticate_no_user: the last to be asked.
pub(crate) fn authenticate_no_user<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    if !cx.has_module("authn_core_module") {
        return Handled::Declined;
    }
    match auth_type(r, cx) {
        Err(ended) => ended,
        Ok(None) => Handled::Ok,
        Ok(Some(current)) => r.refuse(Decision::new(&cause::apache::AUTHTYPE_WITHOUT_MODULE).by(current.origin), 500),
    }
}

//! mod_cgi and mod_cgid: what is refused before a script runs. Then the script answers.

use crate::apache::core::options;
use crate::apache::request::{Cx, Handled, RequestRec, handler_is};
use crate::cause;
use crate::outcome::{Decision, Related};

/// cgi_handler. ExecCGI is looked at before the file is, so a missing script is 403 without it.
pub(crate) fn handler<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let (cgi, cgid) = (cx.has_module("cgi_module"), cx.has_module("cgid_module"));
    let named = handler_is(r, "cgi-script") || handler_is(r, "application/x-httpd-cgi");
    if !named || !(cgi || cgid) {
        return Handled::Declined;
    }
    // The two modules write the same messages under different numbers.
    let log = |with_cgi: &str, with_cgid: &str| Some(if cgi { with_cgi } else { with_cgid }.to_owned());
    let handled_by = r.handler.as_ref().and_then(|handler| handler.origin);
    if !r.per_dir.core.options.has(options::EXEC_CGI) && !is_script_aliased(r) {
        let settled = r.per_dir.core.options.origin_of(options::EXEC_CGI);
        let mut decision = Decision::new(&cause::apache::CGI_NO_EXECCGI).by(settled.or(handled_by));
        decision.default = settled.is_none();
        decision
            .related
            .extend(handled_by.filter(|_| settled.is_some()).map(|origin| Related { role: "handler", origin }));
        decision.log = log("AH02809", "AH01262");
        return r.refuse(decision, 403);
    }
    if r.finfo.is_none() {
        let mut decision = Decision::new(&cause::apache::CGI_NOT_FOUND).by(r.mapped_by);
        decision.log = log("AH02811", "AH01264");
        return r.refuse(decision, 404);
    }
    if r.is_directory() {
        let mut decision = Decision::new(&cause::apache::CGI_DIRECTORY).by(handled_by.or(r.mapped_by));
        decision.log = log("AH02812", "AH01265");
        return r.refuse(decision, 403);
    }
    if r.used_path_info == Some(false) && !r.path_info.is_empty() {
        let by = r.per_dir.core.accept_path_info.and_then(|setting| setting.origin);
        let mut decision = Decision::new(&cause::apache::CGI_PATH_INFO).by(by);
        decision.log = log("AH02813", "AH01266");
        return r.refuse(decision, 404);
    }
    Handled::Upstream
}

/// is_scriptaliased: mod_alias left a note.
fn is_script_aliased(r: &RequestRec) -> bool {
    r.notes.get(b"alias-forced-type").is_some_and(|kind| kind == b"cgi-script")
}

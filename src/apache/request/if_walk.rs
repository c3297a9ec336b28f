//! `<If>`, `<ElseIf>`, `<Else>`: conditions of every section merged so far, then those nested in the ones that held
//! (ap_if_walk). A condition that cannot be evaluated counts as false.

use crate::apache::expr::Failure;
use crate::apache::model::{Matcher, SectionList};
use crate::apache::request::walk::{Kind, Walk};
use crate::apache::request::{Cx, Handled, RequestRec, test_expr};
use crate::trace::apache::Event;

/// Nested conditions deeper than this are not looked at; the server has no such limit, but nobody writes them.
const MAX_DEPTH: u32 = 64;

/// ap_if_walk.
pub(crate) fn if_walk<'c>(r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Handled {
    let mut sections = r.per_dir.core.ifs.clone();
    for _ in 0..MAX_DEPTH {
        let Some(list) = sections.take() else { break };
        match walk_list(&list, r, cx) {
            Ok(nested) => sections = nested,
            Err(ended) => return ended,
        }
    }
    Handled::Ok
}

/// One list; the conditions nested in what matched are the next.
fn walk_list<'c>(list: &SectionList, r: &mut RequestRec<'c>, cx: &mut Cx<'c>) -> Result<Option<SectionList>, Handled> {
    let mut walk = Walk::prepare(Kind::If, r);
    walk.cache.cached = Some(Vec::new());
    walk.again(cx.config.auth_per_conf);
    let mut earlier_held = false;
    for section in list.iter() {
        if section.is_else && earlier_held {
            continue;
        }
        if let Matcher::Condition(condition) = &section.matcher {
            let held = match test_expr(condition, r, cx) {
                Ok(held) => held,
                Err(Failure::Error(_)) => false,
                Err(Failure::Unknown) => return Err(Handled::Unknown),
            };
            cx.note("if_walk", Some(section.origin), || Event::Condition { held });
            earlier_held = held;
            if !held {
                continue;
            }
        } else {
            earlier_held = false;
        }
        walk.matched(&section.conf, cx);
    }
    let nested = walk.merged().and_then(|merged| merged.core.ifs.clone());
    walk.finish(list, r, cx);
    Ok(nested)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::fact::Answers;
    use crate::fs::memory::MemoryFs;
    use crate::outcome::Outcome;
    use crate::request::Request;
    use crate::server::LoadOptions;
    use crate::world::{NoResolver, World};

    /// Conditions of the server level are looked at before a file is known, too, and `-F` then breaks the server down
    /// (2.4.71 closes the connection): whatever the section holds, nothing is promised.
    #[test]
    fn a_probe_before_a_file_is_known_makes_the_answer_unknown() {
        let text = "ServerRoot /\nListen 80\nDocumentRoot /www\nLoadModule mpm_event_module m/mod_mpm_event.so\n\
            <If \"-F '/www/a'\">\n</If>\n";
        let fs = MemoryFs::new().file("/httpd.conf", text).file("/www/a", "x");
        let config = crate::apache::load(&LoadOptions::new(Path::new("/httpd.conf")), &fs);
        let answers = Answers::default();
        let world = World { fs: &fs, worker: None, resolver: &NoResolver, now: None, answers: &answers, trace: false };
        let run = crate::apache::evaluate(&config, &Request::get("/a", "localhost"), &world);
        assert_eq!(run.outcome, Outcome::Unknown);
    }
}

//! `satisfy-without-alternatives`: a choice among one.

use super::spots::{self, Spot};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::model::{LocConf, OpaquePhase};

pub(super) const RULE: Rule = Rule {
    id: "satisfy-without-alternatives",
    title: "satisfy has nothing to choose from",
    level: Level::Info,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let spots = subject.spots();
    let mut judged = Vec::new();
    for spot in spots {
        let Some(origin) = spot.conf.core.satisfy.origin.filter(|origin| !judged.contains(origin)) else { continue };
        judged.push(origin);
        let governed: Vec<&Spot> =
            spots.iter().filter(|other| other.conf.core.satisfy.origin == Some(origin)).collect();
        let of_limits = governed.iter().filter_map(|spot| Some(&spot.location()?.limit_except.as_ref()?.conf));
        let most = governed.iter().map(|spot| spot.conf).chain(of_limits).map(methods).max().unwrap_or(0);
        if most >= 2 {
            continue;
        }
        let message = match most {
            1 => "only one thing is asked of a client wherever this holds: there is nothing to choose from",
            _ => "nothing is asked of a client wherever this holds: there is nothing to choose from",
        };
        let edit = Edit::delete(subject.sources(), origin.span);
        let finding = found.at(origin, message);
        // In a fragment, the other half may stand around it.
        if let Some(edit) = edit.filter(|_| !subject.fragment || most == 1) {
            finding.fixed_by(Fix::text("take it out", Safety::Safe, vec![edit]));
        }
    }
}

/// How many handlers of the access phase have something to say.
fn methods(conf: &LocConf) -> usize {
    let rules = usize::from(!spots::rules(&conf.access).is_empty());
    let realm = conf.auth.realm.value.as_ref().is_some_and(|realm| realm.as_literal() != Some(b"off"));
    let basic = usize::from(realm && conf.auth.user_file.value.is_some());
    let request = usize::from(conf.auth.request.value.is_some());
    let others = conf.opaque.iter().filter(|other| {
        matches!(
            other.phase,
            OpaquePhase::Access | OpaquePhase::AfterAccess | OpaquePhase::Rewrite | OpaquePhase::ServerRewrite
        )
    });
    rules + basic + request + others.count()
}

const PAGE: &str = r#"# satisfy-without-alternatives

`satisfy` chooses between the access list, the password and the subrequest. Where it is in force with one of them, or none, it says nothing;
often the other one stands on another level, where it is not inherited.

## Flagged (nginx, location)
```nginx
satisfy any;
allow 10.0.0.0/8;
deny all;
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.0/8;
deny all;
```

## Why
`any` lets in whom one handler lets in, `all` whom none refuses. Of one handler, that is the same.
"#;

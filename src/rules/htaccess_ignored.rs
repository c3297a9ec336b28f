//! `htaccess-ignored`: a file that nobody opens.

use super::sections::{classes, path_text, traced, walk};
use super::spots::stranger;
use super::{APACHE, Needs, Rule};
use crate::apache::directives::OR_ALL;
use crate::apache::load::Node;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::source::FileId;
use crate::trace::{Event, apache};

pub(super) const RULE: Rule = Rule {
    id: "htaccess-ignored",
    title: "a `.htaccess` file is never read",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Tree,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    for file in &layout.files {
        let url = format!("{}x", file.url);
        let Some(run) = traced(subject, file.server, &url) else { continue };
        let ignored = run.trace.iter().find_map(|step| match &step.event {
            Event::Apache(apache::Event::HtaccessIgnored { path }) if *path == file.path => Some(step.origin),
            _ => None,
        });
        let Some(allowed) = ignored else { continue };
        // The surrounding of a fragment is made up, and with it what it allows.
        if subject.fragment && allowed.is_none_or(|origin| origin.span.file == FileId(0)) {
            continue;
        }
        let Some((id, nodes)) = file.read(subject, config) else { continue };
        let (mut weighty, mut mask) = (false, 0);
        walk(nodes, &mut |node, _| {
            weighty |= guards(node);
            mask |= node.rows().first().map_or(0, |row| row.mask & OR_ALL);
        });
        let Some(asked) = layout.ask(subject, file.server, &url, stranger(), "what the file says") else { continue };
        let Some(first) = nodes.first() else { continue };
        let origin = crate::source::Origin { span: first.origin.span, via: None };
        let shown = path_text(&file.path);
        debug_assert_eq!(origin.span.file, id);
        let message = format!("{shown} is never read, so nothing in it holds: `AllowOverride None` is in force there");
        let related: Vec<_> = allowed
            .map(|origin| found.related(origin, "nothing may stand in a `.htaccess` here"))
            .into_iter()
            .collect();
        let wanted = classes(mask).join(" ");
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        finding.related = related;
        if !weighty {
            finding.level(Level::Warning);
        }
        if let Some(allowed) = allowed
            && let Some(edit) = Edit::replace(subject.sources(), allowed.span, &format!("AllowOverride {wanted}"))
        {
            finding.fixed_by(Fix {
                title: "allow what the file holds".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
        finding.advise("copy the directives into a `<Directory>` section, or allow their classes with `AllowOverride`");
    }
}

/// Whether a directive says who may, or what may be done.
fn guards(node: &Node) -> bool {
    let forbids = node.is("rewriterule")
        && node.word(2).is_some_and(|flags| {
            let flags = flags.strip_prefix(b"[").unwrap_or(flags);
            let flags = flags.strip_suffix(b"]").unwrap_or(flags);
            flags
                .split(|&byte| byte == b',')
                .any(|flag| flag.eq_ignore_ascii_case(b"f") || flag.eq_ignore_ascii_case(b"forbidden"))
        });
    let names = ["require", "order", "allow", "deny", "satisfy", "options", "authtype", "authuserfile", "sslrequire"];
    forbids || names.contains(&node.name()) || node.name().starts_with("require")
}

const PAGE: &str = r#"# htaccess-ignored

A file named by `AccessFileName` lies in a directory that is served, and `AllowOverride None` with no `AllowOverrideList` is in force there: the
server does not even open it. An error where it says who may or forbids something, else a warning.

## Flagged (apache, server config)
```tree
/srv/www/p/.htaccess: Require all denied
```
```apache
<Directory "/srv/www">
    Require all granted
    AllowOverride None
</Directory>
```

## Fixed (apache, server config)
```apache
<Directory "/srv/www">
    Require all granted
    AllowOverride None
</Directory>
<Directory "/srv/www/p">
    Require all denied
</Directory>
```

## Why
`AllowOverride` is looked at directory by directory on the way to the file. Where nothing is allowed, the server saves the look-up. The default since
2.3.9 is `None`; but where no section says `AllowOverride` at all the file is opened, and any directive in it is an error 500.
"#;

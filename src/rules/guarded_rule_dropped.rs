//! `guarded-rule-dropped`: a guard that guards nothing.

use super::sections::{Layout, plain};
use super::spots::{Asked, stranger};
use super::{APACHE, Needs, Rule};
use crate::apache::{Config, directives, parse};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::distance;
use crate::lint::subject::{Findings, Subject};
use crate::source::{Origin, SourceMap};
use crate::syntax::Directive;

pub(super) const RULE: Rule = Rule {
    id: "guarded-rule-dropped",
    title: "an access rule sits in a guard that is never true",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let files: Vec<_> = config.sources.files().map(|(id, file)| (id, file.bytes.clone())).collect();
    let mut read = std::collections::HashSet::new();
    for (id, bytes) in files {
        if memchr::memmem::find(&bytes.to_ascii_lowercase(), b"<ifmodule").is_none() || !read.insert(bytes.clone()) {
            continue;
        }
        let (tree, _) = parse::parse(id, &bytes);
        let directives: Vec<Directive> = tree.directives().collect();
        Search { subject, config, layout, sources: &config.sources }.look(&directives, &[], found, 0);
    }
}

struct Search<'s, 'c> {
    subject: &'s Subject<'c>,
    config: &'s Config,
    layout: &'s Layout,
    sources: &'s SourceMap,
}

impl<'s> Search<'s, '_> {
    fn name(&self, directive: Directive) -> String {
        String::from_utf8_lossy(directive.name().value(self.sources)).to_ascii_lowercase()
    }

    /// The argument of a guard and whether it is negated.
    fn argument(&self, guard: Directive) -> Option<(bool, String)> {
        let text = String::from_utf8_lossy(guard.arg(0, self.sources)?).into_owned();
        // What follows the `>` of the line is nothing to the server.
        let bare = text.strip_prefix('!').unwrap_or(&text).split('>').next()?.trim_matches('"').to_owned();
        Some((text.starts_with('!'), bare))
    }

    fn look(&self, siblings: &[Directive<'s>], around: &[Directive<'s>], found: &mut Findings, depth: usize) {
        for directive in siblings.iter().copied().filter(|directive| directive.is_block() && depth < 32) {
            let name = self.name(directive);
            let inner: Vec<Directive> = directive.children().collect();
            if name == "ifmodule" {
                let Some((negated, module)) = self.argument(directive) else { continue };
                if self.config.known.modules.is_module(module.as_bytes()) != negated {
                    self.look(&inner, around, found, depth + 1);
                } else {
                    self.dropped(directive, negated, &module, siblings, around, found);
                }
            } else if !matches!(
                name.as_str(),
                "ifdefine" | "ifversion" | "iffile" | "ifdirective" | "ifsection" | "macro"
            ) {
                let around: Vec<Directive> = around.iter().copied().chain([directive]).collect();
                self.look(&inner, &around, found, depth + 1);
            }
        }
    }

    /// Whether something in here keeps somebody out.
    fn restricts(&self, directive: Directive, depth: usize) -> bool {
        let word = |index| directive.arg(index, self.sources).unwrap_or_default();
        match self.name(directive).as_str() {
            "require" => !(word(0).eq_ignore_ascii_case(b"all") && word(1).eq_ignore_ascii_case(b"granted")),
            "deny" => true,
            _ => depth < 32 && directive.children().any(|child| self.restricts(child, depth + 1)),
        }
    }

    /// Whether it makes what it guards: then both are gone together.
    fn makes_content(&self, directive: Directive, depth: usize) -> bool {
        let name = self.name(directive);
        let makes =
            ["sethandler", "addhandler", "alias", "aliasmatch", "scriptalias", "proxypass", "proxypassmatch", "action"];
        makes.contains(&name.as_str())
            || (depth < 32 && directive.children().any(|child| self.makes_content(child, depth + 1)))
    }

    fn dropped(
        &self,
        guard: Directive,
        negated: bool,
        module: &str,
        siblings: &[Directive],
        around: &[Directive],
        found: &mut Findings,
    ) {
        let others = siblings.iter().copied().filter(|other| other.span() != guard.span());
        // The same protection in other words, for the case that holds.
        let complement = others.filter(|other| self.holds(*other)).any(|other| self.says_who(other, 0));
        if !self.restricts(guard, 0) || complement || self.makes_content(guard, 0) {
            return;
        }
        let known = directives::modules().iter().any(|row| row.id == module || row.file == module);
        let about_access = module.contains("auth") || module.contains("access");
        let near = if known || negated { None } else { nearest(module) };
        if near.is_none() && !about_access {
            return;
        }
        let Some(asked) = self.witness(guard, around) else { return };
        let because = match (negated, &near) {
            (true, _) => format!("`{module}` is loaded"),
            (false, Some(near)) => format!("there is no module `{module}`, only `{near}`"),
            (false, None) => format!("`{module}` is not loaded"),
        };
        let origin = Origin { span: guard.span(), via: None };
        let message = format!("the access rules in this guard are not in force: {because}");
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        let word = guard.args().first();
        if let (Some(near), Some(word)) = (near, word)
            && let Some(edit) = Edit::replace(self.sources, word.span, &near)
        {
            finding.fixed_by(Fix {
                title: format!("write `{near}`"),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Safe,
                then: None,
            });
        }
        finding.advise("access rules need no guard: where their module is missing, the server should not start");
    }

    fn holds(&self, directive: Directive) -> bool {
        match self.name(directive).as_str() {
            "ifmodule" => self
                .argument(directive)
                .is_some_and(|(negated, module)| self.config.known.modules.is_module(module.as_bytes()) != negated),
            _ => true,
        }
    }

    fn says_who(&self, directive: Directive, depth: usize) -> bool {
        let name = self.name(directive);
        matches!(name.as_str(), "require" | "deny" | "allow" | "requireall" | "requireany" | "requirenone")
            || (name.starts_with("if")
                && depth < 32
                && directive.children().any(|child| self.says_who(child, depth + 1)))
    }

    /// A stranger who gets in where the guard would have kept it out.
    fn witness(&self, guard: Directive, around: &[Directive]) -> Option<Asked> {
        let inside = guard.children().find(|child| child.is_block() && !self.name(*child).starts_with("require"));
        let section = inside.or_else(|| {
            around
                .iter()
                .rev()
                .copied()
                .find(|section| matches!(self.name(*section).as_str(), "directory" | "location"))
        });
        let server = around.iter().find(|section| self.name(**section) == "virtualhost").and_then(|host| {
            self.config.servers.iter().position(|server| {
                server.origin.is_some_and(|origin| {
                    origin.span.start == host.span().start && origin.span.file == host.span().file
                })
            })
        });
        let urls = match section {
            Some(section) => {
                let path = plain(section.arg(0, self.sources)?)?;
                match self.name(section).as_str() {
                    "location" => vec![(server.unwrap_or(0), path)],
                    "directory" => self.layout.urls_of(format!("{}/x", path.trim_end_matches('/')).as_bytes()),
                    _ => Vec::new(),
                }
            }
            None => self.layout.files.iter().map(|file| (file.server, format!("{}x", file.url))).take(1).collect(),
        };
        urls.into_iter().find_map(|(server, url)| {
            self.layout.ask(self.subject, server, &url, stranger(), "403").filter(Asked::is_past_the_rules)
        })
    }
}

/// The name of a module that is almost this one.
fn nearest(module: &str) -> Option<String> {
    let names = directives::modules().iter().flat_map(|row| [row.id, row.file]);
    names.filter(|name| distance(name, module) <= 2).min_by_key(|name| distance(name, module)).map(str::to_owned)
}

const PAGE: &str = r#"# guarded-rule-dropped

`Require` or `Deny` stands in `<IfModule>` of a module that is not there (often a misspelt one), or in `<IfModule !X>` of one that is, and nothing beside the guard says the same for the
other case. The server starts, and the protection is silently absent.

## Flagged (apache, server config)
```apache
<IfModule mod_authz_hosst.c>
    <Location "/p">
        Require ip 10.0.0.0/8
    </Location>
</IfModule>
```

## Fixed (apache, server config)
```apache
<Location "/p">
    Require ip 10.0.0.0/8
</Location>
```

## Why
`<IfModule>` compares the name exactly, and what it skips is not even read. A guard around something that the missing module itself would do (`SetHandler server-status` in
`<IfModule mod_status.c>`) is fine and not reported.
"#;

//! `listing-enabled`: a directory that shows what is in it.

use std::collections::HashSet;

use super::sections::name;
use super::spots;
use super::{BOTH, Needs, Rule};
use crate::apache::core::{Options, options};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "listing-enabled",
    title: "directory listing is on",
    level: Level::Warning,
    category: Category::Security,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: true,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let mut reported = HashSet::new();
    for spot in subject.spots() {
        let autoindex = &spot.conf.content.autoindex;
        let Some(origin) = autoindex.origin.filter(|origin| autoindex.value && !reported.contains(origin)) else {
            continue;
        };
        let wanted = spot.location().is_some_and(|location| {
            let allowed = subject.options.allow.as_deref().unwrap_or_default();
            allowed.iter().any(|prefix| location.name.starts_with(prefix.as_bytes()))
        });
        let handled = spot.conf.handler.is_some() || spot.conf.core.internal.value;
        if handled || wanted || !spot.open().contains(spots::stranger()) {
            continue;
        }
        reported.insert(origin);
        let download = spot.location().is_some_and(|location| {
            [&b"download"[..], b"files", b"pub", b"mirror", b"archive"]
                .iter()
                .any(|word| memchr::memmem::find(&location.name, word).is_some())
        });
        let message = format!("any client sees what lies in the directories of {}", spot.name());
        let finding = found.at(origin, message);
        if download {
            finding.level(Level::Info);
        }
        if let Some(edit) = Edit::replace(subject.sources(), origin.span, "autoindex off;") {
            finding.fixed_by(Fix {
                title: "switch it off".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    if !config.known.modules.has("autoindex_module") {
        return;
    }
    let mut reported = std::collections::HashSet::new();
    for spot in &layout.spots {
        let own = &spot.section.conf.core.options;
        let Some(origin) =
            own.origin_of(options::INDEXES).filter(|origin| own.has(options::INDEXES) && !reported.contains(origin))
        else {
            continue;
        };
        let asked = layout.urls(spot).into_iter().find_map(|(server, url)| {
            let asked = layout.ask(subject, server, &url, spots::stranger(), "")?;
            let met = asked.run.seen.sections.iter().filter_map(|origin| layout.spot(*origin));
            let merged = met
                .fold(Options::server_default(), |base, spot| Options::merge(&base, &spot.section.conf.core.options));
            let here = merged.has(options::INDEXES) && merged.origin_of(options::INDEXES) == Some(origin);
            // What goes to a back end is no directory.
            let ours = asked.run.outcome != crate::outcome::Outcome::Upstream;
            (here && ours && asked.is_past_the_rules()).then_some(url)
        });
        let Some(url) = asked else { continue };
        let allowed = subject.options.allow.as_deref().unwrap_or_default();
        if allowed.iter().any(|prefix| url.starts_with(prefix)) {
            continue;
        }
        reported.insert(origin);
        let shown = name(&spot.section);
        let download = ["download", "files", "pub", "mirror", "archive"].iter().any(|word| shown.contains(word));
        let finding = found.at(origin, format!("any client sees what lies in the directories of {shown}"));
        if download && !shown.contains("Files") {
            finding.level(Level::Info);
        }
        let text = String::from_utf8_lossy(subject.sources().text(origin.span)).into_owned();
        let kept: Vec<&str> = text
            .split_whitespace()
            .filter(|word| !word.trim_start_matches('+').eq_ignore_ascii_case("indexes"))
            .collect();
        let better = if kept.len() > 1 { kept.join(" ") } else { "Options -Indexes".to_owned() };
        // `Options All` has no word for it that could be taken out.
        if better != text
            && let Some(edit) = Edit::replace(subject.sources(), origin.span, &better)
        {
            finding.fixed_by(Fix {
                title: "switch it off".to_owned(),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# listing-enabled

`autoindex on` is in force where strangers get in: names that nobody links to are shown all the same. An area whose name says download is
reported as info; `[rules.listing-enabled] allow = ["/pub/"]` in `why403.toml` names areas where it is wanted.

## Flagged (nginx, server)
```nginx
location /files/ { autoindex on; }
```

## Fixed (nginx, server)
```nginx
location /files/ { autoindex off; }
```

## Flagged (apache, directory or .htaccess)
```apache
Options Indexes
```

## Fixed (apache, directory or .htaccess)
```apache
Options -Indexes
```

## Why
For a URL that ends in a slash and has no index file, `autoindex` lists every entry that does not begin with a dot.
In Apache `Options Indexes` lets mod_autoindex list a directory without an index file.
"#;

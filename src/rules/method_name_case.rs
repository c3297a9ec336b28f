//! `method-name-case`: `get` is not `GET`.

use super::lines::every;
use super::spots::stranger;
use super::verdicts::{Verdict, verdict};
use super::{APACHE, Needs, Rule};
use crate::apache::model::M_INVALID;
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "method-name-case",
    title: "a method of `<Limit>` in lower case",
    level: Level::Error,
    category: Category::Access,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    let mut lines = Vec::new();
    every(subject, config, layout, &mut |line| {
        let node = line.node;
        if !node.is_section("limit") && !node.is_section("limitexcept") {
            return;
        }
        let words = node.words().map(|word| String::from_utf8_lossy(word).into_owned());
        let wrong = words.into_iter().find(|word| {
            let upper = word.to_ascii_uppercase();
            *word != upper && config.methods.number(upper.as_bytes()) != M_INVALID
        });
        if let (Some(word), Some(spot)) = (wrong, line.spot(layout)) {
            lines.push((node.origin, node.name().to_owned(), word, spot));
        }
    });
    for (origin, container, word, spot) in lines {
        let method = word.to_ascii_uppercase();
        let number = config.methods.number(method.as_bytes());
        let Some(own) = verdict(&spot.section.conf, stranger(), number) else { continue };
        let expected = match (&*container, own) {
            ("limit", Verdict::In) => "what the lines inside say",
            ("limitexcept", Verdict::Refused) => "200",
            _ => continue,
        };
        let asked = layout.urls(spot).into_iter().find_map(|(server, url)| {
            let asked = layout.ask_with(subject, server, &method, &url, stranger(), &[], expected)?;
            let fits = if own == Verdict::In { asked.is_past_the_rules() } else { asked.is_refused_by_rule() };
            (asked.met(&spot.section) && fits).then_some(asked)
        });
        let Some(asked) = asked else { continue };
        let message = match own {
            Verdict::In => format!(
                "strangers get in with {method}: `{word}` is another method than `{method}`, and nobody sends it"
            ),
            _ => format!("{method} is refused: `{word}` is another method than `{method}`, and only that is excepted"),
        };
        let text = String::from_utf8_lossy(subject.sources().text(origin.span)).into_owned();
        let edit = Edit::replace(
            subject.sources(),
            origin.span,
            &text.replacen(&format!(" {word}"), &format!(" {method}"), 1),
        );
        let finding = found.at(origin, message).proven_by(asked.witness, asked.certainty);
        if let Some(edit) = edit {
            finding.fixed_by(Fix {
                title: format!("write `{method}`"),
                edits: vec![edit],
                commands: Vec::new(),
                safety: Safety::Review,
                then: None,
            });
        }
    }
}

const PAGE: &str = r#"# method-name-case

Names of methods are compared as they are. An unknown name makes a new method that nobody sends: `<Limit get>` guards nothing, and `<LimitExcept get>` holds for GET as well.

## Flagged (apache, directory or .htaccess)
```apache
<LimitExcept get>
    Require all denied
</LimitExcept>
```

## Fixed (apache, directory or .htaccess)
```apache
<LimitExcept GET>
    Require all denied
</LimitExcept>
```

## Why
Methods are case-sensitive in HTTP. The server registers a name that it does not know as an extension method, without a word. GET governs HEAD as well.
"#;

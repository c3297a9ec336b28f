//! `server-name-suspicious`: a name that no request can ask for as it stands.

use super::sections::walk;
use super::{BOTH, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "server-name-suspicious",
    title: "a server name that cannot match as meant",
    level: Level::Error,
    category: Category::Correctness,
    servers: BOTH,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    check_nginx(subject, found);
    check_apache(subject, found);
}

fn check_nginx(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    for line in blocks.http().flat_map(|block| block.own(b"server_name")) {
        for (index, word) in line.words.iter().enumerate() {
            let Ok(name) = std::str::from_utf8(word) else { continue };
            let Some((why, meant)) = oddity(name) else { continue };
            let message = format!("no request asks for `{name}`: {why}");
            let span = line.placed.args().get(index).map(|word| word.span);
            let plain = span.filter(|span| blocks.sources().text(*span) == *word);
            let edit = plain.zip(meant.as_ref()).and_then(|(span, meant)| Edit::replace(blocks.sources(), span, meant));
            let finding = found.at(line.origin(), message);
            if let (Some(edit), Some(meant)) = (edit, meant) {
                finding.fixed_by(Fix::text(format!("write `{meant}`"), Safety::Safe, vec![edit]));
            }
            break;
        }
    }
}

/// What is wrong with a name of nginx, and the names that were probably meant.
fn oddity(name: &str) -> Option<(&'static str, Option<String>)> {
    if name.starts_with('~') || name.contains('$') {
        return None;
    }
    if name.contains(',') {
        let names: Vec<&str> = name.split(',').filter(|part| !part.is_empty()).collect();
        let fine = names.iter().all(|part| oddity(part).is_none());
        return Some(("names are separated by blanks, and a comma is a letter", fine.then(|| names.join(" "))));
    }
    let bare = |text: &str| {
        let host = text.split('/').next().unwrap_or_default();
        let host = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(host, _)| host);
        (!host.is_empty() && oddity(host).is_none()).then(|| host.to_owned())
    };
    if let Some((_, rest)) = name.split_once("://") {
        return Some(("a name has no scheme", bare(rest)));
    }
    if name.contains('/') {
        return Some(("a name has no path", bare(name)));
    }
    if name.rsplit_once(':').is_some_and(|(host, port)| is_port(port) && !host.contains(':')) {
        return Some(("the port of the Host header is cut off before names are compared", bare(name)));
    }
    if name.starts_with('^') || name.ends_with('$') || name.contains(['(', '\\', '|', '+']) {
        return Some(("a regular expression begins with `~`", None));
    }
    if name.len() > 1 && name.ends_with('.') {
        return Some((
            "a dot at the end of the Host header is cut off before names are compared",
            Some(name.trim_end_matches('.').to_owned()),
        ));
    }
    None
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_apache(subject: &Subject, found: &mut Findings) {
    let Some(config) = subject.apache() else { return };
    let mut lines = Vec::new();
    walk(&config.nodes, &mut |node, _| {
        let alias = node.is("serveralias");
        if !alias && !node.is("servername") {
            return;
        }
        for name in node.words().filter_map(|word| std::str::from_utf8(word).ok()) {
            // `ServerName` may have a scheme and a port; an alias is compared as it stands, `*` and `?` apart.
            let rest = name.split_once("://").filter(|_| !alias).map_or(name, |(_, rest)| rest);
            let port = rest.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
            let why = match () {
                () if name.contains(',') => "names are separated by blanks, and a comma is a letter",
                () if alias && name.contains("://") => "an alias has no scheme",
                () if rest.contains('/') => "a name has no path",
                () if alias && port => "an alias has no port",
                () if name.starts_with('^') || name.ends_with('$') || name.contains(['(', '\\', '|']) => {
                    "names are no regular expressions; `*` and `?` are all there is"
                }
                () => continue,
            };
            lines.push((node.origin, format!("no request asks for `{name}`: {why}")));
            break;
        }
    });
    for (origin, message) in lines {
        found.at(origin, message);
    }
}

const PAGE: &str = r#"# server-name-suspicious

A name is compared with the Host header, without its port. A scheme, a port, a path, a comma, a dot at the end or an expression without `~`
never matches, and the requests that were meant go to the address's default server.

## Flagged (nginx, http)
```nginx
server { listen 8080; server_name http://a.test:8080; return 404; }
```

## Fixed (nginx, http)
```nginx
server { listen 8080; server_name a.test; return 404; }
```

## Flagged (apache, server config; also default-server-implicit)
```apache
<VirtualHost *:80>
    ServerName a.test
    ServerAlias www.a.test,b.test
</VirtualHost>
```

## Fixed (apache, server config; also default-server-implicit)
```apache
<VirtualHost *:80>
    ServerName a.test
    ServerAlias www.a.test b.test
</VirtualHost>
```

## Why
nginx takes any text for a name. Apache lets `ServerName` carry a scheme and a port, which tell it how to speak of itself; an alias is a name.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_wildcards_and_expressions_are_fine() {
        for name in [
            "a.test",
            "*.a.test",
            ".a.test",
            "www.a.*",
            r"~^www\d\.a$",
            "_",
            "",
            "$hostname",
            "[::1]",
            "xn--a.test",
            "::1",
        ] {
            assert_eq!(oddity(name), None, "{name}");
        }
        for (name, meant) in [
            ("http://a.test:8080/x", Some("a.test")),
            ("a.test:80", Some("a.test")),
            ("a.test,b.test", Some("a.test b.test")),
            ("a.test.", Some("a.test")),
            ("^a", None),
        ] {
            assert_eq!(oddity(name).map(|(_, meant)| meant), Some(meant.map(str::to_owned)), "{name}");
        }
    }
}

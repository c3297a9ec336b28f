//! `allowoverride-too-wide`: `AllowOverride All` for the whole file system.

use super::lines::every;
use super::{APACHE, Needs, Rule};
use crate::finding::{Category, Level};
use crate::lint::subject::{Findings, Subject};

pub(super) const RULE: Rule = Rule {
    id: "allowoverride-too-wide",
    title: "`.htaccess` files may hold everything, anywhere",
    level: Level::Warning,
    category: Category::Security,
    servers: APACHE,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some((config, layout)) = subject.layout() else { return };
    every(subject, config, layout, &mut |line| {
        let whole =
            line.around.last().is_some_and(|section| section.is_section("directory") && section.word(0) == Some(b"/"));
        if line.node.is("allowoverride") && whole && line.says(0, "all") {
            found
                .at(
                    line.node.origin,
                    "a `.htaccess` in any directory of the file system may change handlers and access",
                )
                .advise(
                    "say `AllowOverride None` for `/`, and allow the classes that are needed where they are needed",
                );
        }
    });
}

const PAGE: &str = r#"# allowoverride-too-wide

`AllowOverride All` in `<Directory "/">`: whoever can write a file somewhere below a directory that is served sets handlers, runs programs and opens what is closed.

## Flagged (apache, server config)
```apache
<Directory "/">
    AllowOverride All
</Directory>
```

## Fixed (apache, server config)
```apache
<Directory "/">
    AllowOverride None
</Directory>
```

## Why
The server looks for the file in every directory on the way to what is asked for, so what `/` allows is allowed everywhere. It also costs a look-up for each of them.
"#;

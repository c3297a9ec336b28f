//! mod_proxy: `ProxyPass`, balancers and their parameters.

use super::Line;
use super::modules::require;
use super::values::{is_one_of, regex};
use crate::apache::{expr, lex};

/// `[!]` words before the target that are no parameter of the form `key=value`.
const KEYWORDS: &[&str] = &["interpolate", "nocanon", "noquery"];

/// `ProxyPass [PATH] TARGET [key=value …]` (`add_pass`); inside a `<Location>` there is no path.
pub(super) fn proxy_pass(line: &Line) -> Result<(), String> {
    let in_location = line.place.within(&["location", "locationmatch"]).is_some();
    let mut words = line.words.iter().map(|word| &**word);
    let path = if in_location { None } else { words.next() };
    let matches = line.row.name == "ProxyPassMatch";
    if matches && path.is_some_and(|path| regex(path).is_err()) {
        return Err("regular expression could not be compiled".into());
    }
    let mut target = None;
    for word in words {
        match target {
            None if is_one_of(word, KEYWORDS) => {}
            None => target = Some(word),
            Some(_) => {
                if is_one_of(word, KEYWORDS) {
                    continue;
                }
                require(
                    word.contains(&b'='),
                    "invalid ProxyPass|ProxyPassMatch parameter, it must be in the form 'key=value'",
                )?;
            }
        }
    }
    let Some(target) = target else {
        return Err("ProxyPass|ProxyPassMatch needs a path when not defined in a location".into());
    };
    let absolute = target == b"!" || memchr::memchr(b':', target).is_some() || matches && target.contains(&b'$');
    require(absolute, &format!("ProxyPass URL must be absolute!: {}", String::from_utf8_lossy(target)))
}

/// `BalancerMember [balancer://…] URL [key=value …]` (`add_member`).
pub(super) fn balancer_member(line: &Line) -> Result<(), String> {
    let inside = line.place.within(&["proxy", "proxymatch"]).is_some();
    let mut words =
        line.words.iter().filter(|word| !word.contains(&b'=') || memchr::memmem::find(word, b"://").is_some());
    let first = words.next();
    let balancer = if inside { None } else { first };
    let member = if inside { first } else { words.next() };
    if !inside && balancer.is_none() {
        return Err("BalancerMember must define balancer name when outside <Proxy > section".into());
    }
    let Some(member) = member else { return Err("BalancerMember must define remote proxy server".into()) };
    if let Some(name) = balancer {
        let named = name.get(..11).is_some_and(|start| start.eq_ignore_ascii_case(b"balancer://"));
        require(named, &format!("BalancerMember bad syntax for a balancer name ({})", String::from_utf8_lossy(name)))?;
    }
    require(
        memchr::memmem::find(member, b"://").is_some() || member.starts_with(b"unix:"),
        &format!("BalancerMember: unable to parse URL: {}", String::from_utf8_lossy(member)),
    )?;
    let parameters = line.words.iter().filter(|word| *word != member && Some(*word) != balancer);
    pairs(parameters.map(|word| &**word), "BalancerMember")
}

/// `ProxySet [URL] key=value …`; which worker it is about is not known before all are read.
pub(super) fn proxy_set(line: &Line) -> Result<(), String> {
    let inside = line.place.within(&["proxy", "proxymatch", "location", "locationmatch"]).is_some();
    if !inside && memchr::memmem::find(line.word(0), b"://").is_none() {
        return Err(format!("ProxySet can not find '{}' Worker", line.lossy(0)));
    }
    pairs(line.words[usize::from(!inside)..].iter().map(|word| &**word), "ProxySet")
}

fn pairs<'w>(words: impl Iterator<Item = &'w [u8]>, name: &str) -> Result<(), String> {
    for word in words {
        require(word.contains(&b'='), &format!("invalid {name} parameter, it must be in the form 'key=value'"))?;
    }
    Ok(())
}

/// `ProxyHCTemplate NAME key=value …`.
pub(super) fn template(line: &Line) -> Result<(), String> {
    require(!line.words.is_empty(), "missing template name for ProxyHCTemplate")?;
    pairs(line.words[1..].iter().map(|word| &**word), "ProxyHCTemplate")
}

/// `ProxyHCExpr NAME EXPRESSION` and `ProxyFCGISetEnvIf CONDITION NAME [VALUE]`.
pub(super) fn expression(line: &Line) -> Result<(), String> {
    let named = line.row.name == "ProxyHCExpr";
    let mut rest = &*line.node.args;
    if named {
        require(!lex::getword_conf(&mut rest).is_empty(), "missing expression name for ProxyHCExpr")?;
    }
    let text = lex::getword_conf(&mut rest);
    require(!text.is_empty(), &format!("missing expression for {}", line.row.name))?;
    match expr::parse(&text, line.expressions()) {
        Ok(_) => Ok(()),
        // Health checks know a variable and a function of their own.
        Err(_) if named && memchr::memmem::find(&text, b"hc(").is_some() => Ok(()),
        Err(message) => Err(format!("could not parse expression \"{}\": {message}", String::from_utf8_lossy(&text))),
    }
}

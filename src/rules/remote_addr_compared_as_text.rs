//! `remote-addr-compared-as-text`: an `if` that takes an address for a network, or a dot for a dot.

use std::net::{IpAddr, Ipv4Addr};

use super::guards::{Guard, guards};
use super::sample::samples;
use super::spots::{Spot, ask_for};
use super::{NGINX, Needs, Rule};
use crate::finding::{Category, Level};
use crate::fix::{Edit, Fix, Safety};
use crate::lint::subject::{Findings, Subject};
use crate::nginx::script::condition::Parsed;
use crate::pattern::{Options, Pattern};

pub(super) const RULE: Rule = Rule {
    id: "remote-addr-compared-as-text",
    title: "an if on $remote_addr cannot do what it says",
    level: Level::Error,
    category: Category::Access,
    servers: NGINX,
    needs: Needs::Config,
    default: true,
    core: false,
    page: PAGE,
    check: Some(check),
};

fn check(subject: &Subject, found: &mut Findings) {
    let Some(blocks) = subject.blocks else { return };
    let spots = subject.spots();
    let all: Vec<Guard> = guards(blocks).collect();
    for (at, guard) in all.iter().enumerate() {
        let Some(spot) = guard.spot(spots) else { continue };
        match guard.condition {
            Parsed::Equal { name, text, negated } if is_address(name) => {
                let Ok(text) = std::str::from_utf8(text) else { continue };
                if text.contains('$') || text == "unix:" {
                    continue;
                }
                if !is_canonical(text) {
                    never_equal(subject, found, guard, spot, text, negated);
                } else if negated && let Some(other) = all[..at].iter().find(|other| excludes(other, guard)) {
                    let message =
                        format!("nobody gets past this: who is not `{text}` is refused here, and who is, further up");
                    let related = found.related(other.line.origin(), "refuses everybody else");
                    found.at(guard.line.origin(), message).with(related).advise("`allow` each address and `deny all`");
                }
            }
            Parsed::Match { name, pattern, caseless, negated } if is_address(name) => {
                let Some(other) = counterexample(pattern, caseless) else { continue };
                let shown = String::from_utf8_lossy(pattern).into_owned();
                let message = match (negated, guard.refusal.is_some()) {
                    (true, true) => format!("{other} gets in as well: `{shown}` matches it too"),
                    (false, true) => format!("{other} is refused as well: `{shown}` matches it too"),
                    _ => format!("{other} is taken for one of these as well: `{shown}` matches it too"),
                };
                let path = spot.paths().iter().next();
                let expected = if negated { "a refusal" } else { "to get in" };
                let asked = path.and_then(|path| ask_for(subject, spot.server, "GET", path, other, &[], expected));
                let asked = asked.filter(|asked| if negated { asked.gets_in() } else { !asked.gets_in() });
                if guard.refusal.is_some() && asked.is_none() {
                    continue;
                }
                let finding = found.at(guard.line.origin(), message);
                if !(negated && guard.refusal.is_some()) {
                    finding.level(Level::Warning);
                }
                if let Some(asked) = asked.filter(|_| guard.refusal.is_some()) {
                    finding.proven_by(asked.witness, asked.certainty);
                }
                finding.advise("`allow` and `deny`, or `geo`, compare addresses as numbers");
            }
            _ => {}
        }
    }
}

fn is_address(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"remote_addr") || name.eq_ignore_ascii_case(b"realip_remote_addr")
}

/// Whether `$remote_addr` can be this text: an address as nginx prints it.
fn is_canonical(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok_and(|ip| ip.to_string() == text)
}

/// Whether both refuse everybody but one, and not the same one, in the same block.
fn excludes(first: &Guard, second: &Guard) -> bool {
    let one = |guard: &Guard| match guard.condition {
        Parsed::Equal { name, text, negated: true } if is_address(name) && guard.refusal.is_some() => {
            Some(text.to_vec())
        }
        _ => None,
    };
    match (one(first), one(second)) {
        (Some(first_text), Some(second_text)) => {
            first.around.at == second.around.at
                && first_text != second_text
                && is_canonical(&String::from_utf8_lossy(&first_text))
        }
        _ => false,
    }
}

fn never_equal(subject: &Subject, found: &mut Findings, guard: &Guard, spot: &Spot, text: &str, negated: bool) {
    let net: Option<ipnet::IpNet> = text.parse().ok();
    let consequence = match (negated, guard.refusal.is_some()) {
        (false, true) => "so nobody is refused here",
        (true, true) => "so everybody is refused here",
        (false, false) => "so this never holds",
        (true, false) => "so this always holds",
    };
    let message = format!("`$remote_addr` is one address, compared as text, and never `{text}`: {consequence}");
    // The proof: a client of the network gets in, or is refused, against what is written.
    let client = net.map(|net| net.hosts().next().unwrap_or(net.network())).filter(|_| guard.refusal.is_some());
    let proof = client.and_then(|client| {
        let expected = if negated { "to get in" } else { "a refusal" };
        spot.paths().iter().find_map(|path| {
            let asked = ask_for(subject, spot.server, "GET", path, client, &[], expected)?;
            (asked.gets_in() != negated).then_some(asked)
        })
    });
    if client.is_some() && proof.is_none() {
        return;
    }
    let block = subject.blocks.and_then(|blocks| blocks.opened_by(guard.line.origin()));
    let alone = block.is_some_and(|block| matches!(&block.lines[..], [only] if only.words == [b"403"]));
    let verb = if negated { format!("allow {text}; deny all;") } else { format!("deny {text};") };
    let edit = net.filter(|_| alone).and_then(|_| Edit::replace(subject.sources(), guard.line.placed.span(), &verb));
    let finding = found.at(guard.line.origin(), message).advise("`allow` and `deny` take networks, and so does `geo`");
    if let Some(asked) = proof {
        finding.proven_by(asked.witness, asked.certainty);
    }
    if let Some(edit) = edit {
        finding.fixed_by(Fix::text(format!("say `{verb}`"), Safety::Review, vec![edit]));
    }
}

/// An address that an expression matches only because a dot stands for any character, or because it is not tied to the
/// beginning or, where it names whole addresses, to the end.
fn counterexample(pattern: &[u8], caseless: bool) -> Option<IpAddr> {
    let text = std::str::from_utf8(pattern).ok()?;
    let written = Pattern::new(pattern, Options::nginx(caseless)).ok()?;
    let samples: Vec<String> =
        samples(with_dots(text).as_bytes()).into_iter().filter_map(|sample| String::from_utf8(sample).ok()).collect();
    let complete = !samples.is_empty() && samples.iter().all(|sample| sample.parse::<Ipv4Addr>().is_ok());
    let end = if complete { "$" } else { "" };
    let meant = format!("^(?:{}){end}", with_dots(text));
    let meant = Pattern::new(meant.as_bytes(), Options::nginx(caseless)).ok()?;
    let variants = samples.iter().flat_map(|sample| {
        let dots = sample.match_indices('.').flat_map(|(at, _)| {
            ["0", "1", "2", "5"].map(|digit| format!("{}{digit}{}", &sample[..at], &sample[at + 1..]))
        });
        let dots: Vec<String> = dots.collect();
        let ends = ["0", "5"].map(|digit| format!("{sample}{digit}"));
        let starts = ["1", "2", "10."].map(|start| format!("{start}{sample}"));
        dots.into_iter().chain(ends).chain(starts).collect::<Vec<_>>()
    });
    let full = variants
        .flat_map(|variant| ["", ".7", ".7.7", ".7.7.7", "7", "7.7", "7.7.7"].map(|rest| format!("{variant}{rest}")));
    full.filter(|address| address.parse::<Ipv4Addr>().is_ok_and(|ip| ip.to_string() == *address))
        .find(|address| {
            written.is_match(address.as_bytes()) == Ok(true) && meant.is_match(address.as_bytes()) == Ok(false)
        })
        .and_then(|address| address.parse().ok())
}

/// The expression with every plain dot taken as a dot: one that is repeated, or in brackets, stays what it is.
fn with_dots(text: &str) -> String {
    let mut out = String::new();
    let (mut escaped, mut class) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let repeated = matches!(characters.peek(), Some('*' | '+' | '?' | '{'));
        if character == '.' && !escaped && !class && !repeated {
            out.push('\\');
        }
        out.push(character);
        match character {
            '[' if !escaped => class = true,
            ']' if !escaped => class = false,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
    }
    out
}

const PAGE: &str = r#"# remote-addr-compared-as-text

`$remote_addr` is the client's address as text. It never equals a network; several `!=` one after the other refuse everybody; and a regular
expression with plain dots, or without `^` and `$`, takes in addresses that it does not name (the message gives one).

## Flagged (nginx, location)
```nginx
if ($remote_addr = 10.0.0.0/8) { return 403; }
```

## Fixed (nginx, location)
```nginx
deny 10.0.0.0/8;
```

## Flagged (nginx, location)
```nginx
if ($remote_addr !~ "^10.0.0.1") { return 403; }
```

## Fixed (nginx, location)
```nginx
allow 10.0.0.1;
deny all;
```

## Why
`if` compares strings: `=` the whole, `~` any part of it. Only `allow`, `deny` and `geo` know what a network is.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_mean_more_than_they_say_have_an_address_to_show_for_it() {
        let example = |pattern: &str| counterexample(pattern.as_bytes(), false);
        for wide in ["10.0.0.1", "^10.0.0.1", r"10\.0\.0\.1$", "^10.1.", r"192\.168\.", r"^(10\.0\.0\.1|10\.0\.0\.2)"] {
            assert!(example(wide).is_some(), "{wide}");
        }
        for exact in
            [r"^10\.0\.0\.1$", r"^192\.168\.", "^127.0.0.1$", r"^10\.", r"^(10\.0\.0\.1|10\.0\.0\.2)$", "^2001:db8:"]
        {
            assert_eq!(example(exact), None, "{exact}");
        }
    }
}

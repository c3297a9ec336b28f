//! nginx: `if` blocks as guards, where they stand and whom they refuse; and the values that a variable in their condition
//! can have.

use super::blocks::{Block, Blocks, Line};
use super::spots::Spot;
use crate::nginx::script::condition::Parsed;
use crate::pattern::{Options, Pattern};

/// An `if` of a server or location.
pub(super) struct Guard<'b, 'a> {
    /// The `if`.
    pub line: &'b Line<'a>,
    /// What it compares.
    pub condition: Parsed<'b>,
    /// The `return` with which it refuses; `None`: it does something else.
    pub refusal: Option<&'b Line<'a>>,
    /// The server or location that it stands in.
    pub around: &'b Block<'a>,
}

/// Every `if` that nginx accepts.
pub(super) fn guards<'b, 'a>(blocks: &'b Blocks<'a>) -> impl Iterator<Item = Guard<'b, 'a>> {
    blocks.http().filter(|block| block.name() == b"if").filter_map(|block| {
        let line = block.opened.as_ref()?;
        let around = blocks.around(block)?;
        Some(Guard { line, condition: line.condition()?, refusal: refusal(block), around })
    })
}

/// The `return` of a block that refuses: a status from 400 to 499, which holds 444 too.
fn refusal<'b, 'a>(block: &'b Block<'a>) -> Option<&'b Line<'a>> {
    let refuses = |line: &&Line| {
        let code = line.words.first().and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok());
        code.is_some_and(|code| (400..500).contains(&code))
    };
    block.own(b"return").next().filter(refuses)
}

impl Guard<'_, '_> {
    /// The place whose requests it guards.
    pub fn spot<'s, 'm>(&self, spots: &'s [Spot<'m>]) -> Option<&'s Spot<'m>> {
        let origin = self.around.opened.as_ref()?.origin();
        spots.iter().find(|spot| spot.conf.origin == origin)
    }
}

/// Whether a condition holds for a value of its variable; `None`: that depends on another variable, or on a file.
pub(super) fn holds(condition: &Parsed, value: &[u8]) -> Option<bool> {
    match *condition {
        Parsed::Variable(_) => Some(!value.is_empty() && value != b"0"),
        Parsed::Equal { text, negated, .. } => (!text.contains(&b'$')).then(|| (value == text) != negated),
        Parsed::Match { pattern, caseless, negated, .. } => {
            let pattern = Pattern::new(pattern, Options::nginx(caseless)).ok()?;
            pattern.is_match(value).ok().map(|matched| matched != negated)
        }
        Parsed::File { .. } => None,
    }
}

/// The variable of a condition, without its `$`.
pub(super) fn variable<'t>(condition: &Parsed<'t>) -> Option<&'t [u8]> {
    match *condition {
        Parsed::Variable(name) | Parsed::Equal { name, .. } | Parsed::Match { name, .. } => Some(name),
        Parsed::File { .. } => None,
    }
}

/// Every value that a variable can have.
pub(super) struct Values<'a> {
    /// What gives it them: `map`, `geo`, `split_clients`, or the first `set`.
    pub by: Line<'a>,
    /// The values as written, each once; the one for everything else first, where there is one.
    pub all: Vec<Vec<u8>>,
}

/// The values of a variable that one table, or `set`s of plain texts, define; `None` where it can have any other.
///
/// A table that holds nothing but its default, or that includes a file, and a variable that is always set to one text are
/// switches for somebody to turn: they give no values.
pub(super) fn values<'a>(blocks: &Blocks<'a>, name: &[u8]) -> Option<Values<'a>> {
    let dollar = [b"$", name].concat();
    let is_it = |word: &&&[u8]| word.eq_ignore_ascii_case(&dollar);
    let (mut tables, mut sets) = (Vec::new(), Vec::new());
    for line in blocks.http().flat_map(|block| &block.lines) {
        let defines = match line.name {
            b"map" | b"split_clients" => line.words.get(1).filter(is_it).is_some(),
            b"geo" => line.words.last().filter(is_it).is_some(),
            b"set" => line.words.first().filter(is_it).is_some(),
            _ => false,
        };
        match line.name {
            b"set" if defines => sets.push(line),
            _ if defines => tables.push(line),
            _ if may_set(line, name, &dollar) => return None,
            _ => {}
        }
    }
    match (&*tables, &*sets) {
        ([table], []) => of_table(blocks, table),
        ([], [first, ..]) => {
            let mut all = vec![Vec::new()];
            for line in &sets {
                all.push(line.words.get(1).filter(|value| !value.contains(&b'$'))?.to_vec());
            }
            dedup(&mut all);
            (all.len() > 2).then(|| Values { by: (*first).clone(), all })
        }
        _ => None,
    }
}

fn of_table<'a>(blocks: &Blocks<'a>, table: &Line<'a>) -> Option<Values<'a>> {
    if table.placed.children().any(|entry| entry.name().value(blocks.sources()) == b"include") {
        return None;
    }
    let entries = blocks.entries(table);
    let is_default = |entry: &Line| matches!(entry.name, b"default" | b"*");
    let value = |entry: &Line| -> Option<Vec<u8>> {
        let value = entry.words.first()?;
        // Only `map` has values with variables in them.
        (table.name != b"map" || !value.contains(&b'$')).then(|| value.to_vec())
    };
    let is_data = |entry: &&Line| match (entry.name, &*entry.words) {
        (b"hostnames" | b"volatile" | b"ranges" | b"proxy_recursive", []) => false,
        (b"delete" | b"proxy", _) => table.name != b"geo",
        _ => true,
    };
    let default = entries.iter().find(|entry| is_default(entry)).map_or(Some(Vec::new()), value);
    let mut all = vec![default?];
    let mut count = 0;
    for entry in entries.iter().filter(is_data).filter(|entry| !is_default(entry)) {
        all.push(value(entry)?);
        count += 1;
    }
    dedup(&mut all);
    (count > 0).then(|| Values { by: table.clone(), all })
}

/// Each value once, in order.
fn dedup(all: &mut Vec<Vec<u8>>) {
    let mut seen: Vec<Vec<u8>> = Vec::new();
    all.retain(|value| {
        let new = !seen.contains(value);
        if new {
            seen.push(value.clone());
        }
        new
    });
}

/// Whether a directive may give the variable a value that nobody can read off the configuration: a named group of an
/// expression, a script, or a directive that sets variables.
fn may_set(line: &Line, name: &[u8], dollar: &[u8]) -> bool {
    let script = [&b"lua"[..], b"perl", b"js_"].iter().any(|part| memchr::memmem::find(line.name, part).is_some());
    let group = |word: &&[u8]| {
        [[b"<", name, b">"].concat(), [b"'", name, b"'"].concat()]
            .iter()
            .any(|group| memchr::memmem::find(&word.to_ascii_lowercase(), &group.to_ascii_lowercase()).is_some())
    };
    let sets = memchr::memmem::find(line.name, b"set").is_some()
        && line.words.iter().any(|word| word.eq_ignore_ascii_case(dollar));
    script || sets || line.words.iter().any(group) || line.name == b"geoip2"
}

//! What nobody should have to remember: imports point one way, only the edges print, nothing names somebody's machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

/// From the text to the command line. A module uses its own rank and those before it; those left out here are shared
/// vocabularies, and may be used by everybody but use nobody further on themselves.
const RANKS: &[(&str, u32)] = &[
    ("source", 0),
    ("calendar", 0),
    ("syntax", 1),
    ("problem", 1),
    ("sentence", 1),
    ("request", 1),
    ("fact", 1),
    ("pattern", 1),
    ("ipset", 1),
    ("password", 1),
    ("fs", 2),
    ("identity", 3),
    ("trace", 3),
    ("cause", 3),
    ("outcome", 4),
    ("fix", 5),
    ("world", 5),
    ("client_cert", 5),
    ("nginx", 6),
    ("apache", 6),
    ("server", 7),
    ("ask", 7),
    ("explain", 8),
    ("report", 9),
    ("cli", 10),
];

/// The one use that points back: how a configuration is loaded is said once, for both servers.
const LOAD_OPTIONS: &[&str] = &["LoadOptions", "Kind"];

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("tidy::imports_point_one_way", imports_point_one_way),
        Trial::test("tidy::the_two_servers_never_meet", the_two_servers_never_meet),
        Trial::test("tidy::only_the_edges_print", only_the_edges_print),
        Trial::test("tidy::nothing_names_a_machine", nothing_names_a_machine),
    ]
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory, with its text where it is text.
fn files(directory: &Path) -> Result<Vec<(PathBuf, String)>, Failed> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                found.push((entry.path(), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The module that a source file belongs to: `nginx` for `src/nginx/phases/access.rs`.
fn module(path: &Path) -> String {
    let below = path.strip_prefix(top().join("src")).unwrap_or(path);
    let first = below.components().next().map(|it| it.as_os_str().to_string_lossy().into_owned()).unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

/// The `crate::name` paths in the code of a file, tests left out, with what is taken from them.
fn uses(text: &str) -> Vec<(String, String)> {
    let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>());
    paths
        .map(|path| {
            let name: String = path.chars().take_while(|it| it.is_ascii_lowercase() || *it == '_').collect();
            (name.clone(), path[name.len()..].to_owned())
        })
        .collect()
}

fn imports_point_one_way() -> Result<(), Failed> {
    let ranks: BTreeMap<&str, u32> = RANKS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in files(&top().join("src"))? {
        let own = module(&path);
        let Some(rank) = ranks.get(own.as_str()) else { continue };
        for (used, what) in uses(&text) {
            let points_back = ranks.get(used.as_str()).is_some_and(|other| other > rank);
            let options = used == "server" && {
                let names = what.trim_start_matches("::").trim_matches(['{', '}', ';']);
                names.split(',').all(|name| LOAD_OPTIONS.contains(&name.trim().trim_end_matches(['}', ';'])))
            };
            if points_back && used != own && !options {
                wrong.push(format!("{}: crate::{used}{}", path.display(), what.trim_end()));
            }
        }
    }
    none(wrong, "imports that point the wrong way")
}

fn the_two_servers_never_meet() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (path, text) in files(&top().join("src"))? {
        let other = match module(&path).as_str() {
            "nginx" => "apache",
            "apache" => "nginx",
            _ => continue,
        };
        if uses(&text).iter().any(|(used, _)| used == other) {
            wrong.push(path.display().to_string());
        }
    }
    none(wrong, "files of one server that use the other")
}

fn only_the_edges_print() -> Result<(), Failed> {
    let mut wrong = Vec::new();
    for (path, text) in files(&top().join("src"))? {
        if matches!(module(&path).as_str(), "report" | "cli" | "main" | "lsp") {
            continue;
        }
        let prints = ["println!(", "eprintln!(", "print!(", "eprint!(", "io::stdout(", "io::stderr(", "dbg!("];
        for line in text.lines().filter(|line| prints.iter().any(|print| line.contains(print))) {
            wrong.push(format!("{}: {}", path.display(), line.trim()));
        }
    }
    none(wrong, "places that print")
}

fn nothing_names_a_machine() -> Result<(), Failed> {
    // Put together here, so that this file does not name them either.
    let foreign = [["/wo", "rk/"].concat(), ["../sha", "red"].concat(), ["/home/run", "ner"].concat()];
    let mut wrong = Vec::new();
    for directory in ["src", "tests", "docs", "grammars", "snapshots", "examples", "benches", "fuzz"] {
        let directory = top().join(directory);
        if !directory.is_dir() {
            continue;
        }
        for (path, text) in files(&directory)? {
            for line in text.lines().filter(|line| foreign.iter().any(|name| line.contains(name.as_str()))) {
                wrong.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    none(wrong, "lines that name a foreign path")
}

fn none(wrong: Vec<String>, what: &str) -> Result<(), Failed> {
    if wrong.is_empty() { Ok(()) } else { Err(format!("{} {what}:\n{}", wrong.len(), wrong.join("\n")).into()) }
}

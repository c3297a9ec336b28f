//! `why403 lint`: every configuration that the paths name, in parallel, in every format asked for.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::settings::{Files, absolute};
use super::{ANSWERED, FOUND, Failure, NOT_ASKED, ServerOptions, write, written};
use crate::fact::{Answers, Fact};
use crate::finding::{Finding, Level};
use crate::fs::Filesystem;
use crate::lint::baseline::Baseline;
use crate::lint::settings::{FILE_NAME, Loaded, check_selector, parse};
use crate::lint::targets::{self, Target, Unusable, Wanted};
use crate::lint::{Choice, Linted, fixing, lint_target, sort};
use crate::recognise::{CONTEXTS, Context};
use crate::report::lint::{self as report, Format, Report};
use crate::server::Kind;
use crate::source::{MAX_FILE, SourceFile};
use crate::world::{NoResolver, World};

/// Options of `why403 lint`.
#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    server: ServerOptions,
    /// Files and directories; `-` is standard input; without any, the configuration in the usual place
    paths: Vec<PathBuf>,
    /// What a fragment is a part of; guessed from its content when not given
    #[arg(long, value_parser = context)]
    context: Option<Context>,
    /// Rules to switch on beside the default ones: ids, categories, core, all
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    select: Vec<String>,
    /// Rules to switch off: ids or categories
    #[arg(long, value_delimiter = ',', value_name = "RULE")]
    ignore: Vec<String>,
    /// Lowest level reported
    #[arg(long, value_enum)]
    level: Option<LevelName>,
    /// Lowest level that makes the exit status 1 [default: warning]
    #[arg(long, value_enum)]
    fail_on: Option<LevelName>,
    /// human, concise, json, jsonl, sarif, github, gitlab, checkstyle, junit; may be given several times
    #[arg(long, value_name = "FORMAT[=FILE]")]
    output: Vec<Output>,
    /// Apply safe repairs
    #[arg(long, conflicts_with = "diff")]
    fix: bool,
    /// Apply repairs that a person should look at, too
    #[arg(long)]
    unsafe_fixes: bool,
    /// Print what the repairs would change as a patch, and write nothing
    #[arg(long)]
    diff: bool,
    /// Settings file instead of the why403.toml found upwards from the first path
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Findings in this file are not reported
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what is found now as a baseline
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
    /// Count the findings of each rule
    #[arg(long)]
    statistics: bool,
    /// Print findings only: no summary, nothing for a clean run
    #[arg(short, long)]
    quiet: bool,
}

/// A level on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum LevelName {
    Info,
    Warning,
    Error,
}

impl From<LevelName> for Level {
    fn from(name: LevelName) -> Level {
        match name {
            LevelName::Info => Level::Info,
            LevelName::Warning => Level::Warning,
            LevelName::Error => Level::Error,
        }
    }
}

fn context(name: &str) -> Result<Context, String> {
    let known = CONTEXTS.iter().find(|(known, _)| *known == name).map(|(_, context)| *context);
    known.ok_or_else(|| {
        let names: Vec<&str> = CONTEXTS.iter().map(|(name, _)| *name).collect();
        format!("choose one of {}", names.join(", "))
    })
}

/// `FORMAT` or `FORMAT=FILE`.
#[derive(Clone, Debug)]
struct Output {
    format: Format,
    file: Option<PathBuf>,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((format, file)) if !file.is_empty() => {
                Ok(Output { format: format.parse()?, file: Some(PathBuf::from(file)) })
            }
            Some(_) => Err("a file name must follow the `=`".to_owned()),
            None => Ok(Output { format: text.parse()?, file: None }),
        }
    }
}

/// Runs the command.
pub(super) fn run(options: &Options, out: &mut dyn Write) -> Result<u8, Failure> {
    for name in options.select.iter().chain(&options.ignore) {
        check_selector(name)?;
    }
    let here = std::env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
    let paths = options
        .paths
        .iter()
        .filter(|path| path.as_os_str() != "-")
        .map(|path| absolute(path))
        .collect::<Result<Vec<_>, _>>()?;
    let loaded = load_settings(options, paths.first().map_or(here.as_path(), PathBuf::as_path))?;
    let server = with_settings(&options.server, &loaded);
    let ground = server.ground(Files::Still)?;
    let wanted = wanted(options, &server)?;
    let (targets, unusable) = collect(options, &server, &loaded, paths, &wanted, ground.loading())?;
    for Unusable { path, why } in &unusable {
        written(writeln!(io::stderr(), "why403: {}: {why}", path.display()))?;
    }
    let worker = server.worker(&ground);
    let answers = Answers::default();
    let world = World {
        fs: ground.serving(),
        worker: worker.as_ref(),
        resolver: &NoResolver,
        now: None,
        answers: &answers,
        trace: false,
    };
    let choice = Choice {
        select: options.select.clone(),
        ignore: options.ignore.clone(),
        level: options.level.map(Level::from),
    };
    if options.fix || options.unsafe_fixes || options.diff {
        let code = repair(options, &targets, ground.loading(), &world, &loaded, &choice, out)?;
        if options.diff {
            return Ok(if unusable.is_empty() { code } else { NOT_ASKED });
        }
    }
    let (linted, texts) = lint_all(&targets, ground.loading(), &world, &loaded, &choice);
    let mut findings = linted.findings;
    let mut silenced = linted.silenced;
    let baselines = options.write_baseline.is_some() || options.baseline.is_some();
    let prints = if baselines { report::fingerprints(&findings, &here) } else { Vec::new() };
    if let Some(file) = &options.write_baseline {
        let shown = |finding: &Finding| {
            finding.place.file.strip_prefix(&here).unwrap_or(&finding.place.file).display().to_string()
        };
        let text = Baseline::of(&findings, &prints, &shown).to_text();
        write::replace(file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    if let Some(file) = &options.baseline {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let baseline = Baseline::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        let mut known = prints.iter().map(|print| baseline.holds(print));
        findings.retain(|_| !known.next().unwrap_or(false));
        silenced += prints.len() - findings.len();
    }
    let style = super::style();
    let report = Report {
        findings: &findings,
        files: linted.files.len(),
        silenced,
        here: &here,
        text: &|path| texts.get(path).cloned(),
        colour: style.colour,
        width: style.width,
        quiet: options.quiet,
    };
    outputs(options, &report, out)?;
    if options.statistics {
        written(statistics(&findings, out))?;
    }
    let fail_on = options.fail_on.map(Level::from).or(loaded.settings.fail_on).unwrap_or(Level::Warning);
    Ok(match () {
        () if !unusable.is_empty() => NOT_ASKED,
        () if findings.iter().any(|finding| finding.level >= fail_on) => FOUND,
        () => ANSWERED,
    })
}

/// The settings file: the one named, or the nearest upwards from the first path.
fn load_settings(options: &Options, first: &Path) -> Result<Loaded, Failure> {
    let file = match &options.settings {
        Some(file) => Some(absolute(file)?),
        None => first.ancestors().map(|dir| dir.join(FILE_NAME)).find(|file| file.is_file()),
    };
    let Some(file) = file else { return Ok(Loaded::default()) };
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let settings = parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Loaded { base: file.parent().unwrap_or(Path::new("/")).to_path_buf(), settings })
}

/// The command line's options, completed by the settings file.
fn with_settings(options: &ServerOptions, loaded: &Loaded) -> ServerOptions {
    let file = &loaded.settings.server;
    let below = |path: &PathBuf| loaded.base.join(path);
    ServerOptions {
        server: options.server.or(match file.kind.as_deref() {
            Some("nginx") => Some(super::settings::ServerName::Nginx),
            Some("apache") => Some(super::settings::ServerName::Apache),
            _ => None,
        }),
        server_version: options.server_version.clone().or_else(|| file.version.clone()),
        modules: options.modules.clone().or_else(|| file.modules.clone()),
        prefix: options.prefix.clone().or_else(|| file.prefix.as_ref().map(below)),
        root: options.root.clone().or_else(|| file.root.as_ref().map(below)),
        worker: options.worker.clone().or_else(|| file.worker.clone()),
        ..options.clone()
    }
}

fn wanted(options: &Options, server: &ServerOptions) -> Result<Wanted, Failure> {
    Ok(Wanted {
        kind: server.server.map(Kind::from),
        context: options.context,
        version: server.server_version.clone(),
        modules: server.modules.clone(),
        prefix: server.prefix.as_deref().map(absolute).transpose()?,
        defines: server.define.clone(),
    })
}

/// Every target: of the paths, of standard input, or of the settings file and the usual places where no path is given.
fn collect(
    options: &Options,
    server: &ServerOptions,
    loaded: &Loaded,
    mut paths: Vec<PathBuf>,
    wanted: &Wanted,
    fs: &dyn Filesystem,
) -> Result<(Vec<Target>, Vec<Unusable>), Failure> {
    if options.paths.is_empty() {
        match &server.config {
            Some(config) => paths.push(absolute(config)?),
            None if !loaded.settings.server.config.is_empty() => {
                paths.extend(loaded.settings.server.config.iter().map(|file| loaded.base.join(file)));
            }
            None => paths.push(server.usual_place(fs)?),
        }
    }
    let (mut targets, mut unusable) = targets::find(&paths, wanted, fs);
    if options.paths.iter().any(|path| path.as_os_str() == "-") {
        let mut text = Vec::new();
        let read = io::stdin().lock().take(MAX_FILE).read_to_end(&mut text);
        read.map_err(|error| format!("standard input: {error}"))?;
        let here = std::env::current_dir().map_err(|error| format!("the current directory: {error}"))?;
        match Target::of(&here.join("stdin"), &text, wanted, false) {
            Ok(target) => targets.push(target),
            Err(why) => unusable.push(Unusable { path: PathBuf::from("-"), why }),
        }
    }
    Ok((targets, unusable))
}

type Texts = BTreeMap<PathBuf, Arc<SourceFile>>;

/// Lints the targets on every core, and shows progress on a terminal once it has taken a second.
fn lint_all(
    targets: &[Target],
    fs: &dyn Filesystem,
    world: &World,
    loaded: &Loaded,
    choice: &Choice,
) -> (Linted, Texts) {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len().max(1));
    let bar = Progress::new(targets.len());
    let work = || {
        let mut done: Vec<(usize, Linted, Texts)> = Vec::new();
        while let Some((index, target)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            targets.get(index).map(|target| (index, target))
        } {
            let (server, linted) = lint_target(target, fs, world, loaded, choice);
            let related = linted.findings.iter().flat_map(|finding| &finding.related).map(|other| &other.place);
            let places = linted.findings.iter().map(|finding| &finding.place).chain(related);
            let named: HashSet<&OsStr> = places.map(|place| place.file.as_os_str()).collect();
            let texts = server
                .sources()
                .files()
                .filter(|(_, file)| named.contains(file.path.as_os_str()))
                .map(|(id, file)| (file.path.clone(), server.sources().shared(id)));
            let texts = texts.collect();
            done.push((index, linted, texts));
            if targets.len() == 1 {
                // The process ends with the command: a large configuration need not be taken apart before.
                std::mem::forget(server);
            }
            bar.step();
        }
        done
    };
    let mut results: Vec<(usize, Linted, Texts)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            // A worker that panicked has lost findings: that must not look like a clean run.
            done.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        done
    });
    bar.finish();
    results.sort_by_key(|(index, _, _)| *index);
    let (mut all, mut texts) = (Linted::default(), Texts::new());
    for (_, linted, more) in results {
        all.findings.extend(linted.findings);
        all.files.extend(linted.files);
        all.silenced += linted.silenced;
        texts.extend(more);
    }
    all.files.sort();
    all.files.dedup();
    sort(&mut all.findings);
    (all, texts)
}

/// A bar on a terminal's standard error that stays away for the first second.
struct Progress(Option<indicatif::ProgressBar>);

impl Progress {
    fn new(length: usize) -> Self {
        if !io::stderr().is_terminal() || length < 2 {
            return Progress(None);
        }
        let target = indicatif::ProgressDrawTarget::hidden();
        let bar = indicatif::ProgressBar::with_draw_target(Some(length as u64), target);
        let shown = bar.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(1));
            if !shown.is_finished() {
                shown.set_draw_target(indicatif::ProgressDrawTarget::stderr());
            }
        });
        Progress(Some(bar))
    }

    fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// `--fix`, `--unsafe-fixes`, `--diff`.
fn repair(
    options: &Options,
    targets: &[Target],
    fs: &dyn Filesystem,
    world: &World,
    loaded: &Loaded,
    choice: &Choice,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut changes: fixing::Changes = BTreeMap::new();
    let mut count = 0;
    for target in targets {
        let (changed, more) = fixing::fixed(target, fs, world, loaded, choice, options.unsafe_fixes);
        // The same file can be a part of two targets; the first one's repair stands, the other finds it on the next run.
        for (path, bytes) in changed {
            changes.entry(path).or_insert(bytes);
        }
        count += more;
    }
    for (path, bytes) in &changes {
        if options.diff {
            let Fact::Known(Ok(old)) = fs.read(path, MAX_FILE) else { continue };
            written(write::diff(out, path, &old, bytes))?;
        } else if options.server.root.is_some() {
            return Err("--fix does not write below --root; use --diff and apply the patch there".into());
        } else {
            write::replace(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if !options.quiet && !options.diff {
        written(writeln!(io::stderr(), "why403: {count} repairs in {} files", changes.len()))?;
    }
    Ok(if changes.is_empty() { ANSWERED } else { FOUND })
}

fn outputs(options: &Options, report: &Report, out: &mut dyn Write) -> Result<(), Failure> {
    let default = [Output { format: Format::Human, file: None }];
    let wanted = if options.output.is_empty() { &default[..] } else { &options.output };
    for output in wanted {
        match &output.file {
            None => written(report::write(output.format, report, out))?,
            Some(path) => {
                let failed = |error: io::Error| Failure(format!("{}: {error}", path.display()));
                let mut file = BufWriter::new(File::create(path).map_err(failed)?);
                let plain = Report { colour: false, ..*report };
                report::write(output.format, &plain, &mut file).and_then(|()| file.flush()).map_err(failed)?;
            }
        }
    }
    Ok(())
}

fn statistics(findings: &[Finding], out: &mut dyn Write) -> io::Result<()> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.rule).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(rule, count)| (std::cmp::Reverse(*count), *rule));
    for (rule, count) in counts {
        writeln!(out, "{count:6} {rule}")?;
    }
    Ok(())
}

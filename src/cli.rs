//! The command line. One file a command; what they share is here.

mod capture;
mod cause;
mod explain;
mod fix;
mod lint;
mod rules;
mod session;
mod settings;
mod shell;
mod write;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::human;

pub use settings::ServerOptions;

/// Every question was answered.
pub const ANSWERED: u8 = 0;
/// A finding, or an expectation that failed.
pub const FOUND: u8 = 1;
/// Something could not be asked.
pub const NOT_ASKED: u8 = 2;

/// Why does this server answer 403, and what would change it?
#[derive(Debug, Parser)]
#[command(name = "why403", version, about, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which status a request gets, which directive decides it, why, and what would change it
    Explain(explain::Options),
    /// Show what ends a refusal as a diff and commands, and make the edits with --write
    Fix(fix::Options),
    /// Write a configuration and the modes of what it serves into one archive, which --config accepts
    Capture(capture::Options),
    /// Print the page of a cause
    Cause(cause::Options),
    /// Check configurations for what is refused, and for what does not mean what it says
    Lint(lint::Options),
    /// Print the page of a rule
    Rule(rules::RuleOptions),
    /// List the rules
    Rules,
    /// Print a completion script for a shell
    Completions(shell::CompletionOptions),
    /// Print or write the manual pages
    Man(shell::ManOptions),
}

/// A command could not do its work: the message for standard error.
#[derive(Debug)]
pub struct Failure(pub String);

impl<T: Into<String>> From<T> for Failure {
    fn from(message: T) -> Self {
        Failure(message.into())
    }
}

/// Reads the arguments of this process, runs the command, and says how the process ends.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come this way too, for standard output. A closed pipe is nobody's error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { NOT_ASKED } else { ANSWERED });
        }
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let ended = match cli.command {
        Command::Explain(options) => explain::run(&options, &mut out),
        Command::Fix(options) => fix::run(&options, &mut out),
        Command::Capture(options) => capture::run(&options, &mut out),
        Command::Cause(options) => cause::run(&options, &mut out),
        Command::Lint(options) => lint::run(&options, &mut out),
        Command::Rule(options) => rules::page(&options, &mut out),
        Command::Rules => rules::list(&mut out),
        Command::Completions(options) => shell::completions(&options, &mut out),
        Command::Man(options) => shell::man(&options, &mut out),
    };
    // What is still in the buffer counts: an answer that nobody got was not given.
    let ended = ended.and_then(|code| written(out.flush()).map(|()| code));
    let code = match ended {
        Ok(code) => code,
        Err(Failure(message)) => {
            let _ = out.flush();
            if !message.is_empty() {
                let _ = writeln!(io::stderr(), "why403: {message}");
            }
            NOT_ASKED
        }
    };
    ExitCode::from(code)
}

/// A failed write: a closed pipe ends the program quietly, anything else (a full disk) with a message.
pub(crate) fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure(String::new())),
        Err(error) => Err(Failure(format!("cannot write the answer: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// How pages for people look: colours on a terminal unless NO_COLOR is set, the width of the terminal (COLUMNS where it is
/// not one), at most 120.
pub(crate) fn style() -> human::Style {
    let terminal = io::stdout().is_terminal();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let columns = variable("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    human::Style {
        colour: terminal && variable("NO_COLOR").is_none() && variable("TERM").is_none_or(|term| term != "dumb"),
        width: columns.or_else(measured).unwrap_or(100).clamp(40, 120),
        directory: std::env::current_dir().ok(),
    }
}
